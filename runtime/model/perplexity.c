/* Perplexity of a text: pieces of at most 512 tokens that do not see each other, each begun with BOS where the file has one. */
#include "weir_runtime.h"

#include <math.h>

enum { PIECE = 512 };

struct foresight {
    const int32_t *ids;
    size_t n;
    size_t first; /* Tokens before this one are given, not foreseen. */
    int n_vocab;
    double sum;   /* Of negative log-likelihoods, in nats. */
    size_t n_counted;
};

static int count_row(void *user, size_t position, const float *logits)
{
    struct foresight *foresight = user;
    if (position + 1 >= foresight->n || position + 1 < foresight->first)
        return 0;
    double most = (double)logits[0], total = 0;
    for (int i = 1; i < foresight->n_vocab; i++)
        most = (double)logits[i] > most ? (double)logits[i] : most;
    for (int i = 0; i < foresight->n_vocab; i++)
        total += exp((double)logits[i] - most);
    foresight->sum += most + log(total) - (double)logits[foresight->ids[position + 1]];
    foresight->n_counted++;
    return 0;
}

int model_perplexity(struct model *model, str text, double *perplexity, size_t *n_tokens, struct error *err)
{
    const struct model_info *info = model_info_peek(model);
    const struct tokenizer *tokenizer = model_tokenizer_peek(model);
    struct ids ids = {0};
    if (info->kind != MODEL_DECODER || tokenizer == NULL)
        return error_set(err, WEIR_E_INVALID, info->path, "a perplexity needs a generating model with a tokenizer");
    if (info->n_context < 3)
        return error_set(err, WEIR_E_INVALID, info->path, "a perplexity needs a context of at least three tokens");
    int status = tokenizer_encode(tokenizer, text, TOKENIZE_BARE, &ids, err);
    int32_t piece[PIECE + 1], bos = tokenizer_bos(tokenizer);
    size_t n_bos = bos >= 0 && bos < info->n_vocab, most = PIECE;
    if ((size_t)info->n_context < PIECE + n_bos)
        most = (size_t)info->n_context - n_bos;
    struct foresight foresight = {.ids = piece, .first = n_bos + 1, .n_vocab = info->n_vocab};
    for (size_t at = 0; at < ids.n && status == 0; at += most) {
        size_t n = ids.n - at < most ? ids.n - at : most;
        piece[0] = bos;
        memcpy(piece + n_bos, ids.data + at, n * sizeof *piece);
        foresight.n = n + n_bos;
        if (n > 1)
            status = model_logits(model, piece, foresight.n, count_row, &foresight, err);
    }
    ids_release(&ids);
    if (status == 0 && foresight.n_counted == 0)
        status = error_set(err, WEIR_E_INVALID, "text", "has fewer than two tokens");
    if (status < 0)
        return status;
    *perplexity = exp(foresight.sum / (double)foresight.n_counted);
    *n_tokens = foresight.n_counted;
    return 0;
}
