/* Calibration of what is said once there is an answer: the blends follow fresh lines, and stay where those know no better. */
#include "apply.h"
#include "recalibrate.h"

#include "head_folder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static uint32_t state;

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

/* Of two answers the one is right more often than the other, and the surer of each more often or less than that by up to half of by_confidence. */
static const char *const answers[2] = {"It is made of copper.", "Perhaps nobody knows."};

static void write_texts(int first, int n, double right_of_one, double right_of_other, double by_confidence)
{
    FILE *file = fopen(data, "w");
    cr_assert_not_null(file);
    state = (uint32_t)first + 1;
    for (int i = first; i < first + n; i++) {
        double u = draw() - 0.5;
        int which = draw() < 0.5, right = draw() < (which ? right_of_other : right_of_one) + by_confidence * u;
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":%d,\"remote\":1},\"answer\":{\"text\":\"%s\"", i, right, answers[which]);
        if (by_confidence != 0)
            fprintf(file, ",\"logprob_mean\":%g", -2 + 2 * u);
        fputs("}}\n", file);
    }
    fclose(file);
}

/* P(local) of each answer, by its text alone (p[0]) and joined with the question's (p[1]). */
static void judge_texts(const char *path, float p[2][2])
{
    struct error err = {0};
    struct head *head;
    struct scorer *scorer;
    str question = STR("What is thing 7001?");
    cr_assert_eq(head_open(&head, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(scorer_new(&scorer, head, NULL, &err), 0);
    for (int which = 0; which < 2; which++) {
        struct arena arena;
        struct score score;
        struct answer answer = {.text = str_of(answers[which]), .logprob_mean = NAN, .logprob_min = NAN, .entropy_mean = NAN, .margin_mean = NAN, .self_check = NAN, .probe = NAN};
        arena_init(&arena, 0);
        cr_assert_eq(head_answer_alone(head, question, &answer, &p[0][which]), 0);
        cr_assert_eq(scorer_score_text(scorer, question, &arena, &score, &err), 0);
        cr_assert_eq(scorer_score_answer(scorer, question, &answer, &score, &err), 0);
        p[1][which] = score.p_local;
        arena_release(&arena);
    }
    scorer_free(scorer);
    head_close(head);
}

Test(reblend, what_an_answers_text_says_follows_fresh_lines_alone_and_joined, .init = make_folder, .fini = remove_folder)
{
    static const enum calibration_method methods[] = {CALIBRATION_ISOTONIC, CALIBRATION_PLATT};
    float p[2][2];
    write_texts(0, 400, 0.95, 0.3, 0);
    train();
    judge_texts(head_path, p);
    cr_assert(p[0][0] > 0.8F && p[1][0] > 0.8F);
    write_texts(1000, 400, 0.45, 0.02, 0);
    for (int i = 0; i < 2; i++) {
        json_t *report = calibrate(methods[i]);
        const json_t *of_text = json_object_get(json_object_get(report, "answer"), "local");
        cr_assert_lt(json_number_value(json_object_get(of_text, "ece")), 0.5 * json_number_value(json_object_get(of_text, "ece_before")));
        json_decref(report);
        judge_texts(again_path, p);
        for (int joined = 0; joined < 2; joined++)
            cr_assert(fabsf(p[joined][0] - 0.45F) < 0.15F && p[joined][1] < 0.15F, "method %d, joined %d: %g, %g", i, joined, (double)p[joined][0], (double)p[joined][1]);
    }
}

Test(reblend, a_blend_made_anew_still_knows_what_the_text_says, .init = make_folder, .fini = remove_folder)
{
    float p[2][2];
    write_texts(0, 400, 0.7, 0.3, 0.6);
    train();
    write_texts(1000, 600, 0.7, 0.3, -0.6);
    json_t *report = calibrate(CALIBRATION_PLATT);
    cr_assert(refitted(report, "by_text"));
    json_decref(report);
    judge_texts(again_path, p);
    cr_assert_gt(p[1][0], p[1][1] + 0.2F);
}

Test(reblend, a_second_calibration_takes_the_place_of_the_first, .init = make_folder, .fini = remove_folder)
{
    float p[2][2];
    write_texts(0, 400, 0.95, 0.3, 0);
    train();
    write_texts(1000, 400, 0.45, 0.02, 0);
    json_decref(calibrate(CALIBRATION_ISOTONIC));
    cr_assert_eq(rename(again_path, head_path), 0);
    write_texts(2000, 400, 0.95, 0.3, 0);
    json_decref(calibrate(CALIBRATION_ISOTONIC));
    judge_texts(again_path, p);
    for (int joined = 0; joined < 2; joined++)
        cr_assert(p[joined][0] > 0.85F && fabsf(p[joined][1] - 0.3F) < 0.15F, "joined %d: %g, %g", joined, (double)p[joined][0], (double)p[joined][1]);
}

/* What the model says of whether it can answer tells `sign` times what is right, if anything. */
static void write_probes(int first, int n, int sign, double share_right)
{
    FILE *file = fopen(data, "w");
    cr_assert_not_null(file);
    state = (uint32_t)first + 1;
    for (int i = first; i < first + n; i++) {
        double probe = draw();
        int right = sign == 0 ? draw() < share_right : sign * (probe - 0.5) > 0;
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":%d,\"remote\":1},\"answer\":{\"text\":\"It is a thing.\",\"probe\":%g}}\n", i, right, probe);
    }
    fclose(file);
}

static float probed(const char *path, float probe)
{
    struct error err = {0};
    struct head *head;
    struct scorer *scorer;
    struct arena arena;
    struct score score;
    cr_assert_eq(head_open(&head, path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(scorer_new(&scorer, head, NULL, &err), 0);
    arena_init(&arena, 0);
    cr_assert_eq(scorer_score_text(scorer, STR("What is thing 7001?"), &arena, &score, &err), 0);
    scorer_score_probe(scorer, probe, &score);
    arena_release(&arena);
    scorer_free(scorer);
    head_close(head);
    return score.p_local;
}

Test(reblend, what_a_probe_means_follows_fresh_lines, .init = make_folder, .fini = remove_folder)
{
    write_probes(0, 300, 1, 0);
    train();
    cr_assert_gt(probed(head_path, 0.8F), probed(head_path, 0.2F) + 0.4F);
    write_probes(1000, 300, -1, 0);
    json_t *report = calibrate(CALIBRATION_ISOTONIC);
    cr_assert(refitted(report, "by_probe"));
    json_decref(report);
    cr_assert_lt(probed(again_path, 0.8F), probed(again_path, 0.2F) - 0.4F);
}

Test(reblend, a_probe_that_tells_nothing_makes_no_blend_where_there_was_none, .init = make_folder, .fini = remove_folder)
{
    struct error err = {0};
    struct head *head;
    write_texts(0, 400, 0.1, 0.1, 0);
    train();
    write_probes(1000, 60, 0, 0.1);
    json_decref(calibrate(CALIBRATION_PLATT));
    cr_assert_eq(head_open(&head, again_path, &err), 0);
    cr_assert_not(head_judges_probe(head));
    head_close(head);
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

Test(reblend, without_enough_answers_among_the_fresh_lines_the_blends_stay, .init = make_folder, .fini = remove_folder)
{
    write_lines(0, 300, 1, 0.1);
    train();
    float before = judged(head_path, -1.2F, false);
    write_lines(1000, LEAST_CALIBRATION - 1, -1, 0);
    FILE *file = fopen(data, "a");
    cr_assert_not_null(file);
    for (int i = 0; i < 200; i++)
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":%d,\"remote\":1}}\n", 3000 + i, i % 2);
    fclose(file);
    json_t *report = calibrate(CALIBRATION_ISOTONIC);
    cr_assert_null(json_object_get(report, "answer"));
    cr_assert_float_eq(judged(again_path, -1.2F, false), before, 0.1);
    json_decref(report);
}
