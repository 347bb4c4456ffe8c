/* Photos to faces to probabilities as a library call: predictions do not depend on the batches, and
 * a refused photo does not affect the others. */
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/image/crop.h"
#include "host/infer/photo.h"
#include "tests/unit/made_pictures.h"
#include "tests/support/test.h"

enum { SIDE = TINY_SIDE, CLASSES = TINY_CLASSES, PHOTOS = 9, WIDTH = 40, BATCH = TINY_BATCH };
static const char portrait[] = "datasets/photos/astronaut.png";
static mien_backend *backend;
static mien_ensemble gray_model, colour_model;

static int start(void **state) {
    if (scratch_make(state)) return 1;
    expect_ok(mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &backend));
    tiny_ensemble(backend, 1, &gray_model);
    tiny_ensemble(backend, 3, &colour_model);
    return 0;
}

static int stop(void **state) {
    mien_ensemble_release(&gray_model);
    mien_ensemble_release(&colour_model);
    mien_backend_close(backend);
    return scratch_drop(state);
}

/* Static pixels, not to be released. */
static mien_image picture(int width, int height, int channels, int seed) {
    static uint8_t pixels[WIDTH * WIDTH * 3];
    made_pixels(pixels, width, height, channels, seed);
    return (mien_image){width, height, channels, pixels};
}

static int add(mien_photos *photos, const mien_image *photo) {
    int index = -1;
    expect_ok(mien_photos_add(photos, &(mien_photo){.image = photo, .name = "photo"}, &index));
    return index;
}

static void expect_near(const float *a, const float *b, int count) {
    for (int i = 0; i < count; i++)
        if (!(fabsf(a[i] - b[i]) < 1e-6f))
            fail_msg("%d: %.9g and %.9g", i, (double)a[i], (double)b[i]);
}

/* Pictures of several sizes, each used as one face: one by one, and all in one run. */
static void alone_and_together(void **state) {
    (void)state;
    float alone[PHOTOS][CLASSES];
    mien_photos *photos;
    expect_ok(mien_photos_create(&gray_model, NULL, NULL, &photos));
    for (int i = 0; i < PHOTOS; i++) {
        const mien_image photo = picture(WIDTH - i, 20 + i, 1 + 2 * (i % 2), i);
        assert_int_equal(add(photos, &photo), 0);
        expect_ok(mien_photos_run(photos));
        const mien_photo_view view = mien_photos_faces(photos, 0);
        assert_int_equal(view.count, 1);
        assert_true(view.faces->whole && !view.faces->detected);
        assert_int_equal(view.faces->box.width, WIDTH - i);
        assert_int_equal(view.faces->box.height, 20 + i);
        memcpy(alone[i], view.probabilities, sizeof alone[i]);
        assert_true(i == 0 ||
                    fabsf(alone[i][0] - alone[i - 1][0]) > 1e-4f); /* the predictions differ */
        mien_photos_clear(photos);
        assert_int_equal(mien_photos_face_count(photos), 0);
    }
    for (int i = 0; i < PHOTOS; i++) {
        const mien_image photo = picture(WIDTH - i, 20 + i, 1 + 2 * (i % 2), i);
        assert_int_equal(add(photos, &photo), i);
    }
    assert_null(mien_photos_faces(photos, 0).probabilities);
    expect_ok(mien_photos_run(photos));
    for (int i = 0; i < PHOTOS; i++)
        expect_near(mien_photos_faces(photos, i).probabilities, alone[i], CLASSES);
    mien_photos_free(photos);
}

/* A second run scores only photos added after the first run. */
static void more_after_a_run(void **state) {
    (void)state;
    float first[CLASSES], second[CLASSES];
    mien_photos *photos;
    expect_ok(mien_photos_create(&gray_model, NULL, NULL, &photos));
    const mien_image one = picture(30, 30, 1, 1);
    add(photos, &one);
    expect_ok(mien_photos_run(photos));
    memcpy(first, mien_photos_faces(photos, 0).probabilities, sizeof first);
    const mien_image two = picture(30, 30, 1, 2);
    assert_int_equal(add(photos, &two), 1);
    assert_null(mien_photos_faces(photos, 1).probabilities);
    expect_ok(mien_photos_run(photos));
    assert_memory_equal(mien_photos_faces(photos, 0).probabilities, first, sizeof first);
    memcpy(second, mien_photos_faces(photos, 1).probabilities, sizeof second);
    mien_photos_clear(photos);
    add(photos, &two);
    expect_ok(mien_photos_run(photos));
    expect_near(mien_photos_faces(photos, 0).probabilities, second, CLASSES);
    expect_ok(mien_photos_run(photos)); /* nothing left to do */
    mien_photos_free(photos);
}

