/* YuNet: both layouts of its outputs, faces turned level, files that are none. The networks are
 * those of tests/golden/make_yunet.py (for sides of 64 times an integer), which find a face at each
 * white pixel whose coordinates are multiples of 8. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/image/crop.h"
#include "host/vision/vision.h"
#include "tests/support/test.h"

static const char *const networks[] = {"tests/golden/yunet_2022.onnx",
                                       "tests/golden/yunet_2023.onnx"};
static char copy[] = "/tmp/mien_test_yunet_XXXXXX";

static bool without_opencv(void) {
    char path[MIEN_PATH];
    return mien_installed_file("mien-vision.so", path) != MIEN_OK;
}

static mien_status open_file(const char *file, mien_detector **out) {
    char text[200];
    mien_detector_choice choice;
    snprintf(text, sizeof text, "yunet:%s", file);
    assert_int_equal(mien_detector_choose(text, &choice), MIEN_OK);
    choice.threads = 1;
    return mien_detector_open(&choice, out);
}

static mien_status open_bytes(const char *data, size_t size, mien_detector **out) {
    assert_int_equal(mien_file_write(copy, data, size), MIEN_OK);
    return open_file(copy, out);
}

/* A black picture with one white square, whose side is `dot`, at (x, y). */
static mien_image dotted(int width, int height, int channels, int x, int y, int dot) {
    mien_image image;
    assert_int_equal(mien_canvas_new(width, height, channels, (mien_color){0, 0, 0}, &image),
                     MIEN_OK);
    mien_draw_fill(&image, (mien_rect){x, y, dot, dot}, (mien_color){255, 255, 255});
    return image;
}

static void near(double got, double want, double most) {
    if (!(fabs(got - want) <= most)) fail_msg("%g is not %g", got, want);
}

static void faces_are_found(void **state) {
    (void)state;
    if (without_opencv()) skip();
    for (int n = 0; n < 2; n++)
        for (int large = 0; large < 2; large++)
            for (int channels = 1; channels <= 3; channels += 2) {
                mien_detector *detector;
                mien_faces faces;
                /* the large one is detected at half its size, 640 pixels */
                const int scale = large ? 2 : 1;
                mien_image photo = dotted(large ? 1280 : 180, large ? 1020 : 190, channels,
                                          96 * scale, 64 * scale, 2 * scale);
                if (open_file(networks[n], &detector) != MIEN_OK)
                    fail_msg("%s", mien_error_message());
                assert_int_equal(mien_detector_run(detector, &photo, NULL, &faces), MIEN_OK);
                assert_int_equal(faces.count, 1);
                const mien_face *face = faces.items;
                near(face->box.width, 32 * scale, 0);
                near(face->box.height, 32 * scale, 0);
                near(face->box.x + 16 * scale, 100 * scale, 0);
                near(face->box.y + 16 * scale, 68 * scale, 0);
                assert_true(face->has_points && face->score > 0.9 && face->score <= 1);
                near(face->points[0].x, 92 * scale, 0.01);
                near(face->points[1].y, 72 * scale, 0.01);
                near(face->points[4].x, 105 * scale, 0.01);
                near(mien_face_turn(face), atan(0.5), 1e-3);
                mien_faces_release(&faces);
                assert_int_equal(
                    mien_detector_run(detector, &photo, &(mien_detect){.min_face = 65}, &faces),
                    MIEN_OK);
                assert_int_equal(faces.count, 0);
                mien_faces_release(&faces);
                mien_detector_close(detector);
                mien_image_release(&photo);
            }
}

/* Faces that overlap are one; others keep the order from left to right. */
static void doubles_are_one(void **state) {
    (void)state;
    if (without_opencv()) skip();
    mien_detector *detector;
    mien_faces faces;
    mien_image photo = dotted(320, 256, 3, 200, 64, 10);
    mien_draw_fill(&photo, (mien_rect){96, 64, 2, 2}, (mien_color){255, 255, 255});
    mien_draw_fill(&photo, (mien_rect){0, 248, 2, 2}, (mien_color){255, 255, 255});
    for (int n = 0; n < 2; n++) {
        assert_int_equal(open_file(networks[n], &detector), MIEN_OK);
        assert_int_equal(
            mien_detector_run(detector, &photo, &(mien_detect){.min_face = 10}, &faces), MIEN_OK);
        assert_int_equal(faces.count, 3);
        assert_int_equal(faces.items[0].box.x, 0); /* cut by the border */
        assert_int_equal(faces.items[0].box.width, 20);
        assert_int_equal(faces.items[1].box.x, 84);
        mien_faces_release(&faces);
        mien_detector_close(detector);
    }
    mien_image_release(&photo);
}

