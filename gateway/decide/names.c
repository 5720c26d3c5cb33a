/* Names into kinds and targets. Pure; any thread; owns nothing. What may really be used of the targets is decide()'s. */
#include "decide/names.h"

const char *name_kind_name(enum name_kind kind)
{
    static const char *const words[] = {[NAME_AUTO] = "auto", [NAME_LOCAL] = "local", [NAME_PINNED] = "pinned", [NAME_BARE] = "bare"};
    return words[kind];
}

static int not_found(struct error *err, str model)
{
    return error_set(err, WEIR_E_NOT_FOUND, "model", "\"%.*s\" is listed by no provider, and is neither an alias nor a model of this configuration",
                     model.n > 100 ? 100 : (int)model.n, model.data);
}

static void add_target(struct name *out, int provider, const char *model)
{
    if (out->n_targets < NAME_MAX_TARGETS)
        out->targets[out->n_targets++] = (struct config_target){.provider = provider, .model = model};
}

static int resolve_auto(const struct config *config, str model, struct name *out, struct error *err)
{
    out->kind = NAME_AUTO;
    out->max_regret = config->max_regret;
    if (str_starts(model, STR("auto:"))) {
        str number = {model.data + 5, model.n - 5};
        if (parse_f64(number, &out->max_regret) < 0 || !(out->max_regret >= 0 && out->max_regret <= 1))
            return error_set(err, WEIR_E_INVALID, "model", "auto:<max-regret> takes a number from 0 to 1");
        out->regret_named = true;
    }
    for (int i = 0; i < config->n_escalate; i++)
        add_target(out, config->escalate[i].provider, config->escalate[i].model);
    return 0;
}

static int resolve_pinned(const struct config *config, str model, struct name *out, struct error *err)
{
    str rest = {model.data + 7, model.n - 7}, provider_name;
    if (!str_split(&rest, '/', &provider_name) || rest.data == NULL || rest.n == 0)
        return not_found(err, model);
    int provider = config_provider_find(config, provider_name);
    if (provider < 0)
        return not_found(err, model);
    out->kind = NAME_PINNED;
    for (int i = 0; i < config->providers[provider].n_models; i++)
        if (str_equal(rest, str_of(config->providers[provider].models[i])))
            add_target(out, provider, config->providers[provider].models[i]);
    return out->n_targets > 0 ? 0 : not_found(err, model);
}

static const char *find_adapter(const struct config_serving *serving, str name)
{
    for (int i = 0; i < serving->n_adapters; i++)
        if (str_equal(name, str_of(serving->adapters[i].name)))
            return serving->adapters[i].name;
    return NULL;
}

/* One of the models here, by its name alone. serving: how it serves. */
static bool resolve_own(const struct config *config, const char *local_name, str model, struct name *out, const struct config_serving **serving)
{
    *serving = &config->chat;
    if (local_name != NULL && str_equal(model, str_of(local_name)))
        return true;
    for (int i = 0; i < config->n_others; i++)
        if (str_equal(model, str_of(config->others[i].name))) {
            str_copy(out->other, sizeof out->other, model);
            *serving = &config->others[i].serving;
            return true;
        }
    return false;
}

/* "<model>" or "<model>:<adapter>". */
static bool resolve_local(const struct config *config, const char *local_name, str model, struct name *out)
{
    const struct config_serving *serving;
    out->kind = NAME_LOCAL;
    if (resolve_own(config, local_name, model, out, &serving))
        return true;
    size_t at = model.n;
    while (at > 0 && model.data[at - 1] != ':')
        at--;
    if (at == 0 || !resolve_own(config, local_name, (str){model.data, at - 1}, out, &serving))
        return false;
    out->adapter = find_adapter(serving, (str){model.data + at, model.n - at});
    return out->adapter != NULL;
}

static int resolve_bare(const struct config *config, const char *local_name, str model, struct name *out, struct error *err)
{
    out->kind = NAME_BARE;
    for (int i = 0; i < config->n_fallbacks; i++) {
        const struct config_fallback *row = &config->fallbacks[i];
        if (!str_equal(model, str_of(row->model)))
            continue;
        for (int k = 0; k < row->n_providers; k++)
            add_target(out, row->providers[k], row->model);
        if (out->n_targets > 0)
            return 0;
    }
    for (int i = 0; i < config->n_providers; i++)
        for (int k = 0; k < config->providers[i].n_models; k++)
            if (str_equal(model, str_of(config->providers[i].models[k]))) {
                add_target(out, i, config->providers[i].models[k]);
                break;
            }
    if (out->n_targets > 0)
        return 0;
    return resolve_local(config, local_name, model, out) ? 0 : not_found(err, model);
}

int name_resolve(const struct config *config, const char *local_name, str model, struct name *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    out->max_regret = config->max_regret;
    for (int i = 0; i < config->n_aliases; i++)
        if (str_equal(model, str_of(config->aliases[i].name))) {
            model = str_of(config->aliases[i].target);
            break;
        }
    if (str_equal(model, STR("auto")) || str_starts(model, STR("auto:")))
        return resolve_auto(config, model, out, err);
    if (str_equal(model, STR("local"))) {
        out->kind = NAME_LOCAL;
        return 0;
    }
    if (str_starts(model, STR("local:"))) {
        out->kind = NAME_LOCAL;
        out->adapter = find_adapter(&config->chat, (str){model.data + 6, model.n - 6});
        return out->adapter != NULL ? 0 : not_found(err, model);
    }
    if (str_starts(model, STR("local/"))) {
        return resolve_local(config, local_name, (str){model.data + 6, model.n - 6}, out) ? 0 : not_found(err, model);
    }
    if (str_starts(model, STR("remote/")))
        return resolve_pinned(config, model, out, err);
    return resolve_bare(config, local_name, model, out, err);
}
