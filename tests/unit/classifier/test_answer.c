/* Answers: what reading one changes, and that any bytes may be one. */
#include "answer.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static struct answer answer_of(const char *text)
{
    return (struct answer){.text = str_of(text), .logprob_mean = NAN, .logprob_min = NAN, .entropy_mean = NAN, .margin_mean = NAN, .self_check = NAN};
}

/* Places in the form: of the checks, and of the marks after them. */
enum {
    WRONG = 1, UNGROUNDED = 4, UNUSED_RESULTS = 6, UNUSED = 7, LAST_GIVES_IT = 13, NONE = 16, EXPECTED_STEPS = 35, NAMED = 45, REPEATED = 46, SOUND = 47,
    NOT_WHOLE = N_CHECKS + 3, NEGATIVE = N_CHECKS + 4, ENDS = N_CHECKS + 7, USED = N_CHECKS + 12
};

static const char eggs[] = "Ann has three hens that lay 5 eggs a week each. She sells the eggs for $2. How many dollars does she make in 4 weeks?";

Test(answer, an_equation_that_does_not_hold_is_seen)
{
    float form[N_ANSWER];
    struct answer right = answer_of("She has 3 + 4 = 7 apples, and 7 * 2 = $14 in all."), wrong = answer_of("She has 3 + 4 = 8 apples, and 8 × 2 = 16 in all.");
    answer_form(STR("3 apples and 4 apples"), &right, form);
    cr_assert_eq(form[WRONG], 0);
    answer_form(STR("3 apples and 4 apples"), &wrong, form);
    cr_assert_eq(form[WRONG], 1);
}

Test(answer, the_result_is_the_marked_number_else_the_last)
{
    float form[N_ANSWER];
    struct answer marked = answer_of("2.5 bolts make 3\n#### -4\n1.5 more"), last = answer_of("1,200 / 7 is about 171.43");
    answer_form(STR("q"), &marked, form);
    cr_assert(form[NEGATIVE] == 1 && form[NOT_WHOLE] == 0 && form[ENDS] == 1);
    answer_form(STR("q"), &last, form);
    cr_assert(form[NEGATIVE] == 0 && form[NOT_WHOLE] == 1 && form[ENDS] == 0);
}

Test(answer, numbers_of_the_question_that_the_answer_ignores_count)
{
    float form[N_ANSWER];
    struct answer answer = answer_of("10 - 4 = 6.");
    answer_form(STR("Of 10 birds 4 fly away and 3 come back."), &answer, form);
    cr_assert_float_eq(form[USED], 2.0F / 3, 1e-6F);
}

Test(answer, a_sound_answer_uses_the_numbers_and_ends_in_its_last_result)
{
    float form[N_ANSWER];
    struct answer answer = answer_of("The hens lay 3 * 5 = <<3*5=15>>15 eggs a week.\nThat is 15 x 4 = 60 eggs.\nShe makes 60 eggs x $2 = $120 dollars.\n#### 120");
    answer_form(str_of(eggs), &answer, form);
    cr_assert(form[WRONG] == 0 && form[UNGROUNDED] == 0 && form[UNUSED] == 0 && form[UNUSED_RESULTS] == 0 && form[LAST_GIVES_IT] == 1 && form[SOUND] == 1);
    answer = answer_of("The hens lay 3 * 5 = 15 eggs a week.\nShe makes 15 x $2 = $30 dollars.\n#### 30"); /* The 4 weeks are forgotten. */
    answer_form(str_of(eggs), &answer, form);
    cr_assert(form[UNUSED] == 1 && form[SOUND] == 0 && form[LAST_GIVES_IT] == 1);
    answer = answer_of("The hens lay 3 * 5 = 15 eggs a week.\nShe makes 17 x 4 x $2 = $136 dollars.\n#### 130"); /* 17 comes from nowhere. */
    answer_form(str_of(eggs), &answer, form);
    cr_assert(form[UNGROUNDED] == 1 && form[UNUSED_RESULTS] == 1 && form[LAST_GIVES_IT] == 0);
}

Test(answer, work_is_compared_with_what_the_question_lets_expect)
{
    float less[N_ANSWER], more[N_ANSWER];
    struct answer one = answer_of("5 x 2 = 10."), three = answer_of("3 x 5 = 15. 15 x 4 = 60. 60 x 2 = 120.");
    answer_form(str_of(eggs), &one, less);
    answer_form(str_of(eggs), &three, more);
    cr_assert_float_eq(more[EXPECTED_STEPS] - less[EXPECTED_STEPS], 2, 1e-5F);
    cr_assert(less[EXPECTED_STEPS] < 0, "a question with five quantities takes more than one step");
}

Test(answer, what_is_asked_for_and_repeated_lines_are_seen)
{
    float form[N_ANSWER];
    struct answer answer = answer_of("It is so.\nIt is so.\nIt is so.\n12 hens");
    answer_form(str_of(eggs), &answer, form);
    cr_assert(form[NAMED] == 0 && form[NONE] == 1);
    cr_assert_float_eq(form[REPEATED], 0.5F, 1e-6F);
    answer = answer_of("12 dollars");
    answer_form(str_of(eggs), &answer, form);
    cr_assert(form[NAMED] == 1 && form[REPEATED] == 0);
}

