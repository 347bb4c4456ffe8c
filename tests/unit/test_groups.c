/* Subgroups: the csv that defines them, and a model's metrics on each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/data/groups.h"
#include "host/data/merge.h"
#include "host/eval/subgroups.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_pictures.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE };

static const mien_on_bad strict = {false, -1}, skip_all = {true, -1};
static const mien_image_spec spec = {SIDE, SIDE, 1};

static int start(void **state) {
    scratch_listen();
    return scratch_make(state);
}

static void put_picture(const char *name) {
    uint8_t pixels[PIXELS];
    mien_text file = {0};
    made_pixels(pixels, SIDE, SIDE, 1, 1);
    made_pgm(pixels, SIDE, SIDE, &file);
    scratch_put_text(name, &file);
}

/* Four pictures, of which fear/b.pgm is damaged: the samples are fear/a, joy/c, joy/d. */
static mien_dataset load_folder(mien_memory memory) {
    mien_dataset set;
    put_picture("d/fear/a.pgm");
    scratch_put("d/fear/b.pgm", "no", 2);
    put_picture("d/joy/c.pgm");
    put_picture("d/joy/d.pgm");
    assert_int_equal(mien_dataset_load(scratch_path("d"), spec, skip_all, memory, &set), MIEN_OK);
    assert_int_equal(set.count, 3);
    return set;
}

/* Five rows, of which the second is damaged: the samples are rows 0, 2, 3, 4. */
static mien_dataset load_csv(void) {
    mien_dataset set;
    mien_text text = {0};
    mien_text_puts(&text, "emotion,pixels\n");
    for (int i = 0; i < 5; i++) {
        mien_text_printf(&text, "%d,", i);
        for (int p = 0; p < PIXELS; p++)
            mien_text_puts(&text, i == 1 && p == 3 ? "x " : "7 ");
        mien_text_puts(&text, "\n");
    }
    scratch_put_text("faces.csv", &text);
    assert_int_equal(
        mien_dataset_load(scratch_path("faces.csv"), spec, skip_all, MIEN_MEMORY_RESIDENT, &set),
        MIEN_OK);
    assert_int_equal(set.count, 4);
    return set;
}

