/* HTTP/1.1 requests (RFC 9112) from bytes that arrive in any pieces. */
#ifndef WEIR_DOOR_HTTP1_H
#define WEIR_DOOR_HTTP1_H

#include "door/chunked.h"
#include "weir_base.h"

enum {
    HTTP1_MAX_HEAD = 16384,
    HTTP1_MAX_HEADERS = 100,
    HTTP1_MAX_TARGET = 8192,
    HTTP1_MAX_BLANK_LINES = 4, /* Tolerated in front of a request line, as RFC 9112 section 2.2 asks. */
};

struct http_header {
    str name;
    str value; /* Without the blanks around it. */
};

/* One request. Everything points into the parser's own storage and is valid until http1_next. */
struct http_request {
    str method;
    str target;       /* As sent. */
    str path;         /* Without query, without scheme and authority. */
    str query;        /* After the '?', empty when there is none. */
    str host;
    int minor;        /* HTTP/1.minor. */
    bool keep_alive;
    bool expects_continue;
    bool chunked;
    bool has_length;
    uint64_t content_length;
    struct http_header headers[HTTP1_MAX_HEADERS];
    int n_headers;
    str body;         /* Whole; empty when there is none. */
};

enum http1_event {
    HTTP1_MORE = 0,  /* Everything was taken, the request is not complete. */
    HTTP1_HEAD = 1,  /* The head is complete and lawful; a body follows. Feed the rest. Given only when there is a body. */
    HTTP1_DONE = 2,  /* The request is complete. Bytes after it were not taken. */
    HTTP1_ERROR = 3, /* Refused: error_status and error say why. Nothing more is read: one answer, then close. */
};

struct http1 {
    struct http_request request;
    struct buffer head;  /* Raw bytes of the head. */
    struct buffer body;
    struct chunked chunked;
    enum { HTTP1_IN_HEAD, HTTP1_IN_BODY, HTTP1_IN_CHUNKS, HTTP1_COMPLETE, HTTP1_BROKEN } state;
    /* The screen of the head's lines. */
    unsigned char last;
    size_t line_start;
    int n_lines;
    int n_blank_lines;
    int error_status;    /* 400, 413, 414, 417, 431, 501, 505. */
    struct error error;
};

void http1_init(struct http1 *http1, size_t max_body);
void http1_release(struct http1 *http1);
/* Forgets the request and waits for the next on the same connection. Not after HTTP1_ERROR. */
void http1_next(struct http1 *http1);
/* Takes bytes; *n_taken says how many. */
enum http1_event http1_feed(struct http1 *http1, const char *data, size_t n, size_t *n_taken);
/* Has any byte of a request been taken? */
bool http1_started(const struct http1 *http1);
/* The value of the first header of that name, case-insensitively. */
bool http_header_find(const struct http_request *request, str name, str *value);

#endif
