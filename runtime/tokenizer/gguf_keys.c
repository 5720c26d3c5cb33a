/* A tokenizer written as tokenizer_gguf.c reads it, and llama.cpp.
 *
 * Byte-level BPE keeps its merges and gets the name of the pre-tokenizer that cuts as its own does. SentencePiece's BPE has scores
 * in place of merges: where it comes from a tokenizer.json, a token's score falls with the rank of the merges that make it.
 * WordPiece marks the pieces that begin a word with U+2581 instead of the others with ##. Ids without a token are filled up with
 * [PADn], of kind unused. Afterwards the keys are read back and compared part by part (tokenizer_same). */
#include "tokenizer/gguf_keys.h"
#include "tokenizer/gguf_pretokenizer.h"

#include <limits.h>
#include <stdlib.h>

#define KEY "tokenizer.ggml."
#define MARK "\xE2\x96\x81"

enum kind { KIND_BYTES, KIND_SENTENCEPIECE, KIND_UNIGRAM, KIND_WORDPIECE, KIND_OTHER };

static enum kind kind_of(const struct tokenizer *tokenizer)
{
    bool bytes = false;
    for (int i = 0; i < tokenizer->decoding.n_steps; i++)
        bytes = bytes || tokenizer->decoding.steps[i].kind == DECODE_BYTES;
    if (tokenizer->algorithm == ALGORITHM_UNIGRAM)
        return KIND_UNIGRAM;
    if (tokenizer->algorithm == ALGORITHM_WORDPIECE)
        return tokenizer->wordpiece.whole ? KIND_OTHER : KIND_WORDPIECE;
    if (tokenizer->bpe.prefix.n > 0 || tokenizer->bpe.suffix.n > 0)
        return KIND_OTHER;
    if (bytes)
        return tokenizer->bpe.mode == BPE_BY_PAIR ? KIND_BYTES : KIND_OTHER;
    return tokenizer->bpe.mode == BPE_BY_SCORE || tokenizer->bpe.byte_fallback ? KIND_SENTENCEPIECE : KIND_OTHER;
}

/* The token's text and kind as they stand in GGUF; storage holds texts that are made here. */
static enum token_kind token_of(const struct tokenizer *tokenizer, enum kind kind, size_t id, char storage[static 80], struct buffer *made, str *text)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    enum token_kind its = id < vocabulary->n ? (enum token_kind)vocabulary->kinds[id] : TOKEN_ABSENT;
    *text = id < vocabulary->n ? vocabulary->texts[id] : (str){0};
    buffer_clear(made);
    if (its == TOKEN_ABSENT) {
        *text = (str){storage, (size_t)snprintf(storage, 80, "[PAD%zu]", id)};
        return TOKEN_UNUSED;
    }
    if (kind == KIND_WORDPIECE && its != TOKEN_CONTROL && str_starts(*text, tokenizer->wordpiece.continuation) && tokenizer->wordpiece.continuation.n > 0) {
        *text = (str){text->data + tokenizer->wordpiece.continuation.n, text->n - tokenizer->wordpiece.continuation.n};
    } else if (kind == KIND_WORDPIECE && its != TOKEN_CONTROL) {
        buffer_append_text(made, MARK);
        buffer_append_str(made, *text);
        *text = buffer_str(made);
    } else if (kind == KIND_SENTENCEPIECE && its == TOKEN_USER_DEFINED) { /* Sought before blanks are marked. */
        for (size_t i = 0; i < text->n; i++) {
            bool mark = text->n - i >= 3 && memcmp(text->data + i, MARK, 3) == 0;
            buffer_append_char(made, mark ? ' ' : text->data[i]);
            i += mark ? 2 : 0;
        }
        *text = buffer_str(made);
    } else if (kind == KIND_SENTENCEPIECE && its == TOKEN_NORMAL && text->n == 6 && str_starts(*text, STR("<0x"))) {
        its = TOKEN_BYTE;
    }
    return its;
}

static void put_tokens(const struct tokenizer *tokenizer, enum kind kind, size_t n, struct gguf_builder *builder)
{
    char storage[80];
    struct buffer made;
    str text;
    buffer_init(&made, 2 * VOCABULARY_MAX_TOKEN_BYTES);
    gguf_key_array(builder, KEY "tokens", GGUF_STRING, n);
    for (size_t id = 0; id < n; id++) {
        (void)token_of(tokenizer, kind, id, storage, &made, &text);
        gguf_element_str(builder, text);
    }
    gguf_key_array(builder, KEY "token_type", GGUF_I32, n);
    for (size_t id = 0; id < n; id++)
        gguf_element(builder, &(int32_t){token_of(tokenizer, kind, id, storage, &made, &text)}, sizeof(int32_t));
    if (made.failed)
        gguf_builder_fail(builder, WEIR_E_MEMORY, KEY "tokens", "no memory");
    buffer_release(&made);
}

