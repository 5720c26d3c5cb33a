/* Talking to a model: finds who answers, puts one question, prints what comes.
 *
 * Invariant: what a model writes reaches a terminal as text only; control characters but line feed and tab are left out, so
 * no answer can move the cursor or rename the window. The connection is the command line's own, made at the user's word;
 * its key comes from WEIR_API_KEY. A model's reasoning is shown, faintly, on a terminal only: it is no part of the answer. One thread. */
#include "cli/talk.h"
#include "cli/model_options.h"
#include "upstream/sse.h"

#include <curl/curl.h>
#include <stdio.h>
#include <unistd.h>

enum { ANSWER_BYTES = 64 << 20, REFUSAL_BYTES = 65536, EVENT_BYTES = 16 << 20 };

static void print_text(str text)
{
    bool terminal = isatty(STDOUT_FILENO);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool c1 = c == 0xC2 && i + 1 < text.n && (unsigned char)text.data[i + 1] < 0xA0;
        if (terminal && c1)
            i++;
        else if (!terminal || (c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t')
            fputc(c, stdout);
    }
    fflush(stdout);
}

static void print_reasoning(str text)
{
    if (text.n == 0 || !isatty(STDOUT_FILENO))
        return;
    fputs("\033[2m", stdout);
    print_text(text);
    fputs("\033[0m", stdout);
    fflush(stdout);
}

/* The answer begins: on a line of its own after reasoning. */
static void leave_reasoning(bool *reasoned)
{
    if (*reasoned && isatty(STDOUT_FILENO))
        fputs("\n\n", stdout);
    *reasoned = false;
}

static str json_text_of(const json_t *value)
{
    return json_is_string(value) ? (str){json_string_value(value), json_string_length(value)} : (str){NULL, 0};
}

/* ------------------------------------------------------------------ a gateway */

struct exchange {
    struct talker *talker;
    struct sse_parser parser;
    struct buffer refusal; /* What is not an event stream: an error object. */
    struct buffer *answer;
    struct error *err;
    int status;            /* Of the stream. */
    bool streamed;
    bool ended;
    bool reasoned;         /* The last text shown was reasoning. */
};

static int on_event(void *user, str event, str data)
{
    struct exchange *exchange = user;
    if (str_equal(data, STR("[DONE]"))) {
        exchange->ended = true;
        return 0;
    }
    json_t *chunk = json_parse(data, exchange->err);
    if (chunk == NULL)
        return WEIR_E_INVALID;
    const json_t *error = json_object_get(chunk, "error"), *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const json_t *delta = json_object_get(choice, "delta");
    str text = json_text_of(json_object_get(delta, "content")), reasoning = json_text_of(json_object_get(delta, "reasoning_content"));
    int status = 0;
    if (error != NULL) {
        const json_t *message = json_object_get(error, "message");
        status = error_set(exchange->err, WEIR_E_IO, exchange->talker->url, "%s", json_is_string(message) ? json_string_value(message) : "the answer broke off");
    } else if (reasoning.n > 0) {
        print_reasoning(reasoning);
        exchange->reasoned = true;
    } else if (text.n > 0) {
        leave_reasoning(&exchange->reasoned);
        print_text(text);
        if (buffer_append_str(exchange->answer, text) < 0)
            status = error_set(exchange->err, WEIR_E_LIMIT, "answer", "is too long");
    }
    json_decref(chunk);
    return status;
}

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
    struct exchange *exchange = user;
    str bytes = {data, size * n};
    if (!exchange->streamed)
        return buffer_append_str(&exchange->refusal, bytes) < 0 ? 0 : bytes.n;
    exchange->status = sse_push(&exchange->parser, bytes, on_event, exchange);
    return exchange->status < 0 ? 0 : bytes.n;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    struct exchange *exchange = user;
    str rest = {data, size * n}, name;
    if (!str_split(&rest, ':', &name) || rest.data == NULL)
        return size * n;
    str value = str_trim(rest);
    if (str_equal_nocase(name, STR("x-weir-route")))
        str_copy(exchange->talker->route, sizeof exchange->talker->route, value);
    else if (str_equal_nocase(name, STR("x-weir-cost-usd")))
        str_copy(exchange->talker->cost_usd, sizeof exchange->talker->cost_usd, value);
    else if (str_equal_nocase(name, STR("content-type")))
        exchange->streamed = str_starts(value, STR("text/event-stream"));
    return size * n;
}

