/* A pack's own tests: loaded with it, run by `weir policy test`.
 *
 *   tests:
 *     - name: a card number is redacted
 *       tenant: sales            # optional, like subject_region, field, providers
 *       text: "card 4111 1111 1111 1111"
 *       expect:
 *         effect: redact
 *         class: restricted
 *         targets: [eu-llm]      # exactly these; [] for none
 *         not_targets: [us-llm]
 *         types: [CREDIT_CARD]   # found, among others
 *         no_types: [US_SSN]
 *         reasons: [cards]       # among others
 *         redacted: "card <CREDIT_CARD>"   # what leaves, with <TYPE> for each pseudonym
 */
#include "pack/pack_load.h"

#include <stdio.h>

enum { MOST_CASES = 1024 };

static int load_providers(const struct loader *load, const struct yaml_tree *node, struct policy_provider **out, size_t *n)
{
    static const char *const keys[] = {"id", "region", NULL};
    if (node->kind != YAML_LIST || node->n > VERDICT_MAX_PROVIDERS)
        return yaml_error(load->file, node, load->err, "must be a list of at most %d {id, region}", VERDICT_MAX_PROVIDERS);
    *out = arena_array(load->arena, (size_t)node->n + 1, sizeof **out);
    if (*out == NULL)
        return error_set(load->err, WEIR_E_MEMORY, load->file, "out of memory");
    *n = 0;
    for (const struct yaml_tree *item = node->first; item != NULL; item = item->next) {
        struct policy_provider *provider = &(*out)[(*n)++];
        int status = yaml_known_keys(load->file, item, keys, load->err);
        if (status == 0)
            status = load_member_word(load, item, "id", true, &provider->id);
        if (status == 0)
            status = load_member_word(load, item, "region", false, &provider->region);
        if (status < 0)
            return status;
    }
    return 0;
}

static int load_expectation(const struct loader *load, const struct pack *pack, const struct yaml_tree *node, struct pack_case *out)
{
    static const char *const keys[] = {"effect", "class", "targets", "not_targets", "types", "no_types", "reasons", "redacted", NULL};
    const struct yaml_tree *member;
    int status = yaml_known_keys(load->file, node, keys, load->err);
    if (status == 0 && node->n == 0)
        status = yaml_error(load->file, node, load->err, "expect: nothing is asked");
    if (status == 0 && (member = yaml_member(node, "effect")) != NULL) {
        enum effect effect;
        status = load_effect(load, member, &effect);
        out->effect = (int)effect;
    }
    if (status == 0)
        status = load_member_word(load, node, "class", false, &out->data_class);
    if (status == 0 && out->data_class != NULL && pack_class_index(pack, out->data_class) < 0)
        status = yaml_error(load->file, yaml_member(node, "class"), load->err, "unknown class \"%s\"", out->data_class);
    out->has_targets = yaml_member(node, "targets") != NULL;
    if (status == 0)
        status = load_names(load, yaml_member(node, "targets"), &out->targets);
    if (status == 0)
        status = load_names(load, yaml_member(node, "not_targets"), &out->not_targets);
    if (status == 0)
        status = load_names(load, yaml_member(node, "types"), &out->types);
    if (status == 0)
        status = load_names(load, yaml_member(node, "no_types"), &out->no_types);
    if (status == 0)
        status = load_names(load, yaml_member(node, "reasons"), &out->reasons);
    if (status == 0)
        status = load_member_word(load, node, "redacted", false, &out->redacted);
    return status;
}

