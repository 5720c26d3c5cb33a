/* Milliseconds per KB of a scan with every detector on: ordinary text and hostile inputs at two sizes (the ratio shows whether
 * the scan is linear), beside one PCRE2 pattern for e-mail addresses over the same ordinary text. An argument
 * names the only input to run. */
#include "scan/regex.h"
#include "weir_policies.h"

#include <stdio.h>
#include <stdlib.h>

enum { LARGE = 1 << 20, SMALL = LARGE / 8 };

static double scan_ms_per_kb(const char *text, size_t n)
{
    double best = 1e9;
    for (int run = 0; run < 3; run++) {
        struct findings found = {0};
        struct error err;
        int64_t start = clock_now_us();
        if (policy_scan(NULL, (str){text, n}, (str){NULL, 0}, &found, &err) < 0)
            printf("scan failed: %s\n", err.text);
        double ms = (double)(clock_now_us() - start) / 1000 / ((double)n / 1024);
        best = ms < best ? ms : best;
        findings_release(&found);
    }
    return best;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *piece;
    } inputs[] = {
        {"prose", "The committee met on Tuesday and agreed that the report, which had taken three years, should be published in 2024; "
                  "nobody asked for the key figures on page 12 or the access road. "},
        {"prose with data", "Please write to jane.doe@example.com or call +49 30 1234567 about order 48213399 of 2024-05-21; the token of "
                            "invoice 2231 is not here and the card ended in 4242. "},
        {"code", "static int total(const int *v, size_t n) { int sum = 0; for (size_t i = 0; i < n; i++) sum += v[i]; return sum; } // x1 = 0x1f\n"},
        {"dots", "."}, {"ats", "@"}, {"a@", "a@"}, {"a.", "a."}, {"digits", "1"}, {"1 2", "1 2 "}, {"colons", ":"}, {"key=", "key="},
    };
    char *text = malloc(LARGE);
    if (text == NULL)
        return 1;
    printf("%-16s %12s %12s %8s\n", "input", "ms/KB 128K", "ms/KB 1M", "ratio");
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if (argc > 1 && strcmp(argv[1], inputs[i].name) != 0)
            continue;
        size_t piece = strlen(inputs[i].piece);
        for (size_t k = 0; k < LARGE; k++)
            text[k] = inputs[i].piece[k % piece];
        double small = scan_ms_per_kb(text, SMALL), large = scan_ms_per_kb(text, LARGE);
        printf("%-16s %12.4f %12.4f %8.2f\n", inputs[i].name, small, large, large / small);
        fflush(stdout);
        if (i == 1) {
            static struct regex email = {.pattern = "[\\w.+-]+@[\\w-]+\\.[\\w.-]+"};
            struct regex_run run;
            struct regex_match match;
            if (regex_run_init(&run) < 0)
                return 1;
            int64_t start = clock_now_us();
            for (size_t at = 0; regex_exec(&email, &run, (str){text, SMALL}, at, &match) > 0;)
                at = match.end[0];
            printf("%-16s %12.4f\n", "(PCRE2, e-mail)", (double)(clock_now_us() - start) / 1000 / (SMALL / 1024.0));
            regex_run_release(&run);
        }
    }
    free(text);
    return 0;
}
