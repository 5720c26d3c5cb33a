/* See matcher.h. */
#include "grammar/matcher.h"

#include <stdlib.h>

enum {
    MATCHER_UNKNOWN = -2,
    ENDS = -1,                /* Of an item: the text may end. */
    MOST_ITEMS = 4096,        /* Of one state, and of the work on one step. */
    SEEN_SLOTS = 4 * MOST_ITEMS,
    MOST_FRAMES = 1 << 16,
    MOST_STATES = 1 << 14,
    MOST_ALL_ITEMS = 1 << 18,
    MOST_MEMORY = 8 << 20,
};

static uint32_t mix(uint32_t a, uint32_t b)
{
    uint64_t z = ((uint64_t)a << 32 | b) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(z >> 32) ^ (uint32_t)z;
}

/* ------------------------------------------------------------------ growing */

static int grow(void **data, int32_t *capacity, int32_t n, int32_t most, size_t size)
{
    if (n < *capacity)
        return 0;
    if (n >= most)
        return WEIR_E_FULL;
    int32_t larger = *capacity == 0 ? 64 : *capacity * 2;
    void *moved = realloc(*data, (size_t)larger * size);
    if (moved == NULL)
        return WEIR_E_MEMORY;
    *data = moved;
    *capacity = larger;
    return 0;
}

/* The slots of a table anew, twice as many, for those numbers that are in it. */
static int widen(int32_t **slots, int32_t *n_slots)
{
    int32_t n = *n_slots == 0 ? 256 : *n_slots * 2;
    int32_t *larger = malloc((size_t)n * sizeof *larger);
    if (larger == NULL)
        return WEIR_E_MEMORY;
    memset(larger, 0xFF, (size_t)n * sizeof *larger);
    free(*slots);
    *slots = larger;
    *n_slots = n;
    return 0;
}

static int32_t *frame_slot(const struct matcher *m, int32_t back, int32_t parent)
{
    uint32_t at = mix((uint32_t)back, (uint32_t)parent) & (uint32_t)(m->n_frame_slots - 1);
    while (m->frame_slots[at] >= 0 && (m->frames[m->frame_slots[at]].back != back || m->frames[m->frame_slots[at]].parent != parent))
        at = (at + 1) & (uint32_t)(m->n_frame_slots - 1);
    return &m->frame_slots[at];
}

static int frame_find(struct matcher *m, int32_t back, int32_t parent, int32_t *out)
{
    if (2 * m->n_frames >= m->n_frame_slots) {
        int status = widen(&m->frame_slots, &m->n_frame_slots);
        if (status < 0)
            return status;
        for (int32_t i = 0; i < m->n_frames; i++)
            *frame_slot(m, m->frames[i].back, m->frames[i].parent) = i;
    }
    int32_t *slot = frame_slot(m, back, parent);
    if (*slot < 0) {
        int status = grow((void **)&m->frames, &m->frame_capacity, m->n_frames, MOST_FRAMES, sizeof *m->frames);
        if (status < 0)
            return status;
        m->frames[m->n_frames] = (struct matcher_frame){back, parent};
        *slot = m->n_frames++;
    }
    *out = *slot;
    return 0;
}

/* ------------------------------------------------------------------ one step */

/* True the first time in a step. */
static bool is_new(struct matcher *m, struct matcher_item item)
{
    uint32_t at = mix((uint32_t)item.at, (uint32_t)item.frame) & (SEEN_SLOTS - 1);
    while (m->seen[at] == m->stamp) {
        if (m->seen_items[at].at == item.at && m->seen_items[at].frame == item.frame)
            return false;
        at = (at + 1) & (SEEN_SLOTS - 1);
    }
    m->seen[at] = m->stamp;
    m->seen_items[at] = item;
    return true;
}

struct closing {
    int n_work, n_found, n_seen;
};

static int push(struct matcher *m, struct closing *c, int32_t at, int32_t frame)
{
    struct matcher_item item = {at, frame};
    if (!is_new(m, item))
        return 0;
    if (++c->n_seen >= MOST_ITEMS)
        return WEIR_E_LIMIT;
    m->work[c->n_work++] = item;
    return 0;
}

