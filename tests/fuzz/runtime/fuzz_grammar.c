/* Any bytes are a grammar, by their first byte a schema, GBNF or a regular expression: it compiles or is refused, and a walk
 * through it always finds a byte that goes on, until the text may end. */
#include "grammar/matcher.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static int compile(struct grammar **out, uint8_t kind, str text)
{
    if (kind % 3 == 1)
        return grammar_of_gbnf(out, text, NULL);
    if (kind % 3 == 2)
        return grammar_of_regex(out, text, NULL);
    json_t *schema = json_parse(text, NULL);
    int status = schema != NULL ? grammar_of_schema(out, schema, NULL) : WEIR_E_INVALID;
    json_decref(schema);
    return status;
}

/* Goes on by the first byte after `from` that is let through. False: there is none. */
static bool go_on(struct matcher *matcher, int32_t *state, uint8_t from)
{
    for (int i = 0; i < 256; i++) {
        int32_t next = MATCHER_DEAD;
        int status = matcher_step(matcher, *state, (uint8_t)(from + i), &next);
        if (status == WEIR_E_FULL && matcher_forget(matcher, state) == 0)
            status = matcher_step(matcher, *state, (uint8_t)(from + i), &next);
        if (status < 0)
            return true; /* Too ambiguous to be followed, which is an answer, too. */
        if (next != MATCHER_DEAD) {
            *state = next;
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct grammar *grammar = NULL;
    struct matcher matcher;
    int32_t state = 0;
    if (n_bytes == 0 || compile(&grammar, data[0], (str){(const char *)data + 1, n_bytes - 1}) < 0)
        return 0;
    if (matcher_init(&matcher, grammar, data[0] >= 128, &state, NULL) == 0) {
        for (size_t i = 0; i < 200; i++)
            if (!go_on(&matcher, &state, data[i % n_bytes])) {
                if (!matcher_may_end(&matcher, state))
                    abort(); /* A beginning that no text goes on with. */
                break;
            }
        matcher_release(&matcher);
    }
    grammar_free(grammar);
    return 0;
}
