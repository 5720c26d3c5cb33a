/* Chat: renders messages with the model's own template and turns the text into ids, such that nothing a message says can
 * become a special token.
 *
 * How: a noncharacter that occurs in no message is put inside every text of the messages that is spelled like a special
 * token ("<", mark, "|im_end|>"). After rendering, what is spelled like a special token comes from the template alone. The
 * stretches between the template's special tokens lose the marks and are encoded as plain text where they had one.
 * Messages without such text take no marks and are encoded as a whole.
 *
 * Roles are held to the known ones, because templates build special tokens from them ("<|" role "|>"). Content given as
 * parts of text is joined; a tool call's arguments, JSON in a string by OpenAI's rules, become the object that templates
 * expect; a developer message is a system message to templates that don't know the word. Immutable once open. */
#include "model/chat.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_TEMPLATE_BYTES = 4 << 20, MAX_CHAT_BYTES = 16 << 20, MARK_BYTES = 3 };

struct chat {
    struct chat_template *template;
    struct error failure; /* Of compiling; status 0: none. */
    const struct tokenizer *tokenizer;
    json_t *variables; /* bos_token and the like. */
    bool knows_developer;
    char **specials; /* Texts of special tokens. */
    size_t n_specials;
};

/* ------------------------------------------------------------------ opening */

/* A template in tokenizer_config.json's form: a string, or a list of {name, template} of which "default" is meant. */
static str template_of(const json_t *value)
{
    size_t index;
    json_t *item;
    if (json_is_string(value))
        return (str){json_string_value(value), json_string_length(value)};
    json_array_foreach(value, index, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name != NULL && strcmp(name, "default") == 0)
            return template_of(json_object_get(item, "template"));
    }
    return (str){NULL, 0};
}

static void set_variable(struct chat *chat, const char *name, const json_t *value)
{
    const json_t *content = json_is_object(value) ? json_object_get(value, "content") : value;
    if (json_is_string(content))
        (void)!json_object_set(chat->variables, name, (json_t *)(uintptr_t)content);
}

/* The text of one token as a variable. */
static void set_token(struct chat *chat, const char *name, int64_t id)
{
    struct buffer text;
    int32_t token = (int32_t)id;
    buffer_init(&text, 4096);
    if (chat->tokenizer != NULL && id >= 0 && id < tokenizer_size(chat->tokenizer) && tokenizer_decode(chat->tokenizer, &token, 1, true, &text) == 0 && text.n > 0)
        (void)!json_object_set_new(chat->variables, name, json_stringn(text.data, text.n));
    buffer_release(&text);
}

static int read_json(const char *path, json_t **out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, MAX_TEMPLATE_BYTES);
    int status = file_read(path, &text, err);
    if (status == 0 && (*out = json_parse(buffer_str(&text), err)) == NULL)
        status = error_prefix(err, path);
    buffer_release(&text);
    return status;
}

/* The template of a directory: chat_template.jinja, else what tokenizer_config.json or chat_template.json hold. */
static int read_directory(struct chat *chat, const struct model_file *file, struct buffer *source, struct error *err)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"};
    static const char *const files[] = {"tokenizer_config.json", "chat_template.json"};
    char path[PATH_MAX];
    if (model_file_sibling(file, "chat_template.jinja", path, sizeof path)) {
        int status = file_read(path, source, err);
        if (status < 0)
            return status;
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        json_t *config = NULL;
        if (!model_file_sibling(file, files[i], path, sizeof path))
            continue;
        int status = read_json(path, &config, err);
        if (status < 0)
            return status;
        for (size_t k = 0; i == 0 && k < sizeof names / sizeof *names; k++)
            set_variable(chat, names[k], json_object_get(config, names[k]));
        if (source->n == 0)
            buffer_append_str(source, template_of(json_object_get(config, "chat_template")));
        json_decref(config);
    }
    return 0;
}

static int read_gguf(struct chat *chat, const struct model_file *file, struct buffer *source, struct error *err)
{
    static const struct {
        const char *key;
        const char *name;
    } tokens[] = {
        {"tokenizer.ggml.bos_token_id", "bos_token"},
        {"tokenizer.ggml.eos_token_id", "eos_token"},
        {"tokenizer.ggml.unknown_token_id", "unk_token"},
        {"tokenizer.ggml.padding_token_id", "pad_token"},
    };
    str text = {NULL, 0};
    int found = gguf_str(file, "tokenizer.chat_template", &text, err);
    if (found < 0)
        return found;
    buffer_append_str(source, text);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens && found == 1; i++) {
        int64_t id;
        if (gguf_i64(file, tokens[i].key, &id, NULL) == 1)
            set_token(chat, tokens[i].name, id);
    }
    return 0;
}

