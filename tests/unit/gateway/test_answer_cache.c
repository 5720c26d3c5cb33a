/* The answer cache: partitions, time, room, and the keys under which answers are kept. */
#include "cache/answer_cache.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint8_t secret[CACHE_KEY_BYTES] = {1, 2, 3};
static struct arena arena;
static struct answer_cache *cache;

static void setup(void)
{
    arena_init(&arena, 16 << 20);
    cache = answer_cache_new(&(struct answer_cache_options){.max_bytes = 64 << 10, .ttl_us = 60000000});
    clock_freeze(1000000, 0);
}

static void teardown(void)
{
    answer_cache_free(cache);
    arena_release(&arena);
    clock_freeze(-1, 0);
}

TestSuite(answer_cache, .init = setup, .fini = teardown);

/* The question of a body, its verdict being clean. */
static bool parse_question(const char *body, struct api_request *request, struct cache_question *out, const struct cache_scope *scope)
{
    struct api_error error = {0};
    cr_assert_eq(api_request_parse(request, API_CHAT, str_of(body), &arena, &error), 0, "%s", error.message);
    struct verdict verdict = {.effect = EFFECT_ALLOW, .local_permitted = true};
    return cache_key_eligible(request, &verdict) && cache_key_make(scope, request, out) == 0;
}

static const struct cache_scope base = {.secret = secret, .pack_sha256 = "p", .config_sha256 = "c", .endpoint = "/v1/chat/completions"};

static struct cache_question question(const char *body, const struct cache_scope *scope)
{
    struct api_request request;
    struct cache_question out;
    cr_assert(parse_question(body, &request, &out, scope != NULL ? scope : &base), "%s", body);
    static float direction[3] = {2, 0, 0};
    out.embedding = direction;
    out.n_embd = 3;
    out.text = (str){NULL, 0};
    api_request_release(&request);
    return out;
}

static struct cache_question ask_for(const char *text)
{
    char body[600];
    snprintf(body, sizeof body, "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", text);
    return question(body, NULL);
}

static void keep(const char *tenant, const struct cache_question *q, const char *text)
{
    struct cached_answer answer = {.model = STR("m"), .text = str_of(text), .prompt_tokens = 3, .completion_tokens = 4, .decision_id = "d"};
    cr_assert_eq(answer_cache_keep(cache, tenant != NULL ? str_of(tenant) : (str){NULL, 0}, q, answer_cache_epoch(cache), &answer), 0);
}

/* The text found, or "". */
static const char *find(const char *tenant, const struct cache_question *q)
{
    struct cached_answer answer;
    int status = answer_cache_find(cache, tenant != NULL ? str_of(tenant) : (str){NULL, 0}, q, &arena, &answer);
    cr_assert_geq(status, 0);
    return status == 1 ? arena_strdup(&arena, answer.text) : "";
}

static const char *find_similar(const char *tenant, const struct cache_question *q, double least)
{
    struct cached_answer answer;
    float similarity;
    int status = answer_cache_find_similar(cache, str_of(tenant), q, least, &arena, &answer, &similarity);
    cr_assert_geq(status, 0);
    return status == 1 ? arena_strdup(&arena, answer.text) : "";
}

Test(answer_cache, an_answer_never_crosses_tenants)
{
    struct cache_question q = ask_for("What is a weir?");
    keep("sales", &q, "for sales");
    cr_expect_str_eq(find("sales", &q), "for sales");
    cr_expect_str_eq(find("legal", &q), "", "even under the very same key");
    cr_expect_str_eq(find(NULL, &q), "");
    cr_expect_str_eq(find("", &q), "", "a tenant of no name is not the callers without a key");
    cr_expect_str_eq(find_similar("legal", &q, 0), "");
    cr_expect_str_eq(find_similar("sales", &q, 0), "for sales");
    keep(NULL, &q, "for nobody");
    cr_expect_str_eq(find("", &q), "");
    cr_expect_str_eq(find("sales", &q), "for sales");
    struct answer_cache_stats stats;
    answer_cache_stats(cache, &stats);
    cr_expect_eq(stats.n_tenants, 2);
}

Test(answer_cache, an_answer_lives_as_long_as_the_time_to_live)
{
    struct cache_question q = ask_for("What is a weir?");
    keep("a", &q, "x");
    clock_freeze(1000000 + 59999999, 0);
    cr_expect_str_eq(find("a", &q), "x", "being used does not make it younger");
    clock_freeze(1000000 + 60000000, 0);
    cr_expect_str_eq(find("a", &q), "");
    struct answer_cache_stats stats;
    answer_cache_stats(cache, &stats);
    cr_expect(stats.n_expired == 1 && stats.n_entries == 0 && stats.n_tenants == 0 && stats.used_bytes == 0);
    keep("a", &q, "y");
    clock_freeze(1000000 + 200000000, 0);
    answer_cache_sweep(cache);
    answer_cache_stats(cache, &stats);
    cr_expect(stats.n_entries == 0, "a sweep needs no look-up");
}

