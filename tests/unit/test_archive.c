/* Archives as data: zip files of every kind of content, names that lead outside, damage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/data/archive.h"
#include "host/data/container.h"
#include "host/data/dataset.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_pictures.h"

enum { SIDE = 16, BUDGET = 1 << 24 };
static const mien_on_bad fail_on_bad = {false, -1};

static void add(made_zip *zip, const char *name, const char *content, bool deflated) {
    mien_text member = {0};
    mien_text_puts(&member, content);
    made_zip_add(zip, name, &member, deflated);
    mien_text_release(&member);
}

static void add_picture(made_zip *zip, const char *name, int seed) {
    uint8_t pixels[SIDE * SIDE];
    mien_text member = {0};
    made_pixels(pixels, SIDE, SIDE, 1, seed);
    made_pgm(pixels, SIDE, SIDE, &member);
    made_zip_add(zip, name, &member, seed % 2);
    mien_text_release(&member);
}

static const char *finish(made_zip *zip, const char *name) {
    made_zip_end(zip);
    scratch_put_text(name, &zip->file);
    *zip = (made_zip){0};
    return scratch_path(name);
}

static void load(const char *source, mien_dataset *set) {
    expect_ok(mien_dataset_load(source, (mien_image_spec){SIDE, SIDE, 1}, fail_on_bad,
                                MIEN_MEMORY_AUTO, set));
}

static void collect(void *to, const char *name, bool folder) {
    mien_text_printf(to, "%s%s ", name, folder ? "/" : "");
}

static void expect_list(const archive_files *files, const char *folder, const char *want) {
    mien_text text = {0};
    archive_list(files, folder, collect, &text);
    assert_string_equal(text.data ? text.data : "", want);
    mien_text_release(&text);
}

/* Files are found by clean names; whatever leads outside, is hidden or doubled is left out. */
static void names(void **state) {
    (void)state;
    made_zip zip = {0};
    archive_files files;
    size_t size;
    add(&zip, "b/two.txt", "two", true);
    add(&zip, "./b//x/./deep.txt", "deep", false);
    add(&zip, "b-c.txt", "", false);
    add(&zip, "w\\in\\dows.txt", "back", true);
    add(&zip, "a.txt", "first", false);
    add(&zip, "a.txt", "again", false);
    add(&zip, "../out.txt", "evil", false);
    add(&zip, "b/../../out.txt", "evil", false);
    add(&zip, "/etc/out.txt", "evil", false);
    add(&zip, "..\\out.txt", "evil", false);
    add(&zip, ".hidden", "x", false);
    add(&zip, "__MACOSX/b/._two.txt", "x", false);
    add(&zip, "b/y/", "", false);
    expect_ok(archive_read(finish(&zip, "names.zip"), BUDGET, &files));
    assert_int_equal(files.count, 5);
    assert_int_equal(files.left_out, 7);
    expect_list(&files, "", "a.txt b-c.txt b/ w/ ");
    expect_list(&files, "b", "two.txt x/ ");
    expect_list(&files, "b/x", "deep.txt ");
    expect_list(&files, "nowhere", "");
    assert_memory_equal(archive_bytes(&files, "b/x/deep.txt", &size), "deep", 5);
    assert_int_equal(size, 4);
    assert_non_null(archive_bytes(&files, "b-c.txt", &size));
    assert_int_equal(size, 0);
    assert_null(archive_bytes(&files, "b", &size));
    assert_null(archive_bytes(&files, "../out.txt", &size));
    assert_true(archive_has_folder(&files, "") && archive_has_folder(&files, "w/in"));
    assert_false(archive_has_folder(&files, "a.txt") || archive_has_folder(&files, "b/tw"));
    archive_release(&files);
}

/* Sets the flag that names are UTF-8. */
static void flag_names(mien_text *zip) {
    for (size_t i = 0; i + 10 < zip->size; i++) {
        if (memcmp(zip->data + i, "PK\3\4", 4) == 0) zip->data[i + 7] |= 8;
        if (memcmp(zip->data + i, "PK\1\2", 4) == 0) zip->data[i + 9] |= 8;
    }
}

/* Names in any script, whether or not the archive says that they are UTF-8; old programs write
 * other character sets. */
