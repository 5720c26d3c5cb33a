/* The tokenizer of a Hugging Face directory: tokenizer.json if it is there, else tokenizer.model (SentencePiece), else
 * vocab.txt (WordPiece). Which ids begin and end texts, and which end an answer, is said by tokenizer_config.json,
 * special_tokens_map.json, generation_config.json and config.json, the first that names one. */
#include "tokenizer/parts.h"

#include <limits.h>

enum { MOST_CONFIG_BYTES = 64 << 20 };

static int fail_in(struct error *err, int status, const char *path)
{
    error_prefix(err, path);
    return status;
}

/* A JSON object of the directory: NULL with status 0 when the file is not there. */
static int read_object(const struct model_file *file, const char *name, json_t **out, struct error *err)
{
    char path[PATH_MAX];
    *out = NULL;
    if (!model_file_sibling(file, name, path, sizeof path))
        return 0;
    struct buffer text;
    buffer_init(&text, MOST_CONFIG_BYTES);
    int status = file_read(path, &text, err);
    if (status == 0 && (*out = json_parse(str_after_mark(buffer_str(&text)), err)) == NULL)
        status = fail_in(err, WEIR_E_INVALID, path);
    buffer_release(&text);
    if (status == 0 && !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        status = error_set(err, WEIR_E_INVALID, path, "must be an object");
    }
    return status;
}

/* "eos_token": "</s>" or {"content": "</s>", …} */
static int32_t named_token(const struct tokenizer *tokenizer, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_object(value))
        value = json_object_get(value, "content");
    if (!json_is_string(value))
        return -1;
    return vocabulary_find(&tokenizer->vocabulary, (str){json_string_value(value), json_string_length(value)});
}

static void add_ends(struct tokenizer *tokenizer, const json_t *object)
{
    const json_t *ends = json_object_get(object, "eos_token_id");
    size_t n = json_is_array(ends) ? json_array_size(ends) : json_is_integer(ends);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_is_array(ends) ? json_array_get(ends, i) : ends;
        if (json_is_integer(id) && vocabulary_has(&tokenizer->vocabulary, json_integer_value(id)))
            tokenizer_add_end(tokenizer, (int32_t)json_integer_value(id));
    }
}

static void find_role(const struct tokenizer *tokenizer, const json_t *object, const char *name, const char *other, int32_t *out)
{
    if (*out < 0)
        *out = named_token(tokenizer, object, name);
    if (*out < 0 && other != NULL)
        *out = named_token(tokenizer, object, other);
}

static void find_role_id(const struct tokenizer *tokenizer, const json_t *object, const char *name, int32_t *out)
{
    const json_t *id = json_object_get(object, name);
    if (*out < 0 && json_is_integer(id) && vocabulary_has(&tokenizer->vocabulary, json_integer_value(id)))
        *out = (int32_t)json_integer_value(id);
}

static int read_roles(struct tokenizer *tokenizer, const struct model_file *file, const json_t *config, struct error *err)
{
    json_t *map = NULL, *generation = NULL;
    int status = read_object(file, "special_tokens_map.json", &map, err);
    if (status == 0)
        status = read_object(file, "generation_config.json", &generation, err);
    if (status == 0) {
        const json_t *sources[] = {config, map};
        for (int i = 0; i < 2; i++) {
            find_role(tokenizer, sources[i], "bos_token", "cls_token", &tokenizer->bos);
            find_role(tokenizer, sources[i], "eos_token", "sep_token", &tokenizer->eos);
            find_role(tokenizer, sources[i], "pad_token", NULL, &tokenizer->padding);
            find_role(tokenizer, sources[i], "mask_token", NULL, &tokenizer->mask);
        }
        const json_t *ids[] = {generation, model_file_config(file)};
        for (int i = 0; i < 2; i++) {
            find_role_id(tokenizer, ids[i], "bos_token_id", &tokenizer->bos);
            find_role_id(tokenizer, ids[i], "eos_token_id", &tokenizer->eos);
            find_role_id(tokenizer, ids[i], "pad_token_id", &tokenizer->padding);
            add_ends(tokenizer, ids[i]);
        }
    }
    json_decref(map);
    json_decref(generation);
    return status;
}

