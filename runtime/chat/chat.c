/* Chat: a model's own template, what it shows of the model's marks, and messages to ids through it, such that nothing a message
 * says can become a special token (specials.h). Messages without text spelled like one take no marks and are encoded as a whole.
 * Immutable once open. */
#include "chat/chat.h"

#include "chat/chat_begun.h"
#include "chat/chat_messages.h"
#include "chat/format_probe.h"
#include "chat/specials.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_TEMPLATE_BYTES = 4 << 20 };

struct chat {
    struct chat_template *template;
    struct buffer source;
    struct error failure; /* Of compiling; status 0: none. */
    struct specials specials;
    json_t *variables; /* bos_token and the like. */
    bool knows_developer;
    struct answer_format format;
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
    if (chat->specials.tokenizer != NULL && id >= 0 && id < tokenizer_size(chat->specials.tokenizer) && tokenizer_decode(chat->specials.tokenizer, &token, 1, true, &text) == 0 && text.n > 0)
        (void)!json_object_set_new(chat->variables, name, json_stringn(text.data, text.n));
    buffer_release(&text);
}

static int read_json(const char *path, json_t **out, struct error *err)
{
    struct buffer text;
    buffer_init(&text, MAX_TEMPLATE_BYTES);
    int status = file_read(path, &text, err);
    if (status == 0 && (*out = json_parse(str_after_mark(buffer_str(&text)), err)) == NULL)
        status = error_prefix(err, path);
    buffer_release(&text);
    return status;
}

/* The template of a directory: chat_template.jinja, else what tokenizer_config.json or chat_template.json hold. chat may be NULL. */
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
        for (size_t k = 0; chat != NULL && i == 0 && k < sizeof names / sizeof *names; k++)
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

int chat_read_source(const struct model_file *file, struct buffer *source, struct error *err)
{
    return read_directory(NULL, file, source, err);
}

int chat_open(struct chat **out, const struct model_file *file, const struct tokenizer *tokenizer, struct error *err)
{
    *out = NULL;
    struct chat *chat = calloc(1, sizeof *chat);
    if (chat == NULL || (chat->variables = json_object()) == NULL) {
        free(chat);
        return error_set(err, WEIR_E_MEMORY, "chat template", "no memory");
    }
    chat->specials.tokenizer = tokenizer;
    struct buffer *source = &chat->source;
    buffer_init(source, MAX_TEMPLATE_BYTES);
    int status = model_file_is_gguf(file) ? read_gguf(chat, file, source, err) : read_directory(chat, file, source, err);
    if (status == 0 && source->failed)
        status = error_set(err, WEIR_E_LIMIT, model_file_path(file), "the chat template is larger than %d bytes", MAX_TEMPLATE_BYTES);
    bool present = source->n > 0;
    if (status == 0 && present) {
        chat->knows_developer = str_find(buffer_str(source), STR("developer")) >= 0;
        if (template_compile(&chat->template, buffer_str(source), &chat->failure) < 0)
            log_event(LOG_WARN, "chat_template", "%s: the chat template does not compile: %s", model_file_path(file), chat->failure.text);
        status = specials_open(&chat->specials, tokenizer, err);
        struct error unlearnt;
        if (status == 0 && chat->template != NULL && answer_format_learn(&chat->format, chat->template, buffer_str(source), chat->variables, &unlearnt) < 0) {
            log_event(LOG_WARN, "chat_template", "%s: %s: tools and reasoning are not told apart", model_file_path(file), unlearnt.text);
            chat->format = (struct answer_format){.form = CALL_NONE};
        }
    }
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
    buffer_release(&chat->source);
    specials_close(&chat->specials);
    free(chat);
}

const struct chat_template *chat_template_peek(const struct chat *chat)
{
    return chat != NULL ? chat->template : NULL;
}

const struct answer_format *chat_format_peek(const struct chat *chat)
{
    return chat != NULL && chat->template != NULL ? &chat->format : NULL;
}

/* ------------------------------------------------------------------ messages to ids */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool chat_knows(const struct chat *chat, const char *variable)
{
    str rest = chat != NULL ? buffer_str(&chat->source) : (str){NULL, 0};
    size_t n = strlen(variable), at = 0;
    for (ptrdiff_t found; n > 0 && (found = str_find((str){rest.data + at, rest.n - at}, str_of(variable))) >= 0; at += n) {
        at += (size_t)found;
        bool begins = at == 0 || !is_word(rest.data[at - 1]), ends = at + n == rest.n || !is_word(rest.data[at + n]);
        if (begins && ends)
            return true;
    }
    return false;
}

