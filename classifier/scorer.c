/* Scorer: a text through the tiers, cheapest first. A rule answers for texts that are nothing but a greeting or a sum, where the
 * head's training data had enough of them; features answer where the head knows that they are as good as sure, or, where
 * the thresholds are known, that the encoder would hardly ever be on their other side; then the static table, where the head
 * holds one, on the same terms; the encoder answers for the rest. Without an encoder (whose tokenizer the
 * table needs too) the features always answer.
 *
 * Threads: a scorer holds nothing that changes, so any number of threads may use it; encoder passes serialise in the model. */
#include "apply.h"
#include "query.h"

#include <math.h>
#include <stdlib.h>

struct scorer {
    const struct head *head;
    struct model *encoder; /* NULL: features only. */
};

int scorer_new(struct scorer **out, const struct head *head, struct model *encoder, struct error *err)
{
    if (head->map.n_embd == 0)
        encoder = NULL;
    if (encoder != NULL && model_info_peek(encoder)->n_embd != head->map.n_embd)
        return error_set(err, WEIR_E_INVALID, head->id, "was trained on an encoder of width %d (%s), this one has %d", head->map.n_embd,
                         head->encoder, model_info_peek(encoder)->n_embd);
    if (encoder != NULL && head->table.n_tokens > 0) {
        char vocabulary[2 * SHA256_BYTES + 1];
        int status = model_tokenizer_peek(encoder) == NULL ? error_set(err, WEIR_E_UNSUPPORTED, model_info_peek(encoder)->path, "has no tokenizer")
                                                           : static_vocabulary(model_tokenizer_peek(encoder), vocabulary, err);
        if (status < 0)
            return status;
        if (strcmp(vocabulary, head->table.vocabulary) != 0)
            return error_set(err, WEIR_E_INVALID, head->id, "holds a static table of %s, whose tokenizer this encoder does not have", head->table.encoder);
    }
    struct scorer *scorer = malloc(sizeof *scorer);
    if (scorer == NULL)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    *scorer = (struct scorer){head, encoder};
    *out = scorer;
    return 0;
}

void scorer_free(struct scorer *scorer)
{
    free(scorer);
}

/* Embedding and, after it, inner vector. */
static int encode(struct model *encoder, str text, struct arena *arena, const float **out, struct error *err)
{
    struct ids ids = {0};
    size_t width = (size_t)model_info_peek(encoder)->n_embd;
    float *embedding = arena_array(arena, 2 * width, sizeof *embedding);
    int status = embedding == NULL ? error_set(err, WEIR_E_MEMORY, "", "no room for the embedding") : model_text_ids(encoder, text, &ids, err);
    if (status == 0)
        status = model_embed_inner(encoder, &(struct encoder_input){.ids = ids.data, .n = ids.n}, 1, embedding, embedding + width, err);
    ids_release(&ids);
    *out = embedding;
    return status;
}

/* What the tiers so far say of a text. */
struct scoring {
    const struct head *head;
    const struct score_limits *limits;
    float surface[N_SURFACE];
    struct grams grams;
    float gains[N_HEAD_VIEWS];
    bool asked[N_HEAD_VIEWS];
    float output_tokens; /* By the features, whatever tier decides. */
};

/* A gain as the cheaper tiers that were asked allow it. */
static float within_cheaper(const struct scoring *s, enum head_view view, float gain)
{
    for (int cheaper = (int)view - 1; cheaper >= 0; cheaper--)
        if (s->asked[cheaper])
            gain = head_within(s->head, (enum head_view)cheaper, s->gains[cheaper], gain);
    return gain;
}

/* Asks one view; *settled: it answers alone. */
static int ask(struct scoring *s, enum head_view view, const float *embedding, const float *inner, struct score *out, bool *settled)
{
    const struct score_limits *limits = s->limits;
    int status = head_value(s->head, view, s->surface, &s->grams, embedding, inner, out);
    if (status < 0)
        return status;
    if (view == VIEW_FEATURES)
        s->output_tokens = out->output_tokens;
    out->output_tokens = s->output_tokens;
    float own = out->gain, margin = s->head->settle[view].margin;
    s->gains[view] = own;
    s->asked[view] = true;
    out->gain = within_cheaper(s, view, own);
    *settled = head_settles(s->head, view, out);
    if (limits != NULL && isfinite(margin))
        *settled = *settled || (double)within_cheaper(s, view, own + margin) <= limits->low ||
                   (double)within_cheaper(s, view, own - margin) > limits->high;
    return 0;
}

