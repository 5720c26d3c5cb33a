/* Secrets by gitleaks' rules (secrets_rules.inc). One pass finds every rule's keywords; at each keyword the rules it belongs to are
 * tried, from a bounded distance before it, so that a text without keywords costs one table step a byte. A match counts when its
 * secret has the rule's entropy and no allow-list names it. The find is the secret, not the assignment around it. */
#include "scan/secrets.h"

#include "scan/credentials.h"
#include "scan/words.h"

#include <pthread.h>

enum secret_target { SECRET_TARGET_SECRET, SECRET_TARGET_MATCH, SECRET_TARGET_LINE };

struct secret_rule {
    struct entity entity;
    struct regex regex;
    float entropy;  /* A secret at or below it is none. */
    int group;      /* The group that holds the secret; 0: the first that took part, else all. */
    bool prefixed;  /* Begins with the name before the keyword: tried once, at the name's first byte. */
    bool assigns;   /* An assignment operator follows the keyword. */
    int lookback;   /* Bytes before the keyword where a match may begin, */
    int lookahead;  /* and after it. */
};

struct secret_allow {
    int rule; /* -1: all. */
    enum secret_target target;
    struct regex regex;
};

struct secret_stopword {
    int rule; /* -1: all. */
};

#include "secrets_rules.inc"

enum {
    N_RULES = sizeof rules / sizeof *rules,
    N_KEYWORDS = sizeof keywords / sizeof *keywords,
    N_PAIRS = sizeof keyword_rules / sizeof *keyword_rules,
    N_ALLOWS = sizeof allows / sizeof *allows,
    N_STOPWORDS = sizeof stopwords / sizeof *stopwords,
    LONGEST_NAME = 50,  /* Before a keyword. */
    LONGEST_LINE_PART = 512, /* Of the line around a match that allow-lists see, each way. */
    LONGEST_SECRET = 16384, /* From its keyword on. */
    LONGEST_REST = 24,  /* Between a keyword and its operator. */
};

static struct words *keyword_words, *stopword_words;
static uint16_t first_pair[N_KEYWORDS + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    keyword_words = words_new(keywords, N_KEYWORDS);
    stopword_words = words_new(stopwords, N_STOPWORDS);
    size_t pair = 0;
    for (size_t i = 0; i < N_KEYWORDS; i++) {
        first_pair[i] = (uint16_t)pair;
        while (pair < N_PAIRS && keyword_rules[pair][0] == i)
            pair++;
    }
    first_pair[N_KEYWORDS] = (uint16_t)pair;
}

size_t secret_entity_count(void)
{
    return N_RULES;
}

const struct entity *secret_entity(size_t index)
{
    return &rules[index].entity;
}

ptrdiff_t secret_entity_index(const struct entity *entity)
{
    uintptr_t at = (uintptr_t)entity, base = (uintptr_t)rules;
    return at >= base && at < base + sizeof rules ? (ptrdiff_t)((at - base) / sizeof *rules) : -1;
}

static bool stopword_found(void *user, size_t index, size_t start)
{
    const int *rule = user;
    return stopword_owners[index].rule >= 0 && stopword_owners[index].rule != *rule;
}

/* Bounded, so that one endless line does not make the scan quadratic. */
static str line_around(str text, size_t start, size_t end)
{
    size_t first = start > LONGEST_LINE_PART ? start - LONGEST_LINE_PART : 0;
    size_t last = text.n - end > LONGEST_LINE_PART ? end + LONGEST_LINE_PART : text.n;
    while (start > first && text.data[start - 1] != '\n')
        start--;
    while (end < last && text.data[end] != '\n')
        end++;
    return (str){text.data + start, end - start};
}

