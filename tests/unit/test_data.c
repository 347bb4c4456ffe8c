/* Data sets before batching: csv reader, splits, fingerprint, statistics, epoch order. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/loader.h"
#include "host/data/source.h"
#include "host/data/split.h"
#include "host/train/setup.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static char csv_path[64], gz_path[64];
static const mien_on_bad on_bad_fail = {false, -1};

static int start(void **state) {
    if (scratch_make(state)) return 1;
    snprintf(csv_path, sizeof csv_path, "%s/a.csv", scratch);
    snprintf(gz_path, sizeof gz_path, "%s/a.csv.gz", scratch);
    return 0;
}

static uint8_t pixel_of(int row, int at) {
    return (uint8_t)((row * 31 + at * 7) % 256);
}

static void put_numbers(mien_text *text, int row, int count) {
    for (int i = 0; i < count; i++)
        mien_text_printf(text, "%s%d", i ? " " : "", pixel_of(row, i));
}

/* Writes the pixels of a side x side image. */
static void put_pixels(mien_text *text, int row, int side) {
    put_numbers(text, row, side * side);
}

static void write_csv(mien_text *text) {
    assert_int_equal(text->status, MIEN_OK);
    assert_int_equal(mien_file_write(csv_path, text->data, text->size), MIEN_OK);
    mien_text_release(text);
}

static mien_dataset load(mien_image_spec spec) {
    mien_dataset set;
    if (mien_dataset_load(csv_path, spec, on_bad_fail, MIEN_MEMORY_RESIDENT, &set) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    return set;
}

static void csv_plain(void **state) {
    (void)state;
    static const char *const usage[] = {"Training", "PublicTest", "PrivateTest"};
    mien_text text = {0};
    mien_text_puts(&text, "emotion,pixels,Usage\n");
    for (int i = 0; i < 9; i++) {
        mien_text_printf(&text, "%d,", i % 7);
        put_pixels(&text, i, 48);
        mien_text_printf(&text, ",%s\n", usage[i % 3]);
    }
    write_csv(&text);
    mien_dataset set = load((mien_image_spec){48, 48, 1});
    assert_int_equal(set.count, 9);
    assert_int_equal(set.classes, 7);
    assert_string_equal(set.class_names[3], "happy");
    assert_true(set.labelled);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(set.labels[i], i % 7);
        assert_int_equal(set.usage[i], i % 3);
        for (int p = 0; p < 2304; p++)
            assert_int_equal(set.pixels[i * 2304 + p], pixel_of(i, p));
    }
    mien_dataset_release(&set);
}

/* Byte order mark, header with spaces and in another order, quotes, CRLF, no final newline, a blank
 * line; then the same file gzipped. */
static void csv_variants(void **state) {
    (void)state;
    mien_text text = {0};
    char *bytes;
    size_t size;
    mien_text_puts(&text, "\xef\xbb\xbf"
                          "emotion, Usage, pixels\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        mien_text_printf(&text, "%d,\"Training\", \"", 6 - i);
        put_pixels(&text, i, 48);
        mien_text_puts(&text, i < 2 ? "\"\r\n" : "\"");
    }
    write_csv(&text);
    mien_dataset set = load((mien_image_spec){48, 48, 1});
    assert_int_equal(set.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set.labels[i], 6 - i);
        assert_int_equal(set.usage[i], MIEN_TRAIN);
        assert_int_equal(set.pixels[i * 2304 + 2303], pixel_of(i, 2303));
    }
    assert_int_equal(mien_file_read(csv_path, 1 << 20, &bytes, &size), MIEN_OK);
    gzFile gz = gzopen(gz_path, "wb");
    assert_int_equal(gzwrite(gz, bytes, (unsigned)size), (int)size);
    gzclose(gz);
    mien_free(bytes);
    mien_dataset zipped;
    assert_int_equal(mien_dataset_load(gz_path, (mien_image_spec){48, 48, 1}, on_bad_fail,
                                       MIEN_MEMORY_RESIDENT, &zipped),
                     MIEN_OK);
    assert_int_equal(zipped.count, 3);
    assert_memory_equal(zipped.pixels, set.pixels, 3 * 2304);
    mien_dataset_release(&zipped);
    mien_dataset_release(&set);
}

