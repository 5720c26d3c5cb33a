#include "cli/line_reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct fixture {
    struct line_reader reader;
    int to;
};

static void open_pipe(struct fixture *f, size_t most_bytes)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    f->to = fds[1];
    line_reader_init(&f->reader, fds[0], most_bytes);
}

static void put(const struct fixture *f, const char *text, size_t n)
{
    cr_assert_eq(write(f->to, text, n), (ssize_t)n);
}

static void end(struct fixture *f)
{
    close(f->to);
}

static void release(struct fixture *f)
{
    close(f->reader.fd);
    line_reader_release(&f->reader);
}

static void expect(struct fixture *f, enum line_got got, const char *text, int64_t number)
{
    str line = {NULL, 0};
    cr_assert_eq(line_reader_next(&f->reader, &line), got, "before line %lld", (long long)number);
    if (got == LINE_TEXT)
        cr_expect(str_equal(line, str_of(text)), "line %lld is \"" STR_FMT "\"", (long long)number, STR_ARG(line));
    if (got == LINE_TEXT || got == LINE_TOO_LONG)
        cr_expect_eq(f->reader.number, number);
}

Test(line_reader, a_line_comes_once_it_is_whole_and_none_is_waited_for)
{
    struct fixture f;
    open_pipe(&f, 100);
    expect(&f, LINE_NOT_YET, NULL, 0);
    put(&f, "one\ntw", 6);
    expect(&f, LINE_TEXT, "one", 1);
    expect(&f, LINE_NOT_YET, NULL, 0);
    put(&f, "o\n\nlast", 7);
    expect(&f, LINE_TEXT, "two", 2);
    expect(&f, LINE_TEXT, "", 3);
    expect(&f, LINE_NOT_YET, NULL, 0);
    end(&f);
    expect(&f, LINE_TEXT, "last", 4);
    expect(&f, LINE_END, NULL, 0);
    expect(&f, LINE_END, NULL, 0);
    cr_assert_eq(f.reader.failed, 0);
    release(&f);
}

Test(line_reader, a_line_that_is_too_long_is_passed_over_without_being_held)
{
    struct fixture f;
    char much[8192];
    memset(much, 'x', sizeof much);
    open_pipe(&f, 100);
    put(&f, "a\n", 2);
    expect(&f, LINE_TEXT, "a", 1);
    for (int i = 0; i < 400; i++) {
        put(&f, much, sizeof much);
        expect(&f, LINE_NOT_YET, NULL, 0);
        cr_assert_lt(f.reader.text.capacity, 1 << 18);
    }
    put(&f, "\nb\n", 3);
    expect(&f, LINE_TOO_LONG, NULL, 2);
    expect(&f, LINE_TEXT, "b", 3);
    put(&f, much, 101);
    end(&f);
    expect(&f, LINE_TOO_LONG, NULL, 4);
    expect(&f, LINE_END, NULL, 0);
    release(&f);
}

Test(line_reader, a_line_of_just_the_most_bytes_is_taken)
{
    struct fixture f;
    open_pipe(&f, 4);
    put(&f, "1234\n12345\n123\n", 15);
    expect(&f, LINE_TEXT, "1234", 1);
    expect(&f, LINE_TOO_LONG, NULL, 2);
    expect(&f, LINE_TEXT, "123", 3);
    end(&f);
    expect(&f, LINE_END, NULL, 0);
    release(&f);
}

Test(line_reader, a_byte_order_mark_is_skipped_before_the_first_line_alone)
{
    struct fixture f;
    open_pipe(&f, 100);
    put(&f, "\xef\xbb", 2);
    expect(&f, LINE_NOT_YET, NULL, 0);
    put(&f, "\xbf" "a\n\xef\xbb\xbf" "b\n", 8);
    expect(&f, LINE_TEXT, "a", 1);
    expect(&f, LINE_TEXT, "\xef\xbb\xbf" "b", 2);
    end(&f);
    expect(&f, LINE_END, NULL, 0);
    release(&f);
}

Test(line_reader, what_cannot_be_read_is_no_end_like_any_other)
{
    struct fixture f;
    f.to = -1;
    line_reader_init(&f.reader, open("/", O_RDONLY | O_CLOEXEC), 100);
    expect(&f, LINE_END, NULL, 0);
    cr_assert_eq(f.reader.failed, EISDIR);
    release(&f);
}
