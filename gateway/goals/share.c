/* The credit of max_remote_share. Invariant: credit_ppm rises by share_ppm for each query, to at most its burst, and falls by SHARE_PPM for
 * each that leaves. */
#include "goals/share.h"

#include <math.h>

int64_t share_ppm(double max_share)
{
    return (int64_t)floor(max_share * SHARE_PPM + 1e-6);
}

bool share_open(const struct share *share, double max_share)
{
    return share->credit_ppm + share_ppm(max_share) >= SHARE_PPM;
}

double share_level(const struct share *share)
{
    return share->credit_ppm <= 0 ? 0 : (double)share->credit_ppm / SHARE_PPM / SHARE_SPAN;
}

void share_count(struct share *share, double max_share, bool left, double gain)
{
    int64_t each = share_ppm(max_share), most = SHARE_PPM + 2 * SHARE_SPAN * each;
    share->credit_ppm += each - (left ? SHARE_PPM : 0);
    if (share->credit_ppm > most)
        share->credit_ppm = most;
    share->n++;
    share->n_left += left;
    if (isfinite(gain))
        recent_add(&share->gains, (float)gain);
}

void share_left_late(struct share *share)
{
    share->credit_ppm -= SHARE_PPM;
    share->n_left++;
}
