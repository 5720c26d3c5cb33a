/* weir generate: JSON Lines of prompts to answers of the local model, several side by side, in order. */
#include "api/answer_shape.h"
#include "cli/generation.h"
#include "cli/line_sampling.h"
#include "cli/model_options.h"

/* Lines ahead of the answer that is printed next, for each session: its neighbours find work for as long as it is eight times longer. */
enum { MOST_SESSIONS = 64, LINES_A_SESSION = 8 };

struct generate {
    struct model *model;
    struct generations generations;
    struct sampling sampling;  /* From the command line; a line's own members win. */
    const char *stop;
    bool train_lines;
};

extern const struct verb verb_generate;

static const char *const reasons[] = {[FINISH_NONE] = "none", [FINISH_STOP] = "stop", [FINISH_LENGTH] = "length",
                                      [FINISH_CANCELLED] = "cancelled", [FINISH_ERROR] = "error"};

static int line_prompt(const struct generate *generate, const json_t *line, struct ids *prompt, struct error *err)
{
    json_t *messages;
    str text;
    if (generate->train_lines) {
        if (json_member_str(line, "text", &text, err) != 1)
            return error_set(err, WEIR_E_INVALID, "text", "is required: the question");
        messages = json_pack("[{s:s, s:s%}]", "role", "user", "content", text.data, text.n);
        int done = messages != NULL ? model_chat_ids(generate->model, messages, NULL, prompt, err) : error_set(err, WEIR_E_MEMORY, "text", "out of memory");
        json_decref(messages);
        return done;
    }
    int status = json_member_array(line, "messages", &messages, err);
    if (status < 0)
        return status;
    if (status == 1 && json_array_size(messages) == 0)
        return error_set(err, WEIR_E_INVALID, "messages", "is empty: there is nothing to answer");
    if (status == 1) {
        status = model_chat_ids(generate->model, messages, json_object_get(line, "tools"), prompt, err);
        return status < 0 && err->where[0] == '\0' ? error_prefix(err, "messages") : status; /* The template's own word. */
    }
    return jsonl_ids(line, "ids", &prompt->data, &prompt->n, err);
}

static int generate_begin(void *user, int index, const json_t *line, struct error *err)
{
    struct generate *generate = user;
    struct generation *one = generations_place(&generate->generations, index);
    const char *field;
    one->sampling = generate->sampling;
    if (generate->stop != NULL) {
        one->stops[0] = str_of(generate->stop);
        one->sampling.stops = one->stops;
        one->sampling.n_stops = 1;
    }
    int status = line_sampling(line, &one->sampling, one->stops, err);
    if (status == 0)
        status = answer_shape_parse(line, &one->grammar, &field, err);
    if (one->grammar != NULL)
        one->sampling.grammar = one->grammar;
    if (status == 0)
        status = line_prompt(generate, line, &one->prompt, err);
    if (status == 0)
        generations_add(&generate->generations, one);
    else
        generation_clear(&generate->generations, one);
    return status;
}

static bool generate_ready(void *user, int index)
{
    struct generate *generate = user;
    generations_advance(&generate->generations);
    return generate->generations.places[index].state == GENERATION_DONE;
}

static void print_answer(const struct generate *generate, const json_t *line, const struct generation *one, struct buffer *out)
{
    jsonl_begin(line, out);
    jsonl_name(out, "ids");
    buffer_append_char(out, '[');
    for (size_t i = 0; i < one->ids.n; i++)
        buffer_printf(out, "%s%d", i > 0 ? "," : "", one->ids.data[i]);
    buffer_append_char(out, ']');
    jsonl_name(out, "text");
    buffer_append_json_string(out, buffer_str(&one->text));
    jsonl_name(out, "finish_reason");
    buffer_append_json_string(out, str_of(reasons[one->reason]));
    if (generate->sampling.logprobs) {
        jsonl_name(out, "logprobs");
        buffer_printf(out, "[" STR_FMT "]", STR_ARG(buffer_str(&one->logprobs)));
    }
    if (one->usage.dropped_tokens > 0) {
        jsonl_name(out, "dropped_tokens");
        buffer_printf(out, "%d", one->usage.dropped_tokens);
    }
    buffer_append_char(out, '}');
}

