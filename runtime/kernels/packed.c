/* Packing and unpacking; packed.h describes the layout. Of the commonest formats a block moves as 32-bit words, at the speed of
 * memory; the others are unpacked to bytes on the way. packed_k.c has those with integer scales. */
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
    int n_sets;
    size_t code_bytes;
} forms[] = {
    [TENSOR_F32] = {8, 32, false, 128, 0, 0},   [TENSOR_F16] = {8, 32, false, 128, 0, 0},  [TENSOR_BF16] = {8, 32, false, 128, 0, 0},
    [TENSOR_Q4_0] = {4, 32, false, 8, 0, 0},    [TENSOR_Q4_1] = {4, 32, true, 0, 0, 0},    [TENSOR_Q5_0] = {5, 32, false, 16, 0, 0},
    [TENSOR_Q5_1] = {5, 32, true, 0, 0, 0},     [TENSOR_Q8_0] = {8, 32, false, 128, 0, 0}, [TENSOR_Q2_K] = {2, 16, true, 0, 0, 256},
    [TENSOR_Q3_K] = {3, 16, false, 4, 2, 128},  [TENSOR_Q4_K] = {4, 32, true, 0, 2, 128},  [TENSOR_Q5_K] = {5, 32, true, 0, 2, 128},
    [TENSOR_Q6_K] = {6, 16, false, 32, 0, 256}, [TENSOR_IQ4_NL] = {PACKED_LEVELS, 32, false, 128, 0, 0},
    [TENSOR_IQ4_XS] = {PACKED_LEVELS, 32, false, 128, 1, 64},
};

bool packed_takes(enum tensor_type type, bool quantize_floats)
{
    bool is_float = type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
    return tensor_type_is_weight(type) && (!is_float || quantize_floats);
}

int packed_init(struct packed *packed, enum tensor_type type, int n_out, int n_in)
{
    static const size_t quant_bytes[] = {[2] = 128, [3] = 128, [4] = 256, [5] = 256, [6] = 256, [8] = 512, [PACKED_LEVELS] = 256};
    static const size_t high_bytes[] = {[3] = 64, [5] = 64, [6] = 128, [PACKED_LEVELS] = 0};
    const struct packed_form *form = &forms[type];
    *packed = (struct packed){
        .type = type,
        .n_in = n_in,
        .n_out = n_out,
        .n_blocks = (n_in + PACKED_BLOCK - 1) / PACKED_BLOCK,
        .n_groups = (n_out + PACKED_ROWS - 1) / PACKED_ROWS,
        .unit_blocks = form->code_bytes > 0 ? PACKED_SUPER : 1,
        .bits = form->bits,
        .span = form->span,
        .n_sets = form->n_sets,
        .has_min = form->has_min,
        .offset = form->offset,
        .quant_bytes = quant_bytes[form->bits],
        .high_bytes = high_bytes[form->bits],
        .code_bytes = form->code_bytes,
    };
    packed->n_units = packed->n_blocks / packed->unit_blocks;
    packed->unit_bytes = (size_t)packed->unit_blocks * (packed->quant_bytes + packed->high_bytes) + packed->code_bytes;
    size_t halves = (size_t)packed->n_units * PACKED_ROWS * (size_t)(1 + form->has_min + form->n_sets);
    packed->front_bytes = (halves * 2 + 63) / 64 * 64;
    packed->group_bytes = packed->front_bytes + (size_t)packed->n_units * packed->unit_bytes;
    packed->data = slab_take(packed->group_bytes * (size_t)packed->n_groups, &packed->slab);
    return packed->data == NULL ? WEIR_E_MEMORY : 0;
}

void packed_release(struct packed *packed)
{
    slab_drop(packed->slab);
    packed->data = NULL;
    packed->slab = NULL;
}

/* One block of a row on its way: unsigned quants (of levels, their numbers) with a scale and a min. */
struct row_block {
    uint8_t q[PACKED_BLOCK];
    float scale;
    float min;
};

static void read_float(const float *x, int n, struct row_block *out)
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
    out->scale = scale;
}

static void read_legacy(enum tensor_type type, const uint8_t *block, struct row_block *out)
{
    bool has_min = type == TENSOR_Q4_1 || type == TENSOR_Q5_1, five = type == TENSOR_Q5_0 || type == TENSOR_Q5_1;
    out->scale = load_half(block);
    block += 2;
    if (has_min) {
        out->min = load_half(block);
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
    }
}

static void read_block(enum tensor_type type, const uint8_t *row, int n_in, int block, struct row_block *out)
{
    if (type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16) {
        int from = block * PACKED_BLOCK, n = n_in - from < PACKED_BLOCK ? n_in - from : PACKED_BLOCK;
        float x[PACKED_BLOCK];
        dequantize_row(type, row + (size_t)from * tensor_type_bytes(type), x, n);
        read_float(x, n, out);
    } else {
        read_legacy(type, row + (size_t)block * tensor_type_bytes(type), out);
    }
}

