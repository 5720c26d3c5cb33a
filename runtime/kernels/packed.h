/* Packed weights: a matrix laid out for instructions that multiply four bytes with four bytes in each 32-bit lane.
 *
 * Sixteen rows form a group (the last one padded with zeros), 32 columns a block. In a block, quad j (columns 4j … 4j+3) of
 * all sixteen rows is one vector of 64 bytes: byte 4r + i is column 4j + i of row r. A group is, one part after the other and
 * each part block by block:
 *   quants  bits 4, 5, 6: 256 bytes, vector c holds quad c in the low and quad c + 4 in the high nibbles; bits 8: 512 bytes
 *   high    bits 5: 64 bytes, a 64-bit mask a quad; bits 6: 128 bytes, vector p has quads 4p … 4p+3 as pairs of bits
 *   scales  16 halves, or two times 16 where the span is 16 columns
 *   mins    the same, only if has_min
 * A weight is scale · (quant - offset), or scale · quant + min. So one layout serves every integer format, at the file's
 * own size for the common ones: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 are moved, not changed; the scales of K-quants are multiplied
 * out and rounded to halves. */
#ifndef WEIR_KERNELS_PACKED_H
#define WEIR_KERNELS_PACKED_H

#include "kernels/tensor.h"

enum { PACKED_ROWS = 16, PACKED_BLOCK = 32 };

struct packed {
    int n_in;
    int n_out;
    int n_blocks;
    int n_groups;
    int bits;
    int span;       /* Columns a scale covers: 16 or 32. */
    bool has_min;
    int offset;
    size_t quant_bytes; /* Of a block; and so on. */
    size_t high_bytes;
    size_t scale_bytes;
    size_t group_bytes; /* A whole number of cache lines. */
    uint8_t *data;      /* n_groups of them. */
    struct slab *slab;  /* Where data lies. */
};

/* Parts of a group. */
static inline const uint8_t *packed_quants(const struct packed *p, int group)
{
    return p->data + (size_t)group * p->group_bytes;
}
static inline const uint8_t *packed_high(const struct packed *p, int group)
{
    return packed_quants(p, group) + (size_t)p->n_blocks * p->quant_bytes;
}
static inline const uint16_t *packed_scales(const struct packed *p, int group)
{
    return (const uint16_t *)(packed_high(p, group) + (size_t)p->n_blocks * p->high_bytes);
}
static inline const uint16_t *packed_mins(const struct packed *p, int group)
{
    return (const uint16_t *)((const uint8_t *)packed_scales(p, group) + (size_t)p->n_blocks * p->scale_bytes);
}

/* Is there an integer layout for the type: every packed format; of float formats only where `quantize_floats`. */
bool packed_takes(enum tensor_type type, bool quantize_floats);
/* Reserves the memory; groups are filled by packed_fill, each once, from any thread. */
int packed_init(struct packed *packed, enum tensor_type type, int n_out, int n_in) WEIR_CHECKED;
void packed_release(struct packed *packed);
/* Fills one group from rows (n_out of them, row_bytes apart). */
void packed_fill(struct packed *packed, int group, enum tensor_type type, const uint8_t *rows, size_t row_bytes);
/* Row `row` back as f32, n_in wide. */
void packed_row(const struct packed *packed, int row, float *out);
/* The 32 unsigned quants of one row of a block. */
void packed_block_quants(const struct packed *packed, int group, int block, int row, uint8_t *out);

#endif
