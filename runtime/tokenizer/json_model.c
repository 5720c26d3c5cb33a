/* tokenizer.json: "model", with the vocabulary and the merges.
 *
 * Ids must be unique and dense enough: below twice their number plus a margin, so that a small file can't ask for a large
 * table. Added tokens may lie above the model's ids; their room is reckoned in. */
#include "tokenizer/tokenizer_json.h"

enum { ID_MARGIN = 1 << 16 };

/* One past the largest id of the added tokens. */
static int added_bound(const struct json_source *source, int64_t *bound)
{
    const json_t *list = json_object_get(source->root, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        int64_t id;
        if (json_member_i64(json_array_get(list, i), "id", &id, NULL) != 1 || id < 0 || id >= VOCABULARY_MAX_TOKENS)
            return error_set(source->err, WEIR_E_INVALID, "added_tokens", "element %zu: id must be an integer from 0 to %d", i, VOCABULARY_MAX_TOKENS - 1);
        if (id >= *bound)
            *bound = id + 1;
    }
    return 0;
}

static int make_vocabulary(const struct json_source *source, int64_t bound, size_t n_tokens, bool scored)
{
    n_tokens += json_array_size(json_object_get(source->root, "added_tokens"));
    int status = added_bound(source, &bound);
    if (status < 0)
        return status;
    if (bound > (int64_t)n_tokens * 2 + ID_MARGIN)
        return json_fail(source, WEIR_E_INVALID, "vocab", "id %lld is out of range for %zu tokens", (long long)bound - 1, n_tokens);
    return vocabulary_init(&source->tokenizer->vocabulary, &source->tokenizer->arena, (size_t)bound, scored, source->err) < 0
               ? json_fail(source, WEIR_E_LIMIT, "vocab", "%lld tokens are too many", (long long)bound)
               : 0;
}

/* {"text": id, …} */
static int read_vocab_object(const struct json_source *source, const json_t *vocab)
{
    struct vocabulary *vocabulary = &source->tokenizer->vocabulary;
    const char *key;
    json_t *value;
    int64_t bound = 0;
    size_t n_bytes = 0;
    json_object_foreach((json_t *)(uintptr_t)vocab, key, value) {
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= VOCABULARY_MAX_TOKENS)
            return json_fail(source, WEIR_E_INVALID, "vocab", "the id of \"%.60s\" must be an integer from 0 to %d", key, VOCABULARY_MAX_TOKENS - 1);
        if (json_integer_value(value) >= bound)
            bound = json_integer_value(value) + 1;
        n_bytes += strlen(key);
    }
    int status = make_vocabulary(source, bound, json_object_size(vocab), false);
    if (status < 0)
        return status;
    char *texts = arena_alloc(&source->tokenizer->arena, n_bytes);
    if (texts == NULL)
        return json_fail(source, WEIR_E_MEMORY, "vocab", "out of memory");
    json_object_foreach((json_t *)(uintptr_t)vocab, key, value) {
        size_t n = strlen(key);
        int32_t id = (int32_t)json_integer_value(value);
        if (n > VOCABULARY_MAX_TOKEN_BYTES)
            return json_fail(source, WEIR_E_LIMIT, "vocab", "a token is longer than %d bytes", VOCABULARY_MAX_TOKEN_BYTES);
        if (vocabulary->kinds[id] != TOKEN_ABSENT)
            return json_fail(source, WEIR_E_INVALID, "vocab", "id %d is given to two tokens", (int)id);
        memcpy(texts, key, n);
        vocabulary_set(vocabulary, id, (str){texts, n}, TOKEN_NORMAL);
        texts += n;
    }
    vocabulary_find_bytes(vocabulary);
    return 0;
}