int load_cases(const struct loader *load, struct pack *pack, const struct yaml_tree *providers, const struct yaml_tree *tests)
{
    static const char *const keys[] = {"name", "tenant", "subject_region", "field", "text", "providers", "expect", NULL};
    int status = 0;
    if (providers != NULL)
        status = load_providers(load, providers, &pack->test_providers, &pack->n_test_providers);
    if (status < 0 || tests == NULL)
        return status;
    if (tests->kind != YAML_LIST || tests->n > MOST_CASES)
        return yaml_error(load->file, tests, load->err, "must be a list of at most %d tests", MOST_CASES);
    pack->cases = arena_array(load->arena, (size_t)tests->n + 1, sizeof *pack->cases);
    if (pack->cases == NULL)
        return error_set(load->err, WEIR_E_MEMORY, load->file, "out of memory");
    for (const struct yaml_tree *item = tests->first; item != NULL; item = item->next) {
        struct pack_case *test = &pack->cases[pack->n_cases++];
        *test = (struct pack_case){.line = item->line, .effect = -1, .providers = pack->test_providers, .n_providers = pack->n_test_providers};
        const struct yaml_tree *own, *expect;
        status = yaml_known_keys(load->file, item, keys, load->err);
        if (status == 0)
            status = load_member_word(load, item, "name", true, &test->name);
        if (status == 0)
            status = load_member_word(load, item, "tenant", false, &test->tenant);
        if (status == 0)
            status = load_member_word(load, item, "subject_region", false, &test->subject_region);
        if (status == 0)
            status = load_member_word(load, item, "field", false, &test->field);
        if (status == 0)
            status = load_member_word(load, item, "text", true, &test->text);
        if (status == 0 && (own = yaml_member(item, "providers")) != NULL)
            status = load_providers(load, own, &test->providers, &test->n_providers);
        if (status == 0 && (expect = yaml_member(item, "expect")) == NULL)
            status = yaml_error(load->file, item, load->err, "\"expect\" is missing");
        if (status == 0)
            status = load_expectation(load, pack, expect, test);
        if (status < 0)
            return status;
    }
    return 0;
}

static void list_targets(const struct pack_case *test, const struct verdict *verdict, struct buffer *out)
{
    buffer_append_char(out, '[');
    for (size_t i = 0; i < test->n_providers; i++)
        if (verdict->permitted >> i & 1)
            buffer_printf(out, "%s%s", out->data[out->n - 1] == '[' ? "" : ", ", test->providers[i].id);
    buffer_append_char(out, ']');
}

static bool is_target(const struct pack_case *test, const struct verdict *verdict, const char *id)
{
    for (size_t i = 0; i < test->n_providers; i++)
        if (strcmp(test->providers[i].id, id) == 0)
            return verdict->permitted >> i & 1;
    return false;
}

static bool has_type(const struct verdict *verdict, const char *glob)
{
    for (int i = 0; i < verdict->n_types; i++)
        if (entity_matches(verdict->types[i].type, NULL, glob))
            return true;
    return false;
}

/* "⟦TYPE:ID⟧" → "<TYPE>", so that a test can be written down. */
static void readable(str redacted, struct buffer *out)
{
    str open = STR("\xE2\x9F\xA6"), close = STR("\xE2\x9F\xA7");
    while (redacted.n > 0) {
        ptrdiff_t at = str_find(redacted, open), end = at >= 0 ? str_find(redacted, close) : -1;
        if (at < 0 || end < at) {
            buffer_append_str(out, redacted);
            return;
        }
        str inside = {redacted.data + at + 3, (size_t)(end - at) - 3}, type;
        str_split(&inside, ':', &type);
        buffer_append(out, redacted.data, (size_t)at);
        buffer_append_char(out, '<');
        buffer_append_str(out, type);
        buffer_append_char(out, '>');
        redacted = (str){redacted.data + end + 3, redacted.n - (size_t)end - 3};
    }
}

