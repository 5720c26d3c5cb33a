/* Stack: a decoder's layers with their weights in place, as decoder.c builds it and forward.c runs it. */
#ifndef WEIR_DECODER_STACK_H
#define WEIR_DECODER_STACK_H

#include "decoder/arch.h"
#include "decoder/rotary.h"

struct norm {
    const float *w; /* NULL: no such norm here. */
    const float *b;
};

/* Experts of a layer (Shazeer et al. 2017), with the one that all tokens share where there is one. */
struct experts {
    struct linear *router;
    struct linear **gate, **up, **down; /* n_experts each. */
    struct linear *shared_router, *shared_gate, *shared_up, *shared_down;
};

struct layer {
    struct norm attn_norm, attn_post_norm, ffn_norm, ffn_post_norm, q_norm, k_norm;
    struct linear *q, *k, *v, *o;
    struct linear *gate, *up, *down;
    struct experts *experts; /* In place of gate, up, down. */
};

/* Memory of a forward pass, for up to n_rows rows; grown when a larger batch comes. */
struct scratch {
    int n_rows;
    float *memory;
    float *x;      /* The residual stream. */
    float *h;      /* Its norm. */
    float *q, *k, *v, *a; /* Heads; a is what attention gives. */
    float *gate, *up;     /* Also the experts' rows. */
    float *y;      /* What a block adds. */
    float *angles[N_ROPES];
    float *gathered, *router; /* Rows of one expert; its inputs and the router's weights. */
    struct kv **kv;
    struct lora **lora;
    int32_t *positions;
    int32_t *reach;
};

/* Looks at what passes: the input of a matrix (W_Q for q, k and v; W_O; W_UP for gate and up; W_DOWN), the residual stream before a
 * layer (W_ATTN_NORM) and after the last one (W_OUTPUT_NORM, the number of layers). x is n_rows x width. */
typedef void decoder_observer_fn(void *user, enum weight weight, int layer, const float *x, int n_rows, int width);

struct decoder {
    const struct architecture *architecture;
    struct decoder_config config;
    struct loader loader;
    struct adapter *adapter;
    struct arena arena;
    struct kv_shape kv_shape;
    struct rotary rotary[N_ROPES];
    struct tensor token_embd, position_embd; /* Rows are read from the mapping. */
    struct norm output_norm;
    struct linear *output;
    struct layer *layers;
    struct scratch scratch;
    decoder_observer_fn *observer; /* NULL: nobody looks. */
    void *observer_user;
};

void decoder_norm(const struct decoder_config *config, const struct norm *norm, const float *x, int n, float *y);

/* y = the experts' answer to n_rows rows of h (n_embd wide). Uses scratch gate, up, gathered, router. */
void experts_apply(struct decoder *decoder, struct pool *pool, const struct experts *experts, const float *h, int n_rows, float *y);
int experts_open(struct decoder *decoder, int layer, struct experts **out) WEIR_CHECKED;

/* Calls fn for each row, on the pool's threads when there are enough of them. */
typedef void row_fn(void *user, int row);
void rows_run(struct pool *pool, int n_rows, row_fn *fn, void *user);

#endif
