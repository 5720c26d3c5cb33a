/* The engine on a small real decoder (fixtures/archs/llama-dense.gguf: 128 tokens, context 128). */
#include "engine/engine.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct model *model;
static struct engine *engine;

static void open_engine(const struct engine_options *options)
{
    struct error err = {0};
    const char *path = WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf";
    cr_assert(file_exists(path), "the shared fixtures are not there: %s", path);
    cr_assert_eq(model_open(&model, path, &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 2}, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(engine_start(&engine, model, options, &err), 0, "%s: %s", err.where, err.text);
}

static void close_engine(void)
{
    engine_stop(engine);
    model_close(model);
}

static struct session *submit(const int32_t *prompt, size_t n, const struct sampling *sampling)
{
    struct session *session;
    struct error err = {0};
    cr_assert_eq(engine_submit(engine, prompt, n, sampling, NULL, NULL, &session, &err), 0, "%s: %s", err.where, err.text);
    return session;
}

static void fill_prompt(int32_t *prompt, size_t n, int salt)
{
    for (size_t i = 0; i < n; i++)
        prompt[i] = (int32_t)((i * 37 + (size_t)salt * 11 + 5) % 128);
}

/* Reads to the end; returns the number of tokens. */
static int drain(struct session *session, int32_t *tokens, struct session_event *end)
{
    struct session_event event;
    int n = 0;
    while (session_wait(session, &event, -1) == 1) {
        if (event.kind == SESSION_END) {
            *end = event;
            return n;
        }
        for (int i = 0; i < event.n_tokens; i++)
            tokens[n++] = event.tokens[i];
    }
    cr_assert_fail("the session has no end");
    return -1;
}

Test(engine, gives_as_many_tokens_as_asked_and_counts_them)
{
    int32_t prompt[10], tokens[128];
    struct session_event end;
    open_engine(NULL);
    fill_prompt(prompt, 10, 1);
    struct session *session = submit(prompt, 10, &(struct sampling){.max_tokens = 20});
    cr_assert_eq(drain(session, tokens, &end), 20);
    cr_assert_eq(end.reason, FINISH_LENGTH);
    cr_assert_eq(end.usage.prompt_tokens, 10);
    cr_assert_eq(end.usage.completion_tokens, 20);
    session_free(session);
    close_engine();
}

static int keep_largest(void *user, size_t position, const float *logits)
{
    int32_t best = 0;
    for (int32_t i = 1; i < 128; i++)
        if (logits[i] > logits[best])
            best = i;
    ((int32_t *)user)[position] = best;
    return 0;
}

Test(engine, greedy_tokens_are_the_largest_logits_of_one_whole_pass)
{
    int32_t ids[40], tokens[128];
    struct session_event end;
    open_engine(NULL);
    fill_prompt(ids, 20, 2);
    struct session *session = submit(ids, 20, &(struct sampling){.max_tokens = 20});
    cr_assert_eq(drain(session, tokens, &end), 20);
    session_free(session);
    close_engine();

    struct error err = {0};
    cr_assert_eq(model_open(&model, WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", &(struct model_options){.precision = PRECISION_EXACT}, &err), 0);
    memcpy(ids + 20, tokens, 20 * sizeof *tokens);
    int32_t largest[40];
    cr_assert_eq(model_logits(model, ids, 40, keep_largest, largest, &err), 0);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(largest[19 + i], tokens[i], "token %d", i);
    model_close(model);
}

Test(engine, a_seeded_answer_does_not_depend_on_what_else_runs)
{
    enum { N = 12 };
    int32_t prompt[30], alone[64], tokens[64];
    struct session_event end;
    struct sampling sampling = {.max_tokens = 40, .temperature = 1, .seeded = true, .seed = 99};
    open_engine(NULL);
    fill_prompt(prompt, 30, 3);
    struct session *session = submit(prompt, 30, &sampling);
    cr_assert_eq(drain(session, alone, &end), 40);
    session_free(session);
    struct session *crowd[N];
    int32_t others[50];
    for (int i = 0; i < N; i++) {
        fill_prompt(others, 50, 100 + i);
        crowd[i] = i == N / 2 ? submit(prompt, 30, &sampling) : submit(others, (size_t)(10 + 3 * i), &(struct sampling){.max_tokens = 30});
    }
    cr_assert_eq(drain(crowd[N / 2], tokens, &end), 40);
    cr_assert_arr_eq(tokens, alone, 40 * sizeof *tokens);
    for (int i = 0; i < N; i++)
        session_free(crowd[i]);
    close_engine();
}

Test(engine, a_silent_reader_holds_up_only_itself)
{
    int32_t prompt[10], tokens[128];
    struct session_event end;
    open_engine(NULL);
    fill_prompt(prompt, 10, 4);
    struct session *silent = submit(prompt, 10, &(struct sampling){.max_tokens = 110});
    fill_prompt(prompt, 10, 5);
    struct session *busy = submit(prompt, 10, &(struct sampling){.max_tokens = 110});
    cr_assert_eq(drain(busy, tokens, &end), 110);
    session_free(busy);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    cr_assert_leq(stats.n_generated_tokens, 110 + SESSION_MOST_UNREAD + 1, "the silent one went on past its mailbox");
    cr_assert_eq(drain(silent, tokens, &end), 110, "the silent one goes on once it reads");
    session_free(silent);
    close_engine();
}

Test(engine, a_cancelled_session_ends_and_computes_no_further)
{
    int32_t prompt[10], tokens[128];
    struct session_event event, end;
    open_engine(NULL);
    fill_prompt(prompt, 10, 6);
    struct session *session = submit(prompt, 10, &(struct sampling){.max_tokens = 115});
    cr_assert_eq(session_wait(session, &event, -1), 1);
    session_cancel(session);
    int n = drain(session, tokens, &end);
    cr_assert_eq(end.reason, FINISH_CANCELLED);
    cr_assert_lt(n, 115);
    struct engine_stats before, after;
    engine_stats(engine, &before);
    fill_prompt(prompt, 10, 7);
    struct session *next = submit(prompt, 10, &(struct sampling){.max_tokens = 5});
    cr_assert_eq(drain(next, tokens, &end), 5);
    engine_stats(engine, &after);
    cr_assert_eq(after.n_generated_tokens - before.n_generated_tokens, 5);
    session_free(session);
    session_free(next);
    close_engine();
}

Test(engine, sessions_freed_while_they_run_are_cleaned_up)
{
    int32_t prompt[100];
    open_engine(&(struct engine_options){.max_sessions = 3});
    for (int i = 0; i < 20; i++) {
        fill_prompt(prompt, 100, 20 + i);
        session_free(submit(prompt, 100, &(struct sampling){.max_tokens = 20}));
    }
    close_engine();
}

Test(engine, a_beginning_that_requests_share_is_computed_once_even_when_they_arrive_together)
{
    enum { N = 8, SHARED = 96, OWN = 4 };
    int32_t prompt[SHARED + OWN], tokens[64];
    struct session *sessions[N];
    struct session_event end;
    open_engine(NULL);
    int cached = 0;
    for (int i = 0; i < N; i++) {
        fill_prompt(prompt, SHARED, 8);
        fill_prompt(prompt + SHARED, OWN, 50 + i);
        sessions[i] = submit(prompt, SHARED + OWN, &(struct sampling){.max_tokens = 3});
    }
    for (int i = 0; i < N; i++) {
        drain(sessions[i], tokens, &end);
        cached += end.usage.cached_tokens;
        session_free(sessions[i]);
    }
    struct engine_stats stats;
    engine_stats(engine, &stats);
    cr_assert_geq(cached, (N - 1) * SHARED);
    cr_assert_leq(stats.n_prompt_tokens, SHARED + N * (OWN + 1));
    close_engine();
}

Test(engine, bad_prompts_are_refused_with_both_counts_or_the_place)
{
    int32_t prompt[200] = {0};
    struct session *session;
    struct error err = {0};
    open_engine(NULL);
    cr_assert_eq(engine_submit(engine, prompt, 0, &(struct sampling){0}, NULL, NULL, &session, &err), WEIR_E_INVALID);
    cr_assert_eq(engine_submit(engine, prompt, 200, &(struct sampling){0}, NULL, NULL, &session, &err), WEIR_E_LIMIT);
    cr_assert(strstr(err.text, "200") != NULL && strstr(err.text, "128") != NULL, "%s", err.text);
    prompt[3] = 128;
    cr_assert_eq(engine_submit(engine, prompt, 10, &(struct sampling){0}, NULL, NULL, &session, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.text, "token 3") != NULL, "%s", err.text);
    close_engine();
}

Test(engine, more_than_may_wait_is_refused_as_full)
{
    int32_t prompt[100];
    struct session *sessions[64];
    struct error err = {0};
    int n = 0, status = 0;
    open_engine(&(struct engine_options){.max_sessions = 1, .max_waiting = 4});
    while (n < 64) {
        fill_prompt(prompt, 100, n);
        status = engine_submit(engine, prompt, 100, &(struct sampling){.max_tokens = 20}, NULL, NULL, &sessions[n], &err);
        if (status < 0)
            break;
        n++;
    }
    cr_assert_eq(status, WEIR_E_FULL);
    for (int i = 0; i < n; i++)
        session_free(sessions[i]);
    close_engine();
}

Test(engine, sessions_that_outgrow_the_kv_budget_still_end_with_the_same_tokens)
{
    enum { N = 4 };
    int32_t prompt[60], alone[N][64], tokens[64];
    struct session_event end;
    open_engine(NULL);
    size_t page = kv_store_page_bytes(engine->store);
    for (int i = 0; i < N; i++) {
        fill_prompt(prompt, 60, 70 + i);
        struct session *session = submit(prompt, 60, &(struct sampling){.max_tokens = 40});
        cr_assert_eq(drain(session, alone[i], &end), 40);
        session_free(session);
    }
    close_engine();
    struct error err = {0};
    struct model_options small = {.precision = PRECISION_EXACT, .n_threads = 2, .kv_budget_bytes = 7 * page}; /* Not two whole sessions. */
    cr_assert_eq(model_open(&model, WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", &small, &err), 0);
    cr_assert_eq(engine_start(&engine, model, NULL, &err), 0);
    struct session *sessions[N];
    for (int i = 0; i < N; i++) {
        fill_prompt(prompt, 60, 70 + i);
        sessions[i] = submit(prompt, 60, &(struct sampling){.max_tokens = 40});
    }
    for (int i = 0; i < N; i++) {
        cr_assert_eq(drain(sessions[i], tokens, &end), 40, "session %d: %s", i, end.error != NULL ? end.error->text : "");
        cr_assert_arr_eq(tokens, alone[i], 40 * sizeof *tokens);
        session_free(sessions[i]);
    }
    close_engine();
}

enum { BORDER = 64, LONG_VOCAB = 256 }; /* Of fixtures/hf/phi3-longrope. */

static int keep_largest_of_256(void *user, size_t position, const float *logits)
{
    int32_t best = 0;
    for (int32_t i = 1; i < LONG_VOCAB; i++)
        if (logits[i] > logits[best])
            best = i;
    ((int32_t *)user)[position] = best;
    return 0;
}

static int generate(const int32_t *prompt, size_t n, int n_tokens, int32_t *tokens)
{
    struct session_event end;
    struct session *session = submit(prompt, n, &(struct sampling){.max_tokens = n_tokens});
    cr_assert_eq(drain(session, tokens, &end), n_tokens, "%s", end.error != NULL ? end.error->text : "");
    session_free(session);
    return end.usage.cached_tokens;
}

Test(engine, an_answer_across_longropes_border_equals_whole_passes_and_shares_pages_on_its_own_side_only)
{
    enum { PROMPT = 40, N = 50 };
    const char *path = WEIR_SHARED_DIR "/fixtures/hf/phi3-longrope";
    struct error err = {0};
    int32_t ids[PROMPT + N], tokens[N], largest[PROMPT + N];
    cr_assert(file_exists(WEIR_SHARED_DIR "/fixtures/hf/phi3-longrope/config.json"), "the shared fixtures are not there: %s", path);
    cr_assert_eq(model_open(&model, path, &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 2}, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(engine_start(&engine, model, &(struct engine_options){.step_prompt_tokens = 16}, &err), 0, "%s: %s", err.where, err.text);
    fill_prompt(ids, PROMPT, 3);
    cr_assert_eq(generate(ids, PROMPT, N, ids + PROMPT), 0);

    cr_assert_eq(model_logits(model, ids, BORDER, keep_largest_of_256, largest, &err), 0);
    for (int at = PROMPT; at <= BORDER; at++)
        cr_assert_eq(ids[at], largest[at - 1], "token %d, below the border", at);
    cr_assert_eq(model_logits(model, ids, PROMPT + N, keep_largest_of_256, largest, &err), 0);
    for (int at = BORDER + 1; at < PROMPT + N; at++)
        cr_assert_eq(ids[at], largest[at - 1], "token %d, beyond the border", at);

    /* What is cached now lies beyond the border: of no use to a short prompt, of use to a long one. */
    cr_assert_eq(generate(ids, PROMPT, 10, tokens), 0);
    cr_assert_arr_eq(tokens, ids + PROMPT, 10 * sizeof *tokens);
    cr_assert_geq(generate(ids, PROMPT, 10, tokens), KV_PAGE);
    cr_assert_arr_eq(tokens, ids + PROMPT, 10 * sizeof *tokens);
    cr_assert_geq(generate(ids, 80, PROMPT + N - 80, tokens), 80 - 1 - KV_PAGE);
    cr_assert_arr_eq(tokens, ids + 80, (PROMPT + N - 80) * sizeof *tokens);
    close_engine();
}
