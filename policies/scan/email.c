/* E-mail addresses: every '@' is looked at once, its local part to the left and its domain to the right, each within the
 * lengths of RFC 5321. International domains (xn--…) and Latin letters with accents are taken; the usual disguises
 * ("name [at] host [dot] org") too. Quoted local parts are not. */
#include "scan/scan.h"

const struct entity entity_email = {"EMAIL_ADDRESS", "email", "email|e-mail|mail|contact"};

enum { LONGEST_LOCAL = 64, LONGEST_DOMAIN = 253, LONGEST_LABEL = 63 };

static bool is_local(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-._^~", c) != NULL);
}

/* Bytes of two-byte sequences U+00C0…U+024F: Latin letters. */
static bool is_latin_pair(unsigned char lead, unsigned char trail)
{
    return lead >= 0xC3 && lead <= 0xC9 && (trail & 0xC0) == 0x80;
}

static size_t local_start(const struct scan_text *text, size_t end, size_t floor)
{
    size_t at = end, first = end;
    while (at > floor && end - at < LONGEST_LOCAL) {
        if (is_local(text->data[at - 1]))
            at--;
        else if (at > floor + 1 && is_latin_pair((unsigned char)text->data[at - 2], (unsigned char)text->data[at - 1]))
            at -= 2;
        else
            break;
        if (bit_test(text->word, at))
            first = at;
    }
    return first;
}

/* End of a domain that begins at `at`, or `at` when there is none: at least two labels, the last of letters. */
static size_t domain_end(const struct scan_text *text, size_t at)
{
    size_t label = at, good = at, limit = at + LONGEST_DOMAIN < text->n ? at + LONGEST_DOMAIN : text->n;
    bool letters_only = true;
    int labels = 0;
    for (size_t i = at; i <= limit; i++) {
        char c = i < text->n ? text->data[i] : ' ';
        bool pair = i + 1 < limit && is_latin_pair((unsigned char)c, (unsigned char)text->data[i + 1]);
        if (is_alnum(c) || c == '-' || c == '_' || pair) {
            letters_only = letters_only && (is_alpha(c) || pair);
            i += pair;
            continue;
        }
        size_t n = i - label;
        if (n == 0 || n > LONGEST_LABEL)
            break;
        labels++;
        bool international = n > 5 && str_equal_nocase((str){text->data + label, 4}, STR("xn--"));
        size_t end = i;
        while (end > label && !is_alnum(text->data[end - 1]) && (unsigned char)text->data[end - 1] < 0x80)
            end--;
        if (labels >= 2 && end == i && ((letters_only && n >= 2) || international))
            good = i;
        if (c != '.')
            break;
        label = i + 1;
        letters_only = true;
    }
    return good;
}

/* "[at]" and its like at `at`: its length with blanks around it, else 0. */
static size_t disguise(const struct scan_text *text, size_t at, const char *word)
{
    size_t i = at, n = strlen(word);
    while (i < text->n && i - at < 2 && text->data[i] == ' ')
        i++;
    if (i + n + 2 > text->n || strchr("[({<", text->data[i]) == NULL || text->data[i] == '\0')
        return 0;
    i++;
    if (!str_equal_nocase((str){text->data + i, n}, (str){word, n}) || strchr("])}>", text->data[i + n]) == NULL)
        return 0;
    i += n + 1;
    for (size_t blanks = 0; i < text->n && blanks < 2 && text->data[i] == ' '; blanks++)
        i++;
    return i - at;
}

static size_t disguised_end(const struct scan_text *text, size_t at)
{
    size_t end = at, labels = 0;
    while (at < text->n && is_alnum(text->data[at])) {
        size_t first = at;
        while (at < text->n && at - first < LONGEST_LABEL && (is_alnum(text->data[at]) || text->data[at] == '-'))
            at++;
        if (++labels >= 2 && is_alpha(text->data[at - 1]) && at - first >= 2)
            end = at;
        size_t dot = at < text->n && text->data[at] == '.' ? 1 : disguise(text, at, "dot");
        if (dot == 0 || labels > 8)
            break;
        at += dot;
    }
    return end;
}

static void scan_disguised(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    const char *end = text->data + text->n;
    for (const char *at = text->data; text->n > 0 && (at = memchr(at, 't', (size_t)(end - at))) != NULL; at++) {
        size_t offset = (size_t)(at - text->data);
        if (offset < 3 || to_lower(at[-1]) != 'a' || strchr("[({<", at[-2]) == NULL)
            continue;
        size_t open = offset - 2, local_end = open;
        while (local_end > 0 && open - local_end < 2 && text->data[local_end - 1] == ' ')
            local_end--;
        size_t start = local_start(text, local_end, 0), gap = disguise(text, local_end, "at");
        if (start == local_end || gap == 0)
            continue;
        size_t stop = disguised_end(text, local_end + gap);
        if (stop > local_end + gap)
            scan_report(scan, &entity_email, start, stop, 0.8f);
    }
}

void scan_email(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    size_t floor = 0;
    if (!scan_wants(scan, &entity_email))
        return;
    const char *end = text->data + text->n;
    for (const char *at = text->data; text->n > 0 && (at = memchr(at, '@', (size_t)(end - at))) != NULL && !scan->full; at++) {
        size_t offset = (size_t)(at - text->data), start = local_start(text, offset, floor);
        if (start == offset || text->data[offset - 1] == '.')
            continue;
        size_t stop = domain_end(text, offset + 1);
        if (stop == offset + 1)
            continue;
        scan_report(scan, &entity_email, start, stop, 1);
        floor = stop;
    }
    scan_disguised(scan);
}
