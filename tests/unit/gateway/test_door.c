/* The door with real sockets: a loop in a thread of its own, a handler that answers in several ways, blocking clients. */
#include <criterion/criterion.h>

#include "door/door.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 65536, N_PIECES = 400 };

struct fixture {
    uv_loop_t loop;
    uv_async_t stop;
    struct door *door;
    pthread_t thread;
    int port;
    bool drain_first;
    /* The one streamed answer. */
    struct reply *stream;
    int n_sent;
    _Atomic int n_pauses, n_gone, n_drained;
};

static struct fixture fixture;

static void pump(struct fixture *f)
{
    static char piece[PIECE];
    memset(piece, 'x', sizeof piece);
    while (f->n_sent < N_PIECES) {
        if (!reply_writable(f->stream)) {
            atomic_fetch_add(&f->n_pauses, 1);
            return;
        }
        reply_write(f->stream, (str){piece, sizeof piece});
        f->n_sent++;
    }
    reply_end(f->stream);
    f->stream = NULL;
}

static void on_gone(void *user)
{
    struct fixture *f = user;
    f->stream = NULL;
    atomic_fetch_add(&f->n_gone, 1);
}

static void on_writable(void *user)
{
    pump(user);
}

static const struct reply_owner owner = {.gone = on_gone, .writable = on_writable};

static void on_request(void *user, struct reply *reply)
{
    struct fixture *f = user;
    const struct http_request *request = reply_request_peek(reply);
    if (str_equal(request->path, STR("/echo"))) {
        reply_send(reply, 200, "text/plain", request->body);
    } else if (str_equal(request->path, STR("/hold"))) {
        reply_own(reply, &owner, f); /* Never answered. */
    } else if (str_equal(request->path, STR("/stream"))) {
        reply_own(reply, &owner, f);
        f->stream = reply;
        f->n_sent = 0;
        reply_begin(reply, 200, "text/plain");
        pump(f);
    } else {
        reply_header(reply, "X-Dirty", STR("a\r\nInjected: yes"));
        reply_send(reply, 200, "text/plain", request->path);
    }
}

static void on_refusal(void *user, struct reply *reply, int status, const struct error *error, struct buffer *out)
{
    (void)user;
    (void)reply;
    buffer_printf(out, "refused %d %s", status, error->text);
}

static void on_drained(void *user)
{
    struct fixture *f = user;
    atomic_fetch_add(&f->n_drained, 1);
    if (f->drain_first) {
        door_stop(f->door);
        uv_close((uv_handle_t *)&f->stop, NULL);
    }
}

static void on_stop(uv_async_t *async)
{
    struct fixture *f = async->data;
    if (f->drain_first) {
        door_drain(f->door);
        return;
    }
    door_stop(f->door);
    uv_close((uv_handle_t *)&f->stop, NULL);
}

static void *run_loop(void *user)
{
    struct fixture *f = user;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void start(const struct door_limits *limits)
{
    struct fixture *f = &fixture;
    struct error err = {0};
    char bound[128];
    memset(f, 0, sizeof *f);
    signal(SIGPIPE, SIG_IGN); /* As the daemon: a client that hangs up is an error of the write. */
    uv_loop_init(&f->loop);
    uv_async_init(&f->loop, &f->stop, on_stop);
    f->stop.data = f;
    struct door_handler handler = {.user = f, .request = on_request, .refusal = on_refusal, .drained = on_drained};
    cr_assert_eq(door_new(&f->door, &f->loop, limits, &handler, &err), 0);
    cr_assert_eq(door_listen(f->door, "http://127.0.0.1:0", NULL, NULL, bound, sizeof bound, &err), 0, "%s", err.text);
    str address = str_of(bound);
    int64_t port = 0;
    cr_assert_eq(parse_i64((str){address.data + 17, address.n - 17}, &port), 0, "%s", bound);
    f->port = (int)port;
    cr_assert_eq(pthread_create(&f->thread, NULL, run_loop, f), 0);
}

static void stop(void)
{
    struct fixture *f = &fixture;
    uv_async_send(&f->stop);
    pthread_join(f->thread, NULL);
    cr_assert_eq(uv_loop_close(&f->loop), 0, "a handle was left open");
    cr_assert_eq(door_connections(f->door), 0);
    door_free(f->door);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)fixture.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        n -= (size_t)sent;
    }
}

