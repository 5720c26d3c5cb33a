/* weir_base: the ground everything stands on: status and error, str, arena, buffer, log, clock, random and hashing,
 * UTF-8, files, JSON access, bounded queue, thread pool.
 *
 * Rules that hold throughout:
 *  - A function that can fail returns 0 (or a count) on success and a negative enum weir_status on failure; where it
 *    takes a `struct error *err` it also fills it. `err` may be NULL.
 *  - init/release work on the caller's storage, new/free on the heap, open/close on files, start/stop on what runs.
 *  - An argument whose ownership moves ends in _take; what is borrowed ends in _peek or is const.
 *  - Nothing here is thread-safe unless its comment says so. */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WEIR_CHECKED __attribute__((warn_unused_result))
#define WEIR_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))

/* ------------------------------------------------------------------ status and error */

enum weir_status {
    WEIR_OK = 0,
    WEIR_E_INVALID = -1,   /* The input breaks its format or a rule: the caller's fault, never retried. */
    WEIR_E_NOT_FOUND = -2, /* A file, model, key or name that does not exist. */
    WEIR_E_IO = -3,        /* The operating system refused: detail carries its message. */
    WEIR_E_MEMORY = -4,    /* An allocation failed. */
    WEIR_E_LIMIT = -5,     /* A stated cap was reached. */
    WEIR_E_FULL = -6,      /* A bounded queue or buffer has no room now. */
    WEIR_E_CANCELLED = -7, /* The caller cancelled the work. */
    WEIR_E_TIMEOUT = -8,   /* A deadline passed. */
    WEIR_E_UNSUPPORTED = -9, /* A valid input that this build does not handle. */
    WEIR_E_DENIED = -10,   /* Policy or clearance refuses. */
    WEIR_E_STATE = -11,    /* Called in the wrong state (closed, draining). */
};

/* What went wrong and where. `where` names the file, field, tensor or line ("m.gguf: tensor blk.3.attn_q.weight");
 * `text` says what. Neither ever holds a prompt, an answer, a key or a finding's value. */
struct error {
    enum weir_status status;
    char where[192];
    char text[320];
};

/* Fills err (if not NULL) and returns status, so that a failing function ends in `return error_set(…)`. Whatever is quoted, both texts are
 * valid UTF-8 without control characters but line breaks and tabs: a '?' stands for each byte that isn't. */
int error_set(struct error *err, enum weir_status status, const char *where, const char *format, ...)
    WEIR_PRINTF(4, 5);
/* Puts "prefix: " in front of err's where: how an outer function adds its file or field. A prefix that ends in '.' is the member of a
 * member ("answer." and "text"), one that ends in ": " brings that itself. Returns err's status. */
int error_prefix(struct error *err, const char *prefix);
/* "where: text" into out (always terminated). Returns out. */
const char *error_format(const struct error *err, char *out, size_t n_out);
/* A lower-case word for a status ("invalid", "not_found"). Never NULL. */
const char *status_name(enum weir_status status);

/* ------------------------------------------------------------------ str: a borrowed run of bytes */

typedef struct str {
    const char *data; /* Not terminated. May be NULL when n is 0. */
    size_t n;         /* Bytes. */
} str;

#define STR(literal) ((str){"" literal "", sizeof(literal) - 1})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).data

str str_of(const char *terminated); /* NULL gives the empty str. */
bool str_equal(str a, str b);
bool str_equal_nocase(str a, str b); /* ASCII letters only. */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
int str_compare(str a, str b); /* memcmp order, shorter first. */
str str_trim(str s);           /* ASCII white space off both ends. */
str str_after_mark(str s);     /* Without a UTF-8 byte-order mark in front. */
/* The part before the first `separator` goes to *head, *s becomes what follows. False when *s was already used up
 * (data NULL); a str without the separator gives itself once. */
