/* See chat_begun.h.
 *
 * A call that must be is begun up to its arguments where it is known which tool is called, and a grammar of the tool's schema holds
 * what follows; the marks that close the call are read in the model's stead. Where any of several tools may be called, a call in JSON is
 * begun up to its object, and the grammar has one form for each tool. Other notations are begun only. */
#include "chat/chat_begun.h"

#include "chat/call_text.h"

enum { BEGUN_BYTES = 4096 };

void chat_begun_init(struct chat_begun *begun)
{
    *begun = (struct chat_begun){.grammar = NULL};
    buffer_init(&begun->text, BEGUN_BYTES);
    buffer_init(&begun->closing, BEGUN_BYTES);
}

void chat_begun_release(struct chat_begun *begun)
{
    buffer_release(&begun->text);
    buffer_release(&begun->closing);
    grammar_free(begun->grammar);
    begun->grammar = NULL;
}

/* A tool's parameters as a schema of an object. New reference. */
static json_t *arguments_schema(const json_t *function)
{
    json_t *parameters = json_object_get(function, "parameters");
    if (!json_is_object(parameters))
        return json_pack("{s:s, s:{}, s:b}", "type", "object", "properties", "additionalProperties", 0);
    json_t *schema = json_copy(parameters);
    if (json_object_get(schema, "type") == NULL)
        (void)!json_object_set_new(schema, "type", json_string("object"));
    return schema;
}

/* The schema of call objects, of any of the tools. New reference. */
static json_t *calls_schema(const struct answer_format *format, const json_t *tools)
{
    json_t *forms = json_array(), *tool;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        json_t *form = json_pack("{s:s, s:{s:{s:O}, s:o}, s:[s, s], s:b}", "type", "object", "properties", format->name_key, "const",
                                 json_object_get(function, "name"), format->arguments_key, arguments_schema(function), "required", format->name_key,
                                 format->arguments_key, "additionalProperties", 0);
        if (json_array_append_new(forms, form) < 0) {
            json_decref(forms);
            return NULL;
        }
    }
    return json_pack("{s:o}", "anyOf", forms);
}

/* The grammar of a begun call, by this schema. */
static int hold(const struct chat_settings *settings, json_t *schema_take, struct grammar **grammar, struct error *err)
{
    struct error inner = {0};
    int status = schema_take != NULL ? grammar_of_schema(grammar, schema_take, &inner) : WEIR_E_MEMORY;
    json_decref(schema_take);
    if (status < 0 && settings->by_schema)
        return error_set(err, WEIR_E_UNSUPPORTED, "tools", "a tool's parameters cannot be held to: %.120s: %.120s", inner.where, inner.text);
    return 0; /* Not asked for: the call goes on unheld. */
}

static void close_call(const struct answer_format *format, bool from_object, struct buffer *closing)
{
    if (format->form == CALL_JSON && !from_object)
        buffer_append_char(closing, '}');
    if (format->form == CALL_JSON && format->in_array)
        buffer_append_char(closing, ']');
    buffer_append_text(closing, format->call_close);
    buffer_append_text(closing, format->list_close);
}

/* The text that begins a call, and what holds the rest of it. */
static int begin_call(const struct answer_format *format, const struct chat_settings *settings, bool in_reasoning, struct buffer *text, struct grammar **grammar,
                      struct buffer *closing, struct error *err)
{
    const char *name = settings->call_name;
    bool in_json = (format->form == CALL_JSON || format->form == CALL_NAMED) && !format->needs_id;
    int status = 0;
    if (name == NULL && json_array_size(settings->tools) == 1)
        name = json_string_value(json_object_get(json_object_get(json_array_get(settings->tools, 0), "function"), "name"));
    if (!answer_format_begin_call(format, name, in_reasoning, text))
        return error_set(err, WEIR_E_UNSUPPORTED, "tool_choice", "the model cannot be made to call a tool%s",
                         name == NULL && answer_format_has_tools(format) ? " without its name" : "");
    if (name != NULL && in_json) {
        status = hold(settings, arguments_schema(tool_function(settings->tools, str_of(name))), grammar, err);
    } else if (name == NULL && format->form == CALL_JSON) {
        status = hold(settings, calls_schema(format, settings->tools), grammar, err);
        while (*grammar != NULL && text->n > 0 && text->data[text->n - 1] != '{')
            text->n--;
        if (*grammar != NULL && text->n > 0)
            text->n--;
    } else if (settings->by_schema) {
        status = error_set(err, WEIR_E_UNSUPPORTED, "tools", "the model's notation of calls cannot be held to a schema");
    }
    if (*grammar != NULL)
        close_call(format, name == NULL, closing);
    return status;
}

int chat_begin(const struct answer_format *format, const struct tokenizer *tokenizer, const struct chat_settings *settings, str prompt,
               struct ids *out, struct chat_begun *begun, struct error *err)
{
    size_t n_reasoning = answer_format_open_reasoning(format, prompt);
    struct chat_begun own, *to = begun != NULL ? begun : &own;
    struct buffer forced;
    int status = 0;
    chat_begun_init(&own);
    buffer_init(&forced, BEGUN_BYTES);
    if (settings->must_call)
        status = begin_call(format, settings, n_reasoning > 0, &forced, &to->grammar, &to->closing, err);
    else if (settings->at_once)
        (void)answer_format_close_reasoning(format, prompt, &forced);
    if (status == 0 && forced.n > 0)
        status = tokenizer_encode(tokenizer, buffer_str(&forced), TOKENIZE_BARE | TOKENIZE_SPECIAL, out, err);
    if (status == 0) {
        buffer_append(&to->text, prompt.data + prompt.n - n_reasoning, n_reasoning);
        if (n_reasoning == 0 && str_ends(prompt, str_of(format->primer)))
            buffer_append_text(&to->text, format->primer);
        buffer_append_str(&to->text, buffer_str(&forced));
        if (to->text.failed || to->closing.failed)
            status = error_set(err, WEIR_E_LIMIT, "tool_choice", "begins more than %d bytes of an answer", BEGUN_BYTES);
    }
    buffer_release(&forced);
    chat_begun_release(&own);
    return status;
}
