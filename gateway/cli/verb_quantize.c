/* weir quantize: a GGUF file in another weight format, and what that costs on a text. */
#include "cli/cli.h"
#include "weir_runtime.h"

#include <stdio.h>

extern const struct verb verb_quantize;

static const size_t MOST_TEXT_BYTES = 16 << 20;

static int perplexity_of(const char *path, str text, double *perplexity, size_t *n_tokens, struct error *err)
{
    struct model *model;
    int status = model_open(&model, path, &(struct model_options){.precision = PRECISION_EXACT}, err);
    if (status < 0)
        return status;
    status = model_perplexity(model, text, perplexity, n_tokens, err);
    model_close(model);
    return status;
}

/* Perplexity before and after, as one JSON object on standard output. */
static int check(const char *model, const char *out, const char *path, struct error *err)
{
    struct buffer text;
    double before = 0, after = 0;
    size_t n_tokens = 0;
    buffer_init(&text, MOST_TEXT_BYTES);
    int status = file_read(path, &text, err);
    if (status == 0)
        status = perplexity_of(model, buffer_str(&text), &before, &n_tokens, err);
    if (status == 0)
        status = perplexity_of(out, buffer_str(&text), &after, &n_tokens, err);
    buffer_release(&text);
    if (status == 0)
        printf("{\"tokens\": %zu, \"perplexity_before\": %.6g, \"perplexity_after\": %.6g}\n", n_tokens, before, after);
    return status;
}

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
    if (text != NULL && check(model, out, text, &err) < 0)
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