/* An error object's message, or the status. */
static int refused(const struct exchange *exchange, long status, struct error *err)
{
    json_t *body = json_parse(buffer_str(&exchange->refusal), NULL);
    const json_t *message = json_object_get(json_object_get(body, "error"), "message");
    int result;
    if (json_is_string(message))
        result = error_set(err, WEIR_E_DENIED, exchange->talker->url, "%s", json_string_value(message));
    else
        result = error_set(err, WEIR_E_IO, exchange->talker->url, "answers with status %ld and no word that can be read", status);
    json_decref(body);
    return result;
}

static struct curl_slist *make_headers(void)
{
    const char *key = getenv("WEIR_API_KEY");
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    char line[1024];
    if (headers == NULL || key == NULL || key[0] == '\0')
        return headers;
    snprintf(line, sizeof line, "Authorization: Bearer %s", key);
    struct curl_slist *more = curl_slist_append(headers, line);
    bytes_wipe(line, sizeof line);
    return more != NULL ? more : headers;
}

static int perform(struct talker *talker, struct exchange *exchange, const char *path, const struct buffer *body, long timeout_ms, struct error *err)
{
    CURL *easy = talker->easy;
    char url[2200];
    long status = 0;
    snprintf(url, sizeof url, "%s%s", talker->url, path);
    struct curl_slist *headers = make_headers();
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    if (talker->options.ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, talker->options.ca_file);
    if (body != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->n);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data);
    }
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (exchange->status < 0)
        return exchange->status; /* The event stream said why. */
    if (code != CURLE_OK)
        return error_set(err, WEIR_E_IO, talker->url, "%s", curl_easy_strerror(code));
    return status == 200 ? 0 : refused(exchange, status, err);
}

static int exchange_run(struct talker *talker, const char *path, const struct buffer *body, struct buffer *answer, long timeout_ms, struct error *err)
{
    struct exchange exchange = {.talker = talker, .answer = answer, .err = err};
    sse_init(&exchange.parser, EVENT_BYTES);
    buffer_init(&exchange.refusal, REFUSAL_BYTES);
    int status = perform(talker, &exchange, path, body, timeout_ms, err);
    if (status == 0 && body == NULL && !str_starts(buffer_str(&exchange.refusal), STR("{\"status\":\"ok\"}")))
        status = error_set(err, WEIR_E_IO, talker->url, "is not a Weir");
    if (status == 0 && body != NULL && !exchange.ended)
        status = error_set(err, WEIR_E_IO, talker->url, "the answer ended too early");
    sse_release(&exchange.parser);
    buffer_release(&exchange.refusal);
    return status;
}

static int ask_gateway(struct talker *talker, const json_t *messages, struct buffer *answer, struct error *err)
{
    struct buffer body;
    buffer_init(&body, ANSWER_BYTES);
    buffer_append_text(&body, "{\"model\":");
    buffer_append_json_string(&body, str_of(talker->options.model));
    if (talker->options.max_tokens > 0)
        buffer_printf(&body, ",\"max_tokens\":%d", talker->options.max_tokens);
    buffer_append_text(&body, ",\"stream\":true,\"messages\":");
    json_write(messages, &body);
    buffer_append_char(&body, '}');
    int status = body.failed ? error_set(err, WEIR_E_LIMIT, "question", "is too long")
                             : exchange_run(talker, "/v1/chat/completions", &body, answer, 0, err);
    buffer_release(&body);
    return status;
}

/* ------------------------------------------------------------------ this process */

struct heard {
    struct buffer *answer;
    bool reasoned;
};

static void on_part(void *user, enum answer_part part, str text)
{
    struct heard *heard = user;
    if (part == ANSWER_REASONING) {
        print_reasoning(text);
        heard->reasoned = true;
    } else if (part == ANSWER_CONTENT) {
        leave_reasoning(&heard->reasoned);
        print_text(text);
        buffer_append_str(heard->answer, text);
    }
}

