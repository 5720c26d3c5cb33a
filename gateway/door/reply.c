/* Answers: head, body or chunks, in the version of the request. Loop thread only; bytes go to the connection's queue. */
#include "door/connection.h"

#include "door/http_bytes.h"

const struct http_request *reply_request_peek(const struct reply *reply)
{
    return &reply->connection->http1.request;
}

void reply_own(struct reply *reply, const struct reply_owner *owner, void *user)
{
    reply->owner = owner;
    reply->user = user;
}

bool reply_is_loopback(const struct reply *reply)
{
    return reply->connection->loopback;
}

bool reply_writable(const struct reply *reply)
{
    struct connection *connection = reply->connection;
    bool room = connection_queued(connection) < DOOR_QUEUE_HIGH;
    if (!room)
        connection->reply.was_full = true;
    return room;
}

void reply_header(struct reply *reply, const char *name, str value)
{
    struct buffer *out = &reply->headers;
    buffer_printf(out, "%s: ", name);
    for (size_t i = 0; i < value.n; i++)
        buffer_append_char(out, http_is_field_byte((unsigned char)value.data[i]) ? value.data[i] : ' ');
    buffer_append_text(out, "\r\n");
}

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {{200, "OK"}, {204, "No Content"}, {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
                   {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"}, {409, "Conflict"},
                   {413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"}, {422, "Unprocessable Content"}, {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {501, "Not Implemented"},
                   {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Unknown";
}

/* RFC 9110's date, made once a second. */
static const char *date_now(struct door *door)
{
    int64_t now = clock_now_us();
    if (door->date[0] == '\0' || now - door->date_us >= 1000000) {
        time_t seconds = (time_t)(clock_wall_ns() / 1000000000);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        snprintf(door->date, sizeof door->date, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday % 7], utc.tm_mday % 32,
                 months[utc.tm_mon % 12], (utc.tm_year + 1900) % 10000, utc.tm_hour % 24, utc.tm_min % 60, utc.tm_sec % 61);
        door->date_us = now;
    }
    return door->date;
}

static void send_head(struct reply *reply, int status, const char *content_type, bool has_length, size_t length)
{
    struct connection *connection = reply->connection;
    const struct http_request *request = &connection->http1.request;
    if (connection->door->draining)
        connection->http1.request.keep_alive = false;
    struct buffer head;
    buffer_init(&head, 65536);
    buffer_printf(&head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason_phrase(status), date_now(connection->door));
    if (content_type != NULL)
        buffer_printf(&head, "Content-Type: %s\r\n", content_type);
    if (has_length)
        buffer_printf(&head, "Content-Length: %zu\r\n", length);
    else if (reply->chunked)
        buffer_append_text(&head, "Transfer-Encoding: chunked\r\n");
    if (!request->keep_alive)
        buffer_append_text(&head, "Connection: close\r\n");
    else if (request->minor == 0)
        buffer_append_text(&head, "Connection: keep-alive\r\n");
    buffer_append_str(&head, buffer_str(&reply->headers));
    buffer_append_text(&head, "\r\n");
    if (head.failed)
        connection_close(connection);
    else
        connection_send(connection, head.data, head.n);
    buffer_release(&head);
    reply->begun = true;
}

void reply_send(struct reply *reply, int status, const char *content_type, str body)
{
    struct connection *connection = reply->connection;
    reply->head_only = str_equal(connection->http1.request.method, STR("HEAD"));
    send_head(reply, status, content_type, status != 204, body.n);
    if (!reply->head_only && status != 204)
        connection_send(connection, body.data, body.n);
    connection_reply_done(connection, connection->http1.request.keep_alive);
}

void reply_begin(struct reply *reply, int status, const char *content_type)
{
    struct connection *connection = reply->connection;
    struct http_request *request = &connection->http1.request;
    reply->head_only = str_equal(request->method, STR("HEAD"));
    reply->chunked = request->minor == 1;
    if (!reply->chunked)
        request->keep_alive = false; /* The end of the connection is the end of the answer. */
    send_head(reply, status, content_type, false, 0);
}

void reply_write(struct reply *reply, str data)
{
    struct connection *connection = reply->connection;
    if (reply->head_only || data.n == 0)
        return;
    if (!reply->chunked) {
        connection_send(connection, data.data, data.n);
        return;
    }
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", data.n);
    connection_send(connection, size, (size_t)n);
    connection_send(connection, data.data, data.n);
    connection_send(connection, "\r\n", 2);
}

void reply_end(struct reply *reply)
{
    struct connection *connection = reply->connection;
    if (reply->chunked && !reply->head_only)
        connection_send(connection, "0\r\n\r\n", 5);
    connection_reply_done(connection, connection->http1.request.keep_alive);
}

void reply_abort(struct reply *reply)
{
    reply->owner = NULL;
    connection_close(reply->connection);
}