static int generate_finish(void *user, int index, const json_t *line, struct buffer *out, struct error *err)
{
    struct generate *generate = user;
    struct generation *one = &generate->generations.places[index];
    int status = one->status;
    if (status < 0) {
        *err = one->err;
    } else if (generate->train_lines) {
        struct train_line answer = {.text = buffer_str(&one->text), .confidence = one->confidence, .self_check = one->self_check, .probe = one->probe};
        train_line_print(line, &answer, out);
    } else {
        print_answer(generate, line, one, out);
    }
    generation_clear(&generate->generations, one);
    return status;
}

static void generate_drop(void *user, int index)
{
    struct generate *generate = user;
    generation_clear(&generate->generations, &generate->generations.places[index]);
}

static void print_stats(struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    fprintf(stderr, "steps %lld, prompt tokens %lld (%lld cached), generated %lld, guessed %lld, accepted %lld, context shifts %lld, kv %zu of %zu bytes\n",
            (long long)stats.n_steps, (long long)stats.n_prompt_tokens, (long long)stats.n_cached_tokens, (long long)stats.n_generated_tokens,
            (long long)stats.n_drafted_tokens, (long long)stats.n_accepted_tokens, (long long)stats.n_context_shifts, stats.kv_used_bytes,
            stats.kv_budget_bytes);
}

/* The command line's grammar: a file of GBNF, or of a JSON Schema. */
static int load_grammar(const char *gbnf, const char *schema, struct grammar **out, struct error *err)
{
    const char *path = gbnf != NULL ? gbnf : schema;
    struct buffer text;
    if (path == NULL)
        return 0;
    if (gbnf != NULL && schema != NULL)
        return error_set(err, WEIR_E_INVALID, "--grammar", "stands beside --json-schema");
    buffer_init(&text, 4 << 20);
    int status = file_read(path, &text, err);
    if (status == 0 && gbnf != NULL) {
        status = grammar_of_gbnf(out, str_after_mark(buffer_str(&text)), err);
    } else if (status == 0) {
        json_t *document = json_parse(str_after_mark(buffer_str(&text)), err);
        status = document != NULL ? grammar_of_schema(out, document, err) : err->status;
        json_decref(document);
    }
    buffer_release(&text);
    return status < 0 && strcmp(err->where, path) != 0 ? error_prefix(err, path) : status;
}

