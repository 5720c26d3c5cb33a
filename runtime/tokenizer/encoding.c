/* Encoding: a text's way to ids. Added tokens are cut out of the raw text; what lies between is normalized, added tokens
 * sought in normal forms are cut out, the rest is cut into words, and each word goes through the vocabulary's algorithm.
 * Around it stands the frame (BOS, [CLS] … [SEP]). All working memory belongs to one call; the tokenizer is only read, so
 * any number of threads may encode. Time is n log n in the text at worst. */
#include "tokenizer/parts.h"

struct encoding {
    const struct tokenizer *tokenizer;
    bool special;
    struct bpe_scratch bpe;
    struct unigram_scratch unigram;
    struct pieces pieces;
    struct buffer normal, spare;
};

static void encoding_init(struct encoding *encoding, const struct tokenizer *tokenizer, bool special)
{
    *encoding = (struct encoding){.tokenizer = tokenizer, .special = special};
    size_t most = (size_t)TOKENIZER_MAX_TEXT_BYTES * 4;
    pieces_init(&encoding->pieces, most);
    buffer_init(&encoding->normal, most);
    buffer_init(&encoding->spare, most);
}

static void encoding_release(struct encoding *encoding)
{
    bpe_scratch_release(&encoding->bpe);
    unigram_scratch_release(&encoding->unigram);
    pieces_release(&encoding->pieces);
    buffer_release(&encoding->normal);
    buffer_release(&encoding->spare);
}

static int encode_words(struct encoding *encoding, str text, bool first, struct ids *out)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    struct pieces *pieces = &encoding->pieces;
    int status = text.n > 0 ? pretokenizer_run(&tokenizer->pretokenizer, pieces, text, first) : 0;
    for (size_t i = 0; text.n > 0 && i < pieces->n && status == 0; i++) {
        str word = {pieces->text.data + pieces->list[i].start, pieces->list[i].n};
        switch (tokenizer->algorithm) {
        case ALGORITHM_BPE:
            status = bpe_encode(&tokenizer->bpe, &encoding->bpe, word, out);
            break;
        case ALGORITHM_WORDPIECE:
            status = wordpiece_encode(&tokenizer->wordpiece, word, out);
            break;
        case ALGORITHM_UNIGRAM:
            status = unigram_encode(&tokenizer->unigram, &encoding->unigram, word, out);
            break;
        }
    }
    return status;
}

/* A stretch of raw text without added tokens; first: it begins where the whole text does. */
static int encode_stretch(struct encoding *encoding, str text, bool first, struct ids *out)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    if (text.n == 0)
        return 0;
    if (tokenizer->normalizer.n_steps > 0) {
        buffer_clear(&encoding->normal);
        int status = buffer_append_str(&encoding->normal, text);
        if (status == 0)
            status = normalizer_run(&tokenizer->normalizer, &encoding->normal, &encoding->spare);
        if (status < 0)
            return status;
        text = buffer_str(&encoding->normal);
    }
    struct added_match match;
    size_t at = 0;
    int status = 0;
    while (status == 0 && added_tokens_find(&tokenizer->added, text, at, true, encoding->special, &match)) {
        status = encode_words(encoding, (str){text.data + at, match.start - at}, first && at == 0, out);
        if (status == 0)
            status = ids_append(out, match.id);
        at = match.end;
    }
    return status < 0 ? status : encode_words(encoding, (str){text.data + at, text.n - at}, first && at == 0, out);
}

static int text_repair(str text, struct buffer *out)
{
    for (size_t at = 0; at < text.n && !out->failed;) {
        char bytes[4];
        buffer_append(out, bytes, (size_t)utf8_encode(utf8_next(text, &at), bytes));
    }
    return out->failed ? WEIR_E_LIMIT : 0;
}

