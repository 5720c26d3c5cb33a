/* What a connection sends: a queue (`pending`, behind it `inflight`) that its producer is told about when it runs low, TLS over
 * it, and the careful end: flush, shut, linger. */
#include "door/connection.h"

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
void connection_take_ciphertext(struct connection *connection)
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
            connection_take_ciphertext(connection);
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

void connection_start_flush(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING)
        return;
    if (connection->tls != NULL) {
        tls_close(connection->tls);
        connection_take_ciphertext(connection);
    }
    connection->state = CONNECTION_FLUSHING;
    connection->deadline_us = 0;
    mark_dirty(connection);
}
