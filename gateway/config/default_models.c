/* The default models' places in the cache. */
#include "config/default_models.h"

int default_chat_model(char *out, size_t n_out)
{
    return cache_path(DEFAULT_CHAT_MODEL, out, n_out);
}

int default_encoder_model(char *out, size_t n_out)
{
    return cache_path(DEFAULT_ENCODER_MODEL, out, n_out);
}
