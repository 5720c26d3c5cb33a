/* Model: an open file with what runs it (decoder or encoder), its tokenizer and its template, and the lock under which
 * forward passes take turns with the one thread pool.
 *
 * Invariant: everything here is immutable after model_open but for the pass's scratch, which is used under the lock only.
 * The file is closed last, since all others point into its mapping. */
#include "model/model.h"
#include "decoder/lora.h"
#include "encoder/encoder.h"
#include "chat/chat.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

enum { MAX_ADAPTERS = 64 };

struct model {
    struct model_file *file;
    struct decoder *decoder;
    struct encoder *encoder;
    struct tokenizer *tokenizer;
    struct chat *chat;
    struct model_info info;
    char *name;
    char *architecture;
    struct pool *pool;
    pthread_mutex_t lock;
    size_t kv_budget_bytes;
    struct model_adapter {
        char *name;
        struct lora *lora;
    } adapters[MAX_ADAPTERS];
    int n_adapters;
};

/* The file's own name for itself, else the last part of its path. */
static char *name_of(const struct model_file *file)
{
    str name = {NULL, 0};
    if (model_file_is_gguf(file) && gguf_str(file, "general.name", &name, NULL) == 1 && name.n > 0 && name.n < 200)
        return strndup(name.data, name.n);
    str path = str_of(model_file_path(file));
    while (path.n > 1 && path.data[path.n - 1] == '/')
        path.n--;
    size_t begin = path.n;
    while (begin > 0 && path.data[begin - 1] != '/')
        begin--;
    return strndup(path.data + begin, path.n - begin);
}

/* The architecture of what will run: of a model inside another its own. */
static char *architecture_of(const struct model_file *file)
{
    str word = model_file_architecture(file);
    return strndup(word.data != NULL ? word.data : "", word.n < 100 ? word.n : 100);
}

static int open_parts(struct model *model, const char *path, const struct model_options *options, struct error *err)
{
    int status = model_file_open(&model->file, path, err);
    if (status == 0)
        status = tokenizer_open(&model->tokenizer, model->file, err);
    if (status == 0)
        status = chat_open(&model->chat, model->file, model->tokenizer, err);
    if (status < 0)
        return status;
    model->info = (struct model_info){
        .kind = MODEL_VOCABULARY,
        .path = model_file_path(model->file),
        .name = model->name = name_of(model->file),
        .architecture = model->architecture = architecture_of(model->file),
        .n_vocab = model->tokenizer != NULL ? tokenizer_size(model->tokenizer) : 0,
        .has_tokenizer = model->tokenizer != NULL,
        .has_chat_template = chat_template_peek(model->chat) != NULL,
    };
    if (model->name == NULL || model->architecture == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "no memory");
    if (options->vocabulary_only)
        return model->tokenizer != NULL ? 0 : error_set(err, WEIR_E_NOT_FOUND, path, "has no vocabulary");
    model->pool = pool_new(options->n_threads);
    if (model->pool == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "no memory for threads");
    if (encoder_knows(str_of(model->architecture))) {
        if (options->adapter != NULL)
            return error_set(err, WEIR_E_UNSUPPORTED, path, "adapters are for generating models");
        status = encoder_open(&model->encoder, model->file, options, err);
        if (status == 0)
            encoder_describe(model->encoder, &model->info);
        return status;
    }
    status = decoder_open(&model->decoder, model->file, options, err);
    if (status == 0)
        decoder_describe(model->decoder, &model->info);
    return status;
}

