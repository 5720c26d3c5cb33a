/* Passwords, keys and tokens without an issuer's own rule. One pass finds names that mean a secret and the beginnings of bare
 * tokens (Aho-Corasick); at each, one anchored pattern or a few steps of C look at a bounded window. A second pass over quotes
 * and dots finds long random strings and tokens in three parts.
 *
 * The finds count as `secrets`, so that packs treat them like the issuers' (secrets.c). Scores say how sure the form is: an
 * assignment of letters only, or a random string beside no word for a secret, stays below the packs' usual threshold. */
#include "scan/credentials.h"

#include "scan/words.h"

#include <pthread.h>

enum kind {
    ASSIGNED, BASIC_AUTH, PRIVATE_KEY, UNSIGNED_JWT, SLACK, TELEGRAM, MAILCHIMP, ARTIFACTORY, AWS_ID, AWS_SECRET, CLOUDANT, SOFTLAYER,
    IBM_CLOUD, DISCORD, TWILIO, RANDOM_STRING, N_KINDS,
};

static const struct entity entities[N_KINDS] = {
    [ASSIGNED] = {"credential-assignment", "secrets", NULL},
    [BASIC_AUTH] = {"basic-auth-url", "secrets", NULL},
    [PRIVATE_KEY] = {"private-key-header", "secrets", NULL},
    [UNSIGNED_JWT] = {"unsigned-jwt", "secrets", NULL},
    [SLACK] = {"slack-token", "secrets", NULL},
    [TELEGRAM] = {"telegram-token", "secrets", NULL},
    [MAILCHIMP] = {"mailchimp-key", "secrets", NULL},
    [ARTIFACTORY] = {"artifactory-token", "secrets", "artifactory|artif|jfrog|password|token|key"},
    [AWS_ID] = {"aws-access-key-id", "secrets", NULL},
    [AWS_SECRET] = {"aws-secret-key", "secrets", NULL},
    [CLOUDANT] = {"cloudant-key", "secrets", NULL},
    [SOFTLAYER] = {"softlayer-key", "secrets", NULL},
    [IBM_CLOUD] = {"ibm-cloud-key", "secrets", NULL},
    [DISCORD] = {"discord-bot-token", "secrets", NULL},
    [TWILIO] = {"twilio-key", "secrets", NULL},
    [RANDOM_STRING] = {"random-string", "secrets", "key|apikey|token|secret|password|passwd|credential|auth|bearer"},
};

/* The patterns' last group that took part is the find. They begin at most `back` bytes before the word. */
#define ISSUER_NAME "(?:[_-]*(?:api|iam|cloud))*[_-]*(?:key|pass(?:word|wd)?|pwd|pw|secret|token)"
#define ASSIGNMENT "\\\\?[\"']?[ \\t]{0,4}(?::=|=>|={1,3}|:|[ \\t])[ \\t]{0,4}\\\\?[\"'`]?"
#define LAST_OF_NAME "(?![A-Za-z0-9_-])"
static struct form {
    enum kind kind;
    float score;
    size_t back;
    struct regex regex;
} forms[] = {
    {BASIC_AUTH, 0.6f, 0, {.pattern = "://[^\\s:/@'\"<>;]{1,64}:([^\\s/@:'\"<>;$*]{3,200})@[A-Za-z0-9_.-]", .anchored = true, .bytes = true}},
    {PRIVATE_KEY, 0.8f, 0, {.pattern = "-----BEGIN (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----", .anchored = true, .bytes = true}},
    {UNSIGNED_JWT, 0.7f, 0, {.pattern = "(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{14,2000}\\.eyJ[A-Za-z0-9_-]{14,4000}\\b", .anchored = true, .bytes = true}},
    {SLACK, 0.7f, 0, {.pattern = "(?<![A-Za-z0-9])xox[a-z]-(?:[0-9]{4,20}-){1,3}[A-Za-z0-9]{8,64}", .caseless = true, .anchored = true, .bytes = true}},
    {TELEGRAM, 0.8f, 10, {.pattern = "\\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])", .bytes = true, .offset_limit = true}},
    {MAILCHIMP, 0.7f, 32, {.pattern = "\\b[0-9a-f]{32}-us[0-9]{1,2}\\b", .bytes = true, .offset_limit = true}},
    {ARTIFACTORY, 0.45f, 0, {.pattern = "(?<![A-Za-z0-9_])AKC[a-zA-Z0-9]{10,80}(?![a-zA-Z0-9_])", .anchored = true, .bytes = true}},
    {ARTIFACTORY, 0.3f, 0, {.pattern = "(?<![A-Za-z0-9_])AP(?:[0-9]|[A-F](?=[A-Z]*[a-z0-9]))[a-zA-Z0-9]{8,80}(?![a-zA-Z0-9_])", .anchored = true, .bytes = true}},
    {AWS_ID, 0.3f, 0, {.pattern = "\\b(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[A-Z0-9]{16}\\b", .anchored = true, .bytes = true}},
    {AWS_SECRET, 0.7f, 0, {.pattern = "aws[\\w.-]{0,20}(?:key|secret|token|pw|pwd|password)[\\w.-]{0,20}" ASSIGNMENT "([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", .caseless = true, .anchored = true, .bytes = true}},
    {CLOUDANT, 0.7f, 0, {.pattern = "cloudant" ISSUER_NAME ASSIGNMENT "([a-f0-9]{64}|[a-z]{24})" LAST_OF_NAME, .caseless = true, .anchored = true, .bytes = true}},
    {SOFTLAYER, 0.7f, 0, {.pattern = "(?<![A-Za-z0-9])(?:softlayer|sl)" ISSUER_NAME ASSIGNMENT "([a-z0-9]{64})" LAST_OF_NAME, .caseless = true, .anchored = true, .bytes = true}},
    {SOFTLAYER, 0.7f, 0, {.pattern = "softlayer\\.com/soap/v[0-9.]{1,4}/([a-z0-9]{64})" LAST_OF_NAME, .caseless = true, .anchored = true, .bytes = true}},
    {IBM_CLOUD, 0.7f, 0, {.pattern = "(?<![A-Za-z0-9])ibm" ISSUER_NAME ASSIGNMENT "([A-Za-z0-9_-]{44})" LAST_OF_NAME, .caseless = true, .anchored = true, .bytes = true}},
};

