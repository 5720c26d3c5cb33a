/* Calls whose arguments are literals. See call_text.h. */
#include "chat/call_text.h"

enum { LITERAL_MAX_DEPTH = 48 };

/* ------------------------------------------------------------------ where a list of literals ends */

/* A quote that Python does not know ("<|"|>") has no escapes inside. */
static bool own_quote(const struct answer_format *format)
{
    return format->quote[0] != '\0' && format->quote[1] != '\0';
}

enum scan_result literal_scan_step(struct literal_scan *scan, const struct answer_format *format, char c)
{
    size_t n_quote = strlen(format->quote);
    if (own_quote(format)) {
        if (scan->n_tail == n_quote) {
            memmove(scan->tail, scan->tail + 1, n_quote - 1);
            scan->n_tail--;
        }
        scan->tail[scan->n_tail++] = c;
        if (scan->n_tail == n_quote && memcmp(scan->tail, format->quote, n_quote) == 0) {
            scan->quote = scan->quote == '\1' ? '\0' : '\1';
            scan->n_tail = 0;
            return SCAN_ON;
        }
        if (scan->quote == '\1')
            return SCAN_ON;
        /* Half a quote may hold a plain one: nothing else in this notation does. */
    } else if (scan->quote != '\0') {
        if (scan->escaped)
            scan->escaped = false;
        else if (c == '\\')
            scan->escaped = true;
        else if (c == scan->quote)
            scan->quote = '\0';
        return SCAN_ON;
    } else if (c == '"' || c == '\'') {
        scan->quote = c;
        return SCAN_ON;
    }
    if (c == '(' || c == '[' || c == '{')
        return ++scan->depth > LITERAL_MAX_DEPTH ? SCAN_BAD : SCAN_ON;
    if (c == ')' || c == ']' || c == '}')
        return scan->depth-- == 0 ? SCAN_DONE : SCAN_ON;
    return c == '\0' ? SCAN_BAD : SCAN_ON;
}

/* ------------------------------------------------------------------ literals */

struct literals {
    const struct answer_format *format;
    str rest;
    int depth;
};

static void skip_blanks(struct literals *in)
{
    while (in->rest.n > 0 && mark_is_blank(in->rest.data[0]))
        in->rest = (str){in->rest.data + 1, in->rest.n - 1};
}

