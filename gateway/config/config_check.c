/* What the settings must agree on: listeners and TLS, provider addresses and secrets, and that every provider and model
 * named anywhere exists.
 *
 * Invariant: after config_check the snapshot can be used without another look at names; whatever makes a provider unusable
 * closes it (usable = false) with a warning and never weakens anything. Runs on the thread that loads. */
#include "config/config_internal.h"

#include <arpa/inet.h>


static bool host_is_loopback(str host)
{
    struct in_addr v4;
    struct in6_addr v6;
    char text[64];
    if (str_equal_nocase(host, STR("localhost")))
        return true;
    if (!str_copy(text, sizeof text, host))
        return false;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "scheme://host[:port]rest": the parts, host without brackets. port -1: none given. */
static bool split_url(str url, str *scheme, str *host, int64_t *port, str *rest)
{
    ptrdiff_t at = str_find(url, STR("://"));
    if (at <= 0)
        return false;
    *scheme = (str){url.data, (size_t)at};
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.data[i] <= ' ' || url.data[i] == 0x7f)
            return false;
    str authority = {url.data + at + 3, url.n - (size_t)at - 3};
    size_t n = 0;
    while (n < authority.n && strchr("/?#", authority.data[n]) == NULL)
        n++;
    *rest = (str){authority.data + n, authority.n - n};
    authority.n = n;
    str after;
    if (authority.n > 0 && authority.data[0] == '[') {
        ptrdiff_t end = str_find(authority, STR("]"));
        if (end < 0)
            return false;
        *host = (str){authority.data + 1, (size_t)end - 1};
        after = (str){authority.data + end + 1, authority.n - (size_t)end - 1};
    } else {
        ptrdiff_t colon = str_find(authority, STR(":"));
        size_t length = colon >= 0 ? (size_t)colon : authority.n;
        *host = (str){authority.data, length};
        after = (str){authority.data + length, authority.n - length};
    }
    *port = -1;
    if (after.n > 0) {
        if (after.data[0] != ':' || parse_i64((str){after.data + 1, after.n - 1}, port) < 0 || *port < 0 || *port > 65535)
            return false;
    }
    for (size_t i = 0; i < host->n; i++)
        if (host->data[i] == '@' || host->data[i] == '\\')
            return false;
    return host->n > 0;
}

static int check_listener(struct config_owner *owner, yaml_node_t *node, const char *url, struct error *err)
{
    struct config *config = &owner->config;
    str scheme, host, rest;
    int64_t port;
    if (!split_url(str_of(url), &scheme, &host, &port, &rest) || (rest.n > 0 && !str_equal(rest, STR("/"))))
        return yaml_doc_fail(owner->tree, node, err, "listen: \"%.80s\" is not like http://127.0.0.1:8080 or https://0.0.0.0:8443", url);
    bool tls = str_equal(scheme, STR("https"));
    if (!tls && !str_equal(scheme, STR("http")))
        return yaml_doc_fail(owner->tree, node, err, "listen: the scheme of \"%.80s\" must be http or https", url);
    if (tls && config->tls_certificate == NULL)
        return yaml_doc_fail(owner->tree, node, err, "listen: \"%.80s\" needs tls: {certificate: …, private_key: …}", url);
    struct config_listener *listener = &config->listeners[config->n_listeners++];
    *listener = (struct config_listener){.url = url, .host = arena_strdup(&owner->arena, host), .tls = tls,
                                         .port = port >= 0 ? (int)port : tls ? 443 : 80, .loopback = host_is_loopback(host)};
    if (listener->host == NULL)
        return error_set(err, WEIR_E_MEMORY, "listen", "out of memory");
    for (int i = 0; i < config->n_listeners - 1 && listener->port != 0; i++)
        if (config->listeners[i].port == listener->port && strcmp(config->listeners[i].host, listener->host) == 0)
            return yaml_doc_fail(owner->tree, node, err, "listen: \"%.80s\" stands here twice", url);
    if (!tls && !listener->loopback)
        config_warn(owner, "listen: %s is not a loopback address and has no TLS: questions, answers and keys cross the network in the clear", url);
    return 0;
}

