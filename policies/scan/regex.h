/* PCRE2 patterns that are compiled when first needed and confirm what a cheaper step has found. */
#ifndef WEIR_POLICIES_SCAN_REGEX_H
#define WEIR_POLICIES_SCAN_REGEX_H

#include "weir_base.h"

#include <stdatomic.h>

enum { REGEX_MAX_GROUPS = 8 };

/* Static storage: `{.pattern = "…"}`. Thread-safe: the first user compiles, the rest share. */
struct regex {
    const char *pattern;
    bool caseless;
    bool anchored;            /* Matches only where it is asked to begin. */
    bool bytes;               /* RE2's ways: bytes, and $ only at the very end. Otherwise UTF-8, and $ at line ends too. */
    bool offset_limit;        /* A match begins at run->offset_limit at the latest. */
    _Atomic(void *) compiled;
    _Atomic bool broken;
};

/* Per scan: match data, limits. */
struct regex_run {
    void *match_data;
    void *context;
    size_t offset_limit; /* For the patterns that ask for one. */
};
int regex_run_init(struct regex_run *run) WEIR_CHECKED;
void regex_run_release(struct regex_run *run);

struct regex_match {
    size_t start[REGEX_MAX_GROUPS], end[REGEX_MAX_GROUPS]; /* start == SIZE_MAX: the group took no part. */
    int n_groups;
};
/* 1: matched from `at` on, 0: no match, negative: broken pattern or a limit was reached. */
int regex_exec(struct regex *regex, struct regex_run *run, str subject, size_t at, struct regex_match *match) WEIR_CHECKED;
/* Compiles now, to check a pattern that a user wrote. */
int regex_check(struct regex *regex, const char *where, struct error *err) WEIR_CHECKED;
void regex_release(struct regex *regex);

#endif
