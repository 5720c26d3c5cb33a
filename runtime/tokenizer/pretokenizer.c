/* Pre-tokenizer: each step goes over all pieces of the text and gives new ones.
 *
 * A split step reports, in order and without gaps, the stretches of a piece that match and those that do not; the
 * behaviour turns these into pieces (Hugging Face's five: removed, isolated, merged with the previous or the next one,
 * contiguous). A map step writes a new text with the same pieces. Empty pieces disappear. */
#include "tokenizer/pretokenizer.h"

#include "tokenizer/characters.h"
#include "tokenizer/scanner.h"

struct split_step *pretokenizer_add(struct pretokenizer *pretokenizer, enum split_kind kind)
{
    if (pretokenizer->n_steps == PRETOKENIZER_MAX_STEPS)
        return NULL;
    struct split_step *step = &pretokenizer->steps[pretokenizer->n_steps++];
    *step = (struct split_step){.kind = kind, .behaviour = SPLIT_ISOLATED};
    return step;
}

void pretokenizer_release(struct pretokenizer *pretokenizer)
{
    for (int i = 0; i < pretokenizer->n_steps; i++)
        regex_free(pretokenizer->steps[i].regex);
    pretokenizer->n_steps = 0;
}

void pieces_init(struct pieces *pieces, size_t max_bytes)
{
    *pieces = (struct pieces){0};
    buffer_init(&pieces->text, max_bytes);
    buffer_init(&pieces->spare_text, max_bytes);
}

void pieces_release(struct pieces *pieces)
{
    buffer_release(&pieces->text);
    buffer_release(&pieces->spare_text);
    free(pieces->list);
    free(pieces->spare);
    pieces->list = pieces->spare = NULL;
}

static int spare_push(struct pieces *pieces, size_t start, size_t end)
{
    if (start >= end)
        return 0;
    if (pieces->n_spare == pieces->spare_capacity) {
        size_t capacity = pieces->spare_capacity == 0 ? 64 : pieces->spare_capacity * 2;
        struct piece *list = realloc(pieces->spare, capacity * sizeof *list);
        if (list == NULL)
            return WEIR_E_MEMORY;
        pieces->spare = list;
        pieces->spare_capacity = capacity;
    }
    pieces->spare[pieces->n_spare++] = (struct piece){start, end - start};
    return 0;
}

static void pieces_swap(struct pieces *pieces)
{
    struct piece *list = pieces->list;
    size_t capacity = pieces->capacity;
    pieces->list = pieces->spare;
    pieces->n = pieces->n_spare;
    pieces->capacity = pieces->spare_capacity;
    pieces->spare = list;
    pieces->spare_capacity = capacity;
    pieces->n_spare = 0;
}

/* One piece being split: turns stretches into pieces as the behaviour says. */
struct splitter {
    struct pieces *pieces;
    enum split_behaviour behaviour;
    bool invert;
    size_t base;     /* Of the piece in the text. */
    size_t first;    /* Index of the piece's first part in spare. */
    bool previous;   /* The stretch before was a match. */
    bool pending;    /* A match waits for what follows it (with next). */
    size_t pending_start, pending_end;
};

static int splitter_extend(struct splitter *splitter, size_t start, size_t end)
{
    struct pieces *pieces = splitter->pieces;
    if (pieces->n_spare > splitter->first) {
        struct piece *last = &pieces->spare[pieces->n_spare - 1];
        last->n = end - last->start;
        return 0;
    }
    return spare_push(pieces, start, end);
}

/* Takes the stretch [start, end) of the piece. */
static int splitter_take(struct splitter *splitter, size_t start, size_t end, bool match)
{
    if (start >= end)
        return 0;
    struct pieces *pieces = splitter->pieces;
    start += splitter->base;
    end += splitter->base;
    match ^= splitter->invert;
    bool previous = splitter->previous;
    splitter->previous = match;
    switch (splitter->behaviour) {
    case SPLIT_REMOVED:
        return match ? 0 : spare_push(pieces, start, end);
    case SPLIT_ISOLATED:
        return spare_push(pieces, start, end);
    case SPLIT_WITH_PREVIOUS:
        return match && !previous ? splitter_extend(splitter, start, end) : spare_push(pieces, start, end);
    case SPLIT_CONTIGUOUS:
        return match == previous ? splitter_extend(splitter, start, end) : spare_push(pieces, start, end);
    case SPLIT_WITH_NEXT:
        if (splitter->pending && !match)
            start = splitter->pending_start;
        else if (splitter->pending) {
            int status = spare_push(pieces, splitter->pending_start, splitter->pending_end);
            if (status < 0)
                return status;
        }
        splitter->pending = match;
        splitter->pending_start = start;
        splitter->pending_end = end;
        return match ? 0 : spare_push(pieces, start, end);
    }
    return 0;
}

