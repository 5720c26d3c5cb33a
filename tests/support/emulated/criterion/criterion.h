/* The few words of Criterion that the tests of the kernels use, so that the same files run where it is not to be had: built for
 * another processor and run under an emulator. A failed assertion ends the program. */
#ifndef WEIR_EMULATED_CRITERION_H
#define WEIR_EMULATED_CRITERION_H

#include <stdio.h>
#include <stdlib.h>

struct emulated_test {
    const char *name;
    void (*run)(void);
    struct emulated_test *next;
};
extern struct emulated_test *emulated_tests;

#define Test(suite, test)                                                                                                              \
    static void suite##_##test(void);                                                                                                  \
    __attribute__((constructor)) static void suite##_##test##_joins(void)                                                             \
    {                                                                                                                                  \
        static struct emulated_test self = {#suite "/" #test, suite##_##test, NULL};                                                   \
        self.next = emulated_tests;                                                                                                    \
        emulated_tests = &self;                                                                                                        \
    }                                                                                                                                  \
    static void suite##_##test(void)

#define cr_assert(condition, ...)                                                                                                      \
    do {                                                                                                                               \
        if (!(condition)) {                                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                            \
            fprintf(stderr, " " __VA_ARGS__);                                                                                           \
            fprintf(stderr, "\n");                                                                                                     \
            exit(1);                                                                                                                   \
        }                                                                                                                              \
    } while (0)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b), ##__VA_ARGS__)
#define cr_assert_float_eq(a, b, tolerance, ...) cr_assert((a) - (b) <= (tolerance) && (b) - (a) <= (tolerance), ##__VA_ARGS__)
#define cr_assert_not_null(a, ...) cr_assert((a) != NULL, ##__VA_ARGS__)

#endif
