/* What a template's renderings show of how the model calls: where the probe's name, keys and values stand in an assistant message with
 * calls, and what is around them. One call gives the notation; two tell a list's marks from each call's; one after a text shows the
 * mark that a prompt may already end in. */
#include "chat/lesson.h"

#include <stdio.h>

/* The places of a call's parts in a rendering. */
struct call_places {
    str text;
    ptrdiff_t begin; /* Of the answer. */
    ptrdiff_t name, key, value, key_2, number;
};

static bool find_places(struct lesson *lesson, str text, const char *name, ptrdiff_t begin, struct call_places *places)
{
    *places = (struct call_places){.text = text, .begin = begin};
    places->name = stretch_find(text, name, begin);
    places->key = stretch_find(text, PROBE_KEY, places->name);
    places->value = stretch_find(text, PROBE_VALUE, places->key);
    places->key_2 = stretch_find(text, PROBE_KEY_2, places->value);
    places->number = stretch_find(text, PROBE_NUMBER_TEXT, places->key_2);
    return places->number >= 0;
}

/* The JSON value that begins at `at`, NULL: none does. *n: its bytes. */
static json_t *value_at(str text, size_t at, size_t *n)
{
    json_error_t error;
    json_t *value = json_loadb(text.data + at, text.n - at, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &error);
    *n = value != NULL ? (size_t)error.position : 0;
    return value;
}

static bool is_arguments(const json_t *value)
{
    return json_is_object(value) && json_is_string(json_object_get(value, PROBE_KEY)) && json_integer_value(json_object_get(value, PROBE_KEY_2)) == PROBE_NUMBER;
}

/* The members of a call object that hold name and arguments. */
static bool learn_members(struct answer_format *format, const json_t *object)
{
    const char *key;
    json_t *member;
    bool named = false, argued = false;
    json_object_foreach((json_t *)(uintptr_t)object, key, member) {
        if (json_is_string(member) && strcmp(json_string_value(member), PROBE_NAME) == 0)
            named = str_copy(format->name_key, sizeof format->name_key, str_of(key));
        if (is_arguments(member))
            argued = str_copy(format->arguments_key, sizeof format->arguments_key, str_of(key));
    }
    return named && argued;
}

/* The marks before and after a call, split into those of a list and those of each call by a rendering of two. */
static void learn_enclosure(struct lesson *lesson, str before, str after, str gap)
{
    struct answer_format *format = lesson->format;
    size_t n_open = 0, n_close = 0;
    if (gap.n > 0) {
        n_close = stretch_common_prefix(gap, after);
        if (n_close < after.n)
            n_close = stretch_mark_begin(after, n_close);
        n_open = stretch_common_suffix(stretch_from(gap, n_close), before);
        while (n_open > 0 && n_open < before.n && before.data[before.n - n_open] != '<' && before.data[before.n - n_open] != '[' &&
               !mark_is_blank(before.data[before.n - n_open]))
            n_open--;
    } else {
        n_open = before.n;
        n_close = after.n;
    }
    bool fits = mark_set(format->list_open, stretch_upto(before, before.n - n_open)) && mark_set(format->call_open, stretch_from(before, before.n - n_open)) &&
                mark_set(format->call_close, stretch_upto(after, n_close)) && mark_set(format->list_close, stretch_from(after, n_close));
    if (!fits)
        format->form = CALL_NONE;
}

/* The stretch between two calls: from n_tail bytes after the first's last argument to n_head bytes before the second's name. Nothing
 * where there can't be two. *after becomes what follows the second. */
static str gap_of(struct lesson *lesson, size_t n_tail, size_t n_head, str *after)
{
    if (!probe_render(&lesson->probe, PROBE_CALLS_TWICE | PROBE_WITH_TOOLS, &lesson->other))
        return (str){NULL, 0};
    str text = buffer_str(&lesson->other);
    struct call_places first;
    if (!find_places(lesson, text, PROBE_NAME, (ptrdiff_t)lesson_answer_begin(lesson, text), &first))
        return (str){NULL, 0};
    size_t end = (size_t)first.number + sizeof PROBE_NUMBER_TEXT - 1 + n_tail;
    ptrdiff_t next = stretch_find(text, PROBE_NAME_2, (ptrdiff_t)end), last = stretch_find(text, PROBE_NUMBER_TEXT, next);
    if (last < 0)
        return (str){NULL, 0};
    *after = lesson_before_turn_end(lesson, stretch_from(text, (size_t)last + sizeof PROBE_NUMBER_TEXT - 1 + n_tail));
    return stretch_between(text, (ptrdiff_t)end, next - (ptrdiff_t)n_head);
}

