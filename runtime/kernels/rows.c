/* The scalar form and the loop around all of them. */
#include "kernels/rows.h"
#include "kernels/cpu.h"

enum { LANES = 16, X_AT_ONCE = 64 };

static float dot(const float *a, const float *b, int n)
{
    float sums[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    for (int lane = 0; i < n; i++, lane++)
        sums[lane] += a[i] * b[i];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; lane++)
            sums[lane] += sums[lane + width];
    return sums[0];
}

static void rows_dot_scalar(const float *const w[ROWS_AT_ONCE], const float *x, size_t x_stride, int n_x, int n, float *sums)
{
    for (int i = 0; i < n_x; i++)
        for (int row = 0; row < ROWS_AT_ONCE; row++)
            sums[i * ROWS_AT_ONCE + row] += dot(w[row], x + (size_t)i * x_stride, n);
}

static rows_dot_fn *dot_for_cpu(void)
{
#if defined(__x86_64__)
    if (cpu_level() == CPU_VNNI)
        return rows_dot_vnni;
    if (cpu_level() == CPU_AVX2)
        return rows_dot_avx2;
#elif defined(__aarch64__)
    if (cpu_level() == CPU_NEON)
        return rows_dot_neon;
#endif
    return rows_dot_scalar;
}

/* Columns from … from + n of one row: where they lie, or widened into piece. */
static const float *row_piece(const struct rows *rows, int row, int from, int n, float *piece)
{
    const uint8_t *at = rows->data + (size_t)row * rows->row_bytes + tensor_row_bytes(rows->type, from);
    if (rows->type == TENSOR_F32 && (uintptr_t)at % sizeof(float) == 0)
        return (const float *)(const void *)at;
#if defined(__x86_64__)
    if (rows->type == TENSOR_F16 && cpu_level() >= CPU_AVX2) {
        rows_widen_f16_avx2(at, piece, n);
        return piece;
    }
#elif defined(__aarch64__)
    if (rows->type == TENSOR_F16 && cpu_level() == CPU_NEON) {
        rows_widen_f16_neon(at, piece, n);
        return piece;
    }
#endif
    dequantize_row(rows->type, at, piece, n);
    return piece;
}

void rows_multiply(const struct rows *rows, int first, const float *x, int n_x, float *y)
{
    _Alignas(64) float pieces[ROWS_AT_ONCE][ROWS_PIECE];
    float sums[X_AT_ONCE * ROWS_AT_ONCE];
    rows_dot_fn *dot_rows = dot_for_cpu();
    int n_rows = rows->n_out - first < ROWS_AT_ONCE ? rows->n_out - first : ROWS_AT_ONCE;
    for (int x_first = 0; x_first < n_x; x_first += X_AT_ONCE) {
        int n = n_x - x_first < X_AT_ONCE ? n_x - x_first : X_AT_ONCE;
        const float *x_rows = x + (size_t)x_first * (size_t)rows->n_in;
        memset(sums, 0, sizeof sums);
        for (int from = 0; from < rows->n_in; from += ROWS_PIECE) {
            int width = rows->n_in - from < ROWS_PIECE ? rows->n_in - from : ROWS_PIECE;
            const float *w[ROWS_AT_ONCE];
            for (int i = 0; i < ROWS_AT_ONCE; i++) /* Past the last row the first is taken again, and not stored. */
                w[i] = i < n_rows ? row_piece(rows, first + i, from, width, pieces[i]) : w[0];
            dot_rows(w, x_rows + from, (size_t)rows->n_in, n, width, sums);
        }
        for (int i = 0; i < n; i++)
            for (int row = 0; row < n_rows; row++)
                y[(size_t)(x_first + i) * (size_t)rows->n_out + (size_t)(first + row)] =
                    rows->scale * sums[i * ROWS_AT_ONCE + row] + (rows->bias == NULL ? 0 : rows->bias[first + row]);
    }
}
