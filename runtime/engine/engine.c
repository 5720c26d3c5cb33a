/* Engine: the thread that owns all running sessions of a model, and the functions by which owners reach it.
 *
 * Owners submit under the lock; the thread takes submissions over in order, runs engine_step over what runs, and hands
 * text back through each session's mailbox. A session leaves `running` when it has ended; its memory goes when both
 * sides are done with it. One lock, never held during a forward pass. notify is called under it, so that
 * after session_free it is never called again; it must only wake the owner. */
#include "engine/engine.h"
#include "engine/context_shift.h"
#include "engine/draft.h"
#include "model/model.h"

#include <errno.h>
#include <unistd.h>

static size_t default_kv_budget(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    size_t quarter = pages > 0 && page > 0 ? (size_t)pages / 4 * (size_t)page : 0;
    size_t most = (size_t)2 << 30;
    return quarter > 0 && quarter < most ? quarter : most;
}

void engine_end_session(struct engine *engine, struct session *session, enum finish_reason reason, const struct error *err)
{
    if (session->state == SESSION_DONE)
        return;
    bool any;
    int status = reason == FINISH_CANCELLED ? 0 : answer_finish(&session->answer);
    session->state = SESSION_DONE;
    pthread_mutex_lock(&engine->lock);
    if (status == 0 && reason != FINISH_CANCELLED)
        status = session_publish(session, &any);
    session->shared.ended = true;
    if (session->background)
        engine->has_background = false;
    engine->stats.n_cached_tokens += session->n_cached;
    session->shared.reason = status < 0 ? FINISH_ERROR : reason;
    session->shared.usage = (struct usage){(int)session->n_prompt, session->n_cached, session->n_generated, session->n_dropped};
    if (status < 0)
        error_set(&session->shared.error, status, "session", "out of memory");
    else if (err != NULL)
        session->shared.error = *err;
    session_notify(session);
    pthread_mutex_unlock(&engine->lock);
}

/* The engine lets go of an ended session: its keys and values stay in the prefix cache. */
static void forget(struct engine *engine, struct session *session)
{
    guesses_release(&session->guesses);
    if (session->background) {
        kv_free(session->kv); /* Nobody's beginning is to leave the cache for it. */
        session->kv = NULL;
    }
    if (session->kv != NULL) {
        prefix_cache_put(&engine->cache, session->ids, session->kv, session->kind);
        session->kv = NULL;
        engine->memory_is_short = false;
    }
    pthread_mutex_lock(&engine->lock);
    session->shared.engine_done = true;
    bool destroy = session->shared.owner_gone;
    pthread_mutex_unlock(&engine->lock);
    if (destroy)
        session_destroy(session);
}

static void sweep(struct engine *engine)
{
    int n = 0, n_front = 0;
    for (int i = 0; i < engine->n_running; i++) {
        struct session *session = engine->running[i];
        if (atomic_load(&session->cancelled))
            engine_end_session(engine, session, FINISH_CANCELLED, NULL);
        if (session->state == SESSION_DONE) {
            forget(engine, session);
            continue;
        }
        engine->running[n++] = session;
        n_front += !session->background;
    }
    engine->n_running = n;
    engine->n_front = n_front;
    struct session **link = &engine->waiting;
    while (*link != NULL) {
        struct session *session = *link;
        if (!atomic_load(&session->cancelled)) {
            link = &session->next;
            continue;
        }
        *link = session->next;
        engine_end_session(engine, session, FINISH_CANCELLED, NULL);
        forget(engine, session);
    }
}

static void run(struct engine *engine, struct session **link)
{
    struct session *session = *link;
    *link = session->next;
    session->next = NULL;
    session->state = SESSION_RUNNING;
    engine->running[engine->n_running++] = session;
    engine->n_front += !session->background;
}

/* The background session takes nobody's place: it is passed over while others wait, and counts for none of the limits. */
static void admit(struct engine *engine)
{
    struct session **link = &engine->waiting;
    while (*link != NULL && engine->n_front < engine->options.max_sessions && (!engine->memory_is_short || engine->n_front == 0)) {
        if ((*link)->background)
            link = &(*link)->next;
        else
            run(engine, link);
    }
    if (engine->waiting != NULL && engine->waiting->background && engine->waiting->next == NULL && engine->n_running < ENGINE_MOST_SESSIONS)
        run(engine, &engine->waiting);
    pthread_mutex_lock(&engine->lock);
    engine->stats.n_running = engine->n_front;
    engine->stats.n_waiting = 0;
    for (const struct session *session = engine->waiting; session != NULL; session = session->next)
        engine->stats.n_waiting += !session->background;
    pthread_mutex_unlock(&engine->lock);
}

