/* Folders of pictures: the class and part of every file, messages about other files, and published
 * data sets with their own layout. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/data/split.h"
#include "host/image/resize.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_pictures.h"

enum { SIDE = 12, PIXELS = SIDE * SIDE };

static const mien_on_bad fail_at_once = {false, -1}, skip_all = {true, -1};
static const mien_image_spec gray_spec = {SIDE, SIDE, 1};

static int start(void **state) {
    scratch_listen();
    return scratch_make(state);
}

/* Writes a picture of SIDE x SIDE pixels that depend on `seed`. */
static void put(const char *name, int seed) {
    uint8_t pixels[PIXELS];
    mien_text file = {0};
    made_pixels(pixels, SIDE, SIDE, 1, seed);
    made_pgm(pixels, SIDE, SIDE, &file);
    scratch_put_text(name, &file);
}

static mien_dataset load(mien_on_bad on_bad, mien_memory memory) {
    mien_dataset set;
    if (mien_dataset_load(scratch, gray_spec, on_bad, memory, &set) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    return set;
}

static void refuse(mien_on_bad on_bad, const char *part) {
    mien_dataset set;
    assert_int_not_equal(mien_dataset_load(scratch, gray_spec, on_bad, MIEN_MEMORY_RESIDENT, &set),
                         MIEN_OK);
    expect_in_message(part);
    mien_dataset_release(&set);
}

static void expect_sample(const mien_dataset *set, size_t i, int seed, int label, int usage) {
    uint8_t pixels[PIXELS];
    made_pixels(pixels, SIDE, SIDE, 1, seed);
    assert_int_equal(set->labels[i], label);
    assert_int_equal(set->usage[i], usage);
    assert_memory_equal(mien_dataset_image(set, i), pixels, PIXELS);
}

static void plain(void **state) {
    (void)state;
    put("sad/b.pgm", 1);
    put("sad/a.PGM", 2);
    put("happy/10.pgm", 3);
    put("happy/9.pgm", 4);
    put("happy/.hidden.pgm", 5);
    put("happy/sub.pgm/x.pgm", 6);
    scratch_put("happy/notes.txt", "x", 1);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.count, 5);
    assert_int_equal(set.classes, 2);
    assert_string_equal(set.class_names[0], "happy");
    assert_string_equal(set.class_names[1], "sad");
    expect_sample(&set, 0, 3, 0, MIEN_NO_PART);
    expect_sample(&set, 1, 4, 0, MIEN_NO_PART);
    expect_sample(&set, 2, 6, 0, MIEN_NO_PART); /* a class folder's own pictures come first */
    expect_sample(&set, 3, 2, 1, MIEN_NO_PART);
    expect_sample(&set, 4, 1, 1, MIEN_NO_PART);
    assert_false(set.grouped);
    expect_in(said.data, "2 other files and folders are ignored");
    expect_in(said.data, "1 pictures are in subfolders of the classes");
    mien_dataset_release(&set);
}

static void parts(void **state) {
    (void)state;
    put("Train/a/1.pgm", 1);
    put("Train/b/1.pgm", 2);
    put("VALID/a/1.pgm", 3);
    put("VALID/b/1.pgm", 4);
    put("test/a/1.pgm", 5);
    assert_int_equal(mien_make_folders(scratch_path("test/b")), MIEN_OK);
    put("extra/c/1.pgm", 6);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.count, 5);
    expect_sample(&set, 0, 1, 0, MIEN_TRAIN);
    expect_sample(&set, 1, 2, 1, MIEN_TRAIN);
    expect_sample(&set, 2, 3, 0, MIEN_VAL);
    expect_sample(&set, 3, 4, 1, MIEN_VAL);
    expect_sample(&set, 4, 5, 0, MIEN_TEST);
    expect_in(said.data, "no picture of the class 'b'");
    expect_in(said.data, "1 folders other than train, val and test");
    mien_dataset_release(&set);
    put("val/a/1.pgm", 3);
    refuse(fail_at_once, "two folders for one part: 'VALID' and 'val'");
}

static void classes_that_differ(void **state) {
    (void)state;
    put("train/a/1.pgm", 1);
    put("train/b/1.pgm", 2);
    put("test/a/1.pgm", 3);
    put("test/c/1.pgm", 4);
    refuse(fail_at_once, "'b' is not in test, 'c' is not in train");
    mien_dataset set = load(skip_all, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.classes, 1);
    assert_int_equal(set.count, 2);
    expect_sample(&set, 0, 3, 0, MIEN_TEST);
    expect_sample(&set, 1, 1, 0, MIEN_TRAIN);
    expect_in(said.data, "the parts have different classes");
    mien_dataset_release(&set);
}

