/* weir policy: check, test, matrix and diff of policy packs. */
#include "cli/cli.h"
#include "cli/policy_pack.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- check */

static int policy_check(const char *name)
{
    struct pack *pack;
    struct error err = {0};
    if (policy_pack_open(&pack, name, &err) < 0)
        return cli_fail("policy check", &err);
    struct pack_counts counts = pack_counts(pack);
    const struct pack_retention *kept = pack_retention(pack);
    printf("%s %s: %d classes, %d rules, %d providers, %d tenants, %d tests; decisions are kept %d days, text %d, pseudonyms %d\n",
           pack_name(pack), pack_version(pack), counts.n_classes, counts.n_rules, counts.n_providers, counts.n_tenants, counts.n_tests,
           kept->decision_days, kept->text_days, kept->pseudonym_days);
    printf("sha256 %s\n", pack_sha256(pack));
    pack_close(pack);
    return EXIT_DONE;
}

/* ---- test */

struct test_run {
    int n;
    bool verbose;
};

static void report_test(void *user, const char *test, const char *failure)
{
    struct test_run *tests = user;
    tests->n++;
    if (failure != NULL)
        printf("FAIL  %s: %s\n", test, failure);
    else if (tests->verbose)
        printf("ok    %s\n", test);
}

static int policy_test(const char *name, bool verbose)
{
    struct pack *pack;
    struct error err = {0};
    struct test_run tests = {.verbose = verbose};
    if (policy_pack_open(&pack, name, &err) < 0)
        return cli_fail("policy test", &err);
    int failed = pack_test(pack, report_test, &tests, &err);
    if (failed >= 0)
        printf("%s %s: %d tests, %d failed\n", pack_name(pack), pack_version(pack), tests.n, failed);
    pack_close(pack);
    if (failed < 0)
        return cli_fail("policy test", &err);
    if (tests.n == 0) {
        fprintf(stderr, "weir policy test: %s has no tests\n", name);
        return EXIT_FAILED;
    }
    return failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

/* ---- matrix and diff: one line a cell */

struct cell_line {
    char key[256], value[256];
};

struct cells {
    struct cell_line *items;
    size_t n, capacity;
    bool failed;
};

static void collect_cell(void *user, const struct pack_cell *cell)
{
    struct cells *cells = user;
    if (cells->n == cells->capacity) {
        size_t capacity = cells->capacity == 0 ? 256 : cells->capacity * 2;
        struct cell_line *items = realloc(cells->items, capacity * sizeof *items);
        if (items == NULL) {
            cells->failed = true;
            return;
        }
        cells->items = items;
        cells->capacity = capacity;
    }
    struct cell_line *line = &cells->items[cells->n++];
    snprintf(line->key, sizeof line->key, "%s\t%s\t%s", cell->tenant, cell->type != NULL ? cell->type : "-", cell->provider);
    snprintf(line->value, sizeof line->value, "%s\t%s\t%s\t%s", cell->data_class, effect_name(cell->effect), cell->permitted ? "yes" : "no",
             cell->reason != NULL ? cell->reason : "");
}

static int load_cells(const char *verb, const char *name, const struct policy_provider *providers, size_t n_providers, struct cells *cells)
{
    struct pack *pack;
    struct error err = {0};
    if (policy_pack_open(&pack, name, &err) < 0)
        return cli_fail(verb, &err);
    int status = pack_matrix(pack, providers, n_providers, collect_cell, cells, &err);
    pack_close(pack);
    if (status < 0)
        return cli_fail(verb, &err);
    if (cells->failed || cells->n == 0) {
        fprintf(stderr, "weir %s: %s: %s\n", verb, name,
                cells->failed ? "out of memory" : "no providers to show: name some with --providers id[=region],… or test_providers in the pack");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int policy_matrix(const char *name, const struct policy_provider *providers, size_t n_providers)
{
    struct cells cells = {0};
    int code = load_cells("policy matrix", name, providers, n_providers, &cells);
    if (code == EXIT_DONE)
        printf("tenant\ttype\tprovider\tclass\teffect\tpermitted\treason\n");
    for (size_t i = 0; code == EXIT_DONE && i < cells.n; i++)
        printf("%s\t%s\n", cells.items[i].key, cells.items[i].value);
    free(cells.items);
    return code;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct cell_line *)a)->key, ((const struct cell_line *)b)->key);
}

