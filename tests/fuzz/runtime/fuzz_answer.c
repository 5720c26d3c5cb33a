/* Any text is an answer: however it is cut, the parts told are the same, calls are well nested, and nothing is lost. The first byte
 * chooses a notation; from 'z' on the input is a template, a NUL, and the answer. */
#include "chat/answer_format.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const struct answer_format formats[] = {
    {.form = CALL_JSON, .call_open = "<tool_call>", .call_close = "</tool_call>", .name_key = "name", .arguments_key = "arguments", .think_open = "<think>", .think_close = "</think>"},
    {.form = CALL_JSON, .bare = true, .list_open = "<|python_tag|>", .name_key = "name", .arguments_key = "parameters"},
    {.form = CALL_JSON, .in_array = true, .call_open = "[TOOL_CALLS]", .name_key = "name", .arguments_key = "arguments"},
    {.form = CALL_NAMED, .list_open = "<calls>", .call_open = "<call>", .call_close = "</call>", .list_close = "</calls>", .think_open = "<think>", .think_close = "</think>"},
    {.form = CALL_NAMED, .call_open = ">>>", .primer = ">>>", .content_open = ">>>all\n"},
    {.form = CALL_TAGGED, .call_open = "<tool_call>\n<function=", .call_close = "</function>\n</tool_call>", .name_end = ">", .key_open = "<parameter=", .key_end = ">", .value_end = "</parameter>"},
    {.form = CALL_LITERAL, .list_open = "<|calls|>[", .list_close = "]<|end|>", .bracket = '(', .assign = "=", .quote = "'"},
    {.form = CALL_LITERAL, .call_open = "<|call>call:", .call_close = "<call|>", .bracket = '{', .assign = ":", .quote = "<|\"|>", .content_open = "<say>", .content_close = "</say>"},
};

struct told {
    struct buffer parts;
    int depth, last;
};

static void on_part(void *user, enum answer_part part, str text)
{
    struct told *told = user;
    if (part == ANSWER_CALL)
        told->depth++;
    if (told->depth != (part == ANSWER_CALL || part == ANSWER_ARGUMENTS || part == ANSWER_CALL_END))
        abort();
    if (part == ANSWER_CALL_END)
        told->depth--;
    if ((int)part != told->last || part == ANSWER_CALL)
        buffer_append_char(&told->parts, (char)('0' + part));
    told->last = (int)part;
    buffer_append_str(&told->parts, text);
}

static void read_answer(const struct answer_format *format, const json_t *tools, str text, size_t seed, struct told *told)
{
    struct answer_reader *reader;
    struct answer_reading reading = {.tools = tools, .part = on_part, .user = told};
    *told = (struct told){.last = -1};
    buffer_init(&told->parts, 1 << 24);
    if (answer_reader_new(&reader, format, &reading) < 0)
        abort();
    for (size_t at = 0; at < text.n;) {
        size_t n = seed == 0 ? text.n : 1 + (seed >> (at % 17)) % 9;
        n = n < text.n - at ? n : text.n - at;
        if (answer_reader_push(reader, (str){text.data + at, n}) < 0)
            abort();
        at += n;
    }
    if (answer_reader_finish(reader) < 0 || told->depth != 0)
        abort();
    answer_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static json_t *tools, *variables;
    struct answer_format learnt, *format = &learnt;
    struct told whole, cut;
    if (tools == NULL) {
        tools = json_pack("[{s:s, s:{s:s, s:{s:{s:{s:s}, s:{s:s}}}}}]", "type", "function", "function", "name", "f", "parameters", "properties", "a", "type",
                          "string", "b", "type", "integer");
        variables = json_object();
    }
    if (n_bytes == 0 || n_bytes > 1 << 16)
        return 0;
    str text = {(const char *)data + 1, n_bytes - 1};
    if (data[0] < 'z') {
        learnt = formats[data[0] % (sizeof formats / sizeof *formats)];
    } else {
        struct chat_template *template = NULL;
        const char *end = memchr(text.data, '\0', text.n);
        str source = {text.data, end != NULL ? (size_t)(end - text.data) : text.n};
        if (template_compile(&template, source, NULL) < 0)
            return 0;
        int status = answer_format_learn(&learnt, template, source, variables, NULL);
        template_free(template);
        if (status < 0)
            return 0;
        text = (str){source.data + source.n, text.n - source.n};
    }
    read_answer(format, tools, text, 0, &whole);
    read_answer(format, tools, text, 1, &cut);
    if (!str_equal(buffer_str(&whole.parts), buffer_str(&cut.parts)))
        abort();
    buffer_release(&cut.parts);
    read_answer(format, tools, text, 0x9e3779b9u ^ n_bytes, &cut);
    if (!str_equal(buffer_str(&whole.parts), buffer_str(&cut.parts)))
        abort();
    buffer_release(&cut.parts);
    buffer_release(&whole.parts);
    return 0;
}
