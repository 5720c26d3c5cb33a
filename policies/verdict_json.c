/* The verdict as the ledger and the caller see it: types and counts, never values. */
#include "weir_policies.h"

json_t *verdict_json(const struct verdict *verdict, const struct policy_provider *providers)
{
    json_t *types = json_array(), *reasons = json_array(), *permitted = json_array(), *refused = json_array();
    for (int i = 0; i < verdict->n_types; i++)
        json_array_append_new(types, json_pack("{s:s,s:i,s:f}", "type", verdict->types[i].type, "count", verdict->types[i].count,
                                               "max_score", (double)verdict->types[i].max_score));
    for (int i = 0; i < verdict->n_reasons; i++)
        json_array_append_new(reasons, json_string(verdict->reasons[i]));
    for (int i = 0; providers != NULL && i < VERDICT_MAX_PROVIDERS; i++) {
        if (verdict->permitted >> i & 1)
            json_array_append_new(permitted, json_string(providers[i].id));
        else if (verdict->provider_reasons[i] != NULL)
            json_array_append_new(refused, json_pack("{s:s,s:s}", "provider", providers[i].id, "reason", verdict->provider_reasons[i]));
    }
    return json_pack("{s:s,s:s,s:b,s:o,s:o,s:o,s:o,s:{s:s,s:s,s:s}}", "effect", effect_name(verdict->effect), "data_class",
                     verdict->data_class, "local_permitted", verdict->local_permitted, "permitted", permitted, "refused", refused,
                     "findings", types, "reasons", reasons, "pack", "name", verdict->pack_name, "version", verdict->pack_version,
                     "sha256", verdict->pack_sha256);
}
