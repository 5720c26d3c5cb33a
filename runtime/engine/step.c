/* One step of the engine: which rows of which sessions are computed together, and what becomes of their logits.
 *
 * Every session has ids of which the first kv_length are computed; a decoding session lacks one, a new one its whole prompt.
 * Those that lack one come first, so that streams keep flowing; then at most step_prompt_tokens prompt rows (a whole chunk
 * when nobody decodes), the shortest rest first, but a quarter of them always for the one that came first. So no prompt
 * delays a stream by more than one chunk, and none starves. Rows do not influence each other: the same session gives the
 * same numbers in any company. The engine's thread only. */
#include "engine/engine.h"
#include "engine/context_shift.h"
#include "model/model.h"

#include <assert.h>

/* Prompt rows of a step in which nobody decodes. Of a small model more: weights are unpacked once a step, and the step is still short
 * enough for whoever comes meanwhile. */
enum { ALONE_PROMPT_ROWS = 128, ALONE_PROMPT_ROWS_SMALL = 256 };
static const int64_t SMALL_MODEL_PARAMETERS = 512 << 20;
static const size_t MOST_LOGITS = 16 << 20; /* Floats in one step: bounds the sessions of a huge vocabulary. */

struct step {
    int32_t tokens[DECODER_MAX_ROWS];
    int32_t positions[DECODER_MAX_ROWS];
    int32_t reach[DECODER_MAX_ROWS];
    struct kv *kv[DECODER_MAX_ROWS];
    struct lora *lora[DECODER_MAX_ROWS];
    bool has_lora;
    bool want[DECODER_MAX_ROWS];
    int n_rows, n_want; /* Rows, and those whose logits are wanted. */
    struct session *members[ENGINE_MOST_SESSIONS];
    int n_members;
    struct session *wanting[ENGINE_MOST_SESSIONS];
    int n_wanting;
    int n_shifts;
    struct session *ready[ENGINE_MOST_SESSIONS]; /* To decode. */
    int first; /* Where the round through decoding sessions starts, so that a full step is fair. */
    float *logits;
    size_t n_logits;
};

struct step *step_new(const struct engine *engine)
{
    (void)engine;
    return calloc(1, sizeof(struct step));
}

void step_free(struct step *step)
{
    if (step == NULL)
        return;
    free(step->logits);
    free(step);
}

static int pending(const struct session *session)
{
    return (int)session->n_ids - kv_length(session->kv);
}

/* Frees memory for others: the youngest session but `keep` goes back to the waiting ones and is computed anew later. */
static bool put_back_youngest(struct engine *engine, const struct session *keep)
{
    struct session *youngest = NULL;
    for (int i = 0; i < engine->n_running; i++)
        if (engine->running[i] != keep && engine->running[i]->kv != NULL && kv_length(engine->running[i]->kv) > 0 &&
            engine->running[i]->n_planned == 0 && (youngest == NULL || engine->running[i]->number > youngest->number))
            youngest = engine->running[i];
    if (youngest == NULL || youngest->number < keep->number)
        return false;
    kv_trim(youngest->kv, 0);
    engine->memory_is_short |= !youngest->background; /* Which was never counted on. */
    return true;
}

/* Room for n more positions; makes some if it can. */
static int reserve(struct engine *engine, struct session *session, int n)
{
    for (;;) {
        int status = kv_reserve(session->kv, kv_length(session->kv) + n);
        if (status != WEIR_E_FULL)
            return status;
        if (!prefix_cache_evict(&engine->cache) && !put_back_youngest(engine, session))
            return status;
    }
}

static bool add_rows(struct engine *engine, struct session *session, int n)
{
    struct step *step = engine->step;
    int status = reserve(engine, session, n);
    if (status < 0) {
        bool alone = session->background || engine->n_front == 1;
        engine->memory_is_short |= !session->background;
        if (alone || status != WEIR_E_FULL) {
            struct error err;
            error_set(&err, status, "kv", "no memory for %zu positions within the KV budget of %zu bytes", session->n_ids,
                      engine->stats.kv_budget_bytes);
            engine_end_session(engine, session, FINISH_ERROR, &err);
        }
        return false;
    }
    int at = kv_length(session->kv);
    bool last = (size_t)(at + n) == session->n_ids;
    struct guesses *guesses = &session->guesses;
    if (!last || guesses->n > DECODER_MAX_ROWS - step->n_rows - n || (guesses->n > 0 && kv_reserve(session->kv, at + n + guesses->n) < 0))
        guesses->n = 0; /* They are never worth anyone else's memory. */
    for (int i = 0; i < n + guesses->n; i++) {
        int row = step->n_rows++;
        step->tokens[row] = i < n ? session->ids[at + i] : guesses->ids[i - n];
        step->positions[row] = at + i;
        step->reach[row] = (int32_t)session->n_ids + guesses->n;
        step->kv[row] = session->kv;
        step->lora[row] = session->lora;
        step->has_lora |= session->lora != NULL;
        step->want[row] = last && i >= n - 1;
    }
    session->n_planned = n;
    step->members[step->n_members++] = session;
    if (last) {
        session->row_wanted = step->n_want;
        step->n_want += 1 + guesses->n;
        step->wanting[step->n_wanting++] = session;
    }
    return true;
}

