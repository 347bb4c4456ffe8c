/* TIFF, WebP and GIF against the pixels of Pillow (tests/golden/make_pictures.py), and damaged. */
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/image/image.h"
#include "tests/support/pictures.h"

static const char *const files[] = {"gray.tif",   "gray_lzw.tif", "colour_lzw.tif", "palette.tif",
                                    "alpha.tif",  "turned.tif",   "gray16.tif",     "colour.webp",
                                    "alpha.webp", "lossy.webp",   "turned.webp",    "plain.gif",
                                    "two.gif",    "clear.gif",    "long.gif"};
enum { FILES = sizeof files / sizeof files[0] };

static void equals_pillow(void **state) {
    (void)state;
    for (int i = 0; i < FILES; i++) {
        mien_image got, want;
        if (mien_image_read(picture_path(files[i], ".pgm"), 0, &want) != MIEN_OK &&
            mien_image_read(picture_path(files[i], ".ppm"), 0, &want) != MIEN_OK)
            fail_msg("%s: %s", files[i], mien_error_message());
        if (mien_image_read(picture_path(files[i], ""), want.channels, &got) != MIEN_OK)
            fail_msg("%s: %s", files[i], mien_error_message());
        if (got.width != want.width || got.height != want.height || got.channels != want.channels)
            fail_msg("%s: %dx%dx%d", files[i], got.width, got.height, got.channels);
        const size_t size = (size_t)want.width * (size_t)want.height * (size_t)want.channels;
        if (memcmp(got.pixels, want.pixels, size) != 0) fail_msg("%s: other pixels", files[i]);
        mien_image_release(&got);
        mien_image_release(&want);
    }
}

static void gray_of_colour(void **state) {
    (void)state;
    for (int i = 0; i < FILES; i++) {
        mien_image colour, gray;
        assert_int_equal(mien_image_read(picture_path(files[i], ""), 3, &colour), MIEN_OK);
        assert_int_equal(mien_image_read(picture_path(files[i], ""), 1, &gray), MIEN_OK);
        const size_t pixels = (size_t)gray.width * (size_t)gray.height;
        mien_image_to_gray(colour.pixels, pixels, colour.pixels);
        if (memcmp(colour.pixels, gray.pixels, pixels) != 0) fail_msg("%s: other gray", files[i]);
        mien_image_release(&colour);
        mien_image_release(&gray);
    }
}

static void unsupported_colours(void **state) {
    (void)state;
    mien_image image;
    assert_int_equal(mien_image_read(picture_path("cmyk.tif", ""), 0, &image), MIEN_UNSUPPORTED);
    assert_non_null(strstr(mien_error_message(), "CMYK"));
    assert_null(image.pixels);
}

/* Every cut of a file, and every byte changed in two ways, decodes or fails cleanly. */
static void damaged(void **state) {
    (void)state;
    for (int i = 0; i < FILES; i++) {
        size_t size;
        mien_image image;
        char *bytes = picture_bytes(files[i], &size);
        if (mien_image_decode(bytes, size / 2, "half", 0, &image) == MIEN_OK)
            fail_msg("half of %s was decoded", files[i]);
        picture_damage(files[i], bytes, size, 1);
        mien_free(bytes);
    }
}

static void huge(void **state) {
    (void)state;
    mien_image image;
    char gif[] = "GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\2\0;";
    assert_int_equal(mien_image_decode(gif, sizeof gif - 1, "huge", 0, &image), MIEN_UNSUPPORTED);
    size_t size;
    char *bytes = picture_bytes("gray.tif", &size);
    for (size_t at = 8; at + 12 <= size; at++) /* ImageWidth and ImageLength, of any integer type */
        if ((uint8_t)bytes[at + 1] == 1 && (bytes[at] == 0 || bytes[at] == 1) &&
            bytes[at + 4] == 1 && bytes[at + 5] == 0)
            memcpy(bytes + at + 2, "\4\0\1\0\0\0\xff\xff\0\0", 10);
    assert_int_equal(mien_image_decode(bytes, size, "huge", 0, &image), MIEN_UNSUPPORTED);
    mien_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow), cmocka_unit_test(gray_of_colour),
        cmocka_unit_test(unsupported_colours), cmocka_unit_test(damaged), cmocka_unit_test(huge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
