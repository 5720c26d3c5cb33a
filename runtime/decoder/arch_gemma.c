/* Gemma 1 (Mesnard et al. 2024): Llama with GeGLU, embeddings times sqrt(width), norm weights stored less one, tied head.
 * Gemma 2 (Rivière et al. 2024): norms after attention and MLP too, soft caps on scores and logits, a window in every other
 * layer, queries scaled by a number of its own. Gemma 3 (Kamath et al. 2025): norms on heads of q and k in place of the caps,
 * five local layers to a global one, the local ones with their own RoPE base. GGUF stores norm weights with the one added. */
#include "decoder/arch.h"

#include <math.h>

static weight_names gemma2_names = {
    [W_TOKEN_EMBD] = "embed_tokens",
    [W_OUTPUT_NORM] = "norm",
    [W_OUTPUT] = "lm_head",
    [W_ATTN_NORM] = "layers.#.input_layernorm",
    [W_ATTN_POST_NORM] = "layers.#.post_attention_layernorm",
    [W_FFN_NORM] = "layers.#.pre_feedforward_layernorm",
    [W_FFN_POST_NORM] = "layers.#.post_feedforward_layernorm",
    [W_Q] = "layers.#.self_attn.q_proj",
    [W_K] = "layers.#.self_attn.k_proj",
    [W_V] = "layers.#.self_attn.v_proj",
    [W_O] = "layers.#.self_attn.o_proj",
    [W_Q_NORM] = "layers.#.self_attn.q_norm",
    [W_K_NORM] = "layers.#.self_attn.k_norm",
    [W_GATE] = "layers.#.mlp.gate_proj",
    [W_UP] = "layers.#.mlp.up_proj",
    [W_DOWN] = "layers.#.mlp.down_proj",
};

static bool is_local(int layer, int period)
{
    return period > 1 && (layer + 1) % period != 0;
}

static void configure(struct params *params, struct decoder_config *config)
{
    params_shapes(params, config);
    config->norm = NORM_RMS;
    config->norm_eps = (float)params_real(params, "attention.layer_norm_rms_epsilon", "rms_norm_eps", 1e-6);
    config->norm_offset = params->config != NULL ? 1 : 0;
    config->activation = ACTIVATION_GELU_TANH; /* "gelu" in Gemma 1's file means this one. */
    config->gated = true;
    config->tied = !config->untied;
    config->embedding_scale = sqrtf((float)config->n_embd);
}

static void configure_gemma(struct params *params, struct decoder_config *config)
{
    configure(params, config);
    params_rope(params, config, ROPE_GLOBAL, NULL, 1);
}

/* The largest model of a generation divides by width / heads; in config.json it is query_pre_attn_scalar, in some GGUF files
 * attention.scale. */
static void scale_queries(struct params *params, struct decoder_config *config, int largest_n_layers)
{
    double scalar = params_real(params, NULL, "query_pre_attn_scalar", config->head_dim);
    if (params->config == NULL && config->n_layers == largest_n_layers)
        scalar = config->n_embd / config->n_heads;
    if (!(scalar > 0))
        params_fail(params, "query_pre_attn_scalar", "must be above 0");
    config->attention_scale = (float)(1 / sqrt(scalar));
    double scale = params_real(params, "attention.scale", NULL, 0);
    if (scale > 0)
        config->attention_scale = (float)scale;
}

static void configure_gemma2(struct params *params, struct decoder_config *config)
{
    configure_gemma(params, config);
    scale_queries(params, config, 46);
    config->attention_soft_cap = (float)params_real(params, "attn_logit_softcapping", "attn_logit_softcapping", params->config == NULL ? 50 : 0);
    config->logit_soft_cap = (float)params_real(params, "final_logit_softcapping", "final_logit_softcapping", params->config == NULL ? 30 : 0);
    int window = params_int(params, "attention.sliding_window", "sliding_window", 4096, 0, 1 << 26);
    params_windows(params, config, window, is_local, params_period(params, NULL, 2));
}

static void configure_gemma3(struct params *params, struct decoder_config *config)
{
    configure(params, config);
    scale_queries(params, config, 62);
    bool nested = params_json(params, "rope_parameters.full_attention") != NULL;
    params_rope(params, config, ROPE_GLOBAL, nested ? "rope_parameters.full_attention" : NULL, 1);
    params_rope(params, config, ROPE_LOCAL, nested ? "rope_parameters.sliding_attention" : "local", 1);
    if (params->config != NULL && !nested) /* Older files name the local base alone and scale only the global one. */
        config->rope[ROPE_LOCAL].base = params_real(params, NULL, "rope_local_base_freq", 10000);
    config->attention_soft_cap = (float)params_real(params, NULL, "attn_logit_softcapping", 0);
    int window = params_int(params, "attention.sliding_window", "sliding_window", params->config == NULL ? 0 : 4096, 0, 1 << 26);
    config->logit_soft_cap = window == 0 || params->config != NULL ? (float)params_real(params, "final_logit_softcapping", "final_logit_softcapping", 0) : 0;
    params_windows(params, config, window, is_local, params_period(params, "sliding_window_pattern|_sliding_window_pattern", 6));
    for (int i = 0; i < config->n_layers && params->status == 0; i++)
        config->layers[i].rope = config->layers[i].window > 0 ? ROPE_LOCAL : ROPE_GLOBAL;
}

const struct architecture arch_gemma = {"gemma", "gemma", llama_names, configure_gemma};
const struct architecture arch_gemma2 = {"gemma2", "gemma2", gemma2_names, configure_gemma2};
const struct architecture arch_gemma3 = {"gemma3", "gemma3|gemma3_text", gemma2_names, configure_gemma3};
