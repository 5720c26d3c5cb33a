/* A text cut into tokens, folded, and freed of politeness.
 *
 * A token is what stands between blanks, without the punctuation at its ends (which are tokens of their own), or a quoted run with
 * its quotes. Tokens inside are never changed but by the rules of phrase.h, so numbers ("1,000", "3-4"), identifiers and words of
 * other scripts stay byte for byte. */
#include "cache/phrase.h"

enum { MAX_TOKENS = 512, FOLDED_BYTES = 2 * PHRASE_MAX_BYTES };

struct phrase {
    str tokens[MAX_TOKENS];
    int n;
    char folded[FOLDED_BYTES]; /* Storage of tokens that were changed. */
    size_t n_folded;
    bool full;
    bool english;
};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_one_of(str token, const char *const *words)
{
    for (; *words != NULL; words++)
        if (str_equal(token, str_of(*words)))
            return true;
    return false;
}

static bool is_word(const struct phrase *phrase, int at, const char *word)
{
    return at >= 0 && at < phrase->n && str_equal(phrase->tokens[at], str_of(word));
}

static bool is_in(const struct phrase *phrase, int at, const char *const *words)
{
    return at >= 0 && at < phrase->n && is_one_of(phrase->tokens[at], words);
}

static const char *const asking_words[] = {"what", "who", "whom", "whose", "how", "why", "where", "when", "which", NULL};
static const char *const auxiliaries[] = {"is", "are", "was", "were", "am", "do", "does", "did", "can", "could", "will", "would", "should", "shall",
                                          "may", "might", "must", "has", "have", "had", NULL};

/* ------------------------------------------------------------------ tokens */

static void add(struct phrase *phrase, str token)
{
    if (phrase->n == MAX_TOKENS) {
        phrase->full = true;
        return;
    }
    phrase->tokens[phrase->n++] = token;
}

static bool is_punctuation(char c)
{
    return c != '\0' && strchr(",.!?:;()\"", c) != NULL;
}

/* One token's worth of text without blanks: punctuation off both ends. */
static void add_run(struct phrase *phrase, str run)
{
    size_t start = 0, end = run.n;
    while (start < end && run.data[start] == '(') {
        add(phrase, (str){run.data + start, 1});
        start++;
    }
    while (end > start && is_punctuation(run.data[end - 1]))
        end--;
    if (end > start)
        add(phrase, (str){run.data + start, end - start});
    for (; end < run.n; end++)
        add(phrase, (str){run.data + end, 1});
}

static const struct {
    const char *open, *close;
} quotes[] = {{"\"", "\""}, {"\xE2\x80\x9C", "\xE2\x80\x9D"}, {"\xE2\x80\x9E", "\xE2\x80\x9C"}, {"\xC2\xAB", "\xC2\xBB"},
              {"\xE2\x80\x98", "\xE2\x80\x99"}, {"'", "'"}};

/* Bytes of the quoted run that begins at s, its quotes included; 0: none does. */
static size_t quoted_run(str s)
{
    for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
        str open = str_of(quotes[i].open), close = str_of(quotes[i].close);
        if (!str_starts(s, open))
            continue;
        for (size_t at = open.n; at + close.n <= s.n; at++) {
            if (memcmp(s.data + at, close.data, close.n) != 0)
                continue;
            size_t after = at + close.n; /* An apostrophe inside a word closes nothing. */
            if (after == s.n || s.data[after] == ' ' || is_punctuation(s.data[after]))
                return after;
        }
    }
    return 0;
}

static void split(struct phrase *phrase, str text)
{
    for (size_t at = 0; at < text.n && !phrase->full;) {
        if (text.data[at] == ' ') {
            at++;
            continue;
        }
        size_t quoted = quoted_run((str){text.data + at, text.n - at});
        if (quoted > 0) {
            add(phrase, (str){text.data + at, quoted});
            at += quoted;
            continue;
        }
        size_t end = at;
        while (end < text.n && text.data[end] != ' ')
            end++;
        add_run(phrase, (str){text.data + at, end - at});
        at = end;
    }
}

/* ------------------------------------------------------------------ folding */