/* Appends the ids of a text without its frame. */
static int encode_text(const struct tokenizer *tokenizer, str text, bool special, struct ids *out, struct error *err)
{
    if (text.n > TOKENIZER_MAX_TEXT_BYTES)
        return error_set(err, WEIR_E_LIMIT, "text", "%zu bytes, more than %d", text.n, TOKENIZER_MAX_TEXT_BYTES);
    struct encoding encoding;
    encoding_init(&encoding, tokenizer, special);
    struct buffer repaired;
    buffer_init(&repaired, (size_t)TOKENIZER_MAX_TEXT_BYTES * 4);
    int status = 0;
    if (tokenizer->valid_only && utf8_first_invalid(text) >= 0) {
        status = text_repair(text, &repaired);
        text = buffer_str(&repaired);
    }
    struct added_match match;
    size_t at = 0;
    while (status == 0 && added_tokens_find(&tokenizer->added, text, at, false, special, &match)) {
        status = encode_stretch(&encoding, (str){text.data + at, match.start - at}, at == 0, out);
        if (status == 0)
            status = ids_append(out, match.id);
        at = match.end;
    }
    if (status == 0)
        status = encode_stretch(&encoding, (str){text.data + at, text.n - at}, at == 0, out);
    encoding_release(&encoding);
    buffer_release(&repaired);
    if (status == WEIR_E_LIMIT)
        return error_set(err, status, "text", "the tokenizer's patterns need too much time or memory for its %zu bytes", text.n);
    return status < 0 ? error_set(err, (enum weir_status)status, "text", "out of memory") : 0;
}

int tokenizer_encode(const struct tokenizer *tokenizer, str text, unsigned flags, struct ids *out, struct error *err)
{
    bool special = (flags & TOKENIZE_SPECIAL) != 0;
    size_t before = out->n;
    if ((flags & TOKENIZE_BARE) != 0) {
        int status = encode_text(tokenizer, text, special, out, err);
        if (status < 0)
            out->n = before;
        return status;
    }
    for (int i = 0; i < tokenizer->single.n; i++) {
        const struct frame_part *part = &tokenizer->single.parts[i];
        int status = part->kind == FRAME_TOKEN ? ids_append(out, part->id) : encode_text(tokenizer, text, special, out, err);
        if (status < 0) {
            out->n = before;
            return part->kind == FRAME_TOKEN ? error_set(err, WEIR_E_MEMORY, "text", "out of memory") : status;
        }
    }
    return 0;
}

/* Longest first, as the tokenizers library counts it: the shorter text keeps what it has as long as that leaves the longer
 * one no less; otherwise each gets half. */
static void pair_truncate(size_t *n_a, size_t *n_b, size_t budget)
{
    if (*n_a + *n_b <= budget)
        return;
    bool swapped = *n_a > *n_b;
    size_t n_short = swapped ? *n_b : *n_a;
    size_t n_long = n_short > budget ? n_short : n_short > budget - n_short ? n_short : budget - n_short;
    if (n_short + n_long > budget) {
        n_short = budget / 2;
        n_long = n_short + budget % 2;
    }
    *n_a = swapped ? n_long : n_short;
    *n_b = swapped ? n_short : n_long;
}

int tokenizer_encode_pair(const struct tokenizer *tokenizer, str a, str b, size_t max_tokens, struct ids *out,
                          struct ids *types, struct error *err)
{
    struct ids texts[2] = {{0}, {0}};
    size_t before = out->n, types_before = types != NULL ? types->n : 0;
    int status = encode_text(tokenizer, a, false, &texts[0], err);
    if (status == 0)
        status = encode_text(tokenizer, b, false, &texts[1], err);
    if (status < 0)
        goto done;
    size_t n_frame = 0, n[2] = {texts[0].n, texts[1].n};
    for (int i = 0; i < tokenizer->pair.n; i++)
        n_frame += tokenizer->pair.parts[i].kind == FRAME_TOKEN;
    if (max_tokens > 0 && max_tokens < n_frame) {
        status = error_set(err, WEIR_E_LIMIT, "max_tokens", "%zu is less than the %zu tokens around a pair", max_tokens, n_frame);
        goto done;
    }
    if (max_tokens > 0)
        pair_truncate(&n[0], &n[1], max_tokens - n_frame);
    for (int i = 0; i < tokenizer->pair.n && status == 0; i++) {
        const struct frame_part *part = &tokenizer->pair.parts[i];
        int which = part->kind == FRAME_B;
        size_t count = part->kind == FRAME_TOKEN ? 1 : n[which];
        for (size_t k = 0; k < count && status == 0; k++) {
            status = ids_append(out, part->kind == FRAME_TOKEN ? part->id : texts[which].data[k]);
            if (status == 0 && types != NULL)
                status = ids_append(types, part->type);
        }
    }
    if (status < 0)
        error_set(err, WEIR_E_MEMORY, "text", "out of memory");
done:
    if (status < 0) {
        out->n = before;
        if (types != NULL)
            types->n = types_before;
    }
    ids_release(&texts[0]);
    ids_release(&texts[1]);
    return status;
}
