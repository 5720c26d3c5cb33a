/* Work in the background of the engine: on a small real decoder (fixtures/archs/llama-dense.gguf: 128 tokens, context 128). */
#include "engine/engine.h"

#include <criterion/criterion.h>

static struct model *model;
static struct engine *engine;

static void open_engine(size_t kv_budget_bytes, const struct engine_options *options)
{
    struct error err = {0};
    const char *path = WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf";
    struct model_options small = {.precision = PRECISION_EXACT, .n_threads = 2, .kv_budget_bytes = kv_budget_bytes};
    cr_assert(file_exists(path), "the shared fixtures are not there: %s", path);
    cr_assert_eq(model_open(&model, path, &small, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(engine_start(&engine, model, options, &err), 0, "%s: %s", err.where, err.text);
}

static void close_engine(void)
{
    engine_stop(engine);
    model_close(model);
}

static struct session *submit(int salt, int n_prompt, int n_tokens, bool background)
{
    int32_t prompt[120];
    struct session *session;
    struct error err = {0};
    for (int i = 0; i < n_prompt; i++)
        prompt[i] = (i * 37 + salt * 11 + 5) % 128;
    struct sampling sampling = {.max_tokens = n_tokens, .background = background};
    cr_assert_eq(engine_submit(engine, prompt, (size_t)n_prompt, &sampling, NULL, NULL, &session, &err), 0, "%s: %s", err.where, err.text);
    return session;
}

/* Reads to the end and frees; the number of tokens. */
static int drain(struct session *session, int32_t *tokens)
{
    struct session_event event = {.reason = FINISH_NONE};
    int n = 0;
    while (session_wait(session, &event, -1) == 1 && event.kind != SESSION_END)
        for (int i = 0; i < event.n_tokens; i++)
            tokens[n++] = event.tokens[i];
    cr_assert_eq(event.reason, FINISH_LENGTH, "%s", event.error != NULL ? event.error->text : "it ended otherwise");
    session_free(session);
    return n;
}

static int64_t n_behind(void)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats.n_background_tokens;
}

Test(background, it_computes_nothing_while_another_session_is_there_and_all_of_it_after)
{
    int32_t alone[128], tokens[128];
    open_engine(0, NULL);
    cr_assert_eq(drain(submit(1, 20, 60, false), alone), 60);
    engine_hold(engine, true);
    struct session *behind = submit(1, 20, 60, true), *silent = submit(2, 20, 100, false);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(drain(submit(3 + i, 20, 30, false), tokens), 30, "the held one holds up nobody");
    engine_hold(engine, false);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(drain(submit(13 + i, 20, 30, false), tokens), 30);
    cr_assert_eq(n_behind(), 0, "one that nobody reads is there all the same");
    cr_assert_eq(drain(silent, tokens), 100);
    cr_assert_eq(drain(behind, tokens), 60);
    cr_assert_arr_eq(tokens, alone, 60 * sizeof *tokens);
    cr_assert_eq(n_behind(), 60);
    close_engine();
}

Test(background, broken_off_again_and_again_it_gives_the_same_tokens)
{
    int32_t alone[128], tokens[128], others[128];
    struct session_event event = {.reason = FINISH_NONE};
    open_engine(0, NULL);
    cr_assert_eq(drain(submit(1, 60, 60, false), alone), 60);
    struct session *behind = submit(1, 60, 60, true);
    int n = 0, round = 0;
    while (event.reason == FINISH_NONE) {
        drain(submit(50 + round, 30, 3, false), others);
        engine_hold(engine, round % 3 == 0);
        engine_hold(engine, false);
        for (; session_wait(behind, &event, 1000) == 1 && event.kind != SESSION_END; event.reason = FINISH_NONE)
            for (int i = 0; i < event.n_tokens; i++)
                tokens[n++] = event.tokens[i];
        round++;
    }
    session_free(behind);
    cr_assert_eq(event.reason, FINISH_LENGTH);
    cr_assert_eq(n, 60);
    cr_assert_arr_eq(tokens, alone, 60 * sizeof *tokens);
    close_engine();
}

Test(background, one_is_enough_and_counts_for_no_limit)
{
    int32_t tokens[128], prompt[4] = {1, 2, 3, 4};
    struct engine_stats stats;
    struct session *more;
    struct error err = {0};
    open_engine(0, &(struct engine_options){.max_sessions = 1, .max_waiting = 1});
    engine_hold(engine, true);
    struct session *behind = submit(1, 20, 40, true);
    cr_assert_eq(engine_submit(engine, prompt, 4, &(struct sampling){.background = true}, NULL, NULL, &more, &err), WEIR_E_FULL);
    cr_assert(strstr(err.text, "background") != NULL, "%s", err.text);
    engine_stats(engine, &stats);
    cr_assert(stats.n_waiting == 0 && stats.n_running == 0);
    cr_assert_eq(drain(submit(2, 20, 40, false), tokens), 40, "its place in the engine is nobody's");
    session_free(behind);
    cr_assert_eq(drain(submit(3, 20, 40, false), tokens), 40);
    engine_hold(engine, false);
    cr_assert_eq(drain(submit(1, 20, 40, true), tokens), 40, "and there may be another one");
    close_engine();
}

Test(background, a_session_that_waits_is_taken_before_it_and_gets_its_memory)
{
    int32_t alone[2][128], tokens[128];
    open_engine(0, NULL);
    size_t page = kv_store_page_bytes(engine->store);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(drain(submit(70 + i, 60, 40, false), alone[i]), 40);
    close_engine();
    open_engine(7 * page, NULL); /* Not two whole sessions. */
    struct session *behind = submit(70, 60, 40, true);
    while (n_behind() < 20) /* It is not read beyond what its mailbox takes, and does not end. */
        sched_yield();
    cr_assert_eq(drain(submit(71, 60, 40, false), tokens), 40);
    cr_assert_arr_eq(tokens, alone[1], 40 * sizeof *tokens);
    cr_assert_eq(drain(behind, tokens), 40);
    cr_assert_arr_eq(tokens, alone[0], 40 * sizeof *tokens);
    close_engine();
}
