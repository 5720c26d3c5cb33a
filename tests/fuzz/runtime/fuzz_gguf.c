/* Any bytes as a GGUF file: parsed or refused; of what is parsed every value and every tensor's ends are read. */
#include "model/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gguf *gguf;
    struct error err;
    if (gguf_parse(&gguf, "fuzz", data, n, &err) < 0)
        return 0;
    volatile unsigned sum = 0;
    for (size_t i = 0; i < gguf->n_values; i++) {
        const struct gguf_value *value = &gguf->values[i];
        for (size_t k = 0; k < value->n; k++) {
            int64_t number;
            double real;
            bool flag;
            str text;
            if (gguf_value_i64(value, k, &number))
                sum += (unsigned)number;
            if (gguf_value_f64(value, k, &real))
                sum += real > 0;
            if (gguf_value_bool(value, k, &flag))
                sum += flag;
            if (gguf_value_str(value, k, &text) && text.n > 0)
                sum += (unsigned char)text.data[text.n - 1];
        }
    }
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const uint8_t *bytes = gguf->tensors[i].data;
        sum += bytes[0] + bytes[gguf->tensors[i].n_bytes - 1];
    }
    (void)sum;
    gguf_close(gguf);
    return 0;
}
