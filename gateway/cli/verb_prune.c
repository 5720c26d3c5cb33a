/* weir prune: a model without the layers, heads and MLP columns that do least on a text. */
#include "cli/perplexity.h"

#include <stdio.h>

extern const struct verb verb_prune;

static int prune(const char *model, const char *out, const char *text_path, const char *check, const struct prune_options *options, struct error *err)
{
    struct buffer text;
    json_t *report = NULL;
    int status = cli_read_text(text_path, &text, err);
    if (status == 0)
        status = model_prune(model, out, buffer_str(&text), options, &report, err);
    if (status == 0) {
        fprintf(stderr, "weir prune: wrote %s\n", out);
        status = cli_report(report, model, out, text_path, check, err);
    }
    json_decref(report);
    buffer_release(&text);
    return status;
}

static int run(int argc, char **argv)
{
    const char *model = NULL, *out = NULL, *text = NULL, *check = NULL;
    struct prune_options options = {0};
    struct error err = {0};
    int64_t layers = 0;
    const struct cli_option table[] = {
        {.name = "model", .text = &model, .required = true}, {.name = "out", .text = &out, .required = true},
        {.name = "text", .text = &text, .required = true},   {.name = "check", .text = &check},
        {.name = "layers", .number = &layers, .most = 10000},               {.name = "heads", .real = &options.heads, .most = 1},
        {.name = "columns", .real = &options.columns, .most = 1},       {0},
    };
    int parsed = cli_parse(&verb_prune, argc, argv, table, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    options.n_layers = (int)layers;
    return prune(model, out, text, check != NULL ? check : text, &options, &err) < 0 ? cli_fail("prune", &err) : EXIT_DONE;
}

const struct verb verb_prune = {
    .name = "prune",
    .summary = "leave out the layers, heads and MLP columns that do least",
    .help = "usage: weir prune --model M --out OUT.gguf --text FILE [--layers N] [--heads SHARE] [--columns SHARE] [--check FILE]\n\n"
            "Runs a model over a text, measures what each part does there, and writes a smaller GGUF file without those that do least. The\n"
            "rest is not trained anew: expect a higher perplexity, which is printed, before and after, as one JSON object.\n\n"
            "  --model M        a GGUF file, or a Hugging Face directory, which is converted to F16 on the way\n"
            "  --out OUT        the file to write; replaced whole, or left as it was on an error\n"
            "  --text FILE      what importance is measured on: text of the kind the model is to be used for\n"
            "  --layers N       leave out the N layers that turn the residual stream least\n"
            "  --heads SHARE    leave out this share of each layer's attention heads (0.25), in groups that share keys and values\n"
            "  --columns SHARE  leave out this share of each MLP's columns; what stays is a multiple of 32\n"
            "  --check FILE     another text for the two perplexities; default: that of --text\n\n"
            "Layers go from files in any format, heads and columns from F32, F16 and BF16: `weir quantize` comes afterwards.\n",
    .run = run,
};
