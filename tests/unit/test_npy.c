/* NumPy arrays as data: folders and archives, labels and classes, damaged files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/data/dataset.h"
#include "host/data/npy_header.h"
#include "host/image/resize.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_pictures.h"

enum { N = 5, H = 9, W = 11, PIXELS = H * W };

static const mien_on_bad fail_at_once = {false, -1}, skip_all = {true, -1};
static const mien_image_spec spec = {H, W, 1};
static uint8_t pixels[N * PIXELS * 3];
static const uint8_t labels[N] = {2, 0, 1, 2, 0};

static int start(void **state) {
    made_pixels(pixels, W, H * N, 3, 4);
    return scratch_make(state);
}

static void put(const char *name, const char *descr, const char *shape, const void *data,
                size_t size) {
    mien_text file = {0};
    made_npy(descr, shape, data, size, &file);
    scratch_put_text(name, &file);
}

static void put_good(void) {
    put("images.npy", "|u1", "(5, 9, 11)", pixels, N * PIXELS);
    put("labels.npy", "|u1", "(5,)", labels, N);
}

static void refuse(const char *name, mien_status status, const char *part) {
    mien_dataset set;
    char path[MIEN_PATH];
    strcpy(path, *name ? scratch_path(name) : scratch);
    assert_int_equal(mien_dataset_load(path, spec, fail_at_once, MIEN_MEMORY_AUTO, &set), status);
    expect_in_message(part);
    mien_dataset_release(&set);
}

static mien_dataset load(const char *name, mien_memory memory) {
    mien_dataset set;
    char path[MIEN_PATH];
    strcpy(path, *name ? scratch_path(name) : scratch);
    if (mien_dataset_load(path, spec, fail_at_once, memory, &set) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    return set;
}

/* Compares with `pixels` and `labels`, and releases the set. */
static void expect_good(mien_dataset *set) {
    uint8_t read[N * PIXELS];
    assert_int_equal(set->count, N);
    assert_int_equal(set->classes, 3);
    for (int i = 0; i < N; i++)
        assert_int_equal(set->labels[i], labels[i]);
    if (set->streamed) assert_int_equal(mien_dataset_read(set, NULL, N, read), MIEN_OK);
    assert_memory_equal(set->streamed ? read : set->pixels, pixels, N * PIXELS);
    mien_dataset_release(set);
}

static void folder_of_arrays(void **state) {
    (void)state;
    put_good();
    for (mien_memory memory = MIEN_MEMORY_AUTO; memory <= MIEN_MEMORY_STREAM; memory++) {
        mien_dataset set = load("", memory);
        assert_string_equal(set.class_names[2], "2");
        assert_int_equal(set.usage[0], MIEN_NO_PART);
        assert_int_equal(set.streamed, memory == MIEN_MEMORY_STREAM);
        expect_good(&set);
        set = load("images.npy", memory);
        expect_good(&set);
    }
    mien_text names = {0};
    mien_text_puts(&names, "calm\r\nglad\ncross");
    scratch_put_text("classes.txt", &names);
    mien_dataset set = load("", MIEN_MEMORY_AUTO);
    assert_string_equal(set.class_names[0], "calm");
    assert_string_equal(set.class_names[2], "cross");
    expect_good(&set);
}

