/* Drifting: the drift tests of each tenant (feedback/drift.h), one of ratings and one of shadow samples, fed by rows that are durable. Only labels in force
 * count (standing.h). Loop thread; the ledger's file is read at start and reload. */
#ifndef WEIR_REQUEST_DRIFTING_H
#define WEIR_REQUEST_DRIFTING_H

#include "request/request.h"

struct rated;

/* After the ledger and the head are open: the tests from the ratings and shadow samples in the ledger. */
int drifting_open(struct service *service, struct error *err) WEIR_CHECKED;
void drifting_close(struct service *service);
/* What is in force may be something else, or a row's fate was unsure: the tests, and the targets' labels, are read from the ledger again. */
void drifting_reload(struct service *service);
/* Of the tests: changes with each reload. */
unsigned drifting_epoch(const struct service *service);
/* A row waits in memory: it is counted when a later one shows that it was written. */
void drifting_unsure(struct service *service);

/* Does the rating speak of what is in force? */
bool drifting_counts(const struct service *service, const struct rated *rated);
/* A rating whose row is durable; epoch: when it was looked up. */
void drifting_rated(struct service *service, const struct rated *rated, unsigned epoch);
/* A sample of what stayed was judged. recorded: 0, its row is durable; negative: it waits in memory. */
struct drifting_sample {
    const char *tenant;        /* NULL: callers without a key. */
    bool in_force;
    double max_regret;         /* Of the decision. */
    bool remote_better;
};
void drifting_sampled(struct service *service, const struct drifting_sample *sample, int recorded);
/* Decide's input: is the tenant's alarm raised, by ratings or by shadow samples? tenant NULL: callers without a key. */
bool drifting_alarmed(const struct service *service, const char *tenant);

#endif
