/* Unigram language model (Kudo 2018): the likeliest way to cut a text into pieces. */
#ifndef WEIR_TOKENIZER_UNIGRAM_H
#define WEIR_TOKENIZER_UNIGRAM_H

#include "tokenizer/prefix_index.h"
#include "tokenizer/vocabulary.h"
#include "weir_runtime.h"

enum { UNIGRAM_MAX_PIECE_BYTES = 1024 };

struct unigram {
    const struct vocabulary *vocabulary;
    struct prefix_index index;
    double *scores;      /* Log probability of each id. */
    double unknown_score;
    int32_t unknown;     /* -1: unknown text gives nothing. */
    bool byte_fallback;
    bool fuse_unknown;
};

/* scores: one a token, in the arena. control_too: control and unknown tokens' texts count as pieces (the tokenizers library does so). */
int unigram_init(struct unigram *unigram, const struct vocabulary *vocabulary, double *scores, bool control_too,
                 struct arena *arena, struct error *err) WEIR_CHECKED;

struct unigram_scratch {
    struct unigram_node *nodes;
    size_t capacity;
};
void unigram_scratch_release(struct unigram_scratch *scratch);
int unigram_encode(const struct unigram *unigram, struct unigram_scratch *scratch, str text, struct ids *out) WEIR_CHECKED;

#endif