/* Submissions join the waiting ones. Waits for news when `idle`. False when the engine stops. */
static bool take_news(struct engine *engine, bool idle)
{
    pthread_mutex_lock(&engine->lock);
    for (bool more = true; idle && !engine->stopping && engine->submitted == NULL && engine->n_running == 0 && engine->waiting == NULL;) {
        if (!more) {
            pthread_cond_wait(&engine->wake, &engine->lock);
            continue;
        }
        pthread_mutex_unlock(&engine->lock); /* A page at a time, so that a submission waits for one at most. */
        more = kv_store_make_ready(engine->store);
        pthread_mutex_lock(&engine->lock);
    }
    if (idle && !engine->stopping && engine->submitted == NULL) {
        /* All that run are paused by their readers: until one reads, cancels or arrives. */
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 50000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
    }
    struct session *news = engine->submitted;
    engine->submitted = NULL;
    engine->submitted_end = &engine->submitted;
    engine->n_submitted = 0;
    bool go_on = !engine->stopping;
    pthread_mutex_unlock(&engine->lock);
    struct session **end = &engine->waiting;
    while (*end != NULL)
        end = &(*end)->next;
    *end = news;
    return go_on;
}

static void *engine_main(void *arg)
{
    struct engine *engine = arg;
    int n_rows = 0;
    while (take_news(engine, n_rows == 0)) {
        sweep(engine);
        admit(engine);
        struct error err = {0};
        n_rows = engine_step(engine, &err);
        if (n_rows < 0) {
            for (int i = 0; i < engine->n_running; i++)
                engine_end_session(engine, engine->running[i], FINISH_ERROR, &err);
            n_rows = 1;
        }
        sweep(engine);
        pthread_mutex_lock(&engine->lock);
        engine->stats.n_running = engine->n_front;
        pthread_mutex_unlock(&engine->lock);
    }
    for (int i = 0; i < engine->n_running; i++)
        atomic_store(&engine->running[i]->cancelled, true);
    for (struct session *session = engine->waiting; session != NULL; session = session->next)
        atomic_store(&session->cancelled, true);
    sweep(engine);
    return NULL;
}

int engine_start(struct engine **out, struct model *model, const struct engine_options *options, struct error *err)
{
    struct decoder *decoder = model_decoder(model);
    if (decoder == NULL)
        return error_set(err, WEIR_E_INVALID, model_info_peek(model)->path, "is no generating model");
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return error_set(err, WEIR_E_MEMORY, "engine", "out of memory");
    engine->model = model;
    engine->decoder = decoder;
    engine->tokenizer = model_tokenizer_peek(model);
    engine->n_vocab = model_info_peek(model)->n_vocab;
    engine->n_context = model_info_peek(model)->n_context;
    engine->rope_border = decoder_rope_border(decoder);
    engine->options = options != NULL ? *options : (struct engine_options){0};
    if (engine->options.max_sessions <= 0)
        engine->options.max_sessions = 64;
    if (engine->options.max_sessions > ENGINE_MOST_SESSIONS - 1)
        engine->options.max_sessions = ENGINE_MOST_SESSIONS - 1;
    if (engine->options.max_waiting <= 0)
        engine->options.max_waiting = 256;
    if (engine->options.step_prompt_tokens <= 0)
        engine->options.step_prompt_tokens = 64;
    if (engine->options.step_prompt_tokens > DECODER_MAX_ROWS / 2)
        engine->options.step_prompt_tokens = DECODER_MAX_ROWS / 2;
    engine->submitted_end = &engine->submitted;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_mutex_init(&engine->list_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    size_t budget = model_kv_budget(model);
    engine->stats.kv_budget_bytes = budget > 0 ? budget : default_kv_budget();
    int status = kv_store_new(&engine->store, decoder_kv_shape(decoder), engine->stats.kv_budget_bytes, err);
    engine->step = step_new(engine);
    if (status == 0 && engine->options.speculation == SPECULATE_DRAFT)
        status = engine->options.draft != NULL ? draft_new(&engine->draft, engine->options.draft, model, err)
                                               : error_set(err, WEIR_E_INVALID, "engine", "speculation by a draft needs a draft model");
    if (status == 0 && engine->step == NULL)
        status = error_set(err, WEIR_E_MEMORY, "engine", "out of memory");
    if (status == 0 && (errno = pthread_create(&engine->thread, NULL, engine_main, engine)) != 0)
        status = error_set(err, WEIR_E_IO, "engine", "no thread: %s", strerror(errno));
    if (status < 0) {
        draft_free(engine->draft);
        kv_store_free(engine->store);
        step_free(engine->step);
        pthread_cond_destroy(&engine->wake);
        pthread_mutex_destroy(&engine->lock);
        pthread_mutex_destroy(&engine->list_lock);
        free(engine);
        return status;
    }
    *out = engine;
    return 0;
}

void engine_stop(struct engine *engine)
{
    if (engine == NULL)
        return;
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    prefix_cache_clear(&engine->cache);
    draft_free(engine->draft);
    kv_store_free(engine->store);
    step_free(engine->step);
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->lock);
    pthread_mutex_destroy(&engine->list_lock);
    token_list_free(engine->token_list);
    free(engine);
}

