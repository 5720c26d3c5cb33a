/* Tokenizer: opening, by what the file is, and the questions that need no text. */
#include "tokenizer/parts.h"

static struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (tokenizer != NULL) {
        arena_init(&tokenizer->arena, TOKENIZER_MAX_ARENA_BYTES);
        tokenizer->bos = tokenizer->eos = tokenizer->unknown = tokenizer->padding = tokenizer->mask = -1;
    }
    return tokenizer;
}

/* What follows from the parts, once they are all there. */
static void tokenizer_finish(struct tokenizer *tokenizer)
{
    if (tokenizer->eos >= 0)
        tokenizer_add_end(tokenizer, tokenizer->eos);
    tokenizer_find_ends(tokenizer);
    tokenizer->valid_only = tokenizer->normalizer.n_steps > 0;
    for (int i = 0; i < tokenizer->pretokenizer.n_steps; i++)
        if (tokenizer->pretokenizer.steps[i].kind == SPLIT_REGEX)
            tokenizer->valid_only = true;
}

int tokenizer_open_text(struct tokenizer **out, str text, bool sentencepiece, struct error *err)
{
    *out = NULL;
    struct tokenizer *tokenizer = tokenizer_new();
    if (tokenizer == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    int status = sentencepiece ? tokenizer_read_sentencepiece(tokenizer, text, err) : tokenizer_read_json(tokenizer, text, err);
    if (status < 0) {
        tokenizer_close(tokenizer);
        return status;
    }
    tokenizer_finish(tokenizer);
    *out = tokenizer;
    return 0;
}

int tokenizer_open(struct tokenizer **out, const struct model_file *file, struct error *err)
{
    *out = NULL;
    struct tokenizer *tokenizer = tokenizer_new();
    if (tokenizer == NULL)
        return error_set(err, WEIR_E_MEMORY, model_file_path(file), "out of memory");
    int status = model_file_is_gguf(file) ? tokenizer_open_gguf(tokenizer, file, err) : tokenizer_open_directory(tokenizer, file, err);
    if (status <= 0) {
        tokenizer_close(tokenizer);
        return status;
    }
    tokenizer_finish(tokenizer);
    *out = tokenizer;
    return 0;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    normalizer_release(&tokenizer->normalizer);
    pretokenizer_release(&tokenizer->pretokenizer);
    decoding_release(&tokenizer->decoding);
    arena_release(&tokenizer->arena);
    file_map_close(&tokenizer->map);
    free(tokenizer);
}

int tokenizer_keep(struct tokenizer *tokenizer, str s, str *out, struct error *err)
{
    *out = (str){arena_strdup(&tokenizer->arena, s), s.n};
    if (out->data != NULL)
        return 0;
    out->n = 0;
    return error_set(err, WEIR_E_MEMORY, "", "out of memory");
}

void tokenizer_add_end(struct tokenizer *tokenizer, int32_t id)
{
    if (!vocabulary_has(&tokenizer->vocabulary, id) || tokenizer_is_end(tokenizer, id) || tokenizer->n_ends == TOKENIZER_MAX_ENDS)
        return;
    tokenizer->ends[tokenizer->n_ends++] = id;
}

void tokenizer_find_ends(struct tokenizer *tokenizer)
{
    static const str ends[] = {STR("<|im_end|>"), STR("<|eot_id|>"), STR("<|eom_id|>"), STR("<|end|>"), STR("<end_of_turn>"),
                               STR("<|endoftext|>"), STR("<|end_of_text|>"), STR("<|end_of_turn|>"), STR("<|eot|>"),
                               STR("<|EOT|>"), STR("<EOT>"), STR("_<EOT>"), STR("<|END_OF_TURN_TOKEN|>"),
                               STR("<｜end▁of▁sentence｜>"), STR("<end_of_utterance>"), STR("<|return|>"), STR("<|call|>"),
                               STR("<|user|>"), STR("</s>")};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        /* "<|user|>" opens the next turn in formats without an end token of their own. */
        bool turn = str_equal(ends[i], STR("<|user|>"));
        int32_t id = turn && tokenizer->n_ends > 0 ? -1 : vocabulary_find(&tokenizer->vocabulary, ends[i]);
        if (id >= 0 && (tokenizer->vocabulary.kinds[id] == TOKEN_CONTROL || tokenizer->vocabulary.kinds[id] == TOKEN_USER_DEFINED))
            tokenizer_add_end(tokenizer, id);
    }
}

