/* One pack serves every thread: verdicts, scans and the pack's own tests at once, each with the answer that one thread alone
 * gets; redactions and restorers belong to their thread. For ThreadSanitizer. */
#include "weir_policies.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_THREADS = 4, N_ROUNDS = 25 };

static struct pack *pack;
static char *alone;

static _Noreturn void die(const char *what, const char *text)
{
    fprintf(stderr, "%s: %s\n", what, text);
    exit(1);
}

/* The verdict on one request as text, and a round trip through a redaction. */
static char *work(void)
{
    static const struct policy_provider providers[] = {{"openai-eu", "eu"}, {"openai-us", "us"}, {"nowhere", NULL}};
    static const struct policy_field fields[] = {
        {"messages[0].content", STR("You are helpful.")},
        {"messages[1].content", STR("Write to jane.doe@example.com about card 4111 1111 1111 1111, IBAN DE89370400440532013000, from 10.1.2.3.")},
    };
    struct policy_query query = {.fields = fields, .n_fields = 2, .providers = providers, .n_providers = 3};
    struct arena arena;
    struct verdict *verdict;
    struct error err = {0};
    arena_init(&arena, 1 << 20);
    if (policy_evaluate(pack, &query, &arena, &verdict, &err) < 0)
        die("evaluate", err.text);
    json_t *json = verdict_json(verdict, providers);
    char *text = json_dumps(json, JSON_SORT_KEYS);
    json_decref(json);

    static const uint8_t key[32] = {1};
    struct redaction *redaction;
    struct buffer out, back;
    struct restorer restorer;
    buffer_init(&out, 1 << 16);
    buffer_init(&back, 1 << 16);
    if (redaction_new(&redaction, pack, key, &err) < 0 || redaction_apply(redaction, fields[1].text, &verdict->findings[1], &out, &err) < 0)
        die("redact", err.text);
    restorer_init(&restorer, redaction, false);
    if (restorer_push(&restorer, buffer_str(&out), &back) < 0 || restorer_finish(&restorer, &back) < 0)
        die("restore", "failed");
    if (!str_equal(buffer_str(&back), fields[1].text))
        die("restore", "another text came back");
    buffer_release(&out);
    buffer_release(&back);
    redaction_free(redaction);
    arena_release(&arena);
    return text;
}

static void *owner(void *arg)
{
    for (int round = 0; round < N_ROUNDS; round++) {
        char *mine = work();
        if (strcmp(mine, alone) != 0)
            die("another verdict than alone", mine);
        free(mine);
        struct findings found = {0};
        struct error err = {0};
        if (policy_scan(NULL, STR("call +49 30 901820, key AKIAIOSFODNN7EXAMPLE"), (str){NULL, 0}, &found, &err) < 0)
            die("scan", err.text);
        findings_release(&found);
        if (round % 10 == 0 && pack_test(pack, NULL, NULL, &err) != 0)
            die("the pack's tests", err.text);
    }
    return NULL;
}

int main(void)
{
    struct error err = {0};
    pthread_t threads[N_THREADS];
    if (pack_open(&pack, WEIR_SOURCE_DIR "/policies/packs/default.yaml", &err) < 0)
        die(err.where, err.text);
    alone = work();
    for (int i = 0; i < N_THREADS; i++)
        pthread_create(&threads[i], NULL, owner, NULL);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    free(alone);
    pack_close(pack);
    printf("%d rounds on %d threads\n", N_ROUNDS, N_THREADS);
    return 0;
}
