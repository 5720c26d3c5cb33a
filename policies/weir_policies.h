/* weir_policies: what may leave, and in what form. Detectors find data in text; a pack (a YAML file with its own tests) says
 * what each class of data permits; policy_evaluate joins both into a verdict; a redaction replaces values by pseudonyms on
 * the way out and turns them back, chunk by chunk, on the way in.
 *
 * A struct pack is immutable once opened and may be used by any number of threads. Everything else belongs to one thread.
 * Whatever goes wrong closes the remote path: no function here answers "permitted" together with an error. */
#ifndef WEIR_POLICIES_H
#define WEIR_POLICIES_H

#include "weir_base.h"

/* ------------------------------------------------------------------ findings */

/* One place in a text. Offsets are bytes into the text as given, whatever was normalised before matching. */
struct finding {
    const char *type;     /* "CREDIT_CARD", "EMAIL_ADDRESS", or for secrets gitleaks' rule id ("aws-access-token"). Static or the pack's. */
    const char *detector; /* Which detector found it ("card", "secrets"). */
    size_t start, end;    /* Half-open, end > start. */
    float score;          /* 0…1; a passed checksum gives 1. */
};

struct findings {
    struct finding *items; /* By start; of one type never one inside another. */
    size_t n;
    size_t capacity;
    size_t n_confirmations; /* Patterns tried, the scan's measure of work: at most 4 for each byte and 4096 for the text. */
    bool truncated;        /* The text was longer than the pack scans, there were too many, or the confirmations ran out: not all was seen. */
};
void findings_release(struct findings *findings);

/* ------------------------------------------------------------------ packs */

struct pack;

enum effect { EFFECT_ALLOW, EFFECT_REDACT, EFFECT_LOCAL_ONLY, EFFECT_REFUSE }; /* A chain: the larger is the stricter. */
const char *effect_name(enum effect effect); /* "allow", "redact", "local_only", "refuse" */

/* Opens a pack's YAML; errors carry file, line and the nearest known key. */
int pack_open(struct pack **out, const char *path, struct error *err) WEIR_CHECKED;
int pack_parse(struct pack **out, const char *name, str yaml, struct error *err) WEIR_CHECKED;
void pack_close(struct pack *pack);
const char *pack_name(const struct pack *pack);
const char *pack_version(const struct pack *pack);
const char *pack_sha256(const struct pack *pack); /* Hex digest of the YAML's bytes: goes into each decision. */

/* How long rows and texts may be kept, in days (0: not at all). Borrowed from the pack. */
struct pack_retention {
    int decision_days, text_days, pseudonym_days;
};
const struct pack_retention *pack_retention(const struct pack *pack);

/* A provider as the gateway's configuration names it. What the pack says of the same id (region, law, agreements, ceiling)
 * is joined in; where both name a region they must agree, or the provider is permitted nothing. */
struct policy_provider {
    const char *id;
    const char *region; /* NULL: unknown, which no residency rule permits. */
};

/* Runs the pack's own tests. report (may be NULL) is called for each with its name and NULL, or what was expected and what
 * came. Returns the number that failed, or a negative status. */
typedef void pack_test_fn(void *user, const char *test, const char *failure);
int pack_test(const struct pack *pack, pack_test_fn *report, void *user, struct error *err) WEIR_CHECKED;

/* Counts of what a pack holds, for people. */
struct pack_counts {
    int n_classes, n_rules, n_providers, n_tenants, n_tests;
};
struct pack_counts pack_counts(const struct pack *pack);

/* One cell of a pack's matrix: what a query of one class, without a redacting step before it, meets. */
struct pack_cell {
    const char *tenant;     /* "-": none named. */
    const char *data_class;
    const char *type;       /* The type that stands for the class; NULL for the lowest class, which needs no find. */
    const char *provider;
    enum effect effect;
    bool permitted;
    const char *reason;     /* Why not, or the rule that decided. */
};
/* Calls report for every (tenant × type × provider): each type that a detector of the pack finds. Providers are the given
 * ones, or the pack's test_providers when n_providers is 0. */
typedef void pack_cell_fn(void *user, const struct pack_cell *cell);
int pack_matrix(const struct pack *pack, const struct policy_provider *providers, size_t n_providers, pack_cell_fn *report, void *user,
                struct error *err) WEIR_CHECKED;

