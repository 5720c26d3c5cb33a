/* Perplexity, on the default model. */
#include "weir_runtime.h"

#include <criterion/criterion.h>

Test(perplexity, text_is_foreseen_better_than_its_words_in_disorder_and_two_tokens_are_the_least)
{
    static const char text[] = "Water boils at one hundred degrees Celsius at sea level, and at a lower temperature on a mountain.";
    static const char disorder[] = "level, boils a degrees mountain. and hundred Water at on sea at Celsius temperature one a at lower";
    char path[4096];
    struct model *model;
    struct error err = {0};
    double ordered, disordered;
    size_t n;
    cr_assert_eq(cache_path("models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf", path, sizeof path), 0);
    cr_assert(file_exists(path), "the default model is not there: %s", path);
    cr_assert_eq(model_open(&model, path, &(struct model_options){.n_threads = 2}, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(model_perplexity(model, str_of(text), &ordered, &n, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(n > 15 && n < 40);
    cr_assert(ordered > 1 && ordered < 60, "%g", ordered);
    cr_assert_eq(model_perplexity(model, str_of(disorder), &disordered, &n, &err), 0);
    cr_assert(disordered > 5 * ordered, "%g, %g", disordered, ordered);
    cr_assert_eq(model_perplexity(model, str_of(""), &ordered, &n, &err), WEIR_E_INVALID);
    model_close(model);
}
