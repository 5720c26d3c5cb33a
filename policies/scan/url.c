/* URLs and bare domain names. A URL with a scheme runs to the next blank or quote; a bare name counts when its last label is a
 * top-level domain in common use. A URL in quotes is found with them. */
#include "scan/scan.h"

const struct entity entity_url = {"URL", "url", "url|website|link|site"};

enum { LONGEST_HOST = 253, LONGEST_URL = 4096 };

/* Generic top-level domains in wide use; country codes are any of two letters that ISO 3166 or the root zone has. */
static const char generic[] =
    " com org net edu gov mil int info biz name pro app dev cloud online site store tech shop blog page website space live news agency "
    "company digital email global group media network systems services solutions software team tools world xyz top club design studio "
    "academy center care health bank finance life work today zone art bio fun game games eco lab law llc ltd inc one plus run social "
    "science support school travel video wiki photo museum aero coop jobs mobi tel asia cat eus gal berlin hamburg bayern koeln wien "
    "swiss paris london amsterdam brussels nyc google amazon microsoft apple bmw ";
static const char countries[] =
    " ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch ci ck cl "
    "cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs "
    "gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu "
    "lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl "
    "pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn "
    "to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw ";

static bool listed(const char *list, str label)
{
    char word[20] = " ";
    if (label.n + 3 > sizeof word)
        return false;
    for (size_t i = 0; i < label.n; i++)
        word[i + 1] = to_lower(label.data[i]);
    word[label.n + 1] = ' ';
    word[label.n + 2] = '\0';
    return strstr(list, word) != NULL;
}

static bool is_host_char(char c)
{
    return is_alnum(c) || c == '-' || c == '.';
}

/* A host's run of bytes to the end of its name, 0 when it is none: two labels, a known last one. */
static size_t host_length(str run)
{
    while (run.n > 0 && !is_alnum(run.data[run.n - 1]))
        run.n--;
    size_t dot = run.n;
    while (dot > 0 && run.data[dot - 1] != '.')
        dot--;
    if (dot < 2 || run.n > LONGEST_HOST || run.data[dot - 2] == '.')
        return 0;
    str last = {run.data + dot, run.n - dot};
    bool known = listed(countries, last) || listed(generic, last) || (last.n > 4 && str_equal_nocase((str){last.data, 4}, STR("xn--")));
    bool only_www = dot == 4 && str_equal_nocase((str){run.data, 4}, STR("www."));
    return known && !only_www ? run.n : 0;
}

static size_t path_end(const struct scan_text *text, size_t at)
{
    size_t limit = text->n - at > LONGEST_URL ? at + LONGEST_URL : text->n, end = at;
    if (at >= text->n || (text->data[at] != '/' && text->data[at] != '?' && text->data[at] != '#' && text->data[at] != ':'))
        return at;
    while (end < limit && (unsigned char)text->data[end] > ' ' && strchr("\"'<>`{}|\\^", text->data[end]) == NULL)
        end++;
    while (end > at && strchr(".,;:!?)]", text->data[end - 1]) != NULL)
        end--;
    return end;
}

void scan_url(struct scan *scan)
{
    const struct scan_text *text = scan->text;
    if (!scan_wants(scan, &entity_url))
        return;
    for (size_t at = 0; at < text->n && !scan->full;) {
        const char *dot = memchr(text->data + at, '.', text->n - at);
        if (dot == NULL)
            return;
        size_t middle = (size_t)(dot - text->data), start = middle, end = middle;
        while (start > at && is_host_char(text->data[start - 1]))
            start--;
        while (end < text->n && is_host_char(text->data[end]))
            end++;
        while (start < middle && !is_alnum(text->data[start]))
            start++;
        at = end;
        char before = start > 0 ? text->data[start - 1] : ' ';
        size_t n = start < middle && end - start <= LONGEST_HOST ? host_length((str){text->data + start, end - start}) : 0;
        if (n == 0 || before == '@' || before == '_' || (unsigned char)before >= 0x80)
            continue;
        if (start + n < text->n && (bit_test(text->word, start + n) || text->data[start + n] == '@'))
            continue;
        static const char *const schemes[] = {"https://", "http://", "ftp://", "wss://", "ws://"};
        float score = 0.5f;
        size_t first = start;
        for (size_t i = 0; i < sizeof schemes / sizeof *schemes && first == start; i++) {
            size_t length = strlen(schemes[i]);
            if (start >= length && str_equal_nocase((str){text->data + start - length, length}, str_of(schemes[i]))) {
                first = start - length;
                score = 0.6f;
            }
        }
        size_t stop = path_end(text, start + n);
        bool quoted = first > 0 && stop < text->n && text->data[first - 1] == text->data[stop] && (text->data[stop] == '\'' || text->data[stop] == '"');
        if (quoted && score > 0.5f) {
            first--;
            stop++;
        }
        scan_report(scan, &entity_url, first, stop, score);
        at = stop > at ? stop : at;
    }
}