int model_open(struct model **out, const char *path, const struct model_options *options, struct error *err)
{
    static const struct model_options defaults;
    *out = NULL;
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "no memory");
    pthread_mutex_init(&model->lock, NULL);
    if (options == NULL)
        options = &defaults;
    model->kv_budget_bytes = options->kv_budget_bytes;
    int status = open_parts(model, path, options, err);
    if (status < 0) {
        model_close(model);
        return status;
    }
    *out = model;
    return 0;
}

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    for (int i = 0; i < model->n_adapters; i++) {
        lora_close(model->adapters[i].lora);
        free(model->adapters[i].name);
    }
    decoder_close(model->decoder);
    if (model->encoder != NULL)
        encoder_close(model->encoder);
    chat_close(model->chat);
    if (model->tokenizer != NULL)
        tokenizer_close(model->tokenizer);
    if (model->pool != NULL)
        pool_free(model->pool);
    model_file_close(model->file);
    pthread_mutex_destroy(&model->lock);
    free(model->name);
    free(model->architecture);
    free(model);
}

const struct model_info *model_info_peek(const struct model *model)
{
    return &model->info;
}

const struct tokenizer *model_tokenizer_peek(const struct model *model)
{
    return model->tokenizer;
}

const struct chat_template *model_template_peek(const struct model *model)
{
    return chat_template_peek(model->chat);
}

int model_chat_ids(const struct model *model, const json_t *messages, const json_t *tools, struct ids *out, struct error *err)
{
    struct chat_settings settings = {.tools = tools};
    return chat_prompt(model->chat, messages, &settings, out, NULL, err);
}

int model_chat_prompt(const struct model *model, const json_t *messages, const struct chat_settings *settings, struct ids *out,
                      struct chat_begun *begun, struct error *err)
{
    return chat_prompt(model->chat, messages, settings, out, begun, err);
}

bool model_template_knows(const struct model *model, const char *variable)
{
    return chat_knows(model->chat, variable);
}

const struct answer_format *model_answer_format_peek(const struct model *model)
{
    return chat_format_peek(model->chat);
}

struct lora *model_adapter(const struct model *model, const char *name)
{
    for (int i = 0; i < model->n_adapters; i++)
        if (strcmp(model->adapters[i].name, name) == 0)
            return model->adapters[i].lora;
    return NULL;
}

bool model_has_adapter(const struct model *model, const char *name)
{
    return model_adapter(model, name) != NULL;
}

int model_adapter_open(struct model *model, const char *name, const char *path, struct error *err)
{
    if (model->decoder == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, path, "adapters are for generating models");
    if (model->n_adapters == MAX_ADAPTERS)
        return error_set(err, WEIR_E_LIMIT, path, "more than %d adapters", MAX_ADAPTERS);
    if (name[0] == '\0' || strpbrk(name, "/:, ") != NULL || strlen(name) > 64 || model_has_adapter(model, name))
        return error_set(err, WEIR_E_INVALID, path, "an adapter's name is a word of its own without '/', ':', ',' or blanks");
    struct model_adapter adapter = {.name = strdup(name)};
    if (adapter.name == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "no memory");
    int status = decoder_lora_open(model->decoder, path, &adapter.lora, err);
    if (status < 0) {
        free(adapter.name);
        return status;
    }
    model->adapters[model->n_adapters++] = adapter;
    return 0;
}

struct decoder *model_decoder(struct model *model)
{
    return model->decoder;
}

struct pool *model_lock(struct model *model)
{
    pthread_mutex_lock(&model->lock);
    return model->pool;
}

void model_unlock(struct model *model)
{
    pthread_mutex_unlock(&model->lock);
}

size_t model_kv_budget(const struct model *model)
{
    return model->kv_budget_bytes;
}

/* ------------------------------------------------------------------ one pass */

/* Rows a piece of the pass has: as many as keep its logits within bounds. */
static int rows_at_once(int n_vocab)
{
    enum { LOGITS_BYTES = 16 << 20, LEAST = 16 };
    int n = LOGITS_BYTES / (int)sizeof(float) / n_vocab;
    return n < LEAST ? LEAST : n > DECODER_MAX_ROWS ? DECODER_MAX_ROWS : n;
}

