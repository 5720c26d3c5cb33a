/* Rotary positions: RoFormer (Su et al. 2021) and its ways to longer contexts: linear interpolation (Chen et al. 2023),
 * Llama 3's three bands, YaRN (Peng et al. 2023), LongRoPE (Ding et al. 2024).
 *
 * The angle of pair i at position p is p · f_i with f_i = base^(-2i / n_rot), scaled as the file says. Frequencies are
 * rounded to f32 before they meet the position, as the reference implementations do. */
#include "decoder/rotary.h"
#include "kernels/ops.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* Llama 3.1: wavelengths past the old context / low are stretched by factor, those below it / high are kept. */
static double llama3_scale(const struct rope_config *config, double f)
{
    double wavelength = 2 * pi / f, ratio = config->llama3.original / wavelength;
    if (ratio < config->llama3.low)
        return f / config->llama3.factor;
    if (ratio > config->llama3.high)
        return f;
    double smooth = (ratio - config->llama3.low) / (config->llama3.high - config->llama3.low);
    return (1 - smooth) * f / config->llama3.factor + smooth * f;
}

/* The dimension whose angle turns `turns` times over the old context. */
static double yarn_dimension(const struct rope_config *config, double turns)
{
    return config->n_rot * log(config->yarn.original / (turns * 2 * pi)) / (2 * log(config->base));
}

static double yarn_scale(const struct rope_config *config, double f, int pair)
{
    double low = yarn_dimension(config, config->yarn.beta_fast), high = yarn_dimension(config, config->yarn.beta_slow);
    if (!config->yarn.exact_ramp) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, config->n_rot - 1);
    double ramp = (pair - low) / fmax(high - low, 0.001);
    ramp = fmin(fmax(ramp, 0), 1);
    return f / config->yarn.factor * ramp + f * (1 - ramp);
}

static void fill(const struct rope_config *config, const float *divisors, float *out)
{
    for (int pair = 0; pair < config->n_rot / 2; pair++) {
        double f = pow(config->base, -2.0 * pair / config->n_rot);
        if (divisors != NULL)
            f /= (double)divisors[pair];
        f /= config->linear;
        if (config->llama3.on)
            f = llama3_scale(config, f);
        if (config->yarn.on)
            f = yarn_scale(config, f, pair);
        out[pair] = (float)f;
    }
}

int rotary_init(struct rotary *rotary, const struct rope_config *config, struct arena *arena)
{
    *rotary = (struct rotary){.n_rot = config->n_rot, .interleaved = config->interleaved, .border = config->border};
    for (int which = 0; which < 2; which++) {
        rotary->scale[which] = config->scale[which];
        rotary->inv_freq[which] = arena_array(arena, (size_t)config->n_rot / 2 + 1, sizeof(float));
        if (rotary->inv_freq[which] == NULL)
            return WEIR_E_MEMORY;
        fill(config, config->divisors[which], rotary->inv_freq[which]);
    }
    return 0;
}

void rotary_angles(const struct rotary *rotary, int position, int reach, float *out)
{
    int which = rotary->border > 0 && reach > rotary->border, n = rotary->n_rot / 2;
    for (int pair = 0; pair < n; pair++) {
        float angle = (float)position * rotary->inv_freq[which][pair];
        out[pair] = cosf(angle) * rotary->scale[which];
        out[n + pair] = sinf(angle) * rotary->scale[which];
    }
}

void rotary_apply(const struct rotary *rotary, const float *angles, float *x, int n_heads, int head_dim)
{
    rope_turn(angles, rotary->n_rot, rotary->interleaved, x, n_heads, head_dim);
}
