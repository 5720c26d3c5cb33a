/* Hyperparameters of a decoder under GGUF's keys, as params.c reads them back and llama.cpp reads them.
 *
 * GGUF fixes for some architectures what config.json leaves open. What it can't say but Weir can compute goes under "weir.": the
 * file then still loads elsewhere, and is computed there as that architecture usually is:
 *   weir.norm_topk_prob       bool: the chosen experts' weights are made to sum to one
 *   weir.router_jitter_noise  f32: Phi-3.5-MoE's own router, and layer norms in place of RMS norms
 *   weir.rope_layers          bool a layer: does it have rotary positions (SmolLM3) */
#include "decoder/convert.h"

#include <math.h>

static const struct {
    const struct architecture *architecture;
    const char *dense, *experts; /* NULL: not in GGUF. */
    bool pairs;
} known[] = {
    {&arch_llama, "llama", "llama", true},         {&arch_mistral, "llama", "llama", true},        {&arch_mixtral, "llama", "llama", true},
    {&arch_smollm3, "smollm3", NULL, true},        {&arch_qwen2, "qwen2", "qwen2moe", false},      {&arch_qwen3, "qwen3", "qwen3moe", false},
    {&arch_phi, "phi2", NULL, false},              {&arch_phi3, "phi3", NULL, false},              {&arch_phimoe, "phimoe", "phimoe", false},
    {&arch_gemma, "gemma", NULL, false},           {&arch_gemma2, "gemma2", NULL, false},          {&arch_gemma3, "gemma3", NULL, false},
    {&arch_starcoder2, "starcoder2", NULL, false}, {&arch_gpt2, "gpt2", NULL, false},
};

const char *decoder_gguf_name(const struct decoder *decoder)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].architecture != decoder->architecture)
            continue;
        const struct decoder_config *config = &decoder->config;
        const struct rope_config *rope = &config->rope[ROPE_GLOBAL];
        /* Mistral 3 is Llama with queries that grow, and the one of the two whose readers look at YaRN's betas. */
        bool betas = known[i].pairs && rope->yarn.on && (rope->yarn.beta_fast != 32 || rope->yarn.beta_slow != 1);
        return config->temperature_scale != 0 || betas ? "mistral3" : config->n_experts > 0 ? known[i].experts : known[i].dense;
    }
    return NULL;
}

bool decoder_gguf_pairs(const struct decoder *decoder)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].architecture == decoder->architecture)
            return known[i].pairs;
    return false;
}

/* What the file says and llama.cpp passes over, or stumbles on. */
static void note(const char *what)
{
    log_event(LOG_WARN, "convert", "llama.cpp %s", what);
}

struct keys {
    struct gguf_builder *builder;
    const char *architecture;
    char full[96];
};

static const char *own(struct keys *keys, const char *name)
{
    snprintf(keys->full, sizeof keys->full, "%s.%s", keys->architecture, name);
    return keys->full;
}

static void put_u32(struct keys *keys, const char *name, int value)
{
    gguf_key_u32(keys->builder, own(keys, name), (uint32_t)value);
}

static void put_f32(struct keys *keys, const char *name, double value)
{
    gguf_key_f32(keys->builder, own(keys, name), value);
}

