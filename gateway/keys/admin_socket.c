/* Admin socket: one JSON object a line in, one a line out, on a unix socket (mode 0600) in the data folder.
 *
 *   {"do":"keys.create","tenant":T,"name":N,"budget_usd":"12.50","period":"month","per_minute":60} → {"id",…,"key"}
 *   {"do":"keys.list"} → {"keys":[…]}      {"do":"keys.revoke","key":id or name} → {"revoked":id or name}
 *   {"do":"cache.clear","tenant":T} → {"cleared":N}        {"do":"cache.stats"} → {"entries",…}
 *   {"do":"ping"} → {"pid":N}              anything that fails → {"error":text,"status":word}
 *
 * The file's mode is the authorisation: who may connect may administer. Lines are at most 64 KiB and connections at most
 * 16. The daemon's end runs on its loop; creating a key waits there for one commit, which is rare and short. */
#include "keys/admin_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ADMIN_LINE_BYTES = 64 << 10, ADMIN_ANSWER_BYTES = 64 << 20, ADMIN_CONNECTIONS = 16, ADMIN_WAIT_S = 10 };

struct admin_socket {
    uv_pipe_t listener;
    struct keys *keys;
    admin_more_fn *more;
    void *more_user;
    struct admin_client *clients;
    int n_clients;
    int n_handles; /* Not yet closed. */
    bool stopping;
    char path[108];
    void (*closed)(void *user);
    void *user;
};

struct admin_client {
    uv_pipe_t pipe;
    struct admin_socket *admin;
    struct admin_client *next;
    struct buffer in;
    char chunk[4096];
};

struct admin_write {
    uv_write_t request;
    char *text;
};

static json_t *failure(int status, const char *where, const char *text)
{
    char whole[600];
    snprintf(whole, sizeof whole, "%s%s%s", where, where[0] != '\0' ? ": " : "", text);
    return json_pack("{s:s, s:s}", "error", whole, "status", status_name((enum weir_status)status));
}

static json_t *failure_of(const struct error *err)
{
    return failure(err->status, err->where, err->text);
}

static int member_text(const json_t *question, const char *name, char *out, size_t n_out, struct error *err)
{
    str text = {NULL, 0};
    int status = json_member_str(question, name, &text, err);
    if (status < 0)
        return status;
    if (memchr(text.data != NULL ? text.data : "", '\0', text.n) != NULL || !str_copy(out, n_out, text))
        return error_set(err, WEIR_E_INVALID, name, "must be at most %zu bytes of plain text", n_out - 1);
    return status;
}

static json_t *answer_create(struct keys *keys, const json_t *question)
{
    struct error err = {0};
    struct key_info info = {.budget_nusd = -1, .per_minute = -1};
    char budget[40] = "", period[16] = "", text[KEY_TEXT_BYTES];
    str_copy(info.tenant, sizeof info.tenant, STR("default"));
    int budget_given = member_text(question, "budget_usd", budget, sizeof budget, &err);
    if (budget_given < 0 || member_text(question, "name", info.name, sizeof info.name, &err) < 0 || member_text(question, "period", period, sizeof period, &err) < 0 || json_member_i64(question, "per_minute", &info.per_minute, &err) < 0)
        return failure_of(&err);
    char tenant[sizeof info.tenant];
    int given = member_text(question, "tenant", tenant, sizeof tenant, &err);
    if (given < 0)
        return failure_of(&err);
    if (given > 0)
        memcpy(info.tenant, tenant, sizeof tenant);
    if (budget_given > 0 && money_parse_usd(str_of(budget), &info.budget_nusd) < 0)
        return failure(WEIR_E_INVALID, "budget_usd", "must be an amount in USD like 12.50");
    if (json_object_get(question, "per_minute") != NULL && (info.per_minute < 0 || info.per_minute > 1000000))
        return failure(WEIR_E_INVALID, "per_minute", "must be 0 to 1000000");
    if (period[0] != '\0' && strcmp(period, "total") != 0 && strcmp(period, "month") != 0 && strcmp(period, "day") != 0)
        return failure(WEIR_E_INVALID, "period", "must be total, month or day");
    if (period[0] != '\0' && budget_given <= 0)
        return failure(WEIR_E_INVALID, "period", "is that of a budget: name budget_usd too");
    info.period = strcmp(period, "month") == 0 ? BUDGET_MONTH : strcmp(period, "day") == 0 ? BUDGET_DAY : BUDGET_TOTAL;
    if (keys_create(keys, &info, text, &err) < 0)
        return failure_of(&err);
    json_t *answer = json_pack("{s:s, s:s, s:s, s:s}", "id", info.id, "tenant", info.tenant, "name", info.name, "key", text);
    bytes_wipe(text, sizeof text);
    return answer;
}

