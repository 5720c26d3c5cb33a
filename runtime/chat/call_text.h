/* Call text: the notations that calls are written in, without the marks around them. Pure; any thread. */
#ifndef WEIR_CHAT_CALL_TEXT_H
#define WEIR_CHAT_CALL_TEXT_H

#include "chat/answer_format.h"

/* Where in a JSON object the next byte stands. Zero is before it. */
enum { SCAN_MAX_DEPTH = 64 };
struct json_scan {
    int depth;
    bool in_string, escaped;
    char open[SCAN_MAX_DEPTH];
};
enum scan_result { SCAN_ON, SCAN_DONE, SCAN_BAD };
/* Brackets and strings are checked here, the rest by a JSON parser once it is whole. */
enum scan_result json_scan_step(struct json_scan *scan, char c);

/* The beginning of a call object: where its arguments' object begins (0: not yet) and its name (n 0: not yet whole). */
struct call_look {
    str name;
    size_t arguments_at, arguments_end; /* end 0: not whole. */
};
void call_object_look(const struct answer_format *format, str object, struct call_look *look);
/* A whole call object to its parts: name (a JSON string, its bytes) and arguments text, appended to buffers. */
bool call_object_parse(const struct answer_format *format, str object, struct buffer *name, struct buffer *arguments);

/* Where in a bracketed list of literals the next byte stands; begins inside it. */
struct literal_scan {
    int depth;
    char quote; /* Of the string it is in, '\1' for the format's own quote; 0: none. */
    bool escaped;
    char tail[MARK_TEXT_BYTES]; /* The last bytes, as many as the format's quote has. */
    size_t n_tail;
};
enum scan_result literal_scan_step(struct literal_scan *scan, const struct answer_format *format, char c);
/* "key assign literal, …" without the brackets. New reference, NULL: it is none. */
json_t *literal_arguments(const struct answer_format *format, str text);

/* "name_end key_open key key_end value value_end …" after the name. function: the tool's, for its parameters' types; may be NULL. New reference. */
json_t *tagged_arguments(const struct answer_format *format, const json_t *function, str text);

/* The function of a request's tool by name, NULL: there is none. */
const json_t *tool_function(const json_t *tools, str name);

#endif