bool str_split(str *s, char separator, str *head);
/* Offset of needle in s or -1. */
ptrdiff_t str_find(str s, str needle);
/* Copies at most n_out - 1 bytes and terminates. Returns false if it did not fit whole. */
bool str_copy(char *out, size_t n_out, str s);
/* The whole of s must be a decimal integer (or number) in range; otherwise WEIR_E_INVALID. */
int parse_i64(str s, int64_t *out) WEIR_CHECKED;
int parse_f64(str s, double *out) WEIR_CHECKED;
/* FNV-1a, 64 bit. For tables, never for secrets. */
uint64_t str_hash(str s);

/* ------------------------------------------------------------------ arena: memory that dies at once */

/* A chain of blocks; allocations are never freed singly. What belongs to a request lives in its arena. */
struct arena {
    struct arena_block *head;
    size_t used_bytes; /* Handed out so far. */
    size_t max_bytes;  /* The cap, 0: none. */
};

void arena_init(struct arena *arena, size_t max_bytes);
void arena_release(struct arena *arena);
/* Zeroed memory of 16-byte alignment, or NULL when memory or the cap is exhausted. n_bytes 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t n_bytes);
/* n × size with overflow checked. */
void *arena_array(struct arena *arena, size_t n, size_t size);
/* A terminated copy of s; NULL as above. */
char *arena_strdup(struct arena *arena, str s);
/* printf into the arena; NULL as above. */
char *arena_printf(struct arena *arena, const char *format, ...) WEIR_PRINTF(2, 3);

/* ------------------------------------------------------------------ buffer: growing bytes with a maximum */

/* Always terminated by a NUL that n does not count, so data can be printed. data is NULL until the first append. */
struct buffer {
    char *data;
    size_t n;
    size_t capacity;
    size_t max_bytes; /* Appends past it fail with WEIR_E_LIMIT and leave the buffer as it was. */
    bool failed;      /* Set by the first failed append; later appends fail too. Check once at the end. */
};

