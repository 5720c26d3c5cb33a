/* Text ids: a text as an encoder takes it. The tokens the file puts around a text (a frame: [CLS] … [SEP]) are found by
 * encoding the empty text, so that a text that is too long loses its end and keeps its frame. */
#include "weir_runtime.h"

/* Does whole equal frame with `text` put in before frame's element `at`? */
static bool frame_fits(const struct ids *whole, size_t from, const struct ids *frame, const struct ids *text, size_t at)
{
    const int32_t *ids = whole->data + from;
    size_t n_bytes = sizeof *ids;
    return (at == 0 || memcmp(ids, frame->data, at * n_bytes) == 0) && memcmp(ids + at, text->data, text->n * n_bytes) == 0 &&
           (at == frame->n || memcmp(ids + at + text->n, frame->data + at, (frame->n - at) * n_bytes) == 0);
}

/* Cuts out[from…] to limit; the end of the text goes, what stands after it stays. */
static int cut(const struct tokenizer *tokenizer, str text, size_t limit, struct ids *out, size_t from, struct error *err)
{
    struct ids frame = {0}, bare = {0};
    int status = tokenizer_encode(tokenizer, (str){"", 0}, 0, &frame, err);
    if (status == 0)
        status = tokenizer_encode(tokenizer, text, TOKENIZE_BARE, &bare, err);
    if (status == 0 && frame.n > limit)
        status = error_set(err, WEIR_E_LIMIT, "text", "the %zu tokens around a text don't fit into %zu", frame.n, limit);
    if (status == 0) {
        size_t at = 0;
        bool whole = frame.n + bare.n == out->n - from;
        while (whole && at < frame.n && !frame_fits(out, from, &frame, &bare, at))
            at++;
        size_t n_after = whole ? frame.n - at : 0;
        memmove(out->data + from + limit - n_after, out->data + out->n - n_after, n_after * sizeof *out->data);
        out->n = from + limit;
    }
    ids_release(&frame);
    ids_release(&bare);
    return status;
}

int model_text_ids(const struct model *model, str text, struct ids *out, struct error *err)
{
    const struct tokenizer *tokenizer = model_tokenizer_peek(model);
    const struct model_info *info = model_info_peek(model);
    size_t from = out->n;
    if (tokenizer == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, info->path, "the model has no tokenizer");
    int status = tokenizer_encode(tokenizer, text, 0, out, err);
    if (status == 0 && info->n_context > 0 && out->n - from > (size_t)info->n_context)
        status = cut(tokenizer, text, (size_t)info->n_context, out, from, err);
    if (status < 0)
        out->n = from;
    return status;
}
