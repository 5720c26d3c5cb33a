/* Options that several verbs share: the precision, and which model is meant when none is named. */
#include "cli/model_options.h"
#include "config/default_models.h"

int cli_precision(const char *word, enum precision *out, struct error *err)
{
    if (strcmp(word, "exact") == 0)
        *out = PRECISION_EXACT;
    else if (strcmp(word, "fast") == 0)
        *out = PRECISION_FAST;
    else
        return error_set(err, WEIR_E_INVALID, "--precision", "\"%s\" is neither exact nor fast", word);
    return 0;
}

static int given_or_pulled(const char *given, int (*pulled)(char *, size_t), const char *what, char *out, size_t n_out, struct error *err)
{
    if (given != NULL)
        return str_copy(out, n_out, str_of(given)) ? 0 : error_set(err, WEIR_E_INVALID, "--model", "path too long");
    if (pulled(out, n_out) < 0)
        return error_set(err, WEIR_E_LIMIT, "--model", "the cache folder's path is too long");
    if (!file_exists(out))
        return error_set(err, WEIR_E_NOT_FOUND, out, "the default %s is not there; `weir pull` fetches it, --model names another", what);
    return 0;
}

int cli_chat_model(const char *given, char *out, size_t n_out, struct error *err)
{
    return given_or_pulled(given, default_chat_model, "answering model", out, n_out, err);
}

int cli_encoder_model(const char *given, char *out, size_t n_out, struct error *err)
{
    return given_or_pulled(given, default_encoder_model, "encoder", out, n_out, err);
}
