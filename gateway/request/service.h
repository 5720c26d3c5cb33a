/* The daemon's shared state: configuration snapshot, policy pack, prices, ledger, keys, models, upstream, door. Opened once,
 * used by every request.
 *
 * Threads: everything here belongs to the loop thread, but for what a preparing worker reads of a request's snapshot (pack,
 * scorer, models), which is immutable or locks for itself. A snapshot is held by each request that uses it, so a reload never
 * pulls anything from under one. */
#ifndef WEIR_REQUEST_SERVICE_H
#define WEIR_REQUEST_SERVICE_H

#include "cache/answer_cache.h"
#include "config/config.h"
#include "conversation/conversation.h"
#include "door/door.h"
#include "keys/admin_socket.h"
#include "keys/keys.h"
#include "goals/standing.h"
#include "knowledge/knowledge.h"
#include "ledger/ledger.h"
#include "metrics/metrics.h"
#include "money/budget.h"
#include "money/prices.h"
#include "request/local_model.h"
#include "request/model_pool.h"
#include "weir_classifier.h"

struct drifting;
struct feedback;
struct goals;
struct indexing;
struct request;
struct shadowing;
struct upstream;

/* A head and what scores with it: of all snapshots under which its file is the same. Workers score; the rest is the loop thread's. */
struct classifier {
    struct head *head;
    struct scorer *scorer;
    uint64_t file; /* Its file_identity. */
    int n_holders;
};

/* What a reload swaps, whole. */
struct snapshot {
    const struct config *config;
    struct pack *pack;
    const struct prices *prices; /* NULL: costs are unknown. */
    struct classifier *classifier; /* NULL: nothing is scored, and `auto` stays here. */
    char answers_id[STANDING_ID_BYTES]; /* Of what answers under it; "": not known. */
    int n_holders;               /* Loop thread only. */
};

struct service {
    uv_loop_t loop;
    struct config_store *store;
    struct snapshot *snapshot;
    struct ledger *ledger;
    struct ledger_port *port;
    struct budget_table *budgets;
    struct keys *keys;
    struct admin_socket *admin;
    struct local_model chat;     /* Named by its file without the ending; model NULL: none could be opened. */
    struct model_pool *pool;     /* The further ones. */
    struct model *encoder;       /* NULL: none. */
    struct model *reranker;      /* A cross-encoder; NULL: the encoder ranks. */
    struct upstream *upstream;
    struct door *door;
    struct metrics *metrics;
    struct knowledge *knowledge;
    struct indexing *indexing;   /* Of the documents, by a worker. */
    struct conversations *conversations; /* The turns before. */
    struct goals *goals;         /* What the tenants' targets stand at. */
    struct feedback *feedback;   /* Ratings on their way. */
    struct drifting *drifting;   /* The drift tests made of them and of samples. */
    struct shadowing *shadowing; /* Answers that are judged against those that were not taken. */
    int64_t n_probed;            /* Questions that the answering model was asked about before it answered. */
    int64_t n_covered, n_uncovered; /* Questions searched for in the documents. */
    struct answer_cache *cache;
    uint8_t cache_secret[CACHE_KEY_BYTES]; /* Of its keys; as old as the process. */
    uint8_t pseudonym_key[32];   /* Master of the tenants' redaction keys; in the data folder, mode 0600. */
    uv_async_t ledger_wake;
    uv_async_t engine_wake;
    uv_timer_t tick;
    uv_signal_t signals[3];
    struct request *requests;    /* All that are alive. */
    int n_requests;
    int n_computing;             /* Of them those that want the machine now, and not only the loop. */
    int64_t drain_until_us;      /* 0: not draining. */
    bool handles_open;
};

/* Opens everything that needs no loop. Errors are sentences for the operator. */
int service_open(struct service *service, const char *config_path, struct error *err) WEIR_CHECKED;
void service_close(struct service *service);
/* Reads the configuration, the pack and the prices again; on failure the old snapshot stays whole. */
void service_reload(struct service *service);
/* Which labels are in force. */
void service_standing(const struct service *service, struct standing *out);
struct snapshot *snapshot_hold(struct snapshot *snapshot);
void snapshot_drop(struct snapshot *snapshot);
const struct head *snapshot_head(const struct snapshot *snapshot); /* NULL: none. */

/* The loop, from first listener to last connection. listen, when not NULL, takes the place of the configured addresses. Says
 * on stderr where it listens. */
int service_run(struct service *service, const char *listen, struct error *err) WEIR_CHECKED;

/* A whole HTTP request has come: finds its endpoint. door_handler.request. */
void route_request(void *service, struct reply *reply);

#endif
