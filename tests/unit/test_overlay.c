/* What is drawn on photos: boxes, labels, bars. */
#include <math.h>
#include <string.h>

#include "host/base/clock.h"
#include "host/vision/vision.h"
#include "tests/support/test.h"

/* ---- boxes and labels ---- */

static int differing(const mien_image *image, mien_rect rect, int value) {
    int count = 0;
    for (int y = rect.y; y < rect.y + rect.height; y++)
        for (int x = rect.x; x < rect.x + rect.width; x++)
            count += image->pixels[(y * image->width + x) * 3] != value;
    return count;
}

/* Boxes and labels at every border, some larger than the picture: nothing is drawn outside, and
 * every box is visible. */
static void overlays_stay_inside(void **state) {
    (void)state;
    const int sides[] = {1, 7, 60, 400};
    for (int s = 0; s < 4; s++) {
        const int side = sides[s], face = side / 3 + 1;
        mien_image image;
        assert_int_equal(mien_canvas_new(side, side, 3, (mien_color){200, 200, 200}, &image),
                         MIEN_OK);
        mien_overlay overlays[9] = {0};
        for (int i = 0; i < 9; i++) {
            overlays[i].box = (mien_rect){i % 3 * side / 3, i / 3 * side / 3, face, face};
            overlays[i].uncertain = i == 4;
            strcpy(overlays[i].label, "surprised 100 %");
        }
        assert_int_equal(mien_overlay_draw(&image, overlays, 9), MIEN_OK);
        assert_true(differing(&image, (mien_rect){0, 0, side, side}, 200) > 0);
        mien_image_release(&image);
    }
}

/* A label has its own background and white text, whatever the photo's colour. */
static void labels_are_readable(void **state) {
    (void)state;
    for (int value = 0; value < 256; value += 85) {
        mien_image image;
        const mien_color paper = {(uint8_t)value, (uint8_t)value, (uint8_t)value};
        assert_int_equal(mien_canvas_new(300, 300, 3, paper, &image), MIEN_OK);
        mien_overlay overlay = {.box = {100, 100, 100, 100}, .label = "happy 97 %"};
        assert_int_equal(mien_overlay_draw(&image, &overlay, 1), MIEN_OK);
        int white = 0, dark = 0;
        for (int y = 75; y < 100; y++) /* above the box */
            for (int x = 100; x < 200; x++) {
                const uint8_t *p = image.pixels + (y * 300 + x) * 3;
                white += p[0] > 170 && p[1] > 170 && p[2] > 170;
                dark += p[0] == 18 && p[1] == 112 && p[2] == 60;
            }
        assert_true(dark > 300);
        assert_true(white > 30);
        mien_image_release(&image);
    }
}

/* Number of pixels of a colour; white includes all light enough to belong to letters. */
static int coloured(const mien_image *image, mien_color color) {
    int count = 0;
    for (int i = 0; i < image->width * image->height; i++) {
        const uint8_t *p = image->pixels + 3 * i;
        count += color.r == 255 ? p[0] > 170 && p[1] > 170 && p[2] > 170
                                : p[0] == color.r && p[1] == color.g && p[2] == color.b;
    }
    return count;
}

/* At the right and bottom border a label moves inwards and stays complete; an uncertain one is
 * gray. The labels of two neighbours do not overlap. */
static void labels_stay_inside(void **state) {
    (void)state;
    const mien_color green = {18, 112, 60}, gray = {96, 96, 96}, white_text = {255, 255, 255};
    mien_image image, alone;
    mien_overlay overlay = {.box = {0, 0, 50, 50}, .label = "disgusted 100 %"};
    for (int k = 0; k < 2; k++) {
        mien_image *to = k ? &alone : &image;
        assert_int_equal(mien_canvas_new(300, 300, 3, (mien_color){0, 0, 0}, to), MIEN_OK);
        overlay.box.x = k ? 100 : 270;
        overlay.box.y = k ? 100 : 280;
        assert_int_equal(mien_overlay_draw(to, &overlay, 1), MIEN_OK);
    }
    const int white = coloured(&alone, white_text);
    assert_true(white > 20);
    assert_int_equal(coloured(&image, white_text), white);
    assert_int_equal(coloured(&image, gray), 0);
    mien_image_release(&image);
    mien_image_release(&alone);

    assert_int_equal(mien_canvas_new(300, 300, 3, (mien_color){0, 0, 0}, &image), MIEN_OK);
    mien_overlay two[2] = {{.box = {100, 100, 40, 40}, .label = "disgusted 100 %"},
                           {.box = {145, 100, 40, 40}, .label = "disgusted 100 %"}};
    two[0].uncertain = two[1].uncertain = true;
    assert_int_equal(mien_overlay_draw(&image, two, 2), MIEN_OK);
    assert_true(coloured(&image, white_text) > 2 * white * 9 / 10);
    assert_true(coloured(&image, gray) > 0);
    assert_int_equal(coloured(&image, green), 0);
    mien_image_release(&image);
}

/* ---- bars ---- */

static const char *const emotions[] = {"angry", "fear", "happy", "sad", "surprise"};

