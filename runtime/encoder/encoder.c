/* Encoder: opens the architecture a file names, checks inputs, lays texts end to end into passes and hands rows on to
 * pooling or head.
 *
 * Owns its weights and one workspace that grows to the largest pass seen and is used again: one thread at a time (the model's
 * lock sees to it), no allocation once it has grown. A pass takes up to ROWS_A_PASS rows of several texts; how texts are
 * grouped does not change their results. Tokenizing, and cutting texts to length, is left to the caller. */
#include "encoder/encoder.h"
#include "encoder/architecture.h"
#include "encoder/head.h"
#include "encoder/pooling.h"

enum { ROWS_A_PASS = 512 };

struct encoder {
    const struct architecture *architecture;
    struct weights weights;
    struct body body;
    struct head head;
    struct pooling pooling;
    const char *name; /* Of the architecture, as the file spells it. */
    const char *const *labels;

    /* Workspace. */
    int32_t *ids, *types, *starts;
    size_t row_capacity; /* Of ids and types; starts has one more. */
    float *floats;
    size_t float_capacity;
};

static const struct architecture *const architectures[] = {
    &architecture_bert,       &architecture_roberta,    &architecture_distilbert, &architecture_albert,
    &architecture_mobilebert, &architecture_modernbert, &architecture_deberta,
};

static const struct architecture *architecture_find(str name)
{
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        for (const char *const *word = architectures[i]->names; *word != NULL; word++)
            if (str_equal(name, str_of(*word)))
                return architectures[i];
    return NULL;
}

bool encoder_knows(str architecture)
{
    return architecture_find(architecture) != NULL;
}

static const struct architecture *architecture_of(const struct model_file *file)
{
    str name = model_file_architecture(file);
    if (!model_file_is_gguf(file))
        return architecture_find(name);
    return str_equal(name, STR("bert")) ? &architecture_bert_gguf : NULL;
}

static void open_parts(struct encoder *encoder)
{
    struct weights *weights = &encoder->weights;
    encoder->architecture->open(weights, &encoder->body);
    if (weights->status == 0)
        task_head_open(weights, encoder->architecture, &encoder->body, &encoder->head);
    if (weights->status == 0 && encoder->head.out != NULL)
        encoder->labels = head_labels(weights, linear_n_out(encoder->head.out));
    pooling_open(weights, &encoder->pooling);
    encoder->name = arena_strdup(&weights->arena, model_file_architecture(weights->file));
    if (encoder->name == NULL)
        weights_fail(weights, WEIR_E_MEMORY, "model_type", "out of memory");
}

int encoder_open(struct encoder **out, const struct model_file *file, const struct model_options *options, struct error *err)
{
    *out = NULL;
    const struct architecture *architecture = architecture_of(file);
    str name = model_file_architecture(file);
    if (architecture == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, model_file_path(file), "\"%.*s\" is no encoder that is supported",
                         (int)(name.n < 64 ? name.n : 64), name.data);
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        return error_set(err, WEIR_E_MEMORY, model_file_path(file), "out of memory");
    encoder->architecture = architecture;
    weights_init(&encoder->weights, file, options != NULL ? options->precision : PRECISION_FAST, err);
    encoder->weights.prefix = architecture->prefix;
    open_parts(encoder);
    int status = encoder->weights.status;
    encoder->weights.err = NULL;
    if (status < 0) {
        encoder_close(encoder);
        return status;
    }
    *out = encoder;
    return 0;
}

void encoder_close(struct encoder *encoder)
{
    if (encoder == NULL)
        return;
    weights_release(&encoder->weights);
    free(encoder->ids);
    free(encoder->types);
    free(encoder->starts);
    free(encoder->floats);
    free(encoder);
}

void encoder_describe(const struct encoder *encoder, struct model_info *info)
{
    info->kind = MODEL_ENCODER;
    info->architecture = encoder->name;
    info->n_vocab = encoder->body.n_vocab;
    info->n_layers = encoder->body.n_layers;
    info->n_embd = encoder->body.width;
    info->n_context = encoder->body.n_positions;
    if (encoder->pooling.max_tokens > 0 && encoder->pooling.max_tokens < info->n_context)
        info->n_context = encoder->pooling.max_tokens;
    info->n_parameters = encoder->weights.n_parameters;
    info->weight_bytes = weights_bytes(&encoder->weights);
    info->row_bytes = ((size_t)encoder->body.width + encoder->body.row_floats) * sizeof(float);
    info->n_labels = encoder->head.out != NULL ? linear_n_out(encoder->head.out) : 0;
    info->labels = encoder->labels;
    info->labels_per_token = encoder->head.rows == HEAD_EACH;
}

