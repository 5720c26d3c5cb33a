/* Decoders through decoder.h: against the paper's own loop, in pieces and batches, across LongRoPE's border, cancelled; int4
 * weights and adapters. Logits of whole prompts are compared in tests/numeric. */
#include "decoder/decoder.h"
#include "decoder/int4.h"
#include "decoder/stack.h"
#include "model/model_file.h"

#include "oracle_llama.h"

#include <criterion/criterion.h>
#include <limits.h>

/* A model of the shared fixtures with a cache and the expected numbers. */
struct bench {
    struct model_file *file;
    struct decoder *decoder;
    struct kv_store *store;
    struct pool *pool;
    json_t *expected;
    struct file_map floats;
    int n_vocab;
};

static void bench_open(struct bench *bench, const char *name, const char *adapter)
{
    char path[PATH_MAX];
    struct error err = {0};
    struct buffer text;
    struct model_info info = {0};
    struct model_options options = {.precision = PRECISION_EXACT, .adapter = adapter};
    *bench = (struct bench){0};
    snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/hf/%s", name);
    cr_assert(file_is_directory(path), "%s is not there: this test needs the shared fixtures", path);
    cr_assert_eq(model_file_open(&bench->file, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(decoder_open(&bench->decoder, bench->file, &options, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(kv_store_new(&bench->store, decoder_kv_shape(bench->decoder), 1 << 28, &err), 0);
    bench->pool = pool_new(2);
    decoder_describe(bench->decoder, &info);
    bench->n_vocab = info.n_vocab;
    snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/hf/%s/expected.json", name);
    buffer_init(&text, 16 << 20);
    cr_assert_eq(file_read(path, &text, &err), 0);
    bench->expected = json_parse(buffer_str(&text), &err);
    cr_assert_not_null(bench->expected);
    buffer_release(&text);
    snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/hf/%s/expected.f32", name);
    cr_assert_eq(file_map_open(&bench->floats, path, &err), 0);
}

static void bench_close(struct bench *bench)
{
    kv_store_free(bench->store);
    pool_free(bench->pool);
    decoder_close(bench->decoder);
    model_file_close(bench->file);
    json_decref(bench->expected);
    file_map_close(&bench->floats);
}

static json_t *bench_case(const struct bench *bench, const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(bench->expected, "cases"), index, item) {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
            return item;
    }
    cr_assert_fail("no case %s", name);
    return NULL;
}

static size_t case_ids(const json_t *item, int32_t *out)
{
    json_t *list = json_object_get(item, "input_ids");
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return json_array_size(list);
}

static const float *case_output(const struct bench *bench, const json_t *item, const char *output)
{
    json_t *place = json_object_get(json_object_get(item, "outputs"), output);
    cr_assert_not_null(place);
    return (const float *)bench->floats.data + json_integer_value(json_object_get(place, "offset"));
}

/* Feeds n tokens of one sequence in one step, all logits wanted. */
static int feed(struct bench *bench, struct kv *kv, const int32_t *ids, int n, int reach, float *logits, const _Atomic bool *cancel)
{
    int32_t positions[DECODER_MAX_ROWS], reaches[DECODER_MAX_ROWS];
    struct kv *kvs[DECODER_MAX_ROWS];
    bool want[DECODER_MAX_ROWS];
    int from = kv_length(kv);
    for (int i = 0; i < n; i++) {
        positions[i] = from + i;
        reaches[i] = reach;
        kvs[i] = kv;
        want[i] = true;
    }
    cr_assert_eq(kv_reserve(kv, from + n), 0);
    struct batch batch = {.n_rows = n, .tokens = ids, .positions = positions, .kv = kvs, .want = want, .reach = reach > 0 ? reaches : NULL, .cancel = cancel};
    int status = decoder_forward(bench->decoder, bench->pool, &batch, logits, NULL, NULL);
    kv_trim(kv, status == 0 ? from + n : from);
    return status;
}

static void expect_close(const float *got, const float *want, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        cr_assert(fabsf(got[i] - want[i]) <= 1e-3f, "%s: value %zu is %g, not %g", what, i, (double)got[i], (double)want[i]);
}

static const char *const cached[] = {"llama", "llama-bias", "llama-yarn", "mistral", "mixtral", "phi", "phi-qknorm", "phi3-window", "gemma",
                                     "gemma2", "gemma3", "qwen2-window", "qwen3", "starcoder2", "gpt2", "smollm3"};

Test(decoder, tokens_fed_one_by_one_on_the_cache_give_the_references_logits)
{
    for (size_t i = 0; i < sizeof cached / sizeof *cached; i++) {
        struct bench bench;
        struct kv *kv;
        int32_t ids[256];
        bench_open(&bench, cached[i], NULL);
        float *logits = malloc(256 * (size_t)bench.n_vocab * sizeof *logits);
        cr_assert_eq(kv_new(&kv, bench.store), 0);
        size_t n = case_ids(bench_case(&bench, "prompt"), ids);
        cr_assert_eq(feed(&bench, kv, ids, (int)n, 0, logits, NULL), 0);
        n = case_ids(bench_case(&bench, "prompt+4"), ids);
        const float *want = case_output(&bench, bench_case(&bench, "prompt+4"), "logits");
        for (size_t t = 0; t < n; t++) {
            cr_assert_eq(feed(&bench, kv, ids + t, 1, 0, logits, NULL), 0);
            expect_close(logits, want + t * (size_t)bench.n_vocab, (size_t)bench.n_vocab, cached[i]);
        }
        kv_free(kv);
        free(logits);
        bench_close(&bench);
    }
}

Test(decoder, a_row_gives_the_same_bits_whatever_else_is_in_the_batch_and_in_whatever_pieces_it_comes)
{
    for (size_t i = 0; i < sizeof cached / sizeof *cached; i++) {
        struct bench bench;
        struct kv *one, *other, *beside;
        int32_t ids[256], tokens[DECODER_MAX_ROWS], positions[DECODER_MAX_ROWS];
        struct kv *kvs[DECODER_MAX_ROWS];
        bool want[DECODER_MAX_ROWS];
        bench_open(&bench, cached[i], NULL);
        size_t width = (size_t)bench.n_vocab;
        float *whole = malloc(256 * width * sizeof *whole), *pieces = malloc(256 * width * sizeof *pieces);
        cr_assert(kv_new(&one, bench.store) == 0 && kv_new(&other, bench.store) == 0 && kv_new(&beside, bench.store) == 0);
        int n = (int)case_ids(bench_case(&bench, "prompt"), ids);
        cr_assert_eq(feed(&bench, one, ids, n, 0, whole, NULL), 0);
        cr_assert_eq(feed(&bench, beside, ids + 7, 3, 0, pieces, NULL), 0);
        /* Thirteen tokens at a time, between rows of another sequence; only some logits wanted. */
        for (int from = 0; from < n; from += 13) {
            int mine = n - from < 13 ? n - from : 13, n_rows = 0, first = kv_length(beside);
            cr_assert(kv_reserve(other, from + mine) == 0 && kv_reserve(beside, first + 2) == 0);
            for (int row = 0; row < mine + 2; row++, n_rows++) {
                bool is_mine = row < mine;
                tokens[row] = is_mine ? ids[from + row] : ids[(from + row) % n];
                positions[row] = is_mine ? from + row : first + row - mine;
                kvs[row] = is_mine ? other : beside;
                want[row] = is_mine && row % 2 == 0;
            }
            struct batch batch = {.n_rows = n_rows, .tokens = tokens, .positions = positions, .kv = kvs, .want = want};
            cr_assert_eq(decoder_forward(bench.decoder, from % 2 == 0 ? bench.pool : NULL, &batch, pieces, NULL, NULL), 0);
            kv_trim(other, from + mine);
            kv_trim(beside, first + 2);
            for (int row = 0; row < mine; row += 2)
                cr_assert_arr_eq(pieces + (size_t)(row / 2) * width, whole + (size_t)(from + row) * width, width * sizeof *whole, "%s: row %d", cached[i], from + row);
        }
        kv_free(one);
        kv_free(other);
        kv_free(beside);
        free(whole);
        free(pieces);
        bench_close(&bench);
    }
}

Test(decoder, a_sequence_that_grows_past_longropes_border_and_is_fed_again_equals_one_pass)
{
    static const char *const names[] = {"phi3-longrope", "phi4-mini"};
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;
        struct kv *kv;
        int32_t ids[256];
        bench_open(&bench, names[i], NULL);
        float *logits = malloc(256 * (size_t)bench.n_vocab * sizeof *logits);
        int border = decoder_rope_border(bench.decoder);
        cr_assert_eq(border, 64);
        cr_assert_eq(kv_new(&kv, bench.store), 0);
        int n = (int)case_ids(bench_case(&bench, "crossing"), ids);
        cr_assert(n > border);
        const float *want = case_output(&bench, bench_case(&bench, "crossing"), "logits");
        cr_assert_eq(feed(&bench, kv, ids, border, 0, logits, NULL), 0); /* Below the border: the short factors. */
        kv_trim(kv, 0);
        cr_assert_eq(feed(&bench, kv, ids, border, n, logits, NULL), 0); /* Known to go beyond: the long ones from the start. */
        cr_assert_eq(feed(&bench, kv, ids + border, n - border, n, logits + (size_t)border * (size_t)bench.n_vocab, NULL), 0);
        expect_close(logits, want, (size_t)n * (size_t)bench.n_vocab, names[i]);
        kv_free(kv);
        free(logits);
        bench_close(&bench);
    }
}

Test(decoder, hidden_states_after_the_last_norm_are_the_references)
{
    struct bench bench;
    struct kv *kv;
    int32_t ids[256], positions[256];
    struct kv *kvs[256];
    bool want[256] = {false};
    bench_open(&bench, "gemma3", NULL);
    cr_assert_eq(kv_new(&kv, bench.store), 0);
    int n = (int)case_ids(bench_case(&bench, "prompt"), ids);
    cr_assert_eq(kv_reserve(kv, n), 0);
    for (int i = 0; i < n; i++) {
        positions[i] = i;
        kvs[i] = kv;
    }
    float *hidden = malloc((size_t)n * 64 * sizeof *hidden);
    struct batch batch = {.n_rows = n, .tokens = ids, .positions = positions, .kv = kvs, .want = want};
    cr_assert_eq(decoder_forward(bench.decoder, bench.pool, &batch, NULL, hidden, NULL), 0);
    const float *all = case_output(&bench, bench_case(&bench, "prompt"), "hidden_states");
    expect_close(hidden, all + 7 * (size_t)n * 64, (size_t)n * 64, "hidden");
    kv_free(kv);
    free(hidden);
    bench_close(&bench);
}

Test(decoder, a_cancelled_pass_leaves_the_cache_as_it_was)
{
    struct bench bench;
    struct kv *kv;
    int32_t ids[256];
    _Atomic bool cancel = true;
    bench_open(&bench, "llama", NULL);
    float *logits = malloc(256 * (size_t)bench.n_vocab * sizeof *logits);
    cr_assert_eq(kv_new(&kv, bench.store), 0);
    int n = (int)case_ids(bench_case(&bench, "prompt"), ids);
    cr_assert_eq(feed(&bench, kv, ids, 10, 0, logits, NULL), 0);
    cr_assert_eq(feed(&bench, kv, ids + 10, n - 10, 0, logits, &cancel), WEIR_E_CANCELLED);
    cr_assert_eq(kv_length(kv), 10);
    cr_assert_eq(feed(&bench, kv, ids + 10, n - 10, 0, logits, NULL), 0);
    expect_close(logits, case_output(&bench, bench_case(&bench, "prompt"), "logits") + 10 * bench.n_vocab, (size_t)((n - 10) * bench.n_vocab), "after cancelling");
    kv_free(kv);
    free(logits);
    bench_close(&bench);
}

Test(decoder, tokens_and_positions_out_of_range_are_refused_by_number)
{
    struct bench bench;
    struct kv *kv;
    struct error err = {0};
    float logits[256];
    bool want = true;
    bench_open(&bench, "llama", NULL);
    cr_assert(kv_new(&kv, bench.store) == 0 && kv_reserve(kv, 1) == 0);
    static const int32_t tokens[] = {-1, 256, INT32_MAX, 0, 0};
    static const int32_t positions[] = {0, 0, 0, -1, 1 << 20};
    for (int i = 0; i < 5; i++) {
        struct batch batch = {.n_rows = 1, .tokens = &tokens[i], .positions = &positions[i], .kv = &kv, .want = &want};
        cr_assert(decoder_forward(bench.decoder, NULL, &batch, logits, NULL, &err) < 0);
        cr_assert(strstr(err.where, i < 3 ? "token" : "position") != NULL);
    }
    kv_free(kv);
    bench_close(&bench);
}

Test(decoder, int4_matrices_unpack_to_exactly_the_references_floats)
{
    static const char *const names[] = {"llama-gptq-g32", "llama-gptq-g32-act", "llama-gptq-g128-asym", "llama-gptq-v2-act-asym", "llama-awq-g32", "llama-awq-g128"};
    static const struct {
        enum weight weight;
        const char *output;
    } parts[] = {{W_Q, "self_attn.q_proj"}, {W_K, "self_attn.k_proj"}, {W_V, "self_attn.v_proj"}, {W_O, "self_attn.o_proj"},
                 {W_GATE, "mlp.gate_proj"}, {W_UP, "mlp.up_proj"},     {W_DOWN, "mlp.down_proj"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bench bench;
        bench_open(&bench, names[i], NULL);
        json_t *outputs = json_object_get(bench_case(&bench, "dequantized"), "outputs");
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            char name[96];
            snprintf(name, sizeof name, "model.layers.0.%s.weight", parts[k].output);
            json_t *shape = json_object_get(json_object_get(outputs, name), "shape");
            int n_out = (int)json_integer_value(json_array_get(shape, 0)), n_in = (int)json_integer_value(json_array_get(shape, 1));
            float *w = malloc((size_t)n_out * (size_t)n_in * sizeof *w);
            cr_assert_eq(int4_unpack(&bench.decoder->loader, &(struct matrix){parts[k].weight, 0, -1, n_out, n_in}, w), 0);
            cr_assert_arr_eq(w, case_output(&bench, bench_case(&bench, "dequantized"), name), (size_t)n_out * (size_t)n_in * sizeof *w, "%s %s", names[i], name);
            free(w);
        }
        bench_close(&bench);
    }
}

Test(decoder, an_adapter_that_does_not_fit_is_refused_by_the_tensors_name)
{
    struct model_file *file;
    struct decoder *decoder;
    struct error err = {0};
    struct model_options options = {.precision = PRECISION_EXACT, .adapter = WEIR_SHARED_DIR "/fixtures/hf/llama-lora/adapter-rslora"};
    cr_assert_eq(model_file_open(&file, WEIR_SHARED_DIR "/fixtures/hf/mistral", &err), 0);
    cr_assert(decoder_open(&decoder, file, &options, &err) < 0);
    cr_assert(strstr(err.where, "self_attn") != NULL && strstr(err.text, "does not fit") != NULL, "%s: %s", err.where, err.text);
    options.adapter = WEIR_SHARED_DIR "/fixtures/hf/llama";
    cr_assert(decoder_open(&decoder, file, &options, &err) < 0);
    cr_assert(strstr(err.where, "adapter_config.json") != NULL, "%s: %s", err.where, err.text);
    model_file_close(file);
    cr_assert_eq(model_file_open(&file, WEIR_SHARED_DIR "/fixtures/hf/gpt2", &err), 0);
    options.adapter = WEIR_SHARED_DIR "/fixtures/hf/llama-lora/adapter";
    cr_assert(decoder_open(&decoder, file, &options, &err) < 0);
    cr_assert(strstr(err.text, "no place in this model") != NULL, "%s: %s", err.where, err.text);
    model_file_close(file);
}

Test(decoder, the_default_model_agrees_with_the_papers_loop)
{
    enum { N = 6 };
    static const int32_t ids[N] = {504, 3575, 282, 4649, 314, 7042};
    char path[PATH_MAX];
    struct model_file *file;
    struct bench bench = {0};
    struct kv *kv;
    struct error err = {0};
    struct oracle oracle;
    struct model_options options = {.precision = PRECISION_EXACT};
    cr_assert_eq(cache_path("models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf", path, sizeof path), 0);
    cr_assert(file_exists(path), "%s is not there: `weir pull` fetches it", path);
    cr_assert_eq(model_file_open(&file, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(decoder_open(&bench.decoder, file, &options, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(kv_store_new(&bench.store, decoder_kv_shape(bench.decoder), 1 << 28, &err), 0);
    cr_assert_eq(kv_new(&kv, bench.store), 0);
    oracle_open(&oracle, file, N);
    size_t n_vocab = (size_t)oracle.config.n_vocab;
    float *got = malloc(N * n_vocab * sizeof *got), *want = malloc(n_vocab * sizeof *want);
    cr_assert_eq(feed(&bench, kv, ids, N, 0, got, NULL), 0);
    for (int i = 0; i < N; i++) {
        oracle_step(&oracle, ids[i], i, want);
        expect_close(got + (size_t)i * n_vocab, want, n_vocab, "SmolLM2");
    }
    free(got);
    free(want);
    oracle_close(&oracle);
    kv_free(kv);
    kv_store_free(bench.store);
    decoder_close(bench.decoder);
    model_file_close(file);
}
