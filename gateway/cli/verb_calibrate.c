/* weir calibrate: a head's probabilities set right on fresh lines, and the thresholds that keep a promised regret. */
#include "cli/encoder_line.h"
#include "weir_classifier.h"

#include <stdio.h>

extern const struct verb verb_calibrate;

static void print_reliability(struct buffer *out, const json_t *calibration)
{
    const char *view, *target;
    json_t *of_view, *of_target;
    json_object_foreach((json_t *)calibration, view, of_view)
    {
        json_object_foreach(of_view, target, of_target)
        {
            size_t i;
            json_t *bin;
            buffer_printf(out, "P(%s), %s tier, %lld lines: calibration error %.4f -> %.4f, Brier score %.4f -> %.4f\n", target, view,
                          (long long)json_integer_value(json_object_get(of_target, "n")),
                          json_number_value(json_object_get(of_target, "ece_before")), json_number_value(json_object_get(of_target, "ece")),
                          json_number_value(json_object_get(of_target, "brier_before")), json_number_value(json_object_get(of_target, "brier")));
            json_array_foreach(json_object_get(of_target, "reliability"), i, bin)
            {
                double said = json_number_value(json_object_get(bin, "said")), was = json_number_value(json_object_get(bin, "was"));
                buffer_printf(out, "  said %.3f was %.3f %6lld |", said, was, (long long)json_integer_value(json_object_get(bin, "n")));
                for (int k = 0; k <= 40; k++)
                    buffer_append_char(out, k == (int)(was * 40 + 0.5) ? '*' : k == (int)(said * 40 + 0.5) ? '.' : ' ');
                buffer_append_str(out, STR("|\n"));
            }
        }
    }
}

static void print_answer(struct buffer *out, const json_t *of_answer)
{
    static const struct {
        const char *name, *text;
    } parts[] = {{"local", "the answer's text alone"}, {"by_text", "all that is known of an answer"}, {"by_confidence", "all but its text"}, {"by_probe", "question and probe"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const json_t *part = json_object_get(of_answer, parts[i].name);
        if (part != NULL)
            buffer_printf(out, "P(local) by %s, %lld lines: calibration error %.4f -> %.4f, Brier score %.4f -> %.4f%s\n", parts[i].text,
                          (long long)json_integer_value(json_object_get(part, "n")), json_number_value(json_object_get(part, "ece_before")),
                          json_number_value(json_object_get(part, "ece")), json_number_value(json_object_get(part, "brier_before")),
                          json_number_value(json_object_get(part, "brier")), json_is_false(json_object_get(part, "refitted")) ? " (left as it was)" : "");
    }
}

static void print_promises(struct buffer *out, const json_t *promises)
{
    static const int shown[] = {1, 2, 3, 5, 8, 10, 15, 20, 30, 50};
    if (promises == NULL)
        return;
    bool right = strcmp(json_string_value(json_object_get(promises, "remote")), "always_right") == 0;
    buffer_printf(out, "Of %lld lines with both scores (%s)%s; each promise holds with a confidence of %g for queries like them:\n",
                  (long long)json_integer_value(json_object_get(promises, "n")), json_string_value(json_object_get(promises, "about")),
                  right ? ", the remote model right in all, so that every wrong local answer counts" : "", json_number_value(json_object_get(promises, "confidence")));
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const json_t *row = json_array_get(json_object_get(promises, "of"), (size_t)shown[i] - 1), *threshold = json_object_get(row, "threshold");
        if (json_is_real(threshold))
            buffer_printf(out, "  max_regret %.2f: %5.1f %% stays local (gain up to %.4f)\n", json_number_value(json_object_get(row, "max_regret")),
                          100 * json_number_value(json_object_get(row, "local_share")), json_number_value(threshold));
        else
            buffer_printf(out, "  max_regret %.2f: can't be promised on these lines: nothing stays local\n", json_number_value(json_object_get(row, "max_regret")));
    }
}

