/* What a tokenizer is made of; filled by the opening of each format, immutable afterwards. */
#ifndef WEIR_TOKENIZER_PARTS_H
#define WEIR_TOKENIZER_PARTS_H

#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/decoding.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unigram.h"
#include "tokenizer/wordpiece.h"

enum {
    TOKENIZER_MAX_TEXT_BYTES = 256 << 20,   /* Of one text to encode. */
    TOKENIZER_MAX_FRAME = 16,               /* Parts of a template. */
    TOKENIZER_MAX_ENDS = 64,
    TOKENIZER_MAX_FILE_BYTES = 512 << 20,   /* Of tokenizer.json and the like. */
    TOKENIZER_MAX_ARENA_BYTES = 1 << 30,    /* Of all that a tokenizer keeps. */
};

enum model_algorithm { ALGORITHM_BPE, ALGORITHM_WORDPIECE, ALGORITHM_UNIGRAM };

/* One part of what stands around a text or a pair. */
struct frame_part {
    enum { FRAME_TOKEN, FRAME_A, FRAME_B } kind;
    int32_t id;   /* Of a token. */
    int32_t type;
};

struct frame {
    struct frame_part parts[TOKENIZER_MAX_FRAME];
    int n;
};

struct tokenizer {
    struct arena arena;
    struct file_map map; /* tokenizer.model's bytes, when the vocabulary points into them. */
    struct vocabulary vocabulary;
    struct added_tokens added;
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    enum model_algorithm algorithm;
    struct bpe bpe;
    struct wordpiece wordpiece;
    struct unigram unigram;
    struct frame single, pair;
    struct decoding decoding;
    bool added_raw; /* Added tokens decode as they are spelled. */
    bool valid_only; /* A step needs valid UTF-8. */
    int32_t bos, eos, unknown;
    int32_t padding, mask; /* Of a directory; for its conversion. */
    int32_t ends[TOKENIZER_MAX_ENDS];
    int n_ends;
};

int tokenizer_open_gguf(struct tokenizer *tokenizer, const struct model_file *file, struct error *err) WEIR_CHECKED;
/* A directory: 1 found, 0 it has no vocabulary. */
int tokenizer_open_directory(struct tokenizer *tokenizer, const struct model_file *file, struct error *err) WEIR_CHECKED;
/* tokenizer.json's text. Nothing of it is kept. */
int tokenizer_read_json(struct tokenizer *tokenizer, str text, struct error *err) WEIR_CHECKED;
/* tokenizer.model's bytes, which must outlive the tokenizer. */
int tokenizer_read_sentencepiece(struct tokenizer *tokenizer, str bytes, struct error *err) WEIR_CHECKED;

/* A tokenizer from the bytes of a tokenizer.json or (sentencepiece) a tokenizer.model, which are borrowed. */
int tokenizer_open_text(struct tokenizer **out, str text, bool sentencepiece, struct error *err) WEIR_CHECKED;

/* Copies s into the arena. On failure err says so and *out is empty. */
int tokenizer_keep(struct tokenizer *tokenizer, str s, str *out, struct error *err) WEIR_CHECKED;
void tokenizer_add_end(struct tokenizer *tokenizer, int32_t id);
/* Ends that are known by their text: <|im_end|>, <|eot_id|>, … */
void tokenizer_find_ends(struct tokenizer *tokenizer);
/* The usual frames: tokens (-1: none) before and after a text, and between the two of a pair. */
void tokenizer_set_frame(struct tokenizer *tokenizer, int32_t before, int32_t after, bool pair_types);
/* Puts BOS before and EOS behind where the frames don't have them already. */
void tokenizer_complete_frame(struct tokenizer *tokenizer, bool bos, bool eos);
/* Pieces and decoding of SentencePiece's kind: blanks as U+2581. */
int tokenizer_set_sentencepiece_decoding(struct tokenizer *tokenizer, bool strip_first, struct error *err) WEIR_CHECKED;
/* Makes every control and user-defined token of the vocabulary an added one. */
int tokenizer_add_from_kinds(struct tokenizer *tokenizer, struct error *err) WEIR_CHECKED;

#endif
