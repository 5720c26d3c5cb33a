/* Matrix products: the plain form, and the choice of form. */
#include "matrix.h"
#include "weir_runtime.h"

void matrix_apply_scalar(const float *rows, size_t n_rows, const float *x, size_t n, float *out)
{
    for (size_t k = 0; k < n_rows; k++) {
        const float *row = rows + k * n;
        float lanes[8] = {0}, sum = 0;
        size_t i = 0;
        for (; i + 8 <= n; i += 8)
            for (int j = 0; j < 8; j++)
                lanes[j] += row[i + (size_t)j] * x[i + (size_t)j];
        for (; i < n; i++)
            sum += row[i] * x[i];
        for (int j = 0; j < 8; j++)
            sum += lanes[j];
        out[k] = sum;
    }
}

void matrix_add4_scalar(float *out, const float a[4], const float *const x[4], size_t n)
{
    const float *p = x[0], *q = x[1], *r = x[2], *s = x[3];
    for (size_t i = 0; i < n; i++)
        out[i] += (a[0] * p[i] + a[1] * q[i]) + (a[2] * r[i] + a[3] * s[i]);
}

struct matrix_kernels matrix_kernels(void)
{
    const char *kind = runtime_kernels();
    if (strncmp(kind, "avx", 3) == 0)
        return (struct matrix_kernels){matrix_apply_avx2, matrix_add4_avx2};
    return (struct matrix_kernels){matrix_apply_scalar, matrix_add4_scalar};
}