static void csv_without_columns(void **state) {
    (void)state;
    mien_text text = {0};
    mien_text_puts(&text, "pixels\n");
    put_pixels(&text, 0, 8); /* a square image of another size is accepted */
    write_csv(&text);
    mien_dataset set = load((mien_image_spec){8, 8, 1});
    assert_false(set.labelled);
    assert_int_equal(set.usage[0], MIEN_NO_PART);
    assert_int_equal(set.pixels[63], pixel_of(0, 63));
    mien_dataset_release(&set);
    mien_text_puts(&text, "emotion,Usage\n0,Training\n");
    write_csv(&text);
    assert_int_equal(mien_dataset_load(csv_path, (mien_image_spec){8, 8, 1}, on_bad_fail,
                                       MIEN_MEMORY_RESIDENT, &set),
                     MIEN_FORMAT);
    expect_in_message("no column 'pixels'");
    mien_dataset_release(&set);
}

/* Rows 3, 5 and 6 are bad: they are skipped and counted, the limit holds, and the message names the
 * row. */
static void csv_bad_rows(void **state) {
    (void)state;
    mien_text text = {0};
    mien_dataset set;
    mien_on_bad rule;
    const mien_image_spec spec = {8, 8, 1};
    mien_text_puts(&text, "emotion,pixels\n");
    for (int i = 0; i < 6; i++) {
        mien_text_printf(&text, "%d,", i == 1 ? 8 : i);
        put_numbers(&text, i, i == 3 || i == 4 ? 63 : 64);
        mien_text_puts(&text, i == 3 ? " 256\n" : (i == 4 ? " 1x\n" : "\n"));
    }
    write_csv(&text);
    assert_int_equal(mien_dataset_load(csv_path, spec, on_bad_fail, MIEN_MEMORY_RESIDENT, &set),
                     MIEN_FORMAT);
    expect_in_message(csv_path);
    expect_in_message("row 3: the emotion 8");
    mien_dataset_release(&set);
    assert_int_equal(mien_on_bad_parse("skip", &rule), MIEN_OK);
    assert_int_equal(mien_dataset_load(csv_path, spec, rule, MIEN_MEMORY_RESIDENT, &set), MIEN_OK);
    assert_int_equal(set.count, 3);
    assert_int_equal(set.skipped, 3);
    assert_int_equal(set.labels[1], 2);
    mien_dataset_release(&set);
    assert_int_equal(mien_on_bad_parse("skip:3", &rule), MIEN_OK);
    assert_int_equal(mien_dataset_load(csv_path, spec, rule, MIEN_MEMORY_RESIDENT, &set), MIEN_OK);
    mien_dataset_release(&set);
    assert_int_equal(mien_on_bad_parse("skip:2", &rule), MIEN_OK);
    assert_int_equal(mien_dataset_load(csv_path, spec, rule, MIEN_MEMORY_RESIDENT, &set),
                     MIEN_FORMAT);
    expect_in_message("more than 2 bad rows");
    expect_in_message("row 6");
    mien_dataset_release(&set);
    static const char *const wrong[] = {"",        "Skip",    "skip:", "skip:x",
                                        "skip:-1", "skip:2x", "skipp"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(mien_on_bad_parse(wrong[i], &rule), MIEN_INVALID);
}

/* Halving averages 2 x 2 pixels; enlarging keeps a flat image flat; all channels get the gray
 * value.
 */
static void csv_resized(void **state) {
    (void)state;
    mien_text text = {0};
    mien_text_puts(&text, "emotion,pixels\n1,");
    put_pixels(&text, 0, 48);
    mien_text_puts(&text, "\n2,");
    for (int i = 0; i < 2304; i++)
        mien_text_puts(&text, "77 ");
    write_csv(&text);
    mien_dataset set = load((mien_image_spec){24, 24, 3});
    for (int y = 0; y < 24; y++)
        for (int x = 0; x < 24; x++) {
            const int at = 2 * y * 48 + 2 * x;
            const int sum =
                pixel_of(0, at) + pixel_of(0, at + 1) + pixel_of(0, at + 48) + pixel_of(0, at + 49);
            for (int c = 0; c < 3; c++)
                assert_int_equal(set.pixels[(y * 24 + x) * 3 + c], (sum + 2) / 4);
        }
    mien_dataset_release(&set);
    set = load((mien_image_spec){64, 50, 1});
    for (int p = 0; p < 64 * 50; p++)
        assert_int_equal(set.pixels[64 * 50 + p], 77);
    assert_int_equal(set.pixels[0], pixel_of(0, 0)); /* corners keep their values */
    assert_int_equal(set.pixels[64 * 50 - 1], pixel_of(0, 2303));
    mien_dataset_release(&set);
    set = load((mien_image_spec){
        96, 96, 1}); /* twice the size with half-pixel centres: weights of 1/4 and 3/4 */
    for (int x = 1; x < 95; x++) {
        const int near = pixel_of(0, x / 2), other = pixel_of(0, x % 2 ? x / 2 + 1 : x / 2 - 1);
        assert_int_equal(set.pixels[x], (3 * near + other + 2) / 4);
    }
    mien_dataset_release(&set);
}

enum { COUNT = 1000, GROUPS = 100 };

/* A set of 4x4 images in memory, with unbalanced labels and ten samples per group. */
static mien_dataset make_set(void) {
    mien_dataset set = {.spec = {4, 4, 2}, .labelled = true, .budget = SIZE_MAX};
    static const char *const names[] = {"a", "b", "c"};
    strcpy(set.source, "made");
    assert_int_equal(mien_dataset_classes(&set, names, 3), MIEN_OK);
    assert_int_equal(mien_dataset_extend(&set, COUNT), MIEN_OK);
    for (int i = 0; i < COUNT; i++) {
        uint8_t gray[16];
        for (int p = 0; p < 16; p++)
            gray[p] = pixel_of(i, p);
        mien_image_shape(set.spec, gray, 4, 4, mien_dataset_image(&set, (size_t)i));
        set.labels[i] = i % 10 == 0 ? 2 : (i % 3 == 0 ? 1 : 0);
        set.group[i] = (uint32_t)i / 10;
    }
    return set;
}

static void apply(mien_dataset *set, int by, double val, double test, int seed) {
    mien_split split = {.val = val, .test = test, .by = by, .seed = seed};
    if (mien_split_apply(set, &split) != MIEN_OK) fail_msg("%s", mien_error_message());
}

static void split_stratified(void **state) {
    (void)state;
    mien_dataset set = make_set();
    uint8_t first[COUNT];
    size_t all[3], part[3];
    mien_split split = {.val = 0.15, .test = 0.2, .by = MIEN_BY_AUTO, .seed = 5};
    assert_int_equal(mien_split_apply(&set, &split), MIEN_OK);
    assert_int_equal(split.by, MIEN_BY_STRATIFIED);
    mien_dataset_counts(&set, MIEN_NO_PART, all);
    for (mien_part p = MIEN_VAL; p <= MIEN_TEST; p++) {
        mien_dataset_counts(&set, p, part);
        for (int k = 0; k < 3; k++)
            assert_true(fabs((double)part[k] - (p == MIEN_VAL ? 0.15 : 0.2) * (double)all[k]) < 1);
    }
    assert_int_equal(mien_split_check(&set, &split), MIEN_OK);
    memcpy(first, set.part, COUNT);
    apply(&set, MIEN_BY_STRATIFIED, 0.15, 0.2, 6);
    assert_memory_not_equal(first, set.part, COUNT); /* another seed, another split */
    apply(&set, MIEN_BY_GROUP, 0.3, 0.3, 5);
    apply(&set, MIEN_BY_STRATIFIED, 0.15, 0.2, 5);
    assert_memory_equal(first, set.part, COUNT); /* does not depend on the split before */
    mien_dataset_release(&set);
}

static void split_by_group(void **state) {
    (void)state;
    mien_dataset set = make_set();
    size_t counts[3];
    apply(&set, MIEN_BY_GROUP, 0.2, 0.2, 1);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(set.part[i], set.part[i / 10 * 10]);
    for (mien_part p = MIEN_VAL; p <= MIEN_TEST; p++) {
        const size_t n = mien_dataset_counts(&set, p, counts);
        assert_true(n > 80 && n < 320); /* 20 of 100 groups, within 3 standard deviations */
    }
    mien_dataset_release(&set);
}

/* The data's own split; a missing validation part is drawn from the training part only. */
static void split_by_usage(void **state) {
    (void)state;
    mien_dataset set = make_set();
    mien_split split = {.val = 0.1, .test = 0.1, .by = MIEN_BY_USAGE, .seed = 1};
    size_t counts[3];
    assert_false(mien_split_named(&set));
    assert_int_equal(mien_split_apply(&set, &split), MIEN_INVALID);
    for (int i = 0; i < COUNT; i++)
        set.usage[i] = i < 700 ? MIEN_TRAIN : MIEN_TEST;
    assert_true(mien_split_named(&set));
    split.by = MIEN_BY_AUTO;
    assert_int_equal(mien_split_apply(&set, &split), MIEN_OK);
    assert_int_equal(split.by, MIEN_BY_USAGE);
    assert_int_equal(mien_dataset_counts(&set, MIEN_TEST, counts), 300);
    assert_in_range(mien_dataset_counts(&set, MIEN_VAL, counts), 68, 72);
    for (int i = 700; i < COUNT; i++)
        assert_int_equal(set.part[i], MIEN_TEST);
    mien_dataset_release(&set);
}

static void split_refusals(void **state) {
    (void)state;
    mien_dataset set = make_set();
    const mien_split asked = {.val = 0.1}, none = {.val = 0};
    apply(&set, MIEN_BY_STRATIFIED, 0, 0.1, 1);
    assert_int_equal(mien_split_check(&set, &asked), MIEN_INVALID);
    expect_in_message("no sample for the val part");
    assert_int_equal(mien_split_check(&set, &none), MIEN_OK); /* nothing was asked for */
    apply(&set, MIEN_BY_STRATIFIED, 0.1, 0, 1);
    assert_int_equal(mien_split_check(&set, &asked), MIEN_OK);
    for (int i = 0; i < COUNT; i++)
        set.labels[i] = 1;
    assert_int_equal(mien_split_check(&set, &asked), MIEN_INVALID);
    expect_in_message("'b'");
    mien_dataset_release(&set);
}

static void fingerprint_of(const mien_dataset *set, mien_part part, char out[65]) {
    mien_survey survey;
    assert_int_equal(mien_dataset_survey(set, part, &survey), MIEN_OK);
    strcpy(out, survey.sha256);
}

static void fingerprint(void **state) {
    (void)state;
    mien_dataset set = make_set();
    char first[65], second[65];
    apply(&set, MIEN_BY_STRATIFIED, 0.1, 0.1, 1);
    fingerprint_of(&set, MIEN_NO_PART, first);
    fingerprint_of(&set, MIEN_NO_PART, second);
    assert_string_equal(first, second);
    set.pixels[COUNT * 32 - 1] ^= 1;
    fingerprint_of(&set, MIEN_NO_PART, second);
    assert_string_not_equal(first, second);
    set.pixels[COUNT * 32 - 1] ^= 1;
    set.labels[0] ^= 1;
    fingerprint_of(&set, MIEN_NO_PART, second);
    assert_string_not_equal(first, second);
    set.labels[0] ^= 1;
    fingerprint_of(&set, MIEN_VAL, second);
    assert_string_not_equal(first, second);
    mien_dataset_release(&set);
}

static void statistics(void **state) {
    (void)state;
    mien_dataset set = make_set();
    double mean[4], std[4];
    apply(&set, MIEN_BY_STRATIFIED, 0.3, 0.3, 1);
    for (size_t i = 1; i < COUNT * 32; i += 2)
        set.pixels[i] = (uint8_t)(set.pixels[i] / 3); /* make the channels differ */
    mien_survey survey;
    assert_int_equal(mien_dataset_survey(&set, MIEN_TRAIN, &survey), MIEN_OK);
    mien_survey_statistics(&survey, 2, 1 / 255.0, mean, std);
    for (size_t c = 0; c < 2; c++) {
        double sum = 0, squares = 0, n = 0;
        for (size_t i = 0; i < COUNT; i++)
            for (size_t p = c; p < 32 && set.part[i] == MIEN_TRAIN; p += 2) {
                sum += set.pixels[i * 32 + p] / 255.0;
                n++;
            }
        for (size_t i = 0; i < COUNT; i++)
            for (size_t p = c; p < 32 && set.part[i] == MIEN_TRAIN; p += 2)
                squares += pow(set.pixels[i * 32 + p] / 255.0 - sum / n, 2);
        assert_true(fabs(mean[c] - sum / n) < 1e-12);
        assert_true(fabs(std[c] - sqrt(squares / n)) < 1e-12);
    }
    assert_true(mean[1] < mean[0] / 2);
    mien_dataset_release(&set);
}

/* Every class with samples gets the same total weight; a class without samples gets 0. */
static void balanced_weights(void **state) {
    (void)state;
    mien_dataset set = make_set();
    float weights[4];
    size_t counts[4];
    set.classes = 4;
    apply(&set, MIEN_BY_STRATIFIED, 0.1, 0.1, 1);
    const size_t n = mien_dataset_counts(&set, MIEN_TRAIN, counts);
    mien_balanced_weights(&set, weights);
    for (int k = 0; k < 3; k++)
        assert_true(fabs(weights[k] * (double)counts[k] - (double)n / 4) < 1e-3);
    assert_true(weights[3] == 0);
    mien_dataset_release(&set);
}

static void read_order(const mien_loader *loader, mien_part part, uint32_t *out) {
    assert_int_equal(loader->backend->ops->copy_out(loader->backend, out, loader->order,
                                                    loader->count[part] * sizeof *out),
                     MIEN_OK);
}

static void loader_order(void **state) {
    (void)state;
    mien_dataset set = make_set();
    mien_backend *backend;
    mien_loader loader;
    const mien_normalise normalise = {1, {0}, {1, 1, 1, 1}};
    static uint32_t first[COUNT], again[COUNT], later[COUNT], other[COUNT];
    apply(&set, MIEN_BY_STRATIFIED, 0.1, 0.1, 1);
    assert_int_equal(mien_backend_open("cpu", NULL, &backend), MIEN_OK);
    assert_int_equal(mien_loader_create(&set, &normalise, backend, 64, 0, &loader), MIEN_OK);
    const size_t n = loader.count[MIEN_TRAIN];
    assert_int_equal(n + loader.count[MIEN_VAL] + loader.count[MIEN_TEST], COUNT);
    assert_int_equal(mien_loader_order(&loader, MIEN_TRAIN, true, 9, 1), MIEN_OK);
    read_order(&loader, MIEN_TRAIN, first);
    bool seen[COUNT] = {false};
    size_t fixed = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(first[i] < COUNT && !seen[first[i]]); /* each sample of the part once */
        assert_int_equal(set.part[first[i]], MIEN_TRAIN);
        seen[first[i]] = true;
        fixed += first[i] == loader.index[MIEN_TRAIN][i];
    }
    assert_true(fixed < 10); /* a shuffle leaves about one element in place */
    assert_int_equal(mien_loader_order(&loader, MIEN_TRAIN, true, 9, 2), MIEN_OK);
    read_order(&loader, MIEN_TRAIN, later);
    assert_memory_not_equal(first, later, n * sizeof *first);
    assert_int_equal(mien_loader_order(&loader, MIEN_TRAIN, true, 10, 1), MIEN_OK);
    read_order(&loader, MIEN_TRAIN, other);
    assert_memory_not_equal(first, other, n * sizeof *first);
    assert_int_equal(mien_loader_order(&loader, MIEN_TRAIN, true, 9, 1), MIEN_OK);
    read_order(&loader, MIEN_TRAIN, again);
    assert_memory_equal(first, again, n * sizeof *first);
    assert_int_equal(mien_loader_order(&loader, MIEN_VAL, false, 9, 1), MIEN_OK);
    read_order(&loader, MIEN_VAL, again);
    assert_memory_equal(again, loader.index[MIEN_VAL], loader.count[MIEN_VAL] * sizeof *again);
    mien_loader_release(&loader);
    mien_backend_close(backend);
    mien_dataset_release(&set);
}