static void parts(void **state) {
    (void)state;
    put("x_train.npy", "|u1", "(3, 9, 11, 1)", pixels, 3 * PIXELS);
    put("y_train.npy", "<i8", "(3, 1)", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0", 24);
    put("x_test.npy", "|u1", "(1, 9, 11, 1)", pixels + 3 * PIXELS, PIXELS);
    put("y_test.npy", ">u2", "(1,)", "\0\1", 2);
    mien_dataset set = load("", MIEN_MEMORY_AUTO);
    static const int want[] = {1, 0, 2, 1};
    assert_int_equal(set.count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(set.labels[i], want[i]);
        assert_int_equal(set.usage[i], i < 3 ? MIEN_TRAIN : MIEN_TEST);
    }
    assert_memory_equal(set.pixels, pixels, 4 * PIXELS);
    mien_dataset_release(&set);
}

static void colour(void **state) {
    (void)state;
    uint8_t want[PIXELS * 3], gray[PIXELS];
    mien_dataset set;
    put("images.npy", "|u1", "(5, 9, 11, 3)", pixels, N * PIXELS * 3);
    put("labels.npy", "|u1", "(5,)", labels, N);
    assert_int_equal(mien_dataset_load(scratch, (mien_image_spec){5, 5, 3}, fail_at_once,
                                       MIEN_MEMORY_AUTO, &set),
                     MIEN_OK);
    mien_resize(pixels + PIXELS * 3, H, W, 3, want, 5, 5);
    assert_memory_equal(mien_dataset_image(&set, 1), want, 75);
    mien_dataset_release(&set);
    set = load("", MIEN_MEMORY_AUTO);
    mien_image_to_gray(pixels + PIXELS * 3, PIXELS, gray);
    assert_memory_equal(mien_dataset_image(&set, 1), gray, PIXELS);
    mien_dataset_release(&set);
}

static mien_text archive(bool deflated) {
    made_zip zip = {{0}, {0}, 0};
    mien_text images = {0}, names = {0};
    made_npy("|u1", "(5, 9, 11)", pixels, N * PIXELS, &images);
    made_npy("|u1", "(5,)", labels, N, &names);
    made_zip_add(&zip, "x.npy", &images, deflated);
    made_zip_add(&zip, "readme.txt", &names, deflated);
    made_zip_add(&zip, "y.npy", &names, deflated);
    made_zip_end(&zip);
    mien_text_release(&images);
    mien_text_release(&names);
    return zip.file;
}

static void archives(void **state) {
    (void)state;
    mien_text file = archive(false);
    scratch_put_text("a.npz", &file);
    mien_dataset set = load("a.npz", MIEN_MEMORY_RESIDENT);
    expect_good(&set);
    set = load("a.npz", MIEN_MEMORY_STREAM);
    expect_good(&set);
    file = archive(true);
    scratch_put_text("b.npz", &file);
    set = load("b.npz", MIEN_MEMORY_AUTO);
    expect_good(&set);
    assert_int_equal(
        mien_dataset_load(scratch_path("b.npz"), spec, fail_at_once, MIEN_MEMORY_STREAM, &set),
        MIEN_UNSUPPORTED);
    assert_non_null(strstr(mien_error_message(), "is compressed and cannot be streamed"));
    mien_dataset_release(&set);
    file = archive(true);
    char *entry = memmem(file.data, file.size, "PK\1\2", 4);
    assert_non_null(entry);
    entry[16]++; /* of the checksum */
    scratch_put_text("b.npz", &file);
    refuse("b.npz", MIEN_FORMAT, "data does not match the archive's size and checksum");
    file = archive(true);
    entry = memmem(file.data, file.size, "PK\1\2", 4);
    assert_non_null(entry);
    memset(entry + 20, 0xff, 8);
    scratch_put_text("b.npz", &file);
    refuse("b.npz", MIEN_UNSUPPORTED, "'x' is above 2 GB");
}

/* A changed byte of an image or a label is detected, stored or deflated. */
static void damaged_members(void **state) {
    (void)state;
    for (int deflated = 0; deflated < 2; deflated++)
        for (int member = 0; member < 3; member += 2) {
            mien_text file = archive(deflated);
            char *local = file.data;
            for (int i = 0; i < member; i++)
                local = memmem(local + 1, file.size - (size_t)(local + 1 - file.data), "PK\3\4", 4);
            assert_non_null(local);
            uint32_t packed;
            memcpy(&packed, local + 18, 4);
            local[30 + 5 + packed - 2] ^= 1; /* after the name: the last byte but one */
            scratch_put_text("d.npz", &file);
            refuse("d.npz", MIEN_FORMAT, member ? "d.npz:y' is damaged" : "d.npz:x' is damaged");
        }
}

/* A few kilobytes may unpack to more than fits into memory. */
static void zip_bombs(void **state) {
    (void)state;
    enum { ROWS = 40000, SIDE = 8, LIMIT = 1 << 30, LARGE = 600 << 20 };
    static uint8_t zeros[ROWS * SIDE * SIDE];
    struct rlimit before, limit;
    made_zip zip = {{0}, {0}, 0};
    mien_text images = {0}, names = {0};
    mien_dataset set;
    if (SANITIZED) skip();
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = (struct rlimit){LIMIT, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    made_npy("|u1", "(40000, 8, 8)", zeros, sizeof zeros, &images);
    made_npy("|u1", "(40000,)", zeros, ROWS, &names);
    made_zip_add(&zip, "x.npy", &images, true);
    made_zip_add(&zip, "y.npy", &names, true);
    made_zip_end(&zip);
    scratch_put_text("e.npz", &zip.file);
    mien_text_release(&images);
    mien_text_release(&names);
    /* 655 MB at the input's size: resized on demand from the unpacked array */
    assert_int_equal(mien_dataset_load(scratch_path("e.npz"), (mien_image_spec){128, 128, 1},
                                       fail_at_once, MIEN_MEMORY_AUTO, &set),
                     MIEN_OK);
    assert_int_equal(set.count, ROWS);
    assert_true(set.streamed);
    uint8_t last[128 * 128];
    assert_int_equal(mien_dataset_read(&set, (const uint32_t[]){ROWS - 1}, 1, last), MIEN_OK);
    mien_dataset_release(&set);
    /* a member that claims to be large, with just enough bytes to be plausible */
    zip = (made_zip){{0}, {0}, 0};
    mien_text_append(&images, zeros, sizeof zeros);
    made_zip_add(&zip, "x.npy", &images, false);
    made_zip_add(&zip, "y.npy", &images, false);
    made_zip_end(&zip);
    uint8_t *entry = memmem(zip.file.data, zip.file.size, "PK\1\2", 4);
    assert_non_null(entry);
    entry[10] = 8;
    memcpy(entry + 24, &(uint32_t){LARGE}, 4);
    scratch_put_text("f.npz", &zip.file);
    mien_text_release(&images);
    refuse("f.npz", MIEN_NO_MEMORY, "more than half of the free memory: write it with numpy.savez");
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
}

/* Images alone are a set to be predicted, as a csv without labels is. */
static void without_labels(void **state) {
    (void)state;
    put_good();
    unlink(scratch_path("labels.npy"));
    for (int single = 0; single < 2; single++) {
        mien_dataset set = load(single ? "images.npy" : "", MIEN_MEMORY_RESIDENT);
        assert_int_equal(set.count, N);
        assert_false(set.labelled);
        mien_dataset_release(&set);
    }
}

static void wrong_arrays(void **state) {
    (void)state;
    put_good();
    put("x_train.npy", "|u1", "(5, 9, 11)", pixels, N * PIXELS);
    refuse("", MIEN_FORMAT, "no 'y'"); /* of two pairs, one has labels */
    unlink(scratch_path("x_train.npy"));
    put("labels.npy", "|u1", "(4,)", labels, 4);
    refuse("", MIEN_FORMAT, "4 labels for the 5 images");
    put("labels.npy", "<f4", "(5,)", pixels, 20);
    refuse("", MIEN_UNSUPPORTED, "f4: labels must be integers");
    put("labels.npy", "|u1", "(5, 7)", pixels, 35);
    refuse("", MIEN_FORMAT, "not a list of labels");
    put("labels.npy", "|i1", "(5,)", "\0\1\377\2\1", 5);
    refuse("", MIEN_FORMAT, "row 2: label -1");
    put_good();
    put("images.npy", "<f4", "(5, 9, 11)", pixels, 4 * 5 * PIXELS / 2);
    refuse("", MIEN_FORMAT, "cut short");
    put("images.npy", "<f4", "(1, 9, 11)", pixels, 4 * PIXELS);
    refuse("", MIEN_UNSUPPORTED, "float32 [1,9,11] with values from");
    put("images.npy", "|O", "(5, 9, 11)", pixels, N * PIXELS);
    refuse("", MIEN_UNSUPPORTED, "Python objects");
    put("images.npy", "|u1", "(5, 99)", pixels, 5 * 99);
    refuse("", MIEN_FORMAT, "not an array of images");
    put("images.npy", "|u1", "(5, 9, 2)", pixels, 90);
    refuse("", MIEN_FORMAT, "too small for a face");
    put("images.npy", "|u1", "(0, 10000, 10000)", pixels, 0);
    refuse("", MIEN_UNSUPPORTED, "10000x10000");
    put("images.npy", "|u1", "(0, 9, 11)", pixels, 0);
    put("labels.npy", "|u1", "(0,)", labels, 0);
    refuse("", MIEN_FORMAT, "no usable image");
    mien_text file = {0};
    scratch_put_text("images.npy", &file);
    refuse("", MIEN_FORMAT, "is empty");
    refuse("other.npy", MIEN_FORMAT, "arrays called images and labels");
}

static void skipped_labels(void **state) {
    (void)state;
    mien_dataset set;
    put_good();
    put("labels.npy", "<i2", "(5,)", "\0\0\377\377\1\0\0\177\2\0", 10);
    assert_int_equal(mien_dataset_load(scratch, spec, skip_all, MIEN_MEMORY_RESIDENT, &set),
                     MIEN_OK);
    assert_int_equal(set.count, 3);
    assert_int_equal(set.skipped, 2);
    assert_int_equal(set.classes, 3);
    static const uint32_t rows[] = {0, 2, 4};
    assert_memory_equal(set.row, rows, sizeof rows);
    assert_memory_equal(mien_dataset_image(&set, 2), pixels + 4 * PIXELS, PIXELS);
    mien_dataset_release(&set);
}

/* Row numbers continue in a second pair of files; a gap in the labels is an error. */
static void rows_and_gaps(void **state) {
    (void)state;
    mien_dataset set;
    put("x_train.npy", "|u1", "(3, 9, 11)", pixels, 3 * PIXELS);
    put("y_train.npy", "|i1", "(3,)", "\1\377\0", 3);
    put("x_test.npy", "|u1", "(2, 9, 11)", pixels + 3 * PIXELS, 2 * PIXELS);
    put("y_test.npy", "|u1", "(2,)", "\2\1", 2);
    assert_int_equal(mien_dataset_load(scratch, spec, skip_all, MIEN_MEMORY_RESIDENT, &set),
                     MIEN_OK);
    static const uint32_t rows[] = {0, 2, 3, 4};
    assert_int_equal(set.count, 4);
    assert_memory_equal(set.row, rows, sizeof rows);
    mien_dataset_release(&set);
    put("y_train.npy", "<u2", "(3,)", "\1\0\0\17\0\0", 6);
    refuse("", MIEN_FORMAT, "row 1 has the label 3840, but no row has the label 3");
    mien_text names = {0};
    mien_text_append(&names, "a\nb\n\0\0c\n", 8);
    scratch_put_text("classes.txt", &names);
    refuse("", MIEN_FORMAT, "contains NUL bytes");
}

/* Parses a copy in a block of the exact size: a sanitizer detects any read past its end. */
static mien_status parse(const char *data, size_t size, npy_header *out) {
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    const mien_status status = npy_parse("made", copy, size, size, out);
    free(copy);
    return status;
}

static void headers(void **state) {
    (void)state;
    static const char *const heads[] = {
        "{'descr': '|u1', 'fortran_order': True, 'shape': (1,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1), }",
        "{'descr': '|u1', 'fortran_order': False, }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,2,3,4,5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999999999999,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296,4294967296,16), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), } x"};
    npy_header header;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        mien_text file = {0};
        mien_text_append(&file, "\x93NUMPY\1\0", 8);
        mien_text_append(&file, (char[2]){(char)strlen(heads[i]), 0}, 2);
        mien_text_puts(&file, heads[i]);
        mien_text_puts(&file, "1234");
        if (parse(file.data, file.size, &header) == MIEN_OK) fail_msg("taken: %s", heads[i]);
        mien_text_release(&file);
    }
    mien_text file = {0};
    made_npy("<i4", "(2, 3)", pixels, 24, &file);
    assert_int_equal(parse(file.data, file.size, &header), MIEN_OK);
    assert_int_equal(header.count, 6);
    for (size_t n = 0; n < file.size; n++)
        assert_int_equal(parse(file.data, n, &header), MIEN_FORMAT);
    uint32_t dice = 1;
    for (int round = 0; round < 3000; round++) {
        dice = dice * 1664525u + 1013904223u;
        const size_t at = (dice >> 8) % file.size;
        const char before = file.data[at];
        file.data[at] = (char)(dice >> 3);
        parse(file.data, file.size, &header);
        file.data[at] = before;
    }
    mien_text_release(&file);
}

/* An archive that is truncated or has changed bytes is refused or read, without a crash. */
static void damaged_archives(void **state) {
    (void)state;
    uint32_t dice = 7;
    for (int deflated = 0; deflated < 2; deflated++) {
        const mien_text whole = archive(deflated);
        for (int round = 0; round < 120; round++) {
            mien_text file = {0};
            mien_dataset set;
            mien_text_append(&file, whole.data, whole.size);
            dice = dice * 1664525u + 1013904223u;
            const size_t at = (dice >> 8) % whole.size;
            if (round % 3 == 0)
                file.size = at;
            else if (round % 3 == 1)
                file.data[at] = (char)(dice >> 3);
            else /* the central directory */
                file.data[whole.size - 1 - at % 190] = (char)(dice >> 3);
            scratch_put_text("c.npz", &file);
            const mien_status status = mien_dataset_load(scratch_path("c.npz"), spec, fail_at_once,
                                                         MIEN_MEMORY_RESIDENT, &set);
            if (round % 3 == 0) assert_int_not_equal(status, MIEN_OK);
            mien_dataset_release(&set);
        }
        mien_text copy = whole;
        mien_text_release(&copy);
    }
}

/* ---- arrays as people save them ---- */

static void put_labels(const char *name) {
    put(name, "|u1", "(5,)", labels, N);
}

static void names_of_people(void **state) {
    (void)state;
    static const char *const names[][3] = {
        {"X_train", "Y_train", "0"}, {"TrainX", "trainY", "0"},  {"images_val", "labels_val", "1"},
        {"data", "target", "3"},     {"fdataX", "flabels", "3"}, {"X_test", "y_test", "2"},
        {"arr_0", "arr_1", "3"},     {"arr_1", "arr_0", "3"},    {"x_valid", "labels_valid", "1"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char images[32], own[32];
        snprintf(images, sizeof images, "%s.npy", names[i][0]);
        snprintf(own, sizeof own, "%s.npy", names[i][1]);
        put(images, "|u1", "(5, 9, 11)", pixels, N * PIXELS);
        put_labels(own);
        mien_dataset set = load("", MIEN_MEMORY_AUTO);
        assert_int_equal(set.usage[0], atoi(names[i][2]));
        expect_good(&set);
        unlink(scratch_path(images));
        unlink(scratch_path(own));
    }
    put_good();
    put("data.npy", "|u1", "(5, 9, 11)", pixels, N * PIXELS); /* not a second set of images */
    mien_dataset set = load("", MIEN_MEMORY_AUTO);
    expect_good(&set);
    put("faces1.npy", "|u1", "(5, 9, 11)", pixels, N * PIXELS);
    refuse("faces1.npy", MIEN_FORMAT, "faces1 uint8 [5,9,11]");
}

static void number_types(void **state) {
    (void)state;
    static float ones[N * PIXELS];
    static double whole[N * PIXELS];
    static int64_t integers[N * PIXELS];
    for (int i = 0; i < N * PIXELS; i++) {
        ones[i] = (float)pixels[i] / 255;
        whole[i] = integers[i] = pixels[i];
    }
    const struct {
        const char *type;
        const void *data;
        size_t size;
    } forms[] = {{"<f4", ones, sizeof ones},
                 {"<f8", whole, sizeof whole},
                 {"<i8", integers, sizeof integers}};
    for (size_t f = 0; f < 3; f++)
        for (mien_memory memory = MIEN_MEMORY_RESIDENT; memory <= MIEN_MEMORY_STREAM; memory++) {
            put_labels("labels.npy");
            put("images.npy", forms[f].type, "(5, 9, 11)", forms[f].data, forms[f].size);
            mien_dataset set = load("", memory);
            expect_good(&set);
        }
    /* 0.5, 1 and 0 as float16 */
    static uint8_t halves[N * PIXELS * 2];
    for (int i = 0; i < N * PIXELS; i++)
        memcpy(halves + 2 * i, i % 3 == 0 ? "\0\x38" : i % 3 == 1 ? "\0\x3c" : "\0\0", 2);
    put("images.npy", "<f2", "(5, 9, 11)", halves, sizeof halves);
    mien_dataset set = load("", MIEN_MEMORY_AUTO);
    assert_memory_equal(set.pixels, "\x80\xff\0\x80", 4);
    mien_dataset_release(&set);
    ones[3] = -1.5f;
    put("images.npy", "<f4", "(5, 9, 11)", ones, sizeof ones);
    refuse("", MIEN_UNSUPPORTED, "from -1.5 to");
    memcpy(&ones[PIXELS], &(uint32_t){0x7fc00000}, 4);
    put("images.npy", "<f4", "(5, 9, 11)", ones, sizeof ones);
    refuse("", MIEN_FORMAT, "image 1 holds NaN");
}

static void layouts(void **state) {
    (void)state;
    static uint8_t planes[N * PIXELS * 3];
    const mien_image_spec colour_spec = {H, W, 3};
    for (int n = 0; n < N; n++)
        for (int i = 0; i < PIXELS; i++)
            for (int c = 0; c < 3; c++)
                planes[(n * 3 + c) * PIXELS + i] = pixels[(n * PIXELS + i) * 3 + c];
    put_labels("labels.npy");
    put("images.npy", "|u1", "(5, 3, 9, 11)", planes, sizeof planes);
    mien_dataset set;
    assert_int_equal(mien_dataset_load(scratch, colour_spec, fail_at_once, MIEN_MEMORY_AUTO, &set),
                     MIEN_OK);
    assert_memory_equal(set.pixels, pixels, sizeof planes);
    mien_dataset_release(&set);
    put("images.npy", "|u1", "(5, 1, 9, 11)", pixels, N * PIXELS);
    set = load("", MIEN_MEMORY_AUTO);
    expect_good(&set);
    put("images.npy", "|u1", "(5, 81)", pixels, N * 81);
    assert_int_equal(mien_dataset_load(scratch, (mien_image_spec){9, 9, 1}, fail_at_once,
                                       MIEN_MEMORY_AUTO, &set),
                     MIEN_OK);
    assert_memory_equal(set.pixels, pixels, N * 81);
    mien_dataset_release(&set);
}

static void labels_of_people(void **state) {
    (void)state;
    static float rows[N * 3];
    for (int i = 0; i < N; i++)
        rows[i * 3 + labels[i]] = 1;
    put_good();
    put("labels.npy", "<f4", "(5, 3)", rows, sizeof rows);
    mien_dataset set = load("", MIEN_MEMORY_AUTO);
    expect_good(&set);
    mien_text names = {0};
    mien_text_puts(&names, "a\nb\n");
    scratch_put_text("classes.txt", &names);
    refuse("", MIEN_FORMAT, "labels of 3 classes, but classes.txt names 2");
    put_labels("labels.npy");
    refuse("", MIEN_FORMAT, "label 2; labels are 0 to 1, for which classes.txt has names");
    unlink(scratch_path("classes.txt"));
    rows[4] = 1;
    rows[3] = 1;
    put("labels.npy", "<f4", "(5, 3)", rows, sizeof rows);
    refuse("", MIEN_FORMAT, "which row 1 has not");
    put("labels.npy", "<f8", "(5,)", (const double[]){2, 0, 1, 2, 0}, 40);
    set = load("", MIEN_MEMORY_AUTO);
    expect_good(&set);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, start, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(folder_of_arrays), IN_SCRATCH(parts),
        IN_SCRATCH(colour),           IN_SCRATCH(archives),
        IN_SCRATCH(headers),          IN_SCRATCH(without_labels),
        IN_SCRATCH(wrong_arrays),     IN_SCRATCH(skipped_labels),
        IN_SCRATCH(rows_and_gaps),    IN_SCRATCH(damaged_archives),
        IN_SCRATCH(names_of_people),  IN_SCRATCH(number_types),
        IN_SCRATCH(layouts),          IN_SCRATCH(labels_of_people),
        IN_SCRATCH(damaged_members),  IN_SCRATCH(zip_bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
