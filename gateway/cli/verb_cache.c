/* weir cache: what the running daemon holds in its answer cache, and forgetting it. */
#include "cli/cli.h"
#include "config/config.h"
#include "keys/admin_socket.h"

#include <stdio.h>

static const char help[] =
    "usage: weir cache stats [--json]\n"
    "       weir cache clear [--tenant T] [--json]\n\n"
    "With cache: {exact: true, semantic: true} in weir.yaml finished answers are kept in the memory of the running Weir and\n"
    "given again to the same tenant. Nothing of it is on a disk, so both need a Weir that runs.\n\n"
    "  stats              how many answers are held, for whom, and how often they served\n"
    "  clear              forgets all of them; what is being answered right now isn't kept either\n\n"
    "  --config FILE      the weir.yaml whose data folder is meant\n"
    "  --tenant T         of this tenant only; \"\" means callers without a key\n"
    "  --json             prints JSON\n\n"
    "A reload (SIGHUP) clears it too. A caller passes the cache by with the header Cache-Control: no-cache, and keeps its\n"
    "answer out of it with no-store.\n";

static int64_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_stats(const json_t *stats)
{
    size_t i;
    json_t *tenant;
    printf("%lld answers in %lld of %lld bytes, each for %lld s\n", (long long)number(stats, "entries"), (long long)number(stats, "used_bytes"),
           (long long)number(stats, "max_bytes"), (long long)number(stats, "ttl_s"));
    printf("found: %lld exact, %lld by meaning; not found: %lld\n", (long long)number(stats, "exact_hits"), (long long)number(stats, "semantic_hits"),
           (long long)number(stats, "misses"));
    printf("kept %lld, evicted %lld, expired %lld, cleared %lld\n", (long long)number(stats, "kept"), (long long)number(stats, "evicted"),
           (long long)number(stats, "expired"), (long long)number(stats, "cleared"));
    json_array_foreach(json_object_get(stats, "tenants"), i, tenant) {
        const char *name = json_string_value(json_object_get(tenant, "tenant"));
        printf("  %-24s %8lld answers %12lld bytes\n", name != NULL ? name : "(without a key)", (long long)number(tenant, "entries"),
               (long long)number(tenant, "bytes"));
    }
}

static void print_answer(const json_t *answer, bool stats, bool as_json)
{
    struct buffer out;
    if (!as_json && stats) {
        print_stats(answer);
    } else if (!as_json) {
        printf("%lld answers forgotten\n", (long long)number(answer, "cleared"));
    } else {
        buffer_init(&out, 16 << 20);
        json_write(answer, &out);
        printf("%s\n", out.data);
        buffer_release(&out);
    }
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_cache;
    const char *config_path = NULL, *tenant = NULL;
    bool as_json = false;
    int n = 0;
    const struct cli_option options[] = {{.name = "config", .text = &config_path}, {.name = "tenant", .text = &tenant, .words = true}, {.name = "json", .flag = &as_json}, {0}};
    int parsed = cli_parse(&verb_cache, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    bool stats = n == 1 && strcmp(argv[1], "stats") == 0, clear = n == 1 && strcmp(argv[1], "clear") == 0;
    if ((!stats && !clear) || (stats && tenant != NULL)) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    struct error err = {0};
    const struct config *config = NULL;
    json_t *answer = NULL, *question = json_pack("{s:s}", "do", stats ? "cache.stats" : "cache.clear");
    if (tenant != NULL)
        json_object_set_new(question, "tenant", json_string(tenant));
    int status = config_open(&config, config_path, &err);
    if (status == 0)
        status = admin_call(config->data_dir, question, &answer, &err);
    if (status == 0)
        print_answer(answer, stats, as_json);
    json_decref(answer);
    json_decref(question);
    config_drop(config);
    return status < 0 ? cli_fail("cache", &err) : EXIT_DONE;
}

const struct verb verb_cache = {.name = "cache", .summary = "what the answer cache holds; forget it", .help = help, .run = run};