static void letters(void **state) {
    (void)state;
    for (int flagged = 0; flagged < 2; flagged++) {
        made_zip zip = {0};
        archive_files files;
        add(&zip,
            "fr\xc3\xb6"
            "hlich/\xe5\x96\x9c.txt",
            "x", false);
        if (!flagged)
            add(&zip,
                "triste\xe9"
                "/1.txt",
                "x", false);
        made_zip_end(&zip);
        if (flagged) flag_names(&zip.file);
        scratch_put_text("letters.zip", &zip.file);
        expect_ok(archive_read(scratch_path("letters.zip"), BUDGET, &files));
        expect_list(&files, "",
                    flagged ? "fr\xc3\xb6"
                              "hlich/ "
                            : "fr\xc3\xb6"
                              "hlich/ triste\xe9"
                              "/ ");
        expect_list(&files,
                    "fr\xc3\xb6"
                    "hlich",
                    "\xe5\x96\x9c.txt ");
        archive_release(&files);
    }
}

/* While it is mounted, an archive is a folder for the functions of file.h. */
static void mounted(void **state) {
    (void)state;
    made_zip zip = {0};
    archive_files files;
    char root[MIEN_PATH], path[MIEN_PATH], name[MIEN_PATH], *bytes;
    size_t size;
    int fd;
    add(&zip, "b/two.txt", "two", true);
    snprintf(root, sizeof root, "%s", finish(&zip, "mounted.zip"));
    snprintf(path, sizeof path, "%s", root);
    expect_ok(archive_read(path, BUDGET, &files));
    const mien_mount mount = {root,        &files, archive_bytes, archive_open, archive_has_folder,
                              archive_list};
    assert_false(mien_is_folder(path));
    mien_mount_files(&mount);
    assert_true(mien_is_folder(path) && mien_file_exists(path));
    strcat(path, "/./b");
    assert_true(mien_is_folder(path) && mien_file_exists(path));
    strcat(path, "/two.txt");
    assert_true(!mien_is_folder(path) && mien_file_exists(path));
    assert_ptr_equal(mien_mount_of(path, name), &mount);
    assert_string_equal(name, "b/two.txt");
    expect_ok(mien_file_read(path, 3, &bytes, &size));
    assert_string_equal(bytes, "two");
    mien_free(bytes);
    assert_int_equal(mien_file_read(path, 2, &bytes, &size), MIEN_FORMAT);
    assert_true(mien_mount_open(path, &fd) && fd >= 0);
    char content[4] = "";
    assert_int_equal(read(fd, content, 4), 3);
    assert_string_equal(content, "two");
    close(fd);
    strcat(path, "x");
    assert_int_equal(mien_file_read(path, 3, &bytes, &size), MIEN_NOT_FOUND);
    assert_true(mien_mount_open(path, &fd) && fd == -1);
    assert_false(mien_mount_open(scratch_path("mounted.zipx/b"), &fd));
    mien_unmount();
    assert_null(mien_mount_of(scratch_path("mounted.zip"), name));
    archive_release(&files);
}

/* The file that is most of an archive is in memory once, however often it is opened. */
static void opened_without_a_copy(void **state) {
    (void)state;
    made_zip zip = {0};
    archive_files files;
    char root[MIEN_PATH], path[2 * MIEN_PATH], content[8] = "";
    struct stat info[2];
    size_t size;
    int fd[2];
    add(&zip, "set/faces.csv", "emotion,pixels", true);
    add(&zip, "empty.csv", "", false);
    snprintf(root, sizeof root, "%s", finish(&zip, "opened.zip"));
    expect_ok(archive_read(root, BUDGET, &files));
    assert_memory_equal(archive_bytes(&files, "set/faces.csv", &size), "emotion,pixels", 14);
    assert_int_equal(size, 14);
    assert_non_null(archive_bytes(&files, "empty.csv", &size));
    assert_int_equal(size, 0);
    const mien_mount mount = {root,        &files, archive_bytes, archive_open, archive_has_folder,
                              archive_list};
    mien_mount_files(&mount);
    snprintf(path, sizeof path, "%s/set/faces.csv", root);
    for (int i = 0; i < 2; i++) {
        assert_true(mien_mount_open(path, &fd[i]) && fd[i] >= 0);
        assert_int_equal(fstat(fd[i], &info[i]), 0);
        assert_int_equal(read(fd[i], content, 7), 7); /* each from its own position */
        assert_string_equal(content, "emotion");
        assert_int_equal(write(fd[i], "x", 1), -1);
    }
    assert_int_equal(info[0].st_ino, info[1].st_ino);
    mien_unmount();
    archive_release(&files);
    assert_int_equal(read(fd[0], content, 7), 7);
    assert_string_equal(content, ",pixels");
    close(fd[0]);
    close(fd[1]);
}

