/* A GGUF file's tokenizer: the keys tokenizer.ggml.*.
 *
 * model: "gpt2" (byte-level BPE; merges), "llama" (SentencePiece BPE; scores), "t5" (Unigram; scores,
 * precompiled_charsmap), "bert" (WordPiece with U+2581 at the start of words). tokens, token_type and scores are arrays of
 * equal length; the ids of roles are <role>_token_id; add_bos_token, add_eos_token and add_space_prefix are booleans whose
 * default depends on the model. A vocabulary's texts stay in the file's mapping.
 *
 * tokenizer.huggingface.json is a whole tokenizer.json. Where a file has it, it says how texts are cut, and the other keys which
 * ids have a role; weir.end_token_ids lists what ends an answer when these are more than the keys have names for. */
#include "model/gguf.h"
#include "tokenizer/gguf_pretokenizer.h"
#include "tokenizer/parts.h"

#define KEY "tokenizer.ggml."
#define JSON_KEY "tokenizer.huggingface.json"

struct source {
    struct tokenizer *tokenizer;
    const struct model_file *file;
    const struct gguf *gguf;
    struct error *err;
};

static int fail(const struct source *source, enum weir_status status, const char *key, const char *what)
{
    char where[192];
    model_where(where, sizeof where, model_file_path(source->file), "key", str_of(key));
    return error_set(source->err, status, where, "%s", what);
}

/* Puts "path: key name" before what an inner function said. */
static int fail_within(const struct source *source, int status, const char *key)
{
    char where[192];
    model_where(where, sizeof where, model_file_path(source->file), "key", str_of(key));
    if (source->err != NULL)
        str_copy(source->err->where, sizeof source->err->where, str_of(where));
    return status;
}

static int read_bool(const struct source *source, const char *key, bool *out)
{
    int status = gguf_bool(source->file, key, out, source->err);
    return status < 0 ? status : 0;
}

/* A token id; stays as it is where the key is absent, and absent where the file says an id past the end. */
static int read_id(const struct source *source, const char *key, int32_t *out)
{
    int64_t id;
    int status = gguf_i64(source->file, key, &id, source->err);
    if (status <= 0)
        return status;
    if (id == -1 || id == UINT32_MAX) { /* How some converters write "none". */
        *out = -1;
        return 0;
    }
    if (!vocabulary_has(&source->tokenizer->vocabulary, id))
        return fail(source, WEIR_E_INVALID, key, "a token id past the end of the vocabulary");
    *out = (int32_t)id;
    return 0;
}

static const struct gguf_value *find_array(const struct source *source, const char *key)
{
    const struct gguf_value *value = gguf_find(source->gguf, str_of(key));
    return value != NULL && value->type == GGUF_ARRAY ? value : NULL;
}

static int read_vocabulary(const struct source *source)
{
    struct vocabulary *vocabulary = &source->tokenizer->vocabulary;
    const struct gguf_value *tokens = find_array(source, KEY "tokens"), *types = find_array(source, KEY "token_type"),
                            *scores = find_array(source, KEY "scores");
    if (tokens == NULL || tokens->n == 0)
        return fail(source, WEIR_E_INVALID, KEY "tokens", "must be an array of texts");
    if (types != NULL && types->n < tokens->n)
        return fail(source, WEIR_E_INVALID, KEY "token_type", "has fewer elements than tokens");
    if (scores != NULL && scores->n < tokens->n)
        return fail(source, WEIR_E_INVALID, KEY "scores", "has fewer elements than tokens");
    int status = vocabulary_init(vocabulary, &source->tokenizer->arena, tokens->n, scores != NULL, source->err);
    if (status < 0)
        return fail_within(source, status, KEY "tokens");
    for (size_t i = 0; i < tokens->n; i++) {
        str text;
        int64_t kind = TOKEN_NORMAL;
        if (!gguf_value_str(tokens, i, &text))
            return fail(source, WEIR_E_INVALID, KEY "tokens", "must be an array of texts");
        if (text.n > VOCABULARY_MAX_TOKEN_BYTES)
            return fail(source, WEIR_E_LIMIT, KEY "tokens", "a token is longer than 64 KiB");
        if (types != NULL && !gguf_value_i64(types, i, &kind))
            return fail(source, WEIR_E_INVALID, KEY "token_type", "must be an array of integers");
        if (kind < TOKEN_NORMAL || kind > TOKEN_BYTE)
            kind = TOKEN_NORMAL;
        vocabulary_set(vocabulary, (int32_t)i, text, (enum token_kind)kind);
        double score;
        if (scores != NULL) {
            if (!gguf_value_f64(scores, i, &score) || score != score)
                return fail(source, WEIR_E_INVALID, KEY "scores", "must be an array of numbers");
            vocabulary->scores[i] = (float)score;
        }
    }
    return 0;
}

