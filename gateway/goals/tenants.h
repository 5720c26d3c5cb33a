/* The tenants of goals.h: their states, by name. */
#ifndef WEIR_GOALS_TENANTS_H
#define WEIR_GOALS_TENANTS_H

#include "goals/evidence.h"
#include "goals/pace.h"
#include "goals/share.h"

struct goal_tenant {
    char name[64];             /* "": callers without a key. */
    int number;                /* In the order in which they came. */
    struct share *share;       /* NULL: not asked for yet. */
    double max_share;          /* That its credit is of. */
    struct pace *pace;
    bool newer_share, newer_pace; /* Than the ledger's file, at the moment of goals_read. */
    struct evidence evidence;
    bool moved;                /* Labels have moved the threshold to: */
    double threshold;
    int64_t n_labels;          /* That it was moved by. */
    double label_regret;       /* That the labels are for. */
    int n_before;              /* Labels before goals_read, … */
    bool moved_before;         /* … and this. */
    int64_t forgotten_leaf;    /* Labels of rows up to it have been used up. */
    double shown_threshold;    /* Of the last decision. */
};

struct goal_tenants {
    struct goal_tenant **sorted;
    int n, capacity;
    int n_labelled;
};

void goal_tenants_release(struct goal_tenants *tenants);
/* NULL: unknown. */
struct goal_tenant *goal_tenants_find(const struct goal_tenants *tenants, const char *name);
/* Makes it where it is not there. NULL: as many as may be, or no memory. */
struct goal_tenant *goal_tenants_have(struct goal_tenants *tenants, const char *name, int max);

#endif
