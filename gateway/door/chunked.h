/* The chunked transfer coding of RFC 9112 section 7.1, read strictly, a byte at a time. */
#ifndef WEIR_DOOR_CHUNKED_H
#define WEIR_DOOR_CHUNKED_H

#include "weir_base.h"

enum {
    CHUNKED_MAX_LINE = 4096,     /* A size with its extensions. */
    CHUNKED_MAX_TRAILERS = 8192, /* All trailer lines together. */
    CHUNKED_MAX_DIGITS = 15,     /* Of a size: below 2^60. */
};

/* Zero is a decoder in front of the first chunk. */
struct chunked {
    enum {
        CHUNKED_SIZE,
        CHUNKED_BEFORE_EXTENSION,
        CHUNKED_EXTENSION,
        CHUNKED_SIZE_LF,
        CHUNKED_DATA,
        CHUNKED_DATA_CR,
        CHUNKED_DATA_LF,
        CHUNKED_TRAILER_START,
        CHUNKED_TRAILER_NAME,
        CHUNKED_TRAILER_VALUE,
        CHUNKED_TRAILER_LF,
        CHUNKED_END_LF,
        CHUNKED_DONE
    } state;
    uint64_t left;     /* Of the size being read, then of the data still to come. */
    int n_digits;
    size_t n_line;     /* Bytes of the size line. */
    size_t n_trailers; /* Bytes of all trailer lines. */
};

/* Takes bytes from data, appends what they carry to body. Returns 1 when the last chunk and the trailers have been read, 0
 * when more is needed, WEIR_E_INVALID for a break of the grammar (err's text says which), WEIR_E_LIMIT when a chunk would
 * take the body past its maximum. *n_taken: bytes used, never past the end of the body. Trailers are read and dropped. */
int chunked_feed(struct chunked *chunked, const char *data, size_t n, size_t *n_taken, struct buffer *body,
                 struct error *err) WEIR_CHECKED;

#endif