/* The texts that must not come from a message. */
static int list_specials(struct chat *chat, struct error *err)
{
    int n = chat->tokenizer != NULL ? tokenizer_size(chat->tokenizer) : 0;
    size_t capacity = 0;
    struct buffer text;
    int status = 0;
    buffer_init(&text, 4096);
    for (int32_t id = 0; id < n && status == 0; id++) {
        if (!tokenizer_is_special(chat->tokenizer, id))
            continue;
        buffer_clear(&text);
        if (tokenizer_decode(chat->tokenizer, &id, 1, true, &text) < 0 || text.n < 2 || memchr(text.data, '\0', text.n) != NULL)
            continue;
        if (chat->n_specials == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            char **specials = realloc(chat->specials, capacity * sizeof *specials);
            if (specials == NULL) {
                status = error_set(err, WEIR_E_MEMORY, "chat template", "no memory");
                break;
            }
            chat->specials = specials;
        }
        chat->specials[chat->n_specials] = strndup(text.data, text.n);
        if (chat->specials[chat->n_specials] == NULL)
            status = error_set(err, WEIR_E_MEMORY, "chat template", "no memory");
        else
            chat->n_specials++;
    }
    buffer_release(&text);
    return status;
}

int chat_open(struct chat **out, const struct model_file *file, const struct tokenizer *tokenizer, struct error *err)
{
    struct buffer source;
    *out = NULL;
    struct chat *chat = calloc(1, sizeof *chat);
    if (chat == NULL || (chat->variables = json_object()) == NULL) {
        free(chat);
        return error_set(err, WEIR_E_MEMORY, "chat template", "no memory");
    }
    chat->tokenizer = tokenizer;
    buffer_init(&source, MAX_TEMPLATE_BYTES);
    int status = model_file_is_gguf(file) ? read_gguf(chat, file, &source, err) : read_directory(chat, file, &source, err);
    if (status == 0 && source.failed)
        status = error_set(err, WEIR_E_LIMIT, model_file_path(file), "the chat template is larger than %d bytes", MAX_TEMPLATE_BYTES);
    bool present = source.n > 0;
    if (status == 0 && present) {
        chat->knows_developer = str_find(buffer_str(&source), STR("developer")) >= 0;
        if (template_compile(&chat->template, buffer_str(&source), &chat->failure) < 0)
            log_event(LOG_WARN, "chat_template", "%s: the chat template does not compile: %s", model_file_path(file), chat->failure.text);
        status = list_specials(chat, err);
    }
    buffer_release(&source);
    if (status < 0 || !present) {
        chat_close(chat);
        return status;
    }
    *out = chat;
    return 0;
}

void chat_close(struct chat *chat)
{
    if (chat == NULL)
        return;
    template_free(chat->template);
    json_decref(chat->variables);
    for (size_t i = 0; i < chat->n_specials; i++)
        free(chat->specials[i]);
    free(chat->specials);
    free(chat);
}

const struct chat_template *chat_template_peek(const struct chat *chat)
{
    return chat != NULL ? chat->template : NULL;
}

/* ------------------------------------------------------------------ messages */

/* Bytes of the longest special token at s[at], 0: none begins there. */
static size_t special_at(const struct chat *chat, str s, size_t at)
{
    size_t longest = 0;
    for (size_t i = 0; i < chat->n_specials; i++) {
        size_t n = strlen(chat->specials[i]);
        if (n > longest && n <= s.n - at && memcmp(chat->specials[i], s.data + at, n) == 0)
            longest = n;
    }
    return longest;
}

/* Appends text with the mark inside everything that is spelled like a special token. */
static void mark_text(const struct chat *chat, str text, const char *mark, struct buffer *out, bool *marked)
{
    for (size_t i = 0; i < text.n; i++) {
        buffer_append_char(out, text.data[i]);
        if (special_at(chat, text, i) == 0)
            continue;
        size_t more = 0; /* To the end of the first character: a mark must not split one. */
        while (i + 1 + more < text.n && ((unsigned char)text.data[i + 1 + more] & 0xc0) == 0x80)
            more++;
        buffer_append(out, text.data + i + 1, more);
        buffer_append(out, mark, MARK_BYTES);
        i += more;
        *marked = true;
    }
}

