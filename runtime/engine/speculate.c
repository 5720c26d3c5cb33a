/* See speculate.h. */
#include "engine/speculate.h"
#include "engine/draft.h"
#include "engine/engine.h"
#include "engine/lookup.h"

enum {
    CROWD = 4,        /* With more sessions than this their own rows fill the pass. */
    MISSES_TO_REST = 4,
    REST_STEPS = 16,
};

/* How many guesses this session may make now. */
static int allowance(const struct engine *engine, const struct session *session, int n_sessions)
{
    const struct guesses *guesses = &session->guesses;
    int most = GUESSES_MOST / n_sessions, left = session->max_tokens - session->n_generated - 1;
    int room = engine->n_context - (int)session->n_ids - 1; /* The token that fills the context is the last of a pass. */
    if (guesses->at_most > 0 && most > guesses->at_most)
        most = guesses->at_most;
    if (engine->rope_border > 0 && !session->kind.is_beyond && room > engine->rope_border - (int)session->n_ids)
        room = engine->rope_border - (int)session->n_ids; /* Crossing it changes the angles of all positions. */
    most = most < left ? most : left;
    most = most < room ? most : room;
    return most > 0 ? most : 0;
}

void speculate(struct engine *engine, struct session *const *sessions, int n)
{
    int most[CROWD];
    for (int i = 0; i < n; i++)
        sessions[i]->guesses.n = 0;
    if (engine->options.speculation == SPECULATE_OFF || n == 0 || n > CROWD)
        return;
    for (int i = 0; i < n; i++) {
        struct guesses *guesses = &sessions[i]->guesses;
        most[i] = guesses->rest > 0 ? 0 : allowance(engine, sessions[i], n);
        guesses->rest -= guesses->rest > 0;
        if (most[i] > 0 && engine->options.speculation == SPECULATE_LOOKUP)
            guesses->n = lookup_guess(sessions[i]->ids, sessions[i]->n_ids, most[i], guesses->ids);
    }
    if (engine->draft != NULL)
        draft_guess(engine->draft, sessions, n, most);
}

void speculate_learn(struct session *session, int n_right)
{
    struct guesses *guesses = &session->guesses;
    if (guesses->n_drafted > session->n_ids + (size_t)n_right)
        guesses->n_drafted = session->n_ids + (size_t)n_right;
    if (guesses->n == 0)
        return;
    guesses->at_most = n_right == guesses->n ? GUESSES_MOST : n_right + 1;
    guesses->n_misses = n_right == 0 ? guesses->n_misses + 1 : 0;
    if (guesses->n_misses >= MISSES_TO_REST) {
        guesses->rest = REST_STEPS;
        guesses->n_misses = 0;
    }
    guesses->n = 0;
}

void guesses_release(struct guesses *guesses)
{
    kv_free(guesses->kv);
    *guesses = (struct guesses){0};
}