/* ------------------------------------------------------------------ scanning */

/* Appends what the pack's detectors (all of Weir's, when pack is NULL) find in UTF-8 text. field is the name of the JSON
 * field the text stands in, if any: it counts as context ("ssn"). Linear in the text's length. */
int policy_scan(const struct pack *pack, str text, str field, struct findings *out, struct error *err) WEIR_CHECKED;

/* ------------------------------------------------------------------ verdicts */

/* One text of a request that could leave. */
struct policy_field {
    const char *path; /* "messages[2].content", "tools[0].function.description". */
    str text;
};

struct policy_query {
    const char *tenant;          /* NULL: none (keys not required). An unknown one is permitted nothing. */
    const char *subject_region;  /* NULL: unknown. */
    const struct policy_field *fields;
    size_t n_fields;
    const struct policy_provider *providers; /* All that the configuration knows. */
    size_t n_providers;
};

enum { VERDICT_MAX_TYPES = 64, VERDICT_MAX_REASONS = 16, VERDICT_MAX_PROVIDERS = 64 };

/* What policy allows for a query. Lives in the arena it was made in. */
struct verdict {
    enum effect effect;          /* Strictest over all rules. EFFECT_REDACT: only redacted text may leave. */
    const char *data_class;      /* The pack's name of the highest class found. */
    bool local_permitted;        /* False under EFFECT_REFUSE. */
    const char *provider_reasons[VERDICT_MAX_PROVIDERS]; /* Why providers[i] may not receive it; NULL where it may. */
    uint64_t permitted;          /* Bit i: providers[i] may receive it (after redaction where effect says so). */
    struct {
        const char *type;
        int count;
        float max_score;
    } types[VERDICT_MAX_TYPES];  /* Types and counts, never values. */
    int n_types;
    const char *reasons[VERDICT_MAX_REASONS]; /* Rule ids and built-in reasons ("scan_truncated", "no_rule_permits"). */
    int n_reasons;
    struct findings *findings;   /* n_fields lists, for redaction. They live in the arena too: never released. */
    size_t n_fields;
    const char *pack_name, *pack_version, *pack_sha256;
};

/* Scans every field and evaluates every rule. On any error *out is the closed verdict (local_only, nothing permitted,
 * reason "policy_error") and the status is negative. */
int policy_evaluate(const struct pack *pack, const struct policy_query *query, struct arena *arena, struct verdict **out,
                    struct error *err) WEIR_CHECKED;
/* The verdict as the ledger holds it. New reference. */
json_t *verdict_json(const struct verdict *verdict, const struct policy_provider *providers);

/* ------------------------------------------------------------------ reversible redaction */

/* The pseudonyms of one conversation. Keyed: the same value has the same pseudonym within a tenant, another in another. */
struct redaction;
int redaction_new(struct redaction **out, const struct pack *pack, const uint8_t tenant_key[32], struct error *err) WEIR_CHECKED;
void redaction_free(struct redaction *redaction); /* Wipes the values. */

/* Appends text with each finding that the pack redacts replaced ("⟦EMAIL_ADDRESS:7QK3MZ…⟧"); text that is spelled like a
 * pseudonym is escaped, so that it is never turned back. What the pack masks irreversibly (secrets) has no way back. The
 * result is scanned again: WEIR_E_DENIED when something is left. */
int redaction_apply(struct redaction *redaction, str text, const struct findings *findings, struct buffer *out,
                    struct error *err) WEIR_CHECKED;
int redaction_count(const struct redaction *redaction); /* Pseudonyms issued. */

/* Turns pseudonyms back in a text that arrives in pieces cut anywhere. One per choice and per tool call. */
struct restorer {
    const struct redaction *redaction;
    bool json_context; /* Values are escaped for a JSON string (tool-call arguments). */
    char held[96];     /* At most one pseudonym's beginning. */
    size_t n_held;
    int64_t n_restored, n_unknown;
};
void restorer_init(struct restorer *restorer, const struct redaction *redaction, bool json_context);
/* Appends what is certain of the text so far. Holds back only while inside a possible pseudonym: at most sizeof held. */
int restorer_push(struct restorer *restorer, str chunk, struct buffer *out) WEIR_CHECKED;
int restorer_finish(struct restorer *restorer, struct buffer *out) WEIR_CHECKED; /* What is held, as it is. */

#endif
