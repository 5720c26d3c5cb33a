/* A folder of a test's own with the names of its lines and heads: .init and .fini of tests that train. */
#ifndef WEIR_TESTS_HEAD_FOLDER_H
#define WEIR_TESTS_HEAD_FOLDER_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static char folder[] = "/tmp/weir_head_XXXXXX";
static char data[64], head_path[64], again_path[64];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/lines.jsonl", folder);
    snprintf(head_path, sizeof head_path, "%s/a.head", folder);
    snprintf(again_path, sizeof again_path, "%s/b.head", folder);
}

static void remove_folder(void)
{
    unlink(data);
    unlink(head_path);
    unlink(again_path);
    rmdir(folder);
}

#endif
