/* The section `classifier.shadow`: the share of local answers to `auto` that are put beside the remote's, who judges, and what a month of
 * it may cost. Off while the share is 0. Runs on the thread that loads. */
#include "config/config_internal.h"

#include "money/prices.h"
#include "shadow/sample.h"

#include <math.h>

#define CONFIG(member) offsetof(struct config, member)

static int read_share(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    struct config *config = target;
    const char *text;
    double share;
    int status = yaml_doc_text(tree, node, &text, err);
    if (status < 0)
        return status;
    if (parse_f64(str_of(text), &share) < 0 || !(share >= 0 && share <= 1) || (share > 0 && share * SHADOW_PPM < 1))
        return yaml_doc_fail(tree, node, err, "share: must be 0 (off) or a number from 0.000001 to 1, not \"%.40s\"", text);
    config->shadow.share_ppm = llround(share * SHADOW_PPM);
    return 0;
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
    {"judge", YAML_CUSTOM, 0, .read = keep_judge},
    {"budget_usd_per_month", YAML_CUSTOM, 0, .read = read_budget},
    {NULL},
};

int config_read_shadow(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err)
{
    ((struct config_owner *)target)->shadow = node;
    return yaml_doc_read(tree, node, shadow_fields, target, "classifier.shadow", err);
}

int config_check_shadow(struct config_owner *owner, struct error *err)
{
    struct config *config = &owner->config;
    const char *text;
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
