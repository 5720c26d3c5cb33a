/* weir_classifier: scores a query before anything is spent on it: P(the local model answers well), P(a remote one does), what
 * escalating would gain, the domain, and whether the query is out of scope. Lexical features are the cheap tier; the
 * encoder's embedding feeds a trained head where they are unsure.
 *
 * A struct head is immutable once opened. A struct scorer may be used by several threads; encoder passes serialise on the
 * encoder's own lock. */
#ifndef WEIR_CLASSIFIER_H
#define WEIR_CLASSIFIER_H

#include "weir_runtime.h"

/* ------------------------------------------------------------------ heads */

struct head; /* Trained weights on top of features and embedding, with calibration and domain names: one small file. */

int head_open(struct head **out, const char *path, struct error *err) WEIR_CHECKED;
void head_close(struct head *head);
const char *head_id(const struct head *head); /* "name@first 12 digits of the file's SHA-256": goes into each decision. */

/* ------------------------------------------------------------------ scoring */

struct scorer;
/* head and encoder are borrowed for the scorer's life. encoder may be NULL: features only. */
int scorer_new(struct scorer **out, const struct head *head, struct model *encoder, struct error *err) WEIR_CHECKED;
void scorer_free(struct scorer *scorer);

enum score_tier { TIER_RULES, TIER_FEATURES, TIER_STATIC, TIER_ENCODER, TIER_PROBE, TIER_ANSWER, N_TIERS };
const char *score_tier_name(enum score_tier tier); /* "rules", "features", "static", "encoder", "probe", "answer" */

struct score {
    float p_local;      /* Calibrated. */
    float p_remote;
    float gain;         /* What escalating is expected to add: the number routed on. */
    const char *domain; /* Likeliest in-scope name. Lives with the head. */
    float domain_p;
    float oos;          /* Probability of being out of scope. */
    float output_tokens; /* Expected length of a remote answer; NAN: the head was not trained for it. */
    enum score_tier tier;
    int64_t us;         /* Time spent. */
    const float *embedding; /* n_embd floats in the arena given, NULL when the encoder did not run. */
    int n_embd;
    str text;               /* What was scored, trimmed: of messages in the arena given, else the caller's. */
};

/* Between which thresholds of gain the query may be routed, where that is known: a tier whose gain lies clear of all of them, by the
 * margin that cross-validation found, answers alone. Routing by score.gain is the same with limits and without. */
struct score_limits {
    double low, high;
};
/* Scores an OpenAI message list: the last human turn with what it leans on. Needs no network and always ends. limits NULL: any
 * threshold is possible. */
int scorer_score_messages_within(struct scorer *scorer, const json_t *messages, const struct score_limits *limits, struct arena *arena, struct score *out,
                                 struct error *err) WEIR_CHECKED;
int scorer_score_text_within(struct scorer *scorer, str text, const struct score_limits *limits, struct arena *arena, struct score *out,
                             struct error *err) WEIR_CHECKED;
/* The same without limits. */
int scorer_score_messages(struct scorer *scorer, const json_t *messages, struct arena *arena, struct score *out, struct error *err) WEIR_CHECKED;
int scorer_score_text(struct scorer *scorer, str text, struct arena *arena, struct score *out, struct error *err) WEIR_CHECKED;
/* What the local model has answered, or has begun to. */
struct answer {
    str text;                        /* data NULL: not to be read (a tool call, a structured answer): confidence alone counts. */
    float logprob_mean, logprob_min; /* Of its tokens; NAN: not known, as for the others. */
    float entropy_mean;              /* Of the distributions they were drawn from. */
    float margin_mean;               /* Log-probability of the likeliest token less that of the second. */
    float self_check;                /* The model's own probability that its answer is right, asked of it afterwards; … */
    float probe;                     /* … that it can answer, asked before. */
};
/* What a head can judge an answer by: it needs training lines with "answer". */
bool head_judges_text(const struct head *head);
bool head_judges_confidence(const struct head *head);
bool head_judges_probe(const struct head *head);
/* A line's member "answer": {"text", and any of the numbers}. 1: there, its text borrowed from the line; 0: absent, data NULL. */
int answer_read(const json_t *line, struct answer *out, struct error *err) WEIR_CHECKED;
/* After scorer_score_* of the question (not of its probe): p_local and gain by what was answered, and the tier "answer". A head that was trained
 * without what it needs leaves the score as it is. */
int scorer_score_answer(struct scorer *scorer, str question, const struct answer *answer, struct score *score, struct error *err) WEIR_CHECKED;
/* After scorer_score_* of the question, before there is an answer: p_local and gain by answer.probe, and the tier "probe". A head without
 * what it needs leaves the score as it is. */
void scorer_score_probe(struct scorer *scorer, float probe, struct score *score);
json_t *score_json(const struct score *score); /* As `weir score` prints it. New reference. */

