/* Text by code points: length, slices, stripping, case, replacing, HTML escaping. */
#include "template/rendering.h"

#include <utf8proc.h>

size_t text_length(const struct text *text)
{
    if (text->n_chars == SIZE_MAX) {
        size_t n = 0;
        for (size_t i = 0; i < text->n; i++)
            n += ((uint8_t)text->data[i] & 0xC0) != 0x80;
        ((struct text *)text)->n_chars = n; /* A cache; templates' own texts are counted when they are compiled. */
    }
    return text->n_chars;
}

size_t text_offset(const struct text *text, size_t at)
{
    if (text_length(text) == text->n)
        return at < text->n ? at : text->n;
    size_t i = 0;
    for (; at > 0 && i < text->n; at--)
        for (i++; i < text->n && ((uint8_t)text->data[i] & 0xC0) == 0x80;)
            i++;
    return i;
}

struct value text_slice(struct rendering *r, struct value text, int64_t start, int64_t step, int64_t n)
{
    str s = value_bytes(text);
    if (n <= 0)
        return value_marked(value_text_borrow(r, (str){s.data, 0}), text.mark);
    rendering_step(r, s.n / 64);
    if (step == 1) {
        size_t from = text_offset(text.text, (size_t)start);
        struct text tail = {s.data + from, s.n - from, text.text->n_chars == s.n ? s.n - from : SIZE_MAX};
        size_t to = from + text_offset(&tail, (size_t)n);
        return value_marked(value_text_borrow(r, (str){s.data + from, to - from}), text.mark);
    }
    bool ascii = text_length(text.text) == s.n;
    size_t *offsets = NULL;
    if (!ascii) {
        size_t k = 0;
        offsets = rendering_array(r, text.text->n_chars, sizeof *offsets);
        for (size_t at = 0; at < s.n && k < text.text->n_chars; k++) {
            offsets[k] = at;
            utf8_next(s, &at);
        }
    }
    size_t mark = rendering_mark(r);
    for (int64_t i = 0; i < n; i++) {
        size_t from = (size_t)(start + i * step), to;
        rendering_step(r, 1);
        if (!ascii)
            from = offsets[from];
        to = from;
        utf8_next(s, &to);
        rendering_emit(r, (str){s.data + from, to - from});
    }
    return value_marked(rendering_take(r, mark), text.mark);
}

static bool strips(uint32_t c, const struct text *set)
{
    if (set == NULL)
        return char_is_space(c);
    str s = {set->data, set->n};
    for (size_t at = 0; at < s.n;)
        if (utf8_next(s, &at) == c)
            return true;
    return false;
}

struct value text_strip(struct rendering *r, struct value text, const struct text *set, int sides)
{
    str s = value_bytes(text);
    rendering_step(r, 1 + (set != NULL ? set->n / 8 : 0));
    size_t from = 0, to = s.n;
    while ((sides & 1) != 0 && from < to) {
        size_t next = from;
        if (!strips(utf8_next(s, &next), set))
            break;
        from = next;
        rendering_step(r, 1);
    }
    while ((sides & 2) != 0 && to > from) {
        size_t start = to - 1;
        while (start > from && ((uint8_t)s.data[start] & 0xC0) == 0x80)
            start--;
        size_t at = start;
        if (!strips(utf8_next(s, &at), set))
            break;
        to = start;
        rendering_step(r, 1);
    }
    if (from == 0 && to == s.n)
        return text;
    return value_marked(value_text_borrow(r, (str){s.data + from, to - from}), text.mark);
}

struct value text_replace(struct rendering *r, struct value text, str from, str to, int64_t count)
{
    str s = value_bytes(text);
    size_t mark = rendering_mark(r), at = 0;
    rendering_step(r, s.n / 64);
    if (count < 0)
        count = INT64_MAX;
    if (from.n == 0) { /* Before each character and at the end. */
        for (; count > 0 && at < s.n; count--) {
            size_t next = at;
            utf8_next(s, &next);
            rendering_step(r, 1);
            rendering_emit(r, to);
            rendering_emit(r, (str){s.data + at, next - at});
            at = next;
        }
        if (count > 0)
            rendering_emit(r, to);
    } else {
        const char *found;
        while (count-- > 0 && (found = memmem(s.data + at, s.n - at, from.data, from.n)) != NULL) {
            rendering_step(r, 1);
            rendering_emit(r, (str){s.data + at, (size_t)(found - s.data) - at});
            rendering_emit(r, to);
            at = (size_t)(found - s.data) + from.n;
        }
        if (at == 0)
            return text;
    }
    rendering_emit(r, (str){s.data + at, s.n - at});
    return value_marked(rendering_take(r, mark), text.mark);
}

