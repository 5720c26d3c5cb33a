/* The event-stream parser.
 *
 * Invariant: whatever the bytes and wherever they are cut, the same stream gives the same events, and no more than
 * max_event_bytes are held for an event plus as much for a line. Owner's thread; calls out only through fn. What the data
 * means is the dialect's. Of the fields `event` and `data` matter here; `id` and `retry` have no use for a single answer. */
#include "upstream/sse.h"

void sse_init(struct sse_parser *parser, size_t max_event_bytes)
{
    memset(parser, 0, sizeof *parser);
    parser->max_event_bytes = max_event_bytes;
    buffer_init(&parser->line, max_event_bytes + 16);
    buffer_init(&parser->data, max_event_bytes + 1);
}

void sse_release(struct sse_parser *parser)
{
    buffer_release(&parser->line);
    buffer_release(&parser->data);
}

static int dispatch(struct sse_parser *parser, sse_event_fn *fn, void *user)
{
    int status = 0;
    if (parser->oversized)
        parser->n_oversized++;
    else if (parser->has_data)
        status = fn(user, str_of(parser->event), buffer_str(&parser->data));
    buffer_clear(&parser->data);
    parser->event[0] = '\0';
    parser->has_data = false;
    parser->oversized = false;
    return status;
}

/* One line without its end. */
static int take_line(struct sse_parser *parser, sse_event_fn *fn, void *user)
{
    str line = buffer_str(&parser->line);
    int status = 0;
    if (line.n == 0 && !parser->line.failed) {
        status = dispatch(parser, fn, user);
    } else if (parser->line.failed) {
        parser->oversized = true;
    } else if (line.data[0] != ':') {
        str name = line, value = {NULL, 0};
        ptrdiff_t colon = str_find(line, STR(":"));
        if (colon >= 0) {
            name.n = (size_t)colon;
            value = (str){line.data + colon + 1, line.n - (size_t)colon - 1};
            if (value.n > 0 && value.data[0] == ' ') {
                value.data++;
                value.n--;
            }
        }
        if (str_equal(name, STR("data"))) {
            if (parser->has_data)
                buffer_append_char(&parser->data, '\n');
            buffer_append_str(&parser->data, value);
            parser->has_data = true;
            if (parser->data.failed || parser->data.n > parser->max_event_bytes)
                parser->oversized = true;
        } else if (str_equal(name, STR("event"))) {
            if (!str_copy(parser->event, sizeof parser->event, value))
                parser->event[0] = '\0';
        }
    }
    buffer_clear(&parser->line);
    return status;
}

/* The mark may come cut into its three bytes; bytes that only began like it belong to the line. */
static bool skip_mark(struct sse_parser *parser, char c)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (parser->bom < 0)
        return false;
    if (c == mark[parser->bom]) {
        parser->bom = parser->bom == 2 ? -1 : parser->bom + 1;
        return true;
    }
    buffer_append(&parser->line, mark, (size_t)parser->bom);
    parser->bom = -1;
    return false;
}

int sse_push(struct sse_parser *parser, str bytes, sse_event_fn *fn, void *user)
{
    for (size_t i = 0; i < bytes.n;) {
        char c = bytes.data[i];
        if (skip_mark(parser, c)) {
            i++;
            continue;
        }
        bool second_half = parser->after_cr && c == '\n';
        parser->after_cr = false;
        if (second_half) {
            i++;
            continue;
        }
        if (c == '\n' || c == '\r') {
            parser->after_cr = c == '\r';
            i++;
            int status = take_line(parser, fn, user);
            if (status < 0)
                return status;
            continue;
        }
        size_t end = i;
        while (end < bytes.n && bytes.data[end] != '\n' && bytes.data[end] != '\r')
            end++;
        buffer_append(&parser->line, bytes.data + i, end - i);
        i = end;
    }
    return 0;
}

int sse_finish(struct sse_parser *parser, sse_event_fn *fn, void *user)
{
    int status = 0;
    if (parser->bom > 0)
        skip_mark(parser, '\0');
    if (parser->line.n > 0 || parser->line.failed)
        status = take_line(parser, fn, user);
    if (status == 0 && (parser->has_data || parser->oversized))
        status = dispatch(parser, fn, user);
    return status;
}
