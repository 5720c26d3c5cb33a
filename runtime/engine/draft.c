/* See draft.h. The draft has a cache of its own, with a quarter of the engine's default budget; a session that finds no room in
 * it, or whatever else fails here, costs its guesses and nothing else. The engine's thread only. */
#include "engine/draft.h"
#include "decoder/decoder.h"
#include "kernels/ops.h"
#include "model/model.h"

enum { CATCH_UP_ROWS = 64, MOST_SESSIONS = 16 };

/* Rows of one pass. */
struct rows {
    int n, n_want;
    int32_t tokens[DECODER_MAX_ROWS], positions[DECODER_MAX_ROWS];
    struct kv *kv[DECODER_MAX_ROWS];
    bool want[DECODER_MAX_ROWS];
    struct session *wanting[MOST_SESSIONS];
    struct session *members[MOST_SESSIONS];
    int lengths[MOST_SESSIONS];
    int n_members;
};

struct draft {
    struct model *model;
    struct decoder *decoder;
    struct kv_store *store;
    int n_vocab, n_context, border;
    float *logits; /* MOST_SESSIONS rows. */
    struct rows rows;
};

static int same_tokens(const struct model *a, const struct model *b, struct error *err)
{
    const struct tokenizer *x = model_tokenizer_peek(a), *y = model_tokenizer_peek(b);
    const char *where = model_info_peek(b)->path;
    int n = model_info_peek(a)->n_vocab, status = 0;
    if (n != model_info_peek(b)->n_vocab || (x == NULL) != (y == NULL))
        return error_set(err, WEIR_E_INVALID, where, "a draft has the same vocabulary as its model: %d tokens here, %d there", model_info_peek(b)->n_vocab, n);
    struct buffer p, q;
    buffer_init(&p, 1 << 20);
    buffer_init(&q, 1 << 20);
    for (int32_t id = 0; x != NULL && id < n && status == 0; id++) {
        buffer_clear(&p);
        buffer_clear(&q);
        bool good = tokenizer_decode(x, &id, 1, true, &p) == tokenizer_decode(y, &id, 1, true, &q) && str_equal(buffer_str(&p), buffer_str(&q));
        if (!good)
            status = error_set(err, WEIR_E_INVALID, where, "a draft has the same vocabulary as its model: token %d differs", (int)id);
    }
    buffer_release(&p);
    buffer_release(&q);
    return status;
}

int draft_new(struct draft **out, struct model *draft_model, const struct model *model, struct error *err)
{
    *out = NULL;
    const struct model_info *info = model_info_peek(draft_model);
    if (model_decoder(draft_model) == NULL)
        return error_set(err, WEIR_E_INVALID, info->path, "is no generating model");
    int status = same_tokens(model, draft_model, err);
    if (status < 0)
        return status;
    struct draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL)
        return error_set(err, WEIR_E_MEMORY, info->path, "no memory");
    *draft = (struct draft){.model = draft_model, .decoder = model_decoder(draft_model), .n_vocab = info->n_vocab, .n_context = info->n_context};
    draft->border = decoder_rope_border(draft->decoder);
    draft->logits = malloc((size_t)MOST_SESSIONS * (size_t)info->n_vocab * sizeof *draft->logits);
    size_t budget = model_kv_budget(draft_model) > 0 ? model_kv_budget(draft_model) : (size_t)512 << 20;
    status = draft->logits != NULL ? kv_store_new(&draft->store, decoder_kv_shape(draft->decoder), budget, err)
                                   : error_set(err, WEIR_E_MEMORY, info->path, "no memory");
    if (status < 0) {
        draft_free(draft);
        return status;
    }
    *out = draft;
    return 0;
}

void draft_free(struct draft *draft)
{
    if (draft == NULL)
        return;
    kv_store_free(draft->store);
    free(draft->logits);
    free(draft);
}

static int32_t id_at(const struct session *session, size_t at)
{
    return at < session->n_ids ? session->ids[at] : session->guesses.ids[at - session->n_ids];
}

/* The session's next rows: what the draft hasn't read of its ids and guesses. */
static void add(struct draft *draft, struct rows *rows, struct session *session)
{
    struct guesses *guesses = &session->guesses;
    size_t n_all = session->n_ids + (size_t)guesses->n;
    if (guesses->kv == NULL && kv_new(&guesses->kv, draft->store) < 0) {
        guesses->kv = NULL;
        return;
    }
    size_t from = guesses->n_drafted < n_all - 1 ? guesses->n_drafted : n_all - 1;
    size_t end = n_all - from > CATCH_UP_ROWS ? from + CATCH_UP_ROWS : n_all;
    kv_trim(guesses->kv, (int)from);
    guesses->n_drafted = from;
    bool fits = end + DRAFT_MOST < (size_t)draft->n_context && (draft->border == 0 || end + DRAFT_MOST <= (size_t)draft->border);
    if (!fits || rows->n + (int)(end - from) > DECODER_MAX_ROWS || kv_reserve(guesses->kv, (int)end) < 0)
        return;
    for (size_t at = from; at < end; at++) {
        rows->tokens[rows->n] = id_at(session, at);
        rows->positions[rows->n] = (int32_t)at;
        rows->kv[rows->n] = guesses->kv;
        rows->want[rows->n++] = at + 1 == n_all;
    }
    rows->lengths[rows->n_members] = (int)end;
    rows->members[rows->n_members++] = session;
    if (end == n_all)
        rows->wanting[rows->n_want++] = session;
}

void draft_guess(struct draft *draft, struct session *const *sessions, int n, const int *most)
{
    struct rows *rows = &draft->rows;
    struct error err;
    for (int round = 0; round < DRAFT_MOST; round++) {
        rows->n = rows->n_want = rows->n_members = 0;
        for (int i = 0; i < n && i < MOST_SESSIONS; i++)
            if (most[i] > round && sessions[i]->guesses.n == round)
                add(draft, rows, sessions[i]);
        if (rows->n == 0)
            break;
        struct batch batch = {.n_rows = rows->n, .tokens = rows->tokens, .positions = rows->positions, .kv = rows->kv, .want = rows->want};
        int status = decoder_forward(draft->decoder, model_lock(draft->model), &batch, draft->logits, NULL, &err);
        model_unlock(draft->model);
        if (status < 0)
            break;
        for (int i = 0; i < rows->n_members; i++) {
            kv_trim(rows->members[i]->guesses.kv, rows->lengths[i]);
            rows->members[i]->guesses.n_drafted = (size_t)rows->lengths[i];
        }
        for (int i = 0; i < rows->n_want; i++) {
            struct guesses *guesses = &rows->wanting[i]->guesses;
            guesses->ids[guesses->n++] = (int32_t)largest_at(draft->logits + (size_t)i * (size_t)draft->n_vocab, draft->n_vocab);
        }
        if (rows->n_want == 0)
            break;
    }
}
