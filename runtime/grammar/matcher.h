/* Matcher: follows a text through a grammar, byte by byte, as far as possible in one table look-up a byte.
 *
 * A state is the set of all places where the text so far may stand: pairs of a place in the code and a stack of calls. Stacks
 * are linked frames held once each, so equal stacks are equal numbers (a graph-structured stack, Tomita 1986); states are held
 * once too, and what each byte makes of one is remembered (lazy determinisation, as in RE2). When memory is used up, all but
 * one state is forgotten and found again. One thread at a time. */
#ifndef WEIR_GRAMMAR_MATCHER_H
#define WEIR_GRAMMAR_MATCHER_H

#include "grammar/program.h"

enum { MATCHER_DEAD = -1 };

struct matcher {
    const struct grammar *grammar; /* Borrowed. */
    struct matcher_frame {
        int32_t back;   /* Place in the code to return to. */
        int32_t parent; /* -1: none. */
    } *frames;
    int32_t n_frames, frame_capacity;
    struct matcher_item {
        int32_t at;     /* A byte instruction, or -1: the text may end here. */
        int32_t frame;
    } *items;           /* Of all states. */
    int32_t n_items, item_capacity;
    struct matcher_state {
        int32_t first, n;
        int32_t *to;    /* State after a byte of each class; MATCHER_UNKNOWN. NULL: none asked for yet. */
        uint32_t *mask; /* Of tokens, kept by token_mask.c. */
        bool may_end;
    } *states;
    int32_t n_states, state_capacity;
    int32_t *frame_slots, *state_slots;  /* Hash tables, open addressing, -1: free. */
    int32_t n_frame_slots, n_state_slots;
    struct matcher_item *work, *found;   /* Of one step. */
    uint32_t *seen;                      /* Hash set of (at, frame) of one step: stamps. */
    struct matcher_item *seen_items;
    uint32_t stamp;
    size_t memory_bytes;                 /* Of rows and masks. */
};

/* out starts at the beginning of the text. blank_first: one blank before it is let through (SentencePiece puts it before the
 * first word, and it is taken off again). WEIR_E_MEMORY, WEIR_E_LIMIT. */
int matcher_init(struct matcher *matcher, const struct grammar *grammar, bool blank_first, int32_t *out, struct error *err) WEIR_CHECKED;
void matcher_release(struct matcher *matcher);
/* The state after one more byte into *out: MATCHER_DEAD when no text goes on so. WEIR_E_FULL: memory is used up; call
 * matcher_forget and begin again. WEIR_E_LIMIT: the grammar is too ambiguous to be followed. */
int matcher_step(struct matcher *matcher, int32_t state, uint8_t byte, int32_t *out) WEIR_CHECKED;
/* Forgets every state but *keep, which gets another number. */
int matcher_forget(struct matcher *matcher, int32_t *keep) WEIR_CHECKED;
static inline bool matcher_may_end(const struct matcher *matcher, int32_t state)
{
    return matcher->states[state].may_end;
}
/* Nothing can follow. */
static inline bool matcher_must_end(const struct matcher *matcher, int32_t state)
{
    return matcher->states[state].may_end && matcher->states[state].n == 1;
}

#endif
