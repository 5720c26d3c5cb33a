/* No clearance, no byte. */
#include "upstream/upstream.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

static const struct config *config_with_port(int port)
{
    char yaml[400];
    const struct config *config = NULL;
    struct error err = {0};
    snprintf(yaml, sizeof yaml, "providers:\n - {name: a, base_url: 'http://127.0.0.1:%d/v1', models: [m]}\n - {name: b, base_url: 'https://b/', models: [m]}\n", port);
    cr_assert_eq(config_parse(&config, "t", "/", str_of(yaml), &err), 0, "%s", err.text);
    return config;
}

Test(clearance, is_minted_only_from_a_verdict_that_permits)
{
    const struct config *config = config_with_port(9);
    struct verdict verdict = {.effect = EFFECT_ALLOW, .permitted = 1};
    struct clearance *clearance;
    struct error err = {0};
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, 0, STR("x"), false, &err), 0);
    clearance_free(clearance);
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, 1, STR("x"), false, &err), WEIR_E_DENIED, "another provider");
    cr_assert_eq(clearance_mint(&clearance, NULL, config, 0, STR("x"), false, &err), WEIR_E_DENIED, "no verdict");
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, 7, STR("x"), false, &err), WEIR_E_DENIED);
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, -1, STR("x"), false, &err), WEIR_E_DENIED);
    verdict.effect = EFFECT_REDACT;
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, 0, STR("x"), false, &err), WEIR_E_DENIED, "not redacted");
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, 0, STR("x"), true, &err), 0);
    clearance_free(clearance);
    verdict.effect = EFFECT_LOCAL_ONLY;
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, 0, STR("x"), true, &err), WEIR_E_DENIED);
    verdict.effect = EFFECT_REFUSE;
    cr_assert_eq(clearance_mint(&clearance, &verdict, config, 0, STR("x"), true, &err), WEIR_E_DENIED);
    config_drop(config);
}

Test(clearance, is_good_once_for_its_bytes_and_its_provider)
{
    const struct config *config = config_with_port(9);
    struct verdict verdict = {.effect = EFFECT_ALLOW, .permitted = 3};
    static const struct {
        const char *provider, *body;
        int status;
    } cases[] = {{"a", "body", 0}, {"a", "bodY", WEIR_E_DENIED}, {"b", "body", WEIR_E_DENIED}, {"a", "body ", WEIR_E_DENIED}, {"a", "", WEIR_E_DENIED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct clearance *clearance;
        struct error err = {0};
        cr_assert_eq(clearance_mint(&clearance, &verdict, config, 0, STR("body"), false, &err), 0);
        cr_assert_eq(clearance_spend(clearance, cases[i].provider, str_of(cases[i].body), &err), cases[i].status, "case %zu", i);
        cr_assert_eq(clearance_spend(clearance, "a", STR("body"), &err), WEIR_E_DENIED, "used before");
        clearance_free(clearance);
    }
    struct error err = {0};
    cr_assert_eq(clearance_spend(NULL, "a", STR("body"), &err), WEIR_E_DENIED);
    config_drop(config);
}

/* A listening socket whose queue shows whether anyone connected. */
static int listen_anywhere(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, n), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void never_data_done(void *user, const struct exchange_result *result)
{
    cr_assert_fail("nothing was sent, so nothing can be done");
}

Test(clearance, without_a_fitting_one_no_socket_is_opened)
{
    int port, fd = listen_anywhere(&port);
    const struct config *config = config_with_port(port);
    struct verdict verdict = {.effect = EFFECT_ALLOW, .permitted = 3};
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct upstream *upstream;
    struct error err = {0};
    cr_assert_eq(upstream_open(&upstream, &loop, &err), 0);
    static const struct exchange_callbacks callbacks = {.done = never_data_done};
    for (int i = 0; i < 4; i++) {
        struct clearance *clearance = NULL;
        struct exchange *exchange;
        if (i > 0)
            cr_assert_eq(clearance_mint(&clearance, &verdict, config, i == 1 ? 1 : 0, STR("one"), false, &err), 0);
        if (i == 3)
            cr_assert_eq(clearance_spend(clearance, "a", STR("one"), &err), 0); /* Used up elsewhere. */
        struct upstream_request request = {.config = config, .provider = 0, .path = "/x", .body = i == 2 ? STR("two") : STR("one"), .clearance_take = clearance};
        cr_assert_eq(upstream_send(upstream, &request, &callbacks, NULL, &exchange, &err), WEIR_E_DENIED, "case %d", i);
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(accept(fd, NULL, NULL), -1, "somebody connected");
    upstream_close(upstream, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    close(fd);
    config_drop(config);
}
