/* Hyperparameters by name, from GGUF metadata or config.json alike, with bounds. The first error sticks: reading goes on
 * with fallbacks and the caller looks at `status` once. */
#ifndef WEIR_DECODER_PARAMS_H
#define WEIR_DECODER_PARAMS_H

#include "decoder/config.h"
#include "model/gguf.h"
#include "model/model_file.h"

struct params {
    const struct model_file *file;
    const json_t *config; /* The part of config.json that describes the decoder; NULL for GGUF. */
    char prefix[64];      /* "llama." */
    struct arena *arena;  /* For lists; lives as long as the decoder. */
    struct error *err;
    int status;
};

#define PARAM_REQUIRED INT64_MIN

/* gguf: a key without its "llama." (one of Weir's own, "weir.…", as it is); hf: a path in config.json ("rope_parameters.rope_theta"), alternatives set apart by
 * '|', the first that is there and not null wins. NULL: no such name in that kind of file. */
int params_int(struct params *params, const char *gguf, const char *hf, int64_t fallback, int64_t min, int64_t max);
double params_real(struct params *params, const char *gguf, const char *hf, double fallback);
bool params_bool(struct params *params, const char *gguf, const char *hf, bool fallback);
str params_str(struct params *params, const char *gguf, const char *hf);
bool params_has(const struct params *params, const char *gguf, const char *hf);
/* The JSON value at a path, NULL when absent or null, or for GGUF. */
const json_t *params_json(const struct params *params, const char *hf);
/* n reals from config.json; NULL when absent. A list of another length is an error. */
const float *params_reals(struct params *params, const char *hf, int n);
/* The first n of a GGUF array of truth values; NULL when absent, no array, or for config.json. */
const bool *params_flags(struct params *params, const char *gguf, int n);
/* n reals of a small tensor ("rope_freqs.weight"); NULL when absent. */
const float *params_tensor(struct params *params, const char *name, int n);
void params_fail(struct params *params, const char *name, const char *format, ...) WEIR_PRINTF(3, 4);

/* "silu" and its relatives; an unknown word is an error that names it. */
enum activation params_activation(struct params *params, const char *hf, const char *fallback);

/* What all architectures have: widths, heads, layers, vocabulary, context. */
void params_shapes(struct params *params, struct decoder_config *config);
/* Fills rope[which] for heads of config->head_dim. object: "rope_parameters" and the like, where config.json holds it
 * elsewhere than usual; NULL: the usual places. */
void params_rope(struct params *params, struct decoder_config *config, enum rope_kind which, const char *object, double partial);
/* Windows of the layers: layer_types of config.json or GGUF's list of truth values attention.sliding_window_pattern where it is
 * there, otherwise `local` decides for each layer. */
void params_windows(struct params *params, struct decoder_config *config, int window, bool (*local)(int layer, int period), int period);
/* Every which layer is global, where the file says it by a number. */
int params_period(struct params *params, const char *hf, int fallback);

#endif