/* [["text", score], …] */
static int read_vocab_list(const struct json_source *source, const json_t *vocab, double **scores)
{
    struct vocabulary *vocabulary = &source->tokenizer->vocabulary;
    size_t n = json_array_size(vocab);
    int status = make_vocabulary(source, (int64_t)n, n, false);
    if (status < 0)
        return status;
    *scores = arena_array(&source->tokenizer->arena, vocabulary->n, sizeof **scores);
    if (*scores == NULL)
        return json_fail(source, WEIR_E_MEMORY, "vocab", "out of memory");
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(vocab, i), *text = json_array_get(item, 0), *score = json_array_get(item, 1);
        if (!json_is_string(text) || !json_is_number(score) || json_string_length(text) > VOCABULARY_MAX_TOKEN_BYTES)
            return json_fail(source, WEIR_E_INVALID, "vocab", "element %zu must be [text, score]", i);
        str kept;
        if ((status = tokenizer_keep(source->tokenizer, (str){json_string_value(text), json_string_length(text)}, &kept, source->err)) < 0)
            return status;
        vocabulary_set(vocabulary, (int32_t)i, kept, TOKEN_NORMAL);
        (*scores)[i] = json_number_value(score);
    }
    vocabulary_find_bytes(vocabulary);
    return 0;
}

static int read_merges(const struct json_source *source, const json_t *merges)
{
    struct bpe *bpe = &source->tokenizer->bpe;
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *item = json_array_get(merges, i);
        str left, right;
        if (json_is_string(item)) {
            str line = {json_string_value(item), json_string_length(item)};
            const char *blank = line.n > 0 ? memchr(line.data, ' ', line.n) : NULL;
            if (blank == NULL)
                return json_fail(source, WEIR_E_INVALID, "merges", "element %zu has no blank between its two parts", i);
            left = (str){line.data, (size_t)(blank - line.data)};
            right = (str){blank + 1, line.n - left.n - 1};
        } else if (json_array_size(item) == 2 && json_is_string(json_array_get(item, 0)) && json_is_string(json_array_get(item, 1))) {
            left = (str){json_string_value(json_array_get(item, 0)), json_string_length(json_array_get(item, 0))};
            right = (str){json_string_value(json_array_get(item, 1)), json_string_length(json_array_get(item, 1))};
        } else {
            return json_fail(source, WEIR_E_INVALID, "merges", "element %zu must be two texts", i);
        }
        if (bpe_add_merge(bpe, left, right, (uint32_t)i) < 0)
            return json_fail(source, WEIR_E_INVALID, "merges", "element %zu: a part or the whole is not in the vocabulary", i);
    }
    return 0;
}

static int read_unknown(const struct json_source *source, const json_t *model)
{
    str text;
    int status = json_member_str(model, "unk_token", &text, NULL);
    if (status < 0)
        return json_fail(source, WEIR_E_INVALID, "unk_token", "must be a string");
    if (status > 0)
        source->tokenizer->unknown = vocabulary_find(&source->tokenizer->vocabulary, text);
    return 0;
}

static int read_bpe(const struct json_source *source, const json_t *model)
{
    struct tokenizer *tokenizer = source->tokenizer;
    const json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
    if (!json_is_object(vocab))
        return json_fail(source, WEIR_E_INVALID, "vocab", "must be an object");
    if (!json_is_array(merges))
        return json_fail(source, WEIR_E_INVALID, "merges", "must be an array");
    int status = read_vocab_object(source, vocab);
    if (status < 0 || (status = read_unknown(source, model)) < 0)
        return status;
    size_t n = json_array_size(merges);
    struct bpe *bpe = &tokenizer->bpe;
    tokenizer->algorithm = ALGORITHM_BPE;
    if (bpe_init(bpe, &tokenizer->vocabulary, BPE_BY_PAIR, n, &tokenizer->arena, source->err) < 0)
        return json_fail(source, WEIR_E_LIMIT, "merges", "%zu are too many", n);
    bpe->unknown = tokenizer->unknown;
    if ((status = json_read_bool(source, model, "byte_fallback", &bpe->byte_fallback)) < 0 ||
        (status = json_read_bool(source, model, "fuse_unk", &bpe->fuse_unknown)) < 0 ||
        (status = json_read_bool(source, model, "ignore_merges", &bpe->ignore_merges)) < 0 ||
        (status = json_read_text(source, model, "continuing_subword_prefix", &bpe->prefix)) < 0 ||
        (status = json_read_text(source, model, "end_of_word_suffix", &bpe->suffix)) < 0)
        return status;
    if (bpe->prefix.n > 64 || bpe->suffix.n > 64)
        return json_fail(source, WEIR_E_LIMIT, "continuing_subword_prefix", "or the suffix is longer than 64 bytes");
    return read_merges(source, merges);
}

