/* Where the default models lie once pulled: under cache_path("models/…"). */
#ifndef WEIR_CONFIG_DEFAULT_MODELS_H
#define WEIR_CONFIG_DEFAULT_MODELS_H

#include "weir_base.h"

#define DEFAULT_CHAT_MODEL "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"
#define DEFAULT_ENCODER_MODEL "models/all-minilm-l6-v2"

/* Paths of the pulled defaults into out (whether or not they are there). */
int default_chat_model(char *out, size_t n_out) WEIR_CHECKED;
int default_encoder_model(char *out, size_t n_out) WEIR_CHECKED;

#endif