void buffer_init(struct buffer *buffer, size_t max_bytes);
void buffer_release(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* Keeps the storage; clears failed. */
int buffer_append(struct buffer *buffer, const void *data, size_t n_bytes);
int buffer_append_str(struct buffer *buffer, str s);
int buffer_append_text(struct buffer *buffer, const char *terminated);
int buffer_append_char(struct buffer *buffer, char c);
int buffer_printf(struct buffer *buffer, const char *format, ...) WEIR_PRINTF(2, 3);
/* s as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
int buffer_append_json_string(struct buffer *buffer, str s);
/* Removes the first n_bytes. */
void buffer_consume(struct buffer *buffer, size_t n_bytes);
str buffer_str(const struct buffer *buffer);
/* Hands the storage (terminated) to the caller, who frees it with free(); the buffer is empty afterwards. NULL when
 * memory ran out or failed was set. */
char *buffer_detach(struct buffer *buffer);

/* ------------------------------------------------------------------ log: one JSON line an event, to stderr */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Thread-safe. Never pass text of a prompt, an answer, a key or a finding. `event` is a constant snake_case word; the
 * rest is printf for a human-readable message. Text on a terminal, JSON lines otherwise. */
void log_event(enum log_level level, const char *event, const char *format, ...) WEIR_PRINTF(3, 4);
void log_set_level(enum log_level level);
int log_level_parse(str name, enum log_level *out) WEIR_CHECKED;

/* ------------------------------------------------------------------ clock */

/* Microseconds of a monotonic clock whose zero has no meaning. Everything that measures or waits uses it. */
int64_t clock_now_us(void);
/* Nanoseconds since 1970 UTC. For records only: it may jump. */
int64_t clock_wall_ns(void);
/* Freezes both clocks for tests of this process at the given values; us < 0 thaws. */
void clock_freeze(int64_t monotonic_us, int64_t wall_ns);
/* "2026-01-02T03:04:05.678Z" for wall_ns into out[32]. Returns out. */
const char *clock_format_utc(int64_t wall_ns, char out[32]);

/* ------------------------------------------------------------------ random and hashing (mbedTLS's crypto library) */

/* Bytes from the operating system's generator. Fails only with the operating system: WEIR_E_IO. Thread-safe. */
int random_bytes(void *out, size_t n_bytes) WEIR_CHECKED;
/* A version 7 UUID (RFC 9562): time-ordered, 36 characters and NUL. Thread-safe. */
int uuid_v7(char out[37]) WEIR_CHECKED;

#define SHA256_BYTES 32
void sha256(const void *data, size_t n_bytes, uint8_t out[SHA256_BYTES]);
struct sha256_stream {
    _Alignas(16) uint8_t state[256]; /* Opaque. */
};
void sha256_init(struct sha256_stream *stream);
void sha256_update(struct sha256_stream *stream, const void *data, size_t n_bytes);
void sha256_final(struct sha256_stream *stream, uint8_t out[SHA256_BYTES]);
/* Digest of a whole file. */
int sha256_file(const char *path, uint8_t out[SHA256_BYTES], struct error *err) WEIR_CHECKED;
void hmac_sha256(const void *key, size_t n_key, const void *data, size_t n_bytes, uint8_t out[SHA256_BYTES]);
/* Lower-case hex, terminated: out has 2 n + 1 bytes. */
void hex_encode(const void *data, size_t n_bytes, char *out);
/* n_out bytes from 2 n_out digits. */
int hex_decode(str hex, void *out, size_t n_out) WEIR_CHECKED;
/* Compares in time that does not depend on the content. */
bool bytes_equal_constant_time(const void *a, const void *b, size_t n_bytes);
/* Overwrites memory in a way the compiler keeps. */
void bytes_wipe(void *data, size_t n_bytes);

/* ------------------------------------------------------------------ UTF-8 (RFC 3629) */

/* Offset of the first byte that is not valid UTF-8 (no overlong forms, no surrogates, at most U+10FFFF), or -1. */
ptrdiff_t utf8_first_invalid(str s);
/* Decodes one code point at s[*at] and advances *at; an invalid sequence gives U+FFFD and advances by one byte
 * (so that it always ends). Call only with *at < s.n. */
uint32_t utf8_next(str s, size_t *at);
/* Encodes into out[4]; returns 1…4, or 0 for what is no scalar value. */
int utf8_encode(uint32_t code_point, char out[4]);
/* Bytes at the end of s that begin a sequence which s cuts short: 0…3. */
size_t utf8_incomplete_tail(str s);

/* ------------------------------------------------------------------ files */

/* A file mapped read-only. An empty file has data NULL and n_bytes 0. */
struct file_map {
    const uint8_t *data;
    size_t n_bytes;
};
int file_map_open(struct file_map *map, const char *path, struct error *err) WEIR_CHECKED;
void file_map_close(struct file_map *map);
/* Gives back the memory of whole pages of a mapped file that won't be read again soon (they come back from the file when they
 * are). Does nothing for memory that is no file_map's. Thread-safe. */
void file_pages_forget(const void *from, size_t n_bytes);
/* Appends the whole file to out, within out's maximum. */
int file_read(const char *path, struct buffer *out, struct error *err) WEIR_CHECKED;
/* May the file at path be replaced by a rename? 0: yes, at out (PATH_MAX bytes), to which symbolic links at path lead; 1: no, it is a
 * device, a pipe or a socket, which a rename would do away with. A directory is an error. */
int file_replaceable(const char *path, char *out, struct error *err) WEIR_CHECKED;
/* Replaces path with data: written to a temporary file beside it, synced, renamed. mode as in open(2). A device, a pipe or a socket
 * stays what it is and gets the data. */
int file_write_atomic(const char *path, const void *data, size_t n_bytes, unsigned mode, struct error *err) WEIR_CHECKED;
bool file_exists(const char *path);
bool file_is_directory(const char *path);
/* A number that is another one once what lies at path is another file or was written to (device, inode, size and time); of a folder, also
 * when that is so of a file in it or in a folder in it. 0: nothing is there. */
uint64_t file_identity(const char *path);
/* Creates path and its parents with mode 0700 where they are missing. */
int directory_create(const char *path, struct error *err) WEIR_CHECKED;
/* The path of something shipped with Weir ("deploy/prices.yaml", "policies/packs/default.yaml"): under $WEIR_SHARE, else
 * two folders above the running binary (a build tree), else <prefix>/share/weir. Into out; WEIR_E_NOT_FOUND names the
 * places tried. */
int share_path(const char *relative, char *out, size_t n_out, struct error *err) WEIR_CHECKED;
/* The folder for pulled models and other caches: $WEIR_CACHE, else $XDG_CACHE_HOME/weir, else ~/.cache/weir, else
 * /var/cache/weir. Not created. */
int cache_path(const char *relative, char *out, size_t n_out) WEIR_CHECKED;

/* ------------------------------------------------------------------ JSON (jansson) */

/* Parses one document: duplicate keys and trailing bytes refused, \u0000 allowed, depth at most 512. err's where is
 * "line L, column C (byte B)". The caller owns the result (json_decref). NULL on failure. */
json_t *json_parse(str text, struct error *err);
/* Typed members of an object. 1: found (and *out set), 0: absent or null, WEIR_E_INVALID: another type, with the path in
 * err ("field: must be a string"). Strings are borrowed from the object. */
int json_member_str(const json_t *object, const char *name, str *out, struct error *err) WEIR_CHECKED;
int json_member_i64(const json_t *object, const char *name, int64_t *out, struct error *err) WEIR_CHECKED;
int json_member_f64(const json_t *object, const char *name, double *out, struct error *err) WEIR_CHECKED; /* Integers too. */
int json_member_bool(const json_t *object, const char *name, bool *out, struct error *err) WEIR_CHECKED;
int json_member_array(const json_t *object, const char *name, json_t **out, struct error *err) WEIR_CHECKED;  /* Borrowed. */
int json_member_object(const json_t *object, const char *name, json_t **out, struct error *err) WEIR_CHECKED; /* Borrowed. */
/* Appends value as compact JSON with reals of at most 17 significant digits that read back the same. */
int json_write(const json_t *value, struct buffer *out);

/* ------------------------------------------------------------------ queue: bounded, between threads */

/* Pointers, first in first out, any number of producers and consumers. Thread-safe. */
struct queue;
struct queue *queue_new(size_t capacity); /* NULL when memory runs out. */
void queue_free(struct queue *queue);     /* Items left inside are not touched. */
int queue_try_push(struct queue *queue, void *item) WEIR_CHECKED; /* WEIR_E_FULL, or WEIR_E_STATE once closed. */
int queue_push(struct queue *queue, void *item) WEIR_CHECKED;     /* Waits for room. WEIR_E_STATE once closed. */
void *queue_try_pop(struct queue *queue);                         /* NULL when empty. */
/* Waits at most timeout_us (negative: for ever). NULL on time-out, or when closed and empty. */
void *queue_pop(struct queue *queue, int64_t timeout_us);
void queue_close(struct queue *queue); /* Wakes everyone; pops drain what is left. */
size_t queue_depth(struct queue *queue);

/* ------------------------------------------------------------------ thread pool: one job cut into chunks */

/* The caller works too: a pool of n threads has n - 1 helpers. One job runs at a time; pool_run may be called by one
 * thread at a time. Helpers spin for a short while after a job and then sleep, so an idle pool uses no CPU. */
struct pool;
typedef void pool_fn(void *arg, int chunk, int thread); /* thread: 0…n_threads - 1, for scratch space. */
struct pool *pool_new(int n_threads); /* 0: one per core. NULL when memory or threads run out. */
void pool_free(struct pool *pool);
int pool_threads(const struct pool *pool);
/* Calls fn(arg, chunk, thread) once for each chunk in 0…n_chunks - 1, in any order, and returns when all are done. */
void pool_run(struct pool *pool, int n_chunks, pool_fn *fn, void *arg);

#endif
