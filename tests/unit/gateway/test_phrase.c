/* Phrases: what may differ between two questions that get the same answer, and what never may. */
#include "cache/phrase.h"

#include <criterion/criterion.h>

static bool same(const char *a, const char *b)
{
    struct buffer first, second;
    buffer_init(&first, 1 << 20);
    buffer_init(&second, 1 << 20);
    int one = phrase_append(str_of(a), &first), two = phrase_append(str_of(b), &second);
    bool equal = one == 0 && two == 0 && str_equal(buffer_str(&first), buffer_str(&second));
    buffer_release(&first);
    buffer_release(&second);
    return equal;
}

Test(phrase, opposites_numbers_names_and_order_keep_questions_apart)
{
    static const char *const pairs[][2] = {
        {"How do I turn the feature on?", "How do I turn the feature off?"},
        {"Can I return it?", "Can't I return it?"},
        {"What can I do here?", "What can't I do here?"},
        {"You can go.", "You cannot go."},
        {"Who won the world cup in 2019?", "Who won the world cup in 2020?"},
        {"How do I enable two-factor login?", "How do I disable two-factor login?"},
        {"Should I eat before swimming?", "Should I eat after swimming?"},
        {"Does Alice owe Bob money?", "Does Bob owe Alice money?"},
        {"What is the capital of France?", "What is the capital of Spain?"},
        {"What is 3.5 times 2?", "What is 35 times 2?"},
        {"What is 1,000 plus 1?", "What is 1 , 000 plus 1?"},
        {"Is it increasing?", "Is it decreasing?"},
        {"Is smoking allowed?", "Is smoking not allowed?"},
        {"Is smoking legal?", "Is smoking illegal?"},
        {"Which is the cheapest plan?", "Which is the most expensive plan?"},
        {"Is there any risk?", "Is there no risk?"},
        {"Convert 5 miles to kilometers", "Convert 5 kilometers to miles"},
        {"Is 5 greater than 3?", "Is 5 less than 3?"},
        {"Show all users with access", "Show all users without access"},
        {"What are the pros of remote work?", "What are the cons of remote work?"},
        {"Fly from Rome to Oslo", "Fly from Oslo to Rome"},
        {"Who came first?", "Who came last?"},
        {"I do want it", "I do not want it"},
        {"Did few people come?", "Did a few people come?"},
        {"Who were the few?", "Who were few?"},
        {"What is US policy?", "What is us policy?"},
        {"How do I polish a table?", "How do I say table in Polish?"},
        {"What does polish mean?", "What does Polish mean?"},
        {"Who is The Who?", "Who is who?"},
        {"What does \"Stop\" mean?", "What does \"stop\" mean?"},
        {"Translate \"the cat\" to German", "Translate \"cat\" to German"},
        {"No, stop", "No stop"},
        {"What is vitamin A?", "What is vitamin a day?"},
        {"What is C?", "What is c?"},
        {"Can you swim?", "swim"},
        {"Can you write code?", "Do you write code?"},
        {"Is it e-mail or email?", "Is it email or e-mail?"},
        {"You are ready.", "You are ready?"},
        {"What is it worth in $?", "What is it worth?"},
        {"Is 5% enough?", "Is 5 enough?"},
        {"How do you say please", "How do you say"},
        {"print(a-b)", "print(a - b)"},
        {"Explain `a = b`", "Explain `b = a`"},
        {"What does x = 1 do?", "what does x = 1 do?"},
        {"List:\n1. a\n2. b", "List:\n1. a\n3. b"},
        {"Haben Sie das gelesen", "Haben sie das gelesen"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cr_expect(!same(pairs[i][0], pairs[i][1]), "\"%s\" is not \"%s\"", pairs[i][0], pairs[i][1]);
}

Test(phrase, harmless_words_case_and_marks_do_not_matter)
{
    static const char *const pairs[][2] = {
        {"What is the capital of France?", "what's the capital of france"},
        {"What is the capital of France?", "  What is  capital of France "},
        {"What is the capital of France?", "Please tell me what is the capital of France."},
        {"What is the capital of France?", "Hi! Can you tell me what is the capital of France, please?"},
        {"What is the capital of France?", "Hello, what is the capital of France? Thanks!"},
        {"What is the capital of France?", "what is the capital of France, thank you"},
        {"Could you please explain photosynthesis?", "explain photosynthesis?"},
        {"What is a weir?", "what's a weir"},
        {"Explain photosynthesis", "Please explain photosynthesis."},
        {"Why can't penguins fly?", "why cannot penguins fly"},
        {"Why can\xE2\x80\x99t penguins fly?", "Why can't penguins fly?"},
        {"I don't know what it's called", "i do not know what it is called."},
        {"Good morning! How do I reset my password?", "how do i reset my password"},
        {"I want to know how plants eat", "How plants eat"},
        {"What does \"Stop\" mean?", "what does \"Stop\" mean"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cr_expect(same(pairs[i][0], pairs[i][1]), "\"%s\" is \"%s\"", pairs[i][0], pairs[i][1]);
}

Test(phrase, what_has_no_phrase_matches_nothing)
{
    char longest[PHRASE_MAX_BYTES + 2];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    cr_expect(!same("", ""));
    cr_expect(!same("   ", "   "));
    cr_expect(!same("caf\xE9", "caf\xE9"), "invalid UTF-8");
    cr_expect(!same(longest, longest));
    longest[PHRASE_MAX_BYTES] = '\0';
    cr_expect(same(longest, longest));
    for (int i = 0; i < PHRASE_MAX_BYTES; i += 2)
        longest[i] = ' ';
    cr_expect(!same(longest, longest), "more tokens than are compared");
}

Test(phrase, politeness_alone_is_still_a_text)
{
    static const char *const texts[] = {"please", "Hi", "hello there", "thanks", "thank you", "please please please", "?", "...", "\"", "'", "can you please", "the"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cr_expect(same(texts[i], texts[i]), "\"%s\" has a phrase", texts[i]);
        for (size_t k = 0; k < i; k++)
            cr_expect(!same(texts[i], texts[k]), "\"%s\" is not \"%s\"", texts[i], texts[k]);
    }
}