static int open_byte_bpe(const struct source *source, bool *add_bos)
{
    struct tokenizer *tokenizer = source->tokenizer;
    str name = {NULL, 0};
    int status = gguf_str(source->file, KEY "pre", &name, source->err);
    if (status < 0)
        return status;
    const struct gguf_pretokenizer *which = gguf_pretokenizer_find(name);
    if (which == NULL) {
        log_event(LOG_WARN, "unknown_pretokenizer", "%s: pre-tokenizer \"" STR_FMT "\" is not known; the default is used",
                  model_file_path(source->file), (int)(name.n < 64 ? name.n : 64), name.data);
        which = gguf_pretokenizer_find(STR("default"));
    }
    if ((status = gguf_pretokenizer_build(which, &tokenizer->pretokenizer, source->err)) < 0)
        return fail_within(source, status, KEY "pre");
    const struct gguf_value *merges = find_array(source, KEY "merges");
    if (merges == NULL)
        return fail(source, WEIR_E_INVALID, KEY "merges", "must be an array of texts");
    tokenizer->algorithm = ALGORITHM_BPE;
    status = bpe_init(&tokenizer->bpe, &tokenizer->vocabulary, BPE_BY_SPLIT, merges->n, &tokenizer->arena, source->err);
    if (status < 0)
        return fail_within(source, status, KEY "merges");
    tokenizer->bpe.ignore_merges = which->ignore_merges;
    for (size_t i = 0; i < merges->n; i++) {
        str line;
        if (!gguf_value_str(merges, i, &line))
            return fail(source, WEIR_E_INVALID, KEY "merges", "must be an array of texts");
        const char *blank = line.n > 1 ? memchr(line.data + 1, ' ', line.n - 1) : NULL;
        if (blank == NULL)
            continue;
        size_t n = (size_t)(blank - line.data);
        /* A merge whose parts are no tokens can never happen. */
        status = bpe_add_merge(&tokenizer->bpe, (str){line.data, n}, (str){blank + 1, line.n - n - 1}, (uint32_t)i);
        (void)status;
    }
    *add_bos = which->add_bos;
    tokenizer->added_raw = true;
    if (decoding_add(&tokenizer->decoding, DECODE_BYTES) == NULL)
        return fail(source, WEIR_E_LIMIT, KEY "model", "too many decoding steps");
    return 0;
}

static int open_sentencepiece_bpe(const struct source *source)
{
    struct tokenizer *tokenizer = source->tokenizer;
    bool prefix = true;
    int status = read_bool(source, KEY "add_space_prefix", &prefix);
    if (status < 0)
        return status;
    tokenizer->algorithm = ALGORITHM_BPE;
    if ((status = bpe_init(&tokenizer->bpe, &tokenizer->vocabulary, BPE_BY_SCORE, 0, &tokenizer->arena, source->err)) < 0)
        return fail_within(source, status, KEY "tokens");
    tokenizer->bpe.byte_fallback = true;
    tokenizer->bpe.unknown = tokenizer->unknown;
    struct normalize_step *step;
    if (prefix && (step = normalizer_add(&tokenizer->normalizer, NORMALIZE_PREPEND)) != NULL)
        step->content = STR("\xE2\x96\x81");
    if ((step = normalizer_add(&tokenizer->normalizer, NORMALIZE_REPLACE)) != NULL) {
        step->text = STR(" ");
        step->content = STR("\xE2\x96\x81");
    }
    return tokenizer_set_sentencepiece_decoding(tokenizer, prefix, source->err);
}

