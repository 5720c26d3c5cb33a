/* Architecture: what one family of encoders gives to the rest: how it is read from a file and how rows of ids become rows of
 * hidden states. The parts most of them consist of (embeddings, post-norm layer) are here too. */
#ifndef WEIR_ENCODER_ARCHITECTURE_H
#define WEIR_ENCODER_ARCHITECTURE_H

#include "encoder/heads.h"
#include "encoder/pass.h"
#include "encoder/weights.h"

/* Bounds on what a file may claim, so that a hostile one can't make us allocate. */
enum { MOST_LAYERS = 512, MOST_HEADS = 512, WIDEST = 1 << 16, MOST_POSITIONS = 1 << 20, LARGEST_VOCABULARY = 1 << 24 };

/* A head on top: rows → labels. */
struct head {
    enum { HEAD_NONE, HEAD_FIRST, HEAD_MEAN, HEAD_EACH } rows; /* Of the first token, of the mean of all, of each. */
    const struct linear *dense; /* NULL: none. */
    bool activated;             /* dense is followed by activation. */
    enum activation activation;
    struct norm norm;           /* After the activation; w NULL: none. */
    const struct linear *out;
};

struct body {
    const void *self;  /* The architecture's own struct, in the weights' arena. */
    int n_vocab;
    int n_types;       /* Token types; 0: none, they are ignored. */
    int n_positions;   /* Rows a text may have. */
    int width;         /* Of a row of hidden states. */
    int n_layers;
    size_t row_floats; /* What forward takes per row. */
    const struct heads *heads;
    int n_buckets;     /* Of relative positions. */
};

struct architecture {
    const char *const *names; /* model_type's words, ended by NULL. */
    const char *prefix;       /* Of tensor names in files with a head. */
    void (*open)(struct weights *weights, struct body *body); /* Errors in weights. */
    void (*open_head)(struct weights *weights, const struct body *body, bool per_token, struct head *head);
    void (*forward)(const void *self, struct pass *pass, float *x); /* x: n_rows × width. */
};

extern const struct architecture architecture_bert, architecture_roberta, architecture_distilbert, architecture_albert,
    architecture_mobilebert, architecture_modernbert, architecture_deberta, architecture_bert_gguf;

/* ---- embeddings: word + position + token type, normed */

struct embeddings {
    struct table words;
    struct table positions; /* tensor NULL: none. */
    struct table types;
    struct norm norm;       /* w NULL: none. */
    int32_t pad; /* >= 0: positions count from pad + 1 over the ids that aren't pad, which stay at pad (RoBERTa); else -1. */
};
void embeddings_forward(const struct embeddings *embeddings, struct pass *pass, float *x);

/* ---- the post-norm layer of BERT: x = norm(x + attention(x)); x = norm(x + ffn(x)) */

struct layer {
    const struct linear *query, *key, *value, *output;
    struct norm attention_norm;
    const struct linear *up, *down;
    struct norm output_norm;
};
/* How a file calls a layer's parts. */
struct layer_names {
    const char *query, *key, *value, *output, *attention_norm, *up, *down, *output_norm;
};
struct layer_shape {
    int width;
    int inner; /* Of the feed-forward network. */
    double eps;
};
/* at: what stands before each of the names ("encoder.layer.3."). */
void layer_open(struct weights *weights, const struct layer_names *names, const struct layer_shape *shape, const char *at, struct layer *layer);
/* Row memory of a layer, taken once a pass. */
struct layer_rows {
    float *q, *k, *v, *mixed, *inner;
};
size_t layer_row_floats(const struct layer_shape *shape);
struct layer_rows layer_take(const struct layer_shape *shape, struct pass *pass);
void layer_forward(const struct layer *layer, const struct heads *heads, const struct relative *relative, enum activation activation,
                   const struct layer_rows *rows, struct pass *pass, float *x);
/* Heads that share the width evenly, by "num_attention_heads" or the like. */
struct heads heads_open(struct weights *weights, const char *key, int width);

#endif
