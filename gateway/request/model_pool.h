/* Model pool: the further models of `models.others`, loaded when they are asked for and unloaded when another needs the room.
 *
 * Loading and unloading run on workers; everything else on the loop thread, which owns the pool. A model in use (taken and not
 * yet left) is never unloaded. Invariant: what is loaded, loading or unloading stays within the budget. */
#ifndef WEIR_REQUEST_MODEL_POOL_H
#define WEIR_REQUEST_MODEL_POOL_H

#include "request/local_model.h"

#include <uv.h>

struct model_pool;

/* Who waits for a model. ready(user, model): taken for the waiter, or NULL: it could not be loaded (the log says why). Called on
 * the loop thread, at the earliest from within model_pool_take. */
typedef void model_ready_fn(void *user, struct local_model *model);

/* config is held for the pool's life. No file is touched. */
int model_pool_new(struct model_pool **out, uv_loop_t *loop, const struct config *config, struct error *err) WEIR_CHECKED;
void model_pool_free(struct model_pool *pool); /* When the loop has ended. NULL is fine. */
int model_pool_find(const struct model_pool *pool, str name); /* -1: there is none of that name. */
/* The model, taken; or NULL: ready will be called, or has been. */
struct local_model *model_pool_take(struct model_pool *pool, int index, model_ready_fn *ready, void *user);
void model_pool_leave(struct model_pool *pool, struct local_model *model);
/* The waiter with this user waits no longer. */
void model_pool_forget(struct model_pool *pool, const void *user);

struct model_pool_state {
    const char *name;
    const struct config_model *config;
    bool is_loaded;
    int n_users, n_waiting;
};
int model_pool_size(const struct model_pool *pool);
struct model_pool_state model_pool_look(const struct model_pool *pool, int index);

struct model_pool_stats {
    int n_loaded;
    int64_t n_loads, n_unloads, n_failures, used_bytes, budget_bytes;
};
struct model_pool_stats model_pool_stats(const struct model_pool *pool);

#endif
