/* The list of architectures. */
#include "decoder/arch.h"

static const struct architecture *const architectures[] = {
    &arch_llama, &arch_mistral, &arch_mixtral, &arch_smollm3, &arch_qwen2,     &arch_qwen3, &arch_phi,
    &arch_phi3,  &arch_phimoe,  &arch_gemma,   &arch_gemma2,  &arch_gemma3, &arch_starcoder2, &arch_gpt2,
};

const struct architecture *architecture_find(bool gguf, str word)
{
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures && word.n > 0; i++) {
        str words = str_of(gguf ? architectures[i]->gguf : architectures[i]->hf), one;
        while (str_split(&words, '|', &one))
            if (str_equal(one, word))
                return architectures[i];
    }
    return NULL;
}
