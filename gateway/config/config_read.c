/* weir.yaml into struct config: every key in one table with its type and bounds.
 *
 * Invariant: an unknown key, a wrong type or a value out of bounds is an error with its place; an absent one keeps its
 * default. Runs on the thread that loads. The models' section is config_models.c, the targets' config_goals.c; what several keys must agree on is left to config_check.c. */
#include "config/config_internal.h"

#define CONFIG(member) offsetof(struct config, member)
#define PROVIDER(member) offsetof(struct config_provider, member)

static const char *const precision_words[] = {"fast", "exact", NULL};
static const char *const durability_words[] = {"power", "process", NULL};
static const char *const dialect_words[] = {"openai", NULL};
static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};

/* Some sections are kept as nodes until all providers are known. */
static struct config_owner *owner_at(void *target)
{
    return target; /* The table gives these fields offset 0, and config is the owner's first member. */
}

static int keep_listen(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    owner_at(target)->listen = node;
    return 0;
}

static int keep_fallbacks(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    owner_at(target)->fallbacks = node;
    return 0;
}

static int keep_escalate(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    owner_at(target)->escalate = node;
    return 0;
}

static int keep_aliases(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    owner_at(target)->aliases = node;
    return 0;
}

static int read_provider_models(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config_provider *provider = target;
    const char **models;
    int status = yaml_doc_texts(tree, node, CONFIG_MAX_MODELS, &models, &provider->n_models, err);
    if (status == 0)
        provider->models = models;
    return status;
}

static const struct yaml_field timeout_fields[] = {
    {"connect", YAML_DURATION, PROVIDER(connect_timeout_us), .min = 0.001, .max = 3600},
    {"first_byte", YAML_DURATION, PROVIDER(first_byte_timeout_us), .min = 0.001, .max = 3600},
    {"stall", YAML_DURATION, PROVIDER(stall_timeout_us), .min = 0.001, .max = 3600},
    {"total", YAML_DURATION, PROVIDER(total_timeout_us), .min = 0.001, .max = 86400},
    {NULL},
};

static const struct yaml_field provider_fields[] = {
    {"name", YAML_TEXT, PROVIDER(name), .required = true},
    {"dialect", YAML_WORD, PROVIDER(dialect), .words = dialect_words},
    {"base_url", YAML_TEXT, PROVIDER(base_url), .required = true},
    {"api_key_env", YAML_TEXT, PROVIDER(api_key_env)},
    {"api_key_file", YAML_PATH, PROVIDER(api_key_file)},
    {"ca_file", YAML_PATH, PROVIDER(ca_file)},
    {"region", YAML_TEXT, PROVIDER(region)},
    {"models", YAML_CUSTOM, 0, .read = read_provider_models},
    {"timeouts", YAML_MAP, 0, .fields = timeout_fields},
    {"max_connections", YAML_INT, PROVIDER(max_connections), .min = 1, .max = 65536},
    {NULL},
};

static int read_providers(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config_owner *owner = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return yaml_doc_fail(tree, node, err, "providers: must be a list");
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_doc_node(tree, *item);
        int index = owner->config.n_providers;
        if (index == CONFIG_MAX_PROVIDERS)
            return yaml_doc_fail(tree, entry, err, "providers: at most %d are taken", CONFIG_MAX_PROVIDERS);
        struct config_provider *provider = &owner->config.providers[index];
        *provider = (struct config_provider){.connect_timeout_us = 2000000, .first_byte_timeout_us = 10000000,
                                             .stall_timeout_us = 15000000, .total_timeout_us = 120000000, .max_connections = 1024};
        char what[32];
        snprintf(what, sizeof what, "providers[%d]", index);
        int status = yaml_doc_read(tree, entry, provider_fields, provider, what, err);
        if (status < 0)
            return status;
        owner->provider_nodes[index] = entry;
        owner->config.n_providers++;
    }
    return 0;
}

