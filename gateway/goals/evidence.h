/* Evidence: the threshold that a tenant's own labels support for max_regret. One tenant's labels, and pure functions of them.
 *
 * A label says of one query what came of a local answer: its gain, the loss 0 … 1 (1: worse than a remote one, or rated down), the
 * reach: the gain up to which queries had a chance of being labelled that is known (ratings: the threshold of the decision, for nobody rates a
 * local answer that was not given; samples that also look at queries that left: EVIDENCE_ALL), and a weight (below).
 * The regret of a threshold g is the mean loss of queries of gains up to g. Labels of gain <= g and reach >= g speak of it; others would
 * favour the queries that happened to be labelled.
 *
 * Tests by betting (Waudby-Smith and Ramdas 2023), valid however often one looks and whenever one stops. `For` g: a gambler bets that the
 * regret at g is below max_regret; while it is not, his wealth is a non-negative supermartingale from 1, and reaching 1 / e refuses
 * "above max_regret" wrongly with a probability of at most e. `Against` g: the opposite bet, for labels of late too: a new gambler starts
 * with each EVIDENCE_BLOCK labels, the j-th with a share 1 / ((j + 1)(j + 2)) of one coin, so that a long good past does not hide a shift
 * and "ever wrongly refuted" stays at most EVIDENCE_ALPHA.
 *   Up: thresholds on a fixed grid are tested from strict to loose, from N_STARTS starts that share the error, and the first that is not
 *   supported ends its sequence (so their number needs no correction; as in classifier/promise.c).
 *   Down: the threshold in use is left when it is refuted: for the loosest below it that the labels since the shift (since the gambler
 *   began who won most) support, or, where they support none, the loosest that they speak not at all against. All labels are forgotten then.
 * At EVIDENCE_LABELS labels the older half is forgotten. Each time a new test begins (at a moment fixed before its labels are seen), and
 * the k-th has a share 1 / ((k + 1)(k + 2)) of the error. So over a tenant's life: a threshold is moved up to one that does not keep
 * max_regret with a probability of at most EVIDENCE_ALPHA, and moved down from one that does with at most EVIDENCE_ALPHA.
 * Assumed: while the tests run, each label's loss has the same mean given its gain's place, and being labelled does not depend on the
 * loss. Ratings are no random sample; samples with stated probabilities are.
 *
 * A query that was drawn and whose label was lost has a loss of 1 with a slack of 1: those who bet for a threshold meet its worst, those who
 * bet against it its best. So nothing is assumed about which are lost. The same label stands for one that is still to come, from the moment on that it
 * is drawn: then the order of labels is that of the draws, and none is judged by before worse ones that take longer are in.
 *
 * Weight: p_least / p, of the probability p with which this query was sampled and the least one of any: then the bets are on the mean over
 * all queries. 1 where all have the same.
 * One thread. */
#ifndef WEIR_GOALS_EVIDENCE_H
#define WEIR_GOALS_EVIDENCE_H

#include "weir_base.h"

enum { EVIDENCE_LABELS = 1024, EVIDENCE_LEAST = 50, EVIDENCE_BLOCK = 16 };
#define EVIDENCE_ALPHA 0.1
#define EVIDENCE_ALL 1e9
#define EVIDENCE_NOTHING (-2.0) /* The gain that no query reaches: with it as threshold nothing stays. */

struct evidence_label {
    uint64_t id;          /* Hash of the decision's: a later label takes the earlier one's place. */
    double reach;
    float gain, loss, weight;
    float slack;          /* The loss may be anything down to loss - slack. */
};

struct evidence {
    struct evidence_label *labels; /* In the order in which their decisions were labelled first. */
    int n, capacity;
    int n_tests;          /* That have ended. */
};

/* WEIR_E_MEMORY: nothing changed. A label with numbers out of range is put into it. */
int evidence_add(struct evidence *evidence, const struct evidence_label *label) WEIR_CHECKED;
/* One that was to come has not come: it says nothing. */
void evidence_remove(struct evidence *evidence, uint64_t id);
/* After a move down, whose labels have said what they had to say. */
void evidence_forget(struct evidence *evidence);
void evidence_release(struct evidence *evidence);

enum evidence_move { EVIDENCE_STAYS, EVIDENCE_UP, EVIDENCE_DOWN };
struct evidence_verdict {
    enum evidence_move move;
    double threshold;     /* The new one, or the one in use. */
    int64_t n;            /* Labels that speak of it, … */
    double regret;        /* … and their mean loss. */
    double wealth;        /* For the new threshold, or against the old one: speaks so much to 1. */
};

/* What the labels say of the threshold in use. base: the threshold without labels, one of the starts. Fewer than EVIDENCE_LEAST labels move
 * nothing. */
void evidence_judge(const struct evidence *evidence, double max_regret, double base, double in_use, struct evidence_verdict *out);

#endif
