/* Surface features: finite for any text, and telling forms apart. */
#include "surface.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < N_SURFACE; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

Test(surface, is_finite_and_bounded_for_any_text)
{
    static char text[40000];
    float out[N_SURFACE];
    uint32_t seed = 1;
    for (int round = 0; round < 200; round++) {
        size_t n = (size_t)(round < 20 ? round : round * 200);
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = round % 3 == 0 ? (char)(seed >> 24) : "aA1 .\n?_():B2\t,"[seed >> 24 & 15]; /* The last one is the literal's zero. */
        }
        feature_surface((str){text, n}, out);
        for (int i = 0; i < N_SURFACE; i++)
            cr_assert(isfinite(out[i]) && out[i] <= 20 && out[i] >= -20, "round %d, feature %d: %g", round, i, (double)out[i]);
    }
    feature_surface((str){NULL, 0}, out);
    for (int i = 0; i < N_SURFACE; i++)
        cr_assert(isfinite(out[i]));
}

Test(surface, a_long_text_is_judged_by_its_ends)
{
    size_t n = 100000;
    char *text = malloc(n);
    float a[N_SURFACE], b[N_SURFACE];
    memset(text, 'x', n);
    feature_surface((str){text, n}, a);
    memset(text + 20000, '?', 40000);
    feature_surface((str){text, n}, b);
    cr_assert_arr_eq(a, b, sizeof a);
    free(text);
}

Test(surface, two_questions_with_choices_are_nearer_than_a_question_and_a_story)
{
    float a[N_SURFACE], b[N_SURFACE], c[N_SURFACE];
    feature_surface(STR("Which planet is the largest?\nA. Mars\nB. Venus\nC. Jupiter\nD. Earth\nAnswer:"), a);
    feature_surface(STR("Which river is the longest?\n(a) Rhine\n(b) Danube\n(c) Volga\n(d) Elbe\nAnswer:"), b);
    feature_surface(STR("She was 41 when he left her, and it took years until she wrote the letter that he had been waiting for."), c);
    cr_assert_lt(distance(a, b), distance(a, c));
    cr_assert_lt(distance(a, b), distance(b, c));
}

Test(surface, one_line_that_looks_like_a_choice_is_none)
{
    float a[N_SURFACE], b[N_SURFACE];
    feature_surface(STR("I. will go\nand so will you"), a);
    feature_surface(STR("I will. go\nand so will you"), b);
    cr_assert_lt(distance(a, b), 1.0);
}
