/* Phi-1, 1.5 and 2 (Gunasekar et al. 2023; Li et al. 2023): attention and MLP side by side on one layer norm, biases
 * everywhere (the head too), a part of each head rotated, an optional layer norm on each head of q and k.
 *
 *   x' = x + O attention(…n…) + D gelu(U n),  n = layernorm(x) */
#include "decoder/arch.h"

static weight_names phi_names = {
    [W_TOKEN_EMBD] = "embed_tokens",
    [W_OUTPUT_NORM] = "final_layernorm",
    [W_OUTPUT] = "lm_head",
    [W_ATTN_NORM] = "layers.#.input_layernorm",
    [W_Q] = "layers.#.self_attn.q_proj",
    [W_K] = "layers.#.self_attn.k_proj",
    [W_V] = "layers.#.self_attn.v_proj",
    [W_O] = "layers.#.self_attn.dense",
    [W_Q_NORM] = "layers.#.self_attn.q_layernorm",
    [W_K_NORM] = "layers.#.self_attn.k_layernorm",
    [W_UP] = "layers.#.mlp.fc1",
    [W_DOWN] = "layers.#.mlp.fc2",
};

static void configure(struct params *params, struct decoder_config *config)
{
    params_shapes(params, config);
    config->norm = NORM_LAYER;
    config->norm_eps = (float)params_real(params, "attention.layer_norm_epsilon", "layer_norm_eps", 1e-5);
    config->activation = params_activation(params, "hidden_act", "gelu_new");
    config->parallel = true;
    params_rope(params, config, ROPE_GLOBAL, NULL, 0.5);
}

const struct architecture arch_phi = {"phi2", "phi", phi_names, configure};
