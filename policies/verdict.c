/* From findings and rules to a verdict.
 *
 * All rules are evaluated and their order does not matter: effects join to the strictest, what permits ask of a provider is
 * intersected, and at least one rule that surely applies must permit. A rule whose condition cannot be decided (the subject's
 * region is not known) counts with its strict side only: its effect and its demands hold, its permission does not. */
#include "findings.h"
#include "pack/pack.h"
#include "pack/region.h"
#include "verdict.h"

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

struct evaluation {
    const struct pack *pack;
    const struct policy_query *query;
    struct arena *arena;
    struct verdict *verdict;
    const char *detectors[VERDICT_MAX_TYPES]; /* Of verdict->types. */
    enum match matches[MOST_RULES];
    int data_class, residual_class;
};

static void add_reason(struct verdict *verdict, const char *reason)
{
    for (int i = 0; i < verdict->n_reasons; i++)
        if (strcmp(verdict->reasons[i], reason) == 0)
            return;
    if (verdict->n_reasons < VERDICT_MAX_REASONS && reason != NULL)
        verdict->reasons[verdict->n_reasons++] = reason;
}

static void raise_effect(struct verdict *verdict, enum effect effect)
{
    if (effect > verdict->effect)
        verdict->effect = effect;
}

static void close_remote(struct verdict *verdict, const char *reason)
{
    raise_effect(verdict, EFFECT_LOCAL_ONLY);
    add_reason(verdict, reason);
}

/* The name of the field a text stands in: the last word of its path ("tools[0].function.description" → "description"). */
static str field_name(const char *path)
{
    str all = str_of(path);
    size_t end = all.n;
    while (end > 0 && (all.data[end - 1] == ']' || is_digit(all.data[end - 1]) || all.data[end - 1] == '['))
        end--;
    size_t start = end;
    while (start > 0 && all.data[start - 1] != '.')
        start--;
    return (str){all.data + start, end - start};
}

static int count_types(struct evaluation *run, const struct findings *findings)
{
    struct verdict *verdict = run->verdict;
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *finding = &findings->items[i];
        int slot = 0;
        while (slot < verdict->n_types && strcmp(verdict->types[slot].type, finding->type) != 0)
            slot++;
        if (slot == VERDICT_MAX_TYPES) {
            close_remote(verdict, "too_many_types");
            continue;
        }
        if (slot == verdict->n_types) {
            verdict->types[slot].type = finding->type;
            run->detectors[slot] = finding->detector;
            verdict->n_types++;
        }
        verdict->types[slot].count++;
        if (finding->score > verdict->types[slot].max_score)
            verdict->types[slot].max_score = finding->score;
    }
    return 0;
}

static int scan_fields(struct evaluation *run, struct error *err)
{
    const struct policy_query *query = run->query;
    struct verdict *verdict = run->verdict;
    verdict->findings = arena_array(run->arena, query->n_fields + 1, sizeof *verdict->findings);
    if (verdict->findings == NULL)
        return error_set(err, WEIR_E_MEMORY, "policy", "out of memory");
    verdict->n_fields = query->n_fields;
    for (size_t i = 0; i < query->n_fields; i++) {
        struct findings found = {0};
        const struct policy_field *field = &query->fields[i];
        int status = policy_scan(run->pack, field->text, field_name(field->path), &found, err);
        struct findings *kept = &verdict->findings[i];
        *kept = (struct findings){.n = found.n, .capacity = found.n, .truncated = found.truncated};
        kept->items = arena_array(run->arena, found.n, sizeof *kept->items);
        if (status == 0 && kept->items == NULL)
            status = error_set(err, WEIR_E_MEMORY, "policy", "out of memory");
        if (status == 0 && found.n > 0)
            memcpy(kept->items, found.items, found.n * sizeof *found.items);
        findings_release(&found);
        if (status < 0)
            return status;
        if (kept->truncated)
            close_remote(verdict, "scan_truncated");
        count_types(run, kept);
    }
    return 0;
}

static bool any_type_matches(const struct evaluation *run, const struct names *globs)
{
    for (int i = 0; i < run->verdict->n_types; i++)
        if (names_match(globs, run->verdict->types[i].type, run->detectors[i]))
            return true;
    return false;
}

static enum match rule_match(const struct evaluation *run, const struct pack_rule *rule)
{
    const struct policy_query *query = run->query;
    enum match match = MATCH_YES;
    if (rule->tenants.n > 0 && (query->tenant == NULL || !names_has(&rule->tenants, query->tenant)))
        return MATCH_NO;
    if (rule->has_class && (run->data_class < rule->class_low || run->data_class > rule->class_high))
        return MATCH_NO;
    if (rule->types.n > 0 && !any_type_matches(run, &rule->types))
        return MATCH_NO;
    if (rule->subject_regions.n > 0) {
        if (query->subject_region == NULL || !region_is_known(query->subject_region))
            return MATCH_MAYBE;
        match = MATCH_NO;
        for (int i = 0; i < rule->subject_regions.n; i++)
            if (region_within(query->subject_region, rule->subject_regions.items[i]))
                match = MATCH_YES;
    }
    return match;
}

