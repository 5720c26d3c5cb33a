/* Check digits of identification numbers. Every function takes the number without separators, letters in upper case, and
 * says whether it is one that could have been issued: length, alphabet, check digits, and dates where they are part of it. */
#ifndef WEIR_POLICIES_SCAN_CHECKSUM_H
#define WEIR_POLICIES_SCAN_CHECKSUM_H

#include "weir_base.h"

bool digits_only(str s);
bool checksum_luhn(str s);              /* Digits; at least two. */
bool checksum_verhoeff(str s);          /* Digits. */
bool checksum_mod_97_10(str s);         /* ISO 7064 MOD 97-10 over letters and digits as they stand (check digits last). */
bool checksum_mod_11_10(str s);         /* ISO 7064 MOD 11,10 over digits. */
bool checksum_mod_11_2(str s);          /* ISO 7064 MOD 11-2, last may be X. */
int64_t weighted_sum(str s, const int *weights, size_t n); /* Digits times weights. */

bool check_iban(str s);                 /* Country's length and form, and MOD 97-10. */
bool check_card(str s);                 /* Issuer prefix and length, and Luhn. */
#endif