static int policy_diff(const char *before, const char *after, const struct policy_provider *providers, size_t n_providers)
{
    struct cells old = {0}, new = {0};
    int code = load_cells("policy diff", before, providers, n_providers, &old);
    if (code == EXIT_DONE)
        code = load_cells("policy diff", after, providers, n_providers, &new);
    if (code == EXIT_DONE) {
        size_t i = 0, k = 0, changed = 0;
        qsort(old.items, old.n, sizeof *old.items, compare_keys);
        qsort(new.items, new.n, sizeof *new.items, compare_keys);
        while (i < old.n || k < new.n) {
            int order = i == old.n ? 1 : k == new.n ? -1 : compare_keys(&old.items[i], &new.items[k]);
            bool differs = order != 0 || strcmp(old.items[i].value, new.items[k].value) != 0;
            changed += differs;
            if (differs && order <= 0)
                printf("- %s\t%s\n", old.items[i].key, old.items[i].value);
            if (differs && order >= 0)
                printf("+ %s\t%s\n", new.items[k].key, new.items[k].value);
            i += order <= 0;
            k += order >= 0;
        }
        printf("%zu of %zu cells change\n", changed, old.n > new.n ? old.n : new.n);
    }
    free(old.items);
    free(new.items);
    return code;
}

enum { MOST_PROVIDERS = 64 };

/* "id=region,id,…" in place. Returns how many. */
static size_t parse_providers(char *list, struct policy_provider *out)
{
    size_t n = 0;
    while (list != NULL && *list != '\0' && n < MOST_PROVIDERS) {
        char *comma = strchr(list, ','), *equals;
        if (comma != NULL)
            *comma = '\0';
        equals = strchr(list, '=');
        if (equals != NULL)
            *equals = '\0';
        out[n++] = (struct policy_provider){list, equals != NULL ? equals + 1 : NULL};
        list = comma != NULL ? comma + 1 : NULL;
    }
    return n;
}

extern const struct verb verb_policy;

static int run(int argc, char **argv)
{
    const char *list = NULL;
    bool verbose = false;
    int n = 0;
    const struct cli_option options[] = {{.name = "providers", .text = &list}, {.name = "verbose", .flag = &verbose}, {0}};
    int status = cli_parse(&verb_policy, argc, argv, options, &n);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct policy_provider providers[MOST_PROVIDERS];
    char *copy = list != NULL ? strdup(list) : NULL;
    size_t n_providers = parse_providers(copy, providers);
    const char *command = n > 0 ? argv[1] : "";
    int code = EXIT_USAGE;
    if (strcmp(command, "check") == 0 && n == 2)
        code = policy_check(argv[2]);
    else if (strcmp(command, "test") == 0 && n == 2)
        code = policy_test(argv[2], verbose);
    else if (strcmp(command, "matrix") == 0 && n == 2)
        code = policy_matrix(argv[2], providers, n_providers);
    else if (strcmp(command, "diff") == 0 && n == 3)
        code = policy_diff(argv[2], argv[3], providers, n_providers);
    else
        fprintf(stderr, "weir policy: check PACK, test PACK, matrix PACK or diff OLD NEW is expected\n`weir policy --help` explains them.\n");
    free(copy);
    return code;
}

const struct verb verb_policy = {
    "policy",
    "check, test, print and compare policy packs",
    "usage: weir policy check PACK | test PACK | matrix PACK | diff OLD NEW  [options]\n\n"
    "PACK is a YAML file, or the name of a shipped pack (default, eu-only, air-gapped,\n"
    "source-secrecy, pci-dss, hipaa).\n\n"
    "  check    parses the pack and makes the static checks; errors name file, line and column\n"
    "  test     runs the tests inside the pack; exit 1 when one fails\n"
    "  matrix   prints every cell (tenant, type, provider): class, effect, permitted or not, and why\n"
    "  diff     prints each cell that differs between two packs\n\n"
    "  --providers id[=region],…   the providers of matrix and diff; default: the pack's test_providers\n"
    "  --verbose                   test: name the tests that pass too\n\n"
    "Example:\n"
    "  weir policy diff default eu-only --providers openai,openai-eu=eu\n",
    run,
};