/* Whether the regions a provider is known by all lie in one of the wanted ones. */
static bool regions_fulfil(const char *configured, const struct pack_provider *provider, const struct names *wanted)
{
    int n = configured != NULL ? 1 : provider->regions.n;
    for (int i = 0; i < n; i++) {
        const char *region = configured != NULL ? configured : provider->regions.items[i];
        bool inside = false;
        for (int k = 0; k < wanted->n; k++)
            inside = inside || region_within(region, wanted->items[k]);
        if (!inside)
            return false;
    }
    return n > 0;
}

static bool law_fulfils(const char *configured, const struct pack_provider *provider, const struct names *wanted)
{
    int n = provider->law != NULL || configured != NULL ? 1 : provider->regions.n;
    for (int i = 0; i < n; i++) {
        const char *region = configured != NULL ? configured : n > 0 && provider->regions.n > 0 ? provider->regions.items[i] : NULL;
        const char *law = provider->law != NULL ? provider->law : region_law(region);
        bool inside = false;
        for (int k = 0; law != NULL && k < wanted->n; k++)
            inside = inside || str_equal_nocase(str_of(law), str_of(wanted->items[k]));
        if (!inside)
            return false;
    }
    return n > 0;
}

static bool permit_fulfilled(const struct pack_permit *permit, const struct policy_provider *configured, const struct pack_provider *provider)
{
    if (permit->any)
        return true;
    if (permit->ids.n > 0 && !names_has(&permit->ids, configured->id) && !names_has(&permit->ids, provider->id))
        return false;
    if (permit->regions.n > 0 && !regions_fulfil(configured->region, provider, &permit->regions))
        return false;
    if (permit->laws.n > 0 && !law_fulfils(configured->region, provider, &permit->laws))
        return false;
    for (int i = 0; i < permit->agreements.n; i++)
        if (!names_has(&provider->agreements, permit->agreements.items[i]))
            return false;
    return true;
}

/* Both sides name a region: the configured one must lie in one that the pack names. */
static bool regions_conflict(const struct policy_provider *configured, const struct pack_provider *provider)
{
    if (configured->region == NULL || provider->regions.n == 0)
        return false;
    for (int i = 0; i < provider->regions.n; i++)
        if (str_equal_nocase(str_of(configured->region), str_of(provider->regions.items[i])) ||
            region_within(configured->region, provider->regions.items[i]))
            return false;
    return true;
}

/* NULL when the provider may receive the query's residue, else why not. */
static const char *provider_refusal(const struct evaluation *run, const struct policy_provider *configured)
{
    const struct pack_provider *provider = pack_provider_find(run->pack, configured->id);
    if (provider == NULL)
        return "unknown_provider";
    if (regions_conflict(configured, provider))
        return "region_conflict";
    if (run->residual_class > provider->ceiling)
        return "above_ceiling";
    for (int i = 0; i < run->pack->n_rules; i++) {
        const struct pack_rule *rule = &run->pack->rules[i];
        if (run->matches[i] != MATCH_NO && !rule->shadow && rule->permit.given && !permit_fulfilled(&rule->permit, configured, provider))
            return rule->id;
    }
    return NULL;
}

static bool some_provider_fulfils(const struct evaluation *run, const struct pack_permit *permit)
{
    for (size_t i = 0; i < run->query->n_providers; i++) {
        const struct pack_provider *provider = pack_provider_find(run->pack, run->query->providers[i].id);
        if (provider != NULL && !regions_conflict(&run->query->providers[i], provider) &&
            permit_fulfilled(permit, &run->query->providers[i], provider))
            return true;
    }
    return false;
}