static void nothing(void **state) {
    (void)state;
    refuse(fail_at_once, "holds no image");
    assert_int_equal(mien_make_folders(scratch_path("a")), MIEN_OK);
    refuse(fail_at_once, "holds no image");
    scratch_put("a/x.cr3",
                "\0\0\0\x18"
                "ftypcrx \0\0\0\1crx isom",
                24);
    scratch_put("a/y", "\0\0\0\x0cJXL \r\n\x87\n", 12);
    scratch_put("a/z.txt", "BMI of persons", 14);
    refuse(skip_all, "holds no image");
    expect_in(said.data, "1 .cr3");
    expect_in(said.data, "1 without an ending");
    expect_in(said.data, "are pictures that are not read");
    put("loose.pgm", 1);
    refuse(fail_at_once, "holds 1 pictures, but none in a class folder");
    put("odd\nname/1.pgm", 1);
    refuse(fail_at_once, "control character");
}

static void put_jpeg(const char *name, int w, int h, size_t less) {
    static uint8_t pixels[64 * 64 * 3];
    mien_text file = {0};
    made_pixels(pixels, w, h, 3, 1);
    made_jpeg(pixels, w, h, 3, 0, false, &file);
    file.size -= less;
    scratch_put_text(name, &file);
}

static const char *const complaints[] = {
    "0bytes.jpg' is empty (0 bytes)", "big.ppm' has 10000x10000 pixels, 100.0 megapixels",
    "cut.jpg' is cut short",          "gone.png': No such file",
    "small.pgm' has 1x1 pixels",      "text.png' is not a picture"};
enum { COMPLAINTS = sizeof complaints / sizeof complaints[0] };

static void put_bad(void) {
    scratch_put("a/0bytes.jpg", "", 0);
    scratch_put("a/big.ppm", "P6 10000 10000 255\n", 19);
    put_jpeg("a/cut.jpg", 30, 20, 300);
    assert_int_equal(symlink("/nowhere", scratch_path("a/gone.png")), 0);
    scratch_put("a/small.pgm", "P5 1 1 255\nx", 12);
    scratch_put("a/text.png", "hello", 5);
}

/* Bad files are listed in order of their names, for any number of threads and memory mode. */
static void bad_files(void **state) {
    (void)state;
    put("a/1.pgm", 1);
    put("a/z.pgm", 2);
    put("b/1.pgm", 3);
    put_bad();
    refuse(fail_at_once, complaints[0]);
    refuse((mien_on_bad){true, COMPLAINTS - 1}, complaints[COMPLAINTS - 1]);
    expect_in_message("more than 5 bad");
    for (int round = 0; round < 4; round++) {
        const mien_memory memory = round < 2 ? MIEN_MEMORY_RESIDENT : MIEN_MEMORY_STREAM;
        uint8_t pixels[3 * PIXELS];
        mien_threads_start(1 + round % 2 * 3, false);
        mien_text_release(&said);
        mien_dataset set = load((mien_on_bad){true, COMPLAINTS}, memory);
        assert_int_equal(set.count, 3);
        assert_int_equal(set.skipped, COMPLAINTS);
        assert_int_equal(set.streamed, memory == MIEN_MEMORY_STREAM);
        const char *from = said.data;
        for (int i = 0; i < COMPLAINTS; i++) {
            expect_in(from, complaints[i]);
            from = strstr(from, complaints[i]);
        }
        if (set.streamed)
            assert_int_equal(mien_dataset_read(&set, NULL, 3, pixels), MIEN_OK);
        else
            memcpy(pixels, set.pixels, sizeof pixels);
        for (int i = 0; i < 3; i++) {
            uint8_t want[PIXELS];
            made_pixels(want, SIDE, SIDE, 1, i + 1);
            assert_memory_equal(pixels + i * PIXELS, want, PIXELS);
        }
        mien_dataset_release(&set);
    }
}

static void unreadable(void **state) {
    (void)state;
    if (geteuid() == 0) skip(); /* root reads everything */
    put("a/1.pgm", 1);
    put("a/2.pgm", 2);
    put("b/1.pgm", 3);
    assert_int_equal(chmod(scratch_path("a/1.pgm"), 0), 0);
    refuse(fail_at_once, "a/1.pgm': Permission denied");
    assert_int_equal(chmod(scratch_path("b"), 0), 0);
    mien_dataset set = load(skip_all, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.skipped, 2);
    assert_int_equal(set.count, 1);
    mien_dataset_release(&set);
    chmod(scratch_path("b"), 0755);
}

