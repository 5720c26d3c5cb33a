/* Invariant: the id depends on nothing but the models' own names and sizes and the settings named here, so that the same files under another path, on
 * another day, are the same. */
#include "goals/standing.h"

#include <sys/stat.h>

static json_t *model_json(const struct model *model)
{
    struct stat about;
    if (model == NULL)
        return json_null();
    const struct model_info *info = model_info_peek(model);
    bool is_file = stat(info->path, &about) == 0 && S_ISREG(about.st_mode);
    return json_pack("[s, s, I, i, I]", info->name, info->architecture, (json_int_t)info->n_parameters, info->n_vocab, (json_int_t)(is_file ? about.st_size : 0));
}

void standing_id(const struct config *config, const struct model *chat, const struct model *encoder, char out[STANDING_ID_BYTES])
{
    struct buffer text;
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    json_t *targets = json_array();
    for (int i = 0; i < config->n_escalate; i++)
        json_array_append_new(targets, json_sprintf("%s/%s", config->providers[config->escalate[i].provider].name, config->escalate[i].model));
    json_t *all = json_pack("[o, f, f, i, o, o, [i, i, b], f]", model_json(chat), config->chat_temperature, config->chat_top_p, (int)config->precision,
                            model_json(encoder), targets, config->cascade.hold_tokens, config->cascade.whole_tokens, config->cascade.self_check, config->probe_band);
    buffer_init(&text, 1 << 20);
    out[0] = '\0';
    if (all != NULL && json_write(all, &text) == 0) {
        sha256(text.data, text.n, digest);
        hex_encode(digest, sizeof digest, hex);
        str_copy(out, STANDING_ID_BYTES, (str){hex, STANDING_ID_BYTES - 1});
    }
    buffer_release(&text);
    json_decref(all);
}

void standing_of(const struct config *config, const struct head *head, const char *answers_id, struct standing *out)
{
    const struct config_target *judge = &config->shadow.judge;
    out->judge[0] = '\0';
    if (config->shadow.share_ppm > 0 && judge->model != NULL)
        snprintf(out->judge, sizeof out->judge, "%s/%s", config->providers[judge->provider].name, judge->model);
    out->scope = (struct ledger_scope){.config_sha256 = config->sha256, .head_id = head != NULL ? head_id(head) : "", .answers_id = answers_id, .judge = out->judge};
}

bool standing_is_target(const struct config *config, const char *tenant, double max_regret, const char *config_sha256)
{
    const struct config_goal *goal = config_goal_of(config, tenant);
    return strcmp(config->sha256, config_sha256) == 0 || (goal->kind == GOAL_MAX_REGRET && goal->max_regret == max_regret);
}
