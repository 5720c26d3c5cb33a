/* Added tokens. The search tries only places whose byte begins one; a walk along the sorted texts then finds the longest.
 * A special token is passed over unless special ones are wanted: text from outside can't become one. */
#include "tokenizer/added_tokens.h"

#include "tokenizer/characters.h"

static bool wants_raw(const void *user, size_t i)
{
    return !((const struct added_token *)user)[i].normalized;
}

static bool wants_normalized(const void *user, size_t i)
{
    return ((const struct added_token *)user)[i].normalized;
}

int added_tokens_init(struct added_tokens *added, struct added_token *list, str *texts, size_t n, struct arena *arena)
{
    *added = (struct added_tokens){.list = list, .n = n, .texts = texts};
    int status = prefix_index_init(&added->raw, arena, texts, n, wants_raw, list);
    if (status == 0)
        status = prefix_index_init(&added->normalized, arena, texts, n, wants_normalized, list);
    for (int byte = 0; byte < 256 && status == 0; byte++) {
        added->begins_raw[byte] = added->raw.starts[byte] < added->raw.starts[byte + 1];
        added->begins_normalized[byte] = added->normalized.starts[byte] < added->normalized.starts[byte + 1];
    }
    return status;
}

/* The character that ends at `at`; at > 0. Goes back over at most three continuation bytes. */
static uint32_t character_before(str text, size_t at, size_t *start)
{
    *start = at - 1;
    for (int i = 0; i < 3 && *start > 0 && ((uint8_t)text.data[*start] & 0xC0) == 0x80; i++)
        --*start;
    size_t end = *start;
    return utf8_next(text, &end);
}

static bool stands_alone(str text, size_t start, size_t end)
{
    size_t ignored;
    if (start > 0 && character_is_word(character_before(text, start, &ignored)))
        return false;
    return end == text.n || !character_is_word(utf8_next(text, &end));
}

static bool is_blank(uint32_t c)
{
    return (character_class(c) & CLASS_SPACE) != 0;
}

static void match_strip(const struct added_token *token, str text, size_t from, struct added_match *match)
{
    size_t start;
    while (token->left_strip && match->start > from && is_blank(character_before(text, match->start, &start)) && start >= from)
        match->start = start;
    for (size_t end = match->end; token->right_strip && end < text.n && is_blank(utf8_next(text, &end));)
        match->end = end;
}

bool added_tokens_find(const struct added_tokens *added, str text, size_t at, bool normalized, bool special, struct added_match *out)
{
    const struct prefix_index *index = normalized ? &added->normalized : &added->raw;
    const bool *begins = normalized ? added->begins_normalized : added->begins_raw;
    if (index->n == 0)
        return false;
    for (size_t start = at; start < text.n; start++) {
        if (!begins[(uint8_t)text.data[start]])
            continue;
        const struct added_token *found = NULL;
        struct prefix_walk walk = prefix_begin(index);
        for (size_t end = start; end < text.n && prefix_step(index, &walk, (uint8_t)text.data[end]);) {
            int32_t match = (end++, prefix_match(index, &walk));
            if (match < 0 || (added->list[match].special && !special) ||
                (added->list[match].single_word && !stands_alone(text, start, end)))
                continue;
            found = &added->list[match];
            *out = (struct added_match){start, end, found->id};
        }
        if (found != NULL) {
            match_strip(found, text, at, out);
            return true;
        }
    }
    return false;
}
