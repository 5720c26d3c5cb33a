/* Answer reader: content, reasoning and calls told apart as text comes. The text is taken byte by byte through one automaton, so how
 * it was cut into pieces can't matter. What may yet become a mark waits in `held`; once it can't, its first byte is decided and the
 * rest is looked at anew.
 *
 * Reasoning is looked for before anything has been said, plain content's marks and calls anywhere after it. Blanks around a mark
 * belong to it; all others are handed on. */
#include "chat/reader.h"

#include <stdlib.h>

enum { MOST_BLANKS = 256, OUT_BYTES = 4096 };

static str from(str s, size_t at)
{
    return (str){s.data + at, s.n - at};
}

static size_t n_blanks(str s)
{
    size_t n = 0;
    while (n < s.n && mark_is_blank(s.data[n]))
        n++;
    return n;
}

/* ------------------------------------------------------------------ handing on */

static void flush(struct answer_reader *reader)
{
    if (reader->out.n > 0)
        reader->reading.part(reader->reading.user, reader->out_part, buffer_str(&reader->out));
    buffer_clear(&reader->out);
}

void reader_emit(struct answer_reader *reader, enum answer_part part, str text)
{
    if (part == ANSWER_CALL || part == ANSWER_CALL_END) {
        flush(reader);
        reader->reading.part(reader->reading.user, part, text);
        return;
    }
    if (reader->out_part != part || reader->out.n + text.n > OUT_BYTES)
        flush(reader);
    reader->out_part = part;
    if (text.n > OUT_BYTES)
        reader->reading.part(reader->reading.user, part, text);
    else if (text.n > 0 && buffer_append_str(&reader->out, text) < 0)
        reader->failed = true;
}

/* Decides the first n held bytes: they are text. */
static void say(struct answer_reader *reader, size_t n)
{
    str text = {reader->held.data, n};
    size_t blanks = n_blanks(text);
    if (reader->skips_blanks)
        text = from(text, blanks);
    if (blanks < n) {
        reader->skips_blanks = false;
        reader->has_said |= reader->state == READING_TEXT;
    }
    reader_emit(reader, reader->state == READING_THOUGHT ? ANSWER_REASONING : ANSWER_CONTENT, text);
    buffer_consume(&reader->held, n);
}

/* ------------------------------------------------------------------ marks */

enum mark_kind { MARK_THINK_OPEN, MARK_THINK_CLOSE, MARK_CONTENT_OPEN, MARK_CONTENT_CLOSE, MARK_LIST_OPEN, MARK_CALL_OPEN, MARK_CALL_CLOSE, MARK_LIST_CLOSE };
enum { N_MARKS = MARK_LIST_CLOSE + 1 };

/* A mark's text where it counts now, else "". */
static const char *mark_now(const struct answer_reader *reader, enum mark_kind kind)
{
    const struct answer_format *format = reader->format;
    bool text = reader->state == READING_TEXT, gap = reader->state == READING_GAP, calls = reader->reading.tools != NULL && (text || gap);
    switch (kind) {
    case MARK_THINK_OPEN:
        return text && !reader->has_said ? format->think_open : "";
    case MARK_THINK_CLOSE:
        return reader->state == READING_THOUGHT || (text && !reader->has_said) ? format->think_close : "";
    case MARK_CONTENT_OPEN:
        return text || (gap && !reader->in_list) ? format->content_open : "";
    case MARK_CONTENT_CLOSE:
        return text ? format->content_close : "";
    case MARK_LIST_OPEN:
        return calls ? format->list_open : "";
    case MARK_CALL_OPEN:
        return calls ? format->call_open : "";
    case MARK_CALL_CLOSE:
        return gap && reader->after_call ? format->call_close : "";
    case MARK_LIST_CLOSE:
        return gap ? format->list_close : "";
    }
    return "";
}

/* The longest mark that text begins with: MARK_BEGINS while a longer one is still possible. */
static enum mark_match find_mark(const struct answer_reader *reader, str text, enum mark_kind *kind, size_t *n)
{
    enum mark_match found = MARK_NO;
    bool may_grow = false;
    *n = 0;
    for (int k = 0; k < N_MARKS; k++) {
        size_t length;
        const char *mark = mark_now(reader, (enum mark_kind)k);
        enum mark_match match = mark[0] != '\0' ? mark_match(mark, text, &length) : MARK_NO;
        may_grow |= match == MARK_BEGINS;
        if (match != MARK_WHOLE || length <= *n)
            continue;
        found = MARK_WHOLE;
        *kind = (enum mark_kind)k;
        *n = length;
    }
    return may_grow ? MARK_BEGINS : found;
}

static void take_opening(struct answer_reader *reader, size_t n)
{
    buffer_append(&reader->opening, reader->held.data, n);
    reader->failed |= reader->opening.failed;
    buffer_consume(&reader->held, n);
}

/* Held begins with a mark that ends after n bytes. */
static void pass_mark(struct answer_reader *reader, enum mark_kind kind, size_t n)
{
    switch (kind) {
    case MARK_THINK_OPEN:
    case MARK_THINK_CLOSE:
        reader->state = kind == MARK_THINK_OPEN ? READING_THOUGHT : READING_TEXT;
        reader->skips_blanks = true;
        break;
    case MARK_CONTENT_OPEN:
    case MARK_CONTENT_CLOSE:
        reader->state = READING_TEXT;
        break;
    case MARK_LIST_OPEN:
        take_opening(reader, n);
        reader->in_list = true;
        if (reader->format->form == CALL_JSON && reader->format->call_open[0] == '\0')
            call_begin(reader);
        else
            reader->state = READING_GAP;
        return;
    case MARK_CALL_OPEN:
        take_opening(reader, n);
        call_begin(reader);
        return;
    case MARK_CALL_CLOSE:
        reader->after_call = false;
        break;
    case MARK_LIST_CLOSE:
        reader->in_list = false;
        break;
    }
    buffer_consume(&reader->held, n);
}