static void other_files_are_refused(void **state) {
    (void)state;
    if (without_opencv()) skip();
    mien_detector *detector;
    assert_int_equal(open_bytes("hello", 5, &detector), MIEN_FORMAT);
    assert_int_equal(open_bytes("", 0, &detector), MIEN_FORMAT);
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    assert_int_equal(open_bytes(pointer, strlen(pointer), &detector), MIEN_FORMAT);
    assert_non_null(strstr(mien_error_message(), "Git LFS"));
    assert_int_equal(open_file("/nowhere.onnx", &detector), MIEN_NOT_FOUND);
    assert_null(detector);
    char *data;
    size_t size;
    /* an output of another name */
    assert_int_equal(mien_file_read(networks[0], 1 << 20, &data, &size), MIEN_OK);
    for (size_t i = 0; i + 3 < size; i++)
        if (memcmp(data + i, "\nconf", 5) == 0 || memcmp(data + i,
                                                         "\x04"
                                                         "conf",
                                                         5) == 0)
            data[i + 4] = 'g';
    assert_int_equal(open_bytes(data, size, &detector), MIEN_FORMAT);
    assert_non_null(strstr(mien_error_message(), "outputs are not those of a YuNet"));
    mien_free(data);
    /* outputs that are smaller than a YuNet's: `for` each stride of 8, one of 16 */
    assert_int_equal(mien_file_read(networks[1], 1 << 20, &data, &size), MIEN_OK);
    for (size_t i = 0; i + 9 < size; i++)
        if (memcmp(data + i, "strides@\x08@\x08", 11) == 0) data[i + 8] = data[i + 10] = 16;
    assert_int_equal(open_bytes(data, size, &detector), MIEN_FORMAT);
    mien_free(data);
}

/* Cut anywhere, or with a byte changed: refused, or it opens and runs. */
static void damaged_files(void **state) {
    (void)state;
    if (without_opencv()) skip();
    int opened = 0;
    mien_image photo = dotted(64, 64, 3, 16, 16, 2);
    for (int n = 0; n < 2; n++) {
        char *data;
        size_t size;
        mien_detector *detector;
        assert_int_equal(mien_file_read(networks[n], 1 << 20, &data, &size), MIEN_OK);
        for (size_t cut = 0; cut < size - 1; cut += 37) {
            if (open_bytes(data, cut, &detector) == MIEN_OK) fail_msg("cut at %zu", cut);
            assert_null(detector);
        }
        for (size_t at = (size_t)n; at < size; at += 7) {
            const char kept = data[at];
            data[at] = (char)(kept ^ "\xff\x01\x80\x40"[at % 4]);
            mien_faces faces;
            if (open_bytes(data, size, &detector) == MIEN_OK) {
                opened++;
                mien_detector_run(detector, &photo, NULL, &faces);
                mien_faces_release(&faces);
                mien_detector_close(detector);
            }
            data[at] = kept;
        }
        mien_free(data);
    }
    mien_image_release(&photo);
    assert_true(opened > 0);
}

/* Two dots on a line that is turned become level, and 0 changes nothing. */
static void turned_faces_are_level(void **state) {
    (void)state;
    const double turn = 0.4;
    const int x = (int)lround(20 * cos(turn)), y = (int)lround(20 * sin(turn));
    mien_image photo = dotted(100, 100, 1, 50 - x - 1, 50 - y - 1, 3);
    mien_draw_fill(&photo, (mien_rect){50 + x - 1, 50 + y - 1, 3, 3}, (mien_color){255, 255, 255});
    uint8_t level[64 * 64], plain[64 * 64], same[64 * 64];
    const mien_rect box = {18, 18, 64, 64};
    const mien_crop rule = {0};
    assert_int_equal(mien_crop_turned(&photo, box, rule, turn, 64, 64, 1, level), MIEN_OK);
    assert_int_equal(mien_crop_turned(&photo, box, rule, 0, 64, 64, 1, same), MIEN_OK);
    assert_int_equal(mien_crop_face(&photo, box, rule, 64, 64, 1, plain), MIEN_OK);
    assert_memory_equal(plain, same, sizeof plain);
    double sums[2] = {0}, rows[2] = {0};
    for (int i = 0; i < 64 * 64; i++) {
        sums[i % 64 >= 32] += level[i];
        rows[i % 64 >= 32] += level[i] * (i / 64 + 0.5);
    }
    near(rows[0] / sums[0], 32.5, 0.6);
    near(rows[1] / sums[1], 32.5, 0.6);
    mien_image_release(&photo);
}

static void turns_are_limited(void **state) {
    (void)state;
    mien_face face = {.box = {0, 0, 100, 100}, .has_points = true};
    face.points[1] = (mien_point){40, 20};
    near(mien_face_turn(&face), atan2(20, 40), 1e-12);
    face.points[1] = (mien_point){40, -20};
    near(mien_face_turn(&face), atan2(-20, 40), 1e-12);
    static const mien_point level[] = {{40, 1}, {-40, 20}, {10, 10}, {10, 90}, {NAN, 3}, {0, 0}};
    for (size_t i = 0; i < sizeof level / sizeof level[0]; i++) {
        face.points[1] = level[i];
        assert_true(mien_face_turn(&face) == 0);
    }
    face.points[1] = (mien_point){40, 20};
    face.has_points = false;
    assert_true(mien_face_turn(&face) == 0);
}

static void it_needs_a_file(void **state) {
    (void)state;
    mien_detector_choice choice;
    assert_int_equal(mien_detector_choose("yunet", &choice), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "yunet:FILE.onnx"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faces_are_found),         cmocka_unit_test(doubles_are_one),
        cmocka_unit_test(other_files_are_refused), cmocka_unit_test(damaged_files),
        cmocka_unit_test(turned_faces_are_level),  cmocka_unit_test(turns_are_limited),
        cmocka_unit_test(it_needs_a_file),
    };
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-vision.so */
    const int file = mkstemp(copy);
    if (file < 0) return 1;
    close(file);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(copy);
    return failed;
}
