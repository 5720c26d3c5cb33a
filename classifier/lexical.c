/* Lexical: n-grams of a text hashed into a fixed number of buckets.
 *
 * The text is lower-cased (ASCII; other code points stand as they are) and cut into words at everything that is
 * neither letter, digit nor a byte past 127. Words and pairs of neighbours give the word grams; the runs of 2 to 5 code
 * points inside " word " (with the blanks) the character grams; there words are cut at white space only, so punctuation
 * and operators count. A gram's hash is FNV-1a started with its kind; 16 bits of it choose the bucket, other bits the place
 * and the sign in the sketch. */
#include "lexical.h"

#include <math.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static char lower(char c)
{
    return is_upper(c) ? (char)(c + 32) : c;
}

static bool is_word(char c)
{
    return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80 || c == '_';
}

struct gram_list {
    uint64_t *hashes;
    size_t n;
    size_t capacity;
};

static int list_add(struct gram_list *list, uint64_t kind, const char *data, size_t n)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity > 0 ? 2 * list->capacity : 512;
        uint64_t *grown = realloc(list->hashes, capacity * sizeof *grown);
        if (grown == NULL)
            return WEIR_E_MEMORY;
        list->hashes = grown;
        list->capacity = capacity;
    }
    uint64_t hash = 0xcbf29ce484222325ULL ^ kind;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)lower(data[i])) * 0x100000001b3ULL;
    hash ^= hash >> 33; /* FNV's low bits alone are weak on short strings. */
    hash *= 0xff51afd7ed558ccdULL;
    list->hashes[list->n++] = hash ^ hash >> 29;
    return 0;
}

static int add_words(struct gram_list *list, str text)
{
    size_t previous = SIZE_MAX, previous_end = 0;
    for (size_t i = 0; i < text.n;) {
        if (!is_word(text.data[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < text.n && is_word(text.data[end]))
            end++;
        if (list_add(list, 1, text.data + i, end - i) < 0)
            return WEIR_E_MEMORY;
        if (previous != SIZE_MAX) { /* A pair: both words with one blank between, whatever stood there. */
            char pair[128];
            size_t a = previous_end - previous, b = end - i;
            if (a + b + 1 <= sizeof pair) {
                memcpy(pair, text.data + previous, a);
                pair[a] = ' ';
                memcpy(pair + a + 1, text.data + i, b);
                if (list_add(list, 2, pair, a + b + 1) < 0)
                    return WEIR_E_MEMORY;
            }
        }
        previous = i;
        previous_end = i = end;
    }
    return 0;
}

static bool begins_code_point(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

static int add_characters(struct gram_list *list, str text)
{
    for (size_t i = 0; i < text.n;) {
        if (is_blank(text.data[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < text.n && !is_blank(text.data[end]) && end - i < 62)
            end++;
        char word[64] = " ";
        size_t n = end - i;
        memcpy(word + 1, text.data + i, n);
        word[n + 1] = ' ';
        for (size_t from = 0; from < n + 2; from++) {
            if (!begins_code_point(word[from]))
                continue;
            size_t to = from, points = 0;
            while (to < n + 2 && points < 5) {
                to++;
                while (to < n + 2 && !begins_code_point(word[to]))
                    to++;
                if (++points >= 2 && list_add(list, 3, word + from, to - from) < 0)
                    return WEIR_E_MEMORY;
            }
        }
        i = end;
    }
    return 0;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    uint32_t p = (uint32_t)(x % N_BUCKETS), q = (uint32_t)(y % N_BUCKETS);
    if (p != q)
        return p < q ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Sorted hashes to buckets with damped counts, and their half of the sketch. */
static void fold(struct grams *grams, const uint64_t *hashes, size_t n)
{
    double squares = 0;
    float half[N_SKETCH] = {0};
    for (size_t i = 0; i < n;) {
        size_t end = i;
        uint32_t bucket = (uint32_t)(hashes[i] % N_BUCKETS);
        for (; end < n && hashes[end] % N_BUCKETS == bucket; end++)
            ;
        grams->items[grams->n++] = (struct gram){bucket, 1 + logf((float)(end - i))};
        for (size_t k = i; k < end;) { /* The sketch tells grams of one bucket apart. */
            size_t same = k;
            for (; same < end && hashes[same] == hashes[k]; same++)
                ;
            float value = 1 + logf((float)(same - k));
            half[hashes[k] >> 20 & (N_SKETCH - 1)] += (hashes[k] >> 40 & 1) != 0 ? value : -value;
            k = same;
        }
        i = end;
    }
    for (int i = 0; i < N_SKETCH; i++)
        squares += (double)half[i] * (double)half[i];
    float scale = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
    for (int i = 0; i < N_SKETCH; i++)
        grams->sketch[i] += half[i] * scale;
}

int grams_read(struct grams *grams, str text)
{
    struct gram_list words = {0}, characters = {0};
    *grams = (struct grams){0};
    str parts[2] = {text, {NULL, 0}};
    if (text.n > LONGEST_TEXT) {
        parts[0].n = LONGEST_TEXT / 2;
        parts[1] = (str){text.data + text.n - LONGEST_TEXT / 2, LONGEST_TEXT / 2};
    }
    int status = 0;
    for (int i = 0; i < 2 && status == 0; i++) {
        status = add_words(&words, parts[i]);
        if (status == 0)
            status = add_characters(&characters, parts[i]);
    }
    if (status == 0) {
        grams->items = malloc((words.n + characters.n + 1) * sizeof *grams->items);
        status = grams->items == NULL ? WEIR_E_MEMORY : 0;
    }
    if (status == 0) {
        if (words.n > 0)
            qsort(words.hashes, words.n, sizeof *words.hashes, compare_hashes);
        if (characters.n > 0)
            qsort(characters.hashes, characters.n, sizeof *characters.hashes, compare_hashes);
        fold(grams, words.hashes, words.n);
        grams->n_words = grams->n;
        fold(grams, characters.hashes, characters.n);
    }
    free(words.hashes);
    free(characters.hashes);
    return status;
}

void grams_release(struct grams *grams)
{
    free(grams->items);
    grams->items = NULL;
    grams->n = 0;
}