static int read_wordpiece(const struct json_source *source, const json_t *model, bool whole)
{
    struct tokenizer *tokenizer = source->tokenizer;
    struct wordpiece *wordpiece = &tokenizer->wordpiece;
    const json_t *vocab = json_object_get(model, "vocab");
    if (!json_is_object(vocab))
        return json_fail(source, WEIR_E_INVALID, "vocab", "must be an object");
    int status = read_vocab_object(source, vocab), most = 100;
    if (status < 0 || (status = read_unknown(source, model)) < 0)
        return status;
    tokenizer->algorithm = ALGORITHM_WORDPIECE;
    *wordpiece = (struct wordpiece){.vocabulary = &tokenizer->vocabulary, .unknown = tokenizer->unknown, .whole = whole};
    if (whole)
        return 0;
    wordpiece->continuation = STR("##");
    if ((status = json_read_text(source, model, "continuing_subword_prefix", &wordpiece->continuation)) < 0 ||
        (status = json_read_int(source, model, "max_input_chars_per_word", &most)) < 0)
        return status;
    if (most <= 0 || most > 1 << 20)
        return json_fail(source, WEIR_E_INVALID, "max_input_chars_per_word", "must be from 1 to %d", 1 << 20);
    wordpiece->max_chars = (size_t)most;
    return 0;
}

static int read_unigram(const struct json_source *source, const json_t *model)
{
    struct tokenizer *tokenizer = source->tokenizer;
    const json_t *vocab = json_object_get(model, "vocab");
    double *scores;
    int unknown = -1;
    if (!json_is_array(vocab) || json_array_size(vocab) == 0)
        return json_fail(source, WEIR_E_INVALID, "vocab", "must be an array of [text, score]");
    int status = read_vocab_list(source, vocab, &scores);
    if (status < 0 || (status = json_read_int(source, model, "unk_id", &unknown)) < 0)
        return status;
    if (unknown != -1 && (unknown < 0 || (size_t)unknown >= json_array_size(vocab)))
        return json_fail(source, WEIR_E_INVALID, "unk_id", "%d is out of range", unknown);
    tokenizer->algorithm = ALGORITHM_UNIGRAM;
    tokenizer->unknown = unknown;
    if ((status = unigram_init(&tokenizer->unigram, &tokenizer->vocabulary, scores, true, &tokenizer->arena, source->err)) < 0) {
        struct error inner = source->err != NULL ? *source->err : (struct error){0};
        return json_fail(source, (enum weir_status)status, "vocab", "%.200s", inner.text);
    }
    tokenizer->unigram.unknown = unknown;
    return json_read_bool(source, model, "byte_fallback", &tokenizer->unigram.byte_fallback);
}

int json_read_model(struct json_source *source, const json_t *model)
{
    str type = {NULL, 0};
    str_copy(source->where, sizeof source->where, STR("model"));
    if (!json_is_object(model))
        return json_fail(source, WEIR_E_INVALID, NULL, "must be an object");
    /* Old files leave the type out: told by what is there. */
    if (json_member_str(model, "type", &type, NULL) != 1)
        type = json_object_get(model, "merges") != NULL                     ? STR("BPE")
               : json_object_get(model, "max_input_chars_per_word") != NULL ? STR("WordPiece")
               : json_is_array(json_object_get(model, "vocab"))             ? STR("Unigram")
                                                                            : STR("WordLevel");
    if (str_equal(type, STR("BPE")))
        return read_bpe(source, model);
    if (str_equal(type, STR("WordPiece")))
        return read_wordpiece(source, model, false);
    if (str_equal(type, STR("WordLevel")))
        return read_wordpiece(source, model, true);
    if (str_equal(type, STR("Unigram")))
        return read_unigram(source, model);
    return json_fail(source, WEIR_E_UNSUPPORTED, "type", "\"%.40s\" is none of BPE, WordPiece, Unigram, WordLevel", type.data);
}
