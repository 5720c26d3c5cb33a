/* Listeners, and the door as a whole: opening, draining, stopping. Loop thread only. */
#include "door/connection.h"

#include <sys/resource.h>

enum { BACKLOG = 1024 };

static void on_prepare(uv_prepare_t *prepare)
{
    struct door *door = prepare->data;
    while (door->dirty != NULL) {
        struct connection *connection = door->dirty;
        door->dirty = connection->next_dirty;
        connection->next_dirty = NULL;
        connection->dirty = false;
        connection_flush(connection);
    }
}

/* A connection is a file descriptor: lifts the soft limit to the hard one. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int door_new(struct door **out, uv_loop_t *loop, const struct door_limits *limits, const struct door_handler *handler,
             struct error *err)
{
    struct door *door = calloc(1, sizeof *door);
    if (door == NULL)
        return error_set(err, WEIR_E_MEMORY, "door", "out of memory");
    door->loop = loop;
    door->handler = *handler;
    if (limits != NULL)
        door->limits = *limits;
    struct door_limits *l = &door->limits;
    l->max_body = l->max_body > 0 ? l->max_body : (size_t)8 << 20;
    l->max_body_memory = l->max_body_memory > 0 ? l->max_body_memory : (size_t)512 << 20;
    l->max_connections = l->max_connections > 0 ? l->max_connections : 4096;
    l->handshake_ms = l->handshake_ms > 0 ? l->handshake_ms : 5000;
    l->head_ms = l->head_ms > 0 ? l->head_ms : 10000;
    l->body_stall_ms = l->body_stall_ms > 0 ? l->body_stall_ms : 30000;
    l->body_total_ms = l->body_total_ms > 0 ? l->body_total_ms : 300000;
    l->idle_ms = l->idle_ms > 0 ? l->idle_ms : 75000;
    l->write_stall_ms = l->write_stall_ms > 0 ? l->write_stall_ms : 300000;
    raise_descriptor_limit();
    uv_prepare_init(loop, &door->flush);
    door->flush.data = door;
    uv_prepare_start(&door->flush, on_prepare);
    uv_unref((uv_handle_t *)&door->flush);
    *out = door;
    return 0;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    if (status < 0)
        log_event(LOG_WARN, "accept_failed", "%s", uv_strerror(status));
    else if (connection_open(listener->door, listener) < 0)
        log_event(LOG_WARN, "accept_failed", "out of memory");
}

/* "http://host:port" → its parts; host without brackets. */
static int split_url(const char *url, bool *tls, char *host, size_t n_host, int *port, struct error *err)
{
    str rest = str_of(url);
    if (str_starts(rest, STR("https://")))
        *tls = true;
    else if (str_starts(rest, STR("http://")))
        *tls = false;
    else
        return error_set(err, WEIR_E_INVALID, url, "a listener's address begins with http:// or https://");
    size_t n_scheme = *tls ? 8 : 7;
    rest = (str){rest.data + n_scheme, rest.n - n_scheme};
    if (str_ends(rest, STR("/")))
        rest.n--;
    str name = rest, number = {NULL, 0};
    if (rest.n > 0 && rest.data[0] == '[') {
        ptrdiff_t end = str_find(rest, STR("]"));
        if (end < 0)
            return error_set(err, WEIR_E_INVALID, url, "the bracket of an IPv6 address is not closed");
        name = (str){rest.data + 1, (size_t)end - 1};
        if ((size_t)end + 1 < rest.n && rest.data[end + 1] == ':')
            number = (str){rest.data + end + 2, rest.n - (size_t)end - 2};
    } else {
        ptrdiff_t colon = str_find(rest, STR(":"));
        if (colon >= 0) {
            name = (str){rest.data, (size_t)colon};
            number = (str){rest.data + colon + 1, rest.n - (size_t)colon - 1};
        }
    }
    int64_t value = *tls ? 443 : 80;
    if (number.data != NULL && (parse_i64(number, &value) < 0 || value < 0 || value > 65535))
        return error_set(err, WEIR_E_INVALID, url, "the port must be a number from 0 to 65535");
    *port = (int)value;
    if (name.n == 0 || !str_copy(host, n_host, name))
        return error_set(err, WEIR_E_INVALID, url, "names no host");
    return 0;
}

