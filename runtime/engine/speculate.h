/* Speculation: how many tokens to guess for which session of a step, and where the guesses come from.
 *
 * A guess costs a row in the next pass and saves a step when it is right. Looked-up guesses are made as long as the next one's chance, by what
 * became of the session's earlier ones, is worth its price, as measured (price.h). A draft model's are as many as its recent ones
 * were worth: a run of misses makes it pause. All of that changes when tokens come, never which: see enum speculation in weir_runtime.h. */
#ifndef WEIR_ENGINE_SPECULATE_H
#define WEIR_ENGINE_SPECULATE_H

#include "engine/lookup.h"
#include "weir_runtime.h"

struct engine;
struct session;
struct kv;

enum { GUESSES_MOST = 12, DRAFT_MOST = 8, GUESSES_IN_A_STEP = 16 };

/* Of a session. */
struct guesses {
    int n;                /* To be checked in this step. */
    int n_found;          /* Looked up: n or more, of which the first is learnt from in any case. */
    int length;           /* Of the match. */
    int32_t ids[GUESSES_MOST];
    struct lookup_record records[LOOKUP_LONGEST + 1];

    /* A draft model's. */
    int at_most;          /* Adapted: one more than were right last time; 0 at the start of a session means all. */
    int rest;             /* Steps without guesses, after misses. */
    int n_misses;         /* In a row. */
    struct kv *kv;        /* For the first n_drafted ids. */
    size_t n_drafted;
};

struct draft; /* A draft model with its cache. */

/* Checks that the draft has the same tokens as the model: WEIR_E_INVALID otherwise. */
int draft_new(struct draft **out, struct model *draft_model, const struct model *model, struct error *err) WEIR_CHECKED;
void draft_free(struct draft *draft); /* Sessions' guesses must have been released. */

/* Fills guesses.n and .ids of the sessions about to decode, GUESSES_IN_A_STEP in all; the engine's thread. */
void speculate(struct engine *engine, struct session *const *sessions, int n);
/* What became of a session's guesses: n_right of them were chosen by the model. Once picks are made, before they join its ids. */
void speculate_learn(struct session *session, int n_right);
/* The ids before the answer's end have changed, or the session ends. */
void guesses_release(struct guesses *guesses);

#endif
