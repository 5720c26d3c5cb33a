/* The section `classifier.shadow`: the share of local answers to `auto` that are put beside the remote's, that of answers which left and are put beside
 * the local model's, who judges, and what a month of it may cost. Off while the share is 0. Runs on the thread that loads. */
#include "config/config_internal.h"

#include "money/prices.h"
#include "shadow/sample.h"

#include <math.h>

#define CONFIG(member) offsetof(struct config, member)

static int read_ppm(struct yaml_doc *tree, yaml_node_t *node, const char *name, int64_t *out, struct error *err)
{
    const char *text;
    double share;
    int status = yaml_doc_text(tree, node, &text, err);
    if (status < 0)
        return status;
    if (parse_f64(str_of(text), &share) < 0 || !(share >= 0 && share <= 1) || (share > 0 && share * SHADOW_PPM < 1))
        return yaml_doc_fail(tree, node, err, "%s: must be 0 (off) or a number from 0.000001 to 1, not \"%.40s\"", name, text);
    *out = llround(share * SHADOW_PPM);
    return 0;
}

static int read_share(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    return read_ppm(tree, node, "share", &((struct config *)target)->shadow.share_ppm, err);
}

static int read_left_share(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    ((struct config_owner *)target)->shadow_left = node;
    return read_ppm(tree, node, "left_share", &((struct config *)target)->shadow.left_share_ppm, err);
}

static int read_budget(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    const char *text;
    int status = yaml_doc_text(tree, node, &text, err);
    if (status < 0)
        return status;
    if (money_parse_usd(str_of(text), &config->shadow.budget_nusd) < 0 || config->shadow.budget_nusd <= 0)
        return yaml_doc_fail(tree, node, err, "budget_usd_per_month: must be US dollars above 0, with at most nine decimals, not \"%.40s\"", text);
    return 0;
}

static int keep_judge(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    ((struct config_owner *)target)->shadow_judge = node;
    return 0;
}

static const struct yaml_field shadow_fields[] = {
    {"share", YAML_CUSTOM, 0, .read = read_share},
    {"left_share", YAML_CUSTOM, 0, .read = read_left_share},
    {"judge", YAML_CUSTOM, 0, .read = keep_judge},
    {"budget_usd_per_month", YAML_CUSTOM, 0, .read = read_budget},
    {NULL},
};

int config_read_shadow(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    ((struct config_owner *)target)->shadow = node;
    return yaml_doc_read(tree, node, shadow_fields, target, "classifier.shadow", err);
}

/* Labels of what left alone speak of no threshold, for one is of all queries up to it. */
static int check_left(struct config_owner *owner, struct error *err)
{
    struct config *config = &owner->config;
    bool any = config->goal.kind == GOAL_MAX_REGRET;
    if (config->shadow.left_share_ppm == 0)
        return 0;
    if (config->shadow.share_ppm == 0)
        return yaml_doc_fail(owner->tree, owner->shadow_left, err, "classifier.shadow.left_share: needs a share above 0 too: a threshold speaks of all queries up to it, and those stay here");
    for (int i = 0; i < config->n_tenants; i++)
        any = any || config->tenants[i].goal.kind == GOAL_MAX_REGRET;
    if (!any)
        config_warn(owner, "classifier.shadow.left_share: nobody's target is max_regret, so nothing that left is sampled");
    return 0;
}

int config_check_shadow(struct config_owner *owner, struct error *err)
{
    struct config *config = &owner->config;
    const char *text;
    int left = check_left(owner, err);
    if (left < 0)
        return left;
    if (owner->shadow_judge == NULL)
        return config->shadow.share_ppm == 0
                   ? 0
                   : yaml_doc_fail(owner->tree, owner->shadow, err, "classifier.shadow: a share above 0 needs judge: provider/model, who says which answer is better");
    int status = yaml_doc_text(owner->tree, owner->shadow_judge, &text, err);
    if (status == 0)
        status = config_parse_target(owner, owner->shadow_judge, text, &config->shadow.judge, err);
    if (status < 0)
        return status;
    for (int i = 0; i < config->n_escalate && config->shadow.share_ppm > 0; i++)
        if (config->escalate[i].provider == config->shadow.judge.provider && strcmp(config->escalate[i].model, config->shadow.judge.model) == 0)
            config_warn(owner, "classifier.shadow: the judge %s is a target of escalate too, and models favour their own answers", text);
    if (config->n_escalate == 0 && config->shadow.share_ppm > 0)
        config_warn(owner, "classifier.shadow: `auto` has no remote target, so nothing is sampled");
    return 0;
}
