/* tokenizer.json (the tokenizers library's format): an object with
 *   model           {"type": "BPE"|"WordPiece"|"Unigram"|"WordLevel", "vocab", "merges", …}
 *   added_tokens    [{"id", "content", "special", "single_word", "lstrip", "rstrip", "normalized"}]
 *   normalizer, pre_tokenizer, post_processor, decoder   {"type", …} or null; "Sequence" holds several
 * "truncation" and "padding" are the caller's business and ignored. The document is parsed whole, checked and copied; nothing
 * of it stays. Every error names the key. */
#include "tokenizer/tokenizer_json.h"

/* A token that is not in the model's vocabulary is put there under the id it names. */
static int place_added(const struct json_source *source, const json_t *item, size_t i, struct added_token *out)
{
    struct vocabulary *vocabulary = &source->tokenizer->vocabulary;
    int64_t id = -1;
    str text;
    int status;
    if (json_member_str(item, "content", &text, NULL) != 1 || text.n == 0 || text.n > VOCABULARY_MAX_TOKEN_BYTES)
        return json_fail(source, WEIR_E_INVALID, NULL, "element %zu: content must be a string of 1 to %d bytes", i, VOCABULARY_MAX_TOKEN_BYTES);
    if (json_member_i64(item, "id", &id, NULL) != 1 || !vocabulary_has(vocabulary, id))
        return json_fail(source, WEIR_E_INVALID, NULL, "element %zu: id is out of range", i);
    if ((status = json_read_bool(source, item, "special", &out->special)) < 0 ||
        (status = json_read_bool(source, item, "single_word", &out->single_word)) < 0 ||
        (status = json_read_bool(source, item, "lstrip", &out->left_strip)) < 0 ||
        (status = json_read_bool(source, item, "rstrip", &out->right_strip)) < 0)
        return status;
    out->normalized = !out->special;
    if ((status = json_read_bool(source, item, "normalized", &out->normalized)) < 0)
        return status;
    enum token_kind kind = out->special ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
    int32_t known = vocabulary_find(vocabulary, text);
    if (known >= 0) {
        out->id = known;
        out->text = vocabulary->texts[known];
        vocabulary->kinds[known] = (uint8_t)kind;
        return 0;
    }
    if (vocabulary->kinds[id] != TOKEN_ABSENT)
        return json_fail(source, WEIR_E_INVALID, NULL, "element %zu: id %lld belongs to another token", i, (long long)id);
    if ((status = tokenizer_keep(source->tokenizer, text, &out->text, source->err)) < 0)
        return status;
    out->id = (int32_t)id;
    vocabulary_set(vocabulary, out->id, out->text, kind);
    return 0;
}

static int normal_text(const struct json_source *source, str text, str *out)
{
    struct buffer normal, spare;
    buffer_init(&normal, 16 * VOCABULARY_MAX_TOKEN_BYTES);
    buffer_init(&spare, 16 * VOCABULARY_MAX_TOKEN_BYTES);
    buffer_append_str(&normal, text);
    int status = normalizer_run(&source->tokenizer->normalizer, &normal, &spare);
    status = status < 0 ? json_fail(source, WEIR_E_LIMIT, NULL, "a token is too long when normalized")
                        : tokenizer_keep(source->tokenizer, buffer_str(&normal), out, source->err);
    buffer_release(&normal);
    buffer_release(&spare);
    return status;
}

static int read_added(struct json_source *source)
{
    const json_t *list = json_object_get(source->root, "added_tokens");
    str_copy(source->where, sizeof source->where, STR("added_tokens"));
    if (list != NULL && !json_is_array(list) && !json_is_null(list))
        return json_fail(source, WEIR_E_INVALID, NULL, "must be an array");
    size_t n = json_array_size(list);
    struct arena *arena = &source->tokenizer->arena;
    struct added_token *added = arena_array(arena, n, sizeof *added);
    str *texts = arena_array(arena, n, sizeof *texts);
    if (added == NULL || texts == NULL)
        return json_fail(source, WEIR_E_MEMORY, NULL, "out of memory");
    for (size_t i = 0; i < n; i++) {
        int status = place_added(source, json_array_get(list, i), i, &added[i]);
        if (status == 0 && added[i].normalized)
            status = normal_text(source, added[i].text, &texts[i]);
        else if (status == 0)
            texts[i] = added[i].text;
        if (status < 0)
            return status;
    }
    return added_tokens_init(&source->tokenizer->added, added, texts, n, arena) < 0
               ? json_fail(source, WEIR_E_MEMORY, NULL, "out of memory")
               : 0;
}

static int read_component(struct json_source *source, const char *name, json_component_fn *read)
{
    const json_t *component = json_object_get(source->root, name);
    str_copy(source->where, sizeof source->where, str_of(name));
    return component == NULL ? 0 : read(source, component, 0);
}

static int read_document(struct json_source *source)
{
    struct tokenizer *tokenizer = source->tokenizer;
    if (!json_is_object(source->root))
        return json_fail(source, WEIR_E_INVALID, NULL, "must be an object");
    int status = json_read_model(source, json_object_get(source->root, "model"));
    if (status == 0)
        status = read_component(source, "normalizer", json_read_normalizer);
    if (status == 0)
        status = read_component(source, "pre_tokenizer", json_read_pretokenizer);
    if (status == 0)
        status = read_added(source);
    tokenizer_set_frame(tokenizer, -1, -1, true);
    if (status == 0)
        status = read_component(source, "post_processor", json_read_processor);
    if (status == 0)
        status = read_component(source, "decoder", json_read_decoder);
    if (status < 0)
        return status;
    tokenizer->added_raw = true;
    if (tokenizer->decoding.n_steps == 0) { /* Without a decoder tokens stand apart: no token begins with this byte. */
        struct decode_step *step = decoding_add(&tokenizer->decoding, DECODE_WORDPIECE);
        step->text = STR("\xFF");
    }
    for (int i = 0; i < tokenizer->decoding.n_steps; i++)
        if (tokenizer->decoding.steps[i].kind == DECODE_WORDPIECE)
            tokenizer->added_raw = false;
    return 0;
}

int tokenizer_read_json(struct tokenizer *tokenizer, str text, struct error *err)
{
    json_t *root = json_parse(str_after_mark(text), err);
    if (root == NULL)
        return err != NULL ? (int)err->status : WEIR_E_INVALID;
    struct json_source source = {.tokenizer = tokenizer, .root = root, .err = err};
    int status = read_document(&source);
    json_decref(root);
    return status;
}
