/* Clearances. Invariant: a struct clearance exists only if a verdict permitted its provider, and it opens the way for
 * exactly the bytes whose digest it holds, once. Loop thread. The verdict itself is the policies'. */
#include "upstream/clearance.h"

struct clearance {
    char provider[64];
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    bool spent;
};

int clearance_mint(struct clearance **out, const struct verdict *verdict, const struct config *config, int provider,
                   str body, bool redacted, struct error *err)
{
    *out = NULL;
    if (verdict == NULL || provider < 0 || provider >= config->n_providers || provider >= VERDICT_MAX_PROVIDERS)
        return error_set(err, WEIR_E_DENIED, "clearance", "there is no verdict for this provider");
    const char *name = config->providers[provider].name;
    if (verdict->effect > EFFECT_REDACT || (verdict->permitted >> provider & 1) == 0)
        return error_set(err, WEIR_E_DENIED, name, "policy permits nothing to be sent there");
    if (verdict->effect == EFFECT_REDACT && !redacted)
        return error_set(err, WEIR_E_DENIED, name, "policy permits redacted text only");
    struct clearance *clearance = calloc(1, sizeof *clearance);
    if (clearance == NULL)
        return error_set(err, WEIR_E_MEMORY, "clearance", "out of memory");
    if (!str_copy(clearance->provider, sizeof clearance->provider, str_of(name))) {
        free(clearance);
        return error_set(err, WEIR_E_DENIED, name, "the provider's name is too long");
    }
    sha256(body.data != NULL ? body.data : "", body.n, clearance->digest);
    hex_encode(clearance->digest, SHA256_BYTES, clearance->hex);
    *out = clearance;
    return 0;
}

void clearance_free(struct clearance *clearance)
{
    free(clearance);
}

int clearance_spend(struct clearance *clearance, const char *provider, str body, struct error *err)
{
    if (clearance == NULL)
        return error_set(err, WEIR_E_DENIED, provider, "nothing is sent without a clearance");
    if (clearance->spent)
        return error_set(err, WEIR_E_DENIED, provider, "the clearance was used before");
    clearance->spent = true;
    uint8_t digest[SHA256_BYTES];
    sha256(body.data != NULL ? body.data : "", body.n, digest);
    if (strcmp(clearance->provider, provider) != 0)
        return error_set(err, WEIR_E_DENIED, provider, "the clearance is for another provider");
    if (!bytes_equal_constant_time(digest, clearance->digest, SHA256_BYTES))
        return error_set(err, WEIR_E_DENIED, provider, "the clearance is for other bytes");
    return 0;
}

const char *clearance_sha256_peek(const struct clearance *clearance)
{
    return clearance->hex;
}
