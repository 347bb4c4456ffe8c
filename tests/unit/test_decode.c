/* Decoding of pictures: every format against known pixels, damaged files against their messages. */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>
#include <zlib.h>

#include "host/base/memory.h"
#include "host/image/resize.h"
#include "tests/support/scratch.h"
#include "tests/support/test.h"
#include "tests/unit/made_pictures.h"

enum { W = 19, H = 13 };

static uint8_t gray[H * W], colour[H * W * 3];

static int start(void **state) {
    (void)state;
    made_pixels(gray, W, H, 1, 1);
    made_pixels(colour, W, H, 3, 2);
    return 0;
}

/* Decodes and releases the file. */
static mien_image decode(mien_text *file, int channels) {
    mien_image image;
    assert_int_equal(file->status, MIEN_OK);
    if (mien_image_decode(file->data, file->size, "made", channels, &image) != MIEN_OK)
        fail_msg("%s", mien_error_message());
    mien_text_release(file);
    return image;
}

static void refuse(const void *bytes, size_t size, mien_status status, const char *part) {
    mien_image image;
    assert_int_equal(mien_image_decode(bytes, size, "made", 0, &image), status);
    assert_null(image.pixels);
    expect_in_message("'made'");
    expect_in_message(part);
}

/* Compares with [H][W][channels] and releases the picture. */
static void expect_pixels(mien_image *image, const uint8_t *want, int channels, int tolerance) {
    assert_int_equal(image->width, W);
    assert_int_equal(image->height, H);
    assert_int_equal(image->channels, channels);
    for (int i = 0; i < W * H * channels; i++)
        if (abs(image->pixels[i] - want[i]) > tolerance)
            fail_msg("byte %d is %d, not %d", i, image->pixels[i], want[i]);
    mien_image_release(image);
}

static void spread(const uint8_t *one, uint8_t *three) {
    for (int i = 0; i < W * H * 3; i++)
        three[i] = one[i / 3];
}

static void to_gray(const uint8_t *three, uint8_t *one) {
    for (int i = 0; i < W * H; i++)
        one[i] = (uint8_t)(0.299 * three[3 * i] + 0.587 * three[3 * i + 1] +
                           0.114 * three[3 * i + 2] + 0.5);
}

static void jpeg(void **state) {
    (void)state;
    uint8_t three[W * H * 3], one[W * H];
    mien_text file = {0};
    spread(gray, three);
    to_gray(colour, one);
    for (int progressive = 0; progressive < 2; progressive++) {
        made_jpeg(gray, W, H, 1, 0, progressive, &file);
        mien_image image = decode(&file, 0);
        expect_pixels(&image, gray, 1, 6);
        made_jpeg(gray, W, H, 1, 0, progressive, &file);
        image = decode(&file, 3);
        expect_pixels(&image, three, 3, 6);
        made_jpeg(colour, W, H, 3, 0, progressive, &file);
        image = decode(&file, 0);
        expect_pixels(&image, colour, 3, 40); /* chroma is stored at half the size */
        made_jpeg(colour, W, H, 3, 0, progressive, &file);
        image = decode(&file, 1);
        expect_pixels(&image, one, 1, 6);
    }
}

/* CMYK without black, one ink at a time. */
static void jpeg_cmyk(void **state) {
    (void)state;
    uint8_t inks[W * H * 4], want[W * H * 3];
    mien_text file = {0};
    for (int i = 0; i < W * H * 3; i++)
        inks[i / 3 * 4 + i % 3] = want[i] = colour[i];
    for (int i = 0; i < W * H; i++)
        inks[i * 4 + 3] = 255; /* inverted, as Adobe's marker says: no black */
    made_jpeg(inks, W, H, 4, 0, false, &file);
    mien_image image = decode(&file, 0);
    expect_pixels(&image, want, 3, 40);
}

