/* Prediction files of other programs: what is read, and one message for what is not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "host/base/clock.h"
#include "host/base/memory.h"
#include "host/eval/metrics.h"
#include "host/eval/scores_file.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static mien_scores take(const char *text) {
    mien_scores s;
    scratch_put("p.csv", text, strlen(text));
    expect_ok(mien_scores_read(scratch_path("p.csv"), &s));
    return s;
}

static void expect_names(const mien_scores *s, const char *const *names, int count) {
    assert_int_equal(s->classes, count);
    for (int k = 0; k < count; k++)
        assert_string_equal(s->names[k], names[k]);
}

/* Columns in another order, quoted names, a byte order mark, CRLF, an empty line, no last newline.
 */
static void columns(void **state) {
    (void)state;
    static const char *const names[] = {"happy", "sad, or not", "say \"a\""};
    mien_scores s = take("\xef\xbb\xbfhappy,file,\"sad, or not\",label,\"say \"\"a\"\"\",row\r\n"
                         "0.5,\"a,b.jpg\",0.25,\"sad, or not\",.25,7\r\n\r\n"
                         " 1e-3 ,c.jpg,0.999,happy, 0,8");
    expect_names(&s, names, 3);
    assert_int_equal(s.n, 2);
    assert_true(s.has_scores);
    assert_int_equal(s.labels[0], 1);
    assert_int_equal(s.labels[1], 0);
    static const float want[] = {0.5f, 0.25f, 0.25f, 1e-3f, 0.999f, 0};
    assert_memory_equal(s.probabilities, want, sizeof want);
    assert_string_equal(s.ids[0], "a,b.jpg");
    assert_string_equal(s.ids[1], "c.jpg");
    mien_scores_release(&s);
}

/* A label is a name or an index; a name that is a number comes first. */
static void indices(void **state) {
    (void)state;
    mien_scores s = take("row,label,a,b\n5,1,0.5,0.5\n6,b,0.5,0.5\n7,0,1,0\n");
    assert_int_equal(s.labels[0], 1);
    assert_int_equal(s.labels[1], 1);
    assert_int_equal(s.labels[2], 0);
    assert_string_equal(s.ids[2], "7");
    mien_scores_release(&s);
    s = take("label,1,0\n1,0.5,0.5\n0,0.5,0.5\n");
    assert_int_equal(s.labels[0], 0);
    assert_int_equal(s.labels[1], 1);
    assert_null(s.ids);
    mien_scores_release(&s);
}

static void predictions_alone(void **state) {
    (void)state;
    static const char *const words[] = {"angry", "happy", "sad"}, *const numbers[] = {"2", "10"};
    mien_scores s = take("label,prediction\nsad,happy\nhappy,happy\nangry,sad\n");
    expect_names(&s, words, 3);
    assert_false(s.has_scores);
    static const float want[] = {0, 1, 0, 0, 1, 0, 0, 0, 1};
    static const uint16_t labels[] = {2, 1, 0};
    assert_memory_equal(s.probabilities, want, sizeof want);
    assert_memory_equal(s.labels, labels, sizeof labels);
    mien_scores_release(&s);
    s = take("prediction,label\n10,2\n2,2\n");
    expect_names(&s, numbers, 2);
    assert_int_equal(s.labels[0], 0);
    assert_true(s.probabilities[1] == 1);
    mien_scores_release(&s);
}

/* A prediction may differ from the best score as far as few digits make it. */
static void rounded_scores(void **state) {
    (void)state;
    mien_scores s = take("label,prediction,a,b\na,b,0.5004,0.4999\nb,1,0.3,0.7\n");
    assert_int_equal(s.n, 2);
    mien_scores_release(&s);
}