static const struct yaml_field tls_fields[] = {
    {"certificate", YAML_PATH, CONFIG(tls_certificate), .required = true},
    {"private_key", YAML_PATH, CONFIG(tls_private_key), .required = true},
    {NULL},
};

static const struct yaml_field policy_fields[] = {{"pack", YAML_PATH, CONFIG(policy_pack)}, {NULL}};
static const struct yaml_field keys_fields[] = {{"required", YAML_BOOL, CONFIG(keys_required)}, {NULL}};
static const struct yaml_field ledger_fields[] = {
    {"durability", YAML_WORD, CONFIG(durability), .words = durability_words},
    {NULL},
};
static const struct yaml_field classifier_fields[] = {
    {"head", YAML_PATH, CONFIG(head_path)},
    {"max_regret", YAML_REAL, CONFIG(goal.max_regret), .min = 0, .max = 1},
    {"max_remote_share", YAML_REAL, CONFIG(goal.max_remote_share), .min = 0, .max = 1},
    {"budget_usd_per_month", YAML_CUSTOM, CONFIG(goal.budget_nusd), .read = config_read_budget},
    {"shadow", YAML_CUSTOM, 0, .read = config_read_shadow},
    {"probe", YAML_REAL, CONFIG(probe_band), .min = 0, .max = 1},
    {NULL},
};

static int read_classifier(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    int n, status = yaml_doc_read(tree, node, classifier_fields, config, "classifier", err);
    if (status == 0)
        status = config_goal_kind(tree, node, "classifier", &config->goal.kind, &n, err);
    config->max_regret = config->goal.max_regret;
    return status;
}

/* cache.semantic: true, false, or the least likeness of two embeddings. */
static int read_semantic(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    const char *text;
    double likeness;
    int status = yaml_doc_text(tree, node, &text, err);
    if (status < 0)
        return status;
    config->cache.semantic = strcmp(text, "false") != 0;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return 0;
    if (parse_f64(str_of(text), &likeness) < 0 || !(likeness >= 0.5 && likeness <= 1))
        return yaml_doc_fail(tree, node, err, "semantic: must be true, false or the least likeness of two questions, a number from 0.5 to 1, not \"%.40s\"", text);
    config->cache.likeness = likeness;
    return 0;
}

static const struct yaml_field cache_fields[] = {
    {"exact", YAML_BOOL, CONFIG(cache.exact)},
    {"semantic", YAML_CUSTOM, 0, .read = read_semantic},
    {"ttl", YAML_DURATION, CONFIG(cache.ttl_us), .min = 1, .max = 30 * 86400},
    {"max_bytes", YAML_BYTES, CONFIG(cache.max_bytes), .min = 65536, .max = 1e12},
    {NULL},
};

static int read_cache(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    int status = yaml_doc_read(tree, node, cache_fields, target, "cache", err);
    if (status < 0)
        return status;
    bool named = false;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const char *key = (const char *)yaml_doc_node(tree, pair->key)->data.scalar.value;
        named |= strcmp(key, "exact") == 0 || strcmp(key, "semantic") == 0;
    }
    if (!named)
        config_warn(owner_at(target), "cache: names neither exact nor semantic, so nothing is kept");
    return 0;
}

static const struct yaml_field cascade_fields[] = {
    {"hold_tokens", YAML_INT, CONFIG(cascade.hold_tokens), .min = 0, .max = 256},
    {"whole_tokens", YAML_INT, CONFIG(cascade.whole_tokens), .min = 0, .max = 4096},
    {"self_check", YAML_BOOL, CONFIG(cascade.self_check)},
    {NULL},
};

static int read_cascade(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    const struct config *config = target;
    int status = yaml_doc_read(tree, node, cascade_fields, target, "cascade", err);
    if (status == 0 && config->cascade.hold_tokens == 0 && config->cascade.self_check)
        return yaml_doc_fail(tree, node, err, "cascade: self_check does nothing without hold_tokens");
    return status;
}

