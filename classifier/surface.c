/* Surface: counts and shares that say of what kind a text is: a calculation, a dialogue, a case with a person in it, a list of
 * statements, a question of knowledge with four short names to choose from.
 *
 * Choices are lines "A. text", "(b) text", "1: text"; with at least two of them the lines before the first are the question,
 * else the whole text is. Words are runs of bytes between white space, compared without their punctuation and in lower case.
 * Sets of words are kept as bitmaps of hashes: a collision moves a share a little, which no head depends on. */
#include "surface.h"

#include <math.h>

enum { LONGEST_TEXT = 16384, MOST_CHOICES = 10, LONGEST_WORD = 31, SET_WORDS = 16 };

/* Words as bits. */
struct set {
    uint64_t bits[SET_WORDS];
};

struct choices {
    str question;
    str texts[MOST_CHOICES];
    size_t n;
};

/* What a pass over the words counts. */
struct words {
    size_t n, n_long, n_common, n_single, n_capital, n_pronoun, n_past, n_ing, n_abstract, n_distinct;
    size_t n_bytes;
    bool negation, which, what, who, how, why, given, compute;
};

/* ------------------------------------------------------------------ characters and words */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* The next run between white space. */
static bool next_word(str *rest, str *word)
{
    size_t i = 0, end;
    while (i < rest->n && is_blank(rest->data[i]))
        i++;
    for (end = i; end < rest->n && !is_blank(rest->data[end]); end++)
        ;
    *word = (str){rest->data + i, end - i};
    *rest = (str){rest->data + end, rest->n - end};
    return word->n > 0;
}

/* Letters, digits, '_' and bytes past 127 of a word, lower case, cut at LONGEST_WORD. */
static str bare(str word, char out[LONGEST_WORD + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < word.n && n < LONGEST_WORD; i++) {
        char c = word.data[i];
        if (is_letter(c) || is_digit(c) || c == '_' || (unsigned char)c >= 0x80)
            out[n++] = is_upper(c) ? (char)(c + 32) : c;
    }
    out[n] = '\0';
    return (str){out, n};
}

/* Whether a word is one of a list: " the of a ", each between blanks. */
static bool is_listed(str word, const char *list)
{
    char between[LONGEST_WORD + 3] = " ";
    if (word.n == 0)
        return false;
    memcpy(between + 1, word.data, word.n);
    between[word.n + 1] = ' ';
    between[word.n + 2] = '\0';
    return strstr(list, between) != NULL;
}

static bool ends_in(str word, const char *ending)
{
    size_t n = strlen(ending);
    return word.n > n && memcmp(word.data + word.n - n, ending, n) == 0;
}

/* ------------------------------------------------------------------ sets */

static bool set_add(struct set *set, str word)
{
    uint64_t hash = str_hash(word);
    hash ^= hash >> 29;
    uint64_t *at = &set->bits[hash / 64 % SET_WORDS], bit = (uint64_t)1 << hash % 64;
    bool fresh = (*at & bit) == 0;
    *at |= bit;
    return fresh;
}

static struct set set_of(str text)
{
    struct set set = {{0}};
    str word;
    char buffer[LONGEST_WORD + 1];
    while (next_word(&text, &word))
        if ((word = bare(word, buffer)).n > 0)
            set_add(&set, word);
    return set;
}

/* Shared words over words of both, or of a alone. */
static double set_overlap(const struct set *a, const struct set *b, bool of_both)
{
    int shared = 0, all = 0;
    for (int i = 0; i < SET_WORDS; i++) {
        shared += __builtin_popcountll(a->bits[i] & b->bits[i]);
        all += __builtin_popcountll(of_both ? a->bits[i] | b->bits[i] : a->bits[i]);
    }
    return all > 0 ? (double)shared / all : 0;
}

/* ------------------------------------------------------------------ the parts */

/* "A. text", "(b) text", "1: text". */
static bool is_choice(str line, str *text)
{
    size_t i = 0;
    line = str_trim(line);
    if (i < line.n && line.data[i] == '(')
        i++;
    if (i + 2 >= line.n || !(is_letter(line.data[i]) || is_digit(line.data[i])) || !is_in(line.data[i + 1], ".):") || !is_blank(line.data[i + 2]))
        return false;
    *text = str_trim((str){line.data + i + 3, line.n - i - 3});
    return text->n > 0;
}

