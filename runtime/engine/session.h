/* Session: one generation, seen from the engine's side. What the owner sees is in weir_runtime.h.
 *
 * Fields belong to the engine's thread, except those in `shared`, which stand under the engine's lock, and `cancelled`. */
#ifndef WEIR_ENGINE_SESSION_H
#define WEIR_ENGINE_SESSION_H

#include "engine/answer.h"
#include "engine/prefix_cache.h"
#include "engine/sampler.h"
#include "engine/speculate.h"
#include "kernels/kv.h"

#include <stdatomic.h>

enum { SESSION_MOST_UNREAD = 64 };

/* Text and tokens on their way to the owner: the engine fills one, the owner reads the other, session_next swaps them. */
struct mailbox {
    struct buffer text;
    int32_t *tokens;
    struct token_logprob *chosen;
    struct token_logprob *top; /* n_top a token. */
    int n_tokens, capacity;
};

enum session_state { SESSION_WAITING, SESSION_RUNNING, SESSION_DONE };

struct session {
    struct engine *engine;
    struct session *next;
    enum session_state state;
    int64_t number;            /* Order of arrival. */
    int32_t *ids;              /* Prompt, then answer. */
    size_t n_ids, n_prompt, capacity;
    struct kv *kv;             /* NULL until it runs. Holds the first kv_length ids; what follows is still to be computed. */
    struct prefix_kind kind;   /* What kv is computed with. */
    struct lora *lora;         /* As kind's, to be used. */
    struct guesses guesses;
    int room;                  /* As session_room was when the step was made; only the owner has changed it since, to more. */
    int n_planned;             /* Rows in the step being made. */
    int row_wanted;            /* Its first row among the step's logits, -1: none. One more for each guess. */
    int max_tokens;
    int n_generated;
    int n_cached;
    int n_keep, n_dropped;     /* Of context_shift. */
    bool has_logprobs, ignore_end, shifts;
    bool background;           /* Numbered behind all others, so that it is the first to give way. */
    struct sampler sampler;
    struct answer answer;
    struct pick {
        int32_t id;
        struct token_logprob logprob;
        struct token_logprob top[SAMPLING_MAX_TOP_LOGPROBS];
    } picks[GUESSES_MOST + 1];
    int n_picks;               /* Of the step: those of right guesses, and one more. */
    int pick_status;
    session_notify_fn *notify;
    void *user;
    _Atomic bool cancelled;
    _Atomic bool in_long_step; /* Part of a step that computes prompt rows: a cancel interrupts it. */
    struct {
        struct mailbox inbox;  /* Filled by the engine. */
        bool ended;            /* Nothing more comes. */
        bool end_delivered;
        bool owner_gone;       /* session_free was called. */
        bool engine_done;      /* The engine no longer knows it. */
        enum finish_reason reason;
        struct usage usage;
        struct error error;
    } shared;
    struct mailbox outbox;     /* The owner's. */
    pthread_cond_t changed;    /* With the engine's lock. */
};

int session_new(struct session **out, struct engine *engine, const struct tokenizer *tokenizer, int n_vocab, const int32_t *prompt,
                size_t n_prompt, const struct sampling *sampling, struct error *err) WEIR_CHECKED;
void session_destroy(struct session *session);
/* Moves what the answer has certain into the inbox. Under the engine's lock. WEIR_E_MEMORY. True in *any when something moved. */
int session_publish(struct session *session, bool *any) WEIR_CHECKED;
/* Tells the owner that there is something new. Under the engine's lock. */
void session_notify(struct session *session);
/* Tokens that still go into the inbox; none: the session pauses. Under the engine's lock. */
int session_room(const struct session *session);

#endif
