/* Mixtral (Jiang et al. 2024): Mistral with a choice of experts in place of the MLP; the weights of the chosen ones are
 * made to sum to one. In GGUF it goes under the name llama. */
#include "decoder/arch.h"

static weight_names mixtral_names = {
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
    config->rope[ROPE_GLOBAL].interleaved = params->config == NULL;
    params_windows(params, config, params_int(params, "attention.sliding_window", "sliding_window", 0, 0, 1 << 26), NULL, 0);
}

const struct architecture arch_mixtral = {"mixtral", "mixtral", mixtral_names, configure};