/* Reports each character for which the step's class holds as a match of its own. */
static int split_characters(const struct split_step *step, struct splitter *splitter, str text)
{
    size_t plain = 0; /* Start of the stretch without matches. */
    int status = 0;
    for (size_t at = 0; at < text.n && status == 0;) {
        size_t start = at;
        uint32_t c = utf8_next(text, &at);
        bool match = step->kind == SPLIT_PUNCTUATION ? character_is_punctuation(c)
                                                     : (character_class(c) & (unsigned)step->number) != 0;
        if (!match)
            continue;
        status = splitter_take(splitter, plain, start, false);
        if (status == 0)
            status = splitter_take(splitter, start, at, true);
        plain = at;
    }
    return status < 0 ? status : splitter_take(splitter, plain, text.n, false);
}

static int split_regex(const struct split_step *step, struct splitter *splitter, str text)
{
    struct regex_search search;
    int status = regex_search_init(&search, step->regex);
    if (status < 0)
        return status;
    size_t plain = 0, at = 0, start, end;
    while (at <= text.n && (status = regex_find(&search, text, at, &start, &end)) > 0) {
        if (start == end) { /* An empty match cuts nothing: on by one character. */
            if (end >= text.n) {
                status = 0;
                break;
            }
            at = end;
            utf8_next(text, &at);
            continue;
        }
        if ((status = splitter_take(splitter, plain, start, false)) < 0 ||
            (status = splitter_take(splitter, start, end, true)) < 0)
            break;
        plain = at = end;
    }
    regex_search_release(&search);
    return status < 0 ? status : splitter_take(splitter, plain, text.n, false);
}

static int split_text(const struct split_step *step, struct splitter *splitter, str text)
{
    size_t plain = 0;
    int status = 0;
    for (ptrdiff_t found; step->text.n > 0 && status == 0;) {
        found = str_find((str){text.data + plain, text.n - plain}, step->text);
        if (found < 0)
            break;
        size_t start = plain + (size_t)found;
        status = splitter_take(splitter, plain, start, false);
        if (status == 0)
            status = splitter_take(splitter, start, start + step->text.n, true);
        plain = start + step->text.n;
    }
    return status < 0 ? status : splitter_take(splitter, plain, text.n, false);
}

/* \w+ and [^\w\s]+ are matches, blanks are not. */
static int split_words(struct splitter *splitter, str text)
{
    int status = 0;
    size_t start = 0;
    int kind = -1; /* 0: blank, 1: word, 2: other. */
    for (size_t at = 0; at < text.n && status == 0;) {
        size_t here = at;
        uint32_t c = utf8_next(text, &at);
        unsigned class = character_class(c);
        int next = (class & CLASS_SPACE) != 0 ? 0 : character_is_word(c) ? 1 : 2;
        if (next != kind && here > start) {
            status = splitter_take(splitter, start, here, kind != 0);
            start = here;
        }
        kind = next;
    }
    return status < 0 ? status : splitter_take(splitter, start, text.n, kind != 0);
}

static int split_fixed(const struct split_step *step, struct splitter *splitter, str text)
{
    int status = 0, n = 0;
    size_t start = 0;
    for (size_t at = 0; at < text.n && status == 0;) {
        utf8_next(text, &at);
        if (++n < step->number && at < text.n)
            continue;
        status = splitter_take(splitter, start, at, true);
        start = at;
        n = 0;
    }
    return status;
}

