/* Outbound HTTP: libcurl's multi interface driven by libuv (one poll handle for each socket, one timer for curl, one that
 * sweeps the deadlines of running exchanges, one that resumes paused ones).
 *
 * Invariants: only upstream_send adds a handle to the multi, after the clearance was spent on these bytes. No libcurl
 * function that can call back is called from inside a libcurl callback: what the owner asks for there is noted and done
 * when curl has returned. A poll handle is stopped before its socket is closed (CLOSESOCKETFUNCTION), because libuv aborts
 * on a descriptor that vanishes. Loop thread only. Retries and dialects are the relay's; what is set on each handle is in
 * upstream_easy.c. */
#include "upstream/upstream_internal.h"

#include <unistd.h>

enum { SWEEP_MS = 10, DETACHED_US = 1000000, IDLE_HANDLES = 64 };

/* ------------------------------------------------------------------ lanes: what is known of a provider */

static struct lane *lane_of(struct upstream *upstream, const char *provider)
{
    for (struct lane *lane = upstream->lanes; lane != NULL; lane = lane->next)
        if (strcmp(lane->provider, provider) == 0)
            return lane;
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL || !str_copy(lane->provider, sizeof lane->provider, str_of(provider))) {
        free(lane);
        return NULL;
    }
    lane->next = upstream->lanes;
    upstream->lanes = lane;
    return lane;
}

struct breaker *upstream_breaker(struct upstream *upstream, const char *provider)
{
    struct lane *lane = lane_of(upstream, provider);
    return lane != NULL ? &lane->breaker : NULL;
}

uv_loop_t *upstream_loop(struct upstream *upstream)
{
    return upstream->loop;
}

void upstream_health(struct upstream *upstream, const struct config *config, bool healthy[CONFIG_MAX_PROVIDERS])
{
    int64_t now_us = clock_now_us();
    for (int i = 0; i < config->n_providers; i++) {
        struct lane *lane = lane_of(upstream, config->providers[i].name);
        healthy[i] = lane != NULL && breaker_allows(&lane->breaker, now_us);
    }
}

/* ------------------------------------------------------------------ an exchange's end */

/* Takes it out of curl and of the list, and frees it. Never inside a curl callback. */
static void exchange_free(struct exchange *exchange)
{
    struct upstream *upstream = exchange->upstream;
    curl_multi_remove_handle(upstream->multi, exchange->easy);
    if (upstream->n_idle < IDLE_HANDLES && !upstream->closing) {
        curl_easy_reset(exchange->easy);
        upstream->idle[upstream->n_idle++] = exchange->easy;
    } else {
        curl_easy_cleanup(exchange->easy);
    }
    for (struct curl_slist *header = exchange->headers; header != NULL; header = header->next)
        bytes_wipe(header->data, strlen(header->data));
    curl_slist_free_all(exchange->headers);
    *exchange->previous = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    exchange->lane->active--;
    config_drop(exchange->config);
    free(exchange->body);
    free(exchange);
    if (upstream->exchanges == NULL && !upstream->closing)
        uv_timer_stop(&upstream->sweep);
}

static void exchange_finish(struct exchange *exchange, enum exchange_failure failure)
{
    struct exchange_result result = {.failure = failure, .status = exchange->status, .retry_after_us = exchange->retry_after_us,
                                     .connect_us = exchange->connected_us > 0 ? exchange->connected_us - exchange->begun_us : -1,
                                     .first_byte_us = exchange->progress_us > 0 ? exchange->first_us - exchange->begun_us : -1,
                                     .total_us = clock_now_us() - exchange->begun_us, .reused = exchange->reused};
    const struct exchange_callbacks *callbacks = exchange->callbacks;
    void *user = exchange->user;
    exchange_free(exchange);
    if (callbacks != NULL)
        callbacks->done(user, &result);
}

