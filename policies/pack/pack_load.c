/* The tree of a pack's YAML to a struct pack. Every key is known or refused; every value has one form. What it all means
 * together is pack_check's business.
 *
 *   weir: 1                                # version of the language
 *   pack: acme-eu                          # name and version go into every decision
 *   version: 2026.11.1
 *   description: free text
 *   tenants: [sales, support]              # absent: every tenant is known
 *   classes:
 *     order: [public, internal, secret]    # from harmless to grave
 *     map: {internal: [EMAIL_ADDRESS, "US_*"], secret: [US_SSN]}
 *   detectors: …                           # detector_set.c
 *   providers:                             # "*" stands for all that are not named
 *     - {id: eu-llm, region: [DE, FR], law: EEA, agreements: [dpa, zdr], ceiling: internal}
 *   rules:
 *     - id: eu-only
 *       when: {tenant: t, class: ">=internal", type: "US_*", subject_region: EEA}
 *       permit: {remote: {region: EU, law: EEA, agreements: [dpa], provider: [eu-llm]}}     # or {remote: any}
 *       else: local_only                   # when no provider fulfils the permit
 *       effect: local_only                 # allow | redact | local_only | refuse
 *       redact: [EMAIL_ADDRESS]            # reversibly; mask: without a way back
 *       mode: shadow                       # enforce (default) | shadow: reported only
 *   retention: {decision: 400d, text: 0d, pseudonyms: 30d}
 *   test_providers: [{id: eu-llm, region: de}]
 *   tests: …                               # pack_case.c
 */
#include "pack/pack_load.h"

#include "pack/pack.h"

#include <stdlib.h>

static int load_word(const struct loader *load, const struct yaml_tree *node, const char **out)
{
    if (node->kind != YAML_SCALAR || node->text[0] == '\0')
        return yaml_error(load->file, node, load->err, "must be a text");
    *out = node->text;
    return 0;
}

int load_member_word(const struct loader *load, const struct yaml_tree *map, const char *key, bool required, const char **out)
{
    const struct yaml_tree *node = yaml_member(map, key);
    if (node == NULL)
        return required ? yaml_error(load->file, map, load->err, "\"%s\" is missing", key) : 0;
    return load_word(load, node, out);
}

int load_names(const struct loader *load, const struct yaml_tree *node, struct names *out)
{
    if (node == NULL)
        return 0;
    size_t n = node->kind == YAML_LIST ? (size_t)node->n : 1;
    out->items = arena_array(load->arena, n + 1, sizeof *out->items);
    if (out->items == NULL)
        return error_set(load->err, WEIR_E_MEMORY, load->file, "out of memory");
    if (node->kind == YAML_SCALAR)
        return load_word(load, node, &out->items[out->n++]);
    if (node->kind != YAML_LIST)
        return yaml_error(load->file, node, load->err, "must be a text or a list of texts");
    for (const struct yaml_tree *item = node->first; item != NULL; item = item->next) {
        int status = load_word(load, item, &out->items[out->n++]);
        if (status < 0)
            return status;
    }
    return 0;
}

int load_effect(const struct loader *load, const struct yaml_tree *node, enum effect *out)
{
    static const char *const effects[] = {"allow", "redact", "local_only", "refuse"};
    for (int i = 0; node->kind == YAML_SCALAR && i < 4; i++)
        if (strcmp(node->text, effects[i]) == 0) {
            *out = (enum effect)i;
            return 0;
        }
    return yaml_error(load->file, node, load->err, "must be allow, redact, local_only or refuse");
}

static int load_class(const struct loader *load, const struct pack *pack, const struct yaml_tree *node, const char *name, int *out)
{
    *out = pack_class_index(pack, name);
    if (*out >= 0)
        return 0;
    const char *nearest = nearest_word(name, pack->classes, (size_t)pack->n_classes);
    if (nearest != NULL)
        return yaml_error(load->file, node, load->err, "unknown class \"%s\"; did you mean \"%s\"?", name, nearest);
    return yaml_error(load->file, node, load->err, "unknown class \"%s\"", name);
}

