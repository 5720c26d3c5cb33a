/* What of a conversation is scored: the last human turn with what it leans on, and not what harnesses and templates put around it. */
#include "query.h"

#include <criterion/criterion.h>

static struct arena arena;

static void begin(void)
{
    arena_init(&arena, 4 << 20);
}

static void end(void)
{
    arena_release(&arena);
}

TestSuite(query, .init = begin, .fini = end);

static str query_of(json_t *messages_take)
{
    str out = {NULL, 0};
    struct error err = {0};
    cr_assert_not_null(messages_take);
    cr_assert_eq(query_text(messages_take, &arena, &out, &err), 0, "%s: %s", err.where, err.text);
    json_decref(messages_take);
    return out;
}

static void is(str got, const char *expected)
{
    cr_assert(str_equal(got, str_of(expected)), "\"" STR_FMT "\", not \"%s\"", STR_ARG(got), expected);
}

static void asked(const char *text, const char *expected)
{
    is(query_of(json_pack("[{s:s, s:s}]", "role", "user", "content", text)), expected);
}

Test(query, the_last_human_turn_counts_and_no_tool_result)
{
    is(query_of(json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "role", "system", "content", "You are kind.", "role", "user", "content", "How warm is it in Rome?",
                          "role", "assistant", "content", "I'll look.", "role", "tool", "content", "{\"celsius\": 31}", "role", "assistant", "content", "Hm.")),
       "How warm is it in Rome?");
    is(query_of(json_pack("[{s:s,s:[{s:s,s:s},{s:s,s:s}]}]", "role", "user", "content", "type", "text", "text", "First part.", "type", "text", "text", "Second.")),
       "First part.\nSecond.");
    is(query_of(json_pack("[{s:s,s:s}]", "role", "system", "content", "Only this.")), "Only this.");
}

Test(query, a_turn_that_only_agrees_leans_on_what_it_agrees_to)
{
    is(query_of(json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "role", "user", "content", "Plan a move of our database to another region.", "role", "assistant", "content",
                          "Shall I begin with the replication?", "role", "user", "content", "Yes, go ahead!")),
       "Plan a move of our database to another region.\nShall I begin with the replication?\nYes, go ahead!");
    is(query_of(json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "role", "user", "content", "Plan a move.", "role", "assistant", "content", "Done.", "role", "user", "content",
                          "What is the capital of Peru?")),
       "What is the capital of Peru?");
}

Test(query, what_a_harness_adds_and_what_is_quoted_is_left_out_unless_nothing_else_is_there)
{
    asked("<system-reminder>Never say no.</system-reminder>Rename the file.", "Rename the file.");
    asked("<document index=\"1\">long</document>\n> she wrote this\nAnswer her.", "Answer her.");
    asked("> only quoted", "> only quoted");
    asked("a < b and <nothing> known", "a < b and <nothing> known");
    asked("<file>never closed", "<file>never closed");
}

Test(query, a_template_around_a_question_does_not_count)
{
    asked("Use the following pieces of context to answer the question at the end.\n\nWeir is written in C.\nIt routes.\n\nContext: more of it\n\nQuestion: In which language is Weir "
          "written?\nHelpful Answer:",
          "In which language is Weir written?");
    asked("### Context:\nfive pages\n\n### Question: Who may\nsign this?\n\n### Answer:", "Who may\nsign this?");
    asked("**Document 1:** a\n**Document 2:** b\n**User question:** What changed?", "What changed?");
    asked("The following is a friendly conversation.\n\nCurrent conversation:\nHuman: Hi\nAI: Hello!\nHuman: How deep is the lake?\nAI:", "How deep is the lake?");
    asked("Question: 2+2?\nAnswer: 4\n\nQuestion: Which is prime?\nA) 9\nB) 11\nAnswer:", "Which is prime?\nA) 9\nB) 11");
}

Test(query, a_text_that_only_looks_like_a_template_stays_whole)
{
    static const char *const texts[] = {
        "Question: what is a weir?",
        "Context: I have never cooked.\nHow do I boil an egg?",
        "Which is right?\nA: Paris\nB: Rome",
        "Dear user: hello.\nNote: human: machine",
        "Human: hello",
        "Question:\nAnswer:",
        ":",
        "#*:\n:::",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        asked(texts[i], texts[i]);
}

Test(query, a_yes_inside_a_template_still_leans)
{
    is(query_of(json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "role", "user", "content", "Prove the theorem.", "role", "assistant", "content", "By induction?", "role", "user", "content",
                          "Context: none\nQuestion: yes\nAnswer:")),
       "Prove the theorem.\nBy induction?\nyes");
}

Test(query, a_long_turn_keeps_its_beginning_and_its_end)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "begin ");
    for (int i = 0; i < QUERY_MOST_BYTES / 4; i++)
        buffer_append_text(&text, "word ");
    buffer_append_text(&text, "end?");
    str got = query_of(json_pack("[{s:s, s:s#}]", "role", "user", "content", text.data, text.n));
    cr_assert_eq(got.n, (size_t)QUERY_MOST_BYTES);
    cr_assert(str_starts(got, STR("begin ")) && str_ends(got, STR("end?")));
    buffer_release(&text);
}

Test(query, what_is_no_message_list_is_an_error_with_its_place)
{
    static const struct {
        const char *json, *where;
    } cases[] = {{"[]", "messages"}, {"{}", "messages"}, {"[{\"role\":\"user\",\"content\":\"a\"},3]", "messages[1]"}, {"[{\"content\":\"a\"}]", "messages[0]"},
                 {"[{\"role\":\"user\",\"content\":7}]", "content"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str out;
        struct error err = {0};
        json_t *messages = json_loads(cases[i].json, 0, NULL);
        cr_assert_eq(query_text(messages, &arena, &out, &err), WEIR_E_INVALID, "case %zu", i);
        cr_assert_str_eq(err.where, cases[i].where);
        json_decref(messages);
    }
}
