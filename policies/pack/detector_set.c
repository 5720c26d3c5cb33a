/* The `detectors:` part of a pack.
 *
 *   detectors:
 *     threshold: 0.4            # finds below it are dropped
 *     max_bytes: 1048576        # a longer text counts as not scanned
 *     on: ["US_*"]              # only these types or detectors (globs); absent: all
 *     off: [phone]              # not these
 *     custom:
 *       - {type: EMPLOYEE_ID, pattern: "\\bE-[0-9]{6}\\b", score: 0.8, context: [badge]}
 *     allow: [{type: CREDIT_CARD, values: ["4111111111111111"]}]
 */
#include "pack/detector_set.h"

#include <stdlib.h>

static const float DEFAULT_THRESHOLD = 0.4f;
enum { DEFAULT_MAX_BYTES = 1 << 20, LARGEST_MAX_BYTES = 64 << 20, LONGEST_TYPE = 40, MOST_VALUES = 1024 };

static size_t entity_count(void)
{
    size_t n = 0;
    while (entity_at(n) != NULL)
        n++;
    return n;
}

static int load_globs(struct detector_set *set, const char *name, const struct yaml_tree *list, bool turn_off, struct error *err)
{
    if (list->kind != YAML_LIST)
        return yaml_error(name, list, err, "must be a list of types or detectors");
    for (const struct yaml_tree *item = list->first; item != NULL; item = item->next) {
        bool any = false;
        if (item->kind != YAML_SCALAR)
            return yaml_error(name, item, err, "must be a type or a detector");
        const struct entity *entity;
        for (size_t i = 0; (entity = entity_at(i)) != NULL; i++) {
            if (!entity_matches(entity->type, entity->detector, item->text) && strcmp(entity->detector, item->text) != 0)
                continue;
            any = true;
            set->off[i] = turn_off;
        }
        if (!any)
            return yaml_error(name, item, err, "no detector and no type is called \"%s\"", item->text);
    }
    return 0;
}