static void choices_read(struct choices *choices, str text)
{
    str rest = text, line, choice;
    *choices = (struct choices){.question = text};
    while (str_split(&rest, '\n', &line)) {
        if (!is_choice(line, &choice))
            continue;
        if (choices->n == 0)
            choices->question.n = (size_t)(line.data - text.data);
        if (choices->n < MOST_CHOICES)
            choices->texts[choices->n++] = choice;
    }
    if (choices->n < 2)
        *choices = (struct choices){.question = text};
    choices->question = str_trim(choices->question);
}

static void words_read(struct words *words, str text)
{
    static const char common[] = " the of a an and to in is are was were be by for with on at from that this it as or which what not have has had do "
                                 "does their its his her they he she you i ";
    static const char pronouns[] = " he she his her him i my me you your they their ";
    struct set seen = {{0}};
    str word;
    char buffer[LONGEST_WORD + 1];
    *words = (struct words){0};
    while (next_word(&text, &word)) {
        words->n_capital += words->n > 0 && is_upper(word.data[0]);
        words->n++;
        words->n_bytes += word.n;
        if ((word = bare(word, buffer)).n == 0)
            continue;
        words->n_distinct += set_add(&seen, word);
        words->n_long += word.n > 8;
        words->n_common += is_listed(word, common);
        words->n_pronoun += is_listed(word, pronouns);
        words->n_single += word.n == 1 && word.data[0] != 'a' && word.data[0] != 'i';
        words->n_past += ends_in(word, "ed");
        words->n_ing += ends_in(word, "ing");
        words->n_abstract += ends_in(word, "tion") || ends_in(word, "ity") || ends_in(word, "ism") || ends_in(word, "ment") || ends_in(word, "ology") ||
                             ends_in(word, "ance") || ends_in(word, "ence");
        words->negation = words->negation || is_listed(word, " not except without least false incorrect ");
        words->which = words->which || is_listed(word, " which ");
        words->what = words->what || is_listed(word, " what ");
        words->who = words->who || is_listed(word, " who when where ");
        words->how = words->how || is_listed(word, " how ");
        words->why = words->why || is_listed(word, " why because explain ");
        words->given = words->given || is_listed(word, " if suppose let given assume ");
        words->compute = words->compute || is_listed(word, " find calculate compute solve determine evaluate ");
    }
}

/* ------------------------------------------------------------------ features */

/* Shares of characters, with lines, marks and numbers. */
static void put_characters(str text, float out[13])
{
    double n_digits = 0, n_operators = 0, n_upper = 0, n_lines = 0, n_questions = 0, n_brackets = 0, n_quotes = 0, n_code = 0, n_past_ascii = 0, n_numbers = 0;
    size_t run = 0, longest = 0;
    bool year = false, decimal = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.data[i], next = i + 1 < text.n ? text.data[i + 1] : ' ';
        n_digits += is_digit(c);
        n_upper += is_upper(c);
        n_lines += c == '\n';
        n_questions += c == '?';
        n_operators += is_in(c, "=+*/^\\$<>|~");
        n_brackets += is_in(c, "(){}[]");
        n_quotes += is_in(c, "\"'");
        n_code += is_in(c, "{};_`#");
        n_past_ascii += (unsigned char)c >= 0x80;
        run = is_digit(c) ? run + 1 : 0;
        longest = run > longest ? run : longest;
        n_numbers += run == 1;
        decimal = decimal || (i > 0 && c == '.' && is_digit(text.data[i - 1]) && is_digit(next));
        year = year || (run == 4 && !is_digit(next) && (text.data[i - 3] == '1' || (text.data[i - 3] == '2' && text.data[i - 2] == '0')));
    }
    double n = text.n > 0 ? (double)text.n : 1;
    const double values[13] = {10 * n_digits / n, 10 * n_operators / n, 10 * n_upper / n, log1p(n_lines), fmin(n_questions, 3), 10 * n_brackets / n,
                               10 * n_quotes / n, 10 * n_code / n, fmin(n_past_ascii, 5), log1p(n_numbers), (double)longest / 2, year, decimal};
    for (int i = 0; i < 13; i++)
        out[i] = (float)values[i];
}

static void put_words(const struct words *words, size_t n_commas, float out[19])
{
    double n = words->n > 0 ? (double)words->n : 1;
    const double values[19] = {
        (double)words->n_bytes / n, (double)words->n_long / n, (double)words->n_common / n, (double)words->n_single / n, (double)words->n_capital / n,
        10 * (double)words->n_pronoun / n, (double)words->n_past / n, (double)words->n_ing / n, (double)words->n_abstract / n,
        (double)words->n_distinct / n, words->negation, words->which, words->what, words->who, words->how, words->why, words->given, words->compute,
        10 * (double)n_commas / n,
    };
    for (int i = 0; i < 19; i++)
        out[i] = (float)values[i];
}

