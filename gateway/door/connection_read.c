/* What a connection receives: bytes of the socket, through TLS where the listener has it, to connection_request.c. */
#include "door/connection.h"

/* ------------------------------------------------------------------ TLS */

static void peer_ended(struct connection *connection);

static void read_plaintext(struct connection *connection)
{
    char plain[16384];
    while (connection->state != CONNECTION_CLOSING) {
        ptrdiff_t n = tls_read(connection->tls, plain, sizeof plain);
        if (n > 0) {
            connection_plain_bytes(connection, plain, (size_t)n);
            continue;
        }
        connection_take_ciphertext(connection);
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
        connection_free_if_over(connection);
        return;
    }
    connection_take_ciphertext(connection);
    if (status < 0 || result < 0) {
        connection->refused = true; /* The alert is already in the output. */
        connection_start_flush(connection);
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
        connection_wait_for_request(connection);
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
        connection_plain_bytes(connection, data, n); /* Thrown away undecrypted. */
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
            connection_start_flush(connection);
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
        connection_plain_bytes(connection, buffer->base, (size_t)n);
    connection_set_reading(connection);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    *buffer = uv_buf_init(connection->door->read_buffer, sizeof connection->door->read_buffer);
}

/* Reads unless too much of pipelined requests waits already. */
void connection_set_reading(struct connection *connection)
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
