/* Map: from features and embedding to the space the linear heads live in. */
#ifndef WEIR_CLASSIFIER_MAP_H
#define WEIR_CLASSIFIER_MAP_H

#include "lexical.h"

enum { MOST_LANDMARKS = 1536, MOST_EMBD = 8192 };

struct map {
    int n_embd;               /* Of the encoder; 0: features only. */
    int n_landmarks;          /* Texts of the training data that others are compared with. 0 without an encoder. */
    float mean[N_SURFACE];
    float inverse_sd[N_SURFACE];
    float *idf;               /* N_BUCKETS; 0 for a bucket that training never saw. */
    float *landmarks;         /* n_landmarks × (n_embd + N_SURFACE): embedding beside scaled surface features. */
    float landmark_squares[MOST_LANDMARKS]; /* Their squared lengths. */
};

/* Dense numbers a text has: surface features first, so that the features tier uses a prefix; then its likeness to each landmark. */
int map_n_dense(const struct map *map);
int map_init(struct map *map, int n_embd, int n_landmarks) WEIR_CHECKED; /* Release also after an error. */
void map_release(struct map *map);
/* Learns means, deviations and document frequencies. surfaces: n × N_SURFACE. */
int map_fit(struct map *map, const float *surfaces, const struct grams *grams, size_t n) WEIR_CHECKED;
/* Makes a text a landmark; after map_fit. */
void map_set_landmark(struct map *map, int index, const float surface[N_SURFACE], const float *embedding);
/* After landmarks were filled in some other way. */
void map_measure_landmarks(struct map *map);
/* out: map_n_dense floats, or N_SURFACE when embedding is NULL. */
void map_dense(const struct map *map, const float surface[N_SURFACE], const float *embedding, float *out);
/* Values become tf-idf: words and characters each of squared length 1/2. */
void map_weigh(const struct map *map, struct grams *grams);

#endif
