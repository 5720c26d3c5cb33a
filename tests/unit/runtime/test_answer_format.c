/* What is learnt from real templates: each one's own rendering of calls, reasoning and text is read back as what it was made of. */
#include "chat/lesson.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define FOLDER WEIR_SHARED_DIR "/fixtures/templates"

struct learnt {
    struct chat_template *template;
    json_t *expected;
    struct answer_format format;
};

static void open_template(struct learnt *out, const char *name)
{
    char path[1024];
    struct buffer source, text;
    struct error err = {0};
    buffer_init(&source, 4 << 20);
    buffer_init(&text, 64 << 20);
    snprintf(path, sizeof path, FOLDER "/models/%s.jinja", name);
    cr_assert_eq(file_read(path, &source, &err), 0, "%s is needed: %s", path, err.text);
    snprintf(path, sizeof path, FOLDER "/expected/%s.json", name);
    cr_assert_eq(file_read(path, &text, &err), 0, "%s is needed: %s", path, err.text);
    out->expected = json_parse(buffer_str(&text), &err);
    cr_assert_not_null(out->expected);
    cr_assert_eq(template_compile(&out->template, buffer_str(&source), &err), 0, "%s: %s", name, err.text);
    cr_assert_eq(answer_format_learn(&out->format, out->template, buffer_str(&source), json_object_get(out->expected, "tokens"), &err), 0);
    buffer_release(&source);
    buffer_release(&text);
}

static void close_template(struct learnt *learnt)
{
    template_free(learnt->template);
    json_decref(learnt->expected);
}

/* What a reader tells, as lines: "content …", "reasoning …", "call name(arguments)". */
struct told {
    struct buffer lines, text;
    enum answer_part part;
    bool in_call;
    bool anew; /* Arguments are parsed and written anew. */
};

static void end_line(struct told *told)
{
    static const char *const names[] = {[ANSWER_CONTENT] = "content ", [ANSWER_REASONING] = "reasoning "};
    if (told->text.n > 0) {
        buffer_append_text(&told->lines, names[told->part]);
        buffer_append_json_string(&told->lines, buffer_str(&told->text));
        buffer_append_char(&told->lines, '\n');
    }
    buffer_clear(&told->text);
}

static void on_part(void *user, enum answer_part part, str text)
{
    struct told *told = user;
    switch (part) {
    case ANSWER_CONTENT:
    case ANSWER_REASONING:
        cr_assert(!told->in_call);
        if (part != told->part)
            end_line(told);
        told->part = part;
        buffer_append_str(&told->text, text);
        break;
    case ANSWER_CALL:
        end_line(told);
        cr_assert(!told->in_call);
        told->in_call = true;
        buffer_printf(&told->lines, "call " STR_FMT, STR_ARG(text));
        break;
    case ANSWER_ARGUMENTS:
        cr_assert(told->in_call);
        buffer_append_str(&told->text, text);
        break;
    case ANSWER_CALL_END:
        cr_assert(told->in_call);
        told->in_call = false;
        if (told->anew) {
            json_t *arguments = json_parse(buffer_str(&told->text), NULL);
            cr_assert_not_null(arguments, "%s", told->text.data);
            json_write(arguments, &told->lines);
            json_decref(arguments);
        } else {
            buffer_append_str(&told->lines, buffer_str(&told->text));
        }
        buffer_clear(&told->text);
        buffer_append_char(&told->lines, '\n');
        break;
    }
}

/* Reads text in pieces of so many bytes. The caller releases it. */
static struct buffer read_in(const struct answer_format *format, const json_t *tools, str text, size_t piece, bool anew)
{
    struct told told = {.part = ANSWER_CONTENT, .anew = anew};
    struct answer_reader *reader;
    struct answer_reading reading = {.tools = tools, .part = on_part, .user = &told};
    buffer_init(&told.lines, 1 << 20);
    buffer_init(&told.text, 1 << 20);
    cr_assert_eq(answer_reader_new(&reader, format, &reading), 0);
    for (size_t at = 0; at < text.n; at += piece)
        cr_assert_eq(answer_reader_push(reader, (str){text.data + at, text.n - at < piece ? text.n - at : piece}), 0);
    cr_assert_eq(answer_reader_finish(reader), 0);
    end_line(&told);
    answer_reader_free(reader);
    buffer_release(&told.text);
    if (told.lines.data == NULL)
        buffer_append_text(&told.lines, "");
    return told.lines;
}

