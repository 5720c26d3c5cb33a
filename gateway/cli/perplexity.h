/* Perplexity as verbs show it: of a model on a text in a file, and before and after something was done to a model. */
#ifndef WEIR_CLI_PERPLEXITY_H
#define WEIR_CLI_PERPLEXITY_H

#include "cli/cli.h"
#include "weir_runtime.h"

/* Opens the model at path and has it foresee the text in the file text_path; see model_perplexity. */
int cli_perplexity(const char *path, const struct model_options *options, const char *text_path, double *perplexity, size_t *n_tokens,
                   struct error *err) WEIR_CHECKED;
/* Prints {"tokens", "perplexity_before", "perplexity_after"} of two models on that text, in exact arithmetic. adapter: of the first. */
int cli_perplexities(const char *before, const char *adapter, const char *after, const char *text_path, struct error *err) WEIR_CHECKED;
/* The text of a file, at most 16 MiB; the caller releases it, also after an error. */
int cli_read_text(const char *path, struct buffer *text, struct error *err) WEIR_CHECKED;

/* Completes a report that has the perplexity of the model on text_path, before, by "perplexity_before" and "perplexity_after" (of out) on the
 * text check_path, and prints it as one JSON line. */
int cli_report(json_t *report, const char *model, const char *out, const char *text_path, const char *check_path, struct error *err) WEIR_CHECKED;

/* weir eval perplexity: argv[0] is "perplexity". */
int eval_perplexity(int argc, char **argv);

#endif
