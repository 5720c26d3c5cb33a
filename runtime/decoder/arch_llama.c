/* Llama (Touvron et al. 2023; Llama 3: Dubey et al. 2024), and what is built just so: TinyLlama, SmolLM2, and in GGUF also
 * Mistral and Mixtral.
 *
 *   h = x + O attention(rope(Q n), rope(K n), V n),  n = rmsnorm(x)
 *   x' = h + D (silu(G m) * U m),                    m = rmsnorm(h)
 *
 * Queries share keys and values in groups (Ainslie et al. 2023). GGUF keeps rotated pairs side by side. */
#include "decoder/arch.h"

weight_names llama_names = {
    [W_TOKEN_EMBD] = "embed_tokens",
    [W_OUTPUT_NORM] = "norm",
    [W_OUTPUT] = "lm_head",
    [W_ATTN_NORM] = "layers.#.input_layernorm",
    [W_FFN_NORM] = "layers.#.post_attention_layernorm",
    [W_Q] = "layers.#.self_attn.q_proj",
    [W_K] = "layers.#.self_attn.k_proj",
    [W_V] = "layers.#.self_attn.v_proj",
    [W_O] = "layers.#.self_attn.o_proj",
    [W_Q_NORM] = "layers.#.self_attn.q_norm",
    [W_K_NORM] = "layers.#.self_attn.k_norm",
    [W_GATE] = "layers.#.mlp.gate_proj",
    [W_UP] = "layers.#.mlp.up_proj",
    [W_DOWN] = "layers.#.mlp.down_proj",
    [W_ROUTER] = "layers.#.mlp.gate",
    [W_EXPERT_GATE] = "layers.#.mlp.experts.*.gate_proj",
    [W_EXPERT_UP] = "layers.#.mlp.experts.*.up_proj",
    [W_EXPERT_DOWN] = "layers.#.mlp.experts.*.down_proj",
    [W_SHARED_ROUTER] = "layers.#.mlp.shared_expert_gate",
    [W_SHARED_GATE] = "layers.#.mlp.shared_expert.gate_proj",
    [W_SHARED_UP] = "layers.#.mlp.shared_expert.up_proj",
    [W_SHARED_DOWN] = "layers.#.mlp.shared_expert.down_proj",
};

void params_experts(struct params *params, struct decoder_config *config, int n_ff)
{
    config->n_experts = params_int(params, "expert_count", "num_local_experts|num_experts", 0, 0, DECODER_MAX_EXPERTS);
    if (config->n_experts == 0)
        return;
    config->n_experts_used = params_int(params, "expert_used_count", "num_experts_per_tok", PARAM_REQUIRED, 1, config->n_experts);
    config->n_ff_expert = params_int(params, "expert_feed_forward_length", "moe_intermediate_size", 0, 0, 1 << 20);
    if (config->n_ff_expert == 0)
        config->n_ff_expert = n_ff;
    config->renormalise = true;
    config->expert_scale = (float)params_real(params, "expert_weights_scale", NULL, 1);
    if (config->expert_scale == 0)
        config->expert_scale = 1;
}

void llama_configure(struct params *params, struct decoder_config *config)
{
    params_shapes(params, config);
    config->norm = NORM_RMS;
    config->norm_eps = (float)params_real(params, "attention.layer_norm_rms_epsilon", "rms_norm_eps", 1e-6);
    config->activation = params_activation(params, "hidden_act", "silu");
    config->gated = true;
    double scale = params_real(params, "attention.scale", NULL, 0);
    if (scale > 0)
        config->attention_scale = (float)scale;
    params_rope(params, config, ROPE_GLOBAL, NULL, 1);
    params_experts(params, config, config->n_ff);
}

static void configure(struct params *params, struct decoder_config *config)
{
    llama_configure(params, config);
    config->rope[ROPE_GLOBAL].interleaved = params->config == NULL;
    params_windows(params, config, params_int(params, "attention.sliding_window", NULL, 0, 0, 1 << 26), NULL, 0);
}

const struct architecture arch_llama = {"llama", "llama", llama_names, configure};