/* The same told for every way of cutting the text. */
static void expect_told(const struct answer_format *format, const json_t *tools, const char *name, str text, const char *expected)
{
    static const size_t pieces[] = {1, 2, 3, 5, 7, 11, 64, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct buffer lines = read_in(format, tools, text, pieces[i], false);
        cr_assert_str_eq(lines.data, expected, "%s, in pieces of %zu: " STR_FMT "\ngave\n%s\nnot\n%s", name, pieces[i], STR_ARG(text), lines.data, expected);
        buffer_release(&lines);
    }
}

static json_t *probe_tools(void)
{
    return json_pack("[{s:s, s:{s:s, s:{s:{s:{s:s}, s:{s:s}}}}}, {s:s, s:{s:s}}]", "type", "function", "function", "name", PROBE_NAME, "parameters",
                     "properties", PROBE_KEY, "type", "string", PROBE_KEY_2, "type", "integer", "type", "function", "function", "name", PROBE_NAME_2);
}

/* What the model says: the rendering from where it parts from the prompt. */
static str answer_of(const struct buffer *prompt, const struct buffer *rendering)
{
    struct lesson lesson = {.prompt = *prompt};
    return stretch_from(buffer_str(rendering), lesson_answer_begin(&lesson, buffer_str(rendering)));
}

/* Without the end of the turn, which a session never shows. */
static str without_end(str text)
{
    static const char *const ends[] = {"<|im_end|>", "<|eot_id|>", "<|END_OF_TURN_TOKEN|>", "</s>", "<｜end▁of▁sentence｜>", "[|endofturn|]", "<turn|>", "<|call|>",
                                       "<|return|>", "<|START_OF_TURN_TOKEN|>"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        ptrdiff_t at = str_find(text, str_of(ends[i]));
        if (at >= 0)
            text.n = (size_t)at;
    }
    return text;
}

#define ARGUMENTS "{\"" PROBE_KEY "\":\"" PROBE_VALUE "\",\"" PROBE_KEY_2 "\":" PROBE_NUMBER_TEXT "}"

static int one_round_trip(const char *name, bool twice)
{
    struct learnt learnt;
    struct buffer prompt, rendering;
    open_template(&learnt, name);
    int n = answer_format_has_tools(&learnt.format) && !learnt.format.calls_as_content;
    struct probe probe = {.template = learnt.template, .variables = json_object_get(learnt.expected, "tokens"), .tools_place = learnt.format.tools_place,
                          .arguments_as_text = learnt.format.arguments_as_text, .no_content = learnt.format.no_content, .id = PROBE_ID};
    json_t *tools = probe_tools();
    buffer_init(&prompt, 1 << 20);
    buffer_init(&rendering, 1 << 20);
    if (n > 0 && probe_render(&probe, PROBE_NO_ANSWER | PROBE_PROMPTS | PROBE_WITH_TOOLS, &prompt) &&
        probe_render(&probe, (twice ? PROBE_CALLS_TWICE : PROBE_CALLS) | PROBE_WITH_TOOLS, &rendering)) {
        str text = without_end(answer_of(&prompt, &rendering));
        bool both = str_find(text, STR(PROBE_NAME_2)) >= 0;
        const char *expected = both ? "call " PROBE_NAME ARGUMENTS "\ncall " PROBE_NAME_2 ARGUMENTS "\n" : "call " PROBE_NAME ARGUMENTS "\n";
        struct buffer text_with_primer;
        buffer_init(&text_with_primer, 1 << 20);
        buffer_append_text(&text_with_primer, learnt.format.primer);
        buffer_append_str(&text_with_primer, text);
        for (size_t piece = 1; piece < 40; piece += 3) {
            struct buffer lines = read_in(&learnt.format, tools, buffer_str(&text_with_primer), piece, true);
            cr_expect_str_eq(lines.data, expected, "%s, in pieces of %zu: " STR_FMT "\ngave %s", name, piece, STR_ARG(text), lines.data);
            buffer_release(&lines);
        }
        buffer_release(&text_with_primer);
    } else {
        n = 0;
    }
    json_decref(tools);
    buffer_release(&prompt);
    buffer_release(&rendering);
    close_template(&learnt);
    return n;
}

