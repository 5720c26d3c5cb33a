/* Lines of a file or a pipe, taken as they come: a reader that has other work to do needn't wait for the next one. */
#ifndef WEIR_CLI_LINE_READER_H
#define WEIR_CLI_LINE_READER_H

#include "weir_base.h"

struct line_reader {
    int fd;
    struct buffer text;   /* What was read; lines before `at` are handed out, up to `searched` there is no further end of line. */
    size_t at, searched;
    size_t most_bytes;    /* Of a line. */
    int64_t number;       /* Of the line handed out last, from 1. */
    bool ended, skipping; /* Nothing more comes; the rest of a line that is too long is being passed over. */
    int failed;           /* The errno that ended it, 0: none. */
};

enum line_got { LINE_END, LINE_TEXT, LINE_TOO_LONG, LINE_NOT_YET };

/* fd stays the caller's. most_bytes: a longer line is passed over, without being held in memory. */
void line_reader_init(struct line_reader *reader, int fd, size_t most_bytes);
void line_reader_release(struct line_reader *reader);
/* The next line without its end, valid until the next call; a byte-order mark before the first one is skipped. Never waits:
 * LINE_NOT_YET says that poll(2) on fd will tell when there is more. LINE_END: `failed` says whether it is the input's. */
enum line_got line_reader_next(struct line_reader *reader, str *line);

#endif