static void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

/* Reads to the end of the connection; -1 at out->failed or a reset. */
static int read_all(int fd, struct buffer *out)
{
    char piece[65536];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        buffer_append(out, piece, (size_t)n);
    return n == 0 ? 0 : -1;
}

/* Reads until text appears. */
static bool read_until(int fd, struct buffer *out, const char *text)
{
    char piece[4096];
    while (str_find(buffer_str(out), str_of(text)) < 0) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0)
            return false;
        buffer_append(out, piece, (size_t)n);
    }
    return true;
}

static int count(const struct buffer *in, const char *text)
{
    int n = 0;
    str rest = buffer_str(in);
    for (ptrdiff_t at; (at = str_find(rest, str_of(text))) >= 0; n++)
        rest = (str){rest.data + at + 1, rest.n - (size_t)at - 1};
    return n;
}

Test(door, answers_pipelined_requests_in_order)
{
    struct buffer in;
    buffer_init(&in, 1 << 20);
    start(NULL);
    int fd = dial();
    send_text(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nb-b"
                  "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nc-c\r\n0\r\n\r\n"
                  "HEAD /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    cr_assert_eq(read_all(fd, &in), 0);
    ptrdiff_t a = str_find(buffer_str(&in), STR("\r\n\r\n/a")), b = str_find(buffer_str(&in), STR("b-b")), c = str_find(buffer_str(&in), STR("c-c"));
    cr_assert(a > 0 && b > a && c > b, "%s", in.data);
    cr_assert_eq(count(&in, "HTTP/1.1 200"), 4);
    cr_assert(str_ends(buffer_str(&in), STR("\r\n\r\n")), "HEAD has no body");
    cr_assert_eq(count(&in, "\nInjected:"), 0, "a header value brought a line of its own");
    close(fd);
    stop();
    buffer_release(&in);
}

Test(door, refuses_once_and_closes)
{
    struct buffer in;
    buffer_init(&in, 1 << 20);
    start(NULL);
    int fd = dial();
    send_text(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_eq(read_all(fd, &in), 0);
    cr_assert_eq(count(&in, "HTTP/1.1 200"), 1);
    cr_assert_eq(count(&in, "HTTP/1.1 400"), 1);
    cr_assert_eq(count(&in, "smuggled"), 0);
    close(fd);
    stop();
    buffer_release(&in);
}

Test(door, answer_to_too_large_a_body_can_be_read_in_full)
{
    struct buffer in;
    static char megabyte[1 << 20];
    memset(megabyte, ' ', sizeof megabyte);
    buffer_init(&in, 1 << 20);
    start(NULL);
    int fd = dial();
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n");
    for (int i = 0; i < 10; i++)
        send_all(fd, megabyte, sizeof megabyte);
    cr_assert_eq(read_all(fd, &in), 0, "the answer was reset");
    cr_assert_eq(count(&in, "HTTP/1.1 413"), 1);
    cr_assert_eq(count(&in, "refused 413"), 1);
    close(fd);
    stop();
    buffer_release(&in);
}

Test(door, a_client_that_expects_is_told_to_continue)
{
    struct buffer in;
    buffer_init(&in, 1 << 20);
    start(NULL);
    int fd = dial();
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    cr_assert(read_until(fd, &in, "100 Continue\r\n\r\n"));
    send_text(fd, "ok");
    cr_assert_eq(read_all(fd, &in), 0);
    cr_assert(str_ends(buffer_str(&in), STR("ok")));
    close(fd);
    stop();
    buffer_release(&in);
}

Test(door, half_a_request_is_told_so)
{
    struct buffer in;
    buffer_init(&in, 1 << 20);
    start(NULL);
    int fd = dial();
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nhalf");
    shutdown(fd, SHUT_WR);
    cr_assert_eq(read_all(fd, &in), 0);
    cr_assert_eq(count(&in, "HTTP/1.1 400"), 1);
    close(fd);
    stop();
    buffer_release(&in);
}

Test(door, a_slow_reader_pauses_its_producer_and_gets_everything)
{
    struct buffer in;
    buffer_init(&in, (size_t)64 << 20);
    start(NULL);
    int fd = dial();
    send_text(fd, "GET /stream HTTP/1.0\r\n\r\n");
    /* The producer stops by itself while nobody reads: nothing else moves this counter. */
    while (atomic_load(&fixture.n_pauses) == 0)
        sched_yield();
    int other = dial();
    send_text(other, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    cr_assert_eq(read_all(other, &in), 0);
    cr_assert_eq(count(&in, "HTTP/1.1 200"), 1, "the silent reader held up another");
    close(other);
    buffer_clear(&in);
    cr_assert_eq(read_all(fd, &in), 0);
    ptrdiff_t body = str_find(buffer_str(&in), STR("\r\n\r\n"));
    cr_assert_eq(in.n - (size_t)body - 4, (size_t)PIECE * N_PIECES);
    close(fd);
    stop();
    buffer_release(&in);
}

Test(door, a_hang_up_reaches_the_owner)
{
    start(NULL);
    int fd = dial();
    send_text(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    int streaming = dial();
    send_text(streaming, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (atomic_load(&fixture.n_pauses) == 0)
        sched_yield();
    close(fd);
    close(streaming);
    while (atomic_load(&fixture.n_gone) < 2)
        sched_yield();
    stop();
    cr_assert_eq(atomic_load(&fixture.n_gone), 2, "an owner was told twice");
}

Test(door, slow_heads_are_ended_and_hold_up_no_one)
{
    enum { N_SLOW = 100 };
    int slow[N_SLOW];
    struct buffer in;
    struct door_limits limits = {.head_ms = 600};
    buffer_init(&in, 1 << 20);
    start(&limits);
    for (int i = 0; i < N_SLOW; i++) {
        slow[i] = dial();
        send_text(slow[i], "GET /a HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    }
    int fd = dial();
    send_text(fd, "GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    cr_assert_eq(read_all(fd, &in), 0);
    cr_assert_eq(count(&in, "/quick"), 1);
    close(fd);
    for (int i = 0; i < N_SLOW; i++) {
        buffer_clear(&in);
        cr_assert_eq(read_all(slow[i], &in), 0);
        cr_assert_eq(count(&in, "HTTP/1.1 408"), 1, "client %d", i);
        close(slow[i]);
    }
    stop();
    buffer_release(&in);
}

Test(door, takes_a_thousand_connections_at_once)
{
    enum { N = 1000 };
    static int fds[N];
    struct buffer in;
    buffer_init(&in, 1 << 20);
    start(NULL);
    for (int i = 0; i < N; i++)
        fds[i] = dial();
    for (int i = N - 1; i >= 0; i--) {
        buffer_clear(&in);
        send_text(fds[i], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(read_until(fds[i], &in, "\r\n\r\n/a"), "connection %d", i);
    }
    for (int i = 0; i < N; i++)
        close(fds[i]);
    stop();
    buffer_release(&in);
}

Test(door, a_drain_lets_what_runs_finish)
{
    struct buffer in;
    buffer_init(&in, (size_t)64 << 20);
    start(NULL);
    fixture.drain_first = true;
    int idle = dial(), busy = dial();
    send_text(busy, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (atomic_load(&fixture.n_pauses) == 0)
        sched_yield();
    uv_async_send(&fixture.stop);
    cr_assert_eq(read_all(idle, &in), 0, "an idle connection is closed");
    cr_assert_eq(in.n, 0);
    cr_assert_eq(read_all(busy, &in), 0);
    cr_assert(str_ends(buffer_str(&in), STR("\r\n0\r\n\r\n")), "the running answer was cut");
    close(idle);
    close(busy);
    pthread_join(fixture.thread, NULL);
    cr_assert_eq(atomic_load(&fixture.n_drained), 1);
    cr_assert_eq(uv_loop_close(&fixture.loop), 0);
    door_free(fixture.door);
    buffer_release(&in);
}

Test(door, pauses_reading_when_too_much_is_pipelined)
{
    /* A request is held; megabytes behind it must wait in the client's own socket. */
    static char piece[65536];
    memset(piece, 'y', sizeof piece);
    start(NULL);
    int fd = dial();
    send_text(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n");
    size_t sent = 0;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    while (sent < 8000000) {
        if (poll(&ready, 1, 500) == 0)
            break;
        ssize_t n = send(fd, piece, 8000000 - sent < sizeof piece ? 8000000 - sent : sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
    }
    cr_assert_lt(sent, 8000000, "everything was taken into memory");
    close(fd);
    stop();
}
