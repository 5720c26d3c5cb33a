/* What the files of the configuration share: the snapshot with its memory while it is being made. */
#ifndef WEIR_CONFIG_CONFIG_INTERNAL_H
#define WEIR_CONFIG_CONFIG_INTERNAL_H

#include "config/config.h"
#include "config/yaml_doc.h"

#include <stdatomic.h>

struct config_owner {
    struct config config; /* First: a const struct config * is its owner. */
    atomic_int refs;
    struct arena arena;
    /* As read, before the cross-checks; nodes stay valid while the tree is. */
    struct yaml_doc *tree;
    yaml_node_t *listen, *fallbacks, *escalate, *aliases, *provider_nodes[CONFIG_MAX_PROVIDERS], *shadow, *shadow_judge, *shadow_left;
};

extern const struct yaml_field config_models_fields[]; /* config_models.c: of `models`. */
/* config_goals.c: which target a section names (*n: how many, 0 or 1); readers of an amount a month and of `tenants`. */
int config_goal_kind(struct yaml_doc *tree, yaml_node_t *node, const char *what, enum goal_kind *kind, int *n, struct error *err) WEIR_CHECKED;
int config_read_budget(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err) WEIR_CHECKED;
int config_read_tenants(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err) WEIR_CHECKED;

int config_defaults(struct config_owner *owner, struct error *err) WEIR_CHECKED;
int config_read(struct config_owner *owner, struct error *err) WEIR_CHECKED;  /* config_read.c: YAML into the struct. */
int config_check(struct config_owner *owner, struct error *err) WEIR_CHECKED; /* config_check.c: what must fit together. */
/* config_check.c: "provider/model", both of which must exist. */
int config_parse_target(struct config_owner *owner, yaml_node_t *node, const char *text, struct config_target *out, struct error *err) WEIR_CHECKED;
/* config_shadow.c: of `classifier.shadow`. */
int config_read_shadow(struct yaml_doc *tree, yaml_node_t *node, void *target, struct error *err) WEIR_CHECKED;
int config_check_shadow(struct config_owner *owner, struct error *err) WEIR_CHECKED;
void config_warn(struct config_owner *owner, const char *format, ...) WEIR_PRINTF(2, 3);

#endif
