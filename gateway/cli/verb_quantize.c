/* weir quantize: a GGUF file in another weight format, and what that costs on a text. */
#include "cli/perplexity.h"

#include <stdio.h>

extern const struct verb verb_quantize;

static int run(int argc, char **argv)
{
    const char *model = NULL, *out = NULL, *format = NULL, *imatrix = NULL, *text = NULL;
    struct error err = {0};
    const struct cli_option options[] = {
        {.name = "model", .text = &model, .required = true}, {.name = "out", .text = &out, .required = true},
        {.name = "type", .text = &format, .required = true}, {.name = "imatrix", .text = &imatrix},
        {.name = "check", .text = &text},                    {0},
    };
    int parsed = cli_parse(&verb_quantize, argc, argv, options, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (model_quantize(model, out, format, imatrix, &err) < 0)
        return cli_fail("quantize", &err);
    fprintf(stderr, "weir quantize: wrote %s as %s\n", out, format);
    if (text != NULL && cli_perplexities(model, NULL, out, text, &err) < 0)
        return cli_fail("quantize", &err);
    return EXIT_DONE;
}

const struct verb verb_quantize = {
    .name = "quantize",
    .summary = "write a GGUF model in another weight format",
    .help = "usage: weir quantize --model IN.gguf --out OUT.gguf --type T [--imatrix FILE] [--check TEXT]\n\n"
            "Rewrites the matrices of a GGUF file as T; norms, routers and position tables stay as they are. Where a row is no whole number\n"
            "of T's blocks, a format in blocks of 32 takes its place, or F16. Quantizes from F32, F16 and BF16.\n\n"
            "  --model IN       the GGUF file to read\n"
            "  --out OUT        the file to write; replaced whole, or left as it was on an error\n"
            "  --type T         every matrix the same: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 (byte for byte as llama-quantize --pure),\n"
            "                   Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS; or a mix with more bits where they count: Q2_K_M, Q3_K_S,\n"
            "                   Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M\n"
            "  --imatrix FILE   an importance matrix of llama-imatrix: errors in columns that are worked much count more\n"
            "  --check TEXT     afterwards prints {\"tokens\", \"perplexity_before\", \"perplexity_after\"} of the text in that file\n",
    .run = run,
};
