/* The `models` section: what runs in this process, and how each model serves.
 *
 * Names of adapters and further models are keys of their own mappings, so each mapping is read by a table made of its keys. Runs on
 * the thread that loads. */
#include "config/config_internal.h"

#define CONFIG(member) offsetof(struct config, member)
#define MODEL(member) offsetof(struct config_model, member)
#define SERVING(member) offsetof(struct config_serving, member)

static const char *const kv_words[] = {[KV_DEFAULT] = "auto", [KV_F32] = "f32", [KV_F16] = "f16", [KV_Q8_0] = "q8_0", NULL};

static const struct yaml_field draft_fields[] = {{"draft", YAML_PATH, SERVING(draft_path), .required = true}, {NULL}};

static int read_speculate(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config_serving *serving = target;
    const char *word;
    if (node->type == YAML_MAPPING_NODE) {
        serving->speculation = SPECULATE_DRAFT;
        return yaml_doc_read(tree, node, draft_fields, serving, "speculate", err);
    }
    int status = yaml_doc_text(tree, node, &word, err);
    if (status < 0)
        return status;
    if (strcmp(word, "off") == 0)
        serving->speculation = SPECULATE_OFF;
    else if (strcmp(word, "lookup") == 0)
        serving->speculation = SPECULATE_LOOKUP;
    else
        return yaml_doc_fail(tree, node, err, "speculate: must be off, lookup or {draft: path}, not \"%.40s\"", word);
    return 0;
}

/* A table of the mapping's own keys, each read into one of n items of item_bytes. */
static int read_named(struct yaml_doc *tree, yaml_node_t *node, struct yaml_field like, size_t item_bytes, size_t name_offset, int most, void **items,
                      int *n, const char *what, struct error *err)
{
    if (node->type != YAML_MAPPING_NODE)
        return yaml_doc_fail(tree, node, err, "%s: must be a mapping (name: …)", what);
    size_t count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    if (count > (size_t)most)
        return yaml_doc_fail(tree, node, err, "%s: at most %d are taken", what, most);
    struct yaml_field *fields = arena_array(tree->arena, count + 1, sizeof *fields);
    char *all = arena_array(tree->arena, count + 1, item_bytes);
    if (fields == NULL || all == NULL)
        return error_set(err, WEIR_E_MEMORY, what, "out of memory");
    size_t i = 0;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++, i++) {
        yaml_node_t *key = yaml_doc_node(tree, pair->key);
        const char **name = (const char **)(void *)(all + i * item_bytes + name_offset);
        int status = yaml_doc_text(tree, key, name, err);
        if (status < 0)
            return status;
        if (strlen(*name) > 64 || strpbrk(*name, "/:, ") != NULL)
            return yaml_doc_fail(tree, key, err, "%s: a name has at most 64 bytes and none of / : , and blanks", what);
        for (size_t k = 0; k < i; k++)
            if (strcmp(*(const char **)(void *)(all + k * item_bytes + name_offset), *name) == 0)
                return yaml_doc_fail(tree, key, err, "%s: \"%s\" stands here twice", what, *name);
        fields[i] = like;
        fields[i].name = *name;
        fields[i].offset = i * item_bytes + like.offset;
    }
    *items = all;
    *n = (int)count;
    return yaml_doc_read(tree, node, fields, all, what, err);
}

static int read_adapters(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config_serving *serving = target;
    void *items = NULL;
    struct yaml_field like = {.type = YAML_PATH, .offset = offsetof(struct config_adapter, path), .required = true};
    int status = read_named(tree, node, like, sizeof *serving->adapters, offsetof(struct config_adapter, name), CONFIG_MAX_ADAPTERS, &items,
                            &serving->n_adapters, "adapters", err);
    if (status == 0)
        serving->adapters = items;
    return status;
}

#define SERVING_FIELDS(at)                                                                            \
    {"kv", YAML_WORD, (at) + SERVING(kv), .words = kv_words},                                         \
    {"kv_budget", YAML_BYTES, (at) + SERVING(kv_budget_bytes), .min = 0, .max = 1e15},                \
    {"context_shift", YAML_BOOL, (at) + SERVING(context_shift)},                                      \
    {"speculate", YAML_CUSTOM, (at), .read = read_speculate},                                         \
    {"adapters", YAML_CUSTOM, (at), .read = read_adapters}

static const struct yaml_field chat_fields[] = {
    {"path", YAML_PATH, CONFIG(chat_path)},
    {"temperature", YAML_REAL, CONFIG(chat_temperature), .min = 0, .max = 2},
    {"top_p", YAML_REAL, CONFIG(chat_top_p), .min = 0.01, .max = 1},
    SERVING_FIELDS(CONFIG(chat)),
    {NULL},
};
static const struct yaml_field path_fields[] = {{"path", YAML_PATH, 0, .required = true}, {NULL}};
static const struct yaml_field other_fields[] = {{"path", YAML_PATH, MODEL(path), .required = true}, SERVING_FIELDS(MODEL(serving)), {NULL}};

static int read_chat(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    const char *pulled = config->chat_path;
    int status = yaml_doc_read(tree, node, chat_fields, config, "models.chat", err);
    config->chat_path_given = config->chat_path != pulled;
    return status;
}

static int read_encoder(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    config->encoder_path_given = true;
    return yaml_doc_read(tree, node, path_fields, &config->encoder_path, "models.encoder", err);
}

static int read_reranker(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    return yaml_doc_read(tree, node, path_fields, &((struct config *)target)->reranker_path, "models.reranker", err);
}

static int read_other(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    return yaml_doc_read(tree, node, other_fields, target, "models.others", err);
}

static int read_others(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    void *items = NULL;
    struct yaml_field like = {.type = YAML_CUSTOM, .read = read_other, .required = true};
    int status = read_named(tree, node, like, sizeof *config->others, MODEL(name), CONFIG_MAX_OTHERS, &items, &config->n_others, "models.others", err);
    if (status == 0)
        config->others = items;
    return status;
}

const struct yaml_field config_models_fields[] = {
    {"chat", YAML_CUSTOM, 0, .read = read_chat},
    {"encoder", YAML_CUSTOM, 0, .read = read_encoder},
    {"reranker", YAML_CUSTOM, 0, .read = read_reranker},
    {"others", YAML_CUSTOM, 0, .read = read_others},
    {"memory_budget", YAML_BYTES, CONFIG(models_budget_bytes), .min = 0, .max = 1e15},
    {NULL},
};
