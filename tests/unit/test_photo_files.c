/* Photos as cameras and phones write them: above the pixel limit, with stray bytes, and films. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "tests/support/net.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_pictures.h"

enum { BLOCK = 64 };

static const char *write_file(const char *name, mien_text *file) {
    const char *const path = scratch_path(name);
    assert_int_equal(file->status, MIEN_OK);
    expect_ok(mien_file_write(path, file->data, file->size));
    mien_text_release(file);
    return path;
}

/* A gray value that depends on the block of 64x64 pixels. */
static uint8_t shade(int x, int y) {
    return (uint8_t)(20 + (x / BLOCK * 37 + y / BLOCK * 11) % 200);
}

static void put_blocks(int width, int height, int exif, bool progressive, mien_text *out) {
    uint8_t *pixels = malloc((size_t)width * (size_t)height);
    assert_non_null(pixels);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            pixels[(size_t)y * (size_t)width + (size_t)x] = shade(x, y);
    made_jpeg(pixels, width, height, 1, exif, progressive, out);
    free(pixels);
}

/* A phone's 50.3 megapixels are decoded at half their size; a training picture is refused. */
static void above_the_limit(void **state) {
    (void)state;
    enum { WIDTH = 8192, HEIGHT = 6145 };
    for (int sideways = 0; sideways < 2; sideways++) {
        mien_text file = {0};
        mien_photo_facts facts;
        mien_image image;
        put_blocks(WIDTH, HEIGHT, sideways ? 6 : 0, sideways, &file);
        const char *path = write_file("phone.jpg", &file);
        assert_int_equal(mien_image_read(path, 1, &image), MIEN_UNSUPPORTED);
        expect_in_message("8192x6145 pixels, 50.3 megapixels; the limit is 50");
        expect_ok(mien_image_read_photo(path, 1, &image, &facts));
        assert_int_equal(facts.width, sideways ? HEIGHT : WIDTH);
        assert_int_equal(facts.height, sideways ? WIDTH : HEIGHT);
        assert_int_equal(image.width, sideways ? (HEIGHT + 1) / 2 : WIDTH / 2);
        assert_int_equal(image.height, sideways ? WIDTH / 2 : (HEIGHT + 1) / 2);
        assert_string_equal(facts.warning, "");
        for (int i = 0; i < 90; i++) { /* the middle of blocks, in stored coordinates */
            const int x = BLOCK / 4 + i * BLOCK / 2, y = BLOCK / 4 + i % 7 * BLOCK / 2;
            const int column = sideways ? image.width - 1 - y : x, row = sideways ? x : y;
            if (abs(image.pixels[row * image.width + column] - shade(2 * x, 2 * y)) > 8)
                fail_msg("pixel %d,%d is %d, not %d", x, y,
                         image.pixels[row * image.width + column], shade(2 * x, 2 * y));
        }
        mien_image_release(&image);
    }
}

/* Changes the size in the header of a small JPEG. */
static void claim(mien_text *jpeg, int width, int height) {
    char *frame = memmem(jpeg->data, jpeg->size, "\xff\xc0", 2);
    if (!frame) frame = memmem(jpeg->data, jpeg->size, "\xff\xc2", 2);
    assert_non_null(frame);
    const char size[4] = {(char)(height >> 8), (char)height, (char)(width >> 8), (char)width};
    memcpy(frame + 5, size, 4);
}