/* NULL in a build without OpenCV. */
static mien_detector *open_haar(void) {
    mien_detector *detector;
    const mien_detector_choice choice = {.kind = mien_detector_kinds, .threads = 1};
    const mien_status status = mien_detector_open(&choice, &detector);
    if (status != MIEN_UNSUPPORTED) expect_ok(status);
    return detector;
}

/* A portrait has faces, a plain gray image none, alone or among other photos. */
static void detected_and_without_a_face(void **state) {
    (void)state;
    static uint8_t paper[200 * 200];
    const mien_image blank = {200, 200, 1, paper};
    mien_detector *detector;
    mien_photos *photos;
    mien_image photo;
    float alone[CLASSES];
    if (!(detector = open_haar())) skip();
    memset(paper, 128, sizeof paper);
    expect_ok(mien_image_read(portrait, 1, &photo));
    expect_ok(mien_photos_create(&gray_model, detector, NULL, &photos));
    add(photos, &photo);
    expect_ok(mien_photos_run(photos));
    mien_photo_view view = mien_photos_faces(photos, 0);
    assert_int_equal(view.count, 1);
    assert_true(view.faces->detected && view.faces->score > 3.5);
    memcpy(alone, view.probabilities, sizeof alone);
    mien_photos_clear(photos);
    assert_int_equal(add(photos, &blank), 0);
    expect_ok(mien_photos_run(photos)); /* without any face */
    assert_int_equal(mien_photos_faces(photos, 0).count, 0);
    assert_int_equal(add(photos, &photo), 1);
    assert_int_equal(add(photos, &blank), 2);
    assert_int_equal(add(photos, &photo), 3);
    expect_ok(mien_photos_run(photos));
    assert_int_equal(mien_photos_face_count(photos), 2);
    for (int i = 0; i < 4; i++) {
        view = mien_photos_faces(photos, i);
        assert_int_equal(view.count, i % 2);
        if (i % 2) expect_near(view.probabilities, alone, CLASSES);
    }
    mien_photos_free(photos);
    expect_ok(
        mien_photos_create(&gray_model, detector, &(mien_photo_options){.min_face = 400}, &photos));
    add(photos, &photo);
    assert_int_equal(mien_photos_faces(photos, 0).count, 0);
    mien_photos_free(photos);
    mien_image_release(&photo);
    mien_detector_close(detector);
}

static void too_small(void **state) {
    (void)state;
    mien_photos *photos;
    int index = 7;
    expect_ok(mien_photos_create(&gray_model, NULL, NULL, &photos));
    mien_image photo = picture(8, 8, 1, 1);
    add(photos, &photo);
    photo = picture(30, 7, 1, 1);
    assert_int_equal(
        mien_photos_add(photos, &(mien_photo){.image = &photo, .name = "dot.png"}, &index),
        MIEN_FORMAT);
    expect_in_message("'dot.png' has 30x7 pixels: too small for a face (at least 8x8)");
    assert_int_equal(index, 7);
    assert_int_equal(mien_photos_face_count(photos), 1);
    photo = picture(30, 8, 1, 1);
    assert_int_equal(add(photos, &photo), 1);
    mien_photos_free(photos);
}

static void wrong_channels(void **state) {
    (void)state;
    mien_model of_two = {.meta.input = {SIDE, SIDE, 2}};
    mien_ensemble odd = {.models = &of_two, .count = 1};
    mien_photos *photos;
    int index;
    assert_int_equal(mien_photos_create(&odd, NULL, NULL, &photos), MIEN_UNSUPPORTED);
    expect_in_message("the model reads pictures of 2 channels");
    assert_null(photos);
    expect_ok(mien_photos_create(&colour_model, NULL, NULL, &photos));
    mien_image photo = picture(30, 30, 1, 1);
    assert_int_equal(
        mien_photos_add(photos, &(mien_photo){.image = &photo, .name = "gray.png"}, &index),
        MIEN_INVALID);
    expect_in_message("'gray.png' has 1 channels");
    photo = picture(30, 30, 3, 1);
    assert_int_equal(add(photos, &photo), 0);
    expect_ok(mien_photos_run(photos));
    mien_photos_free(photos);
}

/* Scores the only face of a photo and returns its box. */
static mien_rect add_given(mien_photos *photos, const mien_photo *photo, float *scores) {
    int index;
    mien_photos_clear(photos);
    expect_ok(mien_photos_add(photos, photo, &index));
    expect_ok(mien_photos_run(photos));
    const mien_photo_view view = mien_photos_faces(photos, index);
    assert_int_equal(view.count, 1);
    memcpy(scores, view.probabilities, CLASSES * sizeof *scores);
    return view.faces->box;
}

