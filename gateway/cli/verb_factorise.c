/* weir factorise: chosen matrices as products of two thinner ones. */
#include "cli/perplexity.h"

#include <stdio.h>

extern const struct verb verb_factorise;

static int factorise(const char *model, const char *out, const char *text_path, const char *check, const struct factorise_options *options, struct error *err)
{
    struct buffer text;
    json_t *report = NULL;
    int status = cli_read_text(text_path, &text, err);
    if (status == 0)
        status = model_factorise(model, out, buffer_str(&text), options, &report, err);
    if (status == 0) {
        fprintf(stderr, "weir factorise: wrote %s\n", out);
        status = cli_report(report, model, out, text_path, check, err);
    }
    json_decref(report);
    buffer_release(&text);
    return status;
}

/* "from-to", both ends meant. */
static int read_layers(const char *text, struct factorise_options *options, struct error *err)
{
    str rest = str_of(text), first;
    int64_t from = 0, to = -1;
    if (!str_split(&rest, '-', &first) || rest.data == NULL || parse_i64(first, &from) < 0 || parse_i64(rest, &to) < 0 || from < 0 || to < from || to > 100000)
        return error_set(err, WEIR_E_INVALID, "--layers", "\"%.40s\" is no range such as 0-11", text);
    options->first_layer = (int)from;
    options->end_layer = (int)to + 1;
    return 0;
}

static int run(int argc, char **argv)
{
    const char *model = NULL, *out = NULL, *text = NULL, *check = NULL, *layers = NULL;
    struct factorise_options options = {0};
    struct error err = {0};
    int64_t rank = 0;
    const struct cli_option table[] = {
        {.name = "model", .text = &model, .required = true}, {.name = "out", .text = &out, .required = true},
        {.name = "text", .text = &text, .required = true},   {.name = "check", .text = &check},
        {.name = "matrices", .text = &options.matrices},     {.name = "layers", .text = &layers},
        {.name = "rank", .number = &rank, .least = 1, .most = 1 << 20},                   {.name = "keep", .real = &options.keep, .most = 1},
        {0},
    };
    int parsed = cli_parse(&verb_factorise, argc, argv, table, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if ((rank != 0) == (options.keep != 0)) {
        fprintf(stderr, "weir factorise: either --rank or --keep (above 0) is expected\n`weir factorise --help` explains its options.\n");
        return EXIT_USAGE;
    }
    options.rank = (int)rank;
    if (layers != NULL && read_layers(layers, &options, &err) < 0)
        return cli_fail("factorise", &err);
    return factorise(model, out, text, check != NULL ? check : text, &options, &err) < 0 ? cli_fail("factorise", &err) : EXIT_DONE;
}

const struct verb verb_factorise = {
    .name = "factorise",
    .summary = "replace matrices by products of two thinner ones",
    .help = "usage: weir factorise --model M --out OUT.gguf --text FILE --rank R | --keep SHARE [--matrices LIST] [--layers A-B] [--check FILE]\n\n"
            "Writes chosen matrices W as B A of low rank, such that little is lost of what they do on a text, and prints, as one JSON object, how\n"
            "many weights that saves, what is lost, and the perplexity before and after. Weir runs the result; llama.cpp has no such form.\n\n"
            "  --model M        a GGUF file, or a Hugging Face directory, which is converted to F16 on the way\n"
            "  --out OUT        the file to write; replaced whole, or left as it was on an error\n"
            "  --text FILE      text of the kind the model is to be used for: columns that are worked more there count more\n"
            "  --rank R         the rank of each\n"
            "  --keep SHARE     the share of its weights that each keeps at most (0.6): the rank, a multiple of 32, follows\n"
            "  --matrices LIST  of attn_q, attn_k, attn_v, attn_qkv, attn_output, ffn_gate, ffn_up, ffn_down, with commas between\n"
            "                   (default ffn_gate,ffn_up,ffn_down)\n"
            "  --layers A-B     only in these layers, both ends meant (default all)\n"
            "  --check FILE     another text for the two perplexities; default: that of --text\n\n"
            "A rank that would save nothing is refused. The halves are F16 where the matrix was not F32 or BF16: `weir quantize` makes them smaller.\n",
    .run = run,
};