static int split_bert(struct splitter *splitter, str text)
{
    int status = 0;
    size_t start = 0;
    for (size_t at = 0; at < text.n && status == 0;) {
        size_t here = at;
        uint32_t c = utf8_next(text, &at);
        bool blank = (character_class(c) & CLASS_SPACE) != 0;
        if (!blank && !character_is_punctuation(c))
            continue;
        status = splitter_take(splitter, start, here, false);
        if (status == 0 && !blank)
            status = splitter_take(splitter, here, at, false);
        start = at;
    }
    return status < 0 ? status : splitter_take(splitter, start, text.n, false);
}

static int split_piece(const struct split_step *step, struct splitter *splitter, str text)
{
    int status = 0;
    switch (step->kind) {
    case SPLIT_GPT2:
    case SPLIT_GPT4:
        for (size_t at = 0, end; at < text.n && status == 0; at = end) {
            end = step->kind == SPLIT_GPT2 ? scan_gpt2(text, at) : scan_gpt4(text, at, step->number);
            status = splitter_take(splitter, at, end, true);
        }
        return status;
    case SPLIT_REGEX:
        return split_regex(step, splitter, text);
    case SPLIT_TEXT:
        return split_text(step, splitter, text);
    case SPLIT_WORDS:
        return split_words(splitter, text);
    case SPLIT_FIXED:
        return split_fixed(step, splitter, text);
    case SPLIT_BERT:
        return split_bert(splitter, text);
    default:
        return split_characters(step, splitter, text);
    }
}

static int step_split(const struct split_step *step, struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->n; i++) {
        struct piece piece = pieces->list[i];
        struct splitter splitter = {.pieces = pieces, .behaviour = step->behaviour, .invert = step->invert,
                                    .base = piece.start, .first = pieces->n_spare};
        int status = split_piece(step, &splitter, (str){pieces->text.data + piece.start, piece.n});
        if (status == 0 && splitter.pending)
            status = spare_push(pieces, splitter.pending_start, splitter.pending_end);
        if (status < 0)
            return status;
    }
    pieces_swap(pieces);
    return 0;
}

static int map_metaspace(const struct split_step *step, struct buffer *out, str text, bool first)
{
    bool front = step->prefix == PREFIX_ALWAYS || (step->prefix == PREFIX_FIRST && first);
    if (front && text.data[0] != ' ' && !str_starts(text, step->text))
        buffer_append_str(out, step->text);
    for (size_t i = 0, start = 0; i <= text.n; i++) {
        if (i < text.n && text.data[i] != ' ')
            continue;
        buffer_append(out, text.data + start, i - start);
        if (i < text.n)
            buffer_append_str(out, step->text);
        start = i + 1;
    }
    return out->failed ? WEIR_E_LIMIT : 0;
}

static int step_map(const struct split_step *step, struct pieces *pieces)
{
    struct buffer *out = &pieces->spare_text;
    buffer_clear(out);
    for (size_t i = 0; i < pieces->n; i++) {
        struct piece *piece = &pieces->list[i];
        str text = {pieces->text.data + piece->start, piece->n};
        size_t start = out->n;
        int status;
        if (step->kind == MAP_METASPACE) {
            status = map_metaspace(step, out, text, pieces->first && piece->start == 0);
        } else if (step->kind == MAP_FRONT) {
            status = text.data[0] != ' ' ? buffer_append_char(out, ' ') : 0;
            if (status == 0)
                status = buffer_append_str(out, text);
        } else {
            status = byte_characters_append(out, text);
        }
        if (status < 0)
            return status;
        *piece = (struct piece){start, out->n - start};
    }
    struct buffer text = pieces->text;
    pieces->text = pieces->spare_text;
    pieces->spare_text = text;
    return 0;
}

int pretokenizer_run(const struct pretokenizer *pretokenizer, struct pieces *pieces, str text, bool first)
{
    buffer_clear(&pieces->text);
    pieces->n_spare = 0;
    pieces->first = first;
    int status = buffer_append_str(&pieces->text, text);
    if (status == 0)
        status = spare_push(pieces, 0, text.n);
    if (status < 0)
        return status;
    pieces_swap(pieces);
    for (int i = 0; i < pretokenizer->n_steps && status == 0 && pieces->n > 0; i++) {
        const struct split_step *step = &pretokenizer->steps[i];
        status = step->kind >= MAP_FRONT ? step_map(step, pieces) : step_split(step, pieces);
    }
    return status;
}