/* An archive of many tables takes few descriptors. */
static void many_tables(void **state) {
    (void)state;
    made_zip zip = {0};
    archive_files files;
    char name[32];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "%d.csv", i);
        add(&zip, name, "emotion", false);
    }
    expect_ok(archive_read(finish(&zip, "many.zip"), BUDGET, &files));
    assert_int_equal(files.count, 200);
    assert_in_range(files.descriptors, 1, 100);
    for (size_t i = 0, size; i < files.count; i++)
        assert_memory_equal(archive_bytes(&files, files.items[i].name, &size), "emotion", 7);
    archive_release(&files);
}

/* Class folders, a csv, arrays and votes are read from a zip as from a folder. */
static void contents(void **state) {
    (void)state;
    made_zip zip = {0};
    mien_dataset set;
    char name[64];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "data/%s/%s/%d.pgm", i < 6 ? "train" : "Test",
                 i % 2 ? "sad" : "happy", i);
        add_picture(&zip, name, i);
    }
    add(&zip, "data/README.txt", "hello", true);
    const char *path = finish(&zip, "pictures.zip");
    load(path, &set);
    assert_int_equal(set.count, 12);
    assert_string_equal(set.class_names[1], "sad");
    assert_string_equal(set.source, path);
    assert_int_equal(set.usage[0], MIEN_TEST); /* parts are sorted by name */
    uint8_t want[SIDE * SIDE];
    made_pixels(want, SIDE, SIDE, 1, 0);
    assert_memory_equal(mien_dataset_image(&set, 6), want, sizeof want);
    mien_dataset_release(&set);

    mien_text csv = {0};
    mien_text_puts(&csv, "emotion,pixels,Usage\n");
    for (int i = 0; i < 5; i++) {
        mien_text_printf(&csv, "%d,", i);
        for (int p = 0; p < 64; p++)
            mien_text_printf(&csv, "%s%d", p ? " " : "", i * 50 + p / 2);
        mien_text_puts(&csv, i < 4 ? ",Training\n" : ",PublicTest\n");
    }
    made_zip_add(&zip, "fer2013.csv", &csv, true);
    mien_text_release(&csv);
    load(finish(&zip, "fer2013.csv.zip"), &set);
    assert_int_equal(set.count, 5);
    assert_int_equal(set.classes, 7);
    assert_int_equal(set.usage[4], MIEN_VAL);
    mien_dataset_release(&set);

    uint8_t images[6 * SIDE * SIDE], labels[6] = {0, 1, 0, 1, 0, 1};
    mien_text array = {0};
    made_pixels(images, SIDE, SIDE * 6, 1, 4);
    made_npy("|u1", "(6, 16, 16)", images, sizeof images, &array);
    made_zip_add(&zip, "images.npy", &array, true);
    mien_text_release(&array);
    made_npy("|u1", "(6,)", labels, sizeof labels, &array);
    made_zip_add(&zip, "labels.npy", &array, false);
    mien_text_release(&array);
    load(finish(&zip, "arrays.zip"), &set);
    assert_int_equal(set.count, 6);
    assert_memory_equal(set.pixels, images, sizeof images);
    mien_dataset_release(&set);
}

static void refuse(const char *source, mien_memory memory, size_t budget, mien_status status,
                   const char *part) {
    mien_dataset set;
    assert_int_equal(mien_dataset_load_within(source, (mien_image_spec){SIDE, SIDE, 1}, fail_on_bad,
                                              memory, NULL, budget, &set),
                     status);
    expect_in_message(source);
    expect_in_message(part);
    mien_dataset_release(&set);
}