/* Sizes that a file is too small for, or that take too much memory at any scale. */
static void claimed_sizes(void **state) {
    (void)state;
    static const struct {
        int width, height;
        bool progressive;
        mien_status status;
        const char *part;
    } cases[] = {{16320, 12240, false, MIEN_FORMAT, "cut short"},
                 {25000, 20001, false, MIEN_UNSUPPORTED, "500.0 megapixels; the limit for photos"},
                 {65000, 65000, false, MIEN_UNSUPPORTED, "4225.0 megapixels"},
                 {16320, 12240, true, MIEN_FORMAT, "cut short"},
                 {16320, 16000, true, MIEN_UNSUPPORTED, "progressive JPEG of 261.1 megapixels"}};
    uint8_t pixels[BLOCK * BLOCK];
    made_pixels(pixels, BLOCK, BLOCK, 1, 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mien_text file = {0};
        mien_photo_facts facts;
        mien_image image;
        made_jpeg(pixels, BLOCK, BLOCK, 1, 0, cases[i].progressive, &file);
        claim(&file, cases[i].width, cases[i].height);
        assert_int_equal(mien_image_read_photo(write_file("claims.jpg", &file), 3, &image, &facts),
                         cases[i].status);
        expect_in_message("claims.jpg'");
        expect_in_message(cases[i].part);
        assert_null(image.pixels);
    }
    assert_true(mien_peak_memory() < 500u << 20);
}

/* Bytes before the end marker cost a photo a warning; everything else is as strict as ever. */
static void stray_bytes(void **state) {
    (void)state;
    uint8_t pixels[BLOCK * BLOCK * 3];
    mien_text whole = {0}, file = {0};
    mien_photo_facts facts;
    mien_image clean, image;
    made_pixels(pixels, BLOCK, BLOCK, 3, 3);
    made_jpeg(pixels, BLOCK, BLOCK, 3, 0, false, &whole);
    mien_text_append(&file, whole.data, whole.size - 2);
    mien_text_append(&file, "\1\2\3\4\5\6\7\x10\x11\x12\x13\x14", 12);
    mien_text_append(&file, "\xff\xd9", 2);
    const size_t size = whole.size;
    char *const bytes = malloc(size);
    memcpy(bytes, whole.data, size);
    expect_ok(mien_image_read_photo(write_file("clean.jpg", &whole), 3, &clean, &facts));
    assert_string_equal(facts.warning, "");
    assert_int_equal(facts.width, BLOCK);
    const char *path = write_file("stray.jpg", &file);
    assert_int_equal(mien_image_read(path, 3, &image), MIEN_FORMAT);
    expect_ok(mien_image_read_photo(path, 3, &image, &facts));
    assert_non_null(strstr(facts.warning, "stray bytes"));
    assert_memory_equal(image.pixels, clean.pixels, sizeof pixels);
    mien_image_release(&image);
    mien_image_release(&clean);
    for (int lost = 3; lost < 60; lost += 8) { /* cut short, with an end marker or without */
        mien_text cut = {0};
        mien_text_append(&cut, bytes, size - (size_t)lost);
        if (lost % 16 == 3) mien_text_append(&cut, "\xff\xd9", 2);
        assert_int_equal(mien_image_read_photo(write_file("cut.jpg", &cut), 3, &image, &facts),
                         MIEN_FORMAT);
    }
    free(bytes);
}

static void expect_kind(const char *bytes, size_t size, const char *part) {
    mien_image image;
    assert_int_equal(mien_image_decode(bytes, size, "clip", 3, &image), MIEN_UNSUPPORTED);
    expect_in_message(part);
}

/* One container holds videos, sound and pictures: its brands tell which. */
static void films(void **state) {
    (void)state;
    expect_kind("\0\0\0\x20"
                "ftypisom\0\0\2\0isomiso2avc1mp41",
                32, "'clip' is a video (MP4, MOV or 3GP), not a picture: save single frames");
    expect_kind("\0\0\0\x14"
                "ftyp3gp5\0\0\0\0"
                "3gp5",
                20, "is a video");
    expect_kind("\0\0\0\x14"
                "ftypqt  \0\0\0\0qt  ",
                20, "QuickTime video");
    expect_kind("\0\0\0\x14"
                "ftypM4A \0\0\0\0M4A ",
                20, "sound file");
    expect_kind("\0\0\0\x08moov....", 12, "QuickTime video");
    expect_kind("\x1a\x45\xdf\xa3........", 12, "MKV");
    expect_kind("RIFF....AVI LIST", 16, "AVI video");
    expect_kind("FLV\1........", 12, "Flash video");
    expect_kind("\0\0\1\xba........", 12, "MPEG video");
}

