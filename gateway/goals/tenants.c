/* An array of pointers ordered by name. Invariant: a tenant's address stays while it is there. */
#include "goals/tenants.h"

static int place_of(const struct goal_tenants *tenants, const char *name, bool *found)
{
    int low = 0, high = tenants->n;
    while (low < high) {
        int middle = low + (high - low) / 2, order = strcmp(tenants->sorted[middle]->name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

struct goal_tenant *goal_tenants_find(const struct goal_tenants *tenants, const char *name)
{
    bool found;
    int at = place_of(tenants, name != NULL ? name : "", &found);
    return found ? tenants->sorted[at] : NULL;
}

struct goal_tenant *goal_tenants_have(struct goal_tenants *tenants, const char *name, int max)
{
    bool found;
    int at = place_of(tenants, name != NULL ? name : "", &found);
    if (found)
        return tenants->sorted[at];
    if (tenants->n >= max)
        return NULL;
    if (tenants->n == tenants->capacity) {
        int capacity = tenants->capacity > 0 ? 2 * tenants->capacity : 16;
        struct goal_tenant **more = realloc(tenants->sorted, (size_t)capacity * sizeof *more);
        if (more == NULL)
            return NULL;
        tenants->sorted = more;
        tenants->capacity = capacity;
    }
    struct goal_tenant *tenant = calloc(1, sizeof *tenant);
    if (tenant == NULL || !str_copy(tenant->name, sizeof tenant->name, str_of(name != NULL ? name : ""))) {
        free(tenant);
        return NULL;
    }
    memmove(&tenants->sorted[at + 1], &tenants->sorted[at], (size_t)(tenants->n - at) * sizeof *tenants->sorted);
    tenant->number = tenants->n++;
    tenant->forgotten_leaf = -1;
    tenants->sorted[at] = tenant;
    return tenant;
}

void goal_tenants_release(struct goal_tenants *tenants)
{
    for (int i = 0; i < tenants->n; i++) {
        free(tenants->sorted[i]->share);
        free(tenants->sorted[i]->pace);
        evidence_release(&tenants->sorted[i]->evidence);
        free(tenants->sorted[i]);
    }
    free(tenants->sorted);
    *tenants = (struct goal_tenants){NULL};
}
