/* Attention over pages: against the definition in double precision, and its independence of batch and threads. */
#include "kernels/cpu.h"
#include "kernels/kv.h"

#include <criterion/criterion.h>
#include <math.h>

static uint32_t state = 3;

static float uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = uniform() * 2;
}

struct sequence {
    struct kv_store *store;
    struct kv *kv;
    float *k;
    float *v;
    int n;
};

static struct sequence sequence_new(const struct kv_shape *shape, int n)
{
    struct sequence s = {.n = n};
    struct error err;
    cr_assert(kv_store_new(&s.store, shape, (size_t)1 << 30, &err) == 0, "%s", err.text);
    cr_assert(kv_new(&s.kv, s.store) == 0);
    cr_assert(kv_reserve(s.kv, n) == 0);
    size_t n_k = (size_t)(shape->n_kv_heads * shape->head_dim_k), n_v = (size_t)(shape->n_kv_heads * shape->head_dim_v);
    s.k = malloc((size_t)n * n_k * sizeof *s.k);
    s.v = malloc((size_t)n * n_v * sizeof *s.v);
    fill(s.k, (size_t)n * n_k);
    fill(s.v, (size_t)n * n_v);
    for (int i = 0; i < n; i++)
        kv_write(s.kv, 1, i, s.k + (size_t)i * n_k, s.v + (size_t)i * n_v);
    kv_trim(s.kv, n);
    return s;
}

static void sequence_free(struct sequence *s)
{
    kv_free(s->kv);
    kv_store_free(s->store);
    free(s->k);
    free(s->v);
}

/* softmax(q K / …) V as it is written. */
static void define(const struct kv_shape *shape, const struct attention *a, const struct sequence *s, int position, const float *q, double *out)
{
    static double scores[4096];
    int group = a->n_heads / shape->n_kv_heads;
    for (int h = 0; h < a->n_heads; h++) {
        double sum = 0, max = -INFINITY;
        int first = a->window > 0 && position >= a->window ? position - a->window + 1 : 0;
        for (int i = first; i <= position; i++) {
            double score = 0;
            for (int d = 0; d < shape->head_dim_k; d++)
                score += (double)q[h * shape->head_dim_k + d] * (double)s->k[(i * shape->n_kv_heads + h / group) * shape->head_dim_k + d];
            score *= (double)a->scale;
            scores[i] = a->soft_cap > 0 ? (double)a->soft_cap * tanh(score / (double)a->soft_cap) : score;
            max = fmax(max, scores[i]);
        }
        for (int i = first; i <= position; i++)
            sum += scores[i] = exp(scores[i] - max);
        for (int d = 0; d < shape->head_dim_v; d++) {
            double value = 0;
            for (int i = first; i <= position; i++)
                value += scores[i] * (double)s->v[(i * shape->n_kv_heads + h / group) * shape->head_dim_v + d];
            out[h * shape->head_dim_v + d] = value / sum;
        }
    }
}

Test(attention, matches_its_definition_for_every_type_and_shape)
{
    static const struct {
        int heads, kv_heads, dim_k, dim_v, window;
        float cap;
    } shapes[] = {{9, 3, 64, 64, 0, 0},   {8, 1, 32, 32, 0, 0}, {4, 4, 80, 80, 0, 0},   {6, 2, 20, 12, 0, 0},
                  {9, 3, 64, 64, 100, 0}, {4, 2, 64, 64, 0, 5}, {40, 1, 16, 16, 300, 0}, {4, 1, 256, 256, 33, 3}};
    static const enum kv_type types[] = {KV_F32, KV_F16, KV_Q8_0};
    static const double budgets[] = {2e-6, 2e-3, 2e-2};
    enum { N = 700 };
    for (size_t c = 0; c < sizeof shapes / sizeof *shapes; c++)
        for (int t = 0; t < 3; t++) {
            struct kv_shape shape = {2, shapes[c].kv_heads, shapes[c].dim_k, shapes[c].dim_v, types[t]};
            struct attention a = {shapes[c].heads, 1.0f / sqrtf((float)shapes[c].dim_k), shapes[c].cap, shapes[c].window};
            struct sequence s = sequence_new(&shape, N);
            static const int rows_at[] = {0, 1, 31, 32, 33, 255, 256, 257, 511, 698, 699};
            enum { ROWS = sizeof rows_at / sizeof *rows_at };
            size_t n_q = (size_t)(a.n_heads * shape.head_dim_k), n_out = (size_t)(a.n_heads * shape.head_dim_v);
            float *q = malloc(ROWS * n_q * sizeof *q), *out = malloc(ROWS * n_out * sizeof *out);
            double *expected = malloc(n_out * sizeof *expected);
            fill(q, ROWS * n_q);
            struct kv *kv[ROWS];
            int32_t positions[ROWS];
            for (int i = 0; i < ROWS; i++) {
                kv[i] = s.kv;
                positions[i] = rows_at[i];
            }
            for (enum cpu_level level = CPU_SCALAR; level <= CPU_NEON; level++) {
                if (cpu_level_set(level) != level)
                    continue;
                attention_apply(&a, NULL, kv, positions, ROWS, 1, q, out);
                for (int r = 0; r < ROWS; r++) {
                    define(&shape, &a, &s, rows_at[r], q + (size_t)r * n_q, expected);
                    for (size_t i = 0; i < n_out; i++)
                        cr_assert(fabs((double)out[(size_t)r * n_out + i] - expected[i]) <= budgets[t], "shape %zu, type %d, level %d, position %d: %g not %g", c,
                                  (int)types[t], (int)level, rows_at[r], (double)out[(size_t)r * n_out + i], expected[i]);
                }
            }
            free(q);
            free(out);
            free(expected);
            sequence_free(&s);
        }
}

