/* PCRE2 behind a small face: lazy compilation shared by all threads, JIT, and limits that end a runaway match. A limit that is
 * reached is an error, never "no match": the caller closes the remote path. */
#include "scan/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

static pthread_mutex_t compile_lock = PTHREAD_MUTEX_INITIALIZER;

static pcre2_code *compile(const struct regex *regex, struct error *err, const char *where)
{
    int code;
    PCRE2_SIZE offset;
    /* The start optimisation of an anchored pattern would look for its last fixed character in thousands of bytes at every try. */
    uint32_t options = PCRE2_NEVER_BACKSLASH_C | (regex->caseless ? PCRE2_CASELESS : 0) | (regex->anchored ? PCRE2_ANCHORED | PCRE2_NO_START_OPTIMIZE : 0) |
                       (regex->offset_limit ? PCRE2_USE_OFFSET_LIMIT : 0) |
                       (regex->bytes ? PCRE2_DOLLAR_ENDONLY : PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)regex->pattern, PCRE2_ZERO_TERMINATED, options, &code, &offset, NULL);
    if (compiled == NULL) {
        PCRE2_UCHAR message[160];
        pcre2_get_error_message(code, message, sizeof message);
        error_set(err, WEIR_E_INVALID, where, "pattern, character %zu: %s", (size_t)offset, (const char *)message);
        return NULL;
    }
    /* Without JIT (some hardened kernels forbid it) the interpreter does the same work more slowly. */
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    return compiled;
}

int regex_check(struct regex *regex, const char *where, struct error *err)
{
    if (atomic_load_explicit(&regex->compiled, memory_order_acquire) != NULL)
        return 0;
    pthread_mutex_lock(&compile_lock);
    int status = 0;
    if (atomic_load_explicit(&regex->compiled, memory_order_relaxed) == NULL) {
        pcre2_code *compiled = compile(regex, err, where);
        if (compiled == NULL) {
            atomic_store(&regex->broken, true);
            status = WEIR_E_INVALID;
        }
        atomic_store_explicit(&regex->compiled, compiled, memory_order_release);
    }
    pthread_mutex_unlock(&compile_lock);
    return status;
}

int regex_exec(struct regex *regex, struct regex_run *run, str subject, size_t at, struct regex_match *match)
{
    void *compiled = atomic_load_explicit(&regex->compiled, memory_order_acquire);
    if (compiled == NULL) {
        if (atomic_load(&regex->broken) || regex_check(regex, regex->pattern, NULL) < 0)
            return WEIR_E_INVALID;
        compiled = atomic_load_explicit(&regex->compiled, memory_order_acquire);
    }
    const char *data = subject.data != NULL ? subject.data : "";
    /* A limit on the context is an error for a pattern that was not compiled for one. */
    pcre2_set_offset_limit(run->context, regex->offset_limit ? run->offset_limit : PCRE2_UNSET);
    int n = pcre2_match(compiled, (PCRE2_SPTR)data, subject.n, at, PCRE2_NO_UTF_CHECK, run->match_data, run->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0)
        return WEIR_E_LIMIT;
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(run->match_data);
    if (n == 0 || n > REGEX_MAX_GROUPS)
        n = REGEX_MAX_GROUPS;
    for (int i = 0; i < n; i++) {
        match->start[i] = ovector[2 * i] == PCRE2_UNSET ? SIZE_MAX : ovector[2 * i];
        match->end[i] = ovector[2 * i + 1];
    }
    match->n_groups = n;
    return 1;
}

int regex_run_init(struct regex_run *run)
{
    run->match_data = pcre2_match_data_create(REGEX_MAX_GROUPS, NULL);
    run->context = pcre2_match_context_create(NULL);
    if (run->match_data == NULL || run->context == NULL) {
        regex_run_release(run);
        return WEIR_E_MEMORY;
    }
    pcre2_set_match_limit(run->context, 200000);
    pcre2_set_heap_limit(run->context, 8 * 1024);
    return 0;
}

void regex_run_release(struct regex_run *run)
{
    pcre2_match_data_free(run->match_data);
    pcre2_match_context_free(run->context);
    *run = (struct regex_run){0};
}

void regex_release(struct regex *regex)
{
    pcre2_code_free(atomic_exchange(&regex->compiled, NULL));
}
