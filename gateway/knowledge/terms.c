/* Content words: runs of letters and digits (any byte past ASCII is a letter), lower-case in ASCII, without the words that every
 * question has. */
#include "knowledge/knowledge.h"

enum { LONGEST_TERM = 64, STEM_BYTES = 6, MOST_TERMS = 256 };

static const char *const stop_words[] = {
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does", "for", "from",
    "get", "give", "had", "has", "have", "he", "her", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "know", "let", "like", "may", "me",
    "much", "many", "must", "my", "need", "no", "not", "of", "on", "one", "or", "our", "please", "say", "she", "should", "show", "so", "some", "tell", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "to", "us", "was", "want", "we", "were", "what", "when", "where", "which", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your", "explain", "describe", "am", "s", "t", "re", "ve", "ll", "d", "m"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The next word of text from *at on, lower-case; longer ones are cut. False: none. */
static bool next_word(str text, size_t *at, char word[LONGEST_TERM], size_t *n)
{
    while (*at < text.n && !is_letter(text.data[*at]))
        ++*at;
    for (*n = 0; *at < text.n && is_letter(text.data[*at]); ++*at)
        if (*n < LONGEST_TERM)
            word[(*n)++] = lower(text.data[*at]);
    return *n > 0;
}

static bool is_stop_word(str word)
{
    for (size_t i = 0; i < sizeof stop_words / sizeof *stop_words; i++)
        if (str_equal(word, str_of(stop_words[i])))
            return true;
    return false;
}

void terms_each(str text, terms_fn *each, void *user)
{
    char word[LONGEST_TERM];
    size_t n, at = 0;
    while (next_word(text, &at, word, &n))
        if (!is_stop_word((str){word, n}))
            each(user, (str){word, n});
}

/* ------------------------------------------------------------------ shares */

struct terms {
    char words[MOST_TERMS][STEM_BYTES];
    size_t lengths[MOST_TERMS];
    bool found[MOST_TERMS];
    int n;
};

/* Numbers and short words count whole, longer ones by their beginning. */
static size_t stem(str word)
{
    return word.n > STEM_BYTES ? STEM_BYTES : word.n;
}

static void collect(void *user, str word)
{
    struct terms *terms = user;
    size_t n = stem(word);
    for (int i = 0; i < terms->n; i++)
        if (terms->lengths[i] == n && memcmp(terms->words[i], word.data, n) == 0)
            return;
    if (terms->n == MOST_TERMS)
        return;
    memcpy(terms->words[terms->n], word.data, n);
    terms->lengths[terms->n++] = n;
}

/* A term is found where a word begins with it; short ones and numbers must be the word, but for an s. */
static bool fits(const struct terms *terms, int i, str word)
{
    size_t n = terms->lengths[i];
    if (word.n < n || memcmp(terms->words[i], word.data, n) != 0)
        return false;
    return n == STEM_BYTES || word.n == n || (word.n == n + 1 && word.data[n] == 's');
}

static void mark(struct terms *terms, str text)
{
    char word[LONGEST_TERM];
    size_t n, at = 0;
    while (next_word(text, &at, word, &n))
        for (int i = 0; i < terms->n; i++)
            terms->found[i] |= fits(terms, i, (str){word, n});
}

static float share(const struct terms *terms)
{
    int n = 0;
    for (int i = 0; i < terms->n; i++)
        n += terms->found[i];
    return terms->n > 0 ? (float)n / (float)terms->n : 0.0f;
}

float terms_share(str question, const str *texts, size_t n)
{
    struct terms terms = {.n = 0};
    terms_each(question, collect, &terms);
    for (size_t i = 0; i < n; i++)
        mark(&terms, texts[i]);
    return share(&terms);
}

float terms_support(str text, str source)
{
    return terms_share(text, &source, 1);
}