static void put_shapes(struct keys *keys, const struct decoder_config *config)
{
    put_u32(keys, "vocab_size", config->n_vocab);
    put_u32(keys, "context_length", config->n_context);
    put_u32(keys, "embedding_length", config->n_embd);
    put_u32(keys, "block_count", config->n_layers);
    put_u32(keys, "feed_forward_length", config->n_ff);
    put_u32(keys, "attention.head_count", config->n_heads);
    put_u32(keys, "attention.head_count_kv", config->n_kv_heads);
    put_u32(keys, "attention.key_length", config->head_dim);
    put_u32(keys, "attention.value_length", config->head_dim);
    bool layer_norm = config->norm == NORM_LAYER && config->router != ROUTER_SPARSE_MIXER;
    put_f32(keys, layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", (double)config->norm_eps);
}

static void put_rope(struct keys *keys, const struct decoder_config *config)
{
    const struct rope_config *rope = &config->rope[ROPE_GLOBAL], *local = &config->rope[ROPE_LOCAL];
    if (rope->n_rot == 0)
        return;
    put_u32(keys, "rope.dimension_count", rope->n_rot);
    put_f32(keys, "rope.freq_base", rope->base);
    if (local->n_rot > 0)
        put_f32(keys, "rope.freq_base_swa", local->base);
    double scale = (double)rope->scale[0];
    if (rope->yarn.on) {
        gguf_key_str(keys->builder, own(keys, "rope.scaling.type"), STR("yarn"));
        put_f32(keys, "rope.scaling.factor", rope->yarn.factor);
        put_u32(keys, "rope.scaling.original_context_length", (int)rope->yarn.original);
        put_f32(keys, "rope.scaling.yarn_beta_fast", rope->yarn.beta_fast);
        put_f32(keys, "rope.scaling.yarn_beta_slow", rope->yarn.beta_slow);
        scale /= rope->yarn.factor > 1 ? 0.1 * log(rope->yarn.factor) + 1 : 1; /* Readers multiply by YaRN's own. */
    } else if (rope->border > 0) {
        gguf_key_str(keys->builder, own(keys, "rope.scaling.type"), STR("longrope"));
        put_u32(keys, "rope.scaling.original_context_length", rope->border);
    } else if (rope->linear != 1) {
        gguf_key_str(keys->builder, own(keys, "rope.scaling.type"), STR("linear"));
        put_f32(keys, "rope.scaling.factor", rope->linear);
    }
    if (fabs(scale - 1) > 1e-6)
        put_f32(keys, "rope.scaling.attn_factor", scale);
}

/* One length for all layers that have a window, and which these are where not all do. */
static void put_windows(struct keys *keys, const struct decoder *decoder)
{
    const struct decoder_config *config = &decoder->config;
    bool alternating = decoder->architecture == &arch_gemma2 || decoder->architecture == &arch_gemma3;
    int window = 0, n_local = 0;
    for (int i = 0; i < config->n_layers; i++) {
        window = config->layers[i].window > 0 ? config->layers[i].window : window;
        n_local += config->layers[i].window > 0;
    }
    if (window > 0 || decoder->architecture == &arch_phi3 || alternating) /* 0 is said where silence means something else. */
        put_u32(keys, "attention.sliding_window", window);
    if (n_local > 0 && !alternating)
        note("computes this architecture without its sliding window: answers part where a text is longer");
    if (n_local == 0 || (n_local == config->n_layers && !alternating))
        return;
    gguf_key_array(keys->builder, own(keys, "attention.sliding_window_pattern"), GGUF_BOOL, (size_t)config->n_layers);
    for (int i = 0; i < config->n_layers; i++)
        gguf_element(keys->builder, &(uint8_t){config->layers[i].window > 0}, 1);
}

static void put_experts(struct keys *keys, const struct decoder_config *config)
{
    if (config->n_experts == 0)
        return;
    put_u32(keys, "expert_count", config->n_experts);
    put_u32(keys, "expert_used_count", config->n_experts_used);
    put_u32(keys, "expert_feed_forward_length", config->n_ff_expert);
    if (config->n_ff_shared > 0)
        put_u32(keys, "expert_shared_feed_forward_length", config->n_ff_shared);
    if (config->router == ROUTER_SPARSE_MIXER)
        note("computes Phi-3.5-MoE with RMS norms and a plain router: answers differ");
    else if (config->renormalise == (strcmp(keys->architecture, "qwen2moe") == 0))
        note("weighs this architecture's experts otherwise: answers differ");
    if (config->router == ROUTER_SPARSE_MIXER)
        gguf_key_f32(keys->builder, "weir.router_jitter_noise", (double)config->router_jitter);
    else
        gguf_key_bool(keys->builder, "weir.norm_topk_prob", config->renormalise);
}

static void put_attention(struct keys *keys, const struct decoder_config *config)
{
    bool usual = fabs((double)config->attention_scale * sqrt(config->head_dim) - 1) <= 1e-6;
    if (!usual && strncmp(keys->architecture, "gemma", 5) == 0)
        note("scales this architecture's queries by the model's size alone: answers may differ");
    if (!usual)
        put_f32(keys, "attention.scale", (double)config->attention_scale);
    if (config->attention_soft_cap > 0)
        put_f32(keys, "attn_logit_softcapping", (double)config->attention_soft_cap);
    if (config->logit_soft_cap > 0)
        put_f32(keys, "final_logit_softcapping", (double)config->logit_soft_cap);
    if (config->temperature_scale != 0) {
        put_f32(keys, "attention.temperature_scale", config->temperature_scale);
        put_u32(keys, "attention.temperature_length", (int)config->temperature_length);
    }
}

/* GGUF's readers take every fourth layer of SmolLM3 to be without positions. */
static void put_rope_layers(struct keys *keys, const struct decoder *decoder)
{
    const struct decoder_config *config = &decoder->config;
    bool usual = true;
    for (int i = 0; i < config->n_layers; i++)
        usual = usual && (config->layers[i].rope != ROPE_NONE) == ((i + 1) % 4 != 0);
    if (decoder->architecture != &arch_smollm3 || usual)
        return;
    note("takes every fourth layer to be without rotary positions: answers differ");
    gguf_key_array(keys->builder, "weir.rope_layers", GGUF_BOOL, (size_t)config->n_layers);
    for (int i = 0; i < config->n_layers; i++)
        gguf_element(keys->builder, &(uint8_t){config->layers[i].rope != ROPE_NONE}, 1);
}

void decoder_add_keys(const struct decoder *decoder, struct gguf_builder *builder)
{
    struct keys keys = {.builder = builder, .architecture = decoder_gguf_name(decoder)};
    if (decoder->architecture == &arch_phi && decoder->layers[0].q_norm.w != NULL)
        note("does not load Phi models with norms on q and k");
    put_shapes(&keys, &decoder->config);
    put_rope(&keys, &decoder->config);
    put_windows(&keys, decoder);
    put_experts(&keys, &decoder->config);
    put_attention(&keys, &decoder->config);
    put_rope_layers(&keys, decoder);
}
