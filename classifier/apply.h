/* Apply: a head's numbers for one text whose features are known. */
#ifndef WEIR_CLASSIFIER_APPLY_H
#define WEIR_CLASSIFIER_APPLY_H

#include "head.h"

/* Fills all of *out but tier, us and embedding. grams are weighed already. embedding and inner: of VIEW_ENCODER what
 * model_embed_inner gives, of VIEW_STATIC both the table's vector, of VIEW_FEATURES NULL. */
int head_value(const struct head *head, enum head_view view, const float surface[N_SURFACE], const struct grams *grams, const float *embedding,
               const float *inner, struct score *out) WEIR_CHECKED;
/* Whether a rule of the head answers for a text, and what it answers. */
bool head_rule_value(const struct head *head, str text, struct score *out);
/* Whether a view's P(local) is sure enough for its tier to answer alone, and whether it ever is. */
bool head_settles(const struct head *head, enum head_view view, const struct score *score);
bool head_may_settle(const struct head *head, enum head_view view);
/* Whether the view's margin is of use where thresholds are known. */
bool head_has_margin(const struct head *head, enum head_view view);
/* A costlier tier's gain, kept within the view's margin of its own: so a cheaper tier that answers where no threshold lies within
 * the margin routes as all tiers together would. */
float head_within(const struct head *head, enum head_view view, float own, float gain);
/* P(local) by the answer's text alone; head->answer must be present. */
int head_answer_alone(const struct head *head, str question, const struct answer *answer, float *p_local) WEIR_CHECKED;
/* p_local, gain and tier of a question's score, by the answer; as it is where the head has nothing for such an answer. */
int head_answer_value(const struct head *head, str question, const struct answer *answer, struct score *score) WEIR_CHECKED;
/* The same by the answering model's word that it can answer. */
void head_probe_value(const struct head *head, float probe, struct score *score);
/* Reads the features of a text and weighs them. Release the grams also after an error. */
int head_read(const struct head *head, str text, float surface[N_SURFACE], struct grams *grams) WEIR_CHECKED;

#endif
