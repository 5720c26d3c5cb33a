/* Isotonic calibration: rising, close to what was seen, and no jumps. */
#include "calibrate.h"
#include "isotonic.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static uint32_t seed = 1;

static float draw(void)
{
    seed = seed * 1664525 + 1013904223;
    return (float)(seed >> 8) / 16777216;
}

enum { N = 4000 };
static float values[N], targets[N], calibrated[N];

static void make_overconfident(void)
{
    for (int i = 0; i < N; i++) {
        values[i] = draw();
        targets[i] = draw() < 0.3F + 0.3F * values[i] ? 1 : 0;
    }
}

Test(isotonic, never_falls_and_stays_within_0_and_1)
{
    struct isotonic isotonic;
    make_overconfident();
    cr_assert_eq(isotonic_fit(values, targets, N, 20, &isotonic), 0);
    cr_assert(isotonic.n >= 2 && isotonic.n <= MOST_KNOTS);
    float last = 0;
    for (int i = -10; i <= 1010; i++) {
        float y = isotonic_apply(&isotonic, (float)i / 1000);
        cr_assert(y >= last && y > 0 && y < 1, "%g after %g", (double)y, (double)last);
        last = y;
    }
}

Test(isotonic, takes_the_calibration_error_out)
{
    struct isotonic isotonic;
    make_overconfident();
    cr_assert_eq(isotonic_fit(values, targets, N / 2, 20, &isotonic), 0);
    for (int i = 0; i < N; i++)
        calibrated[i] = isotonic_apply(&isotonic, values[i]);
    double before = calibration_error(values + N / 2, targets + N / 2, N / 2), after = calibration_error(calibrated + N / 2, targets + N / 2, N / 2);
    cr_assert_gt(before, 0.1);
    cr_assert_lt(after, 0.04, "%g, before %g", after, before);
}

Test(isotonic, one_value_or_none_at_all)
{
    struct isotonic isotonic;
    float same[50], labels[50];
    for (int i = 0; i < 50; i++) {
        same[i] = 0.5F;
        labels[i] = i % 5 == 0;
    }
    cr_assert_eq(isotonic_fit(same, labels, 50, 1, &isotonic), 0);
    cr_assert_eq(isotonic.n, 1);
    cr_assert_float_eq(isotonic_apply(&isotonic, 0.9F), 10.5 / 51, 1e-6);
    cr_assert_eq(isotonic_fit(same, labels, 0, 1, &isotonic), 0);
    cr_assert_eq(isotonic_apply(&isotonic, 0.25F), 0.25F);
}
