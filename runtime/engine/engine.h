/* Engine: inside view, shared by the files of this folder. */
#ifndef WEIR_ENGINE_ENGINE_H
#define WEIR_ENGINE_ENGINE_H

#include "decoder/decoder.h"
#include "engine/prefix_cache.h"
#include "engine/price.h"
#include "engine/session.h"

enum { ENGINE_MOST_SESSIONS = 257 }; /* One of them in the background. */

struct engine {
    struct model *model;
    struct decoder *decoder;
    const struct tokenizer *tokenizer;
    int n_vocab;
    int n_context;
    int rope_border;           /* Of the decoder: 0, or the length beyond which all positions turn otherwise. */
    struct engine_options options;
    struct kv_store *store;
    struct draft *draft;       /* NULL: none. */
    pthread_t thread;
    pthread_mutex_t list_lock;     /* Of what follows; never held with lock. */
    struct token_list *token_list; /* Made for the first session with a grammar. */

    /* Under lock. */
    pthread_mutex_t lock;
    pthread_cond_t wake;       /* Something to do for the engine's thread. */
    struct session *submitted; /* In order of arrival. */
    struct session **submitted_end;
    int n_submitted;           /* Without a background one. */
    bool stopping;
    bool has_background;       /* One is submitted, waits or runs. */
    bool held;
    int64_t next_number;
    struct engine_stats stats;

    /* The engine's thread. */
    struct session *running[ENGINE_MOST_SESSIONS];
    int n_running;
    int n_front;             /* Of them those that are not background. */
    struct session *waiting; /* Taken over from submitted, or put back for lack of memory. */
    struct prefix_cache cache;
    struct step *step;
    struct price price;      /* Of rows in steps where everyone decodes. */
    _Atomic bool interrupt; /* A session in a long step was cancelled. */
    _Atomic bool behind;    /* The step under way is the background session's: a submission interrupts it. */
    bool memory_is_short;   /* A session was put back: admit none until one ends. */
};

/* One step over the running sessions: choose rows, compute them, pick tokens. Returns the number of rows computed (0:
 * nothing could run), or a negative status that no session survives. */
int engine_step(struct engine *engine, struct error *err) WEIR_CHECKED;
struct step *step_new(const struct engine *engine);
void step_free(struct step *step);

/* Gives the session its beginning from a sequence that has it, if any. False: better wait, a running session is computing it. */
bool engine_share_prefix(struct engine *engine, struct session *session);

/* Ends a session with what its answer still holds. err: FINISH_ERROR only. Takes the lock. */
void engine_end_session(struct engine *engine, struct session *session, enum finish_reason reason, const struct error *err);

#endif
