/* Replacing values by pseudonyms on the way out.
 *
 * The table holds what this conversation has issued, by name (TYPE:ID). Overlapping finds become one: they are replaced from the
 * leftmost start to the rightmost end as the type of the graver class, then of the longer find, then of the better score.
 * The result is scanned again with the pseudonyms taken out: whatever should have been replaced and is still there denies. */
#include "pack/pack.h"
#include "redaction/pseudonym.h"
#include "weir_policies.h"

#include <stdlib.h>

enum { MOST_PSEUDONYMS = 65536, LARGEST_VALUES = 16 << 20 };

struct issued {
    char name[64]; /* TYPE:ID */
    str value;     /* Owned. */
};

struct redaction {
    const struct pack *pack;
    uint8_t key[32];
    struct issued *table; /* Open addressing; capacity is a power of two. */
    size_t n, capacity, value_bytes;
};

int redaction_new(struct redaction **out, const struct pack *pack, const uint8_t tenant_key[32], struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return error_set(err, WEIR_E_MEMORY, "redaction", "out of memory");
    (*out)->pack = pack;
    memcpy((*out)->key, tenant_key, 32);
    return 0;
}

void redaction_free(struct redaction *redaction)
{
    if (redaction == NULL)
        return;
    for (size_t i = 0; i < redaction->capacity; i++)
        if (redaction->table[i].value.data != NULL) {
            bytes_wipe((void *)(uintptr_t)redaction->table[i].value.data, redaction->table[i].value.n);
            free((void *)(uintptr_t)redaction->table[i].value.data);
        }
    free(redaction->table);
    bytes_wipe(redaction, sizeof *redaction);
    free(redaction);
}

int redaction_count(const struct redaction *redaction)
{
    return (int)redaction->n;
}

/* The slot of a name: where it is, or where it would go. */
static struct issued *slot_of(const struct redaction *redaction, str name)
{
    size_t mask = redaction->capacity - 1;
    for (size_t i = str_hash(name) & mask;; i = (i + 1) & mask)
        if (redaction->table[i].value.data == NULL || str_equal(name, str_of(redaction->table[i].name)))
            return &redaction->table[i];
}

const str *redaction_lookup(const struct redaction *redaction, str name)
{
    if (redaction->n == 0)
        return NULL;
    struct issued *slot = slot_of(redaction, name);
    return slot->value.data != NULL ? &slot->value : NULL;
}

static int table_grow(struct redaction *redaction)
{
    struct redaction grown = *redaction;
    if ((redaction->n + 1) * 2 <= redaction->capacity)
        return 0;
    if (redaction->n >= MOST_PSEUDONYMS)
        return WEIR_E_LIMIT;
    grown.capacity = redaction->capacity == 0 ? 16 : redaction->capacity * 2;
    grown.table = calloc(grown.capacity, sizeof *grown.table);
    if (grown.table == NULL)
        return WEIR_E_MEMORY;
    for (size_t i = 0; i < redaction->capacity; i++)
        if (redaction->table[i].value.data != NULL)
            *slot_of(&grown, str_of(redaction->table[i].name)) = redaction->table[i];
    free(redaction->table);
    redaction->table = grown.table;
    redaction->capacity = grown.capacity;
    return 0;
}

/* The name for a value, issued now if it was not before. */
static int issue(struct redaction *redaction, const char *type, str value, const char **name)
{
    int status = table_grow(redaction);
    for (unsigned attempt = 0; status == 0 && attempt < 16; attempt++) {
        char id[ID_DIGITS + 1], text[64];
        pseudonym_id(redaction->key, type, value, attempt, id);
        if (snprintf(text, sizeof text, "%s:%s", type, id) >= (int)sizeof text)
            return WEIR_E_LIMIT;
        struct issued *slot = slot_of(redaction, str_of(text));
        if (slot->value.data == NULL) {
            if (redaction->value_bytes + value.n > LARGEST_VALUES)
                return WEIR_E_LIMIT;
            char *copy = malloc(value.n + 1);
            if (copy == NULL)
                return WEIR_E_MEMORY;
            memcpy(copy, value.data, value.n);
            copy[value.n] = '\0';
            str_copy(slot->name, sizeof slot->name, str_of(text));
            slot->value = (str){copy, value.n};
            redaction->n++;
            redaction->value_bytes += value.n;
        }
        *name = slot->name;
        if (str_equal(slot->value, value))
            return 0;
    }
    return status < 0 ? status : WEIR_E_LIMIT;
}

/* Text between finds, with every opening mark doubled. */
static void append_escaped(str text, struct buffer *out)
{
    size_t plain = 0;
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.data[i];
        bool partial;
        size_t n = c == 0xE2 || c == '\\' || c == '&' ? mark_length((str){text.data + i, text.n - i}, true, &partial) : 0;
        if (n > 0) {
            buffer_append(out, text.data + plain, i + n - plain);
            plain = i; /* The mark comes again with what follows. */
        }
        i += n > 0 ? n : 1;
    }
    buffer_append(out, text.data + plain, text.n - plain);
}

