/* What a session may ask for beside sampling: an adapter of its own, and to go on past the context. Adapters on fixtures/hf/llama-lora
 * against their authors' numbers; shifts on fixtures/archs/llama-dense.gguf (128 tokens, context 128). */
#include "engine/engine.h"

#include <criterion/criterion.h>
#include <math.h>

#define LORA WEIR_SHARED_DIR "/fixtures/hf/llama-lora"

static struct model *model;
static struct engine *engine;

static void open_path(const char *path, const struct model_options *options)
{
    struct error err = {0};
    cr_assert(file_exists(path), "the shared fixtures are not there: %s", path);
    cr_assert_eq(model_open(&model, path, options, &err), 0, "%s: %s", err.where, err.text);
}

static void start(void)
{
    struct error err = {0};
    cr_assert_eq(engine_start(&engine, model, NULL, &err), 0, "%s: %s", err.where, err.text);
}

static struct session *submit(const int32_t *prompt, size_t n, const struct sampling *sampling)
{
    struct session *session;
    struct error err = {0};
    cr_assert_eq(engine_submit(engine, prompt, n, sampling, NULL, NULL, &session, &err), 0, "%s: %s", err.where, err.text);
    return session;
}

struct answer_got {
    int32_t tokens[512];
    float logprobs[512];
    int n;
    enum finish_reason reason;
    struct usage usage;
};

static void collect(struct session *session, struct answer_got *got)
{
    struct session_event event;
    got->n = 0;
    while (session_wait(session, &event, -1) == 1) {
        for (int i = 0; event.kind == SESSION_TOKEN && i < event.n_tokens; i++) {
            got->logprobs[got->n] = event.logprobs != NULL ? event.logprobs[i].logprob : 0;
            got->tokens[got->n++] = event.tokens[i];
        }
        if (event.kind == SESSION_END) {
            got->reason = event.reason;
            got->usage = event.usage;
            cr_assert_neq(event.reason, FINISH_ERROR, "%s", event.error->text);
            break;
        }
    }
    session_free(session);
}

/* ------------------------------------------------------------------ adapters */

static const char *const names[] = {NULL, "adapter", "adapter-rslora", "adapter-pattern"};
enum { N_NAMES = 4, PROMPT = 40, N = 20 };

static void open_adapters(enum precision precision)
{
    struct error err = {0};
    open_path(LORA, &(struct model_options){.precision = precision, .n_threads = 2});
    for (int i = 1; i < N_NAMES; i++) {
        char path[512];
        snprintf(path, sizeof path, LORA "/%s", names[i]);
        cr_assert_eq(model_adapter_open(model, names[i], path, &err), 0, "%s: %s", err.where, err.text);
    }
}

static void fill_prompt(int32_t *prompt, int n, int salt)
{
    for (int i = 0; i < n; i++)
        prompt[i] = (i * 37 + salt * 11 + 5) % 128;
}

static struct sampling with_adapter(int which)
{
    return (struct sampling){.max_tokens = N, .logprobs = true, .ignore_end = true, .adapter = names[which]};
}

Test(adapters, beside_the_weights_they_give_what_merged_ones_give)
{
    int32_t prompt[PROMPT];
    static struct answer_got merged, apart;
    fill_prompt(prompt, PROMPT, 1);
    for (int i = 1; i < N_NAMES; i++) {
        char path[512];
        snprintf(path, sizeof path, LORA "/%s", names[i]);
        open_path(LORA, &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 2, .adapter = path});
        start();
        struct sampling plain = with_adapter(0), own = with_adapter(i);
        collect(submit(prompt, PROMPT, &plain), &merged);
        engine_stop(engine);
        model_close(model);
        open_adapters(PRECISION_EXACT);
        start();
        collect(submit(prompt, PROMPT, &own), &apart);
        engine_stop(engine);
        model_close(model);
        cr_assert_eq(apart.n, N);
        cr_assert_arr_eq(apart.tokens, merged.tokens, N * sizeof(int32_t), "%s", names[i]);
        for (int k = 0; k < N; k++)
            cr_assert_float_eq(apart.logprobs[k], merged.logprobs[k], 1e-4f, "%s, token %d: %g, merged %g", names[i], k, (double)apart.logprobs[k], (double)merged.logprobs[k]);
    }
}

