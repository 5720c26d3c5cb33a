/* Runs the tests that joined: run_emulated KERNELS says which form this processor must have chosen. */
#include "weir_runtime.h"

#include <criterion/criterion.h>
#include <string.h>

struct emulated_test *emulated_tests;

int main(int argc, char **argv)
{
    int n = 0;
    if (argc != 2 || strcmp(runtime_kernels(), argv[1]) != 0) {
        fprintf(stderr, "kernels are %s, not %s\n", runtime_kernels(), argc > 1 ? argv[1] : "named");
        return 1;
    }
    for (struct emulated_test *test = emulated_tests; test != NULL; test = test->next) {
        printf("%s\n", test->name);
        fflush(stdout);
        test->run();
        n++;
    }
    printf("%d tests\n", n);
    return n == 0;
}