/* Moves a PNG's eXIf chunk after the pixels. */
static void move_exif_to_end(mien_text *png) {
    enum { CHUNK = 12 + 26, LAST = 12 };
    char chunk[CHUNK], *at = memmem(png->data, png->size, "eXIf", 4);
    assert_non_null(at);
    at -= 4;
    memcpy(chunk, at, CHUNK);
    memmove(at, at + CHUNK, (size_t)(png->data + png->size - LAST - CHUNK - at));
    memcpy(png->data + png->size - LAST - CHUNK, chunk, CHUNK);
}

/* A stored 3x2 picture, and its upright form by the definition of the tag. */
static void exif(void **state) {
    (void)state;
    static const uint8_t stored[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t upright[9][6] = {{0},
                                          {1, 2, 3, 4, 5, 6},
                                          {3, 2, 1, 6, 5, 4},
                                          {6, 5, 4, 3, 2, 1},
                                          {4, 5, 6, 1, 2, 3},
                                          {1, 4, 2, 5, 3, 6},
                                          {4, 1, 5, 2, 6, 3},
                                          {6, 3, 5, 2, 4, 1},
                                          {3, 6, 2, 5, 1, 4}};
    for (int o = 1; o <= 8; o++) {
        mien_text file = {0};
        mien_image image;
        for (int at_end = 0; at_end < 2; at_end++) {
            made_png(stored, 3, 2, PNG_COLOR_TYPE_GRAY, 8, false, o, &file);
            if (at_end) move_exif_to_end(&file);
            image = decode(&file, 0);
            assert_int_equal(image.width, o < 5 ? 3 : 2);
            assert_int_equal(image.height, o < 5 ? 2 : 3);
            assert_memory_equal(image.pixels, upright[o], 6);
            mien_image_release(&image);
        }
        made_jpeg(gray, W, H, 1, o, false, &file);
        image = decode(&file, 0);
        assert_int_equal(image.width, o < 5 ? W : H);
        const bool right =
            o == 2 || o == 3 || o == 7 || o == 8; /* the corner of the stored (0,0) */
        const bool below = o == 3 || o == 4 || o == 7 || o == 6;
        const int x = (o < 5 ? right : o == 6 || o == 7) ? image.width - 1 : 0;
        const int y = (o < 5 ? below : o == 7 || o == 8) ? image.height - 1 : 0;
        assert_true(abs(image.pixels[y * image.width + x] - gray[0]) <= 6);
        mien_image_release(&image);
    }
    mien_text odd = {0}; /* an invalid orientation is ignored */
    made_png(stored, 3, 2, PNG_COLOR_TYPE_GRAY, 8, false, 9, &odd);
    mien_image image = decode(&odd, 0);
    assert_memory_equal(image.pixels, stored, 6);
    mien_image_release(&image);
}

/* Sample `c` of pixel (x, y) with `depth` bits; all depths agree in their upper bits. */
static unsigned sample(int x, int y, int c, int depth) {
    const unsigned word = (unsigned)(x * 2971 + y * 7919 + c * 104729) & 0xffff;
    return word >> (16 - depth);
}

static void put_sample(uint8_t *row, size_t at, int depth, unsigned value) {
    if (depth == 16) {
        row[2 * at] = (uint8_t)(value >> 8);
        row[2 * at + 1] = (uint8_t)value;
    } else {
        const size_t bit = at * (size_t)depth;
        row[bit / 8] |= (uint8_t)(value << (8 - (size_t)depth - bit % 8));
    }
}

/* The expected sample: 8 bits, palette resolved, composed onto white. */
static int expected(int type, int depth, int x, int y, int c) {
    const unsigned most = (1u << depth) - 1;
    const int samples = type == 0 || type == 3 ? 1 : type == 4 ? 2 : type == 2 ? 3 : 4;
    if (type == 3) {
        const int index = (int)sample(x, y, 0, depth) & 15;
        return c == 0 ? index * 16 : c == 1 ? 255 - index * 16 : 0;
    }
    const double v = sample(x, y, c, depth) * 255.0 / most;
    if (!(type & 4)) return (int)(v + 0.5);
    const double a = sample(x, y, samples - 1, depth) * 1.0 / most;
    return (int)(v * a + 255 * (1 - a) + 0.5);
}

static void png_kind(int type, int depth, bool interlaced) {
    const int samples = type == 0 || type == 3 ? 1 : type == 4 ? 2 : type == 2 ? 3 : 4;
    const size_t stride = ((size_t)(W * samples * depth) + 7) / 8;
    const int channels = type == 0 || type == 4 ? 1 : 3;
    uint8_t rows[H * W * 8] = {0};
    mien_text file = {0};
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < samples; c++) {
                unsigned v = sample(x, y, c, depth);
                if (type == 3) v &= 15;
                put_sample(rows + (size_t)y * stride, (size_t)(x * samples + c), depth, v);
            }
    made_png(rows, W, H, type, depth, interlaced, 0, &file);
    mien_image image = decode(&file, 0);
    assert_int_equal(image.channels, channels);
    for (int i = 0; i < W * H * channels; i++) {
        const int p = i / channels;
        const int want = expected(type, depth, p % W, p / W, i % channels);
        /* alpha is applied at 8 bits */
        if (abs(image.pixels[i] - want) > (type & 4 ? 1 : 0))
            fail_msg("type %d, %d bits: byte %d is %d, not %d", type, depth, i, image.pixels[i],
                     want);
    }
    mien_image_release(&image);
}

