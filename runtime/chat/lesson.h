/* Lesson: what learning a template's marks works with. */
#ifndef WEIR_CHAT_LESSON_H
#define WEIR_CHAT_LESSON_H

#include "chat/format_probe.h"

struct lesson {
    struct answer_format *format;
    struct probe probe;
    str source;
    struct buffer prompt;  /* With tools where there are some. */
    struct buffer plain;   /* A message that says something. */
    struct buffer text;    /* The rendering under study. */
    struct buffer other;
};

/* Stretches of text. An offset past the end gives nothing; a place of -1 stands for "not found". */
str stretch_from(str s, size_t at);
str stretch_upto(str s, size_t n);
/* What lies between two places, nothing when they are out of order. */
str stretch_between(str s, ptrdiff_t begin, ptrdiff_t end);
/* The first place of a word from `at` on. */
ptrdiff_t stretch_find(str s, const char *word, ptrdiff_t at);
size_t stretch_common_prefix(str a, str b);
size_t stretch_common_suffix(str a, str b);
/* Where the mark begins that place `at` would cut in two, else `at`. */
size_t stretch_mark_begin(str s, size_t at);

/* Where an answer begins in a rendering: where it parts from the prompt. */
size_t lesson_answer_begin(const struct lesson *lesson, str rendering);
/* Without reasoning marks that enclose nothing at its beginning. */
str lesson_skip_no_thought(const struct answer_format *format, str s);
/* Bytes that two stretches have in common at their ends, whole marks only. */
size_t lesson_common_end(str a, str b);
/* What follows the text of a plain message. */
str lesson_after_said(const struct lesson *lesson);
/* What follows a call, without the end of the turn: what a plain message ends in too. */
str lesson_before_turn_end(const struct lesson *lesson, str after_call);

/* format_calls.c: lesson->format's call part. It stays CALL_NONE where nothing is learnt. */
void lesson_learn_calls(struct lesson *lesson);
/* Marks in common use, for templates that say in prose how to call: the first that the prompt or the template names. */
void lesson_guess_calls(struct lesson *lesson);

#endif