static bool take(struct literals *in, const char *word)
{
    skip_blanks(in);
    str expected = str_of(word);
    if (expected.n == 0 || !str_starts(in->rest, expected))
        return false;
    in->rest = (str){in->rest.data + expected.n, in->rest.n - expected.n};
    return true;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

static str take_word(struct literals *in, const char *also)
{
    size_t n = 0;
    skip_blanks(in);
    while (n < in->rest.n && (is_word_char(in->rest.data[n]) || (in->rest.data[n] != '\0' && strchr(also, in->rest.data[n]) != NULL)))
        n++;
    str word = {in->rest.data, n};
    in->rest = (str){in->rest.data + n, in->rest.n - n};
    return word;
}

static bool unescape(struct buffer *text, str s, size_t *i)
{
    static const char letters[] = "nrtbf0ab\\'\"/", meant[] = "\n\r\t\b\f\0\a\b\\'\"/";
    char c = s.data[++*i];
    if (c == 'u' || c == 'x') {
        size_t n = c == 'u' ? 4 : 2;
        uint8_t bytes[2] = {0};
        char out[4];
        if (*i + n >= s.n || hex_decode((str){s.data + *i + 1, n}, bytes + (c == 'x'), n / 2) < 0)
            return false;
        *i += n;
        int length = utf8_encode((uint32_t)bytes[0] << 8 | bytes[1], out);
        if (length > 0)
            buffer_append(text, out, (size_t)length);
        return length > 0;
    }
    const char *at = c != '\0' ? strchr(letters, c) : NULL;
    if (at == NULL) { /* Python keeps what it does not know. */
        buffer_append_char(text, '\\');
        buffer_append_char(text, c);
    } else {
        buffer_append_char(text, meant[at - letters]);
    }
    return true;
}

static json_t *take_string(struct literals *in)
{
    struct buffer text;
    bool good = false, own = own_quote(in->format);
    str s = in->rest;
    size_t i = own ? strlen(in->format->quote) : 1;
    buffer_init(&text, s.n + 16);
    for (; i < s.n; i++) {
        if (own && str_starts((str){s.data + i, s.n - i}, str_of(in->format->quote))) {
            i += strlen(in->format->quote);
            good = true;
            break;
        }
        if (!own && s.data[i] == s.data[0]) {
            i++;
            good = true;
            break;
        }
        if (own || s.data[i] != '\\' || i + 1 == s.n)
            buffer_append_char(&text, s.data[i]);
        else if (!unescape(&text, s, &i))
            break;
    }
    json_t *value = good && !text.failed ? json_stringn(text.data != NULL ? text.data : "", text.n) : NULL;
    in->rest = (str){s.data + i, s.n - i};
    buffer_release(&text);
    return value;
}

static json_t *take_value(struct literals *in);

static json_t *take_list(struct literals *in, const char *end)
{
    json_t *list = json_array();
    while (!take(in, end)) {
        if (json_array_append_new(list, take_value(in)) < 0 || (!take(in, ",") && !(in->rest.n > 0 && in->rest.data[0] == end[0]))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool at_quote(const struct literals *in)
{
    if (own_quote(in->format))
        return str_starts(in->rest, str_of(in->format->quote));
    return in->rest.n > 0 && (in->rest.data[0] == '"' || in->rest.data[0] == '\'');
}

static json_t *take_mapping(struct literals *in)
{
    json_t *mapping = json_object();
    while (!take(in, "}")) {
        skip_blanks(in);
        json_t *key = at_quote(in) ? take_string(in) : NULL;
        str word = key == NULL ? take_word(in, "-.") : (str){json_string_value(key), json_string_length(key)};
        bool good = word.n > 0 && take(in, ":");
        json_t *value = good ? take_value(in) : NULL;
        good = value != NULL && json_object_setn_new(mapping, word.data, word.n, value) == 0;
        json_decref(key);
        if (!good || (!take(in, ",") && !(in->rest.n > 0 && in->rest.data[0] == '}'))) {
            json_decref(mapping);
            return NULL;
        }
    }
    return mapping;
}

static json_t *word_value(str word)
{
    if (str_equal(word, STR("True")) || str_equal(word, STR("true")))
        return json_true();
    if (str_equal(word, STR("False")) || str_equal(word, STR("false")))
        return json_false();
    if (str_equal(word, STR("None")) || str_equal(word, STR("null")))
        return json_null();
    int64_t integer;
    double real;
    if (word.n > 0 && parse_i64(word, &integer) == 0)
        return json_integer(integer);
    bool number = word.n > 0 && ((word.data[0] >= '0' && word.data[0] <= '9') || word.data[0] == '-' || word.data[0] == '.');
    return number && parse_f64(word, &real) == 0 ? json_real(real) : NULL;
}

static json_t *take_value(struct literals *in)
{
    json_t *value;
    skip_blanks(in);
    if (at_quote(in))
        return take_string(in);
    if (++in->depth > LITERAL_MAX_DEPTH)
        return NULL;
    if (take(in, "["))
        value = take_list(in, "]");
    else if (take(in, "("))
        value = take_list(in, ")");
    else if (take(in, "{"))
        value = take_mapping(in);
    else
        value = word_value(take_word(in, "+-."));
    in->depth--;
    return value;
}

json_t *literal_arguments(const struct answer_format *format, str text)
{
    struct literals in = {.format = format, .rest = text};
    json_t *arguments = json_object();
    skip_blanks(&in);
    while (in.rest.n > 0) {
        str key = take_word(&in, "-.");
        bool good = key.n > 0 && take(&in, format->assign) && json_object_setn_new(arguments, key.data, key.n, take_value(&in)) == 0;
        skip_blanks(&in);
        if (!good || (in.rest.n > 0 && !take(&in, ","))) {
            json_decref(arguments);
            return NULL;
        }
        skip_blanks(&in);
    }
    return arguments;
}
