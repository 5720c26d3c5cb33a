/* IP addresses: version 4 in four decimal parts, version 6 in every form of RFC 4291 and RFC 4007 (compressed, with an embedded
 * version 4 address, with a zone), each with an optional prefix length. */
#include "scan/scan.h"

#include <arpa/inet.h>

const struct entity entity_ip = {"IP_ADDRESS", "ip", "ip|ipv4|ipv6|address|host|server|subnet|gateway"};

enum { LONGEST_V4 = 15, LONGEST_V6 = 45, LONGEST_ZONE = 16 };

static bool is_word(const struct scan_text *text, size_t at)
{
    return at < text->n && bit_test(text->word, at);
}

/* "/n" at `at` with n within most: its end, else `at`. */
static size_t prefix_end(const struct scan_text *text, size_t at, int most)
{
    if (at >= text->n || text->data[at] != '/')
        return at;
    size_t i = at + 1;
    int value = 0;
    while (i < text->n && i - at <= 3 && is_digit(text->data[i]))
        value = value * 10 + (text->data[i++] - '0');
    bool ends = i > at + 1 && !is_word(text, i);
    return ends && value <= most ? i : at;
}

/* End of four decimal parts at `at`, or 0. */
static size_t v4_end(const struct scan_text *text, size_t at)
{
    for (int part = 0; part < 4; part++) {
        int value = 0, digits = 0;
        while (at < text->n && is_digit(text->data[at]) && digits < 4) {
            value = value * 10 + (text->data[at++] - '0');
            digits++;
        }
        if (digits == 0 || digits > 3 || value > 255)
            return 0;
        if (part == 3)
            return is_word(text, at) ? 0 : at;
        if (at >= text->n || text->data[at++] != '.')
            return 0;
    }
    return 0;
}

static void scan_v4(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    for (size_t at = 0; at < text->n && !scan->full;) {
        const char *dot = memchr(text->data + at, '.', text->n - at);
        if (dot == NULL)
            return;
        size_t offset = (size_t)(dot - text->data), start = offset;
        while (start > at && offset - start < 4 && is_digit(text->data[start - 1]))
            start--;
        bool begins = start < offset && (start == 0 || !is_word(text, start - 1));
        size_t end = begins ? v4_end(text, start) : 0;
        if (end > 0) {
            end = prefix_end(text, end, 32);
            scan_report(scan, &entity_ip, start, end, 0.6f);
        }
        at = end > offset ? end : offset + 1;
    }
}

static bool is_v6_char(char c)
{
    return is_digit(c) || c == ':' || c == '.' || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}

/* Length of the longest address at the head of run, or 0. Trailing dots and colons belong to the sentence. */
static size_t v6_length(str run)
{
    char copy[LONGEST_V6 + 1];
    struct in6_addr parsed;
    while (run.n > 0 && run.data[run.n - 1] == '.')
        run.n--;
    for (int tries = 0; tries < 2 && run.n >= 2; tries++) {
        if (run.n <= LONGEST_V6) {
            str_copy(copy, sizeof copy, run);
            if (inet_pton(AF_INET6, copy, &parsed) == 1)
                return run.n;
        }
        if (run.data[run.n - 1] != ':')
            return 0;
        run.n--;
    }
    return 0;
}

/* SIIT addresses of RFC 2765 ("::ffff:0:a.b.c.d") parse with inet_pton like any other. */
static void scan_v6(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    for (size_t at = 0; at < text->n && !scan->full;) {
        const char *colon = memchr(text->data + at, ':', text->n - at);
        if (colon == NULL)
            return;
        size_t offset = (size_t)(colon - text->data), start = offset, end = offset;
        while (start > at && offset - start < 5 && is_v6_char(text->data[start - 1]) && text->data[start - 1] != '.')
            start--;
        while (end < text->n && is_v6_char(text->data[end]))
            end++;
        bool begins = start == 0 || (!is_word(text, start - 1) && text->data[start - 1] != ':');
        size_t n = begins && end - start <= LONGEST_V6 + 2 ? v6_length((str){text->data + start, end - start}) : 0;
        if (n > 0 && !is_word(text, start + n) && (start + n >= text->n || text->data[start + n] != ':' || n > 2)) {
            size_t stop = start + n;
            if (stop < text->n && text->data[stop] == '%') {
                size_t zone = stop + 1;
                while (zone < text->n && zone - stop <= LONGEST_ZONE && is_alnum(text->data[zone]))
                    zone++;
                if (zone > stop + 1 && !is_word(text, zone))
                    stop = zone;
            }
            stop = prefix_end(text, stop, 128);
            scan_report(scan, &entity_ip, start, stop, n == 2 ? 0.1f : 0.6f);
            at = stop > end ? stop : end;
        } else {
            at = end;
        }
    }
}

void scan_ip(struct scan *scan)
{
    if (!scan_wants(scan, &entity_ip))
        return;
    scan_v4(scan);
    scan_v6(scan);
}