static void free_doomed(struct upstream *upstream)
{
    for (bool again = true; again;) {
        again = false;
        for (struct exchange *exchange = upstream->exchanges; exchange != NULL; exchange = exchange->next)
            if (exchange->doomed) {
                exchange_free(exchange);
                again = true;
                break;
            }
    }
    upstream->any_doomed = false;
}

/* After every call into curl that may call back. */
static void after_curl(struct upstream *upstream)
{
    if (upstream->in_curl > 0)
        return;
    if (upstream->any_doomed)
        free_doomed(upstream);
    int left;
    for (CURLMsg *message; !upstream->closing && (message = curl_multi_info_read(upstream->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct exchange *exchange = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
        exchange_finish(exchange, exchange_failure_of(exchange, code));
    }
}

/* ------------------------------------------------------------------ curl on libuv */

static void handle_closed(uv_handle_t *handle)
{
    struct upstream *upstream = handle->data;
    if (--upstream->n_handles > 0)
        return;
    void (*closed)(void *user) = upstream->closed;
    void *user = upstream->user;
    free(upstream);
    if (closed != NULL)
        closed(user);
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *watch = (struct watch *)handle;
    struct upstream *upstream = watch->upstream;
    free(watch);
    uv_handle_t last = {.data = upstream};
    handle_closed(&last);
}

static void watch_drop(struct watch *watch)
{
    struct upstream *upstream = watch->upstream;
    for (struct watch **at = &upstream->watches; *at != NULL; at = &(*at)->next)
        if (*at == watch) {
            *at = watch->next;
            break;
        }
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

static void socket_act(struct upstream *upstream, curl_socket_t fd, int flags)
{
    int running;
    upstream->in_curl++;
    curl_multi_socket_action(upstream->multi, fd, flags, &running);
    upstream->in_curl--;
    after_curl(upstream);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = (struct watch *)poll;
    int flags = status < 0 ? CURL_CSELECT_ERR : ((events & UV_READABLE) ? CURL_CSELECT_IN : 0) | ((events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0);
    socket_act(watch->upstream, watch->fd, flags);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *of_socket)
{
    struct upstream *upstream = user;
    struct watch *watch = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            curl_multi_assign(upstream->multi, fd, NULL);
            watch_drop(watch);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        if (watch == NULL)
            return -1;
        watch->upstream = upstream;
        watch->fd = fd;
        if (uv_poll_init(upstream->loop, &watch->poll, fd) != 0) {
            free(watch);
            return -1;
        }
        upstream->n_handles++;
        watch->next = upstream->watches;
        upstream->watches = watch;
        curl_multi_assign(upstream->multi, fd, watch);
    }
    int events = ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, on_poll) == 0 ? 0 : -1;
}

int upstream_close_socket(void *user, curl_socket_t fd)
{
    struct upstream *upstream = user;
    for (struct watch *watch = upstream->watches; watch != NULL; watch = watch->next)
        if (watch->fd == fd) {
            curl_multi_assign(upstream->multi, fd, NULL);
            watch_drop(watch);
            break;
        }
    return close(fd);
}

static void on_timeout(uv_timer_t *timer)
{
    socket_act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct upstream *upstream = user;
    if (upstream->closing)
        return 0;
    if (timeout_ms < 0)
        uv_timer_stop(&upstream->timer);
    else
        uv_timer_start(&upstream->timer, on_timeout, (uint64_t)timeout_ms, 0);
    return 0;
}

/* ------------------------------------------------------------------ deadlines */

/* Which of its deadlines has passed. */
static enum exchange_failure exchange_overdue(const struct exchange *exchange, int64_t now_us)
{
    const struct config_provider *provider = &exchange->config->providers[exchange->provider];
    if (exchange->callbacks == NULL)
        return now_us >= exchange->deadline_us ? EXCHANGE_TIMEOUT_TOTAL : EXCHANGE_OK;
    if (exchange->deadline_us > 0 && now_us >= exchange->deadline_us)
        return EXCHANGE_TIMEOUT_TOTAL;
    if (now_us - exchange->begun_us >= provider->total_timeout_us)
        return EXCHANGE_TIMEOUT_TOTAL;
    if (exchange->connected_us == 0)
        return now_us - exchange->begun_us >= provider->connect_timeout_us ? EXCHANGE_TIMEOUT_CONNECT : EXCHANGE_OK;
    if (exchange->paused)
        return EXCHANGE_OK;
    if (exchange->progress_us == 0)
        return now_us - exchange->connected_us >= provider->first_byte_timeout_us ? EXCHANGE_TIMEOUT_FIRST_BYTE : EXCHANGE_OK;
    return now_us - exchange->progress_us >= provider->stall_timeout_us ? EXCHANGE_TIMEOUT_STALL : EXCHANGE_OK;
}

static void on_sweep(uv_timer_t *timer)
{
    struct upstream *upstream = timer->data;
    int64_t now_us = clock_now_us();
    /* A callback may end other exchanges, so the list is read from its start after each. */
    for (bool again = true; again;) {
        again = false;
        for (struct exchange *exchange = upstream->exchanges; exchange != NULL; exchange = exchange->next) {
            enum exchange_failure failure = exchange_overdue(exchange, now_us);
            if (failure != EXCHANGE_OK) {
                exchange_finish(exchange, failure);
                again = true;
                break;
            }
        }
    }
}

/* Resumes outside of every callback: unpausing delivers what curl holds at once. */
static void on_kick(uv_timer_t *timer)
{
    struct upstream *upstream = timer->data;
    for (bool again = true; again;) {
        again = false;
        for (struct exchange *exchange = upstream->exchanges; exchange != NULL; exchange = exchange->next)
            if (exchange->resuming) {
                exchange->resuming = false;
                upstream->in_curl++;
                curl_easy_pause(exchange->easy, CURLPAUSE_CONT);
                upstream->in_curl--;
                after_curl(upstream);
                again = true;
                break;
            }
    }
}

/* ------------------------------------------------------------------ the public functions */

int upstream_open(struct upstream **out, uv_loop_t *loop, struct error *err)
{
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (upstream->multi = curl_multi_init()) == NULL) {
        free(upstream);
        return error_set(err, WEIR_E_MEMORY, "upstream", "libcurl could not be set up");
    }
    upstream->loop = loop;
    uv_timer_t *timers[] = {&upstream->timer, &upstream->sweep, &upstream->kick};
    for (int i = 0; i < 3; i++) {
        uv_timer_init(loop, timers[i]); /* Cannot fail. */
        timers[i]->data = upstream;
        uv_unref((uv_handle_t *)timers[i]);
        upstream->n_handles++;
    }
    curl_multi_setopt(upstream->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(upstream->multi, CURLMOPT_SOCKETDATA, upstream);
    curl_multi_setopt(upstream->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(upstream->multi, CURLMOPT_TIMERDATA, upstream);
    curl_multi_setopt(upstream->multi, CURLMOPT_MAXCONNECTS, 256L);
    curl_multi_setopt(upstream->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    *out = upstream;
    return 0;
}

void upstream_close(struct upstream *upstream, void (*closed)(void *user), void *user)
{
    upstream->closing = true;
    upstream->closed = closed;
    upstream->user = user;
    while (upstream->exchanges != NULL)
        exchange_free(upstream->exchanges);
    while (upstream->n_idle > 0)
        curl_easy_cleanup(upstream->idle[--upstream->n_idle]);
    curl_multi_cleanup(upstream->multi);
    while (upstream->watches != NULL)
        watch_drop(upstream->watches);
    for (struct lane *lane = upstream->lanes, *next; lane != NULL; lane = next) {
        next = lane->next;
        free(lane);
    }
    upstream->lanes = NULL;
    uv_close((uv_handle_t *)&upstream->timer, handle_closed);
    uv_close((uv_handle_t *)&upstream->sweep, handle_closed);
    uv_close((uv_handle_t *)&upstream->kick, handle_closed);
}

int upstream_send(struct upstream *upstream, const struct upstream_request *request, const struct exchange_callbacks *callbacks,
                  void *user, struct exchange **out, struct error *err)
{
    const struct config_provider *provider = &request->config->providers[request->provider];
    int status = clearance_spend(request->clearance_take, provider->name, request->body, err);
    clearance_free(request->clearance_take);
    if (status < 0)
        return status;
    if (!provider->usable)
        return error_set(err, WEIR_E_DENIED, provider->name, "has no key");
    if (upstream->closing)
        return error_set(err, WEIR_E_STATE, provider->name, "shutting down");
    struct lane *lane = lane_of(upstream, provider->name);
    if (lane == NULL)
        return error_set(err, WEIR_E_MEMORY, provider->name, "out of memory");
    if (lane->active >= provider->max_connections)
        return error_set(err, WEIR_E_FULL, provider->name, "%d requests are under way there", lane->active);
    struct exchange *exchange = calloc(1, sizeof *exchange);
    char *body = malloc(request->body.n + 1);
    CURL *easy = upstream->n_idle > 0 ? upstream->idle[--upstream->n_idle] : curl_easy_init();
    if (exchange == NULL || body == NULL || easy == NULL) {
        free(exchange);
        free(body);
        curl_easy_cleanup(easy);
        return error_set(err, WEIR_E_MEMORY, provider->name, "out of memory");
    }
    memcpy(body, request->body.data != NULL ? request->body.data : "", request->body.n);
    *exchange = (struct exchange){.upstream = upstream, .easy = easy, .config = config_hold(request->config), .provider = request->provider,
                                  .lane = lane, .callbacks = callbacks, .user = user, .body = body, .n_body = request->body.n,
                                  .begun_us = clock_now_us(), .deadline_us = request->deadline_us, .retry_after_us = -1};
    lane->active++;
    exchange->next = upstream->exchanges;
    exchange->previous = &upstream->exchanges;
    if (exchange->next != NULL)
        exchange->next->previous = &exchange->next;
    upstream->exchanges = exchange;
    status = exchange_configure(exchange, request->path, request->stream, err);
    if (status == 0 && curl_multi_add_handle(upstream->multi, easy) != CURLM_OK)
        status = error_set(err, WEIR_E_IO, provider->name, "libcurl refused the request");
    if (status < 0) {
        exchange_free(exchange);
        return status;
    }
    if (!uv_is_active((uv_handle_t *)&upstream->sweep))
        uv_timer_start(&upstream->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    *out = exchange;
    return 0;
}

void exchange_progress(struct exchange *exchange)
{
    exchange->progress_us = clock_now_us();
    if (exchange->first_us == 0)
        exchange->first_us = exchange->progress_us;
}

void exchange_pause(struct exchange *exchange)
{
    exchange->paused = true;
    exchange->resuming = false;
}

void exchange_resume(struct exchange *exchange)
{
    if (!exchange->paused)
        return;
    exchange->paused = false;
    if (exchange->progress_us > 0)
        exchange->progress_us = clock_now_us();
    if (exchange->held) {
        exchange->held = false;
        exchange->resuming = true;
        uv_timer_start(&exchange->upstream->kick, on_kick, 0, 0);
    }
}

void exchange_cancel(struct exchange *exchange)
{
    exchange->callbacks = NULL;
    exchange->doomed = true;
    if (exchange->upstream->in_curl == 0)
        exchange_free(exchange);
    else
        exchange->upstream->any_doomed = true;
}

void exchange_detach(struct exchange *exchange)
{
    exchange->callbacks = NULL;
    exchange->deadline_us = clock_now_us() + DETACHED_US;
    exchange_resume(exchange);
}
