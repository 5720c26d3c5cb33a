/* Options that several verbs share: the precision, and which model is meant when none is named. */
#ifndef WEIR_CLI_MODEL_OPTIONS_H
#define WEIR_CLI_MODEL_OPTIONS_H

#include "cli/cli.h"
#include "weir_runtime.h"

/* "exact" or "fast". */
int cli_precision(const char *word, enum precision *out, struct error *err) WEIR_CHECKED;
/* The path given, or the pulled default's; an error that says how to get it when it is not there. */
int cli_chat_model(const char *given, char *out, size_t n_out, struct error *err) WEIR_CHECKED;
int cli_encoder_model(const char *given, char *out, size_t n_out, struct error *err) WEIR_CHECKED;

#endif
