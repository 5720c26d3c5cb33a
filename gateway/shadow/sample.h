/* Which local answers are put beside the remote's: a keyed coin for each decision, and the shape a question must have.
 *
 * The coin is HMAC-SHA256 of the decision's id, which Weir makes itself, under a key that no caller knows: a caller can neither choose
 * nor tell whether it is sampled, and whoever holds the key can throw the same coin again. Pure functions; any thread. */
#ifndef WEIR_SHADOW_SAMPLE_H
#define WEIR_SHADOW_SAMPLE_H

#include "api/api_request.h"

enum {
    SHADOW_PPM = 1000000,            /* Sampling probabilities are integers of a millionth. */
    SHADOW_MAX_MESSAGES = 16,        /* Of a conversation that a judge reads. */
    SHADOW_CONVERSATION_BYTES = 16384,
    SHADOW_ANSWER_BYTES = 16384,     /* Of each of the two answers. */
    SHADOW_FENCE_BYTES = 17,
};

/* True for share_ppm in a million of all ids, exactly: of 2^64 coins floor(share × 2^64) or one more fall so. */
bool shadow_sampled(const uint8_t key[SHA256_BYTES], const char *decision_id, int64_t share_ppm);
/* Is the local answer the first call's answer A? A coin of its own. */
bool shadow_local_first(const uint8_t key[SHA256_BYTES], const char *decision_id);
/* Sixteen letters that no answer can have known: they stand round the texts that a judge reads. */
void shadow_fence(const uint8_t key[SHA256_BYTES], const char *decision_id, char out[SHADOW_FENCE_BYTES]);

/* Can a judge be asked about answers to this? A chat of system, user and assistant texts that ends with the user, within the limits
 * above, one choice, no tools, no form that the answer must have, no log-probabilities. *n_bytes: its texts'. */
bool shadow_fits(const struct api_request *api, size_t *n_bytes);

#endif
