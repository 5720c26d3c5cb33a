/* weir train: lines with labels, scores or domains to a head file. */
#include "cli/encoder_line.h"
#include "weir_classifier.h"

#include <stdio.h>

extern const struct verb verb_train;

static int train_run(int argc, char **argv)
{
    const char *data = NULL, *out = NULL, *encoder_path = NULL, *precision = "fast", *name = NULL, *static_path = NULL;
    const char *kind = "kernel", *class_weights = "none";
    static const char *const kinds[N_TRAIN_KINDS] = {[TRAIN_KERNEL] = "kernel", [TRAIN_LOGISTIC] = "logistic", [TRAIN_FACTORS] = "factors", [TRAIN_MLP] = "mlp"};
    int64_t seed = 0, threads = 0, landmarks = 0;
    bool quiet = false, no_encoder = false;
    struct error err;
    const struct cli_option options[] = {
        {"data", .text = &data, .required = true}, {"out", .text = &out, .required = true}, {"encoder", .text = &encoder_path},
        {"precision", .text = &precision},         CLI_THREADS(threads),         {"name", .text = &name, .words = true},
        {"seed", .number = &seed, CLI_ANY},                 {"no-encoder", .flag = &no_encoder},     {"quiet", .flag = &quiet},
        {"landmarks", .number = &landmarks, .least = 1, .most = 1536},       {"static", .text = &static_path},     {"kind", .text = &kind},
        {"class-weights", .text = &class_weights},
        {0},
    };
    int status = cli_parse(&verb_train, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    int which = 0;
    while (which < N_TRAIN_KINDS && strcmp(kind, kinds[which]) != 0)
        which++;
    bool balanced = strcmp(class_weights, "balanced") == 0;
    if (which == N_TRAIN_KINDS || (!balanced && strcmp(class_weights, "none") != 0)) {
        fprintf(stderr, which == N_TRAIN_KINDS ? "weir train: --kind: kernel, logistic, factors or mlp\n" : "weir train: --class-weights: none or balanced\n");
        return EXIT_USAGE;
    }
    struct model *encoder = NULL;
    if (!no_encoder && encoder_line_open(encoder_path, precision, threads, &encoder, &err) < 0)
        return cli_fail("train", &err);
    struct train_options train = {.name = name, .seed = (uint64_t)seed, .quiet = quiet, .n_landmarks = (int)landmarks, .static_path = static_path,
                                  .kind = (enum train_kind)which, .balanced = balanced};
    status = head_train(data, out, encoder, &train, &err);
    model_close(encoder);
    return status < 0 ? cli_fail("train", &err) : EXIT_DONE;
}

const struct verb verb_train = {
    .name = "train",
    .summary = "Trains a head on labelled lines (JSON Lines)",
    .help = "usage: weir train --data D.jsonl --out H [options]\n"
            "\n"
            "Each line of D is {\"text\", and any of \"label\": 0|1 (the local model was right), \"scores\": {\"local\": 0..1,\n"
            "\"remote\": 0..1}, \"domain\": \"name\" | \"oos\"}. Any subset trains: what no line has stays null in the scores. Lines\n"
            "whose domain is \"oos\" calibrate the out-of-scope probability and train nothing else of the domain.\n"
            "\"answer\": {\"text\", and any of \"logprob_mean\", \"logprob_min\", \"entropy_mean\", \"margin_mean\", \"self_check\",\n"
            "\"probe\"} (`weir generate --train-lines` makes them) is what the local model answered, cut where a cascade would judge\n"
            "it; with it the head also learns to tell a good answer from a bad one by reading it, and by its confidence.\n"
            "\"output_tokens\": N is how long a remote model's answer was; with it the head foretells the length, for the cost.\n"
            "The head file H holds the weights, the data's SHA-256 and cross-validated metrics. The same lines, encoder and seed\n"
            "give the same file.\n"
            "\n"
            "  --encoder M             Hugging Face directory or GGUF file; default: the pulled encoder\n"
            "  --no-encoder            features only: a smaller, faster and weaker head\n"
            "  --precision exact|fast  of the encoder (default fast)\n"
            "  --threads N             of the encoder; default: one per core\n"
            "  --name NAME             of the head, at most 63 bytes (default \"head\"); stands in each decision\n"
            "  --seed N                of the folds and of what is drawn (default 0)\n"
            "  --kind K                of the encoder's local and remote heads: kernel (default; the strongest), or on the frozen embedding\n"
            "                          logistic, factors (matrix factorisation, one vector a model) or mlp (a small hidden layer)\n"
            "  --class-weights W       none (default), or balanced: right and wrong, and each domain, count the same in the fits\n"
            "  --landmarks N           training texts that others are compared with (default and most 1536): fewer, smaller file\n"
            "  --static FILE           table of `weir distill`, or a head that holds one: adds the tier \"static\" before the encoder;\n"
            "                          the table goes into H, which then needs no other file (a byte a number: 2 MB for MiniLM)\n"
            "  --quiet                 no progress on standard error\n"
            "\n"
            "Example: weir train --data labels.jsonl --out my.head && weir eval --head my.head --data held_out.jsonl --json\n",
    .run = train_run,
};