static void check_reference(int which)
{
    /* The reference's logits of the prompt's positions: each next token's log-probability through an engine session that is
     * forced along the prompt by nothing but its own ids: one session a position. */
    struct error err = {0};
    struct buffer text, floats;
    buffer_init(&text, 4 << 20);
    buffer_init(&floats, 64 << 20);
    cr_assert_eq(file_read(LORA "/expected.json", &text, &err), 0);
    cr_assert_eq(file_read(LORA "/expected.f32", &floats, &err), 0);
    json_t *expected = json_parse(buffer_str(&text), &err), *item;
    size_t index;
    bool found = false;
    json_array_foreach(json_object_get(expected, "cases"), index, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        json_t *logits = json_object_get(json_object_get(item, "outputs"), "logits");
        json_t *ids = json_object_get(item, "input_ids");
        if (strcmp(name, which == 0 ? "base" : names[which]) != 0)
            continue;
        found = true;
        if (json_is_array(json_array_get(ids, 0)))
            ids = json_array_get(ids, 0);
        size_t n = json_array_size(ids), n_vocab = (size_t)model_info_peek(model)->n_vocab;
        int32_t prompt[256];
        const float *reference = (const float *)(const void *)floats.data + json_integer_value(json_object_get(logits, "offset"));
        for (size_t i = 0; i < n; i++)
            prompt[i] = (int32_t)json_integer_value(json_array_get(ids, i));
        for (size_t at = 1; at <= n; at++) {
            const float *row = reference + (at - 1) * n_vocab;
            double sum = 0;
            size_t best = 0;
            for (size_t i = 0; i < n_vocab; i++)
                best = row[i] > row[best] ? i : best;
            for (size_t i = 0; i < n_vocab; i++)
                sum += exp((double)(row[i] - row[best]));
            static struct answer_got got;
            struct sampling sampling = with_adapter(which);
            sampling.max_tokens = 1;
            collect(submit(prompt, at, &sampling), &got);
            cr_assert_eq(got.tokens[0], (int32_t)best, "%s, position %zu", name, at);
            cr_assert_float_eq(got.logprobs[0], (float)-log(sum), 1e-3f, "%s, position %zu: %g, reference %g", name, at, (double)got.logprobs[0], -log(sum));
        }
    }
    cr_assert(found, "no case for %s", which == 0 ? "base" : names[which]);
    json_decref(expected);
    buffer_release(&text);
    buffer_release(&floats);
}

Test(adapters, each_gives_its_authors_numbers_and_the_base_stays_the_base)
{
    open_adapters(PRECISION_EXACT);
    start();
    for (int i = 0; i < N_NAMES; i++)
        check_reference(i);
    engine_stop(engine);
    model_close(model);
}

static void check_company(enum precision precision)
{
    int32_t prompt[PROMPT];
    static struct answer_got alone[N_NAMES], together;
    struct session *sessions[8];
    open_adapters(precision);
    start();
    for (int i = 0; i < N_NAMES; i++) {
        struct sampling sampling = with_adapter(i);
        fill_prompt(prompt, PROMPT, 5);
        collect(submit(prompt, PROMPT, &sampling), &alone[i]);
        for (int k = 0; k < i; k++)
            cr_assert(memcmp(alone[i].logprobs, alone[k].logprobs, N * sizeof(float)) != 0, "%d and %d give the same", i, k);
    }
    engine_stop(engine);
    start();
    for (int i = 0; i < 8; i++) {
        struct sampling sampling = with_adapter(i % N_NAMES);
        sessions[i] = submit(prompt, PROMPT, &sampling);
    }
    for (int i = 0; i < 8; i++) {
        collect(sessions[i], &together);
        cr_assert_arr_eq(together.tokens, alone[i % N_NAMES].tokens, N * sizeof(int32_t), "session %d", i);
        cr_assert_arr_eq(together.logprobs, alone[i % N_NAMES].logprobs, N * sizeof(float), "session %d", i);
    }
    engine_stop(engine);
    model_close(model);
}