static void frame_add(struct frame *frame, int kind, int32_t id, int32_t type)
{
    if (kind == FRAME_TOKEN && id < 0)
        return;
    frame->parts[frame->n].kind = kind;
    frame->parts[frame->n].id = id;
    frame->parts[frame->n++].type = type;
}

void tokenizer_set_frame(struct tokenizer *tokenizer, int32_t before, int32_t after, bool pair_types)
{
    int32_t second = pair_types ? 1 : 0;
    tokenizer->single.n = tokenizer->pair.n = 0;
    frame_add(&tokenizer->single, FRAME_TOKEN, before, 0);
    frame_add(&tokenizer->single, FRAME_A, -1, 0);
    frame_add(&tokenizer->single, FRAME_TOKEN, after, 0);
    frame_add(&tokenizer->pair, FRAME_TOKEN, before, 0);
    frame_add(&tokenizer->pair, FRAME_A, -1, 0);
    frame_add(&tokenizer->pair, FRAME_TOKEN, after, 0);
    frame_add(&tokenizer->pair, FRAME_B, -1, second);
    frame_add(&tokenizer->pair, FRAME_TOKEN, after, second);
}

int tokenizer_set_sentencepiece_decoding(struct tokenizer *tokenizer, bool strip_first, struct error *err)
{
    struct decode_step *step = decoding_add(&tokenizer->decoding, DECODE_REPLACE);
    struct decode_step *fallback = decoding_add(&tokenizer->decoding, DECODE_FALLBACK);
    struct decode_step *strip = decoding_add(&tokenizer->decoding, DECODE_STRIP);
    if (step == NULL || fallback == NULL || strip == NULL)
        return error_set(err, WEIR_E_LIMIT, "", "too many decoding steps");
    step->text = STR("\xE2\x96\x81");
    step->content = STR(" ");
    strip->text = STR(" ");
    strip->left = strip_first ? 1 : 0;
    strip->whole = true;
    tokenizer->added_raw = true;
    return 0;
}

int tokenizer_add_from_kinds(struct tokenizer *tokenizer, struct error *err)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t n = 0;
    for (size_t i = 0; i < vocabulary->n; i++)
        n += vocabulary->kinds[i] >= TOKEN_UNKNOWN && vocabulary->kinds[i] <= TOKEN_USER_DEFINED;
    struct added_token *list = arena_array(&tokenizer->arena, n, sizeof *list);
    str *texts = arena_array(&tokenizer->arena, n, sizeof *texts);
    if (list == NULL || texts == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory for %zu special tokens", n);
    size_t k = 0;
    for (size_t i = 0; i < vocabulary->n; i++) {
        enum token_kind kind = vocabulary->kinds[i];
        if (kind < TOKEN_UNKNOWN || kind > TOKEN_USER_DEFINED)
            continue;
        texts[k] = vocabulary->texts[i];
        list[k++] = (struct added_token){.text = vocabulary->texts[i], .id = (int32_t)i, .special = kind != TOKEN_USER_DEFINED};
    }
    return added_tokens_init(&tokenizer->added, list, texts, n, &tokenizer->arena) < 0
               ? error_set(err, WEIR_E_MEMORY, "", "out of memory for %zu special tokens", n)
               : 0;
}

int tokenizer_size(const struct tokenizer *tokenizer)
{
    return (int)tokenizer->vocabulary.n;
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->eos;
}

bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id)
{
    for (int i = 0; i < tokenizer->n_ends; i++)
        if (tokenizer->ends[i] == id)
            return true;
    return false;
}

bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t id)
{
    if (!vocabulary_has(&tokenizer->vocabulary, id))
        return false;
    enum token_kind kind = tokenizer->vocabulary.kinds[id];
    return kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN;
}

int32_t tokenizer_special_id(const struct tokenizer *tokenizer, str text)
{
    int32_t id = vocabulary_find(&tokenizer->vocabulary, text);
    return id >= 0 && tokenizer_is_special(tokenizer, id) ? id : -1;
}
