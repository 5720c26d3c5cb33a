/* The tree is RFC 6962's, and the verifiers agree with the published vectors. */
#include "ledger/merkle.h"

#include <criterion/criterion.h>

Test(merkle, the_root_is_that_of_the_definition)
{
    /* RFC 6962, 2.1: the tree split at the largest power of two below n, computed the slow way. */
    enum { N = 67 };
    uint8_t leaves[N][32];
    struct merkle tree = {.size = 0};
    for (int n = 0; n < N; n++) {
        char text[8];
        snprintf(text, sizeof text, "%d", n);
        merkle_leaf_hash(str_of(text), leaves[n]);
        merkle_append(&tree, leaves[n]);
        uint8_t work[N][32], root[32];
        int count = n + 1;
        memcpy(work, leaves, sizeof work);
        while (count > 1) { /* Pairs level by level; an odd last one moves up unchanged: the same tree. */
            int next = 0;
            for (int i = 0; i < count; i += 2, next++) {
                uint8_t pair[65] = {1};
                if (i + 1 == count) {
                    memmove(work[next], work[i], 32);
                    continue;
                }
                memcpy(pair + 1, work[i], 32);
                memcpy(pair + 33, work[i + 1], 32);
                sha256(pair, sizeof pair, work[next]);
            }
            count = next;
        }
        merkle_root(&tree, root);
        cr_assert_arr_eq(root, work[0], 32, "%d leaves", n + 1);
    }
}

static void decode_base64(const char *text, uint8_t out[32])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t n = 0, have = 0;
    for (; *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
        have += 6;
        if (have >= 8 && n < 32) {
            have -= 8;
            out[n++] = (uint8_t)(bits >> have);
        }
    }
}

static size_t read_path(const json_t *vector, uint8_t path[70][32])
{
    json_t *proof = json_object_get(vector, "proof");
    size_t n = json_is_array(proof) ? json_array_size(proof) : 0;
    cr_assert_leq(n, 70u);
    for (size_t i = 0; i < n; i++)
        decode_base64(json_string_value(json_array_get(proof, i)), path[i]);
    return n;
}

static uint64_t number(const json_t *vector, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(vector, name));
}

static void hash_of(const json_t *vector, const char *name, uint8_t out[32])
{
    memset(out, 0, 32);
    const char *text = json_string_value(json_object_get(vector, name));
    decode_base64(text != NULL ? text : "", out);
}

/* A hash longer than 32 bytes has no place in these functions: a parser refuses it. Shorter ones stand for any hash. */
static bool hash_is_whole(const json_t *vector, const char *name)
{
    return json_string_length(json_object_get(vector, name)) <= 44;
}

static int run_vectors(const char *file, bool inclusion)
{
    struct buffer text;
    struct error err = {0};
    buffer_init(&text, 64 << 20);
    cr_assert_eq(file_read(file, &text, &err), 0, "%s: %s (the shared folder is needed)", err.where, err.text);
    str rest = buffer_str(&text), line;
    int n = 0;
    while (str_split(&rest, '\n', &line)) {
        if (str_trim(line).n == 0)
            continue;
        json_t *vector = json_parse(line, &err);
        if (vector == NULL) { /* A number past 63 bits: no ledger has such a row, and the parser refuses it already. */
            cr_assert(str_find(line, STR("\"wantErr\": true")) >= 0, "%s", err.text);
            continue;
        }
        uint8_t path[70][32] = {{0}}, a[32], b[32];
        size_t n_path = read_path(vector, path);
        bool good, whole = true;
        for (size_t i = 0; i < n_path; i++)
            whole = whole && json_string_length(json_array_get(json_object_get(vector, "proof"), i)) == 44;
        hash_of(vector, inclusion ? "leafHash" : "root1", a);
        hash_of(vector, inclusion ? "root" : "root2", b);
        if (inclusion) {
            whole = whole && json_string_length(json_object_get(vector, "leafHash")) == 44 && json_string_length(json_object_get(vector, "root")) == 44;
            good = whole && merkle_verify_inclusion(number(vector, "leafIdx"), number(vector, "treeSize"), a, (const uint8_t(*)[32])path, n_path, b);
        } else {
            whole = whole && hash_is_whole(vector, "root1") && hash_is_whole(vector, "root2");
            good = whole && merkle_verify_consistency(number(vector, "size1"), number(vector, "size2"), a, b, (const uint8_t(*)[32])path, n_path);
        }
        cr_assert_eq(good, !json_is_true(json_object_get(vector, "wantErr")), "%s", json_string_value(json_object_get(vector, "name")));
        json_decref(vector);
        n++;
    }
    buffer_release(&text);
    return n;
}

Test(merkle, the_verifiers_agree_with_the_published_vectors)
{
    cr_assert_gt(run_vectors(WEIR_SHARED_DIR "/data/privacy/merkle/inclusion.jsonl", true), 50);
    cr_assert_gt(run_vectors(WEIR_SHARED_DIR "/data/privacy/merkle/consistency.jsonl", false), 50);
}
