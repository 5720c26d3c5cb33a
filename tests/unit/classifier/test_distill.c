/* Distillation and the static tier, on a small encoder with random weights. */
#include "small_encoder.h"

#include "apply.h"
#include "static_table.h"

#include <math.h>
#include <stdlib.h>

static char folder[] = "/tmp/weir_distill_XXXXXX";
static char encoder_path[64], other_path[64], texts[64], labels[64], table_path[64], again_path[64], head_path[64];
static struct model *encoder;

static uint32_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

/* n words of one half of the vocabulary: the two halves are what labels follow. */
static void words(uint64_t *state, int half, int n, char *out, size_t n_out)
{
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        char word[8];
        int token = SMALL_SPECIAL + (int)(draw(state) % 120) + (half == 0 ? 0 : 125);
        small_word(token, word);
        used += (size_t)snprintf(out + used, n_out - used, "%s%s", i > 0 ? " " : "", word);
    }
}

static void write_texts(const char *path, int n, bool labelled)
{
    uint64_t state = labelled ? 5 : 9;
    char text[256];
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (int i = 0; i < n; i++) {
        int half = i % 2;
        words(&state, half, 3 + (int)(draw(&state) % 6), text, sizeof text);
        if (labelled)
            fprintf(file, "{\"text\":\"%s\",\"scores\":{\"local\":%d,\"remote\":1},\"domain\":\"%s\",\"output_tokens\":%d}\n", text, half, half ? "one" : "two",
                    half ? 20 : 200);
        else
            fprintf(file, "{\"text\":\"%s\"}\n", text);
    }
    fclose(file);
}

static void open_all(void)
{
    struct error err = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(encoder_path, sizeof encoder_path, "%s/encoder", folder);
    snprintf(other_path, sizeof other_path, "%s/other", folder);
    snprintf(texts, sizeof texts, "%s/texts.jsonl", folder);
    snprintf(labels, sizeof labels, "%s/labels.jsonl", folder);
    snprintf(table_path, sizeof table_path, "%s/a.static", folder);
    snprintf(again_path, sizeof again_path, "%s/b.static", folder);
    snprintf(head_path, sizeof head_path, "%s/a.head", folder);
    cr_assert_eq(directory_create(encoder_path, &err), 0);
    cr_assert_eq(directory_create(other_path, &err), 0);
    small_encoder_write(encoder_path, false);
    small_encoder_write(other_path, true);
    write_texts(texts, 900, false);
    write_texts(labels, 400, true);
    cr_assert_eq(model_open(&encoder, encoder_path, &(struct model_options){.n_threads = 1}, &err), 0, "%s: %s", err.where, err.text);
}

static void close_all(void)
{
    model_close(encoder);
    small_encoder_remove(encoder_path);
    small_encoder_remove(other_path);
    const char *const files[] = {texts, labels, table_path, again_path, head_path};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    rmdir(folder);
}

static json_t *distill(const char *out, const char *data)
{
    struct error err = {0};
    json_t *report = NULL;
    struct distill_options options = {.data_path = data, .n_dims = 32, .seed = 3, .quiet = true};
    cr_assert_eq(encoder_distill(encoder, out, &options, &report, &err), 0, "%s: %s", err.where, err.text);
    return report;
}

static double metric(const json_t *report, const char *name)
{
    return json_number_value(json_object_get(json_object_get(report, "metrics"), name));
}

Test(distill, the_fit_brings_vectors_nearer_to_the_encoder_on_lines_it_has_not_seen, .init = open_all, .fini = close_all)
{
    json_t *report = distill(table_path, texts);
    double before = metric(report, "cosine_unfitted"), after = metric(report, "cosine"), limit = metric(report, "cosine_limit");
    cr_assert(metric(report, "held_out") > 10);
    cr_assert(after > before + 0.02 && after <= limit + 0.01, "%g, then %g of at most %g", before, after, limit);
    cr_assert_gt(metric(report, "rank_correlation"), 0.2, "%g", metric(report, "rank_correlation"));
    json_decref(report);
    report = distill(again_path, NULL);
    cr_assert_null(json_object_get(report, "metrics"));
    json_decref(report);
}

