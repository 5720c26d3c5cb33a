/* Walking a folder. Links are not followed, so nothing outside of it is ever read. */
#include "knowledge/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32 };

void folder_files_release(struct folder_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (struct folder_files){0};
}

static int add(struct folder_files *files, const char *path, enum document_kind kind, const struct stat *info, size_t most, struct error *err)
{
    if (files->n == most)
        return error_set(err, WEIR_E_LIMIT, path, "is one more than the %zu documents that are taken", most);
    if (files->n == files->capacity) {
        size_t capacity = files->capacity > 0 ? 2 * files->capacity : 64;
        struct folder_file *grown = realloc(files->items, capacity * sizeof *grown);
        if (grown == NULL)
            return error_set(err, WEIR_E_MEMORY, path, "out of memory");
        files->items = grown;
        files->capacity = capacity;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return error_set(err, WEIR_E_MEMORY, path, "out of memory");
    files->items[files->n++] = (struct folder_file){copy, kind, (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec, info->st_size};
    return 0;
}

/* below: the path under the folder so far, empty or ending in '/'. */
static int walk(const char *folder, const char *below, int depth, size_t most, struct folder_files *out, struct error *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, below);
    if (n < 0 || (size_t)n >= sizeof path || depth > MAX_DEPTH)
        return error_set(err, WEIR_E_LIMIT, below, "is nested too deep");
    DIR *directory = opendir(path);
    if (directory == NULL)
        return error_set(err, errno == ENOENT ? WEIR_E_NOT_FOUND : WEIR_E_IO, path, "%s", strerror(errno));
    int status = 0;
    for (struct dirent *entry; status == 0 && (entry = readdir(directory)) != NULL;) {
        char name[4096], relative[4096];
        struct stat info;
        enum document_kind kind;
        if (entry->d_name[0] == '.')
            continue;
        n = snprintf(relative, sizeof relative, "%s%s", below, entry->d_name);
        int m = snprintf(name, sizeof name, "%s/%s", folder, relative);
        if (n < 0 || (size_t)n + 1 >= sizeof relative || m < 0 || (size_t)m >= sizeof name || lstat(name, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode)) {
            relative[n] = '/';
            relative[n + 1] = '\0';
            status = walk(folder, relative, depth + 1, most, out, err);
        } else if (S_ISREG(info.st_mode) && document_kind_of(entry->d_name, &kind) && utf8_first_invalid(str_of(relative)) < 0) {
            status = add(out, relative, kind, &info, most, err);
        }
    }
    closedir(directory);
    return status;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct folder_file *)a)->path, ((const struct folder_file *)b)->path);
}

int folder_list(const char *folder, size_t most, struct folder_files *out, struct error *err)
{
    *out = (struct folder_files){0};
    int status = walk(folder, "", 0, most, out, err);
    if (status < 0)
        folder_files_release(out);
    else if (out->n > 0)
        qsort(out->items, out->n, sizeof *out->items, by_path);
    return status;
}