static int check_input(const struct encoder *encoder, const struct encoder_input *input, struct error *err)
{
    const struct body *body = &encoder->body;
    if (input->n == 0)
        return error_set(err, WEIR_E_INVALID, "ids", "no tokens");
    if (input->n > (size_t)body->n_positions)
        return error_set(err, WEIR_E_LIMIT, "ids", "%zu tokens, the model takes %d", input->n, body->n_positions);
    for (size_t i = 0; i < input->n; i++) {
        if (input->ids[i] < 0 || input->ids[i] >= body->n_vocab)
            return error_set(err, WEIR_E_INVALID, "ids", "element %zu is %d, the vocabulary has %d", i, (int)input->ids[i], body->n_vocab);
        if (body->n_types > 0 && input->types != NULL && (input->types[i] < 0 || input->types[i] >= body->n_types))
            return error_set(err, WEIR_E_INVALID, "token_type_ids", "element %zu is %d, the model has %d types", i, (int)input->types[i],
                             body->n_types);
    }
    return 0;
}

/* ---- workspace */

static int grow_rows(struct encoder *encoder, size_t n_rows, struct error *err)
{
    if (n_rows <= encoder->row_capacity)
        return 0;
    int32_t **arrays[] = {&encoder->ids, &encoder->types, &encoder->starts};
    for (size_t i = 0; i < 3; i++) {
        int32_t *grown = realloc(*arrays[i], (n_rows + 1) * sizeof *grown);
        if (grown == NULL)
            return error_set(err, WEIR_E_MEMORY, "encoder", "no memory for %zu tokens", n_rows);
        *arrays[i] = grown;
    }
    encoder->row_capacity = n_rows;
    return 0;
}

static int grow_floats(struct encoder *encoder, size_t n, struct error *err)
{
    if (n <= encoder->float_capacity)
        return 0;
    free(encoder->floats);
    encoder->float_capacity = 0;
    encoder->floats = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    if (encoder->floats == NULL)
        return error_set(err, WEIR_E_MEMORY, "encoder", "no memory for a pass of %zu floats", n);
    encoder->float_capacity = n;
    return 0;
}

/* Lays texts end to end and readies the memory: hidden rows first, then what forward and its threads take, then `extra`. */
static int pass_prepare(struct encoder *encoder, struct pool *pool, const struct encoder_input *inputs, int n_inputs, size_t extra,
                        struct pass *pass, float **extra_floats, struct error *err)
{
    size_t n_rows = 0, n_longest = 0;
    for (int i = 0; i < n_inputs; i++) {
        n_rows += inputs[i].n;
        n_longest = inputs[i].n > n_longest ? inputs[i].n : n_longest;
    }
    size_t thread_floats = heads_thread_floats(encoder->body.heads, encoder->body.n_buckets, (int)n_longest);
    size_t n_threads = pool != NULL ? (size_t)pool_threads(pool) : 1;
    size_t row_floats = n_rows * ((size_t)encoder->body.width + encoder->body.row_floats);
    int status = grow_rows(encoder, n_rows, err);
    if (status == 0)
        status = grow_floats(encoder, row_floats + n_threads * thread_floats + extra, err);
    if (status < 0)
        return status;
    int32_t row = 0;
    for (int i = 0; i < n_inputs; i++) {
        encoder->starts[i] = row;
        for (size_t k = 0; k < inputs[i].n; k++, row++) {
            encoder->ids[row] = inputs[i].ids[k];
            encoder->types[row] = inputs[i].types != NULL && encoder->body.n_types > 0 ? inputs[i].types[k] : 0;
        }
    }
    encoder->starts[n_inputs] = row;
    *pass = (struct pass){.pool = pool, .ids = encoder->ids, .types = encoder->types, .n_rows = row, .starts = encoder->starts,
                          .n_texts = n_inputs, .n_longest = (int)n_longest, .floats = encoder->floats, .n_floats = row_floats,
                          .thread_floats = encoder->floats + row_floats, .n_thread_floats = thread_floats};
    *extra_floats = pass->thread_floats + n_threads * thread_floats;
    return 0;
}

