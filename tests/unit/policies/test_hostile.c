/* Work on hostile texts is counted, not timed: the patterns that a scan tries grow no faster than the text, and stop at a budget. */
#include "scan/scan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGE = 1 << 18, SMALL = LARGE / 8, PER_BYTE = 4, LEAST = 4096 };

static struct findings scan_of(const char *piece, size_t n)
{
    char *text = malloc(n);
    size_t length = strlen(piece);
    for (size_t i = 0; i < n; i++)
        text[i] = piece[i % length];
    struct findings found = {0};
    struct error err;
    cr_assert_eq(policy_scan(NULL, (str){text, n}, (str){NULL, 0}, &found, &err), 0, "\"%s\": %s", piece, err.text);
    free(text);
    return found;
}

Test(hostile, confirmations_grow_no_faster_than_the_text)
{
    static const char *const pieces[] = {".", "@", "a@", "a.", "1", "1 2 ", ":", "key=", "key = \"", "password: ", "-----BEGIN PRIVATE KEY-----", "eyJ", "s.",
                                         "::1", "http://", "x1 ", "12-", "1/", "jan ", "4111 ", "DE89 ", "+1 ", "key=abcdef0123456789; ",
                                         "password", "secret=", "password: '", "\"a", "://", "a.bcdefg.", "eyJa.", "'==secret", "sl_", "-us1 ", "AC"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct findings small = scan_of(pieces[i], SMALL), large = scan_of(pieces[i], LARGE);
        cr_expect_leq(large.n_confirmations, LEAST + PER_BYTE * (size_t)LARGE, "\"%s\": %zu", pieces[i], large.n_confirmations);
        cr_expect_leq(large.n_confirmations, 9 * small.n_confirmations + LEAST, "\"%s\": %zu, %zu", pieces[i], small.n_confirmations, large.n_confirmations);
        findings_release(&small);
        findings_release(&large);
    }
}

Test(hostile, prose_needs_few_confirmations)
{
    struct findings found = scan_of("The committee met on Tuesday and agreed that the report, which had taken three years, should be published in 2024; "
                                    "nobody asked for the key figures on page 12 or the access road. ", SMALL);
    cr_assert_lt(found.n_confirmations, SMALL / 8, "%zu", found.n_confirmations);
    cr_assert_not(found.truncated);
    findings_release(&found);
}

Test(hostile, a_scan_without_confirmations_left_is_full_and_matches_nothing)
{
    static struct regex digits = {.pattern = "[0-9]"};
    struct scan scan = {.confirmations_left = 3};
    struct regex_match match;
    cr_assert_eq(regex_run_init(&scan.run), 0);
    cr_assert(scan_confirm(&scan, &digits, STR("7"), 0, 2, &match));
    cr_assert_not(scan_confirm(&scan, &digits, STR("7"), 0, 2, &match));
    cr_assert(scan.full);
    cr_assert_eq(scan.confirmations_left, 1);
    regex_run_release(&scan.run);
}
