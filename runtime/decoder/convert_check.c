/* What a converted file says, held against what the directory said: both are opened and their configurations compared, number by
 * number. So nothing that GGUF can't say gets lost without a word, whatever a configuration comes up with. */
#include "decoder/convert.h"

#include <math.h>

static bool close_to(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(fabs(a), fabs(b));
}

/* Angles as they will be computed. */
static bool same_rope(const struct decoder *a, const struct decoder *b, int which)
{
    const struct rotary *x = &a->rotary[which], *y = &b->rotary[which];
    if (x->n_rot != y->n_rot || x->border != y->border)
        return false;
    for (int reach = 0; reach < (x->n_rot > 0 ? 2 : 0); reach++) {
        if (!close_to((double)x->scale[reach], (double)y->scale[reach]))
            return false;
        for (int i = 0; i < x->n_rot / 2; i++)
            if (!close_to((double)x->inv_freq[reach][i], (double)y->inv_freq[reach][i]))
                return false;
    }
    return true;
}

static bool has_head(const struct decoder *decoder)
{
    return !decoder->config.tied && loader_has(&decoder->loader, W_OUTPUT, -1, -1);
}

/* The first thing that is not the same, NULL: none. */
static const char *difference(const struct decoder *x, const struct decoder *y)
{
    const struct decoder_config *a = &x->config, *b = &y->config;
    if (a->n_vocab != b->n_vocab || a->n_embd != b->n_embd || a->n_layers != b->n_layers || a->n_heads != b->n_heads ||
        a->n_kv_heads != b->n_kv_heads || a->head_dim != b->head_dim || a->n_ff != b->n_ff || a->n_context != b->n_context)
        return "its shape";
    if (a->norm != b->norm || !close_to((double)a->norm_eps, (double)b->norm_eps))
        return "its norms";
    if (a->activation != b->activation || a->gated != b->gated || a->parallel != b->parallel)
        return "its MLP's activation or place";
    if (a->learned_positions != b->learned_positions || !same_rope(x, y, ROPE_GLOBAL) || !same_rope(x, y, ROPE_LOCAL))
        return "its rotary or learned positions";
    if (!close_to((double)a->embedding_scale, (double)b->embedding_scale) || !close_to((double)a->attention_scale, (double)b->attention_scale) ||
        !close_to(a->temperature_scale, b->temperature_scale) || (a->temperature_scale != 0 && !close_to(a->temperature_length, b->temperature_length)))
        return "how it scales embeddings or queries";
    if (!close_to((double)a->attention_soft_cap, (double)b->attention_soft_cap) || !close_to((double)a->logit_soft_cap, (double)b->logit_soft_cap))
        return "its soft caps";
    if (a->n_experts != b->n_experts || (a->n_experts > 0 && (a->n_experts_used != b->n_experts_used || a->n_ff_expert != b->n_ff_expert || a->router != b->router ||
                                                              a->renormalise != b->renormalise || !close_to((double)a->expert_scale, (double)b->expert_scale) ||
                                                              !close_to((double)a->router_jitter, (double)b->router_jitter))))
        return "its experts";
    if (has_head(x) != has_head(y))
        return "whether its head is its own";
    for (int i = 0; i < a->n_layers; i++)
        if (a->layers[i].window != b->layers[i].window || a->layers[i].rope != b->layers[i].rope ||
            (x->layers[i].experts == NULL) != (y->layers[i].experts == NULL))
            return "which layers have a window, rotary positions or experts";
    return NULL;
}

int decoder_check_same(const struct decoder *decoder, const char *gguf, struct error *err)
{
    struct model_file *file = NULL;
    struct decoder *back = NULL;
    int status = model_file_open(&file, gguf, err);
    if (status == 0)
        status = decoder_open(&back, file, &(struct model_options){.precision = PRECISION_EXACT}, err);
    const char *what = status == 0 ? difference(decoder, back) : NULL;
    if (what != NULL)
        status = error_set(err, WEIR_E_UNSUPPORTED, model_file_path(decoder->loader.file), "GGUF's %s files can't say %s", decoder_gguf_name(decoder), what);
    decoder_close(back);
    model_file_close(file);
    return status;
}
