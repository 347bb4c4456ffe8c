/* Labels in a table: its columns, the files that it names, classes, parts and boxes. */
#include <stdio.h>
#include <string.h>

#include "host/data/dataset.h"
#include "host/data/source.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_pictures.h"

enum { SIDE = 16 };

static const mien_on_bad fail_at_once = {false, -1}, skip_all = {true, -1};
static const mien_image_spec spec = {SIDE, SIDE, 1};

static int start(void **state) {
    if (scratch_make(state)) return 1;
    scratch_listen();
    return 0;
}

/* A picture of one gray; its right half is black. */
static void put_picture(const char *name, int gray) {
    uint8_t pixels[2 * SIDE * SIDE] = {0};
    mien_text file = {0};
    for (int i = 0; i < SIDE; i++)
        memset(pixels + 2 * i * SIDE, gray, SIDE);
    made_pgm(pixels, 2 * SIDE, SIDE, &file);
    scratch_put_text(name, &file);
}

static void put(const char *name, const char *text) {
    scratch_put(name, text, strlen(text));
}

static mien_dataset load(const char *name, mien_on_bad on_bad, mien_memory memory) {
    mien_dataset set;
    char path[MIEN_PATH];
    strcpy(path, *name ? scratch_path(name) : scratch);
    if (mien_dataset_load(path, spec, on_bad, memory, &set) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    return set;
}

static void refuse(const char *name, const char *part) {
    mien_dataset set;
    char path[MIEN_PATH];
    strcpy(path, *name ? scratch_path(name) : scratch);
    assert_int_equal(mien_dataset_load(path, spec, fail_at_once, MIEN_MEMORY_AUTO, &set),
                     MIEN_FORMAT);
    expect_in_message(part);
    mien_dataset_release(&set);
}

/* The classes, and the class and first file of the samples; releases the set. */
static void expect(mien_dataset *set, const char *classes, const char *labels, const char *file) {
    mien_text names = {0};
    for (int k = 0; k < set->classes; k++)
        mien_text_printf(&names, "%s%s", k ? " " : "", set->class_names[k]);
    assert_string_equal(names.data, classes);
    mien_text_release(&names);
    assert_int_equal(set->count, strlen(labels));
    for (size_t i = 0; i < set->count; i++)
        assert_int_equal(set->labels[i], labels[i] - '0');
    assert_string_equal(mien_source_file(set, 0), file);
    mien_dataset_release(set);
}

static void columns(void **state) {
    (void)state;
    static const char *const headers[] = {"image,label",      "Filename,emotion",
                                          "pth,label,relFCs", "path;expression",
                                          "file\tclass",      "\"image\",\"label\""};
    put_picture("images/a.pgm", 50);
    put_picture("images/b.pgm", 60);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        const char c = strchr(headers[i], ';') ? ';' : strchr(headers[i], '\t') ? '\t' : ',';
        char text[200];
        snprintf(text, sizeof text, "%s\nb.pgm%chappy%s\na.pgm%canger%s\n", headers[i], c,
                 i == 2 ? ",0.5" : "", c, i == 2 ? ",0.5" : "");
        put("labels.csv", text);
        mien_dataset set = load("labels.csv", fail_at_once, MIEN_MEMORY_AUTO);
        assert_int_equal(set.pixels[0], 60);
        expect(&set, "angry happy", "10", "images/b.pgm");
        set = load("", fail_at_once, MIEN_MEMORY_STREAM); /* the folder holds the table */
        uint8_t pixels[2 * SIDE * SIDE];
        assert_int_equal(mien_dataset_read(&set, NULL, 2, pixels), MIEN_OK);
        assert_int_equal(pixels[SIDE * SIDE], 50);
        expect(&set, "angry happy", "10", "images/b.pgm");
    }
}

static void classes(void **state) {
    (void)state;
    put_picture("a.pgm", 50);
    put_picture("b.pgm", 60);
    put("l.csv", "image,label\na.pgm,1\nb.pgm,0\n");
    mien_dataset set = load("l.csv", fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, "0 1", "10", "a.pgm");
    put("l.csv", "image,label\na.pgm,1.0\nb.pgm,2.0\n");
    set = load("l.csv", fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, "1 2", "01", "a.pgm");
    put("classes.txt", "calm\nglad\n");
    set = load("l.csv", fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, "calm glad", "01", "a.pgm");
    put("l.csv", "image,label\na.pgm,1\nb.pgm,0\n");
    set = load("l.csv", fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, "calm glad", "10", "a.pgm");
    put("l.csv", "image,label\na.pgm,0\nb.pgm,2\n");
    refuse("l.csv", "labels up to 2, but classes.txt names 2 classes");
    put("l.csv", "image,label\na.pgm,glad\nb.pgm,sad\n");
    refuse("l.csv", "the label 'sad', which classes.txt does not name");
    put("classes.txt", "a\nb\nc\n");
    put("l.csv", "image,label\na.pgm,1\nb.pgm,0\n");
    set = load("l.csv", fail_at_once, MIEN_MEMORY_AUTO);
    expect_in(said.data, "classes.txt names 3 classes, but the largest label is 1");
    mien_dataset_release(&set);
    scratch_put("classes.txt", "a\n", 2);
    remove(scratch_path("classes.txt"));
    put("l.csv", "image,label\na.pgm,1\nb.pgm,10000\n");
    refuse("l.csv", "2 different labels, but the largest is 10000");
}

