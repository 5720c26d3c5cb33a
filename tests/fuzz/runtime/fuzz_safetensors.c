/* Any bytes as a safetensors file: refused, or every byte of every tensor can be read and is found by its name. */
#include "model/safetensors.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct safetensors *file;
    struct error err;
    if (safetensors_parse(&file, "fuzz.safetensors", data, n_bytes, &err) < 0) {
        assert(err.status < 0 && err.text[0] != '\0');
        return 0;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < safetensors_n(file); i++) {
        const struct tensor *tensor = safetensors_at(file, i);
        assert(safetensors_find(file, tensor->name) == tensor);
        for (size_t k = 0; k < tensor->n_bytes; k++)
            sum += ((const uint8_t *)tensor->data)[k];
    }
    volatile unsigned sink = sum;
    (void)sink;
    safetensors_close(file);
    return 0;
}
