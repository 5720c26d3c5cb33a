/* See lora.h. A's and B's rows are kept as f32; rows of a batch with the same adapter that stand together go through them
 * together, ROWS at a time, in exact arithmetic, whose order of summation is fixed.
 *
 * Invariant: as of adapter.c, an adapter is applied whole or not at all. */
#include "decoder/lora.h"
#include "decoder/adapter.h"

#include <stdlib.h>

enum { ROWS = 64 };

struct delta {
    const struct linear *of;
    struct linear *a; /* rank x n_in */
    struct linear *b; /* n_out x rank, times s */
};

struct lora {
    struct delta *deltas; /* In the order of `of`. */
    size_t n_deltas;
    float *inner;         /* ROWS x the largest rank. */
    float *sum;           /* ROWS x the largest n_out. */
};

static int by_linear(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct delta *)a)->of, y = (uintptr_t)((const struct delta *)b)->of;
    return (x > y) - (x < y);
}

static int refuse(const struct loader *loader, const struct matrix *matrix, const char *path, struct error *err)
{
    bool plain = matrix->expert < 0 && matrix->weight != W_ROUTER && matrix->weight != W_SHARED_ROUTER && matrix->weight != W_SHARED_GATE &&
                 matrix->weight != W_SHARED_UP && matrix->weight != W_SHARED_DOWN && matrix->weight != W_TOKEN_EMBD;
    if (plain)
        return 0;
    return error_set(err, WEIR_E_UNSUPPORTED, path, "changes an embedding, an expert or a router of %s: such an adapter can only be merged at load",
                     model_file_path(loader->file));
}

static int open_delta(struct lora *lora, const struct loader *loader, size_t index, const struct adapter *adapter, const char *path, struct error *err)
{
    const struct matrix *matrix = &loader->matrices[index];
    struct adapter_delta change;
    int found = loader_adapter(loader, matrix, adapter, &change, err);
    if (found <= 0)
        return found;
    int status = refuse(loader, matrix, path, err);
    if (status < 0)
        return status;
    struct delta *delta = &lora->deltas[lora->n_deltas++];
    *delta = (struct delta){.of = loader->linears[index]};
    int rank = (int)change.a->ne[1];
    float *a = malloc((size_t)rank * (size_t)matrix->n_in * sizeof *a), *b = malloc((size_t)matrix->n_out * (size_t)rank * sizeof *b);
    if (a == NULL || b == NULL)
        status = error_set(err, WEIR_E_MEMORY, path, "no memory");
    if (status == 0) {
        adapter_read(&change, matrix->first_row, matrix->n_out, a, b);
        status = linear_new_f32(&delta->a, a, rank, matrix->n_in, NULL, PRECISION_EXACT, err);
    }
    if (status == 0)
        status = linear_new_f32(&delta->b, b, matrix->n_out, rank, NULL, PRECISION_EXACT, err);
    free(a);
    free(b);
    return status;
}

int lora_open(struct lora **out, const struct loader *loader, const char *path, struct error *err)
{
    struct adapter *adapter = NULL;
    struct lora *lora = calloc(1, sizeof *lora);
    *out = NULL;
    int status = lora != NULL ? adapter_open(&adapter, path, err) : error_set(err, WEIR_E_MEMORY, path, "no memory");
    if (status == 0 && (lora->deltas = calloc(loader->n_linears, sizeof *lora->deltas)) == NULL)
        status = error_set(err, WEIR_E_MEMORY, path, "no memory");
    for (size_t i = 0; i < loader->n_linears && status == 0; i++)
        status = open_delta(lora, loader, i, adapter, path, err);
    if (status == 0)
        status = adapter_check_used(adapter, err);
    adapter_close(adapter);
    size_t rank = 1, n_out = 1;
    for (size_t i = 0; i < (status == 0 ? lora->n_deltas : 0); i++) {
        size_t r = (size_t)linear_n_out(lora->deltas[i].a), n = (size_t)linear_n_out(lora->deltas[i].b);
        rank = r > rank ? r : rank;
        n_out = n > n_out ? n : n_out;
    }
    if (status == 0 && ((lora->inner = malloc(ROWS * rank * sizeof *lora->inner)) == NULL || (lora->sum = malloc(ROWS * n_out * sizeof *lora->sum)) == NULL))
        status = error_set(err, WEIR_E_MEMORY, path, "no memory");
    if (status < 0) {
        lora_close(lora);
        return status;
    }
    qsort(lora->deltas, lora->n_deltas, sizeof *lora->deltas, by_linear);
    *out = lora;
    return 0;
}

void lora_close(struct lora *lora)
{
    if (lora == NULL)
        return;
    for (size_t i = 0; i < lora->n_deltas; i++) {
        linear_free(lora->deltas[i].a);
        linear_free(lora->deltas[i].b);
    }
    free(lora->deltas);
    free(lora->inner);
    free(lora->sum);
    free(lora);
}

/* Rows that stand together and have this adapter. */
static void add_run(struct lora *lora, int n_rows, const struct linear *linear, struct pool *pool, const float *x, float *y)
{
    const struct delta key = {.of = linear};
    const struct delta *delta = bsearch(&key, lora->deltas, lora->n_deltas, sizeof key, by_linear);
    if (delta == NULL)
        return;
    size_t n_in = (size_t)linear_n_in(linear), n_out = (size_t)linear_n_out(linear);
    for (int from = 0; from < n_rows; from += ROWS) {
        int n = n_rows - from < ROWS ? n_rows - from : ROWS;
        float *to = y + (size_t)from * n_out;
        linear_apply(delta->a, pool, x + (size_t)from * n_in, n, lora->inner);
        linear_apply(delta->b, pool, lora->inner, n, lora->sum);
        for (size_t i = 0; i < (size_t)n * n_out; i++)
            to[i] += lora->sum[i];
    }
}

void lora_add(struct lora *const *of_row, int n_rows, const struct linear *linear, struct pool *pool, const float *x, float *y)
{
    size_t n_in = (size_t)linear_n_in(linear), n_out = (size_t)linear_n_out(linear);
    for (int from = 0, end; from < n_rows; from = end) {
        for (end = from + 1; end < n_rows && of_row[end] == of_row[from]; end++)
            ;
        if (of_row[from] != NULL)
            add_run(of_row[from], end - from, linear, pool, x + (size_t)from * n_in, y + (size_t)from * n_out);
    }
}
