/* Many threads append, poll and ask while the writer commits: every accepted decision is told once and is in the file. */
#include "ledger/ledger.h"
#include "ledger/verify.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, ROWS = 400 };

struct owner {
    struct ledger *ledger;
    struct ledger_port *port;
    sem_t wake;
    int number, told, failed;
};

static void on_notify(void *user)
{
    sem_post(&((struct owner *)user)->wake);
}

static void on_done(void *user, int status)
{
    struct owner *owner = user;
    owner->told++;
    owner->failed += status != 0;
}

static void *append(void *arg)
{
    struct owner *owner = arg;
    owner->port = ledger_port_open(owner->ledger, on_notify, owner);
    for (int i = 0; i < ROWS; i++) {
        char id[32];
        snprintf(id, sizeof id, "%d-%d", owner->number, i);
        struct ledger_decision d = {.decision_id = id, .endpoint = "/", .route = "local", .reasons = "[]", .inputs = "{}"};
        struct ledger_outcome o = {.decision_id = id, .route = "local", .result = "ok", .key_id = "k"};
        while (ledger_append_decision(owner->ledger, &d, owner->port, on_done, owner) == WEIR_E_FULL)
            ledger_port_poll(owner->port);
        owner->failed += ledger_append_outcome(owner->ledger, &o) != 0;
        ledger_port_poll(owner->port);
        struct ledger_stats stats;
        ledger_stats(owner->ledger, &stats);
    }
    while (owner->told < ROWS) {
        sem_wait(&owner->wake);
        ledger_port_poll(owner->port);
    }
    ledger_port_close(owner->port);
    return NULL;
}

int main(void)
{
    char folder[] = "/tmp/weir-conc-XXXXXX", path[64], command[80];
    struct ledger *ledger;
    struct error err = {0};
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/ledger.db", folder);
    struct ledger_options options = {.path = path, .durability = DURABILITY_PROCESS, .max_waiting = 64};
    if (ledger_open(&ledger, &options, &err) != 0)
        return 1;
    struct owner owners[THREADS];
    pthread_t threads[THREADS];
    int failed = 0;
    for (int i = 0; i < THREADS; i++) {
        owners[i] = (struct owner){.ledger = ledger, .number = i};
        sem_init(&owners[i].wake, 0, 0);
        pthread_create(&threads[i], NULL, append, &owners[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failed += owners[i].failed + (owners[i].told != ROWS);
    }
    ledger_close(ledger);
    struct verify_report report;
    failed += ledger_verify(path, &report, &err) != 0 || report.n_rows != 2 * THREADS * ROWS;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    failed += system(command) != 0;
    printf("%s\n", failed == 0 ? "ok" : "failed");
    return failed != 0;
}