static int for_each_template(int (*check)(const char *name, bool flag), bool flag)
{
    int n = 0;
    DIR *folder = opendir(FOLDER "/models");
    cr_assert_not_null(folder, FOLDER "/models is needed");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[256];
        if (!str_ends(str_of(entry->d_name), STR(".jinja")))
            continue;
        str_copy(name, sizeof name, (str){entry->d_name, strlen(entry->d_name) - 6});
        n += check(name, flag);
    }
    closedir(folder);
    return n;
}

Test(answer_format, a_templates_own_rendering_of_a_call_is_read_as_that_call)
{
    cr_assert_geq(for_each_template(one_round_trip, false), 19);
}

Test(answer_format, a_templates_own_rendering_of_two_calls_is_read_as_both)
{
    cr_assert_geq(for_each_template(one_round_trip, true), 16);
}

/* Reasoning and text that a template renders are told apart. */
static int one_thought(const char *name, bool flag)
{
    struct learnt learnt;
    struct buffer prompt, rendering;
    int n = 0;
    (void)flag;
    open_template(&learnt, name);
    struct probe probe = {.template = learnt.template, .variables = json_object_get(learnt.expected, "tokens"), .reasoning_key = learnt.format.reasoning_key};
    buffer_init(&prompt, 1 << 20);
    buffer_init(&rendering, 1 << 20);
    if (probe.reasoning_key != NULL && probe_render(&probe, PROBE_NO_ANSWER | PROBE_PROMPTS, &prompt) && probe_render(&probe, PROBE_SAYS | PROBE_THINKS, &rendering) &&
        str_find(buffer_str(&rendering), STR(PROBE_THOUGHT)) >= 0) {
        struct buffer text;
        size_t n_open = answer_format_open_reasoning(&learnt.format, buffer_str(&prompt));
        str said = answer_of(&prompt, &rendering);
        buffer_init(&text, 1 << 20);
        if (said.data == rendering.data + prompt.n)
            buffer_append(&text, prompt.data + prompt.n - n_open, n_open);
        buffer_append_str(&text, without_end(said));
        while (text.n > 0 && mark_is_blank(text.data[text.n - 1]))
            text.n--;
        expect_told(&learnt.format, NULL, name, buffer_str(&text), "reasoning \"" PROBE_THOUGHT "\"\ncontent \"" PROBE_SAID "\"\n");
        buffer_release(&text);
        n = 1;
    }
    buffer_release(&prompt);
    buffer_release(&rendering);
    close_template(&learnt);
    return n;
}

Test(answer_format, a_templates_own_rendering_of_reasoning_is_read_as_reasoning)
{
    cr_assert_geq(for_each_template(one_thought, false), 7);
}

/* Texts without any mark come out as they went in, blanks and all. */
static int one_plain(const char *name, bool flag)
{
    static const char *const texts[] = {"Hello.", " \n  a \n\n b  \n", "{\"name\": \"Bob\", \"age\": 3}", "x < y > z [1] {2} ``` \"q\" <tool", "```json\n{\"a\": 1}\n```\n", "Zo\xc3\xab <\xef\xbd\x9c"};
    struct learnt learnt;
    json_t *tools = probe_tools();
    (void)flag;
    open_template(&learnt, name);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buffer expected;
        buffer_init(&expected, 4096);
        buffer_append_text(&expected, "content ");
        buffer_append_json_string(&expected, str_of(texts[i]));
        buffer_append_char(&expected, '\n');
        expect_told(&learnt.format, tools, name, str_of(texts[i]), expected.data);
        buffer_release(&expected);
    }
    json_decref(tools);
    close_template(&learnt);
    return 1;
}