static int ask_local(struct talker *talker, const json_t *messages, struct buffer *answer, struct error *err)
{
    struct sampling sampling = {.temperature = (float)talker->config->chat_temperature, .top_p = (float)talker->config->chat_top_p,
                                .max_tokens = talker->options.max_tokens > 0 ? talker->options.max_tokens : -1};
    struct ids prompt = {0};
    struct session *session = NULL;
    struct session_event event;
    struct answer_reader *reader = NULL;
    struct chat_begun begun;
    struct heard heard = {.answer = answer};
    chat_begun_init(&begun);
    int status = model_chat_prompt(talker->chat, messages, &(struct chat_settings){.tools = NULL}, &prompt, &begun, err);
    if (status == 0)
        status = answer_reader_new(&reader, model_answer_format_peek(talker->chat), &(struct answer_reading){.part = on_part, .user = &heard});
    if (status == 0)
        status = answer_reader_push(reader, buffer_str(&begun.text));
    chat_begun_release(&begun);
    if (status == 0)
        status = engine_submit(talker->engine, prompt.data, prompt.n, &sampling, NULL, NULL, &session, err);
    ids_release(&prompt);
    while (status == 0 && session_wait(session, &event, -1) == 1) {
        if (event.kind == SESSION_TOKEN) {
            if (answer_reader_push(reader, event.text) < 0 || answer->failed)
                status = error_set(err, WEIR_E_LIMIT, "answer", "is too long");
        } else if (event.reason == FINISH_ERROR) {
            if (err != NULL)
                *err = *event.error;
            status = event.error->status;
        }
    }
    if (status == 0 && answer_reader_finish(reader) < 0)
        status = error_set(err, WEIR_E_MEMORY, "answer", "out of memory");
    answer_reader_free(reader);
    if (session != NULL)
        session_free(session);
    str_copy(talker->route, sizeof talker->route, STR("local"));
    return status;
}

static int open_local(struct talker *talker, struct error *err)
{
    const struct config *config = talker->config;
    char path[4096];
    if (strcmp(talker->options.model, "auto") != 0 && strcmp(talker->options.model, "local") != 0)
        return error_set(err, WEIR_E_NOT_FOUND, "--model", "\"%s\" needs a running gateway (`weir serve`); without one there is `local`", talker->options.model);
    int status = cli_chat_model(config->chat_path_given ? config->chat_path : NULL, path, sizeof path, err);
    struct model_options options = {.precision = config->precision, .n_threads = config->threads};
    if (status == 0)
        status = model_open(&talker->chat, path, &options, err);
    if (status == 0 && model_info_peek(talker->chat)->kind != MODEL_DECODER)
        status = error_set(err, WEIR_E_INVALID, path, "must be a decoder");
    return status < 0 ? status : engine_start(&talker->engine, talker->chat, &(struct engine_options){.max_sessions = 1}, err);
}

/* ------------------------------------------------------------------ who answers */

static void take_url(struct talker *talker, str url)
{
    while (str_ends(url, STR("/")))
        url.n--;
    if (str_ends(url, STR("/v1")))
        url.n -= 3;
    while (str_ends(url, STR("/")))
        url.n--;
    str_copy(talker->url, sizeof talker->url, url);
}

/* Does a gateway of this configuration answer on loopback? */
static bool find_running(struct talker *talker)
{
    const struct config *config = talker->config;
    for (int i = 0; i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->tls || !listener->loopback || listener->port == 0)
            continue;
        take_url(talker, str_of(listener->url));
        if (exchange_run(talker, "/healthz", NULL, NULL, 2000, NULL) == 0)
            return true;
    }
    return false;
}

int talker_open(struct talker *talker, const struct talk_options *options, struct error *err)
{
    *talker = (struct talker){.options = *options};
    int status = config_open(&talker->config, options->config, err);
    if (status < 0)
        return status;
    log_set_level(LOG_ERROR);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    talker->easy = curl_easy_init();
    if (talker->easy == NULL)
        status = error_set(err, WEIR_E_MEMORY, "connection", "out of memory");
    else if (options->url != NULL)
        take_url(talker, str_of(options->url));
    else if (!find_running(talker)) {
        curl_easy_cleanup(talker->easy);
        talker->easy = NULL;
        status = open_local(talker, err);
    }
    if (status < 0)
        talker_close(talker);
    else if (isatty(STDERR_FILENO))
        fprintf(stderr, talker->easy != NULL ? "(the gateway at %s)\n" : "(the local model%s)\n", talker->easy != NULL ? talker->url : "");
    return status;
}

void talker_close(struct talker *talker)
{
    if (talker->engine != NULL)
        engine_stop(talker->engine);
    if (talker->chat != NULL)
        model_close(talker->chat);
    if (talker->easy != NULL)
        curl_easy_cleanup(talker->easy);
    config_drop(talker->config);
    *talker = (struct talker){0};
}

int talker_ask(struct talker *talker, const json_t *messages, struct buffer *answer, struct error *err)
{
    talker->route[0] = talker->cost_usd[0] = '\0';
    int status = talker->easy != NULL ? ask_gateway(talker, messages, answer, err) : ask_local(talker, messages, answer, err);
    if (answer->n > 0 && answer->data[answer->n - 1] != '\n')
        fputc('\n', stdout);
    fflush(stdout);
    if (status == 0 && isatty(STDERR_FILENO))
        fprintf(stderr, "(%s%s%s)\n", talker->route, talker->cost_usd[0] != '\0' ? ", $" : "", talker->cost_usd);
    return status;
}
