/* The main loop: listeners up, signals, time limits, drain, and everything down again in the order that leaves nothing behind.
 *
 * SIGTERM and SIGINT drain: no new connections, what runs may finish within limits.drain_timeout, /readyz says 503; a second
 * one ends it at once. SIGHUP reloads the configuration. */
#include "request/caching.h"
#include "request/cascade.h"
#include "request/knowing.h"
#include "request/probing.h"
#include "request/shadowing.h"

#include "upstream/upstream.h"

#include <signal.h>
#include <stdio.h>

enum { TICK_MS = 50 };

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void on_part_closed(void *user)
{
    (void)user; /* The loop ends when the last part has let go of its handles. */
}

/* The last connection is gone and no request is left: lets go of every handle, so that the loop ends. */
static void close_handles(struct service *service)
{
    if (!service->handles_open)
        return;
    service->handles_open = false;
    knowing_stop(service);
    if (service->door != NULL)
        door_stop(service->door);
    if (service->admin != NULL)
        admin_socket_stop(service->admin, on_part_closed, service);
    if (service->upstream != NULL)
        upstream_close(service->upstream, on_part_closed, service);
    close_handle((uv_handle_t *)&service->ledger_wake);
    close_handle((uv_handle_t *)&service->engine_wake);
    close_handle((uv_handle_t *)&service->tick);
    for (int i = 0; i < 3; i++)
        close_handle((uv_handle_t *)&service->signals[i]);
}

static void on_ledger_wake(uv_async_t *async)
{
    struct service *service = async->data;
    ledger_port_poll(service->port);
}

/* Ledger's thread. */
static void wake_for_ledger(void *user)
{
    struct service *service = user;
    uv_async_send(&service->ledger_wake);
}

static void on_engine_wake(uv_async_t *async)
{
    struct service *service = async->data;
    for (struct request *request = service->requests, *next; request != NULL; request = next) {
        next = request->next; /* A pump frees at most its own request. */
        if (request->state == REQUEST_LOCAL)
            local_pump(request);
        else if (request->state == REQUEST_PROBE)
            probing_pump(request);
    }
    shadowing_pump(service);
}

static void end_overdue(struct service *service)
{
    int64_t now = clock_now_us();
    for (struct request *request = service->requests, *next; request != NULL; request = next) {
        next = request->next;
        if (request->state == REQUEST_REMOTE && now < request->deadline_us && cascade_is_late(request, now)) {
            (void)cascade_return(request);
            continue;
        }
        if (now < request->deadline_us || (request->state != REQUEST_LOCAL && request->state != REQUEST_REMOTE && request->state != REQUEST_LOAD &&
                                             request->state != REQUEST_PROBE))
            continue;
        struct api_error error;
        api_error_set(&error, 504, "deadline_exceeded", NULL, "The request was not answered in time");
        request_fail(request, &error, "error");
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct service *service = timer->data;
    end_overdue(service);
    answer_cache_sweep(service->cache);
    shadowing_tick(service);
    if (service->drain_until_us == 0)
        return;
    if (clock_now_us() >= service->drain_until_us)
        door_stop(service->door);
    if (door_connections(service->door) == 0 && service->n_requests == 0)
        close_handles(service);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct service *service = signal->data;
    if (number == SIGHUP) {
        service_reload(service);
        return;
    }
    int64_t now = clock_now_us();
    if (service->drain_until_us > 0) {
        log_event(LOG_INFO, "stopping", "at once");
        service->drain_until_us = now;
        return;
    }
    service->drain_until_us = now + service->snapshot->config->limits.drain_timeout_us;
    shadowing_stop(service, "draining");
    log_event(LOG_INFO, "draining", "%d requests in flight get up to %lld s", service->n_requests,
              (long long)(service->snapshot->config->limits.drain_timeout_us / 1000000));
    door_drain(service->door);
}

static void on_refusal(void *user, struct reply *reply, int status, const struct error *error, struct buffer *out)
{
    struct service *service = user;
    struct api_error answer;
    char id[129];
    request_id_take(reply_request_peek(reply), id);
    reply_header(reply, "x-request-id", str_of(id));
    metrics_refused(service->metrics, status);
    api_error_set(&answer, status, status == 413 ? "request_too_large" : status == 408 ? "request_timeout" : "bad_http_request", NULL, "%s: %s",
                  error->where, error->text);
    api_error_write(&answer, out);
}

static int open_handles(struct service *service, struct error *err)
{
    static const int numbers[3] = {SIGTERM, SIGINT, SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    uv_async_init(&service->loop, &service->ledger_wake, on_ledger_wake);
    uv_async_init(&service->loop, &service->engine_wake, on_engine_wake);
    uv_timer_init(&service->loop, &service->tick);
    service->ledger_wake.data = service->engine_wake.data = service->tick.data = service;
    uv_timer_start(&service->tick, on_tick, TICK_MS, TICK_MS);
    for (int i = 0; i < 3; i++) {
        uv_signal_init(&service->loop, &service->signals[i]);
        service->signals[i].data = service;
        uv_signal_start(&service->signals[i], on_signal, numbers[i]);
    }
    service->handles_open = true;
    service->port = ledger_port_open(service->ledger, wake_for_ledger, service);
    if (service->port == NULL)
        return error_set(err, WEIR_E_MEMORY, "ledger", "out of memory");
    int status = upstream_open(&service->upstream, &service->loop, err);
    if (status == 0)
        status = model_pool_new(&service->pool, &service->loop, service->snapshot->config, err);
    if (status == 0)
        status = admin_socket_start(&service->admin, &service->loop, service->snapshot->config->data_dir, service->keys, caching_admin, service, err);
    return status;
}

static int open_door(struct service *service, const char *listen, struct error *err)
{
    const struct config *config = service->snapshot->config;
    struct door_limits limits = {
        .max_body = (size_t)config->limits.max_body_bytes,
        .max_connections = config->limits.max_connections,
        .head_ms = config->limits.head_timeout_us / 1000,
        .body_stall_ms = config->limits.body_timeout_us / 1000,
        .idle_ms = config->limits.idle_timeout_us / 1000,
        .write_stall_ms = config->limits.write_timeout_us / 1000,
    };
    struct door_handler handler = {.user = service, .request = route_request, .refusal = on_refusal};
    int status = door_new(&service->door, &service->loop, &limits, &handler, err);
    int n = listen != NULL ? 1 : config->n_listeners;
    for (int i = 0; i < n && status == 0; i++) {
        char bound[128];
        const char *url = listen != NULL ? listen : config->listeners[i].url;
        status = door_listen(service->door, url, config->tls_certificate, config->tls_private_key, bound, sizeof bound, err);
        if (status == 0)
            log_event(LOG_INFO, "listening", "%s", bound);
    }
    return status;
}

int service_run(struct service *service, const char *listen, struct error *err)
{
    if (uv_loop_init(&service->loop) < 0)
        return error_set(err, WEIR_E_IO, "loop", "the event loop cannot be made");
    int status = open_handles(service, err);
    if (status == 0)
        status = open_door(service, listen, err);
    if (status == 0)
        knowing_index(service);
    if (status < 0)
        close_handles(service);
    uv_run(&service->loop, UV_RUN_DEFAULT);
    if (service->port != NULL)
        ledger_port_close(service->port);
    door_free(service->door);
    if (uv_loop_close(&service->loop) < 0)
        log_event(LOG_WARN, "loop_left_open", "a handle was not closed");
    if (status == 0)
        log_event(LOG_INFO, "stopped", "all connections are closed");
    return status;
}
