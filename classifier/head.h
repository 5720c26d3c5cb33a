/* Head: trained weights in memory, and their file. */
#ifndef WEIR_CLASSIFIER_HEAD_H
#define WEIR_CLASSIFIER_HEAD_H

#include "blend.h"
#include "calibrate.h"
#include "isotonic.h"
#include "linear.h"
#include "map.h"
#include "promise.h"
#include "rules.h"
#include "softmax.h"
#include "weir_classifier.h"

/* Whose success a head gives the probability of, from the whole map or, without an encoder's pass, from features alone. */
enum head_target { HEAD_LOCAL, HEAD_REMOTE, N_HEAD_TARGETS };
enum head_view { VIEW_FEATURES, VIEW_ENCODER, N_HEAD_VIEWS };

struct head_linear {
    bool present;
    struct linear weights;
    struct platt platt;
    struct isotonic isotonic; /* Of the probability that platt gives; n = 0: `weir calibrate` has not been there. */
};

/* slope × (σ(remote) − σ(local)) + shift, of the two heads' values before calibration. */
struct head_gain {
    bool present;
    double slope;
    double shift;
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

enum { N_PROMISES = 50 };

/* For each hundredth of regret up to N_PROMISES the threshold that keeps it, from `weir calibrate`. */
struct head_promises {
    bool present;
    double confidence; /* Of each promise on its own. */
    int64_t n_lines;   /* Calibration lines with both scores. */
    float thresholds[N_PROMISES];   /* [i]: of a regret of at most (i + 1) / 100. Never falling; PROMISE_NOTHING: none can be kept. */
    float local_shares[N_PROMISES]; /* Of the calibration lines that stay. */
};

/* P(the local model answers well) once its answer is there. Its map is of answers: forms of answer_form, n-grams. */
struct head_answer {
    bool present;
    struct map map;
    struct head_linear local; /* From the answer's text alone. */
    struct blend by_text, by_confidence; /* Everything joined; without the text. */
    struct blend by_probe; /* Question and probe, before there is an answer. */
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
    struct head_gain gain[N_HEAD_VIEWS];
    struct head_domain domain[N_HEAD_VIEWS];
    int n_domains;
    char **domains;
    struct head_rule rules[N_RULES];
    /* The features tier answers alone where its P(local) is at most low or at least high; low < 0 and high > 1: never. */
    float settle_low;
    float settle_high;
    struct head_promises promises;
    struct head_answer answer;
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
