/* Files and paths: whole reads, atomic writes, folders. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static void expect_content(const char *path, const char *content) {
    char *text;
    size_t size;
    assert_int_equal(mien_file_read(path, 1000, &text, &size), MIEN_OK);
    assert_int_equal(size, strlen(content));
    assert_string_equal(text, content);
    mien_free(text);
}

static void file_write_and_read(void **state) {
    (void)state;
    char path[MIEN_PATH], other[MIEN_PATH], *text;
    size_t size;
    assert_int_equal(mien_path_join(path, scratch, "file"), MIEN_OK);
    assert_int_equal(mien_file_write(path, "old", 3), MIEN_OK);
    assert_int_equal(mien_file_write(path, "newer", 5), MIEN_OK);
    expect_content(path, "newer");
    assert_int_equal(mien_file_write(path, "", 0), MIEN_OK);
    expect_content(path, "");
    assert_int_equal(mien_file_write(path, "12345", 5), MIEN_OK);
    assert_int_equal(mien_file_read(path, 4, &text, &size), MIEN_FORMAT);
    assert_null(text);
    assert_int_equal(mien_file_read(scratch, 100, &text, &size), MIEN_IO);
    expect_in_message("not a regular file");
    assert_int_equal(mien_path_join(other, scratch, "absent"), MIEN_OK);
    assert_int_equal(mien_file_read(other, 100, &text, &size), MIEN_NOT_FOUND);
    expect_in_message("absent");
    assert_int_equal(mien_path_join(other, scratch, "pipe"), MIEN_OK);
    assert_int_equal(mkfifo(other, 0600), 0); /* opening must not wait for a writer */
    assert_int_equal(mien_file_read(other, 100, &text, &size), MIEN_IO);
}

/* Number of temporary files in the folder of a path. */
static int count_temporary(const char *path) {
    char folder[MIEN_PATH];
    int count = 0;
    mien_path_folder(folder, path);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += strncmp(entry->d_name, ".mien-", 6) == 0;
    closedir(dir);
    return count;
}

/* Names of the maximum length, and with temporary files left by a killed process. */
static void file_write_any_name(void **state) {
    (void)state;
    char name[256] = {0}, path[MIEN_PATH], left[MIEN_PATH];
    memset(name, 'n', sizeof name - 1);
    assert_int_equal(mien_path_join(path, scratch, name), MIEN_OK);
    assert_int_equal(mien_file_write(path, "long", 4), MIEN_OK);
    expect_content(path, "long");
    for (int n = 0; n < 100; n++) {
        snprintf(name, sizeof name, ".mien-%ld-%d", (long)getpid(), n);
        assert_int_equal(mien_path_join(left, scratch, name), MIEN_OK);
        assert_int_equal(mkdir(left, 0700), 0);
    }
    assert_int_equal(mien_file_write(path, "again", 5), MIEN_OK);
    expect_content(path, "again");
    for (int n = 0; n < 100; n++) {
        snprintf(name, sizeof name, ".mien-%ld-%d", (long)getpid(), n);
        assert_int_equal(mien_path_join(left, scratch, name), MIEN_OK);
        assert_int_equal(rmdir(left), 0);
    }
    assert_int_equal(count_temporary(path), 0);
}

/* A failed write keeps the old file and leaves no temporary one. */
static void file_write_fails(void **state) {
    (void)state;
    char kept[MIEN_PATH], path[MIEN_PATH];
    assert_int_equal(mien_path_join(kept, scratch, "kept"), MIEN_OK);
    assert_int_equal(mien_file_write(kept, "kept", 4), MIEN_OK);
    struct rlimit limit, least;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    least = limit;
    least.rlim_cur = 2; /* fails after two bytes, like a full disk */
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &least), 0);
    const mien_status status = mien_file_write(kept, "lost", 4);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, MIEN_IO);
    expect_in_message("kept");
    expect_content(kept, "kept");
    assert_int_equal(count_temporary(kept), 0);
    assert_int_equal(mien_path_join(path, scratch, "no/such"), MIEN_OK);
    assert_int_equal(mien_file_write(path, "x", 1), MIEN_NOT_FOUND);
    assert_int_equal(mien_file_write(scratch, "x", 1), MIEN_IO); /* the path is a folder */
    expect_in_message("directory");
    assert_int_equal(count_temporary(scratch), 0);
    /* a full device fails, and is not replaced by a file */
    assert_int_equal(mien_file_write("/dev/full", "x", 1), MIEN_IO);
    struct stat info;
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

static void folders(void **state) {
    (void)state;
    char path[MIEN_PATH], long_name[MIEN_PATH + 10];
    assert_int_equal(mien_path_join(path, scratch, "a/b/c"), MIEN_OK);
    assert_int_equal(mien_make_folders(path), MIEN_OK);
    assert_int_equal(mien_make_folders(path), MIEN_OK);
    assert_true(mien_is_folder(path));
    assert_int_equal(mien_path_join(path, scratch, "plain"), MIEN_OK);
    assert_int_equal(mien_file_write(path, "x", 1), MIEN_OK);
    assert_int_equal(mien_make_folders(path), MIEN_IO);
    expect_in_message("is not a folder");
    assert_int_equal(mien_path_join(path, scratch, "plain/below"), MIEN_OK);
    assert_int_equal(mien_make_folders(path), MIEN_IO);
    assert_int_equal(mien_make_folders(""), MIEN_INVALID);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_int_equal(mien_make_folders(long_name), MIEN_INVALID);
    assert_int_equal(mien_path_join(path, scratch, long_name), MIEN_INVALID);
    assert_int_equal(mien_file_write(long_name, "x", 1), MIEN_INVALID);
}

static void paths(void **state) {
    (void)state;
    char out[MIEN_PATH];
    assert_int_equal(mien_path_join(out, "a", "b"), MIEN_OK);
    assert_string_equal(out, "a/b");
    assert_int_equal(mien_path_join(out, "a", "/b"), MIEN_OK);
    assert_string_equal(out, "/b");
    assert_int_equal(mien_path_join(out, "", "b"), MIEN_OK);
    assert_string_equal(out, "b");
    mien_path_folder(out, "a/b/c.yaml");
    assert_string_equal(out, "a/b");
    mien_path_folder(out, "c.yaml");
    assert_string_equal(out, ".");
    mien_path_folder(out, "/c.yaml");
    assert_string_equal(out, "/");
    mien_path_stem(out, sizeof out, "a.b/classic.yaml");
    assert_string_equal(out, "classic");
    mien_path_stem(out, sizeof out, ".hidden");
    assert_string_equal(out, ".hidden");
    mien_path_stem(out, 4, "classic.yaml");
    assert_string_equal(out, "cla");
    assert_true(mien_path_ends("x.CSV", ".csv"));
    assert_false(mien_path_ends("sv", ".csv"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_write_and_read),
        cmocka_unit_test(file_write_any_name),
        cmocka_unit_test(file_write_fails),
        cmocka_unit_test(folders),
        cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
