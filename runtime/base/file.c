/* Files: mapped, read whole, replaced whole; and where Weir's own data lies. */
#include "weir_base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int io_error(struct error *err, const char *path)
{
    int cause = errno;
    return error_set(err, cause == ENOENT ? WEIR_E_NOT_FOUND : WEIR_E_IO, path, "%s", strerror(cause));
}

/* Mappings alive, so that file_pages_forget never touches other memory. One that finds no place is never forgotten. */
static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file_map maps[64];

static void maps_replace(struct file_map from, struct file_map to)
{
    pthread_mutex_lock(&maps_lock);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        if (maps[i].data == from.data) {
            maps[i] = to;
            break;
        }
    pthread_mutex_unlock(&maps_lock);
}

void file_pages_forget(const void *from, size_t n_bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)from + page - 1) / page * page, end = ((uintptr_t)from + n_bytes) / page * page;
    if (start >= end)
        return;
    pthread_mutex_lock(&maps_lock);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        uintptr_t data = (uintptr_t)maps[i].data;
        if (data != 0 && start >= data && end <= data + maps[i].n_bytes)
            (void)madvise((void *)start, end - start, MADV_DONTNEED); /* Read-only and private: they come back from the file. */
    }
    pthread_mutex_unlock(&maps_lock);
}

int file_map_open(struct file_map *map, const char *path, struct error *err)
{
    *map = (struct file_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, path);
    struct stat info;
    int status = 0;
    if (fstat(fd, &info) < 0) {
        status = io_error(err, path);
    } else if (!S_ISREG(info.st_mode)) {
        status = error_set(err, WEIR_E_INVALID, path, "not a regular file");
    } else if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = io_error(err, path);
        else
            maps_replace((struct file_map){0}, *map = (struct file_map){data, (size_t)info.st_size});
    }
    close(fd);
    return status;
}

void file_map_close(struct file_map *map)
{
    if (map->data == NULL)
        return;
    maps_replace(*map, (struct file_map){0});
    munmap((void *)(uintptr_t)map->data, map->n_bytes);
    *map = (struct file_map){0};
}

int file_read(const char *path, struct buffer *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, path);
    char chunk[16384];
    int status = 0;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = io_error(err, path);
        if (got <= 0)
            break;
        if (buffer_append(out, chunk, (size_t)got) < 0) {
            status = error_set(err, WEIR_E_LIMIT, path, "larger than %zu bytes", out->max_bytes);
            break;
        }
    }
    close(fd);
    return status;
}

int file_replaceable(const char *path, char *out, struct error *err)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && realpath(path, out) != NULL)
        path = out; /* A link to nothing is replaced itself. */
    else if (!str_copy(out, PATH_MAX, str_of(path)))
        return error_set(err, WEIR_E_INVALID, path, "path too long");
    if (stat(path, &info) < 0 || S_ISREG(info.st_mode))
        return 0;
    return S_ISDIR(info.st_mode) ? error_set(err, WEIR_E_IO, path, "%s", strerror(EISDIR)) : 1;
}

static bool write_whole(int fd, const char *at, size_t n_bytes)
{
    while (n_bytes > 0) {
        ssize_t put = write(fd, at, n_bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += put;
        n_bytes -= (size_t)put;
    }
    return true;
}

static int write_in_place(const char *path, const void *data, size_t n_bytes, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int status = fd < 0 || !write_whole(fd, data, n_bytes) ? io_error(err, path) : 0;
    if (fd >= 0)
        close(fd);
    return status;
}

int file_write_atomic(const char *path, const void *data, size_t n_bytes, unsigned mode, struct error *err)
{
    char temporary[PATH_MAX], real[PATH_MAX];
    int kind = file_replaceable(path, real, err);
    if (kind != 0)
        return kind < 0 ? kind : write_in_place(path, data, n_bytes, err);
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", real) >= (int)sizeof temporary)
        return error_set(err, WEIR_E_INVALID, path, "path too long");
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return io_error(err, path);
    bool good = fchmod(fd, (mode_t)mode) == 0 && write_whole(fd, data, n_bytes) && fsync(fd) == 0;
    int cause = errno;
    close(fd);
    if (good && rename(temporary, real) == 0)
        return 0;
    if (!good)
        errno = cause;
    int status = io_error(err, path);
    unlink(temporary);
    return status;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

enum { IDENTITY_DEPTH = 2 };

static uint64_t identity(const char *path, int depth)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return 0;
    const uint64_t facts[] = {info.st_dev, info.st_ino, (uint64_t)info.st_size, (uint64_t)info.st_mtim.tv_sec, (uint64_t)info.st_mtim.tv_nsec};
    uint64_t sum = str_hash((str){(const char *)facts, sizeof facts});
    DIR *folder = S_ISDIR(info.st_mode) && depth > 0 ? opendir(path) : NULL;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char inside[PATH_MAX];
        if (entry->d_name[0] != '.' && snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) < (int)sizeof inside)
            sum += identity(inside, depth - 1); /* A sum: folders have no order. */
    }
    if (folder != NULL)
        closedir(folder);
    return sum;
}

uint64_t file_identity(const char *path)
{
    return identity(path, IDENTITY_DEPTH);
}

int directory_create(const char *path, struct error *err)
{
    char partial[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof partial)
        return error_set(err, WEIR_E_INVALID, path, "not a usable path");
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0700) < 0 && errno != EEXIST)
            return io_error(err, partial);
    }
    if (!file_is_directory(path))
        return error_set(err, WEIR_E_IO, path, "exists and is not a directory");
    return 0;
}

int share_path(const char *relative, char *out, size_t n_out, struct error *err)
{
    const char *configured = getenv("WEIR_SHARE");
    char binary[PATH_MAX], tree[PATH_MAX] = "", installed[PATH_MAX] = "";
    if (configured != NULL && configured[0] != '\0') {
        snprintf(out, n_out, "%s/%s", configured, relative);
        if (file_exists(out))
            return 0;
        return error_set(err, WEIR_E_NOT_FOUND, relative, "not in WEIR_SHARE (%s)", configured);
    }
    ssize_t n = readlink("/proc/self/exe", binary, sizeof binary - 1);
    if (n > 0) {
        binary[n] = '\0';
        const char *folder = dirname(binary);
        snprintf(tree, sizeof tree, "%s/../..", folder);
        snprintf(installed, sizeof installed, "%s/../share/weir", folder);
    }
    const char *places[] = {tree, installed, "/usr/local/share/weir", "/usr/share/weir"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char real[PATH_MAX];
        if (places[i][0] == '\0' || snprintf(out, n_out, "%s/%s", places[i], relative) >= (int)n_out || !file_exists(out))
            continue;
        if (realpath(out, real) != NULL && strlen(real) < n_out)
            str_copy(out, n_out, str_of(real));
        return 0;
    }
    return error_set(err, WEIR_E_NOT_FOUND, relative, "not beside the binary (%s), nor in share/weir; set WEIR_SHARE", tree);
}

int cache_path(const char *relative, char *out, size_t n_out)
{
    const char *weir = getenv("WEIR_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (weir != NULL && weir[0] != '\0')
        n = snprintf(out, n_out, "%s/%s", weir, relative);
    else if (xdg != NULL && xdg[0] == '/')
        n = snprintf(out, n_out, "%s/weir/%s", xdg, relative);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, n_out, "%s/.cache/weir/%s", home, relative);
    else
        n = snprintf(out, n_out, "/var/cache/weir/%s", relative);
    return n >= 0 && (size_t)n < n_out ? 0 : WEIR_E_LIMIT;
}