Test(adapters, sessions_with_different_ones_in_one_batch_get_the_same_bits_as_alone)
{
    check_company(PRECISION_EXACT);
    check_company(PRECISION_FAST);
}

Test(adapters, what_one_has_computed_is_not_shared_with_another)
{
    int32_t prompt[PROMPT];
    static struct answer_got got;
    open_adapters(PRECISION_EXACT);
    start();
    fill_prompt(prompt, PROMPT, 3);
    for (int i = 0; i < N_NAMES; i++) {
        struct sampling sampling = with_adapter(i);
        collect(submit(prompt, PROMPT, &sampling), &got);
        cr_assert_eq(got.usage.cached_tokens, 0, "%d took what %d computed", i, i - 1);
        collect(submit(prompt, PROMPT, &sampling), &got);
        cr_assert_geq(got.usage.cached_tokens, KV_PAGE);
    }
    engine_stop(engine);
    model_close(model);
}

Test(adapters, an_unknown_name_a_second_one_and_a_misfit_are_errors_that_say_which)
{
    struct error err = {0};
    struct session *session;
    int32_t id = 1;
    open_adapters(PRECISION_EXACT);
    start();
    cr_assert_eq(engine_submit(engine, &id, 1, &(struct sampling){.adapter = "nobody"}, NULL, NULL, &session, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.text, "nobody") != NULL, "%s", err.text);
    engine_stop(engine);
    cr_assert_eq(model_adapter_open(model, "adapter", LORA "/adapter", &err), WEIR_E_INVALID);
    cr_assert_eq(model_adapter_open(model, "a/b", LORA "/adapter", &err), WEIR_E_INVALID);
    cr_assert_lt(model_adapter_open(model, "none", "/nonexistent", &err), 0);
    model_close(model);
    open_path(WEIR_SHARED_DIR "/fixtures/hf/qwen3", &(struct model_options){.precision = PRECISION_EXACT});
    cr_assert_eq(model_adapter_open(model, "misfit", LORA "/adapter", &err), WEIR_E_INVALID);
    model_close(model);
}

/* ------------------------------------------------------------------ past the context */

enum { CONTEXT = 128 };

static void open_dense(void)
{
    open_path(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 2});
    start();
}

static void close_dense(void)
{
    engine_stop(engine);
    model_close(model);
}

Test(context_shift, unasked_an_answer_ends_with_the_context)
{
    int32_t prompt[100];
    static struct answer_got got;
    open_dense();
    fill_prompt(prompt, 100, 1);
    collect(submit(prompt, 100, &(struct sampling){.max_tokens = 200, .ignore_end = true}), &got);
    cr_assert_eq(got.n, CONTEXT - 100);
    cr_assert_eq(got.reason, FINISH_LENGTH);
    cr_assert_eq(got.usage.dropped_tokens, 0);
    close_dense();
}

Test(context_shift, asked_for_it_goes_on_as_a_talk_that_began_without_what_was_dropped)
{
    enum { KEEP = 20, MANY = 200 };
    int32_t prompt[100], ids[CONTEXT];
    static struct answer_got got, fresh;
    open_dense();
    fill_prompt(prompt, 100, 1);
    struct sampling sampling = {.max_tokens = MANY, .ignore_end = true, .context_shift = true, .n_keep = KEEP};
    collect(submit(prompt, 100, &sampling), &got);
    cr_assert_eq(got.n, MANY);
    cr_assert_gt(got.usage.dropped_tokens, 100);
    /* At 128 ids the first shift drops half of the 108 that are not kept: what follows equals an answer to the rest. */
    int drop = (CONTEXT - KEEP + 1) / 2, n_left = CONTEXT - drop;
    memcpy(ids, prompt, KEEP * sizeof *ids);
    for (int i = KEEP; i < n_left; i++)
        ids[i] = i + drop < 100 ? prompt[i + drop] : got.tokens[i + drop - 100];
    collect(submit(ids, (size_t)n_left, &(struct sampling){.max_tokens = CONTEXT - n_left, .ignore_end = true}), &fresh);
    cr_assert_arr_eq(got.tokens + (CONTEXT - 100), fresh.tokens, (size_t)fresh.n * sizeof(int32_t));
    cr_assert_eq(fresh.n, CONTEXT - n_left);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    cr_assert_geq(stats.n_context_shifts, 2);
    close_dense();
}

