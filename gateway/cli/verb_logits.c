/* weir logits: what a generating model computes, position by position, into a file that other programs read. */
#include "cli/cli.h"
#include "cli/model_options.h"
#include "weir_runtime.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

struct logits {
    struct model *model;
    FILE *out;
    const char *path;
    int64_t n_rows; /* Written so far. */
};

extern const struct verb verb_logits;

/* Every machine this builds for is little-endian, as the file is. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");

static int write_row(void *user, size_t position, const float *row)
{
    struct logits *logits = user;
    size_t n = (size_t)model_info_peek(logits->model)->n_vocab;
    return fwrite(row, sizeof *row, n, logits->out) == n ? 0 : WEIR_E_IO;
}

/* Takes back what a failed line has written, so that the file holds whole answers only. */
static int take_back(struct logits *logits, struct error *err)
{
    int64_t bytes = logits->n_rows * model_info_peek(logits->model)->n_vocab * (int64_t)sizeof(float);
    if (fflush(logits->out) != 0 || ftruncate(fileno(logits->out), bytes) < 0 || fseek(logits->out, bytes, SEEK_SET) < 0)
        return error_set(err, WEIR_E_IO, logits->path, "%s", strerror(errno));
    return 0;
}

static int logits_line(void *user, const json_t *line, struct buffer *out, struct error *err)
{
    struct logits *logits = user;
    int32_t *ids;
    size_t n;
    int status = jsonl_ids(line, "ids", &ids, &n, err);
    if (status < 0)
        return status;
    status = model_logits(logits->model, ids, n, write_row, logits, err);
    free(ids);
    if (status == WEIR_E_IO)
        error_set(err, status, logits->path, "%s", strerror(errno));
    if (status < 0) {
        struct error second;
        return take_back(logits, &second) < 0 && err == NULL ? second.status : status;
    }
    jsonl_begin(line, out);
    jsonl_name(out, "row");
    buffer_printf(out, "%lld", (long long)logits->n_rows);
    jsonl_name(out, "rows");
    buffer_printf(out, "%zu", n);
    jsonl_name(out, "vocab");
    buffer_printf(out, "%d}", model_info_peek(logits->model)->n_vocab);
    logits->n_rows += (int64_t)n;
    return 0;
}

static int run(int argc, char **argv)
{
    struct error err = {0};
    struct model_options options = {0};
    const char *model = NULL, *out = NULL, *adapter = NULL, *precision = "fast", *in = NULL;
    int64_t threads = 0;
    bool keep_going = false;
    const struct cli_option table[] = {
        {.name = "model", .text = &model},         {.name = "out", .text = &out, .required = true}, {.name = "adapter", .text = &adapter},
        {.name = "precision", .text = &precision}, CLI_THREADS(threads),         {.name = "input", .text = &in},
        {.name = "keep-going", .flag = &keep_going}, {0},
    };
    int parsed = cli_parse(&verb_logits, argc, argv, table, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    char path[PATH_MAX];
    options.n_threads = (int)threads;
    options.adapter = adapter;
    if (cli_precision(precision, &options.precision, &err) < 0 || cli_chat_model(model, path, sizeof path, &err) < 0)
        return cli_fail("logits", &err);
    struct logits logits = {.path = out};
    if (model_open(&logits.model, path, &options, &err) < 0)
        return cli_fail("logits", &err);
    logits.out = fopen(out, "wbe");
    if (logits.out == NULL) {
        error_set(&err, WEIR_E_IO, out, "%s", strerror(errno));
        model_close(logits.model);
        return cli_fail("logits", &err);
    }
    int code = jsonl_run(in, keep_going, logits_line, &logits);
    if (fclose(logits.out) != 0) {
        error_set(&err, WEIR_E_IO, out, "%s", strerror(errno));
        code = cli_fail("logits", &err);
    }
    model_close(logits.model);
    return code;
}

const struct verb verb_logits = {
    .name = "logits",
    .summary = "write a model's logits for token ids",
    .help = "usage: weir logits [--model M] --out F [--adapter A] [--precision exact|fast] [--threads N] [--input FILE] [--keep-going]\n\n"
            "Reads JSON Lines {\"id\", \"ids\": [token ids]} and writes the logits of every position, from an empty cache, to F: rows of\n"
            "vocabulary-many float32, little-endian, one row a position, in the order of the lines. Answers {\"id\", \"row\", \"rows\", \"vocab\"}:\n"
            "where the line's rows begin in F, and how many there are.\n\n"
            "  --model M        a GGUF file or a Hugging Face directory (default: the pulled answering model)\n"
            "  --out F          the file of logits, replaced\n"
            "  --adapter A      a LoRA adapter: a PEFT directory or a GGUF file\n"
            "  --precision P    exact: f32 arithmetic on the file's own weights, f32 cache; fast (default): the fastest kernels\n"
            "  --threads N      threads (default: one per core)\n"
            "  --input FILE     read lines from FILE instead of standard input\n"
            "  --keep-going     answer a bad line with {\"id\", \"error\"} and go on\n\n"
            "  echo '{\"id\": 1, \"ids\": [504, 3575, 282]}' | weir logits --out logits.f32 --precision exact\n",
    .run = run,
};