static void refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "' is empty"},
        {"\n\n", "' is empty"},
        {"label,a,b\n", "has no rows after its first line"},
        {"a,b\n1,0\n", "has no column 'label'"},
        {"label;a;b\na;1;0\n", "separated by commas"},
        {"label\na\n", "neither a column for each class nor a column 'prediction'"},
        {"label,a\na,1\n", "one class, 'a', alone"},
        {"label,prediction\na,a\na,a\n", "one class, 'a', alone"},
        {"label,a,b,a\na,1,0,0\n", "two columns 'a'"},
        {"label,label,a,b\na,a,1,0\n", "two columns 'label'"},
        {"label,,b\nb,1,0\n", "line 1: the name of a class has 1 to 63 bytes, not 0"},
        {"label,a,b\na,1,0\nc,1,0\n", "line 3: the label 'c' is none of the file's classes, which "
                                      "are the columns a, b"},
        {"label,a,b\n2,1,0\n", "line 2: the label '2' is none"},
        {"label,a,b\n-1,1,0\n", "line 2: the label '-1' is none"},
        {"label,a,b\n,1,0\n", "line 2: the label is empty"},
        {"label,a,b\na,1,0\na,nan,0\n", "line 3: the score of 'a' is nan"},
        {"label,a,b\na,1,0\na,1,-inf\n", "line 3: the score of 'b' is -inf"},
        {"label,a,b\na,1,1e99\n", "line 2: the score of 'b' is 1e99"},
        {"label,a,b\na,x,1\n", "line 2: 'x' in column 'a' is no number"},
        {"label,a,b\na,,1\n", "line 2: '' in column 'a' is no number"},
        {"label,a,b\na,0.5,0.5\na,1.5,-0.5\n",
         "line 3: the scores are no probabilities (one is -0.5)"},
        {"label,a,b\na,0.6,0.5\n", "line 2: the scores are no probabilities (their sum is 1.1): "
                                   "apply the softmax"},
        {"label,a,b\na,1\n", "line 2 has 2 fields, but the first line has 3"},
        {"label,a,b\na,1,0,0\n", "line 2 has 4 fields"},
        {"label,a,b\n\"a,1,0\n", "line 2: a quoted field does not end"},
        {"label,a,b\n\"a\"b,1,0\n", "line 2: a quoted field does not end"},
        {"label,prediction,a,b\na,b,0.9,0.1\n", "line 2: the prediction is 'b', but 'a' has the "
                                                "highest score"},
        {"label,prediction,a,b\na,c,0.9,0.1\n", "line 2: the prediction 'c' is none"},
        {"label,prediction\na,\n", "line 2: the prediction is empty"},
    };
    mien_scores s;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scratch_put("p.csv", cases[i].text, strlen(cases[i].text));
        assert_int_equal(mien_scores_read(scratch_path("p.csv"), &s), MIEN_FORMAT);
        expect_in_message(cases[i].message);
        expect_in_message("p.csv");
        mien_scores_release(&s);
    }
    scratch_put("p.csv", "label,a,b\na,1\0,0\n", 18);
    assert_int_equal(mien_scores_read(scratch_path("p.csv"), &s), MIEN_FORMAT);
    expect_in_message("line 2 contains a NUL byte");
    mien_scores_release(&s);
    assert_int_equal(mien_scores_read("no/such.csv", &s), MIEN_NOT_FOUND);
    mien_scores_release(&s);
    char name[80];
    memset(name, 'x', sizeof name);
    memcpy(name, "label,b,", 8);
    scratch_put("p.csv", name, sizeof name);
    assert_int_equal(mien_scores_read(scratch_path("p.csv"), &s), MIEN_FORMAT);
    expect_in_message("1 to 63 bytes, not 72");
    mien_scores_release(&s);
}

static void hundred_classes(void **state) {
    (void)state;
    mien_text text = {0};
    mien_text_puts(&text, "label");
    for (int k = 0; k < 100; k++)
        mien_text_printf(&text, ",class %d", k);
    for (int i = 0; i < 300; i++) {
        mien_text_printf(&text, "\nclass %d", i % 100);
        for (int k = 0; k < 100; k++)
            mien_text_puts(&text, k == (7 * i) % 100 ? ",0.505" : ",0.005");
    }
    mien_scores s = take(text.data);
    mien_metrics m;
    assert_int_equal(s.classes, 100);
    assert_int_equal(s.n, 300);
    assert_int_equal(s.labels[299], 99);
    assert_true(s.probabilities[299 * 100 + 93] == 0.505f);
    expect_ok(mien_metrics_compute(s.probabilities, s.labels, s.n, s.classes, &m));
    assert_int_equal(m.correct, 6); /* i = 7 i mod 100 */
    mien_metrics_release(&m);
    mien_scores_release(&s);
    mien_text_release(&text);
}

/* Read in one pass: the memory is that of the result. Also gzipped. */
static void many_rows(void **state) {
    (void)state;
    enum { ROWS = 300000 };
    char line[128];
    const char *path = scratch_path("many.csv.gz");
    gzFile file = gzopen(path, "wb1");
    assert_non_null(file);
    gzputs(file, "file,label,prediction,angry,disgust,fear,happy,sad,surprise,neutral\n");
    for (int i = 0; i < ROWS; i++) {
        snprintf(line, sizeof line,
                 "test/%08d.jpg,%s,happy,0.0625,0.125,0.0625,0.5,0.125,0.0625,"
                 "0.0625\n",
                 i, i % 3 ? "happy" : "neutral");
        gzputs(file, line);
    }
    assert_int_equal(gzclose(file), Z_OK);
    const uint64_t before = mien_peak_memory();
    const double start = mien_seconds();
    mien_scores s;
    expect_ok(mien_scores_read(path, &s));
    const double mib = (double)(mien_peak_memory() - before) / 1048576;
    print_message("# %d rows in %.2f s, %.0f MiB\n", ROWS, mien_seconds() - start, mib);
    assert_int_equal(s.n, ROWS);
    assert_string_equal(s.ids[ROWS - 1], "test/00299999.jpg");
    assert_true(s.labels[ROWS - 1] == 3 && s.labels[ROWS - 3] == 6);
    assert_true(s.probabilities[7 * (ROWS - 1) + 3] == 0.5f);
#ifndef __SANITIZE_ADDRESS__
    assert_true(mib < 60); /* 200 MB for a million rows */
#endif
    mien_scores_release(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns),           cmocka_unit_test(indices),
        cmocka_unit_test(predictions_alone), cmocka_unit_test(rounded_scores),
        cmocka_unit_test(refusals),          cmocka_unit_test(hundred_classes),
        cmocka_unit_test(many_rows)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
