/* Encoder: a bidirectional transformer (BERT and its family) from a model file, with pooling and heads. */
#ifndef WEIR_ENCODER_ENCODER_H
#define WEIR_ENCODER_ENCODER_H

#include "kernels/linear.h"
#include "model/model_file.h"
#include "weir_runtime.h"

struct encoder;

/* Is the architecture (GGUF's word or model_type) an encoder's? */
bool encoder_knows(str architecture);
int encoder_open(struct encoder **out, const struct model_file *file, const struct model_options *options,
                 struct error *err) WEIR_CHECKED;
void encoder_close(struct encoder *encoder);
void encoder_describe(const struct encoder *encoder, struct model_info *info);
/* See model_hidden, model_embed, model_classify. pool may be NULL. */
int encoder_hidden(struct encoder *encoder, struct pool *pool, const struct encoder_input *input, float *out, struct error *err) WEIR_CHECKED;
int encoder_embed(struct encoder *encoder, struct pool *pool, const struct encoder_input *inputs, size_t n_inputs, float *out,
                  float *inner, struct error *err) WEIR_CHECKED; /* inner: see model_embed_inner; NULL: not wanted. */
int encoder_classify(struct encoder *encoder, struct pool *pool, const struct encoder_input *input, float *out, struct error *err) WEIR_CHECKED;

#endif
