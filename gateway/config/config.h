/* Configuration: weir.yaml read once into an immutable snapshot with a default for every setting.
 *
 * A snapshot is reference-counted: whoever works with it holds it (config_hold) and drops it when done; a reload swaps the
 * whole snapshot in the store or keeps the old one. Any thread may hold and drop; the contents never change. Paths in the
 * file are relative to the file. Secrets are read from the environment or from files, never from the YAML itself. */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include "weir_policies.h"
#include "weir_runtime.h"

enum {
    CONFIG_MAX_LISTENERS = 16,
    CONFIG_MAX_PROVIDERS = VERDICT_MAX_PROVIDERS,
    CONFIG_MAX_MODELS = 256,  /* Of one provider. */
    CONFIG_MAX_NAMES = 1024,  /* Fallback rows, aliases. */
    CONFIG_MAX_WARNINGS = 64,
    CONFIG_MAX_ADAPTERS = 60, /* Of one model. */
    CONFIG_MAX_OTHERS = 60,   /* Models beside chat and encoder. */
};

/* One entry of `listen`. */
struct config_listener {
    const char *url;  /* As written. */
    const char *host; /* Without brackets: "127.0.0.1", "::1", "localhost". */
    int port;         /* 0: any free one. */
    bool tls;
    bool loopback;    /* The host is 127.0.0.0/8, ::1 or localhost. */
};

enum provider_dialect { DIALECT_OPENAI };

struct config_provider {
    const char *name;
    enum provider_dialect dialect;
    const char *base_url;     /* Without a trailing slash: "https://eu.api.openai.com/v1". */
    const char *api_key;      /* The secret itself, NULL: none. Never logged, wiped with the snapshot. */
    const char *api_key_env;  /* Where it came from, NULL: not named. */
    const char *api_key_file;
    bool usable;              /* False: a key was named and is not there; nothing is sent to it. */
    const char *ca_file;      /* NULL: the system's. */
    const char *region;       /* NULL: unknown. */
    const char *const *models; /* Names as the provider has them. */
    int n_models;
    int64_t connect_timeout_us;    /* [2 s] */
    int64_t first_byte_timeout_us; /* To the first event [10 s]. */
    int64_t stall_timeout_us;      /* Between events [15 s]. */
    int64_t total_timeout_us;      /* [120 s] */
    int max_connections;           /* Requests under way at a time [1024]. */
};

/* fallbacks: {name: [items]} */
struct config_fallback {
    const char *model;
    int providers[CONFIG_MAX_PROVIDERS]; /* Indices into config.providers. */
    int n_providers;
};

/* One entry of `escalate`. */
struct config_target {
    int provider;
    const char *model;
};

struct config_alias {
    const char *name;
    const char *target;
};

/* How a generating model serves. */
struct config_adapter {
    const char *name;
    const char *path;
};
struct config_serving {
    enum kv_type kv;              /* [auto] */
    int64_t kv_budget_bytes;      /* [0: a quarter of the machine's memory, at most 2 GiB] */
    bool context_shift;           /* Of requests that don't say [false: an answer ends with the context]. */
    enum speculation speculation; /* [off] */
    const char *draft_path;       /* Of SPECULATE_DRAFT. */
    const struct config_adapter *adapters;
    int n_adapters;
};

/* One of models.others: loaded when it is asked for. */
struct config_model {
    const char *name;
    const char *path;
    struct config_serving serving;
};

/* What `auto` aims at: classifier's or a tenant's. */
enum goal_kind { GOAL_MAX_REGRET, GOAL_REMOTE_SHARE, GOAL_BUDGET };
struct config_goal {
    enum goal_kind kind;
    double max_regret;       /* GOAL_MAX_REGRET */
    double max_remote_share; /* GOAL_REMOTE_SHARE */
    int64_t budget_nusd;     /* GOAL_BUDGET: a month (UTC). */
};

struct config_tenant {
    const char *name;
    struct config_goal goal;
};

enum ledger_durability { DURABILITY_POWER, DURABILITY_PROCESS };

