/* The mixes that llama.cpp's users know by name. A name of a format alone gives every matrix that format, as llama-quantize
 * --pure does. A mix gives most matrices its own, and more bits to those that errors cost most in: the head, values, the
 * attention's output and the second matrix of the MLP, there in some layers more than in others.
 *
 * Where a row is no whole number of blocks of 256, a format in blocks of 32 takes its place, and F16 where that does not fit
 * either. Norms, routers, position tables and all that has fewer than two dimensions are not rewritten. */
#include "model/gguf_mix.h"

#include <stdio.h>

enum kind { PURE, MIX_S, MIX_M, MIX_L };

static const struct mix {
    const char *name;
    enum tensor_type type;
    enum kind kind;
    uint32_t file_type;
} mixes[] = {
    {"F32", TENSOR_F32, PURE, 0},         {"F16", TENSOR_F16, PURE, 1},       {"BF16", TENSOR_BF16, PURE, 32},     {"Q8_0", TENSOR_Q8_0, PURE, 7},
    {"Q4_0", TENSOR_Q4_0, PURE, 2},       {"Q4_1", TENSOR_Q4_1, PURE, 3},     {"Q5_0", TENSOR_Q5_0, PURE, 8},      {"Q5_1", TENSOR_Q5_1, PURE, 9},
    {"Q2_K", TENSOR_Q2_K, PURE, 10},      {"Q3_K", TENSOR_Q3_K, PURE, 12},    {"Q4_K", TENSOR_Q4_K, PURE, 15},     {"Q5_K", TENSOR_Q5_K, PURE, 17},
    {"Q6_K", TENSOR_Q6_K, PURE, 18},      {"IQ4_NL", TENSOR_IQ4_NL, PURE, 25}, {"IQ4_XS", TENSOR_IQ4_XS, PURE, 30}, {"Q2_K_M", TENSOR_Q2_K, MIX_M, 10},
    {"Q3_K_S", TENSOR_Q3_K, MIX_S, 11},   {"Q3_K_M", TENSOR_Q3_K, MIX_M, 12}, {"Q3_K_L", TENSOR_Q3_K, MIX_L, 13},  {"Q4_K_S", TENSOR_Q4_K, MIX_S, 14},
    {"Q4_K_M", TENSOR_Q4_K, MIX_M, 15},   {"Q5_K_S", TENSOR_Q5_K, MIX_S, 16}, {"Q5_K_M", TENSOR_Q5_K, MIX_M, 17},
};
enum { N_MIXES = sizeof mixes / sizeof *mixes };

const struct mix *mix_find(const char *name)
{
    for (size_t i = 0; i < N_MIXES; i++)
        if (strcmp(mixes[i].name, name) == 0)
            return &mixes[i];
    return NULL;
}

const char *mix_names(void)
{
    return "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS; mixed: Q2_K_M, Q3_K_S, Q3_K_M, "
           "Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M";
}

uint32_t mix_file_type(const struct mix *mix)
{
    return mix->file_type;
}

static int64_t number_of(const struct gguf *gguf, const char *name)
{
    char key[128];
    int64_t number = 0;
    str architecture = STR("");
    const struct gguf_value *value = gguf_find(gguf, STR("general.architecture"));
    if (value == NULL || !gguf_value_str(value, 0, &architecture))
        return 0;
    snprintf(key, sizeof key, "%.*s.%s", (int)(architecture.n < 60 ? architecture.n : 60), architecture.data, name);
    value = gguf_find(gguf, str_of(key));
    return value != NULL && value->n > 0 && gguf_value_i64(value, 0, &number) ? number : 0;
}

void mix_model_read(struct mix_model *model, const struct gguf *gguf)
{
    int64_t n_heads = number_of(gguf, "attention.head_count"), n_kv_heads = number_of(gguf, "attention.head_count_kv");
    *model = (struct mix_model){
        .n_layers = number_of(gguf, "block_count"),
        .n_shared = n_kv_heads > 0 ? n_heads / n_kv_heads : 1,
        .n_experts = number_of(gguf, "expert_count"),
    };
    for (size_t i = 0; i < gguf->n_tensors; i++)
        model->has_output = model->has_output || strcmp(gguf->tensors[i].name, "output.weight") == 0;
}

