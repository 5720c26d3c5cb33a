/* Query: the text a score is about.
 *
 * The last human turn counts: the last message with role "user" that says something. Tool results and what the assistant
 * said are no new question. Harness text inside a turn (blocks between <system-reminder>, <environment_context>, <file …>,
 * <document …> and the like and their ends) and lines quoted with ">" are left out, unless nothing else is there, and so is what
 * a prompt template puts around a question (query_template.c). A turn that only agrees or continues ("yes", "go on", "do it")
 * leans on what it answers: the earlier human turn comes first, then the last lines of the assistant's own proposal, then the
 * turn. */
#include "query.h"

enum { MOST_LEANS = 4, PROPOSAL_BYTES = 600, LONGEST_TAG = 40 };

static const char *const harness_tags[] = {"system-reminder", "environment_context", "environment_details", "user_instructions", "instructions",
                                           "file", "files", "document", "documents", "context", "attachment", "tool_result", "command-name",
                                           "command-message", "local-command-stdout"};
static const char *const leaning_words[] = {
    "yes", "yeah", "yep", "y", "ok", "okay", "sure", "please", "do", "it", "that", "go", "on", "ahead", "continue", "proceed", "next", "more", "and",
    "then", "now", "start", "begin", "right", "correct", "fine", "good", "great", "sounds", "perfect", "exactly", "no", "not", "again", "retry", "try",
    "the", "first", "second", "third", "last", "one", "option", "both", "all", "same", "why", "how", "so", "what", "with", "keep", "going", "thanks",
    "a", "b", "c", "d", "1", "2", "3", "4",
};

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* At "<tag …>" of a harness: the offset after "</tag>", or 0. missing has a bit for each tag whose end was sought in vain:
 * it need not be sought again further on. */
static size_t harness_end(str text, size_t at, unsigned *missing)
{
    size_t end = at + 1;
    while (end < text.n && is_name(text.data[end]) && end - at < LONGEST_TAG)
        end++;
    str name = {text.data + at + 1, end - at - 1};
    unsigned tag = 0;
    for (size_t i = 0; i < sizeof harness_tags / sizeof *harness_tags; i++)
        if (str_equal_nocase(name, str_of(harness_tags[i])))
            tag = 1U << i;
    if (tag == 0 || (*missing & tag) != 0 || end >= text.n || (text.data[end] != '>' && text.data[end] != ' '))
        return 0;
    char closing[LONGEST_TAG + 4];
    int n = snprintf(closing, sizeof closing, "</" STR_FMT ">", STR_ARG(name));
    ptrdiff_t found = str_find((str){text.data + end, text.n - end}, (str){closing, (size_t)n});
    if (found < 0)
        *missing |= tag;
    return found < 0 ? 0 : end + (size_t)found + (size_t)n;
}

/* The human's own words of a turn, appended. */
static void append_own(struct buffer *out, str text)
{
    size_t before = out->n;
    bool line_start = true;
    unsigned missing = 0;
    for (size_t i = 0; i < text.n;) {
        size_t end = text.data[i] == '<' ? harness_end(text, i, &missing) : 0;
        if (end == 0 && line_start && text.data[i] == '>') {
            const char *stop = memchr(text.data + i, '\n', text.n - i);
            end = stop == NULL ? text.n : (size_t)(stop - text.data) + 1;
        }
        if (end > 0) {
            i = end;
            continue;
        }
        line_start = text.data[i] == '\n';
        buffer_append_char(out, text.data[i++]);
    }
    if (out->n == before || str_trim((str){out->data + before, out->n - before}).n == 0) {
        out->n = before;
        buffer_append_str(out, text);
    }
}

/* A message's text: a string, or the text parts of a list. */
static int append_content(struct buffer *out, const json_t *message, bool own, struct error *err)
{
    const json_t *content = json_object_get(message, "content");
    size_t i;
    json_t *part;
    if (content == NULL || json_is_null(content))
        return 0;
    if (json_is_string(content)) {
        str text = {json_string_value(content), json_string_length(content)};
        if (own)
            append_own(out, text);
        else
            buffer_append_str(out, text);
        return 0;
    }
    if (!json_is_array(content))
        return error_set(err, WEIR_E_INVALID, "content", "must be a string or a list of parts");
    json_array_foreach(content, i, part)
    {
        const json_t *text = json_object_get(part, "text");
        if (!json_is_string(text))
            continue;
        if (out->n > 0 && out->data[out->n - 1] != '\n')
            buffer_append_char(out, '\n');
        if (own)
            append_own(out, (str){json_string_value(text), json_string_length(text)});
        else
            buffer_append_text(out, json_string_value(text));
    }
    return 0;
}

