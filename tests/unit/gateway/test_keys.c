/* Keys: shown once, stored as a digest, known again after a restart, refused once revoked; the admin socket's two ends. */
#include "keys/admin_socket.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>

static char folder[64];
static char path[96];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/weir-keys-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/ledger.db", folder);
}

static void teardown(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(keys, .init = setup, .fini = teardown);

static struct ledger *open_both(struct keys **keys, struct budget_table *budgets)
{
    struct ledger *ledger;
    struct error err = {0};
    struct ledger_options options = {.path = path, .durability = DURABILITY_PROCESS};
    cr_assert_eq(ledger_open(&ledger, &options, &err), 0, "%s", err.text);
    cr_assert_eq(keys_open(keys, ledger, budgets, &err), 0, "%s", err.text);
    return ledger;
}

static struct key_info wanted(const char *tenant, const char *name)
{
    struct key_info info = {.budget_nusd = -1, .per_minute = -1};
    cr_assert(str_copy(info.tenant, sizeof info.tenant, str_of(tenant)));
    cr_assert(str_copy(info.name, sizeof info.name, str_of(name)));
    return info;
}

Test(keys, are_known_again_after_a_restart_and_their_text_is_nowhere)
{
    struct keys *keys;
    struct ledger *ledger = open_both(&keys, NULL);
    struct key_info info = wanted("acme", "ci"), found;
    char text[KEY_TEXT_BYTES], command[300];
    struct error err = {0};
    cr_assert_eq(keys_create(keys, &info, text, &err), 0, "%s", err.text);
    cr_assert_eq(strlen(text), 69u);
    cr_assert_eq(keys_find(keys, str_of(text), &found), 0);
    cr_assert_str_eq(found.tenant, "acme");
    keys_close(keys);
    ledger_close(ledger);
    ledger = open_both(&keys, NULL);
    cr_assert_eq(keys_find(keys, str_of(text), &found), 0);
    cr_assert_str_eq(found.id, info.id);
    text[20] = text[20] == 'a' ? 'b' : 'a';
    cr_assert_eq(keys_find(keys, str_of(text), &found), WEIR_E_NOT_FOUND);
    cr_assert_eq(keys_find(keys, STR(""), &found), WEIR_E_NOT_FOUND);
    keys_close(keys);
    ledger_close(ledger);
    snprintf(command, sizeof command, "grep -rq %.15s %s", text + 25, folder);
    cr_assert_neq(system(command), 0, "a part of the key's text lies in the data folder");
}

Test(keys, a_revoked_key_is_refused_and_its_name_is_free_again)
{
    struct keys *keys;
    struct ledger *ledger = open_both(&keys, NULL);
    struct key_info info = wanted("acme", "ci"), again = wanted("acme", "ci"), found;
    char text[KEY_TEXT_BYTES], second[KEY_TEXT_BYTES];
    struct error err = {0};
    cr_assert_eq(keys_create(keys, &info, text, &err), 0);
    cr_assert_eq(keys_create(keys, &again, second, &err), WEIR_E_STATE, "a name is unique among valid keys");
    cr_assert_eq(keys_revoke(keys, "ci", &err), 0, "%s", err.text);
    cr_assert_eq(keys_find(keys, str_of(text), &found), WEIR_E_NOT_FOUND);
    cr_assert_eq(keys_revoke(keys, info.id, &err), WEIR_E_STATE);
    cr_assert_eq(keys_revoke(keys, "nobody", &err), WEIR_E_NOT_FOUND);
    again = wanted("acme", "ci");
    cr_assert_eq(keys_create(keys, &again, second, &err), 0);
    cr_assert_eq(keys_revoke(keys, "ci", &err), 0, "the valid one is meant");
    cr_assert_eq(keys_count(keys), 0u);
    struct key_info bad = wanted("", "x");
    cr_assert_eq(keys_create(keys, &bad, second, &err), WEIR_E_INVALID);
    keys_close(keys);
    ledger_close(ledger);
}

Test(keys, what_a_key_spent_counts_after_a_restart)
{
    struct keys *keys;
    struct budget_table *budgets = budget_new(100);
    struct ledger *ledger = open_both(&keys, budgets);
    struct key_info info = wanted("acme", "");
    char text[KEY_TEXT_BYTES];
    struct error err = {0};
    info.budget_nusd = 1000;
    cr_assert_eq(keys_create(keys, &info, text, &err), 0);
    cr_assert_eq(budget_remaining_nusd(budgets, info.id, clock_wall_ns()), 1000);
    struct ledger_outcome o = {.decision_id = "d", .time_ns = clock_wall_ns(), .key_id = info.id, .route = "local", .result = "ok", .cost_nusd = 400};
    cr_assert_eq(ledger_append_outcome(ledger, &o), 0);
    keys_close(keys);
    ledger_close(ledger);
    budget_free(budgets);
    budgets = budget_new(100);
    ledger = open_both(&keys, budgets);
    cr_assert_eq(budget_remaining_nusd(budgets, info.id, clock_wall_ns()), 600);
    keys_close(keys);
    ledger_close(ledger);
    budget_free(budgets);
}

struct client {
    uv_async_t stop;
    struct admin_socket *admin;
    int failures;
};

static void on_stop(uv_async_t *handle)
{
    struct client *client = handle->data;
    admin_socket_stop(client->admin, NULL, NULL);
    uv_close((uv_handle_t *)handle, NULL);
}

static void *call(void *arg)
{
    struct client *client = arg;
    struct error err = {0};
    json_t *question = json_pack("{s:s, s:s, s:s}", "do", "keys.create", "tenant", "acme", "budget_usd", "12.5"), *answer = NULL;
    client->failures += admin_call(folder, question, &answer, &err) != 0;
    client->failures += answer == NULL || json_string_length(json_object_get(answer, "key")) != 69;
    json_decref(answer);
    json_decref(question);
    question = json_pack("{s:s, s:s}", "do", "keys.revoke", "key", "nobody");
    client->failures += admin_call(folder, question, &answer, &err) != WEIR_E_NOT_FOUND;
    json_decref(question);
    question = json_pack("{s:s}", "do", "dance");
    client->failures += admin_call(folder, question, &answer, &err) != WEIR_E_UNSUPPORTED;
    json_decref(question);
    uv_async_send(&client->stop);
    return NULL;
}

Test(keys, the_running_process_answers_over_its_socket)
{
    struct keys *keys;
    struct ledger *ledger = open_both(&keys, NULL);
    uv_loop_t loop;
    struct client client = {.failures = 0};
    struct error err = {0};
    json_t *answer = NULL, *ping = json_pack("{s:s}", "do", "ping");
    cr_assert_eq(admin_call(folder, ping, &answer, &err), WEIR_E_NOT_FOUND, "none runs yet");
    uv_loop_init(&loop);
    cr_assert_eq(admin_socket_start(&client.admin, &loop, folder, keys, NULL, NULL, &err), 0, "%s", err.text);
    char socket[128];
    struct stat info;
    snprintf(socket, sizeof socket, "%s/weir.sock", folder);
    cr_assert_eq(stat(socket, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600u);
    client.stop.data = &client;
    uv_async_init(&loop, &client.stop, on_stop);
    pthread_t thread;
    pthread_create(&thread, NULL, call, &client);
    uv_run(&loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    cr_assert_eq(client.failures, 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
    cr_assert_eq(keys_count(keys), 1u);
    json_decref(ping);
    keys_close(keys);
    ledger_close(ledger);
}
