/* Scans of hostile texts: every finding lies inside the text, in order. */
#include "weir_policies.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct findings found = {0};
    struct error err;
    if (policy_scan(NULL, (str){(const char *)data, n_bytes}, (str){NULL, 0}, &found, &err) == 0)
        for (size_t i = 0; i < found.n; i++)
            if (found.items[i].start >= found.items[i].end || found.items[i].end > n_bytes || (i > 0 && found.items[i].start < found.items[i - 1].start))
                abort();
    findings_release(&found);
    return 0;
}