static int check_redacted(const struct pack *pack, const struct pack_case *test, const struct verdict *verdict, struct buffer *failure,
                          struct error *err)
{
    static const uint8_t key[32] = {1};
    struct redaction *redaction;
    struct buffer sent, shown;
    int status = redaction_new(&redaction, pack, key, err);
    if (status < 0)
        return status;
    buffer_init(&sent, 1 << 22);
    buffer_init(&shown, 1 << 22);
    struct error detail = {0};
    status = redaction_apply(redaction, str_of(test->text), &verdict->findings[0], &sent, &detail);
    if (status == WEIR_E_DENIED) {
        buffer_printf(failure, "redaction was denied: %s; ", detail.text);
        status = 0;
    } else if (status == 0) {
        readable(buffer_str(&sent), &shown);
        if (!str_equal(buffer_str(&shown), str_of(test->redacted)))
            buffer_printf(failure, "redacted: expected \"%s\", came \"%.*s\"; ", test->redacted, STR_ARG(buffer_str(&shown)));
    } else if (err != NULL) {
        *err = detail;
    }
    buffer_release(&sent);
    buffer_release(&shown);
    redaction_free(redaction);
    return status;
}

static int run_case(const struct pack *pack, const struct pack_case *test, struct buffer *failure, struct error *err)
{
    struct arena arena;
    arena_init(&arena, (size_t)256 << 20);
    struct policy_field field = {test->field != NULL ? test->field : "messages[0].content", str_of(test->text)};
    struct policy_query query = {.tenant = test->tenant, .subject_region = test->subject_region, .fields = &field, .n_fields = 1,
                                 .providers = test->providers, .n_providers = test->n_providers};
    struct verdict *verdict;
    int status = policy_evaluate(pack, &query, &arena, &verdict, err);
    if (status < 0) {
        arena_release(&arena);
        return status;
    }
    if (test->effect >= 0 && (int)verdict->effect != test->effect)
        buffer_printf(failure, "effect: expected %s, came %s; ", effect_name((enum effect)test->effect), effect_name(verdict->effect));
    if (test->data_class != NULL && strcmp(test->data_class, verdict->data_class) != 0)
        buffer_printf(failure, "class: expected %s, came %s; ", test->data_class, verdict->data_class);
    bool targets_differ = false;
    for (size_t i = 0; test->has_targets && i < test->n_providers; i++)
        targets_differ = targets_differ || names_has(&test->targets, test->providers[i].id) != (verdict->permitted >> i & 1);
    for (int i = 0; i < test->targets.n; i++)
        targets_differ = targets_differ || !is_target(test, verdict, test->targets.items[i]);
    for (int i = 0; i < test->not_targets.n; i++)
        targets_differ = targets_differ || is_target(test, verdict, test->not_targets.items[i]);
    if (targets_differ) {
        buffer_append_text(failure, "targets: came ");
        list_targets(test, verdict, failure);
        buffer_append_text(failure, "; ");
    }
    for (int i = 0; i < test->types.n; i++)
        if (!has_type(verdict, test->types.items[i]))
            buffer_printf(failure, "type %s was not found; ", test->types.items[i]);
    for (int i = 0; i < test->no_types.n; i++)
        if (has_type(verdict, test->no_types.items[i]))
            buffer_printf(failure, "type %s was found; ", test->no_types.items[i]);
    const struct names given = {(const char **)(uintptr_t)verdict->reasons, verdict->n_reasons};
    for (int i = 0; i < test->reasons.n; i++)
        if (!names_has(&given, test->reasons.items[i]))
            buffer_printf(failure, "reason %s was not given; ", test->reasons.items[i]);
    if (test->redacted != NULL)
        status = check_redacted(pack, test, verdict, failure, err);
    arena_release(&arena);
    return status;
}

int pack_test(const struct pack *pack, pack_test_fn *report, void *user, struct error *err)
{
    int n_failed = 0;
    struct buffer failure;
    buffer_init(&failure, 1 << 16);
    for (int i = 0; i < pack->n_cases; i++) {
        const struct pack_case *test = &pack->cases[i];
        buffer_clear(&failure);
        int status = run_case(pack, test, &failure, err);
        if (status < 0) {
            buffer_release(&failure);
            return status;
        }
        bool failed = failure.n > 0 || failure.failed;
        n_failed += failed;
        if (failure.n >= 2)
            failure.data[failure.n - 2] = '\0';
        if (report != NULL)
            report(user, test->name, failed ? failure.data : NULL);
    }
    buffer_release(&failure);
    return n_failed;
}
