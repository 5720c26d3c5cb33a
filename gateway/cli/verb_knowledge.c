/* weir knowledge: indexes the folder that the configuration names, and searches the index as the daemon does. */
#include "cli/cli.h"
#include "config/config.h"
#include "knowledge/knowledge.h"

#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "usage: weir knowledge index [--folder DIR] [--json]\n"
    "       weir knowledge search <question> [--top N] [--json]\n\n"
    "With knowledge: {folder: docs} in weir.yaml the local model answers what a folder of documents (Markdown, text, HTML)\n"
    "covers, from its passages and with citations. The index is knowledge.db in the data folder; a running Weir makes it at\n"
    "its start and at a reload, and notices at once what this verb changes.\n\n"
    "  index              reads new and changed documents, removes vanished ones; the rest stays as it is\n"
    "  search             the passages for a question, and whether they cover it\n\n"
    "  --config FILE      the weir.yaml that is meant\n"
    "  --folder DIR       in place of knowledge.folder\n"
    "  --top N            at most N passages [knowledge.passages]\n"
    "  --json             prints JSON\n\n"
    "Exit code 1: the folder or the index can't be read. Documents that can't are skipped and named.\n";

struct run {
    const struct config *config;
    struct model *encoder;
    char path[4096]; /* Of the index. */
    bool as_json;
    json_t *skipped;
};

static void print_json(json_t *value_take)
{
    struct buffer out;
    buffer_init(&out, 64 << 20);
    json_write(value_take, &out);
    printf("%s\n", out.data != NULL ? out.data : "");
    buffer_release(&out);
    json_decref(value_take);
}

static void on_document(void *user, const char *path, const char *reason)
{
    struct run *run = user;
    if (reason != NULL)
        json_array_append_new(run->skipped, json_pack("{s:s, s:s}", "path", path, "reason", reason));
    if (!run->as_json && reason != NULL)
        fprintf(stderr, "skipped %s: %s\n", path, reason);
    else if (!run->as_json)
        fprintf(stderr, "read %s\n", path);
}

static int make_index(struct run *run, const char *folder, struct error *err)
{
    struct knowledge_index index;
    struct knowledge_report report;
    if (folder == NULL)
        folder = run->config->knowledge.folder;
    if (folder == NULL)
        return error_set(err, WEIR_E_INVALID, "knowledge.folder", "is not set: name it in weir.yaml, or give --folder");
    int status = directory_create(run->config->data_dir, err);
    if (status == 0)
        status = knowledge_index_open(&index, run->path, true, err);
    if (status < 0)
        return status;
    status = knowledge_index_sync(&index, folder, run->encoder, NULL, on_document, run, &report, err);
    knowledge_index_close(&index);
    if (status < 0)
        return status;
    if (run->as_json)
        print_json(json_pack("{s:i, s:i, s:i, s:i, s:O, s:I}", "new", report.n_new, "changed", report.n_changed, "unchanged", report.n_unchanged, "removed",
                             report.n_removed, "skipped", run->skipped, "passages", (json_int_t)report.n_passages));
    else
        printf("%d new, %d changed, %d unchanged, %d removed, %d skipped; %lld passages in %s\n", report.n_new, report.n_changed, report.n_unchanged,
               report.n_removed, report.n_skipped, (long long)report.n_passages, run->path);
    return 0;
}

static void print_found(const struct run *run, const struct knowledge_found *found)
{
    bool covers = knowledge_covers(found, run->config->knowledge.likeness);
    json_t *passages = json_array();
    for (int i = 0; i < found->n; i++) {
        const struct knowledge_hit *hit = &found->items[i];
        json_array_append_new(passages, json_pack("{s:s%, s:s%, s:i, s:i, s:f, s:s%}", "path", hit->path.data, hit->path.n, "heading", hit->heading.data,
                                                  hit->heading.n, "first_line", hit->first_line, "last_line", hit->last_line, "likeness",
                                                  (double)hit->likeness, "text", hit->text.data, hit->text.n));
        if (!run->as_json)
            printf("[%d] " STR_FMT ", lines %d-%d%s" STR_FMT " (%.2f)\n" STR_FMT "\n\n", i + 1, STR_ARG(hit->path), hit->first_line, hit->last_line,
                   hit->heading.n > 0 ? ", " : "", STR_ARG(hit->heading), (double)hit->likeness, STR_ARG(hit->text));
    }
    if (run->as_json) {
        print_json(json_pack("{s:b, s:f, s:f, s:o}", "covers", covers, "likeness", (double)found->likeness, "terms", (double)found->terms, "passages", passages));
        return;
    }
    printf("%s: likeness %.2f (%.2f is needed), %.0f %% of the question's words\n", covers ? "covered" : "not covered", (double)found->likeness,
           run->config->knowledge.likeness, (double)found->terms * 100);
    json_decref(passages);
}

