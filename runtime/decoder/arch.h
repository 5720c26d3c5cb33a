/* Architectures: one file each (arch_*.c), found by the words model files use for them. */
#ifndef WEIR_DECODER_ARCH_H
#define WEIR_DECODER_ARCH_H

#include "decoder/params.h"
#include "decoder/loader.h"

struct architecture {
    const char *gguf;         /* Words of general.architecture, set apart by '|'. */
    const char *hf;           /* Words of model_type. */
    const char *const *names; /* Hugging Face names of the weights. */
    void (*configure)(struct params *params, struct decoder_config *config); /* Errors stick in params. */
};

extern const struct architecture arch_llama, arch_mistral, arch_mixtral, arch_smollm3, arch_qwen2, arch_qwen3, arch_phi, arch_phi3, arch_phimoe,
    arch_gemma, arch_gemma2, arch_gemma3, arch_starcoder2, arch_gpt2;

/* NULL when no file here describes it. */
const struct architecture *architecture_find(bool gguf, str word);

/* What the children of Llama start from: RMS norms, SwiGLU, RoPE on whole heads, experts where the file has some. */
void llama_configure(struct params *params, struct decoder_config *config);
extern weight_names llama_names;
/* Experts' numbers; n_ff_expert falls back to `n_ff`. */
void params_experts(struct params *params, struct decoder_config *config, int n_ff);

#endif
