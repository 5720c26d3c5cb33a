/* GPT-2 (Radford et al. 2019), also BioMedLM: learned positions, layer norms, biases, q, k, v in one matrix, a plain MLP with
 * tanh GELU. Published files store matrices as [in, out], some with the prefix "transformer.", some without, some with the
 * causal mask as a buffer, which is not read. */
#include "decoder/arch.h"

static weight_names gpt2_names = {
    [W_TOKEN_EMBD] = "wte",
    [W_POSITION_EMBD] = "wpe",
    [W_OUTPUT_NORM] = "ln_f",
    [W_OUTPUT] = "lm_head",
    [W_ATTN_NORM] = "h.#.ln_1",
    [W_FFN_NORM] = "h.#.ln_2",
    [W_QKV] = "h.#.attn.c_attn",
    [W_O] = "h.#.attn.c_proj",
    [W_UP] = "h.#.mlp.c_fc",
    [W_DOWN] = "h.#.mlp.c_proj",
};

static void configure(struct params *params, struct decoder_config *config)
{
    params_shapes(params, config);
    config->norm = NORM_LAYER;
    config->norm_eps = (float)params_real(params, "attention.layer_norm_epsilon", "layer_norm_epsilon", 1e-5);
    config->activation = params_activation(params, "activation_function", "gelu_new");
    config->learned_positions = true;
    config->transposed = params->config != NULL;
    if (params_bool(params, NULL, "scale_attn_by_inverse_layer_idx", false) || !params_bool(params, NULL, "scale_attn_weights", true))
        params_fail(params, "scale_attn_by_inverse_layer_idx", "attention scaled otherwise than by its heads' width is not supported");
    for (int i = 0; i < config->n_layers && params->status == 0; i++)
        config->layers[i].rope = ROPE_NONE;
}

const struct architecture arch_gpt2 = {"gpt2", "gpt2", gpt2_names, configure};
