/* The event-stream parser: the same events however the bytes are cut, bounded whatever comes. */
#include "upstream/sse.h"

#include <criterion/criterion.h>

struct seen {
    struct buffer log;
    int stop_after;
};

static int note(void *user, str event, str data)
{
    struct seen *seen = user;
    buffer_printf(&seen->log, "[" STR_FMT "|" STR_FMT "]", STR_ARG(event), STR_ARG(data));
    return seen->stop_after > 0 && --seen->stop_after == 0 ? WEIR_E_CANCELLED : 0;
}

static const struct {
    const char *in, *out;
} cases[] = {
    {"data: a\n\n", "[|a]"},
    {"data:a\n\ndata: b\n\n", "[|a][|b]"},
    {"data: a\r\n\r\ndata: b\r\n\r\n", "[|a][|b]"},
    {"data: a\r\rdata: b\r\r", "[|a][|b]"},
    {"data: a\ndata: b\n\n", "[|a\nb]"},
    {"data:  two blanks\n\n", "[| two blanks]"},
    {": comment\n\n: another\ndata: x\n\n", "[|x]"},
    {"\xef\xbb\xbf""data: bom\n\n", "[|bom]"},
    {"\xef\xbb""data: broken mark\n\n", ""},
    {"event: ping\ndata: {}\n\ndata: y\n\n", "[ping|{}][|y]"},
    {"id: 7\nretry: 10\nunknown: z\ndata: k\n\n", "[|k]"},
    {"data\n\n", "[|]"},
    {"data: unfinished", "[|unfinished]"},
    {"data: unfinished\n", "[|unfinished]"},
    {"\n\n\n", ""},
    {"data: a:b: c\n\n", "[|a:b: c]"},
};

Test(sse, any_cut_gives_the_same_events)
{
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        str in = str_of(cases[c].in);
        for (size_t cut = 0; cut <= in.n; cut++)
            for (size_t second = cut; second <= in.n; second++) {
                struct sse_parser parser;
                struct seen seen = {.stop_after = 0};
                sse_init(&parser, 1000);
                buffer_init(&seen.log, 10000);
                cr_assert_eq(sse_push(&parser, (str){in.data, cut}, note, &seen), 0);
                cr_assert_eq(sse_push(&parser, (str){in.data + cut, second - cut}, note, &seen), 0);
                cr_assert_eq(sse_push(&parser, (str){in.data + second, in.n - second}, note, &seen), 0);
                cr_assert_eq(sse_finish(&parser, note, &seen), 0);
                cr_assert_str_eq(seen.log.data != NULL ? seen.log.data : "", cases[c].out, "case %zu cut at %zu and %zu", c, cut, second);
                buffer_release(&seen.log);
                sse_release(&parser);
            }
    }
}

Test(sse, an_event_past_the_bound_is_dropped_and_counted_and_the_next_is_read)
{
    struct sse_parser parser;
    struct seen seen = {.stop_after = 0};
    sse_init(&parser, 100);
    buffer_init(&seen.log, 10000);
    char big[301];
    memset(big, 'x', 300);
    big[300] = '\0';
    cr_assert_eq(sse_push(&parser, STR("data: "), note, &seen), 0);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(sse_push(&parser, str_of(big), note, &seen), 0);
    cr_assert_lt(parser.line.capacity, 4096u, "it was not kept");
    cr_assert_eq(sse_push(&parser, STR("\n\ndata: after\n\n"), note, &seen), 0);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(sse_push(&parser, STR("data: 0123456789\n"), note, &seen), 0);
    cr_assert_eq(sse_push(&parser, STR("\ndata: end\n\n"), note, &seen), 0);
    cr_assert_str_eq(seen.log.data, "[|after][|end]");
    cr_assert_eq(parser.n_oversized, 2);
    buffer_release(&seen.log);
    sse_release(&parser);
}

Test(sse, the_consumer_can_stop_it)
{
    struct sse_parser parser;
    struct seen seen = {.stop_after = 1};
    sse_init(&parser, 100);
    buffer_init(&seen.log, 10000);
    cr_assert_eq(sse_push(&parser, STR("data: a\n\ndata: b\n\n"), note, &seen), WEIR_E_CANCELLED);
    cr_assert_str_eq(seen.log.data, "[|a]");
    buffer_release(&seen.log);
    sse_release(&parser);
}
