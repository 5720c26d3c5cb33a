/* Tools in bodies and answers of chat completions: what a local model can be given, and the form in which calls are told. */
#include "api/answer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define TOOL(more) "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\"}" more "}}"
#define ASK "{\"role\":\"user\",\"content\":\"q\"}"

static struct arena arena;

static int parse(const char *messages, const char *more, struct api_request *request, struct api_error *error)
{
    static char body[4096];
    snprintf(body, sizeof body, "{\"model\":\"auto\",\"messages\":[%s]%s%s}", messages, more[0] != '\0' ? "," : "", more);
    arena_init(&arena, 1 << 20);
    memset(error, 0, sizeof *error);
    return api_request_parse(request, API_CHAT, str_of(body), &arena, error);
}

static void drop(struct api_request *request)
{
    api_request_release(request);
    arena_release(&arena);
}

Test(api_tools, what_may_be_called_and_how_is_known)
{
    static const struct {
        const char *more;
        bool tools;
        enum tool_choice choice;
        const char *name;
        bool one_call;
    } rows[] = {
        {"\"tools\":[" TOOL("") "]", true, TOOL_CHOICE_AUTO, NULL, false},
        {"\"tools\":[" TOOL("") "],\"tool_choice\":\"auto\",\"parallel_tool_calls\":false", true, TOOL_CHOICE_AUTO, NULL, true},
        {"\"tools\":[" TOOL("") "],\"tool_choice\":null", true, TOOL_CHOICE_AUTO, NULL, false},
        {"\"tools\":[" TOOL(",\"strict\":false") "],\"tool_choice\":\"required\"", true, TOOL_CHOICE_REQUIRED, NULL, false},
        {"\"tools\":[" TOOL("") "],\"tool_choice\":\"none\"", false, TOOL_CHOICE_NONE, NULL, false},
        {"\"tools\":[" TOOL("") "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}", true, TOOL_CHOICE_NAMED, "get_weather", false},
        {"\"tools\":[" TOOL(",\"strict\":true") "],\"tool_choice\":\"required\"", true, TOOL_CHOICE_REQUIRED, NULL, false},
        {"\"tools\":[]", false, TOOL_CHOICE_AUTO, NULL, false},
        {"\"tool_choice\":\"none\"", false, TOOL_CHOICE_NONE, NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        cr_assert_eq(parse(ASK, rows[i].more, &request, &error), 0, "%s: %s", rows[i].more, error.message);
        cr_assert_str_eq(request.local_unsupported, "", "%s", rows[i].more);
        cr_assert_eq(request.tools != NULL, rows[i].tools, "%s", rows[i].more);
        cr_assert_eq(request.tool_choice, rows[i].choice, "%s", rows[i].more);
        cr_assert_eq(request.one_call, rows[i].one_call, "%s", rows[i].more);
        if (rows[i].name != NULL)
            cr_assert_str_eq(request.tool_name, rows[i].name);
        drop(&request);
    }
}

Test(api_tools, what_a_local_model_cannot_be_given_is_named_and_left_to_a_remote_one)
{
    static const struct { const char *more, *field; } rows[] = {
        {"\"tools\":[" TOOL("") "," TOOL(",\"strict\":true") "]", "tools[1].function.strict"},
        {"\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"x\"}}]", "tools[0].type"},
        {"\"tools\":[7]", "tools[0].type"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", "tools[0].function.name"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a<|im_end|>\"}}]", "tools[0].function.name"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"parameters\":[]}}]", "tools[0].function.parameters"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"description\":7}}]", "tools[0].function.description"},
        {"\"tools\":[" TOOL("") "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"other\"}}", "tool_choice"},
        {"\"tools\":[" TOOL("") "],\"tool_choice\":{\"type\":\"allowed_tools\"}", "tool_choice"},
        {"\"tools\":[" TOOL("") "],\"tool_choice\":\"sometimes\"", "tool_choice"},
        {"\"tool_choice\":\"required\"", "tool_choice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        cr_assert_eq(parse(ASK, rows[i].more, &request, &error), 0, "%s: %s", rows[i].more, error.message);
        cr_assert_str_eq(request.local_unsupported, rows[i].field, "%s", rows[i].more);
        drop(&request);
    }
}

#define CALL(id, arguments) "{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"" id \
    "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":" arguments "}}]}"

