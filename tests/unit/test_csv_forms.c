/* Csv files of faces as people make them: separators, labels, parts and encodings. */
#include <stdio.h>
#include <string.h>

#include "host/data/dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

enum { SIDE = 8, ROWS = 9 };

static const mien_on_bad fail_at_once = {false, -1}, skip_all = {true, -1};
static const mien_image_spec spec = {SIDE, SIDE, 1};
static char path[64];

static int start(void **state) {
    if (scratch_make(state)) return 1;
    snprintf(path, sizeof path, "%s/a.csv", scratch);
    scratch_listen();
    return 0;
}

/* Writes a.csv with a row for each of `labels`; row i has pixels of i. */
static void put(const char *header, char separator, const char *const *labels, int count,
                const char *usage) {
    mien_text text = {0};
    mien_text_printf(&text, "%s\n", header);
    for (int i = 0; i < count; i++) {
        mien_text_printf(&text, "%s%c", labels[i], separator);
        for (int k = 0; k < SIDE * SIDE; k++)
            mien_text_printf(&text, "%s%d", k ? " " : "", i % 256);
        if (usage) mien_text_printf(&text, "%c%s", separator, usage);
        mien_text_puts(&text, "\n");
    }
    scratch_put_text("a.csv", &text);
}

static mien_dataset load(mien_on_bad on_bad, mien_memory memory) {
    mien_dataset set;
    if (mien_dataset_load(path, spec, on_bad, memory, &set) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    return set;
}

static void refuse(mien_status status, const char *part) {
    mien_dataset set;
    assert_int_equal(mien_dataset_load(path, spec, fail_at_once, MIEN_MEMORY_AUTO, &set), status);
    expect_in_message(part);
    mien_dataset_release(&set);
}

/* The classes, and the class and pixels of every row; releases the set. */
static void expect(mien_dataset *set, const char *classes, const char *labels) {
    mien_text names = {0};
    uint8_t pixels[ROWS * SIDE * SIDE];
    for (int k = 0; k < set->classes; k++)
        mien_text_printf(&names, "%s%s", k ? " " : "", set->class_names[k]);
    assert_string_equal(names.data, classes);
    mien_text_release(&names);
    assert_int_equal(set->count, strlen(labels));
    assert_int_equal(mien_dataset_read(set, NULL, set->streamed ? set->count : 0, pixels), MIEN_OK);
    for (size_t i = 0; i < set->count; i++) {
        assert_int_equal(set->labels[i], labels[i] - '0');
        const uint8_t *image =
            set->streamed ? pixels + i * SIDE * SIDE : mien_dataset_image(set, i);
        assert_int_equal(image[SIDE], set->row[i]);
    }
    mien_dataset_release(set);
}

#define SEVEN "angry disgust fear happy sad surprise neutral"
static const char *const numbers[] = {"3", "0", "6", "5", "1", "2", "4"};

static void separators(void **state) {
    (void)state;
    static const struct {
        const char *header;
        char separator;
    } forms[] = {{"emotion;pixels;Usage", ';'},
                 {"emotion\tpixels\tUsage", '\t'},
                 {"label,pixels,split", ','},
                 {"\"emotion\";\"pixels\";\"Usage\"", ';'}};
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++)
        for (mien_memory memory = MIEN_MEMORY_RESIDENT; memory <= MIEN_MEMORY_STREAM; memory++) {
            put(forms[f].header, forms[f].separator, numbers, 7, "PublicTest");
            mien_dataset set = load(fail_at_once, memory);
            assert_int_equal(set.usage[3], MIEN_VAL);
            expect(&set, SEVEN, "3065124");
        }
}

