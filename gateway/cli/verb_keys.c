/* weir keys: virtual keys, through the running daemon where there is one, else in the ledger's file itself. */
#include "cli/cli.h"
#include "keys/admin_socket.h"

#include <stdio.h>

static const char help[] =
    "usage: weir keys create [--tenant T] [--name N] [--budget-usd X [--period total|month|day]] [--per-minute N]\n"
    "       weir keys list\n"
    "       weir keys revoke <id or name>\n\n"
    "A key is what a caller sends as its bearer token (the api_key of an OpenAI SDK). It is shown once, when it is\n"
    "made; Weir keeps only its SHA-256. A tenant is who pays: policy rules and budgets go by it. With\n"
    "keys: {required: true} in weir.yaml nobody gets in without one.\n\n"
    "  --config FILE      the weir.yaml whose data folder is meant\n"
    "  --tenant T         [default]\n"
    "  --name N           what `list` and `revoke` call it\n"
    "  --budget-usd X     spends at most this, in USD\n"
    "  --period P         per month or day (UTC), or in total [total]\n"
    "  --per-minute N     at most this many requests a minute\n"
    "  --json             prints JSON\n\n"
    "While Weir runs, the running process does the work over a socket in its data folder, and it counts at once.\n";

/* Asks the daemon; where none runs, opens the ledger and answers here. */
static int ask(const struct config *config, const json_t *question, json_t **answer, struct error *err)
{
    int status = admin_call(config->data_dir, question, answer, err);
    if (status != WEIR_E_NOT_FOUND || !str_ends(str_of(err->where), STR("weir.sock")))
        return status;
    char path[4096];
    struct ledger *ledger = NULL;
    struct keys *keys = NULL;
    status = directory_create(config->data_dir, err);
    snprintf(path, sizeof path, "%s/ledger.db", config->data_dir);
    if (status == 0)
        status = ledger_open(&ledger, &(struct ledger_options){.path = path, .durability = config->durability}, err);
    if (status == 0)
        status = keys_open(&keys, ledger, NULL, err);
    if (status == 0) {
        *answer = admin_answer(keys, question);
        str message = {NULL, 0};
        if (json_member_str(*answer, "error", &message, NULL) > 0) {
            status = error_set(err, WEIR_E_INVALID, "", STR_FMT, STR_ARG(message));
            json_decref(*answer);
            *answer = NULL;
        }
    }
    keys_close(keys);
    ledger_close(ledger);
    return status;
}

static const char *text_of(const json_t *object, const char *name, const char *otherwise)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

static void print_list(const json_t *keys)
{
    size_t index;
    json_t *key;
    printf("%-21s %-16s %-16s %-25s %-12s %-6s %s\n", "ID", "TENANT", "NAME", "CREATED", "BUDGET USD", "PERIOD", "STATE");
    json_array_foreach((json_t *)(uintptr_t)keys, index, key)
        printf("%-21s %-16s %-16s %-25s %-12s %-6s %s\n", text_of(key, "id", ""), text_of(key, "tenant", ""), text_of(key, "name", ""),
               text_of(key, "created", ""), text_of(key, "budget_usd", "-"), text_of(key, "period", ""),
               json_is_string(json_object_get(key, "revoked")) ? "revoked" : "valid");
}

static void print_answer(const char *what, const json_t *answer, bool as_json)
{
    if (as_json) {
        struct buffer out;
        buffer_init(&out, 64 << 20);
        json_write(answer, &out);
        printf("%s\n", out.data);
        bytes_wipe(out.data, out.n);
        buffer_release(&out);
    } else if (strcmp(what, "create") == 0) {
        printf("%s\n", text_of(answer, "key", ""));
        fprintf(stderr, "%s of tenant %s. This is the only time the key is shown.\n", text_of(answer, "id", ""), text_of(answer, "tenant", ""));
    } else if (strcmp(what, "list") == 0) {
        print_list(json_object_get(answer, "keys"));
    } else {
        printf("revoked %s\n", text_of(answer, "revoked", ""));
    }
}

static int run(int argc, char **argv)
{
    extern const struct verb verb_keys;
    const char *config_path = NULL, *tenant = NULL, *name = NULL, *budget = NULL, *period = NULL;
    int64_t per_minute = INT64_MIN; /* Not given. */
    bool as_json = false;
    int n = 0;
    const struct cli_option options[] = {{.name = "config", .text = &config_path}, {.name = "tenant", .text = &tenant, .words = true}, {.name = "name", .text = &name, .words = true},
                                         {.name = "budget-usd", .text = &budget, .words = true}, {.name = "period", .text = &period, .words = true},
                                         {.name = "per-minute", .number = &per_minute, CLI_ANY}, {.name = "json", .flag = &as_json}, {0}};
    int parsed = cli_parse(&verb_keys, argc, argv, options, &n);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    const char *what = n > 0 ? argv[1] : "";
    bool create = strcmp(what, "create") == 0, list = strcmp(what, "list") == 0, revoke = strcmp(what, "revoke") == 0;
    if ((!create && !list && !revoke) || n != (revoke ? 2 : 1)) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    json_t *question = json_object();
    json_object_set_new(question, "do", json_sprintf("keys.%s", what));
    if (create) {
        json_object_set_new(question, "tenant", tenant != NULL ? json_string(tenant) : json_null());
        json_object_set_new(question, "name", name != NULL ? json_string(name) : json_null());
        json_object_set_new(question, "budget_usd", budget != NULL ? json_string(budget) : json_null());
        json_object_set_new(question, "period", period != NULL ? json_string(period) : json_null());
        if (per_minute != INT64_MIN)
            json_object_set_new(question, "per_minute", json_integer(per_minute));
    } else if (revoke) {
        json_object_set_new(question, "key", json_string(argv[2]));
    }
    struct error err = {0};
    const struct config *config = NULL;
    json_t *answer = NULL;
    int status = config_open(&config, config_path, &err);
    if (status == 0)
        status = ask(config, question, &answer, &err);
    if (status == 0)
        print_answer(what, answer, as_json);
    json_decref(answer);
    json_decref(question);
    config_drop(config);
    return status < 0 ? cli_fail("keys", &err) : EXIT_DONE;
}

const struct verb verb_keys = {.name = "keys", .summary = "make, list and revoke callers' keys", .help = help, .run = run};