static int generate_run(int argc, char **argv)
{
    const char *model_path = NULL, *precision = "fast", *input = NULL, *adapter = NULL, *stop = NULL;
    const char *kv = NULL, *kv_budget = NULL, *speculate = NULL, *adapters = NULL, *use = NULL, *gbnf = NULL, *schema = NULL;
    double temperature = 0, top_p = 0, min_p = 0, repetition = 0, presence = 0, frequency = 0;
    int64_t keep = 0, top_k = 0, max_tokens = 256, seed = -1, threads = 0, sessions = 16;
    bool keep_going = false, ignore_eos = false, shift = false, stats = false, logprobs = false, train_lines = false, probes = false, self_checks = false;
    const struct cli_option options[] = {
        {"model", .text = &model_path},
        {"adapter", .text = &adapter},
        {"adapters", .text = &adapters},
        {"use-adapter", .text = &use},
        {"kv", .text = &kv},
        {"kv-budget", .text = &kv_budget},
        {"speculate", .text = &speculate},
        {"context-shift", .flag = &shift},
        {"keep", .number = &keep, .most = INT32_MAX},
        {"logprobs", .flag = &logprobs},
        {"train-lines", .flag = &train_lines},
        {"probe", .flag = &probes},
        {"self-check", .flag = &self_checks},
        {"stats", .flag = &stats},
        {"precision", .text = &precision},
        CLI_THREADS(threads),
        {"max-tokens", .number = &max_tokens, .least = -1, .most = INT32_MAX},
        {"temperature", .real = &temperature, .most = 1e6},
        {"top-k", .number = &top_k, .most = 1e9},
        {"top-p", .real = &top_p, .most = 1},
        {"min-p", .real = &min_p, .most = 1},
        {"repetition-penalty", .real = &repetition, .most = 100},
        {"presence-penalty", .real = &presence, .least = -100, .most = 100},
        {"frequency-penalty", .real = &frequency, .least = -100, .most = 100},
        {"seed", .number = &seed, CLI_ANY},
        {"stop", .text = &stop},
        {"ignore-eos", .flag = &ignore_eos},
        {"sessions", .number = &sessions, .least = 1, .most = MOST_SESSIONS},
        {"grammar", .text = &gbnf},
        {"json-schema", .text = &schema},
        {"input", .text = &input},
        {"keep-going", .flag = &keep_going},
        {0},
    };
    int status = cli_parse(&verb_generate, argc, argv, options, NULL);
    if (status != 0)
        return status > 0 ? EXIT_DONE : EXIT_USAGE;
    if (max_tokens == 0) {
        fprintf(stderr, "weir generate: --max-tokens: at least 1, or -1: as far as the context goes\n");
        return EXIT_USAGE;
    }
    if ((probes || self_checks) && !train_lines) {
        fprintf(stderr, "weir generate: --probe and --self-check belong to --train-lines\n");
        return EXIT_USAGE;
    }
    struct error err;
    struct generate generate = {.stop = stop, .train_lines = train_lines};
    struct grammar *grammar = NULL; /* Of the command line. */
    struct engine *engine = NULL;
    struct model_options model_options = {.adapter = adapter, .n_threads = (int)threads};
    struct engine_options engine_options = {0};
    char path[4096];
    if (cli_precision(precision, &model_options.precision, &err) < 0 || cli_kv(kv, kv_budget, &model_options, &err) < 0 || cli_chat_model(model_path, path, sizeof path, &err) < 0)
        return cli_fail("generate", &err);
    if (load_grammar(gbnf, schema, &grammar, &err) < 0)
        return cli_fail("generate", &err);
    generate.sampling = (struct sampling){
        .temperature = (float)temperature, .top_k = (int)top_k, .top_p = (float)top_p, .min_p = (float)min_p,
        .repetition_penalty = (float)repetition, .presence_penalty = (float)presence, .frequency_penalty = (float)frequency,
        .seeded = seed >= 0, .seed = (uint64_t)seed, .max_tokens = (int)max_tokens, .ignore_end = ignore_eos,
        .context_shift = shift, .n_keep = (int)keep, .adapter = use, .grammar = grammar, .logprobs = logprobs || train_lines,
        .n_confidence = train_lines ? 1000000000 : 0};
    int code = EXIT_FAILED, n_lines = (int)sessions * LINES_A_SESSION;
    if (model_open(&generate.model, path, &model_options, &err) < 0) {
        grammar_free(grammar);
        return cli_fail("generate", &err);
    }
    if (cli_adapters(generate.model, adapters, &err) < 0 || cli_speculate(speculate, &model_options, &engine_options, &err) < 0 ||
        engine_start(&engine, generate.model, &engine_options, &err) < 0) {
        code = cli_fail("generate", &err);
    } else {
        struct generations *generations = &generate.generations;
        if (generations_init(generations, engine, generate.model, n_lines, (int)sessions, &err) < 0) {
            code = cli_fail("generate", &err);
        } else {
            generations->probes = probes;
            generations->self_checks = self_checks;
            struct jsonl_verb verb = {generate_begin, generate_ready, generate_finish, generate_drop, &generate, generations->wake_fd, n_lines};
            code = jsonl_run_verb(input, keep_going, &verb);
        }
        generations_release(generations);
        if (stats)
            print_stats(engine);
        engine_stop(engine);
    }
    model_close(engine_options.draft);
    model_close(generate.model);
    grammar_free(grammar);
    return code;
}

