/* Upstream: outbound HTTPS, libcurl's multi interface on the libuv loop. upstream_send is the only function of the daemon
 * that opens an outbound connection, and it takes a clearance.
 *
 * TLS 1.2 or later with certificate and host verified, http only to loopback, HTTP/1.1 with kept connections, no redirects,
 * no proxies or .netrc from the environment. One struct upstream for each loop; all functions in its thread. */
#ifndef WEIR_UPSTREAM_UPSTREAM_H
#define WEIR_UPSTREAM_UPSTREAM_H

#include "upstream/breaker.h"
#include "upstream/clearance.h"

#include <uv.h>

struct upstream;
struct exchange; /* One request and its answer. */

int upstream_open(struct upstream **out, uv_loop_t *loop, struct error *err) WEIR_CHECKED;
/* Cancels what runs (no callbacks), closes its handles; closed(user) once all is freed. Relays must have been freed. */
void upstream_close(struct upstream *upstream, void (*closed)(void *user), void *user);
uv_loop_t *upstream_loop(struct upstream *upstream);
/* The breaker of a provider by name, made at the first call; NULL only when memory runs out. */
struct breaker *upstream_breaker(struct upstream *upstream, const char *provider);
/* healthy[i] for each provider of config: what decide_inputs_fill takes. */
void upstream_health(struct upstream *upstream, const struct config *config, bool healthy[CONFIG_MAX_PROVIDERS]);

enum exchange_failure {
    EXCHANGE_OK,
    EXCHANGE_DENIED,             /* No clearance: nothing was opened. */
    EXCHANGE_CONNECT,            /* Refused, unreachable, no such host. */
    EXCHANGE_TLS,                /* Certificate, host name or handshake. */
    EXCHANGE_RESET,              /* Closed or broken before the answer was complete. */
    EXCHANGE_TIMEOUT_CONNECT,
    EXCHANGE_TIMEOUT_FIRST_BYTE, /* First event, not the head: see exchange_progress. */
    EXCHANGE_TIMEOUT_STALL,
    EXCHANGE_TIMEOUT_TOTAL,
    EXCHANGE_PROTOCOL,           /* Not HTTP, too large a head, an encoding that was not asked for. */
};
const char *exchange_failure_name(enum exchange_failure failure);

struct exchange_result {
    enum exchange_failure failure;
    int status;               /* HTTP; 0: none came. */
    int64_t retry_after_us;   /* -1: not said. */
    int64_t connect_us, first_byte_us, total_us; /* -1 where it did not get there. */
    bool reused;              /* An open connection was used. */
};

struct exchange_callbacks {
    /* The head is there. content_type is valid during the call. May cancel the exchange, not free it. */
    void (*head)(void *user, int status, const char *content_type, int64_t retry_after_us);
    /* Bytes of the body; a negative return ends the exchange with EXCHANGE_PROTOCOL. */
    int (*data)(void *user, str bytes);
    /* Once, last; not after exchange_cancel. The exchange is freed when it returns. */
    void (*done)(void *user, const struct exchange_result *result);
};

struct upstream_request {
    const struct config *config;      /* Held during the exchange. */
    int provider;
    const char *path;                 /* "/chat/completions", appended to base_url. */
    str body;                         /* Copied. */
    bool stream;                      /* Asks for text/event-stream; the stall timer counts exchange_progress only. */
    struct clearance *clearance_take; /* Used up and freed, whatever comes. */
    int64_t deadline_us;              /* clock_now_us; 0: the provider's total only. */
};

/* Starts it. WEIR_E_DENIED: the clearance does not fit, nothing was opened; WEIR_E_FULL: the provider's max_connections are
 * in use. Callbacks come later, never from inside. */
int upstream_send(struct upstream *upstream, const struct upstream_request *request, const struct exchange_callbacks *callbacks,
                  void *user, struct exchange **out, struct error *err) WEIR_CHECKED;
/* The consumer saw a whole event: ends the wait for the first byte, restarts the stall timer. */
void exchange_progress(struct exchange *exchange);
/* Backpressure: no data until resumed; a paused exchange does not stall. */
void exchange_pause(struct exchange *exchange);
void exchange_resume(struct exchange *exchange);
/* Closes the connection at once; no callback follows. */
void exchange_cancel(struct exchange *exchange);
/* The answer is complete: no callback follows, the connection's last bytes are read for at most a second so that it can be
 * used again. */
void exchange_detach(struct exchange *exchange);

#endif
