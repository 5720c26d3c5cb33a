/* Scorer: a text through the tiers, cheapest first. A rule answers for texts that are nothing but a greeting or a sum, where the
 * head's training data had enough of them; features answer where the head knows that they are as good as sure; the encoder
 * answers for the rest. Without an encoder the features always answer.
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

static int features_score(const struct head *head, struct model *encoder, str text, struct arena *arena, struct score *out, struct error *err)
{
    float surface[N_SURFACE];
    struct grams grams;
    const float *embedding = NULL;
    int status = head_read(head, text, surface, &grams);
    if (status == 0 && (encoder == NULL || head->settle_low >= 0 || head->settle_high <= 1)) {
        status = head_value(head, surface, &grams, NULL, NULL, out);
        out->tier = TIER_FEATURES;
        if (status == 0 && (encoder == NULL || head_settles(head, out)))
            goto done;
    }
    if (status < 0)
        goto done;
    status = encode(encoder, text, arena, &embedding, err);
    if (status < 0) {
        grams_release(&grams);
        return status;
    }
    status = head_value(head, surface, &grams, embedding, embedding + head->map.n_embd, out);
    out->tier = TIER_ENCODER;
    out->embedding = embedding;
    out->n_embd = head->map.n_embd;
done:
    grams_release(&grams);
    return status < 0 ? error_set(err, status, "", "out of memory") : 0;
}

int scorer_score_text(struct scorer *scorer, str text, struct arena *arena, struct score *out, struct error *err)
{
    int64_t start = clock_now_us();
    *out = (struct score){0};
    if (!head_rule_value(scorer->head, text, out)) {
        int status = features_score(scorer->head, scorer->encoder, text, arena, out, err);
        if (status < 0)
            return status;
    }
    out->text = str_trim(text);
    out->us = clock_now_us() - start;
    return 0;
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

int scorer_score_messages(struct scorer *scorer, const json_t *messages, struct arena *arena, struct score *out, struct error *err)
{
    int64_t start = clock_now_us();
    str text;
    int status = query_text(messages, arena, &text, err);
    if (status == 0)
        status = scorer_score_text(scorer, text, arena, out, err);
    if (status == 0)
        out->us = clock_now_us() - start;
    return status;
}

static json_t *number_or_null(float value)
{
    return isnan(value) ? json_null() : json_real((double)value);
}

json_t *score_json(const struct score *score)
{
    bool named = score->domain != NULL;
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:I}", "p_local", number_or_null(score->p_local), "p_remote", number_or_null(score->p_remote),
                     "gain", number_or_null(score->gain), "domain", named ? json_string(score->domain) : json_null(), "domain_p",
                     number_or_null(named ? score->domain_p : NAN), "oos", number_or_null(named ? score->oos : NAN), "tier",
                     score_tier_name(score->tier), "us", (json_int_t)score->us);
}
