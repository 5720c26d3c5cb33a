/* weir.yaml and prices.yaml from any bytes: an error or a snapshot, never a crash. */
#include "config/config.h"
#include "money/prices.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct config *config;
    const struct prices *prices;
    struct error err = {0};
    str text = {(const char *)data, n};
    if (config_parse(&config, "fuzz.yaml", "/nowhere", text, &err) == 0)
        config_drop(config);
    else
        assert(err.text[0] != '\0' && err.where[0] != '\0');
    if (prices_parse(&prices, "fuzz.yaml", text, &err) == 0)
        prices_drop(prices);
    return 0;
}
