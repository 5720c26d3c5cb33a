/* Opening a pack by a file's path or by a shipped pack's name. */
#ifndef WEIR_CLI_POLICY_PACK_H
#define WEIR_CLI_POLICY_PACK_H

#include "weir_policies.h"

/* "eu-only" stands for the shipped packs/eu-only.yaml when no file of that name exists. */
int policy_pack_open(struct pack **out, const char *name, struct error *err) WEIR_CHECKED;

#endif
