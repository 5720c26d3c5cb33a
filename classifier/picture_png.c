/* rsvg-convert reads the SVG from one memory file and writes the PNG to another, so nothing is left on disk however it ends. It gets no
 * argument that comes from a caller. The calling thread waits for it. */
#include "picture_png.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int draw(int svg, int png, struct error *err)
{
    static const char *const argv[] = {"rsvg-convert", "--format", "png", "--zoom", "2", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int state;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return error_set(err, WEIR_E_MEMORY, argv[0], "out of memory");
    int code = posix_spawn_file_actions_adddup2(&actions, svg, STDIN_FILENO);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(&actions, png, STDOUT_FILENO);
    if (code == 0)
        code = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code == ENOENT)
        return error_set(err, WEIR_E_NOT_FOUND, argv[0], "draws PNG and is not here: apt-get install librsvg2-bin, or name.svg or name.html");
    if (code != 0)
        return error_set(err, WEIR_E_IO, argv[0], "cannot be run: %s", strerror(code));
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(state) && WEXITSTATUS(state) == 0 ? 0 : error_set(err, WEIR_E_IO, argv[0], "failed");
}

static int put_all(int fd, str text)
{
    while (text.n > 0) {
        ssize_t put = write(fd, text.data, text.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return WEIR_E_IO;
        text = (str){text.data + put, text.n - (size_t)put};
    }
    return lseek(fd, 0, SEEK_SET) == 0 ? 0 : WEIR_E_IO;
}

static int take_all(int fd, struct buffer *out)
{
    char chunk[16384];
    off_t at = 0;
    for (ssize_t n; (n = pread(fd, chunk, sizeof chunk, at)) != 0;) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || buffer_append(out, chunk, (size_t)n) < 0)
            return WEIR_E_IO;
        at += n;
    }
    return at > 0 ? 0 : WEIR_E_IO;
}

int picture_png(str svg, struct buffer *out, struct error *err)
{
    int in = memfd_create("svg", MFD_CLOEXEC), drawn = memfd_create("png", MFD_CLOEXEC);
    int status = in < 0 || drawn < 0 || put_all(in, svg) < 0 ? error_set(err, WEIR_E_IO, "the picture", "%s", strerror(errno)) : 0;
    if (status == 0)
        status = draw(in, drawn, err);
    if (status == 0 && take_all(drawn, out) < 0)
        status = error_set(err, WEIR_E_IO, "rsvg-convert", "has drawn nothing");
    if (in >= 0)
        close(in);
    if (drawn >= 0)
        close(drawn);
    return status;
}