static const struct yaml_field knowledge_fields[] = {
    {"folder", YAML_PATH, CONFIG(knowledge.folder), .required = true},
    {"passages", YAML_INT, CONFIG(knowledge.passages), .min = 1, .max = 16},
    {"likeness", YAML_REAL, CONFIG(knowledge.likeness), .min = 0, .max = 1},
    {NULL},
};
static const struct yaml_field log_fields[] = {{"level", YAML_WORD, CONFIG(log_level), .words = level_words}, {NULL}};

static const struct yaml_field limits_fields[] = {
    {"max_connections", YAML_INT, CONFIG(limits.max_connections), .min = 1, .max = 1000000},
    {"max_requests", YAML_INT, CONFIG(limits.max_requests), .min = 1, .max = 1000000},
    {"max_body", YAML_BYTES, CONFIG(limits.max_body_bytes), .min = 1024, .max = 1 << 30},
    {"head_timeout", YAML_DURATION, CONFIG(limits.head_timeout_us), .min = 0.01, .max = 3600},
    {"body_timeout", YAML_DURATION, CONFIG(limits.body_timeout_us), .min = 0.01, .max = 3600},
    {"idle_timeout", YAML_DURATION, CONFIG(limits.idle_timeout_us), .min = 0.01, .max = 86400},
    {"write_timeout", YAML_DURATION, CONFIG(limits.write_timeout_us), .min = 0.01, .max = 3600},
    {"request_timeout", YAML_DURATION, CONFIG(limits.request_timeout_us), .min = 0.01, .max = 86400},
    {"drain_timeout", YAML_DURATION, CONFIG(limits.drain_timeout_us), .min = 0, .max = 3600},
    {"max_sessions", YAML_INT, CONFIG(limits.max_sessions), .min = 1, .max = 4096},
    {"max_waiting", YAML_INT, CONFIG(limits.max_waiting), .min = 0, .max = 100000},
    {"ledger_queue", YAML_INT, CONFIG(limits.ledger_queue), .min = 16, .max = 1000000},
    {NULL},
};

static const struct yaml_field root_fields[] = {
    {"listen", YAML_CUSTOM, 0, .read = keep_listen},
    {"tls", YAML_MAP, 0, .fields = tls_fields},
    {"data_dir", YAML_PATH, CONFIG(data_dir)},
    {"models", YAML_MAP, 0, .fields = config_models_fields},
    {"precision", YAML_WORD, CONFIG(precision), .words = precision_words},
    {"threads", YAML_INT, CONFIG(threads), .min = 0, .max = 1024},
    {"providers", YAML_CUSTOM, 0, .read = read_providers},
    {"fallbacks", YAML_CUSTOM, 0, .read = keep_fallbacks},
    {"escalate", YAML_CUSTOM, 0, .read = keep_escalate},
    {"aliases", YAML_CUSTOM, 0, .read = keep_aliases},
    {"policy", YAML_MAP, 0, .fields = policy_fields},
    {"keys", YAML_MAP, 0, .fields = keys_fields},
    {"ledger", YAML_MAP, 0, .fields = ledger_fields},
    {"prices", YAML_PATH, CONFIG(prices_path)},
    {"classifier", YAML_CUSTOM, 0, .read = read_classifier},
    {"tenants", YAML_CUSTOM, 0, .read = config_read_tenants},
    {"cascade", YAML_CUSTOM, 0, .read = read_cascade},
    {"knowledge", YAML_MAP, 0, .fields = knowledge_fields},
    {"cache", YAML_CUSTOM, 0, .read = read_cache},
    {"log", YAML_MAP, 0, .fields = log_fields},
    {"limits", YAML_MAP, 0, .fields = limits_fields},
    {NULL},
};

int config_read(struct config_owner *owner, struct error *err)
{
    _Static_assert(offsetof(struct config_owner, config) == 0, "the custom readers take the snapshot for its owner");
    yaml_node_t *root = yaml_doc_root(owner->tree);
    if (root == NULL || yaml_node_is_null(root))
        return 0;
    return yaml_doc_read(owner->tree, root, root_fields, &owner->config, "the configuration", err);
}
