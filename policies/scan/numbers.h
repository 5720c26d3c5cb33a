/* Numbers and codes of fixed forms: identity, tax, health, travel, vehicle and account numbers, hardware addresses, dates. */
#ifndef WEIR_POLICIES_SCAN_NUMBERS_H
#define WEIR_POLICIES_SCAN_NUMBERS_H

#include "scan/scan.h"

enum verdict_of_check { CHECK_FAIL = -1, CHECK_UNKNOWN, CHECK_PASS };

/* What a confirmed form's check says of it; compact holds its letters (upper case) and digits only, raw the match as it stands. */
typedef enum verdict_of_check number_check(str compact, str raw);

enum { MOST_FORMS = 5 };
enum number_start { START_ANY, START_MONTH, START_MAC };

/* A match can only begin where a run of letters and digits begins with one of lead_letters letters (bit n: n of them) and, after
 * them, one of lead_digits digits; min_digits digits stand in the 40 bytes from there. This spares nearly all of the patterns. */
struct number {
    struct entity entity;
    number_check *check; /* NULL: the form's score stays. */
    uint32_t lead_letters, lead_digits;
    int min_digits;
    bool inside; /* May begin where digits begin inside a word ("nr123…" in scripts without blanks). */
    struct {
        struct regex regex;
        float score;
    } forms[MOST_FORMS];
    enum number_start start; /* What else must be seen before a form is tried. */
    const char *after;       /* One of these stands after the leading letters and digits; NULL: anything. */
    int min_run;             /* Letters and digits in a row from the start, at least. */
};

struct number_table {
    struct number *items;
    size_t n;
};
/* One table a part of the world. */
extern const struct number_table numbers_general, numbers_americas, numbers_europe, numbers_asia, numbers_world;

size_t number_entity_count(void);
const struct entity *number_entity(size_t index);
ptrdiff_t number_entity_index(const struct entity *entity);

#endif
