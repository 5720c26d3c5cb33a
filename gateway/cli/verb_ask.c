/* weir ask: one question, one answer. */
#include "cli/cli.h"
#include "cli/talk.h"

#include <stdio.h>
#include <unistd.h>

enum { QUESTION_BYTES = 8 << 20 };

static const char help[] =
    "usage: weir ask \"question\" [--config weir.yaml] [--url http://127.0.0.1:8080] [--model auto]\n"
    "       weir ask < question.txt\n\n"
    "Puts one question and prints the answer as it comes. A running gateway answers (the configuration's loopback address,\n"
    "or --url); when none runs, the local model does, in this process.\n\n"
    "  --config FILE     the configuration\n"
    "  --url URL         of a gateway; its key is taken from the environment variable WEIR_API_KEY\n"
    "  --ca-file FILE    authorities to trust for an https:// URL, in place of the system's\n"
    "  --model NAME      auto, auto:<max-regret>, local, remote/<provider>/<model> … [auto]\n"
    "  --system TEXT     a system message before the question\n"
    "  --max-tokens N    at most so many tokens\n\n"
    "Exit codes: 0 answered, 1 not answered (stderr says why), 2 wrong usage.\n";

/* The question: the argument, or all of standard input. */
static int read_question(const char *argument, struct buffer *out, struct error *err)
{
    char chunk[65536];
    if (argument != NULL && strcmp(argument, "-") != 0) {
        buffer_append_text(out, argument);
    } else {
        for (size_t n; (n = fread(chunk, 1, sizeof chunk, stdin)) > 0;)
            buffer_append(out, chunk, n);
    }
    if (out->failed)
        return error_set(err, WEIR_E_LIMIT, "question", "is larger than 8 MiB");
    str text = str_trim(buffer_str(out));
    if (text.n == 0)
        return error_set(err, WEIR_E_INVALID, "question", "is empty");
    return utf8_first_invalid(text) < 0 ? 0 : error_set(err, WEIR_E_INVALID, "question", "is not valid UTF-8");
}

static int ask(const struct talk_options *options, const char *system, str question, struct error *err)
{
    struct talker talker;
    struct buffer answer;
    int status = talker_open(&talker, options, err);
    if (status < 0)
        return status;
    json_t *messages = json_array();
    if (system != NULL)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", system));
    json_array_append_new(messages, json_pack("{s:s, s:s%}", "role", "user", "content", question.data, question.n));
    buffer_init(&answer, 64 << 20);
    status = talker_ask(&talker, messages, &answer, err);
    buffer_release(&answer);
    json_decref(messages);
    talker_close(&talker);
    return status;
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_ask;
    struct talk_options talk = {.model = "auto"};
    const char *system = NULL;
    int64_t max_tokens = 0;
    int n = 0;
    const struct cli_option options[] = {{.name = "config", .text = &talk.config}, {.name = "url", .text = &talk.url},
                                         {.name = "ca-file", .text = &talk.ca_file}, {.name = "model", .text = &talk.model, .words = true},
                                         {.name = "system", .text = &system, .words = true}, {.name = "max-tokens", .number = &max_tokens, .most = INT32_MAX}, {0}};
    int parsed = cli_parse(&verb_ask, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (n > 1 || (n == 0 && isatty(STDIN_FILENO))) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    talk.max_tokens = (int)max_tokens;
    struct error err = {0};
    struct buffer question;
    buffer_init(&question, QUESTION_BYTES);
    int status = read_question(n == 1 ? argv[1] : NULL, &question, &err);
    if (status == 0)
        status = ask(&talk, system, str_trim(buffer_str(&question)), &err);
    buffer_release(&question);
    return status < 0 ? cli_fail("ask", &err) : EXIT_DONE;
}

const struct verb verb_ask = {.name = "ask", .summary = "put one question", .help = help, .run = run};
