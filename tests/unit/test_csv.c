/* The csv reader on malformed input: the expected result of every row is known from how it was
 * made, and must not depend on the number of threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

#include <omp.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/data/dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static char path[64];
static const int teams[] = {1, 2, 5};

static int start(void **state) {
    if (scratch_make(state)) return 1;
    snprintf(path, sizeof path, "%s/a.csv", scratch);
    return 0;
}

static uint32_t roll(uint32_t *dice, uint32_t below) {
    *dice = *dice * 1664525u + 1013904223u;
    return (*dice >> 8) % below;
}

static void collect(void *log, mien_log_level level, const char *line) {
    (void)level;
    mien_text_printf(log, "%s\n", line);
}

static mien_status load(const char *rule, int side, mien_dataset *set) {
    mien_on_bad on_bad;
    assert_int_equal(mien_on_bad_parse(rule, &on_bad), MIEN_OK);
    return mien_dataset_load(path, (mien_image_spec){side, side, 1}, on_bad, MIEN_MEMORY_RESIDENT,
                             set);
}

/* ---- generated files with known rows ---- */

enum { SIDE = 24, NUMBERS = SIDE * SIDE };

/* A way to write a row. `complaint`: the expected message; NULL: the row is good. */
typedef struct form {
    const char *label, *before, *after, *usage;
    int drop; /* pixels omitted at the end */
    const char *complaint;
} form;

static const form forms[] = {
    {"3", "", "", "Training", 0, NULL},
    {"0", " ", " ", "PublicTest", 0, NULL},
    {" 6", "\"", "\"", "privatetest", 0, NULL},
    {"1", "  ", "", "\"Training\"", 0, NULL},
    {"5", "0007  012 0031 5 0255 ", "", "Training", 5, NULL},
    {"5", "255 0 99 100 ", "", "Training", 4, NULL},
    {"8", "", "", "Training", 0, "the emotion 8 is not one of 0 to 7"},
    {"-1", "", "", "Training", 0, "the emotion -1 is not one of 0 to 7"},
    {"x", "", "", "Training", 0, "the emotion is not a number"},
    {"2", "", "", "Tset", 0,
     "the usage is not Training, PublicTest or PrivateTest, nor train, val or test"},
    {"2", "", "", "Training", 1, "575 pixels instead of 576"},
    {"2", "", " 1", "Training", 0, "577 pixels instead of 576"},
    {"2", "256 ", "", "Training", 1, "a pixel is above 255"},
    {"2", "", " 999", "Training", 1, "a pixel is above 255"},
    {"2", "00012 ", "", "Training", 1,
     "its pixels hold something other than numbers from 0 to 255"},
    {"2", "", " -3", "Training", 1, "its pixels hold something other than numbers from 0 to 255"},
    {"2", "1\t", "", "Training", 1, "its pixels hold something other than numbers from 0 to 255"},
    {"2", "12 3\xc3\xa9 ", "", "Training", 2,
     "its pixels hold something other than numbers from 0 to 255"},
};
enum { FORMS = sizeof forms / sizeof forms[0], GOOD_FORMS = 6, ROWS = 2500 };

typedef struct known {
    mien_text text, log; /* the file, and the expected log lines for its bad rows */
    uint8_t labels[ROWS];
    long long first_bad_row;
    size_t good, bad;
} known;

static void put_row(known *k, uint32_t *dice, const form *f, long long row, const char *end) {
    static const uint32_t most[] = {10, 100, 256};
    const uint32_t below = most[roll(dice, 3)];
    mien_text_printf(&k->text, "%s,%s", f->label, f->before);
    for (int i = 0; i < NUMBERS - f->drop; i++)
        mien_text_printf(&k->text, "%s%u", i ? " " : "", roll(dice, below));
    mien_text_printf(&k->text, "%s,%s%s", f->after, f->usage, end);
    if (!f->complaint) {
        k->labels[k->good++] = (uint8_t)atoi(f->label);
    } else {
        if (!k->bad) k->first_bad_row = row;
        if (k->bad++ < 10)
            mien_text_printf(&k->log, "left out: '%s': row %lld: %s\n", path, row, f->complaint);
    }
}

