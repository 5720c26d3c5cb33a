/* Recent values: the order of the last ones, whatever has come and gone. */
#include "goals/recent.h"

#include "coin.h"

#include <criterion/criterion.h>

Test(recent, at_most_the_asked_share_of_the_last_values_is_above_what_it_gives)
{
    static struct recent recent;
    static float all[2000];
    uint64_t state = 1;
    for (int i = 0; i < 2000; i++) {
        all[i] = (float)((int)(coin(&state) * (i % 3 == 0 ? 5 : 1000))) / 1000; /* Many ties. */
        recent_add(&recent, all[i]);
        int n = i < RECENT_VALUES ? i + 1 : RECENT_VALUES;
        cr_assert_eq(recent.n, n);
        for (double share = 0; share <= 1.001; share += 0.05) {
            double border = recent_above(&recent, share);
            int above = 0, at_least = 0;
            for (int k = i + 1 - n; k <= i; k++) {
                above += (double)all[k] > border;
                at_least += (double)all[k] >= border;
            }
            cr_assert(above <= share * n + 1e-9 && at_least + 1e-9 >= (int)(share * n + 1e-12), "%d and %d of %d for %g", above, at_least, n, share);
        }
    }
}

Test(recent, everything_is_above_what_the_whole_share_gives)
{
    struct recent recent = {0};
    recent_add(&recent, 0.5f);
    recent_add(&recent, -0.25f);
    cr_assert_lt(recent_above(&recent, 1), -0.25);
    cr_assert_eq(recent_above(&recent, 0), 0.5);
    cr_assert_eq(recent_above(&recent, 0.5), -0.25);
}
