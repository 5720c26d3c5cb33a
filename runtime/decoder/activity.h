/* Activity: what a decoder's matrices have been given to work on while it ran over a text, and how much each layer turned the
 * residual stream. What a model can do without is judged by it. */
#ifndef WEIR_DECODER_ACTIVITY_H
#define WEIR_DECODER_ACTIVITY_H

#include "decoder/stack.h"

struct activity {
    struct decoder *decoder;
    int64_t n_rows;      /* Positions seen. */
    int n_layers, n_embd, n_q, n_ff;
    double *q, *o, *up, *down; /* Sums of squares of each input column of these matrices, layer after layer. */
    double *turned;      /* Of each layer: the sum of 1 - cos(stream before, stream after). */
    float *before;       /* The stream before the layer at hand. */
    size_t n_before;     /* Numbers there; 0: none yet. */
    struct arena arena;
    bool failed;         /* Memory ran out. */
};

/* Looks on at the decoder's passes from now until activity_stop. Under the model's lock, or where nothing else runs it. */
int activity_start(struct activity *activity, struct decoder *decoder, struct error *err) WEIR_CHECKED;
/* WEIR_E_MEMORY when something was missed. */
int activity_stop(struct activity *activity, struct error *err) WEIR_CHECKED;
void activity_release(struct activity *activity);
/* The sums of a matrix's input columns in a layer, NULL: it was not looked at. */
const double *activity_columns(const struct activity *activity, enum weight weight, int layer);
/* How much a layer does: its mean of 1 - cos, from 0 (nothing) to 2 (Block Influence, Men et al. 2024). */
double activity_influence(const struct activity *activity, int layer);

#endif