/* 2,500 rows, 5 MB, several windows of the reader. One row in `rarity` is bad. */
static known make(uint32_t seed, uint32_t rarity) {
    known k = {.text = {0}};
    uint32_t dice = seed;
    const char *end = roll(&dice, 2) ? "\n" : "\r\n";
    long long row = 1;
    mien_text_printf(&k.text, "%semotion, pixels ,Usage%s", roll(&dice, 2) ? "\xef\xbb\xbf" : "",
                     end);
    for (int i = 0; i < ROWS; i++) {
        const bool bad = i > 5 && roll(&dice, rarity) == 0;
        while (roll(&dice, 50) == 0) {
            mien_text_puts(&k.text, end);
            row++;
        }
        const form *f = &forms[bad ? GOOD_FORMS + (int)roll(&dice, FORMS - GOOD_FORMS)
                                   : (int)roll(&dice, GOOD_FORMS)];
        put_row(&k, &dice, f, ++row, i < ROWS - 1 || seed % 2 ? end : "");
    }
    assert_int_equal(k.text.status, MIEN_OK);
    assert_int_equal(mien_file_write(path, k.text.data, k.text.size), MIEN_OK);
    return k;
}

/* Checks the pixels against strtol. */
static void check_pixels(const known *k, const mien_dataset *set) {
    size_t image = 0;
    const char *at = strchr(k->text.data, '\n') + 1;
    for (int row = 0; row < ROWS && image < set->count; row++) {
        while (*at == '\r' || *at == '\n')
            at++;
        const char *numbers = strchr(at, ',') + 1, *end = strchr(at, '\n');
        if (!end) end = at + strlen(at);
        int n = 0;
        bool equal = true;
        for (char *next; n < NUMBERS; numbers = next) {
            while (*numbers == '"')
                numbers++;
            const long v = strtol(numbers, &next, 10);
            if (next == numbers) break;
            equal &= set->pixels[image * NUMBERS + (size_t)n++] == v;
        }
        image += n == NUMBERS && equal;
        at = end;
    }
    assert_int_equal(image, set->count); /* all images found, in the order of the rows */
}

static void malformed_rows(void **state) {
    (void)state;
    for (uint32_t seed = 1; seed <= 4; seed++) {
        known k = make(seed, seed % 2 ? 40 : 400);
        for (size_t t = 0; t < sizeof teams / sizeof teams[0]; t++) {
            mien_text log = {0};
            mien_dataset set;
            char want[200];
            omp_set_num_threads(teams[t]);
            mien_log_sink(collect, &log);
            assert_int_equal(load("skip", SIDE, &set), MIEN_OK);
            mien_log_sink(NULL, NULL);
            assert_int_equal(set.count, k.good);
            assert_int_equal(set.skipped, k.bad);
            assert_true(k.bad > 0);
            for (size_t i = 0; i < k.good; i++)
                assert_int_equal(set.labels[i], k.labels[i]);
            if (t == 0) check_pixels(&k, &set);
            assert_memory_equal(log.data, k.log.data, k.log.size);
            mien_dataset_release(&set);
            mien_text_release(&log);

            assert_int_equal(load("fail", SIDE, &set), MIEN_FORMAT);
            snprintf(want, sizeof want, "'%s': row %lld: ", path, k.first_bad_row);
            assert_non_null(strstr(mien_error_message(), want));
            mien_dataset_release(&set);

            snprintf(want, sizeof want, "skip:%zu", k.bad);
            assert_int_equal(load(want, SIDE, &set), MIEN_OK);
            mien_dataset_release(&set);
            snprintf(want, sizeof want, "skip:%zu", k.bad - 1);
            assert_int_equal(load(want, SIDE, &set), MIEN_FORMAT);
            assert_non_null(strstr(mien_error_message(), "more than "));
            mien_dataset_release(&set);
        }
        mien_text_release(&k.text);
        mien_text_release(&k.log);
    }
}

/* Random bytes from a small alphabet: any outcome is fine if all numbers of threads give it. */
static void noise(void **state) {
    (void)state;
    static const char alphabet[] = "0123456789     ,,\"\n\r\tx.";
    for (uint32_t seed = 1; seed <= 200; seed++) {
        uint32_t dice = seed;
        mien_text text = {0}, first = {0};
        mien_text_puts(&text, "emotion,pixels\n1,");
        for (int i = 0; i < 64; i++)
            mien_text_printf(&text, "%d ", i);
        mien_text_puts(&text, "\n");
        for (uint32_t n = roll(&dice, 3000); n; n--) {
            const uint32_t at = roll(&dice, sizeof alphabet); /* the last one is NUL */
            mien_text_append(&text, &alphabet[at], 1);
        }
        assert_int_equal(mien_file_write(path, text.data, text.size), MIEN_OK);
        for (size_t t = 0; t < sizeof teams / sizeof teams[0]; t++) {
            mien_text log = {0};
            mien_dataset set;
            omp_set_num_threads(teams[t]);
            mien_log_sink(collect, &log);
            const mien_status status = load("skip", 8, &set);
            mien_log_sink(NULL, NULL);
            mien_text_printf(&log, "%d %zu %lld", status, set.count, set.skipped);
            if (t == 0) {
                first = log;
            } else {
                assert_string_equal(first.data, log.data);
                mien_text_release(&log);
            }
            mien_dataset_release(&set);
        }
        mien_text_release(&first);
        mien_text_release(&text);
    }
}

