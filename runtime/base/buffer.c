/* Buffer: growing bytes that know their maximum, always terminated. A failed append is remembered, so a writer of
 * many parts checks once at the end. */
#include "weir_base.h"

void buffer_init(struct buffer *buffer, size_t max_bytes)
{
    *buffer = (struct buffer){.max_bytes = max_bytes};
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer, buffer->max_bytes);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->n = 0;
    buffer->failed = false;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

/* Room for n_bytes more and the terminator. */
static int buffer_reserve(struct buffer *buffer, size_t n_bytes)
{
    if (buffer->failed)
        return WEIR_E_LIMIT;
    if (n_bytes > buffer->max_bytes || buffer->n > buffer->max_bytes - n_bytes) {
        buffer->failed = true;
        return WEIR_E_LIMIT;
    }
    size_t need = buffer->n + n_bytes + 1;
    if (need <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    if (capacity > buffer->max_bytes && buffer->max_bytes < SIZE_MAX)
        capacity = buffer->max_bytes + 1;
    if (capacity < need)
        capacity = need;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return WEIR_E_MEMORY;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t n_bytes)
{
    int status = buffer_reserve(buffer, n_bytes);
    if (status < 0)
        return status;
    if (n_bytes > 0)
        memcpy(buffer->data + buffer->n, data, n_bytes);
    buffer->n += n_bytes;
    buffer->data[buffer->n] = '\0';
    return 0;
}

int buffer_append_str(struct buffer *buffer, str s)
{
    return buffer_append(buffer, s.data, s.n);
}

int buffer_append_text(struct buffer *buffer, const char *terminated)
{
    return buffer_append(buffer, terminated, strlen(terminated));
}

int buffer_append_char(struct buffer *buffer, char c)
{
    return buffer_append(buffer, &c, 1);
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    int status = n < 0 ? WEIR_E_INVALID : buffer_reserve(buffer, (size_t)n);
    if (status == 0) {
        vsnprintf(buffer->data + buffer->n, (size_t)n + 1, format, again);
        buffer->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
    return status;
}

int buffer_append_json_string(struct buffer *buffer, str s)
{
    static const char hex[] = "0123456789abcdef";
    buffer_append_char(buffer, '"');
    size_t plain = 0; /* Start of the run that needs no escape. */
    for (size_t at = 0; at < s.n;) {
        unsigned char c = (unsigned char)s.data[at];
        size_t start = at;
        char escape[6];
        size_t n_escape = 0;
        if (c >= 0x80) {
            uint32_t code_point = utf8_next(s, &at);
            if (code_point != 0xFFFD || at - start == 3)
                continue;
            memcpy(escape, "\xEF\xBF\xBD", n_escape = 3);
        } else {
            at++;
            if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F)
                continue;
            escape[n_escape++] = '\\';
            switch (c) {
            case '"':
            case '\\':
                escape[n_escape++] = (char)c;
                break;
            case '\n':
                escape[n_escape++] = 'n';
                break;
            case '\r':
                escape[n_escape++] = 'r';
                break;
            case '\t':
                escape[n_escape++] = 't';
                break;
            default:
                memcpy(escape + 1, "u00", 3);
                escape[4] = hex[c >> 4];
                escape[5] = hex[c & 15];
                n_escape = 6;
            }
        }
        buffer_append(buffer, s.data + plain, start - plain);
        buffer_append(buffer, escape, n_escape);
        plain = at;
    }
    if (s.n > plain)
        buffer_append(buffer, s.data + plain, s.n - plain);
    return buffer_append_char(buffer, '"');
}

void buffer_consume(struct buffer *buffer, size_t n_bytes)
{
    if (n_bytes > buffer->n)
        n_bytes = buffer->n;
    if (n_bytes == 0)
        return;
    memmove(buffer->data, buffer->data + n_bytes, buffer->n - n_bytes + 1);
    buffer->n -= n_bytes;
}

str buffer_str(const struct buffer *buffer)
{
    return (str){buffer->data != NULL ? buffer->data : "", buffer->n};
}

char *buffer_detach(struct buffer *buffer)
{
    char *data = NULL;
    if (!buffer->failed && buffer_append(buffer, "", 0) == 0) {
        data = buffer->data;
        buffer->data = NULL;
    }
    buffer_release(buffer);
    return data;
}
