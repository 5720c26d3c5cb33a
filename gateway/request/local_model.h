/* A generating model of this process, with what it serves by: its adapters, its draft, its engine. */
#ifndef WEIR_REQUEST_LOCAL_MODEL_H
#define WEIR_REQUEST_LOCAL_MODEL_H

#include "config/config.h"

struct local_model {
    char name[128]; /* As callers name it. */
    struct model *model; /* NULL: none. */
    struct model *draft; /* NULL: none. */
    struct engine *engine;
};

/* name NULL: that of the path's last part without its ending. Packs the weights by one token, so that no caller waits for that. On
 * failure nothing is open. Any thread. */
int local_model_open(struct local_model *out, const char *name, const char *path, const struct config_serving *serving, const struct config *config,
                     struct error *err) WEIR_CHECKED;
void local_model_close(struct local_model *local); /* Its sessions have been freed. Zero is fine. */
/* Rather more than less of the memory it will take: its files, its draft's, the budget of its cache. */
int64_t local_model_bytes(const char *path, const struct config_serving *serving);

#endif
