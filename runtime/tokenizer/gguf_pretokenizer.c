/* GGUF pre-tokenizers. A file names its own (tokenizer.ggml.pre); the meaning of a name is given by llama.cpp, whose
 * converter wrote it. Patterns run one after the other, each inside the pieces that the one before left, so `$` and
 * look-aheads see the end of a piece as the end of text; unmatched stretches are pieces too. */
#include "tokenizer/gguf_pretokenizer.h"

#include "tokenizer/characters.h"

#define CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define CJK "[一-龥ࠀ-一가-\\x{D7FF}]+"
/* Letters but a-z, letters but A-Z: what stands for "upper case" and "lower case" there. */
#define UPPER "[^\\P{L}a-z]"
#define LOWER "[^\\P{L}A-Z]"
#define O200K(front, tail, end) front "?" UPPER "*" LOWER "+" tail "|" front "?" UPPER "+" LOWER "*" tail "|" end
#define FRONT "[^\\r\\n\\p{L}\\p{N}]"
#define AFTER_NUMBERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK_LETTERS \
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼ" \
    "ℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"

static const struct gguf_pretokenizer known[] = {
    {{"default", ""}, {"[\\p{P}\\$\\+<=>\\^~\\|]+", "@gpt2", "\\p{N}+", "[0-9][0-9][0-9]"}},
    {{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"}, {"@gpt4"}, .ignore_merges = true, .add_bos = true},
    {{"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, {"@gpt4"}},
    {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code",
      "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert", "trillion", "granite-docling", "exaone4"},
     {"@gpt2"}},
    {{"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "granite-code"}, {"@digits", "@gpt2"}},
    {{"qwen2", "deepseek-r1-qwen", "stablelm2", "kormo", "megrez", "hunyuan", "solar-open"}, {"@qwen2"}},
    {{"qwen35"},
     {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {{"falcon"}, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", "@gpt2", "[0-9][0-9][0-9]"}},
    {{"deepseek-llm"},
     {"[\\r\\n]", DEEPSEEK_LETTERS, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "(?<!\\s)\\s+$", CJK, "\\p{N}+"}},
    {{"deepseek-coder"}, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"}},
    {{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
     {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {{"tekken"}, {O200K(FRONT, "", "\\p{N}|" AFTER_NUMBERS)}, .ignore_merges = true, .add_bos = true},
    {{"gpt-4o", "llama4", "kanana2"}, {O200K(FRONT, CONTRACTIONS "?", "\\p{N}{1,3}|" AFTER_NUMBERS)}},
    {{"poro-chat", "bloom", "gpt3-finnish"}, {" ?[^(\\s|.,!?…。，、।۔،)]+"}},
    {{"viking"}, {" ?[^(\\s|.,!?…。，、।۔،)]+", "\\p{N}"}},
    {{"bailingmoe", "bailingmoe2", "llada-moe"},
     {"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {{"seed-coder"},
     {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
};

const struct gguf_pretokenizer *gguf_pretokenizer_find(str name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (const char *const *known_name = known[i].names; *known_name != NULL; known_name++)
            if (str_equal(name, str_of(*known_name)))
                return &known[i];
    return NULL;
}

int gguf_pretokenizer_build(const struct gguf_pretokenizer *which, struct pretokenizer *out, struct error *err)
{
    for (int i = 0; i < 6 && which->patterns[i] != NULL; i++) {
        str pattern = str_of(which->patterns[i]);
        struct split_step *step = pretokenizer_add(out, SPLIT_REGEX);
        if (step == NULL)
            return error_set(err, WEIR_E_LIMIT, "", "too many steps");
        if (str_equal(pattern, STR("@gpt2"))) {
            step->kind = SPLIT_GPT2;
        } else if (str_equal(pattern, STR("@gpt4")) || str_equal(pattern, STR("@qwen2"))) {
            step->kind = SPLIT_GPT4;
            step->number = str_equal(pattern, STR("@gpt4")) ? 3 : 1;
        } else if (str_equal(pattern, STR("@digits"))) {
            step->kind = SPLIT_CLASS;
            step->number = CLASS_NUMBER;
        } else {
            int status = regex_compile(&step->regex, pattern, err);
            if (status < 0)
                return status;
        }
    }
    return pretokenizer_add(out, MAP_BYTES) == NULL ? error_set(err, WEIR_E_LIMIT, "", "too many steps") : 0;
}
