/* A connection's life: handshake, request, answer, next request, close.
 *
 * Rules it keeps:
 *  - One request at a time is with the handler; what comes behind it waits in `ahead` and is answered in order.
 *  - Reading goes on during an answer, because that is how a hang-up is noticed; it pauses only when `ahead` is full.
 *  - Nothing is written from within a read callback: bytes are queued, and the loop's prepare step sends the queues of all
 *    dirty connections with one write each. At most one uv_write of a connection is in flight.
 *  - After a refusal, or the last answer, the write side is shut and what still comes is thrown away for a while, so that
 *    the peer can read the answer instead of meeting a reset.
 *  - Memory goes when both handles are closed and no worker has the TLS session; `gone` is told then, and only then.
 *
 * This file: birth, time, end. connection_read.c takes bytes in and through TLS, connection_request.c makes requests of them,
 * connection_write.c sends. Loop thread only, but for a handshake's arithmetic, which has the TLS session to itself while
 * `working` is set. */
#include "door/connection.h"

/* ------------------------------------------------------------------ end of life */

void connection_release_body(struct connection *connection)
{
    connection->door->body_memory -= connection->body_reserved;
    connection->body_reserved = 0;
}

void connection_free_if_over(struct connection *connection)
{
    struct door *door = connection->door;
    if (connection->n_open_handles > 0 || connection->working)
        return;
    struct reply *reply = &connection->reply;
    if (reply->owner != NULL && reply->owner->gone != NULL) {
        const struct reply_owner *owner = reply->owner;
        reply->owner = NULL;
        owner->gone(reply->user);
    }
    connection_release_body(connection);
    if (connection->next != NULL)
        connection->next->link = connection->link;
    *connection->link = connection->next;
    for (struct connection **dirty = &door->dirty; *dirty != NULL; dirty = &(*dirty)->next_dirty) {
        if (*dirty == connection) {
            *dirty = connection->next_dirty;
            break;
        }
    }
    tls_session_free(connection->tls);
    http1_release(&connection->http1);
    buffer_release(&connection->raw);
    buffer_release(&connection->ahead);
    buffer_release(&connection->pending);
    buffer_release(&connection->inflight);
    buffer_release(&reply->headers);
    free(connection);
    door->n_connections--;
    if (door->draining && door->n_connections == 0 && door->handler.drained != NULL)
        door->handler.drained(door->handler.user);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->n_open_handles--;
    connection_free_if_over(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING)
        return;
    connection->state = CONNECTION_CLOSING;
    uv_close((uv_handle_t *)&connection->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

/* ------------------------------------------------------------------ time */

static void phase_ended(struct connection *connection)
{
    struct error error;
    if (connection->state == CONNECTION_READING && http1_started(&connection->http1)) {
        bool in_head = connection->http1.state == HTTP1_IN_HEAD;
        error_set(&error, WEIR_E_TIMEOUT, "request", "%s", in_head ? "its head was not complete in time" : "its body was not complete in time");
        connection_refuse(connection, 408, &error);
    } else if (connection->state == CONNECTION_READING) {
        connection_start_flush(connection);
    } else {
        connection_close(connection);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct connection *connection = timer->data;
    int64_t now = clock_now_us();
    const struct door_limits *limits = &connection->door->limits;
    bool in_body = connection->state == CONNECTION_READING && connection->body_reserved > 0;
    if (connection->state == CONNECTION_CLOSING)
        return;
    if (connection_queued(connection) > 0 && now - connection->written_us > limits->write_stall_ms * 1000)
        connection_close(connection);
    else if ((connection->deadline_us > 0 && now >= connection->deadline_us) || (in_body && now >= connection->body_deadline_us))
        phase_ended(connection);
}

/* ------------------------------------------------------------------ birth */

static bool made_to_loopback(uv_tcp_t *tcp)
{
    struct sockaddr_storage address;
    int n = sizeof address;
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &n) < 0)
        return false;
    if (address.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&address)->sin_addr.s_addr) >> 24 == 127;
    if (address.ss_family != AF_INET6)
        return false;
    const struct in6_addr *in6 = &((struct sockaddr_in6 *)&address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

int connection_open(struct door *door, struct listener *listener)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return WEIR_E_MEMORY;
    connection->door = door;
    connection->reply.connection = connection;
    http1_init(&connection->http1, door->limits.max_body);
    buffer_init(&connection->raw, TLS_MAX_INPUT);
    buffer_init(&connection->ahead, DOOR_AHEAD_BYTES + DOOR_READ_BYTES + TLS_MAX_INPUT);
    buffer_init(&connection->pending, DOOR_QUEUE_MAX);
    buffer_init(&connection->inflight, DOOR_QUEUE_MAX);
    buffer_init(&connection->reply.headers, 16384);
    connection->next = door->connections;
    connection->link = &door->connections;
    if (door->connections != NULL)
        door->connections->link = &connection->next;
    door->connections = connection;
    door->n_connections++;
    if (uv_tcp_init(door->loop, &connection->tcp) < 0 || uv_timer_init(door->loop, &connection->timer) < 0)
        abort(); /* Neither fails on Linux without an address family given. */
    connection->n_open_handles = 2;
    connection->tcp.data = connection->timer.data = connection;
    bool room = door->n_connections <= door->limits.max_connections;
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&connection->tcp) < 0 || !room) {
        connection_close(connection);
        return 0;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    connection->loopback = made_to_loopback(&connection->tcp);
    uv_timer_start(&connection->timer, on_tick, DOOR_TICK_MS, DOOR_TICK_MS);
    connection_wait_for_request(connection);
    if (listener->tls != NULL) {
        connection->tls = tls_accept(listener->tls);
        connection->state = CONNECTION_HANDSHAKE;
        connection->deadline_us = clock_now_us() + door->limits.handshake_ms * 1000;
        if (connection->tls == NULL) {
            connection_close(connection);
            return 0;
        }
    }
    connection_set_reading(connection);
    return 0;
}

void connection_drain(struct connection *connection)
{
    if (connection->state == CONNECTION_HANDSHAKE)
        connection_close(connection);
    else if (connection->state == CONNECTION_READING && !http1_started(&connection->http1))
        connection_start_flush(connection);
}
