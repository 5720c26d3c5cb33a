/* See activity.h. Sums are taken in double precision, position by position, in the order of the pass. */
#include "decoder/activity.h"

#include <math.h>
#include <stdlib.h>

static double *columns(const struct activity *activity, enum weight weight, int *width)
{
    *width = weight == W_O ? activity->n_q : weight == W_DOWN ? activity->n_ff : activity->n_embd;
    switch ((int)weight) {
    case W_Q:
    case W_K:
    case W_V:
        return activity->q;
    case W_O:
        return activity->o;
    case W_GATE:
    case W_UP:
        return activity->up;
    case W_DOWN:
        return activity->down;
    default:
        return NULL;
    }
}

const double *activity_columns(const struct activity *activity, enum weight weight, int layer)
{
    int width;
    const double *sums = columns(activity, weight, &width);
    return sums != NULL ? sums + (size_t)layer * (size_t)width : NULL;
}

/* 1 - cos of two vectors; of one without length 0, as it turns nothing. */
static double turn(const float *a, const float *b, int n)
{
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? 1 - dot / sqrt(aa * bb) : 0;
}

/* The stream between two layers: what the earlier one did is known. */
static void see_stream(struct activity *activity, int layer, const float *x, int n_rows)
{
    size_t n = (size_t)n_rows * (size_t)activity->n_embd;
    if (layer == 0)
        activity->n_rows += n_rows;
    for (int row = 0; layer > 0 && n == activity->n_before && row < n_rows; row++)
        activity->turned[layer - 1] += turn(activity->before + (size_t)row * (size_t)activity->n_embd, x + (size_t)row * (size_t)activity->n_embd, activity->n_embd);
    float *kept = n <= activity->n_before ? activity->before : realloc(activity->before, n * sizeof *kept);
    if (kept == NULL) {
        activity->failed = true;
        return;
    }
    memcpy(kept, x, n * sizeof *kept);
    activity->before = kept;
    activity->n_before = n;
}

static void see(void *user, enum weight weight, int layer, const float *x, int n_rows, int width)
{
    struct activity *activity = user;
    if (weight == W_ATTN_NORM || weight == W_OUTPUT_NORM) {
        see_stream(activity, layer, x, n_rows);
        return;
    }
    int own;
    double *sums = columns(activity, weight, &own) + (size_t)layer * (size_t)width;
    for (int row = 0; row < n_rows; row++)
        for (int i = 0; i < width; i++)
            sums[i] += (double)x[(size_t)row * (size_t)width + (size_t)i] * (double)x[(size_t)row * (size_t)width + (size_t)i];
}

int activity_start(struct activity *activity, struct decoder *decoder, struct error *err)
{
    const struct decoder_config *config = &decoder->config;
    size_t n = (size_t)config->n_layers;
    *activity = (struct activity){.decoder = decoder, .n_layers = config->n_layers, .n_embd = config->n_embd,
                                  .n_q = config->n_heads * config->head_dim, .n_ff = config->n_ff};
    arena_init(&activity->arena, 0);
    activity->q = arena_array(&activity->arena, n * (size_t)config->n_embd, sizeof(double));
    activity->o = arena_array(&activity->arena, n * (size_t)activity->n_q, sizeof(double));
    activity->up = arena_array(&activity->arena, n * (size_t)config->n_embd, sizeof(double));
    activity->down = arena_array(&activity->arena, n * (size_t)config->n_ff, sizeof(double));
    activity->turned = arena_array(&activity->arena, n, sizeof(double));
    if (activity->q == NULL || activity->o == NULL || activity->up == NULL || activity->down == NULL || activity->turned == NULL)
        return error_set(err, WEIR_E_MEMORY, "activity", "no memory for %d layers", config->n_layers);
    decoder->observer = see;
    decoder->observer_user = activity;
    return 0;
}

int activity_stop(struct activity *activity, struct error *err)
{
    activity->decoder->observer = NULL;
    return activity->failed ? error_set(err, WEIR_E_MEMORY, "activity", "no memory for a batch") : 0;
}

void activity_release(struct activity *activity)
{
    free(activity->before);
    arena_release(&activity->arena);
}

double activity_influence(const struct activity *activity, int layer)
{
    return activity->n_rows > 0 ? activity->turned[layer] / (double)activity->n_rows : 0;
}