static int load_classes(const struct loader *load, struct pack *pack, const struct yaml_tree *node)
{
    static const char *const keys[] = {"order", "map", NULL};
    if (node == NULL)
        return error_set(load->err, WEIR_E_INVALID, load->file, "\"classes\" is missing");
    int status = yaml_known_keys(load->file, node, keys, load->err);
    if (status < 0)
        return status;
    const struct yaml_tree *order = yaml_member(node, "order"), *map = yaml_member(node, "map");
    if (order == NULL || order->kind != YAML_LIST || order->n < 1 || order->n > MOST_CLASSES)
        return yaml_error(load->file, order != NULL ? order : node, load->err, "order: a list of 1 to %d classes", MOST_CLASSES);
    for (const struct yaml_tree *item = order->first; item != NULL; item = item->next) {
        const char *word = NULL;
        status = load_word(load, item, &word);
        if (status < 0)
            return status;
        if (pack_class_index(pack, word) >= 0)
            return yaml_error(load->file, item, load->err, "class \"%s\" stands here twice", word);
        pack->classes[pack->n_classes++] = word;
    }
    if (map == NULL || map->kind != YAML_MAP)
        return yaml_error(load->file, map != NULL ? map : node, load->err, "map: which types belong to which class");
    pack->maps = arena_array(load->arena, (size_t)map->n + 1, sizeof *pack->maps);
    if (pack->maps == NULL)
        return error_set(load->err, WEIR_E_MEMORY, load->file, "out of memory");
    for (const struct yaml_tree *item = map->first; item != NULL; item = item->next) {
        struct pack_class_map *entry = &pack->maps[pack->n_maps++];
        status = load_class(load, pack, item, item->key, &entry->data_class);
        if (status == 0)
            status = load_names(load, item, &entry->types);
        if (status < 0)
            return status;
    }
    return 0;
}

static int load_providers(const struct loader *load, struct pack *pack, const struct yaml_tree *node)
{
    static const char *const keys[] = {"id", "region", "law", "agreements", "ceiling", NULL};
    if (node == NULL)
        return 0;
    if (node->kind != YAML_LIST)
        return yaml_error(load->file, node, load->err, "must be a list of providers");
    pack->providers = arena_array(load->arena, (size_t)node->n + 1, sizeof *pack->providers);
    if (pack->providers == NULL)
        return error_set(load->err, WEIR_E_MEMORY, load->file, "out of memory");
    for (const struct yaml_tree *item = node->first; item != NULL; item = item->next) {
        struct pack_provider provider = {.ceiling = -1, .line = item->line, .column = item->column};
        const char *ceiling = NULL;
        int status = yaml_known_keys(load->file, item, keys, load->err);
        if (status == 0)
            status = load_member_word(load, item, "id", true, &provider.id);
        if (status == 0)
            status = load_names(load, yaml_member(item, "region"), &provider.regions);
        if (status == 0)
            status = load_member_word(load, item, "law", false, &provider.law);
        if (status == 0)
            status = load_names(load, yaml_member(item, "agreements"), &provider.agreements);
        if (status == 0)
            status = load_member_word(load, item, "ceiling", false, &ceiling);
        if (status == 0 && ceiling != NULL)
            status = load_class(load, pack, yaml_member(item, "ceiling"), ceiling, &provider.ceiling);
        if (status < 0)
            return status;
        for (int i = 0; i < pack->n_providers; i++)
            if (strcmp(pack->providers[i].id, provider.id) == 0)
                return yaml_error(load->file, item, load->err, "provider \"%s\" stands here twice", provider.id);
        pack->providers[pack->n_providers++] = provider;
    }
    return 0;
}

/* "name", ">=name", "<=name", or a list of names that are neighbours in the order. */
static int load_class_range(const struct loader *load, const struct pack *pack, const struct yaml_tree *node, struct pack_rule *rule)
{
    rule->has_class = true;
    if (node->kind == YAML_SCALAR) {
        bool above = strncmp(node->text, ">=", 2) == 0, below = strncmp(node->text, "<=", 2) == 0;
        int index = 0, status = load_class(load, pack, node, node->text + (above || below ? 2 : 0), &index);
        rule->class_low = below ? 0 : index;
        rule->class_high = above ? pack->n_classes - 1 : index;
        return status;
    }
    if (node->kind != YAML_LIST || node->n == 0)
        return yaml_error(load->file, node, load->err, "class: a name, \">=name\", \"<=name\" or a list of names");
    uint32_t seen = 0;
    rule->class_low = MOST_CLASSES;
    for (const struct yaml_tree *item = node->first; item != NULL; item = item->next) {
        const char *word = NULL;
        int index = 0, status = load_word(load, item, &word);
        if (status == 0)
            status = load_class(load, pack, item, word, &index);
        if (status < 0)
            return status;
        seen |= 1u << index;
        rule->class_low = index < rule->class_low ? index : rule->class_low;
        rule->class_high = index > rule->class_high ? index : rule->class_high;
    }
    for (int i = rule->class_low; i <= rule->class_high; i++)
        if ((seen >> i & 1) == 0)
            return yaml_error(load->file, node, load->err, "class: \"%s\" lies between the named ones and is not among them",
                              pack->classes[i]);
    return 0;
}

/* What a permit or a condition is narrowed by. An empty list would widen it to all. */
static int load_narrowing(const struct loader *load, const struct yaml_tree *map, const char *key, struct names *out)
{
    const struct yaml_tree *node = yaml_member(map, key);
    int status = load_names(load, node, out);
    return status == 0 && node != NULL && out->n == 0 ? yaml_error(load->file, node, load->err, "%s: names nothing; without the key it means all", key) : status;
}

