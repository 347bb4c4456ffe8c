/* PNG output, drawing, and the report page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/memory.h"
#include "host/image/draw.h"
#include "host/image/encode.h"
#include "host/report/report.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"

static const mien_color white = {255, 255, 255}, black = {0, 0, 0}, red = {200, 30, 10};

static void test_png_round_trip(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        mien_image image, again;
        mien_text png = {0};
        assert_int_equal(mien_canvas_new(37, 11, channels, black, &image), MIEN_OK);
        for (int i = 0; i < 37 * 11 * channels; i++)
            image.pixels[i] = (uint8_t)(i * 7);
        assert_int_equal(mien_image_encode_png(&image, &png), MIEN_OK);
        assert_int_equal(mien_image_decode(png.data, png.size, "a", 0, &again), MIEN_OK);
        assert_int_equal(again.width, 37);
        assert_int_equal(again.height, 11);
        assert_int_equal(again.channels, channels);
        assert_memory_equal(again.pixels, image.pixels, 37 * 11 * (size_t)channels);
        mien_image_release(&image);
        mien_image_release(&again);
        mien_text_release(&png);
    }
}

static void test_drawing_stays_inside(void **state) {
    (void)state;
    mien_image image;
    assert_int_equal(mien_canvas_new(20, 10, 3, white, &image), MIEN_OK);
    mien_draw_box(&image, (mien_rect){2, 2, 10, 6}, 1, red);
    assert_int_equal(image.pixels[(2 * 20 + 2) * 3], 200);
    assert_int_equal(image.pixels[(7 * 20 + 11) * 3], 200);
    assert_int_equal(image.pixels[(3 * 20 + 3) * 3], 255);
    assert_int_equal(image.pixels[(8 * 20 + 11) * 3], 255);
    mien_draw_fill(&image, (mien_rect){-2000000000, -5, 2000000005, 6}, black);
    assert_int_equal(image.pixels[4 * 3], 0);
    assert_int_equal(image.pixels[5 * 3], 255);
    mien_draw_text(&image, -30, -4, 16, black, "W\xc3\xbc\xff reaches over all sides");
    mien_draw_box(&image, (mien_rect){-3, -3, 40, 40}, 90, red);
    assert_int_equal(image.pixels[(9 * 20 + 19) * 3], 200);
    mien_image_release(&image);
}

static void expect_drawn_alike(const char *a, const char *b) {
    mien_image one, two;
    assert_int_equal(mien_canvas_new(90, 20, 1, white, &one), MIEN_OK);
    assert_int_equal(mien_canvas_new(90, 20, 1, white, &two), MIEN_OK);
    mien_draw_text(&one, 2, 2, 16, black, a);
    mien_draw_text(&two, 2, 2, 16, black, b);
    assert_memory_equal(one.pixels, two.pixels, 90 * 20);
    mien_image_release(&one);
    mien_image_release(&two);
}

static void test_accented_letters(void **state) {
    (void)state;
    expect_drawn_alike("fröhlich", "frohlich");
    expect_drawn_alike("ÀßéøñÿÞ", "AseonyT");
    expect_drawn_alike("łĀžőœŒſ", "lAzooOs");
    expect_drawn_alike("×÷喜я", "\x01\x01\x01\x01");                /* boxes */
    expect_drawn_alike("\xc1\xa1\xe0\x83\xbc\xff", "\x01\x01\x01"); /* not UTF-8 */
}

static void test_text_is_cut_to_fit(void **state) {
    (void)state;
    char out[96], tiny[4];
    mien_text_fit("happy", 16, 400, out, sizeof out);
    assert_string_equal(out, "happy");
    mien_text_fit("a very long name", 16, 60, out, sizeof out);
    assert_true(mien_text_width(out, 16) <= 60 && strstr(out, ".."));
    mien_text_fit("happy", 16, 400, tiny, sizeof tiny);
    assert_true(strlen(tiny) < sizeof tiny);
}

/* The report page for `n` predictions; the caller frees it. */
static char *page_of_answers(const mien_report_head *head, const float *p, const uint16_t *labels,
                             size_t n, int classes, const char (*names)[64]) {
    mien_metrics metrics;
    char *page;
    size_t size;
    assert_int_equal(mien_metrics_compute(p, labels, n, classes, &metrics), MIEN_OK);
    mien_analysis analysis;
    assert_int_equal(mien_analysis_compute(p, labels, n, classes, &metrics, &analysis), MIEN_OK);
    const mien_report report = {
        .metrics = &metrics, .analysis = &analysis, .names = names, .head = head};
    assert_int_equal(mien_report_write(&report, scratch), MIEN_OK);
    mien_analysis_release(&analysis);
    assert_int_equal(mien_file_read(scratch_path("report.html"), 1 << 24, &page, &size), MIEN_OK);
    mien_metrics_release(&metrics);
    return page;
}

