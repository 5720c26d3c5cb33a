/* A small BERT with random weights and a vocabulary of made words: quick to run, and its vectors depend on the words. */
#ifndef WEIR_TESTS_SMALL_ENCODER_H
#define WEIR_TESTS_SMALL_ENCODER_H

#include "weir_runtime.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

enum { SMALL_VOCABULARY = 256, SMALL_SPECIAL = 5 };

/* The word of a token: "aba", "abe", … */
static inline void small_word(int token, char out[8])
{
    static const char consonants[] = "bcdfghjklmnpqrst", vowels[] = "aeiou";
    snprintf(out, 8, "%c%c%c%c", consonants[token % 16], vowels[token / 16 % 5], consonants[token / 80 % 16], vowels[token % 5]);
}

/* Writes the encoder into an existing folder. turned: the words in another order, so that it is another tokenizer. */
static inline void small_encoder_write(const char *folder, bool turned)
{
    static const char *const special[SMALL_SPECIAL] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    static const char *const files[] = {"config.json", "model.safetensors"};
    struct error err = {0};
    struct buffer text;
    char path[256], word[8];
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, WEIR_SHARED_DIR "/fixtures/hf/bert/%s", files[i]);
        buffer_clear(&text);
        cr_assert_eq(file_read(path, &text, &err), 0, "the shared fixtures are needed: %s", err.text);
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        cr_assert_eq(file_write_atomic(path, text.data, text.n, 0600, &err), 0);
    }
    json_t *vocabulary = json_object(), *added = json_array();
    for (int i = 0; i < SMALL_VOCABULARY; i++) {
        small_word(turned && i >= SMALL_SPECIAL ? SMALL_VOCABULARY + SMALL_SPECIAL - 1 - i : i, word);
        json_object_set_new(vocabulary, i < SMALL_SPECIAL ? special[i] : word, json_integer(i));
        if (i < SMALL_SPECIAL)
            json_array_append_new(added, json_pack("{s:i,s:s,s:b,s:b,s:b,s:b,s:b}", "id", i, "content", special[i], "special", 1, "single_word", 0, "lstrip", 0,
                                                   "rstrip", 0, "normalized", 0));
    }
    json_t *tokenizer = json_pack(
        "{s:s,s:o,s:{s:s,s:b,s:b,s:n,s:b},s:{s:s},s:{s:s,s:[s,i],s:[s,i]},s:{s:s,s:s,s:b},s:{s:s,s:s,s:s,s:i,s:o}}", "version", "1.0", "added_tokens", added,
        "normalizer", "type", "BertNormalizer", "clean_text", 1, "handle_chinese_chars", 1, "strip_accents", "lowercase", 1, "pre_tokenizer", "type",
        "BertPreTokenizer", "post_processor", "type", "BertProcessing", "sep", "[SEP]", 3, "cls", "[CLS]", 2, "decoder", "type", "WordPiece", "prefix", "##",
        "cleanup", 1, "model", "type", "WordPiece", "unk_token", "[UNK]", "continuing_subword_prefix", "##", "max_input_chars_per_word", 100, "vocab", vocabulary);
    cr_assert_not_null(tokenizer);
    buffer_clear(&text);
    json_write(tokenizer, &text);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    cr_assert_eq(file_write_atomic(path, text.data, text.n, 0600, &err), 0);
    json_decref(tokenizer);
    buffer_release(&text);
}

static inline void small_encoder_remove(const char *folder)
{
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json"};
    char path[256];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

#endif
