/* Answer shape: what a request wants its answer to look like (a JSON Schema, a grammar, a pattern, a choice), made into the
 * grammar that holds the local model to it. The names are OpenAI's (response_format), vLLM's (structured_outputs) and
 * llama-server's (grammar, json_schema). */
#ifndef WEIR_API_ANSWER_SHAPE_H
#define WEIR_API_ANSWER_SHAPE_H

#include "weir_runtime.h"

/* The grammar that an object's members ask for, into *out, NULL when they ask for none; `field` is the one that asked. Two of them
 * are WEIR_E_INVALID. err's where is a path below the object. response_format of another type than text, json_object and
 * json_schema is WEIR_E_INVALID; a schema that a grammar can't express WEIR_E_UNSUPPORTED. */
int answer_shape_parse(const json_t *object, struct grammar **out, const char **field, struct error *err) WEIR_CHECKED;

#endif
