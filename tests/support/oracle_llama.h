/* Llama as its paper has it, for judging the general path: one position at a time, plain f32 loops, weights dequantized row
 * by row from a GGUF file of the kind SmolLM2 and TinyLlama come in (no biases, no RoPE scaling, pairs side by side).
 *
 *   h = x + O attention(rope(Q n), rope(K n), V n),  n = rmsnorm(x)
 *   x' = h + D (silu(G m) * U m),                    m = rmsnorm(h)
 *
 * It shares nothing with runtime/decoder but the meaning of the weight formats. */
#ifndef WEIR_TESTS_ORACLE_LLAMA_H
#define WEIR_TESTS_ORACLE_LLAMA_H

#include "model/model_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct oracle_config {
    int n_embd, n_ff, n_layers, n_heads, n_kv_heads, n_vocab, head_dim;
    double theta, eps;
};

struct oracle_layer {
    const struct tensor *attn_norm, *q, *k, *v, *o, *ffn_norm, *gate, *up, *down;
};

struct oracle_weights {
    const struct tensor *embedding, *output_norm, *output;
    struct oracle_layer *layers;
};

struct oracle_state {
    float *x, *n, *q, *attended, *gate, *up, *block, *scores;
    float *keys, *values; /* layers × positions × KV width */
};

struct oracle {
    struct oracle_config config;
    struct oracle_weights weights;
    struct oracle_state state;
    int max_positions;
};

static inline int64_t oracle_number(const struct model_file *file, const char *key)
{
    int64_t value = 0;
    return gguf_i64(file, key, &value, NULL) == 1 ? value : 0;
}

static inline const struct tensor *oracle_tensor(const struct model_file *file, int layer, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    return model_file_tensor(file, full);
}

static inline void oracle_open(struct oracle *oracle, const struct model_file *file, int max_positions)
{
    struct oracle_config *c = &oracle->config;
    c->n_embd = (int)oracle_number(file, "llama.embedding_length");
    c->n_ff = (int)oracle_number(file, "llama.feed_forward_length");
    c->n_layers = (int)oracle_number(file, "llama.block_count");
    c->n_heads = (int)oracle_number(file, "llama.attention.head_count");
    c->n_kv_heads = (int)oracle_number(file, "llama.attention.head_count_kv");
    c->head_dim = c->n_embd / c->n_heads;
    c->theta = 10000;
    (void)!gguf_f64(file, "llama.rope.freq_base", &c->theta, NULL);
    (void)!gguf_f64(file, "llama.attention.layer_norm_rms_epsilon", &c->eps, NULL);

    struct oracle_weights *w = &oracle->weights;
    w->embedding = model_file_tensor(file, "token_embd.weight");
    w->output_norm = model_file_tensor(file, "output_norm.weight");
    w->output = model_file_tensor(file, "output.weight");
    if (w->output == NULL)
        w->output = w->embedding;
    c->n_vocab = (int)w->embedding->ne[1];
    w->layers = calloc((size_t)c->n_layers, sizeof *w->layers);
    for (int l = 0; l < c->n_layers; l++)
        w->layers[l] = (struct oracle_layer){
            oracle_tensor(file, l, "attn_norm"), oracle_tensor(file, l, "attn_q"),   oracle_tensor(file, l, "attn_k"),
            oracle_tensor(file, l, "attn_v"),    oracle_tensor(file, l, "attn_output"), oracle_tensor(file, l, "ffn_norm"),
            oracle_tensor(file, l, "ffn_gate"),  oracle_tensor(file, l, "ffn_up"),   oracle_tensor(file, l, "ffn_down"),
        };

    struct oracle_state *s = &oracle->state;
    size_t n_embd = (size_t)c->n_embd, n_ff = (size_t)c->n_ff, n_kv = (size_t)(c->n_kv_heads * c->head_dim);
    size_t cache = (size_t)c->n_layers * (size_t)max_positions * n_kv;
    oracle->max_positions = max_positions;
    s->x = calloc(n_embd, sizeof(float));
    s->n = calloc(n_embd, sizeof(float));
    s->q = calloc(n_embd, sizeof(float));
    s->attended = calloc(n_embd, sizeof(float));
    s->block = calloc(n_embd, sizeof(float));
    s->gate = calloc(n_ff, sizeof(float));
    s->up = calloc(n_ff, sizeof(float));
    s->scores = calloc((size_t)max_positions, sizeof(float));
    s->keys = calloc(cache, sizeof(float));
    s->values = calloc(cache, sizeof(float));
}

static inline void oracle_close(struct oracle *oracle)
{
    struct oracle_state *s = &oracle->state;
    float *all[] = {s->x, s->n, s->q, s->attended, s->block, s->gate, s->up, s->scores, s->keys, s->values};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(oracle->weights.layers);
}

