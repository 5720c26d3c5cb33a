/* What the files of goals/ share beside goals.h. */
#ifndef WEIR_GOALS_GOALS_INTERNAL_H
#define WEIR_GOALS_GOALS_INTERNAL_H

#include "goals/goals.h"
#include "goals/tenants.h"

struct goals {
    struct goal_tenants tenants;
    bool unread; /* The ledger did not give up what shares and budgets stand on. */
    char head_id[129], answers_id[24], judge[320]; /* The scope of what was read last. */
};

/* The tenant's share or pace, made where it is not there; NULL: no room. */
struct share *goals_share(struct goals *goals, const char *tenant, double max_share);
struct pace *goals_pace(struct goals *goals, const char *tenant);
/* What context->scope stands for. */
struct ledger_scope goals_scope(const struct goals_context *context);
/* goals_label of a label from the ledger, whose row has this number there: nothing is moved. */
int goals_relabel(struct goals *goals, const struct goals_context *context, const struct goals_label *label, int64_t leaf_index) WEIR_CHECKED;

#endif