static void many_classes(void **state) {
    (void)state;
    mien_text text = {0};
    mien_dataset set;
    put_picture("a.pgm", 50);
    mien_text_puts(&text, "image,label\n");
    for (int i = 0; i < 10000; i++)
        mien_text_printf(&text, "a.pgm,id%d\n", i);
    scratch_put_text("l.csv", &text);
    assert_int_equal(
        mien_dataset_load(scratch_path("l.csv"), spec, fail_at_once, MIEN_MEMORY_AUTO, &set),
        MIEN_UNSUPPORTED);
    expect_in_message("one more label than the 4096 classes");
    mien_dataset_release(&set);
}

static void lost_files(void **state) {
    (void)state;
    put_picture("set/a.pgm", 50);
    put_picture("set/b.pgm", 60);
    put_picture("secret.pgm", 70);
    put("set/l.csv",
        "image,label\na.pgm,sad\n../secret.pgm,sad\n/etc/hosts,happy\nC:\\x\\b.pgm,sad\n"
        "gone.pgm,happy\n.\\b.pgm,happy\nx/../../secret.pgm,sad\n");
    refuse("set/l.csv",
           "1 of its 7 rows name files that are missing, and 4 of its 7 rows name files "
           "outside its folder, which are never read; the first is '../secret.pgm' in line 3");
    mien_dataset set = load("set/l.csv", skip_all, MIEN_MEMORY_AUTO);
    assert_int_equal(set.skipped, 5);
    expect_in(said.data, "line 6: the file 'gone.pgm' is missing");
    expect(&set, "happy sad", "10", "a.pgm");
    put("set/l.csv", "image,label\na.pgm,sad\nb.pgm,\n");
    refuse("set/l.csv", "line 3: it has no label");
}

static void parts(void **state) {
    (void)state;
    put_picture("train/a.pgm", 50);
    put_picture("train/b.pgm", 60);
    put_picture("test/a.pgm", 70);
    put("train_labels.csv", "image,label\na.pgm,sad\nb,happy\n");
    put("test.csv", "image,label\na.pgm,happy\n");
    mien_dataset set = load("", fail_at_once, MIEN_MEMORY_AUTO);
    assert_int_equal(set.usage[0], MIEN_TEST);
    assert_int_equal(set.usage[2], MIEN_TRAIN);
    assert_int_equal(set.pixels[0], 70);
    expect(&set, "happy sad", "010", "test/a.pgm");
    put("more.csv", "image,label\na.pgm,sad\n");
    refuse("", "3 tables of labels that are not named train, val and test");
    put("more.csv", "image,label,split\ntrain/a.pgm,sad,Valid\ntest/a.pgm,happy,TRAIN\n");
    set = load("more.csv", fail_at_once, MIEN_MEMORY_AUTO);
    assert_int_equal(set.usage[0], MIEN_VAL);
    assert_int_equal(set.usage[1], MIEN_TRAIN);
    mien_dataset_release(&set);
    put("more.csv", "image,label,split\ntrain/a.pgm,sad,fold1\n");
    refuse("more.csv", "line 2: the part 'fold1' is none of");
}

static void class_folders_come_first(void **state) {
    (void)state;
    put_picture("happy/a.pgm", 50);
    put_picture("sad/b.pgm", 60);
    put("labels.csv", "image,label\nhappy/a.pgm,sad\nsad/b.pgm,sad\n");
    mien_dataset set = load("", fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, "happy sad", "01", "happy/a.pgm");
}

static void boxes(void **state) {
    (void)state;
    put_picture("m/1/a.pgm", 50);
    put_picture("m/1/b.pgm", 60);
    put("training.csv",
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
        "expression,valence,arousal\n1/a.pgm,0,0,16,16,1;2;3,1,0.1,0.2\n"
        "1/b.pgm,16,0,16,16,1;2,7,0,0\n1/a.pgm,0,0,9,9,1,9,0,0\n"
        "1/a.pgm,-6,-6,17,17,1,0,0,0\n");
    mien_dataset set = load("training.csv", fail_at_once, MIEN_MEMORY_AUTO);
    assert_int_equal(set.pixels[0], 50);
    assert_int_equal(set.pixels[SIDE * SIDE - 1], 50); /* the black half is outside the box */
    assert_int_equal(set.pixels[SIDE * SIDE], 0);
    expect_in(said.data, "1 images without an emotion");
    expect(&set, "neutral happy sad surprise fear disgust anger contempt", "170", "m/1/a.pgm");
    put("training.csv", "file,label,xmin,ymin,xmax,ymax\nm/1/a.pgm,sad,100,0,120,20\n"
                        "m/1/b.pgm,sad,16,0,32,16\nm/1/b.pgm,happy,0,0,16,16\n");
    refuse("training.csv", "the box at 100,0 of 20x20 pixels is outside the picture of 32x16");
    set = load("training.csv", skip_all, MIEN_MEMORY_STREAM);
    uint8_t pixels[2 * SIDE * SIDE];
    assert_int_equal(mien_dataset_read(&set, NULL, 2, pixels), MIEN_OK);
    assert_int_equal(pixels[0], 0);
    assert_int_equal(pixels[SIDE * SIDE], 60);
    mien_dataset_release(&set);
    put("training.csv", "file,label,x,y,w,h\nm/1/a.pgm,sad,1,1,0,5\n");
    refuse("training.csv", "its box is empty or too small");
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, start, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(columns),    IN_SCRATCH(classes), IN_SCRATCH(many_classes),
        IN_SCRATCH(lost_files), IN_SCRATCH(parts),   IN_SCRATCH(class_folders_come_first),
        IN_SCRATCH(boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