static bool learn_json(struct lesson *lesson, const struct call_places *places, size_t arguments_end)
{
    struct answer_format *format = lesson->format;
    for (ptrdiff_t at = places->name - 1; at >= places->begin; at--) {
        if (places->text.data[at] != '{')
            continue;
        size_t n;
        json_t *object = value_at(places->text, (size_t)at, &n);
        bool good = object != NULL && (size_t)at + n >= arguments_end && learn_members(format, object);
        json_decref(object);
        if (!good)
            continue;
        str before = lesson_skip_no_thought(format, stretch_between(places->text, places->begin, at));
        str after = stretch_from(places->text, (size_t)at + n);
        after = lesson_before_turn_end(lesson, after);
        str head = str_trim(before), tail = str_trim(after);
        format->form = CALL_JSON;
        format->in_array = head.n > 0 && head.data[head.n - 1] == '[' && tail.n > 0 && tail.data[0] == ']';
        if (format->in_array) {
            learn_enclosure(lesson, (str){before.data, (size_t)(head.data - before.data) + head.n - 1}, stretch_from(tail, 1), (str){NULL, 0});
        } else {
            size_t n_tail = (size_t)at + n - ((size_t)places->number + sizeof PROBE_NUMBER_TEXT - 1);
            str gap = gap_of(lesson, n_tail, (size_t)(places->name - at), &after);
            learn_enclosure(lesson, before, after, gap);
        }
        return format->form != CALL_NONE;
    }
    return false;
}

static bool learn_named(struct lesson *lesson, const struct call_places *places, size_t arguments_end)
{
    struct answer_format *format = lesson->format;
    str before = lesson_skip_no_thought(format, stretch_between(places->text, places->begin, places->name));
    str after = stretch_from(places->text, arguments_end);
    after = lesson_before_turn_end(lesson, after);
    size_t n_tail = arguments_end - ((size_t)places->number + sizeof PROBE_NUMBER_TEXT - 1);
    format->form = CALL_NAMED;
    str gap = gap_of(lesson, n_tail, 0, &after);
    learn_enclosure(lesson, before, after, gap);
    if (format->form == CALL_NONE || format->call_open[0] != '\0' || format->list_open[0] != '\0')
        return format->form != CALL_NONE;
    /* The prompt itself ends in the mark: it shows before a call that follows a text. */
    if (!probe_render(&lesson->probe, PROBE_SAYS | PROBE_CALLS | PROBE_WITH_TOOLS, &lesson->other))
        return false;
    str text = buffer_str(&lesson->other), mark;
    ptrdiff_t said = stretch_find(text, PROBE_SAID, places->begin);
    mark = str_trim(stretch_between(text, said + (ptrdiff_t)sizeof PROBE_SAID - 1, stretch_find(text, PROBE_NAME, said)));
    if (said < 0 || mark.n == 0 || !str_ends(buffer_str(&lesson->prompt), mark) || !mark_set(format->call_open, mark))
        return false;
    struct buffer open;
    buffer_init(&open, MARK_TEXT_BYTES);
    buffer_append_str(&open, mark);
    buffer_append_text(&open, format->content_open);
    bool fits = !open.failed && mark_set(format->content_open, buffer_str(&open)) && mark_set(format->primer, mark);
    buffer_release(&open);
    return fits;
}

/* Bytes at the end of a stretch that are one closing bracket's and what follows. */
static bool learn_literal(struct lesson *lesson, const struct call_places *places)
{
    struct answer_format *format = lesson->format;
    str text = places->text;
    str open = str_trim(stretch_between(text, places->name + (ptrdiff_t)sizeof PROBE_NAME - 1, places->key));
    str assign = stretch_between(text, places->key_2 + (ptrdiff_t)sizeof PROBE_KEY_2 - 1, places->number);
    str quoted = stretch_between(text, places->key + (ptrdiff_t)sizeof PROBE_KEY - 1, places->value);
    if (open.n != 1 || (open.data[0] != '(' && open.data[0] != '{') || !str_starts(quoted, assign))
        return false;
    str quote = stretch_from(quoted, assign.n);
    str after = stretch_from(text, (size_t)places->number + sizeof PROBE_NUMBER_TEXT - 1);
    ptrdiff_t end = str_find(after, open.data[0] == '(' ? STR(")") : STR("}"));
    if (quote.n == 0 || end < 0 || str_trim(stretch_upto(after, (size_t)end)).n > 0)
        return false;
    format->form = CALL_LITERAL;
    format->bracket = open.data[0];
    after = stretch_from(after, (size_t)end + 1);
    after = lesson_before_turn_end(lesson, after);
    str before = lesson_skip_no_thought(format, stretch_between(text, places->begin, places->name));
    bool fits = mark_set(format->assign, assign) && mark_set(format->quote, quote);
    str gap = gap_of(lesson, (size_t)end + 1, 0, &after);
    learn_enclosure(lesson, before, after, gap);
    return fits && format->form != CALL_NONE;
}