/* Nothing but words that agree, choose or continue. */
static bool leans(str text)
{
    text = str_trim(text);
    if (text.n > QUERY_SHORT_BYTES)
        return false;
    int n_words = 0;
    for (size_t i = 0; i < text.n;) {
        if ((unsigned char)text.data[i] >= 0x80)
            return false;
        if (!is_name(text.data[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < text.n && is_name(text.data[end]))
            end++;
        bool known = false;
        for (size_t k = 0; k < sizeof leaning_words / sizeof *leaning_words; k++)
            known = known || str_equal_nocase((str){text.data + i, end - i}, str_of(leaning_words[k]));
        if (!known)
            return false;
        n_words++;
        i = end;
    }
    return n_words > 0;
}

static bool has_role(const json_t *message, const char *role)
{
    const char *value = json_string_value(json_object_get(message, "role"));
    return value != NULL && strcmp(value, role) == 0;
}

/* The human turn at or before index *at, into out; false when there is none. *at moves to it. */
static int human_turn(const json_t *messages, ptrdiff_t *at, struct buffer *out, struct error *err)
{
    for (; *at >= 0; (*at)--) {
        const json_t *message = json_array_get(messages, (size_t)*at);
        if (!has_role(message, "user"))
            continue;
        buffer_clear(out);
        int status = append_content(out, message, true, err);
        if (status < 0)
            return status;
        str asked = query_in_template(str_trim(buffer_str(out)));
        if (asked.n > 0) {
            memmove(out->data, asked.data, asked.n);
            out->n = asked.n;
            return 1;
        }
    }
    return 0;
}

/* The end of what the assistant said last before index at. */
static int append_proposal(const json_t *messages, ptrdiff_t at, ptrdiff_t until, struct buffer *out, struct error *err)
{
    struct buffer said;
    buffer_init(&said, QUERY_MOST_BYTES * 16);
    int status = 0;
    for (; at > until && said.n == 0 && status == 0; at--)
        if (has_role(json_array_get(messages, (size_t)at), "assistant"))
            status = append_content(&said, json_array_get(messages, (size_t)at), false, err);
    str tail = str_trim(buffer_str(&said));
    if (tail.n > PROPOSAL_BYTES) {
        tail.data += tail.n - PROPOSAL_BYTES;
        tail.n = PROPOSAL_BYTES;
        while (tail.n > 0 && ((unsigned char)*tail.data & 0xC0) == 0x80) {
            tail.data++;
            tail.n--;
        }
    }
    if (tail.n > 0) {
        buffer_append_str(out, tail);
        buffer_append_char(out, '\n');
    }
    buffer_release(&said);
    return status;
}

static int check_messages(const json_t *messages, struct error *err)
{
    size_t i;
    json_t *message;
    char where[32];
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return error_set(err, WEIR_E_INVALID, "messages", "must be a list of at least one message");
    json_array_foreach(messages, i, message)
    {
        if (json_is_object(message) && json_is_string(json_object_get(message, "role")))
            continue;
        snprintf(where, sizeof where, "messages[%zu]", i);
        return error_set(err, WEIR_E_INVALID, where, "must be an object with a role");
    }
    return 0;
}

int query_text(const json_t *messages, struct arena *arena, str *out, struct error *err)
{
    struct buffer turns[MOST_LEANS], whole;
    ptrdiff_t places[MOST_LEANS];
    int n_turns = 0, status = check_messages(messages, err);
    if (status < 0)
        return status;
    buffer_init(&whole, QUERY_MOST_BYTES * 32);
    for (ptrdiff_t at = (ptrdiff_t)json_array_size(messages) - 1; n_turns < MOST_LEANS && status == 0; at = places[n_turns - 1] - 1) {
        buffer_init(&turns[n_turns], QUERY_MOST_BYTES * 16);
        places[n_turns] = at;
        int found = human_turn(messages, &places[n_turns], &turns[n_turns], err);
        n_turns++;
        if (found < 0)
            status = found;
        if (found <= 0 || !leans(buffer_str(&turns[n_turns - 1])))
            break;
    }
    for (int i = n_turns - 1; i >= 0 && status == 0; i--) {
        if (i < n_turns - 1)
            status = append_proposal(messages, places[i] - 1, places[i + 1], &whole, err);
        str turn = str_trim(buffer_str(&turns[i]));
        buffer_append_str(&whole, turn);
        if (i > 0 && turn.n > 0)
            buffer_append_char(&whole, '\n');
    }
    if (status == 0 && str_trim(buffer_str(&whole)).n == 0) { /* No human turn: the last message that says something. */
        for (ptrdiff_t at = (ptrdiff_t)json_array_size(messages) - 1; at >= 0 && whole.n == 0 && status == 0; at--)
            status = append_content(&whole, json_array_get(messages, (size_t)at), true, err);
    }
    str text = str_trim(buffer_str(&whole));
    if (text.n > QUERY_MOST_BYTES) { /* The end of a turn says what is wanted more often than its middle. */
        char *cut = arena_array(arena, QUERY_MOST_BYTES + 1, 1);
        if (cut != NULL) {
            memcpy(cut, text.data, QUERY_MOST_BYTES / 2);
            memcpy(cut + QUERY_MOST_BYTES / 2, text.data + text.n - QUERY_MOST_BYTES / 2, QUERY_MOST_BYTES / 2);
        }
        *out = (str){cut, QUERY_MOST_BYTES};
    } else {
        *out = (str){arena_strdup(arena, text), text.n};
    }
    if (status == 0 && out->data == NULL)
        status = error_set(err, WEIR_E_MEMORY, "messages", "out of memory");
    for (int i = 0; i < n_turns; i++)
        buffer_release(&turns[i]);
    buffer_release(&whole);
    return status;
}
