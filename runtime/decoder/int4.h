/* Int4: matrices packed by GPTQ (Frantar et al. 2022) and AWQ (Lin et al. 2023) in safetensors, brought to f32. */
#ifndef WEIR_DECODER_INT4_H
#define WEIR_DECODER_INT4_H

#include "decoder/loader.h"

/* The rows that matrix asks for, n_out × n_in floats, exactly (q - zero) · scale. */
int int4_unpack(const struct loader *loader, const struct matrix *matrix, float *out) WEIR_CHECKED;

#endif