/* Feeds ids piece by piece and hands out each row. */
static int run_pieces(struct model *model, struct kv *kv, const int32_t *ids, size_t n, logits_fn *row, void *user, struct error *err)
{
    int per_piece = rows_at_once(model->info.n_vocab), status = 0;
    size_t width = (size_t)model->info.n_vocab;
    float *logits = malloc((size_t)per_piece * width * sizeof *logits);
    if (logits == NULL)
        return error_set(err, WEIR_E_MEMORY, "logits", "no memory for %d rows", per_piece);
    for (size_t from = 0; from < n && status == 0; from += (size_t)per_piece) {
        int32_t positions[DECODER_MAX_ROWS], reach[DECODER_MAX_ROWS];
        struct kv *kvs[DECODER_MAX_ROWS];
        bool want[DECODER_MAX_ROWS];
        int n_rows = n - from < (size_t)per_piece ? (int)(n - from) : per_piece;
        for (int i = 0; i < n_rows; i++) {
            positions[i] = (int32_t)from + i;
            reach[i] = (int32_t)n;
            kvs[i] = kv;
            want[i] = true;
        }
        if ((status = kv_reserve(kv, (int)from + n_rows)) < 0) {
            error_set(err, status, "ids", "no memory for the cache of %zu positions", n);
            break;
        }
        struct batch batch = {.n_rows = n_rows, .tokens = ids + from, .positions = positions, .kv = kvs, .want = want, .reach = reach};
        status = decoder_forward(model->decoder, model->pool, &batch, logits, NULL, err);
        if (status < 0)
            break;
        kv_trim(kv, (int)from + n_rows);
        for (int i = 0; i < n_rows && status == 0; i++)
            status = row(user, from + (size_t)i, logits + (size_t)i * width);
    }
    free(logits);
    return status;
}

int model_logits(struct model *model, const int32_t *ids, size_t n, logits_fn *row, void *user, struct error *err)
{
    if (model->decoder == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, model->info.path, "is no generating model");
    if (n > (size_t)model->info.n_context)
        return error_set(err, WEIR_E_LIMIT, "ids", "%zu positions are past the model's context of %d", n, model->info.n_context);
    struct kv_store *store = NULL;
    struct kv *kv = NULL;
    model_lock(model);
    int status = kv_store_new(&store, decoder_kv_shape(model->decoder), SIZE_MAX / 2, err);
    if (status == 0 && (status = kv_new(&kv, store)) < 0)
        error_set(err, status, "ids", "no memory for a cache");
    if (status == 0)
        status = run_pieces(model, kv, ids, n, row, user, err);
    if (kv != NULL)
        kv_free(kv);
    if (store != NULL)
        kv_store_free(store);
    model_unlock(model);
    return status;
}

static int need_encoder(const struct model *model, struct error *err)
{
    return model->encoder != NULL ? 0 : error_set(err, WEIR_E_UNSUPPORTED, model->info.path, "is no encoder");
}

int model_embed(struct model *model, const struct encoder_input *inputs, size_t n_inputs, float *out, struct error *err)
{
    return model_embed_inner(model, inputs, n_inputs, out, NULL, err);
}

int model_embed_inner(struct model *model, const struct encoder_input *inputs, size_t n_inputs, float *out, float *inner, struct error *err)
{
    int status = need_encoder(model, err);
    if (status < 0)
        return status;
    status = encoder_embed(model->encoder, model_lock(model), inputs, n_inputs, out, inner, err);
    model_unlock(model);
    return status;
}

int model_hidden(struct model *model, const struct encoder_input *input, float *out, struct error *err)
{
    int status = need_encoder(model, err);
    if (status < 0)
        return status;
    status = encoder_hidden(model->encoder, model_lock(model), input, out, err);
    model_unlock(model);
    return status;
}

int model_classify(struct model *model, const struct encoder_input *input, float *out, struct error *err)
{
    int status = need_encoder(model, err);
    if (status < 0)
        return status;
    status = encoder_classify(model->encoder, model_lock(model), input, out, err);
    model_unlock(model);
    return status;
}
