/* HTTP/1.1 request parser: llhttp in its strict build behind a screen of our own.
 *
 * Invariant: a request is accepted only if every server and proxy that follows RFC 9112 would see the same end of it. So the
 * head is collected line by line first (CR LF ends a line and nothing else does, no folded lines, no control bytes), then
 * llhttp parses it, then the framing rules are applied that llhttp leaves open: one Host, one Content-Length of digits, one
 * Transfer-Encoding that is exactly `chunked`, never both. After a refusal nothing more is read from the connection.
 *
 * Runs on the loop thread; owns the bytes of one request. Time limits, answers and pipelining belong to connection.c. */
#include "door/http1.h"

#include "door/http_bytes.h"

#include <llhttp.h>

void http1_init(struct http1 *http1, size_t max_body)
{
    memset(http1, 0, sizeof *http1);
    buffer_init(&http1->head, HTTP1_MAX_HEAD);
    buffer_init(&http1->body, max_body);
}

void http1_release(struct http1 *http1)
{
    buffer_release(&http1->head);
    buffer_release(&http1->body);
}

void http1_next(struct http1 *http1)
{
    buffer_clear(&http1->head);
    buffer_release(&http1->body);
    memset(&http1->request, 0, offsetof(struct http_request, headers));
    http1->request.n_headers = 0;
    http1->request.body = (str){NULL, 0};
    http1->chunked = (struct chunked){0};
    http1->state = HTTP1_IN_HEAD;
    http1->last = 0;
    http1->line_start = 0;
    http1->n_lines = 0;
    http1->n_blank_lines = 0;
}

bool http1_started(const struct http1 *http1)
{
    return http1->state != HTTP1_IN_HEAD || http1->head.n > 0 || http1->n_blank_lines > 0;
}

bool http_header_find(const struct http_request *request, str name, str *value)
{
    for (int i = 0; i < request->n_headers; i++) {
        if (str_equal_nocase(request->headers[i].name, name)) {
            *value = request->headers[i].value;
            return true;
        }
    }
    return false;
}

static enum http1_event refuse(struct http1 *http1, int status, const char *where, const char *text)
{
    http1->state = HTTP1_BROKEN;
    http1->error_status = status;
    error_set(&http1->error, WEIR_E_INVALID, where, "%s", text);
    return HTTP1_ERROR;
}

/* ------------------------------------------------------------------ the head, line by line */

/* Takes one byte of the head. 1: the head is complete, 0: more, -1: refused. */
static int head_byte(struct http1 *http1, unsigned char c)
{
    unsigned char last = http1->last;
    bool at_line_start = http1->head.n == http1->line_start;
    http1->last = c;
    if (last == '\r' && c != '\n')
        return refuse(http1, 400, "head", "a carriage return without a line feed"), -1;
    if (c == '\n') {
        if (last != '\r')
            return refuse(http1, 400, "head", "a line feed without a carriage return"), -1;
        size_t n_line = http1->head.n - http1->line_start - 1;
        if (n_line == 0 && http1->n_lines == 0) {
            buffer_clear(&http1->head);
            http1->last = 0;
            if (++http1->n_blank_lines > HTTP1_MAX_BLANK_LINES)
                return refuse(http1, 400, "head", "too many empty lines in front of the request line"), -1;
            return 0;
        }
        if (buffer_append_char(&http1->head, '\n') < 0)
            return refuse(http1, 431, "head", "larger than 16 KiB"), -1;
        http1->line_start = http1->head.n;
        if (n_line == 0)
            return 1;
        if (++http1->n_lines > HTTP1_MAX_HEADERS + 1)
            return refuse(http1, 431, "head", "more than 100 header fields"), -1;
        return 0;
    }
    if (at_line_start && (c == ' ' || c == '\t'))
        return refuse(http1, 400, "head", http1->n_lines == 0 ? "the request line begins with a blank" : "a folded header line"), -1;
    if (c != '\r' && !http_is_field_byte(c))
        return refuse(http1, 400, "head", "a control byte"), -1;
    if (http1->n_lines == 0 && http1->head.n > HTTP1_MAX_TARGET + 64)
        return refuse(http1, 414, "request target", "longer than 8 KiB"), -1;
    if (buffer_append_char(&http1->head, (char)c) < 0)
        return refuse(http1, 431, "head", "larger than 16 KiB"), -1;
    return 0;
}