/* Running, neither ended nor held up by its reader, nor behind others. */
static bool can_step(struct engine *engine, struct session *session)
{
    if (session->state != SESSION_RUNNING || session->n_planned > 0 || (session->background && engine->n_front > 0))
        return false;
    pthread_mutex_lock(&engine->lock);
    session->room = session_room(session);
    bool paused = session->room <= 0 || (session->background && (engine->held || engine->n_submitted > 0));
    pthread_mutex_unlock(&engine->lock);
    return !paused;
}

static void choose_decoding(struct engine *engine)
{
    struct step *step = engine->step;
    int n = engine->n_running;
    int most = (int)(MOST_LOGITS / (size_t)engine->n_vocab);
    most = most < 1 ? 1 : most > DECODER_MAX_ROWS / 2 ? DECODER_MAX_ROWS / 2 : most;
    struct session **ready = step->ready;
    int n_ready = 0;
    for (int i = 0; i < n && n_ready < most; i++) {
        struct session *session = engine->running[(step->first + i) % n];
        if (can_step(engine, session) && session->kv != NULL && pending(session) == 1)
            ready[n_ready++] = session;
    }
    if (n_ready + GUESSES_IN_A_STEP <= most)
        speculate(engine, ready, n_ready);
    for (int i = 0; i < n_ready; i++)
        if (ready[i]->state == SESSION_RUNNING && pending(ready[i]) == 1) /* Not put back for an older one meanwhile. */
            add_rows(engine, ready[i], 1);
    step->first = n > 0 ? (step->first + (n_ready == most ? most : 1)) % n : 0;
}

static void choose_prompts(struct engine *engine)
{
    struct step *step = engine->step;
    bool is_small = model_info_peek(engine->model)->n_parameters <= SMALL_MODEL_PARAMETERS;
    int budget = step->n_rows > 0 ? engine->options.step_prompt_tokens : is_small ? ALONE_PROMPT_ROWS_SMALL : ALONE_PROMPT_ROWS;
    struct session *oldest = NULL;
    for (int i = 0; i < engine->n_running; i++) {
        struct session *session = engine->running[i];
        if (!can_step(engine, session) || (session->kv != NULL && pending(session) == 1))
            continue;
        if ((session->kv == NULL || kv_length(session->kv) == 0) && !engine_share_prefix(engine, session))
            continue;
        if (session->state == SESSION_RUNNING && (oldest == NULL || session->number < oldest->number))
            oldest = session;
    }
    int for_oldest = budget / 4 > 0 ? budget / 4 : 1;
    while (budget > 0 && step->n_wanting < ENGINE_MOST_SESSIONS) {
        struct session *shortest = NULL;
        for (int i = 0; i < engine->n_running; i++) {
            struct session *session = engine->running[i];
            if (session->kv != NULL && can_step(engine, session) && pending(session) > 0 &&
                (shortest == NULL || pending(session) < pending(shortest)))
                shortest = session;
        }
        if (shortest == NULL)
            return;
        bool others_wait = oldest != NULL && oldest != shortest && oldest->n_planned == 0 && oldest->state == SESSION_RUNNING;
        int most = others_wait ? budget - for_oldest : budget;
        if (most <= 0) {
            shortest = oldest;
            most = budget;
        }
        int n = pending(shortest) < most ? pending(shortest) : most;
        if (!add_rows(engine, shortest, n)) {
            if (shortest->state == SESSION_RUNNING)
                return; /* No memory now: later steps try again. */
            continue;
        }
        budget -= n;
    }
}

/* Ends of sessions in the step whose sessions are to be interrupted when cancelled: those that compute prompt rows. */
static void mark_long(struct step *step, bool in_long_step)
{
    bool is_long = step->n_rows > step->n_want;
    for (int i = 0; i < step->n_members; i++)
        atomic_store(&step->members[i]->in_long_step, in_long_step && is_long);
}

