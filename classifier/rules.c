/* Rules: a text that is nothing but a greeting or thanks, or nothing but one sum of whole numbers. They match whole texts only:
 * "hi, prove the four colour theorem" is no greeting. */
#include "rules.h"

enum { LONGEST_RULE_TEXT = 80, MOST_WORDS = 8, LARGE_DIGITS = 3 };

const char *const rule_names[N_RULES] = {"greeting", "small_sum", "large_sum"};

static const char *const greeting_words[] = {
    "hi", "hello", "hey", "there", "thanks", "thank", "you", "goodbye", "bye", "good", "morning", "evening", "afternoon", "night",
    "day", "greetings", "welcome", "so", "much", "very", "a", "lot", "friend", "assistant", "everyone", "all", "for", "your", "help",
    "have", "nice", "great", "see", "later", "how", "are", "doing", "today", "and", "again", "dear",
};
/* At least one of these must be there: the others alone are no greeting. */
static const char *const greeting_cores[] = {"hi", "hello", "hey", "thanks", "thank", "goodbye", "bye", "greetings", "morning", "evening",
                                             "afternoon", "night"};
static const char *const sum_words[] = {"what", "is", "whats", "calculate", "compute", "how", "much", "please", "result", "of", "the"};

static bool is_one_of(str word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal_nocase(word, str_of(list[i])))
            return true;
    return false;
}
#define IS_ONE_OF(word, list) is_one_of(word, list, sizeof(list) / sizeof *(list))

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_greeting(str text)
{
    int n_words = 0;
    bool core = false;
    for (size_t i = 0; i < text.n;) {
        if (!is_letter(text.data[i])) {
            if (strchr(" ,.!?:;)'-\t\n", text.data[i]) == NULL || text.data[i] == '\0')
                return false;
            i++;
            continue;
        }
        size_t end = i;
        while (end < text.n && is_letter(text.data[end]))
            end++;
        str word = {text.data + i, end - i};
        if (!IS_ONE_OF(word, greeting_words) || ++n_words > MOST_WORDS)
            return false;
        core = core || IS_ONE_OF(word, greeting_cores);
        i = end;
    }
    return core;
}

/* Numbers in a text that has nothing but them, one operator between each two, and words that ask for the result. */
static enum rule match_sum(str text)
{
    size_t n_numbers = 0, n_operators = 0, longest = 0;
    for (size_t i = 0; i < text.n;) {
        size_t end = i;
        if (is_digit(text.data[i])) {
            while (end < text.n && is_digit(text.data[end]))
                end++;
            longest = end - i > longest ? end - i : longest;
            if (n_numbers++ != n_operators)
                return RULE_NONE;
        } else if (is_letter(text.data[i])) {
            while (end < text.n && (is_letter(text.data[end]) || text.data[end] == '\''))
                end++;
            if (!IS_ONE_OF(((str){text.data + i, end - i}), sum_words))
                return RULE_NONE;
        } else {
            end++;
            if (text.data[i] != '\0' && strchr("+-*/", text.data[i]) != NULL) {
                if (++n_operators != n_numbers)
                    return RULE_NONE;
            } else if (text.data[i] == '\0' || strchr(" =?:.\n", text.data[i]) == NULL) {
                return RULE_NONE;
            }
        }
        i = end;
    }
    if (n_numbers < 2 || n_operators + 1 != n_numbers)
        return RULE_NONE;
    return longest >= LARGE_DIGITS ? RULE_LARGE_SUM : RULE_SMALL_SUM;
}

enum rule rule_match(str text)
{
    text = str_trim(text);
    if (text.n == 0 || text.n > LONGEST_RULE_TEXT)
        return RULE_NONE;
    return is_greeting(text) ? RULE_GREETING : match_sum(text);
}
