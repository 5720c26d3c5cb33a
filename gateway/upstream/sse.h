/* Server-sent events (WHATWG HTML, section 9.2): a parser that takes bytes cut anywhere and gives whole events. CRLF, LF
 * and CR end lines, comments and a byte-order mark are skipped, several data lines are joined by LF. One event is at most
 * max_event_bytes: a larger one is dropped whole and counted. */
#ifndef WEIR_UPSTREAM_SSE_H
#define WEIR_UPSTREAM_SSE_H

#include "weir_base.h"

struct sse_parser {
    struct buffer line;   /* The line so far. */
    struct buffer data;   /* The event's data so far. */
    char event[64];       /* Its type; "" is "message". */
    size_t max_event_bytes;
    int64_t n_oversized;
    int bom;              /* Bytes of a byte-order mark seen at the start; -1: past it. */
    bool after_cr;
    bool has_data;
    bool oversized;
};

/* event: the type ("" when none was given); data: valid during the call. A negative return stops sse_push with it. */
typedef int sse_event_fn(void *user, str event, str data);

void sse_init(struct sse_parser *parser, size_t max_event_bytes);
void sse_release(struct sse_parser *parser);
/* 0, WEIR_E_MEMORY, or what fn returned. */
int sse_push(struct sse_parser *parser, str bytes, sse_event_fn *fn, void *user) WEIR_CHECKED;
/* The connection ended: an event without its blank line is given out as well (a provider may forget it). */
int sse_finish(struct sse_parser *parser, sse_event_fn *fn, void *user) WEIR_CHECKED;

#endif
