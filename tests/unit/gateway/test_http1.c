/* HTTP/1.1 parsing: what must be refused is refused, what is lawful is served, wherever the bytes are cut. */
#include <criterion/criterion.h>

#include "door/http1.h"

enum { MAX_BODY = 1000 };

struct vector {
    const char *name;
    const char *bytes;
    size_t n; /* 0: strlen. */
    int status; /* 200: parsed whole; otherwise the refusal. */
};

#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* Framing that has been, or could be, read in two ways: all must be refused. */
static const struct vector refused[] = {
    {"content-length with transfer-encoding", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"transfer-encoding with content-length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 0, 400},
    {"two different lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 0, 400},
    {"two equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 0, 400},
    {"a list of lengths", POST "Content-Length: 5, 5\r\n\r\nhello", 0, 400},
    {"plus sign", POST "Content-Length: +5\r\n\r\nhello", 0, 400},
    {"minus sign", POST "Content-Length: -5\r\n\r\nhello", 0, 400},
    {"blank inside the length", POST "Content-Length: 1 0\r\n\r\nhellohello", 0, 400},
    {"hexadecimal length", POST "Content-Length: 0x5\r\n\r\nhello", 0, 400},
    {"empty length", POST "Content-Length:\r\n\r\n", 0, 400},
    {"length with a fraction", POST "Content-Length: 5.0\r\n\r\nhello", 0, 400},
    {"length past 64 bits", POST "Content-Length: 18446744073709551621\r\n\r\nhello", 0, 400},
    {"blank in front of the colon", POST "Content-Length : 5\r\n\r\nhello", 0, 400},
    {"tab in front of the colon", POST "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"folded header", POST "X: a\r\n b\r\n\r\n", 0, 400},
    {"folded length", POST "Content-Length:\r\n 5\r\n\r\nhello", 0, 400},
    {"first header led by a blank", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 0, 400},
    {"line feed alone ends a header", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 0, 400},
    {"line feed alone ends the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 0, 400},
    {"line feed alone ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", 0, 400},
    {"carriage return alone in a value", POST "X: a\rb\r\n\r\n", 0, 400},
    {"carriage return alone ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 0, 400},
    {"NUL in a value", POST "X: a\0b\r\n\r\n", sizeof(POST "X: a\0b\r\n\r\n") - 1, 400},
    {"NUL in a name", POST "X\0: a\r\n\r\n", sizeof(POST "X\0: a\r\n\r\n") - 1, 400},
    {"control byte in a value", POST "X: a\x01 b\r\n\r\n", 0, 400},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 0, 400},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0, 400},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, 400},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, 400},
    {"another host in the target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"coding of two parts", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"chunked in one list twice", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"unknown coding", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"coding hidden by a vertical tab", POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"identity coding", POST "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n", 0, 400},
    {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400},
    {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 0, 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 0, 505},
    {"no version", "GET /\r\nHost: a\r\n\r\n", 0, 400},
    {"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"two blanks in the request line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"blank behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 0, 400},
    {"no header name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 0, 400},
    {"header without a colon", "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", 0, 400},
    {"relative target", "GET v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 0, 400},
    {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 0, 501},
    {"upgrade to a web socket", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0, 501},
    {"expectation that nobody knows", POST "Content-Length: 5\r\nExpect: tea\r\n\r\nhello", 0, 417},
    {"body past the limit", POST "Content-Length: 1001\r\n\r\n", 0, 413},
    {"chunk size with 0x", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size with a sign", CHUNKED "+5\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size led by a blank", CHUNKED " 5\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size followed by a blank", CHUNKED "5 \r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size that is none", CHUNKED "g\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"empty chunk size", CHUNKED "\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk size past 64 bits", CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"chunk longer than it says", CHUNKED "5\r\nhelloX\r\n0\r\n\r\n", 0, 400},
    {"chunk data ended by a line feed", CHUNKED "5\r\nhello\n0\r\n\r\n", 0, 400},
    {"chunk size ended by a line feed", CHUNKED "5\nhello\r\n0\r\n\r\n", 0, 400},
    {"line feed in a chunk extension", CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n", 0, 400},
    {"last chunk ended by line feeds", CHUNKED "0\n\n", 0, 400},
    {"folded trailer", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", 0, 400},
    {"chunk past the limit", CHUNKED "3e9\r\n", 0, 413},
    {"chunks past the limit together", CHUNKED "5\r\nhello\r\n3e4\r\n", 0, 413},
};

#define LAWFUL(text) text, sizeof(text) - 1, 200
static const struct vector lawful[] = {
    {"the least there is", LAWFUL("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"HTTP/1.0 without Host", LAWFUL("GET / HTTP/1.0\r\n\r\n")},
    {"empty lines in front", LAWFUL("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"absolute target", LAWFUL("GET http://a:80/b?c HTTP/1.1\r\nHost: a:80\r\n\r\n")},
    {"absolute target without a path", LAWFUL("GET http://a HTTP/1.1\r\nHost: A\r\n\r\n")},
    {"asterisk", LAWFUL("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"body with a length", LAWFUL(POST "Content-Length: 5\r\n\r\nhello")},
    {"length with zeros in front", LAWFUL(POST "Content-Length: 005\r\n\r\nhello")},
    {"length without blanks", LAWFUL(POST "content-length:5\r\n\r\nhello")},
    {"length among blanks", LAWFUL(POST "Content-Length: \t 5 \t\r\n\r\nhello")},
    {"GET with a body", LAWFUL("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")},
    {"chunks", LAWFUL(CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")},
    {"coding in other letters", LAWFUL(POST "transfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")},
    {"size with zeros and capitals", LAWFUL(POST "Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n")},
    {"extensions", LAWFUL(CHUNKED "5;a;b=c;d=\"e f\"\r\nhello\r\n0;x\r\n\r\n")},
    {"blanks in front of an extension", LAWFUL(CHUNKED "5 \t;a\r\nhello\r\n0\r\n\r\n")},
    {"trailers", LAWFUL(CHUNKED "5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\n")},
    {"obs-text in a value", LAWFUL("GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n")},
    {"empty value", LAWFUL("GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n")},
    {"an offer of HTTP/2", LAWFUL("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n")},
    {"unknown method", LAWFUL("PATCH / HTTP/1.1\r\nHost: a\r\n\r\n")},
};

/* Feeds the vector cut at `cut`, the rest a byte at a time where `bytewise`. */
static enum http1_event run(struct http1 *http1, const char *bytes, size_t n, size_t cut, bool bytewise)
{
    enum http1_event event = HTTP1_MORE;
    size_t at = 0;
    while (at < n && event != HTTP1_DONE && event != HTTP1_ERROR) {
        size_t end = bytewise ? at + 1 : at < cut ? cut : n, taken;
        event = http1_feed(http1, bytes + at, end - at, &taken);
        at += taken;
        cr_assert(taken <= end - at + taken);
        if (taken == 0 && event != HTTP1_DONE && event != HTTP1_ERROR)
            cr_assert_fail("nothing was taken");
    }
    return event;
}

static void check(const struct vector *vector, size_t cut, bool bytewise)
{
    struct http1 http1;
    size_t n = vector->n > 0 ? vector->n : strlen(vector->bytes);
    http1_init(&http1, MAX_BODY);
    enum http1_event event = run(&http1, vector->bytes, n, cut, bytewise);
    if (vector->status == 200) {
        cr_assert_eq(event, HTTP1_DONE, "%s, cut at %zu: %s: %s", vector->name, cut, http1.error.where, http1.error.text);
        if (http1.request.has_length || http1.request.chunked)
            cr_assert(str_equal(http1.request.body, STR("hello")), "%s, cut at %zu: body", vector->name, cut);
    } else {
        cr_assert_eq(event, HTTP1_ERROR, "%s, cut at %zu: was taken", vector->name, cut);
        cr_assert_eq(http1.error_status, vector->status, "%s, cut at %zu: status %d", vector->name, cut, http1.error_status);
        size_t taken;
        cr_assert_eq(http1_feed(&http1, "x", 1, &taken), HTTP1_ERROR, "%s: went on after a refusal", vector->name);
    }
    http1_release(&http1);
}

static void check_all(const struct vector *vectors, size_t n_vectors)
{
    for (size_t i = 0; i < n_vectors; i++) {
        size_t n = vectors[i].n > 0 ? vectors[i].n : strlen(vectors[i].bytes);
        for (size_t cut = 1; cut <= n; cut++)
            check(&vectors[i], cut, false);
        check(&vectors[i], n, true);
    }
}

Test(http1, refuses_ambiguous_framing_wherever_it_is_cut)
{
    check_all(refused, sizeof refused / sizeof *refused);
}

Test(http1, takes_every_lawful_form_wherever_it_is_cut)
{
    check_all(lawful, sizeof lawful / sizeof *lawful);
}

Test(http1, leaves_the_bytes_of_the_next_request)
{
    static const char first[] = POST "Content-Length: 5\r\n\r\nhello", second[] = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    char both[256];
    int n = snprintf(both, sizeof both, "%s%s", first, second);
    struct http1 http1;
    size_t taken, at = 0;
    http1_init(&http1, MAX_BODY);
    enum http1_event event = http1_feed(&http1, both, (size_t)n, &taken);
    at += taken;
    cr_assert_eq(event, HTTP1_HEAD);
    event = http1_feed(&http1, both + at, (size_t)n - at, &taken);
    at += taken;
    cr_assert_eq(event, HTTP1_DONE);
    cr_assert_eq(at, sizeof first - 1);
    http1_next(&http1);
    cr_assert_eq(http1_feed(&http1, both + at, (size_t)n - at, &taken), HTTP1_DONE);
    cr_assert(str_equal(http1.request.path, STR("/b")));
    cr_assert_eq(http1.request.body.n, 0);
    http1_release(&http1);
}

Test(http1, knows_when_a_connection_is_kept)
{
    static const struct {
        const char *bytes;
        bool keep;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http1 http1;
        size_t taken;
        http1_init(&http1, MAX_BODY);
        cr_assert_eq(http1_feed(&http1, cases[i].bytes, strlen(cases[i].bytes), &taken), HTTP1_DONE);
        cr_assert_eq(http1.request.keep_alive, cases[i].keep, "%s", cases[i].bytes);
        http1_release(&http1);
    }
}

/* A head of the given shape; returns the refusal's status, 0 when it was taken. */
static int feed_head(const char *prefix, const char *unit, int n_units, const char *suffix)
{
    struct buffer head;
    struct http1 http1;
    size_t taken;
    buffer_init(&head, 1 << 20);
    buffer_append_text(&head, prefix);
    for (int i = 0; i < n_units; i++)
        buffer_append_text(&head, unit);
    buffer_append_text(&head, suffix);
    http1_init(&http1, MAX_BODY);
    enum http1_event event = http1_feed(&http1, head.data, head.n, &taken);
    int status = event == HTTP1_ERROR ? http1.error_status : 0;
    http1_release(&http1);
    buffer_release(&head);
    return status;
}

Test(http1, holds_its_limits)
{
    cr_assert_eq(feed_head("GET / HTTP/1.1\r\nHost: a\r\n", "X: b\r\n", 99, "\r\n"), 0);
    cr_assert_eq(feed_head("GET / HTTP/1.1\r\nHost: a\r\n", "X: b\r\n", 100, "\r\n"), 431);
    cr_assert_eq(feed_head("GET / HTTP/1.1\r\nHost: a\r\nX: ", "0123456789", 1600, "\r\n\r\n"), 0);
    cr_assert_eq(feed_head("GET / HTTP/1.1\r\nHost: a\r\nX: ", "0123456789", 1700, "\r\n\r\n"), 431);
    cr_assert_eq(feed_head("GET /", "0123456789abcdef", 511, " HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    cr_assert_eq(feed_head("GET /", "0123456789abcdef", 512, " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    cr_assert_eq(feed_head("GET /", "0123456789abcdef", 40000, ""), 414, "an endless target is not awaited");
    cr_assert_eq(feed_head("", "\r\n", 5, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    cr_assert_eq(feed_head(CHUNKED "5;", "abcdefgh", 600, "\r\n"), 0, "a head alone");
}

Test(http1, bounds_extensions_and_trailers)
{
    static const char *const prefixes[] = {"5;", "5\r\nhello\r\n0\r\nA: "};
    for (int k = 0; k < 2; k++) {
        struct chunked chunked = {0};
        struct buffer body;
        struct error err;
        size_t taken;
        int status;
        buffer_init(&body, MAX_BODY);
        cr_assert_eq(chunked_feed(&chunked, prefixes[k], strlen(prefixes[k]), &taken, &body, &err), 0);
        for (int i = 0; (status = chunked_feed(&chunked, "xxxxxxxx", 8, &taken, &body, &err)) == 0; i++)
            cr_assert_lt(i, 2000);
        cr_assert_eq(status, WEIR_E_INVALID);
        buffer_release(&body);
    }
}

Test(http1, splits_path_and_query)
{
    struct http1 http1;
    size_t taken;
    static const char bytes[] = "GET http://h/v1/models?limit=2&x=? HTTP/1.1\r\nHost: h\r\nX-A:  v w \r\n\r\n";
    str value;
    http1_init(&http1, MAX_BODY);
    cr_assert_eq(http1_feed(&http1, bytes, sizeof bytes - 1, &taken), HTTP1_DONE);
    cr_assert(str_equal(http1.request.path, STR("/v1/models")));
    cr_assert(str_equal(http1.request.query, STR("limit=2&x=?")));
    cr_assert(http_header_find(&http1.request, STR("x-a"), &value));
    cr_assert(str_equal(value, STR("v w")));
    http1_release(&http1);
}
