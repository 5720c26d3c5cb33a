/* From bytes to requests: the parser is fed, bodies take room, a whole request goes to the handler, and when its reply is over the
 * next one is looked for in what came meanwhile. */
#include "door/connection.h"

static void process(struct connection *connection);

void connection_wait_for_request(struct connection *connection)
{
    connection->state = CONNECTION_READING;
    connection->deadline_us = clock_now_us() + connection->door->limits.idle_ms * 1000;
}

void connection_refuse(struct connection *connection, int status, const struct error *error)
{
    struct door *door = connection->door;
    struct buffer body;
    buffer_init(&body, 4096);
    door->handler.refusal(door->handler.user, &connection->reply, status, error, &body);
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
    connection_release_body(connection);
    if (connection->state == CONNECTION_CLOSING)
        return;
    if (!keep || connection->door->draining) {
        buffer_release(&connection->ahead);
        connection_start_flush(connection);
        return;
    }
    http1_next(&connection->http1);
    connection_wait_for_request(connection);
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
        connection_start_flush(connection);
    connection_set_reading(connection);
}

void connection_plain_bytes(struct connection *connection, const char *data, size_t n)
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
