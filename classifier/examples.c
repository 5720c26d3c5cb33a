/* Examples: features by the pool's threads, embeddings in batches of texts of about one length. */
#include "examples.h"

#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 32, TEXTS_PER_CHUNK = 64 };

void progress_show(bool quiet, const char *what, size_t done, size_t all)
{
    if (quiet || (!isatty(STDERR_FILENO) && done < all))
        return;
    fprintf(stderr, "%s%s: %zu of %zu%s", isatty(STDERR_FILENO) ? "\r" : "", what, done, all, done == all ? "\n" : "");
}

struct features_job {
    struct examples *examples;
    bool failed; /* Set by any thread, read after the job. */
};

static void features_chunk(void *arg, int chunk, int thread)
{
    (void)thread;
    struct features_job *job = arg;
    struct examples *examples = job->examples;
    size_t end = ((size_t)chunk + 1) * TEXTS_PER_CHUNK;
    for (size_t i = (size_t)chunk * TEXTS_PER_CHUNK; i < end && i < examples->lines.n; i++) {
        feature_surface(examples->lines.items[i].text, examples->surfaces + i * N_SURFACE);
        if (grams_read(&examples->grams[i], examples->lines.items[i].text) < 0)
            __atomic_store_n(&job->failed, true, __ATOMIC_RELAXED);
    }
}

/* A text's ids and its place, for sorting by length. */
struct encoded {
    struct ids ids;
    size_t place;
};

static int compare_encoded(const void *a, const void *b)
{
    const struct encoded *x = a, *y = b;
    if (x->ids.n != y->ids.n)
        return x->ids.n < y->ids.n ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* embeddings and inners (or NULL) of n texts, each put at its place. scratch: room for 2 × n vectors. */
static int embed_batch(struct model *encoder, const struct encoded *encoded, size_t n, float *scratch, float *embeddings, float *inners, struct error *err)
{
    struct encoder_input inputs[BATCH];
    size_t width = (size_t)model_info_peek(encoder)->n_embd;
    for (size_t i = 0; i < n; i++)
        inputs[i] = (struct encoder_input){.ids = encoded[i].ids.data, .n = encoded[i].ids.n};
    int status = inners != NULL ? model_embed_inner(encoder, inputs, n, scratch, scratch + BATCH * width, err) : model_embed(encoder, inputs, n, scratch, err);
    for (size_t i = 0; i < n && status == 0; i++) {
        memcpy(embeddings + encoded[i].place * width, scratch + i * width, width * sizeof *scratch);
        if (inners != NULL)
            memcpy(inners + encoded[i].place * width, scratch + (BATCH + i) * width, width * sizeof *scratch);
    }
    return status;
}

int lines_embed(const struct lines *lines, struct model *encoder, float *embeddings, float *inners, bool quiet, struct error *err)
{
    size_t n = lines->n;
    float *scratch = malloc(2 * (size_t)BATCH * (size_t)model_info_peek(encoder)->n_embd * sizeof *scratch);
    struct encoded *encoded = calloc(n, sizeof *encoded);
    int status = scratch == NULL || encoded == NULL ? error_set(err, WEIR_E_MEMORY, "", "out of memory") : 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        encoded[i].place = i;
        status = model_text_ids(encoder, lines->items[i].text, &encoded[i].ids, err);
    }
    if (status == 0)
        qsort(encoded, n, sizeof *encoded, compare_encoded);
    for (size_t i = 0; i < n && status == 0; i += BATCH) {
        size_t batch = n - i < BATCH ? n - i : BATCH;
        status = embed_batch(encoder, encoded + i, batch, scratch, embeddings, inners, err);
        progress_show(quiet, "embedding", i + batch, n);
    }
    for (size_t i = 0; encoded != NULL && i < n; i++)
        ids_release(&encoded[i].ids);
    free(encoded);
    free(scratch);
    return status;
}

static int embed_all(struct examples *examples, struct model *encoder, bool quiet, struct error *err)
{
    size_t n = examples->lines.n;
    examples->n_embd = model_info_peek(encoder)->n_embd;
    examples->embeddings = malloc(n * (size_t)examples->n_embd * sizeof *examples->embeddings);
    examples->inners = malloc(n * (size_t)examples->n_embd * sizeof *examples->inners);
    if (examples->embeddings == NULL || examples->inners == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    return lines_embed(&examples->lines, encoder, examples->embeddings, examples->inners, quiet, err);
}

/* Each text's vector by the table. */
static int embed_static(struct examples *examples, const struct static_table *table, struct model *encoder, struct error *err)
{
    size_t n = examples->lines.n, width = (size_t)table->n_dims;
    examples->statics = malloc(n * width * sizeof *examples->statics);
    if (examples->statics == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++)
        status = static_table_embed(table, model_tokenizer_peek(encoder), examples->lines.items[i].text, examples->statics + i * width, err);
    return status;
}

int examples_read(struct examples *examples, const char *path, struct model *encoder, const struct static_table *table, struct pool *pool, bool quiet,
                  struct error *err)
{
    *examples = (struct examples){0};
    int status = lines_read(&examples->lines, path, err);
    if (status < 0)
        return status;
    size_t n = examples->lines.n;
    struct features_job job = {.examples = examples};
    examples->surfaces = malloc(n * N_SURFACE * sizeof *examples->surfaces);
    examples->grams = calloc(n, sizeof *examples->grams);
    if (examples->surfaces == NULL || examples->grams == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "out of memory");
    pool_run(pool, (int)((n + TEXTS_PER_CHUNK - 1) / TEXTS_PER_CHUNK), features_chunk, &job);
    if (job.failed)
        return error_set(err, WEIR_E_MEMORY, path, "out of memory");
    status = encoder != NULL ? embed_all(examples, encoder, quiet, err) : 0;
    return status == 0 && encoder != NULL && table != NULL ? embed_static(examples, table, encoder, err) : status;
}

void examples_release(struct examples *examples)
{
    for (size_t i = 0; examples->grams != NULL && i < examples->lines.n; i++)
        grams_release(&examples->grams[i]);
    free(examples->surfaces);
    free(examples->grams);
    free(examples->embeddings);
    free(examples->inners);
    free(examples->statics);
    lines_release(&examples->lines);
    *examples = (struct examples){0};
}
