/* Guessed tokens change when an answer comes, never which (fixtures/archs, 128 tokens each, context 128). */
#include "engine/engine.h"
#include "engine/lookup.h"

#include <criterion/criterion.h>

enum { N = 60, PROMPT = 40 };

static struct model *model, *draft;
static struct engine *engine;

static struct model *open_model(const char *name)
{
    char path[512];
    struct model *out;
    struct error err = {0};
    snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/archs/%s.gguf", name);
    cr_assert(file_exists(path), "the shared fixtures are not there: %s", path);
    cr_assert_eq(model_open(&out, path, &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 2}, &err), 0, "%s: %s", err.where, err.text);
    return out;
}

static void start(enum speculation speculation, const char *draft_name)
{
    struct error err = {0};
    model = open_model("llama-dense");
    draft = draft_name != NULL ? open_model(draft_name) : NULL;
    struct engine_options options = {.speculation = speculation, .draft = draft};
    cr_assert_eq(engine_start(&engine, model, &options, &err), 0, "%s: %s", err.where, err.text);
}

static void stop(void)
{
    engine_stop(engine);
    model_close(model);
    if (draft != NULL)
        model_close(draft);
}

/* A prompt that repeats itself, so that look-up finds matches. */
static void fill_prompt(int32_t *prompt, int salt)
{
    for (int i = 0; i < PROMPT; i++)
        prompt[i] = (i % 8 * 37 + salt * 11 + 5) % 128;
}

static int generate(int salt, const struct sampling *sampling, int32_t *tokens, enum finish_reason *reason)
{
    int32_t prompt[PROMPT];
    struct session *session;
    struct session_event event;
    struct error err = {0};
    int n = 0;
    fill_prompt(prompt, salt);
    cr_assert_eq(engine_submit(engine, prompt, PROMPT, sampling, NULL, NULL, &session, &err), 0, "%s: %s", err.where, err.text);
    while (session_wait(session, &event, -1) == 1) {
        for (int i = 0; event.kind == SESSION_TOKEN && i < event.n_tokens; i++)
            tokens[n++] = event.tokens[i];
        if (event.kind == SESSION_END) {
            *reason = event.reason;
            break;
        }
    }
    session_free(session);
    return n;
}

static const struct sampling samplings[] = {
    {.max_tokens = N},
    {.max_tokens = N, .repetition_penalty = 1.3f, .frequency_penalty = 0.5f},
    {.max_tokens = N, .temperature = 1, .seeded = true, .seed = 7},
    {.max_tokens = N, .temperature = 0.5f, .top_k = 20, .top_p = 0.9f, .seeded = true, .seed = 8, .presence_penalty = 0.3f},
    {.max_tokens = -1, .temperature = 0.3f, .seeded = true, .seed = 9}, /* To the context's end. */
};
enum { N_SAMPLINGS = sizeof samplings / sizeof *samplings };

static void compare_with_plain(enum speculation speculation, const char *draft_name, struct engine_stats *stats)
{
    static int32_t plain[N_SAMPLINGS][3][128], tokens[128];
    int counts[N_SAMPLINGS][3];
    enum finish_reason reason;
    start(SPECULATE_OFF, NULL);
    for (int i = 0; i < N_SAMPLINGS; i++)
        for (int salt = 0; salt < 3; salt++)
            counts[i][salt] = generate(salt, &samplings[i], plain[i][salt], &reason);
    stop();
    start(speculation, draft_name);
    for (int i = 0; i < N_SAMPLINGS; i++)
        for (int salt = 0; salt < 3; salt++) {
            int n = generate(salt, &samplings[i], tokens, &reason);
            cr_assert_eq(n, counts[i][salt], "sampling %d: %d tokens, not %d", i, n, counts[i][salt]);
            cr_assert_arr_eq(tokens, plain[i][salt], (size_t)n * sizeof *tokens, "sampling %d, prompt %d", i, salt);
            cr_assert_eq(reason, FINISH_LENGTH);
        }
    engine_stats(engine, stats);
    stop();
}

