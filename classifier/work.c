/* Work: linear in the standardised form, by ridge regression on the 7,473 training questions of GSM8K (MIT) and their written
 * solutions, whose calculations are marked; nothing where a text offers choices or names fewer than two quantities: such questions are not
 * of that kind. tests/bench/classifier/bench_work.c fits it, says how much it explains of solutions
 * it has not seen, and prints work.inc.
 *
 * The table belongs to the form's definition and to the heads trained on it: a change of either is a new HEAD_VERSION. */
#include "work.h"
#include "work.inc"

#include <string.h>

/* Places in the shape: how many choices a text offers, and log(1 + the quantities it names). */
enum { PLACE_CHOICES = 24, PLACE_QUANTITIES = N_SHAPE - 3 };

void work_expect(const float shape[N_SHAPE], float out[N_WORK])
{
    float v[N_SHAPE];
    if (shape[PLACE_CHOICES] > 0 || shape[PLACE_QUANTITIES] < 1.09F) {
        memset(out, 0, N_WORK * sizeof *out);
        return;
    }
    for (int i = 0; i < N_SHAPE; i++) {
        v[i] = (shape[i] - work_mean[i]) * work_inverse_sd[i];
        v[i] = v[i] > 4 ? 4 : v[i] < -4 ? -4 : v[i];
    }
    for (int k = 0; k < N_WORK; k++) {
        out[k] = work_bias[k];
        for (int i = 0; i < N_SHAPE; i++)
            out[k] += work_weights[k][i] * v[i];
        out[k] = out[k] > 20 ? 20 : out[k] < -20 ? -20 : out[k];
    }
}