/* No call, no mark: what was opened in vain is text, and so is what comes. */
static void leave_gap(struct answer_reader *reader)
{
    struct buffer rest = reader->held;
    buffer_init(&reader->held, READER_HELD_BYTES);
    reader->state = READING_TEXT;
    reader->in_list = reader->after_call = false;
    reader->skips_blanks = reader->opening.n == 0;
    reader->has_said |= reader->opening.n > 0;
    reader_emit(reader, ANSWER_CONTENT, buffer_str(&reader->opening));
    buffer_clear(&reader->opening);
    for (size_t i = 0; i < rest.n; i++)
        reader_step(reader, rest.data[i]);
    buffer_release(&rest);
}

void reader_gap(struct answer_reader *reader)
{
    reader->state = reader->reading.one_call ? READING_DONE : READING_GAP;
    reader->after_call = true;
}

/* Hands what follows a mark to the call that it has opened. */
static void feed_call(struct answer_reader *reader)
{
    struct buffer rest = reader->held;
    buffer_init(&reader->held, READER_HELD_BYTES);
    for (size_t i = 0; i < rest.n; i++)
        reader_step(reader, rest.data[i]);
    buffer_release(&rest);
}

/* Decides as much of held as can be decided. */
static void settle(struct answer_reader *reader, bool final)
{
    while (reader->held.n > 0 && !reader->failed) {
        if (reader->state == READING_CALL || reader->state == READING_DONE) {
            feed_call(reader);
            return;
        }
        str held = buffer_str(&reader->held);
        size_t blanks = n_blanks(held), n = 0;
        if (blanks == held.n) {
            if (!final && blanks < MOST_BLANKS)
                return;
            if (reader->state == READING_GAP)
                buffer_clear(&reader->held);
            else
                say(reader, held.n);
            continue;
        }
        enum mark_kind kind = MARK_THINK_OPEN;
        str text = from(held, blanks);
        enum mark_match match = find_mark(reader, text, &kind, &n);
        if (match == MARK_BEGINS && !final && held.n < READER_HELD_BYTES - 1)
            return;
        if (n > 0) {
            pass_mark(reader, kind, blanks + n);
        } else if (call_may_begin(reader, text.data[0])) {
            take_opening(reader, blanks);
            call_begin(reader);
        } else if (reader->state == READING_GAP && reader->after_call && (text.data[0] == ',' || text.data[0] == ';') &&
                   (reader->in_list || reader->format->bare)) {
            buffer_consume(&reader->held, blanks + 1);
        } else if (reader->state == READING_GAP) {
            leave_gap(reader);
            return;
        } else {
            say(reader, blanks + 1);
        }
    }
}

void reader_step(struct answer_reader *reader, char c)
{
    if (reader->state == READING_DONE)
        return;
    if (reader->state == READING_CALL) {
        call_step(reader, c);
        return;
    }
    if (buffer_append_char(&reader->held, c) < 0)
        reader->failed = true;
    settle(reader, false);
}

/* ------------------------------------------------------------------ life */

int answer_reader_new(struct answer_reader **out, const struct answer_format *format, const struct answer_reading *reading)
{
    static const struct answer_format nothing;
    struct answer_reader *reader = calloc(1, sizeof *reader);
    *out = reader;
    if (reader == NULL)
        return WEIR_E_MEMORY;
    reader->format = format != NULL ? format : &nothing;
    reader->reading = *reading;
    if (reader->format->form == CALL_NONE)
        reader->reading.tools = NULL;
    buffer_init(&reader->held, READER_HELD_BYTES);
    buffer_init(&reader->out, OUT_BYTES);
    buffer_init(&reader->opening, 2 * READER_HELD_BYTES);
    buffer_init(&reader->call, READER_CALL_BYTES + READER_HELD_BYTES);
    return 0;
}

void answer_reader_free(struct answer_reader *reader)
{
    if (reader == NULL)
        return;
    buffer_release(&reader->held);
    buffer_release(&reader->out);
    buffer_release(&reader->opening);
    buffer_release(&reader->call);
    free(reader);
}

int answer_reader_push(struct answer_reader *reader, str text)
{
    for (size_t i = 0; i < text.n && !reader->failed; i++)
        reader_step(reader, text.data[i]);
    flush(reader);
    return reader->failed ? WEIR_E_MEMORY : 0;
}

int answer_reader_finish(struct answer_reader *reader)
{
    /* Each round decides at least one byte of what is held, or ends a call. */
    while (!reader->failed && (reader->held.n > 0 || reader->opening.n > 0 || reader->state == READING_CALL)) {
        if (reader->state == READING_CALL && reader->held.n == 0)
            call_finish(reader);
        else if (reader->held.n == 0)
            leave_gap(reader);
        else
            settle(reader, true);
    }
    flush(reader);
    return reader->failed ? WEIR_E_MEMORY : 0;
}

bool answer_reader_in_reasoning(const struct answer_reader *reader)
{
    return reader->state == READING_THOUGHT;
}

int answer_reader_calls(const struct answer_reader *reader)
{
    return reader->n_calls;
}

bool answer_reader_is_done(const struct answer_reader *reader)
{
    return reader->state == READING_DONE;
}
