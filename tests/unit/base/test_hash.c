/* Hashing against published vectors; random ids; clock. */
#include "weir_base.h"

#include <criterion/criterion.h>

static const char *hex_of(const uint8_t digest[SHA256_BYTES])
{
    static char hex[2 * SHA256_BYTES + 1];
    hex_encode(digest, SHA256_BYTES, hex);
    return hex;
}

Test(hash, sha256_gives_the_vectors_of_fips_180)
{
    uint8_t digest[SHA256_BYTES];
    sha256("abc", 3, digest);
    cr_assert_str_eq(hex_of(digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct sha256_stream stream;
    sha256_init(&stream);
    for (int i = 0; i < 1000000; i++)
        sha256_update(&stream, "a", 1);
    sha256_final(&stream, digest);
    cr_assert_str_eq(hex_of(digest), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Test(hash, hmac_gives_the_vector_of_rfc_4231)
{
    uint8_t digest[SHA256_BYTES];
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest);
    cr_assert_str_eq(hex_of(digest), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

Test(hash, hex_is_decoded_whole_or_not_at_all)
{
    uint8_t bytes[3];
    cr_assert_eq(hex_decode(STR("00fFa9"), bytes, 3), 0);
    cr_assert_eq(bytes[1], 0xFF);
    cr_assert_eq(hex_decode(STR("00fFa"), bytes, 3), WEIR_E_INVALID);
    cr_assert_eq(hex_decode(STR("00fFag"), bytes, 3), WEIR_E_INVALID);
}

Test(hash, uuids_of_version_7_rise_with_the_clock)
{
    char first[37], second[37];
    clock_freeze(1, 1700000000000000000);
    cr_assert_eq(uuid_v7(first), 0);
    clock_freeze(2, 1700000000002000000);
    cr_assert_eq(uuid_v7(second), 0);
    clock_freeze(-1, 0);
    cr_assert_eq(first[14], '7');
    cr_assert(strchr("89ab", first[19]) != NULL);
    cr_assert_lt(strncmp(first, second, 13), 0);
}

Test(clock, times_before_1970_and_after_are_written_as_utc)
{
    char text[32];
    cr_assert_str_eq(clock_format_utc(1767323045678000000, text), "2026-01-02T03:04:05.678Z");
    cr_assert_str_eq(clock_format_utc(-1000000, text), "1969-12-31T23:59:59.999Z");
}

Test(file, replacing_is_whole_and_keeps_the_old_one_on_failure)
{
    char path[] = "/tmp/weir_test_XXXXXX";
    struct error err = {0};
    struct buffer back;
    cr_assert_not_null(mkdtemp(path));
    char name[64], below[64];
    snprintf(name, sizeof name, "%s/a", path);
    cr_assert_eq(file_write_atomic(name, "one", 3, 0600, &err), 0);
    cr_assert_eq(file_write_atomic(name, "two!", 4, 0600, &err), 0);
    buffer_init(&back, 100);
    cr_assert_eq(file_read(name, &back, &err), 0);
    cr_assert_str_eq(back.data, "two!");
    snprintf(below, sizeof below, "%s/a/b", path);
    cr_assert_lt(file_write_atomic(below, "x", 1, 0600, &err), 0, "below a file");
    buffer_release(&back);
    buffer_init(&back, 3);
    cr_assert_eq(file_read(name, &back, &err), WEIR_E_LIMIT);
    buffer_release(&back);
    struct file_map map;
    cr_assert_eq(file_map_open(&map, path, &err), WEIR_E_INVALID, "a folder is no file");
    remove(name);
    remove(path);
}
