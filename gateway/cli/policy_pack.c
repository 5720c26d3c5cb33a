/* Opening a pack by a file's path or by a shipped pack's name. */
#include "cli/policy_pack.h"

#include <stdio.h>

int policy_pack_open(struct pack **out, const char *name, struct error *err)
{
    char relative[512], path[4096];
    if (file_exists(name) || strchr(name, '/') != NULL)
        return pack_open(out, name, err);
    bool has_ending = str_ends(str_of(name), STR(".yaml"));
    snprintf(relative, sizeof relative, "policies/packs/%s%s", name, has_ending ? "" : ".yaml");
    int status = share_path(relative, path, sizeof path, err);
    return status < 0 ? status : pack_open(out, path, err);
}