static bool frame_has(const struct frame *frame, int32_t id)
{
    for (int i = 0; i < frame->n; i++)
        if (frame->parts[i].kind == FRAME_TOKEN && frame->parts[i].id == id)
            return true;
    return false;
}

void tokenizer_complete_frame(struct tokenizer *tokenizer, bool bos, bool eos)
{
    bos = bos && tokenizer->bos >= 0 && !frame_has(&tokenizer->single, tokenizer->bos);
    eos = eos && tokenizer->eos >= 0 && !frame_has(&tokenizer->single, tokenizer->eos);
    struct frame *frames[] = {&tokenizer->single, &tokenizer->pair};
    for (int i = 0; i < 2; i++) {
        struct frame *frame = frames[i];
        if (bos && frame->n < TOKENIZER_MAX_FRAME) {
            memmove(&frame->parts[1], &frame->parts[0], (size_t)frame->n * sizeof *frame->parts);
            frame->parts[0] = (struct frame_part){FRAME_TOKEN, tokenizer->bos, 0};
            frame->n++;
        }
        if (eos && frame->n < TOKENIZER_MAX_FRAME)
            frame->parts[frame->n++] = (struct frame_part){FRAME_TOKEN, tokenizer->eos, 0};
    }
}

/* add_bos_token and add_eos_token. */
static void complete_frame(struct tokenizer *tokenizer, const json_t *config, bool bos_by_default)
{
    bool bos = bos_by_default, eos = false;
    if (json_member_bool(config, "add_bos_token", &bos, NULL) >= 0 && json_member_bool(config, "add_eos_token", &eos, NULL) >= 0)
        tokenizer_complete_frame(tokenizer, bos, eos);
}

static int add_bert_steps(struct tokenizer *tokenizer, const json_t *config)
{
    bool lower = true, ideographs = true;
    if (json_member_bool(config, "do_lower_case", &lower, NULL) < 0 || json_member_bool(config, "tokenize_chinese_chars", &ideographs, NULL) < 0)
        return WEIR_E_INVALID;
    bool strip = lower;
    if (json_member_bool(config, "strip_accents", &strip, NULL) < 0)
        return WEIR_E_INVALID;
    struct normalize_step *marks = NULL;
    bool added = normalizer_add(&tokenizer->normalizer, NORMALIZE_BERT_CLEAN) != NULL;
    if (ideographs)
        added = normalizer_add(&tokenizer->normalizer, NORMALIZE_BERT_IDEOGRAPHS) != NULL && added;
    if (strip && (added = normalizer_add(&tokenizer->normalizer, NORMALIZE_NFD) != NULL && added) &&
        (marks = normalizer_add(&tokenizer->normalizer, NORMALIZE_STRIP_MARKS)) != NULL)
        marks->nonspacing = true;
    if (lower)
        added = normalizer_add(&tokenizer->normalizer, NORMALIZE_LOWER) != NULL && added;
    return added && pretokenizer_add(&tokenizer->pretokenizer, SPLIT_BERT) != NULL ? 0 : WEIR_E_LIMIT;
}

