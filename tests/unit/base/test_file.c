/* Files: what is replaced, and what is only written to. */
#include "weir_base.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/weir-test-file-XXXXXX";

static void make_folder(void)
{
    cr_assert(mkdtemp(folder) != NULL);
}

static void remove_folder(void)
{
    static const char *const names[] = {"plain", "link", "dangling", "pipe"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

TestSuite(file, .init = make_folder, .fini = remove_folder);

static const char *in_folder(const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return out;
}

static void expect_text(const char *path, const char *text)
{
    struct buffer found;
    struct error err = {0};
    buffer_init(&found, 100);
    cr_assert_eq(file_read(path, &found, &err), 0, "%s", err.text);
    cr_assert(str_equal(buffer_str(&found), str_of(text)));
    buffer_release(&found);
}

Test(file, a_pipe_is_written_to_and_stays_a_pipe)
{
    char path[PATH_MAX], got[8] = "";
    struct error err = {0};
    struct stat info;
    in_folder("pipe", path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_NONBLOCK);
    cr_assert_geq(fd, 0);
    cr_expect_eq(file_write_atomic(path, "abc", 3, 0644, &err), 0, "%s", err.text);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect(S_ISFIFO(info.st_mode), "the pipe was replaced");
    cr_expect_eq(read(fd, got, sizeof got), 3);
    close(fd);
}

Test(file, a_link_stays_a_link_and_what_it_leads_to_is_replaced)
{
    char plain[PATH_MAX], link[PATH_MAX];
    struct error err = {0};
    struct stat info;
    cr_assert_eq(file_write_atomic(in_folder("plain", plain), "old", 3, 0644, &err), 0);
    cr_assert_eq(symlink("plain", in_folder("link", link)), 0);
    cr_assert_eq(file_write_atomic(link, "new", 3, 0644, &err), 0, "%s", err.text);
    cr_assert_eq(lstat(link, &info), 0);
    cr_expect(S_ISLNK(info.st_mode), "the link was replaced");
    expect_text(plain, "new");
}

Test(file, a_new_file_has_the_mode_that_was_asked_for_whatever_the_umask)
{
    static const unsigned modes[] = {0600, 0644, 0640};
    char plain[PATH_MAX];
    struct error err = {0};
    struct stat info;
    umask(077);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        cr_assert_eq(file_write_atomic(in_folder("plain", plain), "new", 3, modes[i], &err), 0, "%s", err.text);
        cr_assert_eq(stat(plain, &info), 0);
        cr_expect_eq(info.st_mode & 0777, modes[i]);
    }
}

Test(file, a_link_to_nothing_is_replaced)
{
    char link[PATH_MAX];
    struct error err = {0};
    cr_assert_eq(symlink("plain", in_folder("dangling", link)), 0);
    cr_assert_eq(file_write_atomic(link, "new", 3, 0644, &err), 0, "%s", err.text);
    expect_text(link, "new");
}

Test(file, a_directory_is_refused_by_name)
{
    struct error err = {0};
    cr_assert_eq(file_write_atomic(folder, "new", 3, 0644, &err), WEIR_E_IO);
    cr_expect_str_eq(err.where, folder);
}

static void write_text(const char *path, const char *text)
{
    struct error err = {0};
    cr_assert_eq(file_write_atomic(path, text, strlen(text), 0600, &err), 0, "%s", err.text);
}

Test(file, identity_is_another_once_a_file_is_replaced_or_written_to)
{
    char path[PATH_MAX];
    in_folder("plain", path);
    cr_assert_eq(file_identity(path), 0, "nothing is there");
    write_text(path, "one");
    uint64_t first = file_identity(path), of_folder = file_identity(folder);
    cr_assert_neq(first, 0);
    cr_assert_eq(file_identity(path), first);
    cr_assert_eq(file_identity(folder), of_folder);
    write_text(path, "two"); /* The same name and size. */
    uint64_t second = file_identity(path);
    cr_assert_neq(second, first);
    cr_assert_neq(file_identity(folder), of_folder);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    cr_assert_eq(write(fd, "!", 1), 1);
    close(fd);
    cr_assert_neq(file_identity(path), second);
}
