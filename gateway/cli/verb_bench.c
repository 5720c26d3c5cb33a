/* weir bench: how fast a model runs on this machine, through the same engine the daemon uses. Figures are medians over runs
 * with fresh random ids, so that no prefix is found in a cache. Single-threaded but for the engine's own threads. */
#include "cli/cli.h"
#include "cli/model_options.h"

#include <stdio.h>
#include <stdlib.h>

static int run(int argc, char **argv);

const struct verb verb_bench = {
    .name = "bench",
    .summary = "measure a model's speed on this machine",
    .help = "usage: weir bench [--model M] [options]\n\n"
            "Of a decoder: tokens per second while reading a prompt and while answering. Of an encoder: milliseconds for a text.\n"
            "Every figure is the median of the runs; ids are random, so that nothing comes from a cache.\n\n"
            "  --model M        a GGUF file or a Hugging Face directory (default: the pulled answering model)\n"
            "  --threads N      worker threads, the caller included (default: one per core)\n"
            "  --prompt P       tokens of the prompt, or of the encoder's text (default 512; an encoder's limit at most)\n"
            "  --gen G          tokens generated after it (default 128, at least 2)\n"
            "  --sessions S     sessions that run side by side (default 1); the rates are those of all together\n"
            "  --batch B        texts an encoder gets at a time (default 1)\n"
            "  --runs R         measured runs, at least 5 (default 5)\n"
            "  --precision P    fast (default) or exact\n"
            "  --kv F           the cache's form: f32, f16 or q8_0\n"
            "  --json           one JSON object\n\n"
            "load_ms is the time from opening the file to the first token (or vector) of a one-token input, weights repacked\n"
            "and all; rss_bytes the process's memory at the end.\n\n"
            "  weir bench --prompt 512 --gen 128 --threads 2 --json\n"
            "  weir bench --sessions 16 --prompt 64 --gen 64\n",
    .run = run,
};

enum { MAX_RUNS = 101, MAX_SESSIONS = 256 };

struct bench {
    struct model *model;
    const struct model_info *info;
    int64_t n_prompt;
    int64_t n_gen;
    int64_t n_sessions;
    int64_t n_batch;
    int64_t n_runs;
    uint64_t random; /* State of the ids' generator. */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* xorshift64*: the same ids in every process. */
static int32_t random_id(struct bench *bench)
{
    bench->random ^= bench->random >> 12;
    bench->random ^= bench->random << 25;
    bench->random ^= bench->random >> 27;
    return (int32_t)((bench->random * 0x2545f4914f6cdd1dULL >> 33) % (uint64_t)bench->info->n_vocab);
}

static double resident_bytes(void)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    double bytes = 0;
    if (file_read("/proc/self/status", &text, NULL) == 0) {
        ptrdiff_t at = str_find(buffer_str(&text), STR("VmRSS:"));
        if (at >= 0)
            bytes = strtod(text.data + at + 6, NULL) * 1024;
    }
    buffer_release(&text);
    return bytes;
}

/* ------------------------------------------------------------------ decoders */

/* Takes what has come; returns the number of tokens, *ended when the session is over. */
static int drain(struct session *session, bool *ended, struct error *err)
{
    struct session_event event;
    int n = 0;
    while (session_next(session, &event) == 1) {
        if (event.kind == SESSION_TOKEN) {
            n += event.n_tokens;
            continue;
        }
        *ended = true;
        if (event.reason == FINISH_ERROR && event.error != NULL)
            *err = *event.error;
    }
    return n;
}

struct wake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_set;
};

static void wake_up(void *user)
{
    struct wake *wake = user;
    pthread_mutex_lock(&wake->lock);
    wake->is_set = true;
    pthread_cond_signal(&wake->changed);
    pthread_mutex_unlock(&wake->lock);
}

static void wake_wait(struct wake *wake)
{
    pthread_mutex_lock(&wake->lock);
    while (!wake->is_set)
        pthread_cond_wait(&wake->changed, &wake->lock);
    wake->is_set = false;
    pthread_mutex_unlock(&wake->lock);
}