static void put_merges(const struct tokenizer *tokenizer, struct gguf_builder *builder)
{
    size_t n;
    struct merge *merges = bpe_list_merges(&tokenizer->bpe, &n);
    struct buffer line;
    if (merges == NULL) {
        gguf_builder_fail(builder, WEIR_E_MEMORY, KEY "merges", "no memory");
        return;
    }
    buffer_init(&line, 4 * VOCABULARY_MAX_TOKEN_BYTES);
    gguf_key_array(builder, KEY "merges", GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) {
        buffer_clear(&line);
        buffer_append_str(&line, tokenizer->vocabulary.texts[merges[i].pair >> 32]);
        buffer_append_char(&line, ' ');
        buffer_append_str(&line, tokenizer->vocabulary.texts[(uint32_t)merges[i].pair - 1]);
        gguf_element_str(builder, buffer_str(&line));
    }
    buffer_release(&line);
    free(merges);
}

/* Scores for merging by score what the merges merge by rank: the sooner made, the higher. */
static void put_scores(const struct tokenizer *tokenizer, enum kind kind, size_t n, struct gguf_builder *builder)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    float *scores = calloc(n, sizeof *scores);
    size_t n_merges = 0, n_made = 0;
    struct merge *merges = kind == KIND_SENTENCEPIECE && tokenizer->bpe.mode == BPE_BY_PAIR ? bpe_list_merges(&tokenizer->bpe, &n_merges) : NULL;
    if (scores == NULL || (merges == NULL && kind == KIND_SENTENCEPIECE && tokenizer->bpe.mode == BPE_BY_PAIR)) {
        gguf_builder_fail(builder, WEIR_E_MEMORY, KEY "scores", "no memory");
        free(scores);
        free(merges);
        return;
    }
    for (size_t id = 0; id < n && id < vocabulary->n; id++)
        scores[id] = kind == KIND_UNIGRAM ? (float)tokenizer->unigram.scores[id] : vocabulary->scores != NULL ? vocabulary->scores[id] : 0;
    for (size_t i = 0; i < n_merges; i++)
        if ((size_t)merges[i].id < n && scores[merges[i].id] == 0)
            scores[merges[i].id] = -(float)++n_made;
    for (size_t id = 0; id < n; id++)
        if (id >= vocabulary->n || vocabulary->kinds[id] == TOKEN_ABSENT)
            scores[id] = -10000;
    gguf_key_array(builder, KEY "scores", GGUF_F32, n);
    gguf_element(builder, scores, n * sizeof *scores);
    free(scores);
    free(merges);
}

static void put_id(struct gguf_builder *builder, const char *key, int32_t id, size_t n)
{
    if (id >= 0 && (size_t)id < n)
        gguf_key_u32(builder, key, (uint32_t)id);
}

static void put_roles(const struct tokenizer *tokenizer, enum kind kind, size_t n, struct gguf_builder *builder)
{
    static const char *const more[] = {KEY "eot_token_id", KEY "eom_token_id"};
    const struct frame *frame = &tokenizer->single;
    int32_t first = frame->n > 0 && frame->parts[0].kind == FRAME_TOKEN ? frame->parts[0].id : -1;
    int32_t last = frame->n > 1 && frame->parts[frame->n - 1].kind == FRAME_TOKEN ? frame->parts[frame->n - 1].id : -1;
    put_id(builder, KEY "bos_token_id", tokenizer->bos >= 0 ? tokenizer->bos : first, n);
    put_id(builder, KEY "eos_token_id", tokenizer->eos >= 0 ? tokenizer->eos : last, n);
    put_id(builder, KEY "unknown_token_id", tokenizer->unknown, n);
    put_id(builder, KEY "padding_token_id", tokenizer->padding, n);
    put_id(builder, KEY "mask_token_id", tokenizer->mask, n);
    if (kind == KIND_WORDPIECE) {
        put_id(builder, KEY "cls_token_id", first, n);
        put_id(builder, KEY "seperator_token_id", last, n); /* Spelled so in the format. */
    }
    int n_more = 0;
    for (int i = 0; i < tokenizer->n_ends && n_more < 2; i++)
        if (tokenizer->ends[i] != tokenizer->eos)
            put_id(builder, more[n_more++], tokenizer->ends[i], n);
    if (tokenizer->n_ends > 3) {
        gguf_key_array(builder, "weir.end_token_ids", GGUF_I32, (size_t)tokenizer->n_ends);
        gguf_element(builder, tokenizer->ends, (size_t)tokenizer->n_ends * sizeof *tokenizer->ends);
    }
    gguf_key_bool(builder, KEY "add_bos_token", first >= 0 && (tokenizer->bos < 0 || first == tokenizer->bos));
    gguf_key_bool(builder, KEY "add_eos_token", last >= 0 && (tokenizer->eos < 0 || last == tokenizer->eos));
}

static const struct normalize_step *normalize_step_of(const struct tokenizer *tokenizer, enum normalize_kind kind)
{
    for (int i = 0; i < tokenizer->normalizer.n_steps; i++)
        if (tokenizer->normalizer.steps[i].kind == kind)
            return &tokenizer->normalizer.steps[i];
    return NULL;
}

