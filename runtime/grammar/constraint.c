/* Constraint of token_list.h: which tokens a grammar lets through. */
#include "grammar/token_list.h"

#include <stdlib.h>

enum { MOST_MASK_BYTES = 4 << 20 };

int constraint_init(struct constraint *c, struct grammar *grammar, const struct token_list *list, struct error *err)
{
    *c = (struct constraint){.list = list, .path = malloc(((size_t)list->longest + 1) * sizeof *c->path)};
    if (c->path == NULL)
        return error_set(err, WEIR_E_MEMORY, "grammar", "out of memory");
    int status = matcher_init(&c->matcher, grammar, list->blank_first, &c->state, err);
    if (status < 0) {
        free(c->path);
        *c = (struct constraint){0};
        return status;
    }
    c->grammar = grammar_share(grammar);
    return 0;
}

void constraint_release(struct constraint *c)
{
    if (c->grammar == NULL)
        return;
    matcher_release(&c->matcher);
    grammar_free(c->grammar);
    free(c->path);
    *c = (struct constraint){0};
}

int constraint_begin(struct constraint *c, str text, struct error *err)
{
    for (size_t i = 0; i < text.n; i++) {
        int32_t next = MATCHER_DEAD;
        int status = matcher_step(&c->matcher, c->state, (uint8_t)text.data[i], &next);
        if (status == WEIR_E_FULL) {
            status = matcher_forget(&c->matcher, &c->state);
            if (status == 0)
                status = matcher_step(&c->matcher, c->state, (uint8_t)text.data[i], &next);
        }
        if (status < 0)
            return error_set(err, status == WEIR_E_MEMORY ? WEIR_E_MEMORY : WEIR_E_LIMIT, "grammar", "the answer's beginning can't be followed");
        if (next == MATCHER_DEAD)
            return error_set(err, WEIR_E_INVALID, "grammar", "the answer's beginning does not fit, at byte %zu", i);
        c->state = next;
    }
    return 0;
}

/* The state after a token's bytes from `from` on, path[from] being known. Where it dies *alive is the number of bytes before. */
static int walk(struct constraint *c, const struct token_entry *entry, int from, int *alive)
{
    const char *bytes = c->list->text + entry->at;
    for (int i = from; i < entry->length; i++) {
        int status = matcher_step(&c->matcher, c->path[i], (uint8_t)bytes[i], &c->path[i + 1]);
        if (status < 0)
            return status;
        if (c->path[i + 1] == MATCHER_DEAD) {
            *alive = i;
            return 0;
        }
    }
    *alive = entry->length;
    return 0;
}

/* As walk, from the present state; forgets and begins again when memory is used up. */
static int walk_token(struct constraint *c, int32_t id, int *alive)
{
    const struct token_entry *entry = &c->list->entries[c->list->place[id]];
    c->path[0] = c->state;
    int status = walk(c, entry, 0, alive);
    if (status == WEIR_E_FULL) {
        status = matcher_forget(&c->matcher, &c->state);
        c->path[0] = c->state;
        if (status == 0)
            status = walk(c, entry, 0, alive);
    }
    if (status < 0)
        c->failed = true;
    return status;
}

bool constraint_allows(struct constraint *c, int32_t id)
{
    int alive;
    if (c->failed || c->list->place[id] < 0)
        return false;
    return walk_token(c, id, &alive) == 0 && alive == c->list->entries[c->list->place[id]].length;
}

void constraint_accept(struct constraint *c, int32_t id)
{
    int alive;
    if (c->failed || c->list->place[id] < 0)
        return;
    const struct token_entry *entry = &c->list->entries[c->list->place[id]];
    if (walk_token(c, id, &alive) < 0)
        return;
    if (alive < entry->length)
        c->failed = true;
    else
        c->state = c->path[alive];
}

static int fill(struct constraint *c, uint32_t *mask)
{
    int alive = 0; /* Bytes of the token before for which path is known and alive. */
    c->path[0] = c->state;
    for (int i = 0; i < c->list->n; i++) {
        const struct token_entry *entry = &c->list->entries[i];
        if (entry->shared > alive)
            continue; /* Its beginning is dead, as the one's before; that one keeps its place. */
        int status = walk(c, entry, entry->shared, &alive);
        if (status < 0)
            return status;
        if (alive == entry->length)
            mask[entry->id / 32] |= (uint32_t)1 << entry->id % 32;
    }
    return 0;
}

const uint32_t *constraint_mask(struct constraint *c)
{
    size_t n_bytes = ((size_t)c->list->n_vocab + 31) / 32 * sizeof(uint32_t);
    if (c->failed)
        return NULL;
    struct matcher_state *state = &c->matcher.states[c->state];
    if (state->mask != NULL)
        return state->mask;
    uint32_t *mask = NULL;
    int status = WEIR_E_FULL;
    for (int attempt = 0; attempt < 2 && status == WEIR_E_FULL; attempt++) {
        if (attempt > 0 || c->matcher.memory_bytes + n_bytes > MOST_MASK_BYTES)
            status = matcher_forget(&c->matcher, &c->state);
        else
            status = 0;
        free(mask);
        mask = calloc(1, n_bytes);
        if (status == 0)
            status = mask != NULL ? fill(c, mask) : WEIR_E_MEMORY;
    }
    if (status < 0) {
        free(mask);
        c->failed = true;
        return NULL;
    }
    c->matcher.states[c->state].mask = mask;
    c->matcher.memory_bytes += n_bytes;
    return mask;
}

bool constraint_may_end(const struct constraint *c)
{
    return !c->failed && matcher_may_end(&c->matcher, c->state);
}

bool constraint_must_end(const struct constraint *c)
{
    return !c->failed && matcher_must_end(&c->matcher, c->state);
}