/* All file formats, other sizes, colour and gray. */
static void forms(void **state) {
    (void)state;
    enum { S = 30 };
    uint8_t colour[S * S * 3], gray[S * S], want[PIXELS * 3];
    mien_dataset set;
    mien_text file = {0};
    made_pixels(colour, S, S, 3, 9);
    made_bmp(colour, S, S, &file);
    scratch_put_text("a/1.BMP", &file);
    made_png(colour, S, S, 2, 8, false, 0, &file);
    scratch_put_text("a/2.Png", &file);
    mien_text_printf(&file, "P6 %d %d 255\n", S, S);
    mien_text_append(&file, colour, sizeof colour);
    scratch_put_text("a/3.ppm", &file);
    put_jpeg("a/4.jpeg", S, S, 0);
    assert_int_equal(mien_dataset_load(scratch, (mien_image_spec){SIDE, SIDE, 3}, fail_at_once,
                                       MIEN_MEMORY_RESIDENT, &set),
                     MIEN_OK);
    assert_int_equal(set.count, 4);
    mien_resize(colour, S, S, 3, want, SIDE, SIDE);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(mien_dataset_image(&set, i), want, PIXELS * 3);
    mien_dataset_release(&set);
    set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    mien_image_to_gray(colour, S * S, gray);
    mien_resize(gray, S, S, 1, want, SIDE, SIDE);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(mien_dataset_image(&set, i), want, PIXELS);
    mien_dataset_release(&set);
}

static void changed_meanwhile(void **state) {
    (void)state;
    uint8_t pixels[2 * PIXELS];
    put("a/1.pgm", 1);
    put("b/1.pgm", 2);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_STREAM);
    assert_int_equal(mien_dataset_read(&set, NULL, 2, pixels), MIEN_OK);
    const struct timespec then[2] = {{1, 0}, {1, 0}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path("b/1.pgm"), then, 0), 0);
    assert_int_equal(mien_dataset_read(&set, NULL, 2, pixels), MIEN_IO);
    expect_in_message("b/1.pgm' was changed while in use");
    unlink(scratch_path("a/1.pgm"));
    assert_int_not_equal(mien_dataset_read(&set, NULL, 2, pixels), MIEN_OK);
    expect_in_message("changed while in use");
    mien_dataset_release(&set);
}

static void rafdb(void **state) {
    (void)state;
    static const char list[] = "train_00001.jpg 5\r\ntest_0001.jpg 1\n\ntrain_00002.jpg 7\n";
    put_jpeg("Image/aligned/train_00001_aligned.jpg", 20, 20, 0);
    put_jpeg("Image/aligned/train_00002_aligned.jpg", 20, 20, 0);
    put_jpeg("Image/aligned/test_0001_aligned.jpg", 20, 20, 0);
    scratch_put("EmoLabel/list_patition_label.txt", list, sizeof list - 1);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.classes, 7);
    assert_int_equal(set.count, 3);
    static const int labels[] = {4, 0, 6}, usage[] = {MIEN_TRAIN, MIEN_TEST, MIEN_TRAIN};
    static const char *const names[] = {"sadness", "surprise", "neutral"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set.labels[i], labels[i]);
        assert_int_equal(set.usage[i], usage[i]);
        assert_string_equal(set.class_names[set.labels[i]], names[i]);
    }
    mien_dataset_release(&set);
    static const char odd[] = "train_00001.jpg 8\ntrain_/../x.jpg 1\ntrain_00009.jpg 2\nhello\n"
                              "train_00002.jpg 7\n";
    scratch_put("EmoLabel/list_patition_label.txt", odd, sizeof odd - 1);
    refuse(fail_at_once, "row 1: label 8");
    mien_text_release(&said);
    set = load(skip_all, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.skipped, 4);
    expect_in(said.data, "row 2 is not of the form");
    expect_in(said.data, "row 4 is not of the form");
    expect_in(said.data, "train_00009_aligned.jpg': No such file");
    mien_dataset_release(&set);
}

/* A list with zero bytes, as a crash may leave it: it must not end at the first zero. */
static void rafdb_with_a_hole(void **state) {
    (void)state;
    put_jpeg("train_00001.jpg", 20, 20, 0);
    put_jpeg("train_00002.jpg", 20, 20, 0);
    scratch_put("list_patition_label.txt", "train_00001.jpg 2\n\0\0\0train_00002.jpg 3\n", 39);
    refuse(skip_all, "contains NUL bytes");
}

static void rafdb_flat(void **state) {
    (void)state;
    put_jpeg("train_00001.jpg", 20, 20, 0);
    put_jpeg("test_0001_aligned.jpg", 20, 20, 0);
    scratch_put("list_patition_label.txt", "train_00001.jpg 2\ntest_0001.jpg 3\n", 34);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.labels[1], 2);
    mien_dataset_release(&set);
}

