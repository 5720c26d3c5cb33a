/* weir pull: fetches models into the cache. */
#include "cli/cli.h"
#include "pull/pull.h"

#include <stdio.h>

static const char help[] =
    "usage: weir pull [NAME | URL]... [--model chat|encoder|all] [--sha256 HEX]\n\n"
    "Fetches models into the cache ($WEIR_CACHE, $XDG_CACHE_HOME/weir or ~/.cache/weir) and checks them against their\n"
    "SHA-256. Without arguments: the default models, the one that answers and the one that reads. What is there and\n"
    "whole is left alone; a fetch by URL that was cut short is carried on.\n\n"
    "  weir pull                                  both default models\n"
    "  weir pull --model chat                     only the answering model\n"
    "  weir pull smollm2-135m-instruct            by its name in deploy/models.yaml\n"
    "  weir pull https://example.com/m.gguf --sha256 0123…   a file of your own; then name it in weir.yaml:\n"
    "                                             models: {chat: {path: …}}\n\n"
    "  --model ROLE    chat, encoder or all\n"
    "  --sha256 HEX    what a URL's file must hash to; without it the digest is printed and not checked\n"
    "  --list FILE     another list of models than the shipped one\n";

static int pull_one(const struct pull_model *model)
{
    char folder[4096];
    struct error err = {0};
    int present = pull_model_present(model, folder, sizeof folder, &err);
    if (present == 1) {
        printf("%s: already there, checked: %s\n", model->name, folder);
        return EXIT_DONE;
    }
    if (present < 0 || pull_model_fetch(model, &err) < 0)
        return cli_fail("pull", &err);
    printf("%s: in %s\n", model->name, folder);
    return EXIT_DONE;
}

static int pull_address(const char *url, const char *sha256_hex)
{
    struct error err = {0};
    char folder[4096], path[4352], digest[2 * SHA256_BYTES + 1];
    str rest = str_of(url), name = {NULL, 0}, part;
    ptrdiff_t end = str_find(rest, STR("?"));
    if (end >= 0)
        rest.n = (size_t)end;
    while (str_split(&rest, '/', &part))
        name = part;
    if (name.n == 0 || name.n > 200 || name.data[0] == '.') {
        error_set(&err, WEIR_E_INVALID, url, "its last part must be a file's name");
        return cli_fail("pull", &err);
    }
    if (cache_path("models", folder, sizeof folder) < 0 || directory_create(folder, &err) < 0)
        return cli_fail("pull", &err);
    snprintf(path, sizeof path, "%s/" STR_FMT, folder, STR_ARG(name));
    if (file_exists(path)) {
        uint8_t bytes[SHA256_BYTES];
        if (sha256_file(path, bytes, &err) < 0)
            return cli_fail("pull", &err);
        hex_encode(bytes, sizeof bytes, digest);
        if (sha256_hex == NULL || strcasecmp(sha256_hex, digest) == 0) {
            printf("%s: already there, SHA-256 %s\n", path, digest);
            return EXIT_DONE;
        }
    }
    fprintf(stderr, "fetching %s\n", url);
    if (pull_url(url, path, sha256_hex, digest, &err) < 0)
        return cli_fail("pull", &err);
    printf("%s: SHA-256 %s%s\n", path, digest, sha256_hex == NULL ? " (not checked: none was given)" : ", as given");
    return EXIT_DONE;
}

static int pull_named(const struct pull_list *list, const char *word, const char *sha256_hex)
{
    if (strstr(word, "://") != NULL)
        return pull_address(word, sha256_hex);
    int code = -1;
    for (int i = 0; i < list->n_models; i++)
        if (strcmp(list->models[i].name, word) == 0 || strcmp(list->models[i].role, word) == 0 || strcmp(word, "all") == 0) {
            int one = pull_one(&list->models[i]);
            code = code > one ? code : one;
        }
    if (code >= 0)
        return code;
    fprintf(stderr, "weir pull: there is no model \"%s\"; known are", word);
    for (int i = 0; i < list->n_models; i++)
        fprintf(stderr, "%s %s (%s)", i > 0 ? "," : "", list->models[i].name, list->models[i].role);
    fprintf(stderr, "\n");
    return EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_pull;
    const char *role = NULL, *sha256_hex = NULL, *list_path = NULL;
    int n = 0;
    const struct cli_option options[] = {{.name = "model", .text = &role}, {.name = "sha256", .text = &sha256_hex}, {.name = "list", .text = &list_path}, {0}};
    int parsed = cli_parse(&verb_pull, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    uint8_t digest[SHA256_BYTES];
    if (sha256_hex != NULL && hex_decode(str_of(sha256_hex), digest, sizeof digest) < 0) {
        fprintf(stderr, "weir pull: --sha256: must be 64 hex digits\n");
        return EXIT_USAGE;
    }
    struct error err = {0};
    char path[4096];
    struct pull_list *list = calloc(1, sizeof *list);
    int status = list == NULL ? error_set(&err, WEIR_E_MEMORY, "models", "out of memory") : 0;
    if (status == 0 && list_path == NULL) {
        status = share_path("deploy/models.yaml", path, sizeof path, &err);
        list_path = path;
    }
    if (status == 0)
        status = pull_list_open(list, list_path, &err);
    if (status < 0) {
        free(list);
        return cli_fail("pull", &err);
    }
    int code = EXIT_DONE;
    if (role != NULL || n == 0)
        code = pull_named(list, role != NULL ? role : "all", NULL);
    for (int i = 1; i <= n; i++) {
        int one = pull_named(list, argv[i], sha256_hex);
        code = code > one ? code : one;
    }
    pull_list_release(list);
    free(list);
    return code;
}

const struct verb verb_pull = {.name = "pull", .summary = "fetch models into the cache", .help = help, .run = run};
