/* StarCoder2 (Lozhkov et al. 2024): layer norms and biases, a plain MLP with tanh GELU, grouped queries, a sliding window in
 * every layer. */
#include "decoder/arch.h"

static weight_names starcoder2_names = {
    [W_TOKEN_EMBD] = "embed_tokens",
    [W_OUTPUT_NORM] = "norm",
    [W_OUTPUT] = "lm_head",
    [W_ATTN_NORM] = "layers.#.input_layernorm",
    [W_FFN_NORM] = "layers.#.post_attention_layernorm",
    [W_Q] = "layers.#.self_attn.q_proj",
    [W_K] = "layers.#.self_attn.k_proj",
    [W_V] = "layers.#.self_attn.v_proj",
    [W_O] = "layers.#.self_attn.o_proj",
    [W_UP] = "layers.#.mlp.c_fc",
    [W_DOWN] = "layers.#.mlp.c_proj",
};

static void configure(struct params *params, struct decoder_config *config)
{
    params_shapes(params, config);
    config->norm = NORM_LAYER;
    config->norm_eps = (float)params_real(params, "attention.layer_norm_epsilon", "norm_epsilon", 1e-5);
    config->activation = params_activation(params, "hidden_act", "gelu_pytorch_tanh");
    params_rope(params, config, ROPE_GLOBAL, NULL, 1);
    params_windows(params, config, params_int(params, "attention.sliding_window", "sliding_window", 0, 0, 1 << 26), NULL, 0);
}

const struct architecture arch_starcoder2 = {"starcoder2", "starcoder2", starcoder2_names, configure};