static int load_custom(struct detector_set *set, const char *name, const struct yaml_tree *list, struct arena *arena, struct error *err)
{
    static const char *const keys[] = {"type", "pattern", "score", "context", NULL};
    if (list->kind != YAML_LIST || list->n > MOST_CUSTOM)
        return yaml_error(name, list, err, "must be a list of at most %d patterns", MOST_CUSTOM);
    set->custom = arena_array(arena, (size_t)list->n + 1, sizeof *set->custom);
    if (set->custom == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    for (const struct yaml_tree *item = list->first; item != NULL; item = item->next) {
        int status = yaml_known_keys(name, item, keys, err);
        if (status < 0)
            return status;
        const struct yaml_tree *type = yaml_member(item, "type"), *pattern = yaml_member(item, "pattern");
        const struct yaml_tree *score = yaml_member(item, "score"), *context = yaml_member(item, "context");
        if (type == NULL || type->kind != YAML_SCALAR || type->text[0] == '\0' || strlen(type->text) > LONGEST_TYPE ||
            strspn(type->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(type->text))
            return yaml_error(name, type != NULL ? type : item, err, "type: at most %d capital letters, digits and _", LONGEST_TYPE);
        if (pattern == NULL || pattern->kind != YAML_SCALAR || pattern->text[0] == '\0')
            return yaml_error(name, pattern != NULL ? pattern : item, err, "pattern: a regular expression is required");
        struct custom_pattern *custom = &set->custom[set->n_custom];
        double value = 0.5;
        if (score != NULL && (score->kind != YAML_SCALAR || parse_f64(str_of(score->text), &value) < 0 || value <= 0 || value > 1))
            return yaml_error(name, score, err, "score: a number above 0, at most 1");
        custom->score = (float)value;
        custom->entity = (struct entity){type->text, "custom", NULL};
        custom->regex = (struct regex){.pattern = pattern->text};
        if (context != NULL) {
            struct buffer words;
            buffer_init(&words, 4096);
            for (const struct yaml_tree *word = context->first; word != NULL; word = word->next) {
                if (words.n > 0)
                    buffer_append_char(&words, '|');
                for (const char *c = word->kind == YAML_SCALAR ? word->text : ""; *c != '\0'; c++)
                    buffer_append_char(&words, to_lower(*c));
            }
            custom->entity.context = words.n > 0 ? arena_strdup(arena, buffer_str(&words)) : NULL;
            bool bad = words.failed || context->kind != YAML_LIST;
            buffer_release(&words);
            if (bad)
                return yaml_error(name, context, err, "context: a list of words");
        }
        set->n_custom++;
        struct error detail = {0};
        if (regex_check(&custom->regex, "", &detail) < 0)
            return yaml_error(name, pattern, err, "%s", detail.text);
    }
    return 0;
}

static int load_allow(struct detector_set *set, const char *name, const struct yaml_tree *list, struct arena *arena, struct error *err)
{
    static const char *const keys[] = {"type", "values", NULL};
    if (list->kind != YAML_LIST)
        return yaml_error(name, list, err, "must be a list of {type, values}");
    set->allow = arena_array(arena, (size_t)list->n + 1, sizeof *set->allow);
    if (set->allow == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    for (const struct yaml_tree *item = list->first; item != NULL; item = item->next) {
        int status = yaml_known_keys(name, item, keys, err);
        if (status < 0)
            return status;
        const struct yaml_tree *type = yaml_member(item, "type"), *values = yaml_member(item, "values");
        if (type == NULL || type->kind != YAML_SCALAR || !detector_set_finds(set, type->text))
            return yaml_error(name, type != NULL ? type : item, err, "type: no detector that is on finds it");
        if (values == NULL || values->kind != YAML_LIST || values->n > MOST_VALUES)
            return yaml_error(name, values != NULL ? values : item, err, "values: a list of at most %d", MOST_VALUES);
        struct detector_allow *allow = &set->allow[set->n_allow++];
        allow->type = type->text;
        allow->values = arena_array(arena, (size_t)values->n + 1, sizeof *allow->values);
        if (allow->values == NULL)
            return error_set(err, WEIR_E_MEMORY, name, "out of memory");
        for (const struct yaml_tree *value = values->first; value != NULL; value = value->next) {
            if (value->kind != YAML_SCALAR)
                return yaml_error(name, value, err, "must be a text");
            allow->values[allow->n_values++] = value->text;
        }
    }
    return 0;
}

int detector_set_load(struct detector_set *set, const char *name, const struct yaml_tree *node, struct arena *arena, struct error *err)
{
    static const char *const keys[] = {"threshold", "max_bytes", "on", "off", "custom", "allow", NULL};
    *set = (struct detector_set){.threshold = DEFAULT_THRESHOLD, .max_bytes = DEFAULT_MAX_BYTES};
    set->off = arena_alloc(arena, entity_count());
    if (set->off == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    if (node == NULL)
        return 0;
    int status = yaml_known_keys(name, node, keys, err);
    const struct yaml_tree *member;
    if (status == 0 && (member = yaml_member(node, "threshold")) != NULL) {
        double value;
        if (member->kind != YAML_SCALAR || parse_f64(str_of(member->text), &value) < 0 || value < 0 || value > 1)
            return yaml_error(name, member, err, "threshold: a number from 0 to 1");
        set->threshold = (float)value;
    }
    if (status == 0 && (member = yaml_member(node, "max_bytes")) != NULL) {
        int64_t value;
        if (member->kind != YAML_SCALAR || parse_i64(str_of(member->text), &value) < 0 || value < 1 || value > LARGEST_MAX_BYTES)
            return yaml_error(name, member, err, "max_bytes: from 1 to %d", LARGEST_MAX_BYTES);
        set->max_bytes = (size_t)value;
    }
    if (status == 0 && (member = yaml_member(node, "on")) != NULL) {
        memset(set->off, 1, entity_count());
        status = load_globs(set, name, member, false, err);
    }
    if (status == 0 && (member = yaml_member(node, "off")) != NULL)
        status = load_globs(set, name, member, true, err);
    if (status == 0 && (member = yaml_member(node, "custom")) != NULL)
        status = load_custom(set, name, member, arena, err);
    if (status == 0 && (member = yaml_member(node, "allow")) != NULL)
        status = load_allow(set, name, member, arena, err);
    return status;
}

void detector_set_release(struct detector_set *set)
{
    for (int i = 0; i < set->n_custom; i++)
        regex_release(&set->custom[i].regex);
}

bool detector_set_wants(const struct detector_set *set, const struct entity *entity)
{
    ptrdiff_t index = entity_index(entity);
    return index < 0 || !set->off[index]; /* A custom pattern is always wanted. */
}

float detector_set_threshold(const struct detector_set *set)
{
    return set->threshold;
}

size_t detector_set_max_bytes(const struct detector_set *set)
{
    return set->max_bytes;
}

bool detector_set_allows(const struct detector_set *set, const char *type, str value)
{
    for (int i = 0; i < set->n_allow; i++) {
        const struct detector_allow *allow = &set->allow[i];
        for (int k = 0; k < allow->n_values; k++)
            if (str_equal(value, str_of(allow->values[k])) && entity_matches(type, NULL, allow->type))
                return true;
    }
    return false;
}

bool detector_set_finds(const struct detector_set *set, const char *glob)
{
    const struct entity *entity;
    for (size_t i = 0; (entity = entity_at(i)) != NULL; i++)
        if (!set->off[i] && entity_matches(entity->type, entity->detector, glob))
            return true;
    for (int i = 0; i < set->n_custom; i++)
        if (entity_matches(set->custom[i].entity.type, "custom", glob))
            return true;
    return false;
}

void scan_custom(struct scan *scan)
{
    const struct detector_set *set = scan->set;
    str subject = {scan->text->data, scan->text->n};
    for (int i = 0; set != NULL && i < set->n_custom; i++) {
        struct custom_pattern *custom = &set->custom[i];
        struct regex_match match;
        for (size_t at = 0; at <= subject.n && !scan->full;) {
            int found = regex_exec(&custom->regex, &scan->run, subject, at, &match);
            if (found < 0)
                scan->status = found;
            if (found <= 0)
                break;
            scan_report(scan, &custom->entity, match.start[0], match.end[0], custom->score);
            at = match.end[0] > at ? match.end[0] : at + 1;
            while (at < subject.n && ((unsigned char)subject.data[at] & 0xC0) == 0x80)
                at++;
        }
    }
}
