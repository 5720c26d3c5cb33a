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

int jsonl_run(const char *path, bool keep_going, jsonl_fn *fn, void *user)
{
    bool standard = path == NULL || strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "re");
    if (in == NULL) {
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    struct buffer out;
    buffer_init(&out, LONGEST_ANSWER);
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n;
    int64_t number = 0;
    int code = EXIT_DONE;
    while ((n = getline(&text, &capacity, in)) >= 0) {
        number++;
        str trimmed = str_trim((str){text, (size_t)n});
        if (trimmed.n == 0)
            continue;
        struct error err = {0};
        int status = 0;
        json_t *line = NULL;
        buffer_clear(&out);
        if (trimmed.n > LONGEST_LINE)
            status = error_set(&err, WEIR_E_LIMIT, "", "longer than %d bytes", LONGEST_LINE);
        else if ((line = json_parse(trimmed, &err)) == NULL)
            status = err.status;
        else if (!json_is_object(line))
            status = error_set(&err, WEIR_E_INVALID, "", "not a JSON object");
        else
            status = fn(user, line, &out, &err);
        if (status >= 0 && out.failed)
            status = error_set(&err, WEIR_E_LIMIT, "", "the answer is larger than %d bytes", LONGEST_ANSWER);
        if (status < 0) {
            char message[600];
            code = EXIT_FAILED;
            fprintf(stderr, "weir: %s: line %lld: %s\n", standard ? "standard input" : path, (long long)number,
                    error_format(&err, message, sizeof message));
            if (keep_going)
                answer_error(line, &err, &out);
        }
        json_decref(line);
        if (status < 0 && !keep_going)
            break;
        buffer_append_char(&out, '\n');
        if (fwrite(out.data, 1, out.n, stdout) != out.n) {
            fprintf(stderr, "weir: standard output: %s\n", strerror(errno));
            code = EXIT_FAILED;
            break;
        }
    }
    if (ferror(in)) {
        fprintf(stderr, "weir: %s: %s\n", standard ? "standard input" : path, strerror(errno));
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