/* Words that are others with a capital: their case stays. */
static const char *const cased_words[] = {
    "Access", "Amazon", "Apple", "April", "August", "Bath", "Bill", "Bush", "Chad", "China", "Chip", "Cork", "Drew", "Earth", "Essen", "Excel", "Frank",
    "Gap", "Go", "Grace", "Guinea", "Gulf", "Hope", "Ihnen", "Ihr", "Ihre", "Jack", "Japan", "Java", "Job", "Jordan", "Jupiter", "King", "Lance", "Lima",
    "March", "Mark", "Mars", "Max", "May", "Mercury", "Mobile", "Nice", "Oracle", "Orange", "Pages", "Pascal", "Pat", "Polish", "Python", "Reading",
    "Rich", "Rob", "Rose", "Ruby", "Rust", "Scratch", "Shell", "Sie", "Sue", "Swift", "Target", "Turkey", "Uber", "Visa", "Wales", "Will", "Windows",
    "Word", "Zoom", NULL};
/* One of these makes a text English, or of a language in which capitals say as little: none is a word of German. */
static const char *const english_words[] = {"the", "The", "what", "What", "how", "How", "who", "Who", "why", "Why", "when", "When", "where", "Where",
                                            "which", "Which", "does", "Does", "are", "Are", "you", "You", "my", "My", "should", "Should", "could",
                                            "Could", "would", "Would", "explain", "Explain", "write", "Write", "give", "Give", "with", "that", "this",
                                            "is", "Is", "of", "do", "Do", "can", "Can", "please", "Please", NULL};

static str fold_into(struct phrase *phrase, const char *text, size_t n)
{
    if (phrase->n_folded + n > FOLDED_BYTES) {
        phrase->full = true;
        return (str){"", 0};
    }
    char *out = memcpy(phrase->folded + phrase->n_folded, text, n);
    phrase->n_folded += n;
    return (str){out, n};
}

/* Typographic apostrophes are plain ones. */
static str plain_apostrophes(struct phrase *phrase, str token)
{
    ptrdiff_t at = str_find(token, STR("\xE2\x80\x99"));
    if (at < 0 || (size_t)at + 3 == token.n || quoted_run(token) > 0)
        return token;
    char out[64];
    if (token.n >= sizeof out)
        return token;
    memcpy(out, token.data, (size_t)at);
    out[at] = '\'';
    memcpy(out + at + 1, token.data + at + 3, token.n - (size_t)at - 3);
    return fold_into(phrase, out, token.n - 2);
}

/* Letters, inner hyphens and apostrophes, a capital at most at the head. */
static bool is_simple_word(str token)
{
    if (token.n == 0 || !(is_upper(token.data[0]) || is_lower(token.data[0])))
        return false;
    for (size_t i = 1; i < token.n; i++)
        if (!is_lower(token.data[i]) && token.data[i] != '\'' && token.data[i] != '-')
            return false;
    return true;
}

static void fold_case(struct phrase *phrase, int at)
{
    str token = phrase->tokens[at];
    bool single = token.n == 1 && !(token.data[0] == 'I' || (token.data[0] == 'A' && at == 0));
    if (!is_upper(token.data[0]) || single || !is_simple_word(token) || is_one_of(token, cased_words))
        return;
    if (at > 0 && str_equal(token, STR("The"))) /* Of a name: The Who. */
        return;
    char first = (char)(token.data[0] - 'A' + 'a');
    str head = fold_into(phrase, &first, 1);
    (void)fold_into(phrase, token.data + 1, token.n - 1);
    phrase->tokens[at] = (str){head.data, token.n};
}

