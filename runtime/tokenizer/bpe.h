/* Byte-pair encoding of one word: merges by rank (GPT-2, tokenizer.json) or by score (SentencePiece). */
#ifndef WEIR_TOKENIZER_BPE_H
#define WEIR_TOKENIZER_BPE_H

#include "tokenizer/vocabulary.h"
#include "weir_runtime.h"

enum { BPE_FIRST_IDS = 0x180 }; /* Covers the 256 characters that stand for bytes, and ASCII. */

struct merge {
    uint64_t pair; /* Left id in the upper half, right id + 1 in the lower; 0: free. */
    uint32_t rank; /* Lower merges first. */
    int32_t id;    /* What the two become. */
};

/* A merge known by what it makes: that token's text, cut after n_left bytes. */
struct merge_split {
    uint32_t n_left;
    uint32_t next; /* Another merge that makes the same token, plus 1; 0: none. */
};

enum bpe_mode {
    BPE_BY_SCORE, /* Any two neighbours whose joined text is a token. */
    BPE_BY_PAIR,  /* A table of pairs of ids. */
    BPE_BY_SPLIT, /* A list of cuts for each token: built without looking the parts up, so it opens fast. */
};

struct bpe {
    const struct vocabulary *vocabulary;
    enum bpe_mode mode;
    struct merge *merges; /* By pair. */
    size_t mask;
    struct merge_split *splits; /* By split: one a merge, in order of rank. */
    uint32_t *first_split;      /* One a token: index of its first merge, plus 1; 0: none makes it. */
    int32_t last_made;          /* What the merge added last makes. */
    int32_t first_ids[BPE_FIRST_IDS]; /* Of single characters, by code point. */
    int32_t unknown;      /* -1: what the vocabulary lacks is left out. */
    bool byte_fallback;   /* Unknown characters as <0xXX>, where all of their bytes have one. */
    bool fuse_unknown;    /* Neighbouring unknown characters give one token. */
    bool ignore_merges;   /* A word that is a token is taken whole. */
    str prefix;           /* Of every character but a word's first, in the vocabulary ("##"). */
    str suffix;           /* Of a word's last character ("</w>"). */
};

/* Prepares for at most n merges. */
int bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary, enum bpe_mode mode, size_t n_merges, struct arena *arena,
             struct error *err) WEIR_CHECKED;
/* Adds the merge of rank `rank`, less than n. The first of two equal ones counts. WEIR_E_NOT_FOUND: the whole, or (by pair)
 * a part, is no token. */
int bpe_add_merge(struct bpe *bpe, str left, str right, uint32_t rank) WEIR_CHECKED;

/* By pair only. The rank of a merge, false when there is none such. */
bool bpe_find_pair(const struct bpe *bpe, int32_t left, int32_t right, uint32_t *rank);
/* All merges in the order of their ranks; *n of them, freed by the caller. NULL: no memory. */
struct merge *bpe_list_merges(const struct bpe *bpe, size_t *n) WEIR_CHECKED;

/* Working memory of one encoding call. Zero is empty. */
struct bpe_scratch {
    struct bpe_symbol *symbols;
    size_t n_symbols, symbols_capacity;
    struct bpe_candidate *heap;
    size_t n_heap, heap_capacity;
};
void bpe_scratch_release(struct bpe_scratch *scratch);

/* Appends the ids of one word. Time grows with n log n whatever the word is. */
int bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, str word, struct ids *out) WEIR_CHECKED;

#endif
