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
 * Loop thread only, but for handshake_work, which has the TLS session to itself while `working` is set. */
#include "door/connection.h"

static void process(struct connection *connection);

/* ------------------------------------------------------------------ end of life */

static void release_body(struct connection *connection)
{
    connection->door->body_memory -= connection->body_reserved;
    connection->body_reserved = 0;
}

static void maybe_free(struct connection *connection)
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
    release_body(connection);
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
    maybe_free(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING)
        return;
    connection->state = CONNECTION_CLOSING;
    uv_close((uv_handle_t *)&connection->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

/* ------------------------------------------------------------------ writing */

size_t connection_queued(const struct connection *connection)
{
    return connection->pending.n + connection->inflight.n;
}

static void mark_dirty(struct connection *connection)
{
    if (connection->dirty)
        return;
    connection->dirty = true;
    connection->next_dirty = connection->door->dirty;
    connection->door->dirty = connection;
}

/* Moves what the TLS engine has put out into the queue. */
static void take_ciphertext(struct connection *connection)
{
    struct buffer *out = tls_output_peek(connection->tls);
    if (out->n == 0)
        return;
    int status = buffer_append(&connection->pending, out->data, out->n);
    if (out->capacity > DOOR_QUEUE_LOW)
        buffer_release(out);
    else
        buffer_clear(out);
    if (status < 0)
        connection_close(connection);
    else
        mark_dirty(connection);
}

void connection_send(struct connection *connection, const void *data, size_t n)
{
    if (connection->state == CONNECTION_CLOSING || n == 0)
        return;
    if (connection_queued(connection) == 0)
        connection->written_us = clock_now_us();
    if (connection->tls != NULL) {
        if (tls_write(connection->tls, data, n) < 0)
            connection_close(connection);
        else
            take_ciphertext(connection);
        return;
    }
    if (buffer_append(&connection->pending, data, n) < 0)
        connection_close(connection);
    else
        mark_dirty(connection);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)status; /* A peer that is gone already shows as an end or an error of reading. */
}

/* Everything is written: shut the write side and wait for the peer to go. */
static void start_linger(struct connection *connection)
{
    connection->state = CONNECTION_LINGERING;
    connection->shutdown.data = connection;
    if (connection->peer_ended || uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, on_shutdown) < 0) {
        connection_close(connection);
        return;
    }
    connection->deadline_us = clock_now_us() + (connection->refused ? DOOR_LINGER_REFUSED_MS : DOOR_LINGER_MS) * 1000;
}

/* Some of the queue has gone: tells the producer, ends what was only waiting for this. */
static void after_write(struct connection *connection)
{
    connection->written_us = clock_now_us();
    size_t queued = connection_queued(connection);
    if (queued == 0 && connection->state == CONNECTION_FLUSHING) {
        start_linger(connection);
        return;
    }
    struct reply *reply = &connection->reply;
    if (reply->was_full && queued < DOOR_QUEUE_LOW) {
        reply->was_full = false;
        if (reply->owner != NULL && reply->owner->writable != NULL)
            reply->owner->writable(reply->user);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *connection = write->data;
    connection->writing = false;
    if (connection->inflight.capacity > DOOR_QUEUE_LOW)
        buffer_release(&connection->inflight);
    else
        buffer_clear(&connection->inflight);
    if (connection->state == CONNECTION_CLOSING)
        return;
    if (status < 0) {
        connection_close(connection);
        return;
    }
    after_write(connection);
    connection_flush(connection);
}

void connection_flush(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING || connection->writing)
        return;
    if (connection->pending.n > 0) {
        uv_buf_t span = uv_buf_init(connection->pending.data, (unsigned)connection->pending.n);
        int n = uv_try_write((uv_stream_t *)&connection->tcp, &span, 1);
        if (n < 0 && n != UV_EAGAIN) {
            connection_close(connection);
            return;
        }
        size_t n_sent = n > 0 ? (size_t)n : 0;
        if (n_sent < connection->pending.n) {
            struct buffer swap = connection->inflight;
            connection->inflight = connection->pending;
            connection->pending = swap;
            span = uv_buf_init(connection->inflight.data + n_sent, (unsigned)(connection->inflight.n - n_sent));
            connection->write.data = connection;
            if (uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &span, 1, on_written) < 0)
                connection_close(connection);
            else
                connection->writing = true;
            return;
        }
        if (connection->pending.capacity > DOOR_QUEUE_LOW)
            buffer_release(&connection->pending);
        else
            buffer_clear(&connection->pending);
    }
    after_write(connection);
}