/* n_sessions prompts at once: seconds until all have their first token, seconds after that, and tokens that came then. */
static int run_sessions(struct bench *bench, struct engine *engine, int64_t n_prompt, int64_t n_gen, double *prefill_s, double *decode_s,
                        double *n_decoded, struct error *err)
{
    struct session *sessions[MAX_SESSIONS] = {NULL};
    bool started[MAX_SESSIONS] = {false}, ended[MAX_SESSIONS] = {false};
    struct wake wake = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct sampling sampling = {.max_tokens = (int)n_gen, .ignore_end = true, .logprobs = true}; /* Logprobs: every token is an event. */
    int32_t *prompt = malloc((size_t)n_prompt * sizeof *prompt);
    int status = prompt == NULL ? error_set(err, WEIR_E_MEMORY, "bench", "no memory") : 0;
    int64_t begun_us = clock_now_us(), first_us = 0, n_started = 0, n_ended = 0;
    for (int64_t i = 0; i < bench->n_sessions && status == 0; i++) {
        for (int64_t k = 0; k < n_prompt; k++)
            prompt[k] = random_id(bench);
        status = engine_submit(engine, prompt, (size_t)n_prompt, &sampling, wake_up, &wake, &sessions[i], err);
    }
    *n_decoded = 0;
    err->status = WEIR_OK;
    while (status == 0 && n_ended < bench->n_sessions) {
        wake_wait(&wake);
        bool all_started = n_started == bench->n_sessions;
        for (int64_t i = 0; i < bench->n_sessions; i++) {
            if (ended[i])
                continue;
            int n = drain(sessions[i], &ended[i], err);
            n_ended += ended[i];
            if (all_started)
                *n_decoded += n;
            if (n > 0 && !started[i]) {
                started[i] = true;
                n_started++;
            }
        }
        if (err->status < 0)
            status = err->status;
        if (!all_started && n_started == bench->n_sessions)
            first_us = clock_now_us();
    }
    int64_t end_us = clock_now_us();
    for (int64_t i = 0; i < bench->n_sessions; i++)
        if (sessions[i] != NULL)
            session_free(sessions[i]);
    free(prompt);
    *prefill_s = (double)(first_us - begun_us) * 1e-6;
    *decode_s = (double)(end_us - first_us) * 1e-6;
    return status;
}

static int bench_decoder(struct bench *bench, int64_t opened_us, json_t *result, struct error *err)
{
    struct engine *engine;
    struct engine_options options = {.max_sessions = (int)bench->n_sessions, .speculation = SPECULATE_OFF}; /* Random ids: nothing to look up. */
    int status = engine_start(&engine, bench->model, &options, err);
    if (status < 0)
        return status;
    double prefill[MAX_RUNS], decode[MAX_RUNS], total[MAX_RUNS], prefill_s, decode_s, n_decoded;
    int64_t n_sessions = bench->n_sessions;
    bench->n_sessions = 1;
    status = run_sessions(bench, engine, 1, 1, &prefill_s, &decode_s, &n_decoded, err);
    double load_ms = (double)(clock_now_us() - opened_us) * 1e-3;
    bench->n_sessions = n_sessions;
    for (int64_t i = -1; i < bench->n_runs && status == 0; i++) { /* The first one warms up. */
        status = run_sessions(bench, engine, bench->n_prompt, bench->n_gen, &prefill_s, &decode_s, &n_decoded, err);
        if (i < 0 || status < 0)
            continue;
        prefill[i] = (double)(n_sessions * bench->n_prompt) / prefill_s;
        decode[i] = n_decoded / decode_s;
        total[i] = (double)(n_sessions * (bench->n_prompt + bench->n_gen)) / (prefill_s + decode_s);
    }
    engine_stop(engine);
    if (status < 0)
        return status;
    json_object_set_new(result, "prefill_tps", json_real(median(prefill, bench->n_runs)));
    json_object_set_new(result, "decode_tps", json_real(median(decode, bench->n_runs)));
    json_object_set_new(result, "total_tps", json_real(median(total, bench->n_runs)));
    json_object_set_new(result, "load_ms", json_real(load_ms));
    return 0;
}

/* ------------------------------------------------------------------ encoders */

static int bench_encoder(struct bench *bench, int64_t opened_us, json_t *result, struct error *err)
{
    size_t n = (size_t)bench->n_prompt, n_batch = (size_t)bench->n_batch;
    int32_t *ids = malloc(n * n_batch * sizeof *ids);
    struct encoder_input *inputs = calloc(n_batch, sizeof *inputs);
    float *out = malloc(n_batch * (size_t)bench->info->n_embd * sizeof *out);
    double times[MAX_RUNS];
    int status = ids == NULL || inputs == NULL || out == NULL ? error_set(err, WEIR_E_MEMORY, "bench", "no memory") : 0;
    if (status == 0) {
        ids[0] = random_id(bench);
        status = model_embed(bench->model, &(struct encoder_input){ids, NULL, 1}, 1, out, err);
    }
    double load_ms = (double)(clock_now_us() - opened_us) * 1e-3;
    for (int64_t i = -2; i < bench->n_runs && status == 0; i++) {
        for (size_t k = 0; k < n * n_batch; k++)
            ids[k] = random_id(bench);
        for (size_t k = 0; k < n_batch; k++)
            inputs[k] = (struct encoder_input){ids + k * n, NULL, n};
        int64_t begun_us = clock_now_us();
        status = model_embed(bench->model, inputs, n_batch, out, err);
        if (i >= 0)
            times[i] = (double)(clock_now_us() - begun_us) * 1e-3;
    }
    free(ids);
    free(inputs);
    free(out);
    if (status < 0)
        return status;
    json_object_set_new(result, "encode_ms", json_real(median(times, bench->n_runs)));
    json_object_set_new(result, "load_ms", json_real(load_ms));
    return 0;
}

