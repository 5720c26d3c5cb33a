/* What a decoder is, apart from its weights: the numbers an architecture's file (arch_*.c) fills in from a model file and
 * that the forward pass (forward.c) reads. */
#ifndef WEIR_DECODER_CONFIG_H
#define WEIR_DECODER_CONFIG_H

#include "decoder/decoder.h"
#include "kernels/ops.h"

enum { DECODER_MAX_LAYERS = 512, DECODER_MAX_EXPERTS = 512 };

enum norm_kind { NORM_RMS, NORM_LAYER };

enum rope_kind { ROPE_GLOBAL = 0, ROPE_LOCAL = 1, ROPE_NONE = 2, N_ROPES = 2 };

/* How positions become angles (Su et al. 2021) and how a longer context was won from the same weights. */
struct rope_config {
    double base;         /* theta */
    int n_rot;           /* Dimensions of a head that turn. */
    bool interleaved;    /* Pairs (2i, 2i+1): GGUF files of the Llama family; otherwise halves. */
    double linear;       /* Angles are divided by it (Chen et al. 2023); 1: not. */
    struct {
        bool on;         /* Low frequencies are divided by factor, high ones kept (Llama 3.1). */
        double factor, low, high, original;
    } llama3;
    struct {
        bool on;         /* The same with a ramp over dimensions (Peng et al. 2023). */
        bool exact_ramp; /* The ramp's ends are not rounded to whole dimensions. */
        double factor, beta_fast, beta_slow, original;
    } yarn;
    const float *divisors[2]; /* Of each angle, n_rot / 2, NULL: none. LongRoPE (Ding et al. 2024): short, long; otherwise both alike. */
    float scale[2];           /* Of cosine and sine (attention factor), for the same two. */
    int border;               /* Sequences longer than this take the long ones; 0: none do. */
};

enum router_kind {
    ROUTER_SOFTMAX,      /* Softmax over all experts, the best n_used are taken. */
    ROUTER_SPARSE_MIXER, /* Phi-3.5-MoE: each of two choices weighed among those close to it (Liu et al. 2023). */
};

struct layer_config {
    int window;          /* Keys at this distance or more are not seen; 0: all are. */
    enum rope_kind rope;
};

struct decoder_config {
    int n_vocab, n_embd, n_layers, n_heads, n_kv_heads, head_dim, n_ff, n_context;
    enum norm_kind norm;
    float norm_eps;
    float norm_offset;        /* Added to RMS norm weights (Gemma's published files). */
    enum activation activation;
    bool gated;               /* act(gate x) * up x; otherwise act(up x). */
    bool parallel;            /* Attention and MLP read the same norm and are added at once (Phi). */
    bool learned_positions;   /* A table of positions is added to the embedding (GPT-2). */
    float embedding_scale;
    float attention_scale;
    float attention_soft_cap; /* 0: none. */
    float logit_soft_cap;     /* 0: none. */
    double temperature_scale; /* q grows by 1 + scale ln(1 + floor(position / temperature_length)); 0: not. */
    double temperature_length;
    struct rope_config rope[N_ROPES];
    int n_experts, n_experts_used, n_ff_expert, n_ff_shared;
    enum router_kind router;
    bool renormalise;         /* Chosen experts' weights are made to sum to one. */
    float expert_scale;
    float router_jitter;      /* Of the sparse mixer. */
    struct layer_config *layers;
    /* How the weights lie in the file. */
    bool tied;                /* The output matrix is the embedding, whatever else the file holds. */
    bool untied;              /* The file says that it has its own output matrix. */
    bool fused_qkv;           /* Rows of q, k, v under one name. */
    bool fused_gate_up;       /* Rows of gate, up under one name. */
    bool transposed;          /* Matrices are stored [in, out] (GPT-2's published files). */
};

#endif