/* A capital sigma is final where a cased letter stands before it and none after it. */
static bool sigma_is_final(str s, size_t start, size_t after)
{
    bool before = false;
    for (size_t at = start; at > 0 && !before;) {
        at--;
        while (at > 0 && ((uint8_t)s.data[at] & 0xC0) == 0x80)
            at--;
        size_t next = at;
        uint32_t c = utf8_next(s, &next);
        before = char_is_lower(c) || char_is_upper(c) || char_is_title(c);
        if (!before && c != '\'' && c != 0x301)
            break;
    }
    if (!before || after >= s.n)
        return before;
    uint32_t c = utf8_next(s, &after);
    return !(char_is_lower(c) || char_is_upper(c) || char_is_title(c));
}

static void emit_case(struct rendering *r, str s, size_t start, size_t after, uint32_t c, enum text_case how)
{
    uint32_t out[3];
    int n;
    if (how == CASE_LOWER && c == 0x3A3) {
        out[0] = sigma_is_final(s, start, after) ? 0x3C2 : 0x3C3;
        n = 1;
    } else {
        n = how == CASE_UPPER ? char_upper(c, out) : how == CASE_TITLE ? char_title(c, out) : char_lower(c, out);
    }
    for (int i = 0; i < n; i++)
        rendering_emit_char(r, out[i]);
}

struct value text_recase(struct rendering *r, struct value text, enum text_case how)
{
    str s = value_bytes(text);
    size_t mark = rendering_mark(r);
    bool previous_cased = false;
    rendering_step(r, s.n / 16);
    for (size_t at = 0; at < s.n;) {
        size_t start = at;
        uint32_t c = utf8_next(s, &at);
        enum text_case one = how;
        if (how == CASE_TITLE)
            one = previous_cased ? CASE_LOWER : CASE_TITLE;
        else if (how == CASE_CAPITALIZE)
            one = start == 0 ? CASE_TITLE : CASE_LOWER;
        else if (how == CASE_SWAP)
            one = char_is_upper(c) ? CASE_LOWER : char_is_lower(c) ? CASE_UPPER : CASE_FOLD;
        previous_cased = char_is_lower(c) || char_is_upper(c) || char_is_title(c);
        if (how == CASE_SWAP && one == CASE_FOLD) {
            rendering_emit_char(r, c);
        } else if (how == CASE_FOLD && c >= 0x80) {
            utf8proc_int32_t folded[8];
            utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, folded, 8, UTF8PROC_CASEFOLD, NULL);
            for (utf8proc_ssize_t i = 0; i < n && i < 8; i++)
                rendering_emit_char(r, (uint32_t)folded[i]);
        } else {
            emit_case(r, s, start, at, c, one);
        }
    }
    return value_marked(rendering_take(r, mark), text.mark);
}

struct value text_escape(struct rendering *r, struct value value)
{
    if (value.kind == VALUE_TEXT && value.mark == TEXT_MARKUP)
        return value;
    struct value text = value_str(r, value);
    str s = value_bytes(text);
    size_t mark = rendering_mark(r), plain = 0;
    rendering_step(r, s.n / 16);
    for (size_t i = 0; i < s.n; i++) {
        const char *as = NULL;
        switch (s.data[i]) {
        case '&':
            as = "&amp;";
            break;
        case '<':
            as = "&lt;";
            break;
        case '>':
            as = "&gt;";
            break;
        case '"':
            as = "&#34;";
            break;
        case '\'':
            as = "&#39;";
            break;
        default:
            continue;
        }
        rendering_emit(r, (str){s.data + plain, i - plain});
        rendering_emit(r, str_of(as));
        plain = i + 1;
    }
    rendering_emit(r, (str){s.data + plain, s.n - plain});
    return value_marked(rendering_take(r, mark), TEXT_MARKUP);
}
