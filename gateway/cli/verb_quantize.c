/* weir quantize: a GGUF file in another weight format. */
#include "cli/cli.h"
#include "weir_runtime.h"

#include <stdio.h>

extern const struct verb verb_quantize;

static int run(int argc, char **argv)
{
    const char *model = NULL, *out = NULL, *format = NULL;
    struct error err = {0};
    const struct cli_option options[] = {
        {.name = "model", .text = &model, .required = true}, {.name = "out", .text = &out, .required = true},
        {.name = "type", .text = &format, .required = true}, {0},
    };
    int parsed = cli_parse(&verb_quantize, argc, argv, options, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (model_quantize(model, out, format, &err) < 0)
        return cli_fail("quantize", &err);
    fprintf(stderr, "weir quantize: wrote %s as %s\n", out, format);
    return EXIT_DONE;
}

const struct verb verb_quantize = {
    .name = "quantize",
    .summary = "write a GGUF model in another weight format",
    .help = "usage: weir quantize --model IN.gguf --out OUT.gguf --type T\n\n"
            "Rewrites every matrix of a GGUF file as T, byte for byte as llama-quantize --pure does; norms, routers and position tables\n"
            "stay as they are, and matrices whose rows are no whole number of blocks become F16. Quantizes from F32, F16 and BF16.\n\n"
            "  --model IN       the GGUF file to read\n"
            "  --out OUT        the file to write; replaced whole, or left as it was on an error\n"
            "  --type T         F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0 or Q5_1\n",
    .run = run,
};
