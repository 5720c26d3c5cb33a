/* Network: the other heads on frozen embeddings. From one input vector it gives one logit for each target (P(the local model answers
 * well), P(a remote one does)).
 *
 *   logistic   a linear map to each logit
 *   factors    matrix factorisation as in RouteLLM (Ong et al. 2024): the query's vector W q + b times each model's own, element by
 *              element, summed with shared weights. Models share W, so what one's outcomes teach serves the other.
 *   mlp        one hidden layer of rectified units (He et al. 2015 for how it begins), shared by the targets
 *
 * Fitted by Adam (Kingma and Ba 2015) on the cross-entropy of those targets that a line has, and a penalty of the weights' squares. The same
 * lines, seed and CPU give the same bits; one thread a fit. */
#ifndef WEIR_CLASSIFIER_NETWORK_H
#define WEIR_CLASSIFIER_NETWORK_H

#include "weir_base.h"

enum network_kind { NETWORK_LOGISTIC, NETWORK_FACTORS, NETWORK_MLP, N_NETWORK_KINDS };
enum { NETWORK_OUTPUTS = 2, NETWORK_MOST_HIDDEN = 256 };

struct network {
    enum network_kind kind;
    int n_inputs, n_hidden; /* n_hidden: 0 for logistic. */
    float *weights;         /* n_hidden × (n_inputs + 1), then NETWORK_OUTPUTS × (n_hidden or n_inputs, + 1); the last of a row is its bias. */
};

extern const char *const network_kind_names[N_NETWORK_KINDS];

int network_init(struct network *network, enum network_kind kind, int n_inputs) WEIR_CHECKED; /* Zero weights. Release also after an error. */
void network_release(struct network *network);
size_t network_n_weights(const struct network *network);
void network_values(const struct network *network, const float *input, float out[NETWORK_OUTPUTS]);

struct network_lines {
    size_t n;
    const float *inputs;                   /* n × n_inputs, of about unit variance. */
    const float *targets[NETWORK_OUTPUTS]; /* n probabilities each; NAN: the line has none. */
    const float *weights[NETWORK_OUTPUTS]; /* n each; 0: left out. */
};
/* From random weights of the seed (an initialised network). */
int network_fit(struct network *network, const struct network_lines *lines, uint64_t seed) WEIR_CHECKED;

#endif