static int check_variables(const struct chat *chat, const json_t *variables, struct error *err)
{
    static const char *const ours[] = {"messages", "tools", "xml_tools", "add_generation_prompt"};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)variables, name, value) {
        char where[128];
        bool taken = json_object_get(chat->variables, name) != NULL;
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            taken |= strcmp(name, ours[i]) == 0;
        snprintf(where, sizeof where, "chat_template_kwargs.%.64s", name);
        if (taken || !chat_knows(chat, name))
            return error_set(err, WEIR_E_UNSUPPORTED, where, taken ? "is not the caller's to set" : "the model's chat template does not know it");
    }
    return 0;
}

/* What the template sees. NULL: no memory. Takes messages, tools and variables. */
static json_t *make_context(const struct chat *chat, json_t *messages_take, json_t *tools_take, json_t *variables_take)
{
    json_t *context = json_copy(chat->variables);
    int status = variables_take != NULL ? json_object_update(context, variables_take) : 0;
    json_decref(variables_take);
    if (tools_take != NULL)
        status |= tools_place_into(chat->format.tools_place, context, messages_take, tools_take);
    status |= json_object_set_new(context, "messages", messages_take);
    status |= json_object_set_new(context, "add_generation_prompt", json_true());
    if (status == 0)
        return context;
    json_decref(context);
    return NULL;
}

int chat_prompt(const struct chat *chat, const json_t *messages, const struct chat_settings *settings, struct ids *out, struct chat_begun *begun,
                struct error *err)
{
    if (chat == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "messages", "the model has no chat template");
    if (chat->template == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "messages", "the model's chat template does not compile: %.200s", chat->failure.text);
    if (chat->specials.tokenizer == NULL)
        return error_set(err, WEIR_E_UNSUPPORTED, "messages", "the model has no tokenizer");
    const json_t *tools = json_array_size(settings->tools) > 0 ? settings->tools : NULL;
    if (tools != NULL && chat->format.tools_place == TOOLS_NOWHERE)
        return error_set(err, WEIR_E_UNSUPPORTED, "tools", "the model's chat template shows no tools");
    int status = check_variables(chat, settings->variables, err);
    if (status < 0)
        return status;
    char mark[SPECIALS_MARK_BYTES + 1] = "";
    struct buffer all, text;
    json_t *shaped = json_deep_copy(messages), *marked = NULL, *context = NULL;
    bool has_marks = false;
    buffer_init(&all, CHAT_MAX_BYTES);
    buffer_init(&text, CHAT_MAX_BYTES);
    status = chat_messages_shape(&chat->format, chat->knows_developer, shaped, err);
    if (status < 0)
        goto done;
    json_write(shaped, &all);
    if (tools != NULL)
        json_write(tools, &all);
    if (settings->variables != NULL)
        json_write(settings->variables, &all);
    if (all.failed) {
        status = error_set(err, WEIR_E_LIMIT, "messages", "are larger than %d bytes", CHAT_MAX_BYTES);
        goto done;
    }
    if (!specials_pick_mark(buffer_str(&all), mark)) {
        status = error_set(err, WEIR_E_INVALID, "messages", "hold all of the noncharacters U+FDD0 to U+FDEF");
        goto done;
    }
    marked = specials_mark(&chat->specials, shaped, mark, &has_marks);
    if (marked != NULL && chat->format.calls_as_content && (status = chat_messages_write_calls(&chat->format, marked, err)) < 0)
        goto done;
    if (marked != NULL)
        context = make_context(chat, json_incref(marked), tools != NULL ? specials_mark(&chat->specials, tools, mark, &has_marks) : NULL,
                               settings->variables != NULL ? specials_mark(&chat->specials, settings->variables, mark, &has_marks) : NULL);
    if (context == NULL) {
        status = error_set(err, WEIR_E_MEMORY, "messages", "no memory");
        goto done;
    }
    enum template_failure failure;
    status = template_render(chat->template, context, NULL, &text, &failure, err);
    if (status == 0)
        status = has_marks ? specials_encode(&chat->specials, buffer_str(&text), mark, out, err)
                           : tokenizer_encode(chat->specials.tokenizer, buffer_str(&text), TOKENIZE_BARE | TOKENIZE_SPECIAL, out, err);
    if (status == 0)
        status = chat_begin(&chat->format, chat->specials.tokenizer, settings, buffer_str(&text), out, begun, err);
done:
    json_decref(context);
    json_decref(marked);
    json_decref(shaped);
    buffer_release(&all);
    buffer_release(&text);
    return status;
}