json_t *admin_answer(struct keys *keys, const json_t *question)
{
    struct error err = {0};
    str what = {NULL, 0};
    if (!json_is_object(question))
        return failure(WEIR_E_INVALID, "", "not a JSON object");
    if (json_member_str(question, "do", &what, &err) < 0)
        return failure_of(&err);
    if (str_equal(what, STR("ping")))
        return json_pack("{s:I}", "pid", (json_int_t)getpid());
    if (str_equal(what, STR("keys.list")))
        return json_pack("{s:o}", "keys", keys_list(keys));
    if (str_equal(what, STR("keys.create")))
        return answer_create(keys, question);
    if (str_equal(what, STR("keys.revoke"))) {
        char key[128] = "";
        if (member_text(question, "key", key, sizeof key, &err) < 0 || keys_revoke(keys, key, &err) < 0)
            return failure_of(&err);
        return json_pack("{s:s}", "revoked", key);
    }
    return failure(WEIR_E_UNSUPPORTED, "do", "is none of keys.create, keys.list, keys.revoke, cache.clear, cache.stats, ping");
}

/* ------------------------------------------------------------------ the daemon's end */

static void handle_gone(struct admin_socket *admin)
{
    if (--admin->n_handles > 0)
        return;
    if (admin->closed != NULL)
        admin->closed(admin->user);
    free(admin);
}

static void listener_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

static void client_closed(uv_handle_t *handle)
{
    struct admin_client *client = handle->data;
    struct admin_socket *admin = client->admin;
    for (struct admin_client **at = &admin->clients; *at != NULL; at = &(*at)->next)
        if (*at == client) {
            *at = client->next;
            break;
        }
    admin->n_clients--;
    if (client->in.data != NULL)
        bytes_wipe(client->in.data, client->in.n);
    buffer_release(&client->in);
    free(client);
    handle_gone(admin);
}

static void client_close(struct admin_client *client)
{
    if (!uv_is_closing((uv_handle_t *)&client->pipe))
        uv_close((uv_handle_t *)&client->pipe, client_closed);
}

static void answer_written(uv_write_t *request, int status)
{
    struct admin_write *write = (struct admin_write *)request;
    bytes_wipe(write->text, strlen(write->text));
    free(write->text);
    free(write);
}

static void answer_send(struct admin_client *client, json_t *answer)
{
    struct buffer out;
    buffer_init(&out, ADMIN_ANSWER_BYTES);
    if (answer != NULL)
        json_write(answer, &out);
    buffer_append_char(&out, '\n');
    size_t n = out.n;
    struct admin_write *write = calloc(1, sizeof *write);
    char *text = write != NULL ? buffer_detach(&out) : NULL;
    buffer_release(&out);
    if (text == NULL) {
        free(write);
        client_close(client);
        return;
    }
    write->text = text;
    uv_buf_t piece = uv_buf_init(text, (unsigned)n);
    if (uv_write(&write->request, (uv_stream_t *)&client->pipe, &piece, 1, answer_written) != 0) {
        answer_written(&write->request, 0);
        client_close(client);
    }
}

static void chunk_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct admin_client *client = handle->data;
    *buf = uv_buf_init(client->chunk, sizeof client->chunk);
}

static json_t *answer_of(struct admin_socket *admin, const json_t *question)
{
    json_t *answer = admin->more != NULL ? admin->more(admin->more_user, question) : NULL;
    return answer != NULL ? answer : admin_answer(admin->keys, question);
}

static void chunk_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct admin_client *client = stream->data;
    if (n < 0 || (n > 0 && buffer_append(&client->in, buf->base, (size_t)n) < 0)) {
        client_close(client);
        return;
    }
    for (ptrdiff_t end; (end = str_find(buffer_str(&client->in), STR("\n"))) >= 0 && !uv_is_closing((uv_handle_t *)stream);) {
        struct error err = {0};
        json_t *question = json_parse((str){client->in.data, (size_t)end}, &err);
        json_t *answer = question != NULL ? answer_of(client->admin, question) : failure_of(&err);
        json_decref(question);
        answer_send(client, answer);
        json_decref(answer);
        buffer_consume(&client->in, (size_t)end + 1);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct admin_socket *admin = listener->data;
    if (status < 0 || admin->stopping)
        return;
    struct admin_client *client = calloc(1, sizeof *client);
    if (client == NULL || uv_pipe_init(listener->loop, &client->pipe, 0) != 0) {
        free(client);
        return;
    }
    client->admin = admin;
    client->pipe.data = client;
    buffer_init(&client->in, ADMIN_LINE_BYTES);
    client->next = admin->clients;
    admin->clients = client;
    admin->n_clients++;
    admin->n_handles++;
    if (uv_accept(listener, (uv_stream_t *)&client->pipe) != 0 || admin->n_clients > ADMIN_CONNECTIONS ||
        uv_read_start((uv_stream_t *)&client->pipe, chunk_alloc, chunk_read) != 0)
        client_close(client);
}