/* Draws one face with bars, and the same without, and returns the pixels that differ, all inside
 * *area. */
static int draw_bars(int width, int height, mien_rect box, const float *scores, bool uncertain,
                     mien_rect *area) {
    mien_image with, without;
    const mien_color paper = {200, 200, 200};
    assert_int_equal(mien_canvas_new(width, height, 3, paper, &with), MIEN_OK);
    assert_int_equal(mien_canvas_new(width, height, 3, paper, &without), MIEN_OK);
    mien_overlay overlay = {box, "happy 70 %", uncertain, scores, emotions, 5};
    assert_int_equal(mien_overlay_draw(&with, &overlay, 1), MIEN_OK);
    overlay.scores = NULL;
    assert_int_equal(mien_overlay_draw(&without, &overlay, 1), MIEN_OK);
    int left = width, top = height, right = 0, bottom = 0, count = 0;
    for (int i = 0; i < width * height; i++) {
        if (memcmp(with.pixels + 3 * i, without.pixels + 3 * i, 3) == 0) continue;
        const int x = i % width, y = i / width;
        left = x < left ? x : left;
        right = x >= right ? x + 1 : right;
        top = y < top ? y : top;
        bottom = y + 1;
        count++;
    }
    *area = (mien_rect){left, top, right - left, bottom - top};
    mien_image_release(&with);
    mien_image_release(&without);
    return count;
}

/* Beside the face on the right, else on the left, else below it; never over it; a face that is too
 * small, or fills the picture, has none. */
static void bars_are_beside_the_face(void **state) {
    (void)state;
    const float scores[] = {0.1f, 0.05f, 0.7f, 0.1f, 0.05f};
    mien_rect area;
    assert_true(draw_bars(640, 480, (mien_rect){200, 150, 100, 100}, scores, false, &area) > 0);
    assert_true(area.x >= 300 && area.y == 150 && area.height <= 125);
    assert_true(draw_bars(640, 480, (mien_rect){530, 150, 100, 100}, scores, false, &area) > 0);
    assert_true(area.x + area.width <= 530 && area.y == 150);
    assert_true(draw_bars(200, 480, (mien_rect){50, 150, 100, 100}, scores, false, &area) > 0);
    assert_true(area.y >= 250);
    assert_int_equal(draw_bars(640, 480, (mien_rect){200, 150, 24, 24}, scores, false, &area), 0);
    assert_int_equal(draw_bars(300, 300, (mien_rect){0, 0, 300, 300}, scores, false, &area), 0);
    /* a face between: the three greatest scores */
    assert_true(draw_bars(640, 480, (mien_rect){200, 150, 45, 45}, scores, false, &area) > 0);
    assert_true(area.height < 57);
    /* not a number, and sums above 1 */
    const float strange[] = {NAN, -1, 7, INFINITY, 0};
    assert_true(draw_bars(640, 480, (mien_rect){200, 150, 100, 100}, strange, false, &area) > 0);
}

/* A face that moves by a pixel moves its bars and label by a pixel. */
static void overlays_are_steady(void **state) {
    (void)state;
    const float scores[] = {0.1f, 0.05f, 0.7f, 0.1f, 0.05f};
    mien_rect first, next;
    for (int i = 0; i < 12; i++) {
        const mien_rect box = {200 + i, 150, 100 + i % 3, 100 + i % 3};
        assert_true(draw_bars(640, 480, box, scores, false, i ? &next : &first) > 0);
        if (!i) continue;
        assert_int_equal(next.x - first.x, i + i % 3);
        assert_int_equal(next.y, first.y);
        assert_int_equal(next.width, first.width);
        assert_int_equal(next.height, first.height);
    }
}

/* Six faces with bars in a frame of a video take little of the time between two frames. */
static void overlays_are_cheap(void **state) {
    (void)state;
    const float scores[] = {0.1f, 0.05f, 0.7f, 0.1f, 0.05f};
    mien_overlay six[6];
    mien_image frame;
    double best = 1;
    assert_int_equal(mien_canvas_new(640, 480, 3, (mien_color){9, 9, 9}, &frame), MIEN_OK);
    for (int i = 0; i < 6; i++)
        six[i] = (mien_overlay){{20 + i % 3 * 210, 40 + i / 3 * 230, 90, 90},
                                "surprise 100 %",
                                i == 5,
                                scores,
                                emotions,
                                5};
    for (int i = 0; i < 9; i++) {
        const double start = mien_seconds();
        assert_int_equal(mien_overlay_draw(&frame, six, 6), MIEN_OK);
        best = mien_seconds() - start < best ? mien_seconds() - start : best;
    }
    mien_image_release(&frame);
    print_message("an overlay of six faces: %.2f ms\n", best * 1e3);
    assert_true(SANITIZED || best < 2e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlays_stay_inside), cmocka_unit_test(labels_are_readable),
        cmocka_unit_test(labels_stay_inside),   cmocka_unit_test(bars_are_beside_the_face),
        cmocka_unit_test(overlays_are_steady),  cmocka_unit_test(overlays_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
