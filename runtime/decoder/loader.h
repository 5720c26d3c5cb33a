/* Loader: from the names of a file to linears and vectors, whatever the form: GGUF or Hugging Face names, fused or single,
 * stored either way round, packed int4, with scales beside them or adapters on top. */
#ifndef WEIR_DECODER_LOADER_H
#define WEIR_DECODER_LOADER_H

#include "decoder/config.h"
#include "model/model_file.h"

enum weight {
    W_TOKEN_EMBD,
    W_POSITION_EMBD,
    W_OUTPUT_NORM,
    W_OUTPUT,
    W_ATTN_NORM,
    W_ATTN_POST_NORM,
    W_FFN_NORM,
    W_FFN_POST_NORM,
    W_QKV,
    W_Q,
    W_K,
    W_V,
    W_O,
    W_Q_NORM,
    W_K_NORM,
    W_GATE_UP,
    W_GATE,
    W_UP,
    W_DOWN,
    W_ROUTER,
    W_EXPERT_GATE,
    W_EXPERT_UP,
    W_EXPERT_DOWN,
    W_SHARED_ROUTER,
    W_SHARED_GATE,
    W_SHARED_UP,
    W_SHARED_DOWN,
    N_WEIGHTS,
};

/* Names without ".weight"; '#' stands for the layer, '*' for the expert. NULL: the architecture has no such weight. */
typedef const char *const weight_names[N_WEIGHTS];

extern weight_names gguf_names;

struct adapter;
struct adapter_delta;
struct matrix;

struct loader {
    const struct model_file *file;
    const struct decoder_config *config;
    const char *const *names;    /* Of this file. */
    const char *const *hf_names; /* Of the architecture, for adapters. */
    char prefix[32];             /* "model.", "transformer." … in front of the names; empty for GGUF. */
    const struct adapter *adapter;
    enum precision precision;
    struct arena *arena;
    struct linear **linears; /* All that were made, in order, for loader_release and loader_bytes. */
    struct matrix *matrices; /* What each of them is. */
    size_t n_linears, capacity;
    void **blocks; /* Matrices rewritten on the heap (transposed). */
    size_t n_blocks;
    int64_t n_parameters;
    struct error *err;
};

/* Finds the prefix. WEIR_E_NOT_FOUND: no token embedding under any name. */
int loader_init(struct loader *loader) WEIR_CHECKED;
void loader_release(struct loader *loader);
size_t loader_bytes(const struct loader *loader);

/* One tensor by role, NULL when absent; suffix ".weight", ".bias", ".scale". layer, expert: -1 where there is none. */
const struct tensor *loader_find(const struct loader *loader, enum weight weight, int layer, int expert, const char *suffix);
bool loader_has(const struct loader *loader, enum weight weight, int layer, int expert);

/* What the scale beside a matrix, if the file has one, multiplies: s·Wx + b in attention, s·(Wx + b) in gated feed-forward
 * networks; in plain ones llama.cpp, whose files have such scales, leaves it out. */
enum scale_use { SCALE_PRODUCT, SCALE_ALL, SCALE_NOTHING };

/* Which rows of which matrix. */
struct matrix {
    enum weight weight;
    int layer;
    int expert;    /* -1: not an expert's. */
    int n_out;
    int n_in;
    int first_row; /* Of n_rows in the file: fused matrices. n_rows 0: the matrix is whole. */
    int n_rows;
    enum scale_use scale;
};
/* 1 and *delta when the adapter changes the matrix, 0 when not, an error when it doesn't fit. */
int loader_adapter(const struct loader *loader, const struct matrix *matrix, const struct adapter *adapter, struct adapter_delta *delta,
                   struct error *err) WEIR_CHECKED;
int loader_linear(struct loader *loader, struct linear **out, const struct matrix *matrix) WEIR_CHECKED;
/* n floats of a vector, NULL in *out when it is absent and not required. */
int loader_vector(struct loader *loader, const float **out, enum weight weight, int layer, const char *suffix, int n, bool required) WEIR_CHECKED;
int loader_missing(const struct loader *loader, enum weight weight, int layer, const char *suffix);

#endif
