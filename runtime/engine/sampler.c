/* See sampler.h. Runs on the engine's thread; no allocation in a pick. */
#include "engine/sampler.h"
#include "kernels/ops.h"

#include <math.h>

struct candidate {
    float logit;
    int32_t id;
};

struct token_count {
    int32_t id; /* -1: free. */
    int32_t n;
};

/* SplitMix64 (Steele et al. 2014) of seed and draw number: counter-based, so a draw depends on nothing but its place. */
static double uniform_draw(uint64_t seed, uint64_t number)
{
    uint64_t z = seed + (number + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static int check_range(const char *name, double value, double low, double high, struct error *err)
{
    if (value >= low && value <= high)
        return 0;
    return error_set(err, WEIR_E_INVALID, name, "%g is outside %g…%g", value, low, high);
}

static int check_settings(const struct sampling *s, int n_vocab, struct error *err)
{
    if (check_range("temperature", s->temperature, 0, 1e6, err) < 0 || check_range("top_p", s->top_p, 0, 1, err) < 0 ||
        check_range("min_p", s->min_p, 0, 1, err) < 0 || check_range("top_k", s->top_k, 0, 1e9, err) < 0 ||
        check_range("repetition_penalty", s->repetition_penalty, 0, 100, err) < 0 ||
        check_range("presence_penalty", s->presence_penalty, -100, 100, err) < 0 ||
        check_range("frequency_penalty", s->frequency_penalty, -100, 100, err) < 0 ||
        check_range("top_logprobs", s->n_top_logprobs, 0, SAMPLING_MAX_TOP_LOGPROBS, err) < 0 ||
        check_range("confidence", s->n_confidence, 0, 1e9, err) < 0)
        return WEIR_E_INVALID;
    if (s->n_bias > SAMPLING_MAX_BIAS)
        return error_set(err, WEIR_E_INVALID, "logit_bias", "more than %d entries", SAMPLING_MAX_BIAS);
    if (s->n_labels != 0 && (s->n_labels < 0 || s->n_labels > SAMPLING_MAX_LABELS || s->n_top_logprobs != s->n_labels))
        return error_set(err, WEIR_E_INVALID, "labels", "1 to %d, and as many top_logprobs", SAMPLING_MAX_LABELS);
    for (int i = 0; i < s->n_labels; i++)
        if (s->labels[i] < 0 || s->labels[i] >= n_vocab)
            return error_set(err, WEIR_E_INVALID, "labels", "token id %d is not in the vocabulary of %d", s->labels[i], n_vocab);
    for (size_t i = 0; i < s->n_bias; i++)
        if (s->bias[i].id < 0 || s->bias[i].id >= n_vocab || !isfinite(s->bias[i].bias))
            return error_set(err, WEIR_E_INVALID, "logit_bias", "token id %d is not in the vocabulary of %d", s->bias[i].id, n_vocab);
    return 0;
}

int sampler_init(struct sampler *sampler, const struct sampling *settings, int n_vocab, struct error *err)
{
    *sampler = (struct sampler){.settings = *settings, .n_vocab = n_vocab, .seed = settings->seed};
    int status = check_settings(settings, n_vocab, err);
    if (status < 0)
        return status;
    if (!settings->seeded && settings->temperature > 0 && random_bytes(&sampler->seed, sizeof sampler->seed) < 0)
        return error_set(err, WEIR_E_IO, "seed", "the operating system gave no random bytes");
    sampler->counts_capacity = 64;
    sampler->logits = malloc((size_t)n_vocab * sizeof *sampler->logits);
    sampler->recent = malloc(SAMPLER_WINDOW * sizeof *sampler->recent);
    sampler->counts = malloc(sampler->counts_capacity * sizeof *sampler->counts);
    sampler->bias = malloc((settings->n_bias + 1) * sizeof *sampler->bias);
    if (settings->temperature > 0)
        sampler->candidates = malloc((size_t)n_vocab * sizeof *sampler->candidates);
    if (sampler->logits == NULL || sampler->recent == NULL || sampler->counts == NULL || sampler->bias == NULL ||
        (settings->temperature > 0 && sampler->candidates == NULL)) {
        sampler_release(sampler);
        return error_set(err, WEIR_E_MEMORY, "sampling", "out of memory");
    }
    for (size_t i = 0; i < sampler->counts_capacity; i++)
        sampler->counts[i].id = -1;
    if (settings->n_bias > 0)
        memcpy(sampler->bias, settings->bias, settings->n_bias * sizeof *sampler->bias);
    sampler->settings.bias = sampler->bias;
    sampler->settings.stops = NULL;
    sampler->settings.n_stops = 0;
    return 0;
}

int sampler_constrain(struct sampler *sampler, const struct sampling *settings, const struct token_list *list,
                      const struct tokenizer *tokenizer, struct error *err)
{
    int status = constraint_init(&sampler->constraint, settings->grammar, list, err);
    sampler->is_constrained = status == 0;
    sampler->tokenizer = tokenizer;
    return status == 0 && settings->begun.n > 0 ? constraint_begin(&sampler->constraint, settings->begun, err) : status;
}

bool sampler_must_end(const struct sampler *sampler)
{
    return sampler->is_constrained && constraint_must_end(&sampler->constraint);
}

void sampler_release(struct sampler *sampler)
{
    constraint_release(&sampler->constraint);
    free(sampler->logits);
    free(sampler->recent);
    free(sampler->counts);
    free(sampler->bias);
    free(sampler->candidates);
    *sampler = (struct sampler){0};
}

/* The slot of id, or the free one where it belongs. */
static struct token_count *count_slot(struct token_count *counts, size_t capacity, int32_t id)
{
    size_t at = (uint32_t)id * 2654435761u & (capacity - 1);
    while (counts[at].id >= 0 && counts[at].id != id)
        at = (at + 1) & (capacity - 1);
    return &counts[at];
}

static int counts_grow(struct sampler *sampler)
{
    size_t capacity = sampler->counts_capacity * 2;
    struct token_count *counts = malloc(capacity * sizeof *counts);
    if (counts == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < capacity; i++)
        counts[i].id = -1;
    for (size_t i = 0; i < sampler->counts_capacity; i++)
        if (sampler->counts[i].id >= 0)
            *count_slot(counts, capacity, sampler->counts[i].id) = sampler->counts[i];
    free(sampler->counts);
    sampler->counts = counts;
    sampler->counts_capacity = capacity;
    return 0;
}

int sampler_accept(struct sampler *sampler, int32_t id, bool generated)
{
    sampler->recent[sampler->n_seen++ % SAMPLER_WINDOW] = id;
    if (!generated)
        return 0;
    sampler->n_generated++;
    if (sampler->is_constrained)
        constraint_accept(&sampler->constraint, id);
    if (sampler->n_counts * 2 >= sampler->counts_capacity && counts_grow(sampler) < 0)
        return WEIR_E_MEMORY;
    struct token_count *slot = count_slot(sampler->counts, sampler->counts_capacity, id);
    if (slot->id < 0) {
        *slot = (struct token_count){id, 0};
        sampler->n_counts++;
    }
    slot->n++;
    return 0;
}

static void apply_bias_and_penalties(const struct sampler *sampler, float *logits)
{
    const struct sampling *s = &sampler->settings;
    for (size_t i = 0; i < s->n_bias; i++)
        logits[s->bias[i].id] += s->bias[i].bias;
    if (s->repetition_penalty > 0 && s->repetition_penalty != 1) {
        size_t n = sampler->n_seen < SAMPLER_WINDOW ? sampler->n_seen : SAMPLER_WINDOW;
        for (size_t i = 0; i < n; i++) {
            int32_t id = sampler->recent[i];
            bool repeated = false; /* A token counts once, however often it stands in the window. */
            for (size_t k = 0; k < i && !repeated; k++)
                repeated = sampler->recent[k] == id;
            if (!repeated)
                logits[id] = logits[id] > 0 ? logits[id] / s->repetition_penalty : logits[id] * s->repetition_penalty;
        }
    }
    if (s->presence_penalty != 0 || s->frequency_penalty != 0)
        for (size_t i = 0; i < sampler->counts_capacity; i++)
            if (sampler->counts[i].id >= 0)
                logits[sampler->counts[i].id] -= s->presence_penalty + s->frequency_penalty * (float)sampler->counts[i].n;
}

static int32_t largest(const float *logits, int n)
{
    return (int32_t)largest_at(logits, n);
}

/* log Σ exp(logits). */
static double log_sum_exp(const float *logits, int n)
{
    float top = logits[largest(logits, n)];
    return (double)top + log(sum_exp(logits, top, n));
}

/* Entropy and margin. Tokens e^20 times less likely than the likeliest add nothing that a float holds. */
static void report_confidence(const float *logits, int n, double normaliser, struct token_logprob *chosen)
{
    float top = logits[largest(logits, n)], least = top - 20, second = -INFINITY;
    double entropy = 0;
    bool seen = false; /* The likeliest itself; an equal one is the second. */
    for (int i = 0; i < n; i++) {
        if (!(logits[i] > least))
            continue;
        double below = normaliser - (double)logits[i];
        entropy += exp(-below) * below;
        if (logits[i] == top && !seen)
            seen = true;
        else if (logits[i] > second)
            second = logits[i];
    }
    chosen->entropy = (float)entropy;
    chosen->margin = second > -INFINITY ? top - second : 20;
}

static void report_logprobs(const struct sampler *sampler, const float *logits, int32_t id, struct token_logprob *chosen, struct token_logprob *top)
{
    const struct sampling *s = &sampler->settings;
    int n = sampler->n_vocab;
    double normaliser = log_sum_exp(logits, n);
    *chosen = (struct token_logprob){.id = id, .logprob = (float)((double)logits[id] - normaliser)};
    if (sampler->n_generated < s->n_confidence)
        report_confidence(logits, n, normaliser, chosen);
    for (int i = 0; i < s->n_labels; i++)
        top[i] = (struct token_logprob){.id = s->labels[i], .logprob = (float)((double)logits[s->labels[i]] - normaliser)};
    if (s->n_labels > 0)
        return;
    int held = 0, n_top = s->n_top_logprobs; /* Insertion into a short sorted list: n_top is at most 20. */
    for (int32_t i = 0; i < n && n_top > 0; i++) {
        if (held == n_top && logits[i] <= logits[top[held - 1].id])
            continue;
        int at = held < n_top ? held++ : held - 1;
        while (at > 0 && logits[top[at - 1].id] < logits[i]) {
            top[at] = top[at - 1];
            at--;
        }
        top[at].id = i;
    }
    for (int i = 0; i < held; i++)
        top[i].logprob = (float)((double)logits[top[i].id] - normaliser);
}

/* Larger logit first, lower id among equals: one order, so that a draw is reproducible. */
static bool candidate_before(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static int candidate_compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return candidate_before(*x, *y) ? -1 : 1;
}

/* Puts the k first candidates of the order in front (Hoare's selection, middle pivot). */
static void select_first(struct candidate *c, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        struct candidate pivot = c[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (candidate_before(c[i], pivot))
                i++;
            while (candidate_before(pivot, c[j]))
                j--;
            if (i <= j) {
                struct candidate swap = c[i];
                c[i++] = c[j];
                c[j--] = swap;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

/* How many of the n candidates, sorted in front as far as needed, remain after top-p and min-p. total is Σ exp over all n. */
static int truncate(struct candidate *c, int n, float top, double total, float top_p, float min_p)
{
    bool nucleus = top_p > 0 && top_p < 1;
    if (!nucleus && min_p <= 0)
        return n;
    double floor_logit = min_p > 0 ? (double)top + log((double)min_p) : -INFINITY;
    double mass = 0;
    for (int sorted = 0, reach = 256; sorted < n; reach *= 8) {
        int end = reach < n ? reach : n;
        select_first(c + sorted, n - sorted, end - sorted);
        qsort(c + sorted, (size_t)(end - sorted), sizeof *c, candidate_compare);
        for (int i = sorted; i < end; i++) {
            if (i > 0 && (double)c[i].logit < floor_logit)
                return i;
            mass += exp((double)(c[i].logit - top));
            if (nucleus && mass >= (double)top_p * total)
                return i + 1;
        }
        sorted = end;
    }
    return n;
}

static int32_t draw(struct sampler *sampler)
{
    const struct sampling *s = &sampler->settings;
    struct candidate *c = sampler->candidates;
    int n = sampler->n_vocab;
    if (sampler->is_constrained) { /* What is forbidden is no candidate. */
        n = 0;
        for (int32_t i = 0; i < sampler->n_vocab; i++)
            if (sampler->logits[i] > -INFINITY)
                c[n++] = (struct candidate){sampler->logits[i] / s->temperature, i};
    } else {
        for (int32_t i = 0; i < n; i++)
            c[i] = (struct candidate){sampler->logits[i] / s->temperature, i};
    }
    if (n == 0)
        return -1;
    if (s->top_k > 0 && s->top_k < n) {
        select_first(c, n, s->top_k);
        n = s->top_k;
        qsort(c, (size_t)n, sizeof *c, candidate_compare); /* So that the walk below does not depend on the selection. */
    }
    float top = -INFINITY;
    for (int i = 0; i < n; i++)
        top = c[i].logit > top ? c[i].logit : top;
    double total = 0;
    for (int i = 0; i < n; i++)
        total += exp((double)(c[i].logit - top));
    int kept = truncate(c, n, top, total, s->top_p, s->min_p);
    if (kept < n) {
        n = kept;
        total = 0;
        for (int i = 0; i < n; i++)
            total += exp((double)(c[i].logit - top));
    }
    double target = uniform_draw(sampler->seed, sampler->n_draws++) * total, mass = 0;
    for (int i = 0; i < n; i++) {
        mass += exp((double)(c[i].logit - top));
        if (mass > target)
            return c[i].id;
    }
    return c[n - 1].id;
}

/* Does the grammar let the token through, an end token where the answer is whole? */
static bool is_allowed(struct sampler *sampler, int32_t id)
{
    return constraint_allows(&sampler->constraint, id) ||
           (constraint_may_end(&sampler->constraint) && tokenizer_is_end(sampler->tokenizer, id));
}

/* Puts what the grammar forbids out of reach. False: that is everything. */
static bool forbid(struct sampler *sampler)
{
    bool any = false, may_end = constraint_may_end(&sampler->constraint);
    const uint32_t *mask = constraint_mask(&sampler->constraint);
    for (int32_t i = 0; i < sampler->n_vocab && mask != NULL; i++) {
        bool allowed = (mask[i / 32] >> i % 32 & 1) != 0 || (may_end && tokenizer_is_end(sampler->tokenizer, i));
        any |= allowed;
        if (!allowed)
            sampler->logits[i] = -INFINITY;
    }
    return any;
}

int32_t sampler_pick(struct sampler *sampler, const float *logits, struct token_logprob *chosen, struct token_logprob *top)
{
    const struct sampling *s = &sampler->settings;
    int32_t id = -1;
    bool plain = s->temperature <= 0 && s->n_bias == 0 && (s->repetition_penalty == 0 || s->repetition_penalty == 1) &&
                 s->presence_penalty == 0 && s->frequency_penalty == 0;
    if (plain) {
        id = largest(logits, sampler->n_vocab);
    }
    if (!plain || (sampler->is_constrained && !is_allowed(sampler, id))) {
        memcpy(sampler->logits, logits, (size_t)sampler->n_vocab * sizeof *logits);
        if (sampler->is_constrained && !forbid(sampler))
            return -1;
        apply_bias_and_penalties(sampler, sampler->logits);
        id = s->temperature > 0 ? draw(sampler) : largest(sampler->logits, sampler->n_vocab);
    }
    if (s->logprobs && id >= 0)
        report_logprobs(sampler, logits, id, chosen, top);
    return id;
}
