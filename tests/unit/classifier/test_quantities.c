/* Quantities and the work they let expect. */
#include "surface.h"

#include <criterion/criterion.h>
#include <math.h>

/* Places of the kinds, in the order of quantities.h. */
enum { NUMBER_WORDS, FRACTIONS, MULTIPLES, PERCENT, MONEY, RATES, COMPARISONS, TOTALS, RESTS, SHARES, TIMES, UNITS, CONDITIONS, ASKED, TRADE, NUMBERS, DISTINCT, LARGEST };

static int count(str text, int kind)
{
    float out[N_QUANTITIES];
    quantities_read(text, out);
    return (int)lroundf(expm1f(out[kind]));
}

Test(quantities, words_and_pairs_count_for_their_kind)
{
    static const char *const texts[] = {"twelve", "2/3 quarters", "twice", "5% percent", "$4 cents", "each a week", "as many older than", "altogether", "remaining left", "evenly",
                                        "Monday hours", "miles", "if then", "how many, what is", "discount"};
    static const int counts[] = {1, 2, 1, 2, 2, 2, 3, 1, 2, 1, 2, 1, 2, 2, 1};
    for (int kind = 0; kind <= TRADE; kind++)
        cr_assert_eq(count(str_of(texts[kind]), kind), counts[kind], "%s: %d", texts[kind], count(str_of(texts[kind]), kind));
    cr_assert_eq(count(STR("how. Many"), ASKED), 0, "a mark parts a pair");
    cr_assert_eq(count(STR("THIRTY forty-one FIFTYISH"), NUMBER_WORDS), 3);
    cr_assert_eq(count(STR("a first, sixty, until, yards, years and your year"), TIMES), 2, "the table is in order to its ends");
}

Test(quantities, numbers_are_counted_compared_and_bounded)
{
    float out[N_QUANTITIES];
    quantities_read(STR("He had 5 of 1,200 and took 5 more."), out);
    cr_assert_float_eq(out[NUMBERS], log1pf(3), 1e-5F);
    cr_assert_float_eq(out[DISTINCT], 2 / 5.0F, 1e-5F);
    cr_assert_float_eq(out[LARGEST], log1pf(1200), 1e-5F);
    quantities_read(STR("99999999999999999999999999999999999999999999999999"), out);
    for (int i = 0; i < N_QUANTITIES; i++)
        cr_assert(out[i] >= 0 && out[i] <= 20, "%d: %g", i, (double)out[i]);
}

Test(work, a_longer_problem_takes_more_steps)
{
    float one[N_SURFACE], many[N_SURFACE];
    feature_surface(STR("Tom has 3 pens and buys 4 more. How many pens does he have?"), one);
    feature_surface(STR("Tom earns $12 an hour and works 8 hours a day, 5 days a week. He spends a third of it on rent, half of the rest on food and $40 on the bus. "
                        "After 4 weeks he buys 3 tickets that cost $25 each, with a discount of 10%. How much money does he have left?"), many);
    cr_assert_gt(many[N_SHAPE + WORK_STEPS], one[N_SHAPE + WORK_STEPS] + 1);
    cr_assert_gt(many[N_SHAPE + WORK_LENGTH], one[N_SHAPE + WORK_LENGTH]);
    cr_assert_gt(many[N_SHAPE + WORK_QUOTIENTS], one[N_SHAPE + WORK_QUOTIENTS]);
}
