/* Packing the formats whose blocks of 256 columns have integer scales inside: a row's block is unpacked to bytes, and these
 * are written in the layout of packed.h. Nothing is rounded: quants, codes and halves are the file's own. */
#include "kernels/block.h"
#include "kernels/half.h"
#include "kernels/packed.h"

#include <assert.h>

enum { COLUMNS = PACKED_BLOCK * PACKED_SUPER };

struct row_unit {
    uint8_t q[COLUMNS];
    uint8_t codes[PACKED_MOST_SPANS]; /* As many as the format has, in its own form; then the mins, of formats with sets. */
    uint16_t scale;
    uint16_t min;
};

static void read_q4_q5(bool five, const uint8_t *block, struct row_unit *out)
{
    const uint8_t *fifth = block + 16, *q = five ? block + 48 : fifth;
    for (int part = 0; part < 8; part++) {
        int scale, min;
        q4_k_scale(block + 4, part, &scale, &min);
        out->codes[part] = (uint8_t)scale;
        out->codes[8 + part] = (uint8_t)min;
        for (int i = 0; i < 32; i++)
            out->q[part * 32 + i] = q[part / 2 * 32 + i] >> (part % 2 * 4) & 15;
        for (int i = 0; five && i < 32; i++)
            out->q[part * 32 + i] |= (uint8_t)((fifth[i] >> part & 1) << 4);
    }
    out->scale = load_u16(block);
    out->min = load_u16(block + 2) ^ 0x8000;
}

static void read_q6(const uint8_t *block, struct row_unit *out)
{
    for (int part = 0; part < 8; part++) {
        int half = part / 4, quarter = part % 4;
        const uint8_t *low = block + half * 64 + quarter % 2 * 32, *high = block + 128 + half * 32;
        for (int i = 0; i < 32; i++)
            out->q[part * 32 + i] = (uint8_t)((low[i] >> (quarter / 2 * 4) & 15) | (high[i] >> (quarter * 2) & 3) << 4);
    }
    memcpy(out->codes, block + 192, sizeof out->codes);
    out->scale = load_u16(block + 208);
}

/* Two bits of each quant, of Q2_K and Q3_K. */
static void read_pairs(const uint8_t *q, struct row_unit *out)
{
    for (int part = 0; part < 8; part++)
        for (int i = 0; i < 32; i++)
            out->q[part * 32 + i] = q[part / 4 * 32 + i] >> (part % 4 * 2) & 3;
}

static void read_q2(const uint8_t *block, struct row_unit *out)
{
    read_pairs(block + 16, out);
    memcpy(out->codes, block, sizeof out->codes);
    out->scale = load_u16(block + 80);
    out->min = load_u16(block + 82) ^ 0x8000;
}

static void read_q3(const uint8_t *block, struct row_unit *out)
{
    read_pairs(block + 32, out);
    for (int part = 0; part < 8; part++)
        for (int i = 0; i < 32; i++)
            out->q[part * 32 + i] |= (uint8_t)((block[i] >> part & 1) << 2);
    for (int i = 0; i < 16; i++)
        out->codes[i] = (uint8_t)q3_k_scale(block + 96, i);
    out->scale = load_u16(block + 108);
}

static void read_iq4(const uint8_t *block, struct row_unit *out)
{
    unsigned high = load_u16(block + 2);
    for (int part = 0; part < 8; part++) {
        const uint8_t *q = block + 8 + part * 16;
        for (int i = 0; i < 16; i++) {
            out->q[part * 32 + i] = q[i] & 15;
            out->q[part * 32 + 16 + i] = q[i] >> 4;
        }
        out->codes[part] = (uint8_t)((block[4 + part / 2] >> (part % 2 * 4) & 15) | (high >> (part * 2) & 3) << 4);
    }
    out->scale = load_u16(block);
}

static void read_unit(enum tensor_type type, const uint8_t *block, struct row_unit *out)
{
    if (type == TENSOR_Q4_K || type == TENSOR_Q5_K)
        read_q4_q5(type == TENSOR_Q5_K, block, out);
    else if (type == TENSOR_Q6_K)
        read_q6(block, out);
    else if (type == TENSOR_Q2_K)
        read_q2(block, out);
    else if (type == TENSOR_Q3_K)
        read_q3(block, out);
    else
        read_iq4(block, out);
}

