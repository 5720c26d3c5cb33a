/* Distillation on texts: a ridge regression from the tokens' own vectors to rows whose mean over a text comes close to the encoder's
 * vector of the text. Only directions matter, so in later rounds each text's vector is as long as what the table says of it.
 *
 * One line in twenty chooses the strength of the ridge, another one is what the agreement is measured on. */
#include "distill.h"

#include "agreement.h"

#include <math.h>
#include <stdlib.h>

enum { N_PARTS = 20, LEAST_TEXTS = 200, N_STEPS = 24, N_ROUNDS = 2 };
static const float PENALTIES[] = {0.3F, 0.1F, 0.03F, 0.01F, 0.003F};

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

int distill_read(struct distill *d, struct error *err)
{
    int status = lines_read(&d->lines, d->options->data_path, err);
    size_t n = d->lines.n, n_ids = 0;
    if (status < 0)
        return status;
    if (n < LEAST_TEXTS)
        return error_set(err, WEIR_E_INVALID, d->options->data_path, "%zu lines; a table is fitted to at least %d, better to many thousand", n, LEAST_TEXTS);
    d->embeddings = malloc(n * d->width * sizeof *d->embeddings);
    d->targets = malloc(n * d->n_dims * sizeof *d->targets);
    d->parts = malloc(n * sizeof *d->parts);
    d->weights = malloc(n * sizeof *d->weights);
    d->corpus.starts = calloc(n + 1, sizeof *d->corpus.starts);
    if (d->embeddings == NULL || d->targets == NULL || d->parts == NULL || d->weights == NULL || d->corpus.starts == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    status = lines_embed(&d->lines, d->encoder, d->embeddings, NULL, d->options->quiet, err);
    struct ids ids = {0};
    for (size_t i = 0; i < n && status == 0; i++) {
        str text = d->lines.items[i].text;
        uint64_t key = mix(str_hash(text) + 0x9e3779b97f4a7c15ULL * (d->options->seed + 1)) % N_PARTS;
        d->parts[i] = key == 0 ? PART_HELD : key == 1 ? PART_TUNE : PART_FIT;
        d->n_held += key == 0;
        status = tokenizer_encode(d->tokenizer, static_text_cut(text), TOKENIZE_BARE, &ids, err);
        for (size_t k = n_ids; k < ids.n; k++) /* What the table has no row for counts nothing. */
            if (ids.data[k] >= 0 && (size_t)ids.data[k] < d->n_tokens && !tokenizer_is_special(d->tokenizer, ids.data[k]))
                ids.data[n_ids++] = ids.data[k];
        ids.n = n_ids;
        d->corpus.starts[i + 1] = n_ids;
    }
    d->corpus.n = n;
    d->corpus.ids = ids.data;
    return status;
}

/* The mean of text i's rows. */
static void say(const struct distill *d, const float *rows, size_t i, float *out)
{
    size_t from = d->corpus.starts[i], to = d->corpus.starts[i + 1];
    memset(out, 0, d->n_dims * sizeof *out);
    for (size_t t = from; t < to; t++)
        for (size_t k = 0; k < d->n_dims; k++)
            out[k] += rows[(size_t)d->corpus.ids[t] * d->n_dims + k] / (float)(to - from);
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Mean cosine of what rows say with the encoder's vectors, of one part. */
static double cosine_of(const struct distill *d, const float *rows, enum part part)
{
    float said[STATIC_MOST_DIMS];
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < d->lines.n; i++) {
        if (d->parts[i] != part)
            continue;
        say(d, rows, i, said);
        double length = sqrt(dot(said, said, d->n_dims));
        sum += length > 0 ? dot(said, d->targets + i * d->n_dims, d->n_dims) / length : 0;
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}

/* The prior's one factor that brings it nearest to the texts. */
static void scale_prior(struct distill *d)
{
    float said[STATIC_MOST_DIMS];
    double along = 0, square = 0;
    for (size_t i = 0; i < d->lines.n; i++) {
        if (d->parts[i] != PART_FIT)
            continue;
        say(d, d->prior, i, said);
        along += dot(said, d->targets + i * d->n_dims, d->n_dims);
        square += dot(said, said, d->n_dims);
    }
    float factor = square > 0 && along > 0 ? (float)(along / square) : 1;
    for (size_t i = 0; i < d->n_tokens * d->n_dims; i++)
        d->prior[i] *= factor;
}

/* Each text's target as long as what the rows say along it. */
static void scale_targets(const struct distill *d, float *scaled)
{
    float said[STATIC_MOST_DIMS];
    for (size_t i = 0; i < d->lines.n; i++) {
        const float *target = d->targets + i * d->n_dims;
        say(d, d->rows, i, said);
        double square = dot(target, target, d->n_dims), scale = square > 0 ? dot(said, target, d->n_dims) / square : 0;
        scale = scale < 0.25 ? 0.25 : scale > 2 ? 2 : scale;
        for (size_t k = 0; k < d->n_dims; k++)
            scaled[i * d->n_dims + k] = (float)scale * target[k];
    }
}

int distill_texts(struct distill *d, json_t *metrics)
{
    size_t n_rows = d->n_tokens * d->n_dims, n_fits = sizeof PENALTIES / sizeof *PENALTIES + N_ROUNDS, done = 0;
    float *scaled = malloc(d->lines.n * d->n_dims * sizeof *scaled), penalty = PENALTIES[0];
    double best = -2;
    int status = scaled == NULL ? WEIR_E_MEMORY : 0;
    scale_prior(d);
    json_object_set_new(metrics, "cosine_unfitted", json_real(cosine_of(d, d->prior, PART_HELD)));
    memcpy(d->rows, d->prior, n_rows * sizeof *d->rows);
    for (size_t i = 0; i < sizeof PENALTIES / sizeof *PENALTIES && status == 0; i++) {
        status = distill_fit(&d->corpus, d->targets, d->weights, d->prior, d->n_tokens, d->n_dims, PENALTIES[i], N_STEPS, d->rows, d->pool);
        double cosine = cosine_of(d, d->rows, PART_TUNE);
        progress_show(d->options->quiet, "fitting", ++done, n_fits);
        if (cosine <= best)
            break;
        best = cosine;
        penalty = PENALTIES[i];
        memcpy(d->best, d->rows, n_rows * sizeof *d->rows);
    }
    for (int round = 0; round < N_ROUNDS && status == 0; round++) {
        memcpy(d->rows, d->best, n_rows * sizeof *d->rows);
        scale_targets(d, scaled);
        status = distill_fit(&d->corpus, scaled, d->weights, d->prior, d->n_tokens, d->n_dims, penalty, N_STEPS, d->rows, d->pool);
        double cosine = cosine_of(d, d->rows, PART_TUNE);
        if (cosine <= best)
            break;
        best = cosine;
        memcpy(d->best, d->rows, n_rows * sizeof *d->rows);
    }
    progress_show(d->options->quiet, "fitting", n_fits, n_fits);
    json_object_set_new(metrics, "penalty", json_real((double)penalty));
    free(scaled);
    return status;
}

int distill_measure(const struct distill *d, const struct static_table *table, json_t *metrics)
{
    struct agreement agreement;
    float *vectors = malloc((d->n_held + 1) * d->n_dims * sizeof *vectors), *embeddings = malloc((d->n_held + 1) * d->width * sizeof *embeddings);
    size_t n = 0;
    int status = vectors == NULL || embeddings == NULL ? WEIR_E_MEMORY : 0;
    for (size_t i = 0; i < d->lines.n && status == 0; i++) {
        if (d->parts[i] != PART_HELD)
            continue;
        static_table_embed_ids(table, d->corpus.ids + d->corpus.starts[i], d->corpus.starts[i + 1] - d->corpus.starts[i], vectors + n * d->n_dims);
        memcpy(embeddings + n++ * d->width, d->embeddings + i * d->width, d->width * sizeof *embeddings);
    }
    if (status == 0)
        status = agreement_measure(vectors, embeddings, d->directions, n, d->n_dims, d->width, d->options->seed, &agreement);
    if (status == 0) {
        json_object_set_new(metrics, "held_out", json_integer((json_int_t)n));
        json_object_set_new(metrics, "cosine", json_real(agreement.cosine));
        json_object_set_new(metrics, "cosine_limit", json_real(agreement.limit));
        json_object_set_new(metrics, "rank_correlation", json_real(agreement.rank_correlation));
    }
    free(vectors);
    free(embeddings);
    return status;
}
