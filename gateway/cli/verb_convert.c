/* weir convert: a Hugging Face directory as a GGUF file. */
#include "cli/cli.h"
#include "weir_runtime.h"

#include <stdio.h>

extern const struct verb verb_convert;

static int run(int argc, char **argv)
{
    const char *model = NULL, *out = NULL, *format = "F16";
    bool weights_only = false;
    struct error err = {0};
    const struct cli_option options[] = {
        {.name = "model", .text = &model, .required = true}, {.name = "out", .text = &out, .required = true},
        {.name = "type", .text = &format},                   {.name = "weights-only", .flag = &weights_only},
        {0},
    };
    int parsed = cli_parse(&verb_convert, argc, argv, options, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (model_convert(model, out, format, weights_only, &err) < 0)
        return cli_fail("convert", &err);
    fprintf(stderr, "weir convert: wrote %s as %s\n", out, format);
    return EXIT_DONE;
}

const struct verb verb_convert = {
    .name = "convert",
    .summary = "write a Hugging Face model as GGUF",
    .help = "usage: weir convert --model DIRECTORY --out OUT.gguf [--type F16] [--weights-only]\n\n"
            "Writes a Hugging Face directory (config.json and safetensors; floats, GPTQ or AWQ int4) as a GGUF file that llama.cpp loads too: the\n"
            "weights of every decoder that Weir runs (of encoders BERT, RoBERTa and DistilBERT), its tokenizer and its chat template. A model that GGUF can't describe is refused with the\n"
            "reason; where llama.cpp would compute it or cut its words otherwise than it was published, a warning says so.\n\n"
            "  --model DIRECTORY  what to read\n"
            "  --out OUT          the file to write; replaced whole, or left as it was on an error\n"
            "  --type T           matrices as F32, F16 (default) or BF16; vectors are F32\n"
            "  --weights-only     without tokenizer and chat template\n",
    .run = run,
};
