/* weir embed: JSON Lines of texts or token ids to embeddings, or to every token's last hidden state. */
#include "cli/encoder_line.h"

extern const struct verb verb_embed;

struct embed {
    struct model *model;
    bool tokens;
};

static void answer(const struct embed *embed, const json_t *line, const float *values, size_t n_rows, struct buffer *out)
{
    size_t width = (size_t)model_info_peek(embed->model)->n_embd;
    jsonl_begin(line, out);
    jsonl_name(out, embed->tokens ? "tokens" : "embedding");
    if (embed->tokens)
        buffer_append_char(out, '[');
    for (size_t row = 0; row < n_rows; row++) {
        if (row > 0)
            buffer_append_char(out, ',');
        encoder_line_floats(out, values + row * width, width);
    }
    buffer_append_text(out, embed->tokens ? "]}" : "}");
}

static int embed_line(void *user, const json_t *line, struct buffer *out, struct error *err)
{
    const struct embed *embed = user;
    struct encoder_line question;
    float *values = NULL;
    int status = encoder_line_read(embed->model, line, &question, err);
    if (status < 0)
        goto done;
    struct encoder_input input = encoder_line_input(&question);
    size_t n_rows = embed->tokens ? input.n : 1;
    values = calloc(n_rows > 0 ? n_rows : 1, (size_t)model_info_peek(embed->model)->n_embd * sizeof *values);
    if (values == NULL)
        status = error_set(err, WEIR_E_MEMORY, "", "no memory for %zu rows", n_rows);
    else if (embed->tokens)
        status = model_hidden(embed->model, &input, values, err);
    else
        status = model_embed(embed->model, &input, 1, values, err);
    if (status == 0)
        answer(embed, line, values, n_rows, out);
done:
    free(values);
    encoder_line_release(&question);
    return status;
}

static int embed_run(int argc, char **argv)
{
    const char *path = NULL, *precision = "fast", *input = NULL;
    int64_t threads = 0;
    bool keep_going = false;
    struct embed embed = {0};
    struct error err;
    const struct cli_option options[] = {
        {"model", .text = &path},      {"precision", .text = &precision}, CLI_THREADS(threads), {"tokens", .flag = &embed.tokens},
        {"input", .text = &input},     {"keep-going", .flag = &keep_going}, {0},
    };
    int status = cli_parse(&verb_embed, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    if (encoder_line_open(path, precision, threads, &embed.model, &err) < 0)
        return cli_fail("embed", &err);
    int code = jsonl_run(input, keep_going, embed_line, &embed);
    model_close(embed.model);
    return code;
}

const struct verb verb_embed = {
    .name = "embed",
    .summary = "Embeddings of texts by an encoder (JSON Lines)",
    .help = "usage: weir embed [--model M] [options] < questions.jsonl > answers.jsonl\n"
            "\n"
            "Reads one JSON object a line, {\"id\", \"text\"} or {\"id\", \"ids\": [token ids], \"token_type_ids\"?}, and prints\n"
            "{\"id\", \"embedding\": [numbers]} for each, in order: pooled and normalised as the model's files say. A text longer than\n"
            "the model takes is cut; token ids that are too many are an error.\n"
            "\n"
            "  --model M               Hugging Face directory or GGUF file; default: the pulled encoder\n"
            "  --tokens                {\"id\", \"tokens\": [[numbers], ...]}: every token's last hidden state instead\n"
            "  --precision exact|fast  f32 arithmetic, or the fastest kernels (default fast)\n"
            "  --threads N             default: one per core\n"
            "  --input FILE            instead of standard input\n"
            "  --keep-going            a bad line is answered with {\"id\", \"error\"} and the next one is read\n"
            "\n"
            "Example: echo '{\"id\": 1, \"text\": \"hello\"}' | weir embed\n",
    .run = embed_run,
};
