/* Phi-3 and 3.5 (Abdin et al. 2024) and Phi-4-mini: Llama with q, k, v in one matrix and gate, up in another, LongRoPE for the
 * long contexts, a part of each head rotated in Phi-4-mini. Phi-3.5-MoE: layer norms, biases, and two experts picked by the
 * sparse mixer. llama.cpp computes GGUF files of the latter with RMS norms and renormalised softmax weights, and those files
 * are made for it, so they are computed so here, unless `weir convert` has left a note of the router. */
#include "decoder/arch.h"

static weight_names phi3_names = {
    [W_TOKEN_EMBD] = "embed_tokens",
    [W_OUTPUT_NORM] = "norm",
    [W_OUTPUT] = "lm_head",
    [W_ATTN_NORM] = "layers.#.input_layernorm",
    [W_FFN_NORM] = "layers.#.post_attention_layernorm",
    [W_QKV] = "layers.#.self_attn.qkv_proj",
    [W_O] = "layers.#.self_attn.o_proj",
    [W_GATE_UP] = "layers.#.mlp.gate_up_proj",
    [W_DOWN] = "layers.#.mlp.down_proj",
};

static weight_names phimoe_names = {
    [W_TOKEN_EMBD] = "embed_tokens",
    [W_OUTPUT_NORM] = "norm",
    [W_OUTPUT] = "lm_head",
    [W_ATTN_NORM] = "layers.#.input_layernorm",
    [W_FFN_NORM] = "layers.#.post_attention_layernorm",
    [W_Q] = "layers.#.self_attn.q_proj",
    [W_K] = "layers.#.self_attn.k_proj",
    [W_V] = "layers.#.self_attn.v_proj",
    [W_O] = "layers.#.self_attn.o_proj",
    [W_ROUTER] = "layers.#.block_sparse_moe.gate",
    [W_EXPERT_GATE] = "layers.#.block_sparse_moe.experts.*.w1",
    [W_EXPERT_UP] = "layers.#.block_sparse_moe.experts.*.w3",
    [W_EXPERT_DOWN] = "layers.#.block_sparse_moe.experts.*.w2",
};

static void configure(struct params *params, struct decoder_config *config)
{
    llama_configure(params, config);
    config->fused_gate_up = true;
    params_windows(params, config, params_int(params, "attention.sliding_window", "sliding_window", 0, 0, 1 << 26), NULL, 0);
}

static void configure_experts(struct params *params, struct decoder_config *config)
{
    llama_configure(params, config);
    params_windows(params, config, params_int(params, "attention.sliding_window", "sliding_window", 0, 0, 1 << 26), NULL, 0);
    if (!params_has(params, "weir.router_jitter_noise", "model_type"))
        return;
    config->norm = NORM_LAYER;
    config->router = ROUTER_SPARSE_MIXER;
    config->router_jitter = (float)params_real(params, "weir.router_jitter_noise", "router_jitter_noise", 0.01);
    config->renormalise = false;
}

const struct architecture arch_phi3 = {"phi3", "phi3", phi3_names, configure};
const struct architecture arch_phimoe = {"phimoe", "phimoe", phimoe_names, configure_experts};