static void apply_rules(struct evaluation *run)
{
    struct verdict *verdict = run->verdict;
    bool permitted_by_some = false;
    bool redacted[VERDICT_MAX_TYPES] = {false};
    for (int i = 0; i < run->pack->n_rules; i++) {
        const struct pack_rule *rule = &run->pack->rules[i];
        run->matches[i] = rule_match(run, rule);
        if (run->matches[i] == MATCH_NO)
            continue;
        bool redacts = any_type_matches(run, &rule->redact) || any_type_matches(run, &rule->mask);
        bool falls_back = rule->permit.given && rule->otherwise > EFFECT_ALLOW && !some_provider_fulfils(run, &rule->permit);
        enum effect effect = rule->has_effect && rule->effect >= EFFECT_LOCAL_ONLY ? rule->effect : redacts ? EFFECT_REDACT : EFFECT_ALLOW;
        if (falls_back && rule->otherwise > effect)
            effect = rule->otherwise;
        if (rule->shadow) {
            char *reason = effect > EFFECT_ALLOW ? arena_printf(run->arena, "shadow:%s", rule->id) : NULL;
            if (reason != NULL)
                add_reason(verdict, reason);
            continue;
        }
        raise_effect(verdict, effect);
        if (run->matches[i] == MATCH_YES && rule->permit.given)
            permitted_by_some = true;
        if (effect > EFFECT_ALLOW || rule->permit.given)
            add_reason(verdict, rule->id);
        for (int k = 0; k < verdict->n_types; k++)
            redacted[k] = redacted[k] || names_match(&rule->redact, verdict->types[k].type, run->detectors[k]) ||
                          names_match(&rule->mask, verdict->types[k].type, run->detectors[k]);
    }
    for (int i = 0; i < verdict->n_types; i++) {
        int data_class = pack_class_of(run->pack, verdict->types[i].type, run->detectors[i]);
        if (!redacted[i] && data_class > run->residual_class)
            run->residual_class = data_class;
    }
    if (!permitted_by_some)
        close_remote(verdict, "no_rule_permits");
}

static void choose_class(struct evaluation *run)
{
    struct verdict *verdict = run->verdict;
    for (int i = 0; i < verdict->n_types; i++) {
        int data_class = pack_class_of(run->pack, verdict->types[i].type, run->detectors[i]);
        if (data_class < 0) {
            data_class = run->pack->n_classes - 1;
            close_remote(verdict, "unknown_entity");
        }
        if (data_class > run->data_class)
            run->data_class = data_class;
    }
    verdict->data_class = run->pack->classes[run->data_class];
}

static void choose_providers(struct evaluation *run)
{
    struct verdict *verdict = run->verdict;
    const struct policy_query *query = run->query;
    if (query->n_providers > VERDICT_MAX_PROVIDERS)
        add_reason(verdict, "too_many_providers");
    for (size_t i = 0; i < query->n_providers && i < VERDICT_MAX_PROVIDERS; i++) {
        const char *refusal = verdict->effect >= EFFECT_LOCAL_ONLY ? effect_name(verdict->effect) : provider_refusal(run, &query->providers[i]);
        verdict->provider_reasons[i] = refusal;
        if (refusal == NULL)
            verdict->permitted |= (uint64_t)1 << i;
    }
    if (verdict->permitted == 0 && verdict->effect < EFFECT_LOCAL_ONLY)
        add_reason(verdict, "no_provider_permitted");
    verdict->local_permitted = verdict->effect < EFFECT_REFUSE;
}

static struct verdict *closed_verdict(const struct pack *pack, const struct policy_query *query, struct arena *arena)
{
    static struct verdict last_resort = {.effect = EFFECT_LOCAL_ONLY, .local_permitted = true, .data_class = "unknown",
                                         .reasons = {"policy_error"}, .n_reasons = 1, .pack_name = "", .pack_version = "", .pack_sha256 = ""};
    struct verdict *verdict = arena_alloc(arena, sizeof *verdict);
    if (verdict == NULL)
        return &last_resort;
    *verdict = last_resort;
    verdict->data_class = pack->classes[pack->n_classes - 1];
    verdict->pack_name = pack->name;
    verdict->pack_version = pack->version;
    verdict->pack_sha256 = pack->sha256;
    for (size_t i = 0; i < query->n_providers && i < VERDICT_MAX_PROVIDERS; i++)
        verdict->provider_reasons[i] = "policy_error";
    return verdict;
}

int policy_evaluate_found(const struct pack *pack, const struct policy_query *query, const struct findings *found, struct arena *arena,
                          struct verdict **out, struct error *err)
{
    struct evaluation run = {.pack = pack, .query = query, .arena = arena};
    *out = closed_verdict(pack, query, arena);
    struct verdict *verdict = arena_alloc(arena, sizeof *verdict);
    if (verdict == NULL)
        return error_set(err, WEIR_E_MEMORY, "policy", "out of memory");
    run.verdict = verdict;
    verdict->pack_name = pack->name;
    verdict->pack_version = pack->version;
    verdict->pack_sha256 = pack->sha256;
    if (pack->tenants.n > 0 && (query->tenant == NULL || !names_has(&pack->tenants, query->tenant)))
        close_remote(verdict, "unknown_tenant");
    int status = found != NULL ? count_types(&run, found) : scan_fields(&run, err);
    if (status < 0)
        return status;
    choose_class(&run);
    apply_rules(&run);
    choose_providers(&run);
    *out = verdict;
    return 0;
}

int policy_evaluate(const struct pack *pack, const struct policy_query *query, struct arena *arena, struct verdict **out, struct error *err)
{
    return policy_evaluate_found(pack, query, NULL, arena, out, err);
}
