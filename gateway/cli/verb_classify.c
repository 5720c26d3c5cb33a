/* weir classify: JSON Lines of texts, pairs or token ids to the logits of an encoder's classification head. */
#include "cli/encoder_line.h"

extern const struct verb verb_classify;

static void answer(const struct model_info *info, const json_t *line, const float *logits, size_t n_tokens, struct buffer *out)
{
    size_t n_labels = (size_t)info->n_labels;
    jsonl_begin(line, out);
    jsonl_name(out, "logits");
    if (info->labels_per_token)
        buffer_append_char(out, '[');
    for (size_t row = 0; row < (info->labels_per_token ? n_tokens : 1); row++) {
        if (row > 0)
            buffer_append_char(out, ',');
        encoder_line_floats(out, logits + row * n_labels, n_labels);
    }
    if (info->labels_per_token)
        buffer_append_char(out, ']');
    jsonl_name(out, "labels");
    buffer_append_char(out, '[');
    for (size_t i = 0; i < n_labels; i++) {
        if (i > 0)
            buffer_append_char(out, ',');
        buffer_append_json_string(out, str_of(info->labels[i]));
    }
    buffer_append_text(out, "]}");
}

static int classify_line(void *user, const json_t *line, struct buffer *out, struct error *err)
{
    struct model *model = user;
    const struct model_info *info = model_info_peek(model);
    struct encoder_line question;
    float *logits = NULL;
    int status = encoder_line_read(model, line, &question, err);
    if (status < 0)
        goto done;
    struct encoder_input input = encoder_line_input(&question);
    logits = calloc((input.n > 0 ? input.n : 1) * (size_t)info->n_labels, sizeof *logits);
    if (logits == NULL)
        status = error_set(err, WEIR_E_MEMORY, "", "no memory for %zu tokens", input.n);
    else
        status = model_classify(model, &input, logits, err);
    if (status == 0)
        answer(info, line, logits, input.n, out);
done:
    free(logits);
    encoder_line_release(&question);
    return status;
}

static int classify_run(int argc, char **argv)
{
    const char *path = NULL, *precision = "fast", *input = NULL;
    int64_t threads = 0;
    bool keep_going = false;
    struct model *model;
    struct error err;
    const struct cli_option options[] = {
        {"model", .text = &path}, {"precision", .text = &precision},  CLI_THREADS(threads),
        {"input", .text = &input}, {"keep-going", .flag = &keep_going}, {0},
    };
    int status = cli_parse(&verb_classify, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    if (encoder_line_open(path, precision, threads, &model, &err) < 0)
        return cli_fail("classify", &err);
    int code = EXIT_FAILED;
    if (model_info_peek(model)->n_labels == 0) {
        error_set(&err, WEIR_E_UNSUPPORTED, model_info_peek(model)->path, "the model has no classification head; `weir embed` gives its embeddings");
        cli_fail("classify", &err);
    } else {
        code = jsonl_run(input, keep_going, classify_line, model);
    }
    model_close(model);
    return code;
}

const struct verb verb_classify = {
    .name = "classify",
    .summary = "Logits of an encoder's classification head (JSON Lines)",
    .help = "usage: weir classify --model M [options] < questions.jsonl > answers.jsonl\n"
            "\n"
            "Reads one JSON object a line, {\"id\", \"text\"}, {\"id\", \"text\", \"pair\"} or {\"id\", \"ids\": [token ids], \"token_type_ids\"?},\n"
            "and prints {\"id\", \"logits\", \"labels\"} for each, in order. labels are the model's names for the logits, in their order.\n"
            "Of a sequence classifier logits is one list; of a token classifier it is a list of lists, one a token.\n"
            "\n"
            "  --model M               Hugging Face directory or GGUF file; default: the pulled encoder (which has no head)\n"
            "  --precision exact|fast  f32 arithmetic, or the fastest kernels (default fast)\n"
            "  --threads N             default: one per core\n"
            "  --input FILE            instead of standard input\n"
            "  --keep-going            a bad line is answered with {\"id\", \"error\"} and the next one is read\n",
    .run = classify_run,
};
