/* Knowledge index: a folder's documents as passages with embeddings, in knowledge.db of the data folder.
 *
 *   meta(name, value)      encoder (whose embeddings these are), index_id (random, of this file), changes (rises with each commit)
 *   document(document_id, path, mtime_ns, n_bytes, sha256)          path: relative to the folder
 *   passage(passage_id, document_id, n, heading, first_line, last_line, text, embedding)   embedding: float32, little-endian, length 1
 *   passage_fts            FTS5 over heading and text, words by their stems (porter)
 *
 * Each document is one transaction, so a reader never sees half of one and a broken-off run goes on where it stopped. Any number of
 * readers; writers wait for one another. A struct knowledge_index belongs to one thread at a time. */
#ifndef WEIR_KNOWLEDGE_INDEX_H
#define WEIR_KNOWLEDGE_INDEX_H

#include "weir_runtime.h"

#include <sqlite3.h>

enum { KNOWLEDGE_MAX_PASSAGES = 50000, KNOWLEDGE_MAX_FILES = 20000, KNOWLEDGE_MAX_FILE_BYTES = 16 << 20, KNOWLEDGE_STATE_BYTES = 48 };

struct knowledge_index {
    sqlite3 *db;
    char path[4096];
};

/* writes: creates the file and its tables where they are missing. Else WEIR_E_NOT_FOUND says that there is none. */
int knowledge_index_open(struct knowledge_index *index, const char *path, bool writes, struct error *err) WEIR_CHECKED;
void knowledge_index_close(struct knowledge_index *index);
/* "index_id-changes": another one after every change of content. */
int knowledge_index_state(struct knowledge_index *index, char out[KNOWLEDGE_STATE_BYTES], struct error *err) WEIR_CHECKED;
int knowledge_index_count(struct knowledge_index *index, int64_t *n_documents, int64_t *n_passages, struct error *err) WEIR_CHECKED;

struct knowledge_report {
    int n_new, n_changed, n_unchanged, n_removed, n_skipped;
    int64_t n_passages; /* In all, afterwards. */
};
/* Called for each document that is read again, with NULL, or skipped, with the reason. */
typedef void knowledge_sync_fn(void *user, const char *path, const char *reason);
/* Makes the index what the folder is: new and changed documents (by time and size, then by hash) are cut and embedded, vanished ones
 * removed. A document that cannot be read is skipped and named; a folder that cannot be is an error. cancelled (may be NULL) is
 * looked at between documents. WEIR_E_CANCELLED then. */
int knowledge_index_sync(struct knowledge_index *index, const char *folder, struct model *encoder, const volatile int *cancelled, knowledge_sync_fn *note,
                         void *user, struct knowledge_report *report, struct error *err) WEIR_CHECKED;

#endif
