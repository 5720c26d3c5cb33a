/* What many users feel of one model, through the engine that the daemon uses:
 *     bench_streams MODEL [threads] [long prompt tokens]
 * One JSON object:
 *   gap_ms        the longest wait between two tokens of a running stream while a long prompt (1,500 tokens) comes in, and
 *                 gap_alone_ms, the same without the prompt
 *   shared        16 requests that arrive together with a system prompt of 224 tokens and 32 of their own: prompt tokens
 *                 computed, against those submitted, and milliseconds until all have their first token */
#include "weir_runtime.h"

#include <stdio.h>
#include <stdlib.h>

enum { STREAM_TOKENS = 200, SHARED = 224, OWN = 32, N_SHARING = 16 };

static int32_t random_id(int n_vocab)
{
    static uint64_t state = 88172645463325252ULL;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (int32_t)((state * 0x2545f4914f6cdd1dULL >> 33) % (uint64_t)n_vocab);
}

static void no_wake(void *user)
{
    (void)user;
}

static struct session *submit(struct engine *engine, const int32_t *ids, size_t n, int n_gen)
{
    struct sampling sampling = {.max_tokens = n_gen, .ignore_end = true, .logprobs = true};
    struct session *session;
    struct error err = {0};
    if (engine_submit(engine, ids, n, &sampling, no_wake, NULL, &session, &err) < 0) {
        fprintf(stderr, "%s: %s\n", err.where, err.text);
        exit(1);
    }
    return session;
}

/* The longest wait between tokens of one stream; a prompt of n_long tokens is submitted at its 50th. */
static double longest_gap_ms(struct engine *engine, int n_vocab, int n_long)
{
    int32_t first[8], *ids = malloc((size_t)(n_long + 1) * sizeof *ids);
    for (int i = 0; i < 8; i++)
        first[i] = random_id(n_vocab);
    for (int i = 0; i < n_long; i++)
        ids[i] = random_id(n_vocab);
    struct session *stream = submit(engine, first, 8, STREAM_TOKENS), *other = NULL;
    struct session_event event;
    int64_t last_us = 0, longest_us = 0;
    int n = 0;
    while (session_wait(stream, &event, -1) == 1 && event.kind == SESSION_TOKEN) {
        int64_t now_us = clock_now_us();
        if (n >= 20 && now_us - last_us > longest_us)
            longest_us = now_us - last_us;
        last_us = now_us;
        n += event.n_tokens;
        if (n >= 50 && other == NULL && n_long > 0)
            other = submit(engine, ids, (size_t)n_long, 2);
    }
    session_free(stream);
    while (other != NULL && session_wait(other, &event, -1) == 1 && event.kind == SESSION_TOKEN)
        ;
    session_free(other);
    free(ids);
    return (double)longest_us * 1e-3;
}

int main(int argc, char **argv)
{
    int64_t n_threads = 2, n_long = 1500;
    struct error err = {0};
    struct model *model;
    struct engine *engine;
    if (argc < 2 || (argc > 2 && parse_i64(str_of(argv[2]), &n_threads) < 0) || (argc > 3 && parse_i64(str_of(argv[3]), &n_long) < 0)) {
        fprintf(stderr, "usage: bench_streams MODEL [threads] [long prompt tokens]\n");
        return 2;
    }
    if (model_open(&model, argv[1], &(struct model_options){.n_threads = (int)n_threads}, &err) < 0 || engine_start(&engine, model, NULL, &err) < 0) {
        fprintf(stderr, "%s: %s\n", err.where, err.text);
        return 1;
    }
    const struct model_info *info = model_info_peek(model);
    n_long = n_long < info->n_context - 8 ? n_long : info->n_context - 8;
    double alone_ms = longest_gap_ms(engine, info->n_vocab, 0), gap_ms = longest_gap_ms(engine, info->n_vocab, (int)n_long);

    int32_t ids[SHARED + OWN];
    for (int i = 0; i < SHARED; i++)
        ids[i] = random_id(info->n_vocab);
    struct engine_stats before, after;
    engine_stats(engine, &before);
    struct session *sessions[N_SHARING];
    struct session_event event;
    int64_t start_us = clock_now_us();
    for (int i = 0; i < N_SHARING; i++) {
        for (int k = SHARED; k < SHARED + OWN; k++)
            ids[k] = random_id(info->n_vocab);
        sessions[i] = submit(engine, ids, SHARED + OWN, 2);
    }
    for (int i = 0; i < N_SHARING; i++)
        while (session_wait(sessions[i], &event, -1) == 1 && event.kind != SESSION_TOKEN)
            ;
    double shared_ms = (double)(clock_now_us() - start_us) * 1e-3;
    engine_stats(engine, &after);
    printf("{\"gap_alone_ms\": %.1f, \"gap_ms\": %.1f, \"shared\": {\"prompt_tokens\": %d, \"computed_tokens\": %lld, \"first_token_ms\": %.1f}}\n",
           alone_ms, gap_ms, N_SHARING * (SHARED + OWN), (long long)(after.n_prompt_tokens - before.n_prompt_tokens), shared_ms);
    for (int i = 0; i < N_SHARING; i++)
        session_free(sessions[i]);
    engine_stop(engine);
    model_close(model);
    return 0;
}
