/* SmolLM3 (Hugging Face 2025): Llama in which some layers, every fourth as a rule, have no rotary positions (NoPE, Kazemnejad
 * et al. 2023). Where a sliding window is used, the layers without positions have it. */
#include "decoder/arch.h"

static void configure(struct params *params, struct decoder_config *config)
{
    llama_configure(params, config);
    config->rope[ROPE_GLOBAL].interleaved = params->config == NULL;
    int every = params_int(params, NULL, "no_rope_layer_interval", 4, 1, DECODER_MAX_LAYERS);
    bool windowed = params_bool(params, NULL, "use_sliding_window", params_has(params, "attention.sliding_window_pattern", NULL));
    int window = windowed ? params_int(params, "attention.sliding_window", "sliding_window", 0, 0, 1 << 26) : 0;
    const json_t *list = params_json(params, "no_rope_layers");
    if (list != NULL && json_array_size(list) < (size_t)config->n_layers)
        params_fail(params, "no_rope_layers", "must be a list of %d numbers", config->n_layers);
    params_windows(params, config, window, NULL, 0);
    const bool *rotating = params->status == 0 ? params_flags(params, "weir.rope_layers", config->n_layers) : NULL;
    for (int i = 0; i < config->n_layers && params->status == 0; i++) {
        bool rotates = list != NULL ? json_integer_value(json_array_get(list, (size_t)i)) != 0 : rotating != NULL ? rotating[i] : (i + 1) % every != 0;
        config->layers[i].rope = rotates ? ROPE_GLOBAL : ROPE_NONE;
        if (rotates && params->config != NULL && params_json(params, "layer_types") == NULL)
            config->layers[i].window = 0;
    }
}

const struct architecture arch_smollm3 = {"smollm3", "smollm3", llama_names, configure};
