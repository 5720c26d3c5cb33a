/* weir eval: metrics of a head on labelled lines; `weir eval perplexity` is perplexity.c. */
#include "cli/encoder_line.h"
#include "cli/perplexity.h"
#include "weir_classifier.h"

#include <math.h>
#include <stdio.h>

extern const struct verb verb_eval;

/* What only a picture or a program wants. */
static void drop_curves(json_t *metrics)
{
    static const char *const ways[] = {"scoring", "answer", "both", "probe"};
    json_object_del(json_object_get(metrics, "with_answer"), "curve");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        json_object_del(json_object_get(json_object_get(metrics, "cascade"), ways[i]), "curve");
}

static int eval_run(int argc, char **argv)
{
    const char *head_path = NULL, *data = NULL, *encoder_path = NULL, *precision = "fast", *picture = NULL;
    if (argc > 1 && strcmp(argv[1], "perplexity") == 0)
        return eval_perplexity(argc - 1, argv + 1);
    int64_t threads = 0;
    static const char *const not_drawn[] = {".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".eps"};
    double max_regret = NAN; /* Not given. */
    struct score_limits limits;
    bool as_json = false, no_encoder = false;
    char shipped[4096];
    struct error err;
    const struct cli_option options[] = {
        {"head", .text = &head_path},   {"data", .text = &data, .required = true}, {"encoder", .text = &encoder_path},
        {"precision", .text = &precision}, CLI_THREADS(threads),       {"json", .flag = &as_json},
        {"no-encoder", .flag = &no_encoder}, {"picture", .text = &picture},
        {"max-regret", .real = &max_regret, .least = 0, .most = 1}, {0},
    };
    int status = cli_parse(&verb_eval, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct head *head = NULL;
    struct model *encoder = NULL;
    json_t *metrics = NULL;
    int code = EXIT_DONE;
    if (head_path == NULL) {
        if (share_path("classifier/heads/default.head", shipped, sizeof shipped, &err) < 0)
            return cli_fail("eval", &err);
        head_path = shipped;
    }
    for (size_t i = 0; picture != NULL && i < sizeof not_drawn / sizeof *not_drawn; i++)
        if (str_ends(str_of(picture), str_of(not_drawn[i]))) {
            fprintf(stderr, "weir eval: --picture: SVG (name.svg), HTML (name.html) or PNG (name.png) is drawn, not *%s\n", not_drawn[i]);
            return EXIT_USAGE;
        }
    if (picture != NULL && metrics_picture_possible(picture, &err) < 0)
        return cli_fail("eval", &err);
    status = head_open(&head, head_path, &err);
    limits.low = limits.high = status == 0 && !isnan(max_regret) ? head_threshold(head, max_regret) : 0;
    if (status < 0 || (!no_encoder && encoder_line_open(encoder_path, precision, threads, &encoder, &err) < 0) ||
        head_evaluate(head, encoder, data, max_regret >= 0 ? &limits : NULL, &metrics, &err) < 0 || (picture != NULL && metrics_picture(metrics, picture, &err) < 0)) {
        code = cli_fail("eval", &err);
    } else {
        static const char *const long_ones[] = {"confusion", "curve", "reliability_local", "reliability_remote"};
        if (!as_json)
            drop_curves(metrics);
        for (size_t i = 0; !as_json && i < sizeof long_ones / sizeof *long_ones; i++)
            json_object_del(metrics, long_ones[i]);
        struct buffer out;
        buffer_init(&out, 256 << 20);
        if (as_json) {
            json_write(metrics, &out);
            buffer_append_char(&out, '\n');
        } else {
            const char *name;
            json_t *value;
            json_object_foreach(metrics, name, value)
            {
                buffer_printf(&out, "%-40s ", name);
                json_write(value, &out);
                buffer_append_char(&out, '\n');
            }
        }
        if (cli_print(&out, &err) < 0)
            code = cli_fail("eval", &err);
    }
    json_decref(metrics);
    model_close(encoder);
    head_close(head);
    return code;
}

const struct verb verb_eval = {
    .name = "eval",
    .summary = "Metrics of a head on labelled lines",
    .help = "usage: weir eval [--head H] --data D.jsonl [--json] [options]\n"
            "       weir eval perplexity [--model M] --text FILE [--json]      (`weir eval perplexity --help`)\n"
            "\n"
            "Scores each line of D (as `weir train` reads them) and prints metrics, with --json as one object. Of lines with both\n"
            "scores: apgr (mean share of the quality gap recovered over all shares of remote calls), cpt50 and cpt80 (share of\n"
            "remote calls that recovers 50 and 80 % of it), aiq. Of the probabilities: auroc, brier and ece. Of domains:\n"
            "accuracy_in_scope, auroc_oos, recall_oos_at_5pct_in_scope_rejected, confusion. Of output_tokens: log_error, the mean of\n"
            "|ln said - ln was|, beside that of one number for all. And the share and time of each tier. With --json\n"
            "also what a picture is drawn from: curve ([share of remote calls, quality]) and reliability of each probability.\n"
            "Of lines with both scores and an answer, where the head was trained on such: with_answer (once it is read), and under\n"
            "cascade the same metrics of routing by the question alone (scoring), by the answer's text alone (answer), by the question and\n"
            "the model's word that it can answer (probe), and as the gateway's cascade does it, by the larger of both gains (both).\n"
            "\n"
            "  --picture FILE          draws all that: cost-quality curve, cascade, reliability, confusion, tiers; by the name SVG, HTML (.html)\n"
            "                          or PNG (.png, by rsvg-convert of Debian's librsvg2-bin)\n"
            "  --max-regret R          counts and times the tiers as a gateway with classifier.max_regret R uses them: the next tier\n"
            "                          runs only where it could change the route. Without it as if any threshold were possible\n"
            "  --head H                head file of `weir train`; default: the shipped one\n"
            "  --encoder M             Hugging Face directory or GGUF file; default: the pulled encoder\n"
            "  --no-encoder            features only\n"
            "  --precision exact|fast  of the encoder (default fast)\n"
            "  --threads N             of the encoder; default: one per core\n",
    .run = eval_run,
};