Test(attention, answers_do_not_depend_on_batch_or_threads)
{
    enum { N = 1100, ROWS = 50, MOST = 4 * 256 };
    static const struct {
        int heads, kv_heads, dim, window;
        enum kv_type type;
    } cases[] = {{9, 3, 64, 0, KV_F16}, {9, 3, 64, 300, KV_F16}, {4, 1, 256, 0, KV_F16}, {4, 1, 256, 70, KV_Q8_0}, {7, 1, 80, 0, KV_F32}, {8, 4, 36, 0, KV_Q8_0}};
    struct pool *pool = pool_new(3);
    static float q[ROWS * MOST], together[ROWS * MOST], threaded[ROWS * MOST], alone[MOST];
    struct kv *kv[ROWS];
    int32_t positions[ROWS];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct kv_shape shape = {2, cases[c].kv_heads, cases[c].dim, cases[c].dim, cases[c].type};
        struct attention a = {cases[c].heads, 0.125f, 0, cases[c].window};
        struct sequence one = sequence_new(&shape, N), two = sequence_new(&shape, 40);
        size_t n_row = (size_t)(cases[c].heads * cases[c].dim), n_bytes = ROWS * n_row * sizeof *q;
        fill(q, ROWS * n_row);
        for (int i = 0; i < ROWS; i++) {
            kv[i] = i < 35 ? one.kv : two.kv;
            positions[i] = i < 35 ? N - 35 + i : i - 35;
        }
        for (enum cpu_level level = CPU_SCALAR; level <= CPU_NEON; level++) {
            if (cpu_level_set(level) != level)
                continue;
            attention_apply(&a, NULL, kv, positions, ROWS, 1, q, together);
            attention_apply(&a, pool, kv, positions, ROWS, 1, q, threaded);
            cr_assert(memcmp(together, threaded, n_bytes) == 0, "case %zu, level %d depends on threads", c, (int)level);
            for (int i = 0; i < ROWS; i++) {
                attention_apply(&a, pool, kv + i, positions + i, 1, 1, q + (size_t)i * n_row, alone);
                cr_assert(memcmp(alone, together + (size_t)i * n_row, n_row * sizeof *q) == 0, "case %zu, level %d: row %d depends on its batch", c, (int)level, i);
            }
        }
        sequence_free(&one);
        sequence_free(&two);
    }
    pool_free(pool);
}

Test(attention, what_lies_past_the_last_position_has_no_part)
{
    enum { N = 70, ROW = 4 * 64 };
    static const enum kv_type types[] = {KV_F32, KV_F16, KV_Q8_0};
    for (int t = 0; t < 3; t++) {
        struct kv_shape shape = {2, 2, 64, 64, types[t]};
        struct attention a = {4, 0.125f, 0, 0};
        struct sequence s = sequence_new(&shape, N);
        float q[ROW], before[ROW], after[ROW], wild[2 * 64], calm[2 * 64] = {0};
        fill(q, ROW);
        for (int i = 0; i < 2 * 64; i++)
            wild[i] = types[t] == KV_Q8_0 ? 3e38f : NAN;
        int32_t position = N - 1;
        for (enum cpu_level level = CPU_SCALAR; level <= CPU_NEON; level++) {
            if (cpu_level_set(level) != level)
                continue;
            for (int i = N; i < 96; i++)
                kv_write(s.kv, 1, i, calm, calm);
            attention_apply(&a, NULL, &s.kv, &position, 1, 1, q, before);
            for (int i = N; i < 96; i++)
                kv_write(s.kv, 1, i, wild, wild);
            attention_apply(&a, NULL, &s.kv, &position, 1, 1, q, after);
            cr_assert(memcmp(before, after, sizeof after) == 0, "type %d, level %d", (int)types[t], (int)level);
        }
        sequence_free(&s);
    }
}
