/* Drift: does max_regret hold? A sequential test, one for each tenant, of the hypothesis "of the rated local answers to routed (auto)
 * questions a share of at most max_regret is rated down".
 *
 * The test bets against the hypothesis (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting").
 * DRIFT_BETS gamblers start with an equal share of one coin and stake a fixed fraction b of what they have on each rating: with m
 * the max_regret the decision was made for, a rating down multiplies by 1 + b (1 - m) / m, any other by 1 - b. While a rating is
 * down with probability at most m, given all that went before, no gambler gains on the average, so their sum is a non-negative
 * supermartingale from 1 and, by Ville's inequality, ever reaches 1 / DRIFT_ALPHA with probability at most DRIFT_ALPHA, however
 * often one looks and whenever one stops. Reaching it raises the tenant's alarm; falling below 1 lowers it again.
 *
 * What this promises: with ratings of which each is down with probability at most max_regret, the alarm is ever raised for a tenant
 * with a probability of at most 5 %. What it does not: ratings are no random sample of the answers. People rate what annoys
 * them, so an alarm may say no more than that, and answers nobody rates may be bad without one. It speaks of ratings down, not of
 * answers worse than the remote's; it gives no bound on how soon a shift is seen, none over all tenants together, and none against
 * raters who watch the alarm and change their ratings after. A max_regret below DRIFT_LEAST is tested as DRIFT_LEAST, since no
 * finite stake can be told from a slip of the hand at 0; at 1 there is nothing to test.
 *
 * Shadow samples (request/shadowing.h) have a test of their own, in which a remote answer judged better counts as a rating down. They
 * are what ratings are not: drawn at random with a known probability that does not depend on the answer, so that each
 * counts alike (samples of what left are no local answers, and not in it); and what they say is what max_regret is about. That test promises: while of the sampled and judged answers each is worse
 * than the remote's, in the judge's eyes, with probability at most max_regret, a tenant's alarm is ever raised by it with a probability of
 * at most 5 %; by either test, at most 10 %. It says nothing of answers that are never sampled (gateway/README.md), and samples
 * that could not be judged are missing from it. The two are kept apart because a rating and a sample of one answer are not
 * independent, and because their product would promise no more than the weaker of them.
 *
 * A later rating of a decision takes the earlier one's place: the products depend on the ratings, not on their order.
 * One thread. */
#ifndef WEIR_FEEDBACK_DRIFT_H
#define WEIR_FEEDBACK_DRIFT_H

#include "weir_base.h"

enum { DRIFT_BETS = 16, DRIFT_MAX_TENANTS = 100000 };
#define DRIFT_ALPHA 0.05
#define DRIFT_LEAST 0.001

struct drift;

enum drift_before { DRIFT_UNRATED, DRIFT_WAS_FINE, DRIFT_WAS_DOWN };
enum drift_change { DRIFT_SAME, DRIFT_RAISED, DRIFT_LOWERED };

struct drift *drift_new(void); /* NULL: no memory. */
void drift_free(struct drift *drift);
/* A rating of one of the tenant's (NULL: callers without a key) local answers. before: what the decision was rated until now. Returns
 * an enum drift_change; WEIR_E_MEMORY, WEIR_E_LIMIT: nothing was counted. */
int drift_rate(struct drift *drift, const char *tenant, double max_regret, enum drift_before before, bool down) WEIR_CHECKED;
bool drift_alarmed(const struct drift *drift, const char *tenant);
/* What the gamblers have together, and how many answers were rated; 1 and 0 for an unknown tenant. */
double drift_wealth(const struct drift *drift, const char *tenant, int64_t *n_rated, int64_t *n_down);
/* All tenants begin anew: the promise is another one. */
void drift_reset(struct drift *drift);

#endif
