/* Reader: the state behind answer_reader, shared by the files that read text (answer_reader.c) and calls (call_reader.c). */
#ifndef WEIR_CHAT_READER_H
#define WEIR_CHAT_READER_H

#include "chat/answer_format.h"
#include "chat/call_text.h"

enum { READER_HELD_BYTES = 512, READER_ARGUMENTS_BYTES = 1024, READER_CALL_BYTES = 64 << 10, CALL_NAME_BYTES = 128 };

enum reader_state {
    READING_TEXT,
    READING_THOUGHT,
    READING_GAP,  /* After the mark of a list, and after a call: another call, a closing mark, or text. */
    READING_CALL,
    READING_DONE,
};

enum call_phase { PHASE_START, PHASE_NAME, PHASE_BETWEEN, PHASE_VALUE, PHASE_NEXT };

struct answer_reader {
    const struct answer_format *format;
    struct answer_reading reading;
    enum reader_state state;
    bool skips_blanks; /* Before the next text. */
    bool has_said;     /* Content that is not blank. */
    bool in_list, after_call;
    int n_calls;
    struct buffer held; /* Not yet decided: blanks, then what may be a mark. */
    struct buffer out;  /* Decided, of one part. */
    enum answer_part out_part;
    /* The call being read. */
    struct buffer opening; /* Its opening marks as written. */
    struct buffer call;    /* Its text since then. */
    enum call_phase phase;
    bool in_array;
    bool committed;     /* Its name and some arguments are out: it stays a call. */
    bool in_arguments;  /* Committed, and the arguments' object is not yet closed. */
    struct json_scan object, arguments;
    struct literal_scan literal;
    size_t value_at;    /* Where in call its object begins. */
    char name[CALL_NAME_BYTES];
    size_t n_name;
    bool failed;        /* Out of memory. */
};

/* answer_reader.c */
void reader_emit(struct answer_reader *reader, enum answer_part part, str text);
void reader_step(struct answer_reader *reader, char c);
void reader_gap(struct answer_reader *reader); /* A call has ended. */

/* call_reader.c. A call begins after its opening marks, which are in reader->opening. */
void call_begin(struct answer_reader *reader);
void call_step(struct answer_reader *reader, char c);
/* No more text comes: what is whole is a call, all else content. */
void call_finish(struct answer_reader *reader);
/* Would this character begin a call where no mark must? */
bool call_may_begin(const struct answer_reader *reader, char c);

#endif
