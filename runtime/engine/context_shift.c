/* See context_shift.h. What follows the gap is computed anew at its new positions, instead of turning the cached keys by the
 * difference of the angles (Xiao et al. 2023 do that): a cached key of a deeper layer still holds what the dropped tokens said, and
 * learned positions, LongRoPE and 8-bit pages can't be turned at all. So an answer goes on exactly as if the talk had begun
 * without them, at the price of reading half a context once per half a context. The engine's thread, or the submitting one before
 * the engine knows the session. */
#include "engine/context_shift.h"

void context_shift(struct session *session, int n_context, int rope_border)
{
    size_t keep = (size_t)session->n_keep;
    while (session->n_ids >= (size_t)n_context) {
        size_t drop = (session->n_ids - keep + 1) / 2;
        memmove(session->ids + keep, session->ids + keep + drop, (session->n_ids - keep - drop) * sizeof *session->ids);
        session->n_ids -= drop;
        session->n_dropped += (int)drop;
    }
    bool is_beyond = rope_border > 0 && session->n_ids > (size_t)rope_border;
    int valid = is_beyond == session->kind.is_beyond ? session->n_keep : 0;
    session->kind.is_beyond = is_beyond;
    if (session->kv != NULL && kv_length(session->kv) > valid)
        kv_trim(session->kv, valid);
    guesses_release(&session->guesses);
}
