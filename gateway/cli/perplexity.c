/* weir eval perplexity, and what other verbs show of a perplexity. */
#include "cli/perplexity.h"
#include "cli/model_options.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

static const size_t MOST_TEXT_BYTES = 16 << 20;

int cli_read_text(const char *path, struct buffer *text, struct error *err)
{
    buffer_init(text, MOST_TEXT_BYTES);
    return file_read(path, text, err);
}

int cli_perplexity(const char *path, const struct model_options *options, const char *text_path, double *perplexity, size_t *n_tokens,
                   struct error *err)
{
    struct model *model = NULL;
    struct buffer text;
    int status = cli_read_text(text_path, &text, err);
    if (status == 0)
        status = model_open(&model, path, options, err);
    if (status == 0)
        status = model_perplexity(model, buffer_str(&text), perplexity, n_tokens, err);
    if (status == WEIR_E_INVALID && err != NULL && strcmp(err->where, "text") == 0)
        status = error_set(err, WEIR_E_INVALID, text_path, "has fewer than two tokens");
    model_close(model);
    buffer_release(&text);
    return status;
}

int cli_perplexities(const char *before, const char *adapter, const char *after, const char *text_path, struct error *err)
{
    double old = 0, new = 0;
    size_t n_tokens = 0;
    int status = cli_perplexity(before, &(struct model_options){.precision = PRECISION_EXACT, .adapter = adapter}, text_path, &old, &n_tokens, err);
    if (status == 0)
        status = cli_perplexity(after, &(struct model_options){.precision = PRECISION_EXACT}, text_path, &new, &n_tokens, err);
    if (status == 0)
        printf("{\"tokens\": %zu, \"perplexity_before\": %.6g, \"perplexity_after\": %.6g}\n", n_tokens, old, new);
    return status;
}

int cli_report(json_t *report, const char *model, const char *out, const char *text_path, const char *check_path, struct error *err)
{
    const struct model_options exact = {.precision = PRECISION_EXACT};
    double before = json_number_value(json_object_get(report, "perplexity")), after = 0;
    size_t n_tokens = 0;
    int status = strcmp(check_path, text_path) == 0 ? 0 : cli_perplexity(model, &exact, check_path, &before, &n_tokens, err);
    if (status == 0)
        status = cli_perplexity(out, &exact, check_path, &after, &n_tokens, err);
    if (status < 0)
        return status;
    json_object_del(report, "perplexity");
    json_object_set_new(report, "tokens", json_integer((json_int_t)n_tokens));
    json_object_set_new(report, "perplexity_before", json_real(before));
    json_object_set_new(report, "perplexity_after", json_real(after));
    return cli_print_json(report, err);
}

static const struct verb verb = {
    .name = "eval perplexity",
    .help = "usage: weir eval perplexity [--model M] --text FILE [--json] [options]\n\n"
            "How well a generating model foresees a text: exp of the mean negative log-likelihood of each token given those before it, in pieces\n"
            "of at most 512 tokens, each begun with BOS where the model has one. Lower is better; equal texts and vocabularies compare.\n\n"
            "  --model M               GGUF file or Hugging Face directory; default: the pulled answering model\n"
            "  --text FILE             UTF-8 text, at most 16 MiB\n"
            "  --adapter A             a LoRA adapter: a PEFT directory or a GGUF file\n"
            "  --precision exact|fast  f32 arithmetic, or the fastest kernels, as answers are computed (default fast)\n"
            "  --threads N             default: one per core\n"
            "  --json                  {\"tokens\", \"perplexity\", \"bits_per_token\"} instead of words\n\n"
            "What a smaller format costs:\n"
            "  weir quantize --model m.F16.gguf --out m.Q4_K_M.gguf --type Q4_K_M\n"
            "  weir eval perplexity --model m.F16.gguf --text book.txt && weir eval perplexity --model m.Q4_K_M.gguf --text book.txt\n",
};

int eval_perplexity(int argc, char **argv)
{
    struct error err = {0};
    struct model_options options = {0};
    const char *model = NULL, *text = NULL, *precision = "fast";
    char path[PATH_MAX];
    int64_t threads = 0;
    bool as_json = false;
    double perplexity = 0;
    size_t n_tokens = 0;
    const struct cli_option table[] = {
        {.name = "model", .text = &model},         {.name = "text", .text = &text, .required = true}, {.name = "adapter", .text = &options.adapter},
        {.name = "precision", .text = &precision}, CLI_THREADS(threads),           {.name = "json", .flag = &as_json},
        {0},
    };
    int parsed = cli_parse(&verb, argc, argv, table, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    options.n_threads = (int)threads;
    if (cli_precision(precision, &options.precision, &err) < 0 || cli_chat_model(model, path, sizeof path, &err) < 0 ||
        cli_perplexity(path, &options, text, &perplexity, &n_tokens, &err) < 0)
        return cli_fail(verb.name, &err);
    double bits = log2(perplexity);
    if (as_json)
        printf("{\"tokens\": %zu, \"perplexity\": %.6g, \"bits_per_token\": %.6g}\n", n_tokens, perplexity, bits);
    else
        printf("perplexity %.6g over %zu tokens (%.4g bits a token)\n", perplexity, n_tokens, bits);
    return EXIT_DONE;
}