static void png_kinds(void **state) {
    (void)state;
    static const int kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                                   {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int interlaced = 0; interlaced < 2; interlaced++)
            png_kind(kinds[i][0], kinds[i][1], interlaced);
}

static void bmp(void **state) {
    (void)state;
    mien_text file = {0};
    for (int sign = -1; sign <= 1; sign += 2) {
        made_bmp(colour, W, sign * H, &file);
        mien_image image = decode(&file, 0);
        expect_pixels(&image, colour, 3, 0);
    }
    /* 4 bits with a palette of three colours; index 3 is invalid */
    static const uint8_t small[] = "BM\0\0\0\0\0\0\0\0\x42\0\0\0"
                                   "\x28\0\0\0\4\0\0\0\1\0\0\0\1\0\4\0\0\0\0\0\0\0\0\0"
                                   "\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
                                   "\1\2\3\0\4\5\6\0\7\10\11\0"
                                   "\x01\x23\0\0";
    static const uint8_t want[12] = {3, 2, 1, 6, 5, 4, 9, 8, 7, 0, 0, 0};
    mien_image image;
    assert_int_equal(mien_image_decode(small, sizeof small - 1, "made", 0, &image), MIEN_OK);
    assert_int_equal(image.width * 10 + image.height, 41);
    assert_memory_equal(image.pixels, want, 12);
    mien_image_release(&image);
    uint8_t packed[sizeof small];
    memcpy(packed, small, sizeof small);
    packed[30] = 2;
    refuse(packed, sizeof small - 1, MIEN_UNSUPPORTED, "compression 2");
    packed[30] = 0, packed[28] = 16;
    refuse(packed, sizeof small - 1, MIEN_UNSUPPORTED, "16");
    packed[28] = 4;
    for (uint8_t begin = 0; begin < 0x42; begin++) { /* file header, header and palette */
        packed[10] = begin;
        refuse(packed, sizeof small - 1, MIEN_FORMAT, "inside the header");
    }
}

