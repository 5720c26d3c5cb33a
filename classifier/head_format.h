/* Head format: what reading and writing of head files share; head_file.c describes the format. */
#ifndef WEIR_CLASSIFIER_HEAD_FORMAT_H
#define WEIR_CLASSIFIER_HEAD_FORMAT_H

enum {
    HEAD_VERSION = 3,
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

#endif