/* vocab.txt: one token a line, its id the line's number from 0. */
static int read_vocab_lines(struct tokenizer *tokenizer, str text, const json_t *config, struct error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.data[i] == '\n' || (i + 1 == text.n);
    int status = vocabulary_init(&tokenizer->vocabulary, &tokenizer->arena, n, false, err);
    str kept, line;
    if (status < 0 || (status = tokenizer_keep(tokenizer, text, &kept, err)) < 0)
        return status;
    for (size_t id = 0; id < n && str_split(&kept, '\n', &line); id++) {
        if (line.n > 0 && line.data[line.n - 1] == '\r')
            line.n--;
        if (line.n > VOCABULARY_MAX_TOKEN_BYTES)
            return error_set(err, WEIR_E_LIMIT, "", "line %zu is longer than %d bytes", id + 1, VOCABULARY_MAX_TOKEN_BYTES);
        static const str controls[] = {STR("[PAD]"), STR("[CLS]"), STR("[SEP]"), STR("[MASK]"), STR("[UNK]")};
        enum token_kind kind = TOKEN_NORMAL;
        for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
            if (str_equal(line, controls[i]))
                kind = TOKEN_CONTROL;
        vocabulary_set(&tokenizer->vocabulary, (int32_t)id, line, kind);
    }
    vocabulary_find_bytes(&tokenizer->vocabulary);
    tokenizer->unknown = vocabulary_find(&tokenizer->vocabulary, STR("[UNK]"));
    tokenizer->algorithm = ALGORITHM_WORDPIECE;
    tokenizer->wordpiece = (struct wordpiece){.vocabulary = &tokenizer->vocabulary, .unknown = tokenizer->unknown,
                                              .continuation = STR("##"), .max_chars = 100};
    struct decode_step *step = decoding_add(&tokenizer->decoding, DECODE_WORDPIECE);
    if (step != NULL) {
        step->text = STR("##");
        step->clean = true;
    }
    tokenizer_set_frame(tokenizer, vocabulary_find(&tokenizer->vocabulary, STR("[CLS]")),
                        vocabulary_find(&tokenizer->vocabulary, STR("[SEP]")), true);
    if ((status = add_bert_steps(tokenizer, config)) < 0)
        return error_set(err, (enum weir_status)status, "tokenizer_config.json", "do_lower_case, strip_accents or tokenize_chinese_chars is no truth value");
    return tokenizer_add_from_kinds(tokenizer, err);
}

/* Reads whichever vocabulary there is: 1 found, 0 none. */
static int read_vocabulary(struct tokenizer *tokenizer, const struct model_file *file, const json_t *config, bool *bos, struct error *err)
{
    char path[PATH_MAX];
    bool json = model_file_sibling(file, "tokenizer.json", path, sizeof path);
    bool sentencepiece = !json && model_file_sibling(file, "tokenizer.model", path, sizeof path);
    if (!json && !sentencepiece && !model_file_sibling(file, "vocab.txt", path, sizeof path))
        return 0;
    int status = file_map_open(&tokenizer->map, path, err);
    if (status < 0)
        return status;
    if (tokenizer->map.n_bytes > TOKENIZER_MAX_FILE_BYTES)
        return error_set(err, WEIR_E_LIMIT, path, "larger than %d bytes", TOKENIZER_MAX_FILE_BYTES);
    str text = {(const char *)tokenizer->map.data, tokenizer->map.n_bytes};
    *bos = sentencepiece;
    status = json            ? tokenizer_read_json(tokenizer, text, err)
             : sentencepiece ? tokenizer_read_sentencepiece(tokenizer, text, err)
                             : read_vocab_lines(tokenizer, text, config, err);
    if (status < 0)
        return fail_in(err, status, path);
    if (!sentencepiece)
        file_map_close(&tokenizer->map);
    return 1;
}

int tokenizer_open_directory(struct tokenizer *tokenizer, const struct model_file *file, struct error *err)
{
    json_t *config;
    bool bos_by_default = false;
    int status = read_object(file, "tokenizer_config.json", &config, err);
    if (status < 0)
        return status;
    status = read_vocabulary(tokenizer, file, config, &bos_by_default, err);
    if (status == 1) {
        int roles = read_roles(tokenizer, file, config, err);
        if (roles == 0)
            complete_frame(tokenizer, config, bos_by_default);
        status = roles < 0 ? roles : 1;
    }
    json_decref(config);
    return status;
}
