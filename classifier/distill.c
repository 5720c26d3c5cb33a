/* Distillation of an encoder into a static table. Each token goes through the encoder on its own; the directions that keep most of
 * what the vectors say (of the texts', where there are some) make them short; rare tokens count more than frequent ones (smooth
 * inverse frequency, Arora et al. 2017; without texts the frequency is Zipf's by the token's place, as vocabularies are ordered).
 * With texts that is where a regression begins (distill_texts.c). The same lines, encoder, seed and CPU give the same file, bit
 * for bit. */
#include "distill.h"

#include "agreement.h"
#include "principal.h"

#include <stdlib.h>

enum { DEFAULT_DIMS = 64, TOKEN_BATCH = 64 };
static const double SIF = 1e-3, ZIPF_LINES = 1e5; /* The texts' own counts weigh against this many tokens of Zipf's law. */

/* Every token between the special tokens that the encoder puts around a text. */
static int embed_tokens(struct distill *d, struct error *err)
{
    struct ids around = {0};
    int status = model_text_ids(d->encoder, STR(""), &around, err);
    size_t length = around.n + 1, at = around.n > 0 ? 1 : 0;
    int32_t *ids = calloc(TOKEN_BATCH * length, sizeof *ids);
    float *scratch = malloc(TOKEN_BATCH * d->width * sizeof *scratch);
    if (status == 0 && (ids == NULL || scratch == NULL))
        status = error_set(err, WEIR_E_MEMORY, "", "out of memory");
    for (size_t first = 0; first < d->n_tokens && status == 0; first += TOKEN_BATCH) {
        struct encoder_input inputs[TOKEN_BATCH];
        size_t batch = d->n_tokens - first < TOKEN_BATCH ? d->n_tokens - first : TOKEN_BATCH;
        for (size_t i = 0; i < batch; i++) {
            int32_t *one = ids + i * length;
            for (size_t k = 0; k < around.n; k++)
                one[k + (k >= at)] = around.data[k];
            one[at] = (int32_t)(first + i);
            inputs[i] = (struct encoder_input){.ids = one, .n = length};
        }
        status = model_embed(d->encoder, inputs, batch, scratch, err);
        for (size_t i = 0; i < batch && status == 0; i++)
            if (!tokenizer_is_special(d->tokenizer, (int32_t)(first + i)))
                memcpy(d->tokens + (first + i) * d->width, scratch + i * d->width, d->width * sizeof *scratch);
        progress_show(d->options->quiet, "tokens", first + batch, d->n_tokens);
    }
    free(ids);
    free(scratch);
    ids_release(&around);
    return status;
}

/* Directions of the texts to fit, or of the tokens by their weight. */
static int choose_directions(struct distill *d, const float *token_weights)
{
    if (d->lines.n == 0)
        return principal_fit(d->tokens, token_weights, d->n_tokens, d->width, d->n_dims, d->directions, d->pool);
    for (size_t i = 0; i < d->lines.n; i++)
        d->weights[i] = d->parts[i] == PART_FIT;
    int status = principal_fit(d->embeddings, d->weights, d->lines.n, d->width, d->n_dims, d->directions, d->pool);
    for (size_t i = 0; i < d->lines.n && status == 0; i++)
        project(d->directions, d->embeddings + i * d->width, d->n_dims, d->width, d->targets + i * d->n_dims);
    return status;
}

/* Smooth inverse frequencies. */
static int weigh_tokens(const struct distill *d, float *out)
{
    double *counts = calloc(d->n_tokens, sizeof *counts), law = 0, sum = 0;
    if (counts == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < d->lines.n; i++)
        for (size_t k = d->corpus.starts[i]; k < d->corpus.starts[i + 1]; k++)
            counts[d->corpus.ids[k]] += d->parts[i] == PART_FIT;
    for (size_t t = 0; t < d->n_tokens; t++)
        law += 1 / ((double)t + 2.7);
    for (size_t t = 0; t < d->n_tokens; t++)
        sum += counts[t] += ZIPF_LINES / (((double)t + 2.7) * law);
    for (size_t t = 0; t < d->n_tokens; t++)
        out[t] = (float)(SIF / (SIF + counts[t] / sum));
    free(counts);
    return 0;
}

/* SHA-256 of the file with the weights. */
static int weights_digest(const char *path, char out[2 * SHA256_BYTES + 1], struct error *err)
{
    uint8_t digest[SHA256_BYTES];
    char inside[4096];
    snprintf(inside, sizeof inside, "%s/model.safetensors", path);
    if (file_is_directory(path) && !file_exists(inside))
        snprintf(inside, sizeof inside, "%s/model.safetensors.index.json", path);
    int status = sha256_file(file_is_directory(path) ? inside : path, digest, err);
    if (status == 0)
        hex_encode(digest, sizeof digest, out);
    return status;
}