Test(answer_format, text_without_marks_is_content_byte_for_byte)
{
    cr_assert_eq(for_each_template(one_plain, false), 41);
}

static json_t *weather_tools(void)
{
    return json_pack("[{s:s, s:{s:s, s:{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}}}}}]", "type", "function", "function", "name", "get_weather", "parameters", "type",
                     "object", "properties", "city", "type", "string", "days", "type", "integer", "note", "type", "string");
}

/* What models say, in their own manner and out of it. */
static const struct {
    const char *template, *said, *told;
} sayings[] = {
    /* Text before, calls with other members and another order, text after. */
    {"Qwen2.5-7B-Instruct", "Let me see.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>",
     "content \"Let me see.\"\ncall get_weather{\"city\": \"Oslo\"}\n"},
    {"Qwen2.5-7B-Instruct", "<tool_call>{\"id\": 7, \"arguments\": {\"city\": \"a \\\"}\\\" b\"}, \"name\": \"get_weather\"}</tool_call>\n\nThat is all.",
     "call get_weather{\"city\": \"a \\\"}\\\" b\"}\ncontent \"That is all.\"\n"},
    {"Qwen2.5-7B-Instruct", "<tool_call>\n[{\"name\": \"get_weather\", \"arguments\": {}}, {\"name\": \"other\"}]\n</tool_call>", "call get_weather{}\ncall other{}\n"},
    {"Qwen2.5-7B-Instruct", "<tool_call>{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":\"{\\\"days\\\":2}\"}}", "call get_weather{\"days\":2}\n"},
    /* Malformed calls are content as they were written. */
    {"Qwen2.5-7B-Instruct", "Look:\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {city: 1}}\n</tool_call>\n",
     "content \"Look:\\n<tool_call>\\n{\\\"name\\\": \\\"get_weather\\\", \\\"arguments\\\": {city: 1}}\\n</tool_call>\\n\"\n"},
    {"Qwen2.5-7B-Instruct", "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Os", "content \"<tool_call>{\\\"name\\\": \\\"get_weather\\\", \\\"arguments\\\": {\\\"city\\\": \\\"Os\"\n"},
    {"Qwen2.5-7B-Instruct", "<tool_call>oops<tool_call>{\"name\": \"get_weather\", \"arguments\": {}}</tool_call>", "content \"<tool_call>oops\"\ncall get_weather{}\n"},
    {"Qwen2.5-7B-Instruct", "<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>", "content \"<tool_call>{\\\"name\\\": 5, \\\"arguments\\\": {}}</tool_call>\"\n"},
    {"Qwen2.5-7B-Instruct", "<tool_call>", "content \"<tool_call>\"\n"},
    {"Qwen2.5-7B-Instruct", "a <tool_cal", "content \"a <tool_cal\"\n"},
    /* Reasoning, begun by the model or not ended. */
    {"Qwen3-0.6B", "<think>\nHm <b>.\n\n</think>\n\nYes.", "reasoning \"Hm <b>.\"\ncontent \"Yes.\"\n"},
    {"Qwen3-0.6B", "<think>\n\n</think>\n\nYes.", "content \"Yes.\"\n"},
    {"Qwen3-0.6B", "<think>I wonder", "reasoning \"I wonder\"\n"},
    {"Qwen3-0.6B", "Say <think> then </think>.", "content \"Say <think> then </think>.\"\n"},
    {"Qwen3-0.6B", "<think>a</think>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"days\": 1}}\n</tool_call>", "reasoning \"a\"\ncall get_weather{\"days\": 1}\n"},
    {"DeepSeek-R1-Distill-Llama-8B", "<think>\nFirst.</think>\nThen.", "reasoning \"First.\"\ncontent \"Then.\"\n"},
    {"SmolLM3-3B", "<think>\nFirst.\n</think>\nThen.", "reasoning \"First.\"\ncontent \"Then.\"\n"},
    /* JSON and nothing else: only the request's tools are calls. */
    {"Llama-3.2-3B-Instruct", "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Oslo\"}}", "call get_weather{\"city\": \"Oslo\"}\n"},
    {"Llama-3.2-3B-Instruct", "<|python_tag|>{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {\"city\": \"Oslo\"}}; {\"name\": \"get_weather\", \"parameters\": {}}",
     "call get_weather{\"city\": \"Oslo\"}\ncall get_weather{}\n"},
    {"Llama-3.2-3B-Instruct", "{\"name\": \"Bob\", \"parameters\": {}}", "content \"{\\\"name\\\": \\\"Bob\\\", \\\"parameters\\\": {}}\"\n"},
    {"Llama-3.2-3B-Instruct", "As JSON: {\"name\": \"get_weather\", \"parameters\": {}}", "content \"As JSON: {\\\"name\\\": \\\"get_weather\\\", \\\"parameters\\\": {}}\"\n"},
    /* Lists. */
    {"Mistral-Nemo-Instruct-2407", "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}, {\"name\": \"get_weather\", \"arguments\": {\"days\": 2}, \"id\": \"abcdefghi\"}]",
     "call get_weather{\"city\": \"Oslo\"}\ncall get_weather{\"days\": 2}\n"},
    {"Mistral-Nemo-Instruct-2407", "[TOOL_CALLS] {\"name\": \"get_weather\", \"arguments\": {}}", "call get_weather{}\n"},
    {"Phi-4-mini", "<|tool_call|>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}]<|/tool_call|>", "call get_weather{\"city\": \"Oslo\"}\n"},
    {"Granite-3.3-2B-Instruct", "<|tool_call|>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}]", "call get_weather{\"city\": \"Oslo\"}\n"},
    {"Command-R7B-tools", "<|START_THINKING|>I look.<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": {\"city\": \"Oslo\"}}\n]<|END_ACTION|>",
     "reasoning \"I look.\"\ncall get_weather{\"city\": \"Oslo\"}\n"},
    {"Command-R7B-tools", "<|START_RESPONSE|>Cold.<|END_RESPONSE|>", "content \"Cold.\"\n"},
    {"Command-R-plus-tools", "Action:\n```json\n[\n    {\n        \"tool_name\": \"get_weather\",\n        \"parameters\": {}\n    }\n]```", "call get_weather{}\n"},
    /* A name, then JSON. */
    {"Mistral-Small-3.2-24B", "Wait.[TOOL_CALLS]get_weather[CALL_ID]123456789[ARGS]{\"city\": \"Oslo\"}[TOOL_CALLS]get_weather[ARGS]{}", "content \"Wait.\"\ncall get_weather{\"city\": \"Oslo\"}\ncall get_weather{}\n"},
    {"Mistral-Small-3.2-24B", "[TOOL_CALLS]get_weather{\"city\": 1,,}", "content \"[TOOL_CALLS]get_weather{\\\"city\\\": 1,,}\"\n"},
    {"Functionary-medium-v3.2", ">>>all\nI look.>>>get_weather\n{\"city\": \"Oslo\"}", "content \"I look.\"\ncall get_weather{\"city\": \"Oslo\"}\n"},
    {"Functionary-medium-v3.2", ">>>get_weather\n{}", "call get_weather{}\n"},
    {"Functionary-medium-v3.2", ">>>all\n>>> x = {1}", "content \">>> x = {1}\"\n"},
    /* Tags: values are what the tool's schema says. */
    {"Qwen3-Coder", "I look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\n12\n</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=note>\na < b\n  c\n</parameter>\n</function>\n</tool_call>",
     "content \"I look.\"\ncall get_weather{\"city\":\"12\",\"days\":3,\"note\":\"a < b\\n  c\"}\n"},
    {"Qwen3-Coder", "<tool_call>\n<function=get_weather>\n</function>\n</tool_call>", "call get_weather{}\n"},
    {"Qwen3-Coder", "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n", "content \"<tool_call>\\n<function=get_weather>\\n<parameter=city>\\nOslo\\n\"\n"},
    {"GLM-4.6", "<think>Hm.</think>\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>",
     "reasoning \"Hm.\"\ncall get_weather{\"city\":\"Oslo\",\"days\":2}\n"},
    /* Literals. */
    {"LFM2.5-8B-A1B", "<|tool_call_start|>[get_weather(city='O\\'Neil \"x\"', days=-2), get_weather(note=[True, None, {'a': 1.5}])]<|tool_call_end|>Done.",
     "call get_weather{\"city\":\"O'Neil \\\"x\\\"\",\"days\":-2}\ncall get_weather{\"note\":[true,null,{\"a\":1.5}]}\ncontent \"Done.\"\n"},
    {"LFM2.5-8B-A1B", "<|tool_call_start|>[get_weather(city=Oslo)]<|tool_call_end|>", "content \"<|tool_call_start|>[get_weather(city=Oslo)]<|tool_call_end|>\"\n"},
    {"MiniCPM3-4B", "<|thought_start|>\nI look.\n<|thought_end|>\n<|tool_call_start|>\n```python\nget_weather(city=\"Oslo\",days=1)\nget_weather()\n```\n<|tool_call_end|>\n",
     "reasoning \"I look.\"\ncall get_weather{\"city\":\"Oslo\",\"days\":1}\ncall get_weather{}\n"},
    {"Gemma-4-31B-it", "<|channel>thought\nI look.\n<channel|><|tool_call>call:get_weather{city:<|\"|>O'Neil \"(\"<|\"|>,days:1}<tool_call|>", "reasoning \"I look.\"\ncall get_weather{\"city\":\"O'Neil \\\"(\\\"\",\"days\":1}\n"},
};

Test(answer_format, what_models_say_is_told_apart_however_it_is_cut)
{
    json_t *tools = weather_tools();
    for (size_t i = 0; i < sizeof sayings / sizeof *sayings; i++) {
        struct learnt learnt;
        open_template(&learnt, sayings[i].template);
        expect_told(&learnt.format, tools, sayings[i].template, str_of(sayings[i].said), sayings[i].told);
        close_template(&learnt);
    }
    json_decref(tools);
}

Test(answer_format, without_tools_calls_stay_text_and_reasoning_is_still_told)
{
    struct learnt learnt;
    open_template(&learnt, "Qwen3-0.6B");
    expect_told(&learnt.format, NULL, "Qwen3-0.6B", STR("<think>a</think>b <tool_call>{\"name\": \"x\", \"arguments\": {}}</tool_call>"),
                "reasoning \"a\"\ncontent \"b <tool_call>{\\\"name\\\": \\\"x\\\", \\\"arguments\\\": {}}</tool_call>\"\n");
    close_template(&learnt);
}

/* A call of n bytes of arguments, then `end`. */
static struct buffer long_call(size_t n, const char *end)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"note\": \"");
    for (size_t i = 0; i < n; i++)
        buffer_append_char(&text, (char)('a' + i % 26));
    buffer_append_text(&text, end);
    return text;
}