/* A line above 16 MiB is an error that names its row, even with skip; shorter ones are read. */
static void long_lines(void **state) {
    (void)state;
    for (int longer = 0; longer < 2; longer++)
        for (size_t t = 0; t < 2; t++) {
            mien_text text = {0};
            mien_dataset set;
            mien_text_puts(&text, "pixels\n");
            for (int row = 0; row < 3; row++) {
                for (int i = 0; i < 64; i++)
                    mien_text_printf(&text, "%d ", i);
                mien_text_puts(&text, "\n");
            }
            const size_t blanks = (1 << 24) - 64 * 2 + longer;
            const size_t from = text.size;
            for (size_t i = 0; i < blanks; i += 64)
                mien_text_puts(&text, "                                                          "
                                      "      ");
            text.size = from + blanks;
            for (int i = 0; i < 64; i++)
                mien_text_puts(&text, "1 ");
            mien_text_puts(&text, "\n");
            assert_int_equal(mien_file_write(path, text.data, text.size), MIEN_OK);
            mien_text_release(&text);
            omp_set_num_threads(teams[t]);
            const mien_status status = load("skip", 8, &set);
            if (longer) {
                assert_int_equal(status, MIEN_FORMAT);
                assert_non_null(strstr(mien_error_message(), "row 5 is longer than"));
            } else {
                assert_int_equal(status, MIEN_OK);
                assert_int_equal(set.count, 4);
                assert_int_equal(set.pixels[3 * 64 + 63], 1);
            }
            mien_dataset_release(&set);
        }
}

/* A truncated gzip file: the rows before the cut are checked first, then the cut is reported. */
static void cut_gzip(void **state) {
    (void)state;
    char gz[80];
    char *bytes;
    size_t size;
    mien_dataset set;
    char first[MIEN_MESSAGE] = "";
    known k = make(2, 1000000);
    snprintf(gz, sizeof gz, "%s.gz", path);
    gzFile file = gzopen(gz, "wb1");
    assert_int_equal(gzwrite(file, k.text.data, (unsigned)k.text.size), (int)k.text.size);
    gzclose(file);
    assert_int_equal(mien_file_read(gz, 1 << 28, &bytes, &size), MIEN_OK);
    assert_int_equal(mien_file_write(path, bytes, size * 2 / 3), MIEN_OK);
    for (size_t t = 0; t < sizeof teams / sizeof teams[0]; t++) {
        omp_set_num_threads(teams[t]);
        assert_int_equal(load("fail", SIDE, &set), MIEN_FORMAT);
        assert_non_null(strstr(mien_error_message(), "the file is cut short"));
        if (t == 0) snprintf(first, sizeof first, "%s", mien_error_message());
        assert_string_equal(mien_error_message(), first);
        mien_dataset_release(&set);
    }
    assert_null(strstr(first, "row 0"));
    mien_free(bytes);
    mien_text_release(&k.text);
    mien_text_release(&k.log);
    unlink(gz);
}

/* Images of a gzip file that do not fit into memory are refused before they are allocated. */
static void large_gzip(void **state) {
    (void)state;
    enum { IMAGES = 40, INPUT = 4096, LIMIT = 1 << 30 };
    struct rlimit before;
    mien_dataset set;
    if (SANITIZED) skip();
    gzFile file = gzopen(path, "wb1");
    gzputs(file, "emotion,pixels,Usage\n");
    for (int i = 0; i < IMAGES; i++) {
        gzputs(file, "3,0");
        for (int p = 1; p < SIDE * SIDE; p++)
            gzputs(file, " 0");
        gzputs(file, ",Training\n");
    }
    gzclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    const struct rlimit limit = {LIMIT, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    assert_int_equal(mien_dataset_load(path, (mien_image_spec){INPUT, INPUT, 1},
                                       (mien_on_bad){false, -1}, MIEN_MEMORY_AUTO, &set),
                     MIEN_NO_MEMORY);
    assert_non_null(strstr(mien_error_message(), "its first 40 images, at 4096x4096 pixels"));
    assert_non_null(strstr(mien_error_message(), "gunzip it first"));
    mien_dataset_release(&set);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(load("fail", SIDE, &set), MIEN_OK);
    assert_int_equal(set.count, IMAGES);
    mien_dataset_release(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_rows), cmocka_unit_test(noise),
        cmocka_unit_test(long_lines),     cmocka_unit_test(cut_gzip),
        cmocka_unit_test(large_gzip),
    };
    return cmocka_run_group_tests(tests, start, scratch_drop);
}