/* Given boxes are cropped by the models' rule, in the order given, without a detector. */
static void given_boxes(void **state) {
    (void)state;
    const mien_photo_options options = {.given = true};
    const mien_rect boxes[] = {{14, 6, 16, 12}, {2, 3, 12, 12}};
    const mien_rect outside[] = {{-1, 0, 5, 5}, {30, 0, 11, 5}, {0, 16, 5, 5}, {3, 3, 0, 5}};
    mien_image photo = picture(WIDTH, 20, 1, 4);
    mien_photos *photos;
    uint8_t crop[SIDE * SIDE];
    float want[CLASSES];
    int index;
    expect_ok(mien_photos_create(&gray_model, NULL, &options, &photos));
    expect_ok(mien_photos_add(photos, &(mien_photo){&photo, "a", 0, 0, boxes, 2}, &index));
    expect_ok(mien_photos_add(photos, &(mien_photo){&photo, "b", 0, 0, NULL, 0}, &index));
    expect_ok(mien_photos_run(photos));
    assert_int_equal(mien_photos_faces(photos, 1).count, 0);
    const mien_photo_view view = mien_photos_faces(photos, 0);
    assert_int_equal(view.count, 2);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(&view.faces[i].box, &boxes[i], sizeof boxes[i]);
        assert_true(!view.faces[i].whole && !view.faces[i].detected);
        expect_ok(
            mien_crop_face(&photo, boxes[i], gray_model.models[0].meta.crop, SIDE, SIDE, 1, crop));
        expect_ok(mien_ensemble_run(&gray_model, crop, 1, want));
        expect_near(view.probabilities + i * CLASSES, want, CLASSES);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            mien_photos_add(photos, &(mien_photo){&photo, "c", 0, 0, &outside[i], 1}, &index),
            MIEN_INVALID);
        expect_in_message("is not inside 'c', which has 40x20 pixels");
    }
    assert_int_equal(mien_photos_face_count(photos), 2);
    mien_photos_free(photos);
}

/* Boxes are in the file's pixels, though the photo was decoded at half its size. */
static void scaled_down(void **state) {
    (void)state;
    mien_detector *detector;
    mien_photos *photos;
    mien_image photo, small = picture(WIDTH, 20, 1, 4);
    const mien_rect small_box = {14, 6, 16, 12}, large_box = {28, 12, 32, 24};
    float want[CLASSES];
    int index;
    const mien_photo_options given = {.given = true};
    expect_ok(mien_photos_create(&gray_model, NULL, &given, &photos));
    add_given(photos, &(mien_photo){&small, "a", 0, 0, &small_box, 1}, want);
    float scores[CLASSES];
    const mien_rect box =
        add_given(photos, &(mien_photo){&small, "a", 2 * WIDTH, 40, &large_box, 1}, scores);
    assert_memory_equal(&box, &large_box, sizeof box);
    expect_near(scores, want, CLASSES);
    mien_photos_free(photos);
    if (!(detector = open_haar())) skip();
    expect_ok(mien_image_read(portrait, 1, &photo));
    for (int min_face = 0; min_face <= 360; min_face += 120) {
        const mien_photo_options least = {.min_face = min_face};
        expect_ok(mien_photos_create(&gray_model, detector, &least, &photos));
        expect_ok(
            mien_photos_add(photos, &(mien_photo){&photo, "a", 2 * 512, 2 * 512, NULL, 0}, &index));
        const mien_photo_view view = mien_photos_faces(photos, 0);
        assert_int_equal(view.count, min_face < 200);
        if (view.count) {
            const mien_rect b = view.faces->box;
            assert_true(b.x < 430 && b.x + b.width > 470 && b.y < 210 && b.y + b.height > 250);
            assert_true(b.width > 140 && b.width < 260 && b.x + b.width <= 1024);
        }
        mien_photos_free(photos);
    }
    const double scores_of[] = {3.5, 1000};
    for (int i = 0; i < 2; i++) {
        const mien_photo_options sure = {.min_score = &scores_of[i]};
        expect_ok(mien_photos_create(&gray_model, detector, &sure, &photos));
        add(photos, &photo);
        assert_int_equal(mien_photos_faces(photos, 0).count, i == 0);
        mien_photos_free(photos);
    }
    mien_image_release(&photo);
    mien_detector_close(detector);
}

int main(void) {
    const char *build = getenv("MIEN_BUILD");
    setenv("MIEN_MODULES", build ? build : "build/release", 0); /* mien-vision.so */
    const struct CMUnitTest tests[] = {cmocka_unit_test(alone_and_together),
                                       cmocka_unit_test(more_after_a_run),
                                       cmocka_unit_test(detected_and_without_a_face),
                                       cmocka_unit_test(too_small),
                                       cmocka_unit_test(wrong_channels),
                                       cmocka_unit_test(given_boxes),
                                       cmocka_unit_test(scaled_down)};
    return cmocka_run_group_tests(tests, start, stop);
}