/* What a place leads to without a byte being read: into found. */
static int close_over(struct matcher *m, struct closing *c)
{
    int status = 0;
    while (c->n_work > 0 && status == 0) {
        struct matcher_item item = m->work[--c->n_work];
        const struct grammar_instruction *code = m->grammar->code, *i = &code[item.at];
        int32_t frame = item.frame;
        switch (i->op) {
        case GRAMMAR_BYTES:
            m->found[c->n_found++] = item;
            break;
        case GRAMMAR_SPLIT:
            status = push(m, c, i->x, frame);
            if (status == 0)
                status = push(m, c, i->y, frame);
            break;
        case GRAMMAR_CALL:
            if (code[i->y].op != GRAMMAR_RETURN) /* A last call needs no frame of its own. */
                status = frame_find(m, i->y, item.frame, &frame);
            if (status == 0)
                status = push(m, c, m->grammar->starts[i->x], frame);
            break;
        default: /* GRAMMAR_RETURN */
            if (frame >= 0)
                status = push(m, c, m->frames[frame].back, m->frames[frame].parent);
            else
                m->found[c->n_found++] = (struct matcher_item){ENDS, -1};
        }
    }
    return status;
}

static int compare_items(const void *a, const void *b)
{
    const struct matcher_item *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

static uint32_t hash_items(const struct matcher_item *items, int n)
{
    uint32_t hash = (uint32_t)n;
    for (int i = 0; i < n; i++)
        hash = mix(hash, mix((uint32_t)items[i].at, (uint32_t)items[i].frame));
    return hash;
}

static int32_t *state_slot(const struct matcher *m, const struct matcher_item *items, int n)
{
    uint32_t at = hash_items(items, n) & (uint32_t)(m->n_state_slots - 1);
    for (; m->state_slots[at] >= 0; at = (at + 1) & (uint32_t)(m->n_state_slots - 1)) {
        const struct matcher_state *state = &m->states[m->state_slots[at]];
        if (state->n == n && memcmp(m->items + state->first, items, (size_t)n * sizeof *items) == 0)
            break;
    }
    return &m->state_slots[at];
}

/* The state of the items found, which are sorted here. */
static int state_find(struct matcher *m, int n, int32_t *out)
{
    if (n == 0) {
        *out = MATCHER_DEAD;
        return 0;
    }
    qsort(m->found, (size_t)n, sizeof *m->found, compare_items);
    if (2 * m->n_states >= m->n_state_slots) {
        int status = widen(&m->state_slots, &m->n_state_slots);
        if (status < 0)
            return status;
        for (int32_t i = 0; i < m->n_states; i++)
            *state_slot(m, m->items + m->states[i].first, m->states[i].n) = i;
    }
    int32_t *slot = state_slot(m, m->found, n);
    if (*slot < 0) {
        int status = grow((void **)&m->states, &m->state_capacity, m->n_states, MOST_STATES, sizeof *m->states);
        while (status == 0 && m->item_capacity < m->n_items + n)
            status = grow((void **)&m->items, &m->item_capacity, m->item_capacity, MOST_ALL_ITEMS, sizeof *m->items);
        if (status < 0)
            return status;
        memcpy(m->items + m->n_items, m->found, (size_t)n * sizeof *m->found);
        m->states[m->n_states] = (struct matcher_state){.first = m->n_items, .n = n, .may_end = m->found[0].at == ENDS};
        m->n_items += n;
        *slot = m->n_states++;
    }
    *out = *slot;
    return 0;
}

static int compute_step(struct matcher *m, int32_t state, uint8_t byte, int32_t *out)
{
    struct closing c = {0};
    int status = 0;
    m->stamp++;
    for (int32_t i = 0; i < m->states[state].n && status == 0; i++) {
        struct matcher_item item = m->items[m->states[state].first + i];
        const struct grammar_instruction *code = item.at == ENDS ? NULL : &m->grammar->code[item.at];
        if (code != NULL && code->low <= byte && byte <= code->high) {
            status = push(m, &c, code->x, item.frame);
            if (status == 0)
                status = close_over(m, &c);
        }
    }
    return status < 0 ? status : state_find(m, c.n_found, out);
}

int matcher_step(struct matcher *m, int32_t state, uint8_t byte, int32_t *out)
{
    int class = m->grammar->classes[byte];
    if (m->states[state].to == NULL) {
        size_t n_bytes = (size_t)m->grammar->n_classes * sizeof(int32_t);
        if (m->memory_bytes + n_bytes > MOST_MEMORY)
            return WEIR_E_FULL;
        int32_t *to = malloc(n_bytes);
        if (to == NULL)
            return WEIR_E_MEMORY;
        for (int i = 0; i < m->grammar->n_classes; i++)
            to[i] = MATCHER_UNKNOWN;
        m->memory_bytes += n_bytes;
        m->states[state].to = to;
    }
    int32_t known = m->states[state].to[class];
    if (known == MATCHER_UNKNOWN) {
        int status = compute_step(m, state, byte, &known);
        if (status < 0)
            return status;
        m->states[state].to[class] = known;
    }
    *out = known;
    return 0;
}

/* ------------------------------------------------------------------ life */

static void forget_states(struct matcher *m)
{
    for (int32_t i = 0; i < m->n_states; i++) {
        free(m->states[i].to);
        free(m->states[i].mask);
    }
    m->n_states = m->n_items = m->n_frames = 0;
    m->memory_bytes = 0;
    if (m->n_state_slots > 0)
        memset(m->state_slots, 0xFF, (size_t)m->n_state_slots * sizeof *m->state_slots);
    if (m->n_frame_slots > 0)
        memset(m->frame_slots, 0xFF, (size_t)m->n_frame_slots * sizeof *m->frame_slots);
}

/* A stack of the old frames among the new ones, from the bottom up. */
static int frame_move(struct matcher *m, const struct matcher_frame *old, int32_t frame, int32_t *out)
{
    int32_t n = 0, chain = -1;
    int status = 0;
    for (int32_t i = frame; i >= 0; i = old[i].parent)
        n++;
    int32_t *places = malloc(((size_t)n + 1) * sizeof *places);
    if (places == NULL)
        return WEIR_E_MEMORY;
    for (int32_t i = frame, k = n; i >= 0; i = old[i].parent)
        places[--k] = old[i].back;
    for (int32_t k = 0; k < n && status == 0; k++)
        status = frame_find(m, places[k], chain, &chain);
    free(places);
    *out = chain;
    return status;
}

int matcher_forget(struct matcher *m, int32_t *keep)
{
    int32_t n = m->states[*keep].n;
    struct matcher_frame *old = m->frames;
    memcpy(m->found, m->items + m->states[*keep].first, (size_t)n * sizeof *m->found);
    m->frames = NULL;
    m->frame_capacity = 0;
    forget_states(m);
    int status = 0;
    for (int32_t i = 0; i < n && status == 0; i++)
        status = frame_move(m, old, m->found[i].frame, &m->found[i].frame);
    free(old);
    return status < 0 ? status : state_find(m, n, keep);
}

int matcher_init(struct matcher *m, const struct grammar *grammar, bool blank_first, int32_t *out, struct error *err)
{
    *m = (struct matcher){.grammar = grammar};
    m->work = malloc(MOST_ITEMS * sizeof *m->work);
    m->found = malloc(MOST_ITEMS * sizeof *m->found);
    m->seen = calloc(SEEN_SLOTS, sizeof *m->seen);
    m->seen_items = malloc(SEEN_SLOTS * sizeof *m->seen_items);
    int status = m->work == NULL || m->found == NULL || m->seen == NULL || m->seen_items == NULL ? WEIR_E_MEMORY : 0;
    struct closing c = {0};
    m->stamp = 1;
    if (status == 0)
        status = push(m, &c, grammar->starts[0], -1);
    if (status == 0)
        status = close_over(m, &c);
    if (status == 0 && blank_first)
        m->found[c.n_found++] = (struct matcher_item){grammar->blank, -1};
    if (status == 0)
        status = state_find(m, c.n_found, out);
    if (status < 0) {
        matcher_release(m);
        return error_set(err, status == WEIR_E_MEMORY ? WEIR_E_MEMORY : WEIR_E_LIMIT, "grammar",
                         status == WEIR_E_MEMORY ? "out of memory" : "its beginning is too ambiguous to be followed");
    }
    return 0;
}

void matcher_release(struct matcher *m)
{
    forget_states(m);
    free(m->frames);
    free(m->items);
    free(m->states);
    free(m->frame_slots);
    free(m->state_slots);
    free(m->work);
    free(m->found);
    free(m->seen);
    free(m->seen_items);
    *m = (struct matcher){0};
}