/* A copy of a JSON value with all its strings marked. NULL: no memory. */
static json_t *mark_json(const struct chat *chat, const json_t *value, const char *mark, bool *marked)
{
    if (json_is_string(value)) {
        struct buffer text;
        buffer_init(&text, MAX_CHAT_BYTES);
        mark_text(chat, (str){json_string_value(value), json_string_length(value)}, mark, &text, marked);
        json_t *copy = text.failed ? NULL : json_stringn(text.data != NULL ? text.data : "", text.n);
        buffer_release(&text);
        return copy;
    }
    if (json_is_array(value)) {
        json_t *copy = json_array(), *item;
        size_t index;
        json_array_foreach(value, index, item) {
            if (json_array_append_new(copy, mark_json(chat, item, mark, marked)) < 0) {
                json_decref(copy);
                return NULL;
            }
        }
        return copy;
    }
    if (json_is_object(value)) {
        json_t *copy = json_object();
        for (void *at = json_object_iter((json_t *)(uintptr_t)value); at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
            struct buffer key;
            buffer_init(&key, MAX_CHAT_BYTES);
            mark_text(chat, str_of(json_object_iter_key(at)), mark, &key, marked);
            int status = key.failed ? -1 : json_object_set_new(copy, key.data != NULL ? key.data : "", mark_json(chat, json_object_iter_value(at), mark, marked));
            buffer_release(&key);
            if (status < 0) {
                json_decref(copy);
                return NULL;
            }
        }
        return copy;
    }
    return json_incref((json_t *)(uintptr_t)value);
}

/* Parts that are all text become one string; other content stays as it is. */
static int join_parts(json_t *message)
{
    json_t *content = json_object_get(message, "content"), *part;
    struct buffer text;
    size_t index;
    if (!json_is_array(content))
        return 0;
    buffer_init(&text, MAX_CHAT_BYTES);
    bool all_text = true;
    json_array_foreach(content, index, part) {
        str piece = {NULL, 0};
        all_text = all_text && json_member_str(part, "text", &piece, NULL) == 1;
        buffer_append_str(&text, piece);
    }
    int status = text.failed ? WEIR_E_LIMIT : 0;
    if (status == 0 && all_text && json_object_set_new(message, "content", json_stringn(text.data != NULL ? text.data : "", text.n)) < 0)
        status = WEIR_E_INVALID;
    buffer_release(&text);
    return status;
}

/* Arguments of tool calls as objects. */
static void open_arguments(json_t *message)
{
    json_t *calls = json_object_get(message, "tool_calls"), *call;
    size_t index;
    json_array_foreach(calls, index, call) {
        json_t *function = json_object_get(call, "function");
        str text;
        if (json_member_str(function, "arguments", &text, NULL) != 1)
            continue;
        json_t *arguments = json_parse(text, NULL);
        if (json_is_object(arguments))
            (void)!json_object_set(function, "arguments", arguments);
        json_decref(arguments);
    }
}

/* Checks roles and brings messages, a private copy, into the shape templates expect. */
static int shape_messages(const struct chat *chat, json_t *messages, struct error *err)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool", "function", "ipython"};
    size_t index;
    json_t *message;
    if (!json_is_array(messages))
        return error_set(err, WEIR_E_INVALID, "messages", "must be an array");
    json_array_foreach(messages, index, message) {
        char where[64];
        const char *role = json_string_value(json_object_get(message, "role"));
        bool known = false;
        for (size_t i = 0; i < sizeof roles / sizeof *roles && role != NULL; i++)
            known = known || strcmp(role, roles[i]) == 0;
        snprintf(where, sizeof where, "messages[%zu].role", index);
        if (!known)
            return error_set(err, WEIR_E_INVALID, where, "must be system, developer, user, assistant, tool or function");
        if (strcmp(role, "developer") == 0 && !chat->knows_developer && json_object_set_new(message, "role", json_string("system")) < 0)
            return error_set(err, WEIR_E_MEMORY, where, "no memory");
        snprintf(where, sizeof where, "messages[%zu].content", index);
        if (join_parts(message) < 0)
            return error_set(err, WEIR_E_INVALID, where, "is too large, or not valid UTF-8");
        open_arguments(message);
    }
    return 0;
}