/* ------------------------------------------------------------------ training and evaluation */

/* What the local and remote heads of the encoder's view are: logistic regression on likenesses to training texts (the strongest), or
 * one of the smaller heads on the embedding and the features themselves (a file of 1 MB with few landmarks). */
enum train_kind { TRAIN_KERNEL, TRAIN_LOGISTIC, TRAIN_FACTORS, TRAIN_MLP, N_TRAIN_KINDS };
struct train_options {
    const char *name;  /* Of the head; NULL: "head". */
    enum train_kind kind;
    bool balanced;     /* Each class (right and wrong, each domain) counts the same in a fit, however few its lines. */
    uint64_t seed;
    bool quiet;        /* No progress on stderr. */
    int n_landmarks;   /* Training texts that others are compared with, 1 … 1536; 0: 1536. Fewer make a smaller file. */
    const char *static_path; /* Of encoder_distill, or a head that holds a table: the head gets the static tier. NULL: none. */
};
/* Lines {"text", and any of "label", "scores", "domain", "output_tokens"} in a file to a head file. Reproducible from the seed. */
int head_train(const char *data_path, const char *out_path, struct model *encoder, const struct train_options *options, struct error *err) WEIR_CHECKED;
struct distill_options {
    const char *data_path; /* Lines {"text"} that the table is fitted to; NULL: none, a weaker table. */
    int n_dims;            /* Numbers of a token's vector, a multiple of 16; 0: 64. */
    uint64_t seed;
    bool quiet;            /* No progress on stderr. */
};
/* Writes a static table (static_file.c has the format) that stands in for the encoder. *report: how well it agrees with the
 * encoder on lines held out, where there are lines; a new reference. Reproducible from the seed. */
int encoder_distill(struct model *encoder, const char *out_path, const struct distill_options *options, json_t **report, struct error *err) WEIR_CHECKED;
enum calibration_method { CALIBRATION_ISOTONIC, CALIBRATION_PLATT };
struct calibrate_options {
    enum calibration_method method;
    double confidence; /* Of the promises; 0: 0.9. */
    const char *about; /* What the lines are, in a few words (promise_terms.about); NULL: the file's name. */
    bool quiet;        /* No progress on stderr. */
};
/* Sets a head's probabilities right on lines it was not trained on (refused: the same file) and finds, for each hundredth of
 * regret, the threshold that keeps it; writes the head so changed. *out: what changed, a new reference. */
int head_calibrate(const char *head_path, const char *data_path, const char *out_path, struct model *encoder,
                   const struct calibrate_options *options, json_t **out, struct error *err) WEIR_CHECKED;
/* The threshold of gain up to which queries may stay local so that the share of local answers worse than the remote's is at
 * most max_regret, with the confidence and the number of calibration lines it stands on. false: the head holds no promise. */
bool head_promise(const struct head *head, double max_regret, double *threshold, double *confidence, int64_t *n_lines);

enum { PROMISE_ABOUT_BYTES = 160 };
/* What a head's promises stand on besides that. They hold for queries like the calibration lines. */
struct promise_terms {
    char about[PROMISE_ABOUT_BYTES]; /* What those lines are; empty: not said. */
    /* In every line the remote model was taken to be right, so that each wrong local answer counted: the regret is at most what is promised
     * whatever the remote model. */
    bool remote_always_right;
};
/* Valid as long as the head; NULL: it holds no promise. */
const struct promise_terms *head_promise_terms_peek(const struct head *head);
/* The smallest max_regret under which the head's promises let anything stay local; 1: under none. */
double head_least_regret(const struct head *head);
/* Of the calibration lines the share that stays local under max_regret. */
double head_promise_share(const struct head *head, double max_regret);

/* The gain that a share of the calibration lines had more than, and their number. false: the head holds none (weir calibrate). */
bool head_gain_above(const struct head *head, double share, double *gain, int64_t *n_lines);
/* The threshold that max_regret stands for: the promised one, else itself. head NULL: itself. */
double head_threshold(const struct head *head, double max_regret);

/* Metrics of a head on such lines, with curve, reliability and confusion. limits: those the tiers are timed and counted with; the
 * other metrics are of any threshold. New reference. */
int head_evaluate(const struct head *head, struct model *encoder, const char *data_path, const struct score_limits *limits, json_t **out,
                  struct error *err) WEIR_CHECKED;

/* Draws what head_evaluate or head_calibrate found as one self-contained picture: SVG, an HTML page where the path ends in ".html", or
 * PNG where it ends in ".png", for which the program rsvg-convert must be on PATH (WEIR_E_NOT_FOUND). */
int metrics_picture(const json_t *metrics, const char *path, struct error *err) WEIR_CHECKED;
/* Can a picture of that kind be drawn here? To be asked before a long evaluation. */
int metrics_picture_possible(const char *path, struct error *err) WEIR_CHECKED;

#endif
