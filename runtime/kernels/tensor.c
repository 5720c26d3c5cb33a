/* The table of weight formats. */
#include "kernels/tensor.h"

static const struct {
    const char *name;
    int block;
    int bytes;
} formats[] = {
    [TENSOR_F32] = {"F32", 1, 4},       [TENSOR_F16] = {"F16", 1, 2},       [TENSOR_Q4_0] = {"Q4_0", 32, 18},
    [TENSOR_Q4_1] = {"Q4_1", 32, 20},   [TENSOR_Q5_0] = {"Q5_0", 32, 22},   [TENSOR_Q5_1] = {"Q5_1", 32, 24},
    [TENSOR_Q8_0] = {"Q8_0", 32, 34},   [TENSOR_Q2_K] = {"Q2_K", 256, 84},  [TENSOR_Q3_K] = {"Q3_K", 256, 110},
    [TENSOR_Q4_K] = {"Q4_K", 256, 144}, [TENSOR_Q5_K] = {"Q5_K", 256, 176}, [TENSOR_Q6_K] = {"Q6_K", 256, 210},
    [TENSOR_IQ4_NL] = {"IQ4_NL", 32, 18}, [TENSOR_IQ4_XS] = {"IQ4_XS", 256, 136},
    [TENSOR_I8] = {"I8", 1, 1},         [TENSOR_I16] = {"I16", 1, 2},       [TENSOR_I32] = {"I32", 1, 4},
    [TENSOR_I64] = {"I64", 1, 8},       [TENSOR_F64] = {"F64", 1, 8},       [TENSOR_BF16] = {"BF16", 1, 2},
};

static bool known(enum tensor_type type)
{
    return (unsigned)type < sizeof formats / sizeof *formats && formats[type].block > 0;
}

int tensor_type_block(enum tensor_type type)
{
    return known(type) ? formats[type].block : 0;
}

size_t tensor_type_bytes(enum tensor_type type)
{
    return known(type) ? (size_t)formats[type].bytes : 0;
}

const char *tensor_type_name(enum tensor_type type)
{
    return known(type) ? formats[type].name : "unknown";
}

size_t tensor_row_bytes(enum tensor_type type, int64_t n)
{
    if (!known(type) || n < 0 || n % formats[type].block != 0)
        return 0;
    return (size_t)(n / formats[type].block) * (size_t)formats[type].bytes;
}
