/* Encoder line: what `weir embed` and `weir classify` share: their options and how a line becomes an encoder's input. */
#ifndef WEIR_CLI_ENCODER_LINE_H
#define WEIR_CLI_ENCODER_LINE_H

#include "cli/model_options.h"

struct encoder_line {
    struct ids ids;
    struct ids types; /* Empty: all 0. */
};

/* {"ids", "token_type_ids"?} or {"text", "pair"?}. Release also after an error. */
int encoder_line_read(const struct model *model, const json_t *line, struct encoder_line *out, struct error *err) WEIR_CHECKED;
void encoder_line_release(struct encoder_line *line);
struct encoder_input encoder_line_input(const struct encoder_line *line);

/* Opens the encoder that the options name (path NULL: the pulled one). */
int encoder_line_open(const char *path, const char *precision, int64_t n_threads, struct model **out, struct error *err) WEIR_CHECKED;

/* `[a,b,…]` */
void encoder_line_floats(struct buffer *out, const float *values, size_t n);

#endif
