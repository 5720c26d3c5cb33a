/* Experts: a router picks some MLPs for each token and weighs their answers (Shazeer et al. 2017; Mixtral, Jiang et al.
 * 2024). Rows are gathered by expert, so that an expert's matrices are read once a batch; a row's sum is taken in the order
 * of the experts' numbers, whatever else is in the batch. */
#include "decoder/stack.h"

#include <math.h>

static int open_list(struct decoder *decoder, struct linear ***out, enum weight weight, int layer, int n_out, int n_in)
{
    int n = decoder->config.n_experts;
    *out = arena_array(&decoder->arena, (size_t)n, sizeof **out);
    if (*out == NULL)
        return error_set(decoder->loader.err, WEIR_E_MEMORY, "experts", "no memory");
    for (int expert = 0; expert < n; expert++) {
        int status = loader_linear(&decoder->loader, &(*out)[expert], &(struct matrix){weight, layer, expert, n_out, n_in, .scale = SCALE_ALL});
        if (status < 0)
            return status;
    }
    return 0;
}

int experts_open(struct decoder *decoder, int layer, struct experts **out)
{
    const struct decoder_config *config = &decoder->config;
    struct loader *loader = &decoder->loader;
    struct experts *experts = arena_alloc(&decoder->arena, sizeof *experts);
    int n_embd = config->n_embd, n_ff = config->n_ff_expert, n_shared = config->n_ff_shared;
    if (experts == NULL)
        return error_set(loader->err, WEIR_E_MEMORY, "experts", "no memory");
    *out = experts;
    int status = loader_linear(loader, &experts->router, &(struct matrix){W_ROUTER, layer, -1, config->n_experts, n_embd});
    if (status == 0)
        status = open_list(decoder, &experts->gate, W_EXPERT_GATE, layer, n_ff, n_embd);
    if (status == 0)
        status = open_list(decoder, &experts->up, W_EXPERT_UP, layer, n_ff, n_embd);
    if (status == 0)
        status = open_list(decoder, &experts->down, W_EXPERT_DOWN, layer, n_embd, n_ff);
    if (status < 0 || !loader_has(loader, W_SHARED_UP, layer, -1))
        return status;
    status = loader_linear(loader, &experts->shared_gate, &(struct matrix){W_SHARED_GATE, layer, -1, n_shared, n_embd, .scale = SCALE_ALL});
    if (status == 0)
        status = loader_linear(loader, &experts->shared_up, &(struct matrix){W_SHARED_UP, layer, -1, n_shared, n_embd, .scale = SCALE_ALL});
    if (status == 0)
        status = loader_linear(loader, &experts->shared_down, &(struct matrix){W_SHARED_DOWN, layer, -1, n_embd, n_shared, .scale = SCALE_ALL});
    if (status == 0 && loader_has(loader, W_SHARED_ROUTER, layer, -1))
        status = loader_linear(loader, &experts->shared_router, &(struct matrix){W_SHARED_ROUTER, layer, -1, 1, n_embd});
    return status;
}

static int largest(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* Softmax over all scores; the n_used best keep their weight, the others get none. */
static void route_softmax(const struct decoder_config *config, float *scores)
{
    int n = config->n_experts;
    float chosen[DECODER_MAX_EXPERTS] = {0}, sum = 0;
    softmax(scores, n);
    for (int k = 0; k < config->n_experts_used; k++) {
        int best = largest(scores, n);
        chosen[best] = scores[best];
        sum += scores[best];
        scores[best] = -1;
    }
    for (int i = 0; i < n; i++)
        scores[i] = config->expert_scale * (config->renormalise ? chosen[i] / sum : chosen[i]);
}

/* Each choice's weight is its softmax among the experts whose score is within 2 · jitter of it, relatively. */
static void route_sparse_mixer(const struct decoder_config *config, float *scores)
{
    int n = config->n_experts;
    float chosen[DECODER_MAX_EXPERTS] = {0}, left[DECODER_MAX_EXPERTS];
    memcpy(left, scores, (size_t)n * sizeof *left);
    for (int k = 0; k < config->n_experts_used; k++) {
        int best = largest(left, n);
        double sum = 0;
        for (int i = 0; i < n; i++) {
            float size = fmaxf(fabsf(scores[i]), left[best]);
            if (left[i] != -INFINITY && !((left[best] - scores[i]) / size > 2 * config->router_jitter))
                sum += exp((double)(left[i] - left[best]));
        }
        chosen[best] = (float)(1 / sum);
        left[best] = -INFINITY;
    }
    memcpy(scores, chosen, (size_t)n * sizeof *scores);
}

/* y[row] += weight[row] · what the MLP answers; rows are those of h at `rows`. */
static void mlp_add(struct decoder *decoder, struct pool *pool, const struct linear *gate, const struct linear *up, const struct linear *down,
                    const float *h, int n_rows, const int *rows, const float *weights, float *y)
{
    struct scratch *scratch = &decoder->scratch;
    size_t n_embd = (size_t)decoder->config.n_embd;
    for (int i = 0; i < n_rows; i++)
        memcpy(scratch->gathered + (size_t)i * n_embd, h + (size_t)rows[i] * n_embd, n_embd * sizeof *h);
    linear_apply_gated(gate, up, decoder->config.activation, pool, scratch->gathered, n_rows, scratch->gate, scratch->up);
    linear_apply(down, pool, scratch->gate, n_rows, scratch->gathered);
    for (int i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_embd; j++)
            y[(size_t)rows[i] * n_embd + j] += weights[i] * scratch->gathered[(size_t)i * n_embd + j];
}

void experts_apply(struct decoder *decoder, struct pool *pool, const struct experts *experts, const float *h, int n_rows, float *y)
{
    const struct decoder_config *config = &decoder->config;
    float *router = decoder->scratch.router, weights[DECODER_MAX_ROWS];
    int n = config->n_experts, rows[DECODER_MAX_ROWS];
    memset(y, 0, (size_t)n_rows * (size_t)config->n_embd * sizeof *y);
    linear_apply(experts->router, pool, h, n_rows, router);
    for (int row = 0; row < n_rows; row++) {
        if (config->router == ROUTER_SPARSE_MIXER)
            route_sparse_mixer(config, router + (size_t)row * (size_t)n);
        else
            route_softmax(config, router + (size_t)row * (size_t)n);
    }
    for (int expert = 0; expert < n; expert++) {
        int n_mine = 0;
        for (int row = 0; row < n_rows; row++) {
            float weight = router[(size_t)row * (size_t)n + (size_t)expert];
            if (weight == 0)
                continue;
            rows[n_mine] = row;
            weights[n_mine++] = weight;
        }
        if (n_mine > 0)
            mlp_add(decoder, pool, experts->gate[expert], experts->up[expert], experts->down[expert], h, n_mine, rows, weights, y);
    }
    if (experts->shared_up == NULL)
        return;
    if (experts->shared_router != NULL)
        linear_apply(experts->shared_router, pool, h, n_rows, weights);
    for (int row = 0; row < n_rows; row++) {
        rows[row] = row;
        weights[row] = experts->shared_router != NULL ? 1 / (1 + expf(-weights[row])) : 1;
    }
    mlp_add(decoder, pool, experts->shared_gate, experts->shared_up, experts->shared_down, h, n_rows, rows, weights, y);
}
