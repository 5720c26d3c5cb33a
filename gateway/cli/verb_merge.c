/* weir merge: a LoRA adapter merged into a model's weights. */
#include "cli/perplexity.h"

#include <stdio.h>

extern const struct verb verb_merge;

static int run(int argc, char **argv)
{
    const char *model = NULL, *adapter = NULL, *out = NULL, *format = NULL, *text = NULL;
    struct error err = {0};
    const struct cli_option options[] = {
        {.name = "model", .text = &model, .required = true}, {.name = "adapter", .text = &adapter, .required = true},
        {.name = "out", .text = &out, .required = true},     {.name = "type", .text = &format},
        {.name = "check", .text = &text},                    {0},
    };
    int parsed = cli_parse(&verb_merge, argc, argv, options, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (model_merge(model, adapter, out, format, &err) < 0)
        return cli_fail("merge", &err);
    fprintf(stderr, "weir merge: wrote %s\n", out);
    if (text != NULL && cli_perplexities(model, adapter, out, text, &err) < 0)
        return cli_fail("merge", &err);
    return EXIT_DONE;
}

const struct verb verb_merge = {
    .name = "merge",
    .summary = "merge a LoRA adapter into a model's weights",
    .help = "usage: weir merge --model M --adapter A --out OUT.gguf [--type T] [--check TEXT]\n\n"
            "Adds an adapter's low-rank changes to the weights and writes the sum as a GGUF file that needs no adapter any more.\n\n"
            "  --model M      a GGUF file, or a Hugging Face directory, which is converted on the way\n"
            "  --adapter A    a LoRA adapter: a PEFT directory or a GGUF file\n"
            "  --out OUT      the file to write; replaced whole, or left as it was on an error\n"
            "  --type T       F32, F16 or BF16 for the matrices that change (of a directory: for all). Default: as they are; F16 where\n"
            "                 they have fewer bits, in which the change would be lost: `weir quantize` makes the whole smaller afterwards\n"
            "  --check TEXT   afterwards prints {\"tokens\", \"perplexity_before\", \"perplexity_after\"} of the text in that file, where\n"
            "                 before is the model with the adapter applied at run time\n",
    .run = run,
};
