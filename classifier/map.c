/* Map: the kernel
 *   T + F (1 + 3 T) / 2 + W + (tf-idf of words · words' + of characters · characters') / 2,
 *   T = exp(-1.5 |u - u'|²), F and W sums of share exp(-gamma |v - v'|²), and F alone in the place of the first two terms without a topic,
 * where u is the direction of the encoder's inner vector from the center and v a part of the standardised form. A question's parts are
 * the N_CORE marks that say most, all its marks and quantities, and the work that they let expect; an answer's are its checks, and those
 * with its marks. The tf-idf is linear already; the others are given as the values at landmarks, texts of the training data
 * (Nyström's method, Williams and Seeger 2001; exact kernel regression while the training data has no more texts than there may
 * be landmarks). */
#include "map.h"
#include "answer.h"
#include "matrix.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_PARTS = 3 };

/* Numbers from … to - 1 of a form, multiples of 4. */
struct part {
    int from, to;
    float gamma; /* Of the mean square of the differences. */
    float share;
};

static const float TOPIC_GAMMA = 1.5F;
/* With a topic, marks count for less by themselves and for more where the topic is alike too: what they say of difficulty differs
 * between topics. What work is expected counts alike everywhere. */
static const float MARKS_ALONE = 0.5F, MARKS_WITHIN_TOPIC = 1.5F;
static const struct {
    int n_form;
    struct part parts[MOST_PARTS];
} kinds[] = {
    [MAP_QUESTIONS] = {N_SURFACE, {{0, N_CORE, 0.7F, 2 / 3.0F}, {0, N_SHAPE, 0.5F, 2 / 3.0F}, {N_SHAPE, N_SURFACE, 0.3F, 1}}},
    [MAP_ANSWERS] = {N_ANSWER, {{0, N_CHECKS, 0.7F, 2 / 3.0F}, {0, N_ANSWER, 0.5F, 2 / 3.0F}}},
};
_Static_assert((int)N_SURFACE <= (int)MOST_FORM && (int)N_ANSWER <= (int)MOST_FORM, "a form fits a map");

int map_init(struct map *map, enum map_kind kind, int n_embd, int n_landmarks)
{
    *map = (struct map){.kind = kind, .n_form = kinds[kind].n_form, .n_embd = n_embd, .n_landmarks = n_landmarks};
    map->idf = calloc(N_BUCKETS, sizeof *map->idf);
    map->center = calloc((size_t)n_embd + 1, sizeof *map->center);
    map->topics = calloc((size_t)n_landmarks * (size_t)n_embd + 1, sizeof *map->topics);
    map->forms = calloc((size_t)n_landmarks * (size_t)map->n_form + 1, sizeof *map->forms);
    return map->idf == NULL || map->center == NULL || map->topics == NULL || map->forms == NULL ? WEIR_E_MEMORY : 0;
}

void map_release(struct map *map)
{
    free(map->idf);
    free(map->center);
    free(map->topics);
    free(map->forms);
    *map = (struct map){0};
}

int map_fit(struct map *map, const float *forms, const float *inners, const struct grams *grams, size_t n)
{
    uint32_t *documents = calloc(N_BUCKETS, sizeof *documents);
    if (documents == NULL)
        return WEIR_E_MEMORY;
    for (int k = 0; k < map->n_form; k++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            double v = (double)forms[i * (size_t)map->n_form + (size_t)k];
            sum += v;
            squares += v * v;
        }
        double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
        map->mean[k] = (float)mean;
        map->inverse_sd[k] = variance > 1e-8 ? (float)(1 / sqrt(variance)) : 0;
    }
    for (int k = 0; k < map->n_embd && inners != NULL; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)inners[i * (size_t)map->n_embd + (size_t)k];
        map->center[k] = (float)(sum / (double)n);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < grams[i].n; k++)
            documents[grams[i].items[k].bucket]++;
    for (int b = 0; b < N_BUCKETS; b++)
        map->idf[b] = documents[b] > 0 ? (float)(1 + log((1 + (double)n) / (1 + (double)documents[b]))) : 0;
    free(documents);
    return 0;
}

static void standardise(const struct map *map, const float *form, float *out)
{
    for (int i = 0; i < map->n_form; i++) {
        float v = (form[i] - map->mean[i]) * map->inverse_sd[i];
        out[i] = v > 4 ? 4 : v < -4 ? -4 : v;
    }
}

/* The direction from the center; all zeros at the center itself. */
static void direct(const struct map *map, const float *inner, float *out)
{
    double square = 0;
    for (int i = 0; i < map->n_embd; i++) {
        out[i] = inner[i] - map->center[i];
        square += (double)out[i] * (double)out[i];
    }
    float scale = square > 1e-12 ? (float)(1 / sqrt(square)) : 0;
    for (int i = 0; i < map->n_embd; i++)
        out[i] *= scale;
}

void map_set_landmark(struct map *map, int index, const float *form, const float *inner)
{
    standardise(map, form, map->forms + (size_t)index * (size_t)map->n_form);
    if (inner != NULL)
        direct(map, inner, map->topics + (size_t)index * (size_t)map->n_embd);
}

void map_plain(const struct map *map, const float surface[N_SURFACE], const float *inner, float *out)
{
    float scale = sqrtf((float)map->n_embd);
    standardise(map, surface, out);
    direct(map, inner, out + N_SURFACE);
    for (int i = 0; i < map->n_embd; i++)
        out[N_SURFACE + i] *= scale;
}

static float square_distance(const float *a, const float *b, int from, int to)
{
    float lanes[4] = {0};
    for (int i = from; i < to; i += 4)
        for (int k = 0; k < 4; k++) {
            float d = a[i + k] - b[i + k];
            lanes[k] += d * d;
        }
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

void map_dense(const struct map *map, const float *form, const float *inner, float *out)
{
    float own[MOST_FORM], topic[MOST_EMBD], along[MOST_LANDMARKS];
    size_t n = (size_t)map->n_landmarks;
    const struct part *parts = kinds[map->kind].parts;
    standardise(map, form, own);
    if (inner != NULL) {
        direct(map, inner, topic);
        matrix_kernels().apply(map->topics, n, topic, (size_t)map->n_embd, along);
    }
    for (size_t k = 0; k < n; k++) {
        const float *other = map->forms + k * (size_t)map->n_form;
        /* The second part goes on where the first ends. */
        float first = square_distance(own, other, 0, parts[0].to), rest = square_distance(own, other, parts[0].to, parts[1].to);
        float marks = parts[0].share * expf(-parts[0].gamma / (float)parts[0].to * first) +
                      parts[1].share * expf(-parts[1].gamma / (float)parts[1].to * (first + rest));
        out[k] = marks;
        if (inner != NULL) {
            float alike = expf(-TOPIC_GAMMA * 2 * (1 - (along[k] < 1 ? along[k] : 1)));
            out[k] = alike + marks * (MARKS_ALONE + MARKS_WITHIN_TOPIC * alike);
        }
        if (parts[2].share > 0)
            out[k] += parts[2].share * expf(-parts[2].gamma / (float)(parts[2].to - parts[2].from) * square_distance(own, other, parts[2].from, parts[2].to));
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
