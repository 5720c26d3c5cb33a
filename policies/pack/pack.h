/* A pack as it is evaluated: everything resolved to indices when it was loaded. */
#ifndef WEIR_POLICIES_PACK_PACK_H
#define WEIR_POLICIES_PACK_PACK_H

#include "pack/detector_set.h"
#include "pack/yaml_tree.h"
#include "weir_policies.h"

enum { MOST_CLASSES = 16, MOST_RULES = 256, MOST_AGREEMENTS = 16 };

struct names { /* A list of words from the YAML. */
    const char **items;
    int n;
};

struct pack_class_map {
    int data_class;
    struct names types; /* Globs. */
};

struct pack_provider {
    const char *id; /* "*": every one that is not named. */
    struct names regions;
    const char *law;
    struct names agreements;
    int ceiling; /* The highest class it may receive. */
    int line, column;
};

/* What a permit asks of a provider; all that is given must hold. */
struct pack_permit {
    bool given, any;
    struct names regions, laws, agreements, ids;
};

struct pack_rule {
    const char *id;
    int line, column;
    struct names tenants, types, subject_regions;
    int class_low, class_high; /* Inclusive. */
    bool has_class;
    enum effect effect;
    bool has_effect;
    struct pack_permit permit;
    enum effect otherwise; /* When no provider fulfils the permit. EFFECT_ALLOW: nothing. */
    struct names redact;   /* Globs: reversible, secrets excepted. */
    struct names mask;     /* Globs: irreversible. */
    bool shadow;           /* Reported, not enforced. */
};

struct pack_case {
    const char *name, *tenant, *subject_region, *field, *text;
    struct policy_provider *providers;
    size_t n_providers;
    int line;
    int effect;              /* -1: not asked. */
    const char *data_class;  /* NULL: not asked. */
    struct names targets, not_targets, types, no_types, reasons;
    bool has_targets;
    const char *redacted;
};

struct pack {
    struct arena arena;
    const char *file, *name, *version;
    char sha256[65];
    const char *classes[MOST_CLASSES];
    int n_classes;
    struct pack_class_map *maps;
    int n_maps;
    struct names tenants;
    struct detector_set detectors;
    struct pack_provider *providers;
    int n_providers;
    struct pack_rule *rules;
    int n_rules;
    struct pack_retention retention;
    struct policy_provider *test_providers;
    size_t n_test_providers;
    struct pack_case *cases;
    int n_cases;
};

bool names_has(const struct names *names, const char *word);
bool names_match(const struct names *globs, const char *type, const char *detector);
/* The highest class that a type is mapped to, -1 when none is. */
int pack_class_of(const struct pack *pack, const char *type, const char *detector);
int pack_class_index(const struct pack *pack, const char *name);
const struct pack_provider *pack_provider_find(const struct pack *pack, const char *id);
/* Whether any rule in force redacts the type; *irreversible: no way back. */
bool pack_redacts(const struct pack *pack, const char *type, const char *detector, bool *irreversible);

/* What a finished tree must fulfil beyond its form: every type and class exists, every permit has a ceiling behind it, … */
int pack_check(const struct pack *pack, struct error *err) WEIR_CHECKED;

#endif
