/* Convert: a decoder opened from a Hugging Face directory, in exact precision, written as GGUF. */
#ifndef WEIR_DECODER_CONVERT_H
#define WEIR_DECODER_CONVERT_H

#include "decoder/decoder.h"
#include "kernels/tensor.h"

/* Matrices as type (F32, F16, BF16), vectors as F32; path names the source in errors. out is replaced whole or left as it was. */
int decoder_convert(struct decoder *decoder, const char *path, const char *out, enum tensor_type type, struct error *err) WEIR_CHECKED;

#endif