static int make_table(struct distill *d, struct static_table *table, struct error *err)
{
    char weights[2 * SHA256_BYTES + 1], vocabulary[2 * SHA256_BYTES + 1];
    const struct model_info *info = model_info_peek(d->encoder);
    int status = weights_digest(info->path, weights, err);
    if (status == 0)
        status = static_vocabulary(d->tokenizer, vocabulary, err);
    if (status < 0)
        return status;
    json_t *about = json_pack("{s:s,s:s,s:i,s:s,s:I,s:i}", "encoder", info->name, "encoder_sha256", weights, "n_embd", info->n_embd, "vocabulary", vocabulary,
                              "seed", (json_int_t)d->options->seed, "dims", (int)d->n_dims);
    status = static_table_init_take(table, (int)d->n_tokens, (int)d->n_dims, about, err);
    for (size_t t = 0; t < d->n_tokens && status == 0; t++)
        static_table_set(table, (int)t, d->best + t * d->n_dims);
    return status;
}

static int run(struct distill *d, struct static_table *table, struct error *err)
{
    json_t *metrics = json_object();
    float *token_weights = malloc((d->n_tokens + 1) * sizeof *token_weights);
    int status = metrics == NULL || token_weights == NULL ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : embed_tokens(d, err);
    if (status == 0 && d->options->data_path != NULL)
        status = distill_read(d, err);
    if (status == 0 && (weigh_tokens(d, token_weights) < 0 || choose_directions(d, token_weights) < 0))
        status = error_set(err, WEIR_E_MEMORY, "", "out of memory");
    for (size_t t = 0; t < d->n_tokens && status == 0; t++) {
        float *row = d->prior + t * d->n_dims;
        project(d->directions, d->tokens + t * d->width, d->n_dims, d->width, row);
        for (size_t k = 0; k < d->n_dims; k++)
            row[k] *= token_weights[t];
    }
    if (status == 0 && d->lines.n > 0)
        status = distill_texts(d, metrics) < 0 ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : 0;
    else if (status == 0)
        memcpy(d->best, d->prior, d->n_tokens * d->n_dims * sizeof *d->best);
    if (status == 0)
        status = make_table(d, table, err);
    if (status == 0 && d->lines.n > 0) {
        status = distill_measure(d, table, metrics) < 0 ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : 0;
        json_object_set_new(table->about, "data", json_pack("{s:s,s:I}", "sha256", d->lines.sha256, "lines", (json_int_t)d->lines.n));
        json_object_set(table->about, "metrics", metrics);
    }
    free(token_weights);
    json_decref(metrics);
    return status;
}

static int write_table(const struct static_table *table, const char *path, struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, (size_t)1 << 30);
    int status = static_table_format(table, &bytes, err);
    if (status == 0)
        status = file_write_atomic(path, bytes.data, bytes.n, 0644, err);
    buffer_release(&bytes);
    return status;
}

int encoder_distill(struct model *encoder, const char *out_path, const struct distill_options *options, json_t **report, struct error *err)
{
    struct static_table table = {0};
    const struct model_info *info = model_info_peek(encoder);
    struct distill d = {.encoder = encoder, .tokenizer = model_tokenizer_peek(encoder), .options = options, .width = (size_t)info->n_embd,
                        .n_dims = (size_t)(options->n_dims > 0 ? options->n_dims : DEFAULT_DIMS)};
    *report = NULL;
    if (d.tokenizer == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, info->path, "has no tokenizer");
    if (d.n_dims % FIT_SLICE != 0 || d.n_dims > STATIC_MOST_DIMS || d.n_dims > d.width)
        return error_set(err, WEIR_E_INVALID, "--dims", "%zu: must be a multiple of %d and at most %zu", d.n_dims, FIT_SLICE,
                         d.width < STATIC_MOST_DIMS ? d.width : (size_t)STATIC_MOST_DIMS);
    d.n_tokens = (size_t)(info->n_vocab < tokenizer_size(d.tokenizer) ? info->n_vocab : tokenizer_size(d.tokenizer));
    if (d.n_tokens > STATIC_MOST_TOKENS)
        return error_set(err, WEIR_E_LIMIT, info->path, "has %zu tokens; a table has at most %d", d.n_tokens, STATIC_MOST_TOKENS);
    size_t n_rows = d.n_tokens * d.n_dims;
    d.pool = pool_new(0);
    d.tokens = calloc(d.n_tokens * d.width, sizeof *d.tokens);
    d.directions = malloc(d.n_dims * d.width * sizeof *d.directions);
    d.prior = malloc(n_rows * sizeof *d.prior);
    d.rows = malloc(n_rows * sizeof *d.rows);
    d.best = malloc(n_rows * sizeof *d.best);
    int status = 0;
    if (d.pool == NULL || d.tokens == NULL || d.directions == NULL || d.prior == NULL || d.rows == NULL || d.best == NULL)
        status = error_set(err, WEIR_E_MEMORY, "", "out of memory");
    if (status == 0)
        status = run(&d, &table, err);
    if (status == 0)
        status = write_table(&table, out_path, err);
    if (status == 0) {
        *report = json_copy(table.about);
        json_object_set_new(*report, "tokens", json_integer((json_int_t)d.n_tokens));
    }
    static_table_release(&table);
    lines_release(&d.lines);
    free(d.embeddings);
    free(d.targets);
    free(d.parts);
    free(d.weights);
    free(d.corpus.starts);
    free(d.corpus.ids);
    free(d.tokens);
    free(d.directions);
    free(d.prior);
    free(d.rows);
    free(d.best);
    pool_free(d.pool);
    return status;
}
