/* One request on a curl handle: its options, and curl's callbacks into the exchange.
 *
 * Invariant: every handle verifies certificate and host name, speaks TLS 1.2 or later (or plain HTTP to a loopback address,
 * checked again on the resolved address), follows no redirect, and knows no proxy, .netrc or cookie. Loop thread, called by
 * curl; nothing here calls back into the multi. */
#include "upstream/upstream_internal.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DRAIN_BYTES = 64 << 10 };

const char *exchange_failure_name(enum exchange_failure failure)
{
    static const char *const words[] = {[EXCHANGE_OK] = "ok", [EXCHANGE_DENIED] = "denied", [EXCHANGE_CONNECT] = "connect", [EXCHANGE_TLS] = "tls",
                                        [EXCHANGE_RESET] = "reset", [EXCHANGE_TIMEOUT_CONNECT] = "timeout_connect",
                                        [EXCHANGE_TIMEOUT_FIRST_BYTE] = "timeout_first_byte", [EXCHANGE_TIMEOUT_STALL] = "timeout_stall",
                                        [EXCHANGE_TIMEOUT_TOTAL] = "timeout_total", [EXCHANGE_PROTOCOL] = "protocol"};
    return words[failure];
}

enum exchange_failure exchange_failure_of(const struct exchange *exchange, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return EXCHANGE_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_INTERFACE_FAILED:
        return EXCHANGE_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
        return EXCHANGE_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return exchange->connected_us == 0 ? EXCHANGE_TIMEOUT_CONNECT : EXCHANGE_TIMEOUT_TOTAL;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_FAIL_REWIND: /* A kept connection was closed by the other side as the request went out. */
        return EXCHANGE_RESET;
    default:
        return EXCHANGE_PROTOCOL;
    }
}

/* ------------------------------------------------------------------ curl's callbacks */

/* Hands out the body once. Given as a buffer, curl would send it again by itself when a kept connection breaks before the
 * answer: bytes that no attempt row and no clearance stand for. Without a way back it reports the break instead. */
static size_t on_body(char *to, size_t size, size_t n, void *user)
{
    struct exchange *exchange = user;
    size_t left = exchange->n_body - exchange->n_read, room = size * n;
    size_t taken = left < room ? left : room;
    memcpy(to, exchange->body + exchange->n_read, taken);
    exchange->n_read += taken;
    return taken;
}

static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct exchange *exchange = user;
    if (exchange->plain) {
        /* A name that was promised to be loopback and resolves elsewhere gets no socket. */
        const struct sockaddr *a = &address->addr;
        bool loopback = a->sa_family == AF_INET    ? ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127
                        : a->sa_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr)
                                                   : false;
        if (!loopback)
            return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The connection stands, TLS included; the request goes out next. */
static int on_connected(void *user, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct exchange *exchange = user;
    long connects = 1;
    curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connects);
    exchange->reused = connects == 0;
    exchange->connected_us = clock_now_us();
    return CURL_PREREQFUNC_OK;
}

