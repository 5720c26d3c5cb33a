/* Verdicts: everything that is not known or not certain closes the remote path. */
#include "weir_policies.h"

#include <criterion/criterion.h>

static const struct policy_provider providers[] = {{"eu", "eu"}, {"us", "us"}, {"none", NULL}};

static struct pack *shipped(const char *name)
{
    char path[512];
    struct pack *pack = NULL;
    struct error err = {0};
    snprintf(path, sizeof path, WEIR_SOURCE_DIR "/policies/packs/%s.yaml", name);
    cr_assert(pack_open(&pack, path, &err) == 0, "%s: %s", err.where, err.text);
    return pack;
}

static struct pack *parsed(const char *rest)
{
    char yaml[2048];
    struct pack *pack = NULL;
    struct error err = {0};
    snprintf(yaml, sizeof yaml, "weir: 1\npack: p\nversion: 1\nclasses: {order: [low, high], map: {low: [\"*\"], high: [CREDIT_CARD]}}\n%s", rest);
    cr_assert(pack_parse(&pack, "p.yaml", str_of(yaml), &err) == 0, "%s: %s", err.where, err.text);
    return pack;
}

static struct verdict *evaluate(const struct pack *pack, const char *tenant, const char *subject, const char *text, struct arena *arena)
{
    struct policy_field field = {"messages[0].content", str_of(text)};
    struct policy_query query = {.tenant = tenant, .subject_region = subject, .fields = &field, .n_fields = 1, .providers = providers, .n_providers = 3};
    struct verdict *verdict;
    struct error err = {0};
    cr_assert(policy_evaluate(pack, &query, arena, &verdict, &err) == 0, "%s", err.text);
    return verdict;
}

static void count_failure(void *user, const char *test, const char *failure)
{
    cr_expect(failure == NULL, "%s: %s", test, failure);
    ++*(int *)user;
}

Test(verdict, shipped_packs_pass_their_own_tests)
{
    static const char *const names[] = {"default", "eu-only", "air-gapped", "source-secrecy", "pci-dss", "hipaa"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct pack *pack = shipped(names[i]);
        struct error err = {0};
        int n = 0;
        cr_expect(pack_test(pack, count_failure, &n, &err) == 0);
        cr_expect(n >= 12);
        pack_close(pack);
    }
}

Test(verdict, what_is_unknown_closes_the_remote_path)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct pack *none = parsed("");
    cr_expect(evaluate(none, NULL, NULL, "hi", &arena)->permitted == 0);
    struct pack *tenants = parsed("tenants: [a]\nproviders: [{id: \"*\", ceiling: high}]\nrules: [{id: r, permit: {remote: any}}]\n");
    cr_expect(evaluate(tenants, "a", NULL, "hi", &arena)->permitted == 7);
    cr_expect(evaluate(tenants, "b", NULL, "hi", &arena)->permitted == 0);
    cr_expect(evaluate(tenants, NULL, NULL, "hi", &arena)->permitted == 0);
    struct pack *subject = parsed("providers: [{id: \"*\", ceiling: high}]\nrules: [{id: r, when: {subject_region: EEA}, permit: {remote: any}}]\n");
    cr_expect(evaluate(subject, NULL, "de", "hi", &arena)->permitted == 7);
    cr_expect(evaluate(subject, NULL, NULL, "hi", &arena)->permitted == 0);
    cr_expect(evaluate(subject, NULL, "narnia", "hi", &arena)->permitted == 0);
    struct pack *eu = shipped("eu-only");
    cr_expect(evaluate(eu, NULL, NULL, "hi", &arena)->permitted == 1);
    arena_release(&arena);
    pack_close(none);
    pack_close(tenants);
    pack_close(subject);
    pack_close(eu);
}