Test(distill, the_same_lines_and_seed_give_the_same_bytes, .init = open_all, .fini = close_all)
{
    struct buffer a, b;
    struct error err = {0};
    json_decref(distill(table_path, texts));
    json_decref(distill(again_path, texts));
    buffer_init(&a, 1 << 20);
    buffer_init(&b, 1 << 20);
    cr_assert_eq(file_read(table_path, &a, &err), 0);
    cr_assert_eq(file_read(again_path, &b, &err), 0);
    cr_assert_eq(a.n, b.n);
    cr_assert_arr_eq(a.data, b.data, a.n);
    buffer_release(&a);
    buffer_release(&b);
}

Test(distill, what_cannot_be_distilled_is_said, .init = open_all, .fini = close_all)
{
    struct error err = {0};
    json_t *report = NULL;
    cr_assert_eq(encoder_distill(encoder, table_path, &(struct distill_options){.n_dims = 20, .quiet = true}, &report, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.text, "multiple of 16") != NULL, "%s", err.text);
    cr_assert_eq(encoder_distill(encoder, table_path, &(struct distill_options){.n_dims = 128, .quiet = true}, &report, &err), WEIR_E_INVALID);
    write_texts(texts, 50, false);
    cr_assert_eq(encoder_distill(encoder, table_path, &(struct distill_options){.n_dims = 32, .data_path = texts, .quiet = true}, &report, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.where, "texts.jsonl") != NULL && strstr(err.text, "50 lines") != NULL, "%s: %s", err.where, err.text);
}