Test(answer_format, long_arguments_are_handed_on_before_their_end_and_the_rest_is_as_written)
{
    struct learnt learnt;
    struct told told = {.part = ANSWER_CONTENT};
    struct answer_reader *reader;
    json_t *tools = weather_tools();
    struct answer_reading reading = {.tools = tools, .part = on_part, .user = &told};
    struct buffer text = long_call(5000, "\"}}\n</tool_call>");
    buffer_init(&told.lines, 1 << 20);
    buffer_init(&told.text, 1 << 20);
    open_template(&learnt, "Qwen2.5-7B-Instruct");
    cr_assert_eq(answer_reader_new(&reader, &learnt.format, &reading), 0);
    cr_assert_eq(answer_reader_push(reader, (str){text.data, 2000}), 0);
    cr_assert_geq(told.text.n, 1900u);
    cr_assert_eq(answer_reader_push(reader, (str){text.data + 2000, text.n - 2000}), 0);
    cr_assert_eq(answer_reader_finish(reader), 0);
    cr_assert_eq(told.lines.n, 5000 + strlen("call get_weather{\"note\": \"\"}\n"));
    cr_assert_eq(answer_reader_calls(reader), 1);
    answer_reader_free(reader);
    /* What goes wrong past the bound ends the call; what follows is content. */
    struct buffer broken = long_call(3000, "\"} <x>");
    struct buffer lines = read_in(&learnt.format, tools, buffer_str(&broken), 7, false), whole = read_in(&learnt.format, tools, buffer_str(&broken), 1 << 20, false);
    cr_assert_str_eq(lines.data, whole.data);
    cr_assert(str_ends(buffer_str(&lines), STR("\"}\ncontent \"<x>\"\n")), "%s", lines.data + lines.n - 60);
    buffer_release(&lines);
    buffer_release(&whole);
    buffer_release(&broken);
    /* What follows whole arguments is part of the call, and no argument. */
    broken = long_call(850, "\"}, \"id\": \"");
    for (int i = 0; i < 300; i++)
        buffer_append_char(&broken, '9');
    buffer_append_text(&broken, "\"}</tool_call>");
    lines = read_in(&learnt.format, tools, buffer_str(&broken), 5, true);
    cr_assert_eq(lines.n, 850 + strlen("call get_weather{\"note\":\"\"}\n"), "%s", lines.data);
    buffer_release(&lines);
    buffer_release(&broken);
    buffer_release(&text);
    buffer_release(&told.lines);
    buffer_release(&told.text);
    json_decref(tools);
    close_template(&learnt);
}