Test(answer_cache, room_is_bounded_and_the_largest_tenant_gives_up_its_least_used)
{
    char text[2048];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct cache_question small = ask_for("small");
    keep("small", &small, "kept");
    struct answer_cache_stats stats;
    struct cache_question first = ask_for("question 0");
    for (int i = 0; i < 500; i++) {
        char name[40];
        snprintf(name, sizeof name, "question %d", i);
        struct cache_question q = ask_for(name);
        keep("large", &q, text);
        if (i > 0)
            cr_assert_str_eq(find("large", &first), text, "what is used stays, at %d", i);
        answer_cache_stats(cache, &stats);
        cr_assert_leq(stats.used_bytes, stats.max_bytes);
        arena_release(&arena);
        arena_init(&arena, 16 << 20);
    }
    cr_expect_gt(stats.n_evicted, 400);
    cr_expect_str_eq(find("small", &small), "kept");
    struct cache_question second = ask_for("question 1");
    cr_expect_str_eq(find("large", &second), "");
}

Test(answer_cache, what_is_too_large_is_not_kept)
{
    char *text = calloc(1, 10000);
    memset(text, 'x', 9999);
    struct cache_question q = ask_for("long");
    keep("a", &q, text);
    cr_expect_str_eq(find("a", &q), "");
    free(text);
}

Test(answer_cache, of_one_question_the_newest_answer_stays)
{
    struct cache_question q = ask_for("What is a weir?");
    keep("a", &q, "old");
    keep("a", &q, "new");
    cr_expect_str_eq(find("a", &q), "new");
    struct answer_cache_stats stats;
    answer_cache_stats(cache, &stats);
    cr_expect_eq(stats.n_entries, 1);
}

Test(answer_cache, clearing_forgets_and_keeps_out_what_was_begun_before)
{
    struct cache_question q = ask_for("What is a weir?");
    struct cached_answer answer = {.model = STR("m"), .text = STR("x")};
    uint64_t before = answer_cache_epoch(cache);
    keep("a", &q, "x");
    keep("b", &q, "y");
    cr_expect_eq(answer_cache_clear_tenant(cache, STR("a")), 1);
    cr_expect_str_eq(find("a", &q), "");
    cr_expect_str_eq(find("b", &q), "y");
    cr_expect_eq(answer_cache_clear_tenant(cache, STR("nobody")), 0);
    cr_expect_eq(answer_cache_keep(cache, STR("a"), &q, before, &answer), 0);
    cr_expect_str_eq(find("a", &q), "", "it was asked before the clearing");
    cr_expect_eq(answer_cache_clear(cache), 1);
    cr_expect_str_eq(find("b", &q), "");
    answer_cache_reset(cache, &(struct answer_cache_options){.max_bytes = 0, .ttl_us = 1});
    keep("a", &q, "x");
    cr_expect_str_eq(find("a", &q), "", "off keeps nothing");
}

Test(answer_cache, likeness_is_required_beside_the_phrase)
{
    struct cache_question kept = ask_for("What is a weir?"), asked = ask_for("please tell me what is a weir");
    keep("a", &kept, "x");
    cr_expect_str_eq(find("a", &asked), "", "not the very same");
    cr_expect_str_eq(find_similar("a", &asked, 0.99), "x");
    float other[3] = {1, 1, 0};
    asked.embedding = other;
    cr_expect_str_eq(find_similar("a", &asked, 0.99), "");
    cr_expect_str_eq(find_similar("a", &asked, 0.70), "x", "a cosine of .707");
    float none[3] = {0, 0, 0};
    asked.embedding = none;
    cr_expect_str_eq(find_similar("a", &asked, 0), "", "no direction is like nothing");
    struct cache_question opposite = ask_for("What is not a weir?");
    cr_expect_str_eq(find_similar("a", &opposite, 0), "", "whatever the cosine");
}

/* ------------------------------------------------------------------ keys */

static const char plain[] = "{\"model\":\"auto\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}";

static bool same_key(const char *a, const char *b)
{
    struct cache_question x = question(a, NULL), y = question(b, NULL);
    return memcmp(x.key, y.key, sizeof x.key) == 0;
}

static bool same_meaning(const char *a, const char *b)
{
    struct cache_question x = question(a, NULL), y = question(b, NULL);
    return x.has_meaning && y.has_meaning && memcmp(x.meaning, y.meaning, sizeof x.meaning) == 0;
}

Test(answer_cache, what_changes_nothing_of_an_answer_is_not_in_its_key)
{
    static const char *const equal[] = {
        "{\"messages\":[{\"content\":\"Be brief.\",\"role\":\"system\"},{\"content\":\"What is a weir?\",\"role\":\"user\"}],\"model\":\"auto\"}",
        "{\"model\":\"auto\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"n\":1,\"user\":\"u\",\"temperature\":null,\"tools\":[],\"logprobs\":false,"
        "\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
    };
    for (size_t i = 0; i < sizeof equal / sizeof *equal; i++)
        cr_expect(same_key(plain, equal[i]) && same_meaning(plain, equal[i]), "%s", equal[i]);
}

