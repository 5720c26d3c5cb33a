/* Packing and unpacking; packed.h describes the layout. Of the legacy formats a block moves as 32-bit words, at the speed of
 * memory; the others go value by value. */
#include "kernels/packed.h"
#include "kernels/block.h"
#include "kernels/half.h"
#include "kernels/slab.h"

#include <assert.h>
#include <math.h>
static const struct packed_form {
    int bits;
    int span;
    bool has_min;
    int offset;
} forms[] = {
    [TENSOR_F32] = {8, 32, false, 128},   [TENSOR_F16] = {8, 32, false, 128},  [TENSOR_BF16] = {8, 32, false, 128},
    [TENSOR_Q4_0] = {4, 32, false, 8},    [TENSOR_Q4_1] = {4, 32, true, 0},    [TENSOR_Q5_0] = {5, 32, false, 16},
    [TENSOR_Q5_1] = {5, 32, true, 0},     [TENSOR_Q8_0] = {8, 32, false, 128}, [TENSOR_Q2_K] = {4, 16, true, 0},
    [TENSOR_Q3_K] = {4, 16, false, 4},    [TENSOR_Q4_K] = {4, 32, true, 0},    [TENSOR_Q5_K] = {5, 32, true, 0},
    [TENSOR_Q6_K] = {6, 16, false, 32},   [TENSOR_IQ4_NL] = {8, 32, false, 128}, [TENSOR_IQ4_XS] = {8, 32, false, 128},
};

bool packed_takes(enum tensor_type type, bool quantize_floats)
{
    bool is_float = type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
    return tensor_type_is_weight(type) && (!is_float || quantize_floats);
}

int packed_init(struct packed *packed, enum tensor_type type, int n_out, int n_in)
{
    const struct packed_form *form = &forms[type];
    *packed = (struct packed){
        .n_in = n_in,
        .n_out = n_out,
        .n_blocks = (n_in + PACKED_BLOCK - 1) / PACKED_BLOCK,
        .n_groups = (n_out + PACKED_ROWS - 1) / PACKED_ROWS,
        .bits = form->bits,
        .span = form->span,
        .has_min = form->has_min,
        .offset = form->offset,
        .quant_bytes = form->bits == 8 ? 512 : 256,
        .high_bytes = form->bits == 5 ? 64 : form->bits == 6 ? 128 : 0,
        .scale_bytes = form->span == 16 ? 64 : 32,
    };
    size_t block = packed->quant_bytes + packed->high_bytes + packed->scale_bytes * (form->has_min ? 2 : 1);
    packed->group_bytes = ((size_t)packed->n_blocks * block + 63) / 64 * 64;
    packed->data = slab_take(packed->group_bytes * (size_t)packed->n_groups, &packed->slab);
    return packed->data == NULL ? WEIR_E_MEMORY : 0;
}

void packed_release(struct packed *packed)
{
    slab_drop(packed->slab);
    packed->data = NULL;
    packed->slab = NULL;
}

/* One block of a row on its way: unsigned quants with a scale and a min for each span. */
struct span_block {
    uint8_t q[PACKED_BLOCK];
    float scale[2];
    float min[2];
};

