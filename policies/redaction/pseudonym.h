/* How a pseudonym is spelled: ⟦TYPE:ID⟧, where ID is ten base32 digits of a keyed hash and a check digit. Without a way back:
 * ⟦TYPE⟧. An opening mark that stands in a text by itself is doubled on the way out, and halved on the way in. */
#ifndef WEIR_POLICIES_REDACTION_PSEUDONYM_H
#define WEIR_POLICIES_REDACTION_PSEUDONYM_H

#include "weir_base.h"

#define MARK_OPEN "\xE2\x9F\xA6"  /* U+27E6 */
#define MARK_CLOSE "\xE2\x9F\xA7" /* U+27E7 */
enum { ID_DIGITS = 11, LONGEST_MARK = 9, LONGEST_PSEUDONYM = 96 };

/* ID for a value under a key; attempt tells apart values whose hashes collide. out has ID_DIGITS + 1 bytes. */
void pseudonym_id(const uint8_t key[32], const char *type, str value, unsigned attempt, char out[ID_DIGITS + 1]);
/* Whether the check digit fits. */
bool pseudonym_id_is_sound(str id);
/* Length of an opening (closing) mark at the beginning of s in any spelling: the character itself, \u27e6, &#x27e6; or
 * &#10214;. 0: none. *partial: s ends inside what may still become one. */
size_t mark_length(str s, bool open, bool *partial);

struct redaction;
/* The value behind TYPE:ID as it was issued here, or NULL. */
const str *redaction_lookup(const struct redaction *redaction, str name);

#endif