Test(speculate, a_looked_up_answer_is_the_plain_one_token_by_token)
{
    struct engine_stats stats;
    clock_freeze(1, 1); /* So that rows keep the price they have before any is measured, on a busy machine too. */
    compare_with_plain(SPECULATE_LOOKUP, NULL, &stats);
    cr_assert_gt(stats.n_accepted_tokens, 0);
    cr_assert_lt(stats.n_accepted_tokens, stats.n_drafted_tokens, "wrong guesses were made too");
}

Test(speculate, a_guess_is_made_only_where_it_is_worth_its_row)
{
    static const struct price prices[] = {
        {.n = 64, .rows = 2, .us = 2000, .rows_var = 1, .rows_us = 2000}, /* A row takes as long as a step. */
        {.n = 0},                                                         /* Not measured. */
        {.n = 64, .rows = 2, .us = 2000, .rows_var = 1, .rows_us = 5},    /* Next to nothing. */
    };
    int64_t n_guessed[3];
    int32_t tokens[128];
    enum finish_reason reason;
    struct engine_stats stats;
    clock_freeze(1, 1); /* The price stays as it is set. */
    for (int i = 0; i < 3; i++) {
        start(SPECULATE_LOOKUP, NULL);
        engine->price = prices[i];
        for (int salt = 0; salt < 3; salt++)
            generate(salt, &samplings[2], tokens, &reason);
        engine_stats(engine, &stats);
        n_guessed[i] = stats.n_drafted_tokens;
        stop();
    }
    cr_assert_eq(n_guessed[0], 0, "%lld", (long long)n_guessed[0]);
    cr_assert_gt(n_guessed[1], 0);
    cr_assert_gt(n_guessed[2], n_guessed[1], "%lld, %lld", (long long)n_guessed[2], (long long)n_guessed[1]);
}

Test(speculate, a_drafted_answer_is_the_plain_one_token_by_token)
{
    struct engine_stats stats;
    compare_with_plain(SPECULATE_DRAFT, "llama-dense.Q4_0", &stats); /* A coarser copy: right often, not always. */
    cr_assert_gt(stats.n_accepted_tokens, 0);
    cr_assert_lt(stats.n_accepted_tokens, stats.n_drafted_tokens);
}

Test(speculate, a_draft_that_is_the_model_itself_is_always_right_when_greedy)
{
    int32_t tokens[128];
    enum finish_reason reason;
    struct engine_stats stats;
    start(SPECULATE_DRAFT, "llama-dense");
    cr_assert_eq(generate(1, &samplings[0], tokens, &reason), N);
    engine_stats(engine, &stats);
    cr_assert_eq(stats.n_accepted_tokens, stats.n_drafted_tokens);
    cr_assert_lt(stats.n_steps, N / 4, "%lld steps", (long long)stats.n_steps);
    stop();
}

Test(speculate, drawn_tokens_keep_the_models_distribution)
{
    /* The third token of many unseeded-like draws (seeds 0 …), with and without guesses: chi-square of two samples of the same size over
     * the tokens seen. The seeds of the two differ, so that they are independent. */
    enum { DRAWS = 1500 };
    static int counts[2][128];
    int32_t tokens[128];
    enum finish_reason reason;
    for (int with = 0; with < 2; with++) {
        start(with ? SPECULATE_DRAFT : SPECULATE_OFF, with ? "llama-dense.Q4_0" : NULL);
        for (int i = 0; i < DRAWS; i++) {
            struct sampling sampling = {.max_tokens = 3, .temperature = 0.8f, .seeded = true, .seed = (uint64_t)(with * 1000003 + i)};
            cr_assert_eq(generate(2, &sampling, tokens, &reason), 3);
            counts[with][tokens[2]]++;
        }
        stop();
    }
    double chi = 0;
    int freedom = -1;
    for (int id = 0; id < 128; id++) {
        int a = counts[0][id], b = counts[1][id];
        if (a + b < 10)
            continue;
        chi += (double)(a - b) * (a - b) / (a + b);
        freedom++;
    }
    cr_assert_gt(freedom, 5);
    /* Mean f, variance 2f: five deviations, with fixed seeds. */
    cr_assert_lt(chi, freedom + 5 * 1.4143 * __builtin_sqrt(freedom), "chi-square %g of %d", chi, freedom);
}

