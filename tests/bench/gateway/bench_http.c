/* Two small HTTP/1.1 programs for bench_overhead.py, quick enough not to be what is measured. Plain HTTP on loopback only.
 *
 *   bench_http serve                              a provider that answers every POST at once with the same completion; prints its port
 *   bench_http load PORT PATH BODY CONNECTIONS RATE SECONDS
 *       RATE > 0: an open loop, requests begin by the clock, whatever the answers do, and a latency counts from the moment
 *       the request was due. RATE 0: a closed loop, each connection asks again as soon as it is answered. The first fifth
 *       warms up and does not count. Prints one JSON object: requests, failures, per second, quantiles in microseconds.
 *
 * One thread for each connection, blocking: simple, and with at most 64 of them no slower than an event loop here. */
#include "weir_base.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 1 << 16, MAX_CONNECTIONS = 256, MAX_SAMPLES = 1 << 22 };

/* One message from a connection: head and body by its Content-Length. Number of bytes, 0 at the end, -1 on failure. */
static long message_read(int fd, char *buffer)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, buffer + n, MESSAGE_BYTES - 1 - n, 0);
        if (got <= 0)
            return got == 0 && n == 0 ? 0 : -1;
        n += (size_t)got;
        buffer[n] = '\0';
        const char *end = strstr(buffer, "\r\n\r\n");
        if (end == NULL)
            continue;
        const char *length = strcasestr(buffer, "\r\ncontent-length:");
        size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
        size_t whole = (size_t)(end - buffer) + 4 + body;
        if (whole >= MESSAGE_BYTES)
            return -1;
        if (n >= whole)
            return (long)n;
    }
}

static int send_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        data += sent;
        n -= (size_t)sent;
    }
    return 0;
}

static void *serve_one(void *user)
{
    static const char body[] =
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"The stand-in says hello.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13}}";
    int fd = (int)(intptr_t)user, one = 1;
    char *buffer = malloc(MESSAGE_BYTES), answer[1024];
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", sizeof body - 1, body);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (buffer != NULL && message_read(fd, buffer) > 0 && send_all(fd, answer, (size_t)n) == 0) {
    }
    free(buffer);
    close(fd);
    return NULL;
}

static int serve(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 1024) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        perror("bench_http serve");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        int client = accept(fd, NULL, NULL);
        if (client >= 0 && pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)client) == 0)
            pthread_detach(thread);
    }
}

/* ------------------------------------------------------------------ load */

struct load {
    int port, n_connections;
    double rate, seconds;
    char request[8192];
    size_t n_request;
    int64_t begin_us, counts_from_us, end_us;
};

struct connection {
    pthread_t thread;
    const struct load *load;
    int index;
    int64_t *samples_us;
    size_t n_samples, capacity, n_failures;
};

static void sleep_until(int64_t when_us)
{
    struct timespec when = {.tv_sec = when_us / 1000000, .tv_nsec = when_us % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
    }
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("bench_http load");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void *connection_run(void *user)
{
    struct connection *connection = user;
    const struct load *load = connection->load;
    char *buffer = malloc(MESSAGE_BYTES);
    int fd = dial(load->port);
    double gap_us = load->rate > 0 ? 1e6 * load->n_connections / load->rate : 0;
    for (int64_t i = 0; buffer != NULL; i++) {
        int64_t due_us = gap_us > 0 ? load->begin_us + (int64_t)(gap_us * ((double)i + (double)connection->index / load->n_connections)) : now_us();
        if (due_us >= load->end_us)
            break;
        sleep_until(gap_us > 0 ? due_us : load->begin_us);
        if (gap_us == 0)
            due_us = now_us();
        bool good = send_all(fd, load->request, load->n_request) == 0 && message_read(fd, buffer) > 0 && strncmp(buffer, "HTTP/1.1 200", 12) == 0;
        int64_t took_us = now_us() - due_us;
        if (!good) {
            connection->n_failures++;
            close(fd);
            fd = dial(load->port);
        } else if (due_us >= load->counts_from_us && connection->n_samples < connection->capacity) {
            connection->samples_us[connection->n_samples++] = took_us;
        }
    }
    free(buffer);
    close(fd);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int load_run(char **argv)
{
    static struct load load;
    static struct connection connections[MAX_CONNECTIONS];
    int64_t values[2];
    if (parse_i64(str_of(argv[0]), &values[0]) < 0 || parse_i64(str_of(argv[3]), &values[1]) < 0 || parse_f64(str_of(argv[4]), &load.rate) < 0 ||
        parse_f64(str_of(argv[5]), &load.seconds) < 0 || values[1] < 1 || values[1] > MAX_CONNECTIONS)
        return 2;
    load.port = (int)values[0];
    load.n_connections = (int)values[1];
    int n = snprintf(load.request, sizeof load.request, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     argv[1], strlen(argv[2]), argv[2]);
    if (n < 0 || (size_t)n >= sizeof load.request)
        return 2;
    load.n_request = (size_t)n;
    load.begin_us = now_us() + 100000;
    load.counts_from_us = load.begin_us + (int64_t)(load.seconds * 0.2e6);
    load.end_us = load.begin_us + (int64_t)(load.seconds * 1e6);
    size_t n_samples = 0, n_failures = 0;
    for (int i = 0; i < load.n_connections; i++) {
        size_t capacity = (size_t)(MAX_SAMPLES / load.n_connections);
        connections[i] = (struct connection){.load = &load, .index = i, .capacity = capacity, .samples_us = malloc(capacity * sizeof(int64_t))};
        if (connections[i].samples_us == NULL || pthread_create(&connections[i].thread, NULL, connection_run, &connections[i]) != 0)
            return 1;
    }
    for (int i = 0; i < load.n_connections; i++) {
        pthread_join(connections[i].thread, NULL);
        n_samples += connections[i].n_samples;
        n_failures += connections[i].n_failures;
    }
    int64_t *all = malloc((n_samples + 1) * sizeof *all);
    if (all == NULL || n_samples == 0)
        return 1;
    size_t at = 0;
    for (int i = 0; i < load.n_connections; i++) {
        memcpy(all + at, connections[i].samples_us, connections[i].n_samples * sizeof *all);
        at += connections[i].n_samples;
        free(connections[i].samples_us);
    }
    qsort(all, n_samples, sizeof *all, compare);
    printf("{\"requests\": %zu, \"failures\": %zu, \"per_second\": %.0f, \"p50_us\": %lld, \"p90_us\": %lld, \"p99_us\": %lld, \"max_us\": %lld}\n", n_samples,
           n_failures, (double)n_samples / (load.seconds * 0.8), (long long)all[n_samples / 2], (long long)all[n_samples * 9 / 10],
           (long long)all[n_samples * 99 / 100], (long long)all[n_samples - 1]);
    free(all);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    int status = argc == 8 && strcmp(argv[1], "load") == 0 ? load_run(argv + 2) : 2;
    if (status == 2)
        fprintf(stderr, "usage: bench_http serve | bench_http load PORT PATH BODY CONNECTIONS RATE SECONDS\n");
    return status;
}