static int check_listeners(struct config_owner *owner, struct error *err)
{
    if (owner->listen == NULL)
        return check_listener(owner, NULL, "http://127.0.0.1:8080", err);
    const char **urls;
    int n;
    int status = yaml_doc_texts(owner->tree, owner->listen, CONFIG_MAX_LISTENERS, &urls, &n, err);
    if (status == 0 && n == 0)
        return yaml_doc_fail(owner->tree, owner->listen, err, "listen: names no address");
    for (int i = 0; i < n && status == 0; i++) {
        yaml_node_t *node = owner->listen->type == YAML_SEQUENCE_NODE
                                ? yaml_doc_node(owner->tree, owner->listen->data.sequence.items.start[i])
                                : owner->listen;
        status = check_listener(owner, node, urls[i], err);
    }
    return status;
}

/* ------------------------------------------------------------------ providers */

static void read_secret(struct config_owner *owner, struct config_provider *provider)
{
    provider->usable = true;
    if (provider->api_key_env != NULL) {
        const char *value = getenv(provider->api_key_env);
        if (value != NULL && value[0] != '\0') {
            provider->api_key = arena_strdup(&owner->arena, str_trim(str_of(value)));
        } else if (provider->api_key_file == NULL) {
            config_warn(owner, "provider %s: the environment variable %s is not set, so nothing is sent there", provider->name, provider->api_key_env);
            provider->usable = false;
            return;
        }
    }
    if (provider->api_key == NULL && provider->api_key_file != NULL) {
        struct buffer text;
        struct error detail = {0};
        buffer_init(&text, 64 << 10);
        str key = {NULL, 0};
        if (file_read(provider->api_key_file, &text, &detail) == 0)
            key = str_trim(str_after_mark(buffer_str(&text)));
        if (key.n == 0) {
            config_warn(owner, "provider %s: no key in api_key_file %s%s%s, so nothing is sent there", provider->name, provider->api_key_file,
                        detail.text[0] != '\0' ? ": " : "", detail.text);
            provider->usable = false;
        } else {
            provider->api_key = arena_strdup(&owner->arena, key);
        }
        if (text.data != NULL)
            bytes_wipe(text.data, text.n);
        buffer_release(&text);
    }
    /* A line break in a key would end the header it stands in. */
    for (const char *c = provider->api_key; c != NULL && *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c == 0x7f) {
            config_warn(owner, "provider %s: its key contains a control character, so nothing is sent there", provider->name);
            provider->usable = false;
            return;
        }
}

/* A name that no environment has is most likely the key itself, so it is not repeated. */
static bool is_variable_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (*c != '_' && !(*c >= 'A' && *c <= 'Z') && !(*c >= 'a' && *c <= 'z') && !(c > name && *c >= '0' && *c <= '9'))
            return false;
    return true;
}

