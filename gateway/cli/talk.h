/* Talking to a model from a terminal: with a running gateway over HTTP, or with the model of this machine in this process. */
#ifndef WEIR_CLI_TALK_H
#define WEIR_CLI_TALK_H

#include "config/config.h"

struct talk_options {
    const char *config;  /* Path; NULL: the defaults. */
    const char *url;     /* Of a gateway; NULL: the configuration's loopback listener when one answers there, else this process. */
    const char *ca_file; /* Authorities of an https:// url; NULL: the system's. */
    const char *model;   /* As in a request. */
    int max_tokens;      /* 0: as many as it takes. */
};

struct talker {
    struct talk_options options;
    const struct config *config;
    void *easy;            /* The connection to the gateway (libcurl), kept between questions. NULL: local. */
    char url[2048];        /* The gateway's, without /v1 and a slash at the end. */
    struct model *chat;
    struct engine *engine;
    char route[256];       /* Of the last answer: "local", "remote:…". */
    char cost_usd[32];     /* As the gateway says it; empty: it does not. */
};

/* options are borrowed. Says on stderr who answers when stderr is a terminal. */
int talker_open(struct talker *talker, const struct talk_options *options, struct error *err) WEIR_CHECKED;
void talker_close(struct talker *talker);
/* Asks and prints the answer to standard output as it comes; all of it is appended to answer. */
int talker_ask(struct talker *talker, const json_t *messages, struct buffer *answer, struct error *err) WEIR_CHECKED;

#endif
