/* weir models: the models on this machine, what they are and what memory they take. */
#include "cli/cli.h"
#include "cli/model_options.h"
#include "config/config.h"
#include "weir_runtime.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_MODELS = 1024, ROWS = 128 }; /* Of the engine's step by default: 64 of prompts beside 64 sessions. */

extern const struct verb verb_models;

struct models {
    struct model_options options;
    bool json;
    int n_shown, n_failed;
};

static const char *const kinds[] = {[MODEL_DECODER] = "generates", [MODEL_ENCODER] = "encodes", [MODEL_VOCABULARY] = "vocabulary"};

static void print_json(const struct model_info *info)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    buffer_append_text(&out, "{\"path\":");
    buffer_append_json_string(&out, str_of(info->path));
    buffer_append_text(&out, ",\"name\":");
    buffer_append_json_string(&out, str_of(info->name));
    buffer_append_text(&out, ",\"architecture\":");
    buffer_append_json_string(&out, str_of(info->architecture));
    buffer_printf(&out, ",\"kind\":\"%s\",\"parameters\":%lld,\"context\":%d,\"width\":%d,\"layers\":%d,\"vocab\":%d,\"weight_bytes\":%zu,\"kv_bytes_per_1k_tokens\":%zu,\"activation_bytes_per_row\":%zu,",
                  kinds[info->kind], (long long)info->n_parameters, info->n_context, info->n_embd, info->n_layers, info->n_vocab, info->weight_bytes,
                  1024 * info->kv_token_bytes, info->row_bytes);
    buffer_printf(&out, "\"tokenizer\":%s,\"chat_template\":%s}\n", info->has_tokenizer ? "true" : "false", info->has_chat_template ? "true" : "false");
    fputs(out.failed ? "" : out.data, stdout);
    buffer_release(&out);
}

/* Opens one model, tells about it, and closes it. */
static void show(struct models *models, const char *path)
{
    struct model *model;
    struct error err = {0};
    models->n_shown++;
    if (model_open(&model, path, &models->options, &err) < 0) {
        cli_fail("models", &err);
        models->n_failed++;
        return;
    }
    const struct model_info *info = model_info_peek(model);
    if (models->json)
        print_json(info);
    else
        printf("%-36.36s %-10.10s %-10s %8.1f M %9.1f MB %9.1f MB %9.1f MB %9d  %s\n", info->name, info->architecture, kinds[info->kind], (double)info->n_parameters / 1e6,
               (double)info->weight_bytes / 1e6, 1024 * (double)info->kv_token_bytes / 1e6, ROWS * (double)info->row_bytes / 1e6, info->n_context, info->path);
    model_close(model);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a folder, sorted. */
static size_t list_folder(const char *folder, char **names)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && n < MAX_MODELS && (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.' && (names[n] = strdup(entry->d_name)) != NULL)
            n++;
    if (dir != NULL)
        closedir(dir);
    qsort(names, n, sizeof *names, compare);
    return n;
}

/* A Hugging Face directory, a GGUF file, or a folder that holds either; of a split model its first part. */
static void visit(struct models *models, const char *path, int depth)
{
    char inside[PATH_MAX], *names[MAX_MODELS];
    str all = str_of(path);
    if (!file_is_directory(path)) {
        ptrdiff_t of = str_find(all, STR("-of-"));
        bool later = of > 5 && all.n > 15 && memcmp(path + of - 5, "00001", 5) != 0;
        if (str_ends(all, STR(".gguf")) && !later)
            show(models, path);
        return;
    }
    snprintf(inside, sizeof inside, "%s/config.json", path);
    if (file_exists(inside)) {
        show(models, path);
        return;
    }
    size_t n = depth > 0 ? list_folder(path, names) : 0;
    for (size_t i = 0; i < n; i++) {
        if (snprintf(inside, sizeof inside, "%s/%s", path, names[i]) < (int)sizeof inside)
            visit(models, inside, depth - 1);
        free(names[i]);
    }
}

/* One that was named: a file is opened whatever it is called. */
static void visit_named(struct models *models, const char *path, int depth)
{
    if (file_is_directory(path))
        visit(models, path, depth);
    else
        show(models, path);
}

/* Those that a configuration names. */
static int visit_configured(struct models *models, const char *config_path, struct error *err)
{
    const struct config *config;
    int status = config_open(&config, config_path, err);
    if (status < 0)
        return status;
    const char *const own[] = {config->chat_path, config->encoder_path, config->reranker_path};
    for (int i = 0; i < 3; i++)
        if (own[i] != NULL)
            visit_named(models, own[i], 0);
    for (int i = 0; i < config->n_others; i++)
        visit_named(models, config->others[i].path, 0);
    config_drop(config);
    return 0;
}

static int run(int argc, char **argv)
{
    struct models models = {0};
    struct error err = {0};
    const char *precision = "fast", *config_path = NULL;
    int n_paths = 0;
    const struct cli_option options[] = {{.name = "json", .flag = &models.json}, {.name = "precision", .text = &precision},
                                         {.name = "config", .text = &config_path}, {0}};
    int parsed = cli_parse(&verb_models, argc, argv, options, &n_paths);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (cli_precision(precision, &models.options.precision, &err) < 0)
        return cli_fail("models", &err);
    char pulled[PATH_MAX];
    if (cache_path("models", pulled, sizeof pulled) < 0) {
        error_set(&err, WEIR_E_LIMIT, "models", "the cache folder's path is too long");
        return cli_fail("models", &err);
    }
    if (!models.json)
        printf("%-36s %-10s %-10s %10s %12s %12s %12s %9s  %s\n", "NAME", "ARCH", "KIND", "PARAMETERS", "WEIGHTS", "KV/1K TOKENS", "128 ROWS", "CONTEXT", "PATH");
    for (int i = 0; i < n_paths; i++) {
        if (!file_exists(argv[1 + i])) {
            error_set(&err, WEIR_E_NOT_FOUND, argv[1 + i], "is not there");
            return cli_fail("models", &err);
        }
        visit_named(&models, argv[1 + i], 2);
    }
    if (config_path != NULL && visit_configured(&models, config_path, &err) < 0)
        return cli_fail("models", &err);
    if (n_paths == 0 && config_path == NULL)
        visit(&models, pulled, 2);
    if (models.n_shown == 0 && !models.json)
        printf("(none in %s; `weir pull` fetches the defaults)\n", n_paths > 0 ? "the paths given" : pulled);
    return models.n_failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

const struct verb verb_models = {
    .name = "models",
    .summary = "list models with the memory they take",
    .help = "usage: weir models [PATH…] [--config C] [--json] [--precision exact|fast]\n\n"
            "Opens each model and tells its architecture, parameters, memory for weights as the kernels of this machine hold them, and\n"
            "for the KV cache of 1,024 tokens, and for the activations of a step of 128 rows (64 sessions beside 64 tokens of\n"
            "prompts; of one prompt alone up to 128, with at most 512 million parameters up to 256; one arena).\n"
            "Without a path: the pulled models. A path is a GGUF file, a Hugging Face directory, or a folder of such.\n\n"
            "  --config C       the models that a weir.yaml names\n"
            "  --json           one JSON object a line\n"
            "  --precision P    weights and cache as for exact, or for fast (the default)\n",
    .run = run,
};
