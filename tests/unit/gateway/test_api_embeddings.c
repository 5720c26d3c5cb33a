/* Bodies of embeddings: the forms of input, each field's range, and the param an error names. */
#include "api/api_request.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena arena;

static int parse(const char *member, struct api_request *request, struct api_error *error)
{
    char body[512];
    snprintf(body, sizeof body, "{\"model\":\"local\"%s%s}", member[0] != '\0' ? "," : "", member);
    arena_init(&arena, 1 << 20);
    memset(error, 0, sizeof *error);
    return api_request_parse(request, API_EMBEDDINGS, str_of(body), &arena, error);
}

Test(api_embeddings, a_bad_field_is_a_400_that_names_it)
{
    static const struct { const char *member, *param; } rows[] = {
        {"", "input"}, {"\"input\":null", "input"}, {"\"input\":7", "input"}, {"\"input\":{}", "input"}, {"\"input\":[]", "input"},
        {"\"input\":\"\"", "input"}, {"\"input\":[\"a\",\"\"]", "input[1]"}, {"\"input\":[\"a\",7]", "input[1]"},
        {"\"input\":[[]]", "input[0]"}, {"\"input\":[[-1]]", "input[0]"}, {"\"input\":[true]", "input[0]"}, {"\"input\":[[1],[2.5]]", "input[1]"},
        {"\"input\":\"a\",\"encoding_format\":\"hex\"", "encoding_format"}, {"\"input\":\"a\",\"encoding_format\":7", "encoding_format"},
        {"\"input\":\"a\",\"dimensions\":0", "dimensions"}, {"\"input\":\"a\",\"dimensions\":-3", "dimensions"},
        {"\"input\":\"a\",\"dimensions\":\"3\"", "dimensions"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        cr_assert_lt(parse(rows[i].member, &request, &error), 0, "%s is refused", rows[i].member);
        cr_assert_eq(error.status, 400, "%s", rows[i].member);
        cr_assert_str_eq(error.param, rows[i].param, "%s", rows[i].member);
        arena_release(&arena);
    }
}

Test(api_embeddings, every_form_of_input_is_counted)
{
    static const struct { const char *member; size_t n; bool tokens, base64; } rows[] = {
        {"\"input\":\"a\"", 1, false, false}, {"\"input\":[\"a\",\"b\"]", 2, false, false}, {"\"input\":[1,2,3]", 1, true, false},
        {"\"input\":[[1,2],[3]]", 2, true, false}, {"\"input\":\"a\",\"encoding_format\":\"base64\"", 1, false, true},
        {"\"input\":\"a\",\"encoding_format\":null,\"dimensions\":null", 1, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_request request;
        struct api_error error;
        cr_assert_eq(parse(rows[i].member, &request, &error), 0, "%s: %s", rows[i].member, error.message);
        cr_assert_eq(request.n_texts, rows[i].n, "%s", rows[i].member);
        cr_assert_eq(request.token_input, rows[i].tokens, "ids cannot be scanned: %s", rows[i].member);
        cr_assert_eq(request.base64, rows[i].base64, "%s", rows[i].member);
        api_request_release(&request);
        arena_release(&arena);
    }
}

Test(api_embeddings, more_inputs_than_the_limit_are_refused)
{
    struct buffer body;
    struct api_request request;
    struct api_error error = {0};
    buffer_init(&body, 1 << 20);
    buffer_append_text(&body, "{\"model\":\"local\",\"input\":[\"a\"");
    for (int i = 0; i < API_MAX_INPUTS; i++)
        buffer_append_text(&body, ",\"a\"");
    buffer_append_text(&body, "]}");
    arena_init(&arena, 1 << 20);
    cr_assert_lt(api_request_parse(&request, API_EMBEDDINGS, buffer_str(&body), &arena, &error), 0);
    cr_assert_eq(error.status, 400);
    cr_assert_str_eq(error.param, "input");
    arena_release(&arena);
    buffer_release(&body);
}
