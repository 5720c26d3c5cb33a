/* tokenizer.json, or after a byte 0 tokenizer.model: any bytes give a tokenizer that works or an error. */
#include "tokenizer/parts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const str texts[] = {STR("Hello  world's 123 \xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\n\t"), STR("\xFF\xC3 a\xE2\x96\x81""b <s>[CLS]"),
                                STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")};
    bool model = n_bytes > 0 && data[0] == 0;
    str text = {(const char *)data + model, n_bytes - model};
    struct tokenizer *tokenizer;
    struct error err = {0};
    if (tokenizer_open_text(&tokenizer, text, model, &err) < 0)
        return 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ids ids = {0};
        struct buffer back;
        buffer_init(&back, 1 << 20);
        int status = tokenizer_encode(tokenizer, texts[i], TOKENIZE_SPECIAL, &ids, &err);
        for (size_t k = 0; k < ids.n; k++)
            if (ids.data[k] < 0 || ids.data[k] >= tokenizer_size(tokenizer))
                abort();
        if (status == 0 && tokenizer_decode(tokenizer, ids.data, ids.n, true, &back) == 0 && utf8_first_invalid(buffer_str(&back)) >= 0)
            abort();
        buffer_release(&back);
        ids_release(&ids);
    }
    tokenizer_close(tokenizer);
    return 0;
}
