/* Sharing of beginnings: a prompt starts from the longest common prefix that a cached or running sequence has computed, and
 * waits for one that a running session is about to compute, so that a system prompt common to many requests that
 * arrive together is computed once. The engine's thread only. */
#include "engine/engine.h"

static const size_t WORTH_SHARING = KV_PAGE;

bool engine_share_prefix(struct engine *engine, struct session *session)
{
    size_t most = session->n_ids - 1; /* The last one is computed in any case: its logits are wanted. */
    size_t n_best;
    struct kv *best = prefix_cache_find(&engine->cache, session->ids, most, session->kind, &n_best);
    size_t n_coming = 0;
    for (int i = 0; i < engine->n_running; i++) {
        const struct session *other = engine->running[i];
        if (other == session || other->kv == NULL || other->state != SESSION_RUNNING || !prefix_kind_equal(other->kind, session->kind))
            continue;
        size_t common = prefix_common(other->ids, other->n_ids, session->ids, most);
        size_t computed = (size_t)kv_length(other->kv);
        size_t available = common < computed ? common : computed;
        if (available > n_best) {
            n_best = available;
            best = other->kv;
        }
        /* Only on one that came before waits are made, so that two never wait for each other. */
        if (other->number < session->number && !other->background && common > n_coming)
            n_coming = common;
    }
    if (n_coming >= n_best + WORTH_SHARING)
        return false;
    struct kv *kv = NULL;
    if (best != NULL && n_best >= WORTH_SHARING && kv_fork(&kv, best, (int)n_best) == 0) {
        kv_free(session->kv);
        session->kv = kv;
        if (session->n_generated == 0)
            session->n_cached = (int)n_best;
    } else if (session->kv == NULL && kv_new(&session->kv, engine->store) < 0) {
        struct error err;
        error_set(&err, WEIR_E_MEMORY, "session", "out of memory");
        engine_end_session(engine, session, FINISH_ERROR, &err);
        return false;
    }
    return true;
}
