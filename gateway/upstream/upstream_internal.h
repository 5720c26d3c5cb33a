/* What upstream.c (the loop) and upstream_easy.c (one request) share. */
#ifndef WEIR_UPSTREAM_UPSTREAM_INTERNAL_H
#define WEIR_UPSTREAM_UPSTREAM_INTERNAL_H

#include "upstream/upstream.h"

#include <curl/curl.h>

/* One socket of curl's on the loop. */
struct watch {
    uv_poll_t poll; /* First: a poll handle is its watch. */
    struct upstream *upstream;
    curl_socket_t fd;
    struct watch *next;
};

struct lane {
    char provider[64];
    struct breaker breaker;
    int active; /* Exchanges under way. */
    struct lane *next;
};

struct upstream {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer, sweep, kick;
    struct watch *watches;
    struct lane *lanes;
    struct exchange *exchanges;
    CURL *idle[64]; /* Reset handles for the next requests. */
    int n_idle;
    int n_handles;  /* libuv handles not yet closed. */
    int in_curl;    /* Depth of calls into curl that may call back. */
    bool any_doomed, closing;
    void (*closed)(void *user);
    void *user;
};

struct exchange {
    struct upstream *upstream;
    CURL *easy;
    struct exchange *next, **previous;
    const struct config *config;
    int provider;
    struct lane *lane;
    const struct exchange_callbacks *callbacks; /* NULL: cancelled or detached. */
    void *user;
    char *body;
    size_t n_body;
    size_t n_read;             /* Bytes of the body that curl has taken: once, it can't begin again. */
    struct curl_slist *headers;
    char content_type[128];
    int status;
    int64_t retry_after_us;
    int64_t begun_us, connected_us, first_us, progress_us, deadline_us;
    size_t drained_bytes; /* After exchange_detach. */
    bool reused, plain, headed, paused, held, resuming, doomed;
};

/* Sets every option of the handle. */
int exchange_configure(struct exchange *exchange, const char *path, bool stream, struct error *err) WEIR_CHECKED;
enum exchange_failure exchange_failure_of(const struct exchange *exchange, CURLcode code);
int upstream_close_socket(void *user, curl_socket_t fd);

#endif
