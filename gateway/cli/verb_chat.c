/* weir chat: a conversation in the terminal. */
#include "cli/cli.h"
#include "cli/talk.h"

#include <stdio.h>
#include <unistd.h>

enum { LINE_BYTES = 1 << 20 };

static const char help[] =
    "usage: weir chat [--config weir.yaml] [--url http://127.0.0.1:8080] [--model auto] [--system TEXT]\n\n"
    "A conversation, one line a turn. A running gateway answers (the configuration's loopback address, or --url); when none\n"
    "runs, the local model does, in this process.\n\n"
    "  /new    forgets what was said\n"
    "  /quit   ends, as Ctrl-D does\n\n"
    "  --config FILE     the configuration\n"
    "  --url URL         of a gateway; its key is taken from the environment variable WEIR_API_KEY\n"
    "  --ca-file FILE    authorities to trust for an https:// URL, in place of the system's\n"
    "  --model NAME      auto, auto:<max-regret>, local, remote/<provider>/<model> … [auto]\n"
    "  --system TEXT     a system message before the first turn\n"
    "  --max-tokens N    at most so many tokens an answer\n";

static json_t *new_conversation(const char *system)
{
    json_t *messages = json_array();
    if (system != NULL)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", system));
    return messages;
}

static void append(json_t *messages, const char *role, str text)
{
    json_array_append_new(messages, json_pack("{s:s, s:s%}", "role", role, "content", text.n > 0 ? text.data : "", text.n));
}

/* One turn. A question that fails is forgotten, so that the next one can do better. */
static void turn(struct talker *talker, json_t *messages, str text)
{
    struct error err = {0};
    struct buffer answer;
    buffer_init(&answer, 64 << 20);
    append(messages, "user", text);
    if (talker_ask(talker, messages, &answer, &err) == 0 && utf8_first_invalid(buffer_str(&answer)) < 0)
        append(messages, "assistant", buffer_str(&answer));
    else
        json_array_remove(messages, json_array_size(messages) - 1);
    if (err.status < 0)
        (void)cli_fail("chat", &err);
    buffer_release(&answer);
}

static void converse(struct talker *talker, const char *system)
{
    static char line[LINE_BYTES];
    json_t *messages = new_conversation(system);
    bool terminal = isatty(STDIN_FILENO);
    for (;;) {
        if (terminal)
            fputs("> ", stderr);
        if (fgets(line, sizeof line, stdin) == NULL)
            break;
        str text = str_trim(str_of(line));
        if (text.n == sizeof line - 1 || utf8_first_invalid(text) >= 0) {
            fputs("weir chat: a turn is one line of at most 1 MiB of UTF-8\n", stderr);
        } else if (str_equal(text, STR("/quit"))) {
            break;
        } else if (str_equal(text, STR("/new"))) {
            json_decref(messages);
            messages = new_conversation(system);
        } else if (text.n > 0) {
            turn(talker, messages, text);
        }
    }
    if (terminal)
        fputc('\n', stderr);
    json_decref(messages);
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_chat;
    struct talk_options talk = {.model = "auto"};
    const char *system = NULL;
    int64_t max_tokens = 0;
    const struct cli_option options[] = {{.name = "config", .text = &talk.config}, {.name = "url", .text = &talk.url},
                                         {.name = "ca-file", .text = &talk.ca_file}, {.name = "model", .text = &talk.model, .words = true},
                                         {.name = "system", .text = &system, .words = true}, {.name = "max-tokens", .number = &max_tokens, .most = INT32_MAX}, {0}};
    int parsed = cli_parse(&verb_chat, argc, argv, options, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    talk.max_tokens = (int)max_tokens;
    struct error err = {0};
    struct talker talker;
    if (talker_open(&talker, &talk, &err) < 0)
        return cli_fail("chat", &err);
    converse(&talker, system);
    talker_close(&talker);
    return EXIT_DONE;
}

const struct verb verb_chat = {.name = "chat", .summary = "a conversation in the terminal", .help = help, .run = run};
