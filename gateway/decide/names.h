/* Names: what the model name of a request asks for, and the remote targets it may go to, in order. Pure functions of the
 * configuration.
 *   auto, auto:<max-regret>     routed; leaves for the targets of `escalate`
 *   local, local/<model>        the model in this process, or one of models.others
 *   local:<adapter>, local/<model>:<adapter>   the same with one of its adapters
 *   remote/<provider>/<model>   that one and no other
 *   <model>                     the providers that list it, in the order of `fallbacks`, else of the file
 * An alias is replaced first (once; an alias may name any of these). */
#ifndef WEIR_DECIDE_NAMES_H
#define WEIR_DECIDE_NAMES_H

#include "config/config.h"

enum name_kind { NAME_AUTO, NAME_LOCAL, NAME_PINNED, NAME_BARE };
const char *name_kind_name(enum name_kind kind); /* "auto", "local", "pinned", "bare" */

enum { NAME_MAX_TARGETS = 64 };

struct name {
    enum name_kind kind;
    double max_regret;          /* Of auto: from the name, else the configuration's. */
    bool regret_named;
    struct config_target targets[NAME_MAX_TARGETS]; /* Borrowed from the configuration. Empty for local. */
    int n_targets;
    char other[65];             /* Of local: the name in models.others; empty: the chat model itself. */
    const char *adapter;        /* Of local; borrowed from the configuration, NULL: none. */
};

/* local_name: the loaded chat model's name (NULL: none loaded). WEIR_E_NOT_FOUND: no such model or provider (404
 * model_not_found); WEIR_E_INVALID: auto:<what is no number in 0…1>. err.where is "model". */
int name_resolve(const struct config *config, const char *local_name, str model, struct name *out, struct error *err) WEIR_CHECKED;

#endif
