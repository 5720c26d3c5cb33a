/* The judge: a remote model that reads a conversation and two answers to it and says which is better.
 *
 * Models favour the answer that stands first (Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena"): it is asked
 * twice, the answers changed over, and only a preference that stays with its answer counts; one that does not is a tie. A first
 * "tie" settles it, for nothing the second could say would change it. Pure functions; any thread. */
#ifndef WEIR_SHADOW_JUDGE_H
#define WEIR_SHADOW_JUDGE_H

#include "weir_base.h"

enum shadow_outcome { SHADOW_LOCAL_BETTER, SHADOW_TIE, SHADOW_REMOTE_BETTER, SHADOW_UNJUDGED, SHADOW_OUTCOMES };
const char *shadow_outcome_name(enum shadow_outcome outcome); /* "local_better", … as in the ledger. */

enum judge_word { JUDGE_A, JUDGE_B, JUDGE_NEITHER, JUDGE_UNREADABLE };

enum {
    JUDGE_TOKENS = 16,          /* Its answer is one word. */
    JUDGE_FRAME_BYTES = 4096,   /* The question to it without the texts, at the most. */
};

/* The question to it, without a model name: the fixed instruction, the conversation (messages of texts, see shadow_fits), both answers,
 * each between two lines of the fence. New reference, NULL on lack of memory. */
json_t *judge_question(const json_t *messages, str answer_a, str answer_b, const char *fence);

/* Its answer: exactly one of the words A, B and tie in any case, with blanks, emphasis, quotes, brackets and a full stop round it, "answer" before a
 * letter. Whatever else it says is JUDGE_UNREADABLE. */
enum judge_word judge_read(str text);

/* What both calls come to; second JUDGE_UNREADABLE where the first was a tie. local_first: in the first call answer A was the local
 * one, in the second answer B. */
enum shadow_outcome judge_settle(enum judge_word first, enum judge_word second, bool local_first);

#endif