static void pnm(void **state) {
    (void)state;
    static const struct {
        const char *file;
        size_t size;
        int channels;
        uint8_t want[6];
    } rows[] = {
        {"P2 2 1 # two\n255 7\n 200 ", 24, 1, {7, 200}},
        {"P3\n2 1\n100\n0 50 100 1 2 3", 25, 3, {0, 128, 255, 3, 5, 8}},
        {"P5 2 1 65535\n\x80\0\xff\xff", 17, 1, {128, 255}},
        {"P6\n#a\n#b\n2 1 255\n\1\2\3\4\5\6", 23, 3, {1, 2, 3, 4, 5, 6}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mien_image image;
        if (mien_image_decode(rows[i].file, rows[i].size, "made", 0, &image) != MIEN_OK)
            fail_msg("row %zu: %s", i, mien_error_message());
        assert_int_equal(image.channels, rows[i].channels);
        assert_memory_equal(image.pixels, rows[i].want, (size_t)(2 * rows[i].channels));
        mien_image_release(&image);
    }
    refuse("P5 2 1 65535\n\x80\0\xff", 16, MIEN_FORMAT, "cut short");
    refuse("P5 2 2 0\n1234", 13, MIEN_FORMAT, "maximum is 0");
    refuse("P2 2 1 100 7 101", 16, MIEN_FORMAT, "above 100");
    refuse("P5 2 x 255\n12", 13, MIEN_FORMAT, "no number at byte 5");
}

static void not_pictures(void **state) {
    (void)state;
    refuse("", 0, MIEN_FORMAT, "is empty (0 bytes)");
    refuse("hello, world", 12, MIEN_FORMAT, "is not a picture");
    refuse("P", 1, MIEN_FORMAT, "is not a picture");
    refuse("GIF89a......", 12, MIEN_FORMAT, "cut short");
    refuse("RIFF\xff\0\0\0WEBPVP8 ", 16, MIEN_FORMAT, "cut short");
    refuse("....ftypheic", 12, MIEN_FORMAT, "its HEIC data are damaged or cut short");
    refuse("....ftypavif", 12, MIEN_FORMAT, "its AVIF data are damaged or cut short");
    refuse("....ftypisom", 12, MIEN_UNSUPPORTED, "is a video");
    refuse("P6 10000 10000 255\n", 19, MIEN_UNSUPPORTED, "10000x10000 pixels, 100.0 megapixels");
    refuse("P6 7000 7000 255\n", 17, MIEN_FORMAT, "cut short");
    refuse("P6 0 7000 255\n", 14, MIEN_FORMAT, "0x7000 pixels");
    mien_image image;
    assert_int_equal(mien_image_read("/nowhere/a.png", 1, &image), MIEN_NOT_FOUND);
    expect_in_message("/nowhere/a.png");
}

/* Headers that claim more data than the file has are refused before memory is allocated. */
static void oversized_headers(void **state) {
    (void)state;
    mien_text png = {0}, jpg = {0}, bmp_file = {0};
    made_png(gray, W, H, PNG_COLOR_TYPE_GRAY, 8, false, 0, &png);
    made_jpeg(gray, W, H, 1, 0, false, &jpg);
    made_bmp(colour, W, H, &bmp_file);
    uint8_t *frame = memmem(jpg.data, jpg.size, "\xff\xc0", 2);
    assert_non_null(frame);
    for (int side = 7000; side <= 10000; side += 3000) {
        const uint8_t high = (uint8_t)(side >> 8), low = (uint8_t)side;
        const mien_status status = side == 7000 ? MIEN_FORMAT : MIEN_UNSUPPORTED;
        const char *part = side == 7000 ? "cut short" : "100.0 megapixels";
        const uint8_t both[8] = {0, 0, high, low, 0, 0, high, low};
        memcpy(png.data + 16, both, 8);
        const uLong sum = crc32(0, (const Bytef *)png.data + 12, 17);
        for (int i = 0; i < 4; i++)
            png.data[29 + i] = (char)(sum >> (24 - 8 * i));
        refuse(png.data, png.size, status, part);
        memcpy(frame + 5, both + 2, 2);
        memcpy(frame + 7, both + 2, 2);
        refuse(jpg.data, jpg.size, status, part);
        const uint8_t little[8] = {low, high, 0, 0, low, high, 0, 0};
        memcpy(bmp_file.data + 18, little, 8);
        refuse(bmp_file.data, bmp_file.size, status, part);
    }
    assert_true(mien_peak_memory() < 500u << 20);
    mien_text_release(&png);
    mien_text_release(&jpg);
    mien_text_release(&bmp_file);
}

/* Decodes a copy in a block of the exact size: a sanitizer detects any read past its end. */
static mien_status decode_copy(const char *data, size_t size) {
    mien_image image;
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    const mien_status status = mien_image_decode(copy, size, "made", 1, &image);
    mien_image_release(&image);
    free(copy);
    return status;
}

/* Every truncated picture is refused, and changed bytes do not crash the program. */
static void damaged(void **state) {
    (void)state;
    mien_text files[6] = {{0}};
    made_jpeg(colour, W, H, 3, 6, false, &files[0]);
    made_jpeg(colour, W, H, 3, 3, true, &files[1]);
    made_png(colour, W, H, PNG_COLOR_TYPE_RGB, 8, false, 5, &files[2]);
    made_png(gray, W, H, PNG_COLOR_TYPE_GRAY, 8, true, 0, &files[3]);
    made_bmp(colour, W, H, &files[4]);
    made_pgm(gray, W, H, &files[5]);
    uint32_t dice = 1;
    for (int f = 0; f < 6; f++) {
        mien_text *file = &files[f];
        assert_int_equal(decode_copy(file->data, file->size), MIEN_OK);
        for (size_t n = 0; n < file->size; n++) {
            assert_int_equal(decode_copy(file->data, n), MIEN_FORMAT);
            if (n > 12) expect_in_message("cut short");
        }
        for (int round = 0; round < 400; round++) {
            char before[4];
            size_t at[4];
            for (int i = 0; i < 4; i++) {
                dice = dice * 1664525u + 1013904223u;
                at[i] = (dice >> 8) % (round % 2 ? file->size : file->size < 64 ? 16 : 64);
                before[i] = file->data[at[i]];
                file->data[at[i]] = (char)(dice >> 3);
            }
            decode_copy(file->data, file->size);
            for (int i = 3; i >= 0; i--)
                file->data[at[i]] = before[i];
        }
        mien_text_release(file);
    }
}

/* A JPEG with overwritten bytes in the middle may decode without an invalid code; the damage shows
 * in the bytes left over before the end marker. Padding there, which some programs write, is
 * accepted. */
static void damaged_scans(void **state) {
    (void)state;
    enum { SIDE = 120, VARIANTS = 60 };
    static uint8_t noise[SIDE * SIDE * 3];
    mien_text whole = {0};
    uint32_t dice = 3;
    int refused = 0;
    for (size_t i = 0; i < sizeof noise; i++) {
        dice = dice * 1664525u + 1013904223u;
        noise[i] = (uint8_t)(i / 40 + (dice >> 27));
    }
    made_jpeg(noise, SIDE, SIDE, 3, 0, false, &whole);
    for (int v = 0; v < VARIANTS; v++) {
        mien_text file = {0};
        mien_text_append(&file, whole.data, whole.size);
        for (size_t i = 0; i < 16; i++) {
            dice = dice * 1664525u + 1013904223u;
            file.data[whole.size / 3 + (size_t)v * (whole.size / 3) / VARIANTS + i] =
                (char)((dice >> 13) % 255);
        }
        refused += decode_copy(file.data, file.size) == MIEN_FORMAT;
        mien_text_release(&file);
    }
    if (refused < VARIANTS / 2)
        fail_msg("%d of %d damaged pictures are refused", refused, VARIANTS);
    static const char *const left[] = {"\0\0\0\0\0\0\0\0\0\0\0\0",
                                       "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                       "\1\2\3\4\5\6\7\x10\x11\x12\x13\x14"};
    for (int i = 0; i < 3; i++) {
        mien_text file = {0};
        mien_text_append(&file, whole.data, whole.size - 2);
        mien_text_append(&file, left[i], 12);
        mien_text_append(&file, "\xff\xd9", 2);
        assert_int_equal(decode_copy(file.data, file.size), i < 2 ? MIEN_OK : MIEN_FORMAT);
        mien_text_release(&file);
    }
    expect_in_message("extraneous bytes");
    mien_text_release(&whole);
}

/* Threads that decode large progressive pictures hold the coefficients of only one at a time. */
static void large_pictures(void **state) {
    (void)state;
    enum { SIDE = 2900, THREADS = 8, COEFFICIENTS = 2 * SIDE * SIDE };
    mien_text file = {0};
    uint8_t *flat;
    int good = 0;
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* return large blocks to the system at once */
    assert_int_equal(mien_new(&flat, (size_t)SIDE * SIDE, 1), MIEN_OK);
    made_jpeg(flat, SIDE, SIDE, 1, 0, true, &file);
    mien_free(flat);
    assert_int_equal(decode_copy(file.data, file.size), MIEN_OK);
    const uint64_t one = mien_peak_memory();
#pragma omp parallel for num_threads(THREADS) reduction(+ : good)
    for (int i = 0; i < THREADS; i++)
        good += decode_copy(file.data, file.size) == MIEN_OK;
    assert_int_equal(good, THREADS);
    if (!SANITIZED) assert_in_range(mien_peak_memory() - one, 0, 2 * COEFFICIENTS);
    mien_text_release(&file);
}

/* Colours whose gray value changes with the last bit of a factor. */
static void luma(void **state) {
    (void)state;
    static const uint8_t colours[] = {195, 110, 216, 244, 8, 218, 92, 95, 195, 255, 255, 255};
    static const uint8_t want[] = {147, 103, 106, 255};
    uint8_t got[4];
    mien_image_to_gray(colours, 4, got);
    assert_memory_equal(got, want, 4);
}

/* Reference implementations of both filters, pixel by pixel. */
static double area_at(const uint8_t *in, int h, int w, double y0, double y1, double x0, double x1) {
    double sum = 0, weight = 0;
    for (int y = (int)y0; y < h && y < y1; y++) {
        const double wy = fmin(y + 1, y1) - fmax(y, y0);
        for (int x = (int)x0; x < w && x < x1; x++) {
            const double wx = fmin(x + 1, x1) - fmax(x, x0);
            sum += wy * wx * in[y * w + x];
            weight += wy * wx;
        }
    }
    return sum / weight;
}

static void resize(void **state) {
    (void)state;
    static const int sizes[][4] = {{13, 19, 5, 7}, {13, 19, 13, 7},  {13, 19, 20, 7},
                                   {13, 19, 1, 1}, {12, 18, 6, 6},   {13, 19, 12, 18},
                                   {1, 19, 1, 3},  {13, 19, 13, 19}, {13, 19, 11, 19}};
    uint8_t out[20 * 20 * 3], one[20 * 20];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int h = sizes[i][0], w = sizes[i][1], oh = sizes[i][2], ow = sizes[i][3];
        const double sy = (double)h / oh, sx = (double)w / ow;
        mien_resize(gray, h, w, 1, out, oh, ow);
        for (int p = 0; p < oh * ow; p++) {
            const int y = p / ow, x = p % ow;
            const double v = area_at(gray, h, w, y * sy, (y + 1) * sy, x * sx, (x + 1) * sx);
            if (sy > 1 || sx > 1) assert_int_equal(out[p], (uint8_t)(v + 0.5));
        }
        /* colour: each channel separately */
        mien_resize(colour, h, w, 3, out, oh, ow);
        for (int c = 0; c < 3; c++) {
            uint8_t plane[W * H];
            for (int p = 0; p < h * w; p++)
                plane[p] = colour[3 * p + c];
            mien_resize(plane, h, w, 1, one, oh, ow);
            for (int p = 0; p < oh * ow; p++)
                assert_int_equal(out[3 * p + c], one[p]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg),
        cmocka_unit_test(jpeg_cmyk),
        cmocka_unit_test(exif),
        cmocka_unit_test(png_kinds),
        cmocka_unit_test(bmp),
        cmocka_unit_test(pnm),
        cmocka_unit_test(not_pictures),
        cmocka_unit_test(oversized_headers),
        cmocka_unit_test(damaged),
        cmocka_unit_test(resize),
        cmocka_unit_test(luma),
        cmocka_unit_test(damaged_scans),
        cmocka_unit_test(large_pictures),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
