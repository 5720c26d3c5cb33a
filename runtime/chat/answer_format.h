/* Answer format: how a model marks reasoning and tool calls in what it says, and how its template wants tools and calls given.
 *
 * It is learnt from the template itself, never from a model's name: assistant messages whose reasoning, call names, arguments and
 * texts are words that occur nowhere else are rendered, and what stands around those words are the marks. Only a template that shows
 * tools but no calls (it tells the model in prose how to call) is searched for marks in common use.
 *
 * A mark is kept without white space at its ends; each run of white space inside stands for any such run. A call is
 *
 *   list_open? ( call_open? CALL call_close? )+ list_close?
 *
 *   CALL_JSON     an object with a name and arguments, or an array of them
 *   CALL_NAMED    name, anything short, a JSON object of arguments
 *   CALL_TAGGED   name, name_end, then key_open key key_end value value_end for each argument
 *   CALL_LITERAL  name, a bracket, key assign literal …, a bracket; literals as in Python, JSON, or with the quote as learnt
 *
 * Immutable once learnt; any thread. */
#ifndef WEIR_CHAT_ANSWER_FORMAT_H
#define WEIR_CHAT_ANSWER_FORMAT_H

#include "weir_runtime.h"

enum { MARK_TEXT_BYTES = 120 };

enum call_form { CALL_NONE, CALL_JSON, CALL_NAMED, CALL_TAGGED, CALL_LITERAL };

/* How a template takes the list of tools. */
enum tools_place { TOOLS_NOWHERE, TOOLS_VARIABLE, TOOLS_XML_VARIABLE, TOOLS_SYSTEM_MEMBER };

/* What stands for the content of a message that calls and says nothing. */
enum no_content { NO_CONTENT_EMPTY, NO_CONTENT_ABSENT, NO_CONTENT_NULL };

typedef char mark_text[MARK_TEXT_BYTES];

struct answer_format {
    /* What the template takes. */
    enum tools_place tools_place;
    bool takes_calls;          /* It shows an earlier message's calls, and the results of them. */
    bool calls_as_content;     /* It shows none, and they must be written into the content instead. */
    bool arguments_as_text;    /* As the API sends them; otherwise as an object. */
    enum no_content no_content;
    bool short_ids;            /* Ids of calls must have nine letters and digits. */
    const char *reasoning_key; /* Member of a message that it shows as reasoning, NULL: none. */
    /* Reasoning; an empty mark: the model marks none. */
    mark_text think_open, think_close;
    /* What stands around plain content. */
    mark_text content_open, content_close;
    /* Calls. */
    enum call_form form;
    bool bare;                 /* A call may begin an answer without a mark. */
    mark_text list_open, call_open, call_close, list_close;
    mark_text name_end, key_open, key_end, value_end;
    char bracket;              /* CALL_LITERAL: '(' or '{'. */
    mark_text assign, quote;
    mark_text name_key, arguments_key; /* CALL_JSON. */
    mark_text primer;          /* End of the generation prompt that is the beginning of a mark. */
    mark_text before_name, after_name; /* As the template writes a first call: for beginning one in the model's stead. */
    bool in_array;             /* before_name opens an array of calls. */
    bool needs_id;             /* after_name ends where an id would stand: arguments can't follow at once. */
};

/* Learns from a template that was compiled of source. variables: what it sees besides messages and tools. What cannot be learnt is
 * not there, and is no error. Errors: WEIR_E_MEMORY. */
int answer_format_learn(struct answer_format *out, const struct chat_template *template, str source, const json_t *variables,
                        struct error *err) WEIR_CHECKED;

/* Text that begins a call (of that name, NULL: of any) after a prompt; false: such a beginning is not known. */
bool answer_format_begin_call(const struct answer_format *format, const char *name, bool in_reasoning, struct buffer *out);
/* Calls (an API message's tool_calls) as the model itself writes them, where its template does not. Of CALL_JSON only. */
int answer_format_write_calls(const struct answer_format *format, const json_t *calls, struct buffer *out) WEIR_CHECKED;
/* Reasoning that a prompt's end has opened: that end's length, 0: none. */
size_t answer_format_open_reasoning(const struct answer_format *format, str prompt);

/* ------------------------------------------------------------------ marks */

enum mark_match { MARK_NO, MARK_BEGINS, MARK_WHOLE };

/* Does text (from its beginning) hold the mark, or a beginning of it up to its own end? *n: bytes of the whole mark. */
enum mark_match mark_match(const char *mark, str text, size_t *n);
/* Bytes of the mark at the end of text, 0: it does not end in it. */
size_t mark_at_end(const char *mark, str text);
/* A mark of a stretch of template text. False: too long. */
bool mark_set(mark_text mark, str text);
bool mark_is_blank(char c);

#endif
