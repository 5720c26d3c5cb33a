/* See generation.h. A generation goes through its states in order, and keeps its turn through all that run: the probes' prompts are
 * still in the engine's cache then. */
#include "cli/generation.h"
#include "api/probe.h"

#include <errno.h>
#include <math.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const size_t MOST_TEXT_BYTES = 64 << 20;

int generations_init(struct generations *all, struct engine *engine, const struct model *model, int n_places, int most_running, struct error *err)
{
    *all = (struct generations){.engine = engine, .model = model, .most_running = most_running, .n_places = n_places, .wake_fd = -1};
    all->waiting_end = &all->waiting;
    all->places = calloc((size_t)n_places, sizeof *all->places);
    if (all->places == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    all->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return all->wake_fd < 0 ? error_set(err, WEIR_E_IO, "eventfd", "%s", strerror(errno)) : 0;
}

void generations_release(struct generations *all)
{
    for (int i = 0; i < all->n_places && all->places != NULL; i++)
        generation_clear(all, &all->places[i]);
    free(all->places);
    if (all->wake_fd >= 0)
        close(all->wake_fd);
}

struct generation *generations_place(struct generations *all, int index)
{
    struct generation *one = &all->places[index];
    *one = (struct generation){.probe = NAN, .self_check = NAN};
    buffer_init(&one->text, MOST_TEXT_BYTES);
    buffer_init(&one->logprobs, MOST_TEXT_BYTES);
    return one;
}

void generations_add(struct generations *all, struct generation *one)
{
    one->state = GENERATION_WAITS;
    one->next = NULL;
    *all->waiting_end = one;
    all->waiting_end = &one->next;
}

/* The engine's thread, under its lock. A wake-up that nobody has taken yet is enough. */
static void wake_up(void *user)
{
    struct generations *all = user;
    uint64_t one = 1;
    if (!atomic_exchange(&all->woken, true) && write(all->wake_fd, &one, sizeof one) < 0)
        atomic_store(&all->woken, false);
}

static void give_turn_back(struct generations *all, struct generation *one)
{
    if (one->session != NULL)
        all->n_running--;
    session_free(one->session);
    one->session = NULL;
}

static void fail(struct generations *all, struct generation *one, int status)
{
    give_turn_back(all, one);
    one->status = status;
    one->state = GENERATION_DONE;
}

/* Submits what the state asks for. */
static void submit(struct generations *all, struct generation *one, const struct ids *prompt, const struct sampling *sampling)
{
    int status = engine_submit(all->engine, prompt->data, prompt->n, sampling, wake_up, all, &one->session, &one->err);
    if (status < 0)
        fail(all, one, status);
    else
        all->n_running++;
}

static void submit_probe(struct generations *all, struct generation *one)
{
    struct sampling sampling = {.adapter = one->sampling.adapter};
    struct ids ids = {0};
    size_t n = one->prompt.n + (one->state == GENERATION_CHECKS ? one->ids.n : 0);
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++)
        status = ids_append(&ids, i < one->prompt.n ? one->prompt.data[i] : one->ids.data[i - one->prompt.n]);
    if (status < 0)
        error_set(&one->err, status, "", "out of memory");
    else
        status = probe_make(one->state == GENERATION_CHECKS ? PROBE_ANSWER : PROBE_QUESTION, all->model, &ids, &sampling, &one->err);
    if (status < 0)
        fail(all, one, status);
    else
        submit(all, one, &ids, &sampling);
    ids_release(&ids);
}

/* The state after this one. */
static void go_on(struct generations *all, struct generation *one)
{
    bool was_answer = one->state == GENERATION_ANSWERS;
    if (one->state == GENERATION_WAITS) {
        one->state = GENERATION_ANSWERS;
        submit(all, one, &one->prompt, &one->sampling);
    } else if (was_answer && all->probes) {
        one->state = GENERATION_PROBES;
        submit_probe(all, one);
    } else if ((was_answer || one->state == GENERATION_PROBES) && all->self_checks) {
        one->state = GENERATION_CHECKS;
        submit_probe(all, one);
    } else {
        one->state = GENERATION_DONE;
        ids_release(&one->prompt);
    }
}

static int take_tokens(struct generation *one, const struct session_event *event)
{
    buffer_append_str(&one->text, event->text);
    for (int i = 0; i < event->n_tokens; i++) {
        if (ids_append(&one->ids, event->tokens[i]) < 0)
            return error_set(&one->err, WEIR_E_MEMORY, "", "out of memory");
        if (event->logprobs == NULL)
            continue;
        confidence_add(&one->confidence, &event->logprobs[i]);
        buffer_printf(&one->logprobs, "%s%.4f", one->logprobs.n > 0 ? "," : "", (double)event->logprobs[i].logprob);
    }
    return one->text.failed || one->logprobs.failed ? error_set(&one->err, WEIR_E_LIMIT, "", "the answer is too long") : 0;
}

/* Takes what has come. False: there is no more for now. */
static bool take(struct generations *all, struct generation *one)
{
    struct session_event event;
    int status = 0;
    if (one->session == NULL || session_next(one->session, &event) != 1)
        return false;
    if (event.kind == SESSION_TOKEN && one->state == GENERATION_ANSWERS) {
        status = take_tokens(one, &event);
    } else if (event.kind == SESSION_TOKEN) {
        *(one->state == GENERATION_CHECKS ? &one->self_check : &one->probe) = probe_read(&event);
    } else if (event.reason == FINISH_ERROR) {
        one->err = *event.error;
        status = one->err.status;
    } else {
        if (one->state == GENERATION_ANSWERS) {
            one->reason = event.reason;
            one->usage = event.usage;
        }
        give_turn_back(all, one);
        go_on(all, one);
    }
    if (status < 0)
        fail(all, one, status);
    return true;
}

void generations_advance(struct generations *all)
{
    uint64_t count;
    if (read(all->wake_fd, &count, sizeof count) > 0) /* First the count, then the flag: what comes between is taken below. */
        atomic_store(&all->woken, false);
    for (int i = 0; i < all->n_places; i++)
        while (take(all, &all->places[i]))
            ;
    while (all->waiting != NULL && all->n_running < all->most_running) {
        struct generation *one = all->waiting;
        all->waiting = one->next;
        if (all->waiting == NULL)
            all->waiting_end = &all->waiting;
        go_on(all, one);
    }
}

void generation_clear(struct generations *all, struct generation *one)
{
    for (struct generation **link = &all->waiting; one->state == GENERATION_WAITS && *link != NULL; link = &(*link)->next)
        if (*link == one) {
            *link = one->next;
            if (*link == NULL)
                all->waiting_end = link;
            break;
        }
    give_turn_back(all, one);
    grammar_free(one->grammar);
    ids_release(&one->prompt);
    ids_release(&one->ids);
    buffer_release(&one->text);
    buffer_release(&one->logprobs);
    *one = (struct generation){0};
}