static void read_float(const float *x, int n, struct span_block *out)
{
    float max = 0;
    for (int i = 0; i < n; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    float scale = half_to_float(float_to_half(max / 127.0f));
    float inverse = scale > 0 ? 1.0f / scale : 0;
    for (int i = 0; i < PACKED_BLOCK; i++) {
        float level = i < n ? x[i] * inverse : 0;
        level = level > 127 ? 127 : level < -127 ? -127 : level; /* The rounded scale may be too small by a little. */
        out->q[i] = (uint8_t)(lrintf(level) + 128);
    }
    out->scale[0] = scale;
}

/* Block `part` (of eight) in a super-block of 256. */
static void read_k(enum tensor_type type, const uint8_t *block, int part, struct span_block *out)
{
    if (type == TENSOR_Q4_K || type == TENSOR_Q5_K) {
        int s, m;
        q4_k_scale(block + 4, part, &s, &m);
        out->scale[0] = load_half(block) * (float)s;
        out->min[0] = -load_half(block + 2) * (float)m;
        const uint8_t *q = block + (type == TENSOR_Q4_K ? 16 : 48) + part / 2 * 32;
        for (int i = 0; i < 32; i++) {
            int fifth = type == TENSOR_Q5_K ? (block[16 + i] >> part & 1) << 4 : 0;
            out->q[i] = (uint8_t)((q[i] >> (part % 2 * 4) & 15) | fifth);
        }
    } else if (type == TENSOR_Q6_K) {
        int half = part / 4, quarter = part % 4;
        const uint8_t *low = block + half * 64 + quarter % 2 * 32, *high = block + 128 + half * 32;
        for (int i = 0; i < 32; i++)
            out->q[i] = (uint8_t)((low[i] >> (quarter / 2 * 4) & 15) | (high[i] >> (quarter * 2) & 3) << 4);
        for (int h = 0; h < 2; h++)
            out->scale[h] = load_half(block + 208) * (float)(int8_t)block[192 + part * 2 + h];
    } else if (type == TENSOR_Q2_K) {
        const uint8_t *q = block + 16 + part / 4 * 32;
        for (int i = 0; i < 32; i++)
            out->q[i] = q[i] >> (part % 4 * 2) & 3;
        for (int h = 0; h < 2; h++) {
            out->scale[h] = load_half(block + 80) * (float)(block[part * 2 + h] & 15);
            out->min[h] = -load_half(block + 82) * (float)(block[part * 2 + h] >> 4);
        }
    } else if (type == TENSOR_Q3_K) {
        const uint8_t *q = block + 32 + part / 4 * 32;
        for (int i = 0; i < 32; i++)
            out->q[i] = (uint8_t)((q[i] >> (part % 4 * 2) & 3) | (block[i] >> part & 1) << 2);
        for (int h = 0; h < 2; h++)
            out->scale[h] = load_half(block + 108) * (float)(q3_k_scale(block + 96, part * 2 + h) - 32);
    } else {
        assert(type == TENSOR_IQ4_XS);
        int s = (block[4 + part / 2] >> (part % 2 * 4) & 15) | (load_u16(block + 2) >> (part * 2) & 3) << 4;
        out->scale[0] = load_half(block) * (float)(s - 32);
        for (int i = 0; i < 16; i++) {
            out->q[i] = (uint8_t)(iq4_levels[block[8 + part * 16 + i] & 15] + 128);
            out->q[i + 16] = (uint8_t)(iq4_levels[block[8 + part * 16 + i] >> 4] + 128);
        }
    }
}

static void read_legacy(enum tensor_type type, const uint8_t *block, struct span_block *out)
{
    bool has_min = type == TENSOR_Q4_1 || type == TENSOR_Q5_1, five = type == TENSOR_Q5_0 || type == TENSOR_Q5_1;
    out->scale[0] = load_half(block);
    block += 2;
    if (has_min) {
        out->min[0] = load_half(block);
        block += 2;
    }
    if (type == TENSOR_Q8_0) {
        for (int i = 0; i < 32; i++)
            out->q[i] = block[i] ^ 0x80;
        return;
    }
    uint32_t fifth = 0;
    if (five) {
        memcpy(&fifth, block, sizeof fifth);
        block += 4;
    }
    for (int i = 0; i < 16; i++) {
        out->q[i] = (uint8_t)((block[i] & 15) | (fifth >> i & 1) << 4);
        out->q[i + 16] = (uint8_t)(block[i] >> 4 | (fifth >> (i + 16) & 1) << 4);
        if (type == TENSOR_IQ4_NL) {
            out->q[i] = (uint8_t)(iq4_levels[out->q[i]] + 128);
            out->q[i + 16] = (uint8_t)(iq4_levels[out->q[i + 16]] + 128);
        }
    }
}

static void read_block(enum tensor_type type, const uint8_t *row, int n_in, int block, struct span_block *out)
{
    if (type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16) {
        int from = block * PACKED_BLOCK, n = n_in - from < PACKED_BLOCK ? n_in - from : PACKED_BLOCK;
        float x[PACKED_BLOCK];
        dequantize_row(type, row + (size_t)from * tensor_type_bytes(type), x, n);
        read_float(x, n, out);
    } else if (tensor_type_block(type) == 256) {
        read_k(type, row + (size_t)(block / 8) * tensor_type_bytes(type), block % 8, out);
    } else {
        read_legacy(type, row + (size_t)block * tensor_type_bytes(type), out);
    }
}

static void write_quants(const struct packed *packed, uint8_t *quants, uint8_t *high, int row, const uint8_t *q)
{
    for (int k = 0; k < PACKED_BLOCK; k++) {
        int quad = k / 4, byte = row * 4 + k % 4;
        if (packed->bits == 8) {
            quants[quad * 64 + byte] = q[k];
            continue;
        }
        quants[quad % 4 * 64 + byte] |= (uint8_t)((q[k] & 15) << (quad / 4 * 4));
        if (packed->bits == 5)
            high[quad * 8 + byte / 8] |= (uint8_t)((q[k] >> 4) << byte % 8);
        else if (packed->bits == 6)
            high[quad / 4 * 64 + byte] |= (uint8_t)((q[k] >> 4) << (quad % 4 * 2));
    }
}

static void fill_by_value(struct packed *packed, uint8_t *group, enum tensor_type type, const uint8_t *rows, size_t row_bytes, int n_rows)
{
    memset(group, 0, packed->group_bytes);
    uint8_t *high = group + (size_t)packed->n_blocks * packed->quant_bytes;
    uint16_t *scales = (uint16_t *)(high + (size_t)packed->n_blocks * packed->high_bytes);
    uint16_t *mins = scales + (size_t)packed->n_blocks * packed->scale_bytes / 2;
    int n_spans = PACKED_BLOCK / packed->span;
    for (int block = 0; block < packed->n_blocks; block++)
        for (int row = 0; row < n_rows; row++) {
            struct span_block values = {0};
            read_block(type, rows + (size_t)row * row_bytes, packed->n_in, block, &values);
            write_quants(packed, group + (size_t)block * packed->quant_bytes, high + (size_t)block * packed->high_bytes, row, values.q);
            for (int span = 0; span < n_spans; span++) {
                size_t at = (size_t)(block * n_spans + span) * PACKED_ROWS + (size_t)row;
                scales[at] = float_to_half(values.scale[span]);
                if (packed->has_min)
                    mins[at] = float_to_half(values.min[span]);
            }
        }
}

typedef uint32_t words __attribute__((vector_size(16)));

/* Four words of each of four rows, which lie row_bytes apart, turned: word i of all four rows goes to out + 16 i words. */
static void turn_words(const uint8_t *in, size_t row_bytes, uint32_t flip, uint32_t *out)
{
    words row[4];
    for (int i = 0; i < 4; i++)
        memcpy(&row[i], in + (size_t)i * row_bytes, sizeof row[i]);
    words low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5), high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    words low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5), high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    words turned[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                       __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
    for (int i = 0; i < 4; i++) {
        turned[i] ^= flip;
        memcpy(out + i * PACKED_ROWS, &turned[i], sizeof turned[i]);
    }
}

