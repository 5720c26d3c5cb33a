/* Adapter: low-rank changes of a model's matrices, W + s B A (LoRA, Hu et al. 2021), from a PEFT directory
 * (adapter_config.json, adapter_model.safetensors) or a GGUF file of general.type "adapter". Merged into the weights when a
 * model is opened. */
#ifndef WEIR_DECODER_ADAPTER_H
#define WEIR_DECODER_ADAPTER_H

#include "kernels/tensor.h"

struct adapter;

/* One matrix's change. */
struct adapter_delta {
    const struct tensor *a; /* rank × n_in */
    const struct tensor *b; /* n_rows × rank */
    float scale;
    bool interleaved;       /* Rows of q and k are in the order of GGUF's Llama files. */
    int head_dim;           /* Not 0: rows of each head are to be reordered into the other order. */
};

int adapter_open(struct adapter **out, const char *path, struct error *err) WEIR_CHECKED;
void adapter_close(struct adapter *adapter); /* NULL is fine. */
/* 1 and *delta when the adapter changes the matrix known by either name, 0 when not, an error when its shape is wrong. */
int adapter_find(const struct adapter *adapter, const char *gguf, const char *hf, int n_rows, int n_in, struct adapter_delta *delta,
                 struct error *err) WEIR_CHECKED;
/* Adds rows first_row … first_row + n_out - 1 of s B A to w (n_out × n_in). */
int adapter_add(const struct adapter_delta *delta, int first_row, int n_out, float *w) WEIR_CHECKED;
/* The halves as f32: a gets rank x n_in, b rows first_row … (n_out x rank), times s. */
void adapter_read(const struct adapter_delta *delta, int first_row, int n_out, float *a, float *b);
/* An error that names a tensor of the adapter which no matrix of the model has taken. */
int adapter_check_used(const struct adapter *adapter, struct error *err) WEIR_CHECKED;

#endif
