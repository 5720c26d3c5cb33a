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

/* The cache's form and budget: "f32", "f16", "q8_0" or NULL for the precision's own; a size such as "512MiB" or NULL. */
int cli_kv(const char *type, const char *budget, struct model_options *out, struct error *err) WEIR_CHECKED;
/* --speculate off|lookup|<path of a draft model>, which is opened into options->draft: the caller closes it after the engine. */
int cli_speculate(const char *word, const struct model_options *model_options, struct engine_options *options, struct error *err) WEIR_CHECKED;
/* "name=path,name=path": adapters beside the model's weights. */
int cli_adapters(struct model *model, const char *list, struct error *err) WEIR_CHECKED;

#endif