/* ------------------------------------------------------------------ llhttp's view of the head */

struct head_parse {
    struct http_request *request;
    bool too_many;
};

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
    struct head_parse *parse = parser->data;
    str *target = &parse->request->target;
    if (target->data == NULL)
        target->data = at;
    target->n = (size_t)(at + n - target->data); /* Pieces of one span lie one behind the other. */
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t n)
{
    struct head_parse *parse = parser->data;
    struct http_request *request = parse->request;
    struct http_header *last = request->n_headers > 0 ? &request->headers[request->n_headers - 1] : NULL;
    if (last != NULL && last->value.data == NULL) {
        last->name.n = (size_t)(at + n - last->name.data);
        return 0;
    }
    if (request->n_headers == HTTP1_MAX_HEADERS) {
        parse->too_many = true;
        return -1;
    }
    request->headers[request->n_headers++] = (struct http_header){.name = {at, n}};
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n)
{
    struct head_parse *parse = parser->data;
    struct http_header *last = &parse->request->headers[parse->request->n_headers - 1];
    if (last->value.data == NULL)
        last->value.data = at;
    last->value.n = (size_t)(at + n - last->value.data);
    return 0;
}

static int parse_head(struct http1 *http1)
{
    static const llhttp_settings_t settings = {
        .on_url = on_url, .on_header_field = on_header_field, .on_header_value = on_header_value};
    struct head_parse parse = {.request = &http1->request};
    llhttp_t parser;
    /* Tabs are lawful blanks around a value; llhttp takes them for a part of a length. */
    for (size_t i = 0; i < http1->head.n; i++)
        if (http1->head.data[i] == '\t')
            http1->head.data[i] = ' ';
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &parse;
    enum llhttp_errno code = llhttp_execute(&parser, http1->head.data, http1->head.n);
    if (parse.too_many)
        return refuse(http1, 431, "head", "more than 100 header fields"), -1;
    if (code != HPE_OK && code != HPE_PAUSED_UPGRADE) {
        /* llhttp's reason is a constant sentence and quotes nothing. */
        const char *reason = llhttp_get_error_reason(&parser);
        return refuse(http1, 400, "head", reason != NULL && reason[0] != '\0' ? reason : "not an HTTP/1.1 request"), -1;
    }
    for (int i = 0; i < http1->request.n_headers; i++) {
        struct http_header *header = &http1->request.headers[i];
        header->value = str_trim(header->value);
        if (header->value.data == NULL)
            header->value.data = "";
    }
    return 0;
}

/* ------------------------------------------------------------------ rules about the request line */

/* Method, one blank, target, one blank, HTTP/1.0 or HTTP/1.1: nothing else. */
static int check_request_line(struct http1 *http1)
{
    struct http_request *request = &http1->request;
    str head = buffer_str(&http1->head), line = {head.data, (size_t)str_find(head, STR("\r\n"))};
    str rest = line, method, target;
    if (!str_split(&rest, ' ', &method) || rest.data == NULL || !str_split(&rest, ' ', &target) || rest.data == NULL ||
        method.n == 0 || target.n == 0)
        return refuse(http1, 400, "request line", "must be a method, a target and a version with one blank between them"), -1;
    for (size_t i = 0; i < method.n; i++)
        if (!http_is_token_byte((unsigned char)method.data[i]))
            return refuse(http1, 400, "request line", "the method has a byte that no token may have"), -1;
    if (rest.n != 8 || !str_starts(rest, STR("HTTP/")) || rest.data[6] != '.' || rest.data[5] < '0' || rest.data[5] > '9' ||
        rest.data[7] < '0' || rest.data[7] > '9')
        return refuse(http1, 400, "request line", "no HTTP version"), -1;
    if (rest.data[5] != '1' || rest.data[7] > '1')
        return refuse(http1, 505, "request line", "only HTTP/1.0 and HTTP/1.1 are served"), -1;
    if (target.n > HTTP1_MAX_TARGET)
        return refuse(http1, 414, "request target", "longer than 8 KiB"), -1;
    if (str_equal(method, STR("CONNECT")))
        return refuse(http1, 501, "method", "CONNECT is not served: this is no proxy"), -1;
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= 0x20 || c >= 0x7F || c == '#')
            return refuse(http1, 400, "request target", "a byte that has no place in it"), -1;
    }
    request->method = method;
    request->minor = rest.data[7] - '0';
    return 0;
}

