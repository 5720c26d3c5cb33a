/* JSON Lines in and out: how the batch verbs read their questions and print their answers, one a line, in order. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>

enum { LONGEST_LINE = 256 << 20, LONGEST_ANSWER = 1 << 30 };

static void answer_error(const json_t *line, const struct error *err, struct buffer *out)
{
    char text[600];
    buffer_clear(out);
    jsonl_begin(line, out);
    jsonl_name(out, "error");
    buffer_append_json_string(out, str_of(error_format(err, text, sizeof text)));
    buffer_append_char(out, '}');
}

/* One line on its way from question to answer. */
struct slot {
    json_t *line;
    int64_t number;
    int status;
    struct error err;
};

/* Parses one line and starts it. */
static void slot_begin(struct slot *slot, str text, int64_t number, const struct jsonl_verb *verb, int index)
{
    *slot = (struct slot){.number = number};
    if (text.n > LONGEST_LINE)
        slot->status = error_set(&slot->err, WEIR_E_LIMIT, "", "longer than %d bytes", LONGEST_LINE);
    else if ((slot->line = json_parse(text, &slot->err)) == NULL)
        slot->status = slot->err.status;
    else if (!json_is_object(slot->line))
        slot->status = error_set(&slot->err, WEIR_E_INVALID, "", "not a JSON object");
    else if (verb->begin != NULL)
        slot->status = verb->begin(verb->user, index, slot->line, &slot->err);
}

/* Finishes the line and prints its answer. False: the run ends here. */
static bool slot_finish(struct slot *slot, const struct jsonl_verb *verb, int index, const char *name, bool keep_going,
                        struct buffer *out, int *code)
{
    buffer_clear(out);
    if (slot->status >= 0)
        slot->status = verb->finish(verb->user, index, slot->line, out, &slot->err);
    if (slot->status >= 0 && out->failed)
        slot->status = error_set(&slot->err, WEIR_E_LIMIT, "", "the answer is larger than %d bytes", LONGEST_ANSWER);
    if (slot->status < 0) {
        char message[600];
        *code = EXIT_FAILED;
        fprintf(stderr, "weir: %s: line %lld: %s\n", name, (long long)slot->number, error_format(&slot->err, message, sizeof message));
        if (keep_going)
            answer_error(slot->line, &slot->err, out);
    }
    json_decref(slot->line);
    slot->line = NULL;
    if (slot->status < 0 && !keep_going)
        return false;
    buffer_append_char(out, '\n');
    if (fwrite(out->data, 1, out->n, stdout) == out->n)
        return true;
    *code = EXIT_FAILED; /* weir_main says why. */
    return false;
}

int jsonl_run_verb(const char *path, bool keep_going, const struct jsonl_verb *verb)
{
    bool standard = path == NULL || strcmp(path, "-") == 0, open = true;
    const char *name = standard ? "standard input" : path;
    FILE *in = standard ? stdin : fopen(path, "re");
    if (in == NULL) {
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    struct buffer out;
    buffer_init(&out, LONGEST_ANSWER);
    struct slot slots[JSONL_MOST_AT_ONCE];
    int width = verb->at_once > 1 ? verb->at_once : 1, first = 0, n = 0, code = EXIT_DONE;
    char *text = NULL;
    size_t capacity = 0;
    int64_t number = 0;
    for (bool go_on = true; go_on;) {
        ssize_t length = open && n < width ? getline(&text, &capacity, in) : -1;
        if (length >= 0) {
            number++;
            str trimmed = str_trim((str){text, (size_t)length});
            if (trimmed.n == 0)
                continue;
            int index = (first + n++) % width;
            slot_begin(&slots[index], trimmed, number, verb, index);
            continue;
        }
        open = open && n == width;
        if (n == 0)
            break;
        go_on = slot_finish(&slots[first], verb, first, name, keep_going, &out, &code);
        first = (first + 1) % width;
        n--;
    }
    for (; n > 0; n--, first = (first + 1) % width) {
        if (slots[first].status >= 0 && verb->drop != NULL)
            verb->drop(verb->user, first);
        json_decref(slots[first].line);
    }
    if (ferror(in)) {
        fprintf(stderr, "weir: %s: %s\n", name, strerror(errno));
        code = EXIT_FAILED;
    }
    if (fflush(stdout) != 0)
        code = EXIT_FAILED;
    free(text);
    buffer_release(&out);
    if (!standard)
        fclose(in);
    return code;
}

/* The simple form: a line is answered before the next is read. */
struct simple {
    jsonl_fn *fn;
    void *user;
};

static int simple_finish(void *user, int index, const json_t *line, struct buffer *out, struct error *err)
{
    (void)index;
    const struct simple *simple = user;
    return simple->fn(simple->user, line, out, err);
}

int jsonl_run(const char *path, bool keep_going, jsonl_fn *fn, void *user)
{
    struct simple simple = {fn, user};
    return jsonl_run_verb(path, keep_going, &(struct jsonl_verb){.finish = simple_finish, .user = &simple});
}

void jsonl_begin(const json_t *line, struct buffer *out)
{
    json_t *id = json_object_get(line, "id");
    buffer_append_char(out, '{');
    if (id != NULL) {
        buffer_append_text(out, "\"id\":");
        json_write(id, out);
    }
}

void jsonl_name(struct buffer *out, const char *name)
{
    if (out->n > 0 && out->data[out->n - 1] != '{')
        buffer_append_char(out, ',');
    buffer_append_json_string(out, str_of(name));
    buffer_append_char(out, ':');
}

void jsonl_float(struct buffer *out, float value)
{
    if (value - value != 0)
        buffer_append_text(out, "null"); /* JSON has no infinities. */
    else
        buffer_printf(out, "%.9g", (double)value);
}

int jsonl_ids(const json_t *line, const char *name, int32_t **out, size_t *n, struct error *err)
{
    json_t *array;
    int status = json_member_array(line, name, &array, err);
    if (status < 0)
        return status;
    if (status == 0)
        return error_set(err, WEIR_E_INVALID, name, "is required");
    size_t count = json_array_size(array);
    int32_t *ids = malloc((count > 0 ? count : 1) * sizeof *ids);
    if (ids == NULL)
        return error_set(err, WEIR_E_MEMORY, name, "out of memory");
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(array, i);
        if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > INT32_MAX) {
            free(ids);
            return error_set(err, WEIR_E_INVALID, name, "element %zu is not a token id", i);
        }
        ids[i] = (int32_t)json_integer_value(item);
    }
    *out = ids;
    *n = count;
    return 0;
}