/* Q4_0, Q4_1, Q8_0: a 32-bit word of a row's block is a row's share of one vector. */
static void fill_by_word(struct packed *packed, uint8_t *group, enum tensor_type type, const uint8_t *rows, size_t row_bytes)
{
    uint16_t *scales = (uint16_t *)(group + (size_t)packed->n_blocks * packed->quant_bytes);
    uint16_t *mins = scales + (size_t)packed->n_blocks * PACKED_ROWS;
    size_t block_bytes = tensor_type_bytes(type), header = packed->has_min ? 4 : 2;
    int n_words = packed->bits == 8 ? 8 : 4;
    uint32_t flip = packed->bits == 8 ? 0x80808080 : 0;
    for (int block = 0; block < packed->n_blocks; block++) {
        uint32_t *out = (uint32_t *)(group + (size_t)block * packed->quant_bytes);
        const uint8_t *in = rows + (size_t)block * block_bytes;
        for (int row = 0; row < PACKED_ROWS; row++) {
            scales[block * PACKED_ROWS + row] = load_u16(in + (size_t)row * row_bytes);
            if (packed->has_min)
                mins[block * PACKED_ROWS + row] = load_u16(in + (size_t)row * row_bytes + 2);
        }
        for (int row = 0; row < PACKED_ROWS; row += 4)
            for (int word = 0; word < n_words; word += 4)
                turn_words(in + (size_t)row * row_bytes + header + (size_t)word * 4, row_bytes, flip, out + word * PACKED_ROWS + row);
    }
}

void packed_fill(struct packed *packed, int group, enum tensor_type type, const uint8_t *rows, size_t row_bytes)
{
    uint8_t *out = packed->data + (size_t)group * packed->group_bytes;
    int n_rows = packed->n_out - group * PACKED_ROWS < PACKED_ROWS ? packed->n_out - group * PACKED_ROWS : PACKED_ROWS;
    rows += (size_t)group * PACKED_ROWS * row_bytes;
    if (n_rows == PACKED_ROWS && (type == TENSOR_Q4_0 || type == TENSOR_Q4_1 || type == TENSOR_Q8_0))
        fill_by_word(packed, out, type, rows, row_bytes);
    else
        fill_by_value(packed, out, type, rows, row_bytes, n_rows);
}

void packed_block_quants(const struct packed *packed, int group, int block, int row, uint8_t *out)
{
    const uint8_t *quants = packed_quants(packed, group) + (size_t)block * packed->quant_bytes;
    const uint8_t *high = packed_high(packed, group) + (size_t)block * packed->high_bytes;
    for (int k = 0; k < PACKED_BLOCK; k++) {
        int quad = k / 4, byte = row * 4 + k % 4;
        if (packed->bits == 8) {
            out[k] = quants[quad * 64 + byte];
            continue;
        }
        out[k] = quants[quad % 4 * 64 + byte] >> (quad / 4 * 4) & 15;
        if (packed->bits == 5)
            out[k] |= (uint8_t)((high[quad * 8 + byte / 8] >> byte % 8 & 1) << 4);
        else if (packed->bits == 6)
            out[k] |= (uint8_t)((high[quad / 4 * 64 + byte] >> (quad % 4 * 2) & 3) << 4);
    }
}

void packed_row(const struct packed *packed, int row, float *out)
{
    int group = row / PACKED_ROWS, lane = row % PACKED_ROWS;
    const uint16_t *scales = packed_scales(packed, group), *mins = packed_mins(packed, group);
    uint8_t q[PACKED_BLOCK];
    for (int i = 0; i < packed->n_in; i++) {
        if (i % PACKED_BLOCK == 0)
            packed_block_quants(packed, group, i / PACKED_BLOCK, lane, q);
        size_t at = (size_t)(i / packed->span) * PACKED_ROWS + (size_t)lane;
        float scale = half_to_float(scales[at]);
        out[i] = packed->has_min ? scale * (float)q[i % PACKED_BLOCK] + half_to_float(mins[at])
                                 : scale * (float)(q[i % PACKED_BLOCK] - packed->offset);
    }
}
