/* Any bytes as a head file: a head, or an error that says what is wrong; of the file's own size, so that ASan sees a read past it. */
#include "head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct head *head;
    struct error err = {0};
    if (head_parse(&head, data, n_bytes, &err) == 0)
        head_close(head);
    else if (err.text[0] == '\0')
        abort();
    return 0;
}
