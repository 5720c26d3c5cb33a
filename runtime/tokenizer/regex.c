/* Regex: PCRE2 in UTF mode with Unicode properties, compiled to machine code, every match bounded.
 *
 * tokenizer.json's patterns are Oniguruma's (Ruby syntax). What differs is rewritten before compiling: \s is Unicode's
 * White_Space (PCRE2 adds U+180E), \w has marks and all connectors, \h is a hexadecimal digit, ^ and $ match at every line,
 * \uXXXX is a code point. A class intersection (&&) is refused.
 * A compiled pattern is immutable; each search owns its match data. */
#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MOST_PATTERN = 64 << 10, MATCH_LIMIT = 20 << 20, HEAP_LIMIT_KIB = 64 << 10 };

struct regex {
    pcre2_code *code;
    pcre2_match_context *context;
};

#define SPACE_SET "\\t-\\r\\x{85}\\p{Z}"
#define WORD_SET "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"
#define HEX_SET "0-9a-fA-F"

/* The rewritten form of the escape \c inside or outside of a class; NULL: it stays. */
static const char *escape_rewrite(char c, bool in_class)
{
    switch (c) {
    case 's':
        return in_class ? SPACE_SET : "[" SPACE_SET "]";
    case 'S':
        return in_class ? NULL : "[^" SPACE_SET "]";
    case 'w':
        return in_class ? WORD_SET : "[" WORD_SET "]";
    case 'W':
        return in_class ? NULL : "[^" WORD_SET "]";
    case 'h':
        return in_class ? HEX_SET : "[" HEX_SET "]";
    default:
        return NULL;
    }
}

static int pattern_rewrite(str pattern, struct buffer *out, struct error *err)
{
    int depth = 0; /* Of classes: Oniguruma nests them, PCRE2 does not. */
    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.data[i];
        if (c == '\\' && i + 1 < pattern.n) {
            char escaped = pattern.data[++i];
            const char *rewritten = escape_rewrite(escaped, depth > 0);
            if (rewritten != NULL) {
                buffer_append_text(out, rewritten);
            } else if (escaped == 'u' && pattern.n - i > 4) {
                buffer_printf(out, "\\x{%.4s}", pattern.data + i + 1);
                i += 4;
            } else {
                buffer_append_char(out, '\\');
                buffer_append_char(out, escaped);
            }
            continue;
        }
        if (depth > 0 && c == '&' && i + 1 < pattern.n && pattern.data[i + 1] == '&')
            return error_set(err, WEIR_E_UNSUPPORTED, "", "class intersection at byte %zu of the pattern", i);
        bool posix = c == '[' && depth > 0 && i + 1 < pattern.n && pattern.data[i + 1] == ':';
        if (posix) { /* [:alpha:] passes whole. */
            ptrdiff_t close = str_find((str){pattern.data + i, pattern.n - i}, STR(":]"));
            if (close > 0) {
                buffer_append(out, pattern.data + i, (size_t)close + 2);
                i += (size_t)close + 1;
                continue;
            }
        }
        if (c == '[' && depth > 0) { /* A nested class is a union: its brackets go. */
            if (i + 1 < pattern.n && pattern.data[i + 1] == '^')
                return error_set(err, WEIR_E_UNSUPPORTED, "", "negated class inside a class at byte %zu of the pattern", i);
            depth++;
            continue;
        }
        if (c == '[') {
            depth = 1;
            buffer_append_char(out, c);
            if (i + 1 < pattern.n && pattern.data[i + 1] == '^')
                buffer_append_char(out, pattern.data[++i]);
            if (i + 1 < pattern.n && pattern.data[i + 1] == ']') { /* Literal as the first member. */
                buffer_append_text(out, "\\]");
                i++;
            }
            continue;
        }
        if (c == ']' && depth > 0 && --depth > 0)
            continue;
        buffer_append_char(out, c);
    }
    return out->failed ? error_set(err, WEIR_E_LIMIT, "", "pattern of %zu bytes is too long", pattern.n) : 0;
}

int regex_compile(struct regex **out, str pattern, struct error *err)
{
    *out = NULL;
    struct buffer text;
    buffer_init(&text, MOST_PATTERN);
    int code;
    PCRE2_SIZE offset;
    struct regex *regex = NULL;
    int status = pattern_rewrite(pattern, &text, err);
    if (status < 0)
        goto done;
    regex = calloc(1, sizeof *regex);
    if (regex == NULL || (regex->context = pcre2_match_context_create(NULL)) == NULL) {
        status = error_set(err, WEIR_E_MEMORY, "", "out of memory");
        goto done;
    }
    pcre2_set_match_limit(regex->context, MATCH_LIMIT);
    pcre2_set_heap_limit(regex->context, HEAP_LIMIT_KIB);
    regex->code = pcre2_compile((PCRE2_SPTR)(text.data != NULL ? text.data : ""), text.n,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    if (regex->code == NULL) {
        char message[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        status = error_set(err, WEIR_E_INVALID, "", "pattern: %s (near byte %zu)", message, (size_t)offset);
        goto done;
    }
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* Without it the interpreter runs. */
    *out = regex;
    regex = NULL;
done:
    regex_free(regex);
    buffer_release(&text);
    return status;
}

void regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_code_free(regex->code);
    pcre2_match_context_free(regex->context);
    free(regex);
}

int regex_search_init(struct regex_search *search, const struct regex *regex)
{
    search->regex = regex;
    search->match_data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    return search->match_data == NULL ? WEIR_E_MEMORY : 0;
}

void regex_search_release(struct regex_search *search)
{
    pcre2_match_data_free(search->match_data);
    search->match_data = NULL;
}

int regex_find(struct regex_search *search, str text, size_t at, size_t *start, size_t *end)
{
    const struct regex *regex = search->regex;
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.data != NULL ? text.data : "");
    int code = pcre2_match(regex->code, subject, text.n, at, PCRE2_NO_UTF_CHECK, search->match_data, regex->context);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(regex->code, subject, text.n, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, search->match_data, regex->context);
    if (code == PCRE2_ERROR_NOMATCH)
        return 0;
    if (code < 0)
        return WEIR_E_LIMIT;
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(search->match_data);
    if (bounds[0] > bounds[1]) /* \K in a look-ahead can turn them round. */
        return WEIR_E_LIMIT;
    *start = bounds[0];
    *end = bounds[1];
    return 1;
}