static int resolve(struct door *door, const char *url, const char *host, int port, struct sockaddr_storage *address, struct error *err)
{
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)address) == 0 || uv_ip6_addr(host, port, (struct sockaddr_in6 *)address) == 0)
        return 0;
    uv_getaddrinfo_t request;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    int status = uv_getaddrinfo(door->loop, &request, NULL, host, service, &hints);
    if (status < 0)
        return error_set(err, WEIR_E_INVALID, url, "%s", uv_strerror(status));
    memcpy(address, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
    uv_freeaddrinfo(request.addrinfo);
    return 0;
}

static void describe(struct listener *listener, bool tls, char *bound, size_t n_bound)
{
    struct sockaddr_storage address;
    int n = sizeof address, port = 0;
    char host[64] = "?";
    bool six = false;
    if (uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address, &n) == 0) {
        six = address.ss_family == AF_INET6;
        if (six) {
            uv_ip6_name((struct sockaddr_in6 *)&address, host, sizeof host);
            port = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
        } else {
            uv_ip4_name((struct sockaddr_in *)&address, host, sizeof host);
            port = ntohs(((struct sockaddr_in *)&address)->sin_port);
        }
    }
    snprintf(bound, n_bound, "%s://%s%s%s:%d", tls ? "https" : "http", six ? "[" : "", host, six ? "]" : "", port);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    listener->open = false;
}

int door_listen(struct door *door, const char *url, const char *certificate, const char *key, char *bound, size_t n_bound,
                struct error *err)
{
    char host[256];
    bool tls = false;
    int port = 0;
    struct sockaddr_storage address;
    memset(&address, 0, sizeof address);
    int status = split_url(url, &tls, host, sizeof host, &port, err);
    if (status == 0)
        status = resolve(door, url, host, port, &address, err);
    if (status < 0)
        return status;
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return error_set(err, WEIR_E_MEMORY, url, "out of memory");
    if (tls && (certificate == NULL || key == NULL))
        status = error_set(err, WEIR_E_INVALID, url, "needs tls.certificate and tls.private_key");
    else if (tls)
        status = tls_server_open(&listener->tls, certificate, key, err);
    if (status < 0) {
        free(listener);
        return status;
    }
    listener->door = door;
    listener->tcp.data = listener;
    listener->next = door->listeners;
    door->listeners = listener;
    listener->open = true;
    uv_tcp_init(door->loop, &listener->tcp);
    int code = uv_tcp_bind(&listener->tcp, (struct sockaddr *)&address, 0);
    if (code == 0)
        code = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (code < 0) {
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        return error_set(err, WEIR_E_IO, url, "%s%s", uv_strerror(code),
                         code == UV_EADDRINUSE ? "; another program listens there" : "");
    }
    describe(listener, tls, bound, n_bound);
    return 0;
}

static void close_listeners(struct door *door)
{
    for (struct listener *listener = door->listeners; listener != NULL; listener = listener->next)
        if (listener->open && !uv_is_closing((uv_handle_t *)&listener->tcp))
            uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
}

void door_drain(struct door *door)
{
    if (door->draining)
        return;
    door->draining = true;
    close_listeners(door);
    for (struct connection *connection = door->connections, *next; connection != NULL; connection = next) {
        next = connection->next;
        connection_drain(connection);
    }
    if (door->n_connections == 0 && door->handler.drained != NULL)
        door->handler.drained(door->handler.user);
}

void door_stop(struct door *door)
{
    if (door->stopped)
        return;
    door->stopped = door->draining = true;
    close_listeners(door);
    for (struct connection *connection = door->connections; connection != NULL; connection = connection->next)
        connection_close(connection);
    uv_prepare_stop(&door->flush);
    uv_close((uv_handle_t *)&door->flush, NULL);
}

void door_free(struct door *door)
{
    if (door == NULL)
        return;
    for (struct listener *listener = door->listeners, *next; listener != NULL; listener = next) {
        next = listener->next;
        tls_server_close(listener->tls);
        free(listener);
    }
    free(door);
}

int door_connections(const struct door *door)
{
    return door->n_connections;
}