/* After a name that means a secret: the rest of the name, an operator, a value in quotes (1 to 3) or bare (4), or a value in quotes
 * without an operator (5). */
#define REST_OF_NAME "(?-i:[esd]?(?![a-z]))[\\w.-]{0,40}(?:\\[[0-9]{1,6}\\])?\\\\?[\"'\\]]{0,2}"
static struct regex assignment = {
    .pattern = REST_OF_NAME "(?:[ \\t]{0,8}(?::{1,2}=|=>|!==?|={1,3}|:)[ \\t]{0,8}\\\\?|[ \\t]{1,4}(?:is|ist|est|es|lautet):?[ \\t]{1,4})"
                            "(?:\"([^\"\\r\\n]{1,256})\"|'([^'\\r\\n]{1,256})'|`([^`\\r\\n]{1,256})`|([^\\s\"'`,;]{6,256}))"
                            "|" REST_OF_NAME "[ \\t]{1,4}[\"']([^\"'\\r\\n]{1,256})[\"'](?=[ \\t]*;)",
    .caseless = true,
    .anchored = true,
    .bytes = true,
};
/* "--password hunter2" */
static struct regex option = {.pattern = "[\\w-]{0,40}[ \\t]{1,4}([^\\s\"'`,;-][^\\s\"'`,;]{5,256})", .caseless = true, .anchored = true, .bytes = true};

/* Words and what they begin; ASSIGNED where they end a name that means a secret. */
static const char *const words_list[] = {
    "://", "-----begin ", "eyj", "xox", ":aa", "-us", "akc", "ap", "akia", "asia", "abia", "acca", "agpa", "aida", "aroa", "aipa", "anpa",
    "anva", "aws", "cloudant", "softlayer", "sl", "ibm", "password", "passwd", "passphrase", "passwort", "kennwort", "contraseña", "contrasena",
    "pwd", "secret", "api_key", "api-key", "apikey", "auth_key", "authkey", "auth-key", "private_key", "privatekey", "priv_key", "client_key",
    "service_key", "account_key", "accountkey", "database_key", "db_key", "db_pass", "dbpass", "database_pass", "key_pass", "keypass",
};
enum { N_WORDS = sizeof words_list / sizeof *words_list, N_FORMS = sizeof forms / sizeof *forms, FIRST_NAME = 23 };

static const uint8_t word_form[FIRST_NAME] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 9, 10, 11, 11, 13};

enum {
    WINDOW = 8192,         /* After a word. */
    LONGEST_NAME = 40,
    LONGEST_VALUE = 256,
    SHORTEST_RANDOM = 16,
    LONGEST_RANDOM = 512,
    TWILIO_LENGTH = 34,
};

static struct words *automaton;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    automaton = words_new(words_list, N_WORDS);
}

size_t credential_entity_count(void)
{
    return N_KINDS;
}

const struct entity *credential_entity(size_t index)
{
    return &entities[index];
}