Test(answer, any_bytes_have_a_finite_form)
{
    static char bytes[5000];
    float form[N_ANSWER];
    uint32_t seed = 3;
    for (size_t n = 0; n < sizeof bytes; n = n * 2 + 1) {
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = n % 2 == 0 ? (char)(seed >> 24) : "0123456789.,-+*/= $#\xC3\x97()%x\n"[(seed >> 24) % 27];
        }
        struct answer answer = {.text = {bytes, n}, .logprob_mean = -0.1F, .logprob_min = -INFINITY, .entropy_mean = 1, .margin_mean = NAN};
        answer_form((str){bytes, n / 2}, &answer, form);
        for (int i = 0; i < N_ANSWER; i++)
            cr_assert(isfinite(form[i]) && fabsf(form[i]) <= 20, "%zu bytes, number %d: %g", n, i, (double)form[i]);
    }
}

/* The question says nothing here; the answer's arithmetic all. */
Test(answer, a_head_trained_with_answers_orders_them_where_questions_are_alike)
{
    static char folder[] = "/tmp/weir_answer_XXXXXX";
    char data[64], path[64];
    struct error err = {0};
    struct head *head;
    struct scorer *scorer;
    struct arena arena;
    struct score good, bad;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/lines", folder);
    snprintf(path, sizeof path, "%s/head", folder);
    FILE *file = fopen(data, "w");
    for (int i = 0; i < 200; i++) {
        int a = 2 + i * 7 % 31, b = 3 + i * 5 % 23, off = i % 2 == 0 ? 0 : 1 + i % 4;
        fprintf(file, "{\"text\":\"What is %d plus %d?\",\"scores\":{\"local\":%d,\"remote\":1},\"answer\":{\"text\":\"It is %d + %d = %d.\",\"logprob_mean\":%g}}\n",
                a, b, off == 0, a, b, a + b + off, off == 0 ? -0.1 : -0.4);
    }
    fclose(file);
    cr_assert_eq(head_train(data, path, NULL, &(struct train_options){.quiet = true}, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(head_open(&head, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(scorer_new(&scorer, head, NULL, &err), 0);
    arena_init(&arena, 0);
    str question = STR("What is 40 plus 2?");
    struct answer right = answer_of("It is 40 + 2 = 42."), wrong = answer_of("It is 40 + 2 = 44.");
    right.logprob_mean = -0.1F;
    wrong.logprob_mean = -0.4F;
    cr_assert_eq(scorer_score_text(scorer, question, &arena, &good, &err), 0);
    bad = good;
    cr_assert_eq(scorer_score_answer(scorer, question, &right, &good, &err), 0);
    cr_assert_eq(scorer_score_answer(scorer, question, &wrong, &bad, &err), 0);
    cr_assert(good.tier == TIER_ANSWER && bad.tier == TIER_ANSWER);
    cr_assert_gt(good.p_local, 0.7F);
    cr_assert_lt(bad.p_local, 0.3F);
    cr_assert_lt(good.gain, bad.gain);
    /* What is not to be read is judged by confidence alone. */
    struct score sure = good, unsure = good;
    right.text.data = wrong.text.data = NULL;
    cr_assert(head_judges_text(head) && head_judges_confidence(head));
    cr_assert_eq(scorer_score_answer(scorer, question, &right, &sure, &err), 0);
    cr_assert_eq(scorer_score_answer(scorer, question, &wrong, &unsure, &err), 0);
    cr_assert_gt(sure.p_local, unsure.p_local + 0.4F);
    /* Where questions are alike scoring gains nothing over chance, and the answer nearly all. */
    json_t *metrics;
    cr_assert_eq(head_evaluate(head, NULL, data, NULL, &metrics, &err), 0, "%s: %s", err.where, err.text);
    const json_t *cascade = json_object_get(metrics, "cascade");
    double apgr[2];
    for (int i = 0; i < 2; i++)
        apgr[i] = json_number_value(json_object_get(json_object_get(cascade, i == 0 ? "scoring" : "answer"), "apgr"));
    cr_assert(json_integer_value(json_object_get(cascade, "n")) == 200 && json_is_array(json_object_get(json_object_get(cascade, "both"), "curve")));
    cr_assert_float_eq(json_number_value(json_object_get(cascade, "quality_local")), 0.5, 1e-9);
    cr_assert_null(json_object_get(cascade, "probe"), "no line was probed");
    cr_assert_gt(apgr[1], 0.7);
    cr_assert_gt(apgr[1], apgr[0] + 0.1, "%g %g", apgr[0], apgr[1]);
    struct buffer picture;
    buffer_init(&picture, 16 << 20);
    snprintf(path, sizeof path, "%s/picture.svg", folder);
    cr_assert_eq(metrics_picture(metrics, path, &err), 0);
    cr_assert_eq(file_read(path, &picture, &err), 0);
    static const char *const legends[] = {"scoring alone, APGR", "answer alone, APGR", "both, APGR", "200 lines with an answer"};
    for (size_t i = 0; i < sizeof legends / sizeof *legends; i++)
        cr_assert_geq(str_find(buffer_str(&picture), str_of(legends[i])), 0, "%s", legends[i]);
    buffer_release(&picture);
    json_decref(metrics);
    unlink(path);
    snprintf(path, sizeof path, "%s/head", folder);
    arena_release(&arena);
    scorer_free(scorer);
    head_close(head);
    unlink(data);
    unlink(path);
    rmdir(folder);
}