static void put_choices(const struct choices *choices, float out[8])
{
    double sum = 0, least = 1e9, most = 0, n_digit = 0, n_capital = 0, n_number = 0, shared = 0, in_question = 0;
    struct set sets[MOST_CHOICES], question;
    size_t n = choices->n, pairs = n > 1 ? n * (n - 1) / 2 : 1;
    if (n > 0)
        question = set_of(choices->question);
    for (size_t i = 0; i < n; i++) {
        str text = choices->texts[i];
        size_t n_letters = 0;
        sum += (double)text.n;
        least = fmin(least, (double)text.n);
        most = fmax(most, (double)text.n);
        n_digit += is_digit(text.data[0]) || is_in(text.data[0], "-$.(+");
        n_capital += is_upper(text.data[0]);
        for (size_t k = 0; k < text.n; k++)
            n_letters += is_letter(text.data[k]);
        n_number += n_letters == 0;
        sets[i] = set_of(text);
        in_question += set_overlap(&sets[i], &question, false);
        for (size_t k = 0; k < i; k++)
            shared += set_overlap(&sets[i], &sets[k], true);
    }
    double all = n > 0 ? (double)n : 1;
    const double values[8] = {(double)n, log1p(sum / all), n > 0 ? log1p(most - least) : 0, n_digit / all, n_capital / all, n_number / all,
                              shared / (double)pairs, in_question / all};
    for (int i = 0; i < 8; i++)
        out[i] = (float)values[i];
}

/* The question's own length, sentences and ending. */
static void put_question(str question, float out[7])
{
    size_t n_sentences = 0, start = 0, n_words = 0;
    double last = 0;
    bool blank = false;
    for (size_t i = 0; i < question.n; i++) {
        char c = question.data[i];
        bool ends = i + 1 == question.n || (is_in(c, ".!?") && is_blank(question.data[i + 1]));
        n_words += !is_blank(c) && (i + 1 == question.n || is_blank(question.data[i + 1]));
        blank = blank || (c == '_' && i + 1 < question.n && is_in(question.data[i + 1], "_ "));
        if (!ends)
            continue;
        n_sentences++;
        last = (double)(i + 1 - start);
        start = i + 1;
    }
    char end = question.n > 0 ? question.data[question.n - 1] : '\0';
    const double values[7] = {log1p((double)question.n), log1p((double)n_sentences), n_sentences > 0 ? log1p((double)n_words / (double)n_sentences) : 0, log1p(last), blank, end == '?',
                              is_in(end, ":,_.")};
    for (int i = 0; i < 7; i++)
        out[i] = (float)values[i];
}

/* Where the features stand in the order they are computed: the N_CORE that say most of a text's form come first. */
static const unsigned char order[N_MARKS] = {
    0,  1,  5,  6,  9,  10, 11, 14, 16, 17, 18, 19, 20, 21, 29, 32, 33, 38, 39, 46, 2,  3,  4,  7,
    8,  12, 13, 15, 22, 23, 24, 25, 26, 27, 28, 30, 31, 34, 35, 36, 37, 40, 41, 42, 43, 44, 45, 47,
};

void feature_surface(str text, float out[N_SURFACE])
{
    struct choices choices;
    struct words words;
    size_t n_commas = 0, all = text.n;
    float raw[N_MARKS];
    char *cut = NULL;
    if (text.n > LONGEST_TEXT) { /* Beginning and end; without memory for both, the beginning. */
        cut = malloc(LONGEST_TEXT);
        if (cut != NULL) {
            memcpy(cut, text.data, LONGEST_TEXT / 2);
            memcpy(cut + LONGEST_TEXT / 2, text.data + text.n - LONGEST_TEXT / 2, LONGEST_TEXT / 2);
        }
        text = (str){cut != NULL ? cut : text.data, LONGEST_TEXT};
    }
    for (size_t i = 0; i < text.n; i++)
        n_commas += text.data[i] == ',';
    choices_read(&choices, text);
    words_read(&words, text);
    raw[0] = (float)log1p((double)all);
    put_question(choices.question, raw + 1);
    put_choices(&choices, raw + 8);
    put_characters(text, raw + 16);
    put_words(&words, n_commas, raw + 29);
    for (int i = 0; i < N_MARKS; i++)
        out[i] = raw[order[i]] < 20 ? raw[order[i]] : 20;
    quantities_read(text, out + N_MARKS);
    work_expect(out, out + N_SHAPE);
    free(cut);
}
