/* weir_gateway: the daemon and the command line. The only folder that knows of TLS, libcurl, libuv, llhttp and SQLite. */
#ifndef WEIR_GATEWAY_H
#define WEIR_GATEWAY_H

/* Runs `weir <verb> …`. Returns the process's exit code: 0 done, 1 failed on its input, 2 called wrongly. */
int weir_main(int argc, char **argv);

#endif
