/* The RFC 6962 tree over the ledger's rows, as far as appending needs it: the roots of the perfect subtrees on the right
 * edge. Leaf hash: SHA-256(0x00 || data); node hash: SHA-256(0x01 || left || right). */
#ifndef WEIR_LEDGER_MERKLE_H
#define WEIR_LEDGER_MERKLE_H

#include "weir_base.h"

enum { MERKLE_MAX_DEPTH = 63 };

struct merkle {
    uint64_t size; /* Leaves. */
    uint8_t edge[MERKLE_MAX_DEPTH][SHA256_BYTES]; /* edge[i] is meant where bit i of size is set: a subtree of 2^i leaves. */
};

void merkle_leaf_hash(str data, uint8_t out[SHA256_BYTES]);
void merkle_append(struct merkle *tree, const uint8_t leaf[SHA256_BYTES]);
void merkle_root(const struct merkle *tree, uint8_t out[SHA256_BYTES]); /* Of none: SHA-256 of nothing. */

/* RFC 9162, 2.1.3.2: is leaf number `index` of `size` under root, by its audit path of n hashes? */
bool merkle_verify_inclusion(uint64_t index, uint64_t size, const uint8_t leaf[SHA256_BYTES], const uint8_t (*path)[SHA256_BYTES],
                             size_t n, const uint8_t root[SHA256_BYTES]);
/* RFC 9162, 2.1.4.2: does the tree of size2 leaves extend that of size1? */
bool merkle_verify_consistency(uint64_t size1, uint64_t size2, const uint8_t root1[SHA256_BYTES], const uint8_t root2[SHA256_BYTES],
                               const uint8_t (*path)[SHA256_BYTES], size_t n);

#endif
