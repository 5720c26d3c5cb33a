/* Share: which queries leave so that the share that does stays at or below max_remote_share. One tenant's state.
 *
 * A query brings max_share of credit, one that leaves takes 1, and none may leave that the credit does not cover. So, whatever
 * queries come, in whatever order (credit begins at 0):
 *   - of the first n queries at most n × max_share have left, for every n;
 *   - of any n in a row at most n × max_share + SHARE_BURST(max_share), for more credit than that is never kept.
 * These hold exactly (integers of a millionth of a query); only queries that the local model cannot take leave without credit, and
 * what they take is owed first; so is what a local answer takes that had credit when it was begun and leaves for its weakness. A tool's result in a loop that is kept is no query.
 *
 * Credit alone would let the first come leave. Which ones are worth it is told by a threshold: the value that, of the last
 * RECENT_VALUES gains, a share of credit / SHARE_SPAN is above. As that level falls by 1 / SHARE_SPAN with each query that leaves and
 * rises by max_share / SHARE_SPAN with each that comes, it is adaptive conformal inference (Gibbs and Candès 2021) with a step of
 * 1 / SHARE_SPAN, started at 0: for any sequence of gains the share used settles at max_share where the gains allow it, and queries
 * leave by their order and not by when they come. Gains of 0 and less never leave: there is nothing to be had.
 * One thread. */
#ifndef WEIR_GOALS_SHARE_H
#define WEIR_GOALS_SHARE_H

#include "goals/recent.h"

enum { SHARE_SPAN = 100, SHARE_PPM = 1000000, SHARE_LEAST_GAINS = 32 };
/* In queries. */
#define SHARE_BURST(max_share) (1 + 2 * SHARE_SPAN * (max_share))

struct share {
    int64_t credit_ppm;   /* Millionths of a query; negative: owed. */
    int64_t n, n_left;    /* Queries counted since the start of the process, and those that left. */
    struct recent gains;
};

int64_t share_ppm(double max_share);
bool share_open(const struct share *share, double max_share); /* May one more leave? */
double share_level(const struct share *share);                /* Share of the gains that shall be above the threshold. */
/* A query was decided. gain: NAN where the threshold had no say in it. */
void share_count(struct share *share, double max_share, bool left, double gain);
/* A query that was to stay has left after all. */
void share_left_late(struct share *share);

#endif
