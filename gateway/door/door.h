/* The door: listeners, connections, TLS, HTTP/1.1 in, answers and event streams out. It knows nothing of models or dialects:
 * a whole request goes to the handler, which answers through its reply, now or later.
 *
 * Everything here runs on the thread of one uv loop. A reply lives until the handler has ended it or its owner's `gone`
 * has been called, whichever is first, and must not be touched afterwards. `gone` is never called from within a reply_
 * or door_ function. */
#ifndef WEIR_DOOR_DOOR_H
#define WEIR_DOOR_DOOR_H

#include "door/http1.h"
#include "weir_base.h"

#include <uv.h>

struct reply;
struct door;

/* Zero fields mean the defaults in brackets. */
struct door_limits {
    size_t max_body;         /* [8 MiB] */
    size_t max_body_memory;  /* Of all requests in flight together [512 MiB]. */
    int max_connections;     /* [4096] */
    int64_t handshake_ms;    /* [5 s] */
    int64_t head_ms;         /* From a head's first byte to its last [10 s]. */
    int64_t body_stall_ms;   /* Without a byte of the body [30 s]. */
    int64_t body_total_ms;   /* [300 s] */
    int64_t idle_ms;         /* Between requests [75 s]. */
    int64_t write_stall_ms;  /* Without the peer taking a byte of what waits for it [300 s]. */
};

struct door_handler {
    void *user;
    /* A whole request. Must answer, or call reply_own and answer later. */
    void (*request)(void *user, struct reply *reply);
    /* Appends the body (JSON) of an answer that the door itself gives: status and what is wrong. May add headers to the reply; its request has
     * none where the head was not complete. */
    void (*refusal)(void *user, struct reply *reply, int status, const struct error *error, struct buffer *out);
    /* The last connection is closed after door_drain. May be NULL. */
    void (*drained)(void *user);
};

int door_new(struct door **out, uv_loop_t *loop, const struct door_limits *limits, const struct door_handler *handler,
             struct error *err) WEIR_CHECKED;
/* Binds and listens. url: "http://127.0.0.1:8080", "https://[::]:8443"; https needs both files. Port 0: any free one.
 * bound gets the address as it came out ("http://127.0.0.1:40123"). */
int door_listen(struct door *door, const char *url, const char *certificate, const char *key, char *bound, size_t n_bound,
                struct error *err) WEIR_CHECKED;
/* Stops accepting, closes idle connections, lets answers finish with `Connection: close`. */
void door_drain(struct door *door);
/* Closes everything at once. Run the loop until it is empty before door_free. */
void door_stop(struct door *door);
void door_free(struct door *door);
int door_connections(const struct door *door);

/* ------------------------------------------------------------------ one request and its answer */

struct reply_owner {
    /* The client has left, or the door was stopped: cancel the work. The reply is no more. */
    void (*gone)(void *user);
    /* The queue has drained below the low mark after reply_writable was false. May be NULL. */
    void (*writable)(void *user);
};

const struct http_request *reply_request_peek(const struct reply *reply);
/* From now on owner is told. Without it the reply must be answered before `request` returns. */
void reply_own(struct reply *reply, const struct reply_owner *owner, void *user);
/* Was the connection made to a loopback address of this machine? */
bool reply_is_loopback(const struct reply *reply);
/* Adds a header to the answer. Bytes that a field value may not hold become blanks. Before answer and begin. */
void reply_header(struct reply *reply, const char *name, str value);
/* The whole answer. Ends the reply. */
void reply_send(struct reply *reply, int status, const char *content_type, str body);
/* A streamed answer: begin, any number of writes, end. Ends the reply. */
void reply_begin(struct reply *reply, int status, const char *content_type);
void reply_write(struct reply *reply, str data);
void reply_end(struct reply *reply);
/* Cuts the connection: for an answer that cannot be completed and must not look complete. Ends the reply. */
void reply_abort(struct reply *reply);
/* Is there room in the write queue (256 KiB)? When not, stop producing until `writable`. */
bool reply_writable(const struct reply *reply);

#endif