static int calibrate_run(int argc, char **argv)
{
    const char *head = NULL, *data = NULL, *out_path = NULL, *method = "isotonic", *about = NULL, *encoder_path = NULL, *precision = "fast";
    int64_t threads = 0;
    double confidence = 0.9;
    bool as_json = false, no_encoder = false, quiet = false;
    struct error err;
    const struct cli_option options[] = {
        {"head", .text = &head, .required = true}, {"data", .text = &data, .required = true}, {"out", .text = &out_path, .required = true},
        {"method", .text = &method},               {"confidence", .real = &confidence, .most = 1},       {"encoder", .text = &encoder_path},
        {"precision", .text = &precision},         CLI_THREADS(threads),           {"json", .flag = &as_json},
        {"no-encoder", .flag = &no_encoder},       {"quiet", .flag = &quiet},                 {"about", .text = &about}, {0},
    };
    int status = cli_parse(&verb_calibrate, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct calibrate_options calibrate = {.confidence = confidence, .about = about, .quiet = quiet};
    if (strcmp(method, "platt") == 0)
        calibrate.method = CALIBRATION_PLATT;
    else if (strcmp(method, "isotonic") != 0) {
        fprintf(stderr, "weir calibrate: --method: isotonic or platt, not '%s'\n", method);
        return EXIT_USAGE;
    }
    if (!(confidence > 0 && confidence < 1)) {
        fprintf(stderr, "weir calibrate: --confidence: a number between 0 and 1, not %g\n", confidence);
        return EXIT_USAGE;
    }
    struct model *encoder = NULL;
    json_t *report = NULL;
    struct buffer out;
    int code = EXIT_DONE;
    buffer_init(&out, 16 << 20);
    if ((!no_encoder && encoder_line_open(encoder_path, precision, threads, &encoder, &err) < 0) ||
        head_calibrate(head, data, out_path, encoder, &calibrate, &report, &err) < 0) {
        code = cli_fail("calibrate", &err);
    } else {
        if (as_json) {
            json_write(report, &out);
            buffer_append_char(&out, '\n');
        } else {
            print_reliability(&out, json_object_get(report, "calibration"));
            print_answer(&out, json_object_get(report, "answer"));
            print_promises(&out, json_object_get(report, "promises"));
        }
        if (cli_print(&out, &err) < 0)
            code = cli_fail("calibrate", &err);
    }
    buffer_release(&out);
    json_decref(report);
    model_close(encoder);
    return code;
}

const struct verb verb_calibrate = {
    .name = "calibrate",
    .summary = "Sets a head's probabilities right on fresh lines; finds what regret it can promise",
    .help = "usage: weir calibrate --head H --data D.jsonl --out H2 [options]\n"
            "\n"
            "D has lines as `weir train` reads them, other ones than the head was trained on: best a random share of the traffic\n"
            "it will see. H2 is H with two things added. Its probabilities follow what D says: of the queries with P(local) = 0.7\n"
            "the local model then answers 70 % well. And, where lines have both scores, it holds for each max_regret from 0.01 to\n"
            "0.50 the threshold under which the share of local answers worse than the remote's stays at or below it, for queries\n"
            "like those of D, unless the draw of D was one of the unlucky share 1 - confidence. `weir serve` uses that threshold\n"
            "for classifier.max_regret and `auto:<max-regret>`. What can't be promised escalates everything.\n"
            "Where D says of every line that the remote model is right (score 1), for nobody has scored it, each wrong local answer\n"
            "counts: the promise then holds whatever the remote model, and says so.\n"
            "Lines with answers set right, too, what is said once there is one: the answer's own probability, and the blends of all\n"
            "that is known, fitted anew where half of the lines find that no worse than the other half's.\n"
            "\n"
            "Printed: calibration error before and after (by cross-fitting: each half of D judged by the other), a reliability\n"
            "diagram ('*' what was, '.' what was said), and what stays local at which regret.\n"
            "\n"
            "  --method isotonic|platt  a rising line through what was seen (default), or a sigmoid (few lines: below 500)\n"
            "  --confidence C          of each promise (default 0.9)\n"
            "  --about TEXT            what the lines are, told with every promise (default: D's name)\n"
            "  --json                  the report as one object\n"
            "  --encoder M             Hugging Face directory or GGUF file; default: the pulled encoder\n"
            "  --no-encoder            for a head trained without\n"
            "  --precision exact|fast  of the encoder (default fast)\n"
            "  --threads N             of the encoder; default: one per core\n"
            "  --quiet                 no progress on standard error\n"
            "\n"
            "Example: weir calibrate --head my.head --data fresh.jsonl --out my2.head && weir eval --head my2.head --data test.jsonl\n",
    .run = calibrate_run,
};