static void write_codes(const struct packed *packed, uint8_t *codes, uint16_t *nibbles, int row, const uint8_t *from)
{
    for (size_t i = 0; packed->n_sets == 0 && i < packed->code_bytes / PACKED_ROWS; i++)
        codes[i / 4 * 64 + (size_t)row * 4 + i % 4] = from[i];
    for (int set = 0; set < packed->n_sets; set++, from += 8)
        for (int i = 0; i < 4; i++) {
            codes[set * 64 + row * 4 + i] = (uint8_t)(from[i] | (from[i + 4] >> 4) << 6);
            nibbles[set * PACKED_ROWS + row] |= (uint16_t)((from[i + 4] & 15) << (4 * i));
        }
}

void packed_fill_k(const struct packed *packed, uint8_t *group, const uint8_t *rows, size_t row_bytes, int n_rows)
{
    uint16_t *scales = (uint16_t *)(void *)group, *mins = scales + packed->n_units * PACKED_ROWS;
    uint16_t *nibbles = scales + packed->n_units * PACKED_ROWS * (packed->has_min ? 2 : 1);
    size_t block_bytes = tensor_type_bytes(packed->type), high_at = PACKED_SUPER * packed->quant_bytes;
    assert(packed->unit_blocks == PACKED_SUPER && tensor_type_block(packed->type) == COLUMNS);
    for (int unit = 0; unit < packed->n_units; unit++)
        for (int row = 0; row < n_rows; row++) {
            struct row_unit values;
            uint8_t *to = group + packed->front_bytes + (size_t)unit * packed->unit_bytes;
            read_unit(packed->type, rows + (size_t)row * row_bytes + (size_t)unit * block_bytes, &values);
            for (int b = 0; b < PACKED_SUPER; b++)
                packed_put_block(packed, to + (size_t)b * packed->quant_bytes, to + high_at + (size_t)b * packed->high_bytes, row,
                                 values.q + b * PACKED_BLOCK);
            write_codes(packed, to + packed->unit_bytes - packed->code_bytes, nibbles + unit * packed->n_sets * PACKED_ROWS, row, values.codes);
            scales[unit * PACKED_ROWS + row] = values.scale;
            if (packed->has_min)
                mins[unit * PACKED_ROWS + row] = values.min;
        }
}

static int six_bits(const uint8_t *codes, const uint16_t *nibbles, int row, int i)
{
    uint8_t byte = codes[row * 4 + i % 4];
    return i < 4 ? byte & 63 : (nibbles[row] >> (4 * (i % 4)) & 15) | byte >> 6 << 4;
}

void packed_unit_codes(const struct packed *packed, int group, int unit, int row, int *scales, int *mins)
{
    const uint8_t *codes = packed_units(packed, group) + (size_t)(unit + 1) * packed->unit_bytes - packed->code_bytes;
    const uint16_t *nibbles = packed_nibbles(packed, group) + unit * packed->n_sets * PACKED_ROWS;
    int n_spans = PACKED_SUPER * PACKED_BLOCK / packed->span;
    for (int i = 0; i < n_spans; i++) {
        uint8_t byte = packed->n_sets == 0 ? codes[i / 4 * 64 + row * 4 + i % 4] : 0;
        const uint8_t *set = codes + i / 8 * 64;
        if (packed->type == TENSOR_Q6_K)
            scales[i] = (int8_t)byte;
        else if (packed->type == TENSOR_Q2_K)
            scales[i] = byte & 15;
        else
            scales[i] = six_bits(set, nibbles + i / 8 * PACKED_ROWS, row, i % 8) - (packed->has_min ? 0 : 32);
        if (packed->type == TENSOR_Q2_K)
            mins[i] = byte >> 4;
        else if (packed->has_min)
            mins[i] = six_bits(codes + 64, nibbles + PACKED_ROWS, row, i);
    }
}
