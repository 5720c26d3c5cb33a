/* Packed weights: a matrix laid out for instructions that multiply four bytes with four bytes in each 32-bit lane.
 *
 * Sixteen rows form a group (the last one padded with zeros), 32 columns a block. In a block, quad j (columns 4j … 4j+3) of
 * all sixteen rows is one vector of 64 bytes: byte 4r + i is column 4j + i of row r. A unit is what a row has one scale for: a
 * block, or eight of them in formats with integer scales inside (K-quants, IQ4_XS). A group is a front, then its units.
 *   front   for each unit 16 halves: scales; then likewise mins, if has_min; then nibbles (below). Padded to a cache line.
 *   unit    quants of each block: bits 4, 5, 6: 256 bytes, vector c holds quad c in the low and quad c + 4 in the high nibbles;
 *           bits 8: 512 bytes; bits 2, 3: 128 bytes, vector p has quads 4p … 4p+3 as pairs of bits, the first lowest
 *           high bits of each block: bits 3, 5: 64 bytes, a 64-bit mask a quad; bits 6: 128 bytes, pairs as above
 *           codes, the integer scales of its spans of 16 or 32 columns: byte 4r + i % 4 of vector i / 4 is row r's number i,
 *           Q6_K signed in 8 bits, Q2_K with a min in the upper nibble. Others have sets of eight numbers in 6 bits (Q4_K, Q5_K:
 *           scales, then mins; Q3_K: two of scales; IQ4_XS: one), a vector each: i < 4 the byte's lower six bits, and above
 *           them the upper two of number i + 4, whose lower four are nibble i of half-word r in the front (16 a set).
 * A weight is scale · (quant - offset), or scale · quant + min; with codes scale · code · (quant - offset), or
 * scale · code · quant + min · code. So one layout serves every integer format, at the file's own size. */
#ifndef WEIR_KERNELS_PACKED_H
#define WEIR_KERNELS_PACKED_H

#include "kernels/tensor.h"

enum { PACKED_ROWS = 16, PACKED_BLOCK = 32, PACKED_SUPER = 8, PACKED_LEVELS = 9, PACKED_MOST_SPANS = 16 };

struct packed {
    enum tensor_type type;
    int n_in;
    int n_out;
    int n_blocks;
    int n_groups;
    int n_units;
    int unit_blocks; /* 1 or PACKED_SUPER. */
    int bits;        /* Or PACKED_LEVELS: four that choose one of iq4_levels, 128 higher. */
    int span;        /* Columns a scale, or a code, covers: 16 or 32. */
    int n_sets;      /* Of eight codes in 6 bits. */
    bool has_min;
    int offset;
    size_t quant_bytes; /* Of a block. */
    size_t high_bytes;
    size_t code_bytes;  /* Of a unit. */
    size_t unit_bytes;
    size_t front_bytes;
    size_t group_bytes; /* A whole number of cache lines. */
    uint8_t *data;      /* n_groups of them. */
    struct slab *slab;  /* Where data lies. */
};

/* Parts of a group. */
static inline const uint16_t *packed_scales(const struct packed *p, int group)
{
    return (const uint16_t *)(const void *)(p->data + (size_t)group * p->group_bytes);
}
static inline const uint16_t *packed_mins(const struct packed *p, int group)
{
    return packed_scales(p, group) + p->n_units * PACKED_ROWS;
}
static inline const uint16_t *packed_nibbles(const struct packed *p, int group)
{
    return packed_scales(p, group) + p->n_units * PACKED_ROWS * (p->has_min ? 2 : 1);
}
static inline const uint8_t *packed_units(const struct packed *p, int group)
{
    return p->data + (size_t)group * p->group_bytes + p->front_bytes;
}

/* Is there an integer layout for the type: every packed format; of float formats only where `quantize_floats`. */
bool packed_takes(enum tensor_type type, bool quantize_floats);
/* Reserves the memory; groups are filled by packed_fill, each once, from any thread. */
int packed_init(struct packed *packed, enum tensor_type type, int n_out, int n_in) WEIR_CHECKED;
void packed_release(struct packed *packed);
/* Fills one group from rows (n_out of them, row_bytes apart). */
void packed_fill(struct packed *packed, int group, enum tensor_type type, const uint8_t *rows, size_t row_bytes);
/* The same for a type with codes (packed_k.c), into zeroed memory: n_rows rows from the group's first. */
void packed_fill_k(const struct packed *packed, uint8_t *group, const uint8_t *rows, size_t row_bytes, int n_rows);
/* Writes a block's 32 quants of row `row` into its zeroed quants and high bits. */
void packed_put_block(const struct packed *packed, uint8_t *quants, uint8_t *high, int row, const uint8_t *q);
/* The 32 unsigned quants of one row of a block, and a unit's codes of one row: a scale for each span, the min's where there
 * are such. */
void packed_block_quants(const struct packed *packed, int group, int block, int row, uint8_t *out);
void packed_unit_codes(const struct packed *packed, int group, int unit, int row, int *scales, int *mins);

#endif
