/* Head format: what reading and writing of head files share; head_file.c describes the format. */
#ifndef WEIR_CLASSIFIER_HEAD_FORMAT_H
#define WEIR_CLASSIFIER_HEAD_FORMAT_H

#include "weir_base.h"

enum {
    HEAD_VERSION = 4,
    HEAD_PREFIX_BYTES = 24,
    HEAD_ENTRY_BYTES = 48,
    HEAD_NAME_BYTES = 32,
    HEAD_MOST_ARRAYS = 64,
    HEAD_MOST_HEADER_BYTES = 4 << 20,
    HEAD_MOST_CLASSES = 4096,
    HEAD_MOST_FILE_BYTES = 512 << 20,
};
#define HEAD_MAGIC "WEIRHEAD" /* Without its zero. */
enum { HEAD_MAGIC_BYTES = 8 };

/* The bytes of a named array that lies wholly in a head file's n_bytes; false: it is no head file of this version, or has none. */
bool head_bytes_find(const uint8_t *data, size_t n_bytes, const char *name, const uint8_t **out, size_t *n_out);

#endif
