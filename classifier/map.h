/* Map: from features and embedding to the space the linear heads live in. */
#ifndef WEIR_CLASSIFIER_MAP_H
#define WEIR_CLASSIFIER_MAP_H

#include "lexical.h"
#include "surface.h"

enum { MOST_LANDMARKS = 1536, MOST_EMBD = 8192, MOST_FORM = 96 };
enum map_kind { MAP_QUESTIONS, MAP_ANSWERS };

struct map {
    enum map_kind kind;     /* What its texts are: forms of feature_surface, or of answer_form. */
    int n_form;             /* Numbers of such a form. */
    int n_embd;             /* Of the encoder; 0: features only. */
    int n_landmarks;        /* Texts of the training data that others are compared with. */
    float mean[MOST_FORM];
    float inverse_sd[MOST_FORM];
    float *center;          /* n_embd: mean of the inner vectors. */
    float *idf;             /* N_BUCKETS; 0 for a bucket that training never saw. */
    float *topics;          /* n_landmarks × n_embd: unit vectors from the center. */
    float *forms;           /* n_landmarks × n_form, standardised. */
};

int map_init(struct map *map, enum map_kind kind, int n_embd, int n_landmarks) WEIR_CHECKED; /* Release also after an error. */
void map_release(struct map *map);
/* Learns means, deviations and document frequencies. forms: n × n_form, inners (model_embed_inner): n × n_embd or NULL. */
int map_fit(struct map *map, const float *forms, const float *inners, const struct grams *grams, size_t n) WEIR_CHECKED;
/* Makes a text a landmark; after map_fit. inner NULL without an encoder. */
void map_set_landmark(struct map *map, int index, const float *form, const float *inner);
/* out: n_landmarks likenesses; of the form alone when inner is NULL. */
void map_dense(const struct map *map, const float *form, const float *inner, float *out);
/* Values become tf-idf: words and characters each of squared length 1/2. */
void map_weigh(const struct map *map, struct grams *grams);

/* The standardised surface and, n_embd numbers of about unit variance, the direction of inner: N_SURFACE + n_embd floats. */
void map_plain(const struct map *map, const float surface[N_SURFACE], const float *inner, float *out);

#endif