static int check_provider(struct config_owner *owner, int index, struct error *err)
{
    struct config_provider *provider = &owner->config.providers[index];
    yaml_node_t *node = owner->provider_nodes[index];
    for (const char *c = provider->name; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == '/' || *c == ':' || (unsigned char)*c >= 0x7f)
            return yaml_doc_fail(owner->tree, node, err, "providers[%d]: the name \"%.60s\" must be plain characters without /, : or blanks", index, provider->name);
    if (strlen(provider->name) > 60)
        return yaml_doc_fail(owner->tree, node, err, "providers[%d]: the name is longer than 60 characters", index);
    for (int i = 0; i < index; i++)
        if (strcmp(provider->name, owner->config.providers[i].name) == 0)
            return yaml_doc_fail(owner->tree, node, err, "providers[%d]: the name \"%s\" is taken already", index, provider->name);
    for (int i = 0; i < provider->n_models; i++)
        if (strlen(provider->models[i]) > 150)
            return yaml_doc_fail(owner->tree, node, err, "provider %s: models[%d] is longer than 150 characters", provider->name, i);
    str scheme, host, rest;
    int64_t port;
    if (!split_url(str_of(provider->base_url), &scheme, &host, &port, &rest) || str_find(rest, STR("?")) >= 0 || str_find(rest, STR("#")) >= 0)
        return yaml_doc_fail(owner->tree, node, err, "provider %s: base_url is not like https://api.example.com/v1", provider->name);
    bool plain = str_equal(scheme, STR("http"));
    if (!plain && !str_equal(scheme, STR("https")))
        return yaml_doc_fail(owner->tree, node, err, "provider %s: base_url must begin with https://", provider->name);
    if (plain && !host_is_loopback(host))
        return yaml_doc_fail(owner->tree, node, err, "provider %s: base_url may be http:// only to a loopback address; use https://", provider->name);
    str base = str_of(provider->base_url);
    while (base.n > 0 && base.data[base.n - 1] == '/')
        base.n--;
    provider->base_url = arena_strdup(&owner->arena, base);
    if (provider->base_url == NULL)
        return error_set(err, WEIR_E_MEMORY, "providers", "out of memory");
    if (str_ends(base, STR("/chat/completions")) || str_ends(base, STR("/embeddings")))
        return yaml_doc_fail(owner->tree, node, err, "provider %s: base_url must end before %s, which Weir appends", provider->name,
                              str_ends(base, STR("/embeddings")) ? "/embeddings" : "/chat/completions");
    if (provider->api_key_env != NULL && !is_variable_name(provider->api_key_env))
        return yaml_doc_fail(owner->tree, node, err, "provider %s: api_key_env must be the name of an environment variable, such as OPENAI_API_KEY, not the key", provider->name);
    if (provider->ca_file != NULL && !file_exists(provider->ca_file))
        return yaml_doc_fail(owner->tree, node, err, "provider %s: ca_file %s does not exist", provider->name, provider->ca_file);
    read_secret(owner, provider);
    if (provider->n_models == 0)
        config_warn(owner, "provider %s lists no models, so no name leads to it", provider->name);
    return 0;
}

/* ------------------------------------------------------------------ names */

static int unknown_provider(struct config_owner *owner, yaml_node_t *node, str name, struct error *err)
{
    const char *names[CONFIG_MAX_PROVIDERS];
    char text[80];
    str_copy(text, sizeof text, name);
    for (int i = 0; i < owner->config.n_providers; i++)
        names[i] = owner->config.providers[i].name;
    const char *nearest = nearest_known(text, names, (size_t)owner->config.n_providers);
    if (nearest != NULL)
        return yaml_doc_fail(owner->tree, node, err, "there is no provider \"%s\"; did you mean \"%s\"?", text, nearest);
    return yaml_doc_fail(owner->tree, node, err, "there is no provider \"%s\"", text);
}

