/* Call reader: a call's text between its marks, from its first byte to its last. A call is told when it is whole and well-formed, or
 * when its arguments, JSON, have grown past a bound; otherwise it is content, byte for byte as it was written. */
#include "chat/reader.h"

enum { MOST_BETWEEN = 128 };

static str call_str(const struct answer_reader *reader)
{
    return (str){reader->call.data != NULL ? reader->call.data : "", reader->call.n};
}

static str from(str s, size_t at)
{
    return (str){s.data + at, s.n - at};
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* Where nothing but its own look tells a call from text, only the request's tools can be called. */
static bool name_will_do(const struct answer_reader *reader, str name)
{
    const struct answer_format *format = reader->format;
    bool weak = format->bare || format->primer[0] != '\0';
    return name.n > 0 && (!weak || tool_function(reader->reading.tools, name) != NULL);
}

bool call_may_begin(const struct answer_reader *reader, char c)
{
    const struct answer_format *format = reader->format;
    if (reader->reading.tools == NULL)
        return false;
    bool bare = format->bare, gap = reader->state == READING_GAP;
    if (reader->state == READING_TEXT ? !bare || reader->has_said : !gap || (!bare && !(reader->in_list && format->call_open[0] == '\0')))
        return false;
    return format->form == CALL_JSON ? c == '{' || (c == '[' && !gap) : is_name(c);
}

void call_begin(struct answer_reader *reader)
{
    reader->state = READING_CALL;
    reader->phase = reader->format->form == CALL_JSON ? PHASE_START : PHASE_NAME;
    buffer_clear(&reader->call);
    reader->in_array = reader->committed = reader->in_arguments = false;
    reader->n_name = 0;
    reader->object = reader->arguments = (struct json_scan){0};
    reader->literal = (struct literal_scan){0};
}

/* ------------------------------------------------------------------ ends */

/* It is no call: what was read of it is content. again: a byte that is then read as text. */
static void fail(struct answer_reader *reader, const char *again)
{
    reader->state = READING_TEXT;
    reader->in_list = reader->after_call = false;
    if (reader->committed) {
        reader_emit(reader, ANSWER_CALL_END, (str){NULL, 0});
    } else {
        reader->skips_blanks = false;
        reader->has_said = true;
        reader_emit(reader, ANSWER_CONTENT, buffer_str(&reader->opening));
        reader_emit(reader, ANSWER_CONTENT, call_str(reader));
    }
    buffer_clear(&reader->opening);
    buffer_clear(&reader->call);
    if (again != NULL)
        reader_step(reader, *again);
}

static void append(struct answer_reader *reader, char c)
{
    if (buffer_append_char(&reader->call, c) < 0)
        reader->failed = true;
}

static void tell_name(struct answer_reader *reader, str name)
{
    reader->n_calls++;
    reader_emit(reader, ANSWER_CALL, name);
    buffer_clear(&reader->opening);
}

/* A whole call; after it comes another, a closing mark or text. */
static void tell(struct answer_reader *reader, str name, str arguments)
{
    if (!reader->committed) {
        tell_name(reader, name);
        reader_emit(reader, ANSWER_ARGUMENTS, arguments);
    }
    reader_emit(reader, ANSWER_CALL_END, (str){NULL, 0});
    buffer_clear(&reader->call);
    reader->committed = reader->in_arguments = false;
    reader_gap(reader);
}

static void tell_json(struct answer_reader *reader, str name, json_t *arguments_take)
{
    struct buffer text;
    buffer_init(&text, 4 * READER_CALL_BYTES);
    bool good = arguments_take != NULL && name_will_do(reader, name) && json_write(arguments_take, &text) == 0;
    if (good)
        tell(reader, name, buffer_str(&text));
    else
        fail(reader, NULL);
    buffer_release(&text);
    json_decref(arguments_take);
}

/* ------------------------------------------------------------------ JSON */

/* The arguments have grown long: from here on they are handed on as they come. False: no name is known yet. */
static bool commit_object(struct answer_reader *reader)
{
    struct call_look look;
    struct buffer name, arguments;
    str object = from(call_str(reader), reader->value_at);
    call_object_look(reader->format, object, &look);
    if (look.name.n == 0 || look.arguments_at == 0 || memchr(look.name.data, '\\', look.name.n) != NULL ||
        !name_will_do(reader, look.name))
        return false;
    buffer_init(&name, CALL_NAME_BYTES);
    buffer_init(&arguments, 4 * READER_CALL_BYTES);
    buffer_append_str(&name, look.name);
    str given = from(object, look.arguments_at);
    buffer_append(&arguments, given.data, look.arguments_end > 0 ? look.arguments_end - look.arguments_at : given.n);
    bool good = !name.failed && !arguments.failed;
    if (good) {
        tell_name(reader, buffer_str(&name));
        reader_emit(reader, ANSWER_ARGUMENTS, buffer_str(&arguments));
        reader->committed = true;
        reader->in_arguments = look.arguments_end == 0;
        reader->arguments = (struct json_scan){0};
        for (size_t i = 0; i < arguments.n; i++)
            (void)json_scan_step(&reader->arguments, arguments.data[i]);
    }
    buffer_release(&name);
    buffer_release(&arguments);
    return good;
}

static void end_object(struct answer_reader *reader)
{
    struct buffer name, arguments;
    buffer_init(&name, CALL_NAME_BYTES);
    buffer_init(&arguments, 4 * READER_CALL_BYTES);
    bool good = reader->committed || (call_object_parse(reader->format, from(call_str(reader), reader->value_at), &name, &arguments) &&
                                      name_will_do(reader, buffer_str(&name)));
    bool in_array = reader->in_array;
    if (!good)
        fail(reader, NULL);
    else
        tell(reader, buffer_str(&name), buffer_str(&arguments));
    if (good && in_array && reader->state != READING_DONE) {
        reader->state = READING_CALL;
        reader->phase = PHASE_NEXT;
    }
    buffer_release(&name);
    buffer_release(&arguments);
}

static void step_object(struct answer_reader *reader, char c)
{
    enum scan_result result = json_scan_step(&reader->object, c);
    if (result == SCAN_BAD) {
        fail(reader, &c);
        return;
    }
    if (reader->committed) {
        if (reader->in_arguments) {
            reader_emit(reader, ANSWER_ARGUMENTS, (str){&c, 1});
            reader->in_arguments = json_scan_step(&reader->arguments, c) == SCAN_ON;
        }
    } else {
        append(reader, c);
        if (result != SCAN_DONE && reader->call.n - reader->value_at == READER_ARGUMENTS_BYTES && !commit_object(reader)) {
            fail(reader, NULL);
            return;
        }
    }
    if (result == SCAN_DONE)
        end_object(reader);
}

static void step_json(struct answer_reader *reader, char c)
{
    switch (reader->phase) {
    case PHASE_START:
        append(reader, c);
        if (c == '[' && !reader->in_array) {
            reader->in_array = true;
        } else if (c == '{') {
            reader->phase = PHASE_VALUE;
            reader->value_at = reader->call.n - 1;
            reader->object = (struct json_scan){0};
            (void)json_scan_step(&reader->object, c);
        } else if (!mark_is_blank(c) || reader->call.n > MOST_BETWEEN) {
            reader->call.n--;
            fail(reader, &c);
        }
        break;
    case PHASE_VALUE:
        step_object(reader, c);
        break;
    case PHASE_NEXT:
        if (mark_is_blank(c))
            break;
        reader_gap(reader);
        if (c == ',') {
            call_begin(reader);
            reader->in_array = true;
        } else if (c != ']') {
            reader_step(reader, c);
        }
        break;
    case PHASE_NAME:
    case PHASE_BETWEEN:
        break;
    }
}

/* ------------------------------------------------------------------ name first */

static str name_of(const struct answer_reader *reader)
{
    return (str){reader->name, reader->n_name};
}

/* False: the byte is past the name, and still to be read. */
static bool step_name(struct answer_reader *reader, char c)
{
    enum { LONGEST_NAME = 64 };
    bool leads = reader->n_name == 0 && mark_is_blank(c) && reader->call.n < MOST_BETWEEN;
    if (leads || (is_name(c) && reader->n_name < LONGEST_NAME)) {
        if (!leads)
            reader->name[reader->n_name++] = c;
        append(reader, c);
        return true;
    }
    if (is_name(c) || !name_will_do(reader, name_of(reader))) {
        fail(reader, &c);
        return true;
    }
    reader->phase = PHASE_BETWEEN;
    reader->value_at = reader->call.n;
    return false;
}

static void end_named(struct answer_reader *reader)
{
    str arguments = from(call_str(reader), reader->value_at);
    json_t *parsed = reader->committed ? NULL : json_parse(arguments, NULL);
    if (reader->committed || json_is_object(parsed))
        tell(reader, name_of(reader), arguments);
    else
        fail(reader, NULL);
    json_decref(parsed);
}

static void step_named(struct answer_reader *reader, char c)
{
    if (reader->phase == PHASE_NAME && step_name(reader, c))
        return;
    if (reader->phase == PHASE_BETWEEN) {
        append(reader, c);
        if (c == '{') {
            reader->value_at = reader->call.n - 1;
            reader->phase = PHASE_VALUE;
            reader->object = (struct json_scan){0};
            (void)json_scan_step(&reader->object, c);
        } else if (reader->call.n - reader->value_at > MOST_BETWEEN) {
            fail(reader, NULL);
        }
        return;
    }
    enum scan_result result = json_scan_step(&reader->object, c);
    if (result == SCAN_BAD) {
        fail(reader, &c);
        return;
    }
    if (reader->committed)
        reader_emit(reader, ANSWER_ARGUMENTS, (str){&c, 1});
    else
        append(reader, c);
    if (result == SCAN_DONE) {
        end_named(reader);
    } else if (!reader->committed && reader->call.n - reader->value_at == READER_ARGUMENTS_BYTES) {
        tell_name(reader, name_of(reader));
        reader_emit(reader, ANSWER_ARGUMENTS, from(call_str(reader), reader->value_at));
        reader->committed = true;
    }
}

static void step_literal(struct answer_reader *reader, char c)
{
    if (reader->phase == PHASE_NAME && step_name(reader, c))
        return;
    if (reader->phase == PHASE_BETWEEN) {
        bool opens = c == reader->format->bracket;
        if (!opens && (!mark_is_blank(c) || reader->call.n - reader->value_at > MOST_BETWEEN)) {
            fail(reader, &c);
            return;
        }
        append(reader, c);
        if (opens) {
            reader->phase = PHASE_VALUE;
            reader->value_at = reader->call.n;
            reader->literal = (struct literal_scan){0};
        }
        return;
    }
    append(reader, c);
    enum scan_result result = literal_scan_step(&reader->literal, reader->format, c);
    if (result == SCAN_DONE) {
        str inside = from(call_str(reader), reader->value_at);
        tell_json(reader, name_of(reader), literal_arguments(reader->format, (str){inside.data, inside.n - 1}));
    } else if (result == SCAN_BAD || reader->call.n >= READER_CALL_BYTES) {
        fail(reader, NULL);
    }
}

/* The call ends n bytes before the end of what was read. */
static void end_tagged(struct answer_reader *reader, size_t n)
{
    str inside = from(call_str(reader), reader->value_at);
    str name = name_of(reader);
    tell_json(reader, name, tagged_arguments(reader->format, tool_function(reader->reading.tools, name), (str){inside.data, inside.n - n}));
    reader->after_call = false; /* Its closing mark has been read. */
}

static void step_tagged(struct answer_reader *reader, char c)
{
    const char *close = reader->format->call_close;
    if (reader->phase == PHASE_NAME && step_name(reader, c))
        return;
    append(reader, c);
    size_t n = c == close[strlen(close) - 1] ? mark_at_end(close, from(call_str(reader), reader->value_at)) : 0;
    if (n > 0)
        end_tagged(reader, n);
    else if (reader->call.n >= READER_CALL_BYTES)
        fail(reader, NULL);
}

/* ------------------------------------------------------------------ */

void call_step(struct answer_reader *reader, char c)
{
    switch (reader->format->form) {
    case CALL_JSON:
        step_json(reader, c);
        break;
    case CALL_NAMED:
        step_named(reader, c);
        break;
    case CALL_TAGGED:
        step_tagged(reader, c);
        break;
    case CALL_LITERAL:
        step_literal(reader, c);
        break;
    case CALL_NONE:
        fail(reader, &c);
        break;
    }
}

void call_finish(struct answer_reader *reader)
{
    if (reader->format->form == CALL_JSON && reader->phase == PHASE_NEXT)
        reader_gap(reader);
    else if (reader->format->form == CALL_TAGGED && reader->phase == PHASE_BETWEEN)
        end_tagged(reader, 0);
    else
        fail(reader, NULL);
}
