/* Model: what the engine needs of an open model beyond weir_runtime.h. */
#ifndef WEIR_MODEL_MODEL_H
#define WEIR_MODEL_MODEL_H

#include "weir_runtime.h"

struct decoder;
struct lora;

/* NULL when the model does not generate. Lives as long as the model. */
struct decoder *model_decoder(struct model *model);
/* Forward passes of a model take turns: lock, run with the pool that comes back, unlock. From any thread. */
struct pool *model_lock(struct model *model);
void model_unlock(struct model *model);
/* The adapter of that name, NULL: none. */
struct lora *model_adapter(const struct model *model, const char *name);
/* As given in model_options; 0: not set. */
size_t model_kv_budget(const struct model *model);

#endif
