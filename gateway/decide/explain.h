/* A decision without a daemon: the same steps over a request's body, for `weir route` and for tests. Nothing is sent, written
 * or reserved. */
#ifndef WEIR_DECIDE_EXPLAIN_H
#define WEIR_DECIDE_EXPLAIN_H

#include "decide/decide.h"
#include "knowledge/knowledge.h"

/* What a decision needs, opened from a configuration. Zero it first. */
struct explainer {
    const struct config *config;
    struct pack *pack;
    const struct prices *prices;
    struct model *chat;    /* NULL: not pulled. */
    struct engine *engine; /* Of chat, for the probe; NULL: none is configured, or the head has not learned from one. */
    struct model *encoder; /* NULL: not pulled. */
    struct head *head;
    struct scorer *scorer; /* NULL: no head. */
    struct knowledge *knowledge; /* NULL: no documents are configured. */
    struct goals *goals;   /* What the tenants' targets stood at by the ledger, where there is one. */
    struct drift *ratings, *samples; /* The tests of drift, as the ledger's labels give them. */
    /* Set after opening. */
    const char *tenant;    /* Who asks; NULL: nobody with a key. */
    const char *earlier;   /* What answered the conversation's turn before, which a running Weir remembers: "local", "remote:<provider>/<model>"; NULL: nobody knows. */
};

int explainer_open(struct explainer *explainer, const char *config_path, struct error *err) WEIR_CHECKED;
void explainer_close(struct explainer *explainer);
/* A chat request to its decision with every input, as the ledger would hold it, and "unknown": what only a running Weir knows and what may make its
 * decision another one. err.where names the field. New reference. */
int explainer_run(struct explainer *explainer, str body, json_t **out, struct error *err) WEIR_CHECKED;

#endif