Test(context_shift, a_prompt_past_the_context_loses_its_older_half_when_asked)
{
    int32_t prompt[200];
    static struct answer_got got;
    open_dense();
    fill_prompt(prompt, 200, 2);
    collect(submit(prompt, 200, &(struct sampling){.max_tokens = 5, .ignore_end = true, .context_shift = true, .n_keep = 10}), &got);
    cr_assert_eq(got.n, 5);
    cr_assert_eq(got.usage.prompt_tokens, 200);
    cr_assert_eq(got.usage.dropped_tokens, 95);
    struct session *session;
    struct error err = {0};
    cr_assert_eq(engine_submit(engine, prompt, 100, &(struct sampling){.context_shift = true, .n_keep = 100}, NULL, NULL, &session, &err), WEIR_E_LIMIT);
    close_dense();
}

Test(context_shift, longropes_border_is_crossed_anew_after_a_shift)
{
    enum { MANY = 300 };
    int32_t prompt[50];
    static struct answer_got one, two;
    for (int run = 0; run < 2; run++) {
        open_path(WEIR_SHARED_DIR "/fixtures/hf/phi3-longrope", &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 2});
        start();
        fill_prompt(prompt, 50, 2);
        struct sampling sampling = {.max_tokens = MANY, .ignore_end = true, .context_shift = true, .n_keep = 8};
        collect(submit(prompt, 50, &sampling), run == 0 ? &one : &two);
        close_dense();
    }
    cr_assert_eq(one.n, MANY);
    cr_assert_arr_eq(one.tokens, two.tokens, MANY * sizeof(int32_t));
}

/* ------------------------------------------------------------------ the cache's form */

Test(kv_types, eight_bit_pages_take_little_over_a_quarter_of_the_memory_and_keep_the_logits_within_a_budget)
{
    int32_t prompt[100];
    static struct answer_got exact, got;
    static const enum kv_type types[] = {KV_F32, KV_F16, KV_Q8_0};
    static const float budgets[] = {0, 2e-3f, 5e-2f}; /* Of a log-probability. */
    static const double most[] = {1, 0.5, 0.29};
    size_t bytes[3];
    fill_prompt(prompt, 100, 4);
    for (int i = 0; i < 3; i++) {
        open_path(WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf", &(struct model_options){.precision = PRECISION_EXACT, .n_threads = 2, .kv_type = types[i]});
        bytes[i] = model_info_peek(model)->kv_token_bytes;
        start();
        cr_assert_eq(bytes[i], (kv_store_page_bytes(engine->store) - 64) / KV_PAGE, "%zu bytes a token", bytes[i]);
        double worst = 0;
        for (int n = 20; n < 100; n += 4) { /* The first token after beginnings of one text: no drift of its own. */
            collect(submit(prompt, (size_t)n, &(struct sampling){.max_tokens = 1, .logprobs = true, .ignore_end = true}), &got);
            if (i == 0) {
                exact.tokens[n] = got.tokens[0];
                exact.logprobs[n] = got.logprobs[0];
            } else if (got.tokens[0] == exact.tokens[n]) {
                double d = fabs((double)(got.logprobs[0] - exact.logprobs[n]));
                worst = d > worst ? d : worst;
            }
        }
        cr_assert_leq(worst, budgets[i], "type %d: off by %g", i, worst);
        cr_assert_leq((double)bytes[i], most[i] * (double)bytes[0], "type %d: %zu bytes", i, bytes[i]);
        close_dense();
    }
}