Test(speculate, a_draft_of_another_vocabulary_is_refused_by_name)
{
    struct error err = {0};
    struct model *other;
    model = open_model("llama-dense");
    cr_assert_eq(model_open(&other, WEIR_SHARED_DIR "/fixtures/hf/llama", NULL, &err), 0, "%s: %s", err.where, err.text);
    struct engine_options options = {.speculation = SPECULATE_DRAFT, .draft = other};
    cr_assert_eq(engine_start(&engine, model, &options, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.text, "vocabulary") != NULL, "%s", err.text);
    model_close(other);
    model_close(model);
}

Test(lookup, the_longest_latest_match_is_continued)
{
    int32_t out[8];
    int length;
    const int32_t ids[] = {1, 2, 3, 9, 1, 2, 3, 7, 8, 5, 2, 3, 6, 1, 2, 3};
    cr_assert_eq(lookup_guess(ids, 16, 3, out, &length), 3);
    cr_assert_arr_eq(out, ((const int32_t[]){7, 8, 5}), sizeof(int32_t) * 3, "the later of the two matches of three");
    cr_assert_eq(length, 3);
    cr_assert_eq(lookup_guess(ids, 4, 3, out, &length), 0, "nothing stands before");
    cr_assert_eq(lookup_guess(ids, 1, 3, out, &length), 0);
    cr_assert_eq(lookup_guess(ids, 0, 3, out, &length), 0);
}

Test(lookup, a_match_that_overlaps_the_end_goes_round)
{
    int32_t out[8];
    int length;
    const int32_t ids[] = {9, 4, 5, 6, 4, 5, 6, 4, 5};
    cr_assert_eq(lookup_guess(ids, 9, 8, out, &length), 8);
    cr_assert_arr_eq(out, ((const int32_t[]){6, 4, 5, 6, 4, 5, 6, 4}), sizeof out);
    cr_assert_eq(length, 5);
}

Test(lookup, a_chance_follows_what_became_of_earlier_guesses)
{
    struct lookup_record records[LOOKUP_LONGEST + 1] = {{.tried = {0}}};
    double first = lookup_chance(records, 2, true), next = lookup_chance(records, 2, false), other = lookup_chance(records, 3, true);
    for (int i = 0; i < 40; i++)
        lookup_learn(records, 2, 4, 1); /* The first right, the second wrong, the others never asked. */
    cr_assert_gt(lookup_chance(records, 2, true), 0.8);
    cr_assert_lt(lookup_chance(records, 2, false), next / 2);
    cr_assert_gt(lookup_chance(records, 2, true), first);
    cr_assert_eq(lookup_chance(records, 3, true), other, "another length");
    for (int i = 0; i < 40; i++)
        lookup_learn(records, 2, 1, 0);
    cr_assert_lt(lookup_chance(records, 2, true), first, "what was long ago counts less");
}

Test(price, a_row_costs_what_steps_of_late_show)
{
    struct price price = {0};
    double prior = price_of_row(&price);
    for (int i = 0; i < 200; i++)
        price_observe(&price, 1 + i % 5, 1000 + 50 * (i % 5)); /* 5 % of a step. */
    cr_assert_float_eq(price_of_row(&price), 0.05, 0.01, "%g", price_of_row(&price));
    for (int i = 0; i < 400; i++)
        price_observe(&price, 1 + i % 5, 1000 + 600 * (i % 5));
    cr_assert_float_eq(price_of_row(&price), 0.6, 0.08, "%g", price_of_row(&price));
    for (int i = 0; i < 800; i++)
        price_observe(&price, 1, 1000);
    cr_assert_float_eq(price_of_row(&price), prior, 0.03, "as if new, once guesses were not tried for long: %g", price_of_row(&price));
    price_observe(&price, 1, 0);
    price_observe(&price, 9, -5);
    cr_assert_float_eq(price_of_row(&price), prior, 0.03, "a clock that stands or jumps back");
}