static bool learn_tagged(struct lesson *lesson, const struct call_places *places)
{
    struct answer_format *format = lesson->format;
    str text = places->text;
    str to_key = stretch_between(text, places->name + (ptrdiff_t)sizeof PROBE_NAME - 1, places->key);
    str key_end = stretch_between(text, places->key + (ptrdiff_t)sizeof PROBE_KEY - 1, places->value);
    str to_next = stretch_between(text, places->value + (ptrdiff_t)sizeof PROBE_VALUE - 1, places->key_2);
    str after = stretch_from(text, (size_t)places->number + sizeof PROBE_NUMBER_TEXT - 1);
    size_t n_open = stretch_common_suffix(to_key, to_next);
    while (n_open > 0 && to_next.data[to_next.n - n_open] != '<' && to_next.data[to_next.n - n_open] != '[')
        n_open--;
    str value_end = stretch_upto(to_next, to_next.n - n_open);
    size_t n_value_end = 0;
    if (n_open == 0 || str_trim(value_end).n == 0)
        return false;
    bool fits = mark_set(format->name_end, stretch_upto(to_key, to_key.n - n_open)) && mark_set(format->key_open, stretch_from(to_next, to_next.n - n_open)) &&
                mark_set(format->key_end, key_end) && mark_set(format->value_end, value_end);
    str rest = after;
    while (rest.n > 0 && mark_is_blank(rest.data[0]))
        rest = stretch_from(rest, 1);
    if (!fits || format->key_end[0] == '\0' || mark_match(format->value_end, rest, &n_value_end) != MARK_WHOLE)
        return false;
    size_t n_tail = (size_t)(rest.data - after.data) + n_value_end;
    after = stretch_from(after, n_tail);
    after = lesson_before_turn_end(lesson, after);
    str before = lesson_skip_no_thought(format, stretch_between(text, places->begin, places->name));
    format->form = CALL_TAGGED;
    str gap = gap_of(lesson, n_tail, 0, &after);
    learn_enclosure(lesson, before, after, gap);
    return format->form != CALL_NONE && format->call_close[0] != '\0';
}

/* The beginning of a first call as it is written, for putting it into a model's mouth. */
static void learn_beginning(struct answer_format *format, const struct call_places *places)
{
    str before = lesson_skip_no_thought(format, stretch_between(places->text, places->begin, places->name));
    while (before.n > 0 && mark_is_blank(before.data[0]))
        before = stretch_from(before, 1);
    ptrdiff_t arguments = places->key;
    if (format->form == CALL_JSON || format->form == CALL_NAMED)
        while (arguments > places->name && places->text.data[arguments - 1] != '{')
            arguments--;
    str after = stretch_between(places->text, places->name + (ptrdiff_t)sizeof PROBE_NAME - 1, arguments);
    if ((format->form == CALL_JSON || format->form == CALL_NAMED) && str_ends(after, STR("{")))
        after.n--;
    ptrdiff_t key_open = format->form == CALL_TAGGED ? str_find(after, str_of(format->key_open)) : -1;
    if (key_open >= 0)
        after.n = (size_t)key_open;
    ptrdiff_t id = str_find(after, STR(PROBE_ID));
    if (id >= 0)
        after.n = (size_t)id;
    format->needs_id = id >= 0;
    if (!str_copy(format->before_name, sizeof format->before_name, before) || !str_copy(format->after_name, sizeof format->after_name, after))
        format->before_name[0] = format->after_name[0] = '\0';
}

/* Bytes from the beginning to the end of the arguments where they are a JSON object, else 0. */
static size_t json_arguments_end(const struct call_places *places)
{
    for (ptrdiff_t at = places->key - 1; at > places->name && at > places->key - 24; at--) {
        if (places->text.data[at] != '{')
            continue;
        size_t n;
        json_t *value = value_at(places->text, (size_t)at, &n);
        bool good = is_arguments(value);
        json_decref(value);
        return good ? (size_t)at + n : 0;
    }
    return 0;
}