static void start_flush(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING)
        return;
    if (connection->tls != NULL) {
        tls_close(connection->tls);
        take_ciphertext(connection);
    }
    connection->state = CONNECTION_FLUSHING;
    connection->deadline_us = 0;
    mark_dirty(connection);
}

/* ------------------------------------------------------------------ requests */

static void wait_for_request(struct connection *connection)
{
    connection->state = CONNECTION_READING;
    connection->deadline_us = clock_now_us() + connection->door->limits.idle_ms * 1000;
}

void connection_refuse(struct connection *connection, int status, const struct error *error)
{
    struct door *door = connection->door;
    struct buffer body;
    buffer_init(&body, 4096);
    door->handler.refusal(door->handler.user, status, error, &body);
    connection->refused = true;
    connection->http1.request.keep_alive = false;
    connection->state = CONNECTION_ANSWERING;
    connection->reply.owner = NULL;
    reply_send(&connection->reply, status, "application/json", buffer_str(&body));
    buffer_release(&body);
}

void connection_reply_done(struct connection *connection, bool keep)
{
    struct reply *reply = &connection->reply;
    reply->owner = NULL;
    reply->begun = reply->chunked = reply->head_only = reply->was_full = false;
    buffer_clear(&reply->headers);
    release_body(connection);
    if (connection->state == CONNECTION_CLOSING)
        return;
    if (!keep || connection->door->draining) {
        buffer_release(&connection->ahead);
        start_flush(connection);
        return;
    }
    http1_next(&connection->http1);
    wait_for_request(connection);
    if (!connection->processing)
        process(connection);
}

/* Takes room for a body out of what all bodies together may use. */
static bool reserve_body(struct connection *connection, size_t n_bytes)
{
    struct door *door = connection->door;
    if (door->body_memory + n_bytes > door->limits.max_body_memory) {
        struct error error;
        error_set(&error, WEIR_E_FULL, "server", "too many large requests at once");
        connection_refuse(connection, 503, &error);
        return false;
    }
    door->body_memory += n_bytes;
    connection->body_reserved += n_bytes;
    return true;
}

/* A lawful head with a body behind it: takes room for it, tells a client that waits. A chunked body has no length yet and
 * takes its room as it comes. */
