/* Rotary positions as a file describes them. config.json has rope_scaling (older) or rope_parameters (transformers 5), with
 * "type" or "rope_type"; GGUF has rope.scaling.* and the tensors rope_freqs (Llama 3), rope_factors_short and
 * rope_factors_long (LongRoPE). */
#include "decoder/params.h"

#include <math.h>

/* "<object>.<name>|<name>" */
static const char *path(char out[160], const char *object, const char *name, bool outside)
{
    snprintf(out, 160, "%s.%s%s%s", object, name, outside ? "|" : "", outside ? name : "");
    return out;
}

static double member(struct params *params, const char *object, const char *name, bool outside, double fallback)
{
    char full[160];
    return params_real(params, NULL, path(full, object, name, outside), fallback);
}

/* What YaRN multiplies attention by: 0.1 m ln(factor) + 1. */
static double yarn_mscale(double factor, double m)
{
    return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

static void read_yarn(struct params *params, struct rope_config *rope, const char *object, int n_context)
{
    double original = member(params, object, "original_max_position_embeddings", true, n_context);
    rope->yarn.on = true;
    rope->yarn.original = original;
    rope->yarn.factor = member(params, object, "factor", false, n_context / original);
    rope->yarn.beta_fast = member(params, object, "beta_fast", false, 32);
    rope->yarn.beta_slow = member(params, object, "beta_slow", false, 1);
    char full[160];
    rope->yarn.exact_ramp = !params_bool(params, NULL, path(full, object, "truncate", false), true);
    double m = member(params, object, "mscale", false, 0), m_all = member(params, object, "mscale_all_dim", false, 0);
    double otherwise = m != 0 && m_all != 0 ? yarn_mscale(rope->yarn.factor, m) / yarn_mscale(rope->yarn.factor, m_all)
                                            : yarn_mscale(rope->yarn.factor, 1);
    rope->scale[0] = rope->scale[1] = (float)member(params, object, "attention_factor", false, otherwise);
}

static void read_long(struct params *params, struct rope_config *rope, const char *object, int n_context)
{
    char full[160];
    double original = member(params, object, "original_max_position_embeddings", true, 0);
    double factor = original > 0 ? n_context / original : member(params, object, "factor", false, 1);
    if (original <= 1)
        original = n_context;
    double otherwise = factor <= 1 ? 1 : sqrt(1 + log(factor) / log(original));
    double scale = member(params, object, "attention_factor", false, otherwise);
    rope->border = (int)original;
    rope->divisors[0] = params_reals(params, path(full, object, "short_factor", false), rope->n_rot / 2);
    rope->divisors[1] = params_reals(params, path(full, object, "long_factor", false), rope->n_rot / 2);
    rope->scale[0] = (float)member(params, object, "short_mscale", false, scale);
    rope->scale[1] = (float)member(params, object, "long_mscale", false, scale);
    if (rope->divisors[0] == NULL || rope->divisors[1] == NULL)
        params_fail(params, full, "longrope needs short_factor and long_factor");
}

static void read_config(struct params *params, struct decoder_config *config, struct rope_config *rope, const char *object)
{
    char full[160];
    rope->base = member(params, object, "rope_theta", true, 10000);
    str type = params_str(params, NULL, path(full, object, "rope_type", false));
    if (type.data == NULL)
        type = params_str(params, NULL, path(full, object, "type", false));
    if (type.data == NULL || str_equal(type, STR("default")) || str_equal(type, STR("none")))
        return;
    if (str_equal(type, STR("linear"))) {
        rope->linear = member(params, object, "factor", false, 1);
    } else if (str_equal(type, STR("llama3"))) {
        rope->llama3.on = true;
        rope->llama3.factor = member(params, object, "factor", false, 8);
        rope->llama3.low = member(params, object, "low_freq_factor", false, 1);
        rope->llama3.high = member(params, object, "high_freq_factor", false, 4);
        rope->llama3.original = member(params, object, "original_max_position_embeddings", true, 8192);
    } else if (str_equal(type, STR("yarn"))) {
        read_yarn(params, rope, object, config->n_context);
        config->n_context = (int)fmin(fmax(config->n_context, rope->yarn.original * rope->yarn.factor), 1 << 26);
    } else if (str_equal(type, STR("longrope")) || str_equal(type, STR("su"))) {
        read_long(params, rope, object, config->n_context);
    } else {
        params_fail(params, object, "RoPE scaling \"%.40s\" is not supported", type.data);
    }
}

static void read_gguf(struct params *params, struct decoder_config *config, struct rope_config *rope, enum rope_kind which)
{
    rope->base = params_real(params, "rope.freq_base", NULL, 10000);
    if (which == ROPE_LOCAL) { /* Local layers keep their own base and no scaling. */
        rope->base = params_real(params, "rope.freq_base_swa", NULL, 10000);
        return;
    }
    double original = params_real(params, "rope.scaling.original_context_length", NULL, config->n_context);
    double factor = params_real(params, "rope.scaling.factor", NULL, params_real(params, "rope.scale_linear", NULL, 1));
    double scale = params_real(params, "rope.scaling.attn_factor", NULL, 1);
    str type = params_str(params, "rope.scaling.type", NULL);
    if (factor == 0)
        factor = 1;
    if (scale == 0)
        scale = 1;
    if (str_equal(type, STR("yarn"))) {
        double m_all = params_real(params, "rope.scaling.yarn_log_multiplier", NULL, 0);
        rope->yarn.on = true;
        rope->yarn.original = original;
        rope->yarn.factor = factor;
        rope->yarn.beta_fast = params_real(params, "rope.scaling.yarn_beta_fast", NULL, 32);
        rope->yarn.beta_slow = params_real(params, "rope.scaling.yarn_beta_slow", NULL, 1);
        scale *= m_all != 0 ? yarn_mscale(factor, 1) / yarn_mscale(factor, m_all) : yarn_mscale(factor, 1);
    } else if (type.data == NULL || str_equal(type, STR("linear"))) {
        rope->linear = factor;
    } else if (!str_equal(type, STR("none")) && !str_equal(type, STR("longrope"))) {
        params_fail(params, "rope.scaling.type", "\"%.40s\" is not supported", type.data);
    }
    rope->scale[0] = rope->scale[1] = (float)scale;
    rope->divisors[0] = rope->divisors[1] = params_tensor(params, "rope_freqs.weight", rope->n_rot / 2);
    const float *shorter = params_tensor(params, "rope_factors_short.weight", rope->n_rot / 2);
    const float *longer = params_tensor(params, "rope_factors_long.weight", rope->n_rot / 2);
    if (shorter != NULL && longer != NULL) {
        rope->divisors[0] = shorter;
        rope->divisors[1] = longer;
        rope->border = (int)fmin(original, 1 << 26);
    }
}

void params_rope(struct params *params, struct decoder_config *config, enum rope_kind which, const char *object, double partial)
{
    struct rope_config *rope = &config->rope[which];
    char full[160];
    if (params->status < 0)
        return;
    if (object == NULL)
        object = params_json(params, "rope_parameters") != NULL ? "rope_parameters" : "rope_scaling";
    *rope = (struct rope_config){.linear = 1, .scale = {1, 1}};
    if (params->config != NULL) {
        partial = params_real(params, NULL, path(full, object, "partial_rotary_factor", true), partial);
        if (!(partial > 0 && partial <= 1))
            params_fail(params, "partial_rotary_factor", "%g is not above 0 and at most 1", partial);
        rope->n_rot = (int)(config->head_dim * partial) / 2 * 2;
    } else {
        rope->n_rot = params_int(params, "rope.dimension_count", NULL, config->head_dim, 2, config->head_dim) / 2 * 2;
    }
    if (rope->n_rot < 2)
        params_fail(params, "rope", "heads of %d are too small to rotate", config->head_dim);
    if (params->status < 0)
        return;
    if (params->config != NULL)
        read_config(params, config, rope, object);
    else
        read_gguf(params, config, rope, which);
    if (!(rope->base > 0) || !(rope->linear > 0) || (rope->yarn.on && !(rope->yarn.factor > 0 && rope->yarn.original > 0)) ||
        (rope->llama3.on && !(rope->llama3.factor > 0 && rope->llama3.original > 0 && rope->llama3.high != rope->llama3.low)))
        params_fail(params, "rope", "base, factors and original context must be above 0");
}
