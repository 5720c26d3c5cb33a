/* Documents of any bytes, read as each kind: no crash, passages within their bounds, valid UTF-8, lines in order. */
#include "knowledge/passages.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void cut(enum document_kind kind, str text)
{
    struct arena arena;
    struct passages passages;
    int last_line = 1;
    arena_init(&arena, (size_t)64 << 20);
    if (passages_cut(kind, text, &arena, &passages, NULL) == 0)
        for (size_t i = 0; i < passages.n; i++) {
            const struct passage *passage = &passages.items[i];
            assert(passage->text.n > 0 && passage->text.n <= PASSAGE_MAX_BYTES && passage->heading.n < PASSAGE_HEADING_BYTES);
            assert(utf8_first_invalid(passage->text) < 0 && utf8_first_invalid(passage->heading) < 0);
            assert(passage->first_line <= passage->last_line && passage->first_line >= last_line);
            last_line = passage->first_line;
        }
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 65536)
        return 0;
    for (enum document_kind kind = DOCUMENT_TEXT; kind <= DOCUMENT_HTML; kind++)
        cut(kind, (str){(const char *)data, n});
    return 0;
}