/* ---- the three questions */

/* One pass; *x gets the hidden rows, valid until the next. */
static int encode(struct encoder *encoder, struct pool *pool, const struct encoder_input *inputs, int n_inputs, size_t extra,
                  const float **x, float **extra_floats, struct error *err)
{
    struct pass pass;
    int status = pass_prepare(encoder, pool, inputs, n_inputs, extra, &pass, extra_floats, err);
    if (status < 0)
        return status;
    float *rows = pass_take(&pass, encoder->body.width);
    encoder->architecture->forward(encoder->body.self, &pass, rows);
    *x = rows;
    return 0;
}

/* The same with the rows before the last layer; those after it where an architecture keeps none. */
static int encode_both(struct encoder *encoder, struct pool *pool, const struct encoder_input *inputs, int n_inputs, const float **x,
                       const float **inner, struct error *err)
{
    struct pass pass;
    size_t n_rows = 0, width = (size_t)encoder->body.width;
    float *kept;
    for (int i = 0; i < n_inputs; i++)
        n_rows += inputs[i].n;
    int status = pass_prepare(encoder, pool, inputs, n_inputs, n_rows * width, &pass, &kept, err);
    if (status < 0)
        return status;
    float *rows = pass_take(&pass, encoder->body.width);
    pass.inner = kept;
    encoder->architecture->forward(encoder->body.self, &pass, rows);
    *x = rows;
    *inner = pass.inner_kept ? kept : rows;
    return 0;
}

int encoder_hidden(struct encoder *encoder, struct pool *pool, const struct encoder_input *input, float *out, struct error *err)
{
    const float *x;
    float *extra;
    int status = check_input(encoder, input, err);
    if (status == 0)
        status = encode(encoder, pool, input, 1, 0, &x, &extra, err);
    if (status == 0)
        memcpy(out, x, input->n * (size_t)encoder->body.width * sizeof *out);
    return status;
}

/* How many of the inputs fit into one pass: at least one. */
static int pass_size(const struct encoder_input *inputs, size_t n_inputs)
{
    size_t n = 1, n_rows = inputs[0].n;
    while (n < n_inputs && n_rows + inputs[n].n <= ROWS_A_PASS)
        n_rows += inputs[n++].n;
    return (int)n;
}

/* Plain means, whatever the model's pooling is. */
static void mean_rows(const float *x, size_t n, size_t width, float *out)
{
    memset(out, 0, width * sizeof *out);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < width; k++)
            out[k] += x[i * width + k] / (float)n;
}

int encoder_embed(struct encoder *encoder, struct pool *pool, const struct encoder_input *inputs, size_t n_inputs, float *out, float *inner,
                  struct error *err)
{
    size_t width = (size_t)encoder->body.width;
    for (size_t i = 0; i < n_inputs; i++) {
        int status = check_input(encoder, &inputs[i], err);
        if (status < 0)
            return status;
    }
    for (size_t done = 0; done < n_inputs;) {
        const float *x, *before = NULL;
        float *extra;
        int n = pass_size(inputs + done, n_inputs - done);
        int status = inner != NULL ? encode_both(encoder, pool, inputs + done, n, &x, &before, err)
                                   : encode(encoder, pool, inputs + done, n, 0, &x, &extra, err);
        if (status < 0)
            return status;
        for (int i = 0; i < n; i++, done++) {
            pooling_apply(&encoder->pooling, x, (int)inputs[done].n, (int)width, out + done * width);
            x += inputs[done].n * width;
            if (inner == NULL)
                continue;
            mean_rows(before, inputs[done].n, width, inner + done * width);
            before += inputs[done].n * width;
        }
    }
    return 0;
}

int encoder_classify(struct encoder *encoder, struct pool *pool, const struct encoder_input *input, float *out, struct error *err)
{
    if (encoder->head.out == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, encoder->name, "the model has no classification head");
    const float *x;
    float *scratch;
    int status = check_input(encoder, input, err);
    if (status == 0)
        status = encode(encoder, pool, input, 1, head_floats(&encoder->head, (int)input->n, encoder->body.width), &x, &scratch, err);
    if (status == 0)
        head_apply(&encoder->head, pool, x, (int)input->n, encoder->body.width, scratch, out);
    return status;
}
