/* Pooling. The files read (sentence-transformers): modules.json, an array of {"type": "…models.Pooling", "path": "1_Pooling"};
 * <path>/config.json of the Pooling module, {"pooling_mode_mean_tokens": true, …}; sentence_bert_config.json,
 * {"max_seq_length": 256}. In GGUF: "<architecture>.pooling_type" (0 none, 1 mean, 2 CLS, 3 last), and keys
 * that `weir convert` adds (encoder/convert.c). */
#include "encoder/pooling.h"

#include <math.h>

enum { LONGEST_PATH = 1024, LARGEST_FILE = 1 << 20 };

/* A small JSON file of the directory, or NULL: absent, or broken (then the status is set). */
static json_t *read_sibling(struct weights *weights, const char *name)
{
    char path[LONGEST_PATH];
    if (weights->status < 0 || !model_file_sibling(weights->file, name, path, sizeof path))
        return NULL;
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, LARGEST_FILE);
    json_t *json = file_read(path, &text, &err) < 0 ? NULL : json_parse(str_after_mark(buffer_str(&text)), &err);
    buffer_release(&text);
    if (json == NULL)
        weights_fail(weights, err.status, name, "%s: %s", err.where, err.text);
    return json;
}

/* A path of modules.json may only lead downwards. */
static bool is_inside(str path)
{
    for (str part; str_split(&path, '/', &part);)
        if (part.n == 0 || str_equal(part, STR("..")))
            return false;
    return true;
}

static void read_modes(struct weights *weights, const json_t *config, const char *name, struct pooling *pooling)
{
    static const struct {
        const char *key;
        int rows;
    } modes[] = {
        {"pooling_mode_mean_tokens", POOL_MEAN},           {"pooling_mode_cls_token", POOL_FIRST},
        {"pooling_mode_lasttoken", POOL_LAST},             {"pooling_mode_max_tokens", POOL_MAX},
        {"pooling_mode_mean_sqrt_len_tokens", POOL_MEAN_SQRT}, {"pooling_mode_weightedmean_tokens", -1},
    };
    int n_set = 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        bool set = false;
        struct error err = {0};
        if (json_member_bool(config, modes[i].key, &set, &err) < 0)
            weights_fail(weights, err.status, name, "%s: %s", err.where, err.text);
        if (!set)
            continue;
        n_set++;
        if (modes[i].rows < 0)
            weights_fail(weights, WEIR_E_UNSUPPORTED, name, "%s is not supported", modes[i].key);
        else
            pooling->rows = (unsigned)modes[i].rows;
    }
    if (n_set > 1)
        weights_fail(weights, WEIR_E_UNSUPPORTED, name, "several pooling modes at once are not supported");
}

static void read_pooling_module(struct weights *weights, str path, struct pooling *pooling)
{
    char name[LONGEST_PATH];
    snprintf(name, sizeof name, STR_FMT "%sconfig.json", STR_ARG(path), path.n > 0 ? "/" : "");
    json_t *config = read_sibling(weights, name);
    if (config == NULL || !json_is_object(config))
        weights_fail(weights, WEIR_E_INVALID, name, config == NULL ? "is missing" : "must be an object");
    else
        read_modes(weights, config, name, pooling);
    json_decref(config);
}

static void read_modules(struct weights *weights, const json_t *modules, struct pooling *pooling)
{
    pooling->normalised = false;
    if (!json_is_array(modules))
        weights_fail(weights, WEIR_E_INVALID, "modules.json", "must be an array");
    for (size_t i = 0; i < json_array_size(modules) && weights->status == 0; i++) {
        const json_t *module = json_array_get(modules, i);
        str type = {0}, path = {0};
        if (!json_is_object(module) || json_member_str(module, "type", &type, NULL) != 1 || json_member_str(module, "path", &path, NULL) < 0 ||
            (path.n > 0 && !is_inside(path)))
            weights_fail(weights, WEIR_E_INVALID, "modules.json", "module %zu needs a type and a path inside the directory", i);
        else if (str_ends(type, STR(".Pooling")))
            read_pooling_module(weights, path, pooling);
        else if (str_ends(type, STR(".Normalize")))
            pooling->normalised = true;
        else if (!str_ends(type, STR(".Transformer")))
            weights_fail(weights, WEIR_E_UNSUPPORTED, "modules.json", "module %zu: " STR_FMT " is not supported", i,
                         (int)(type.n < 80 ? type.n : 80), type.data);
    }
}

static void read_max_tokens(struct weights *weights, struct pooling *pooling)
{
    static const char *const names[] = {"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
                                        "sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *config = read_sibling(weights, names[i]);
        int64_t n = 0;
        struct error err = {0};
        int status = config != NULL ? json_member_i64(config, "max_seq_length", &n, &err) : 0;
        if (status < 0 || (status > 0 && (n < 1 || n > INT32_MAX)))
            weights_fail(weights, WEIR_E_INVALID, names[i], "max_seq_length: %s", status < 0 ? err.text : "out of range");
        else if (status > 0)
            pooling->max_tokens = (int)n;
        json_decref(config);
        if (status != 0)
            return;
    }
}

void pooling_open(struct weights *weights, struct pooling *pooling)
{
    *pooling = (struct pooling){.rows = POOL_MEAN, .normalised = true};
    if (model_file_is_gguf(weights->file)) {
        int type = config_int(weights, "pooling_type", 0, 4, 1);
        pooling->rows = type == 2 ? POOL_FIRST : type == 3 ? POOL_LAST : POOL_MEAN;
        bool as_pooled = false;
        struct error err = {0};
        if (gguf_bool(weights->file, "weir.embedding_as_pooled", &as_pooled, &err) < 0)
            weights_fail(weights, err.status, "weir.embedding_as_pooled", "%s", err.text);
        pooling->normalised = !as_pooled;
        int64_t most = 0;
        if (gguf_i64(weights->file, "weir.max_tokens", &most, &err) < 0 || most < 0 || most > INT32_MAX)
            weights_fail(weights, WEIR_E_INVALID, "weir.max_tokens", "is no number of tokens");
        pooling->max_tokens = (int)most;
        return;
    }
    json_t *modules = read_sibling(weights, "modules.json");
    if (modules != NULL)
        read_modules(weights, modules, pooling);
    json_decref(modules);
    read_max_tokens(weights, pooling);
}

void pooling_apply(const struct pooling *pooling, const float *rows, int n_rows, int width, float *out)
{
    double squares = 0;
    for (int d = 0; d < width; d++) {
        const float *column = rows + d;
        double sum = 0;
        if (pooling->rows == POOL_FIRST || pooling->rows == POOL_LAST) {
            sum = (double)column[pooling->rows == POOL_FIRST ? 0 : (size_t)(n_rows - 1) * (size_t)width];
        } else if (pooling->rows == POOL_MAX) {
            sum = -INFINITY;
            for (int i = 0; i < n_rows; i++)
                sum = fmax(sum, (double)column[(size_t)i * (size_t)width]);
        } else {
            for (int i = 0; i < n_rows; i++)
                sum += (double)column[(size_t)i * (size_t)width];
            sum /= pooling->rows == POOL_MEAN ? n_rows : sqrt(n_rows);
        }
        out[d] = (float)sum;
        squares += sum * sum;
    }
    double length = sqrt(squares);
    for (int d = 0; pooling->normalised && d < width; d++)
        out[d] = (float)((double)out[d] / (length > 1e-12 ? length : 1e-12));
}