static void numeric_labels(void **state) {
    (void)state;
    static const char *const decimals[] = {"3.0", "0.", "6.00", "5"};
    put("emotion,pixels", ',', decimals, 4, NULL);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, SEVEN, "3065");
    static const char *const comma[] = {"3,0", "0,0"};
    put("emotion;pixels", ';', comma, 2, NULL);
    set = load(fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, SEVEN, "30");
    static const char *const eight[] = {"3", "7", "6"};
    put("emotion,pixels,Usage", ',', eight, 3, "Training");
    set = load(fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, SEVEN " contempt", "376");
    expect_in(said.data, "label 7 is read as contempt");
    static const char *const half[] = {"3", "2.5"};
    put("emotion,pixels", ',', half, 2, NULL);
    refuse(MIEN_FORMAT, "row 3: the emotion is not a number");
    static const char *const nine[] = {"3", "9999"};
    put("emotion,pixels", ',', nine, 2, NULL);
    refuse(MIEN_FORMAT, "row 3: the emotion 9999 is not one of 0 to 7");
}

static void words(void **state) {
    (void)state;
    static const char *const emotions[] = {"Sadness", "happy", "sad", "Anger", "Happiness"};
    for (mien_memory memory = MIEN_MEMORY_RESIDENT; memory <= MIEN_MEMORY_STREAM; memory++) {
        put("emotion,pixels", ',', emotions, 5, NULL);
        mien_dataset set = load(fail_at_once, memory);
        expect(&set, "angry happy sad", "21201");
    }
    static const char *const others[] = {"tired", "\"calm\"", "happy", "calm"};
    put("emotion,pixels", ',', others, 4, NULL);
    mien_dataset set = load(fail_at_once, MIEN_MEMORY_AUTO);
    expect(&set, "calm happy tired", "2010");
    expect_in(said.data, "the emotions are words: 3 classes");
    /* a damaged first row does not decide what the others are */
    static const char *const first[] = {"x", "3", "0"};
    put("emotion,pixels", ',', first, 3, NULL);
    set = load(skip_all, MIEN_MEMORY_AUTO);
    expect(&set, SEVEN, "30");
    static const char *const mixed[] = {"happy", "sad", "3", ""};
    put("emotion,pixels", ',', mixed, 4, NULL);
    refuse(MIEN_FORMAT, "row 4: the emotion is not a word");
    set = load(skip_all, MIEN_MEMORY_AUTO);
    assert_int_equal(set.skipped, 2);
    expect(&set, "happy sad", "01");
}

static void many_classes(void **state) {
    (void)state;
    static char names[10000][16];
    static const char *list[10000];
    for (int i = 0; i < 10000; i++) {
        snprintf(names[i], sizeof names[i], "id%d", i);
        list[i] = names[i];
    }
    put("emotion,pixels", ',', list, 10000, NULL);
    refuse(MIEN_UNSUPPORTED, "one more label than the 4096 classes");
}

static void parts(void **state) {
    (void)state;
    static const struct {
        const char *word;
        int part;
    } known[] = {{"TRAIN", MIEN_TRAIN},   {"val", MIEN_VAL}, {"Validation", MIEN_VAL},
                 {"test", MIEN_TEST},     {"dev", MIEN_VAL}, {"Testing", MIEN_TEST},
                 {"training", MIEN_TRAIN}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        put("emotion,pixels,Usage", ',', numbers, 1, known[i].word);
        mien_dataset set = load(fail_at_once, MIEN_MEMORY_AUTO);
        assert_int_equal(set.usage[0], known[i].part);
        mien_dataset_release(&set);
    }
    put("emotion,pixels,Usage", ',', numbers, 1, "fold1");
    refuse(MIEN_FORMAT, "row 2: the usage is not");
}

static void encodings(void **state) {
    (void)state;
    static const char little[] = "\xff\xfe"
                                 "e\0m\0o\0t\0i\0o\0n\0,\0p\0i\0x\0\n\0";
    scratch_put("a.csv", little, sizeof little);
    refuse(MIEN_UNSUPPORTED, "UTF-16 or not text: save it as UTF-8");
    scratch_put("a.csv", "\0e\0m\0o\0t\0i\0o\0n\0\n", 16);
    refuse(MIEN_UNSUPPORTED, "UTF-16");
    scratch_put("a.csv", "emotion,pixels\r3,1 2\r4,5 6\r\n", 28);
    refuse(MIEN_UNSUPPORTED, "carriage return alone");
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, start, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(separators),   IN_SCRATCH(numeric_labels), IN_SCRATCH(words),
        IN_SCRATCH(many_classes), IN_SCRATCH(parts),          IN_SCRATCH(encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
