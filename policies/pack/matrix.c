/* Every cell of what a pack says: tenants × types × providers. The scopes are finite, so the whole table can be printed, and two
 * packs compared cell by cell. */
#include "pack/pack.h"
#include "verdict.h"

static int report_cells(const struct pack *pack, const char *tenant, const struct finding *finding, const struct policy_provider *providers,
                        size_t n_providers, pack_cell_fn *report, void *user, struct error *err)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct finding copy = finding != NULL ? *finding : (struct finding){0};
    struct findings found = {.items = &copy, .n = finding != NULL, .capacity = finding != NULL};
    struct policy_query query = {.tenant = strcmp(tenant, "-") == 0 ? NULL : tenant, .providers = providers, .n_providers = n_providers};
    struct verdict *verdict;
    int status = policy_evaluate_found(pack, &query, &found, &arena, &verdict, err);
    for (size_t i = 0; status == 0 && i < n_providers && i < VERDICT_MAX_PROVIDERS; i++) {
        bool permitted = verdict->permitted >> i & 1;
        const char *reason = permitted ? (verdict->n_reasons > 0 ? verdict->reasons[0] : "") : verdict->provider_reasons[i];
        struct pack_cell cell = {tenant, verdict->data_class, finding != NULL ? finding->type : NULL, providers[i].id, verdict->effect,
                                 permitted, reason};
        report(user, &cell);
    }
    arena_release(&arena);
    return status;
}

static int report_tenant(const struct pack *pack, const char *tenant, const struct policy_provider *providers, size_t n_providers,
                         pack_cell_fn *report, void *user, struct error *err)
{
    const struct detector_set *set = &pack->detectors;
    int status = report_cells(pack, tenant, NULL, providers, n_providers, report, user, err);
    const struct entity *entity;
    for (size_t i = 0; status == 0 && (entity = entity_at(i)) != NULL; i++) {
        struct finding finding = {entity->type, entity->detector, 0, 1, 1};
        if (!set->off[i])
            status = report_cells(pack, tenant, &finding, providers, n_providers, report, user, err);
    }
    for (int i = 0; status == 0 && i < set->n_custom; i++) {
        struct finding finding = {set->custom[i].entity.type, "custom", 0, 1, 1};
        status = report_cells(pack, tenant, &finding, providers, n_providers, report, user, err);
    }
    return status;
}

int pack_matrix(const struct pack *pack, const struct policy_provider *providers, size_t n_providers, pack_cell_fn *report, void *user,
                struct error *err)
{
    if (n_providers == 0) {
        providers = pack->test_providers;
        n_providers = pack->n_test_providers;
    }
    if (pack->tenants.n == 0) {
        int status = report_tenant(pack, "-", providers, n_providers, report, user, err);
        /* Rules may name tenants without a list of them. */
        for (int i = 0; status == 0 && i < pack->n_rules; i++)
            for (int k = 0; status == 0 && k < pack->rules[i].tenants.n; k++) {
                const char *tenant = pack->rules[i].tenants.items[k];
                bool before = false;
                for (int j = 0; j < i; j++)
                    before = before || names_has(&pack->rules[j].tenants, tenant);
                if (!before)
                    status = report_tenant(pack, tenant, providers, n_providers, report, user, err);
            }
        return status;
    }
    int status = 0;
    for (int i = 0; status == 0 && i < pack->tenants.n; i++)
        status = report_tenant(pack, pack->tenants.items[i], providers, n_providers, report, user, err);
    return status;
}

struct pack_counts pack_counts(const struct pack *pack)
{
    return (struct pack_counts){pack->n_classes, pack->n_rules, pack->n_providers, pack->tenants.n, pack->n_cases};
}
