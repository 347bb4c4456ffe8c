/* Preparing crops with a detector of the test's own: what a crop holds, and which faces are taken.
 * tests/cli/test_prepare.sh has the rest. */
#include "tests/support/net.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/image/encode.h"
#include "host/image/resize.h"
#include "host/infer/prepare.h"
#include "tests/unit/made_pictures.h"
#include "tests/support/test.h"

enum { WIDTH = 90, HEIGHT = 70, INPUT = 12, FACES = 3 };

/* At the border, where the crop reaches outside; the largest; and one whose crop is too small. */
static const mien_face made_faces[FACES] = {{.box = {0, 2, 21, 24}, .score = 9},
                                            {.box = {30, 20, 40, 35}, .score = 5},
                                            {.box = {80, 60, 3, 3}, .score = 7}};

static mien_status made_open(const char *file, int threads, void **state) {
    (void)file, (void)threads;
    *state = NULL;
    return MIEN_OK;
}

static mien_status made_run(void *state, const mien_image *photo, int min_face, double min_score,
                            mien_faces *out) {
    (void)state, (void)photo, (void)min_face, (void)min_score;
    MIEN_TRY(mien_new(&out->items, FACES, sizeof *out->items));
    memcpy(out->items, made_faces, sizeof made_faces);
    out->count = FACES;
    return MIEN_OK;
}

static void made_close(void *state) {
    (void)state;
}

static const mien_detector_kind made_kind = {
    .name = "made", .open = made_open, .run = made_run, .close = made_close};
static const mien_detector_choice made_choice = {.kind = &made_kind};

/* Two classes of one photo each; returns the first photo, to be released. */
static mien_image write_photos(int channels) {
    mien_text png = {0};
    mien_image photo = {WIDTH, HEIGHT, channels, NULL};
    expect_ok(mien_new(&photo.pixels, WIDTH * HEIGHT, (size_t)channels));
    made_pixels(photo.pixels, WIDTH, HEIGHT, channels, 1);
    expect_ok(mien_image_encode_png(&photo, &png));
    scratch_put("photos/happy/a.png", png.data, png.size);
    scratch_put("photos/sad/b.png", png.data, png.size);
    mien_text_release(&png);
    return photo;
}

static void prepare(int channels, mien_prepare_faces faces, int side, size_t expected) {
    char source[64], out[64];
    mien_prepare_result result;
    snprintf(source, sizeof source, "%s", scratch_path("photos"));
    snprintf(out, sizeof out, "%s", scratch_path("out"));
    const mien_prepare options = {.source = source,
                                  .out = out,
                                  .crop = {.square = true, .margin = 0.2},
                                  .channels = channels,
                                  .height = side,
                                  .width = side,
                                  .side_max = MIEN_PREPARE_SIDE_MAX,
                                  .detector = &made_choice,
                                  .detector_text = "made",
                                  .faces = faces,
                                  .every = 1,
                                  .bad_photos = {true, -1},
                                  .force = true};
    expect_ok(mien_prepare_run(&options, &result));
    assert_int_equal(result.total.photos, 2);
    assert_int_equal(result.total.faces, expected);
    mien_prepare_release(&result);
}

/* The model's input from the crop is that from the photo. */
static void expect_same(const mien_image *photo, mien_rect box, const char *crop) {
    const mien_crop rule = {.square = true, .margin = 0.2};
    uint8_t from_photo[INPUT * INPUT * 3], from_crop[INPUT * INPUT * 3];
    mien_image read;
    expect_ok(mien_crop_face(photo, box, rule, INPUT, INPUT, photo->channels, from_photo));
    expect_ok(mien_image_read(scratch_path(crop), photo->channels, &read));
    mien_resize(read.pixels, read.height, read.width, read.channels, from_crop, INPUT, INPUT);
    assert_memory_equal(from_photo, from_crop, (size_t)(INPUT * INPUT * photo->channels));
    mien_image_release(&read);
}

static void a_crop_is_the_models_input(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2)
        for (int side = 0; side <= INPUT; side += INPUT) {
            mien_image photo = write_photos(channels);
            prepare(channels, MIEN_FACES_ALL, side, 4); /* the third is too small */
            expect_same(&photo, made_faces[0].box, "out/happy/a.png");
            expect_same(&photo, made_faces[1].box, "out/happy/a-2.png");
            expect_same(&photo, made_faces[1].box, "out/sad/b-2.png");
            mien_image_release(&photo);
        }
}

static void which_faces(void **state) {
    (void)state;
    mien_image photo = write_photos(1);
    prepare(1, MIEN_FACES_LARGEST, 0, 2);
    expect_same(&photo, made_faces[1].box, "out/happy/a.png");
    prepare(1, MIEN_FACES_ONE, 0, 0);
    mien_image_release(&photo);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_crop_is_the_models_input),
                                       cmocka_unit_test(which_faces)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