static int open_unigram(const struct source *source)
{
    struct tokenizer *tokenizer = source->tokenizer;
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    bool prefix = true, collapse = true;
    int status = read_bool(source, KEY "add_space_prefix", &prefix);
    if (status == 0)
        status = read_bool(source, KEY "remove_extra_whitespaces", &collapse);
    if (status < 0)
        return status;
    if (vocabulary->scores == NULL)
        return fail(source, WEIR_E_INVALID, KEY "scores", "is missing");
    double *scores = arena_array(&tokenizer->arena, vocabulary->n, sizeof *scores);
    if (scores == NULL)
        return fail(source, WEIR_E_MEMORY, KEY "scores", "out of memory");
    for (size_t i = 0; i < vocabulary->n; i++)
        scores[i] = vocabulary->kinds[i] == TOKEN_USER_DEFINED ? 0 : (double)vocabulary->scores[i];
    tokenizer->algorithm = ALGORITHM_UNIGRAM;
    if ((status = unigram_init(&tokenizer->unigram, vocabulary, scores, false, &tokenizer->arena, source->err)) < 0)
        return fail_within(source, status, KEY "tokens");
    tokenizer->unigram.unknown = tokenizer->unknown;
    struct normalize_step *step = normalizer_add(&tokenizer->normalizer, NORMALIZE_SENTENCEPIECE);
    if (step == NULL)
        return fail(source, WEIR_E_LIMIT, KEY "model", "too many steps");
    step->left = collapse;
    step->right = prefix;
    step->content = STR("\xE2\x96\x81");
    const struct gguf_value *map = find_array(source, KEY "precompiled_charsmap");
    if (map != NULL && map->element != GGUF_U8 && map->element != GGUF_I8)
        return fail(source, WEIR_E_INVALID, KEY "precompiled_charsmap", "must be an array of bytes");
    if (map != NULL && (status = charsmap_init(&step->charsmap, (str){(const char *)map->data, map->n}, source->err)) < 0)
        return fail_within(source, status, KEY "precompiled_charsmap");
    return tokenizer_set_sentencepiece_decoding(tokenizer, prefix, source->err);
}

static int open_wordpiece(const struct source *source)
{
    struct tokenizer *tokenizer = source->tokenizer;
    tokenizer->algorithm = ALGORITHM_WORDPIECE;
    tokenizer->wordpiece = (struct wordpiece){.vocabulary = &tokenizer->vocabulary, .unknown = tokenizer->unknown, .start = STR("\xE2\x96\x81")};
    struct split_step *words = pretokenizer_add(&tokenizer->pretokenizer, SPLIT_BERT);
    struct decode_step *mark = decoding_add(&tokenizer->decoding, DECODE_REPLACE);
    struct decode_step *strip = decoding_add(&tokenizer->decoding, DECODE_STRIP);
    bool whole = normalizer_add(&tokenizer->normalizer, NORMALIZE_BASE_LETTERS) != NULL &&
                 normalizer_add(&tokenizer->normalizer, NORMALIZE_STRIP_MARKS) != NULL &&
                 normalizer_add(&tokenizer->normalizer, NORMALIZE_BERT_CLEAN) != NULL &&
                 normalizer_add(&tokenizer->normalizer, NORMALIZE_BERT_IDEOGRAPHS) != NULL &&
                 normalizer_add(&tokenizer->normalizer, NORMALIZE_LOWER) != NULL;
    if (!whole || words == NULL || mark == NULL || strip == NULL)
        return fail(source, WEIR_E_LIMIT, KEY "model", "too many steps");
    mark->text = STR("\xE2\x96\x81");
    mark->content = STR(" ");
    strip->text = STR(" ");
    strip->left = 1;
    strip->whole = true;
    tokenizer->added_raw = true;
    return 0;
}