/* A noncharacter (U+FDD0 … U+FDEF) that is nowhere in the text. */
static bool pick_mark(str text, char mark[MARK_BYTES + 1])
{
    for (uint32_t point = 0xfdd0; point <= 0xfdef; point++) {
        mark[utf8_encode(point, mark)] = '\0';
        if (str_find(text, str_of(mark)) < 0)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ text to ids */

/* Encodes one stretch between special tokens, as plain text without its marks when it has some. */
static int encode_stretch(const struct chat *chat, str stretch, const char *mark, struct ids *out, struct error *err)
{
    if (stretch.n == 0)
        return 0;
    if (str_find(stretch, str_of(mark)) < 0)
        return tokenizer_encode(chat->tokenizer, stretch, TOKENIZE_BARE | TOKENIZE_SPECIAL, out, err);
    struct buffer plain;
    buffer_init(&plain, stretch.n + 1);
    for (size_t i = 0; i < stretch.n; i++) {
        if (stretch.n - i >= MARK_BYTES && memcmp(stretch.data + i, mark, MARK_BYTES) == 0)
            i += MARK_BYTES - 1;
        else
            buffer_append_char(&plain, stretch.data[i]);
    }
    int status = plain.failed ? error_set(err, WEIR_E_MEMORY, "messages", "no memory") : tokenizer_encode(chat->tokenizer, buffer_str(&plain), TOKENIZE_BARE, out, err);
    buffer_release(&plain);
    return status;
}

static int encode_marked(const struct chat *chat, str text, const char *mark, struct ids *out, struct error *err)
{
    size_t begin = 0;
    int status = 0;
    for (size_t i = 0; i < text.n && status == 0;) {
        size_t n = special_at(chat, text, i);
        if (n == 0) {
            i++;
            continue;
        }
        status = encode_stretch(chat, (str){text.data + begin, i - begin}, mark, out, err);
        if (status == 0)
            status = tokenizer_encode(chat->tokenizer, (str){text.data + i, n}, TOKENIZE_BARE | TOKENIZE_SPECIAL, out, err);
        i += n;
        begin = i;
    }
    return status < 0 ? status : encode_stretch(chat, (str){text.data + begin, text.n - begin}, mark, out, err);
}

/* What the template sees. NULL: no memory. Takes messages and tools. */
static json_t *make_context(const struct chat *chat, json_t *messages_take, json_t *tools_take)
{
    json_t *context = json_copy(chat->variables);
    int status = json_object_set_new(context, "messages", messages_take);
    if (tools_take != NULL)
        status |= json_object_set_new(context, "tools", tools_take);
    status |= json_object_set_new(context, "add_generation_prompt", json_true());
    if (status == 0)
        return context;
    json_decref(context);
    return NULL;
}

int chat_ids(const struct chat *chat, const json_t *messages, const json_t *tools, struct ids *out, struct error *err)
{
    if (chat == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "messages", "the model has no chat template");
    if (chat->template == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "messages", "the model's chat template does not compile: %.200s", chat->failure.text);
    if (chat->tokenizer == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "messages", "the model has no tokenizer");
    char mark[MARK_BYTES + 1] = "";
    struct buffer all, text;
    json_t *shaped = json_deep_copy(messages), *context = NULL;
    bool marked = false, with_tools = json_is_array(tools) && json_array_size(tools) > 0;
    buffer_init(&all, MAX_CHAT_BYTES);
    buffer_init(&text, MAX_CHAT_BYTES);
    int status = shape_messages(chat, shaped, err);
    if (status < 0)
        goto done;
    json_write(shaped, &all);
    if (with_tools)
        json_write(tools, &all);
    if (all.failed) {
        status = error_set(err, WEIR_E_LIMIT, "messages", "are larger than %d bytes", MAX_CHAT_BYTES);
        goto done;
    }
    if (!pick_mark(buffer_str(&all), mark)) {
        status = error_set(err, WEIR_E_INVALID, "messages", "hold all of the noncharacters U+FDD0 to U+FDEF");
        goto done;
    }
    context = make_context(chat, mark_json(chat, shaped, mark, &marked), with_tools ? mark_json(chat, tools, mark, &marked) : NULL);
    if (context == NULL) {
        status = error_set(err, WEIR_E_MEMORY, "messages", "no memory");
        goto done;
    }
    enum template_failure failure;
    status = template_render(chat->template, context, NULL, &text, &failure, err);
    if (status == 0)
        status = marked ? encode_marked(chat, buffer_str(&text), mark, out, err)
                        : tokenizer_encode(chat->tokenizer, buffer_str(&text), TOKENIZE_BARE | TOKENIZE_SPECIAL, out, err);
done:
    json_decref(context);
    json_decref(shaped);
    buffer_release(&all);
    buffer_release(&text);
    return status;
}