static mien_groups read_good(const mien_dataset *set, const char *text) {
    mien_groups groups;
    scratch_put("g.csv", text, strlen(text));
    if (mien_groups_read(set, scratch_path("g.csv"), &groups) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    return groups;
}

static void expect_group(const mien_groups *g, int column, size_t sample, const char *value) {
    assert_string_equal(g->columns[column].values[g->columns[column].of[sample]], value);
}

static void files(void **state) {
    (void)state;
    for (int memory = MIEN_MEMORY_RESIDENT; memory <= MIEN_MEMORY_STREAM; memory++) {
        mien_dataset set = load_folder((mien_memory)memory);
        mien_groups g = read_good(&set, "\xef\xbb\xbf"
                                        "File,age,\"said \"\"so\"\"\"\r\n"
                                        "./joy/d.pgm,\"10, or\"\" more\",\r\n"
                                        "\r\n"
                                        "\"fear/a.pgm\",20,\"x\"\r\n"
                                        "fear/gone.pgm,20,x\n"
                                        "gone/too.pgm,30,\"x\"");
        assert_int_equal(g.count, 2);
        assert_string_equal(g.columns[0].name, "age");
        assert_string_equal(g.columns[1].name, "said \"so\"");
        expect_group(&g, 0, 0, "20");
        expect_group(&g, 0, 1, "(none)");
        expect_group(&g, 0, 2, "10, or\" more");
        expect_group(&g, 1, 0, "x");
        expect_group(&g, 1, 1, "(none)");
        expect_group(&g, 1, 2, "(none)");
        assert_non_null(strstr(said.data, "2 of its lines name no image"));
        assert_non_null(strstr(said.data, "'fear/gone.pgm' in line 5"));
        mien_groups_release(&g);
        mien_dataset_release(&set);
        mien_text_release(&said);
        said = (mien_text){0};
    }
}

/* After samples were removed from a set, files and rows still match the right ones. */
static void removed_samples(void **state) {
    (void)state;
    mien_dataset set = load_folder(MIEN_MEMORY_RESIDENT);
    assert_int_equal(mien_dataset_keep(&set, (const bool[]){false, true, true}), MIEN_OK);
    mien_groups g = read_good(&set, "file,g\njoy/c.pgm,one\njoy/d.pgm,two\n");
    expect_group(&g, 0, 0, "one");
    expect_group(&g, 0, 1, "two");
    mien_groups_release(&g);
    mien_dataset_release(&set);
    set = load_csv();
    assert_int_equal(mien_dataset_keep(&set, (const bool[]){true, false, true, true}), MIEN_OK);
    g = read_good(&set, "row,g\n0,one\n1,bad\n2,left out\n3,two\n004,one\n");
    assert_int_equal(set.count, 3);
    expect_group(&g, 0, 0, "one");
    expect_group(&g, 0, 1, "two");
    expect_group(&g, 0, 2, "one");
    assert_null(strstr(said.data, "name no image"));
    mien_groups_release(&g);
    mien_dataset_release(&set);
}

static void refuse(const mien_dataset *set, const char *text, size_t size, const char *part) {
    mien_groups groups;
    scratch_put("g.csv", text, size);
    if (mien_groups_read(set, scratch_path("g.csv"), &groups) == MIEN_OK)
        fail_msg("taken: %.200s", text);
    expect_in_message(part);
    mien_groups_release(&groups);
}

static void damaged(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "begins with 'file,'"},
        {"\n\n", "begins with 'file,'"},
        {"row\n0\n", "begins with 'file,'"},
        {"age,row\n1,0\n", "begins with 'file,'"},
        {"row,a,\n0,1,2\n", "column 3 has no name"},
        {"row,a,a\n0,1,2\n", "two columns are called 'a'"},
        {"row,a\n0,1\n2\n", "line 3 has 1 fields, the first line 2"},
        {"row,a\n0,1,2\n", "line 2 has 3 fields"},
        {"row,a\n-1,x\n", "line 2: '-1' is not a row"},
        {"row,a\n,x\n", "line 2: '' is not a row"},
        {"row,a\n0,x\n\n0,y\n", "line 4 names '0' a second time"},
        {"row,a\n99999999999999999999999,x\n5,y\n", "names no image of"},
        {"row,a\n", "names no image"},
        {"row,a\n0,\"x\n2,y\n", "a quote that line 2 opens"},
        {"row,a\n0,\"x\"y\n", "line 2: text follows a closing quote"},
        {"row,a\n0,\"x\ny\"\n", "line 2: a name holds a control character"},
        {"row,a\n0,x\x1b[2J\n", "line 2: a name holds a control character"},
        {"file,a\nx.jpg,1\n", "is not a folder of pictures"},
        {"row,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n", "more than 16 columns"},
        {"row,a\n0,0123456789012345678901234567890123456789012345678901234567890123\n",
         "longer than 63 bytes"},
        {"row,0123456789012345678901234567890123456789012345678901234567890123\n0,1\n",
         "longer than 63 bytes"},
    };
    mien_dataset set = load_csv();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(&set, cases[i][0], strlen(cases[i][0]), cases[i][1]);
    refuse(&set, "row,a\n0,x\0y\n", 12, "contains NUL bytes");
    mien_text many = {0};
    mien_text_puts(&many, "row,a\n");
    for (int i = 0; i < 65; i++)
        mien_text_printf(&many, "%d,v%d\n", i, i);
    refuse(&set, many.data, many.size, "line 66: 'v64' is the 65th value of the column 'a'");
    many.size = 0;
    mien_text_puts(&many, "row,a\n0,x");
    for (int i = 0; i < 64; i++)
        mien_text_puts(&many, ",");
    refuse(&set, many.data, many.size, "line 2 has more than 64 fields");
    mien_text_release(&many);
    mien_dataset_release(&set);
}