static bool ends_answer(const struct engine *engine, const struct session *session, int32_t id)
{
    return !session->ignore_end && engine->tokenizer != NULL && tokenizer_is_end(engine->tokenizer, id);
}

/* The session's next token, and the ones after it as long as they are what was guessed. */
static void pick_some(void *arg, int chunk, int thread)
{
    (void)thread;
    struct engine *engine = arg;
    struct session *session = engine->step->wanting[chunk];
    const float *row = engine->step->logits + (size_t)session->row_wanted * (size_t)engine->n_vocab;
    const struct guesses *guesses = &session->guesses;
    session->n_picks = session->pick_status = 0;
    for (bool goes_on = true; goes_on; row += engine->n_vocab) {
        int i = session->n_picks++;
        struct pick *pick = &session->picks[i];
        pick->id = sampler_pick(&session->sampler, row, &pick->logprob, pick->top);
        session->pick_status = pick->id < 0 ? WEIR_E_INVALID : sampler_accept(&session->sampler, pick->id, true);
        goes_on = session->pick_status == 0 && i < guesses->n && pick->id == guesses->ids[i] && !ends_answer(engine, session, pick->id) &&
                  !sampler_must_end(&session->sampler);
    }
}

static int append_id(struct session *session, int32_t id)
{
    if (session->n_ids == session->capacity) {
        int32_t *ids = realloc(session->ids, session->capacity * 2 * sizeof *ids);
        if (ids == NULL)
            return WEIR_E_MEMORY;
        session->ids = ids;
        session->capacity *= 2;
    }
    session->ids[session->n_ids++] = id;
    return 0;
}

static void end_failed(struct engine *engine, struct session *session, int status)
{
    struct error err;
    if (status == WEIR_E_INVALID)
        error_set(&err, status, "grammar", "the model has no token that goes on with the answer");
    else
        error_set(&err, status, "session", "out of memory");
    engine_end_session(engine, session, FINISH_ERROR, &err);
}

/* A picked token joins the answer; ends the session where it has to. last: of this step, hence what the sampler's state and
 * pick_status are about: it has taken all of the step's tokens already. */
static void take_token(struct engine *engine, struct session *session, const struct pick *pick, bool last)
{
    bool stopped = false;
    session->n_generated++;
    if (ends_answer(engine, session, pick->id)) {
        engine_end_session(engine, session, FINISH_STOP, NULL);
        return;
    }
    int status = last ? session->pick_status : 0;
    if (status == 0)
        status = append_id(session, pick->id);
    if (status == 0)
        status = answer_push(&session->answer, pick->id, &pick->logprob, pick->top, &stopped);
    if (status == 0 && (stopped || (last && sampler_must_end(&session->sampler)))) {
        engine_end_session(engine, session, FINISH_STOP, NULL);
        return;
    }
    bool full = session->n_ids >= (size_t)engine->n_context;
    if (status == 0 && (session->n_generated >= session->max_tokens || (full && !session->shifts))) {
        engine_end_session(engine, session, FINISH_LENGTH, NULL);
        return;
    }
    if (status == 0 && full) {
        context_shift(session, engine->n_context, engine->rope_border);
        engine->step->n_shifts++;
    }
    if (status < 0)
        end_failed(engine, session, status);
}

/* The picks of a session's rows, once its cache holds what they were computed from. */
static void take_tokens(struct engine *engine, struct session *session)
{
    speculate_learn(session, session->n_picks - 1);
    for (int i = 0; i < session->n_picks && session->state == SESSION_RUNNING; i++)
        take_token(engine, session, &session->picks[i], i == session->n_picks - 1);
    if (kv_length(session->kv) > (int)session->n_ids) /* Ended before a right guess. */
        kv_trim(session->kv, (int)session->n_ids);
}

/* What came in the step goes to its owners at once: one that wakes finds the others' there too. */
static void publish_all(struct engine *engine)
{
    struct step *step = engine->step;
    pthread_mutex_lock(&engine->lock);
    for (int i = 0; i < step->n_wanting; i++) {
        struct session *session = step->wanting[i];
        bool any = false;
        session->pick_status = session->state == SESSION_RUNNING ? session_publish(session, &any) : 0;
        if (any)
            session_notify(session);
    }
    engine->stats.n_context_shifts += step->n_shifts;
    pthread_mutex_unlock(&engine->lock);
    for (int i = 0; i < step->n_wanting; i++)
        if (step->wanting[i]->pick_status < 0)
            end_failed(engine, step->wanting[i], step->wanting[i]->pick_status);
}

