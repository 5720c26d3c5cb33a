/* Turning pseudonyms back in a text that arrives in pieces.
 *
 * Only bytes that may belong to a pseudonym are held, and at most one pseudonym's worth. What is held is decided from its
 * beginning: a doubled mark is a mark; TYPE:ID between marks is looked up after a fixed canonicalisation (letters' case, blanks,
 * backslashes before '_', full-width forms); what cannot become a pseudonym any more gives up its first byte and the rest is
 * looked at again. So the result depends on the bytes alone and not on where they were cut. */
#include "redaction/pseudonym.h"
#include "weir_policies.h"

_Static_assert(sizeof((struct restorer *)0)->held == LONGEST_PSEUDONYM, "a restorer holds one pseudonym");

void restorer_init(struct restorer *restorer, const struct redaction *redaction, bool json_context)
{
    *restorer = (struct restorer){.redaction = redaction, .json_context = json_context};
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* One byte or full-width character inside the marks to its canonical form in *c, *c = 0 for what is skipped. Returns the bytes
 * taken, 0 when it has no place in a name, and sets *partial when s ends too early to tell. */
static size_t name_byte(str s, char *c, bool *partial)
{
    unsigned char first = (unsigned char)s.data[0];
    *c = 0;
    if (first == ' ' || first == '\t' || first == '\\' || first == '`' || first == '*')
        return 1; /* Markdown's escapes and emphasis, and blanks that a model puts in. */
    if ((first >= '0' && first <= '9') || (upper((char)first) >= 'A' && upper((char)first) <= 'Z') || first == '_' || first == ':') {
        *c = upper((char)first);
        return 1;
    }
    if (first == 0xEF) {
        if (s.n < 3) {
            *partial = true;
            return 0;
        }
        size_t at = 0;
        uint32_t code_point = utf8_next(s, &at);
        uint32_t ascii = code_point >= 0xFF01 && code_point <= 0xFF5E ? code_point - 0xFEE0 : 0;
        if (ascii != 0 && (ascii == ':' || ascii == '_' || (ascii >= '0' && ascii <= '9') || (upper((char)ascii) >= 'A' && upper((char)ascii) <= 'Z'))) {
            *c = upper((char)ascii);
            return 3;
        }
    }
    return 0;
}

enum held_state { HELD_PLAIN, HELD_MORE, HELD_DOUBLED, HELD_NAME };

/* What the held bytes are: HELD_PLAIN (the first byte is text), HELD_MORE (undecided), HELD_DOUBLED (*n bytes are two marks, the
 * first *n_mark of them one), HELD_NAME (*n bytes are marks around a name, put into name). */
static enum held_state classify(str held, size_t *n, size_t *n_mark, char name[LONGEST_PSEUDONYM])
{
    bool partial;
    size_t open = mark_length(held, true, &partial), n_name = 0;
    if (open == 0)
        return partial ? HELD_MORE : HELD_PLAIN;
    str rest = {held.data + open, held.n - open};
    size_t again = rest.n > 0 ? mark_length(rest, true, &partial) : 0;
    if (again > 0) {
        *n = open + again;
        *n_mark = open;
        return HELD_DOUBLED;
    }
    if (rest.n == 0)
        return HELD_MORE;
    bool may_double = partial;
    for (size_t at = 0; at < rest.n;) {
        str tail = {rest.data + at, rest.n - at};
        size_t close = mark_length(tail, false, &partial);
        if (close > 0) {
            name[n_name] = '\0';
            *n = open + at + close;
            return HELD_NAME;
        }
        if (partial)
            return HELD_MORE;
        char c;
        bool cut = false;
        size_t taken = name_byte(tail, &c, &cut);
        if (cut)
            return HELD_MORE;
        if (taken == 0)
            return may_double && at == 0 ? HELD_MORE : HELD_PLAIN;
        if (c != 0)
            name[n_name++] = c;
        at += taken;
    }
    return HELD_MORE;
}

static void append_value(const struct restorer *restorer, str value, struct buffer *out)
{
    if (!restorer->json_context) {
        buffer_append_str(out, value);
        return;
    }
    size_t before = out->n;
    buffer_append_json_string(out, value);
    if (out->failed)
        return;
    /* The quotes around it are the caller's. */
    memmove(out->data + before, out->data + before + 1, out->n - before - 2);
    out->n -= 2;
    out->data[out->n] = '\0';
}

static void drop_held(struct restorer *restorer, size_t n)
{
    memmove(restorer->held, restorer->held + n, restorer->n_held - n);
    restorer->n_held -= n;
}

/* Settles as much of what is held as can be settled. With finish nothing stays. */
static void settle(struct restorer *restorer, bool finish, struct buffer *out)
{
    while (restorer->n_held > 0) {
        char name[LONGEST_PSEUDONYM];
        size_t n = 0, n_mark = 0;
        str held = {restorer->held, restorer->n_held};
        enum held_state state = classify(held, &n, &n_mark, name);
        if (state == HELD_MORE && !finish && restorer->n_held < sizeof restorer->held)
            return;
        if (state == HELD_DOUBLED) {
            buffer_append(out, restorer->held, n_mark);
            drop_held(restorer, n);
            continue;
        }
        if (state == HELD_NAME) {
            const str *value = redaction_lookup(restorer->redaction, str_of(name));
            if (value != NULL) {
                append_value(restorer, *value, out);
                restorer->n_restored++;
            } else {
                buffer_append(out, restorer->held, n);
                restorer->n_unknown++;
            }
            drop_held(restorer, n);
            continue;
        }
        buffer_append(out, restorer->held, 1);
        drop_held(restorer, 1);
    }
}

int restorer_push(struct restorer *restorer, str chunk, struct buffer *out)
{
    for (size_t i = 0; i < chunk.n;) {
        if (restorer->n_held == 0) {
            /* Most text holds no beginning of a mark: it is passed on in one piece. */
            size_t plain = i;
            while (plain < chunk.n && (unsigned char)chunk.data[plain] != 0xE2 && chunk.data[plain] != '\\' && chunk.data[plain] != '&')
                plain++;
            buffer_append(out, chunk.data + i, plain - i);
            i = plain;
            if (i == chunk.n)
                break;
        }
        restorer->held[restorer->n_held++] = chunk.data[i++];
        settle(restorer, false, out);
    }
    return out->failed ? WEIR_E_LIMIT : 0;
}

int restorer_finish(struct restorer *restorer, struct buffer *out)
{
    settle(restorer, true, out);
    return out->failed ? WEIR_E_LIMIT : 0;
}
