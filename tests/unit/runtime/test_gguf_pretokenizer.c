/* Every pre-tokenizer that GGUF files name builds, and cuts a text without losing a byte. */
#include "tokenizer/gguf_pretokenizer.h"

#include <criterion/criterion.h>

Test(gguf_pretokenizer, each_kind_builds_and_keeps_every_byte)
{
    static const char *const names[] = {"", "llama-bpe", "dbrx", "gpt-2", "smollm", "command-r", "refact", "qwen2", "qwen35", "falcon",
                                        "deepseek-llm", "deepseek-coder", "deepseek-v3", "tekken", "gpt-4o", "bloom", "viking",
                                        "bailingmoe", "seed-coder"};
    const str text = STR("It's  1234 plain\r\n words!");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct pretokenizer pretokenizer = {0};
        struct pieces pieces;
        struct error err = {0};
        const struct gguf_pretokenizer *which = gguf_pretokenizer_find(str_of(names[i]));
        cr_assert_not_null(which, "%s", names[i]);
        cr_assert_eq(gguf_pretokenizer_build(which, &pretokenizer, &err), 0, "%s: %s", names[i], err.text);
        pretokenizer.n_steps--; /* Without the bytes' characters the pieces are the text's own. */
        pieces_init(&pieces, 1 << 16);
        cr_assert_eq(pretokenizer_run(&pretokenizer, &pieces, text, true), 0);
        size_t at = 0;
        for (size_t k = 0; k < pieces.n; at += pieces.list[k++].n)
            cr_assert_eq(pieces.list[k].start, at, "%s: a gap at byte %zu", names[i], at);
        cr_assert_eq(at, text.n);
        cr_assert_gt(pieces.n, 3);
        pieces_release(&pieces);
        pretokenizer_release(&pretokenizer);
    }
    cr_assert_null(gguf_pretokenizer_find(STR("no such")));
}