/* Delay in seconds; the date form is rare with the providers there are and counts as not said. */
static void take_retry_after(struct exchange *exchange, str value)
{
    double seconds;
    if (parse_f64(str_trim(value), &seconds) == 0 && seconds >= 0 && seconds < 86400)
        exchange->retry_after_us = (int64_t)(seconds * 1e6);
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    struct exchange *exchange = user;
    str line = str_trim((str){data, size * n}), name;
    if (str_starts(line, STR("HTTP/"))) {
        int64_t status = 0;
        str word;
        str_split(&line, ' ', &word);
        if (line.data != NULL && str_split(&line, ' ', &word) && parse_i64(word, &status) == 0)
            exchange->status = (int)status;
        exchange->content_type[0] = '\0';
        exchange->retry_after_us = -1;
        exchange->headed = false;
        return size * n;
    }
    if (line.n == 0) {
        bool first = !exchange->headed && exchange->status >= 200; /* Trailers end in an empty line too. */
        exchange->headed = exchange->headed || first;
        if (first && exchange->callbacks != NULL)
            exchange->callbacks->head(exchange->user, exchange->status, exchange->content_type, exchange->retry_after_us);
        return exchange->doomed ? 0 : size * n;
    }
    if (str_split(&line, ':', &name) && line.data != NULL) {
        if (str_equal_nocase(name, STR("content-type")))
            (void)str_copy(exchange->content_type, sizeof exchange->content_type, str_trim(line));
        else if (str_equal_nocase(name, STR("retry-after")))
            take_retry_after(exchange, line);
    }
    return size * n;
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
    struct exchange *exchange = user;
    if (exchange->doomed)
        return 0;
    if (exchange->callbacks == NULL) {
        exchange->drained_bytes += size * n;
        return exchange->drained_bytes <= DRAIN_BYTES ? size * n : 0;
    }
    if (exchange->paused) {
        exchange->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    int status = exchange->callbacks->data(exchange->user, (str){data, size * n});
    return status < 0 || exchange->doomed ? 0 : size * n;
}

/* ------------------------------------------------------------------ options */

static void add_header(struct exchange *exchange, const char *line)
{
    struct curl_slist *longer = curl_slist_append(exchange->headers, line);
    if (longer != NULL)
        exchange->headers = longer;
}

static int build_headers(struct exchange *exchange, bool stream, struct error *err)
{
    const struct config_provider *provider = &exchange->config->providers[exchange->provider];
    add_header(exchange, "Content-Type: application/json");
    add_header(exchange, stream ? "Accept: text/event-stream" : "Accept: application/json");
    add_header(exchange, "Expect:");
    if (provider->api_key != NULL) {
        struct buffer line;
        buffer_init(&line, 64 << 10);
        buffer_printf(&line, "Authorization: Bearer %s", provider->api_key);
        bool failed = line.failed;
        if (!failed)
            add_header(exchange, line.data);
        if (line.data != NULL)
            bytes_wipe(line.data, line.n);
        buffer_release(&line);
        if (failed)
            return error_set(err, WEIR_E_LIMIT, provider->name, "its key is too long");
    }
    return exchange->headers != NULL ? 0 : error_set(err, WEIR_E_MEMORY, provider->name, "out of memory");
}

int exchange_configure(struct exchange *exchange, const char *path, bool stream, struct error *err)
{
    const struct config_provider *provider = &exchange->config->providers[exchange->provider];
    CURL *easy = exchange->easy;
    char url[4096];
    int n = snprintf(url, sizeof url, "%s%s", provider->base_url, path);
    if (n < 0 || (size_t)n >= sizeof url)
        return error_set(err, WEIR_E_LIMIT, provider->name, "its address is too long");
    int status = build_headers(exchange, stream, err);
    if (status < 0)
        return status;
    exchange->plain = str_starts(str_of(url), STR("http://"));
    bool ok = true;
#define SET(option, value) ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PRIVATE, exchange);
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_READFUNCTION, on_body);
    SET(CURLOPT_READDATA, exchange);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->n_body);
    SET(CURLOPT_USERAGENT, "weir/" WEIR_VERSION);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_PREREQFUNCTION, on_connected);
    SET(CURLOPT_PREREQDATA, exchange);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, exchange);
    SET(CURLOPT_CLOSESOCKETFUNCTION, upstream_close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, exchange->upstream);
    SET(CURLOPT_PROTOCOLS_STR, exchange->plain ? "http" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (provider->ca_file != NULL)
        SET(CURLOPT_CAINFO, provider->ca_file);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_MAXAGE_CONN, 50L);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, 60L);
    /* Backstops only: the deadlines are swept by upstream.c. */
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(provider->connect_timeout_us / 1000 + 1000));
    SET(CURLOPT_TIMEOUT_MS, (long)(provider->total_timeout_us / 1000 + 5000));
#undef SET
    return ok ? 0 : error_set(err, WEIR_E_UNSUPPORTED, provider->name, "this libcurl lacks an option that is needed");
}
