/* Which detectors a pack turns on, and how: thresholds, caps, patterns of its own, values it does not mind. */
#ifndef WEIR_POLICIES_PACK_DETECTOR_SET_H
#define WEIR_POLICIES_PACK_DETECTOR_SET_H

#include "pack/yaml_tree.h"
#include "scan/scan.h"

enum { MOST_CUSTOM = 64 };

struct custom_pattern {
    struct entity entity;
    struct regex regex;
    float score;
};

struct detector_allow {
    const char *type; /* Glob. */
    const char **values;
    int n_values;
};

struct detector_set {
    float threshold;
    size_t max_bytes;
    uint8_t *off; /* By the entity's index: not looked for. */
    struct custom_pattern *custom;
    int n_custom;
    struct detector_allow *allow;
    int n_allow;
};

int detector_set_load(struct detector_set *set, const char *name, const struct yaml_tree *node, struct arena *arena,
                      struct error *err) WEIR_CHECKED;
void detector_set_release(struct detector_set *set);

bool detector_set_wants(const struct detector_set *set, const struct entity *entity);
float detector_set_threshold(const struct detector_set *set);
size_t detector_set_max_bytes(const struct detector_set *set);
/* Whether a value of a type is on the allow-list. */
bool detector_set_allows(const struct detector_set *set, const char *type, str value);
/* Whether some detector that is on finds a type that the glob matches. */
bool detector_set_finds(const struct detector_set *set, const char *glob);

/* The scan itself, with a set (NULL: everything, no threshold). */
int scan_text_with(const struct detector_set *set, str text, str field, struct findings *out, struct error *err) WEIR_CHECKED;

#endif
