/* IBANs: a country's two letters and two digits at the beginning of a word, then as many letters and digits as the country
 * has, in groups or not; the form and ISO 7064 MOD 97-10 decide. */
#include "scan/checksum.h"
#include "scan/scan.h"

const struct entity entity_iban = {"IBAN_CODE", "iban", "iban|bank|account|transaction|konto|compte|cuenta|conto"};

enum { LONGEST_IBAN = 34 };

/* End of the IBAN that begins at `start`, or 0. Every length up to the longest is tried at group and word ends. */
static size_t iban_end(const struct scan_text *text, size_t start)
{
    char compact[LONGEST_IBAN];
    size_t n = 0, at = start;
    for (; at < text->n; at++) {
        char c = text->data[at];
        if (is_alnum(c)) {
            if (n == LONGEST_IBAN)
                return 0;
            compact[n++] = to_upper(c);
            char after = at + 1 < text->n ? text->data[at + 1] : ' ';
            if (n >= 15 && !is_alnum(after) && after != '_' && check_iban((str){compact, n}))
                return at + 1;
            continue;
        }
        if ((c != ' ' && c != '-') || at + 1 >= text->n || !is_alnum(text->data[at + 1]))
            return 0;
    }
    return 0;
}

void scan_iban(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    if (!scan_wants(scan, &entity_iban))
        return;
    for (size_t at = 2; at + 1 < text->n && !scan->full;) {
        uint64_t window = bits_window(text->digit, at);
        if (window == 0) {
            at += 64;
            continue;
        }
        at += (size_t)__builtin_ctzll(window);
        const char *here = text->data + at;
        bool begins = at + 1 < text->n && is_digit(here[1]) && is_alpha(here[-1]) && is_alpha(here[-2]) &&
                      (at == 2 || (!is_alnum(here[-3]) && here[-3] != '_'));
        size_t end = begins ? iban_end(text, at - 2) : 0;
        if (end > 0)
            scan_report(scan, &entity_iban, at - 2, end, 1);
        at = end > at ? end : at + 1;
    }
}