/* Holds a session's answer to a grammar. The submitting thread. */
static int constrain(struct engine *engine, struct session *session, const struct sampling *sampling, struct error *err)
{
    if (engine->tokenizer == NULL)
        return error_set(err, WEIR_E_INVALID, "grammar", "the model has no tokenizer");
    pthread_mutex_lock(&engine->list_lock);
    int status = engine->token_list != NULL ? 0 : token_list_new(&engine->token_list, engine->tokenizer, engine->n_vocab);
    pthread_mutex_unlock(&engine->list_lock);
    if (status < 0)
        return error_set(err, WEIR_E_MEMORY, "grammar", "out of memory");
    return sampler_constrain(&session->sampler, sampling, engine->token_list, engine->tokenizer, err);
}

int engine_submit(struct engine *engine, const int32_t *prompt, size_t n_prompt, const struct sampling *sampling,
                  session_notify_fn *notify, void *user, struct session **out, struct error *err)
{
    if (n_prompt == 0)
        return error_set(err, WEIR_E_INVALID, "prompt", "has no tokens");
    if (n_prompt >= (size_t)engine->n_context && !sampling->context_shift)
        return error_set(err, WEIR_E_LIMIT, "prompt", "has %zu tokens; the model's context is %d, one of them for the answer", n_prompt,
                         engine->n_context);
    for (size_t i = 0; i < n_prompt; i++)
        if (prompt[i] < 0 || prompt[i] >= engine->n_vocab)
            return error_set(err, WEIR_E_INVALID, "prompt", "token %zu: id %d is not in the vocabulary of %d", i, prompt[i], engine->n_vocab);
    struct lora *lora = sampling->adapter != NULL ? model_adapter(engine->model, sampling->adapter) : NULL;
    if (sampling->adapter != NULL && lora == NULL)
        return error_set(err, WEIR_E_INVALID, "adapter", "\"%.64s\" is none of the model's", sampling->adapter);
    if (sampling->context_shift && (sampling->n_keep < 0 || sampling->n_keep > engine->n_context * 3 / 4))
        return error_set(err, WEIR_E_LIMIT, "n_keep", "%d positions to keep are more than three quarters of the context of %d", sampling->n_keep, engine->n_context);
    struct session *session;
    int status = session_new(&session, engine, engine->tokenizer, engine->n_vocab, prompt, n_prompt, sampling, err);
    if (status < 0)
        return status;
    if (sampling->grammar != NULL) {
        status = constrain(engine, session, sampling, err);
        if (status < 0) {
            session_destroy(session);
            return status;
        }
    }
    session->kind.lora = session->lora = lora;
    if (session->shifts)
        context_shift(session, engine->n_context, engine->rope_border);
    int room = engine->n_context - (int)session->n_ids;
    bool bounded = sampling->max_tokens < 0 || (sampling->max_tokens > room && !session->shifts);
    session->max_tokens = sampling->max_tokens == 0 ? 16 : bounded ? room : sampling->max_tokens;
    session->notify = notify;
    session->user = user;
    pthread_mutex_lock(&engine->lock);
    if (engine->stopping)
        status = error_set(err, WEIR_E_STATE, "engine", "is stopping");
    else if (session->background && engine->has_background)
        status = error_set(err, WEIR_E_FULL, "engine", "one background session is there already");
    else if (!session->background && engine->stats.n_waiting + engine->n_submitted >= engine->options.max_waiting)
        status = error_set(err, WEIR_E_FULL, "engine", "%d requests wait already", engine->options.max_waiting);
    else {
        session->number = session->background ? INT64_MAX : engine->next_number++;
        engine->has_background |= session->background;
        *engine->submitted_end = session;
        engine->submitted_end = &session->next;
        engine->n_submitted += !session->background;
        if (!session->background && atomic_load(&engine->behind))
            atomic_store(&engine->interrupt, true);
        pthread_cond_signal(&engine->wake);
    }
    pthread_mutex_unlock(&engine->lock);
    if (status < 0) {
        session_destroy(session);
        return status;
    }
    *out = session;
    return 0;
}

