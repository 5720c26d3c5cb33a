/* A folder's documents by their paths below it. Names that begin with a dot, links and what is no document of ours are passed over. */
#ifndef WEIR_KNOWLEDGE_FOLDER_H
#define WEIR_KNOWLEDGE_FOLDER_H

#include "knowledge/passages.h"

struct folder_file {
    char *path; /* Relative to the folder, with '/'. */
    enum document_kind kind;
    int64_t mtime_ns, n_bytes;
};
struct folder_files {
    struct folder_file *items;
    size_t n, capacity;
};
/* All files, sorted by path. WEIR_E_LIMIT: more than `most`. */
int folder_list(const char *folder, size_t most, struct folder_files *out, struct error *err) WEIR_CHECKED;
void folder_files_release(struct folder_files *files);

#endif
