/* Rotary: angles of positions, worked out once a batch and used by all layers. */
#ifndef WEIR_DECODER_ROTARY_H
#define WEIR_DECODER_ROTARY_H

#include "decoder/config.h"

struct rotary {
    int n_rot;
    bool interleaved;
    int border;
    float scale[2];
    float *inv_freq[2]; /* Short and long; the same memory where there is no border. */
};

/* 0 or WEIR_E_MEMORY. Memory is the arena's. */
int rotary_init(struct rotary *rotary, const struct rope_config *config, struct arena *arena) WEIR_CHECKED;
/* n_rot floats for one position of a sequence that will reach `reach` positions: n_rot / 2 cosines, then the sines. */
void rotary_angles(const struct rotary *rotary, int position, int reach, float *out);
/* Turns n_heads heads of head_dim floats by those angles. */
void rotary_apply(const struct rotary *rotary, const float *angles, float *x, int n_heads, int head_dim);

#endif