static void limits(void **state) {
    (void)state;
    made_zip zip = {0};
    archive_files files;
    char *zeros = calloc(1, 100001);
    memset(zeros, '0', 100000);
    add(&zip, "a/zeros.txt", zeros, true);
    add(&zip, "b/zeros.txt", zeros, true);
    free(zeros);
    const char *path = finish(&zip, "bomb.zip");
    assert_int_equal(archive_read(path, 199999, &files), MIEN_NO_MEMORY);
    expect_in_message("unpacks to more than");
    archive_release(&files);
    expect_ok(archive_read(path, 200000, &files));
    archive_release(&files);
    add_picture(&zip, "happy/1.pgm", 1);
    add_picture(&zip, "sad/1.pgm", 2);
    path = finish(&zip, "small.zip");
    refuse(path, MIEN_MEMORY_STREAM, 0, MIEN_UNSUPPORTED, "cannot be streamed: unpack it");
    refuse(path, MIEN_MEMORY_AUTO, SIDE * SIDE, MIEN_NO_MEMORY, "unpack the archive");
    add(&zip, "notes/a.txt", "hello", false);
    add(&zip, "notes/b.txt", "hello", false);
    refuse(finish(&zip, "nothing.zip"), MIEN_MEMORY_AUTO, BUDGET, MIEN_FORMAT, "holds no image");
    refuse(finish(&zip, "empty.zip"), MIEN_MEMORY_AUTO, BUDGET, MIEN_FORMAT, "holds no image");
}

/* No damage crashes the program, and none of a file's content goes unnoticed. */
static void damage(void **state) {
    (void)state;
    made_zip zip = {0};
    archive_files files;
    uint32_t dice = 1;
    add_picture(&zip, "happy/1.pgm", 1);
    add_picture(&zip, "sad/1.pgm", 2);
    made_zip_end(&zip);
    for (int round = 0; round < 600; round++) {
        mien_text copy = {0};
        const size_t size = round < 300 ? zip.file.size * (size_t)round / 300 : zip.file.size;
        mien_text_append(&copy, zip.file.data, size);
        for (int i = 0; round >= 300 && i < 3; i++) {
            dice = dice * 1664525u + 1013904223u;
            copy.data[(dice >> 8) % size] = (char)(dice >> 3);
        }
        scratch_put_text("damaged.zip", &copy);
        if (archive_read(scratch_path("damaged.zip"), BUDGET, &files) != MIEN_OK)
            expect_in_message("damaged.zip");
        archive_release(&files);
    }
    char *inside = memmem(zip.file.data, zip.file.size, "P5\n", 3); /* in a stored file */
    assert_non_null(inside);
    inside[100] ^= 1;
    scratch_put_text("damaged.zip", &zip.file);
    assert_int_equal(archive_read(scratch_path("damaged.zip"), BUDGET, &files), MIEN_FORMAT);
    expect_in_message("the archive '");
    archive_release(&files);
}

static void missing_library(void **state) {
    (void)state;
    static const char *const wanted[] = {"archive_read_new", "no_such_function"};
    void *functions[2];
    assert_int_equal(mien_library_load("libnothere.so.9", "libnothere9", wanted, 2, functions),
                     MIEN_UNSUPPORTED);
    expect_in_message("libnothere.so.9 is not installed: install Debian's package libnothere9");
    scratch_put("broken.so", "no library", 10);
    assert_int_equal(mien_library_load(scratch_path("broken.so"), "broken9", wanted, 2, functions),
                     MIEN_UNSUPPORTED);
    expect_in_message("broken.so cannot be loaded: install Debian's package broken9 again (");
    assert_int_equal(mien_library_load("libarchive.so.13", "libarchive13", wanted, 2, functions),
                     MIEN_UNSUPPORTED);
    expect_in_message("no function 'no_such_function'");
}

/* Without the library there is nothing to test but its message. */
static bool have_library(void) {
    static const char *const wanted[] = {"archive_read_new"};
    void *function;
    return mien_library_load("libarchive.so.13", "libarchive13", wanted, 1, &function) == MIEN_OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),          cmocka_unit_test(letters),
        cmocka_unit_test(mounted),        cmocka_unit_test(opened_without_a_copy),
        cmocka_unit_test(many_tables),    cmocka_unit_test(contents),
        cmocka_unit_test(limits),         cmocka_unit_test(damage),
        cmocka_unit_test(missing_library)};
    if (!have_library()) {
        printf("1..0 # SKIP libarchive is not installed\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