void packed_put_block(const struct packed *packed, uint8_t *quants, uint8_t *high, int row, const uint8_t *q)
{
    const uint32_t nibbles = 0x0f0f0f0f, pairs = 0x03030303, bits = 0x01010101;
    int bits_of_quant = packed->bits == PACKED_LEVELS ? 4 : packed->bits;
    uint32_t quads[8], *out = (uint32_t *)(void *)quants + row, *out_high = (uint32_t *)(void *)high + row;
    memcpy(quads, q, sizeof quads);
    if (bits_of_quant == 8) {
        for (int j = 0; j < 8; j++)
            out[j * PACKED_ROWS] = quads[j];
        return;
    }
    for (int c = 0; c < 4 && bits_of_quant >= 4; c++)
        out[c * PACKED_ROWS] = (quads[c] & nibbles) | (quads[c + 4] & nibbles) << 4;
    if (bits_of_quant == 6 || bits_of_quant < 4) {
        uint32_t *to = bits_of_quant == 6 ? out_high : out;
        int shift = bits_of_quant == 6 ? 4 : 0;
        for (int p = 0; p < 2; p++, to += PACKED_ROWS)
            *to = (quads[4 * p] >> shift & pairs) | (quads[4 * p + 1] >> shift & pairs) << 2 | (quads[4 * p + 2] >> shift & pairs) << 4 |
                  (quads[4 * p + 3] >> shift & pairs) << 6;
    }
    if (bits_of_quant == 3 || bits_of_quant == 5)
        for (int j = 0; j < 8; j++) {
            uint32_t four = (quads[j] >> (bits_of_quant - 1) & bits) * 0x01020408u >> 24; /* Bit 8i to bit i. */
            high[j * 8 + row / 2] |= (uint8_t)(four << (row % 2 * 4));
        }
}

static void fill_by_block(struct packed *packed, uint8_t *group, enum tensor_type type, const uint8_t *rows, size_t row_bytes, int n_rows)
{
    uint16_t *scales = (uint16_t *)(void *)group, *mins = scales + packed->n_units * PACKED_ROWS;
    for (int block = 0; block < packed->n_blocks; block++)
        for (int row = 0; row < n_rows; row++) {
            struct row_block values = {0};
            uint8_t *quants = group + packed->front_bytes + (size_t)block * packed->unit_bytes;
            read_block(type, rows + (size_t)row * row_bytes, packed->n_in, block, &values);
            packed_put_block(packed, quants, quants + packed->quant_bytes, row, values.q);
            scales[block * PACKED_ROWS + row] = float_to_half(values.scale);
            if (packed->has_min)
                mins[block * PACKED_ROWS + row] = float_to_half(values.min);
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
    uint16_t *scales = (uint16_t *)(void *)group, *mins = scales + packed->n_units * PACKED_ROWS;
    size_t block_bytes = tensor_type_bytes(type), header = packed->has_min ? 4 : 2;
    int n_words = packed->bits == 8 ? 8 : 4;
    uint32_t flip = packed->bits == 8 ? 0x80808080 : 0;
    for (int block = 0; block < packed->n_blocks; block++) {
        uint32_t *out = (uint32_t *)(void *)(group + packed->front_bytes + (size_t)block * packed->unit_bytes);
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
    if (n_rows == PACKED_ROWS && (type == TENSOR_Q4_0 || type == TENSOR_Q4_1 || type == TENSOR_Q8_0)) {
        fill_by_word(packed, out, type, rows, row_bytes);
        return;
    }
    memset(out, 0, packed->group_bytes);
    if (packed->code_bytes > 0)
        packed_fill_k(packed, out, rows, row_bytes, n_rows);
    else
        fill_by_block(packed, out, type, rows, row_bytes, n_rows);
}

void packed_block_quants(const struct packed *packed, int group, int block, int row, uint8_t *out)
{
    const uint8_t *unit = packed_units(packed, group) + (size_t)(block / packed->unit_blocks) * packed->unit_bytes;
    const uint8_t *quants = unit + (size_t)(block % packed->unit_blocks) * packed->quant_bytes;
    const uint8_t *high = unit + (size_t)packed->unit_blocks * packed->quant_bytes + (size_t)(block % packed->unit_blocks) * packed->high_bytes;
    for (int k = 0; k < PACKED_BLOCK; k++) {
        int quad = k / 4, byte = row * 4 + k % 4, pair = quad % 4 * 2;
        if (packed->bits == 8)
            out[k] = quants[quad * 64 + byte];
        else if (packed->bits < 4)
            out[k] = quants[quad / 4 * 64 + byte] >> pair & 3;
        else
            out[k] = quants[quad % 4 * 64 + byte] >> (quad / 4 * 4) & 15;
        if (packed->bits == 3 || packed->bits == 5)
            out[k] |= (uint8_t)((high[quad * 8 + byte / 8] >> byte % 8 & 1) << (packed->bits - 1));
        else if (packed->bits == 6)
            out[k] |= (uint8_t)((high[quad / 4 * 64 + byte] >> pair & 3) << 4);
        else if (packed->bits == PACKED_LEVELS)
            out[k] = (uint8_t)(iq4_levels[out[k]] + 128);
    }
}