Test(answer_cache, model_history_system_prompt_and_sampling_are_in_both_keys)
{
    static const char *const other[] = {
        "{\"model\":\"local\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief!\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"temperature\":0,\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"max_tokens\":9,\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"seed\":1,\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"stop\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"name\":\"Eve\",\"content\":\"What is a weir?\"}]}",
        "{\"model\":\"auto\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"What is a dam?\"}]}",
    };
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        cr_expect(!same_key(plain, other[i]) && !same_meaning(plain, other[i]), "%s", other[i]);
    const struct cache_scope scopes[] = {
        {.secret = secret, .tenant = STR("t"), .pack_sha256 = "p", .config_sha256 = "c", .endpoint = "/v1/chat/completions"},
        {.secret = secret, .tenant = STR(""), .pack_sha256 = "p", .config_sha256 = "c", .endpoint = "/v1/chat/completions"},
        {.secret = secret, .pack_sha256 = "q", .config_sha256 = "c", .endpoint = "/v1/chat/completions"},
        {.secret = secret, .pack_sha256 = "p", .config_sha256 = "d", .endpoint = "/v1/chat/completions"},
        {.secret = secret, .pack_sha256 = "pc", .config_sha256 = "", .endpoint = "/v1/chat/completions"},
        {.secret = secret, .pack_sha256 = "p", .config_sha256 = "c", .endpoint = "/v1/other"},
        {.secret = secret, .pack_sha256 = "p", .config_sha256 = "c", .endpoint = "/v1/chat/completions", .knowledge = "k"},
        {.secret = (const uint8_t[CACHE_KEY_BYTES]){9}, .pack_sha256 = "p", .config_sha256 = "c", .endpoint = "/v1/chat/completions"},
    };
    struct cache_question x = question(plain, NULL);
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        struct cache_question y = question(plain, &scopes[i]);
        cr_expect(memcmp(x.key, y.key, sizeof x.key) != 0 && memcmp(x.meaning, y.meaning, sizeof x.meaning) != 0, "scope %zu", i);
    }
    cr_expect(memcmp(x.key, x.meaning, sizeof x.key) != 0);
}

Test(answer_cache, only_the_last_turn_of_a_human_may_be_worded_otherwise)
{
    cr_expect(same_meaning(plain, "{\"model\":\"auto\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"what's a weir, please?\"}]}"));
    cr_expect(!same_key(plain, "{\"model\":\"auto\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"what's a weir, please?\"}]}"));
    cr_expect(!same_meaning(plain, "{\"model\":\"auto\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"What is a weir?\"}]}"));
    struct cache_question q = question("{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}", NULL);
    cr_expect(!q.has_meaning);
}

Test(answer_cache, what_asks_for_more_than_one_settled_text_is_not_eligible)
{
    static const char *const fields[] = {
        "\"n\":2", "\"temperature\":0.1", "\"top_p\":0.5", "\"logprobs\":true", "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]",
        "\"store\":true", "\"modalities\":[\"text\",\"audio\"]", "\"web_search_options\":{}", "\"prediction\":{\"type\":\"content\"}", "\"unheard_of\":1",
        "\"functions\":[{\"name\":\"f\"}]"};
    struct cache_question q;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char body[400];
        struct api_request request;
        snprintf(body, sizeof body, "{\"model\":\"auto\",%s,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", fields[i]);
        cr_expect(!parse_question(body, &request, &q, &base), "%s", fields[i]);
        api_request_release(&request);
    }
    static const char *const messages[] = {
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}]}",
        "{\"role\":\"tool\",\"content\":\"x\",\"tool_call_id\":\"c\"}",
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        char body[400];
        struct api_request request;
        snprintf(body, sizeof body, "{\"model\":\"auto\",\"messages\":[%s]}", messages[i]);
        cr_expect(!parse_question(body, &request, &q, &base), "%s", messages[i]);
        api_request_release(&request);
    }
}

Test(answer_cache, a_finding_or_an_unfinished_scan_closes_it)
{
    struct api_request request;
    struct api_error error = {0};
    cr_assert_eq(api_request_parse(&request, API_CHAT, str_of(plain), &arena, &error), 0);
    struct findings findings[1] = {{.n = 0}};
    struct verdict clean = {.effect = EFFECT_ALLOW, .local_permitted = true, .findings = findings, .n_fields = 1}, verdict = clean;
    cr_expect(cache_key_eligible(&request, &verdict));
    verdict.n_types = 1;
    cr_expect(!cache_key_eligible(&request, &verdict));
    verdict = clean;
    verdict.effect = EFFECT_REFUSE;
    cr_expect(!cache_key_eligible(&request, &verdict));
    verdict = clean;
    verdict.reasons[0] = "scan_truncated";
    verdict.n_reasons = 1;
    cr_expect(!cache_key_eligible(&request, &verdict));
    verdict = clean;
    findings[0].truncated = true;
    cr_expect(!cache_key_eligible(&request, &verdict));
    cr_expect(!cache_key_eligible(&request, NULL));
    api_request_release(&request);
}
