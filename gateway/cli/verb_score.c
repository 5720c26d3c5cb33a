/* weir score: JSON Lines of texts or message lists to what the head thinks of them. */
#include "cli/encoder_line.h"
#include "weir_classifier.h"

#include <math.h>
#include <stdio.h>

extern const struct verb verb_score;

struct scoring {
    struct scorer *scorer;
    const struct score_limits *limits; /* NULL: any threshold is possible. */
    struct arena arena;
};

static int score_line(void *user, const json_t *line, struct buffer *out, struct error *err)
{
    struct scoring *scoring = user;
    struct score score;
    struct answer local_answer;
    json_t *messages;
    str text = {NULL, 0};
    int has_messages = json_member_array(line, "messages", &messages, err);
    if (has_messages < 0 || json_member_str(line, "text", &text, err) < 0)
        return WEIR_E_INVALID;
    if (has_messages == 0 && text.data == NULL)
        return error_set(err, WEIR_E_INVALID, "text", "a line needs \"text\" or \"messages\"");
    arena_init(&scoring->arena, 0);
    int status = has_messages == 1 ? scorer_score_messages_within(scoring->scorer, messages, scoring->limits, &scoring->arena, &score, err)
                                   : scorer_score_text_within(scoring->scorer, text, scoring->limits, &scoring->arena, &score, err);
    if (status == 0 && text.data != NULL && (status = answer_read(line, &local_answer, err)) == 1)
        status = scorer_score_answer(scoring->scorer, text, &local_answer, &score, err);
    if (status == 0) {
        json_t *answer = score_json(&score);
        const char *name;
        json_t *value;
        jsonl_begin(line, out);
        json_object_foreach(answer, name, value)
        {
            jsonl_name(out, name);
            if (json_is_real(value))
                jsonl_float(out, (float)json_real_value(value));
            else
                json_write(value, out);
        }
        buffer_append_char(out, '}');
        json_decref(answer);
    }
    arena_release(&scoring->arena);
    return status;
}

static int score_run(int argc, char **argv)
{
    const char *head_path = NULL, *encoder_path = NULL, *precision = "fast", *input = NULL;
    char shipped[4096];
    int64_t threads = 0;
    double max_regret = NAN; /* Not given. */
    struct score_limits limits;
    bool keep_going = false, no_encoder = false;
    struct error err;
    const struct cli_option options[] = {
        {"head", .text = &head_path},  {"encoder", .text = &encoder_path},    {"precision", .text = &precision}, CLI_THREADS(threads),
        {"input", .text = &input},     {"keep-going", .flag = &keep_going},   {"no-encoder", .flag = &no_encoder},
        {"max-regret", .real = &max_regret, .least = 0, .most = 1}, {0},
    };
    int status = cli_parse(&verb_score, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    struct head *head = NULL;
    struct model *encoder = NULL;
    struct scoring scoring = {0};
    int code = EXIT_FAILED;
    if (head_path == NULL) {
        if (share_path("classifier/heads/default.head", shipped, sizeof shipped, &err) < 0)
            return cli_fail("score", &err);
        head_path = shipped;
    }
    status = head_open(&head, head_path, &err);
    limits.low = limits.high = status == 0 && !isnan(max_regret) ? head_threshold(head, max_regret) : 0;
    scoring.limits = max_regret >= 0 ? &limits : NULL;
    if (status < 0 || (!no_encoder && encoder_line_open(encoder_path, precision, threads, &encoder, &err) < 0) ||
        scorer_new(&scoring.scorer, head, encoder, &err) < 0)
        code = cli_fail("score", &err);
    else
        code = jsonl_run(input, keep_going, score_line, &scoring);
    scorer_free(scoring.scorer);
    model_close(encoder);
    head_close(head);
    return code;
}

const struct verb verb_score = {
    .name = "score",
    .summary = "What the classifier thinks of texts or conversations (JSON Lines)",
    .help = "usage: weir score [--head H] [options] < questions.jsonl > answers.jsonl\n"
            "\n"
            "Reads one JSON object a line, {\"id\", \"text\"} or {\"id\", \"messages\": an OpenAI message list}, and prints for each\n"
            "{\"id\", \"p_local\", \"p_remote\", \"gain\", \"domain\", \"domain_p\", \"oos\", \"output_tokens\", \"tier\", \"us\"}, in order: the\n"
            "probabilities that the local and the remote model answer well, what escalating is expected to add (the number\n"
            "routed on), the likeliest domain and its probability, the probability of being out of scope, the tokens a remote\n"
            "answer is expected to take, the tier that decided (rules, features, static or encoder) and the microseconds it took. What the head was not trained for is null. Of messages the last human turn is\n"
            "scored, with what it leans on. A line with a text may have the local answer too, as `weir train` takes it; p_local and\n"
            "gain are then what they are once it is read, and the tier is \"answer\".\n"
            "\n"
            "  --max-regret R          the next tier runs only where it could change the route of a gateway with this max_regret;\n"
            "                          without it as if any threshold were possible\n"
            "  --head H                head file of `weir train`; default: the shipped one\n"
            "  --encoder M             Hugging Face directory or GGUF file; default: the pulled encoder\n"
            "  --no-encoder            features only\n"
            "  --precision exact|fast  of the encoder (default fast)\n"
            "  --threads N             of the encoder; default: one per core\n"
            "  --input FILE            instead of standard input\n"
            "  --keep-going            a bad line is answered with {\"id\", \"error\"} and the next one is read\n"
            "\n"
            "Example: echo '{\"id\": 1, \"text\": \"What is the capital of France?\"}' | weir score\n",
    .run = score_run,
};