static bool is_rewritten(const struct tensor *tensor)
{
    static const char *const kept[] = {"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "position_embd.weight", "token_types.weight"};
    str name = str_of(tensor->name);
    bool rewritten = tensor->n_dims >= 2 && str_ends(name, STR(".weight"));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        rewritten = rewritten && !str_ends(name, str_of(kept[i]));
    return rewritten;
}

/* N of "blk.N.", -1 outside of layers. */
static int64_t layer_of(const char *name)
{
    if (strncmp(name, "blk.", 4) != 0)
        return -1;
    int64_t layer = 0;
    for (name += 4; *name >= '0' && *name <= '9' && layer < 1000000; name++)
        layer = layer * 10 + *name - '0';
    return layer;
}

/* The first and the last eighth of the layers, and every third one between. */
static bool is_sensitive(int64_t layer, int64_t n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

static enum tensor_type values_type(const struct mix *mix, const struct mix_model *model, int64_t layer)
{
    if (model->n_experts == 8)
        return TENSOR_Q8_0;
    if (mix->type == TENSOR_Q2_K)
        return model->n_shared >= 4 ? TENSOR_Q4_K : TENSOR_Q3_K;
    if (mix->type == TENSOR_Q3_K && mix->kind == MIX_M)
        return layer < 2 ? TENSOR_Q5_K : TENSOR_Q4_K;
    if (mix->type == TENSOR_Q3_K && mix->kind == MIX_L)
        return TENSOR_Q5_K;
    if (mix->type == TENSOR_Q4_K && mix->kind == MIX_S)
        return layer < 4 ? TENSOR_Q5_K : TENSOR_Q4_K;
    if (mix->type != TENSOR_Q3_K && mix->kind == MIX_M && is_sensitive(layer, model->n_layers))
        return TENSOR_Q6_K;
    return mix->type;
}

static enum tensor_type down_type(const struct mix *mix, const struct mix_model *model, int64_t layer)
{
    int64_t n = model->n_layers;
    if (mix->type == TENSOR_Q2_K)
        return TENSOR_Q3_K;
    if (mix->type == TENSOR_Q3_K && mix->kind == MIX_M)
        return layer < n / 16 ? TENSOR_Q5_K : TENSOR_Q4_K;
    if (mix->type == TENSOR_Q3_K && mix->kind == MIX_L)
        return TENSOR_Q5_K;
    if (mix->type == TENSOR_Q4_K && mix->kind == MIX_S)
        return layer < n / 8 ? TENSOR_Q5_K : TENSOR_Q4_K;
    if (mix->type != TENSOR_Q3_K && mix->kind == MIX_M && is_sensitive(layer, n))
        return TENSOR_Q6_K;
    return mix->type;
}

static enum tensor_type attention_type(const struct mix *mix, const struct mix_model *model)
{
    if (model->n_experts == 8)
        return TENSOR_Q5_K;
    if (mix->type == TENSOR_Q2_K)
        return TENSOR_Q3_K;
    if (mix->type == TENSOR_Q3_K && mix->kind != MIX_S)
        return mix->kind == MIX_M ? TENSOR_Q4_K : TENSOR_Q5_K;
    return mix->type;
}

static enum tensor_type mixed_type(const struct mix *mix, const struct mix_model *model, const struct tensor *tensor)
{
    str name = str_of(tensor->name);
    int64_t layer = layer_of(tensor->name);
    if (str_equal(name, STR("output.weight")) || (!model->has_output && str_equal(name, STR("token_embd.weight"))))
        return tensor->ne[0] % 256 == 0 ? TENSOR_Q6_K : TENSOR_Q8_0;
    if (str_ends(name, STR("attn_v.weight")))
        return values_type(mix, model, layer);
    if (str_ends(name, STR("attn_k.weight")) && model->n_experts == 8)
        return TENSOR_Q8_0;
    if (str_ends(name, STR("ffn_down.weight")) || str_ends(name, STR("ffn_down_exps.weight")))
        return down_type(mix, model, layer);
    if (str_ends(name, STR("attn_output.weight")))
        return attention_type(mix, model);
    if (str_ends(name, STR("attn_qkv.weight")) && mix->kind != MIX_S)
        return mix->type == TENSOR_Q3_K ? TENSOR_Q4_K : mix->type == TENSOR_Q4_K ? TENSOR_Q5_K : mix->type == TENSOR_Q5_K ? TENSOR_Q6_K : mix->type;
    return mix->type;
}

/* A format in shorter blocks for rows that blocks of 256 don't divide. */
static enum tensor_type shorter(enum tensor_type type)
{
    switch ((int)type) {
    case TENSOR_Q2_K:
    case TENSOR_Q3_K:
        return TENSOR_Q4_0;
    case TENSOR_Q4_K:
        return TENSOR_Q5_0;
    case TENSOR_Q5_K:
        return TENSOR_Q5_1;
    case TENSOR_Q6_K:
        return TENSOR_Q8_0;
    case TENSOR_IQ4_XS:
        return TENSOR_IQ4_NL;
    default:
        return type;
    }
}

enum tensor_type mix_type(const struct mix *mix, const struct mix_model *model, const struct tensor *tensor)
{
    if (!is_rewritten(tensor))
        return tensor->type;
    enum tensor_type type = mix->kind == PURE ? mix->type : mixed_type(mix, model, tensor);
    if (tensor->ne[0] % tensor_type_block(type) != 0)
        type = shorter(type);
    return tensor->ne[0] % tensor_type_block(type) == 0 ? type : TENSOR_F16;
}