static bool is_worth_asking(const struct scoring *s, enum head_view view)
{
    return head_may_settle(s->head, view) || head_has_margin(s->head, view) || s->head->linear[view][HEAD_TOKENS].present;
}

static int score_by_tiers(struct scoring *s, struct model *encoder, str text, struct arena *arena, struct score *out, struct error *err)
{
    const struct head *head = s->head;
    const float *embedding = NULL;
    bool settled = false;
    int status = head_read(head, text, s->surface, &s->grams);
    if (status == 0 && (encoder == NULL || is_worth_asking(s, VIEW_FEATURES))) {
        status = ask(s, VIEW_FEATURES, NULL, NULL, out, &settled);
        out->tier = TIER_FEATURES;
        settled = settled || encoder == NULL;
    }
    if (status < 0 || settled)
        return status < 0 ? error_set(err, status, "", "out of memory") : 0;
    if (is_worth_asking(s, VIEW_STATIC)) {
        float vector[STATIC_MOST_DIMS];
        status = static_table_embed(&head->table, model_tokenizer_peek(encoder), text, vector, err);
        if (status < 0)
            return status;
        if (ask(s, VIEW_STATIC, vector, vector, out, &settled) < 0)
            return error_set(err, WEIR_E_MEMORY, "", "out of memory");
        out->tier = TIER_STATIC;
        if (settled)
            return 0;
    }
    status = encode(encoder, text, arena, &embedding, err);
    if (status < 0)
        return status;
    if (ask(s, VIEW_ENCODER, embedding, embedding + head->map.n_embd, out, &settled) < 0)
        return error_set(err, WEIR_E_MEMORY, "", "out of memory");
    out->tier = TIER_ENCODER;
    out->embedding = embedding;
    out->n_embd = head->map.n_embd;
    return 0;
}

int scorer_score_text_within(struct scorer *scorer, str text, const struct score_limits *limits, struct arena *arena, struct score *out, struct error *err)
{
    int64_t start = clock_now_us();
    *out = (struct score){0};
    if (!head_rule_value(scorer->head, text, out)) {
        struct scoring scoring = {.head = scorer->head, .limits = limits, .output_tokens = NAN};
        int status = score_by_tiers(&scoring, scorer->encoder, text, arena, out, err);
        grams_release(&scoring.grams);
        if (status < 0)
            return status;
    }
    out->text = str_trim(text);
    out->us = clock_now_us() - start;
    return 0;
}

int scorer_score_text(struct scorer *scorer, str text, struct arena *arena, struct score *out, struct error *err)
{
    return scorer_score_text_within(scorer, text, NULL, arena, out, err);
}

int scorer_score_answer(struct scorer *scorer, str question, const struct answer *answer, struct score *score, struct error *err)
{
    int64_t start = clock_now_us();
    int status = head_answer_value(scorer->head, question, answer, score);
    score->us += clock_now_us() - start;
    return status < 0 ? error_set(err, status, "answer", "out of memory") : 0;
}

void scorer_score_probe(struct scorer *scorer, float probe, struct score *score)
{
    int64_t start = clock_now_us();
    head_probe_value(scorer->head, probe, score);
    score->us += clock_now_us() - start;
}

int scorer_score_messages_within(struct scorer *scorer, const json_t *messages, const struct score_limits *limits, struct arena *arena, struct score *out,
                                 struct error *err)
{
    int64_t start = clock_now_us();
    str text;
    int status = query_text(messages, arena, &text, err);
    if (status == 0)
        status = scorer_score_text_within(scorer, text, limits, arena, out, err);
    if (status == 0)
        out->us = clock_now_us() - start;
    return status;
}

int scorer_score_messages(struct scorer *scorer, const json_t *messages, struct arena *arena, struct score *out, struct error *err)
{
    return scorer_score_messages_within(scorer, messages, NULL, arena, out, err);
}

static json_t *number_or_null(float value)
{
    return isnan(value) ? json_null() : json_real((double)value);
}

json_t *score_json(const struct score *score)
{
    bool named = score->domain != NULL;
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:I}", "p_local", number_or_null(score->p_local), "p_remote", number_or_null(score->p_remote),
                     "gain", number_or_null(score->gain), "domain", named ? json_string(score->domain) : json_null(), "domain_p",
                     number_or_null(named ? score->domain_p : NAN), "oos", number_or_null(named ? score->oos : NAN), "output_tokens",
                     number_or_null(score->output_tokens), "tier",
                     score_tier_name(score->tier), "us", (json_int_t)score->us);
}