static int load_permit(const struct loader *load, const struct yaml_tree *node, struct pack_permit *permit)
{
    static const char *const outer[] = {"remote", NULL};
    static const char *const keys[] = {"region", "law", "agreements", "provider", NULL};
    int status = yaml_known_keys(load->file, node, outer, load->err);
    if (status < 0)
        return status;
    permit->given = true;
    const struct yaml_tree *remote = yaml_member(node, "remote");
    if (remote != NULL && remote->kind == YAML_SCALAR && strcmp(remote->text, "any") == 0) {
        permit->any = true;
        return 0;
    }
    if (remote == NULL || remote->kind != YAML_MAP || remote->n == 0)
        return yaml_error(load->file, node, load->err, "permit: {remote: any} or {remote: {region, law, agreements, provider}}");
    status = yaml_known_keys(load->file, remote, keys, load->err);
    if (status == 0)
        status = load_narrowing(load, remote, "region", &permit->regions);
    if (status == 0)
        status = load_narrowing(load, remote, "law", &permit->laws);
    if (status == 0)
        status = load_narrowing(load, remote, "agreements", &permit->agreements);
    if (status == 0)
        status = load_narrowing(load, remote, "provider", &permit->ids);
    return status;
}

static int load_rule(const struct loader *load, const struct pack *pack, const struct yaml_tree *item, struct pack_rule *rule)
{
    static const char *const keys[] = {"id", "when", "effect", "permit", "else", "redact", "mask", "mode", NULL};
    static const char *const conditions[] = {"tenant", "class", "type", "subject_region", NULL};
    static const struct yaml_tree empty = {.kind = YAML_MAP};
    *rule = (struct pack_rule){.line = item->line, .column = item->column};
    int status = yaml_known_keys(load->file, item, keys, load->err);
    if (status == 0)
        status = load_member_word(load, item, "id", true, &rule->id);
    if (status < 0)
        return status;
    const struct yaml_tree *when = yaml_member(item, "when"), *node;
    if (when == NULL)
        when = &empty;
    status = yaml_known_keys(load->file, when, conditions, load->err);
    if (status == 0)
        status = load_narrowing(load, when, "tenant", &rule->tenants);
    if (status == 0)
        status = load_narrowing(load, when, "type", &rule->types);
    if (status == 0)
        status = load_narrowing(load, when, "subject_region", &rule->subject_regions);
    if (status == 0 && (node = yaml_member(when, "class")) != NULL)
        status = load_class_range(load, pack, node, rule);
    if (status == 0 && (node = yaml_member(item, "effect")) != NULL) {
        rule->has_effect = true;
        status = load_effect(load, node, &rule->effect);
    }
    if (status == 0 && (node = yaml_member(item, "permit")) != NULL)
        status = load_permit(load, node, &rule->permit);
    if (status == 0 && (node = yaml_member(item, "else")) != NULL) {
        status = load_effect(load, node, &rule->otherwise);
        if (status == 0 && (!rule->permit.given || rule->otherwise < EFFECT_LOCAL_ONLY))
            status = yaml_error(load->file, node, load->err, "else: local_only or refuse, beside a permit");
    }
    if (status == 0)
        status = load_names(load, yaml_member(item, "redact"), &rule->redact);
    if (status == 0)
        status = load_names(load, yaml_member(item, "mask"), &rule->mask);
    if (status == 0 && (node = yaml_member(item, "mode")) != NULL) {
        if (node->kind != YAML_SCALAR || (strcmp(node->text, "shadow") != 0 && strcmp(node->text, "enforce") != 0))
            return yaml_error(load->file, node, load->err, "mode: enforce or shadow");
        rule->shadow = strcmp(node->text, "shadow") == 0;
    }
    if (status == 0 && !rule->has_effect && !rule->permit.given && rule->redact.n == 0 && rule->mask.n == 0)
        status = yaml_error(load->file, item, load->err, "rule \"%s\" does nothing: effect, permit, redact or mask is needed", rule->id);
    if (status == 0 && rule->has_effect && rule->effect == EFFECT_REDACT && rule->redact.n == 0 && rule->mask.n == 0) {
        if (rule->types.n == 0)
            return yaml_error(load->file, item, load->err, "rule \"%s\": effect redact needs redact: [types], or when: {type: …}", rule->id);
        rule->redact = rule->types;
    }
    return status;
}

