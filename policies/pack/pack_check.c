/* Static checks: what a pack says must be about things that exist, and what it permits must have a ceiling. */
#include "pack/pack.h"
#include "pack/region.h"

static int check_error(const struct pack *pack, int line, int column, struct error *err, const char *format, ...) WEIR_PRINTF(5, 6);
static int check_error(const struct pack *pack, int line, int column, struct error *err, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct yaml_tree place = {.line = line, .column = column};
    return yaml_error(pack->file, &place, err, "%s", text);
}

static int check_classes(const struct pack *pack, struct error *err)
{
    const struct detector_set *set = &pack->detectors;
    for (int i = 0; i < pack->n_maps; i++)
        for (int k = 0; k < pack->maps[i].types.n; k++)
            if (!detector_set_finds(set, pack->maps[i].types.items[k]))
                return check_error(pack, 1, 1, err, "classes: no detector that is on finds \"%s\"", pack->maps[i].types.items[k]);
    const struct entity *entity;
    for (size_t i = 0; (entity = entity_at(i)) != NULL; i++)
        if (!set->off[i] && pack_class_of(pack, entity->type, entity->detector) < 0)
            return check_error(pack, 1, 1, err, "classes: %s (found by %s) belongs to no class: map it, or turn the detector off",
                               entity->type, entity->detector);
    for (int i = 0; i < set->n_custom; i++)
        if (pack_class_of(pack, set->custom[i].entity.type, "custom") < 0)
            return check_error(pack, 1, 1, err, "classes: %s (a custom pattern) belongs to no class", set->custom[i].entity.type);
    return 0;
}

static int check_regions(const struct pack *pack, const struct names *regions, int line, int column, struct error *err)
{
    for (int i = 0; i < regions->n; i++)
        if (!region_is_known(regions->items[i]) && !law_is_known(regions->items[i]))
            return check_error(pack, line, column, err, "unknown region \"%s\"", regions->items[i]);
    return 0;
}

static int check_provider(const struct pack *pack, const struct pack_provider *provider, struct error *err)
{
    int line = provider->line, column = provider->column;
    if (strcmp(provider->id, "*") == 0 && (provider->regions.n > 0 || provider->law != NULL || provider->agreements.n > 0))
        return check_error(pack, line, column, err, "\"*\" stands for providers nobody knows: it can have a ceiling, nothing else");
    if (provider->law != NULL && !law_is_known(provider->law))
        return check_error(pack, line, column, err, "unknown law \"%s\"", provider->law);
    if (provider->ceiling < 0)
        return check_error(pack, line, column, err, "provider \"%s\" has no ceiling", provider->id);
    return check_regions(pack, &provider->regions, line, column, err);
}

static int check_types(const struct pack *pack, const struct pack_rule *rule, const struct names *types, struct error *err)
{
    for (int i = 0; i < types->n; i++)
        if (!detector_set_finds(&pack->detectors, types->items[i]))
            return check_error(pack, rule->line, rule->column, err, "rule \"%s\": no detector that is on finds \"%s\"", rule->id,
                               types->items[i]);
    return 0;
}

static int check_permit(const struct pack *pack, const struct pack_rule *rule, struct error *err)
{
    const struct pack_permit *permit = &rule->permit;
    int line = rule->line, column = rule->column;
    if (!permit->given)
        return 0;
    if (pack->n_providers == 0)
        return check_error(pack, line, column, err, "rule \"%s\" permits without a ceiling: \"providers\" is empty", rule->id);
    for (int i = 0; i < permit->laws.n; i++)
        if (!law_is_known(permit->laws.items[i]))
            return check_error(pack, line, column, err, "rule \"%s\": unknown law \"%s\"", rule->id, permit->laws.items[i]);
    for (int i = 0; i < permit->ids.n; i++) {
        bool known = false;
        for (int k = 0; k < pack->n_providers; k++)
            known = known || strcmp(pack->providers[k].id, permit->ids.items[i]) == 0;
        if (!known)
            return check_error(pack, line, column, err, "rule \"%s\": unknown provider \"%s\"", rule->id, permit->ids.items[i]);
    }
    for (int i = 0; i < permit->agreements.n; i++) {
        bool held = false;
        for (int k = 0; k < pack->n_providers; k++)
            held = held || names_has(&pack->providers[k].agreements, permit->agreements.items[i]);
        if (!held)
            return check_error(pack, line, column, err, "rule \"%s\": no provider has the agreement \"%s\", so it can permit nothing",
                               rule->id, permit->agreements.items[i]);
    }
    return check_regions(pack, &permit->regions, line, column, err);
}

static int check_rule(const struct pack *pack, const struct pack_rule *rule, struct error *err)
{
    for (int i = 0; pack->tenants.n > 0 && i < rule->tenants.n; i++)
        if (!names_has(&pack->tenants, rule->tenants.items[i]))
            return check_error(pack, rule->line, rule->column, err, "rule \"%s\": unknown tenant \"%s\"", rule->id, rule->tenants.items[i]);
    if (rule->permit.given && rule->has_effect && rule->effect >= EFFECT_LOCAL_ONLY)
        return check_error(pack, rule->line, rule->column, err, "rule \"%s\" permits what its own effect forbids", rule->id);
    int status = check_types(pack, rule, &rule->types, err);
    if (status == 0)
        status = check_types(pack, rule, &rule->redact, err);
    if (status == 0)
        status = check_types(pack, rule, &rule->mask, err);
    if (status == 0)
        status = check_regions(pack, &rule->subject_regions, rule->line, rule->column, err);
    return status == 0 ? check_permit(pack, rule, err) : status;
}

int pack_check(const struct pack *pack, struct error *err)
{
    int status = check_classes(pack, err);
    for (int i = 0; status == 0 && i < pack->n_providers; i++)
        status = check_provider(pack, &pack->providers[i], err);
    for (int i = 0; status == 0 && i < pack->n_rules; i++)
        status = check_rule(pack, &pack->rules[i], err);
    return status;
}