int config_parse_target(struct config_owner *owner, yaml_node_t *node, const char *text, struct config_target *out, struct error *err)
{
    const char *slash = strchr(text, '/');
    if (slash == NULL || slash == text || slash[1] == '\0')
        return yaml_doc_fail(owner->tree, node, err, "\"%.100s\" is not like provider/model", text);
    str name = {text, (size_t)(slash - text)};
    out->provider = config_provider_find(&owner->config, name);
    if (out->provider < 0)
        return unknown_provider(owner, node, name, err);
    const struct config_provider *provider = &owner->config.providers[out->provider];
    for (int i = 0; i < provider->n_models; i++)
        if (strcmp(provider->models[i], slash + 1) == 0) {
            out->model = provider->models[i];
            return 0;
        }
    const char *nearest = nearest_known(slash + 1, provider->models, (size_t)provider->n_models);
    return yaml_doc_fail(owner->tree, node, err, "provider %s does not list the model \"%.100s\"%s%s%s", provider->name, slash + 1,
                          nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
}

static int check_escalate(struct config_owner *owner, struct error *err)
{
    struct config *config = &owner->config;
    const char **texts = NULL;
    int n = 0;
    if (owner->escalate != NULL) {
        int status = yaml_doc_texts(owner->tree, owner->escalate, CONFIG_MAX_PROVIDERS, &texts, &n, err);
        if (status < 0)
            return status;
    }
    struct config_target *targets = arena_array(&owner->arena, CONFIG_MAX_PROVIDERS, sizeof *targets);
    if (targets == NULL)
        return error_set(err, WEIR_E_MEMORY, "escalate", "out of memory");
    config->escalate = targets;
    for (int i = 0; i < n; i++) {
        yaml_node_t *node = owner->escalate->type == YAML_SEQUENCE_NODE
                                ? yaml_doc_node(owner->tree, owner->escalate->data.sequence.items.start[i])
                                : owner->escalate;
        int status = config_parse_target(owner, node, texts[i], &targets[config->n_escalate++], err);
        if (status < 0)
            return status;
    }
    /* No list: each provider's first model, in the order of the file. */
    for (int i = 0; i < config->n_providers && owner->escalate == NULL; i++)
        if (config->providers[i].n_models > 0)
            targets[config->n_escalate++] = (struct config_target){.provider = i, .model = config->providers[i].models[0]};
    return 0;
}

static size_t mapping_size(const yaml_node_t *node)
{
    return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

static int check_fallbacks(struct config_owner *owner, struct error *err)
{
    yaml_node_t *node = owner->fallbacks;
    if (node == NULL)
        return 0;
    if (node->type != YAML_MAPPING_NODE || mapping_size(node) > CONFIG_MAX_NAMES)
        return yaml_doc_fail(owner->tree, node, err, "fallbacks: must be a mapping of at most %d models to lists of providers", CONFIG_MAX_NAMES);
    struct config_fallback *rows = arena_array(&owner->arena, mapping_size(node), sizeof *rows);
    if (rows == NULL)
        return error_set(err, WEIR_E_MEMORY, "fallbacks", "out of memory");
    owner->config.fallbacks = rows;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        struct config_fallback *row = &rows[owner->config.n_fallbacks++];
        yaml_node_t *key = yaml_doc_node(owner->tree, pair->key), *value = yaml_doc_node(owner->tree, pair->value);
        const char **names;
        int n, status = yaml_doc_text(owner->tree, key, &row->model, err);
        if (status < 0 || (status = yaml_doc_texts(owner->tree, value, CONFIG_MAX_PROVIDERS, &names, &n, err)) < 0)
            return status;
        for (struct config_fallback *other = rows; other < row; other++)
            if (strcmp(other->model, row->model) == 0)
                return yaml_doc_fail(owner->tree, key, err, "fallbacks: \"%.100s\" stands here twice", row->model);
        for (int i = 0; i < n; i++) {
            int provider = config_provider_find(&owner->config, str_of(names[i]));
            yaml_node_t *item = value->type == YAML_SEQUENCE_NODE ? yaml_doc_node(owner->tree, value->data.sequence.items.start[i]) : value;
            if (provider < 0)
                return unknown_provider(owner, item, str_of(names[i]), err);
            if (!config_provider_has_model(&owner->config.providers[provider], str_of(row->model)))
                config_warn(owner, "fallbacks: provider %s does not list the model %s under models; it is asked for it all the same", names[i], row->model);
            row->providers[row->n_providers++] = provider;
        }
    }
    return 0;
}

static bool model_is_known(const struct config *config, str name)
{
    for (int i = 0; i < config->n_fallbacks; i++)
        if (str_equal(name, str_of(config->fallbacks[i].model)))
            return true;
    for (int i = 0; i < config->n_providers; i++)
        if (config_provider_has_model(&config->providers[i], name))
            return true;
    return false;
}

static bool name_is_reserved(str name)
{
    return str_equal(name, STR("auto")) || str_equal(name, STR("local")) || str_starts(name, STR("auto:")) ||
           str_starts(name, STR("local/")) || str_starts(name, STR("local:")) || str_starts(name, STR("remote/"));
}

static bool adapter_is_known(const struct config_serving *serving, str name)
{
    for (int i = 0; i < serving->n_adapters; i++)
        if (str_equal(name, str_of(serving->adapters[i].name)))
            return true;
    return false;
}

static int check_alias(struct config_owner *owner, yaml_node_t *key, yaml_node_t *value, const struct config_alias *alias, struct error *err)
{
    str target = str_of(alias->target);
    if (name_is_reserved(str_of(alias->name)))
        return yaml_doc_fail(owner->tree, key, err, "aliases: \"%.100s\" has a meaning of its own", alias->name);
    if (str_starts(target, STR("remote/"))) {
        struct config_target unused;
        return config_parse_target(owner, value, alias->target + 7, &unused, err);
    }
    double regret;
    if (str_starts(target, STR("auto:")) && (parse_f64((str){target.data + 5, target.n - 5}, &regret) < 0 || !(regret >= 0 && regret <= 1)))
        return yaml_doc_fail(owner->tree, value, err, "aliases: \"%.100s\": the largest regret must be a number from 0 to 1", alias->target);
    if (str_starts(target, STR("local:")) && !adapter_is_known(&owner->config.chat, (str){target.data + 6, target.n - 6}))
        return yaml_doc_fail(owner->tree, value, err, "aliases: models.chat has no adapter \"%.100s\"", target.data + 6);
    if (!name_is_reserved(target) && !model_is_known(&owner->config, target))
        return yaml_doc_fail(owner->tree, value, err, "aliases: no provider lists the model \"%.100s\"", alias->target);
    return 0;
}

static int check_aliases(struct config_owner *owner, struct error *err)
{
    yaml_node_t *node = owner->aliases;
    if (node == NULL)
        return 0;
    if (node->type != YAML_MAPPING_NODE || mapping_size(node) > CONFIG_MAX_NAMES)
        return yaml_doc_fail(owner->tree, node, err, "aliases: must be a mapping of at most %d names", CONFIG_MAX_NAMES);
    struct config_alias *rows = arena_array(&owner->arena, mapping_size(node), sizeof *rows);
    if (rows == NULL)
        return error_set(err, WEIR_E_MEMORY, "aliases", "out of memory");
    owner->config.aliases = rows;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        struct config_alias *row = &rows[owner->config.n_aliases++];
        yaml_node_t *key = yaml_doc_node(owner->tree, pair->key), *value = yaml_doc_node(owner->tree, pair->value);
        int status = yaml_doc_text(owner->tree, key, &row->name, err);
        if (status == 0)
            status = yaml_doc_text(owner->tree, value, &row->target, err);
        if (status == 0)
            status = check_alias(owner, key, value, row, err);
        for (struct config_alias *other = rows; other < row && status == 0; other++)
            if (strcmp(other->name, row->name) == 0)
                status = yaml_doc_fail(owner->tree, key, err, "aliases: \"%.100s\" stands here twice", row->name);
        if (status < 0)
            return status;
    }
    return 0;
}

int config_check(struct config_owner *owner, struct error *err)
{
    int status = check_listeners(owner, err);
    for (int i = 0; i < owner->config.n_providers && status == 0; i++)
        status = check_provider(owner, i, err);
    if (status == 0)
        status = check_fallbacks(owner, err);
    if (status == 0)
        status = check_escalate(owner, err);
    if (status == 0)
        status = check_aliases(owner, err);
    if (status == 0)
        status = config_check_shadow(owner, err);
    return status;
}
