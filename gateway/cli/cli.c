/* The table of verbs and the parsing of their options. */
#include "cli/cli.h"
#include "weir_gateway.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* Each verb is declared here and listed once below. */
#define VERBS(X) \
    X(serve) \
    X(route) \
    X(ask) \
    X(chat) \
    X(bench) \
    X(check) \
    X(keys) \
    X(cache) \
    X(knowledge) \
    X(ledger) \
    X(pull) \
    X(generate) \
    X(render) \
    X(tokenize) \
    X(logits) \
    X(models) \
    X(quantize) \
    X(convert) \
    X(merge) \
    X(prune) \
    X(factorise) \
    X(embed) \
    X(classify) \
    X(scan) \
    X(policy) \
    X(score) \
    X(train) \
    X(calibrate) \
    X(distill) \
    X(eval)

#define DECLARE_VERB(name) extern const struct verb verb_##name;
VERBS(DECLARE_VERB)

#define LIST_VERB(name) &verb_##name,
static const struct verb *const verbs[] = {VERBS(LIST_VERB) NULL};

/* Edit distance (Levenshtein) of two short words, for "did you mean". */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n >= sizeof row / sizeof *row)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

static void print_help(FILE *to)
{
    fprintf(to, "Weir: answers what a small model on this machine can answer, lets only the rest out, and only where policy allows.\n\n"
                "usage: weir <verb> [options]      weir <verb> --help explains one\n\n");
    for (const struct verb *const *verb = verbs; *verb != NULL; verb++)
        fprintf(to, "  %-10s %s\n", (*verb)->name, (*verb)->summary);
    fprintf(to, "\nExit codes: 0 done, 1 failed on its input or a check, 2 called wrongly.\n");
}

/* What stdout buffered may find a full disk as late as here: a verb whose answer got lost has failed. */
static int finish(const char *verb, int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return code;
    fprintf(stderr, "weir %s: standard output: %s\n", verb, errno != 0 ? strerror(errno) : "could not be written whole");
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

int weir_main(int argc, char **argv)
{
    json_object_seed(0);
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return finish("--help", EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("weir %s\n", WEIR_VERSION);
        return finish("--version", EXIT_DONE);
    }
    const struct verb *nearest = NULL;
    size_t nearest_distance = 3;
    for (const struct verb *const *verb = verbs; *verb != NULL; verb++) {
        if (strcmp(argv[1], (*verb)->name) == 0)
            return finish((*verb)->name, (*verb)->run(argc - 1, argv + 1));
        size_t distance = edit_distance(argv[1], (*verb)->name);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = *verb;
        }
    }
    fprintf(stderr, "weir: unknown verb \"%s\"", argv[1]);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean \"%s\"?", nearest->name);
    fprintf(stderr, "\n`weir --help` lists them.\n");
    return EXIT_USAGE;
}

static int usage_error(const struct verb *verb, const char *format, ...) WEIR_PRINTF(2, 3);
static int usage_error(const struct verb *verb, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "weir %s: ", verb->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n`weir %s --help` explains its options.\n", verb->name);
    va_end(args);
    return WEIR_E_INVALID;
}

static int option_set(const struct verb *verb, const struct cli_option *option, const char *value)
{
    if (option->words && utf8_first_invalid(str_of(value)) >= 0) {
        return usage_error(verb, "--%s: is not valid UTF-8", option->name);
    } else if (option->text != NULL) {
        *option->text = value;
    } else if (option->number != NULL && parse_i64(str_of(value), option->number) < 0) {
        return usage_error(verb, "--%s: \"%s\" is not an integer", option->name, value);
    } else if (option->real != NULL && parse_f64(str_of(value), option->real) < 0) {
        return usage_error(verb, "--%s: \"%s\" is not a number", option->name, value);
    }
    if (option->number == NULL && option->real == NULL)
        return 0;
    assert(option->least < option->most);
    double number = option->real != NULL ? *option->real : (double)*option->number;
    if (number >= option->least && number <= option->most)
        return 0;
    return usage_error(verb, "--%s: %.10g to %.10g, not %s", option->name, option->least, option->most, value);
}

int cli_parse(const struct verb *verb, int argc, char **argv, const struct cli_option *options, int *n_positional)
{
    uint64_t seen = 0;
    int n = 0;
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_positional || word[0] != '-' || word[1] == '\0') {
            if (n_positional == NULL)
                return usage_error(verb, "unexpected argument \"%s\"", word);
            argv[1 + n++] = argv[i];
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_positional = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            fputs(verb->help, stdout);
            return 1;
        }
        str name = str_of(word), value = {NULL, 0};
        while (name.n > 0 && name.data[0] == '-') {
            name.data++;
            name.n--;
        }
        ptrdiff_t equals = str_find(name, STR("="));
        if (equals >= 0) {
            value = (str){name.data + equals + 1, name.n - (size_t)equals - 1};
            name.n = (size_t)equals;
        }
        char plain[64];
        str_copy(plain, sizeof plain, name);
        const struct cli_option *option = NULL;
        const char *nearest = NULL;
        size_t nearest_distance = 4;
        int index = 0;
        for (int k = 0; options[k].name != NULL; k++) {
            if (str_equal(name, str_of(options[k].name))) {
                option = &options[k];
                index = k;
            }
            size_t distance = edit_distance(plain, options[k].name);
            if (distance < nearest_distance) {
                nearest_distance = distance;
                nearest = options[k].name;
            }
        }
        if (option == NULL && nearest != NULL)
            return usage_error(verb, "unknown option %s; did you mean --%s?", word, nearest);
        if (option == NULL)
            return usage_error(verb, "unknown option %s", word);
        seen |= (uint64_t)1 << index;
        if (option->flag != NULL) {
            if (equals >= 0)
                return usage_error(verb, "--%s takes no value", option->name);
            *option->flag = true;
            continue;
        }
        const char *text = equals >= 0 ? value.data : i + 1 < argc ? argv[++i] : NULL;
        if (text == NULL)
            return usage_error(verb, "--%s needs a value", option->name);
        int status = option_set(verb, option, text);
        if (status < 0)
            return status;
    }
    for (int k = 0; options[k].name != NULL; k++)
        if (options[k].required && (seen >> k & 1) == 0)
            return usage_error(verb, "--%s is required", options[k].name);
    if (n_positional != NULL)
        *n_positional = n;
    return 0;
}

int cli_print(struct buffer *out_take, struct error *err)
{
    bool failed = out_take->failed, written = !failed && fwrite(out_take->data, 1, out_take->n, stdout) == out_take->n && fflush(stdout) == 0;
    buffer_release(out_take);
    if (written)
        return 0;
    return failed ? error_set(err, WEIR_E_LIMIT, "standard output", "what is to be printed is too long") : error_set(err, WEIR_E_IO, "standard output", "cannot be written");
}

int cli_print_json(const json_t *object, struct error *err)
{
    struct buffer out;
    buffer_init(&out, 256 << 20);
    json_write(object, &out);
    buffer_append_char(&out, '\n');
    return cli_print(&out, err);
}

int cli_fail(const char *verb, const struct error *err)
{
    char text[600];
    fprintf(stderr, "weir %s: %s\n", verb, error_format(err, text, sizeof text));
    return EXIT_FAILED;
}
