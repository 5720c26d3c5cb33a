/* Decoder: a causal transformer over a KV cache, for a batch of rows that may belong to different sequences.
 *
 * decoder_open reads hyperparameters and weights from a model file into linears and norms (one architecture is one file
 * in this folder: names, shapes and what differs); decoder_forward runs them. */
#ifndef WEIR_DECODER_DECODER_H
#define WEIR_DECODER_DECODER_H

#include "kernels/kv.h"
#include "kernels/linear.h"
#include "weir_runtime.h"

#include <stdatomic.h>

struct decoder;
struct lora; /* decoder/lora.h */
struct model_file; /* model/model_file.h: GGUF or Hugging Face directory behind one face. */

/* file is borrowed for the decoder's life. */
int decoder_open(struct decoder **out, const struct model_file *file, const struct model_options *options,
                 struct error *err) WEIR_CHECKED;
void decoder_close(struct decoder *decoder);
/* An adapter for rows of batches; the caller closes it (lora_close) before the decoder. */
int decoder_lora_open(const struct decoder *decoder, const char *path, struct lora **out, struct error *err) WEIR_CHECKED;
void decoder_describe(const struct decoder *decoder, struct model_info *info); /* Fills what it knows. */
size_t decoder_row_bytes(const struct decoder *decoder); /* forward.c: of a row in the arena of activations. */
const struct kv_shape *decoder_kv_shape(const struct decoder *decoder);
/* LongRoPE (Phi-3, Phi-4-mini): a sequence longer than this takes other angles for all its positions, so when one grows beyond,
 * its cache is trimmed to 0 and all its tokens are fed again; pages filled below the border aren't shared with sequences
 * beyond it. 0: no such border. */
int decoder_rope_border(const struct decoder *decoder);

/* One step. Rows of one sequence are consecutive and in rising positions, starting at that sequence's kv_length; kv_reserve
 * has been called; on success the caller trims each kv to its new length. */
struct batch {
    int n_rows;                /* At most DECODER_MAX_ROWS. */
    const int32_t *tokens;
    const int32_t *positions;
    struct kv *const *kv;      /* One a row. */
    const bool *want;          /* Rows whose logits are wanted. */
    const int32_t *reach;      /* The length each row's sequence is known to reach (the prompt's, while it is fed in pieces);
                                  NULL: to its last row here. Matters to decoder_rope_border only. */
    struct lora *const *lora;  /* One a row, NULL: that row has none; NULL: no row has one. */
    const _Atomic bool *cancel; /* Looked at between layers; may be NULL. */
};
enum { DECODER_MAX_ROWS = 512 };

/* logits: one row of n_vocab floats for each wanted row, in order. hidden (may be NULL): n_rows × n_embd after the final
 * norm. WEIR_E_CANCELLED leaves the caches at their old lengths. */
int decoder_forward(struct decoder *decoder, struct pool *pool, const struct batch *batch, float *logits, float *hidden,
                    struct error *err) WEIR_CHECKED;

#endif