/* What is wrong with a name is followed by what may be given: the form of each row, once. */
static void forms_come_from_the_table(void **state) {
    (void)state;
    const mien_source_def *row;
    const char *names[] = {scratch_path("absent"), "tests/unit/test_data.c"};
    const mien_status codes[] = {MIEN_NOT_FOUND, MIEN_UNSUPPORTED};
    for (int i = 0; i < 2; i++) {
        mien_dataset set;
        assert_int_equal(mien_dataset_load(names[i], (mien_image_spec){8, 8, 1}, on_bad_fail,
                                           MIEN_MEMORY_RESIDENT, &set),
                         codes[i]);
        expect_in_message(names[i]);
        for (size_t k = 0; (row = mien_source_at(k)) != NULL; k++) {
            const char *at = strstr(mien_error_message(), row->form);
            assert_non_null(at);
            assert_null(strstr(at + 1, row->form));
        }
        mien_dataset_release(&set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_plain),           cmocka_unit_test(csv_variants),
        cmocka_unit_test(csv_without_columns), cmocka_unit_test(csv_bad_rows),
        cmocka_unit_test(csv_resized),         cmocka_unit_test(split_stratified),
        cmocka_unit_test(split_by_group),      cmocka_unit_test(split_by_usage),
        cmocka_unit_test(split_refusals),      cmocka_unit_test(fingerprint),
        cmocka_unit_test(statistics),          cmocka_unit_test(balanced_weights),
        cmocka_unit_test(loader_order),        cmocka_unit_test(forms_come_from_the_table),
    };
    return cmocka_run_group_tests(tests, start, scratch_drop);
}