/* Numbered class folders of known data sets. */
static void numbered(void **state) {
    (void)state;
    char name[64];
    for (int k = 1; k <= 7; k++) {
        snprintf(name, sizeof name, "train/%d/train_0%d_aligned.pgm", k, k);
        put(name, k);
    }
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_string_equal(set.class_names[0], "surprise");
    assert_string_equal(set.class_names[6], "neutral");
    mien_dataset_release(&set);
    put("train/1/other.pgm", 1);
    set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_string_equal(set.class_names[0], "1");
    mien_dataset_release(&set);
    for (int round = 0; round < 2; round++) { /* numbered in each folder; one number per image */
        scratch_drop(state);
        assert_int_equal(start(state), 0);
        for (int k = 0; k < 8; k++) {
            snprintf(name, sizeof name, "train/%d/%d.pgm", k, round ? 100 + k : 1);
            put(name, k);
        }
        mien_text_release(&said);
        set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
        assert_string_equal(set.class_names[0], round ? "neutral" : "0");
        assert_string_equal(set.class_names[7], round ? "contempt" : "7");
        expect_in(said.data, round ? "as AffectNet's classes" : "none of the 8 classes");
        mien_dataset_release(&set);
    }
}

/* CK+ numbers its expressions in another order. */
static void numbered_ckplus(void **state) {
    (void)state;
    char name[64];
    for (int k = 0; k < 8; k++) {
        snprintf(name, sizeof name, "%d/S%03d_001_00000010.pgm", k, k + 1);
        put(name, k);
    }
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_string_equal(set.class_names[1], "1");
    assert_true(set.grouped);
    mien_dataset_release(&set);
}

/* The folders name training and test part; the validation part drawn must not split a person. */
static void ckplus_in_parts(void **state) {
    (void)state;
    char name[96];
    for (int subject = 10; subject < 50; subject++)
        for (int frame = 15; frame < 18; frame++) {
            snprintf(name, sizeof name, "%s/%s/S%03d_004_000000%d.pgm",
                     subject < 44 ? "train" : "test", frame % 2 ? "happy" : "fear", subject, frame);
            put(name, subject);
        }
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    mien_split split = {0.3, 0, MIEN_BY_AUTO, 1};
    int part[50] = {0};
    size_t vals = 0;
    assert_int_equal(mien_split_apply(&set, &split), MIEN_OK);
    assert_int_equal(split.by, MIEN_BY_USAGE);
    for (size_t i = 0; i < set.count; i++) {
        const uint32_t who = set.group[i];
        if (part[who]) assert_int_equal(part[who], 1 + set.part[i]);
        part[who] = 1 + set.part[i];
        assert_int_equal(set.part[i] == MIEN_TEST, who >= 44);
        vals += set.part[i] == MIEN_VAL;
    }
    assert_in_range(vals, 9, 60);
    mien_dataset_release(&set);
}

static void put_label(const char *name, const char *descr, const void *data, size_t size) {
    mien_text file = {0};
    made_npy(descr, "()", data, size, &file);
    scratch_put_text(name, &file);
}

static void affectnet(void **state) {
    (void)state;
    put_jpeg("train_set/images/1.jpg", 20, 20, 0);
    put_jpeg("train_set/images/2.jpg", 20, 20, 0);
    put_jpeg("train_set/images/3.jpg", 20, 20, 0);
    put_jpeg("val_set/images/4.jpg", 20, 20, 0);
    put_label("train_set/annotations/1_exp.npy", "<U1", "6\0\0", 4);
    put_label("train_set/annotations/2_exp.npy", "<U2", "1\0\0\0000\0\0", 8);
    put_label("train_set/annotations/3_exp.npy", "<i8", "\1\0\0\0\0\0\0", 8);
    put_label("val_set/annotations/4_exp.npy", "|S1", "7", 1);
    put_jpeg("val_set/images/5.jpg", 20, 20, 0);
    put_label("val_set/annotations/5_exp.npy", "|u1", "\10", 1);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.count, 3);
    static const char *const names[] = {"anger", "happy", "contempt"};
    for (int i = 0; i < 3; i++) {
        assert_string_equal(set.class_names[set.labels[i]], names[i]);
        assert_int_equal(set.usage[i], i < 2 ? MIEN_TRAIN : MIEN_VAL);
    }
    expect_in(said.data, "2 images without an emotion");
    mien_dataset_release(&set);
    put_label("train_set/annotations/1_exp.npy", "<U2", "1\0\0\0001\0\0", 8);
    refuse(fail_at_once, "1_exp.npy' does not hold an emotion from 0 to 10");
    unlink(scratch_path("train_set/annotations/1_exp.npy"));
    refuse(fail_at_once, "1_exp.npy': No such file");
}

