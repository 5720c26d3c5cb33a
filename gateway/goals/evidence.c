/* Bets on a tenant's labels. Invariant: a verdict depends on the labels, their order, max_regret, base and the threshold in use alone. */
#include "goals/evidence.h"

#include <math.h>

/* The grid: gains from GRID_FIRST_PPM in steps of GRID_STEP_PPM. */
enum { N_GRID = 51, N_STARTS = 5, N_STAKES = 6, GRID_FIRST_PPM = -100000, GRID_STEP_PPM = 20000, PPM = 1000000 };
static const int starts[N_STARTS - 1] = {5, 8, 11, 17}; /* On the grid: 0, 0.06, 0.12, 0.24. The last start is the threshold without labels. */
/* Shares of what can be lost at most. */
static const double stakes[N_STAKES] = {0.05, 0.15, 0.3, 0.5, 0.7, 0.9};

static double grid(int i)
{
    return (double)(GRID_FIRST_PPM + GRID_STEP_PPM * i) / PPM;
}

/* ------------------------------------------------------------------ labels */

static float clamp(float value, float low, float high)
{
    return !(value > low) ? low : value < high ? value : high;
}

int evidence_add(struct evidence *evidence, const struct evidence_label *label)
{
    struct evidence_label kept = {label->id, label->reach < EVIDENCE_ALL ? label->reach : EVIDENCE_ALL, clamp(label->gain, -2, 2), clamp(label->loss, 0, 1),
                                  clamp(label->weight, 0, 1), 0};
    kept.slack = clamp(label->slack, 0, kept.loss);
    for (int i = 0; i < evidence->n; i++)
        if (evidence->labels[i].id == label->id) {
            evidence->labels[i] = kept;
            return 0;
        }
    if (evidence->n == EVIDENCE_LABELS) {
        evidence->n = EVIDENCE_LABELS / 2;
        memmove(evidence->labels, evidence->labels + EVIDENCE_LABELS / 2, (size_t)evidence->n * sizeof *evidence->labels);
        evidence->n_tests++;
    }
    if (evidence->n == evidence->capacity) {
        int capacity = evidence->capacity > 0 ? 2 * evidence->capacity : 32;
        struct evidence_label *more = realloc(evidence->labels, (size_t)capacity * sizeof *more);
        if (more == NULL)
            return WEIR_E_MEMORY;
        evidence->labels = more;
        evidence->capacity = capacity;
    }
    evidence->labels[evidence->n++] = kept;
    return 0;
}

void evidence_remove(struct evidence *evidence, uint64_t id)
{
    int n = 0;
    for (int i = 0; i < evidence->n; i++)
        if (evidence->labels[i].id != id)
            evidence->labels[n++] = evidence->labels[i];
    evidence->n = n;
}

void evidence_forget(struct evidence *evidence)
{
    evidence->n = 0;
    evidence->n_tests++;
}

void evidence_release(struct evidence *evidence)
{
    free(evidence->labels);
    *evidence = (struct evidence){NULL};
}

static bool speaks(const struct evidence_label *label, double threshold)
{
    return (double)label->gain <= threshold && label->reach >= threshold;
}

/* ------------------------------------------------------------------ bets */

/* What one label does to the wealth of those who bet for, or against, as a logarithm. */
enum side { FOR, AGAINST, N_SIDES };
struct factors {
    double of[N_STAKES];
};

struct bets {
    const struct evidence *evidence;
    int first;               /* Labels before it are left out. */
    double max_regret;
    struct factors plain[N_SIDES][2]; /* Of a loss of 0 and of 1 at full weight, as nearly all are. */
    double on_grid[N_GRID];  /* What those who bet for have made; NAN: not yet worked out. */
};

static struct factors factors_of(double max_regret, enum side side, double loss, double weight)
{
    struct factors out;
    for (int k = 0; k < N_STAKES; k++)
        out.of[k] = log1p(stakes[k] * weight * (side == FOR ? (max_regret - loss) / (1 - max_regret) : (loss - max_regret) / max_regret));
    return out;
}

static void bets_init(struct bets *bets, const struct evidence *evidence, double max_regret)
{
    *bets = (struct bets){.evidence = evidence, .max_regret = max_regret};
    for (int side = 0; side < N_SIDES; side++)
        for (int loss = 0; loss < 2; loss++)
            bets->plain[side][loss] = factors_of(max_regret, (enum side)side, loss, 1);
    for (int i = 0; i < N_GRID; i++)
        bets->on_grid[i] = NAN;
}

static void bet(const struct bets *bets, enum side side, const struct evidence_label *label, double wealth[N_STAKES])
{
    float loss = side == FOR ? label->loss : label->loss - label->slack;
    const struct factors *factors = &bets->plain[side][loss > 0.5F];
    struct factors own;
    if (label->weight != 1 || (loss != 0 && loss != 1)) {
        own = factors_of(bets->max_regret, side, (double)loss, (double)label->weight);
        factors = &own;
    }
    for (int k = 0; k < N_STAKES; k++)
        wealth[k] += factors->of[k];
}

/* The same bets on labels from `first`. */
static void bets_begin(struct bets *bets, int first)
{
    bets->first = first;
    for (int i = 0; i < N_GRID; i++)
        bets->on_grid[i] = NAN;
}

static double add_logs(double a, double b)
{
    double most = fmax(a, b);
    return isinf(most) ? most : most + log(exp(a - most) + exp(b - most));
}

