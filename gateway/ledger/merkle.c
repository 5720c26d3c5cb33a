/* Merkle tree hashes of RFC 6962 / 9162: appending, the root, and the two verifiers.
 *
 * Invariant: size leaves are represented by at most 63 subtree roots, so appending costs amortised one hash. Pure
 * functions on the caller's storage; any thread. */
#include "ledger/merkle.h"

void merkle_leaf_hash(str data, uint8_t out[SHA256_BYTES])
{
    struct sha256_stream stream;
    sha256_init(&stream);
    sha256_update(&stream, "\0", 1);
    sha256_update(&stream, data.data, data.n);
    sha256_final(&stream, out);
}

static void node_hash(const uint8_t left[SHA256_BYTES], const uint8_t right[SHA256_BYTES], uint8_t out[SHA256_BYTES])
{
    uint8_t bytes[1 + 2 * SHA256_BYTES] = {1};
    memcpy(bytes + 1, left, SHA256_BYTES);
    memcpy(bytes + 1 + SHA256_BYTES, right, SHA256_BYTES);
    sha256(bytes, sizeof bytes, out);
}

void merkle_append(struct merkle *tree, const uint8_t leaf[SHA256_BYTES])
{
    uint8_t hash[SHA256_BYTES];
    memcpy(hash, leaf, sizeof hash);
    int level = 0;
    for (; tree->size >> level & 1; level++)
        node_hash(tree->edge[level], hash, hash);
    memcpy(tree->edge[level], hash, sizeof hash);
    tree->size++;
}

void merkle_root(const struct merkle *tree, uint8_t out[SHA256_BYTES])
{
    bool first = true;
    if (tree->size == 0)
        sha256("", 0, out);
    for (int level = 0; level < MERKLE_MAX_DEPTH; level++) {
        if (!(tree->size >> level & 1))
            continue;
        if (first)
            memcpy(out, tree->edge[level], SHA256_BYTES);
        else
            node_hash(tree->edge[level], out, out);
        first = false;
    }
}

bool merkle_verify_inclusion(uint64_t index, uint64_t size, const uint8_t leaf[SHA256_BYTES], const uint8_t (*path)[SHA256_BYTES],
                             size_t n, const uint8_t root[SHA256_BYTES])
{
    if (index >= size)
        return false;
    uint64_t fn = index, sn = size - 1;
    uint8_t r[SHA256_BYTES];
    memcpy(r, leaf, sizeof r);
    for (size_t i = 0; i < n; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            node_hash(path[i], r, r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            node_hash(r, path[i], r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(r, root, sizeof r) == 0;
}

bool merkle_verify_consistency(uint64_t size1, uint64_t size2, const uint8_t root1[SHA256_BYTES], const uint8_t root2[SHA256_BYTES],
                               const uint8_t (*path)[SHA256_BYTES], size_t n)
{
    if (size1 > size2 || size1 == 0)
        return false; /* Every tree extends the empty one: such a proof proves nothing. */
    if (size1 == size2)
        return n == 0 && memcmp(root1, root2, SHA256_BYTES) == 0;
    bool power = (size1 & (size1 - 1)) == 0;
    size_t next = 0;
    if (!power && n == 0)
        return false;
    uint8_t fr[SHA256_BYTES], sr[SHA256_BYTES];
    memcpy(fr, power ? root1 : path[next++], sizeof fr);
    memcpy(sr, fr, sizeof sr);
    uint64_t fn = size1 - 1, sn = size2 - 1;
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    for (; next < n; next++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            node_hash(path[next], fr, fr);
            node_hash(path[next], sr, sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            node_hash(sr, path[next], sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(fr, root1, sizeof fr) == 0 && memcmp(sr, root2, sizeof sr) == 0;
}