/* Whether an allow-list names the secret. Errors count as "no": a secret is rather found than missed. */
static bool is_allowed(struct scan *scan, int rule, str text, size_t start, size_t end, str secret)
{
    int owner = rule;
    if (!words_search(stopword_words, secret, stopword_found, &owner))
        return true;
    for (size_t i = 0; i < N_ALLOWS; i++) {
        if (allows[i].rule >= 0 && allows[i].rule != rule)
            continue;
        str target = allows[i].target == SECRET_TARGET_SECRET  ? secret
                     : allows[i].target == SECRET_TARGET_MATCH ? (str){text.data + start, end - start}
                                                               : line_around(text, start, end);
        struct regex_match match;
        int status = scan->status;
        bool found = scan_confirm(scan, &allows[i].regex, target, 0, 1 + target.n / 64, &match);
        scan->status = status;
        if (found)
            return true;
    }
    return false;
}

struct search {
    struct scan *scan;
    str text;
    size_t resume[N_RULES]; /* Where the rule's last match ended. */
};

static bool is_name(char c)
{
    return is_alnum(c) || c == '_' || c == '.' || c == '-';
}

/* What stands between a keyword and its operator is short and of few kinds; in prose there is no operator. */
static bool operator_follows(str text, size_t at)
{
    size_t limit = at + LONGEST_REST < text.n ? at + LONGEST_REST : text.n;
    for (; at < limit; at++) {
        char c = text.data[at];
        if (is_name(c) || c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\'' || c == '"')
            continue;
        return strchr("=>:|?,", c) != NULL && c != '\0';
    }
    return false;
}

static void consider(struct search *search, size_t index, const struct regex_match *match)
{
    const struct secret_rule *rule = &rules[index];
    int group = rule->group;
    for (int i = 1; group == 0 && i < match->n_groups; i++)
        if (match->start[i] != SIZE_MAX && match->end[i] > match->start[i])
            group = i;
    if (group >= match->n_groups || match->start[group] == SIZE_MAX || match->end[group] <= match->start[group])
        return;
    str secret = {search->text.data + match->start[group], match->end[group] - match->start[group]};
    if (rule->entropy > 0 && (float)entropy_bits(secret) <= rule->entropy)
        return;
    if (!is_allowed(search->scan, (int)index, search->text, match->start[0], match->end[0], secret))
        scan_report(search->scan, &rule->entity, match->start[group], match->end[group], 1);
}

static bool keyword_found(void *user, size_t word, size_t start)
{
    struct search *search = user;
    size_t end = start + words_length(keyword_words, word);
    for (size_t pair = first_pair[word]; pair < first_pair[word + 1]; pair++) {
        size_t index = keyword_rules[pair][1];
        struct secret_rule *rule = &rules[index];
        if (start < search->resume[index] || (rule->assigns && !operator_follows(search->text, end)))
            continue;
        if (!scan_wants(search->scan, &rule->entity))
            continue;
        size_t from = start, back = rule->prefixed ? LONGEST_NAME : (size_t)rule->lookback;
        while (from > search->resume[index] && start - from < back && (!rule->prefixed || is_name(search->text.data[from - 1])))
            from--;
        struct regex_match match;
        search->scan->run.offset_limit = start + (size_t)rule->lookahead < search->text.n ? start + (size_t)rule->lookahead : search->text.n;
        str within = {search->text.data, search->text.n - end > LONGEST_SECRET ? end + LONGEST_SECRET : search->text.n};
        if (search->scan->run.offset_limit > within.n)
            search->scan->run.offset_limit = within.n;
        if (!scan_confirm(search->scan, &rule->regex, within, from, 1 + (size_t)(rule->lookback + rule->lookahead) / 64, &match))
            continue;
        search->resume[index] = match.end[0] > end ? match.end[0] : end;
        consider(search, index, &match);
    }
    return !search->scan->full && search->scan->status == 0;
}

void scan_secrets(struct scan *scan)
{
    pthread_once(&once, build);
    if (keyword_words == NULL || stopword_words == NULL) {
        scan->status = WEIR_E_MEMORY;
        return;
    }
    struct search search = {.scan = scan, .text = {scan->text->data, scan->text->n}};
    words_search(keyword_words, search.text, keyword_found, &search);
}