Test(answer_format, one_call_is_enough_where_no_more_are_wanted)
{
    struct learnt learnt;
    struct told told = {.part = ANSWER_CONTENT};
    struct answer_reader *reader;
    json_t *tools = weather_tools();
    struct answer_reading reading = {.tools = tools, .one_call = true, .part = on_part, .user = &told};
    buffer_init(&told.lines, 1 << 16);
    buffer_init(&told.text, 1 << 16);
    open_template(&learnt, "Mistral-Nemo-Instruct-2407");
    cr_assert_eq(answer_reader_new(&reader, &learnt.format, &reading), 0);
    cr_assert_eq(answer_reader_push(reader, STR("[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {}}")), 0);
    cr_assert(answer_reader_is_done(reader));
    cr_assert_eq(answer_reader_push(reader, STR(", {\"name\": \"get_weather\", \"arguments\": {}}] and more")), 0);
    cr_assert_eq(answer_reader_finish(reader), 0);
    cr_assert_str_eq(told.lines.data, "call get_weather{}\n");
    answer_reader_free(reader);
    buffer_release(&told.lines);
    buffer_release(&told.text);
    json_decref(tools);
    close_template(&learnt);
}

Test(answer_format, a_call_can_be_begun_in_the_models_stead)
{
    static const struct {
        const char *template, *name, *begun;
        bool in_reasoning;
    } cases[] = {
        {"Qwen2.5-7B-Instruct", NULL, "<tool_call>\n{\"name\": \"", false},
        {"Qwen2.5-7B-Instruct", "f", "<tool_call>\n{\"name\": \"f\", \"arguments\": ", false},
        {"Qwen3.5-4B", "f", "</think>\n\n<tool_call>\n<function=f>\n", true},
        {"Llama-3.2-3B-Instruct", "f", "{\"name\": \"f\", \"parameters\": ", false},
        {"Mistral-Nemo-Instruct-2407", NULL, "[TOOL_CALLS][{\"name\": \"", false},
        {"LFM2.5-8B-A1B", "f", "<|tool_call_start|>[f(", false},
        {"Functionary-medium-v3.2", "f", "f\n", false},
        {"Functionary-medium-v3.2", NULL, NULL, false},
        {"SmolLM2-135M-Instruct", "f", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct learnt learnt;
        struct buffer begun;
        buffer_init(&begun, 4096);
        open_template(&learnt, cases[i].template);
        cr_assert_eq(answer_format_begin_call(&learnt.format, cases[i].name, cases[i].in_reasoning, &begun), cases[i].begun != NULL, "%s", cases[i].template);
        if (cases[i].begun != NULL)
            cr_assert_str_eq(begun.data, cases[i].begun);
        buffer_release(&begun);
        close_template(&learnt);
    }
}