/* Is a blank put before a text, so that its first word looks like the others? */
static bool puts_blank_in_front(const struct tokenizer *tokenizer)
{
    const struct normalize_step *step = normalize_step_of(tokenizer, NORMALIZE_SENTENCEPIECE);
    if (step != NULL)
        return step->right;
    for (int i = 0; i < tokenizer->pretokenizer.n_steps; i++)
        if (tokenizer->pretokenizer.steps[i].kind == MAP_METASPACE)
            return tokenizer->pretokenizer.steps[i].prefix != PREFIX_NEVER;
    return normalize_step_of(tokenizer, NORMALIZE_PREPEND) != NULL;
}

static void put_charsmap(const struct tokenizer *tokenizer, struct gguf_builder *builder)
{
    const struct normalize_step *step = normalize_step_of(tokenizer, NORMALIZE_SENTENCEPIECE);
    gguf_key_bool(builder, KEY "remove_extra_whitespaces", step == NULL || step->left);
    if (step == NULL)
        step = normalize_step_of(tokenizer, NORMALIZE_CHARSMAP);
    if (step == NULL || step->charsmap.n_units == 0)
        return;
    uint32_t n_bytes = (uint32_t)(step->charsmap.n_units * 4);
    gguf_key_array(builder, KEY "precompiled_charsmap", GGUF_U8, 4 + n_bytes + step->charsmap.replacements.n);
    gguf_element(builder, &n_bytes, sizeof n_bytes);
    gguf_element(builder, step->charsmap.units, n_bytes);
    gguf_element(builder, step->charsmap.replacements.data, step->charsmap.replacements.n);
}

static void put_ggml(const struct tokenizer *tokenizer, enum kind kind, size_t n, struct gguf_builder *builder)
{
    static const char *const models[] = {"gpt2", "llama", "t5", "bert"};
    const char *pre = "default";
    gguf_key_str(builder, KEY "model", str_of(models[kind]));
    if (kind == KIND_BYTES) {
        const struct gguf_pretokenizer *found = gguf_pretokenizer_match(&tokenizer->pretokenizer, tokenizer->bpe.ignore_merges);
        if (found == NULL)
            found = gguf_pretokenizer_match(&tokenizer->pretokenizer, !tokenizer->bpe.ignore_merges);
        if (found == NULL)
            log_event(LOG_WARN, "convert", "llama.cpp has no pre-tokenizer that cuts words as this model's does: it will give other ids");
        pre = found != NULL ? found->names[0] : pre;
    }
    gguf_key_str(builder, KEY "pre", str_of(pre));
    put_tokens(tokenizer, kind, n, builder);
    if (kind == KIND_BYTES)
        put_merges(tokenizer, builder);
    if (kind == KIND_SENTENCEPIECE || kind == KIND_UNIGRAM) {
        put_scores(tokenizer, kind, n, builder);
        gguf_key_bool(builder, KEY "add_space_prefix", puts_blank_in_front(tokenizer));
    }
    if (kind == KIND_UNIGRAM)
        put_charsmap(tokenizer, builder);
    put_roles(tokenizer, kind, n, builder);
}

/* Do the keys, read back, give the same tokenizer? */
static bool suffices(const struct tokenizer *tokenizer, struct gguf_builder *builder)
{
    struct gguf *gguf = NULL;
    struct model_file *file = NULL;
    struct tokenizer *back = NULL;
    struct buffer head;
    buffer_init(&head, builder->keys.n + 64);
    bool same = gguf_builder_head(builder, &head) == 0 && gguf_parse(&gguf, "keys", head.data, head.n, NULL) == 0 &&
                model_file_of_gguf(&file, gguf, "keys", NULL) == 0 && tokenizer_open(&back, file, NULL) == 0 && back != NULL && tokenizer_same(tokenizer, back);
    tokenizer_close(back);
    model_file_close(file);
    buffer_release(&head);
    return same;
}

void tokenizer_add_keys(const struct tokenizer *tokenizer, const struct model_file *directory, int n_vocab, struct gguf_builder *builder)
{
    enum kind kind = kind_of(tokenizer);
    char path[PATH_MAX];
    struct buffer json;
    if (kind == KIND_OTHER) {
        gguf_builder_fail(builder, WEIR_E_UNSUPPORTED, model_file_path(directory), "GGUF has no tokenizer of its kind; --weights-only leaves it out");
        return;
    }
    put_ggml(tokenizer, kind, (size_t)n_vocab, builder);
    if (builder->status < 0 || suffices(tokenizer, builder))
        return;
    if (!model_file_sibling(directory, "tokenizer.json", path, sizeof path)) {
        log_event(LOG_WARN, "convert", "GGUF's keys can't say all of this tokenizer: some texts may get other ids");
        return;
    }
    buffer_init(&json, TOKENIZER_MAX_FILE_BYTES);
    int status = file_read(path, &json, builder->err);
    if (status < 0 && builder->status == 0)
        builder->status = status;
    gguf_key_str(builder, "tokenizer.huggingface.json", buffer_str(&json));
    buffer_release(&json);
}
