/* See token_list.h. */
#include "grammar/token_list.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>

enum { MOST_TOKEN_BYTES = 1024, MOST_TEXT_BYTES = 256 << 20 };

/* ------------------------------------------------------------------ the list */

struct unsorted {
    const char *text;
    struct token_entry entry;
};

static int compare_texts(const void *a, const void *b)
{
    const struct unsorted *x = a, *y = b;
    str left = {x->text + x->entry.at, x->entry.length}, right = {y->text + y->entry.at, y->entry.length};
    int order = str_compare(left, right);
    return order != 0 ? order : x->entry.id < y->entry.id ? -1 : 1;
}

/* Appends what each token adds to an answer to text, and an entry for each that adds something. */
static int collect(struct token_list *list, const struct tokenizer *tokenizer, struct buffer *text, struct unsorted *tokens)
{
    struct buffer first;
    int status = 0, n_ids = tokenizer_size(tokenizer);
    buffer_init(&first, MOST_TEXT_BYTES);
    for (int32_t id = 0; id < n_ids && id < list->n_vocab && status == 0; id++) {
        size_t at = text->n;
        if (!tokenizer_is_text(tokenizer, id) || tokenizer_is_end(tokenizer, id))
            continue;
        status = tokenizer_token_bytes(tokenizer, id, false, text);
        size_t length = text->n - at;
        if (status < 0 || length == 0 || length > MOST_TOKEN_BYTES) {
            text->n = at;
            continue;
        }
        if (!list->blank_first && text->data[at] == ' ') {
            buffer_clear(&first);
            status = tokenizer_token_bytes(tokenizer, id, true, &first);
            list->blank_first = first.n + 1 == length;
        }
        tokens[list->n++].entry = (struct token_entry){.id = id, .at = (uint32_t)at, .length = (uint16_t)length};
        list->longest = (int)length > list->longest ? (int)length : list->longest;
    }
    buffer_release(&first);
    return status;
}

static void sort(struct token_list *list, struct unsorted *tokens)
{
    for (int i = 0; i < list->n; i++)
        tokens[i].text = list->text;
    qsort(tokens, (size_t)list->n, sizeof *tokens, compare_texts);
    for (int i = 0; i < list->n; i++) {
        struct token_entry *entry = &list->entries[i];
        *entry = tokens[i].entry;
        if (i > 0) {
            const struct token_entry *before = &list->entries[i - 1];
            uint16_t most = entry->length < before->length ? entry->length : before->length;
            while (entry->shared < most && list->text[entry->at + entry->shared] == list->text[before->at + entry->shared])
                entry->shared++;
        }
        list->place[entry->id] = i;
    }
}

int token_list_new(struct token_list **out, const struct tokenizer *tokenizer, int n_vocab)
{
    struct token_list *list = calloc(1, sizeof *list);
    struct unsorted *tokens = calloc((size_t)n_vocab, sizeof *tokens);
    struct buffer text;
    buffer_init(&text, MOST_TEXT_BYTES);
    int status = list == NULL || tokens == NULL ? WEIR_E_MEMORY : 0;
    if (status == 0) {
        list->n_vocab = n_vocab;
        list->entries = calloc((size_t)n_vocab, sizeof *list->entries);
        list->place = malloc((size_t)n_vocab * sizeof *list->place);
        status = list->entries == NULL || list->place == NULL ? WEIR_E_MEMORY : collect(list, tokenizer, &text, tokens);
    }
    if (status == 0) {
        memset(list->place, 0xFF, (size_t)n_vocab * sizeof *list->place);
        list->text = buffer_detach(&text);
        status = list->text == NULL && list->n > 0 ? WEIR_E_MEMORY : 0;
    }
    if (status == 0)
        sort(list, tokens);
    free(tokens);
    buffer_release(&text);
    if (status < 0) {
        token_list_free(list);
        return status;
    }
    *out = list;
    return 0;
}

void token_list_free(struct token_list *list)
{
    if (list == NULL)
        return;
    free(list->entries);
    free(list->place);
    free(list->text);
    free(list);
}
