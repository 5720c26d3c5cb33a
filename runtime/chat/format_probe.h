/* Format probe: one rendering of a template with words that occur nowhere else. */
#ifndef WEIR_CHAT_FORMAT_PROBE_H
#define WEIR_CHAT_FORMAT_PROBE_H

#include "chat/answer_format.h"

#define PROBE_ASKED "weir asks this"
#define PROBE_SAID "weir says this"
#define PROBE_THOUGHT "weir thinks this"
#define PROBE_RESULT "weir found this"
#define PROBE_NAME "weir_probe_one"
#define PROBE_NAME_2 "weir_probe_two"
#define PROBE_KEY "weir_key_a"
#define PROBE_KEY_2 "weir_key_b"
#define PROBE_VALUE "weir_value"
#define PROBE_NUMBER 73519
#define PROBE_NUMBER_TEXT "73519"
#define PROBE_ID "wEiRiD7a1"
#define PROBE_ID_2 "wEiRiD7a2"
#define PROBE_LONG_ID "call_local_weir7a1"

struct probe {
    const struct chat_template *template;
    const json_t *variables;
    enum tools_place tools_place;
    bool arguments_as_text;
    enum no_content no_content;
    const char *reasoning_key;
    const char *id;
};

/* What the assistant's message has. */
enum { PROBE_SAYS = 1, PROBE_THINKS = 2, PROBE_CALLS = 4, PROBE_CALLS_TWICE = 8 };
/* What else is rendered. */
enum { PROBE_NO_ANSWER = 16, PROBE_WITH_RESULT = 32, PROBE_PROMPTS = 64, PROBE_WITH_TOOLS = 128 };

/* Into out, cleared first. False: the template refuses. */
bool probe_render(const struct probe *probe, unsigned what, struct buffer *out);
/* Puts tools where a template wants them: into its context or the first system message (made where there is none). Takes tools.
 * NULL: nothing. */
int tools_place_into(enum tools_place place, json_t *context, json_t *messages, json_t *tools_take) WEIR_CHECKED;

#endif
