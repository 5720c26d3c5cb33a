/* What `auto` aims at: `classifier` and `tenants`.
 *
 * Invariant: a section has at most one target, for a share or a sum of money and a largest regret contradict each other: the one says
 * how much may leave, the other how much must. A tenant's target takes the place of the classifier's, whole. */
#include "config/config_internal.h"

#include "money/prices.h"

#define GOAL(member) offsetof(struct config_goal, member)

int config_read_budget(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    int64_t *budget_nusd = target;
    const char *text;
    int status = yaml_doc_text(tree, node, &text, err);
    if (status == 0 && (money_parse_usd(str_of(text), budget_nusd) < 0 || *budget_nusd < 0 || *budget_nusd > 1000000000000000000))
        status = yaml_doc_fail(tree, node, err, "budget_usd_per_month: must be an amount of US dollars like 50 or 12.5, up to 1000000000, not \"%.40s\"", text);
    return status;
}

static const struct yaml_field goal_fields[] = {
    {"max_regret", YAML_REAL, GOAL(max_regret), .min = 0, .max = 1},
    {"max_remote_share", YAML_REAL, GOAL(max_remote_share), .min = 0, .max = 1},
    {"budget_usd_per_month", YAML_CUSTOM, GOAL(budget_nusd), .read = config_read_budget},
    {NULL},
};

int config_goal_kind(struct yaml_doc *tree, yaml_node_t *node, const char *what, enum goal_kind *kind, int *n, struct error *err)
{
    const char *named = NULL;
    *n = 0;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_doc_node(tree, pair->key);
        const char *name = (const char *)key->data.scalar.value;
        for (int i = 0; goal_fields[i].name != NULL; i++) {
            if (strcmp(name, goal_fields[i].name) != 0 || yaml_node_is_null(yaml_doc_node(tree, pair->value)))
                continue;
            if (named != NULL)
                return yaml_doc_fail(tree, key, err, "%s: %s and %s are two targets that contradict each other; leave one", what, named, name);
            named = goal_fields[i].name;
            *kind = (enum goal_kind)i;
            ++*n;
        }
    }
    return 0;
}

static int compare_tenants(const void *a, const void *b)
{
    return strcmp(((const struct config_tenant *)a)->name, ((const struct config_tenant *)b)->name);
}

static int read_tenant(struct yaml_doc *tree, yaml_node_pair_t *pair, struct config_tenant *out, struct error *err)
{
    yaml_node_t *key = yaml_doc_node(tree, pair->key), *value = yaml_doc_node(tree, pair->value);
    char what[96];
    int n = 0, status = yaml_doc_text(tree, key, &out->name, err);
    if (status < 0)
        return status;
    if (strlen(out->name) > 63)
        return yaml_doc_fail(tree, key, err, "tenants: the name \"%.60s\"… is longer than 63 bytes", out->name);
    snprintf(what, sizeof what, "tenants.%s", out->name);
    status = yaml_doc_read(tree, value, goal_fields, &out->goal, what, err);
    if (status == 0)
        status = config_goal_kind(tree, value, what, &out->goal.kind, &n, err);
    if (status == 0 && n == 0)
        status = yaml_doc_fail(tree, value, err, "%s: names no target: max_regret, max_remote_share or budget_usd_per_month", what);
    return status;
}

int config_read_tenants(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    size_t n = node->type == YAML_MAPPING_NODE ? (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start) : 0;
    if (node->type != YAML_MAPPING_NODE || n > CONFIG_MAX_NAMES)
        return yaml_doc_fail(tree, node, err, "tenants: must be a mapping of at most %d tenants to their targets", CONFIG_MAX_NAMES);
    struct config_tenant *rows = arena_array(tree->arena, n, sizeof *rows);
    if (rows == NULL)
        return error_set(err, WEIR_E_MEMORY, "tenants", "out of memory");
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        yaml_node_pair_t *pair = node->data.mapping.pairs.start + i;
        rows[i] = (struct config_tenant){.goal = {.max_regret = 0.10}};
        status = read_tenant(tree, pair, &rows[i], err);
        for (size_t k = 0; k < i && status == 0; k++)
            if (strcmp(rows[k].name, rows[i].name) == 0)
                status = yaml_doc_fail(tree, yaml_doc_node(tree, pair->key), err, "tenants: \"%s\" stands here twice", rows[i].name);
    }
    if (status < 0)
        return status;
    if (n > 0)
        qsort(rows, n, sizeof *rows, compare_tenants);
    config->tenants = rows;
    config->n_tenants = (int)n;
    return 0;
}

const struct config_goal *config_goal_of(const struct config *config, const char *tenant)
{
    const struct config_tenant wanted = {.name = tenant != NULL ? tenant : ""};
    const struct config_tenant *found =
        config->n_tenants > 0 ? bsearch(&wanted, config->tenants, (size_t)config->n_tenants, sizeof wanted, compare_tenants) : NULL;
    return found != NULL ? &found->goal : &config->goal;
}