static char *page_of(int classes, const char (*names)[64]) {
    const float share = 1.0f / (float)classes;
    float *p = calloc((size_t)classes * (size_t)classes * 3, sizeof *p);
    uint16_t *labels = calloc((size_t)classes * 3, sizeof *labels);
    for (int i = 0; i < classes * 3; i++) {
        labels[i] = (uint16_t)(i % classes);
        for (int k = 0; k < classes; k++)
            p[i * classes + k] = share * 0.5f;
        p[i * classes + (i < classes ? (i + 1) % classes : i % classes)] += 0.5f;
    }
    char model[128];
    snprintf(model, sizeof model, "%s/m.h5", scratch);
    const char *warnings[] = {"these are <b>the data</b>"};
    mien_subgroup rows[] = {{"<img src=x>", 5, 0.4, 0.3, 0.1, 0.7, 0.5}};
    mien_subgroup_table table = {"<u>age", rows, 1};
    const mien_subgroups groups = {&table, 1};
    const mien_report_head head = {.model = model,
                                   .data = "a&b.csv",
                                   .split = "test",
                                   .sha256 = "00",
                                   .warnings = warnings,
                                   .warning_count = 1,
                                   .seconds = 1,
                                   .groups = &groups};
    char *page = page_of_answers(&head, p, labels, (size_t)classes * 3, classes, names);
    free(p);
    free(labels);
    return page;
}

static void test_report_page(void **state) {
    (void)state;
    static const char names[7][64] = {"<script>alert(1)</script>",
                                      "disgust' onload='x",
                                      "fear",
                                      "happy and of a very very long name",
                                      "sad",
                                      "surprise",
                                      "neutral"};
    char *page = page_of(7, names);
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "' onload='"));
    assert_null(strstr(page, "<b>the data"));
    assert_null(strstr(page, "<img"));
    assert_null(strstr(page, "<u>"));
    assert_non_null(strstr(page, "Group by group"));
    assert_null(strstr(page, "http://"));
    assert_null(strstr(page, "https://"));
    assert_non_null(strstr(page, "66.7 %"));
    assert_non_null(strstr(page, "14 of 21"));
    assert_non_null(
        strstr(page, "45.4 to 82.8&nbsp;%")); /* binomtest(14, 21).proportion_ci(method="wilson") */
    assert_non_null(strstr(page, "style='--share:0.667'>0.667<"));
    assert_non_null(strstr(page, "calc((100% - .8rem)*var(--share))")); /* a gap between bars */
    assert_non_null(
        strstr(page, ">happy an…ng name<")); /* long names keep both ends in the matrix */
    mien_free(page);
    static char many[30][64];
    for (int i = 0; i < 30; i++)
        snprintf(many[i], 64, "class number %d", i);
    mien_free(page_of(30, (const char(*)[64])many));
    const mien_report none = {0};
    assert_int_equal(mien_report_write(&none, scratch_path("report.html")),
                     MIEN_IO); /* the path is a file */
}

/* With few pictures the page must not present a figure as exact. */
static void test_report_of_few_pictures(void **state) {
    (void)state;
    static const char names[2][64] = {"yes", "no"};
    static const float sure[] = {1, 0, 1, 0, 1, 0};
    static const struct {
        uint16_t labels[3];
        size_t n;
        const char *range;
    } rows[] = {{{0}, 1, "20.7 to 100.0&nbsp;%"},
                {{1}, 1, "0.0 to 79.3&nbsp;%"},
                {{1, 0, 0}, 3, "20.8 to 93.9&nbsp;%"}};
    const mien_report_head head = {.model = "m.h5", .data = "d", .split = "test", .sha256 = "00"};
    for (int i = 0; i < 3; i++) {
        char *page = page_of_answers(&head, sure, rows[i].labels, rows[i].n, 2, names);
        assert_non_null(strstr(page, rows[i].range));
        assert_null(strstr(page, "±"));
        mien_free(page);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_round_trip),
        cmocka_unit_test(test_drawing_stays_inside),
        cmocka_unit_test(test_accented_letters),
        cmocka_unit_test(test_text_is_cut_to_fit),
        cmocka_unit_test_setup_teardown(test_report_page, scratch_make, scratch_drop),
        cmocka_unit_test_setup_teardown(test_report_of_few_pictures, scratch_make, scratch_drop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
