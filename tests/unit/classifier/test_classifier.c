/* The classifier without an encoder: training, head files, scoring, and the shipped head. */
#include "weir_classifier.h"

#include "head_folder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* Lines whose right answer can be learned from their words. */
static void write_lines_from(const char *path, int first, int n)
{
    static const char *const easy[] = {"say hello to", "greet", "wish good morning to", "thank"};
    static const char *const hard[] = {"prove the theorem about", "derive the integral of", "optimise the compiler for", "design a database for"};
    static const char *const names[] = {"anna", "trees", "numbers", "peter", "graphs", "rivers", "matrices", "friends", "clouds", "engines"};
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (int i = first; i < first + n; i++) {
        bool is_hard = i % 2 == 1;
        fprintf(file, "{\"text\":\"%s %s number %d\",\"scores\":{\"local\":%d,\"remote\":1},\"domain\":\"%s\"}\n",
                is_hard ? hard[i / 2 % 4] : easy[i / 2 % 4], names[i / 8 % 10], i, is_hard ? 0 : 1, is_hard ? "science" : "chat");
    }
    fclose(file);
}

static void write_lines(const char *path)
{
    write_lines_from(path, 0, 160);
}

static void make_lines(void)
{
    make_folder();
    write_lines(data);
}

static void train(const char *path)
{
    struct error err = {0};
    cr_assert_eq(head_train(data, path, NULL, &(struct train_options){.seed = 7, .quiet = true}, &err), 0, "%s: %s", err.where, err.text);
}