static void body_begins(struct connection *connection, bool more_waiting)
{
    struct door *door = connection->door;
    const struct http_request *request = &connection->http1.request;
    if (!reserve_body(connection, request->chunked ? DOOR_READ_BYTES : (size_t)request->content_length))
        return;
    int64_t now = clock_now_us();
    connection->deadline_us = now + door->limits.body_stall_ms * 1000;
    connection->body_deadline_us = now + door->limits.body_total_ms * 1000;
    if (request->expects_continue && !more_waiting)
        connection_send(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void body_grew(struct connection *connection)
{
    connection->deadline_us = clock_now_us() + connection->door->limits.body_stall_ms * 1000;
    size_t held = connection->http1.body.n;
    if (held > connection->body_reserved)
        (void)reserve_body(connection, held - connection->body_reserved);
}

static void request_complete(struct connection *connection)
{
    struct door *door = connection->door;
    connection->state = CONNECTION_ANSWERING;
    connection->deadline_us = 0;
    door->handler.request(door->handler.user, &connection->reply);
    if (connection->state == CONNECTION_ANSWERING && connection->reply.owner == NULL)
        connection_close(connection); /* Nobody will ever answer it. */
}

/* Feeds bytes to the parser while the connection is between or inside requests. Returns how many were used. */
static size_t feed(struct connection *connection, const char *data, size_t n)
{
    size_t at = 0;
    while (at < n && connection->state == CONNECTION_READING) {
        struct http1 *http1 = &connection->http1;
        if (!http1_started(http1))
            connection->deadline_us = clock_now_us() + connection->door->limits.head_ms * 1000;
        size_t taken;
        enum http1_event event = http1_feed(http1, data + at, n - at, &taken);
        at += taken;
        if (event == HTTP1_HEAD)
            body_begins(connection, at < n);
        else if (event == HTTP1_DONE)
            request_complete(connection);
        else if (event == HTTP1_ERROR)
            connection_refuse(connection, http1->error_status, &http1->error);
        else if (http1->state != HTTP1_IN_HEAD)
            body_grew(connection);
    }
    return at;
}

static void set_reading(struct connection *connection);

/* Works through what lies ahead, as far as the state allows. */
static void process(struct connection *connection)
{
    connection->processing = true;
    while (connection->ahead.n > 0 && connection->state == CONNECTION_READING) {
        /* The handler may append to `ahead` no more than we do: nobody but the read callback does. */
        size_t used = feed(connection, connection->ahead.data, connection->ahead.n);
        buffer_consume(&connection->ahead, used);
    }
    connection->processing = false;
    if (connection->state == CONNECTION_READING && connection->ahead.n == 0 && connection->ahead.capacity > 0)
        buffer_release(&connection->ahead);
    if (connection->peer_ended && connection->state == CONNECTION_READING)
        start_flush(connection);
    set_reading(connection);
}

static void plain_bytes(struct connection *connection, const char *data, size_t n)
{
    switch (connection->state) {
    case CONNECTION_READING:
    case CONNECTION_ANSWERING:
        if (connection->ahead.n == 0 && connection->state == CONNECTION_READING && !connection->processing) {
            connection->processing = true;
            size_t used = feed(connection, data, n);
            connection->processing = false;
            data += used;
            n -= used;
        }
        if (n > 0 && (connection->state == CONNECTION_READING || connection->state == CONNECTION_ANSWERING)) {
            if (buffer_append(&connection->ahead, data, n) < 0)
                connection_close(connection);
            else if (connection->state == CONNECTION_READING)
                process(connection);
        }
        break;
    case CONNECTION_FLUSHING:
    case CONNECTION_LINGERING:
        connection->n_discarded += n;
        if (connection->n_discarded > DOOR_LINGER_BYTES)
            connection_close(connection);
        break;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_CLOSING:
        break;
    }
}

/* ------------------------------------------------------------------ TLS */

static void peer_ended(struct connection *connection);

static void read_plaintext(struct connection *connection)
{
    char plain[16384];
    while (connection->state != CONNECTION_CLOSING) {
        ptrdiff_t n = tls_read(connection->tls, plain, sizeof plain);
        if (n > 0) {
            plain_bytes(connection, plain, (size_t)n);
            continue;
        }
        take_ciphertext(connection);
        if (n == WEIR_E_STATE)
            peer_ended(connection);
        else if (n < 0)
            connection_close(connection);
        return;
    }
}

/* Worker thread: the expensive arithmetic of a handshake. */
static void handshake_work(uv_work_t *work)
{
    struct connection *connection = work->data;
    connection->handshake_result = tls_handshake(connection->tls);
}

static void handshake_step(struct connection *connection);

static void handshake_worked(uv_work_t *work, int status)
{
    struct connection *connection = work->data;
    int result = connection->handshake_result;
    connection->working = false;
    if (connection->state == CONNECTION_CLOSING) {
        maybe_free(connection);
        return;
    }
    take_ciphertext(connection);
    if (status < 0 || result < 0) {
        connection->refused = true; /* The alert is already in the output. */
        start_flush(connection);
        return;
    }
    bool more = connection->raw.n > 0;
    if (more && tls_feed(connection->tls, connection->raw.data, connection->raw.n) < 0) {
        connection_close(connection);
        return;
    }
    buffer_release(&connection->raw);
    if (result == 1) {
        char info[96];
        tls_info(connection->tls, info, sizeof info);
        log_event(LOG_DEBUG, "tls_handshake", "%s", info);
        wait_for_request(connection);
        read_plaintext(connection);
    } else if (more) {
        handshake_step(connection);
    }
}

static void handshake_step(struct connection *connection)
{
    connection->work.data = connection;
    connection->working = true;
    if (uv_queue_work(connection->door->loop, &connection->work, handshake_work, handshake_worked) < 0) {
        connection->working = false;
        connection_close(connection);
    }
}

static void cipher_bytes(struct connection *connection, const char *data, size_t n)
{
    if (connection->working) {
        if (buffer_append(&connection->raw, data, n) < 0)
            connection_close(connection);
        return;
    }
    if (connection->state == CONNECTION_FLUSHING || connection->state == CONNECTION_LINGERING) {
        plain_bytes(connection, data, n); /* Thrown away undecrypted. */
        return;
    }
    if (tls_feed(connection->tls, data, n) < 0)
        connection_close(connection);
    else if (connection->state == CONNECTION_HANDSHAKE)
        handshake_step(connection);
    else
        read_plaintext(connection);
}

/* ------------------------------------------------------------------ reading */

/* The peer has shut its side. Inside an answer that is a hang-up: half-closed connections are not served further. */
static void peer_ended(struct connection *connection)
{
    connection->peer_ended = true;
    switch (connection->state) {
    case CONNECTION_READING:
        if (http1_started(&connection->http1)) {
            struct error error;
            error_set(&error, WEIR_E_INVALID, "request", "ended before it was complete");
            connection_refuse(connection, 400, &error);
        } else {
            start_flush(connection);
        }
        break;
    case CONNECTION_FLUSHING:
        break;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_ANSWERING:
    case CONNECTION_LINGERING:
    case CONNECTION_CLOSING:
        connection_close(connection);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (connection->state == CONNECTION_CLOSING || n == 0)
        return;
    if (n == UV_EOF) {
        peer_ended(connection);
        return;
    }
    if (n < 0) {
        connection_close(connection);
        return;
    }
    if (connection->tls != NULL)
        cipher_bytes(connection, buffer->base, (size_t)n);
    else
        plain_bytes(connection, buffer->base, (size_t)n);
    set_reading(connection);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    *buffer = uv_buf_init(connection->door->read_buffer, sizeof connection->door->read_buffer);
}

/* Reads unless too much of pipelined requests waits already. */
static void set_reading(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING || connection->peer_ended)
        return;
    bool want = connection->ahead.n < DOOR_AHEAD_BYTES;
    if (want && !connection->reading) {
        connection->reading = uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) == 0;
        if (!connection->reading)
            connection_close(connection);
    } else if (!want && connection->reading) {
        uv_read_stop((uv_stream_t *)&connection->tcp);
        connection->reading = false;
    }
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
        start_flush(connection);
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
    wait_for_request(connection);
    if (listener->tls != NULL) {
        connection->tls = tls_accept(listener->tls);
        connection->state = CONNECTION_HANDSHAKE;
        connection->deadline_us = clock_now_us() + door->limits.handshake_ms * 1000;
        if (connection->tls == NULL) {
            connection_close(connection);
            return 0;
        }
    }
    set_reading(connection);
    return 0;
}

void connection_drain(struct connection *connection)
{
    if (connection->state == CONNECTION_HANDSHAKE)
        connection_close(connection);
    else if (connection->state == CONNECTION_READING && !http1_started(&connection->http1))
        start_flush(connection);
}