/* Texts that end a turn or mark a hole to fill are control tokens, whatever the file's converter made of them. */
static void mark_control(struct vocabulary *vocabulary)
{
    static const str texts[] = {STR("<|eot_id|>"), STR("<|im_end|>"), STR("<|end|>"), STR("<end_of_turn>"), STR("<|endoftext|>"),
                                STR("<|eom_id|>"), STR("</s>"), STR("<EOT>"), STR("_<EOT>"), STR("[EOT]"), STR("[EOS]"),
                                STR("<|end_of_text|>"), STR("<|return|>"), STR("<|call|>"), STR("<eos>"), STR("<|fim_prefix|>"), STR("<fim-prefix>"),
                                STR("<fim_prefix>"), STR("<｜fim▁begin｜>"), STR("<PRE>"), STR("▁<PRE>"), STR("<|fim_suffix|>"),
                                STR("<fim-suffix>"), STR("<fim_suffix>"), STR("<｜fim▁hole｜>"), STR("<SUF>"), STR("▁<SUF>"),
                                STR("<|fim_middle|>"), STR("<fim-middle>"), STR("<fim_middle>"), STR("<｜fim▁end｜>"),
                                STR("<MID>"), STR("▁<MID>"), STR("<|fim_pad|>"), STR("<fim-pad>"), STR("<fim_pad>"),
                                STR("<PAD>"), STR("<|fim_repo|>"), STR("<|repo_name|>"), STR("<fim-repo>"), STR("<REPO>"),
                                STR("<reponame>"), STR("<|file_sep|>"), STR("<｜end▁of▁sentence｜>"), STR("<end_of_utterance>")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int32_t id = vocabulary_find(vocabulary, texts[i]);
        if (id >= 0)
            vocabulary->kinds[id] = TOKEN_CONTROL;
    }
}

/* Strips that files can't say: Phi-3's tokens take the white space behind them, some masks that before them. */
static void mark_strips(const struct source *source)
{
    struct added_tokens *added = &source->tokenizer->added;
    str name = {NULL, 0}, pre = {NULL, 0};
    char lower[128];
    if (gguf_str(source->file, "general.name", &name, NULL) < 0 || gguf_str(source->file, KEY "pre", &pre, NULL) < 0)
        return;
    str_copy(lower, sizeof lower, name);
    for (char *c = lower; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 32);
    bool phi3 = strstr(lower, "phi-3") != NULL || strstr(lower, "phi3") != NULL;
    bool left_mask = str_starts(pre, STR("jina-v2-")) || str_equal(model_file_architecture(source->file), STR("nomic-bert-moe"));
    bool modern = strstr(lower, "modern-bert") != NULL;
    for (size_t i = 0; i < added->n; i++) {
        struct added_token *token = &added->list[i];
        token->right_strip = phi3 && (token->special || str_equal(token->text, STR("</s>"))) && !str_equal(token->text, STR("<unk>")) &&
                             !str_equal(token->text, STR("<s>")) && !str_equal(token->text, STR("<|endoftext|>"));
        token->left_strip = (left_mask && str_equal(token->text, STR("<mask>"))) || (modern && str_equal(token->text, STR("[MASK]")));
    }
}

static int read_roles(const struct source *source, str model)
{
    struct tokenizer *tokenizer = source->tokenizer;
    if (str_equal(model, STR("bert"))) { /* Where the file is silent: BERT's own ids. */
        bool whole = tokenizer->vocabulary.n > 102;
        tokenizer->bos = whole ? 101 : -1;
        tokenizer->eos = whole ? 102 : -1;
        tokenizer->unknown = whole ? 100 : -1;
    }
    static const char *const ends[] = {KEY "eot_token_id", KEY "eom_token_id"};
    int status = read_id(source, KEY "bos_token_id", &tokenizer->bos);
    if (status == 0)
        status = read_id(source, KEY "eos_token_id", &tokenizer->eos);
    if (status == 0)
        status = read_id(source, KEY "unknown_token_id", &tokenizer->unknown);
    for (size_t i = 0; i < 2 && status == 0; i++) {
        int32_t id = -1;
        status = read_id(source, ends[i], &id);
        if (status == 0)
            tokenizer_add_end(tokenizer, id);
    }
    return status;
}