struct config {
    const char *path;  /* NULL: no file was given. */
    char sha256[2 * SHA256_BYTES + 1]; /* Of the YAML's bytes (of none: of the empty file). */
    struct config_listener listeners[CONFIG_MAX_LISTENERS];
    int n_listeners;
    const char *tls_certificate; /* NULL: none. */
    const char *tls_private_key;
    const char *data_dir;        /* [$XDG_STATE_HOME/weir, ~/.local/state/weir, /var/lib/weir] */
    const char *chat_path;       /* [the pulled default, see default_models.h] */
    const char *encoder_path;
    bool chat_path_given;        /* The file names it: a missing model is then an error at start, not a warning. */
    bool encoder_path_given;
    double chat_temperature;     /* Of local answers to requests that name neither temperature nor top_p [0.2]. */
    double chat_top_p;           /* [0.9] */
    struct config_serving chat;
    const char *reranker_path;   /* A cross-encoder of one label, NULL: the encoder's cosines rank. */
    const struct config_model *others;
    int n_others;
    int64_t models_budget_bytes; /* Memory of loaded others: weights and caches [0: half of the machine's]. */
    enum precision precision;
    int threads;                 /* For the models; 0: one per core. */
    struct config_provider providers[CONFIG_MAX_PROVIDERS];
    int n_providers;
    const struct config_fallback *fallbacks;
    int n_fallbacks;
    const struct config_target *escalate; /* Resolved: the default order where the file has none. */
    int n_escalate;
    const struct config_alias *aliases;
    int n_aliases;
    const char *policy_pack;     /* Path [policies/packs/default.yaml of the share]. */
    bool keys_required;          /* [false] */
    enum ledger_durability durability; /* [power] */
    const char *prices_path;     /* [deploy/prices.yaml of the share] */
    const char *head_path;       /* classifier.head [the shipped head], NULL: the shipped one is not there. */
    struct {
        int64_t share_ppm;       /* Of local answers to `auto`, in millionths [0: off]. */
        int64_t left_share_ppm;  /* Of answers to `auto` that left, which the local model answers too [0: off]. */
        struct config_target judge; /* model NULL: none is named. */
        int64_t budget_nusd;     /* For a calendar month (UTC) [5 USD]. */
    } shadow;                    /* classifier.shadow: answers judged against those of the other side. */
    double probe_band;           /* classifier.probe: the answering model is asked where the gain is so near the threshold; 0: never [0]. */
    double max_regret;           /* classifier.max_regret: `auto` escalates when the expected gain is larger [0.10]. */
    struct config_goal goal;     /* Of each tenant that has none of its own; max_regret as above. */
    const struct config_tenant *tenants; /* By name, in its order. */
    int n_tenants;
    struct {
        int hold_tokens;         /* Of a local answer to `auto`, held back until it is judged; 0: none are [0]. */
        int whole_tokens;        /* So many where no stream was asked for, so that the answer is judged as a whole [1024]. */
        bool self_check;         /* The answering model is asked whether the answer is right [false]. */
    } cascade;
    struct {
        const char *folder;      /* Of the documents that the local model answers from; NULL: none. */
        int passages;            /* At most so many go before a question [4]. */
        double likeness;         /* Of the best one, at least, for the documents to cover the question [0.45]. */
    } knowledge;
    enum log_level log_level;    /* log.level [info] */
    struct {
        bool exact;              /* The very same question is answered from memory [false]. */
        bool semantic;           /* So is one that differs in harmless words only [false]. */
        double likeness;         /* Of the two questions' embeddings, at least: cache.semantic as a number [0.8]. */
        int64_t ttl_us;          /* [1 h] */
        int64_t max_bytes;       /* [64 MiB] */
    } cache;
    struct {
        int max_connections;       /* [4096] */
        int max_requests;          /* In flight [1024]. */
        int64_t max_body_bytes;    /* [8 MiB] */
        int64_t head_timeout_us;   /* A request's head must be complete within [10 s]. */
        int64_t body_timeout_us;   /* Without a byte of the body arriving [30 s]. */
        int64_t idle_timeout_us;   /* Keep-alive [75 s]. */
        int64_t write_timeout_us;  /* Without a byte taken by the client [60 s]. */
        int64_t request_timeout_us; /* A request as a whole [600 s]. */
        int64_t drain_timeout_us;  /* After SIGTERM [30 s]. */
        int max_sessions;          /* Decoding side by side [64]. */
        int max_waiting;           /* Local generations waiting beyond that [256]. */
        int ledger_queue;          /* Decisions waiting for the ledger [8192]. */
    } limits;
    const char *warnings[CONFIG_MAX_WARNINGS]; /* Whole sentences for the log and `weir check`. */
    int n_warnings;
};

/* Reads path, or takes all defaults when path is NULL. Errors: err.where is "file:line:column", err.text says what, with
 * the nearest known key. The caller gets one reference. */
int config_open(const struct config **out, const char *path, struct error *err) WEIR_CHECKED;
/* The same from text; name stands for the file in errors, base_dir for its folder. */
int config_parse(const struct config **out, const char *name, const char *base_dir, str yaml, struct error *err) WEIR_CHECKED;
const struct config *config_hold(const struct config *config);
void config_drop(const struct config *config); /* NULL is fine. */
/* Index of a provider by name, -1: none. */
int config_provider_find(const struct config *config, str name);
/* Does a provider list the model? */
bool config_provider_has_model(const struct config_provider *provider, str model);
/* The providers as policy_query wants them: n_providers items into out; bit i of a verdict is config.providers[i]. */
void config_policy_providers(const struct config *config, struct policy_provider out[CONFIG_MAX_PROVIDERS]);

/* The tenant's own goal, else the classifier's. NULL: callers without a key. */
const struct config_goal *config_goal_of(const struct config *config, const char *tenant);

/* The current snapshot of a process. Thread-safe. */
struct config_store;
int config_store_open(struct config_store **out, const char *path, struct error *err) WEIR_CHECKED;
void config_store_close(struct config_store *store);
const struct config *config_store_hold(struct config_store *store); /* A new reference. */
/* Reads the file again. On failure the old snapshot stays as it was. Listeners with the limits of their connections, data_dir, the
 * ledger, models and certificates only take effect at a restart; *needs_restart (may be NULL) says that one of them, or its file, is not what
 * it was at config_store_open. */
int config_store_reload(struct config_store *store, bool *needs_restart, struct error *err) WEIR_CHECKED;
/* Puts an earlier snapshot back, where what the fresh one names turned out not to be usable. */
void config_store_restore(struct config_store *store, const struct config *config);

#endif
