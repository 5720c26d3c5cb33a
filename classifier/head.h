/* Head: trained weights in memory, and their file. */
#ifndef WEIR_CLASSIFIER_HEAD_H
#define WEIR_CLASSIFIER_HEAD_H

#include "calibrate.h"
#include "linear.h"
#include "map.h"
#include "rules.h"
#include "softmax.h"
#include "weir_classifier.h"

/* What a head can say: the three numbers, each from the whole map or, without an encoder's pass, from features alone. */
enum head_target { HEAD_GAIN, HEAD_LOCAL, HEAD_REMOTE, N_HEAD_TARGETS };
enum head_view { VIEW_FEATURES, VIEW_ENCODER, N_HEAD_VIEWS };

struct head_linear {
    bool present;
    struct linear weights;
    struct platt platt; /* Gain: slope × value + shift. Local and remote: through the sigmoid. */
};

struct head_domain {
    bool present;
    struct softmax weights;
    double temperature;
    struct platt oos; /* Of minus the largest logit. */
};

/* What a rule's texts were like in training; enough == false: the rule is not used by this head. */
struct head_rule {
    bool enough;
    struct score answer; /* Probabilities and domain index; no tier or time. */
    int domain;
};

struct head {
    char name[64];
    char id[96];
    char encoder[128];
    char data_sha256[2 * SHA256_BYTES + 1];
    int64_t n_lines;
    json_t *metrics; /* Cross-validated, as training found them. */
    struct map map;
    struct head_linear linear[N_HEAD_VIEWS][N_HEAD_TARGETS];
    struct head_domain domain[N_HEAD_VIEWS];
    int n_domains;
    char **domains;
    struct head_rule rules[N_RULES];
    /* The features tier answers alone where its P(local) is at most low or at least high; low < 0 and high > 1: never. */
    float settle_low;
    float settle_high;
};

extern const char *const head_target_names[N_HEAD_TARGETS];
extern const char *const head_view_names[N_HEAD_VIEWS];

struct head *head_new(void); /* NULL when memory runs out. head_close frees it. */
/* Numbers a domain head looks at: the embedding and the sketch, scaled. */
int head_domain_inputs(const struct head *head, enum head_view view);
void head_domain_input(const struct head *head, enum head_view view, const float *sketch, const float *embedding, float *out);
/* Parses a head file's bytes, for head_open and the fuzz target. */
int head_parse(struct head **out, const void *data, size_t n_bytes, struct error *err) WEIR_CHECKED;
int head_write(const struct head *head, const char *path, struct error *err) WEIR_CHECKED;

#endif