ptrdiff_t credential_entity_index(const struct entity *entity)
{
    uintptr_t at = (uintptr_t)entity, base = (uintptr_t)entities;
    return at >= base && at < base + sizeof entities ? (ptrdiff_t)((at - base) / sizeof *entities) : -1;
}

struct search {
    struct scan *scan;
    str text;
    size_t resume[N_FORMS]; /* Where the form's last match ended. */
    size_t assigned;        /* Where the last assigned value ended. */
};

static void report(struct search *search, enum kind kind, size_t start, size_t end, float score)
{
    scan_report(search->scan, &entities[kind], start, end, score);
}

static void try_form(struct search *search, size_t index, size_t start)
{
    struct form *form = &forms[index];
    struct regex_match match;
    if (start < search->resume[index] || !scan_wants(search->scan, &entities[form->kind]))
        return;
    str within = {search->text.data, search->text.n - start > WINDOW ? start + WINDOW : search->text.n};
    size_t from = start > form->back ? start - form->back : 0;
    if (from < search->resume[index])
        from = search->resume[index];
    search->scan->run.offset_limit = start;
    if (!scan_confirm(search->scan, &form->regex, within, from, 1, &match))
        return;
    search->resume[index] = match.end[0];
    int group = match.n_groups > 1 && match.start[1] != SIZE_MAX ? 1 : 0;
    str value = {search->text.data + match.start[group], match.end[group] - match.start[group]};
    if (form->kind != BASIC_AUTH || credential_quoted_score(value) > 0)
        report(search, form->kind, match.start[group], match.end[group], form->score);
}

/* A sentence's or a line's last signs are not the value's. */
static size_t bare_end(str text, size_t start, size_t end)
{
    while (end > start && strchr(".,;:!?)", text.data[end - 1]) != NULL)
        end--;
    return end;
}

static bool report_value(struct search *search, size_t start, size_t end, bool quoted)
{
    if (!quoted)
        end = bare_end(search->text, start, end);
    str value = {search->text.data + start, end - start};
    if (quoted && value.n > 0 && value.data[value.n - 1] == '\\')
        value.n--;
    float score = quoted ? credential_quoted_score(value) : value.n > 0 ? credential_bare_score(value) : 0;
    if (score > 0)
        report(search, ASSIGNED, start, start + value.n, score);
    return score > 0;
}

/* if ("value" == password): the operator and the value stand before the name. */
static void compared_before(struct search *search, size_t start)
{
    str text = search->text;
    size_t at = start, floor = start > LONGEST_NAME ? start - LONGEST_NAME : 0;
    while (at > floor && (is_alnum(text.data[at - 1]) || text.data[at - 1] == '_' || text.data[at - 1] == '.'))
        at--;
    while (at > floor && text.data[at - 1] == ' ')
        at--;
    if (at < 2 || text.data[at - 1] != '=' || strchr("=!", text.data[at - 2]) == NULL)
        return;
    while (at > 0 && (text.data[at - 1] == '=' || text.data[at - 1] == '!') && start - at < LONGEST_NAME + 8)
        at--;
    while (at > floor && text.data[at - 1] == ' ')
        at--;
    if (at < 2 || strchr("\"'`", text.data[at - 1]) == NULL)
        return;
    size_t end = at - 1, open = end, least = end > LONGEST_VALUE ? end - LONGEST_VALUE : 0;
    while (open > least && text.data[open - 1] != text.data[end] && text.data[open - 1] != '\n')
        open--;
    if (open > 0 && text.data[open - 1] == text.data[end])
        report_value(search, open, end, true);
}

static void try_assignment(struct search *search, size_t start, size_t end)
{
    struct scan *scan = search->scan;
    if (start < search->assigned || !scan_wants(scan, &entities[ASSIGNED]))
        return;
    compared_before(search, start);
    struct regex_match match;
    str within = {search->text.data, search->text.n - end > WINDOW ? end + WINDOW : search->text.n};
    bool dashes = false;
    for (size_t i = start; i > 1 && start - i < LONGEST_NAME && !dashes; i--) {
        dashes = search->text.data[i - 1] == '-' && search->text.data[i - 2] == '-';
        if (!is_alnum(search->text.data[i - 1]) && search->text.data[i - 1] != '-' && search->text.data[i - 1] != '_')
            break;
    }
    if (dashes && scan_confirm(scan, &option, within, end, 1, &match) && report_value(search, match.start[1], match.end[1], false)) {
        search->assigned = match.end[0];
        return;
    }
    if (!scan_confirm(scan, &assignment, within, end, 1, &match))
        return;
    for (int group = 1; group < match.n_groups; group++)
        if (match.start[group] != SIZE_MAX) {
            if (report_value(search, match.start[group], match.end[group], group != 4))
                search->assigned = match.end[group];
            return;
        }
}