const struct verb verb_generate = {
    .name = "generate",
    .summary = "Continue prompts with the local model (JSON Lines)",
    .help = "usage: weir generate [--model M] [options] < questions.jsonl > answers.jsonl\n"
            "\n"
            "Reads one JSON object a line: {\"id\", \"ids\": [token ids]} or {\"id\", \"messages\": [{\"role\", \"content\"}]} (through the\n"
            "model's own chat template), and prints {\"id\", \"ids\", \"text\", \"finish_reason\"} for each, in order. ids are the answer's,\n"
            "without the end token. A line may carry its own temperature, top_k, top_p, min_p, repetition_penalty,\n"
            "presence_penalty, frequency_penalty, seed, stop, max_tokens, ignore_eos, adapter, context_shift and n_keep, and one of\n"
            "response_format (OpenAI's), structured_outputs (vLLM's), json_schema and grammar, which win over the options. A shifted answer says its dropped_tokens.\n"
            "\n"
            "  --model M               GGUF file or Hugging Face directory; default: the pulled answering model\n"
            "  --adapter A             LoRA adapter merged into the weights: GGUF file or PEFT directory\n"
            "  --adapters NAME=A,…     adapters kept apart, for lines that name one\n"
            "  --use-adapter NAME      for lines that name none\n"
            "  --kv f32|f16|q8_0       the cache's form (default f32 when exact, f16 when fast)\n"
            "  --kv-budget SIZE        memory for the cache, such as 512MiB (default a quarter of the machine's, at most 2 GiB)\n"
            "  --speculate S           lookup (default: guesses from the text so far), off, or the path of a draft model; answers stay the same\n"
            "  --context-shift         at the end of the context drops the older half of what follows the first --keep N tokens\n"
            "  --train-lines           reads {\"id\", \"text\": a question, and what `weir train` takes} and prints that line with \"answer\": the\n"
            "                          model's text, its tokens' log-probabilities, entropy and margin. Once a check of yours has put in whether it\n"
            "                          is right (\"scores\" or \"label\"), `weir train` learns from it to tell a weak answer: for the cascade, with\n"
            "                          --max-tokens as its hold_tokens\n"
            "  --self-check            with --train-lines: the model's own probability that its answer is right, \"self_check\"\n"
            "  --probe                 with --train-lines: the same of its being able to answer, asked before, \"probe\"\n"
            "  --logprobs              each answer with the natural logarithm of its tokens' probabilities\n"
            "  --stats                 what the engine did, to standard error\n"
            "  --precision exact|fast  f32 arithmetic, or the fastest kernels (default fast)\n"
            "  --threads N             default: one per core\n"
            "  --max-tokens N          at most so many tokens (default 256; -1: as far as the context goes)\n"
            "  --temperature T         0 is greedy (default 0)\n"
            "  --top-k K --top-p P --min-p P\n"
            "  --repetition-penalty R --presence-penalty P --frequency-penalty F\n"
            "  --seed N                makes a drawn answer reproducible\n"
            "  --stop TEXT             the answer ends before TEXT\n"
            "  --ignore-eos            goes on past end tokens\n"
            "  --json-schema FILE      every answer is JSON of this schema\n"
            "  --grammar FILE          every answer is of this grammar (GBNF)\n"
            "  --sessions N            prompts worked on side by side, at most 64 (default 16); the answers don't depend on it. They are\n"
            "                          printed in order: one that is finished waits for those before it, and up to 8 N lines are read ahead\n"
            "  --input FILE            instead of standard input\n"
            "  --keep-going            a bad line is answered with {\"id\", \"error\"} and the next one is read\n",
    .run = generate_run,
};
