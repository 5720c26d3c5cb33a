/* Shorthand of the tables of numbers. */
#ifndef WEIR_POLICIES_SCAN_NUMBER_FORMS_H
#define WEIR_POLICIES_SCAN_NUMBER_FORMS_H

#include "scan/checksum.h"
#include "scan/numbers.h"

#define N(count) (1u << (count))
#define FROM_TO(low, high) ((N(high) << 1) - N(low))
#define FORM(text, value) {{.pattern = text, .caseless = true, .anchored = true}, value}
#define TABLE(name, array) const struct number_table name = {array, sizeof array / sizeof *array}

static inline enum verdict_of_check pass_or_fail(bool passes)
{
    return passes ? CHECK_PASS : CHECK_FAIL;
}

#endif
