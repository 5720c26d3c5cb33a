/* Convert: a Hugging Face directory as a GGUF file; see model_convert. */
#ifndef WEIR_MODEL_CONVERT_H
#define WEIR_MODEL_CONVERT_H

#include "kernels/tensor.h"

/* "F32", "F16" or "BF16". */
int convert_type(const char *format, enum tensor_type *out, struct error *err) WEIR_CHECKED;
/* adapter: a LoRA adapter to merge into the weights, NULL: none. */
int convert_directory(const char *in, const char *adapter, const char *out, enum tensor_type type, bool weights_only, struct error *err) WEIR_CHECKED;

#endif
