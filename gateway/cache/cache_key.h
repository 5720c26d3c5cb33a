/* What makes two questions the same: the keys under which answers are kept, and which questions have one at all.
 *
 * key = HMAC-SHA-256 under the process's random secret of (tenant or none, pack's hash, configuration's hash, knowledge's state,
 * endpoint, the body as canonical JSON). The canonical body has its members sorted and leaves out what changes nothing of the
 * answer: stream, stream_options, user, metadata, safety_identifier, prompt_cache_key, prompt_cache_retention, n: 1 and nulls.
 * meaning = the same with the last message's text replaced by its phrase (phrase.h): history, system prompt, model and sampling
 * fields must be equal for it. Keys say nothing to anyone without the secret, which dies with the process.
 *
 * Eligible is a chat completion of text alone: one choice; temperature 0 or left to the server (a temperature above 0, or a top_p
 * without temperature 0, asks for variety); no tools, log-probabilities, stored completions or fields Weir does not know; nothing
 * found by the policy scan, and all of it scanned. */
#ifndef WEIR_CACHE_CACHE_KEY_H
#define WEIR_CACHE_CACHE_KEY_H

#include "api/api_request.h"
#include "weir_policies.h"

enum { CACHE_KEY_BYTES = SHA256_BYTES };

struct cache_scope {
    const uint8_t *secret;    /* CACHE_KEY_BYTES */
    str tenant;               /* NULL data: none. */
    const char *pack_sha256, *config_sha256, *endpoint;
    const char *knowledge;    /* What the documents answered from are; NULL: none. */
};

struct cache_question {
    uint8_t key[CACHE_KEY_BYTES];
    bool has_meaning;         /* The last message is a human's plain text, which has a phrase. */
    uint8_t meaning[CACHE_KEY_BYTES];
    str text;                 /* Of that message: what an embedding must be of. Borrowed from the body. */
    const float *embedding;   /* The caller's to set; NULL: none. */
    int n_embd;
};

bool cache_key_eligible(const struct api_request *request, const struct verdict *verdict);
/* Fills key, and has_meaning, meaning and text where the question has one. WEIR_E_LIMIT or WEIR_E_MEMORY: it has no key. */
int cache_key_make(const struct cache_scope *scope, const struct api_request *request, struct cache_question *out) WEIR_CHECKED;

#endif
