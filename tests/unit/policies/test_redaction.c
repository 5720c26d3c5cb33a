/* Pseudonyms out, values back: whatever the text, wherever it is cut. */
#include "weir_policies.h"

#include <criterion/criterion.h>

static const uint8_t key_a[32] = {1}, key_b[32] = {2};

static struct pack *open_pack(void)
{
    struct pack *pack = NULL;
    struct error err = {0};
    cr_assert(pack_open(&pack, WEIR_SOURCE_DIR "/policies/packs/default.yaml", &err) == 0, "%s: %s", err.where, err.text);
    return pack;
}

static struct redaction *redact(const struct pack *pack, const uint8_t key[32], const char *text, struct buffer *out)
{
    struct redaction *redaction = NULL;
    struct findings found = {0};
    struct error err = {0};
    cr_assert(redaction_new(&redaction, pack, key, &err) == 0);
    cr_assert(policy_scan(pack, str_of(text), (str){NULL, 0}, &found, &err) == 0, "%s", err.text);
    buffer_init(out, 1 << 20);
    cr_assert(redaction_apply(redaction, str_of(text), &found, out, &err) == 0, "%s", err.text);
    findings_release(&found);
    return redaction;
}

static const char *const texts[] = {
    "plain text, no value",
    "card 4111 1111 1111 1111 and IBAN DE89 3704 0044 0532 0130 00.",
    "4111111111111111, again 4111111111111111",
    "\xE2\x9F\xA6" "CREDIT_CARD:0123456789A\xE2\x9F\xA7 typed by hand, 4111111111111111",
    "\xE2\x9F\xA6\xE2\x9F\xA6 two marks \xE2\x9F\xA7 and \xE2\x9F\xA6",
    "\\u27e6X\\u27e7 &#x27e6;Y &#10214; & \\ \xE2\x9F",
    "before\xE2\x9F\xA6" " 5555555555554444",
};

Test(redaction, restores_every_text_cut_at_every_byte_and_in_single_bytes)
{
    struct pack *pack = open_pack();
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        struct buffer sent;
        struct redaction *redaction = redact(pack, key_a, texts[t], &sent);
        for (size_t cut = 0; cut <= sent.n + 1; cut++) {
            struct restorer restorer;
            struct buffer back;
            buffer_init(&back, 1 << 20);
            restorer_init(&restorer, redaction, false);
            if (cut <= sent.n) {
                cr_assert(restorer_push(&restorer, (str){sent.data, cut}, &back) == 0);
                cr_assert(restorer_push(&restorer, (str){sent.data + cut, sent.n - cut}, &back) == 0);
            } else {
                for (size_t i = 0; i < sent.n; i++)
                    cr_assert(restorer_push(&restorer, (str){sent.data + i, 1}, &back) == 0);
            }
            cr_assert(restorer_finish(&restorer, &back) == 0);
            cr_assert(str_equal(buffer_str(&back), str_of(texts[t])), "text %zu cut %zu: %s", t, cut, back.data);
            buffer_release(&back);
        }
        redaction_free(redaction);
        buffer_release(&sent);
    }
    pack_close(pack);
}

Test(redaction, value_does_not_leave_and_pseudonym_is_keyed_by_tenant)
{
    struct pack *pack = open_pack();
    struct buffer a, again, b;
    struct redaction *one = redact(pack, key_a, texts[1], &a), *two = redact(pack, key_a, texts[1], &again), *three = redact(pack, key_b, texts[1], &b);
    cr_expect(str_find(buffer_str(&a), STR("4111")) < 0);
    cr_expect(str_equal(buffer_str(&a), buffer_str(&again)));
    cr_expect(!str_equal(buffer_str(&a), buffer_str(&b)));
    cr_expect(redaction_count(one) == 2);
    redaction_free(one);
    redaction_free(two);
    redaction_free(three);
    buffer_release(&a);
    buffer_release(&again);
    buffer_release(&b);
    pack_close(pack);
}

Test(redaction, another_conversations_pseudonym_is_left_as_it_is_and_counted)
{
    struct pack *pack = open_pack();
    struct buffer a, b, back;
    struct redaction *one = redact(pack, key_a, texts[1], &a), *two = redact(pack, key_b, texts[2], &b);
    struct restorer restorer;
    buffer_init(&back, 1 << 20);
    restorer_init(&restorer, two, false);
    cr_assert(restorer_push(&restorer, buffer_str(&a), &back) == 0);
    cr_assert(restorer_finish(&restorer, &back) == 0);
    cr_expect(str_equal(buffer_str(&a), buffer_str(&back)));
    cr_expect(restorer.n_unknown == 2 && restorer.n_restored == 0);
    redaction_free(one);
    redaction_free(two);
    buffer_release(&a);
    buffer_release(&b);
    buffer_release(&back);
    pack_close(pack);
}

Test(redaction, a_secret_has_no_way_back)
{
    static const char yaml[] = "weir: 1\npack: p\nversion: 1\nclasses: {order: [a, b], map: {a: [\"*\"], b: [\"secrets/*\"]}}\n"
                               "providers: [{id: \"*\", ceiling: a}]\nrules: [{id: r, permit: {remote: any}, redact: [\"secrets/*\"]}]\n";
    struct pack *pack;
    struct error err = {0};
    cr_assert(pack_parse(&pack, "p", STR("") , &err) < 0);
    cr_assert(pack_parse(&pack, "p", str_of(yaml), &err) == 0, "%s: %s", err.where, err.text);
    struct buffer sent;
    struct redaction *redaction = redact(pack, key_a, "use AKIAIOSFODNN7REALKEY for it", &sent);
    cr_expect(redaction_count(redaction) == 0);
    cr_expect(str_find(buffer_str(&sent), STR("AKIA")) < 0);
    redaction_free(redaction);
    buffer_release(&sent);
    pack_close(pack);
}
