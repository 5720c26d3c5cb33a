/* Unigram: one pass forward keeps, for each place, the best path that ends there (Viterbi); one pass back reads it off.
 * A character that is no piece costs the smallest score less ten, as SentencePiece has it; of equal paths the first found
 * stays. Time is text length times the longest piece, which is bounded at opening. */
#include "tokenizer/unigram.h"

#include <float.h>

struct unigram_node {
    double score;
    int32_t id;    /* Of the piece that ends here. */
    int32_t start; /* Where it starts; -1: no path ends here. */
    int32_t next;  /* On the best path: where the piece that starts here ends. */
};

struct wanted_context {
    const struct vocabulary *vocabulary;
    bool control_too;
};

static bool piece_wanted(const void *user, size_t i)
{
    const struct wanted_context *context = user;
    enum token_kind kind = context->vocabulary->kinds[i];
    return kind != TOKEN_ABSENT && (context->control_too || kind == TOKEN_NORMAL || kind == TOKEN_USER_DEFINED || kind == TOKEN_UNUSED);
}

int unigram_init(struct unigram *unigram, const struct vocabulary *vocabulary, double *scores, bool control_too,
                 struct arena *arena, struct error *err)
{
    *unigram = (struct unigram){.vocabulary = vocabulary, .scores = scores, .unknown = -1, .fuse_unknown = true};
    if (vocabulary->longest > UNIGRAM_MAX_PIECE_BYTES)
        return error_set(err, WEIR_E_LIMIT, "", "a piece of %zu bytes, more than %d", vocabulary->longest, UNIGRAM_MAX_PIECE_BYTES);
    struct wanted_context context = {vocabulary, control_too};
    if (prefix_index_init(&unigram->index, arena, vocabulary->texts, vocabulary->n, piece_wanted, &context) < 0)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory for %zu pieces", vocabulary->n);
    double least = DBL_MAX;
    for (size_t i = 0; i < vocabulary->n; i++)
        if (piece_wanted(&context, i) && scores[i] < least)
            least = scores[i];
    unigram->unknown_score = (least == DBL_MAX ? 0 : least) - 10;
    return 0;
}

void unigram_scratch_release(struct unigram_scratch *scratch)
{
    free(scratch->nodes);
    *scratch = (struct unigram_scratch){0};
}

static void node_offer(struct unigram_node *node, double score, int32_t id, size_t start)
{
    if (node->start < 0 || score > node->score)
        *node = (struct unigram_node){.score = score, .id = id, .start = (int32_t)start};
}

/* Ids of text that no piece covers. */
static int unknown_append(const struct unigram *unigram, str text, struct ids *out)
{
    bool bytes = unigram->byte_fallback;
    for (size_t i = 0; i < text.n && bytes; i++)
        bytes = unigram->vocabulary->bytes[(uint8_t)text.data[i]] >= 0;
    if (!bytes)
        return unigram->unknown < 0 ? 0 : ids_append(out, unigram->unknown);
    int status = 0;
    for (size_t i = 0; i < text.n && status == 0; i++)
        status = ids_append(out, unigram->vocabulary->bytes[(uint8_t)text.data[i]]);
    return status;
}

static void path_forward(const struct unigram *unigram, struct unigram_node *nodes, str text)
{
    nodes[0] = (struct unigram_node){.id = -1};
    for (size_t i = 1; i <= text.n; i++)
        nodes[i].start = -1;
    for (size_t at = 0, next; at < text.n; at = next) {
        next = at;
        utf8_next(text, &next);
        double here = nodes[at].score;
        bool single = false;
        struct prefix_walk walk = prefix_begin(&unigram->index);
        for (size_t end = at; end < text.n && prefix_step(&unigram->index, &walk, (uint8_t)text.data[end]);) {
            end++;
            int32_t id = prefix_match(&unigram->index, &walk);
            if (id < 0)
                continue;
            node_offer(&nodes[end], here + unigram->scores[id], id, at);
            single = single || end == next;
        }
        if (!single)
            node_offer(&nodes[next], here + unigram->unknown_score, -1, at);
    }
}

int unigram_encode(const struct unigram *unigram, struct unigram_scratch *scratch, str text, struct ids *out)
{
    if (text.n > INT32_MAX / 2)
        return WEIR_E_LIMIT;
    if (scratch->capacity < text.n + 1) {
        free(scratch->nodes);
        scratch->capacity = (text.n + 1) * 2;
        scratch->nodes = malloc(scratch->capacity * sizeof *scratch->nodes);
        if (scratch->nodes == NULL) {
            scratch->capacity = 0;
            return WEIR_E_MEMORY;
        }
    }
    struct unigram_node *nodes = scratch->nodes;
    path_forward(unigram, nodes, text);
    for (size_t at = text.n; at > 0; at = (size_t)nodes[at].start)
        nodes[nodes[at].start].next = (int32_t)at;
    int status = 0;
    for (size_t at = 0, end; at < text.n && status == 0; at = end) {
        end = (size_t)nodes[at].next;
        int32_t id = nodes[end].id;
        while (id < 0 && unigram->fuse_unknown && end < text.n && nodes[nodes[end].next].id < 0)
            end = (size_t)nodes[end].next;
        status = id >= 0 ? ids_append(out, id) : unknown_append(unigram, (str){text.data + at, end - at}, out);
    }
    return status;
}
