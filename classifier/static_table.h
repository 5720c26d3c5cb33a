/* Static table: one short vector for each token of an encoder's vocabulary, distilled from the encoder. The direction of the sum
 * of a text's rows stands in for the encoder's sentence vector at a hundredth of its time. */
#ifndef WEIR_CLASSIFIER_STATIC_TABLE_H
#define WEIR_CLASSIFIER_STATIC_TABLE_H

#include "weir_runtime.h"

enum { STATIC_LEAST_DIMS = 16, STATIC_MOST_DIMS = 512, STATIC_MOST_TOKENS = 1 << 20, STATIC_LONGEST_TEXT = 4096 };

struct static_table {
    int n_tokens;
    int n_dims;     /* A multiple of 16. */
    int8_t *rows;   /* n_tokens × n_dims */
    float *scales;  /* n_tokens: a token's vector is its scale times its row; its weight among others is in the scale. */
    json_t *about;  /* The file's header: encoder, vocabulary, seed, data, metrics. */
    /* Into about. */
    const char *encoder;        /* Name. */
    const char *encoder_sha256; /* Of its weights. */
    const char *vocabulary;     /* static_vocabulary of its tokenizer, in hexadecimal. */
};

/* Zero rows. about is taken, also after an error; it must hold what the format asks for. Release also after an error. */
int static_table_init_take(struct static_table *table, int n_tokens, int n_dims, json_t *about_take, struct error *err) WEIR_CHECKED;
void static_table_release(struct static_table *table);
/* Puts a token's vector, rounded to the table's precision. */
void static_table_set(struct static_table *table, int token, const float *vector);

/* What a tokenizer makes of texts, as one SHA-256 in hexadecimal: its tokens and a few texts that show case, accents and scripts.
 * A table serves any encoder whose tokenizer has the table's. */
int static_vocabulary(const struct tokenizer *tokenizer, char out[2 * SHA256_BYTES + 1], struct error *err) WEIR_CHECKED;
/* As much of a text as is looked at: its first STATIC_LONGEST_TEXT bytes. */
str static_text_cut(str text);
/* out: n_dims floats of length 1, or zeros for a text without known tokens. */
int static_table_embed(const struct static_table *table, const struct tokenizer *tokenizer, str text, float *out, struct error *err) WEIR_CHECKED;
/* The same for ids; those outside of the vocabulary count nothing. */
void static_table_embed_ids(const struct static_table *table, const int32_t *ids, size_t n, float *out);

/* The file's bytes, their number a multiple of 4. out is the caller's, initialised. */
int static_table_format(const struct static_table *table, struct buffer *out, struct error *err) WEIR_CHECKED;
/* Bytes to a table; all of it is checked first. Trailing bytes are refused. */
int static_table_parse(struct static_table *table, const void *data, size_t n_bytes, struct error *err) WEIR_CHECKED;
/* A table's file, or a head that holds one. */
int static_table_open(struct static_table *table, const char *path, struct error *err) WEIR_CHECKED;

#endif