struct span {
    size_t start, end;
    const struct finding *finding;
    bool irreversible;
    int data_class;
};

static bool outranks(const struct span *a, const struct span *b)
{
    if (a->data_class != b->data_class)
        return a->data_class > b->data_class;
    size_t x = a->finding->end - a->finding->start, y = b->finding->end - b->finding->start;
    return x != y ? x > y : a->finding->score > b->finding->score;
}

/* Findings come by start; overlapping ones become one span. Returns how many. */
static size_t merge_spans(const struct pack *pack, const struct findings *findings, str text, struct span *spans)
{
    size_t n = 0;
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *finding = &findings->items[i];
        struct span span = {finding->start, finding->end, finding, false, 0};
        if (finding->end > text.n || finding->start >= finding->end)
            continue;
        if (!pack_redacts(pack, finding->type, finding->detector, &span.irreversible))
            continue;
        span.data_class = pack_class_of(pack, finding->type, finding->detector);
        if (n == 0 || span.start >= spans[n - 1].end) {
            spans[n++] = span;
            continue;
        }
        struct span *last = &spans[n - 1];
        if (span.end > last->end)
            last->end = span.end;
        last->irreversible = last->irreversible || span.irreversible;
        if (outranks(&span, last)) {
            last->finding = span.finding;
            last->data_class = span.data_class;
        }
    }
    return n;
}

/* Scans what is to leave, with blanks in the place of pseudonyms, so that they are neither found nor hide anything. */
static int scan_again(const struct redaction *redaction, str sent, struct error *err)
{
    struct buffer bare;
    struct findings left = {0};
    buffer_init(&bare, sent.n + 1);
    for (size_t i = 0; i < sent.n;) {
        bool partial;
        size_t open = mark_length((str){sent.data + i, sent.n - i}, true, &partial), twice = 0;
        if (open > 0)
            twice = mark_length((str){sent.data + i + open, sent.n - i - open}, true, &partial);
        if (open == 0) {
            buffer_append_char(&bare, sent.data[i++]);
            continue;
        }
        if (twice > 0) {
            buffer_append(&bare, sent.data + i, open);
            i += open + twice;
            continue;
        }
        ptrdiff_t close = str_find((str){sent.data + i, sent.n - i}, STR(MARK_CLOSE));
        buffer_append_text(&bare, " | ");
        i += close >= 0 ? (size_t)close + 3 : open;
    }
    int status = bare.failed ? error_set(err, WEIR_E_MEMORY, "redaction", "out of memory") : 0;
    if (status == 0)
        status = policy_scan(redaction->pack, buffer_str(&bare), (str){NULL, 0}, &left, err);
    if (status == 0 && left.truncated)
        status = error_set(err, WEIR_E_DENIED, "redaction", "the redacted text could not be scanned whole");
    for (size_t i = 0; status == 0 && i < left.n; i++) {
        bool irreversible;
        if (pack_redacts(redaction->pack, left.items[i].type, left.items[i].detector, &irreversible))
            status = error_set(err, WEIR_E_DENIED, "redaction", "%s is still in the redacted text", left.items[i].type);
    }
    findings_release(&left);
    buffer_release(&bare);
    return status;
}

int redaction_apply(struct redaction *redaction, str text, const struct findings *findings, struct buffer *out, struct error *err)
{
    struct span *spans = calloc(findings->n + 1, sizeof *spans);
    if (spans == NULL)
        return error_set(err, WEIR_E_MEMORY, "redaction", "out of memory");
    size_t n_spans = merge_spans(redaction->pack, findings, text, spans), from = 0, before = out->n;
    int status = 0;
    for (size_t i = 0; i < n_spans && status == 0; i++) {
        const char *type = spans[i].finding->type, *name;
        append_escaped((str){text.data + from, spans[i].start - from}, out);
        if (spans[i].irreversible) {
            buffer_printf(out, MARK_OPEN "%s" MARK_CLOSE, type);
        } else {
            status = issue(redaction, type, (str){text.data + spans[i].start, spans[i].end - spans[i].start}, &name);
            if (status < 0)
                error_set(err, status, "redaction", status == WEIR_E_LIMIT ? "too many values in one conversation" : "out of memory");
            else
                buffer_printf(out, MARK_OPEN "%s" MARK_CLOSE, name);
        }
        from = spans[i].end;
    }
    free(spans);
    if (status < 0)
        return status;
    append_escaped((str){text.data + from, text.n - from}, out);
    if (out->failed)
        return error_set(err, WEIR_E_LIMIT, "redaction", "the redacted text is larger than %zu bytes", out->max_bytes);
    return scan_again(redaction, (str){out->data + before, out->n - before}, err);
}