/* Splits the target into path and query; an absolute one must name the same host as the Host field. */
static int check_target(struct http1 *http1)
{
    struct http_request *request = &http1->request;
    str path = request->target, scheme = STR("http://"), secure = STR("https://");
    if (str_equal(path, STR("*")) && str_equal(request->method, STR("OPTIONS"))) {
        request->path = path;
        return 0;
    }
    bool plain = path.n >= scheme.n && str_equal_nocase((str){path.data, scheme.n}, scheme);
    if (plain || (path.n >= secure.n && str_equal_nocase((str){path.data, secure.n}, secure))) {
        size_t n_scheme = plain ? scheme.n : secure.n, end = n_scheme;
        while (end < path.n && path.data[end] != '/' && path.data[end] != '?')
            end++;
        str authority = {path.data + n_scheme, end - n_scheme};
        if (request->minor == 1 && !str_equal_nocase(authority, request->host))
            return refuse(http1, 400, "request target", "names another host than the Host field"), -1;
        path = (str){path.data + end, path.n - end};
        if (path.n == 0 || path.data[0] == '?') {
            request->path = STR("/");
            if (path.n > 0)
                request->query = (str){path.data + 1, path.n - 1};
            return 0;
        }
    } else if (path.data[0] != '/') {
        return refuse(http1, 400, "request target", "must begin with a slash"), -1;
    }
    (void)str_split(&path, '?', &request->path);
    request->query = path.data != NULL ? path : (str){"", 0};
    return 0;
}

/* ------------------------------------------------------------------ rules about the fields that frame a message */

static int check_length(struct http1 *http1, str value)
{
    struct http_request *request = &http1->request;
    if (request->has_length)
        return refuse(http1, 400, "Content-Length", "given more than once"), -1;
    if (value.n == 0 || value.n > 18)
        return refuse(http1, 400, "Content-Length", "must be a decimal number"), -1;
    for (size_t i = 0; i < value.n; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return refuse(http1, 400, "Content-Length", "must be decimal digits and nothing else"), -1;
        request->content_length = request->content_length * 10 + (uint64_t)(value.data[i] - '0');
    }
    request->has_length = true;
    return 0;
}

static int check_coding(struct http1 *http1, str value)
{
    struct http_request *request = &http1->request;
    if (request->minor == 0)
        return refuse(http1, 400, "Transfer-Encoding", "has no place in HTTP/1.0"), -1;
    if (request->chunked)
        return refuse(http1, 400, "Transfer-Encoding", "given more than once"), -1;
    if (!str_equal_nocase(value, STR("chunked")))
        return refuse(http1, 400, "Transfer-Encoding", "only `chunked` is understood"), -1;
    request->chunked = true;
    return 0;
}

static void read_connection(str value, bool *close, bool *keep, bool *upgrade)
{
    str token;
    while (str_split(&value, ',', &token)) {
        token = str_trim(token);
        *close |= str_equal_nocase(token, STR("close"));
        *keep |= str_equal_nocase(token, STR("keep-alive"));
        *upgrade |= str_equal_nocase(token, STR("upgrade"));
    }
}

static bool host_is_lawful(str host)
{
    if (host.n == 0)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.data[i];
        if (c <= 0x20 || c >= 0x7F || strchr("/\\?#@,<>\"{}|^`", c) != NULL)
            return false;
    }
    return true;
}

