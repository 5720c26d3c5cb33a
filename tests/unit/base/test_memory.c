/* Arena and buffer: caps, alignment, remembered failure. */
#include "weir_base.h"

#include <criterion/criterion.h>

Test(arena, memory_is_zeroed_aligned_and_apart)
{
    struct arena arena;
    arena_init(&arena, 0);
    char *last = NULL;
    for (size_t n = 0; n < 3000; n += 7) {
        char *at = arena_alloc(&arena, n);
        cr_assert_eq((uintptr_t)at % 16, 0);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(at[i], 0);
        memset(at, 0xAA, n);
        cr_assert_neq(at, last);
        last = at;
    }
    arena_release(&arena);
}

Test(arena, the_cap_and_overflow_give_null_and_break_nothing)
{
    struct arena arena;
    arena_init(&arena, 1000);
    cr_assert_null(arena_alloc(&arena, 1001));
    cr_assert_not_null(arena_alloc(&arena, 900));
    cr_assert_null(arena_alloc(&arena, 200));
    cr_assert_not_null(arena_alloc(&arena, 64));
    cr_assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
    arena_release(&arena);
}

Test(buffer, an_append_past_the_maximum_fails_whole_and_is_remembered)
{
    struct buffer buffer;
    buffer_init(&buffer, 10);
    cr_assert_eq(buffer_append_text(&buffer, "12345678"), 0);
    cr_assert_eq(buffer_append_text(&buffer, "abc"), WEIR_E_LIMIT);
    cr_assert_str_eq(buffer.data, "12345678");
    cr_assert(buffer.failed);
    cr_assert_lt(buffer_append_text(&buffer, "x"), 0, "later appends fail too");
    buffer_clear(&buffer);
    cr_assert_eq(buffer_append_text(&buffer, "1234567890"), 0, "exactly the maximum fits");
    buffer_release(&buffer);
}

Test(buffer, consuming_moves_the_rest_to_the_front)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_text(&buffer, "hello world");
    buffer_consume(&buffer, 6);
    cr_assert_str_eq(buffer.data, "world");
    buffer_consume(&buffer, 99);
    cr_assert_str_eq(buffer.data, "");
    buffer_release(&buffer);
}

Test(buffer, json_strings_read_back_as_they_were)
{
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    struct buffer buffer;
    buffer_init(&buffer, 10000);
    buffer_append_json_string(&buffer, (str){bytes, 128});
    json_t *back = json_parse(buffer_str(&buffer), NULL);
    cr_assert_eq(json_string_length(back), 128);
    cr_assert_arr_eq(json_string_value(back), bytes, 128);
    json_decref(back);
    buffer_clear(&buffer);
    buffer_append_json_string(&buffer, (str){bytes, 256}); /* 128 bytes that are no UTF-8. */
    cr_assert_eq(utf8_first_invalid(buffer_str(&buffer)), -1);
    back = json_parse(buffer_str(&buffer), NULL);
    cr_assert_eq(json_string_length(back), 128 + 3 * 128, "each becomes U+FFFD");
    json_decref(back);
    buffer_release(&buffer);
}