/* ------------------------------------------------------------------ the verb */

static int check(struct bench *bench, bool prompt_given, struct error *err)
{
    bool encoder = bench->info->kind == MODEL_ENCODER;
    if (bench->info->kind == MODEL_VOCABULARY)
        return error_set(err, WEIR_E_INVALID, "--model", "the file has a vocabulary only");
    if (encoder && !prompt_given && bench->n_prompt > bench->info->n_context)
        bench->n_prompt = bench->info->n_context;
    if (bench->n_prompt + (encoder ? 0 : bench->n_gen) > bench->info->n_context)
        return error_set(err, WEIR_E_INVALID, "--prompt", "%lld + %lld tokens are more than the context of %d", (long long)bench->n_prompt,
                         (long long)(encoder ? 0 : bench->n_gen), bench->info->n_context);
    return 0;
}

static int print(const json_t *result, bool as_json, struct error *err)
{
    if (as_json)
        return cli_print_json(result, err);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)result, name, value)
    {
        if (json_is_string(value))
            printf("%-12s %s\n", name, json_string_value(value));
        else if (strcmp(name, "rss_bytes") == 0)
            printf("%-12s %.1f MB\n", "memory", json_number_value(value) * 1e-6);
        else
            printf("%-12s %.2f\n", name, json_number_value(value));
    }
    return 0;
}

static int run(int argc, char **argv)
{
    const char *given = NULL, *precision = "fast", *kv = NULL;
    int64_t n_threads = 0;
    bool as_json = false;
    struct bench bench = {.n_prompt = -1, .n_gen = 128, .n_sessions = 1, .n_batch = 1, .n_runs = 5, .random = 88172645463325252ULL};
    const struct cli_option options[] = {{.name = "model", .text = &given},         CLI_THREADS(n_threads),
                                         {.name = "prompt", .number = &bench.n_prompt, .least = 1, .most = INT32_MAX}, {.name = "gen", .number = &bench.n_gen, .least = 2, .most = INT32_MAX},
                                         {.name = "sessions", .number = &bench.n_sessions, .least = 1, .most = MAX_SESSIONS}, {.name = "batch", .number = &bench.n_batch, .least = 1, .most = 1024},
                                         {.name = "runs", .number = &bench.n_runs, .least = 5, .most = MAX_RUNS}, {.name = "precision", .text = &precision}, {.name = "kv", .text = &kv},
                                         {.name = "json", .flag = &as_json},        {0}};
    int status = cli_parse(&verb_bench, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct error err = {0};
    char path[4096];
    struct model_options model_options = {.n_threads = (int)n_threads};
    if (cli_precision(precision, &model_options.precision, &err) < 0 || cli_kv(kv, NULL, &model_options, &err) < 0 || cli_chat_model(given, path, sizeof path, &err) < 0)
        return cli_fail("bench", &err);
    int64_t opened_us = clock_now_us();
    if (model_open(&bench.model, path, &model_options, &err) < 0)
        return cli_fail("bench", &err);
    bench.info = model_info_peek(bench.model);
    bool prompt_given = bench.n_prompt >= 0;
    bench.n_prompt = prompt_given ? bench.n_prompt : 512;
    json_t *result = json_object();
    status = check(&bench, prompt_given, &err);
    if (status == 0)
        status = bench.info->kind == MODEL_ENCODER ? bench_encoder(&bench, opened_us, result, &err) : bench_decoder(&bench, opened_us, result, &err);
    if (status == 0) {
        json_object_set_new(result, "rss_bytes", json_integer((json_int_t)resident_bytes()));
        json_object_set_new(result, "kernels", json_string(runtime_kernels()));
        status = print(result, as_json, &err);
    }
    json_decref(result);
    model_close(bench.model);
    return status < 0 ? cli_fail("bench", &err) : EXIT_DONE;
}
