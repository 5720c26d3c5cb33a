/* Weights of an encoder while it is opened, and their owner afterwards: settings and tensors are asked for by name, checked
 * against the shape the architecture expects, and everything made for them is released at once.
 *
 * Errors stick: the first one is kept in status and err, later requests return NULL or the smallest lawful value, so that an
 * architecture's open function reads as a list of what it consists of and checks status at its end (and before it uses a
 * number to size something). */
#ifndef WEIR_ENCODER_WEIGHTS_H
#define WEIR_ENCODER_WEIGHTS_H

#include "kernels/linear.h"
#include "kernels/ops.h"
#include "model/model_file.h"

struct weights {
    const struct model_file *file;
    enum precision precision;
    const char *prefix; /* Tried before each tensor's name ("bert."), then the bare name. */
    struct arena arena; /* Vectors and the architecture's own tables. */
    struct linear **linears;
    size_t n_linears;
    size_t capacity;
    int64_t n_parameters;
    size_t n_bytes; /* Of tables and vectors; linears know their own. */
    int status;
    struct error *err; /* The opener's; NULL once open. */
};

/* A norm over n values, or (plain) only its scale and shift: MobileBERT's no_norm. */
struct norm {
    const float *w;
    const float *b;
    float eps;
    int n;
    bool plain;
};

/* Rows to be looked up. */
struct table {
    const struct tensor *tensor;
    size_t row_bytes;
    int width;
    int n_rows;
};

void weights_init(struct weights *weights, const struct model_file *file, enum precision precision, struct error *err);
void weights_release(struct weights *weights);
size_t weights_bytes(const struct weights *weights);
/* Records an error about a setting or tensor of the file, unless one is there already. */
void weights_fail(struct weights *weights, enum weir_status status, const char *what, const char *format, ...) WEIR_PRINTF(4, 5);
/* Zeroed memory that lives as long as the weights; NULL with the status set. */
void *weights_alloc(struct weights *weights, size_t n, size_t size);

/* Settings: config.json's, or for GGUF "<architecture>.<key>". Absent ones are `otherwise`; REQUIRED makes that an error. */
enum { REQUIRED = INT32_MIN };
int config_int(struct weights *weights, const char *key, int64_t min, int64_t max, int64_t otherwise);
double config_real(struct weights *weights, const char *key, double otherwise);
bool config_bool(struct weights *weights, const char *key, bool otherwise);
str config_str(struct weights *weights, const char *key, const char *otherwise);
enum activation config_activation(struct weights *weights, const char *key, const char *otherwise);

/* Tensors. name is a format; ".weight" and ".bias" are appended. */
bool weights_has(struct weights *weights, const char *name, ...) WEIR_PRINTF(2, 3);
/* n_out × n_in; n_out 0: as many rows as there are. The bias is taken if there is one. */
const struct linear *weights_linear(struct weights *weights, int n_out, int n_in, const char *name, ...) WEIR_PRINTF(4, 5);
/* Rows first … first + n_out - 1 of a matrix of n_whole rows: one of several fused ones. */
const struct linear *weights_linear_part(struct weights *weights, int first, int n_out, int n_whole, int n_in, const char *name, ...)
    WEIR_PRINTF(6, 7);
/* Published names of old (".gamma", ".beta") are understood. The bias may be missing. */
struct norm weights_norm(struct weights *weights, int n, double eps, const char *name, ...) WEIR_PRINTF(4, 5);
struct table weights_table(struct weights *weights, int n_rows, int width, const char *name, ...) WEIR_PRINTF(4, 5);

/* out = row id, or out += row id. */
void table_row(const struct table *table, int64_t id, float *out);
void table_add(const struct table *table, int64_t id, float *out);

#endif
