/* Map: the kernel
 *   exp(-1.5 |u - v|²) + (tf-idf of words · words' + of characters · characters') / 2 + 0.05/12 · surface · surface'
 * where u is the unit embedding beside 0.1 × the standardised surface features. The last two terms are linear already; the
 * first is given as the values at landmarks, texts of the training data (Nyström's method, Williams and Seeger 2001; exact
 * kernel regression while the training data has no more texts than there may be landmarks). */
#include "map.h"
#include "matrix.h"

#include <math.h>
#include <stdlib.h>

static const float SURFACE_IN_KERNEL = 0.1F;
static const float GAMMA = 1.5F;
static const double SURFACE_SHARE = 0.05;

int map_n_dense(const struct map *map)
{
    return N_SURFACE + map->n_landmarks;
}

int map_init(struct map *map, int n_embd, int n_landmarks)
{
    *map = (struct map){.n_embd = n_embd, .n_landmarks = n_embd > 0 ? n_landmarks : 0};
    map->idf = calloc(N_BUCKETS, sizeof *map->idf);
    map->landmarks = calloc((size_t)map->n_landmarks * (size_t)(n_embd + N_SURFACE) + 1, sizeof *map->landmarks);
    return map->idf == NULL || map->landmarks == NULL ? WEIR_E_MEMORY : 0;
}

void map_release(struct map *map)
{
    free(map->idf);
    free(map->landmarks);
    *map = (struct map){0};
}

int map_fit(struct map *map, const float *surfaces, const struct grams *grams, size_t n)
{
    uint32_t *documents = calloc(N_BUCKETS, sizeof *documents);
    if (documents == NULL)
        return WEIR_E_MEMORY;
    for (int k = 0; k < N_SURFACE; k++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            double v = (double)surfaces[i * N_SURFACE + (size_t)k];
            sum += v;
            squares += v * v;
        }
        double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
        map->mean[k] = (float)mean;
        map->inverse_sd[k] = variance > 1e-8 ? (float)(1 / sqrt(variance)) : 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < grams[i].n; k++)
            documents[grams[i].items[k].bucket]++;
    for (int b = 0; b < N_BUCKETS; b++)
        map->idf[b] = documents[b] > 0 ? (float)(1 + log((1 + (double)n) / (1 + (double)documents[b]))) : 0;
    free(documents);
    return 0;
}

static void standardise(const struct map *map, const float surface[N_SURFACE], float out[N_SURFACE])
{
    for (int i = 0; i < N_SURFACE; i++) {
        float v = (surface[i] - map->mean[i]) * map->inverse_sd[i];
        out[i] = v > 6 ? 6 : v < -6 ? -6 : v;
    }
}

/* Embedding and scaled surface side by side; returns the squared length. */
static float join(const struct map *map, const float standard[N_SURFACE], const float *embedding, float *out)
{
    float square = 0;
    memcpy(out, embedding, (size_t)map->n_embd * sizeof *out);
    for (int i = 0; i < N_SURFACE; i++)
        out[map->n_embd + i] = SURFACE_IN_KERNEL * standard[i];
    for (int i = 0; i < map->n_embd + N_SURFACE; i++)
        square += out[i] * out[i];
    return square;
}

void map_set_landmark(struct map *map, int index, const float surface[N_SURFACE], const float *embedding)
{
    float standard[N_SURFACE];
    standardise(map, surface, standard);
    map->landmark_squares[index] = join(map, standard, embedding, map->landmarks + (size_t)index * (size_t)(map->n_embd + N_SURFACE));
}

void map_measure_landmarks(struct map *map)
{
    size_t width = (size_t)(map->n_embd + N_SURFACE);
    for (int k = 0; k < map->n_landmarks; k++) {
        const float *landmark = map->landmarks + (size_t)k * width;
        map->landmark_squares[k] = 0;
        for (size_t i = 0; i < width; i++)
            map->landmark_squares[k] += landmark[i] * landmark[i];
    }
}

void map_dense(const struct map *map, const float surface[N_SURFACE], const float *embedding, float *out)
{
    float standard[N_SURFACE], share = (float)sqrt(SURFACE_SHARE / N_SURFACE), joined[MOST_EMBD + N_SURFACE];
    size_t width = (size_t)(map->n_embd + N_SURFACE);
    standardise(map, surface, standard);
    for (int i = 0; i < N_SURFACE; i++)
        out[i] = standard[i] * share;
    if (embedding == NULL)
        return;
    float square = join(map, standard, embedding, joined), *near = out + N_SURFACE;
    matrix_kernels().apply(map->landmarks, (size_t)map->n_landmarks, joined, width, near);
    for (int k = 0; k < map->n_landmarks; k++) {
        float distance = square + map->landmark_squares[k] - 2 * near[k];
        near[k] = expf(-GAMMA * (distance > 0 ? distance : 0));
    }
}

static void weigh_half(const struct map *map, struct gram *items, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        items[i].value *= map->idf[items[i].bucket];
        squares += (double)items[i].value * (double)items[i].value;
    }
    float scale = squares > 0 ? (float)sqrt(0.5 / squares) : 0;
    for (size_t i = 0; i < n; i++)
        items[i].value *= scale;
}

void map_weigh(const struct map *map, struct grams *grams)
{
    weigh_half(map, grams->items, grams->n_words);
    weigh_half(map, grams->items + grams->n_words, grams->n - grams->n_words);
}
