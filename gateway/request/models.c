/* The models a caller can name: auto, local ones, each provider's, aliases. */
#include "request/models.h"

typedef bool model_fn(void *user, const char *id, const char *owner);

static bool each_adapter(const struct config_serving *serving, const char *model, model_fn *fn, void *user)
{
    char name[400];
    for (int i = 0; i < serving->n_adapters; i++) {
        snprintf(name, sizeof name, "%s:%s", model, serving->adapters[i].name);
        if (fn(user, name, "weir"))
            return true;
    }
    return false;
}

/* Calls fn for each name until it gives true; bare names of several providers come once. */
static bool each_model(const struct service *service, model_fn *fn, void *user)
{
    const struct config *config = service->snapshot->config;
    char name[320];
    if (fn(user, "auto", "weir"))
        return true;
    const char *local[3] = {service->chat.engine != NULL ? service->chat.name : NULL,
                            service->encoder != NULL ? model_info_peek(service->encoder)->name : NULL,
                            service->reranker != NULL ? model_info_peek(service->reranker)->name : NULL};
    if ((local[0] != NULL || local[1] != NULL) && fn(user, "local", "weir"))
        return true;
    for (int i = 0; i < 3; i++) {
        const char *own = local[i];
        if (own == NULL)
            continue;
        snprintf(name, sizeof name, "local/%s", own);
        if (fn(user, name, "weir") || fn(user, own, "weir"))
            return true;
    }
    if (service->chat.engine != NULL && each_adapter(&config->chat, "local", fn, user))
        return true;
    for (int i = 0; i < model_pool_size(service->pool); i++) {
        const struct config_model *other = model_pool_look(service->pool, i).config;
        snprintf(name, sizeof name, "local/%s", other->name);
        if (fn(user, name, "weir") || each_adapter(&other->serving, name, fn, user))
            return true;
    }
    for (int i = 0; i < config->n_aliases; i++)
        if (fn(user, config->aliases[i].name, "weir"))
            return true;
    for (int p = 0; p < config->n_providers; p++) {
        const struct config_provider *provider = &config->providers[p];
        for (int m = 0; m < provider->n_models; m++) {
            bool seen = false;
            for (int before = 0; before < p && !seen; before++)
                seen = config_provider_has_model(&config->providers[before], str_of(provider->models[m]));
            snprintf(name, sizeof name, "remote/%s/%s", provider->name, provider->models[m]);
            if ((!seen && fn(user, provider->models[m], provider->name)) || fn(user, name, provider->name))
                return true;
        }
    }
    return false;
}

struct model_writer {
    struct buffer *out;
    str wanted;  /* Only this one; data NULL: all. */
    bool first;
};

static bool write_model(void *user, const char *id, const char *owner)
{
    struct model_writer *writer = user;
    if (writer->wanted.data != NULL && !str_equal(writer->wanted, str_of(id)))
        return false;
    if (!writer->first)
        buffer_append_char(writer->out, ',');
    writer->first = false;
    buffer_append_text(writer->out, "{\"id\":");
    buffer_append_json_string(writer->out, str_of(id));
    buffer_append_text(writer->out, ",\"object\":\"model\",\"created\":0,\"owned_by\":");
    buffer_append_json_string(writer->out, str_of(owner));
    buffer_append_char(writer->out, '}');
    return writer->wanted.data != NULL;
}

void models_list(struct service *service, struct reply *reply)
{
    if (reply_needs_key(service, reply))
        return;
    struct buffer body;
    buffer_init(&body, (size_t)16 << 20);
    buffer_append_text(&body, "{\"object\":\"list\",\"data\":[");
    struct model_writer writer = {.out = &body, .first = true};
    each_model(service, write_model, &writer);
    buffer_append_text(&body, "]}");
    reply_whole(reply, 200, "application/json", buffer_str(&body));
    buffer_release(&body);
}

/* %2F and the like in a path's last part. */
static size_t percent_decode(str in, char *out, size_t n_out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n && n + 1 < n_out; i++) {
        uint8_t byte;
        if (in.data[i] == '%' && i + 2 < in.n && hex_decode((str){in.data + i + 1, 2}, &byte, 1) == 0) {
            out[n++] = (char)byte;
            i += 2;
        } else {
            out[n++] = in.data[i];
        }
    }
    out[n] = '\0';
    return n;
}

void models_show(struct service *service, struct reply *reply)
{
    if (reply_needs_key(service, reply))
        return;
    str path = reply_request_peek(reply)->path, prefix = STR("/v1/models/");
    char id[512];
    size_t n = percent_decode((str){path.data + prefix.n, path.n - prefix.n}, id, sizeof id);
    struct buffer body;
    buffer_init(&body, 8192);
    struct model_writer writer = {.out = &body, .wanted = {id, n}, .first = true};
    if (each_model(service, write_model, &writer)) {
        reply_whole(reply, 200, "application/json", buffer_str(&body));
    } else {
        struct api_error error;
        api_error_set(&error, 404, "model_not_found", "model", "The model does not exist");
        metrics_refused(service->metrics, 404);
        reply_api_error(reply, &error);
    }
    buffer_release(&body);
}
