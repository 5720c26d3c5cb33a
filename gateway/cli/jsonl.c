/* JSON Lines in and out: how the batch verbs read their questions and print their answers, one a line, in order. */
#include "cli/cli.h"
#include "cli/line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* Lines ahead of the first that is not answered are no more once they have so many bytes together. */
enum { LONGEST_LINE = 256 << 20, LONGEST_ANSWER = 1 << 30, MOST_BYTES_AHEAD = 16 << 20 };

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
    size_t n_bytes;
    int status;
    struct error err;
};

/* Lines that were read and are not answered yet: a ring of as many as the verb works on at once. */
struct lines {
    const struct jsonl_verb *verb;
    const char *name; /* Of the input. */
    bool keep_going;
    struct line_reader reader;
    struct slot *slots;
    int width, first, n;
    size_t n_bytes;
    struct buffer out;
    int code;
};

/* Parses one line and starts it. */
static void lines_begin(struct lines *lines, enum line_got got, str text)
{
    const struct jsonl_verb *verb = lines->verb;
    int index = (lines->first + lines->n++) % lines->width;
    struct slot *slot = &lines->slots[index];
    *slot = (struct slot){.number = lines->reader.number, .n_bytes = text.n};
    lines->n_bytes += text.n;
    if (got == LINE_TOO_LONG)
        slot->status = error_set(&slot->err, WEIR_E_LIMIT, "", "longer than %d bytes", LONGEST_LINE);
    else if ((slot->line = json_parse(text, &slot->err)) == NULL)
        slot->status = slot->err.status;
    else if (!json_is_object(slot->line))
        slot->status = error_set(&slot->err, WEIR_E_INVALID, "", "not a JSON object");
    else if (verb->begin != NULL)
        slot->status = verb->begin(verb->user, index, slot->line, &slot->err);
}

static bool lines_first_is_ready(const struct lines *lines)
{
    const struct jsonl_verb *verb = lines->verb;
    if (lines->n == 0)
        return false;
    bool ready = verb->ready == NULL || verb->ready(verb->user, lines->first);
    return ready || lines->slots[lines->first].status < 0;
}

/* Finishes the first line and prints its answer. False: the run ends here. */
static bool lines_finish(struct lines *lines)
{
    const struct jsonl_verb *verb = lines->verb;
    struct slot *slot = &lines->slots[lines->first];
    struct buffer *out = &lines->out;
    buffer_clear(out);
    if (slot->status >= 0)
        slot->status = verb->finish(verb->user, lines->first, slot->line, out, &slot->err);
    if (slot->status >= 0 && out->failed)
        slot->status = error_set(&slot->err, WEIR_E_LIMIT, "", "the answer is larger than %d bytes", LONGEST_ANSWER);
    int status = slot->status;
    if (status < 0) {
        char message[600];
        lines->code = EXIT_FAILED;
        fprintf(stderr, "weir: %s: line %lld: %s\n", lines->name, (long long)slot->number, error_format(&slot->err, message, sizeof message));
        if (lines->keep_going)
            answer_error(slot->line, &slot->err, out);
    }
    json_decref(slot->line);
    lines->n_bytes -= slot->n_bytes;
    lines->first = (lines->first + 1) % lines->width;
    lines->n--;
    if (status < 0 && !lines->keep_going)
        return false;
    buffer_append_char(out, '\n');
    if (fwrite(out->data, 1, out->n, stdout) == out->n)
        return true;
    lines->code = EXIT_FAILED; /* weir_main says why. */
    return false;
}

/* Until a line comes, where one is wanted, or an answer gets on. Who reads the answers gets those that are there. */
static bool lines_wait(struct lines *lines, bool for_input)
{
    struct pollfd fds[2];
    nfds_t n = 0;
    if (for_input)
        fds[n++] = (struct pollfd){.fd = lines->reader.fd, .events = POLLIN};
    if (lines->n > 0)
        fds[n++] = (struct pollfd){.fd = lines->verb->wake_fd, .events = POLLIN};
    if (fflush(stdout) != 0) {
        lines->code = EXIT_FAILED;
        return false;
    }
    poll(fds, n, -1);
    return true;
}

static void lines_run(struct lines *lines)
{
    bool open = true;
    for (bool go_on = true; go_on && (open || lines->n > 0);) {
        if (lines_first_is_ready(lines)) {
            go_on = lines_finish(lines);
            continue;
        }
        bool has_room = open && lines->n < lines->width && (lines->n == 0 || lines->n_bytes < MOST_BYTES_AHEAD);
        str text = {NULL, 0};
        enum line_got got = has_room ? line_reader_next(&lines->reader, &text) : LINE_NOT_YET;
        if (got == LINE_END)
            open = false;
        else if (got == LINE_NOT_YET)
            go_on = lines_wait(lines, has_room);
        else if (got == LINE_TOO_LONG || (text = str_trim(text)).n > 0)
            lines_begin(lines, got, text);
    }
}

int jsonl_run_verb(const char *path, bool keep_going, const struct jsonl_verb *verb)
{
    bool standard = path == NULL || strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    struct lines lines = {.verb = verb, .name = standard ? "standard input" : path, .keep_going = keep_going,
                          .width = verb->at_once > 1 ? verb->at_once : 1, .code = EXIT_DONE};
    line_reader_init(&lines.reader, fd, LONGEST_LINE);
    buffer_init(&lines.out, LONGEST_ANSWER);
    lines.slots = calloc((size_t)lines.width, sizeof *lines.slots);
    if (lines.slots == NULL) {
        fprintf(stderr, "weir: %s: out of memory\n", lines.name);
        lines.code = EXIT_FAILED;
    } else {
        lines_run(&lines);
    }
    for (; lines.n > 0; lines.n--, lines.first = (lines.first + 1) % lines.width) {
        if (lines.slots[lines.first].status >= 0 && verb->drop != NULL)
            verb->drop(verb->user, lines.first);
        json_decref(lines.slots[lines.first].line);
    }
    if (lines.reader.failed != 0) {
        fprintf(stderr, "weir: %s: %s\n", lines.name, strerror(lines.reader.failed));
        lines.code = EXIT_FAILED;
    }
    if (fflush(stdout) != 0)
        lines.code = EXIT_FAILED;
    free(lines.slots);
    buffer_release(&lines.out);
    line_reader_release(&lines.reader);
    if (!standard)
        close(fd);
    return lines.code;
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