static void bounds(void **state) {
    (void)state;
    mien_dataset set = load_csv();
    mien_text full = {0};
    mien_text_puts(&full, "row,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,last\n");
    for (int i = 0; i < 64; i++)
        mien_text_printf(&full, "%d,,,,,,,,,,,,,,,,v%d\n", i, i);
    mien_groups g = read_good(&set, full.data);
    assert_int_equal(g.count, 16);
    expect_group(&g, 15, 3, "v4");
    expect_group(&g, 14, 3, "(none)");
    mien_groups_release(&g);
    mien_text_release(&full);
    mien_dataset_release(&set);
}

static void sources_without_an_order(void **state) {
    (void)state;
    mien_dataset set;
    assert_int_equal(mien_dataset_load("sample", spec, strict, MIEN_MEMORY_STREAM, &set), MIEN_OK);
    refuse(&set, "row,a\n0,x\n", 10, "'sample' has no order of rows");
    mien_dataset_release(&set);
    set = load_folder(MIEN_MEMORY_RESIDENT);
    refuse(&set, "row,a\n0,x\n", 10, "has no order of rows");
    mien_dataset_release(&set);
    set = load_csv();
    mien_dataset_release(&set);
    const char *both[] = {"sample", scratch_path("faces.csv")};
    assert_int_equal(mien_dataset_merge(both, 2, spec, skip_all, MIEN_MEMORY_RESIDENT, NULL, &set),
                     MIEN_OK);
    refuse(&set, "row,a\n0,x\n", 10, "has no order of rows");
    refuse(&set, "file,a\n0,x\n", 11, "is not a folder of pictures");
    mien_dataset_release(&set);
}

/* Six samples of two classes; sample 1 of the set is not evaluated. */
static void figures(void **state) {
    (void)state;
    static uint8_t of[7] = {1, 3, 1, 1, 2, 2, 0};
    mien_group_column column = {.name = "age", .count = 4, .of = of};
    strcpy(column.values[0], "(none)");
    strcpy(column.values[1], "young");
    strcpy(column.values[2], "old");
    strcpy(column.values[3], "not here");
    const mien_groups groups = {&column, 1};
    const uint32_t samples[] = {0, 2, 3, 4, 5, 6};
    const float p[] = {.9f, .1f, .2f, .8f, .7f, .3f, .4f, .6f, .1f, .9f, .8f, .2f};
    const uint16_t labels[] = {0, 1, 1, 1, 1, 1};
    mien_subgroups got;
    assert_int_equal(mien_subgroups_compute(&groups, samples, p, labels, 6, 2, &got), MIEN_OK);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.tables[0].column, "age");
    assert_int_equal(got.tables[0].count, 3);
    const mien_subgroup *rows = got.tables[0].rows;
    assert_string_equal(rows[0].name, "young"); /* 2 of 3; both classes have F1 2/3 */
    assert_int_equal(rows[0].n, 3);
    assert_float_equal(rows[0].accuracy, 2.0 / 3, 1e-9);
    assert_float_equal(rows[0].macro_f1, 2.0 / 3, 1e-9);
    assert_string_equal(rows[1].name, "old"); /* has one class only: the other does not count */
    assert_int_equal(rows[1].n, 2);
    assert_float_equal(rows[1].macro_f1, 1, 1e-9);
    assert_string_equal(rows[2].name, "(none)");
    assert_int_equal(rows[2].n, 1);
    assert_float_equal(rows[2].accuracy, 0, 1e-9);
    mien_text text = {0};
    mien_json json = {.text = &text};
    mien_json_open(&json, NULL, '{');
    mien_subgroups_json(&got, &json);
    mien_json_close(&json, '}');
    assert_non_null(strstr(text.data, "\"groups\""));
    assert_non_null(strstr(text.data, "\"macro_f1\""));
    mien_text_release(&text);
    mien_subgroups_release(&got);
    assert_int_equal(mien_subgroups_compute(&(mien_groups){0}, samples, p, labels, 6, 2, &got),
                     MIEN_OK);
    assert_int_equal(got.count, 0);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, start, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(files),  IN_SCRATCH(removed_samples),          IN_SCRATCH(damaged),
        IN_SCRATCH(bounds), IN_SCRATCH(sources_without_an_order), cmocka_unit_test(figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
