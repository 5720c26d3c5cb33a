/* Head: trained weights in memory, and their file. */
#ifndef WEIR_CLASSIFIER_HEAD_H
#define WEIR_CLASSIFIER_HEAD_H

#include "blend.h"
#include "calibrate.h"
#include "isotonic.h"
#include "linear.h"
#include "map.h"
#include "network.h"
#include "promise.h"
#include "rules.h"
#include "softmax.h"
#include "static_table.h"
#include "weir_classifier.h"

/* What is foretold: whose success, as a probability, or how many tokens a remote answer takes, as a logarithm; that by the features
 * alone, for meaning adds little to it. */
enum head_target { HEAD_LOCAL, HEAD_REMOTE, HEAD_TOKENS, N_HEAD_TARGETS };
enum { N_HEAD_MODELS = HEAD_TOKENS }; /* The targets before it are probabilities of success. */
/* What it is foretold from: the features alone, with the static table's vector, or with an encoder's pass. */
enum head_view { VIEW_FEATURES, VIEW_STATIC, VIEW_ENCODER, N_HEAD_VIEWS };

struct head_linear {
    bool present;
    struct linear weights;
    struct platt platt;       /* Of HEAD_TOKENS: the logarithm of the expected number is slope × value + shift. */
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

enum { N_PROMISES = 50, N_GAINS = 21 };

/* For each hundredth of regret up to N_PROMISES the threshold that keeps it, from `weir calibrate`. */
struct head_promises {
    bool present;
    double confidence; /* Of each promise on its own. */
    int64_t n_lines;   /* Calibration lines with both scores. */
    struct promise_terms terms;
    float thresholds[N_PROMISES];   /* [i]: of a regret of at most (i + 1) / 100. Never falling; PROMISE_NOTHING: none can be kept. */
    float local_shares[N_PROMISES]; /* Of the calibration lines that stay. */
    bool has_gains;    /* Older heads have none. */
    float gains[N_GAINS]; /* Of the calibration lines, from the least to the greatest in twentieths. Never falling. */
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
    struct static_table table; /* n_tokens = 0: none. */
    struct map static_map;     /* On its vectors; forms and words as in map. */
    struct head_linear linear[N_HEAD_VIEWS][N_HEAD_TARGETS];
    struct network network;    /* Of map_plain: the encoder's view has its local and remote values from it; weights NULL: from linear. */
    struct head_gain gain[N_HEAD_VIEWS];
    struct head_domain domain[N_HEAD_VIEWS];
    int n_domains;
    char **domains;
    struct head_rule rules[N_RULES];
    /* A tier before the last answers alone where its P(local) is at most low or at least high; low < 0 and high > 1: never. Its gain
     * is seldom more than margin from the encoder's, so it answers alone too where no threshold lies that near; INFINITY: never. */
    struct head_settle {
        float low, high, margin;
    } settle[N_HEAD_VIEWS];
    struct head_promises promises;
    struct head_answer answer;
};

extern const char *const head_target_names[N_HEAD_TARGETS];
extern const char *const head_view_names[N_HEAD_VIEWS];

struct head *head_new(void); /* NULL when memory runs out. head_close frees it. */
bool head_has_view(const struct head *head, enum head_view view);
/* The map of a view's likenesses. */
const struct map *head_map(const struct head *head, enum head_view view);
/* Makes the static map, of the head's table and map; its center and topics stay zero. */
int head_static_init(struct head *head) WEIR_CHECKED;
/* Numbers a domain head looks at: the embedding and the sketch, scaled. */
int head_domain_inputs(const struct head *head, enum head_view view);
void head_domain_input(const struct head *head, enum head_view view, const float *sketch, const float *embedding, float *out);
/* Parses a head file's bytes, for head_open and the fuzz target. */
int head_parse(struct head **out, const void *data, size_t n_bytes, struct error *err) WEIR_CHECKED;
int head_write(const struct head *head, const char *path, struct error *err) WEIR_CHECKED;

#endif
