/* Qwen2 and 2.5 (Yang et al. 2024): Llama with biases on q, k, v and, where use_sliding_window says so, a window from layer
 * max_window_layers on. Qwen3 (Yang et al. 2025): no biases, an RMS norm on each head of q and k. Both with experts too:
 * Qwen2-MoE adds one shared expert behind a sigmoid gate. */
#include "decoder/arch.h"

static bool is_late(int layer, int first)
{
    return layer >= first;
}

static void configure(struct params *params, struct decoder_config *config)
{
    llama_configure(params, config);
    bool windowed = params_bool(params, NULL, "use_sliding_window", params->config == NULL || params_json(params, "layer_types") != NULL);
    int window = windowed ? params_int(params, "attention.sliding_window", "sliding_window", 0, 0, 1 << 26) : 0;
    int first = params_int(params, NULL, "max_window_layers", params->config == NULL ? 0 : 28, 0, 1 << 20);
    params_windows(params, config, window, is_late, first);
}

static void configure_experts(struct params *params, struct decoder_config *config, bool renormalise)
{
    if (config->n_experts == 0)
        return;
    if (params->config == NULL && !params_has(params, "expert_feed_forward_length", NULL))
        config->n_ff_expert = config->n_ff / config->n_experts_used;
    config->renormalise = params_bool(params, "weir.norm_topk_prob", "norm_topk_prob", renormalise);
    config->n_ff_shared = params_int(params, "expert_shared_feed_forward_length", "shared_expert_intermediate_size", 0, 0, 1 << 20);
    if (config->n_ff_shared == 0)
        config->n_ff_shared = config->n_ff;
}

static void configure_qwen2(struct params *params, struct decoder_config *config)
{
    configure(params, config);
    configure_experts(params, config, false);
}

static void configure_qwen3(struct params *params, struct decoder_config *config)
{
    configure(params, config);
    configure_experts(params, config, params->config == NULL);
}

const struct architecture arch_qwen2 = {"qwen2|qwen2moe", "qwen2|qwen2_moe", llama_names, configure_qwen2};
const struct architecture arch_qwen3 = {"qwen3|qwen3moe", "qwen3|qwen3_moe", llama_names, configure_qwen3};