static int search(struct run *run, const char *question, int most, struct error *err)
{
    struct knowledge *knowledge;
    struct arena arena;
    struct ids ids = {0};
    struct knowledge_found found;
    int n_embd = model_info_peek(run->encoder)->n_embd;
    if (!file_exists(run->path))
        return error_set(err, WEIR_E_NOT_FOUND, run->path, "there is no index yet: `weir knowledge index` makes it");
    int status = knowledge_open(&knowledge, run->path, err);
    if (status < 0)
        return status;
    arena_init(&arena, 64 << 20);
    float *embedding = arena_array(&arena, (size_t)n_embd, sizeof *embedding);
    status = embedding != NULL ? model_text_ids(run->encoder, str_of(question), &ids, err) : error_set(err, WEIR_E_MEMORY, "", "out of memory");
    if (status == 0)
        status = model_embed(run->encoder, &(struct encoder_input){.ids = ids.data, .n = ids.n}, 1, embedding, err);
    if (status == 0)
        status = knowledge_search(knowledge, str_of(question), embedding, n_embd, most, &arena, &found, err);
    if (status == 0)
        print_found(run, &found);
    ids_release(&ids);
    arena_release(&arena);
    knowledge_close(knowledge);
    return status;
}

static int open_encoder(struct run *run, struct error *err)
{
    const struct config *config = run->config;
    if (config->encoder_path == NULL || !file_exists(config->encoder_path))
        return error_set(err, WEIR_E_NOT_FOUND, "models.encoder", "is not there: `weir pull` fetches the default one");
    int status = model_open(&run->encoder, config->encoder_path, &(struct model_options){.precision = config->precision, .n_threads = config->threads}, err);
    if (status == 0 && model_info_peek(run->encoder)->kind != MODEL_ENCODER)
        status = error_set(err, WEIR_E_INVALID, config->encoder_path, "models.encoder must be an encoder");
    return status;
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_knowledge;
    struct run state = {0};
    const char *config_path = NULL, *folder = NULL;
    int64_t top = 0;
    int n = 0;
    const struct cli_option options[] = {{.name = "config", .text = &config_path}, {.name = "folder", .text = &folder}, {.name = "top", .number = &top, .least = 1, .most = KNOWLEDGE_MOST_HITS},
                                         {.name = "json", .flag = &state.as_json}, {0}};
    int parsed = cli_parse(&verb_knowledge, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    bool indexes = n == 1 && strcmp(argv[1], "index") == 0, searches = n == 2 && strcmp(argv[1], "search") == 0;
    if ((!indexes && !searches) || (indexes && top != 0) || (searches && folder != NULL)) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    struct error err = {0};
    state.skipped = json_array();
    int status = config_open(&state.config, config_path, &err);
    if (status == 0)
        status = open_encoder(&state, &err);
    if (status == 0) {
        snprintf(state.path, sizeof state.path, "%s/knowledge.db", state.config->data_dir);
        status = indexes ? make_index(&state, folder, &err) : search(&state, argv[2], top > 0 ? (int)top : state.config->knowledge.passages, &err);
    }
    if (state.encoder != NULL)
        model_close(state.encoder);
    json_decref(state.skipped);
    config_drop(state.config);
    return status < 0 ? cli_fail("knowledge", &err) : EXIT_DONE;
}

const struct verb verb_knowledge = {.name = "knowledge", .summary = "index and search the documents answered from", .help = help, .run = run};
