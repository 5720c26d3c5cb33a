/* Two tokenizers compared part by part. Parts that are spelled otherwise but mean the same are known only as far as published
 * files need it: merges by rank against merges by score, and a cut at blanks where there are none left. */
#include "tokenizer/gguf_keys.h"

#include <stdlib.h>

static bool same_frame(const struct frame *a, const struct frame *b)
{
    if (a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->parts[i].kind != b->parts[i].kind || a->parts[i].id != b->parts[i].id || a->parts[i].type != b->parts[i].type)
            return false;
    return true;
}

static bool same_normalizer(const struct normalizer *a, const struct normalizer *b)
{
    if (a->n_steps != b->n_steps)
        return false;
    for (int i = 0; i < a->n_steps; i++) {
        const struct normalize_step *x = &a->steps[i], *y = &b->steps[i];
        if (x->kind != y->kind || x->left != y->left || x->right != y->right || x->nonspacing != y->nonspacing || !str_equal(x->text, y->text) ||
            !str_equal(x->content, y->content) || x->regex != NULL || y->regex != NULL || x->charsmap.n_units != y->charsmap.n_units)
            return false;
    }
    return true;
}

/* Has the normalizer left no blank to cut at? */
static bool is_idle(const struct tokenizer *tokenizer, const struct split_step *step)
{
    if (step->kind != SPLIT_TEXT || !str_equal(step->text, STR(" ")) || step->invert)
        return false;
    for (int i = 0; i < tokenizer->normalizer.n_steps; i++)
        if (tokenizer->normalizer.steps[i].kind == NORMALIZE_REPLACE && str_equal(tokenizer->normalizer.steps[i].text, STR(" ")))
            return true;
    return false;
}

static bool same_pretokenizer(const struct tokenizer *a, const struct tokenizer *b)
{
    const struct pretokenizer *x = &a->pretokenizer, *y = &b->pretokenizer;
    int i = 0, k = 0;
    for (; i < x->n_steps; i++) {
        const struct split_step *p = &x->steps[i], *q = &y->steps[k];
        if (is_idle(a, p))
            continue;
        if (k == y->n_steps || p->kind != q->kind || p->behaviour != q->behaviour || p->invert != q->invert || p->prefix != q->prefix || p->number != q->number ||
            !str_equal(p->text, q->text) || p->regex != NULL)
            return false;
        k++;
    }
    return k == y->n_steps;
}

static bool has_all_bytes(const struct vocabulary *vocabulary)
{
    for (int i = 0; i < 256; i++)
        if (vocabulary->bytes[i] < 0)
            return false;
    return true;
}

static bool is_plain(const struct vocabulary *vocabulary, int32_t id)
{
    return id >= 0 && vocabulary->kinds[id] == TOKEN_NORMAL;
}

/* Every way to cut a token into two tokens is a merge, of ranks that stand together: then merging by score is merging by rank. */
static bool is_by_score(const struct tokenizer *tokenizer)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t n_merges, n_cuts = 0;
    struct merge *merges = bpe_list_merges(&tokenizer->bpe, &n_merges);
    bool *seen = calloc(vocabulary->n + 1, sizeof *seen), good = merges != NULL && seen != NULL;
    for (size_t i = 0; i < n_merges && good; i++) {
        bool again = i > 0 && merges[i].id == merges[i - 1].id;
        good = again || !seen[merges[i].id];
        seen[merges[i].id] = true;
    }
    for (size_t id = 0; id < vocabulary->n && good; id++) {
        str text = vocabulary->texts[id];
        for (size_t at = 1; at < text.n && vocabulary->kinds[id] == TOKEN_NORMAL && good; at++) {
            uint32_t rank;
            if (((unsigned char)text.data[at] & 0xC0) == 0x80)
                continue;
            int32_t left = vocabulary_find(vocabulary, (str){text.data, at}), right = vocabulary_find(vocabulary, (str){text.data + at, text.n - at});
            if (is_plain(vocabulary, left) && is_plain(vocabulary, right)) {
                good = bpe_find_pair(&tokenizer->bpe, left, right, &rank);
                n_cuts++;
            }
        }
    }
    free(merges);
    free(seen);
    return good && n_cuts == n_merges;
}

static bool same_model(const struct tokenizer *a, const struct tokenizer *b)
{
    if (a->algorithm != b->algorithm || a->algorithm != ALGORITHM_BPE)
        return false;
    const struct bpe *x = &a->bpe, *y = &b->bpe;
    if (x->ignore_merges != y->ignore_merges || x->byte_fallback != y->byte_fallback || x->prefix.n > 0 || x->suffix.n > 0)
        return false;
    bool covered = x->byte_fallback && has_all_bytes(&a->vocabulary);
    if (!covered && (x->unknown != y->unknown || x->fuse_unknown != y->fuse_unknown))
        return false;
    return y->mode != BPE_BY_SCORE || x->mode == BPE_BY_SCORE || is_by_score(a);
}

static const struct added_token *added_of(const struct added_tokens *added, int32_t id)
{
    for (size_t i = 0; i < added->n; i++)
        if (added->list[i].id == id)
            return &added->list[i];
    return NULL;
}

static bool same_added(const struct tokenizer *a, const struct tokenizer *b)
{
    if (a->added.n != b->added.n)
        return false;
    for (size_t i = 0; i < a->added.n; i++) {
        const struct added_token *x = &a->added.list[i], *y = added_of(&b->added, x->id);
        bool as_spelled = !x->normalized || (a->normalizer.n_steps == 0 && str_equal(a->added.texts[i], x->text));
        if (y == NULL || !str_equal(x->text, y->text) || x->special != y->special || x->single_word != y->single_word || x->left_strip != y->left_strip ||
            x->right_strip != y->right_strip || !as_spelled || y->normalized)
            return false;
    }
    return true;
}

static bool same_vocabulary(const struct tokenizer *a, const struct tokenizer *b)
{
    for (size_t id = 0; id < a->vocabulary.n; id++) {
        if (a->vocabulary.kinds[id] == TOKEN_ABSENT)
            continue;
        if (id >= b->vocabulary.n || !str_equal(a->vocabulary.texts[id], b->vocabulary.texts[id]) ||
            tokenizer_is_special(a, (int32_t)id) != tokenizer_is_special(b, (int32_t)id))
            return false;
    }
    return true;
}

static bool same_ends(const struct tokenizer *a, const struct tokenizer *b)
{
    for (int i = 0; i < a->n_ends; i++)
        if (!tokenizer_is_end(b, a->ends[i]))
            return false;
    return a->n_ends == b->n_ends;
}

bool tokenizer_same(const struct tokenizer *a, const struct tokenizer *b)
{
    return same_vocabulary(a, b) && same_model(a, b) && same_normalizer(&a->normalizer, &b->normalizer) && same_pretokenizer(a, b) && same_added(a, b) &&
           same_frame(&a->single, &b->single) && a->bos == b->bos && a->eos == b->eos && same_ends(a, b);
}
