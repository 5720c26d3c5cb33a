/* weir distill: a static embedding table that stands in for the encoder. */
#include "cli/encoder_line.h"
#include "weir_classifier.h"

#include <stdio.h>

extern const struct verb verb_distill;

static int distill_run(int argc, char **argv)
{
    const char *encoder_path = NULL, *data = NULL, *out_path = NULL, *precision = "fast";
    int64_t dims = 0, seed = 0, threads = 0;
    bool quiet = false;
    struct error err;
    const struct cli_option options[] = {
        {"model", .text = &encoder_path}, {"data", .text = &data}, {"out", .text = &out_path, .required = true}, {"dims", .number = &dims, .least = 16, .most = 512},
        {"seed", .number = &seed, CLI_ANY}, {"precision", .text = &precision}, CLI_THREADS(threads), {"quiet", .flag = &quiet}, {0},
    };
    int status = cli_parse(&verb_distill, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    if (dims % 16 != 0) {
        fprintf(stderr, "weir distill: --dims: a multiple of 16 up to 512, not %lld\n", (long long)dims);
        return EXIT_USAGE;
    }
    struct model *encoder = NULL;
    json_t *report = NULL;
    int code = EXIT_DONE;
    const struct distill_options distill = {.data_path = data, .n_dims = (int)dims, .seed = (uint64_t)seed, .quiet = quiet};
    if (encoder_line_open(encoder_path, precision, threads, &encoder, &err) < 0 || encoder_distill(encoder, out_path, &distill, &report, &err) < 0 ||
        cli_print_json(report, &err) < 0)
        code = cli_fail("distill", &err);
    json_decref(report);
    model_close(encoder);
    return code;
}

const struct verb verb_distill = {
    .name = "distill",
    .summary = "Makes a static embedding table of an encoder: the tier before the encoder",
    .help = "usage: weir distill [--model ENCODER] [--data texts.jsonl] --out FILE [options]\n"
            "\n"
            "A head's features are quick and know no meaning; its encoder knows meaning and takes milliseconds. A static table lies\n"
            "between: one short vector for each token of the encoder's vocabulary, and a text's vector is their sum: tens of\n"
            "microseconds. `weir train --static FILE` gives a head the tier \"static\", which answers alone where cross-validation\n"
            "found it sure enough; the encoder runs for the rest. FILE goes into the head; it is needed for training only.\n"
            "\n"
            "Without --data each token goes through the encoder on its own and rare tokens count more than frequent ones. With\n"
            "--data (lines {\"text\"}, other members are passed over; tens of thousands are best, of the kind that will be asked)\n"
            "the vectors are fitted so that their sum over a text points where the encoder's vector of the text does.\n"
            "\n"
            "Printed: one JSON object. Of the lines held out (one in twenty): \"cosine\" with the encoder's vectors,\n"
            "\"cosine_unfitted\" before the fit, \"cosine_limit\" the best that so few numbers can reach, and \"rank_correlation\" of\n"
            "the likenesses of pairs of texts. The same lines, encoder and seed give the same file.\n"
            "\n"
            "  --model M               Hugging Face directory or GGUF file; default: the pulled encoder\n"
            "  --dims N                numbers of a vector, a multiple of 16 up to 512 (default 64); a byte each in the file\n"
            "  --seed N                of which lines are held out (default 0)\n"
            "  --precision exact|fast  of the encoder (default fast)\n"
            "  --threads N             of the encoder; default: one per core\n"
            "  --quiet                 no progress on standard error\n"
            "\n"
            "Example: weir distill --data questions.jsonl --out my.static && weir train --data labels.jsonl --static my.static --out my.head\n",
    .run = distill_run,
};
