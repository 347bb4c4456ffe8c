/* HEIC and AVIF against the pixels of pillow-heif and Pillow (tests/golden/make_pictures.py), and
 * damaged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/image/image.h"
#include "tests/support/pictures.h"

/* The largest difference of a colour. libheif's versions round the conversion from YCbCr
 * differently; Pillow interpolates the colours of an AVIF of half resolution, libheif repeats
 * them, which leaves gray as it is. */
static const struct {
    const char *name;
    int channels, difference;
} files[] = {{"lossless.heic", 3, 0}, {"full.heic", 3, 0},  {"ten_bits.heic", 3, 0},
             {"gray.heic", 1, 0},     {"half.heic", 3, 1},  {"alpha.heic", 3, 1},
             {"turn2.heic", 3, 1},    {"turn3.heic", 3, 1}, {"turn4.heic", 3, 1},
             {"turn5.heic", 3, 1},    {"turn6.heic", 3, 1}, {"turn7.heic", 3, 1},
             {"turn8.heic", 3, 1},    {"full.avif", 3, 1},  {"alpha.avif", 3, 1},
             {"half.avif", 1, 1},     {"turned.avif", 1, 1}};
enum { FILES = sizeof files / sizeof files[0] };

static void equals_pillow(void **state) {
    (void)state;
    for (int i = 0; i < FILES; i++) {
        mien_image got, want;
        const int channels = files[i].channels;
        if (mien_image_read(picture_path(files[i].name, ".pgm"), channels, &want) != MIEN_OK &&
            mien_image_read(picture_path(files[i].name, ".ppm"), channels, &want) != MIEN_OK)
            fail_msg("%s: %s", files[i].name, mien_error_message());
        if (mien_image_read(picture_path(files[i].name, ""), channels, &got) != MIEN_OK)
            fail_msg("%s: %s", files[i].name, mien_error_message());
        if (got.width != want.width || got.height != want.height || got.channels != channels)
            fail_msg("%s: %dx%dx%d", files[i].name, got.width, got.height, got.channels);
        const size_t size = (size_t)want.width * (size_t)want.height * (size_t)channels;
        for (size_t k = 0; k < size; k++)
            if (abs(got.pixels[k] - want.pixels[k]) > files[i].difference)
                fail_msg("%s: %d at %zu is %d", files[i].name, got.pixels[k], k, want.pixels[k]);
        mien_image_release(&got);
        mien_image_release(&want);
    }
}

/* Gray is the formula of every other format, not the stored luma. */
static void gray_of_colour(void **state) {
    (void)state;
    mien_image colour, gray;
    assert_int_equal(mien_image_read(picture_path("half.heic", ""), 3, &colour), MIEN_OK);
    assert_int_equal(mien_image_read(picture_path("half.heic", ""), 1, &gray), MIEN_OK);
    const size_t pixels = (size_t)gray.width * (size_t)gray.height;
    mien_image_to_gray(colour.pixels, pixels, colour.pixels);
    assert_memory_equal(colour.pixels, gray.pixels, pixels);
    mien_image_release(&colour);
    mien_image_release(&gray);
}

/* A file that is cut anywhere fails; one with a changed byte decodes or fails cleanly. */
static void damaged(void **state) {
    (void)state;
    static const char *const some[] = {"half.heic", "turn6.heic", "ten_bits.heic", "half.avif",
                                       "alpha.avif"};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        size_t size;
        char *bytes = picture_bytes(some[i], &size);
        assert_int_equal(picture_damage(some[i], bytes, size, 3), 0);
        mien_free(bytes);
    }
}

/* The size in `ispe` is refused before anything of that size is allocated. */
static void huge(void **state) {
    (void)state;
    static const char *const some[] = {"full.heic", "full.avif"};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        size_t size;
        mien_image image;
        char *bytes = picture_bytes(some[i], &size);
        for (size_t at = 0; at + 16 <= size; at++)
            if (memcmp(bytes + at, "ispe", 4) == 0)
                memcpy(bytes + at + 8, "\0\0\x75\x30\0\0\x75\x30", 8);
        assert_int_equal(mien_image_decode(bytes, size, "huge", 0, &image), MIEN_UNSUPPORTED);
        assert_non_null(strstr(mien_error_message(), "30000x30000 pixels, 900.0 megapixels"));
        mien_free(bytes);
    }
}

static void no_picture(void **state) {
    (void)state;
    mien_image image;
    assert_int_equal(mien_image_decode("\0\0\0\x18"
                                       "ftypheic\0\0\0\0mif1heic",
                                       24, "empty", 0, &image),
                     MIEN_FORMAT);
    assert_non_null(strstr(mien_error_message(), "'empty' cannot be decoded: its HEIC data"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_pillow),
                                       cmocka_unit_test(gray_of_colour), cmocka_unit_test(damaged),
                                       cmocka_unit_test(huge), cmocka_unit_test(no_picture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
