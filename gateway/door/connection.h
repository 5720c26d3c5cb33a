/* A connection: its socket, its TLS session, its parser and the one reply it may be in. Private to door/. */
#ifndef WEIR_DOOR_CONNECTION_H
#define WEIR_DOOR_CONNECTION_H

#include "door/door.h"
#include "door/tls.h"

enum {
    DOOR_READ_BYTES = 65536,
    DOOR_AHEAD_BYTES = 65536,    /* Of pipelined requests; then reading pauses. */
    DOOR_QUEUE_HIGH = 256 << 10, /* Producers pause above this … */
    DOOR_QUEUE_LOW = 64 << 10,   /* … and go on below this. */
    DOOR_QUEUE_MAX = 128 << 20,
    DOOR_LINGER_MS = 2000,
    DOOR_LINGER_REFUSED_MS = 20000, /* For a peer still busy sending what was refused. */
    DOOR_LINGER_BYTES = 128 << 20,
    DOOR_TICK_MS = 500,
};

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_READING,   /* Between requests, or inside one. */
    CONNECTION_ANSWERING, /* A whole request is with the handler. */
    CONNECTION_FLUSHING,  /* The last answer is being written; then the write side is shut. */
    CONNECTION_LINGERING, /* Shut; what still comes is thrown away, so that the answer is not reset. */
    CONNECTION_CLOSING,
};

struct reply {
    struct connection *connection;
    const struct reply_owner *owner;
    void *user;
    struct buffer headers; /* Added ones, ready to send. */
    bool begun;
    bool chunked;
    bool head_only;
    bool was_full;
};

struct connection {
    struct door *door;
    struct connection *next, **link;
    struct connection *next_dirty;
    bool dirty;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    uv_work_t work;
    int n_open_handles;
    bool working;      /* The TLS session is with a worker. */
    bool writing;
    bool reading;
    bool peer_ended;
    bool processing;
    bool refused;
    bool loopback;
    enum connection_state state;
    struct tls_session *tls;
    struct buffer raw;      /* Ciphertext that came while the session was with a worker. */
    struct http1 http1;
    struct buffer ahead;    /* Bytes after the current request. */
    struct buffer pending;  /* To be written next. */
    struct buffer inflight; /* Being written. */
    struct reply reply;
    int64_t deadline_us;    /* Of the current phase, 0: none. */
    int64_t body_deadline_us;
    int64_t written_us;     /* When the peer last took something. */
    size_t body_reserved;
    size_t n_discarded;
    int handshake_result;
};

struct listener {
    struct listener *next;
    struct door *door;
    uv_tcp_t tcp;
    struct tls_server *tls; /* NULL: plain. */
    bool open;
};

struct door {
    uv_loop_t *loop;
    struct door_limits limits;
    struct door_handler handler;
    struct listener *listeners;
    struct connection *connections;
    struct connection *dirty;
    uv_prepare_t flush;
    int n_connections;
    size_t body_memory;
    bool draining;
    bool stopped;
    char date[40];
    int64_t date_us;
    char read_buffer[DOOR_READ_BYTES];
};

int connection_open(struct door *door, struct listener *listener);
/* Queues bytes for the peer; they go out before the loop next waits. */
void connection_send(struct connection *connection, const void *data, size_t n);
size_t connection_queued(const struct connection *connection);
/* The reply is over: goes on to the next request, or flushes and closes. */
void connection_reply_done(struct connection *connection, bool keep);
void connection_close(struct connection *connection);
void connection_flush(struct connection *connection);
/* Answers with the door's own error and closes once it is read. */
void connection_refuse(struct connection *connection, int status, const struct error *error);
/* Ends an idle connection in a drain. */
void connection_drain(struct connection *connection);

/* ------------------------------------------------------------------ between connection*.c */

void connection_free_if_over(struct connection *connection); /* Both handles closed, no worker busy: tells `gone`, frees. */
void connection_release_body(struct connection *connection); /* Gives back the room that a body took. */
void connection_wait_for_request(struct connection *connection);
/* Bytes of requests, decrypted. */
void connection_plain_bytes(struct connection *connection, const char *data, size_t n);
/* Reads unless too much of pipelined requests waits already. */
void connection_set_reading(struct connection *connection);
/* Moves what the TLS engine has put out into the queue. */
void connection_take_ciphertext(struct connection *connection);
/* What is queued is the last: sends it, then shuts the write side and lingers. */
void connection_start_flush(struct connection *connection);

#endif