/* Pictures that are not read are called what they are, never HEIC or a video. */
static void other_pictures(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *said;
    } files[] = {
        {"\0\0\0\x18"
         "ftypcrx \0\0\0\1crx isom",
         24, "'clip' is a raw camera file (Canon CR3), which is not supported: convert it to JPEG"},
        {"\0\0\0\x14"
         "ftypjp2 \0\0\0\0jp2 ",
         20, "a JPEG 2000 picture"},
        {"\0\0\0\x14"
         "ftypjxl \0\0\0\0jxl ",
         20, "a JPEG XL picture"},
        {"\0\0\0\x0cjP  \r\n\x87\n", 12, "a JPEG 2000 picture"},
        {"\xff\x4f\xff\x51\0\x2f\0\0", 8, "a JPEG 2000 picture"},
        {"\0\0\0\x0cJXL \r\n\x87\n", 12, "a JPEG XL picture"},
        {"\xff\x0a\xfa\x7f", 4, "a JPEG XL picture"},
        {"II*\0\x10\0\0\0CR\2\0", 12, "a raw camera file (Canon CR2)"},
        {"FUJIFILMCCD-RAW 0201", 20, "a raw camera file (Fujifilm RAF)"},
        {"IIRO\x08\0\0\0", 8, "a raw camera file (Olympus ORF)"},
        {"IIU\0\x18\0\0\0", 8, "a raw camera file (Panasonic RW2)"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        expect_kind(files[i].bytes, files[i].size, files[i].said);
        assert_int_equal(mien_image_kind_of(files[i].bytes, files[i].size), MIEN_IMAGE_UNREAD);
    }
}

/* The first directory of a raw file such as DNG, NEF or ARW is a preview. */
static void raw_tiff(void **state) {
    (void)state;
    static const char file[] = "II*\0\x08\0\0\0\7\0"
                               "\xfe\0\4\0\1\0\0\0\1\0\0\0" /* NewSubfileType: reduced */
                               "\0\1\3\0\1\0\0\0\1\0\0\0"   /* 1x1 pixels */
                               "\1\1\3\0\1\0\0\0\1\0\0\0"
                               "\2\1\3\0\1\0\0\0\x08\0\0\0"   /* 8 bits */
                               "\6\1\3\0\1\0\0\0\1\0\0\0"     /* black is 0 */
                               "\x11\1\4\0\1\0\0\0\x08\0\0\0" /* the strip */
                               "\x17\1\4\0\1\0\0\0\1\0\0\0"
                               "\0\0\0";
    char full[sizeof file];
    mien_image image;
    expect_kind(file, sizeof file, "'clip' begins with a preview of its picture, as raw camera");
    memcpy(full, file, sizeof file);
    full[18] = 0;
    assert_int_equal(mien_image_decode(full, sizeof full, "tiff", 1, &image), MIEN_OK);
    mien_image_release(&image);
}

/* A video is far above the limit of a picture's file. */
static void long_film(void **state) {
    (void)state;
    const char *const path = scratch_path("long.mp4");
    mien_image image;
    mien_text file = {0};
    mien_text_append(&file,
                     "\0\0\0\x14"
                     "ftypmp42\0\0\0\0mp42",
                     20);
    write_file("long.mp4", &file);
    assert_int_equal(truncate(path, 300l << 20), 0);
    assert_int_equal(mien_image_read(path, 1, &image), MIEN_UNSUPPORTED);
    expect_in_message("is a video");
    mien_text_append(&file, "P5 3000 3000 255\n", 17);
    write_file("long.mp4", &file);
    assert_int_equal(truncate(path, 300l << 20), 0);
    assert_int_equal(mien_image_read(path, 1, &image), MIEN_FORMAT);
    expect_in_message("the limit is 268435456");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_pictures),  cmocka_unit_test(raw_tiff),
        cmocka_unit_test(above_the_limit), cmocka_unit_test(claimed_sizes),
        cmocka_unit_test(stray_bytes),     cmocka_unit_test(films),
        cmocka_unit_test(long_film)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