Test(api_tools, earlier_calls_results_and_reasoning_are_for_local_models_too)
{
    struct api_request request;
    struct api_error error;
    cr_assert_eq(parse(ASK "," CALL("call_1", "\"{}\"") ",{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"r\"}", "", &request, &error), 0);
    cr_assert_str_eq(request.local_unsupported, "");
    json_t *messages = api_local_messages(&request);
    cr_assert_eq(json_array_size(json_object_get(json_array_get(messages, 1), "tool_calls")), 1);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(messages, 1), "reasoning_content")), "hm");
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(messages, 2), "tool_call_id")), "call_1");
    json_decref(messages);
    drop(&request);
    /* Other forms are not read, and not dropped either. */
    cr_assert_eq(parse(ASK "," CALL("call_1", "{}"), "", &request, &error), 0);
    cr_assert_str_eq(request.local_unsupported, "messages[1].tool_calls");
    drop(&request);
}

Test(api_tools, a_loop_of_calls_made_here_is_no_remote_conversation)
{
    struct api_request request;
    struct api_error error;
    cr_assert_eq(parse(ASK "," CALL("call_1", "\"{}\""), "", &request, &error), 0);
    cr_assert(request.called_afar);
    drop(&request);
    cr_assert_eq(parse(ASK "," CALL(API_LOCAL_CALL "0_0_0", "\"{}\""), "", &request, &error), 0);
    cr_assert(!request.called_afar);
    drop(&request);
}

Test(api_tools, answers_and_chunks_have_openais_form)
{
    struct answer_head head;
    struct buffer out, calls;
    buffer_init(&out, 1 << 16);
    buffer_init(&calls, 1 << 16);
    answer_head_init(&head, API_CHAT, "d", STR("m"), false);
    answer_call("call_local_1", STR("f"), STR("{\"a\": \"\xc3\xa9\"}"), &calls);
    struct answer_message message = {.reasoning = STR("hm"), .calls = buffer_str(&calls)};
    struct answer_usage usage = {.completion_tokens = 9, .reasoning_tokens = 4};
    answer_begin(&head, &out);
    answer_choice(&head, 0, &message, NULL, "tool_calls", &out);
    answer_end(&head, &usage, &out);
    json_t *answer = json_parse(buffer_str(&out), NULL), *choice = json_array_get(json_object_get(answer, "choices"), 0);
    cr_assert_not_null(answer, "%s", out.data);
    json_t *said = json_object_get(choice, "message"), *call = json_array_get(json_object_get(said, "tool_calls"), 0);
    cr_assert(json_is_null(json_object_get(said, "content")));
    cr_assert_str_eq(json_string_value(json_object_get(said, "reasoning_content")), "hm");
    cr_assert_str_eq(json_string_value(json_object_get(choice, "finish_reason")), "tool_calls");
    cr_assert_str_eq(json_string_value(json_object_get(call, "id")), "call_local_1");
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(call, "function"), "arguments")), "{\"a\": \"\xc3\xa9\"}");
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(json_object_get(answer, "usage"), "completion_tokens_details"), "reasoning_tokens")), 4);
    json_decref(answer);
    buffer_clear(&out);
    chunk_call(&head, 1, 2, "call_local_1", STR("f"), &out);
    chunk_arguments(&head, 1, 2, STR("{\""), &out);
    str text = buffer_str(&out);
    for (int i = 0; i < 2; i++) {
        ptrdiff_t end = str_find(text, STR("\n\n"));
        json_t *chunk = json_parse((str){text.data + 6, (size_t)end - 6}, NULL);
        choice = json_array_get(json_object_get(chunk, "choices"), 0);
        call = json_array_get(json_object_get(json_object_get(choice, "delta"), "tool_calls"), 0);
        cr_assert_eq(json_integer_value(json_object_get(choice, "index")), 1);
        cr_assert_eq(json_integer_value(json_object_get(call, "index")), 2);
        cr_assert_str_eq(json_string_value(json_object_get(json_object_get(call, "function"), "arguments")), i == 0 ? "" : "{\"");
        cr_assert_eq(json_object_get(call, "id") != NULL, i == 0);
        json_decref(chunk);
        text = (str){text.data + end + 2, text.n - (size_t)end - 2};
    }
    buffer_release(&out);
    buffer_release(&calls);
}