static bool learn_call(struct lesson *lesson)
{
    struct call_places places;
    if (!probe_render(&lesson->probe, PROBE_CALLS | PROBE_WITH_TOOLS, &lesson->text))
        return false;
    str text = buffer_str(&lesson->text);
    if (!find_places(lesson, text, PROBE_NAME, (ptrdiff_t)lesson_answer_begin(lesson, text), &places))
        return false;
    size_t arguments_end = json_arguments_end(&places);
    bool learnt = arguments_end > 0 ? learn_json(lesson, &places, arguments_end) || learn_named(lesson, &places, arguments_end)
                                    : learn_literal(lesson, &places) || learn_tagged(lesson, &places);
    if (!learnt) {
        lesson->format->form = CALL_NONE;
        return false;
    }
    learn_beginning(lesson->format, &places);
    return true;
}

/* After a call the content's own closing mark can be told from the end of the turn. */
static void learn_content_close(struct lesson *lesson)
{
    str after = lesson_after_said(lesson);
    str close = str_trim(stretch_upto(after, after.n - lesson_common_end(after, buffer_str(&lesson->text))));
    if (close.n > 0 && lesson->format->content_open[0] != '\0' && (close.data[0] == '<' || close.data[0] == '['))
        (void)mark_set(lesson->format->content_close, close);
}

void lesson_learn_calls(struct lesson *lesson)
{
    struct answer_format *format = lesson->format;
    static const enum no_content contents[] = {NO_CONTENT_EMPTY, NO_CONTENT_ABSENT, NO_CONTENT_NULL};
    for (int i = 0; i < 6; i++) {
        lesson->probe.arguments_as_text = i >= 3;
        lesson->probe.no_content = contents[i % 3];
        if (!learn_call(lesson))
            continue;
        format->arguments_as_text = lesson->probe.arguments_as_text;
        format->no_content = lesson->probe.no_content;
        format->bare = format->list_open[0] == '\0' && format->call_open[0] == '\0';
        if (format->bare && format->form == CALL_JSON) /* Models of the Llama family put it before such calls now and then. */
            (void)mark_set(format->list_open, STR("<|python_tag|>"));
        learn_content_close(lesson);
        lesson->probe.id = PROBE_LONG_ID;
        format->short_ids = !probe_render(&lesson->probe, PROBE_CALLS | PROBE_WITH_TOOLS, &lesson->other);
        lesson->probe.id = PROBE_ID;
        format->takes_calls = probe_render(&lesson->probe, PROBE_CALLS | PROBE_WITH_RESULT | PROBE_PROMPTS | PROBE_WITH_TOOLS, &lesson->other) &&
                              str_find(buffer_str(&lesson->other), STR(PROBE_RESULT)) >= 0;
        if (!format->takes_calls)
            format->form = CALL_NONE;
        return;
    }
}

void lesson_guess_calls(struct lesson *lesson)
{
    static const struct {
        const char *sign, *open, *close;
        bool in_array;
    } marks[] = {{"<tool_call>", "<tool_call>", "</tool_call>", false}, {"<|tool_call|>", "<|tool_call|>", "", true}, {"[TOOL_CALLS]", "[TOOL_CALLS]", "", true},
                 {"functools", "functools", "", true}, {"<|/tool|>", "<|tool_call|>", "<|/tool_call|>", true}};
    struct answer_format *format = lesson->format;
    if (format->tools_place == TOOLS_NOWHERE || !probe_render(&lesson->probe, PROBE_SAYS | PROBE_WITH_RESULT | PROBE_WITH_TOOLS, &lesson->other) ||
        str_find(buffer_str(&lesson->other), STR(PROBE_RESULT)) < 0)
        return;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (str_find(buffer_str(&lesson->prompt), str_of(marks[i].sign)) < 0 && str_find(lesson->source, str_of(marks[i].sign)) < 0)
            continue;
        format->form = CALL_JSON;
        format->takes_calls = format->calls_as_content = true;
        format->in_array = marks[i].in_array;
        (void)mark_set(format->call_open, str_of(marks[i].open));
        (void)mark_set(format->call_close, str_of(marks[i].close));
        (void)str_copy(format->name_key, sizeof format->name_key, STR("name"));
        (void)str_copy(format->arguments_key, sizeof format->arguments_key, STR("arguments"));
        snprintf(format->before_name, sizeof format->before_name, "%s%s{\"name\": \"", marks[i].open, marks[i].in_array ? "[" : "\n");
        (void)str_copy(format->after_name, sizeof format->after_name, STR("\", \"arguments\": "));
        return;
    }
}