Test(verdict, a_truncated_scan_closes_the_remote_path)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct pack *pack = parsed("detectors: {max_bytes: 8}\nproviders: [{id: \"*\", ceiling: high}]\nrules: [{id: r, permit: {remote: any}}]\n");
    cr_expect(evaluate(pack, NULL, NULL, "short", &arena)->permitted == 7);
    struct verdict *verdict = evaluate(pack, NULL, NULL, "much too long", &arena);
    cr_expect(verdict->permitted == 0 && verdict->effect == EFFECT_LOCAL_ONLY && verdict->local_permitted);
    arena_release(&arena);
    pack_close(pack);
}

Test(verdict, the_order_of_rules_does_not_matter_and_the_strictest_wins)
{
    struct arena arena;
    arena_init(&arena, 0);
    const char *head = "providers: [{id: \"*\", ceiling: high}]\nrules:\n";
    const char *a = "  - {id: a, permit: {remote: any}}\n", *b = "  - {id: b, when: {type: CREDIT_CARD}, effect: refuse}\n";
    const char *c = "  - {id: c, when: {type: CREDIT_CARD}, effect: local_only}\n";
    const char *orders[][3] = {{a, b, c}, {b, c, a}, {c, a, b}};
    for (int i = 0; i < 3; i++) {
        char rest[1024];
        snprintf(rest, sizeof rest, "%s%s%s%s", head, orders[i][0], orders[i][1], orders[i][2]);
        struct pack *pack = parsed(rest);
        struct verdict *verdict = evaluate(pack, NULL, NULL, "4111111111111111", &arena);
        cr_expect(verdict->effect == EFFECT_REFUSE && !verdict->local_permitted && verdict->permitted == 0);
        pack_close(pack);
    }
    arena_release(&arena);
}

Test(pack, errors_name_file_line_column_and_the_nearest_key)
{
    struct pack *pack;
    struct error err = {0};
    cr_expect(pack_parse(&pack, "x.yaml", STR("weir: 1\npack: p\nversion: 1\nclases: {}\n"), &err) < 0);
    cr_expect(strcmp(err.where, "x.yaml:4:1") == 0, "%s", err.where);
    cr_expect(strstr(err.text, "\"classes\"") != NULL, "%s", err.text);
}

Test(pack, a_permit_without_a_ceiling_is_refused)
{
    struct pack *pack;
    struct error err = {0};
    cr_expect(pack_parse(&pack, "x", STR("weir: 1\npack: p\nversion: 1\nclasses: {order: [a], map: {a: [\"*\"]}}\nrules: [{id: r, permit: {remote: any}}]\n"),
                         &err) < 0);
    cr_expect(strstr(err.text, "ceiling") != NULL, "%s", err.text);
}

Test(pack, an_empty_list_narrows_nothing_and_is_refused)
{
    static const char *const rules[] = {
        "{id: r, permit: {remote: {region: []}}}",
        "{id: r, permit: {remote: {law: []}}}",
        "{id: r, permit: {remote: {agreements: []}}}",
        "{id: r, permit: {remote: {provider: []}}}",
        "{id: r, when: {tenant: []}, permit: {remote: any}}",
        "{id: r, when: {type: []}, permit: {remote: any}}",
        "{id: r, when: {subject_region: []}, permit: {remote: any}}",
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char yaml[400];
        struct pack *pack = NULL;
        struct error err = {0};
        snprintf(yaml, sizeof yaml, "weir: 1\npack: p\nversion: 1\nclasses: {order: [a], map: {a: [\"*\"]}}\nproviders: [{id: \"*\", ceiling: a}]\nrules:\n  - %s\n", rules[i]);
        cr_expect(pack_parse(&pack, "x.yaml", str_of(yaml), &err) < 0, "taken: %s", rules[i]);
        cr_expect_not_null(strstr(err.text, "names nothing"), "%s: %s", rules[i], err.text);
        cr_expect_eq(strncmp(err.where, "x.yaml:7:", 9), 0, "%s", err.where);
    }
}
