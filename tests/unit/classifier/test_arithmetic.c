/* Arithmetic: which equations a text states, and whether they hold. */
#include "arithmetic.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct equation equations[MOST_EQUATIONS];

static size_t read(const char *text)
{
    return equations_read(str_of(text), equations);
}

Test(arithmetic, a_left_side_is_computed_with_brackets_and_precedence)
{
    cr_assert_eq(read("So 2 x ($40 - $15) + 10 / 4 = 52.50 dollars."), 1);
    cr_assert_float_eq(equations[0].value, 52.5, 1e-9);
    cr_assert_float_eq(equations[0].stated, 52.5, 1e-9);
    cr_assert(equation_holds(&equations[0]));
    cr_assert(equations[0].n_operands == 5 && equations[0].n_sums == 1 && equations[0].n_differences == 1 && equations[0].n_products == 1 && equations[0].n_quotients == 1);
}

Test(arithmetic, each_step_of_a_chain_is_an_equation)
{
    cr_assert_eq(read("6 + 3 - 1 = 9 - 1 = 7"), 2);
    cr_assert(equation_holds(&equations[0]));
    cr_assert(!equation_holds(&equations[1]));
    cr_assert_eq(equations[1].stated, 7);
}

Test(arithmetic, annotations_units_and_percentages_are_read)
{
    cr_assert_eq(read("He has 3 big boxes × 5 red pens = $<<3*5=15>>15, and 20% * 50 = 10 (ten), and 12 (her own) + 1 = 13"), 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert(equation_holds(&equations[i]), "%zu: %g is %g", i, equations[i].value, equations[i].stated);
    cr_assert_eq(read("1,200 pages / 4 = 300 pages; (2 + 3 = 5)"), 2);
    cr_assert(equation_holds(&equations[0]) && equation_holds(&equations[1]));
}

Test(arithmetic, what_computes_nothing_is_no_equation)
{
    cr_assert_eq(read("x = 5, the total = 12, a == b, 7 = 7 and 3 + 4 = the rest"), 0);
    cr_assert_eq(read("it took him from 3-4 hours"), 0);
    cr_assert_eq(read(""), 0);
}

Test(arithmetic, a_thousandth_of_rounding_holds_and_a_wrong_digit_does_not)
{
    cr_assert_eq(read("10 / 3 = 3.33 and 8 * 9 = 73"), 2);
    cr_assert(equation_holds(&equations[0]));
    cr_assert(!equation_holds(&equations[1]));
}

Test(arithmetic, depth_length_and_division_by_zero_are_bounded)
{
    static char text[60000];
    cr_assert_eq(read("3 / 0 = 0"), 1);
    memset(text, '(', 5000);
    memcpy(text + 5000, "1+1=2", 5);
    cr_assert_leq(equations_read((str){text, 5005}, equations), 1);
    for (size_t i = 0; i + 6 <= sizeof text; i += 6)
        memcpy(text + i, "1+1=2 ", 6);
    cr_assert_eq(equations_read((str){text, sizeof text}, equations), MOST_EQUATIONS);
    memset(text, '-', sizeof text);
    memcpy(text + 900, "1=1", 3);
    cr_assert_leq(equations_read((str){text, sizeof text}, equations), 1);
}
