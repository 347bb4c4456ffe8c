#include "tests/unit/made_pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "host/base/file.h"
#include "tests/support/test.h"

static void put_number(mien_text *out, unsigned long value, int bytes) {
    for (int i = 0; i < bytes; i++)
        mien_text_append(out, &(char){(char)(value >> (8 * i) & 255)}, 1);
}

/* A TIFF header with one entry, the orientation. */
static size_t exif_block(int orientation, uint8_t out[26]) {
    const uint8_t block[26] = {'M', 'M',  0, 42, 0, 0, 0, 8, 0, 1,
                               1,   0x12, 0, 3,  0, 0, 0, 1, 0, (uint8_t)orientation,
                               0,   0,    0, 0,  0, 0};
    memcpy(out, block, sizeof block);
    return sizeof block;
}

void made_jpeg(const uint8_t *pixels, int w, int h, int channels, int exif, bool progressive,
               mien_text *out) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = (JDIMENSION)w;
    jpeg.image_height = (JDIMENSION)h;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 3 ? JCS_RGB : channels == 4 ? JCS_CMYK : JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 97, TRUE);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (exif) {
        uint8_t marker[6 + 26] = "Exif\0";
        const size_t n = exif_block(exif, marker + 6);
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, marker, (unsigned)(n + 6));
    }
    for (int y = 0; y < h; y++) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)(y * w * channels));
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    mien_text_append(out, bytes, size);
    free(bytes);
}

static void write_png(png_structp png, png_bytep bytes, size_t size) {
    mien_text_append(png_get_io_ptr(png), bytes, size);
}

static void flush_png(png_structp png) {
    (void)png;
}

void made_png(const uint8_t *rows, int w, int h, int type, int depth, bool interlaced, int exif,
              mien_text *out) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t block[26];
    png_color palette[16];
    assert_non_null(info);
    png_set_write_fn(png, out, write_png, flush_png);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, depth, type,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    for (int i = 0; i < 16; i++)
        palette[i] = (png_color){(png_byte)(i * 16), (png_byte)(255 - i * 16), 0};
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, depth < 4 ? 1 << depth : 16);
    if (exif) png_set_eXIf_1(png, info, (png_uint_32)exif_block(exif, block), block);
    png_write_info(png, info);
    const size_t stride = png_get_rowbytes(png, info);
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        for (int y = 0; y < h; y++)
            png_write_row(png, rows + (size_t)y * stride);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

void made_bmp(const uint8_t *pixels, int w, int h, mien_text *out) {
    const int rows = h < 0 ? -h : h, stride = (3 * w + 3) / 4 * 4;
    mien_text_puts(out, "BM");
    put_number(out, (unsigned long)(54 + stride * rows), 4);
    put_number(out, 0, 4);
    put_number(out, 54, 4);
    put_number(out, 40, 4);
    put_number(out, (unsigned long)w, 4);
    put_number(out, (unsigned long)h & 0xffffffff, 4);
    put_number(out, 1 | 24 << 16, 4);
    for (int i = 0; i < 6; i++)
        put_number(out, 0, 4);
    for (int y = 0; y < rows; y++) {
        const uint8_t *row = pixels + (h < 0 ? y : rows - 1 - y) * w * 3;
        for (int x = 0; x < w; x++)
            for (int c = 2; c >= 0; c--)
                put_number(out, row[3 * x + c], 1);
        put_number(out, 0, stride - 3 * w);
    }
}

void made_pgm(const uint8_t *pixels, int w, int h, mien_text *out) {
    mien_text_printf(out, "P5\n# made\n%d %d\n255\n", w, h);
    mien_text_append(out, pixels, (size_t)(w * h));
}

void made_npy(const char *descr, const char *shape, const void *data, size_t size, mien_text *out) {
    char head[512];
    const int need =
        snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n",
                 descr, shape);
    mien_text_append(out, "\x93NUMPY\1\0", 8);
    put_number(out, (unsigned long)need, 2);
    mien_text_append(out, head, (size_t)need);
    mien_text_append(out, data, size);
}

/* The fields that a zip local header and a central directory entry share, from the version on. */
static void put_member(mien_text *out, const char *name, bool deflated, const mien_text *member,
                       size_t packed) {
    put_number(out, 20, 2);
    put_number(out, 0, 2);
    put_number(out, deflated ? 8 : 0, 2);
    put_number(out, 0, 4);
    put_number(out, crc32(0, (const Bytef *)member->data, (uInt)member->size), 4);
    put_number(out, packed, 4);
    put_number(out, member->size, 4);
    put_number(out, strlen(name), 2);
    put_number(out, 0, 2);
}

void made_zip_add(made_zip *zip, const char *name, const mien_text *member, bool deflated) {
    const size_t offset = zip->file.size;
    uint8_t *packed = malloc(member->size + 1024);
    z_stream z = {.next_in = (Bytef *)member->data,
                  .avail_in = (uInt)member->size,
                  .next_out = packed,
                  .avail_out = (uInt)member->size + 1024};
    assert_int_equal(deflateInit2(&z, deflated ? 6 : 0, Z_DEFLATED, -15, 8, 0), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t size = deflated ? z.total_out : member->size;
    deflateEnd(&z);
    mien_text_append(&zip->file, "PK\3\4", 4);
    put_member(&zip->file, name, deflated, member, size);
    mien_text_puts(&zip->file, name);
    mien_text_append(&zip->file, deflated ? (char *)packed : member->data, size);
    mien_text_append(&zip->table, "PK\1\2", 4);
    put_number(&zip->table, 20, 2);
    put_member(&zip->table, name, deflated, member, size);
    for (int i = 0; i < 5; i++)
        put_number(&zip->table, 0, 2);
    put_number(&zip->table, offset, 4);
    mien_text_puts(&zip->table, name);
    zip->count++;
    free(packed);
}

void made_zip_end(made_zip *zip) {
    const size_t offset = zip->file.size;
    mien_text_append(&zip->file, zip->table.data, zip->table.size);
    mien_text_append(&zip->file, "PK\5\6\0\0\0\0", 8);
    put_number(&zip->file, (unsigned long)zip->count, 2);
    put_number(&zip->file, (unsigned long)zip->count, 2);
    put_number(&zip->file, zip->table.size, 4);
    put_number(&zip->file, offset, 4);
    put_number(&zip->file, 0, 2);
    mien_text_release(&zip->table);
}

void made_pixels(uint8_t *pixels, int w, int h, int channels, int seed) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < channels; c++) {
                const int v = (seed * 37 + x * 5 + y * 3 * (c + 1) + c * 20) % 400;
                *pixels++ = (uint8_t)(20 + (v < 200 ? v : 399 - v));
            }
}
