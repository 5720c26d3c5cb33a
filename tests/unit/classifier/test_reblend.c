/* Calibration of what is said once there is an answer: the blends follow fresh lines, and stay where those know no better. */
#include "weir_classifier.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static char folder[] = "/tmp/weir_reblend_XXXXXX";
static char data[64], head_path[64], again_path[64];
static uint32_t state;

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/lines.jsonl", folder);
    snprintf(head_path, sizeof head_path, "%s/a.head", folder);
    snprintf(again_path, sizeof again_path, "%s/b.head", folder);
}

static void remove_folder(void)
{
    unlink(data);
    unlink(head_path);
    unlink(again_path);
    rmdir(folder);
}

static double draw(void)
{
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 24);
}

/* Neither question nor answer tells anything; the tokens' confidence tells `sign` times what is right, but for a share of noise. */
static void write_lines(int first, int n, int sign, double noise)
{
    FILE *file = fopen(data, "w");
    cr_assert_not_null(file);
    state = (uint32_t)first + 1;
    for (int i = first; i < first + n; i++) {
        double u = draw() - 0.5;
        int right = draw() < noise ? draw() < 0.5 : sign * u > 0;
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":%d,\"remote\":1},\"answer\":{\"text\":\"It is a thing.\",\"logprob_mean\":%g}}\n", i, right,
                -2 + 2 * u);
    }
    fclose(file);
}

static void train(void)
{
    struct error err = {0};
    cr_assert_eq(head_train(data, head_path, NULL, &(struct train_options){.quiet = true}, &err), 0, "%s: %s", err.where, err.text);
}

static json_t *calibrate(enum calibration_method method)
{
    struct error err = {0};
    json_t *report = NULL;
    cr_assert_eq(head_calibrate(head_path, data, again_path, NULL, &(struct calibrate_options){.method = method, .quiet = true}, &report, &err), 0, "%s: %s", err.where, err.text);
    return report;
}

/* P(local) of an answer given with this confidence, with its text or without. */
static float judged(const char *path, float logprob_mean, bool reads)
{
    struct error err = {0};
    struct head *head;
    struct scorer *scorer;
    struct arena arena;
    struct score score;
    struct answer answer = {.logprob_mean = logprob_mean, .logprob_min = NAN, .entropy_mean = NAN, .margin_mean = NAN, .self_check = NAN, .probe = NAN};
    if (reads)
        answer.text = STR("It is a thing.");
    cr_assert_eq(head_open(&head, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(scorer_new(&scorer, head, NULL, &err), 0);
    arena_init(&arena, 0);
    cr_assert_eq(scorer_score_text(scorer, STR("What is thing 7001?"), &arena, &score, &err), 0);
    cr_assert_eq(scorer_score_answer(scorer, STR("What is thing 7001?"), &answer, &score, &err), 0);
    arena_release(&arena);
    scorer_free(scorer);
    head_close(head);
    return score.p_local;
}

static bool refitted(const json_t *report, const char *name)
{
    const json_t *of_blend = json_object_get(json_object_get(report, "answer"), name);
    cr_assert_not_null(of_blend, "%s", name);
    cr_assert_leq(json_number_value(json_object_get(of_blend, "brier")), json_number_value(json_object_get(of_blend, "brier_before")) + 1e-9, "%s", name);
    return json_is_true(json_object_get(of_blend, "refitted"));
}

Test(reblend, the_blends_follow_what_fresh_lines_say, .init = make_folder, .fini = remove_folder)
{
    static const enum calibration_method methods[] = {CALIBRATION_ISOTONIC, CALIBRATION_PLATT};
    write_lines(0, 300, 1, 0.1);
    train();
    for (int reads = 0; reads < 2; reads++)
        cr_assert_gt(judged(head_path, -1.2F, reads), judged(head_path, -2.8F, reads) + 0.4F);
    write_lines(1000, 300, -1, 0.1); /* Now the sure answers are the wrong ones. */
    for (int i = 0; i < 2; i++) {
        json_t *report = calibrate(methods[i]);
        cr_assert(refitted(report, "by_text") && refitted(report, "by_confidence"));
        json_decref(report);
        for (int reads = 0; reads < 2; reads++)
            cr_assert_lt(judged(again_path, -1.2F, reads), judged(again_path, -2.8F, reads) - 0.4F, "method %d, text %d", i, reads);
    }
}

Test(reblend, a_blend_of_few_lines_does_not_take_the_place_of_a_better_one, .init = make_folder, .fini = remove_folder)
{
    write_lines(0, 600, 1, 0.5);
    train();
    float before = judged(head_path, -1.2F, false);
    write_lines(2006, 52, 1, 0.5);
    json_t *report = calibrate(CALIBRATION_PLATT);
    cr_assert_not(refitted(report, "by_confidence"));
    cr_assert_float_eq(judged(again_path, -1.2F, false), before, 0.05);
    json_decref(report);
}

Test(reblend, what_training_had_no_confidences_for_is_blended_from_fresh_lines, .init = make_folder, .fini = remove_folder)
{
    struct error err = {0};
    struct head *head;
    FILE *file = fopen(data, "w");
    cr_assert_not_null(file);
    for (int i = 0; i < 200; i++)
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":%d,\"remote\":1},\"answer\":{\"text\":\"It is a thing.\"}}\n", i, i % 3 == 0);
    fclose(file);
    train();
    cr_assert_eq(head_open(&head, head_path, &err), 0);
    cr_assert_not(head_judges_confidence(head));
    head_close(head);
    write_lines(1000, 300, 1, 0.1);
    json_decref(calibrate(CALIBRATION_ISOTONIC));
    cr_assert_eq(head_open(&head, again_path, &err), 0);
    cr_assert(head_judges_confidence(head));
    head_close(head);
    cr_assert_gt(judged(again_path, -1.2F, false), judged(again_path, -2.8F, false) + 0.4F);
}

Test(reblend, without_answers_among_the_fresh_lines_the_blends_stay, .init = make_folder, .fini = remove_folder)
{
    write_lines(0, 300, 1, 0.1);
    train();
    float before = judged(head_path, -1.2F, false);
    FILE *file = fopen(data, "w");
    cr_assert_not_null(file);
    for (int i = 0; i < 200; i++)
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":%d,\"remote\":1}}\n", 3000 + i, i % 2);
    fclose(file);
    json_t *report = calibrate(CALIBRATION_ISOTONIC);
    cr_assert_null(json_object_get(report, "answer"));
    cr_assert_float_eq(judged(again_path, -1.2F, false), before, 0.1);
    json_decref(report);
}
