/* tokenizer.json: what its readers share. */
#ifndef WEIR_TOKENIZER_TOKENIZER_JSON_H
#define WEIR_TOKENIZER_TOKENIZER_JSON_H

#include "tokenizer/parts.h"

enum { JSON_MAX_NESTING = 8 }; /* Of Sequence inside Sequence. */

struct json_source {
    struct tokenizer *tokenizer;
    const json_t *root; /* The whole document. */
    struct error *err;
    bool fused;         /* A decoder "Fuse" was read: what follows sees the whole text. */
    char where[128]; /* The key being read: "pre_tokenizer.pretokenizers[1]". */
};

/* An error at `where`, or at its member `name`. Returns the status. */
int json_fail(const struct json_source *source, enum weir_status status, const char *name, const char *format, ...) WEIR_PRINTF(4, 5);
/* The member "type" of a component. */
int json_component_type(const struct json_source *source, const json_t *component, str *out) WEIR_CHECKED;
/* Optional members: absent leaves *out as it is. Strings are copied into the arena. */
int json_read_bool(const struct json_source *source, const json_t *object, const char *name, bool *out) WEIR_CHECKED;
int json_read_int(const struct json_source *source, const json_t *object, const char *name, int *out) WEIR_CHECKED;
int json_read_text(const struct json_source *source, const json_t *object, const char *name, str *out) WEIR_CHECKED;
/* "pattern": {"String": …} or {"Regex": …}: one of the two is set. */
int json_read_pattern(const struct json_source *source, const json_t *object, str *text, struct regex **regex) WEIR_CHECKED;
/* Calls read for each member of the array `name`, with `where` moved there. */
typedef int json_component_fn(struct json_source *source, const json_t *component, int depth);
int json_each(struct json_source *source, const json_t *object, const char *name, int depth, json_component_fn *read) WEIR_CHECKED;

json_component_fn json_read_normalizer, json_read_pretokenizer, json_read_decoder, json_read_processor;
int json_read_model(struct json_source *source, const json_t *model) WEIR_CHECKED;

#endif