static bool word_found(void *user, size_t word, size_t start)
{
    struct search *search = user;
    if (word >= FIRST_NAME) {
        try_assignment(search, start, start + words_length(automaton, word));
    } else {
        size_t form = word_form[word];
        try_form(search, form, start);
        if (form == 11)
            try_form(search, form + 1, start);
    }
    return !search->scan->full && search->scan->status == 0;
}

/* ------------------------------------------------------------------ random strings and tokens in parts */

static bool is_base64(char c)
{
    return is_alnum(c) || c == '+' || c == '/' || c == '=' || c == '-' || c == '_';
}

static bool is_hex(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit(s.data[i]) && !(to_lower(s.data[i]) >= 'a' && to_lower(s.data[i]) <= 'f'))
            return false;
    return true;
}

/* A quoted run as random as base64 or hexadecimal digits are. */
static void quoted_run(struct search *search, size_t start, size_t end)
{
    str run = {search->text.data + start, end - start};
    if (run.n < SHORTEST_RANDOM || run.n > LONGEST_RANDOM)
        return;
    bool digit = false, letter = false;
    for (size_t i = 0; i < run.n; i++) {
        digit = digit || is_digit(run.data[i]);
        letter = letter || is_alpha(run.data[i]);
    }
    if (digit && letter && entropy_bits(run) > (is_hex(run) ? 3.0 : 4.5))
        report(search, RANDOM_STRING, start, end, 0.3f);
}

/* Discord: 24 to 26 characters, 6, 27 to 38, the first M, N or O; `dot` is the first dot. */
static void three_parts(struct search *search, size_t dot)
{
    str text = search->text;
    if (text.n - dot < 8 + 27 || text.data[dot + 7] != '.')
        return;
    size_t start = dot, end = dot + 8;
    while (start > 0 && dot - start < 28 && is_base64(text.data[start - 1]) && text.data[start - 1] != '=' && text.data[start - 1] != '/' &&
           text.data[start - 1] != '+')
        start--;
    size_t n = dot - start;
    if (n < 24 || n > 26 || strchr("MNO", text.data[start]) == NULL)
        return;
    for (size_t i = dot + 1; i < dot + 7; i++)
        if (!is_alnum(text.data[i]) && text.data[i] != '-' && text.data[i] != '_')
            return;
    while (end < text.n && end - dot < 8 + 40 && (is_alnum(text.data[end]) || text.data[end] == '-' || text.data[end] == '_'))
        end++;
    if (end - dot >= 8 + 27 && end - dot <= 8 + 38)
        report(search, DISCORD, start, end, 0.7f);
}

static void scan_runs(struct search *search)
{
    str text = search->text;
    size_t run = 0; /* Where the run of base64 characters around `at` began. */
    for (size_t at = 0; at < text.n && !search->scan->full; at++) {
        char c = text.data[at];
        if (is_base64(c))
            continue;
        if (c == '.')
            three_parts(search, at);
        if ((c == '"' || c == '\'') && run > 0 && text.data[run - 1] == c)
            quoted_run(search, run, at);
        run = at + 1;
    }
}

/* AC or SK and 32 lower-case letters and digits, by themselves. */
static void scan_twilio(struct search *search)
{
    str text = search->text;
    for (size_t at = 0; at + TWILIO_LENGTH <= text.n && !search->scan->full; at++) {
        bool head = (text.data[at] == 'A' && text.data[at + 1] == 'C') || (text.data[at] == 'S' && text.data[at + 1] == 'K');
        if (!head || (at > 0 && is_alnum(text.data[at - 1])))
            continue;
        size_t end = at + 2;
        while (end < text.n && end - at <= TWILIO_LENGTH && (is_lower(text.data[end]) || is_digit(text.data[end])))
            end++;
        if (end - at == TWILIO_LENGTH && (end == text.n || !is_alnum(text.data[end])))
            report(search, TWILIO, at, end, is_hex((str){text.data + at + 2, TWILIO_LENGTH - 2}) ? 0.6f : 0.3f);
    }
}

void scan_credentials(struct scan *scan)
{
    pthread_once(&once, build);
    if (automaton == NULL) {
        scan->status = WEIR_E_MEMORY;
        return;
    }
    struct search search = {.scan = scan, .text = {scan->text->data, scan->text->n}};
    words_search(automaton, search.text, word_found, &search);
    scan_runs(&search);
    scan_twilio(&search);
}
