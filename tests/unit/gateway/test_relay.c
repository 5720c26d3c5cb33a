/* The relay and the upstream client against the provider stand-in over real TLS: each failure of the design's list, what is
 * tried next, and what the caller is told. */
#include "upstream/relay.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT "The stand-in says hello."

extern char **environ;

/* One stand-in process. */
struct standin {
    pid_t pid;
    int hold; /* Its standard input: it ends when this is closed. */
    int port;
};

static char folder[64];

static void standin_start(struct standin *standin, const char *certificate)
{
    int in[2], out[2];
    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(pipe(out), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addclose(&actions, in[1]);
    const char *argv[] = {"python3", WEIR_SOURCE_DIR "/tests/support/provider.py", "--dir", folder, "--certificate", certificate, NULL};
    cr_assert_eq(posix_spawnp(&standin->pid, "python3", &actions, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    standin->hold = in[1];
    char line[1000];
    size_t n = 0;
    while (n < sizeof line - 1 && read(out[0], line + n, 1) == 1 && line[n] != '\n')
        n++;
    close(out[0]);
    struct error err = {0};
    json_t *said = json_parse((str){line, n}, &err);
    cr_assert_not_null(said, "the stand-in did not start: %s", err.text);
    standin->port = (int)json_integer_value(json_object_get(said, "port"));
    json_decref(said);
}

static void standin_stop(struct standin *standin)
{
    close(standin->hold);
    kill(standin->pid, SIGTERM);
    waitpid(standin->pid, NULL, 0);
}

static size_t keep(char *data, size_t size, size_t n, void *user)
{
    return buffer_append(user, data, size * n) == 0 ? size * n : 0;
}

/* A question to the stand-in itself. New reference. */
static json_t *standin_ask(const struct standin *standin, const char *path, const char *body)
{
    char url[100], ca[100];
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, 1 << 20);
    snprintf(url, sizeof url, "https://127.0.0.1:%d%s", standin->port, path);
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &out);
    if (body != NULL)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(easy);
    cr_assert_eq(code, CURLE_OK, "%s", curl_easy_strerror(code));
    curl_easy_cleanup(easy);
    json_t *answer = json_parse(buffer_str(&out), &err);
    cr_assert_not_null(answer, "%s", err.text);
    buffer_release(&out);
    return answer;
}

struct result {
    struct relay *relay;
    struct buffer text;
    enum relay_event_kind last;
    int status, provider, seams, finishes, attempts, pause_after, paused;
    char code[64];
    bool usage_known;
    struct token_usage usage;
    int64_t cost_nusd;
    bool free_at_first;
    uv_timer_t later;
};

static void resume_later(uv_timer_t *timer)
{
    struct result *r = timer->data;
    relay_resume(r->relay);
}

static void on_event(void *user, const struct relay_event *event)
{
    struct result *r = user;
    r->last = event->kind;
    r->provider = event->provider;
    if (event->kind == RELAY_DELTA && event->choice == 0) {
        buffer_append_str(&r->text, event->text);
        r->finishes += event->finish_reason != NULL;
        if (r->free_at_first && event->text.n > 0) {
            relay_free(r->relay);
            r->relay = NULL;
            return;
        }
        if (r->pause_after > 0 && event->text.n > 0 && --r->pause_after == 0) {
            r->paused++;
            relay_pause(r->relay);
            uv_timer_start(&r->later, resume_later, 30, 0);
        }
    } else if (event->kind == RELAY_ANSWER) {
        const json_t *message = json_object_get(json_array_get(json_object_get(event->json, "choices"), 0), "message");
        buffer_append_text(&r->text, json_string_value(json_object_get(message, "content")));
    } else if (event->kind == RELAY_SEAM) {
        r->seams++;
    } else if (event->kind >= RELAY_END) {
        r->status = event->status;
        r->usage_known = event->usage_known;
        r->usage = event->usage;
        r->cost_nusd = event->cost_nusd;
        str_copy(r->code, sizeof r->code, str_of(event->code));
        r->attempts = relay_attempts(r->relay);
        relay_free(r->relay); /* From inside the last event: allowed. */
        r->relay = NULL;
    }
}

struct bench {
    uv_loop_t loop;
    struct upstream *upstream;
    struct standin a, b;
    const struct config *config;
    struct pack *pack;
    const struct prices *prices;
};

static void bench_open(struct bench *bench, const char *certificate)
{
    struct error err = {0};
    char yaml[1200];
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    snprintf(folder, sizeof folder, "/tmp/weir-relay-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    standin_start(&bench->a, certificate);
    standin_start(&bench->b, "good");
    const char *timeouts = "timeouts: {connect: 5s, first_byte: 700ms, stall: 500ms, total: 20s}";
    snprintf(yaml, sizeof yaml,
             "providers:\n - {name: a, base_url: 'https://127.0.0.1:%d/v1', models: [m], ca_file: %s/ca.pem, %s}\n"
             " - {name: b, base_url: 'https://localhost:%d/v1', models: [m], ca_file: %s/ca.pem, %s}\n",
             bench->a.port, folder, timeouts, bench->b.port, folder, timeouts);
    cr_assert_eq(config_parse(&bench->config, "t", "/", str_of(yaml), &err), 0, "%s", err.text);
    cr_assert_eq(pack_open(&bench->pack, WEIR_SOURCE_DIR "/policies/packs/default.yaml", &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(prices_parse(&bench->prices, "p", STR("version: '1'\nprices: [{model: m, input: 1, cached_input: 0.5, output: 2}]\n"), &err), 0);
    uv_loop_init(&bench->loop);
    cr_assert_eq(upstream_open(&bench->upstream, &bench->loop, &err), 0);
}

static void bench_close(struct bench *bench)
{
    char command[100];
    upstream_close(bench->upstream, NULL, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&bench->loop), 0, "a handle was left open");
    config_drop(bench->config);
    pack_close(bench->pack);
    prices_drop(bench->prices);
    standin_stop(&bench->a);
    standin_stop(&bench->b);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

static struct result run(struct bench *bench, bool stream, int n_targets, struct result options)
{
    struct error err = {0};
    struct result r = options;
    buffer_init(&r.text, 1 << 20);
    json_t *body = json_pack("{s:s, s:[{s:s, s:s}], s:b, s:f, s:{s:i}}", "model", "auto", "messages", "role", "user", "content", "Say hello.", "stream",
                             stream, "temperature", 0.7, "x_unknown", "kept", 1);
    static const struct relay_target targets[] = {{0, "m"}, {1, "m"}};
    struct verdict verdict = {.effect = EFFECT_ALLOW, .permitted = 3};
    struct relay_options o = {.upstream = bench->upstream, .config = bench->config, .prices = bench->prices, .decision_id = "d", .targets = targets,
                              .n_targets = n_targets, .body = body, .stream = stream, .verdict = &verdict, .pack = bench->pack, .event = on_event, .user = &r};
    uv_timer_init(&bench->loop, &r.later);
    r.later.data = &r;
    cr_assert_eq(relay_start(&r.relay, &o, &err), 0, "%s", err.text);
    while (r.relay != NULL)
        uv_run(&bench->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&r.later, NULL);
    uv_run(&bench->loop, UV_RUN_NOWAIT);
    uv_run(&bench->loop, UV_RUN_NOWAIT);
    json_decref(body);
    return r;
}

static int64_t requests(const struct standin *standin)
{
    json_t *log = standin_ask(standin, "/_log", NULL);
    int64_t n = json_integer_value(json_object_get(log, "requests"));
    json_decref(log);
    return n;
}

#define OK "[{\"kind\":\"ok\"}]"

static const struct {
    const char *name, *a, *b;
    bool stream;
    int n_targets;
    enum relay_event_kind last;
    int status;
    const char *text;
    int requests_a, requests_b, seams;
} cases[] = {
    {"answer", OK, OK, false, 2, RELAY_END, 200, TEXT, 1, 0, 0},
    {"stream", OK, OK, true, 2, RELAY_END, 200, TEXT, 1, 0, 0},
    {"500 once: the same provider again", "[{\"kind\":\"status\",\"status\":500},{\"kind\":\"ok\"}]", OK, true, 2, RELAY_END, 200, TEXT, 2, 0, 0},
    {"500 twice: the next", "[{\"kind\":\"status\",\"status\":500}]", OK, true, 2, RELAY_END, 200, TEXT, 2, 1, 0},
    {"429 waits what it is told", "[{\"kind\":\"status\",\"status\":429,\"retry_after\":\"0.05\"},{\"kind\":\"ok\"}]", OK, false, 2, RELAY_END, 200, TEXT, 2, 0, 0},
    {"429 for an hour does not fit", "[{\"kind\":\"status\",\"status\":429,\"retry_after\":\"3600\"}]", OK, false, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"429 everywhere", "[{\"kind\":\"status\",\"status\":429,\"retry_after\":\"3600\"}]", OK, false, 1, RELAY_EXHAUSTED, 429, "", 1, 0, 0},
    {"401 is Weir's trouble", "[{\"kind\":\"status\",\"status\":401}]", OK, false, 1, RELAY_EXHAUSTED, 502, "", 1, 0, 0},
    {"403 moves on", "[{\"kind\":\"status\",\"status\":403}]", OK, false, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"context length moves on", "[{\"kind\":\"context_length\"}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"context length everywhere", "[{\"kind\":\"context_length\"}]", OK, true, 1, RELAY_EXHAUSTED, 400, "", 1, 0, 0},
    {"content filter ends", "[{\"kind\":\"content_filter\"}]", OK, true, 2, RELAY_REFUSED, 400, "", 1, 0, 0},
    {"another 4xx ends", "[{\"kind\":\"status\",\"status\":422}]", OK, false, 2, RELAY_REFUSED, 422, "", 1, 0, 0},
    {"200 with an error", "[{\"kind\":\"error_body\"}]", OK, false, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"200 with an error, streamed", "[{\"kind\":\"error_body\"}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"an answer of no choices", "[{\"kind\":\"no_choices\"}]", OK, false, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"bad JSON", "[{\"kind\":\"bad_json\"}]", OK, false, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"silence is not tried again there", "[{\"kind\":\"stall\"}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"a head alone is no first byte", "[{\"kind\":\"stall\",\"at\":-2}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 0},
    {"silence everywhere", "[{\"kind\":\"stall\"}]", OK, false, 1, RELAY_EXHAUSTED, 504, "", 1, 0, 0},
    {"reset before the head: again there", "[{\"kind\":\"cut\",\"at\":0},{\"kind\":\"ok\"}]", OK, true, 2, RELAY_END, 200, TEXT, 2, 0, 0},
    {"cut in mid-stream: the next carries on", "[{\"kind\":\"cut\",\"at\":2}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 1},
    {"truncated chunks", "[{\"kind\":\"truncate\",\"at\":3}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 1},
    {"a stall in mid-stream", "[{\"kind\":\"stall\",\"at\":2}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 1},
    {"an error event in mid-stream", "[{\"kind\":\"error_event\",\"at\":2}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 1, 1},
    {"the prefix refused: afresh", "[{\"kind\":\"cut\",\"at\":2}]", "[{\"kind\":\"refuse_prefix\"}]", true, 2, RELAY_END, 200, TEXT, 1, 2, 1},
    {"cut with nobody left", "[{\"kind\":\"cut\",\"at\":2}]", OK, true, 1, RELAY_EXHAUSTED, 502, "The stand-in", 1, 0, 0},
    {"a bad event is skipped", "[{\"kind\":\"bad_event\",\"at\":2}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 0, 0},
    {"no [DONE]", "[{\"kind\":\"no_done\"}]", OK, true, 2, RELAY_END, 200, TEXT, 1, 0, 0},
};

Test(relay, each_failure_leads_where_the_design_says)
{
    struct bench bench;
    bench_open(&bench, "good");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_decref(standin_ask(&bench.a, "/_reset", "{}"));
        json_decref(standin_ask(&bench.b, "/_reset", "{}"));
        json_decref(standin_ask(&bench.a, "/_script", cases[i].a));
        json_decref(standin_ask(&bench.b, "/_script", cases[i].b));
        breaker_report(upstream_breaker(bench.upstream, "a"), true, clock_now_us());
        struct result r = run(&bench, cases[i].stream, cases[i].n_targets, (struct result){.relay = NULL});
        cr_assert_eq(r.last, cases[i].last, "%s: event %d, status %d %s", cases[i].name, r.last, r.status, r.code);
        cr_assert_eq(r.status, cases[i].status, "%s: %d", cases[i].name, r.status);
        cr_assert_str_eq(r.text.data != NULL ? r.text.data : "", cases[i].text, "%s", cases[i].name);
        cr_assert_eq(requests(&bench.a), cases[i].requests_a, "%s: %d at the first", cases[i].name, (int)requests(&bench.a));
        cr_assert_eq(requests(&bench.b), cases[i].requests_b, "%s: %d at the second", cases[i].name, (int)requests(&bench.b));
        cr_assert_eq(r.seams, cases[i].seams, "%s", cases[i].name);
        if (r.last == RELAY_END && cases[i].stream)
            cr_assert_eq(r.finishes, 1, "%s", cases[i].name);
        if (i < 2) {
            cr_assert(r.usage_known && r.usage.prompt_tokens == 9 && r.usage.cached_tokens == 4);
            cr_assert_eq(r.cost_nusd, 5 * 1000 + 4 * 500 + 4 * 2000, "%s: %lld", cases[i].name, (long long)r.cost_nusd);
        }
        buffer_release(&r.text);
    }
    bench_close(&bench);
}

Test(relay, the_body_keeps_what_weir_does_not_know_and_connections_are_used_again)
{
    struct bench bench;
    bench_open(&bench, "good");
    for (int i = 0; i < 5; i++) {
        struct result r = run(&bench, i % 2 == 1, 1, (struct result){.relay = NULL});
        buffer_release(&r.text);
    }
    json_t *log = standin_ask(&bench.a, "/_log", NULL);
    cr_assert_eq(json_integer_value(json_object_get(log, "requests")), 5);
    cr_assert_eq(json_integer_value(json_object_get(log, "connections")), 2, "one for five requests, one for this question");
    const json_t *plain = json_array_get(json_object_get(log, "bodies"), 0), *streamed = json_array_get(json_object_get(log, "bodies"), 1);
    cr_assert_str_eq(json_string_value(json_object_get(plain, "model")), "m");
    cr_assert_eq(json_real_value(json_object_get(plain, "temperature")), 0.7);
    cr_assert_not_null(json_object_get(plain, "x_unknown"));
    cr_assert_null(json_object_get(plain, "stream_options"));
    cr_assert(json_is_true(json_object_get(json_object_get(streamed, "stream_options"), "include_usage")));
    json_decref(log);
    bench_close(&bench);
}

Test(relay, a_paused_stream_comes_whole_and_a_freed_one_ends_at_once)
{
    struct bench bench;
    bench_open(&bench, "good");
    struct result r = run(&bench, true, 1, (struct result){.pause_after = 1});
    cr_assert_eq(r.paused, 1);
    cr_assert_eq(r.last, RELAY_END);
    cr_assert_str_eq(r.text.data, TEXT);
    buffer_release(&r.text);
    json_decref(standin_ask(&bench.a, "/_script", "[{\"kind\":\"slow\",\"ms\":20}]"));
    r = run(&bench, true, 1, (struct result){.free_at_first = true});
    cr_assert_eq(r.last, RELAY_DELTA, "no event follows");
    cr_assert_str_eq(r.text.data, "The");
    buffer_release(&r.text);
    bench_close(&bench);
}

Test(relay, a_certificate_that_does_not_fit_is_not_talked_to)
{
    static const char *const certificates[] = {"expired", "wrong_host", "self"};
    for (int i = 0; i < 3; i++) {
        struct bench bench = {.config = NULL};
        bench_open(&bench, certificates[i]);
        struct result r = run(&bench, true, 1, (struct result){.relay = NULL});
        cr_assert_eq(r.last, RELAY_EXHAUSTED, "%s", certificates[i]);
        cr_assert_str_eq(r.code, "provider_certificate", "%s: %s", certificates[i], r.code);
        buffer_release(&r.text);
        r = run(&bench, true, 2, (struct result){.relay = NULL});
        cr_assert_eq(r.last, RELAY_END, "the next is asked");
        buffer_release(&r.text);
        bench_close(&bench);
    }
}

Test(relay, a_dead_provider_is_left_alone_until_its_probe)
{
    struct bench bench;
    bench_open(&bench, "good");
    standin_stop(&bench.a);
    for (int i = 0; i < 6; i++) {
        struct result r = run(&bench, true, 1, (struct result){.relay = NULL});
        cr_assert_eq(r.last, RELAY_EXHAUSTED);
        cr_assert_str_eq(r.code, i < 5 ? "provider_unreachable" : "provider_unavailable", "try %d: %s", i, r.code);
        cr_assert_eq(r.attempts, i < 5 ? 1 : 0, "nothing is sent while it is open");
        buffer_release(&r.text);
    }
    bool healthy[CONFIG_MAX_PROVIDERS];
    upstream_health(bench.upstream, bench.config, healthy);
    cr_assert(!healthy[0] && healthy[1]);
    standin_start(&bench.a, "good");
    bench_close(&bench);
}
