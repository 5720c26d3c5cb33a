/* Chunked bodies. A line ends with CR LF and nothing else, a size is hexadecimal digits and nothing else, and what follows a
 * chunk's data is CR LF: each laxity here has been somebody's request smuggling. Runs on the loop thread; keeps no bytes. */
#include "door/chunked.h"

#include "door/http_bytes.h"

static int bad(struct error *err, const char *text)
{
    return error_set(err, WEIR_E_INVALID, "chunked body", "%s", text);
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of framing: everything but chunk data. */
static int framing_byte(struct chunked *chunked, unsigned char c, const struct buffer *body, struct error *err)
{
    switch (chunked->state) {
    case CHUNKED_SIZE: {
        int digit = hex_digit(c);
        if (digit >= 0) {
            if (++chunked->n_digits > CHUNKED_MAX_DIGITS)
                return bad(err, "the size of a chunk has too many digits");
            chunked->left = chunked->left << 4 | (uint64_t)digit;
            return 0;
        }
        if (chunked->n_digits == 0)
            return bad(err, "a chunk must begin with its size in hexadecimal digits");
        if (c == '\r')
            chunked->state = CHUNKED_SIZE_LF;
        else if (c == ';')
            chunked->state = CHUNKED_EXTENSION;
        else if (c == ' ' || c == '\t')
            chunked->state = CHUNKED_BEFORE_EXTENSION;
        else
            return bad(err, "the size of a chunk is followed by neither CR LF nor an extension");
        return 0;
    }
    case CHUNKED_BEFORE_EXTENSION: /* Blanks are grammar only in front of an extension. */
        if (c == ';')
            chunked->state = CHUNKED_EXTENSION;
        else if (c != ' ' && c != '\t')
            return bad(err, "the size of a chunk is followed by a blank");
        break;
    case CHUNKED_EXTENSION:
        if (c == '\r')
            chunked->state = CHUNKED_SIZE_LF;
        else if (!http_is_field_byte(c))
            return bad(err, "a control byte in a chunk extension");
        break;
    case CHUNKED_SIZE_LF:
        if (c != '\n')
            return bad(err, "the size line of a chunk does not end with CR LF");
        if (chunked->left > 0 && (chunked->left > body->max_bytes || body->n > body->max_bytes - chunked->left))
            return error_set(err, WEIR_E_LIMIT, "chunked body", "larger than %zu bytes", body->max_bytes);
        chunked->state = chunked->left > 0 ? CHUNKED_DATA : CHUNKED_TRAILER_START;
        chunked->n_digits = 0;
        chunked->n_line = 0;
        return 0;
    case CHUNKED_DATA_CR:
        if (c != '\r')
            return bad(err, "the data of a chunk is not followed by CR LF");
        chunked->state = CHUNKED_DATA_LF;
        return 0;
    case CHUNKED_DATA_LF:
        if (c != '\n')
            return bad(err, "the data of a chunk is not followed by CR LF");
        chunked->state = CHUNKED_SIZE;
        return 0;
    case CHUNKED_TRAILER_START:
        if (c == '\r')
            chunked->state = CHUNKED_END_LF;
        else if (http_is_token_byte(c))
            chunked->state = CHUNKED_TRAILER_NAME;
        else
            return bad(err, "a trailer line does not begin with a field name");
        break;
    case CHUNKED_TRAILER_NAME:
        if (c == ':')
            chunked->state = CHUNKED_TRAILER_VALUE;
        else if (!http_is_token_byte(c))
            return bad(err, "a byte that has no place in a trailer's name");
        break;
    case CHUNKED_TRAILER_VALUE:
        if (c == '\r')
            chunked->state = CHUNKED_TRAILER_LF;
        else if (!http_is_field_byte(c))
            return bad(err, "a control byte in a trailer");
        break;
    case CHUNKED_TRAILER_LF:
        if (c != '\n')
            return bad(err, "a trailer line does not end with CR LF");
        chunked->state = CHUNKED_TRAILER_START;
        break;
    case CHUNKED_END_LF:
        if (c != '\n')
            return bad(err, "the trailers do not end with CR LF");
        chunked->state = CHUNKED_DONE;
        return 0;
    case CHUNKED_DATA:
    case CHUNKED_DONE:
        break;
    }
    bool in_trailers = chunked->state >= CHUNKED_TRAILER_START;
    if (in_trailers ? ++chunked->n_trailers > CHUNKED_MAX_TRAILERS : ++chunked->n_line > CHUNKED_MAX_LINE)
        return bad(err, in_trailers ? "the trailers are too long" : "a chunk extension is too long");
    return 0;
}

int chunked_feed(struct chunked *chunked, const char *data, size_t n, size_t *n_taken, struct buffer *body, struct error *err)
{
    size_t at = 0;
    int status = 0;
    while (at < n && chunked->state != CHUNKED_DONE && status == 0) {
        if (chunked->state != CHUNKED_DATA) {
            status = framing_byte(chunked, (unsigned char)data[at++], body, err);
            continue;
        }
        size_t run = n - at < chunked->left ? n - at : (size_t)chunked->left;
        status = buffer_append(body, data + at, run);
        if (status < 0)
            error_set(err, (enum weir_status)status, "chunked body", "%s", "does not fit into memory");
        at += run;
        chunked->left -= run;
        if (chunked->left == 0)
            chunked->state = CHUNKED_DATA_CR;
    }
    *n_taken = at;
    if (status < 0)
        return status;
    return chunked->state == CHUNKED_DONE;
}
