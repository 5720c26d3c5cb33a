/* See speculate.h. */
#include "engine/speculate.h"
#include "engine/draft.h"
#include "engine/engine.h"

enum {
    CROWD = 8,       /* With more sessions than this their own rows fill the pass. */
    DRAFT_CROWD = 4, /* Whose guesses cost passes of their own. */
    MISSES_TO_REST = 4,
    REST_STEPS = 16,
};

/* How many guesses this session may make now. */
static int allowance(const struct engine *engine, const struct session *session, int most)
{
    int left = session->max_tokens - session->n_generated - 1;
    int room = engine->n_context - (int)session->n_ids - 1; /* The token that fills the context is the last of a pass. */
    if (engine->rope_border > 0 && !session->kind.is_beyond && room > engine->rope_border - (int)session->n_ids)
        room = engine->rope_border - (int)session->n_ids; /* Crossing it changes the angles of all positions. */
    most = most < left ? most : left;
    most = most < session->room - 1 ? most : session->room - 1;
    most = most < room ? most : room;
    return most > 0 ? most : 0;
}

/* Grants looked-up guesses one by one, the likeliest of all sessions first, while a further row adds more tokens to the step than it does time. */
static void share_out(const struct engine *engine, struct session *const *sessions, int n)
{
    double price = price_of_row(&engine->price), tokens = n, cost = 1 + price * (n - 1), chances[CROWD];
    for (int i = 0; i < n; i++)
        chances[i] = lookup_chance(sessions[i]->guesses.records, sessions[i]->guesses.length, true);
    for (int granted = 0; granted < GUESSES_IN_A_STEP; granted++) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (sessions[i]->guesses.n < sessions[i]->guesses.n_found && (best < 0 || chances[i] > chances[best]))
                best = i;
        if (best < 0 || chances[best] * cost <= price * tokens)
            return;
        struct guesses *guesses = &sessions[best]->guesses;
        guesses->n++;
        tokens += chances[best];
        cost += price;
        chances[best] *= lookup_chance(guesses->records, guesses->length, false);
    }
}

static void look_up(const struct engine *engine, struct session *const *sessions, int n)
{
    if (n > CROWD)
        return;
    for (int i = 0; i < n; i++) {
        struct guesses *guesses = &sessions[i]->guesses;
        int most = allowance(engine, sessions[i], GUESSES_MOST);
        guesses->n_found = lookup_guess(sessions[i]->ids, sessions[i]->n_ids, most, guesses->ids, &guesses->length);
    }
    share_out(engine, sessions, n);
}

static void draft_some(const struct engine *engine, struct session *const *sessions, int n)
{
    int most[DRAFT_CROWD];
    if (n > DRAFT_CROWD)
        return;
    for (int i = 0; i < n; i++) {
        struct guesses *guesses = &sessions[i]->guesses;
        int fair = DRAFT_MOST / n;
        most[i] = guesses->rest > 0 ? 0 : allowance(engine, sessions[i], guesses->at_most > 0 && guesses->at_most < fair ? guesses->at_most : fair);
        guesses->rest -= guesses->rest > 0;
    }
    draft_guess(engine->draft, sessions, n, most);
}

void speculate(struct engine *engine, struct session *const *sessions, int n)
{
    for (int i = 0; i < n; i++)
        sessions[i]->guesses.n = sessions[i]->guesses.n_found = 0;
    if (n > 0 && engine->draft != NULL)
        draft_some(engine, sessions, n);
    else if (n > 0 && engine->options.speculation == SPECULATE_LOOKUP)
        look_up(engine, sessions, n);
}

static void learn_of_draft(struct session *session, int n_right)
{
    struct guesses *guesses = &session->guesses;
    if (guesses->n_drafted > session->n_ids + (size_t)n_right)
        guesses->n_drafted = session->n_ids + (size_t)n_right;
    if (guesses->n == 0)
        return;
    guesses->at_most = n_right == guesses->n ? DRAFT_MOST : n_right + 1;
    guesses->n_misses = n_right == 0 ? guesses->n_misses + 1 : 0;
    if (guesses->n_misses >= MISSES_TO_REST) {
        guesses->rest = REST_STEPS;
        guesses->n_misses = 0;
    }
}

void speculate_learn(struct session *session, int n_right)
{
    struct guesses *guesses = &session->guesses;
    if (guesses->n_found > 0 && guesses->n > 0)
        lookup_learn(guesses->records, guesses->length, guesses->n, n_right);
    else if (guesses->n_found > 0)
        lookup_learn(guesses->records, guesses->length, 1, session->picks[0].id == guesses->ids[0]);
    else
        learn_of_draft(session, n_right);
    guesses->n = guesses->n_found = 0;
}

void guesses_release(struct guesses *guesses)
{
    kv_free(guesses->kv);
    *guesses = (struct guesses){0};
}