static int grow_logits(struct engine *engine, size_t n)
{
    struct step *step = engine->step;
    if (n <= step->n_logits)
        return 0;
    free(step->logits);
    step->logits = malloc(n * sizeof *step->logits);
    step->n_logits = step->logits != NULL ? n : 0;
    return step->logits != NULL ? 0 : WEIR_E_MEMORY;
}

/* A sequence that has grown past the rope border is computed anew, all its positions with the angles of long ones. */
static void cross_border(const struct engine *engine, struct session *session)
{
    if (engine->rope_border == 0 || session->kind.is_beyond || session->n_ids <= (size_t)engine->rope_border)
        return;
    session->kind.is_beyond = true;
    if (session->kv != NULL)
        kv_trim(session->kv, 0);
}

/* By others, before the step was marked as the background session's. */
static bool is_wanted(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    bool wanted = engine->held || engine->n_submitted > 0;
    pthread_mutex_unlock(&engine->lock);
    return wanted;
}

int engine_step(struct engine *engine, struct error *err)
{
    struct step *step = engine->step;
    step->n_rows = step->n_want = step->n_members = step->n_wanting = step->n_shifts = 0;
    step->has_lora = false;
    for (int i = 0; i < engine->n_running; i++) {
        engine->running[i]->n_planned = 0;
        engine->running[i]->row_wanted = -1;
        engine->running[i]->guesses.n = engine->running[i]->guesses.n_found = 0;
        cross_border(engine, engine->running[i]);
    }
    choose_decoding(engine);
    choose_prompts(engine);
    if (step->n_rows == 0)
        return 0;
    if (grow_logits(engine, (size_t)step->n_want * (size_t)engine->n_vocab) < 0)
        return error_set(err, WEIR_E_MEMORY, "engine", "out of memory");

    struct batch batch = {.n_rows = step->n_rows, .tokens = step->tokens, .positions = step->positions, .kv = step->kv,
                          .want = step->want, .reach = step->reach, .lora = step->has_lora ? step->lora : NULL, .cancel = &engine->interrupt};
    atomic_store(&engine->interrupt, false);
    mark_long(step, true);
    bool behind = step->members[0]->background; /* Then it is the only one. */
    atomic_store(&engine->behind, behind);
    if (behind && is_wanted(engine))
        atomic_store(&engine->interrupt, true);
    for (int i = 0; i < step->n_members; i++) /* One cancelled before it was marked. */
        if (atomic_load(&step->members[i]->cancelled))
            atomic_store(&engine->interrupt, true);
    struct pool *pool = model_lock(engine->model);
    int64_t begun_us = clock_now_us();
    int status = decoder_forward(engine->decoder, pool, &batch, step->logits, NULL, err);
    if (status == 0)
        pool_run(pool, step->n_wanting, pick_some, engine);
    model_unlock(engine->model);
    if (status == 0 && step->n_rows == step->n_want)
        price_observe(&engine->price, step->n_rows, clock_now_us() - begun_us);
    mark_long(step, false);
    atomic_store(&engine->behind, false);
    if (status == WEIR_E_CANCELLED) /* Caches are as before; the next step leaves the cancelled one out. */
        return step->n_rows;
    if (status < 0)
        return status;

    int64_t n_prompt = 0, n_picks = 0, n_guesses = 0;
    for (int i = 0; i < step->n_members; i++) {
        struct session *session = step->members[i];
        if (session->n_generated == 0)
            n_prompt += session->n_planned;
        int n_right = session->row_wanted >= 0 ? session->n_picks - 1 : 0;
        kv_trim(session->kv, kv_length(session->kv) + session->n_planned + n_right);
    }
    for (int i = 0; i < step->n_wanting; i++) {
        struct session *session = step->wanting[i];
        n_picks += session->n_picks;
        n_guesses += session->guesses.n;
    }
    pthread_mutex_lock(&engine->lock);
    engine->stats.n_steps++;
    engine->stats.n_prompt_tokens += n_prompt;
    engine->stats.n_generated_tokens += n_picks;
    engine->stats.n_background_tokens += behind ? n_picks : 0;
    engine->stats.n_drafted_tokens += n_guesses;
    engine->stats.n_accepted_tokens += n_picks - step->n_wanting;
    engine->stats.kv_used_bytes = kv_store_used_bytes(engine->store);
    pthread_mutex_unlock(&engine->lock);
    for (int i = 0; i < step->n_wanting; i++)
        take_tokens(engine, step->wanting[i]);
    publish_all(engine);
    return step->n_rows;
}
