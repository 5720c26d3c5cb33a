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
/* Escaped, because editors bring some of these letters to their normal form. */
#define DEEPSEEK_LETTERS \
    "\\s?[" \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}" \
    "\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}" \
    "\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}" \
    "\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}" \
    "\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}" \
    "\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}" \
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}" \
    "\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}" \
    "\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}" \
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}" \
    "\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}" \
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}" \
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}" \
    "]+"

static const struct gguf_pretokenizer known[] = {
    {{"default", ""}, {"[\\p{P}\\$\\+<=>\\^~\\|]+", "@gpt2", "\\p{N}+", "[0-9][0-9][0-9]"}},
    {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"}, {"@gpt4"}, .ignore_merges = true, .add_bos = true},
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

/* What tells pre-tokenizers apart, the rarest last. */
static const char *const probes[] = {
    "Hello world, it's  12345 tests!\n\n\t  ok?? I'LL won't We'RE",
    "  leading and trailing   \n   lines\r\n\r\n\t\ttabs \n ",
    "1 22 333 4444 55555 1,000,000.00 A1B2 3.14e10",
    "foo()  {return a->b;} // path/to/file_name #define X\n\n\n    if (x != y) ++i;",
    "na\xC3\xAFve caf\xC3\xA9 \xC5\x92uvre \xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82 \xCE\xBA\xCF\x8C\xCF\x83\xCE\xBC\xCE\xB5",
    "CamelCase HTTPServer snake_case 'quoted' '' \"double\" $3.50 <b>a_b</b> #tag @name",
    "\xE4\xBD\xA0\xE5\xA5\xBD,\xE4\xB8\x96\xE7\x95\x8C\xE3\x80\x82 \xE3\x81\x82\xE3\x82\xAB\xEF\xBC\x81 \xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4",
    "\xF0\x9F\x98\x80\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD ok \xE2\x80\xA6 \xC2\xABq\xC2\xBB \xE2\x80\x94 \xC2\xA0nbsp",
    "\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80 \xD9\xA1\xD9\xA2\xD9\xA3 e\xCC\x81",
    "x\xC2\xB2\xC2\xB3 \xE2\x85\xA7 \xC2\xBD",
};
enum { N_PROBES = sizeof probes / sizeof *probes, ENOUGH = N_PROBES - 2 };

static bool same_words(const struct pretokenizer *a, const struct pretokenizer *b, struct pieces *x, struct pieces *y, str text)
{
    if (pretokenizer_run(a, x, text, true) < 0 || pretokenizer_run(b, y, text, true) < 0 || x->n != y->n || !str_equal(buffer_str(&x->text), buffer_str(&y->text)))
        return false;
    for (size_t i = 0; i < x->n; i++)
        if (x->list[i].start != y->list[i].start || x->list[i].n != y->list[i].n)
            return false;
    return true;
}

const struct gguf_pretokenizer *gguf_pretokenizer_match(const struct pretokenizer *pretokenizer, bool ignore_merges)
{
    struct pieces x, y;
    const struct gguf_pretokenizer *found = NULL;
    int most = ENOUGH - 1;
    pieces_init(&x, 1 << 16);
    pieces_init(&y, 1 << 16);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct pretokenizer built = {0};
        int n = 0;
        if (known[i].ignore_merges == ignore_merges && gguf_pretokenizer_build(&known[i], &built, NULL) == 0)
            for (size_t k = 0; k < N_PROBES; k++)
                n += same_words(pretokenizer, &built, &x, &y, str_of(probes[k]));
        if (n > most) {
            found = &known[i];
            most = n;
        }
        pretokenizer_release(&built);
    }
    pieces_release(&x);
    pieces_release(&y);
    return found;
}
