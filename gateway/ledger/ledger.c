/* The ledger's front: opening, appending from any thread, ports for completions.
 *
 * Invariant: an accepted row is in exactly one place (queue, the writer's group, the file) until it is in the file.
 * Appends take one lock for a few pointer stores and never wait for the disk. The writing itself is writer.c. */
#include "ledger/ledger_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* One writing process for each file: an advisory lock beside it. */
static int take_lock(struct ledger *ledger, struct error *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s.lock", ledger->path);
    ledger->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ledger->lock_fd < 0)
        return error_set(err, WEIR_E_IO, path, "%s", strerror(errno));
    if (flock(ledger->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, errno == EWOULDBLOCK ? WEIR_E_STATE : WEIR_E_IO, ledger->path, "%s",
                         errno == EWOULDBLOCK ? "another Weir process has the ledger open" : strerror(errno));
    return 0;
}

static void ledger_free(struct ledger *ledger)
{
    ledger_writer_close(ledger);
    if (ledger->lock_fd >= 0)
        close(ledger->lock_fd);
    pthread_mutex_destroy(&ledger->lock);
    pthread_cond_destroy(&ledger->wake);
    pthread_cond_destroy(&ledger->job_done);
    free(ledger->path);
    free(ledger);
}

int ledger_open(struct ledger **out, const struct ledger_options *options, struct error *err)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return error_set(err, WEIR_E_MEMORY, options->path, "out of memory");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&ledger->lock, NULL);
    pthread_cond_init(&ledger->wake, &monotonic);
    pthread_cond_init(&ledger->job_done, NULL);
    pthread_condattr_destroy(&monotonic);
    ledger->lock_fd = -1;
    ledger->durability = options->durability;
    ledger->max_waiting = options->max_waiting > 0 ? options->max_waiting : 8192;
    ledger->rows_tail = &ledger->rows;
    ledger->jobs_tail = &ledger->jobs;
    ledger->group_tail = &ledger->group;
    buffer_init(&ledger->canonical, 16 << 20);
    ledger->path = strdup(options->path);
    int status = ledger->path != NULL ? take_lock(ledger, err) : error_set(err, WEIR_E_MEMORY, options->path, "out of memory");
    if (status == 0)
        status = ledger_writer_open(ledger, options->vfs, err);
    if (status == 0 && pthread_create(&ledger->writer, NULL, ledger_writer_run, ledger) != 0)
        status = error_set(err, WEIR_E_IO, ledger->path, "no thread for the writer");
    if (status < 0) {
        ledger_free(ledger);
        return status;
    }
    ledger->writing = true;
    *out = ledger;
    return 0;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    pthread_mutex_lock(&ledger->lock);
    ledger->closing = true;
    pthread_cond_signal(&ledger->wake);
    pthread_mutex_unlock(&ledger->lock);
    if (ledger->writing)
        pthread_join(ledger->writer, NULL);
    ledger_free(ledger);
}

/* ------------------------------------------------------------------ appending */

static int append(struct ledger *ledger, struct ledger_row *row, struct ledger_port *port, ledger_done_fn *done, void *user)
{
    if (row == NULL)
        return WEIR_E_MEMORY;
    if (port != NULL && done != NULL) {
        row->completion = malloc(sizeof *row->completion);
        if (row->completion == NULL) {
            free(row);
            return WEIR_E_MEMORY;
        }
        *row->completion = (struct completion){.port = port, .done = done, .user = user};
        atomic_fetch_add(&port->refs, 1);
    }
    int status = 0;
    pthread_mutex_lock(&ledger->lock);
    bool yields = row->table == ROW_DECISION || row->table == ROW_FEEDBACK || row->table == ROW_SHADOW_PLAN;
    int64_t room = yields ? ledger->max_waiting : ledger->max_waiting * OTHERS_PER_DECISION;
    if (ledger->closing) {
        status = WEIR_E_STATE;
    } else if (ledger->n_waiting >= room) {
        status = WEIR_E_FULL;
    } else {
        *ledger->rows_tail = row;
        ledger->rows_tail = &row->next;
        ledger->n_waiting++;
        ledger->n_accepted++;
        pthread_cond_signal(&ledger->wake);
    }
    pthread_mutex_unlock(&ledger->lock);
    if (status < 0) {
        if (port != NULL && row->completion != NULL) {
            free(row->completion);
            port_unref(port);
        }
        free(row);
    }
    return status;
}

int ledger_append_decision(struct ledger *ledger, const struct ledger_decision *row, struct ledger_port *port, ledger_done_fn *done, void *user)
{
    return append(ledger, row_of_decision(row), port, port != NULL ? done : NULL, user);
}

int ledger_append_attempt(struct ledger *ledger, const struct ledger_attempt *row)
{
    return append(ledger, row_of_attempt(row), NULL, NULL, NULL);
}

int ledger_append_outcome(struct ledger *ledger, const struct ledger_outcome *row)
{
    return append(ledger, row_of_outcome(row), NULL, NULL, NULL);
}

int ledger_append_judgement(struct ledger *ledger, const struct ledger_judgement *row, struct ledger_port *port, ledger_done_fn *done, void *user)
{
    return append(ledger, row_of_judgement(row), port, port != NULL ? done : NULL, user);
}

