/* Byte-pair encoding (Sennrich et al. 2016) of one word.
 *
 * The word becomes a doubly linked list of symbols, first one per character. Short words look for the best neighbours by
 * scanning; longer ones keep every possible merge in a heap ordered by (rank, position) and drop the entries that an
 * earlier merge made stale, so a megabyte of one letter costs n log n. Both give the same ids: the lowest rank merges
 * first, of equal ranks the leftmost.
 *
 * Left to others: cutting text into words (pretokenizer.c), bytes that stand as characters (byte_characters.c). */
#include "tokenizer/bpe.h"

#include <stdlib.h>

enum { SHORT_WORD = 24 };

struct bpe_symbol {
    uint32_t start, n; /* Bytes of the word; n 0: merged into the one before. */
    int32_t id;        /* -1: no token has this text (by score), or it is left out. */
    int32_t previous, next;
};

struct bpe_candidate {
    uint64_t key; /* Rank, then position. */
    int32_t left;
    uint32_t n_left, n_right; /* The symbols' lengths when it was found: still so, or stale. */
    int32_t id;
};

static uint64_t pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | ((uint32_t)right + 1);
}

static size_t pair_slot(uint64_t pair, size_t mask)
{
    uint64_t hash = pair * 0x9E3779B97F4A7C15u;
    return (hash ^ hash >> 32) & mask;
}

int bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary, enum bpe_mode mode, size_t n_merges, struct arena *arena,
             struct error *err)
{
    *bpe = (struct bpe){.vocabulary = vocabulary, .mode = mode, .unknown = -1, .last_made = -1};
    for (uint32_t c = 0; c < BPE_FIRST_IDS; c++) {
        char text[4];
        bpe->first_ids[c] = vocabulary_find(vocabulary, (str){text, (size_t)utf8_encode(c, text)});
    }
    if (mode == BPE_BY_SCORE)
        return 0;
    if (n_merges > VOCABULARY_MAX_TOKENS)
        return error_set(err, WEIR_E_LIMIT, "", "%zu merges, more than %d", n_merges, VOCABULARY_MAX_TOKENS);
    if (mode == BPE_BY_SPLIT) {
        bpe->splits = arena_array(arena, n_merges, sizeof *bpe->splits);
        bpe->first_split = arena_array(arena, vocabulary->n, sizeof *bpe->first_split);
        if (bpe->splits == NULL || bpe->first_split == NULL)
            return error_set(err, WEIR_E_MEMORY, "", "out of memory for %zu merges", n_merges);
        return 0;
    }
    size_t n_slots = 64;
    while (n_slots < n_merges * 2)
        n_slots *= 2;
    bpe->mask = n_slots - 1;
    bpe->merges = arena_array(arena, n_slots, sizeof *bpe->merges);
    if (bpe->merges == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory for %zu merges", n_merges);
    return 0;
}

static bool is_joined(str text, str left, str right)
{
    return text.n == left.n + right.n && memcmp(text.data, left.data, left.n) == 0 && memcmp(text.data + left.n, right.data, right.n) == 0;
}

/* Vocabularies list what merges make in the order of the merges, so the next token is tried before the table. */
static int add_split(struct bpe *bpe, str left, str right, uint32_t rank)
{
    int32_t id = bpe->last_made + 1;
    if ((size_t)id >= bpe->vocabulary->n || !is_joined(bpe->vocabulary->texts[id], left, right))
        id = vocabulary_find_joined(bpe->vocabulary, left, right);
    if (id < 0)
        return WEIR_E_NOT_FOUND;
    bpe->last_made = id;
    uint32_t *link = &bpe->first_split[id];
    for (; *link != 0; link = &bpe->splits[*link - 1].next)
        if (bpe->splits[*link - 1].n_left == left.n)
            return 0;
    bpe->splits[rank] = (struct merge_split){(uint32_t)left.n, 0};
    *link = rank + 1;
    return 0;
}

int bpe_add_merge(struct bpe *bpe, str left, str right, uint32_t rank)
{
    if (left.n == 0 || right.n == 0)
        return WEIR_E_NOT_FOUND;
    if (bpe->mode == BPE_BY_SPLIT)
        return add_split(bpe, left, right, rank);
    int32_t left_id = vocabulary_find(bpe->vocabulary, left);
    int32_t right_id = vocabulary_find(bpe->vocabulary, right);
    if (bpe->prefix.n > 0 && str_starts(right, bpe->prefix))
        right = (str){right.data + bpe->prefix.n, right.n - bpe->prefix.n};
    int32_t id = vocabulary_find_joined(bpe->vocabulary, left, right);
    if (left_id < 0 || right_id < 0 || id < 0)
        return WEIR_E_NOT_FOUND;
    uint64_t pair = pair_key(left_id, right_id);
    size_t at = pair_slot(pair, bpe->mask);
    for (; bpe->merges[at].pair != 0; at = (at + 1) & bpe->mask)
        if (bpe->merges[at].pair == pair)
            return 0;
    bpe->merges[at] = (struct merge){pair, rank, id};
    return 0;
}

bool bpe_find_pair(const struct bpe *bpe, int32_t left, int32_t right, uint32_t *rank)
{
    uint64_t pair = pair_key(left, right);
    for (size_t at = pair_slot(pair, bpe->mask); bpe->merges[at].pair != 0; at = (at + 1) & bpe->mask) {
        *rank = bpe->merges[at].rank;
        if (bpe->merges[at].pair == pair)
            return true;
    }
    return false;
}

static int by_rank(const void *a, const void *b)
{
    uint32_t x = ((const struct merge *)a)->rank, y = ((const struct merge *)b)->rank;
    return (x > y) - (x < y);
}

struct merge *bpe_list_merges(const struct bpe *bpe, size_t *n)
{
    *n = 0;
    for (size_t at = 0; at <= bpe->mask; at++)
        *n += bpe->merges[at].pair != 0;
    struct merge *list = malloc((*n + 1) * sizeof *list), *next = list;
    if (list == NULL)
        return NULL;
    for (size_t at = 0; at <= bpe->mask; at++)
        if (bpe->merges[at].pair != 0)
            *next++ = bpe->merges[at];
    qsort(list, *n, sizeof *list, by_rank);
    return list;
}

/* Smaller for larger scores, as an integer. */
static uint32_t score_rank(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return (bits >> 31) != 0 ? bits : ~(bits | 0x80000000u);
}

/* Do two neighbours merge, at which rank, into what? */
static bool merge_find(const struct bpe *bpe, str word, const struct bpe_symbol *left, const struct bpe_symbol *right,
                       uint32_t *rank, int32_t *id)
{
    if (bpe->mode != BPE_BY_PAIR) {
        *id = vocabulary_find(bpe->vocabulary, (str){word.data + left->start, left->n + right->n});
        if (*id < 0)
            return false;
        if (bpe->mode == BPE_BY_SPLIT) {
            uint32_t link = bpe->first_split[*id];
            while (link != 0 && bpe->splits[link - 1].n_left != left->n)
                link = bpe->splits[link - 1].next;
            *rank = link - 1;
            return link != 0;
        }
        *rank = bpe->vocabulary->scores != NULL ? score_rank(bpe->vocabulary->scores[*id]) : 0;
        return true;
    }
    if (left->id < 0 || right->id < 0)
        return false;
    uint64_t pair = pair_key(left->id, right->id);
    for (size_t at = pair_slot(pair, bpe->mask); bpe->merges[at].pair != 0; at = (at + 1) & bpe->mask) {
        if (bpe->merges[at].pair == pair) {
            *rank = bpe->merges[at].rank;
            *id = bpe->merges[at].id;
            return true;
        }
    }
    return false;
}

static int scratch_push(struct bpe_scratch *scratch, struct bpe_symbol symbol)
{
    if (scratch->n_symbols == scratch->symbols_capacity) {
        size_t capacity = scratch->symbols_capacity == 0 ? 64 : scratch->symbols_capacity * 2;
        struct bpe_symbol *symbols = realloc(scratch->symbols, capacity * sizeof *symbols);
        if (symbols == NULL)
            return WEIR_E_MEMORY;
        scratch->symbols = symbols;
        scratch->symbols_capacity = capacity;
    }
    scratch->symbols[scratch->n_symbols++] = symbol;
    return 0;
}

void bpe_scratch_release(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (struct bpe_scratch){0};
}

/* The id of the character at [start, end), decorated as the vocabulary has it. */
static int32_t character_id(const struct bpe *bpe, str word, size_t start, size_t end, uint32_t code_point)
{
    bool decorated = (bpe->prefix.n > 0 && start > 0) || (bpe->suffix.n > 0 && end == word.n);
    str text = {word.data + start, end - start};
    if (!decorated)
        return code_point < BPE_FIRST_IDS ? bpe->first_ids[code_point] : vocabulary_find(bpe->vocabulary, text);
    char joined[128];
    str prefix = start > 0 ? bpe->prefix : (str){0}, suffix = end == word.n ? bpe->suffix : (str){0};
    int n = snprintf(joined, sizeof joined, STR_FMT STR_FMT STR_FMT, STR_ARG(prefix), STR_ARG(text), STR_ARG(suffix));
    if (n < 0 || (size_t)n >= sizeof joined)
        return -1;
    return vocabulary_find(bpe->vocabulary, (str){joined, (size_t)n});
}

/* Symbols for a character that is no token: its bytes, the unknown token, or nothing. */
static int unknown_push(const struct bpe *bpe, struct bpe_scratch *scratch, str word, size_t start, size_t n, bool *open)
{
    if (bpe->byte_fallback) {
        bool all = true;
        for (size_t i = 0; i < n; i++)
            all = all && bpe->vocabulary->bytes[(uint8_t)word.data[start + i]] >= 0;
        if (all) {
            for (size_t i = 0; i < n; i++) {
                int32_t id = bpe->vocabulary->bytes[(uint8_t)word.data[start + i]];
                int status = scratch_push(scratch, (struct bpe_symbol){(uint32_t)(start + i), 1, id, 0, 0});
                if (status < 0)
                    return status;
            }
            return 0;
        }
    }
    if (bpe->unknown < 0)
        return 0;
    if (*open && bpe->fuse_unknown) {
        scratch->symbols[scratch->n_symbols - 1].n += (uint32_t)n;
        return 0;
    }
    *open = true;
    return scratch_push(scratch, (struct bpe_symbol){(uint32_t)start, (uint32_t)n, bpe->unknown, 0, 0});
}

static int symbols_fill(const struct bpe *bpe, struct bpe_scratch *scratch, str word)
{
    scratch->n_symbols = 0;
    bool open = false; /* The last symbol is an unknown one. */
    for (size_t at = 0; at < word.n;) {
        size_t start = at;
        uint32_t code_point = utf8_next(word, &at);
        if (code_point == 0xFFFD && at - start == 1)
            code_point = BPE_FIRST_IDS; /* An invalid byte: never a token by code point. */
        int32_t id = character_id(bpe, word, start, at, code_point);
        int status;
        if (id >= 0 || bpe->mode == BPE_BY_SCORE) {
            open = false;
            status = scratch_push(scratch, (struct bpe_symbol){(uint32_t)start, (uint32_t)(at - start), id, 0, 0});
        } else {
            status = unknown_push(bpe, scratch, word, start, at - start, &open);
        }
        if (status < 0)
            return status;
    }
    for (size_t i = 0; i < scratch->n_symbols; i++) {
        scratch->symbols[i].previous = (int32_t)i - 1;
        scratch->symbols[i].next = i + 1 < scratch->n_symbols ? (int32_t)i + 1 : -1;
    }
    return 0;
}

/* Joins a symbol with the one after it. */
static void symbols_join(struct bpe_symbol *symbols, int32_t left, int32_t id)
{
    struct bpe_symbol *right = &symbols[symbols[left].next];
    symbols[left].n += right->n;
    symbols[left].id = id;
    symbols[left].next = right->next;
    right->n = 0;
    if (right->next >= 0)
        symbols[right->next].previous = left;
}

static void merge_short(const struct bpe *bpe, struct bpe_scratch *scratch, str word)
{
    struct bpe_symbol *symbols = scratch->symbols;
    struct {
        uint64_t rank; /* UINT64_MAX: it does not merge with the next. */
        int32_t id;
    } pairs[SHORT_WORD];
    int n = (int)scratch->n_symbols;
    for (int i = 0; i < n; i++) {
        uint32_t rank;
        pairs[i].rank = UINT64_MAX;
        if (i + 1 < n && merge_find(bpe, word, &symbols[i], &symbols[i + 1], &rank, &pairs[i].id))
            pairs[i].rank = rank;
    }
    for (;;) {
        int32_t best = 0;
        for (int32_t i = 0; i >= 0; i = symbols[i].next)
            if (pairs[i].rank < pairs[best].rank)
                best = i;
        if (pairs[best].rank == UINT64_MAX)
            return;
        symbols_join(symbols, best, pairs[best].id);
        int32_t around[2] = {symbols[best].previous, best};
        for (int k = 0; k < 2; k++) {
            int32_t i = around[k];
            uint32_t rank;
            if (i < 0)
                continue;
            pairs[i].rank = UINT64_MAX;
            if (symbols[i].next >= 0 && merge_find(bpe, word, &symbols[i], &symbols[symbols[i].next], &rank, &pairs[i].id))
                pairs[i].rank = rank;
        }
    }
}

static int heap_push(struct bpe_scratch *scratch, struct bpe_candidate candidate)
{
    if (scratch->n_heap == scratch->heap_capacity) {
        size_t capacity = scratch->heap_capacity == 0 ? 256 : scratch->heap_capacity * 2;
        struct bpe_candidate *heap = realloc(scratch->heap, capacity * sizeof *heap);
        if (heap == NULL)
            return WEIR_E_MEMORY;
        scratch->heap = heap;
        scratch->heap_capacity = capacity;
    }
    size_t at = scratch->n_heap++;
    for (; at > 0 && scratch->heap[(at - 1) / 2].key > candidate.key; at = (at - 1) / 2)
        scratch->heap[at] = scratch->heap[(at - 1) / 2];
    scratch->heap[at] = candidate;
    return 0;
}

static struct bpe_candidate heap_pop(struct bpe_scratch *scratch)
{
    struct bpe_candidate top = scratch->heap[0], last = scratch->heap[--scratch->n_heap];
    size_t at = 0;
    for (size_t child; (child = at * 2 + 1) < scratch->n_heap; at = child) {
        if (child + 1 < scratch->n_heap && scratch->heap[child + 1].key < scratch->heap[child].key)
            child++;
        if (scratch->heap[child].key >= last.key)
            break;
        scratch->heap[at] = scratch->heap[child];
    }
    scratch->heap[at] = last;
    return top;
}

static int candidate_push(const struct bpe *bpe, struct bpe_scratch *scratch, str word, int32_t left)
{
    if (left < 0 || scratch->symbols[left].next < 0)
        return 0;
    const struct bpe_symbol *a = &scratch->symbols[left], *b = &scratch->symbols[a->next];
    uint32_t rank;
    int32_t id;
    if (!merge_find(bpe, word, a, b, &rank, &id))
        return 0;
    return heap_push(scratch, (struct bpe_candidate){(uint64_t)rank << 32 | (uint32_t)left, left, a->n, b->n, id});
}

static int merge_long(const struct bpe *bpe, struct bpe_scratch *scratch, str word)
{
    scratch->n_heap = 0;
    for (size_t i = 0; i + 1 < scratch->n_symbols; i++) {
        int status = candidate_push(bpe, scratch, word, (int32_t)i);
        if (status < 0)
            return status;
    }
    while (scratch->n_heap > 0) {
        struct bpe_candidate best = heap_pop(scratch);
        const struct bpe_symbol *left = &scratch->symbols[best.left];
        if (left->n != best.n_left || left->next < 0 || scratch->symbols[left->next].n != best.n_right)
            continue;
        symbols_join(scratch->symbols, best.left, best.id);
        int status = candidate_push(bpe, scratch, word, scratch->symbols[best.left].previous);
        if (status == 0)
            status = candidate_push(bpe, scratch, word, best.left);
        if (status < 0)
            return status;
    }
    return 0;
}

/* Ids of a symbol that no token spells (by score only): its bytes, or the unknown token. */
static int fallback_append(const struct bpe *bpe, str text, struct ids *out)
{
    bool bytes = bpe->byte_fallback;
    for (size_t i = 0; i < text.n && bytes; i++)
        bytes = bpe->vocabulary->bytes[(uint8_t)text.data[i]] >= 0;
    if (!bytes)
        return bpe->unknown < 0 ? 0 : ids_append(out, bpe->unknown);
    for (size_t i = 0; i < text.n; i++) {
        int status = ids_append(out, bpe->vocabulary->bytes[(uint8_t)text.data[i]]);
        if (status < 0)
            return status;
    }
    return 0;
}

int bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, str word, struct ids *out)
{
    if (word.n > INT32_MAX / 2)
        return WEIR_E_LIMIT;
    if (bpe->ignore_merges) {
        int32_t id = vocabulary_find(bpe->vocabulary, word);
        if (id >= 0)
            return ids_append(out, id);
    }
    int status = symbols_fill(bpe, scratch, word);
    if (status < 0)
        return status;
    if (scratch->n_symbols <= SHORT_WORD && scratch->n_symbols > 1)
        merge_short(bpe, scratch, word);
    else if (scratch->n_symbols > 1)
        status = merge_long(bpe, scratch, word);
    bool open = false; /* The last symbol was unknown. */
    for (int32_t i = scratch->n_symbols > 0 ? 0 : -1; i >= 0 && status == 0; i = scratch->symbols[i].next) {
        const struct bpe_symbol *symbol = &scratch->symbols[i];
        bool fused = open && symbol->id < 0 && bpe->fuse_unknown && !bpe->byte_fallback;
        open = symbol->id < 0;
        if (fused)
            continue;
        status = symbol->id >= 0 ? ids_append(out, symbol->id)
                                 : fallback_append(bpe, (str){word.data + symbol->start, symbol->n}, out);
    }
    return status;
}
