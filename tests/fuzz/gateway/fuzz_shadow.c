/* Answers and a judge's word from any bytes: the comparison is the same both ways, and of the judge's bytes only a handful are a word. */
#include "shadow/judge.h"
#include "shadow/same.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    str all = {(const char *)data, n_bytes}, a, b = all;
    if (!str_split(&b, '|', &a))
        a = all;
    assert(shadow_same(all, all));
    assert(shadow_same(a, b) == shadow_same(b, a));
    enum judge_word word = judge_read(all);
    size_t n_letters = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n_letters += (data[i] | 32) >= 'a' && (data[i] | 32) <= 'z';
    if (word == JUDGE_A || word == JUDGE_B)
        assert(n_letters == 1 || n_letters == 7);
    else if (word == JUDGE_NEITHER)
        assert(n_letters == 3 || n_letters == 9);
    return 0;
}
