/* Packs from hostile YAML: an error or a pack, never a crash. */
#include "weir_policies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct pack *pack;
    struct error err;
    if (pack_parse(&pack, "fuzz", (str){(const char *)data, n_bytes}, &err) == 0)
        pack_close(pack);
    return 0;
}
