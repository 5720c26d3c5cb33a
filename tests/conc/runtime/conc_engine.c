/* Owners on several threads submit, read, cancel and free sessions of one engine: for ThreadSanitizer. */
#include "weir_runtime.h"

#include <stdio.h>
#include <stdlib.h>

static struct engine *engine;

/* Background sessions, held and let go while the others come and leave. */
static void *owner_behind(void *arg)
{
    (void)arg;
    for (int round = 0; round < 8; round++) {
        int32_t prompt[20];
        for (int i = 0; i < 20; i++)
            prompt[i] = (i * 29 + round) % 128;
        struct session *session;
        struct session_event event;
        struct error err = {0};
        struct sampling sampling = {.max_tokens = 12, .background = true};
        if (engine_submit(engine, prompt, 20, &sampling, NULL, NULL, &session, &err) < 0)
            continue; /* The one before has not ended yet. */
        engine_hold(engine, round % 2 == 0);
        engine_hold(engine, false);
        while (round % 3 != 0 && session_wait(session, &event, -1) == 1 && event.kind != SESSION_END)
            ;
        session_free(session);
    }
    return NULL;
}

static void *owner(void *arg)
{
    int number = *(int *)arg;
    for (int round = 0; round < 6; round++) {
        int32_t prompt[40];
        for (int i = 0; i < 40; i++)
            prompt[i] = (i * 31 + number * 7 + round) % 128;
        struct session *session;
        struct session_event event;
        struct error err = {0};
        if (engine_submit(engine, prompt, (size_t)(8 + 5 * round), &(struct sampling){.max_tokens = 12}, NULL, NULL, &session, &err) < 0) {
            fprintf(stderr, "%s: %s\n", err.where, err.text);
            exit(1);
        }
        if ((number + round) % 3 == 0 && session_wait(session, &event, -1) == 1)
            session_cancel(session);
        while ((number + round) % 4 != 0 && session_wait(session, &event, -1) == 1 && event.kind != SESSION_END)
            ;
        session_free(session);
    }
    return NULL;
}

int main(void)
{
    struct model *model;
    struct error err = {0};
    const char *path = WEIR_SHARED_DIR "/fixtures/archs/llama-dense.gguf";
    if (model_open(&model, path, &(struct model_options){.n_threads = 2}, &err) < 0 || engine_start(&engine, model, NULL, &err) < 0) {
        fprintf(stderr, "%s: %s\n", err.where, err.text);
        return 1;
    }
    pthread_t threads[6], behind;
    int numbers[6];
    for (int i = 0; i < 6; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, owner, &numbers[i]);
    }
    pthread_create(&behind, NULL, owner_behind, NULL);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    pthread_join(behind, NULL);
    engine_stop(engine);
    model_close(model);
    printf("36 sessions on 6 threads, and 8 behind them\n");
    return 0;
}
