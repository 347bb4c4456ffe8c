/* The charts of reports: ranges, ticks, names, gaps, and bad numbers. */
#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/report/heatmap.h"
#include "host/report/page.h"
#include "host/report/plot.h"

static size_t count_of(const char *text, const char *word) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

static void draw(const mien_plot *plot, mien_svg_kind kind, mien_text *out) {
    *out = (mien_text){0};
    mien_plot_svg(plot, kind, out);
    assert_int_equal(out->status, MIEN_OK);
    if (!out->size) return;
    /* whatever the numbers are, the picture holds none that a renderer cannot read */
    assert_null(strstr(out->data, "nan"));
    assert_null(strstr(out->data, "inf"));
    assert_int_equal(count_of(out->data, "<svg"), 1);
    assert_non_null(strstr(out->data, "</svg>\n"));
}

static void test_ticks_are_round(void **state) {
    const double x[] = {0.037, 0.93}, y[] = {1.17, 4.81};
    const mien_series line = {.name = "line", .x = x, .y = y, .count = 2};
    const mien_plot plot = {.title = "t",
                            .x = {.label = "x", .percent = true},
                            .y = {.label = "y"},
                            .series = &line,
                            .count = 1};
    mien_text svg;
    (void)state;
    draw(&plot, MIEN_SVG_INLINE, &svg);
    assert_non_null(strstr(svg.data, ">0 %<"));
    assert_non_null(strstr(svg.data, ">20 %<"));
    assert_non_null(strstr(svg.data, ">100 %<"));
    assert_null(strstr(svg.data, ">120 %<"));
    assert_non_null(strstr(svg.data, ">1<"));
    assert_non_null(strstr(svg.data, ">5<"));
    assert_null(strstr(svg.data, ">0<"));
    mien_text_release(&svg);
}

/* One point of a line is a dot; without a finite point there is no picture. */
static void test_few_points(void **state) {
    const double one[] = {3}, none[] = {NAN, INFINITY, -INFINITY};
    mien_series line = {.name = "line", .x = one, .y = one, .count = 1};
    const mien_plot plot = {.title = "t", .series = &line, .count = 1};
    mien_text svg;
    (void)state;
    draw(&plot, MIEN_SVG_INLINE, &svg);
    assert_int_equal(count_of(svg.data, "<circle"), 1);
    mien_text_release(&svg);
    line = (mien_series){.name = "line", .x = none, .y = none, .count = 3};
    draw(&plot, MIEN_SVG_INLINE, &svg);
    assert_int_equal(svg.size, 0);
    mien_text_release(&svg);
    line.count = 0;
    draw(&plot, MIEN_SVG_INLINE, &svg);
    assert_int_equal(svg.size, 0);
    mien_text_release(&svg);
}

static void test_gaps_break_a_line(void **state) {
    const double x[] = {1, 2, 3, 4, 5}, y[] = {1, 2, NAN, 4, 5};
    const mien_series line = {.x = x, .y = y, .count = 5};
    const mien_plot plot = {.title = "t", .series = &line, .count = 1};
    mien_text svg;
    (void)state;
    draw(&plot, MIEN_SVG_INLINE, &svg);
    const char *path = strstr(svg.data, " d='M");
    assert_non_null(path);
    const char *second = strchr(path + 5, 'M');
    assert_true(second && second < strchr(path + 4, '\''));
    mien_text_release(&svg);
}

/* Nothing in the picture is outside of it, whatever the range of the numbers. */
static void test_wide_and_narrow_ranges(void **state) {
    static const double scales[] = {1e-12, 1e-3, 1, 1e6, 1e15};
    (void)state;
    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++)
        for (int equal = 0; equal < 2; equal++) {
            const double x[] = {0, scales[s]};
            const double y[] = {7 * scales[s], equal ? 7 * scales[s] : 11 * scales[s]};
            const mien_series bars = {
                .mark = MIEN_MARK_BARS, .x = x, .y = y, .count = 2, .width = scales[s] / 4};
            const mien_plot plot = {.title = "t", .y = {.zero = true}, .series = &bars, .count = 1};
            mien_text svg;
            draw(&plot, MIEN_SVG_INLINE, &svg);
            assert_int_equal(count_of(svg.data, "<rect"), 2);
            assert_true(count_of(svg.data, "class='grid'") >= 2);
            assert_true(count_of(svg.data, "class='grid'") <= 9);
            for (const char *at = svg.data; (at = strstr(at, " y='"));) {
                at += 4;
                assert_true(strtod(at, NULL) >= 0 && strtod(at, NULL) <= 300);
            }
            mien_text_release(&svg);
        }
}