static const struct {
    const char *word, *first, *second;
} contractions[] = {
    {"can't", "can", "not"}, {"cannot", "can", "not"}, {"won't", "will", "not"}, {"shan't", "shall", "not"}, {"don't", "do", "not"},
    {"doesn't", "does", "not"}, {"didn't", "did", "not"}, {"isn't", "is", "not"}, {"aren't", "are", "not"}, {"wasn't", "was", "not"},
    {"weren't", "were", "not"}, {"hasn't", "has", "not"}, {"haven't", "have", "not"}, {"hadn't", "had", "not"}, {"wouldn't", "would", "not"},
    {"couldn't", "could", "not"}, {"shouldn't", "should", "not"}, {"mustn't", "must", "not"}, {"mightn't", "might", "not"}, {"needn't", "need", "not"},
    {"what's", "what", "is"}, {"who's", "who", "is"}, {"where's", "where", "is"}, {"when's", "when", "is"}, {"how's", "how", "is"}, {"why's", "why", "is"},
    {"it's", "it", "is"}, {"that's", "that", "is"}, {"there's", "there", "is"}, {"i'm", "i", "am"}, {"you're", "you", "are"}, {"we're", "we", "are"},
    {"they're", "they", "are"}, {"i've", "i", "have"}, {"you've", "you", "have"}, {"we've", "we", "have"}, {"they've", "they", "have"}, {"i'll", "i", "will"},
    {"you'll", "you", "will"}, {"we'll", "we", "will"}, {"they'll", "they", "will"}, {"it'll", "it", "will"},
};

/* Writes contractions out. */
static void expand(struct phrase *phrase)
{
    for (int at = 0; at < phrase->n; at++) {
        for (size_t i = 0; i < sizeof contractions / sizeof *contractions; i++) {
            if (!is_word(phrase, at, contractions[i].word))
                continue;
            if (phrase->n == MAX_TOKENS) {
                phrase->full = true;
                return;
            }
            memmove(&phrase->tokens[at + 2], &phrase->tokens[at + 1], (size_t)(phrase->n - at - 1) * sizeof *phrase->tokens);
            phrase->tokens[at] = str_of(contractions[i].first);
            phrase->tokens[at + 1] = str_of(contractions[i].second);
            phrase->n++;
            break;
        }
    }
}

/* ------------------------------------------------------------------ politeness */

static void drop(struct phrase *phrase, int at, int n)
{
    memmove(&phrase->tokens[at], &phrase->tokens[at + n], (size_t)(phrase->n - at - n) * sizeof *phrase->tokens);
    phrase->n -= n;
}

static const char *const greetings[] = {"hi", "hello", "hey", "hiya", "greetings", NULL};
static const char *const please_words[] = {"please", "pls", "plz", "kindly", NULL};
static const char *const polite_verbs[] = {"can", "could", "would", "will", NULL};
static const char *const greeting_ends[] = {",", "!", ".", NULL};

/* Tokens of a polite opening at the start, 0: none. */
static int opening(const struct phrase *phrase, int at)
{
    static const char *const told_verbs[] = {"explain", "describe", "summarize", "summarise", "list", "define", NULL};
    static const char *const wishes[][6] = {{"tell", "me"}, {"i", "want", "to", "know"}, {"i", "would", "like", "to", "know"}};
    if (is_in(phrase, at, please_words))
        return is_word(phrase, at + 1, ",") ? 2 : 1;
    if (is_in(phrase, at, polite_verbs) && is_word(phrase, at + 1, "you")) {
        if (is_in(phrase, at + 2, please_words))
            return 3;
        bool told = is_word(phrase, at + 2, "tell") && is_word(phrase, at + 3, "me") && is_in(phrase, at + 4, asking_words);
        if (told || is_in(phrase, at + 2, told_verbs))
            return 2;
    }
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        int n = 0;
        while (n < 6 && wishes[i][n] != NULL && is_word(phrase, at + n, wishes[i][n]))
            n++;
        if (wishes[i][n] == NULL && is_in(phrase, at + n, asking_words))
            return n;
    }
    return 0;
}

/* Tokens of a greeting at the start that is no part of the question, 0: none. */
static int greeting(const struct phrase *phrase)
{
    int n = is_in(phrase, 0, greetings) ? 1 : 0;
    if (n == 0 && is_word(phrase, 0, "good") && (is_word(phrase, 1, "morning") || is_word(phrase, 1, "afternoon") || is_word(phrase, 1, "evening")))
        n = 2;
    if (n == 0)
        return 0;
    if (is_word(phrase, 1, "there"))
        n++;
    if (is_in(phrase, n, greeting_ends))
        return n + 1;
    return opening(phrase, n) > 0 ? n : 0;
}

static void drop_opening(struct phrase *phrase)
{
    for (int n; (n = greeting(phrase)) > 0 && n < phrase->n;)
        drop(phrase, 0, n);
    for (int n; (n = opening(phrase, 0)) > 0 && phrase->n - n >= 2;)
        drop(phrase, 0, n);
}