int admin_socket_path(const char *data_dir, char *out, struct error *err)
{
    int n = snprintf(out, ADMIN_SOCKET_PATH, "%s/weir.sock", data_dir);
    return n > 0 && n < ADMIN_SOCKET_PATH
               ? 0
               : error_set(err, WEIR_E_LIMIT, "data_dir", "its path is too long for a unix socket (%d bytes with /weir.sock)", ADMIN_SOCKET_PATH - 1);
}

int admin_socket_start(struct admin_socket **out, uv_loop_t *loop, const char *data_dir, struct keys *keys, admin_more_fn *more, void *more_user,
                       struct error *err)
{
    struct admin_socket *admin = calloc(1, sizeof *admin);
    if (admin == NULL)
        return error_set(err, WEIR_E_MEMORY, "admin socket", "out of memory");
    int status = admin_socket_path(data_dir, admin->path, err);
    if (status < 0 || uv_pipe_init(loop, &admin->listener, 0) != 0) {
        free(admin);
        return status < 0 ? status : error_set(err, WEIR_E_IO, "admin socket", "no handle");
    }
    admin->keys = keys;
    admin->more = more;
    admin->more_user = more_user;
    admin->listener.data = admin;
    admin->n_handles = 1;
    /* Who holds the ledger's lock is the only daemon here, so what lies in the way is stale. */
    unlink(admin->path);
    mode_t mask = umask(0177);
    int code = uv_pipe_bind(&admin->listener, admin->path);
    umask(mask);
    if (code == 0)
        code = uv_listen((uv_stream_t *)&admin->listener, ADMIN_CONNECTIONS, on_connection);
    if (code != 0) {
        status = error_set(err, WEIR_E_IO, admin->path, "%s", uv_strerror(code));
        uv_close((uv_handle_t *)&admin->listener, listener_closed);
        return status;
    }
    *out = admin;
    return 0;
}

void admin_socket_stop(struct admin_socket *admin, void (*closed)(void *user), void *user)
{
    admin->stopping = true;
    admin->closed = closed;
    admin->user = user;
    unlink(admin->path);
    for (struct admin_client *client = admin->clients; client != NULL; client = client->next)
        client_close(client);
    uv_close((uv_handle_t *)&admin->listener, listener_closed);
}

/* ------------------------------------------------------------------ the client's end */

static int send_all(int fd, str text)
{
    while (text.n > 0) {
        ssize_t n = send(fd, text.data, text.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return WEIR_E_IO;
        text.data += n;
        text.n -= (size_t)n;
    }
    return 0;
}

static int receive_line(int fd, struct buffer *in)
{
    char chunk[4096];
    while (str_find(buffer_str(in), STR("\n")) < 0) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? WEIR_E_TIMEOUT : WEIR_E_IO;
        if (buffer_append(in, chunk, (size_t)n) < 0)
            return WEIR_E_LIMIT;
    }
    return 0;
}

int admin_call(const char *data_dir, const json_t *question, json_t **answer, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int status = admin_socket_path(data_dir, address.sun_path, err);
    if (status < 0)
        return status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, WEIR_E_IO, address.sun_path, "%s", strerror(errno));
    struct timeval wait = {.tv_sec = ADMIN_WAIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        bool absent = errno == ENOENT || errno == ECONNREFUSED;
        status = error_set(err, absent ? WEIR_E_NOT_FOUND : WEIR_E_IO, address.sun_path, "%s", absent ? "no Weir runs in this data folder" : strerror(errno));
        close(fd);
        return status;
    }
    struct buffer text;
    buffer_init(&text, ADMIN_ANSWER_BYTES);
    json_write(question, &text);
    buffer_append_char(&text, '\n');
    status = text.failed ? WEIR_E_LIMIT : send_all(fd, buffer_str(&text));
    buffer_clear(&text);
    if (status == 0)
        status = receive_line(fd, &text);
    close(fd);
    if (status < 0) {
        error_set(err, (enum weir_status)status, address.sun_path, "the running Weir did not answer");
    } else if ((*answer = json_parse(buffer_str(&text), err)) == NULL) {
        status = err != NULL ? err->status : WEIR_E_INVALID;
    } else {
        str message = {NULL, 0}, word = {NULL, 0};
        if (json_member_str(*answer, "error", &message, NULL) > 0) {
            if (json_member_str(*answer, "status", &word, NULL) <= 0)
                word = STR("invalid");
            status = WEIR_E_INVALID;
            for (int s = WEIR_E_INVALID; s >= WEIR_E_STATE; s--)
                if (str_equal(word, str_of(status_name((enum weir_status)s))))
                    status = s;
            error_set(err, (enum weir_status)status, "", STR_FMT, STR_ARG(message));
            json_decref(*answer);
            *answer = NULL;
        }
    }
    if (text.data != NULL)
        bytes_wipe(text.data, text.n);
    buffer_release(&text);
    return status;
}
