/* Threads of several tenants look up, keep, clear and count in one cache: no answer crosses, and the books are even at the end. */
#include "cache/answer_cache.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 3000, QUESTIONS = 64 };

static struct answer_cache *cache;

struct tenant {
    str name;
    int failed;
};

/* One question's keys are the same for all tenants: what keeps them apart is the partition alone. */
static struct cache_question question_of(int number)
{
    static const float direction[2] = {1, 0};
    struct cache_question question = {.has_meaning = true, .embedding = direction, .n_embd = 2};
    sha256(&number, sizeof number, question.key);
    sha256(question.key, sizeof question.key, question.meaning);
    return question;
}

static void *work(void *arg)
{
    struct tenant *tenant = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct cache_question question = question_of(i * 7 % QUESTIONS);
        struct cached_answer answer = {.model = STR("m"), .text = tenant->name}, got;
        struct arena arena;
        float likeness;
        arena_init(&arena, 1 << 20);
        int found = i % 2 == 0 ? answer_cache_find(cache, tenant->name, &question, &arena, &got)
                               : answer_cache_find_similar(cache, tenant->name, &question, 0.5, &arena, &got, &likeness);
        tenant->failed += found < 0 || (found == 1 && !str_equal(got.text, tenant->name));
        answer_cache_count(cache, found == 1 ? CACHE_EXACT : CACHE_NONE);
        if (found == 0)
            tenant->failed += answer_cache_keep(cache, tenant->name, &question, answer_cache_epoch(cache), &answer) < 0;
        if (i % 500 == 499)
            answer_cache_clear_tenant(cache, tenant->name);
        if (i % 100 == 0)
            answer_cache_sweep(cache);
        if (i % 1000 == 0)
            json_decref(answer_cache_stats_json(cache));
        arena_release(&arena);
    }
    return NULL;
}

int main(void)
{
    static struct tenant tenants[THREADS] = {{.name = STR("a")}, {.name = STR("b")}, {.name = STR("c")}, {.name = {NULL, 0}}};
    pthread_t threads[THREADS];
    struct answer_cache_stats stats;
    int failed = 0;
    cache = answer_cache_new(&(struct answer_cache_options){.max_bytes = 128 << 10, .ttl_us = 3600000000});
    if (cache == NULL)
        return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, &tenants[i]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failed += tenants[i].failed;
    }
    answer_cache_stats(cache, &stats);
    failed += stats.n_exact + stats.n_misses != THREADS * ROUNDS || stats.used_bytes > stats.max_bytes;
    answer_cache_clear(cache);
    answer_cache_stats(cache, &stats);
    failed += stats.n_entries != 0 || stats.used_bytes != 0 || stats.n_tenants != 0;
    answer_cache_free(cache);
    printf("%d failed\n", failed);
    return failed != 0;
}
