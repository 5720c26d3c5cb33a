/* Promises as a head holds them: what they are found on, and how they are looked up. */
#include "head.h"
#include "recalibrate.h"

#include "head_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

/* A local answer is worse in about `n_worse` of ten lines, which nothing tells, and else as good, or better where `better` says so. */
static void write_lines(const char *mode, int first, int n, int n_worse, bool better)
{
    FILE *file = fopen(data, mode);
    cr_assert_not_null(file);
    for (int i = first; i < first + n; i++) {
        bool worse = (int)(((uint32_t)i * 2654435761U >> 16) % 10) < n_worse;
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":%d,\"remote\":%d}}\n", i, !worse, worse || !better);
    }
    fclose(file);
}

static void train(void)
{
    struct error err = {0};
    cr_assert_eq(head_train(data, head_path, NULL, &(struct train_options){.quiet = true}, &err), 0, "%s: %s", err.where, err.text);
}

static struct head *calibrated(void)
{
    struct error err = {0};
    struct head *head;
    json_t *report = NULL;
    cr_assert_eq(head_calibrate(head_path, data, again_path, NULL, &(struct calibrate_options){.quiet = true}, &report, &err), 0, "%s: %s", err.where, err.text);
    json_decref(report);
    cr_assert_eq(head_open(&head, again_path, &err), 0, "%s: %s", err.where, err.text);
    return head;
}

Test(head_promises, local_answers_that_are_better_make_up_for_none_that_are_worse, .init = make_folder, .fini = remove_folder)
{
    double threshold, confidence;
    int64_t n_lines;
    write_lines("w", 0, 200, 3, true);
    train();
    write_lines("w", 1000, 500, 3, true);
    struct head *head = calibrated();
    cr_assert(head_promise(head, 0.2, &threshold, &confidence, &n_lines));
    cr_assert_eq(threshold, (double)PROMISE_NOTHING, "three of ten are worse, not %g", threshold);
    cr_assert(head_promise(head, 0.4, &threshold, &confidence, &n_lines));
    cr_assert_gt(threshold, (double)PROMISE_NOTHING);
    cr_assert_not(head_promise_terms_peek(head)->remote_always_right);
    head_close(head);
}

Test(head_promises, the_remote_is_taken_to_be_always_right_only_where_it_is_in_every_line, .init = make_folder, .fini = remove_folder)
{
    write_lines("w", 0, 200, 3, false);
    train();
    for (int wrong = -1; wrong <= 1; wrong++) { /* In none, in the first, in the last. */
        write_lines("w", 2000, wrong == 0, 0, true);
        write_lines("a", 1000, 100, 3, false);
        write_lines("a", 3000, wrong == 1, 0, true);
        struct head *head = calibrated();
        cr_assert_eq(head_promise_terms_peek(head)->remote_always_right, wrong < 0, "%d", wrong);
        head_close(head);
    }
}

Test(head_promises, lines_of_the_local_model_alone_promise_nothing, .init = make_folder, .fini = remove_folder)
{
    double unused;
    int64_t n_lines;
    write_lines("w", 0, 200, 0, false);
    train();
    write_lines("w", 1000, LEAST_CALIBRATION - 1, 0, false);
    FILE *file = fopen(data, "a");
    cr_assert_not_null(file);
    for (int i = 0; i < 200; i++)
        fprintf(file, "{\"text\":\"What is thing %d?\",\"scores\":{\"local\":1}}\n", 2000 + i);
    fclose(file);
    struct head *head = calibrated();
    cr_assert_not(head_promise(head, 0.5, &unused, &unused, &n_lines));
    cr_assert_eq(head_threshold(head, 0.25), 0.25);
    cr_assert_null(head_promise_terms_peek(head));
    head_close(head);
}

Test(head_promises, a_regret_between_two_hundredths_is_kept_as_the_smaller_is)
{
    struct head *head = head_new();
    double threshold, confidence;
    int64_t n_lines;
    head->promises = (struct head_promises){.present = true, .confidence = 0.9, .n_lines = 77};
    for (int i = 0; i < N_PROMISES; i++) {
        head->promises.thresholds[i] = i < 4 ? PROMISE_NOTHING : (float)i;
        head->promises.local_shares[i] = i < 4 ? 0 : (float)i / 100;
    }
    static const struct {
        double max_regret, threshold, share;
    } cases[] = {{0, -2, 0}, {0.009, -2, 0}, {0.04, -2, 0}, {0.049, -2, 0}, {0.05, 4, 0.04}, {0.0599, 4, 0.04}, {0.06, 5, 0.05}, {0.29, 28, 0.28}, {0.5, 49, 0.49}, {0.77, 49, 0.49}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert(head_promise(head, cases[i].max_regret, &threshold, &confidence, &n_lines) && confidence == 0.9 && n_lines == 77);
        cr_expect_eq(threshold, cases[i].threshold, "%g: %g", cases[i].max_regret, threshold);
        cr_expect_eq(head_threshold(head, cases[i].max_regret), threshold);
        cr_expect_float_eq(head_promise_share(head, cases[i].max_regret), cases[i].share, 1e-6);
    }
    cr_assert(head_promise(head, 1, &threshold, &confidence, &n_lines) && threshold == 1, "whatever a local answer is worth, it may stay");
    cr_assert_float_eq(head_least_regret(head), 0.05, 1e-9);
    head->promises.thresholds[0] = 0.5F;
    cr_assert(head_promise(head, 0.0099, &threshold, &confidence, &n_lines) && threshold == (double)PROMISE_NOTHING, "less than a hundredth was not found");
    cr_assert(head_promise(head, 0.01, &threshold, &confidence, &n_lines) && threshold == 0.5);
    head->promises.present = false;
    cr_assert_eq(head_promise_share(head, 0.5), 0);
    cr_assert_eq(head_least_regret(head), 1);
    head_close(head);
    cr_assert_eq(head_threshold(NULL, 0.3), 0.3);
}
