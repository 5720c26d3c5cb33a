/* Command line: the table of verbs, and what the batch verbs share. A verb is one file verb_<name>.c with one function. */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

#include "weir_base.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct verb {
    const char *name;
    const char *summary; /* One line for `weir --help`. */
    const char *help;    /* The whole page of `weir <verb> --help`, ending in a newline. */
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an exit code. */
};

/* Long options of a verb, parsed by cli_parse: a flag (without a value), a string, an integer, or a real number. */
struct cli_option {
    const char *name;     /* "--model" without the dashes. */
    bool *flag;           /* One of flag, text, number and real is set. */
    const char **text;
    int64_t *number;
    bool required;
    double *real;
    double least, most;   /* What a number may be, both ends meant: every number states its range. */
    bool words;           /* A text that goes into JSON (a name, not a path): must be UTF-8. */
};
/* The option that verbs with worker threads have in common. */
#define CLI_THREADS(variable) {.name = "threads", .number = &(variable), .most = 1024} /* As in weir.yaml; 0: one for each core. */
/* Any integer, for numbers whose range another states. */
#define CLI_ANY .least = -0x1p63, .most = 0x1p63
/* Parses argv[1…] by the options (ended by a zero name). `--help` prints the verb's page and returns 1. Positional arguments
 * are moved to the front of argv[1…]; *n_positional gets their count (NULL: none are taken). 0 on success; on bad usage prints
 * what is wrong with the nearest known option to stderr and returns WEIR_E_INVALID. */
int cli_parse(const struct verb *verb, int argc, char **argv, const struct cli_option *options, int *n_positional) WEIR_CHECKED;

/* One JSON Lines answer: the verb fills `out` with one object's text without its newline. Returns 0, or a status with err. */
typedef int jsonl_fn(void *user, const json_t *line, struct buffer *out, struct error *err);
/* Reads JSON objects, one a line, from path (NULL or "-": standard input), calls fn for each and prints its answers to
 * standard output in order. The first bad line ends it with a message naming the line and EXIT_FAILED; with keep_going it
 * gives {"id", "error"} instead, and the exit code at the end is EXIT_FAILED. */
int jsonl_run(const char *path, bool keep_going, jsonl_fn *fn, void *user);
/* The same for a verb that works on several lines at once: begin is called as lines are read, finish in their order; index says
 * which of the at_once places a line has. A verb whose answers come by themselves has `ready`: it takes what has come for all lines
 * begun, without waiting, and says whether that of `index` can be finished; wake_fd becomes readable when asking again is worth it.
 * Lines are read as they come: none is waited for while an answer is to be had. drop: a line that was begun is not finished any more. */
struct jsonl_verb {
    int (*begin)(void *user, int index, const json_t *line, struct error *err);
    bool (*ready)(void *user, int index); /* NULL: as soon as it is begun. */
    int (*finish)(void *user, int index, const json_t *line, struct buffer *out, struct error *err);
    void (*drop)(void *user, int index);
    void *user;
    int wake_fd; /* With `ready` only. */
    int at_once; /* Lines read and not yet answered, at most; 0: one. */
};
int jsonl_run_verb(const char *path, bool keep_going, const struct jsonl_verb *verb);
/* Starts an answer: `{` and the line's "id" where it has one, so that members follow as `,"name":…` or first. */
void jsonl_begin(const json_t *line, struct buffer *out);
/* Appends `,"name":` (without the comma right after the brace). */
void jsonl_name(struct buffer *out, const char *name);
/* Appends a float so that it reads back the same. */
void jsonl_float(struct buffer *out, float value);
/* Required integer array member → ids; out is cleared first. */
int jsonl_ids(const json_t *line, const char *name, int32_t **out, size_t *n, struct error *err) WEIR_CHECKED;
/* Prints what a verb has to say to standard output, and releases it. WEIR_E_LIMIT: it was too long; WEIR_E_IO. */
int cli_print(struct buffer *out_take, struct error *err) WEIR_CHECKED;
/* The same of one object, on a line of its own. */
int cli_print_json(const json_t *object, struct error *err) WEIR_CHECKED;
/* Prints "weir <verb>: where: text" to stderr; returns EXIT_FAILED. */
int cli_fail(const char *verb, const struct error *err);

#endif
