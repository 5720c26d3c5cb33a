/* Mistral 7B and NeMo (Jiang et al. 2023): Llama with a sliding window in every layer and heads of their own width.
 * Mistral 3 and Ministral 3: YaRN, and queries that grow with the logarithm of the position (as Llama 4's). */
#include "decoder/arch.h"

static void configure(struct params *params, struct decoder_config *config)
{
    llama_configure(params, config);
    config->rope[ROPE_GLOBAL].interleaved = params->config == NULL;
    config->temperature_scale = params_real(params, "attention.temperature_scale", "rope_parameters.llama_4_scaling_beta", 0);
    config->temperature_length = params_real(params, "attention.temperature_length", NULL, 0);
    if (config->temperature_length == 0)
        config->temperature_length = params_real(params, "rope.scaling.original_context_length",
                                                 "rope_parameters.original_max_position_embeddings", config->n_context);
    if (config->temperature_scale != 0 && !(config->temperature_length > 0))
        params_fail(params, "attention.temperature_length", "must be above 0");
    params_windows(params, config, params_int(params, "attention.sliding_window", "sliding_window", 0, 0, 1 << 26), NULL, 0);
}

const struct architecture arch_mistral = {"mistral|mistral3", "mistral|mistral3|ministral|ministral3", llama_names, configure};
