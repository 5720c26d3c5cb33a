/* Options that several verbs share: the precision, and which model is meant when none is named. */
#include "cli/model_options.h"
#include "config/default_models.h"
#include "config/yaml_doc.h"

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

int cli_kv(const char *type, const char *budget, struct model_options *out, struct error *err)
{
    static const char *const words[] = {[KV_F32] = "f32", [KV_F16] = "f16", [KV_Q8_0] = "q8_0"};
    out->kv_type = KV_DEFAULT;
    for (int i = KV_F32; type != NULL && i <= KV_Q8_0; i++)
        if (strcmp(type, words[i]) == 0)
            out->kv_type = (enum kv_type)i;
    if (type != NULL && out->kv_type == KV_DEFAULT)
        return error_set(err, WEIR_E_INVALID, "--kv", "\"%s\" is none of f32, f16, q8_0", type);
    double bytes = 0;
    if (budget != NULL && (bytes_parse(str_of(budget), &bytes) < 0 || !(bytes >= 1 && bytes < 1e15)))
        return error_set(err, WEIR_E_INVALID, "--kv-budget", "\"%s\" is no size such as 512MiB", budget);
    out->kv_budget_bytes = (size_t)bytes;
    return 0;
}

int cli_speculate(const char *word, const struct model_options *model_options, struct engine_options *options, struct error *err)
{
    options->speculation = word != NULL && strcmp(word, "off") == 0 ? SPECULATE_OFF : SPECULATE_LOOKUP;
    if (word == NULL || strcmp(word, "off") == 0 || strcmp(word, "lookup") == 0)
        return 0;
    struct model_options own = {.precision = model_options->precision, .n_threads = model_options->n_threads};
    int status = model_open(&options->draft, word, &own, err);
    if (status == 0)
        options->speculation = SPECULATE_DRAFT;
    return status < 0 ? error_prefix(err, "--speculate") : 0;
}

int cli_adapters(struct model *model, const char *list, struct error *err)
{
    str rest = str_of(list != NULL ? list : ""), item;
    while (rest.n > 0 && str_split(&rest, ',', &item)) {
        char name[128], path[4096];
        str left;
        if (!str_split(&item, '=', &left) || item.data == NULL || !str_copy(name, sizeof name, left) || !str_copy(path, sizeof path, item))
            return error_set(err, WEIR_E_INVALID, "--adapters", "must be name=path, several with commas between");
        int status = model_adapter_open(model, name, path, err);
        if (status < 0)
            return status;
    }
    return 0;
}