static int check_fields(struct http1 *http1)
{
    struct http_request *request = &http1->request;
    int n_hosts = 0;
    bool close = false, keep = false, upgrade = false, has_coding = false;
    str upgrade_to = {NULL, 0};
    for (int i = 0; i < request->n_headers; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.n == 0 || header->name.data[header->name.n] != ':')
            return refuse(http1, 400, "head", "a header name is not followed by a colon"), -1;
        for (size_t k = 0; k < header->name.n; k++)
            if (!http_is_token_byte((unsigned char)header->name.data[k]))
                return refuse(http1, 400, "head", "a header name has a byte that no token may have"), -1;
        if (str_equal_nocase(header->name, STR("host"))) {
            n_hosts++;
            request->host = header->value;
            if (!host_is_lawful(header->value))
                return refuse(http1, 400, "Host", "is empty or no host name"), -1;
        } else if (str_equal_nocase(header->name, STR("content-length"))) {
            if (check_length(http1, header->value) < 0)
                return -1;
        } else if (str_equal_nocase(header->name, STR("transfer-encoding"))) {
            has_coding = true;
            if (check_coding(http1, header->value) < 0)
                return -1;
        } else if (str_equal_nocase(header->name, STR("connection"))) {
            read_connection(header->value, &close, &keep, &upgrade);
        } else if (str_equal_nocase(header->name, STR("upgrade"))) {
            upgrade_to = header->value;
        } else if (str_equal_nocase(header->name, STR("expect")) && request->minor == 1) {
            if (!str_equal_nocase(header->value, STR("100-continue")))
                return refuse(http1, 417, "Expect", "only `100-continue` is understood"), -1;
            request->expects_continue = true;
        }
    }
    if (n_hosts > 1 || (n_hosts == 0 && request->minor == 1))
        return refuse(http1, 400, "Host", n_hosts > 1 ? "given more than once" : "is missing"), -1;
    if (has_coding && request->has_length)
        return refuse(http1, 400, "Content-Length", "given together with Transfer-Encoding"), -1;
    /* An offer of HTTP/2 may be passed over in silence (curl makes it unasked); anything else wants another protocol. */
    if (upgrade && upgrade_to.data != NULL && !str_equal_nocase(upgrade_to, STR("h2c")))
        return refuse(http1, 501, "Upgrade", "no other protocol is spoken here"), -1;
    request->keep_alive = !close && (request->minor == 1 || keep);
    return 0;
}

static enum http1_event head_complete(struct http1 *http1)
{
    if (check_request_line(http1) < 0 || parse_head(http1) < 0 || check_fields(http1) < 0 || check_target(http1) < 0)
        return HTTP1_ERROR;
    const struct http_request *request = &http1->request;
    if (request->has_length && request->content_length > http1->body.max_bytes)
        return refuse(http1, 413, "body", "larger than this server takes");
    if (request->chunked)
        http1->state = HTTP1_IN_CHUNKS;
    else if (request->content_length > 0)
        http1->state = HTTP1_IN_BODY;
    else
        http1->state = HTTP1_COMPLETE;
    return http1->state == HTTP1_COMPLETE ? HTTP1_DONE : HTTP1_HEAD;
}

/* ------------------------------------------------------------------ the body */

static enum http1_event body_bytes(struct http1 *http1, const char *data, size_t n, size_t *n_taken)
{
    struct http_request *request = &http1->request;
    if (http1->state == HTTP1_IN_CHUNKS) {
        int status = chunked_feed(&http1->chunked, data, n, n_taken, &http1->body, &http1->error);
        if (status < 0) {
            http1->state = HTTP1_BROKEN;
            http1->error_status = status == WEIR_E_LIMIT ? 413 : status == WEIR_E_MEMORY ? 503 : 400;
            return HTTP1_ERROR;
        }
        if (status == 0)
            return HTTP1_MORE;
    } else {
        size_t left = (size_t)request->content_length - http1->body.n;
        *n_taken = n < left ? n : left;
        if (buffer_append(&http1->body, data, *n_taken) < 0)
            return refuse(http1, 503, "body", "does not fit into memory");
        if (http1->body.n < request->content_length)
            return HTTP1_MORE;
    }
    request->body = buffer_str(&http1->body);
    http1->state = HTTP1_COMPLETE;
    return HTTP1_DONE;
}

enum http1_event http1_feed(struct http1 *http1, const char *data, size_t n, size_t *n_taken)
{
    *n_taken = 0;
    switch (http1->state) {
    case HTTP1_IN_HEAD:
        while (*n_taken < n) {
            int complete = head_byte(http1, (unsigned char)data[(*n_taken)++]);
            if (complete < 0)
                return HTTP1_ERROR;
            if (complete > 0)
                return head_complete(http1);
        }
        return HTTP1_MORE;
    case HTTP1_IN_BODY:
    case HTTP1_IN_CHUNKS:
        return n > 0 ? body_bytes(http1, data, n, n_taken) : HTTP1_MORE;
    case HTTP1_COMPLETE:
        return HTTP1_DONE;
    case HTTP1_BROKEN:
        break;
    }
    return HTTP1_ERROR;
}
