/* Head parts: what head_file.c puts a head together from. head_arrays.c reads a file's arrays, head_members.c the members of its
 * header that need none, head_parts.c those that go with arrays.
 *
 * All return 0 or a negative status with *err set to what is wrong and where; the head is then released by its owner. A part that
 * the file does not have is left as head_new made it. */
#ifndef WEIR_CLASSIFIER_HEAD_PARTS_H
#define WEIR_CLASSIFIER_HEAD_PARTS_H

#include "head.h"
#include "head_format.h"

/* A file in memory, borrowed; its table of arrays lies wholly in it. */
struct head_reader {
    const uint8_t *data;
    size_t n_bytes;
    uint32_t n_arrays;
    struct error *err;
};

uint64_t head_uint(const uint8_t *at, int n_bytes); /* Little-endian. */
/* *out: the n_words words of four bytes of the named array, borrowed from data. */
int head_array_find(const uint8_t *data, size_t n_bytes, uint32_t n_arrays, const char *name, const uint8_t **out, size_t *n_words, struct error *err) WEIR_CHECKED;
/* Copies the named array of exactly n finite floats. */
int head_array_read(const struct head_reader *reader, const char *name, float *out, size_t n) WEIR_CHECKED;
/* The arrays of a map of known size; their names begin with prefix. */
int head_array_map(const struct head_reader *reader, const char *prefix, struct map *map) WEIR_CHECKED;

/* Required members: a finite number, an integer in low … high, n finite numbers, a calibration's two, a word of less than n_out bytes. */
int member_number(const json_t *object, const char *name, double *out, struct error *err) WEIR_CHECKED;
int member_integer(const json_t *object, const char *name, int64_t low, int64_t high, int64_t *out, struct error *err) WEIR_CHECKED;
int member_numbers(const json_t *object, const char *name, float *out, size_t n, struct error *err) WEIR_CHECKED;
int member_platt(const json_t *object, struct platt *out, struct error *err) WEIR_CHECKED;
int member_word(const json_t *object, const char *name, char *out, size_t n_out, struct error *err) WEIR_CHECKED;

int head_parse_domains(struct head *head, const json_t *header, struct error *err) WEIR_CHECKED;
int head_parse_rules(struct head *head, const json_t *header, struct error *err) WEIR_CHECKED; /* After the domains. */
int head_parse_promises(struct head *head, const json_t *header, struct error *err) WEIR_CHECKED;
int head_parse_settle(struct head *head, const json_t *header, struct error *err) WEIR_CHECKED;
int head_parse_isotonic(const json_t *object, struct isotonic *out, struct error *err) WEIR_CHECKED;
int head_parse_blend(const json_t *object, const char *name, struct blend *blend, struct error *err) WEIR_CHECKED;
int head_parse_gain(struct head *head, const json_t *view_json, int view, struct error *err) WEIR_CHECKED; /* After the view's targets. */

int head_parse_map(struct head *head, const struct head_reader *reader, const json_t *header) WEIR_CHECKED;
int head_parse_static(struct head *head, const struct head_reader *reader, const json_t *header) WEIR_CHECKED;  /* After the map. */
int head_parse_network(struct head *head, const struct head_reader *reader, const json_t *header) WEIR_CHECKED; /* After the map. */
int head_parse_answer(struct head *head, const struct head_reader *reader, const json_t *header) WEIR_CHECKED;
/* After all of those: one view's heads. */
int head_parse_target(struct head *head, const struct head_reader *reader, const json_t *view_json, int view, int target) WEIR_CHECKED;
int head_parse_domain(struct head *head, const struct head_reader *reader, const json_t *view_json, int view) WEIR_CHECKED;

#endif
