/* Tensor: a named, typed, checked view of weights in a mapped file. Rows are contiguous: ne[0] is the length of a row (the
 * input width of a matrix), ne[1] the number of rows (GGUF's order; a Hugging Face shape [out, in] is ne = {in, out}). */
#ifndef WEIR_KERNELS_TENSOR_H
#define WEIR_KERNELS_TENSOR_H

#include "weir_base.h"

enum tensor_type { /* Values as in GGUF (ggml). */
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q4_1 = 3,
    TENSOR_Q5_0 = 6,
    TENSOR_Q5_1 = 7,
    TENSOR_Q8_0 = 8,
    TENSOR_Q2_K = 10,
    TENSOR_Q3_K = 11,
    TENSOR_Q4_K = 12,
    TENSOR_Q5_K = 13,
    TENSOR_Q6_K = 14,
    TENSOR_IQ4_NL = 20,
    TENSOR_IQ4_XS = 23,
    TENSOR_I8 = 24,
    TENSOR_I16 = 25,
    TENSOR_I32 = 26,
    TENSOR_I64 = 27,
    TENSOR_F64 = 28,
    TENSOR_BF16 = 30,
};

struct tensor {
    const char *name;   /* Lives as long as the file. */
    enum tensor_type type;
    int n_dims;         /* 1…4 */
    int64_t ne[4];      /* Unused ones are 1. */
    const void *data;   /* n_bytes, checked to lie inside the file; alignment of the type is not promised. */
    size_t n_bytes;
};

/* Elements in a block and bytes of a block; 0 for a type that is not known. */
int tensor_type_block(enum tensor_type type);
size_t tensor_type_bytes(enum tensor_type type);
const char *tensor_type_name(enum tensor_type type); /* "Q4_1" */
/* Bytes of a row of n elements, or 0 when n is no multiple of the block. */
size_t tensor_row_bytes(enum tensor_type type, int64_t n);
/* Can dequantize_row read it: a float or a packed format, no integers. */
bool tensor_type_is_weight(enum tensor_type type);
/* n elements (a multiple of the block) from packed blocks to f32: the exact meaning of the format. */
void dequantize_row(enum tensor_type type, const void *blocks, float *out, int64_t n);
/* f32 to packed blocks, bit-exact with llama.cpp's reference for F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. K-quants and
 * IQ4 search their scales. importance may be NULL: a weight per column, for the searched ones. WEIR_E_UNSUPPORTED for a type that is only read. */
int quantize_row(enum tensor_type type, const float *in, void *blocks, int64_t n, const float *importance) WEIR_CHECKED;

#endif