static struct head *train(void)
{
    struct error err = {0};
    struct head *head;
    json_decref(distill(table_path, texts));
    struct train_options options = {.seed = 1, .quiet = true, .n_landmarks = 64, .static_path = table_path};
    cr_assert_eq(head_train(labels, head_path, encoder, &options, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(head_open(&head, head_path, &err), 0, "%s: %s", err.where, err.text);
    return head;
}

Test(distill, a_head_holds_its_table_and_refuses_another_tokenizer, .init = open_all, .fini = close_all)
{
    struct error err = {0};
    struct model *other;
    struct scorer *scorer;
    struct static_table table;
    struct head *head = train();
    unlink(table_path);
    cr_assert_eq(scorer_new(&scorer, head, encoder, &err), 0, "%s: %s", err.where, err.text);
    scorer_free(scorer);
    cr_assert_eq(model_open(&other, other_path, &(struct model_options){.n_threads = 1}, &err), 0, "%s: %s", err.where, err.text);
    cr_assert_eq(scorer_new(&scorer, head, other, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.text, "tokenizer") != NULL, "%s", err.text);
    cr_assert_eq(static_table_open(&table, head_path, &err), 0, "%s: %s", err.where, err.text); /* A head serves as a table. */
    cr_assert_eq(table.n_dims, 32);
    static_table_release(&table);
    struct train_options options = {.quiet = true, .n_landmarks = 64, .static_path = head_path};
    cr_assert_eq(head_train(labels, again_path, other, &options, &err), WEIR_E_INVALID);
    cr_assert(strstr(err.text, "tokenizer") != NULL, "%s", err.text);
    model_close(other);
    head_close(head);
}

/* Any threshold: the route is the same whether the dear tiers are left out where limits allow it, or not. */
Test(distill, leaving_tiers_out_within_limits_changes_no_route, .init = open_all, .fini = close_all)
{
    struct error err = {0};
    struct scorer *scorer;
    struct head *head = train();
    uint64_t state = 77;
    size_t tiers[N_TIERS] = {0};
    for (int view = 0; view < VIEW_ENCODER; view++) { /* So that both tiers have doubts and neither settles by P(local). */
        cr_assert(head_has_margin(head, (enum head_view)view), "%d: %g", view, (double)head->settle[view].margin);
        head->settle[view] = (struct head_settle){-1, 2, view == VIEW_FEATURES ? 0.3F : 0.1F};
    }
    cr_assert_eq(scorer_new(&scorer, head, encoder, &err), 0);
    for (int i = 0; i < 200; i++) {
        char text[256];
        struct arena arena;
        struct score whole, quick;
        words(&state, i % 2, 1 + i % 4, text, sizeof text);
        size_t n = strlen(text);
        words(&state, (i + 1) % 2, i % 3, text + n, sizeof text - n);
        arena_init(&arena, 0);
        cr_assert_eq(scorer_score_text(scorer, str_of(text), &arena, &whole, &err), 0);
        cr_assert_eq(whole.tier, TIER_ENCODER);
        for (double threshold = -0.2; threshold < 1; threshold += 0.1) {
            struct score_limits limits = {threshold, threshold};
            cr_assert_eq(scorer_score_text_within(scorer, str_of(text), &limits, &arena, &quick, &err), 0);
            cr_assert_eq((double)quick.gain > threshold, (double)whole.gain > threshold, "%s at %g: %g by %s, %g by all", text, threshold, (double)quick.gain,
                         score_tier_name(quick.tier), (double)whole.gain);
            tiers[quick.tier]++;
        }
        arena_release(&arena);
    }
    cr_assert(tiers[TIER_FEATURES] > 100 && tiers[TIER_STATIC] > 20 && tiers[TIER_ENCODER] > 20, "%zu, %zu, %zu", tiers[TIER_FEATURES], tiers[TIER_STATIC],
              tiers[TIER_ENCODER]);
    scorer_free(scorer);
    head_close(head);
}

Test(distill, a_tier_without_its_margin_never_answers_for_the_encoder, .init = open_all, .fini = close_all)
{
    struct error err = {0};
    struct scorer *scorer;
    struct score score;
    struct arena arena;
    struct score_limits limits = {0.9, 0.9};
    struct head *head = train();
    for (int view = 0; view < VIEW_ENCODER; view++)
        head->settle[view] = (struct head_settle){-1, 2, INFINITY};
    cr_assert_eq(scorer_new(&scorer, head, encoder, &err), 0);
    arena_init(&arena, 0);
    cr_assert_eq(scorer_score_text_within(scorer, STR("baba beba"), &limits, &arena, &score, &err), 0);
    cr_assert_eq(score.tier, TIER_ENCODER);
    arena_release(&arena);
    scorer_free(scorer);
    head_close(head);
}

Test(distill, expected_tokens_are_those_of_like_questions, .init = open_all, .fini = close_all)
{
    struct error err = {0};
    struct scorer *scorer;
    struct arena arena;
    struct score brief, lengthy;
    json_t *metrics = NULL;
    char text[256];
    uint64_t state = 21;
    struct head *head = train();
    cr_assert_eq(scorer_new(&scorer, head, encoder, &err), 0);
    arena_init(&arena, 0);
    words(&state, 1, 6, text, sizeof text);
    cr_assert_eq(scorer_score_text(scorer, str_of(text), &arena, &brief, &err), 0);
    words(&state, 0, 6, text, sizeof text);
    cr_assert_eq(scorer_score_text(scorer, str_of(text), &arena, &lengthy, &err), 0);
    cr_assert(brief.output_tokens > 10 && brief.output_tokens < 60 && lengthy.output_tokens > 100 && lengthy.output_tokens < 400, "%g and %g",
              (double)brief.output_tokens, (double)lengthy.output_tokens);
    cr_assert_eq(head_evaluate(head, encoder, labels, NULL, &metrics, &err), 0);
    const json_t *lengths = json_object_get(metrics, "output_tokens");
    cr_assert_eq(json_integer_value(json_object_get(lengths, "n")), 400);
    cr_assert_lt(json_number_value(json_object_get(lengths, "log_error")), 0.5 * json_number_value(json_object_get(lengths, "log_error_of_mean")));
    json_decref(metrics);
    arena_release(&arena);
    scorer_free(scorer);
    head_close(head);
}
