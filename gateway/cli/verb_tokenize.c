/* weir tokenize: texts to token ids, one JSON object a line. */
#include "cli/cli.h"
#include "weir_runtime.h"

static int run(int argc, char **argv);

const struct verb verb_tokenize = {
    .name = "tokenize",
    .summary = "turn texts into token ids",
    .help = "usage: weir tokenize --model M [--special] [--bare] [--keep-going] [FILE]\n\n"
            "Reads JSON Lines {\"id\",\"text\"} from FILE or standard input and prints {\"id\",\"ids\"}, one line each, in order.\n"
            "BOS/EOS or [CLS]/[SEP] stand around the ids as the model's file says.\n\n"
            "  --model M       a GGUF file (one with a vocabulary only will do) or a Hugging Face directory\n"
            "  --bare          no BOS/EOS, no [CLS]/[SEP]\n"
            "  --special       text spelled like a special token becomes that token; otherwise it is plain text\n"
            "  --keep-going    answer a bad line with {\"id\",\"error\"} and go on\n\n"
            "  echo '{\"id\":1,\"text\":\"Hello world\"}' | weir tokenize --model model.gguf\n",
    .run = run,
};

struct job {
    const struct tokenizer *tokenizer;
    unsigned flags;
    struct ids ids;
};

static int tokenize_line(void *user, const json_t *line, struct buffer *out, struct error *err)
{
    struct job *job = user;
    str text;
    int status = json_member_str(line, "text", &text, err);
    if (status < 0)
        return status;
    if (status == 0)
        return error_set(err, WEIR_E_INVALID, "text", "is required");
    job->ids.n = 0;
    if ((status = tokenizer_encode(job->tokenizer, text, job->flags, &job->ids, err)) < 0)
        return status;
    jsonl_begin(line, out);
    jsonl_name(out, "ids");
    buffer_append_char(out, '[');
    for (size_t i = 0; i < job->ids.n; i++)
        buffer_printf(out, i == 0 ? "%d" : ",%d", (int)job->ids.data[i]);
    buffer_append_text(out, "]}");
    return 0;
}

static int run(int argc, char **argv)
{
    const char *path = NULL;
    bool special = false, bare = false, keep_going = false;
    int n_positional = 0;
    const struct cli_option options[] = {{.name = "model", .text = &path, .required = true},
                                         {.name = "special", .flag = &special},
                                         {.name = "bare", .flag = &bare},
                                         {.name = "keep-going", .flag = &keep_going},
                                         {0}};
    int status = cli_parse(&verb_tokenize, argc, argv, options, &n_positional);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct error err = {0};
    struct model *model;
    const struct model_options model_options = {.vocabulary_only = true};
    if (model_open(&model, path, &model_options, &err) < 0)
        return cli_fail("tokenize", &err);
    struct job job = {.tokenizer = model_tokenizer_peek(model),
                      .flags = (special ? TOKENIZE_SPECIAL : 0) | (bare ? TOKENIZE_BARE : 0)};
    int code;
    if (job.tokenizer == NULL) {
        error_set(&err, WEIR_E_NOT_FOUND, path, "the model has no vocabulary");
        code = cli_fail("tokenize", &err);
    } else {
        code = jsonl_run(n_positional > 0 ? argv[1] : NULL, keep_going, tokenize_line, &job);
    }
    ids_release(&job.ids);
    model_close(model);
    return code;
}