static void test_stacked_bars(void **state) {
    const double x[] = {0}, low[] = {10}, high[] = {15};
    const mien_series bars[] = {
        {.name = "a", .mark = MIEN_MARK_BARS, .x = x, .y = low, .count = 1, .width = 1},
        {.name = "b",
         .mark = MIEN_MARK_BARS,
         .x = x,
         .y = high,
         .base = low,
         .count = 1,
         .width = 1,
         .color = 1}};
    const mien_plot plot = {.title = "t", .y = {.zero = true}, .series = bars, .count = 2};
    mien_text svg;
    (void)state;
    draw(&plot, MIEN_SVG_INLINE, &svg);
    assert_non_null(strstr(svg.data, "<title>a: 10</title>"));
    assert_non_null(strstr(svg.data, "<title>b: 5</title>"));
    mien_text_release(&svg);
}

/* Names of classes and files come from strangers. */
static void test_names_are_escaped(void **state) {
    const double x[] = {0, 1}, y[] = {1, 2};
    const char *const names[] = {"<script>", "a & 'b'"};
    const mien_series line = {.name = "<b>\"x\"", .x = x, .y = y, .count = 2};
    const mien_plot plot = {.title = "<i>",
                            .x = {.label = "<u>", .names = names, .name_count = 2},
                            .y = {.label = "<em>"},
                            .series = &line,
                            .count = 1};
    mien_text svg;
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        draw(&plot, (mien_svg_kind)kind, &svg);
        assert_null(strstr(svg.data, "<script"));
        assert_null(strstr(svg.data, "<b>"));
        assert_null(strstr(svg.data, "<i>"));
        assert_null(strstr(svg.data, "<u>"));
        assert_null(strstr(svg.data, "<em>"));
        assert_non_null(strstr(svg.data, "&#60;script&#62;"));
        assert_non_null(strstr(svg.data, "a &#38; &#39;b&#39;"));
        mien_text_release(&svg);
    }
}

/* A file brings its colours; a page's charts follow the page. */
static void test_colours(void **state) {
    const double x[] = {0, 1};
    const mien_series line = {.x = x, .y = x, .count = 2, .color = MIEN_COLORS};
    const mien_plot plot = {.title = "t", .series = &line, .count = 1};
    mien_text svg, page = {0};
    (void)state;
    draw(&plot, MIEN_SVG_FILE, &svg);
    assert_non_null(strstr(svg.data, "xmlns='http://www.w3.org/2000/svg'"));
    assert_non_null(strstr(svg.data, ".k0{stroke:#0072b2}"));
    assert_null(strstr(svg.data, "var("));
    assert_non_null(strstr(svg.data, "class='line k0 dash'"));
    mien_text_release(&svg);
    draw(&plot, MIEN_SVG_INLINE, &svg);
    assert_null(strstr(svg.data, "<style"));
    mien_text_release(&svg);
    mien_page_open(&page, "t", "h");
    mien_page_close(&page);
    assert_non_null(strstr(page.data, ".k0{stroke:var(--c0)}"));
    for (int i = 0; i < MIEN_COLORS; i++) {
        char name[32];
        snprintf(name, sizeof name, "--c%d:#", i);
        assert_int_equal(count_of(page.data, name), 2); /* light and dark */
    }
    mien_text_release(&page);
}

static void test_heatmap(void **state) {
    static const int sizes[] = {1, 2, 7, MIEN_MATRIX_MAX};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const int classes = sizes[s];
        char(*names)[64] = calloc((size_t)classes, sizeof *names);
        uint16_t labels[6] = {0};
        float *p = calloc(6 * (size_t)classes, sizeof *p);
        mien_metrics m = {0};
        mien_text svg = {0};
        for (int k = 0; k < classes; k++)
            snprintf(names[k], sizeof *names, "<class %d>", k);
        for (int i = 0; i < 6; i++) /* four of six are right; all have the label 0 */
            p[i * classes + (classes > 1 && i > 3)] = 1;
        assert_int_equal(mien_metrics_compute(p, labels, 6, classes, &m), MIEN_OK);
        mien_heatmap_svg(&m, (const char(*)[64])names, MIEN_SVG_INLINE, &svg);
        assert_int_equal(svg.status, MIEN_OK);
        assert_int_equal(count_of(svg.data, " predicted as "), classes * classes);
        assert_null(strstr(svg.data, "<class"));
        assert_null(strstr(svg.data, "nan"));
        if (classes == 7) assert_non_null(strstr(svg.data, "4 of 6 (66.7 %)"));
        mien_text_release(&svg);
        mien_metrics_release(&m);
        free(names);
        free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks_are_round),   cmocka_unit_test(test_few_points),
        cmocka_unit_test(test_gaps_break_a_line), cmocka_unit_test(test_wide_and_narrow_ranges),
        cmocka_unit_test(test_stacked_bars),      cmocka_unit_test(test_names_are_escaped),
        cmocka_unit_test(test_colours),           cmocka_unit_test(test_heatmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