int ledger_append_feedback(struct ledger *ledger, const struct ledger_feedback *row, struct ledger_port *port, ledger_done_fn *done, void *user)
{
    return append(ledger, row_of_feedback(row), port, port != NULL ? done : NULL, user);
}

int ledger_append_shadow_plan(struct ledger *ledger, const struct ledger_shadow_plan *row, struct ledger_port *port, ledger_done_fn *done, void *user)
{
    return append(ledger, row_of_shadow_plan(row), port, port != NULL ? done : NULL, user);
}

int ledger_append_shadow(struct ledger *ledger, const struct ledger_shadow *row, struct ledger_port *port, ledger_done_fn *done, void *user)
{
    return append(ledger, row_of_shadow(row), port, port != NULL ? done : NULL, user);
}

int ledger_append_threshold(struct ledger *ledger, const struct ledger_threshold *row)
{
    return append(ledger, row_of_threshold(row), NULL, NULL, NULL);
}

void ledger_settle(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    int64_t accepted = ledger->n_accepted;
    while (ledger->n_accepted - ledger->n_waiting < accepted && ledger->stats.status == 0 && !ledger->closing)
        pthread_cond_wait(&ledger->job_done, &ledger->lock);
    pthread_mutex_unlock(&ledger->lock);
}

int ledger_append_pack(struct ledger *ledger, const char *sha256_hex, const char *name, const char *version)
{
    return append(ledger, row_of_pack(sha256_hex, name, version), NULL, NULL, NULL);
}

int ledger_append_prices(struct ledger *ledger, const struct prices *prices)
{
    int status = 0;
    for (size_t i = 0; i < prices_count(prices) && status == 0; i++)
        status = append(ledger, row_of_price(prices_version(prices), prices_at(prices, i)), NULL, NULL, NULL);
    return status;
}

int ledger_run(struct ledger *ledger, ledger_job_fn *fn, void *user, struct error *err)
{
    struct ledger_job job = {.fn = fn, .user = user, .err = err};
    pthread_mutex_lock(&ledger->lock);
    if (ledger->closing) {
        pthread_mutex_unlock(&ledger->lock);
        return error_set(err, WEIR_E_STATE, ledger->path, "the ledger is closing");
    }
    *ledger->jobs_tail = &job;
    ledger->jobs_tail = &job.next;
    pthread_cond_signal(&ledger->wake);
    while (!job.finished)
        pthread_cond_wait(&ledger->job_done, &ledger->lock);
    pthread_mutex_unlock(&ledger->lock);
    return job.status;
}

void ledger_stats(struct ledger *ledger, struct ledger_stats *out)
{
    pthread_mutex_lock(&ledger->lock);
    *out = ledger->stats;
    out->waiting = ledger->n_waiting;
    pthread_mutex_unlock(&ledger->lock);
}

/* ------------------------------------------------------------------ ports */

struct ledger_port *ledger_port_open(struct ledger *ledger, ledger_notify_fn *notify, void *user)
{
    struct ledger_port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return NULL;
    pthread_mutex_init(&port->lock, NULL);
    port->tail = &port->done;
    port->notify = notify;
    port->user = user;
    atomic_init(&port->refs, 1);
    return port;
}

void port_unref(struct ledger_port *port)
{
    if (atomic_fetch_sub(&port->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&port->lock);
    free(port);
}

static struct completion *take_done(struct ledger_port *port)
{
    pthread_mutex_lock(&port->lock);
    struct completion *done = port->done;
    port->done = NULL;
    port->tail = &port->done;
    pthread_mutex_unlock(&port->lock);
    return done;
}

void ledger_port_close(struct ledger_port *port)
{
    if (port == NULL)
        return;
    pthread_mutex_lock(&port->lock);
    port->closed = true;
    pthread_mutex_unlock(&port->lock);
    for (struct completion *completion = take_done(port), *next; completion != NULL; completion = next) {
        next = completion->next;
        free(completion);
        port_unref(port);
    }
    port_unref(port);
}

void ledger_port_poll(struct ledger_port *port)
{
    /* A callback may close the port. */
    atomic_fetch_add(&port->refs, 1);
    for (struct completion *completion = take_done(port), *next; completion != NULL; completion = next) {
        next = completion->next;
        pthread_mutex_lock(&port->lock);
        bool closed = port->closed;
        pthread_mutex_unlock(&port->lock);
        if (!closed)
            completion->done(completion->user, completion->status);
        free(completion);
        port_unref(port);
    }
    port_unref(port);
}

void ledger_complete(struct ledger_row *row, int status)
{
    struct completion *completion = row->completion;
    if (completion == NULL)
        return;
    row->completion = NULL;
    struct ledger_port *port = completion->port;
    completion->status = status;
    completion->next = NULL;
    pthread_mutex_lock(&port->lock);
    bool closed = port->closed, first = port->done == NULL;
    if (!closed) {
        *port->tail = completion;
        port->tail = &completion->next;
        /* Under the lock, so that the port's owner cannot be gone in between: after ledger_port_close no notify runs. */
        if (first)
            port->notify(port->user);
    }
    pthread_mutex_unlock(&port->lock);
    if (closed) {
        free(completion);
        port_unref(port);
    }
}
