/* Bodies of chat completions: each field's type and range, the param its error names, and what only a remote model can
 * honour by name. */
#include "api/api_request.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define HEAD "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

static struct arena arena;

static int parse(const char *body, struct api_request *request, struct api_error *error)
{
    arena_init(&arena, 1 << 20);
    memset(error, 0, sizeof *error);
    return api_request_parse(request, API_CHAT, str_of(body), &arena, error);
}

static void drop(struct api_request *request)
{
    api_request_release(request);
    arena_release(&arena);
}

Test(api_chat, a_field_out_of_its_range_is_a_400_that_names_it)
{
    static const struct { const char *member, *param; } rows[] = {
        {"\"temperature\":-0.1", "temperature"}, {"\"temperature\":2.01", "temperature"}, {"\"temperature\":\"1\"", "temperature"},
        {"\"top_p\":-1", "top_p"}, {"\"top_p\":1.1", "top_p"}, {"\"top_p\":[]", "top_p"},
        {"\"n\":0", "n"}, {"\"n\":129", "n"}, {"\"n\":1.5", "n"}, {"\"n\":true", "n"},
        {"\"presence_penalty\":2.1", "presence_penalty"}, {"\"frequency_penalty\":-2.1", "frequency_penalty"},
        {"\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]", "stop"}, {"\"stop\":[1]", "stop"}, {"\"stop\":{}", "stop"},
        {"\"max_tokens\":0", "max_tokens"}, {"\"max_tokens\":-1", "max_tokens"}, {"\"max_completion_tokens\":\"9\"", "max_completion_tokens"},
        {"\"logit_bias\":{\"x\":1}", "logit_bias"}, {"\"logit_bias\":{\"1\":101}", "logit_bias"}, {"\"logit_bias\":[]", "logit_bias"},
        {"\"logprobs\":1", "logprobs"}, {"\"logprobs\":true,\"top_logprobs\":21", "top_logprobs"}, {"\"top_logprobs\":1", "top_logprobs"},
        {"\"stream\":\"yes\"", "stream"}, {"\"stream_options\":{\"include_usage\":true}", "stream_options"},
        {"\"stream\":true,\"stream_options\":{\"include_usage\":1}", "stream_options.include_usage"},
        {"\"seed\":1.5", "seed"}, {"\"seed\":\"1\"", "seed"}, {"\"tools\":{}", "tools"},
        {"\"response_format\":{\"type\":\"xml\"}", "response_format.type"}, {"\"response_format\":\"json\"", "response_format"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        char body[512];
        snprintf(body, sizeof body, HEAD ",%s}", rows[i].member);
        cr_assert_lt(parse(body, &request, &error), 0, "%s is refused", rows[i].member);
        cr_assert_eq(error.status, 400, "%s", rows[i].member);
        cr_assert_str_eq(error.param, rows[i].param, "%s", rows[i].member);
        cr_assert_null(request.body, "nothing is left behind");
        arena_release(&arena);
    }
}

Test(api_chat, the_ends_of_each_range_are_taken)
{
    static const char *const members[] = {
        "\"temperature\":0", "\"temperature\":2", "\"top_p\":0", "\"top_p\":1", "\"n\":1", "\"n\":128", "\"presence_penalty\":-2",
        "\"frequency_penalty\":2", "\"stop\":\"x\"", "\"stop\":[\"a\",\"b\",\"c\",\"d\"]", "\"stop\":null", "\"max_tokens\":1",
        "\"max_completion_tokens\":9223372036854775807", "\"logit_bias\":{\"1\":-100,\"2\":100}", "\"logprobs\":true,\"top_logprobs\":20",
        "\"top_logprobs\":0,\"logprobs\":true", "\"seed\":-9223372036854775808", "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
        "\"temperature\":null", "\"tools\":[]", "\"response_format\":{\"type\":\"text\"}", "\"user\":\"u\"", "\"metadata\":{}"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct api_request request;
        struct api_error error;
        char body[512];
        snprintf(body, sizeof body, HEAD ",%s}", members[i]);
        cr_assert_eq(parse(body, &request, &error), 0, "%s: %s", members[i], error.message);
        cr_assert_str_eq(request.local_unsupported, "", "%s asks nothing that the local model lacks", members[i]);
        drop(&request);
    }
}

Test(api_chat, messages_that_are_none_name_their_place)
{
    static const struct { const char *body, *param; } rows[] = {
        {"{\"messages\":[]}", "model"}, {"{\"model\":7,\"messages\":[]}", "model"}, {"{\"model\":\"auto\"}", "messages"},
        {"{\"model\":\"auto\",\"messages\":[]}", "messages"}, {"{\"model\":\"auto\",\"messages\":\"Hi\"}", "messages"},
        {"{\"model\":\"auto\",\"messages\":[7]}", "messages[0]"}, {"{\"model\":\"auto\",\"messages\":[{\"content\":\"x\"}]}", "messages[0].role"},
        {"{\"model\":\"auto\",\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]}", "messages[0].role"},
        {"{\"model\":\"auto\",\"messages\":[{\"role\":\"user\"}]}", "messages[0].content"},
        {"{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages[0].content"},
        {"{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "messages[0].content"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        cr_assert_lt(parse(rows[i].body, &request, &error), 0, "%s", rows[i].body);
        cr_assert_eq(error.status, 400);
        cr_assert_str_eq(error.param, rows[i].param, "%s", rows[i].body);
        arena_release(&arena);
    }
}

Test(api_chat, what_is_no_json_object_is_a_400)
{
    static const char *const bodies[] = {"", "[]", "7", "{", "{\"model\":\"auto\",}", "{\"model\":\"\xff\"}", "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct api_request request;
        struct api_error error;
        cr_assert_lt(parse(bodies[i], &request, &error), 0, "%s", bodies[i]);
        cr_assert_eq(error.status, 400);
        arena_release(&arena);
    }
}

Test(api_chat, nothing_is_dropped_in_silence)
{
    static const struct { const char *member, *field; } rows[] = {
        {"\"tools\":[{\"type\":\"function\"}]", "tools[0].function.name"}, {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"response_format\":{\"type\":\"json_object\"}", "tools"},
        {"\"store\":true", "store"}, {"\"verbosity\":\"low\"", "verbosity"}, {"\"modalities\":[\"audio\"]", "modalities"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        char body[512];
        snprintf(body, sizeof body, HEAD ",%s}", rows[i].member);
        cr_assert_eq(parse(body, &request, &error), 0, "%s: %s", rows[i].member, error.message);
        cr_assert_str_eq(request.local_unsupported, rows[i].field);
        drop(&request);
    }
}

Test(api_chat, it_is_known_whether_the_caller_chose_how_to_sample)
{
    static const struct { const char *member; bool named; } rows[] = {
        {"\"user\":\"u\"", false}, {"\"temperature\":null", false}, {"\"temperature\":1", true}, {"\"top_p\":1", true}, {"\"top_k\":3", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        char body[512];
        snprintf(body, sizeof body, HEAD ",%s}", rows[i].member);
        cr_assert_eq(parse(body, &request, &error), 0, "%s", error.message);
        cr_assert_eq(request.names_sampling, rows[i].named, "%s", rows[i].member);
        drop(&request);
    }
}

Test(api_chat, a_tool_loop_is_seen_in_the_last_assistant_message)
{
#define CALL "{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\"}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"r\"}"
    struct api_request request;
    struct api_error error;
    cr_assert_eq(parse("{\"model\":\"auto\",\"messages\":[" CALL "]}", &request, &error), 0, "%s", error.message);
    cr_assert(request.called_afar && request.tool_loop);
    drop(&request);
    cr_assert_eq(parse("{\"model\":\"auto\",\"messages\":[" CALL ",{\"role\":\"assistant\",\"content\":\"a\"}]}", &request, &error), 0);
    cr_assert(!request.called_afar && !request.tool_loop, "the loop has ended with an answer");
    drop(&request);
}