static double add_stakes(const double wealth[N_STAKES])
{
    double all = wealth[0];
    for (int k = 1; k < N_STAKES; k++)
        all = add_logs(all, wealth[k]);
    return all - log(N_STAKES);
}

/* log of what the gamblers who bet for a threshold have together. */
static double wealth_for(const struct bets *bets, double threshold)
{
    double wealth[N_STAKES] = {0};
    for (int i = bets->first; i < bets->evidence->n; i++)
        if (speaks(&bets->evidence->labels[i], threshold))
            bet(bets, FOR, &bets->evidence->labels[i], wealth);
    return add_stakes(wealth);
}

static double wealth_for_grid(struct bets *bets, int i)
{
    if (isnan(bets->on_grid[i]))
        bets->on_grid[i] = wealth_for(bets, grid(i));
    return bets->on_grid[i];
}

/* The same of those who bet against it. *best: where the gambler who has most began, as an index of labels; may be NULL. */
static double wealth_against(const struct bets *bets, double threshold, int *best)
{
    const struct evidence *evidence = bets->evidence;
    double most = -INFINITY, wealth[N_STAKES] = {0};
    int n = 0;
    for (int i = bets->first; i < evidence->n; i++)
        n += speaks(&evidence->labels[i], threshold);
    int block = (n + EVIDENCE_BLOCK - 1) / EVIDENCE_BLOCK;
    double all = -log((double)block + 1); /* Of those who have not begun. */
    /* From the last label to the first: what has been passed is what a gambler who begins here makes. */
    for (int i = evidence->n; i-- > bets->first;) {
        const struct evidence_label *label = &evidence->labels[i];
        if (!speaks(label, threshold))
            continue;
        bet(bets, AGAINST, label, wealth);
        if (--n % EVIDENCE_BLOCK != 0)
            continue;
        block--;
        double here = add_stakes(wealth) - log((double)(block + 1) * (block + 2));
        all = add_logs(all, here);
        if (here > most && best != NULL)
            *best = i;
        most = fmax(most, here);
    }
    return all;
}

/* ------------------------------------------------------------------ verdicts */

/* log of 1 / the error of this test, one of `parts`. */
static double log_needed(const struct evidence *evidence, int parts)
{
    double k = evidence->n_tests;
    return log((k + 1) * (k + 2) * parts / EVIDENCE_ALPHA);
}

/* The loosest threshold of a sequence from grid point i on of which all are supported, at least `reached`. */
static double climb(struct bets *bets, int i, double needed, double reached, double *log_wealth)
{
    for (; i < N_GRID && wealth_for_grid(bets, i) >= needed; i++)
        if (grid(i) > reached) {
            reached = grid(i);
            *log_wealth = bets->on_grid[i];
        }
    return reached;
}

/* The loosest threshold that is supported; EVIDENCE_NOTHING: none. */
static double supported(struct bets *bets, double base, double *log_wealth)
{
    double needed = log_needed(bets->evidence, N_STARTS), loosest = EVIDENCE_NOTHING, wealth = wealth_for(bets, base);
    for (int s = 0; s < N_STARTS - 1; s++)
        loosest = climb(bets, starts[s], needed, loosest, log_wealth);
    if (wealth < needed)
        return loosest;
    if (base > loosest) {
        loosest = base;
        *log_wealth = wealth;
    }
    int next = 0;
    while (next < N_GRID && grid(next) <= base)
        next++;
    return climb(bets, next, needed, loosest, log_wealth);
}

static void describe(const struct bets *bets, enum side side, double threshold, double log_wealth, struct evidence_verdict *out)
{
    const struct evidence *evidence = bets->evidence;
    double weights = 0, losses = 0;
    for (int i = 0; i < evidence->n; i++) {
        const struct evidence_label *label = &evidence->labels[i];
        if (!speaks(label, threshold))
            continue;
        out->n++;
        weights += (double)label->weight;
        losses += (double)label->weight * (double)(side == FOR ? label->loss : label->loss - label->slack);
    }
    out->regret = weights > 0 ? losses / weights : 0;
    out->wealth = exp(fmin(log_wealth, 700));
}

/* Where to fall from a refuted threshold, by the labels since the shift. */
static double lower(struct bets *bets, double base, double in_use)
{
    double unused = 0, kept = supported(bets, base, &unused);
    for (int i = N_GRID - 1; i >= 0; i--)
        if (grid(i) < in_use && (grid(i) <= kept || wealth_against(bets, grid(i), NULL) <= 0))
            return grid(i);
    return EVIDENCE_NOTHING;
}

void evidence_judge(const struct evidence *evidence, double max_regret, double base, double in_use, struct evidence_verdict *out)
{
    struct bets bets;
    int since = 0;
    *out = (struct evidence_verdict){.threshold = in_use};
    if (evidence->n < EVIDENCE_LEAST || !(max_regret > 0 && max_regret < 1))
        return;
    bets_init(&bets, evidence, max_regret);
    double log_wealth = 0, loosest = supported(&bets, base, &log_wealth);
    if (loosest > in_use) {
        out->move = EVIDENCE_UP;
        out->threshold = loosest;
        describe(&bets, FOR, loosest, log_wealth, out);
    } else {
        log_wealth = wealth_against(&bets, in_use, &since);
        describe(&bets, AGAINST, in_use, log_wealth, out);
        if (log_wealth >= log_needed(evidence, 1)) {
            out->move = EVIDENCE_DOWN;
            bets_begin(&bets, since);
            out->threshold = lower(&bets, base, in_use);
        }
    }
}