static const char jxl[] = "\xff\x0a is how a JPEG XL begins";

/* The readers of published sets warn of pictures that are not read, as that of folders does. */
static void unread_of_known_sets(void **state) {
    (void)state;
    put_jpeg("raf/Image/aligned/train_00001_aligned.jpg", 20, 20, 0);
    scratch_put("raf/Image/aligned/train_00002_aligned.jxl", jxl, sizeof jxl);
    scratch_put("raf/EmoLabel/list_patition_label.txt", "train_00001.jpg 2\n", 18);
    put_jpeg("net/train_set/images/1.jpg", 20, 20, 0);
    put_jpeg("net/train_set/images/2", 20, 20, 0); /* a picture without an ending */
    put_label("net/train_set/annotations/1_exp.npy", "|u1", "\1", 1);
    put_label("net/train_set/annotations/2_exp.npy", "|u1", "\2", 1);
    scratch_put("net/train_set/images/3.jxl", jxl, sizeof jxl);
    scratch_put("net/val_set/images/4.jxl", jxl, sizeof jxl);
    put_label("net/val_set/annotations/4_exp.npy", "|u1", "\2", 1);
    put("plus/FER2013Train/fer0000001.pgm", 1);
    scratch_put("plus/FER2013Train/fer0000002.jxl", jxl, sizeof jxl);
    static const char votes[] = "fer0000001.pgm,\"(0, 0, 48, 48)\",10,0,0,0,0,0,0,0,0,0\n";
    scratch_put("plus/FER2013Train/label.csv", votes, sizeof votes - 1);
    static const struct {
        const char *source, *warning;
        size_t count;
    } sets[] = {{"raf", "/raf: 1 .jxl are pictures that are not read", 1},
                {"net", "/net: 2 .jxl are pictures that are not read", 2},
                {"plus", "/plus/FER2013Train: 1 .jxl are pictures that are not read", 1}};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        mien_dataset set;
        if (mien_dataset_load(scratch_path(sets[i].source), (mien_image_spec){SIDE, SIDE, 1},
                              fail_at_once, MIEN_MEMORY_RESIDENT, &set) != MIEN_OK)
            fail_msg("%s", mien_error_message());
        assert_int_equal(set.count, sets[i].count);
        expect_in(said.data, sets[i].warning);
        mien_dataset_release(&set);
    }
}

static void ckplus(void **state) {
    (void)state;
    char name[96];
    for (int subject = 10; subject < 40; subject++)
        for (int frame = 15; frame < 18; frame++) {
            snprintf(name, sizeof name, "%s/S%03d_004_000000%d.pgm", subject % 2 ? "happy" : "fear",
                     subject, frame);
            put(name, subject);
        }
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_int_equal(set.count, 90);
    assert_true(set.grouped);
    mien_split split = {0.3, 0.2, MIEN_BY_AUTO, 1};
    assert_int_equal(mien_split_apply(&set, &split), MIEN_OK);
    assert_int_equal(split.by, MIEN_BY_GROUP);
    size_t vals = 0;
    for (size_t i = 0; i < set.count; i++) {
        assert_int_equal(set.group[i] % 2, set.labels[i]);
        assert_int_equal(set.part[i], set.part[i / 3 * 3]);
        vals += set.part[i] == MIEN_VAL;
    }
    assert_in_range(vals, 9, 45);
    mien_dataset_release(&set);
    put("fear/other.pgm", 1);
    set = load(fail_at_once, MIEN_MEMORY_RESIDENT);
    assert_false(set.grouped);
    mien_dataset_release(&set);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, start, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(plain),
        IN_SCRATCH(parts),
        IN_SCRATCH(classes_that_differ),
        IN_SCRATCH(nothing),
        IN_SCRATCH(bad_files),
        IN_SCRATCH(unreadable),
        IN_SCRATCH(forms),
        IN_SCRATCH(rafdb),
        IN_SCRATCH(rafdb_with_a_hole),
        IN_SCRATCH(numbered_ckplus),
        IN_SCRATCH(ckplus_in_parts),
        IN_SCRATCH(changed_meanwhile),
        IN_SCRATCH(rafdb_flat),
        IN_SCRATCH(numbered),
        IN_SCRATCH(affectnet),
        IN_SCRATCH(unread_of_known_sets),
        IN_SCRATCH(ckplus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