static inline void oracle_row(const struct tensor *w, int row, float *out)
{
    dequantize_row(w->type, (const uint8_t *)w->data + (size_t)row * (w->n_bytes / (size_t)w->ne[1]), out, w->ne[0]);
}

/* y = W x */
static inline void oracle_matmul(const struct tensor *w, const float *x, float *y)
{
    float *row = malloc((size_t)w->ne[0] * sizeof *row);
    for (int i = 0; i < (int)w->ne[1]; i++) {
        double sum = 0;
        oracle_row(w, i, row);
        for (int64_t j = 0; j < w->ne[0]; j++)
            sum += (double)row[j] * (double)x[j];
        y[i] = (float)sum;
    }
    free(row);
}

static inline void oracle_rmsnorm(const struct tensor *w, const float *x, double eps, int n, float *y)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    const float *weight = w->data; /* Norms are F32. */
    for (int i = 0; i < n; i++)
        y[i] = (float)((double)x[i] / sqrt(squares / n + eps)) * weight[i];
}

/* Turns each pair (2i, 2i+1) of each head by position · theta^(-2i/d). */
static inline void oracle_rope(float *x, int n_heads, int d, double theta, int position)
{
    for (int h = 0; h < n_heads; h++)
        for (int i = 0; i < d; i += 2) {
            double angle = position * pow(theta, -(double)i / d);
            float a = x[h * d + i], b = x[h * d + i + 1];
            x[h * d + i] = (float)(a * cos(angle) - b * sin(angle));
            x[h * d + i + 1] = (float)(a * sin(angle) + b * cos(angle));
        }
}

static inline void oracle_attention(struct oracle *oracle, int layer, int position)
{
    const struct oracle_config *c = &oracle->config;
    struct oracle_state *s = &oracle->state;
    int d = c->head_dim, n_kv = c->n_kv_heads * d, group = c->n_heads / c->n_kv_heads;
    const float *keys = s->keys + (size_t)layer * (size_t)oracle->max_positions * (size_t)n_kv;
    const float *values = s->values + (size_t)layer * (size_t)oracle->max_positions * (size_t)n_kv;
    for (int h = 0; h < c->n_heads; h++) {
        double largest = -INFINITY, total = 0;
        for (int p = 0; p <= position; p++) {
            double score = 0;
            for (int i = 0; i < d; i++)
                score += (double)s->q[h * d + i] * (double)keys[p * n_kv + h / group * d + i];
            s->scores[p] = (float)(score / sqrt(d));
            largest = fmax(largest, (double)s->scores[p]);
        }
        for (int p = 0; p <= position; p++)
            total += exp((double)s->scores[p] - largest);
        for (int i = 0; i < d; i++) {
            double sum = 0;
            for (int p = 0; p <= position; p++)
                sum += exp((double)s->scores[p] - largest) / total * (double)values[p * n_kv + h / group * d + i];
            s->attended[h * d + i] = (float)sum;
        }
    }
}

/* The logits after one more token. */
static inline void oracle_step(struct oracle *oracle, int32_t token, int position, float *logits)
{
    const struct oracle_config *c = &oracle->config;
    const struct oracle_weights *w = &oracle->weights;
    struct oracle_state *s = &oracle->state;
    int n_kv = c->n_kv_heads * c->head_dim;
    oracle_row(w->embedding, token, s->x);
    for (int l = 0; l < c->n_layers; l++) {
        const struct oracle_layer *layer = &w->layers[l];
        size_t at = ((size_t)l * (size_t)oracle->max_positions + (size_t)position) * (size_t)n_kv;
        oracle_rmsnorm(layer->attn_norm, s->x, c->eps, c->n_embd, s->n);
        oracle_matmul(layer->q, s->n, s->q);
        oracle_matmul(layer->k, s->n, s->keys + at);
        oracle_matmul(layer->v, s->n, s->values + at);
        oracle_rope(s->q, c->n_heads, c->head_dim, c->theta, position);
        oracle_rope(s->keys + at, c->n_kv_heads, c->head_dim, c->theta, position);
        oracle_attention(oracle, l, position);
        oracle_matmul(layer->o, s->attended, s->block);
        for (int i = 0; i < c->n_embd; i++)
            s->x[i] += s->block[i];
        oracle_rmsnorm(layer->ffn_norm, s->x, c->eps, c->n_embd, s->n);
        oracle_matmul(layer->gate, s->n, s->gate);
        oracle_matmul(layer->up, s->n, s->up);
        for (int i = 0; i < c->n_ff; i++)
            s->gate[i] = s->gate[i] / (1 + expf(-s->gate[i])) * s->up[i];
        oracle_matmul(layer->down, s->gate, s->block);
        for (int i = 0; i < c->n_embd; i++)
            s->x[i] += s->block[i];
    }
    oracle_rmsnorm(w->output_norm, s->x, c->eps, c->n_embd, s->n);
    oracle_matmul(w->output, s->n, logits);
}

#endif