/* Under the lock. */
static int take_event(struct session *session, struct session_event *event)
{
    struct mailbox *inbox = &session->shared.inbox;
    if (inbox->n_tokens > 0 || inbox->text.n > 0) {
        bool was_paused = session_room(session) <= 0;
        struct mailbox swap = session->outbox;
        session->outbox = *inbox;
        *inbox = swap;
        inbox->n_tokens = 0;
        buffer_clear(&inbox->text);
        if (was_paused)
            pthread_cond_signal(&session->engine->wake);
        const struct mailbox *box = &session->outbox;
        *event = (struct session_event){.kind = SESSION_TOKEN, .text = buffer_str(&box->text), .tokens = box->tokens, .n_tokens = box->n_tokens};
        if (session->has_logprobs) {
            event->logprobs = box->chosen;
            event->n_top = session->answer.n_top;
            event->top = event->n_top > 0 ? box->top : NULL;
        }
        return 1;
    }
    if (!session->shared.ended || session->shared.end_delivered)
        return 0;
    session->shared.end_delivered = true;
    *event = (struct session_event){.kind = SESSION_END, .reason = session->shared.reason, .usage = session->shared.usage};
    if (event->reason == FINISH_ERROR)
        event->error = &session->shared.error;
    return 1;
}

int session_next(struct session *session, struct session_event *event)
{
    pthread_mutex_lock(&session->engine->lock);
    int got = take_event(session, event);
    pthread_mutex_unlock(&session->engine->lock);
    return got;
}

int session_wait(struct session *session, struct session_event *event, int64_t timeout_us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (timeout_us >= 0) {
        int64_t ns = until.tv_nsec + timeout_us % 1000000 * 1000;
        until.tv_sec += (time_t)(timeout_us / 1000000 + ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
    }
    pthread_mutex_lock(&session->engine->lock);
    int got;
    while ((got = take_event(session, event)) == 0 && !session->shared.end_delivered) {
        if (timeout_us < 0)
            pthread_cond_wait(&session->changed, &session->engine->lock);
        else if (pthread_cond_timedwait(&session->changed, &session->engine->lock, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&session->engine->lock);
    return got;
}

void session_cancel(struct session *session)
{
    struct engine *engine = session->engine;
    atomic_store(&session->cancelled, true);
    if (atomic_load(&session->in_long_step))
        atomic_store(&engine->interrupt, true);
    pthread_mutex_lock(&engine->lock);
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    struct engine *engine = session->engine;
    session_cancel(session);
    pthread_mutex_lock(&engine->lock);
    session->shared.owner_gone = true;
    session->notify = NULL; /* From here on nobody calls it: it is only called under the lock. */
    bool destroy = session->shared.engine_done;
    pthread_mutex_unlock(&engine->lock);
    if (destroy)
        session_destroy(session);
}

void engine_hold(struct engine *engine, bool held)
{
    pthread_mutex_lock(&engine->lock);
    engine->held = held;
    if (held && atomic_load(&engine->behind))
        atomic_store(&engine->interrupt, true);
    if (!held)
        pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

void engine_stats(struct engine *engine, struct engine_stats *out)
{
    pthread_mutex_lock(&engine->lock);
    *out = engine->stats;
    out->n_waiting += engine->n_submitted;
    pthread_mutex_unlock(&engine->lock);
}
