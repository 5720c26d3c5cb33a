/* Generations: the answers of `weir generate` on their way. So many sessions as are allowed run side by side; whose answer is next to
 * be printed has no say in it, so that a long one keeps nobody waiting but those behind it in the output. Finished ones lie until
 * they are fetched, in a fixed number of places. One thread owns it; the engine's only wakes it. */
#ifndef WEIR_CLI_GENERATION_H
#define WEIR_CLI_GENERATION_H

#include "cli/train_line.h"

#include <stdatomic.h>

struct generation {
    /* Given. */
    struct ids prompt;
    struct sampling sampling;         /* Its texts outlive the generation. */
    str stops[SAMPLING_MAX_STOPS];    /* Where sampling.stops may point. */
    struct grammar *grammar;          /* Own, or NULL. */
    /* On its way. */
    enum { GENERATION_NONE, GENERATION_WAITS, GENERATION_ANSWERS, GENERATION_PROBES, GENERATION_CHECKS, GENERATION_DONE } state;
    struct session *session;
    struct generation *next;          /* Of those that wait. */
    /* Made. */
    int status;
    struct error err;
    struct ids ids;
    struct buffer text, logprobs;     /* logprobs: numbers with commas between. */
    struct confidence confidence;
    enum finish_reason reason;
    struct usage usage;
    float probe, self_check;          /* NAN: it was not asked, or not a word came. */
};

struct generations {
    struct engine *engine;
    const struct model *model;
    bool probes, self_checks;         /* Each answer is followed by the question whether it could be given, whether it is right. */
    int most_running, n_running;
    struct generation *places;
    int n_places;
    struct generation *waiting, **waiting_end;
    int wake_fd;                      /* Readable when generations_advance has something to do. */
    _Atomic bool woken;
};

/* n_places generations, of which most_running run at a time. WEIR_E_MEMORY, WEIR_E_IO. */
int generations_init(struct generations *all, struct engine *engine, const struct model *model, int n_places, int most_running, struct error *err) WEIR_CHECKED;
void generations_release(struct generations *all); /* Before the engine stops. */
/* A place to fill what is given; generation_clear gives it back. */
struct generation *generations_place(struct generations *all, int index);
/* It waits for its turn from now on. */
void generations_add(struct generations *all, struct generation *one);
/* Takes what has come, and starts those that have their turn. Doesn't wait. */
void generations_advance(struct generations *all);
/* Of any state; one that runs is cancelled. */
void generation_clear(struct generations *all, struct generation *one);

#endif
