/* Runs a fuzz target over every file of its corpus folder, so that a build without libFuzzer keeps each input
 * that was ever found to matter. Exit 0 when all inputs returned; a crash is the failure. A missing or empty
 * folder is an error: a target without seeds tests nothing here. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static int replay_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        return -1;
    }
    size_t capacity = 1 << 20, n = 0, got;
    uint8_t *data = malloc(capacity);
    while (data != NULL && (got = fread(data + n, 1, capacity - n, file)) > 0) {
        n += got;
        if (n == capacity)
            data = realloc(data, capacity *= 2);
    }
    fclose(file);
    if (data == NULL)
        return -1;
    uint8_t *exact = malloc(n > 0 ? n : 1); /* Of exactly the input's size, so that ASan sees a read past it. */
    if (exact == NULL) {
        free(data);
        return -1;
    }
    for (size_t i = 0; i < n; i++)
        exact[i] = data[i];
    free(data);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    int n_replayed = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0); /* The empty input belongs to every corpus. */
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            fprintf(stderr, "%s: no such corpus folder\n", argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            if (entry->d_name[0] == '.')
                continue;
            if (replay_file(argv[i], entry->d_name) < 0) {
                closedir(folder);
                return 1;
            }
            n_replayed++;
        }
        closedir(folder);
    }
    printf("%d inputs replayed\n", n_replayed);
    return n_replayed > 0 ? 0 : 1;
}