static void drop_closing(struct phrase *phrase)
{
    static const char *const saying[] = {"say", "says", "saying", "said", "word", "words", "mean", "means", "write", "spell", "translate", "of", NULL};
    static const char *const ends[] = {",", ".", "!", "?", NULL};
    for (bool more = true; more && phrase->n > 2;) {
        int last = phrase->n - 1;
        int thanks = is_word(phrase, last, "thanks") || is_word(phrase, last, "thx") ? 1 : is_word(phrase, last - 1, "thank") && is_word(phrase, last, "you") ? 2 : 0;
        more = true;
        if (is_word(phrase, last, ".") || is_word(phrase, last, "!"))
            drop(phrase, last, 1);
        else if (thanks > 0 && is_in(phrase, last - thanks, ends))
            drop(phrase, last - thanks + 1, thanks);
        else if (is_in(phrase, last, please_words) && phrase->n > 3 && !is_in(phrase, last - 1, saying))
            drop(phrase, last, 1);
        else if (is_word(phrase, last, ","))
            drop(phrase, last, 1);
        else if (is_word(phrase, last, "?") && is_in(phrase, last - 1, please_words) && phrase->n > 4 && !is_in(phrase, last - 2, saying))
            drop(phrase, last - 1, 1);
        else if (is_word(phrase, last, "?") && is_word(phrase, last - 1, ","))
            drop(phrase, last - 1, 1);
        else
            more = false;
    }
}

/* "the" says nothing, but for names and a few words that mean another thing with it. */
static void drop_articles(struct phrase *phrase)
{
    static const char *const kept_before[] = {"who", "what", "few", "little", "one", "other", "same", "Who", NULL};
    for (int at = 0; at < phrase->n;) {
        if (is_word(phrase, at, "the") && at + 1 < phrase->n && !is_in(phrase, at + 1, kept_before))
            drop(phrase, at, 1);
        else
            at++;
    }
}

/* A question that begins like one needs no mark. */
static void drop_mark(struct phrase *phrase)
{
    if (is_word(phrase, phrase->n - 1, "?") && phrase->n > 1 && (is_in(phrase, 0, asking_words) || is_in(phrase, 0, auxiliaries)))
        phrase->n--;
}

/* ------------------------------------------------------------------ the whole */

/* Several lines, control bytes, or what only code has. */
static bool is_verbatim(str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F || strchr("`{}<>=\\|_[]~^", text.data[i]) != NULL)
            return true;
    return false;
}

static void fold(struct phrase *phrase)
{
    for (int i = 0; i < phrase->n; i++) {
        str token = phrase->tokens[i] = plain_apostrophes(phrase, phrase->tokens[i]);
        ptrdiff_t apostrophe = str_find(token, STR("'"));
        if (apostrophe > 0)
            token.n = (size_t)apostrophe; /* What's. */
        phrase->english |= is_one_of(token, english_words);
    }
    if (!phrase->english)
        return;
    for (int i = 0; i < phrase->n && !phrase->full; i++)
        fold_case(phrase, i);
    expand(phrase);
    drop_opening(phrase);
    drop_closing(phrase);
    drop_articles(phrase);
    drop_mark(phrase);
}

int phrase_append(str text, struct buffer *out)
{
    struct phrase phrase;
    str trimmed = str_trim(text);
    if (trimmed.n == 0 || text.n > PHRASE_MAX_BYTES || utf8_first_invalid(text) >= 0)
        return WEIR_E_LIMIT;
    if (is_verbatim(trimmed)) {
        buffer_append_char(out, '=');
        return buffer_append_str(out, text);
    }
    phrase.n = 0;
    phrase.n_folded = 0;
    phrase.full = phrase.english = false;
    split(&phrase, trimmed);
    fold(&phrase);
    if (phrase.full || phrase.n == 0)
        return WEIR_E_LIMIT;
    buffer_append_char(out, '~');
    for (int i = 0; i < phrase.n; i++) {
        buffer_append_str(out, phrase.tokens[i]);
        buffer_append_char(out, 0x1F);
    }
    return out->failed ? WEIR_E_LIMIT : 0;
}
