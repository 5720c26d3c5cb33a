/* Rows a second the ledger takes in natural groups, for both durabilities, with rows of the size that real requests make.
 * usage: bench_ledger [seconds each, 5] [folder, /tmp] */
#include "ledger/ledger.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static const char inputs[] =
    "{\"name\":\"auto\",\"model\":\"auto\",\"max_regret\":0.1,\"verdict\":{\"effect\":\"allow\",\"local_permitted\":true,\"data_class\":\"public\"},"
    "\"score\":{\"p_local\":0.734375,\"p_remote\":0.91015625,\"gain\":0.17578125,\"oos\":0.01171875,\"domain\":\"writing\",\"domain_p\":0.8125,"
    "\"tier\":\"encoder\"},\"local\":{\"state\":\"ready\",\"detail\":\"\"},\"budget_nusd\":null,\"session_remote\":false,\"prices_version\":\"2026-11-22\","
    "\"targets\":[{\"provider\":\"openai-eu\",\"model\":\"gpt-4o-mini\",\"permitted\":true,\"usable\":true,\"healthy\":true,\"input_nusd\":150000000,"
    "\"cached_input_nusd\":75000000,\"output_nusd\":600000000,\"worst_nusd\":12345}]}";

static void on_notify(void *user)
{
    sem_post(user);
}

static int64_t told;

static void on_done(void *user, int status)
{
    told += status == 0;
}

static void measure(const char *folder, enum ledger_durability durability, double seconds)
{
    char path[4096], command[4200];
    struct ledger *ledger;
    struct error err = {0};
    sem_t wake;
    sem_init(&wake, 0, 0);
    snprintf(path, sizeof path, "%s/weir-bench-ledger.db", folder);
    snprintf(command, sizeof command, "rm -f %s*", path);
    if (system(command) != 0)
        exit(1);
    struct ledger_options options = {.path = path, .durability = durability, .max_waiting = 2000};
    if (ledger_open(&ledger, &options, &err) != 0) {
        fprintf(stderr, "%s: %s\n", err.where, err.text);
        exit(1);
    }
    struct ledger_port *port = ledger_port_open(ledger, on_notify, &wake);
    int64_t begun = clock_now_us(), asked = 0;
    told = 0;
    while (clock_now_us() - begun < (int64_t)(seconds * 1e6)) {
        char id[37];
        if (uuid_v7(id) != 0)
            exit(1);
        struct ledger_decision d = {.decision_id = id, .time_ns = clock_wall_ns(), .request_id = id, .tenant = "acme", .key_id = "key_0123456789abcdef",
                                    .endpoint = "/v1/chat/completions", .model = "auto", .route = "remote:openai-eu/gpt-4o-mini", .provider = "openai-eu",
                                    .provider_model = "gpt-4o-mini", .reasons = "[\"gain_above_max_regret\"]", .inputs = inputs, .verdict = "{\"effect\":\"allow\",\"types\":[]}",
                                    .data_class = "public", .effect = "allow", .pack_sha256 = inputs, .head_id = "default@0123456789ab",
                                    .config_sha256 = id, .prices_version = "2026-11-22", .prompt_tokens = 100, .reserved_nusd = 12345};
        struct ledger_attempt a = {.decision_id = id, .time_ns = d.time_ns, .provider = "openai-eu", .provider_model = "gpt-4o-mini", .region = "eu",
                                   .body_sha256 = id, .request_bytes = 900, .result = "ok", .status = 200, .total_us = 1000, .cost_nusd = 1234};
        struct ledger_outcome o = {.decision_id = id, .time_ns = d.time_ns, .tenant = "acme", .key_id = "key_0123456789abcdef", .route = d.route,
                                   .result = "ok", .status = 200, .finish_reason = "stop", .prompt_tokens = 100, .completion_tokens = 20, .cost_nusd = 1234};
        if (ledger_append_decision(ledger, &d, port, on_done, NULL) == WEIR_E_FULL) {
            sem_wait(&wake);
            ledger_port_poll(port);
            continue;
        }
        if (ledger_append_attempt(ledger, &a) != 0 || ledger_append_outcome(ledger, &o) != 0)
            exit(1);
        asked++;
    }
    while (told < asked) {
        sem_wait(&wake);
        ledger_port_poll(port);
    }
    double elapsed = (double)(clock_now_us() - begun) / 1e6;
    struct ledger_stats stats;
    ledger_stats(ledger, &stats);
    printf("%-8s %8.0f rows/s (%lld rows, %.0f in a group, %.1f s)\n", durability == DURABILITY_POWER ? "power" : "process", (double)stats.n_rows / elapsed,
           (long long)stats.n_rows, (double)stats.n_rows / (double)stats.n_groups, elapsed);
    ledger_port_close(port);
    ledger_close(ledger);
    if (system(command) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    double seconds = 5;
    if (argc > 1 && parse_f64(str_of(argv[1]), &seconds) < 0)
        return 2;
    const char *folder = argc > 2 ? argv[2] : "/tmp";
    measure(folder, DURABILITY_PROCESS, seconds);
    measure(folder, DURABILITY_POWER, seconds);
    return 0;
}
