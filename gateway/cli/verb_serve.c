/* weir serve: the daemon in the foreground. */
#include "cli/cli.h"
#include "request/service.h"

static const char help[] =
    "usage: weir serve [--config weir.yaml] [--listen http://127.0.0.1:8080]\n\n"
    "Starts the gateway in the foreground. It speaks the OpenAI API: point a client's base_url at\n"
    "http://127.0.0.1:8080/v1 and change nothing else. Without a file it takes the defaults: the pulled\n"
    "models, the `default` policy, no provider, no keys.\n\n"
    "  --config FILE   the configuration; `weir check` explains what is wrong with one\n"
    "  --listen URL    listens here and nowhere else (http:// or https://, port 0: any free one)\n\n"
    "Logs go to stderr, one JSON object a line (text on a terminal); the event `listening` names each address.\n"
    "SIGTERM and Ctrl-C let running answers finish, a second one stops at once; SIGHUP reads the file again.\n";

static int run(int argc, char **argv)
{
    const char *config = NULL, *listen = NULL;
    const struct cli_option options[] = {{.name = "config", .text = &config}, {.name = "listen", .text = &listen}, {0}};
    extern const struct verb verb_serve;
    int parsed = cli_parse(&verb_serve, argc, argv, options, NULL);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    struct error err = {0};
    struct service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return EXIT_FAILED;
    int status = service_open(service, config, &err);
    if (status == 0) {
        status = service_run(service, listen, &err);
        service_close(service);
    }
    free(service);
    return status < 0 ? cli_fail("serve", &err) : EXIT_DONE;
}

const struct verb verb_serve = {.name = "serve", .summary = "start the gateway", .help = help, .run = run};