static int load_rules(const struct loader *load, struct pack *pack, const struct yaml_tree *node)
{
    if (node == NULL)
        return 0;
    if (node->kind != YAML_LIST || node->n > MOST_RULES)
        return yaml_error(load->file, node, load->err, "must be a list of at most %d rules", MOST_RULES);
    pack->rules = arena_array(load->arena, (size_t)node->n + 1, sizeof *pack->rules);
    if (pack->rules == NULL)
        return error_set(load->err, WEIR_E_MEMORY, load->file, "out of memory");
    for (const struct yaml_tree *item = node->first; item != NULL; item = item->next) {
        struct pack_rule rule;
        int status = load_rule(load, pack, item, &rule);
        if (status < 0)
            return status;
        for (int i = 0; i < pack->n_rules; i++)
            if (strcmp(pack->rules[i].id, rule.id) == 0)
                return yaml_error(load->file, item, load->err, "rule \"%s\" stands here twice", rule.id);
        pack->rules[pack->n_rules++] = rule;
    }
    return 0;
}

static int load_days(const struct loader *load, const struct yaml_tree *map, const char *key, int *out)
{
    const struct yaml_tree *node = yaml_member(map, key);
    if (node == NULL)
        return 0;
    int64_t days = -1;
    size_t n = node->kind == YAML_SCALAR ? strlen(node->text) : 0;
    if (n < 2 || node->text[n - 1] != 'd' || parse_i64((str){node->text, n - 1}, &days) < 0 || days < 0 || days > 36500)
        return yaml_error(load->file, node, load->err, "%s: a number of days, such as 30d", key);
    *out = (int)days;
    return 0;
}

static int load_retention(const struct loader *load, struct pack *pack, const struct yaml_tree *node)
{
    static const char *const keys[] = {"decision", "text", "pseudonyms", NULL};
    pack->retention = (struct pack_retention){.decision_days = 400, .text_days = 0, .pseudonym_days = 30};
    if (node == NULL)
        return 0;
    int status = yaml_known_keys(load->file, node, keys, load->err);
    if (status == 0)
        status = load_days(load, node, "decision", &pack->retention.decision_days);
    if (status == 0)
        status = load_days(load, node, "text", &pack->retention.text_days);
    if (status == 0)
        status = load_days(load, node, "pseudonyms", &pack->retention.pseudonym_days);
    return status;
}

static int load_all(const struct loader *load, struct pack *pack, const struct yaml_tree *root)
{
    static const char *const keys[] = {"weir",      "pack",  "version",   "description",    "tenants", "classes", "detectors",
                                       "providers", "rules", "retention", "test_providers", "tests",   NULL};
    const char *language = NULL, *description = NULL;
    int status = yaml_known_keys(load->file, root, keys, load->err);
    if (status == 0)
        status = load_member_word(load, root, "weir", true, &language);
    if (status == 0 && strcmp(language, "1") != 0)
        status = yaml_error(load->file, yaml_member(root, "weir"), load->err, "this Weir reads version 1 of the language");
    if (status == 0)
        status = load_member_word(load, root, "pack", true, &pack->name);
    if (status == 0)
        status = load_member_word(load, root, "version", true, &pack->version);
    if (status == 0)
        status = load_member_word(load, root, "description", false, &description);
    if (status == 0)
        status = load_names(load, yaml_member(root, "tenants"), &pack->tenants);
    if (status == 0)
        status = load_classes(load, pack, yaml_member(root, "classes"));
    if (status == 0)
        status = detector_set_load(&pack->detectors, load->file, yaml_member(root, "detectors"), load->arena, load->err);
    if (status == 0)
        status = load_providers(load, pack, yaml_member(root, "providers"));
    if (status == 0)
        status = load_rules(load, pack, yaml_member(root, "rules"));
    if (status == 0)
        status = load_retention(load, pack, yaml_member(root, "retention"));
    if (status == 0)
        status = load_cases(load, pack, yaml_member(root, "test_providers"), yaml_member(root, "tests"));
    return status == 0 ? pack_check(pack, load->err) : status;
}

int pack_parse(struct pack **out, const char *name, str yaml, struct error *err)
{
    *out = NULL;
    struct pack *pack = calloc(1, sizeof *pack);
    if (pack == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    arena_init(&pack->arena, (size_t)64 << 20);
    uint8_t digest[SHA256_BYTES];
    sha256(yaml.data, yaml.n, digest);
    hex_encode(digest, sizeof digest, pack->sha256);
    pack->file = arena_strdup(&pack->arena, str_of(name));
    struct yaml_tree *root;
    struct loader load = {.file = pack->file, .arena = &pack->arena, .err = err};
    int status = pack->file != NULL ? 0 : error_set(err, WEIR_E_MEMORY, name, "out of memory");
    if (status == 0)
        status = yaml_tree_parse(&root, load.file, yaml, &pack->arena, err);
    if (status == 0)
        status = load_all(&load, pack, root);
    if (status < 0) {
        pack_close(pack);
        return status;
    }
    *out = pack;
    return 0;
}