Test(classifier, what_was_learned_orders_new_queries, .init = make_lines, .fini = remove_folder)
{
    struct error err = {0};
    struct head *head;
    struct scorer *scorer;
    struct arena arena;
    struct score easy, hard;
    train(head_path);
    cr_assert_eq(head_open(&head, head_path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(scorer_new(&scorer, head, NULL, &err), 0, "%s: %s", err.where, err.text);
    arena_init(&arena, 0);
    cr_assert_eq(scorer_score_text(scorer, STR("please greet the clouds and thank peter"), &arena, &easy, &err), 0);
    cr_assert_eq(scorer_score_text(scorer, STR("please derive the integral and prove the theorem about rivers"), &arena, &hard, &err), 0);
    cr_assert_gt(easy.p_local, hard.p_local);
    cr_assert_lt(easy.gain, hard.gain);
    cr_assert_str_eq(easy.domain, "chat");
    cr_assert_str_eq(hard.domain, "science");
    arena_release(&arena);
    scorer_free(scorer);
    head_close(head);
}

static void read_all(const char *path, struct buffer *out)
{
    struct error err = {0};
    buffer_init(out, 64 << 20);
    cr_assert_eq(file_read(path, out, &err), 0, "%s: %s", err.where, err.text);
}

Test(classifier, the_same_lines_and_seed_give_the_same_bytes, .init = make_lines, .fini = remove_folder)
{
    struct buffer a, b;
    train(head_path);
    train(again_path);
    read_all(head_path, &a);
    read_all(again_path, &b);
    cr_assert_eq(a.n, b.n);
    cr_assert_arr_eq(a.data, b.data, a.n);
    buffer_release(&a);
    buffer_release(&b);
}

Test(classifier, a_head_cut_anywhere_or_changed_in_its_header_is_refused_with_a_reason, .init = make_lines, .fini = remove_folder)
{
    struct buffer whole;
    struct error err = {0};
    struct head *head;
    train(head_path);
    read_all(head_path, &whole);
    size_t cuts[] = {0, 1, 7, 8, 16, 40, 100, whole.n / 4, whole.n / 2, whole.n - 4, whole.n - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        cr_assert_eq(file_write_atomic(again_path, whole.data, cuts[i], 0600, &err), 0);
        err = (struct error){0};
        cr_assert_lt(head_open(&head, again_path, &err), 0, "cut at %zu of %zu", cuts[i], whole.n);
        cr_assert(strstr(err.where, again_path) != NULL && err.text[0] != '\0', "cut at %zu: %s: %s", cuts[i], err.where, err.text);
    }
    for (size_t at = 0; at < 16; at++) { /* Magic, version and lengths. */
        whole.data[at] ^= 0x55;
        cr_assert_eq(file_write_atomic(again_path, whole.data, whole.n, 0600, &err), 0);
        cr_assert_lt(head_open(&head, again_path, &err), 0, "byte %zu", at);
        whole.data[at] ^= 0x55;
    }
    buffer_release(&whole);
}

Test(classifier, a_bad_line_is_named_by_its_number, .init = make_lines, .fini = remove_folder)
{
    const char *bad[] = {"{\"text\":\"x\",\"label\":2}", "{\"label\":1}", "{\"text\":5,\"label\":1}", "nonsense", "{\"text\":\"x\",\"scores\":{\"local\":1.5}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        FILE *file = fopen(data, "w");
        fprintf(file, "{\"text\":\"good\",\"label\":1}\n%s\n", bad[i]);
        fclose(file);
        cr_assert_lt(head_train(data, head_path, NULL, &(struct train_options){.quiet = true}, &err), 0, "%s", bad[i]);
        cr_assert(strstr(err.where, "2") != NULL, "%s: %s: %s", bad[i], err.where, err.text);
    }
}

static int calibrate(const char *lines, json_t **report, struct error *err)
{
    return head_calibrate(head_path, lines, again_path, NULL, &(struct calibrate_options){.quiet = true}, report, err);
}

Test(classifier, calibration_on_fresh_lines_makes_promises_that_the_file_keeps, .init = make_lines, .fini = remove_folder)
{
    struct error err = {0};
    struct head *head;
    json_t *report = NULL;
    double strict, loose, confidence;
    int64_t n_lines = 0;
    train(head_path);
    cr_assert_lt(calibrate(data, &report, &err), 0, "the head's own lines");
    cr_assert(strstr(err.text, "trained on") != NULL, "%s", err.text);
    write_lines_from(data, 160, 400);
    cr_assert_eq(calibrate(data, &report, &err), 0, "%s: %s", err.where, err.text);
    const json_t *of_local = json_object_get(json_object_get(json_object_get(report, "calibration"), "features"), "local");
    cr_assert_eq(json_integer_value(json_object_get(of_local, "n")), 400);
    cr_assert_lt(json_number_value(json_object_get(of_local, "ece")), 0.1);
    json_decref(report);
    cr_assert_eq(head_open(&head, head_path, &err), 0);
    cr_assert_not(head_promise(head, 0.1, &strict, &confidence, &n_lines));
    cr_assert_not(head_gain_above(head, 0.5, &strict, &n_lines));
    head_close(head);
    cr_assert_eq(head_open(&head, again_path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert(head_promise(head, 0.05, &strict, &confidence, &n_lines));
    cr_assert(head_promise(head, 0.6, &loose, &confidence, &n_lines));
    cr_assert_eq(n_lines, 400);
    cr_assert_float_eq(confidence, 0.9, 1e-9);
    cr_assert(strict > -2 && strict < loose, "%g, %g", strict, loose); /* Half of the lines, the easy ones, may stay at once. */
    cr_assert(head_promise(head, 0.004, &strict, &confidence, &n_lines));
    cr_assert_leq(strict, -2);
    double before = 2, gain;
    for (int i = 0; i <= 100; i += 5, before = gain) { /* The greater the share that is above, the lower the gain. */
        cr_assert(head_gain_above(head, i / 100.0, &gain, &n_lines));
        cr_assert(gain <= before && gain >= -1 && gain <= 1 && n_lines == 400, "%d %%: %g after %g", i, gain, before);
    }
    cr_assert(head_gain_above(head, 0, &strict, &n_lines) && strict > gain + 0.1, "from %g to %g", gain, strict);
    head_close(head);
}

Test(classifier, a_promise_says_what_it_stands_on, .init = make_lines, .fini = remove_folder)
{
    struct error err = {0};
    struct head *head;
    json_t *report = NULL;
    char long_about[PROMISE_ABOUT_BYTES + 1];
    train(head_path);
    cr_assert_eq(head_open(&head, head_path, &err), 0);
    cr_assert_null(head_promise_terms_peek(head));
    cr_assert_eq(head_least_regret(head), 1);
    head_close(head);
    memset(long_about, 'x', sizeof long_about - 1);
    long_about[sizeof long_about - 1] = '\0';
    cr_assert_lt(head_calibrate(head_path, data, again_path, NULL, &(struct calibrate_options){.about = long_about, .quiet = true}, &report, &err), 0);
    cr_assert_str_eq(err.where, "about");
    for (int scored = 0; scored < 2; scored++) { /* One line in which the remote is not right: its scores were looked at. */
        write_lines_from(data, 160, 400);
        FILE *file = fopen(data, "a");
        fprintf(file, "{\"text\":\"one more\",\"scores\":{\"local\":1,\"remote\":%g}}\n", scored ? 0.5 : 1.0);
        fclose(file);
        cr_assert_eq(head_calibrate(head_path, data, again_path, NULL, &(struct calibrate_options){.about = scored ? NULL : "what was asked in May", .quiet = true}, &report, &err), 0,
                     "%s: %s", err.where, err.text);
        json_decref(report);
        cr_assert_eq(head_open(&head, again_path, &err), 0, "%s: %s", err.where, err.text);
        const struct promise_terms *terms = head_promise_terms_peek(head);
        cr_assert_eq(terms->remote_always_right, scored == 0);
        cr_assert_str_eq(terms->about, scored ? "lines.jsonl" : "what was asked in May");
        double least = head_least_regret(head), threshold, confidence;
        int64_t n_lines;
        cr_assert(least > 0 && least < 0.1 && head_promise_share(head, least) > 0.3 && head_promise_share(head, least - 0.01) == 0, "%g", least);
        cr_assert(head_promise(head, least, &threshold, &confidence, &n_lines) && threshold > -2 && n_lines == 401);
        head_close(head);
    }
}

Test(classifier, a_head_of_an_older_version_says_that_it_is_to_be_trained_again, .init = make_lines, .fini = remove_folder)
{
    struct buffer whole;
    struct error err = {0};
    struct head *head;
    train(head_path);
    read_all(head_path, &whole);
    whole.data[8] = 3;
    cr_assert_eq(file_write_atomic(again_path, whole.data, whole.n, 0600, &err), 0);
    cr_assert_eq(head_open(&head, again_path, &err), WEIR_E_UNSUPPORTED);
    cr_assert(strstr(err.text, "version 3") != NULL && strstr(err.text, "train it again") != NULL, "%s", err.text);
    buffer_release(&whole);
}

Test(classifier, evaluation_can_be_drawn_as_well_formed_svg, .init = make_lines, .fini = remove_folder)
{
    struct error err = {0};
    struct head *head;
    struct buffer picture;
    json_t *metrics = NULL;
    train(head_path);
    cr_assert_eq(head_open(&head, head_path, &err), 0);
    cr_assert_eq(head_evaluate(head, NULL, data, NULL, &metrics, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(metrics_picture(metrics, again_path, &err), 0, "%s: %s", err.where, err.text);
    read_all(again_path, &picture);
    str whole = buffer_str(&picture);
    cr_assert(str_starts(whole, STR("<svg ")) && str_ends(whole, STR("</svg>\n")));
    static const char *const panels[] = {"share of remote calls", "Reliability of P(local", "Confusion of domains", "Time of each tier"};
    buffer_append_char(&picture, '\0');
    for (size_t i = 0; i < sizeof panels / sizeof *panels; i++)
        cr_assert(strstr(picture.data, panels[i]) != NULL, "%s", panels[i]);
    cr_assert(strstr(picture.data, "nan") == NULL && strstr(picture.data, "http://www.w3.org/2000/svg") != NULL);
    cr_assert(strstr(picture.data, "<script") == NULL && strstr(picture.data, "href") == NULL);
    buffer_release(&picture);
    json_decref(metrics);
    head_close(head);
}

Test(classifier, a_picture_named_png_has_two_pixels_for_each_unit_of_the_drawing, .init = make_lines, .fini = remove_folder)
{
    struct error err = {0};
    struct buffer drawing, pixels;
    char path[sizeof again_path + 4];
    int width = 0, height = 0;
    json_t *metrics = json_pack("{s:{s:{s:i,s:f}}}", "tiers", "rules", "n", 3, "mean_us", 2.0);
    cr_assert_eq(metrics_picture(metrics, again_path, &err), 0, "%s: %s", err.where, err.text);
    read_all(again_path, &drawing);
    buffer_append_char(&drawing, '\0');
    cr_assert_eq(sscanf(drawing.data, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\"", &width, &height), 2);
    snprintf(path, sizeof path, "%s.png", again_path);
    cr_assert_eq(metrics_picture_possible(path, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(metrics_picture(metrics, path, &err), 0, "%s: %s", err.where, err.text);
    read_all(path, &pixels);
    unlink(path);
    cr_assert(str_starts(buffer_str(&pixels), (str){"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16}) && pixels.n > 2000);
    const unsigned char *head = (const unsigned char *)pixels.data;
    cr_assert_eq((head[16] << 24 | head[17] << 16 | head[18] << 8 | head[19]), 2 * width);
    cr_assert_eq((head[20] << 24 | head[21] << 16 | head[22] << 8 | head[23]), 2 * height);
    buffer_release(&drawing);
    buffer_release(&pixels);
    json_decref(metrics);
}

Test(classifier, a_png_that_cannot_be_drawn_here_is_refused_with_what_is_missing_and_writes_nothing, .init = make_lines, .fini = remove_folder)
{
    struct error err = {0};
    char path[sizeof again_path + 4];
    json_t *metrics = json_object();
    snprintf(path, sizeof path, "%s.png", again_path);
    cr_assert_eq(setenv("PATH", folder, 1), 0);
    cr_assert_eq(metrics_picture_possible(path, &err), WEIR_E_NOT_FOUND);
    cr_assert(strcmp(err.where, "rsvg-convert") == 0 && strstr(err.text, "apt-get install librsvg2-bin") != NULL, "%s: %s", err.where, err.text);
    cr_assert_eq(metrics_picture(metrics, path, &err), WEIR_E_NOT_FOUND);
    cr_assert_not(file_exists(path));
    cr_assert_eq(metrics_picture_possible(again_path, &err), 0, "an SVG needs nothing");
    json_decref(metrics);
}

Test(classifier, the_shipped_head_keeps_greetings_and_lets_proofs_go)
{
    struct error err = {0};
    struct head *head;
    struct scorer *scorer;
    struct arena arena;
    struct score score;
    cr_assert_eq(head_open(&head, WEIR_SOURCE_DIR "/classifier/heads/default.head", &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(scorer_new(&scorer, head, NULL, &err), 0, "%s: %s", err.where, err.text);
    arena_init(&arena, 0);
    const struct {
        str text;
        bool stays;
    } cases[] = {
        {STR("Hi!"), true},
        {STR("Thanks for your help"), true},
        {STR("Write a Rust implementation of a red-black tree with tests"), false},
        {STR("Prove that there are infinitely many primes"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(scorer_score_text(scorer, cases[i].text, &arena, &score, &err), 0);
        cr_assert_eq(score.gain <= 0.1f, cases[i].stays, "%s: gain %g", cases[i].text.data, (double)score.gain);
        cr_assert(score.p_local >= 0 && score.p_local <= 1 && score.oos >= 0 && score.oos <= 1);
    }
    arena_release(&arena);
    scorer_free(scorer);
    head_close(head);
}