static int open_frame(const struct source *source, str model, bool add_bos)
{
    struct tokenizer *tokenizer = source->tokenizer;
    bool bert = str_equal(model, STR("bert")), add_eos = str_equal(model, STR("t5"));
    int status = read_bool(source, KEY "add_bos_token", &add_bos);
    if (status == 0)
        status = read_bool(source, KEY "add_eos_token", &add_eos);
    if (status < 0)
        return status;
    if (!bert) {
        tokenizer_set_frame(tokenizer, add_bos ? tokenizer->bos : -1, add_eos ? tokenizer->eos : -1, false);
        return 0;
    }
    int32_t classify = tokenizer->bos, separator = tokenizer->eos;
    status = read_id(source, KEY "cls_token_id", &classify);
    if (status == 0)
        status = read_id(source, KEY "seperator_token_id", &separator); /* Spelled so in the format. */
    if (status == 0)
        tokenizer_set_frame(tokenizer, add_bos ? classify : -1, separator, true);
    return status;
}

static int read_ends(const struct source *source)
{
    const struct gguf_value *ends = find_array(source, "weir.end_token_ids");
    for (size_t i = 0; i < (ends != NULL ? ends->n : 0); i++) {
        int64_t id;
        if (!gguf_value_i64(ends, i, &id) || !vocabulary_has(&source->tokenizer->vocabulary, id))
            return fail(source, WEIR_E_INVALID, "weir.end_token_ids", "must be an array of token ids");
        tokenizer_add_end(source->tokenizer, (int32_t)id);
    }
    return 0;
}

/* A tokenizer.json inside the file. */
static int open_json(const struct source *source, str json, str model)
{
    struct tokenizer *tokenizer = source->tokenizer;
    bool bos = false, eos = false;
    if (json.n > TOKENIZER_MAX_FILE_BYTES)
        return fail(source, WEIR_E_LIMIT, JSON_KEY, "is too large");
    int status = tokenizer_read_json(tokenizer, json, source->err);
    if (status < 0) {
        error_prefix(source->err, JSON_KEY);
        return error_prefix(source->err, model_file_path(source->file));
    }
    int32_t unknown = tokenizer->unknown;
    status = read_roles(source, model);
    tokenizer->unknown = unknown;
    if (status == 0)
        status = read_ends(source);
    if (status == 0)
        status = read_bool(source, KEY "add_bos_token", &bos);
    if (status == 0)
        status = read_bool(source, KEY "add_eos_token", &eos);
    if (status == 0)
        tokenizer_complete_frame(tokenizer, bos, eos);
    return status < 0 ? status : 1;
}

int tokenizer_open_gguf(struct tokenizer *tokenizer, const struct model_file *file, struct error *err)
{
    struct source source = {tokenizer, file, model_file_gguf(file), err};
    str model, json;
    int status = gguf_str(file, KEY "model", &model, err);
    if (status == 1 && (status = gguf_str(file, JSON_KEY, &json, err)) == 1)
        return open_json(&source, json, model);
    if (status >= 0)
        status = gguf_str(file, KEY "model", &model, err);
    if (status <= 0 || str_equal(model, STR("no_vocab")) || str_equal(model, STR("none")))
        return status < 0 ? status : 0;
    if ((status = read_vocabulary(&source)) < 0 || (status = read_roles(&source, model)) < 0 || (status = read_ends(&source)) < 0)
        return status;
    mark_control(&tokenizer->vocabulary);
    vocabulary_find_bytes(&tokenizer->vocabulary);
    bool add_bos = !str_equal(model, STR("t5"));
    if (str_equal(model, STR("gpt2")))
        status = open_byte_bpe(&source, &add_bos);
    else if (str_equal(model, STR("llama")))
        status = open_sentencepiece_bpe(&source);
    else if (str_equal(model, STR("t5")))
        status = open_unigram(&source);
    else if (str_equal(model, STR("bert")))
        status = open_wordpiece(&source);
    else
        status = fail(&source, WEIR_E_UNSUPPORTED, KEY "model", "names an algorithm other than gpt2, llama, t5 and bert");
    if (status == 0 && (status = tokenizer_add_from_kinds(tokenizer, err)) < 0)
        status = fail_within(&source, status, KEY "token_type");
    if (status == 0) {
        mark_strips(&source);
        status = open_frame(&source, model, add_bos);
    }
    return status < 0 ? status : 1;
}
