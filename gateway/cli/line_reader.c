/* See line_reader.h. One thread. */
#include "cli/line_reader.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 16 };

void line_reader_init(struct line_reader *reader, int fd, size_t most_bytes)
{
    *reader = (struct line_reader){.fd = fd, .most_bytes = most_bytes};
    buffer_init(&reader->text, most_bytes + READ_BYTES + 1);
}

void line_reader_release(struct line_reader *reader)
{
    buffer_release(&reader->text);
}

/* Reads once. False: nothing is there yet. */
static bool read_more(struct line_reader *reader)
{
    char bytes[READ_BYTES];
    struct pollfd pending = {.fd = reader->fd, .events = POLLIN};
    int n_ready = poll(&pending, 1, 0);
    if (n_ready == 0 || (n_ready < 0 && errno == EINTR))
        return false;
    ssize_t n = read(reader->fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    buffer_consume(&reader->text, reader->at);
    reader->searched -= reader->at;
    reader->at = 0;
    if (n > 0 && buffer_append(&reader->text, bytes, (size_t)n) == 0)
        return true;
    reader->failed = n < 0 ? errno : n > 0 ? ENOMEM : 0;
    reader->ended = true;
    return true;
}

static enum line_got hand_out(struct line_reader *reader, size_t n, str *line)
{
    *line = (str){reader->text.data + reader->at, n};
    if (reader->number++ == 0)
        *line = str_after_mark(*line);
    bool too_long = reader->skipping || line->n > reader->most_bytes;
    reader->skipping = false;
    return too_long ? LINE_TOO_LONG : LINE_TEXT;
}

enum line_got line_reader_next(struct line_reader *reader, str *line)
{
    for (;;) {
        struct buffer *text = &reader->text;
        size_t n_left = text->n - reader->searched;
        const char *end = n_left > 0 ? memchr(text->data + reader->searched, '\n', n_left) : NULL;
        if (end != NULL) {
            enum line_got got = hand_out(reader, (size_t)(end - text->data) - reader->at, line);
            reader->at = reader->searched = (size_t)(end - text->data) + 1;
            return got;
        }
        reader->searched = text->n;
        if (text->n - reader->at > reader->most_bytes || reader->skipping) {
            reader->skipping = true; /* Its number is counted when its end comes. */
            reader->at = text->n;
        }
        if (reader->ended) {
            bool any = text->n > reader->at || reader->skipping;
            if (!any || reader->failed != 0)
                return LINE_END;
            enum line_got got = hand_out(reader, text->n - reader->at, line);
            reader->at = reader->searched = text->n;
            return got;
        }
        if (!read_more(reader))
            return LINE_NOT_YET;
    }
}
