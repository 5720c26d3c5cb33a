/* Draft: a small model of the same vocabulary that guesses ahead of the large one (Leviathan et al. 2023). */
#ifndef WEIR_ENGINE_DRAFT_H
#define WEIR_ENGINE_DRAFT_H

#include "engine/session.h"
#include "engine/speculate.h"

/* Up to most[i] guesses for session i (0: none): the draft's likeliest tokens, all sessions in one pass a token. A session whose
 * ids the draft hasn't read yet is caught up first, a piece a step, and guesses later. */
void draft_guess(struct draft *draft, struct session *const *sessions, int n, const int *most);

#endif
