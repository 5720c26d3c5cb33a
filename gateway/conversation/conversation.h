/* Conversations: how a conversation's turn before was answered, so that a tool loop keeps its route and a change of route is
 * charged with the prompt cache that it throws away.
 *
 * The API has no sessions: a client sends the whole conversation each time. So a turn is noted under the key of the messages it was
 * asked with, and looked for under the key of those that stand before the last assistant message. A key is an HMAC-SHA-256 under
 * a secret of the process over (tenant or none, the messages as canonical JSON): no text is kept, and no tenant finds another's.
 *
 * A table of 4-way sets: in a full set the turn that was not used for longest leaves. Memory only; after a restart nothing is found.
 * Making keys: any thread. The rest: one thread. */
#ifndef WEIR_CONVERSATION_CONVERSATION_H
#define WEIR_CONVERSATION_CONVERSATION_H

#include "weir_base.h"

enum { CONVERSATION_ROUTE_BYTES = 256, CONVERSATION_MOST = 4096 };

struct conversation_keys {
    uint8_t asked[SHA256_BYTES];   /* All messages: this turn is noted under it. */
    bool has_earlier;              /* There is an assistant message with something before it. */
    uint8_t earlier[SHA256_BYTES]; /* What stands before the last of them. */
};
/* secret: SHA256_BYTES. tenant: NULL data for none. WEIR_E_LIMIT: too long, it has no keys. */
int conversation_keys_make(const uint8_t *secret, str tenant, const json_t *messages, struct conversation_keys *out) WEIR_CHECKED;

struct conversation_turn {
    char route[CONVERSATION_ROUTE_BYTES]; /* As outcome.route. */
    int64_t prompt_tokens;                /* That whoever answered read; negative: unknown. */
    int64_t ended_us;                     /* clock_now_us. */
};

struct conversations; /* About 1.2 MB when full, none of it touched before. */
struct conversations *conversations_new(void); /* NULL: out of memory. */
void conversations_free(struct conversations *conversations);
void conversations_note(struct conversations *conversations, const uint8_t key[SHA256_BYTES], const struct conversation_turn *turn);
bool conversations_find(struct conversations *conversations, const uint8_t key[SHA256_BYTES], struct conversation_turn *out);

#endif
