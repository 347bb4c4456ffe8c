/* GIF, decoded by giflib: the first frame on its canvas. What is transparent or outside a frame
 * with transparency becomes white. */
#include <string.h>

#include <gif_lib.h>

#include "host/base/memory.h"
#include "host/image/formats.h"

enum {
    WIDTH_MAX = 12, /* bits of a code */
    SLACK = sizeof(uint64_t)
};

typedef struct gif_library {
    __typeof__(&DGifOpen) open;
    __typeof__(&DGifCloseFile) close;
    __typeof__(&DGifGetRecordType) record;
    __typeof__(&DGifGetImageDesc) describe;
    __typeof__(&DGifGetExtension) extension;
    __typeof__(&DGifGetExtensionNext) extension_next;
    __typeof__(&DGifGetCode) code;
    __typeof__(&DGifGetCodeNext) code_next;
} gif_library;

typedef struct gif_job {
    gif_library lib;
    GifFileType *gif;
    const image_source *from;
    size_t used;
    int transparent; /* colour number, or -1 */
} gif_job;

static int on_read(GifFileType *gif, GifByteType *to, int wanted) {
    gif_job *job = gif->UserData;
    const size_t rest = job->from->size - job->used;
    const size_t count = (size_t)wanted < rest ? (size_t)wanted : rest;
    memcpy(to, job->from->bytes + job->used, count);
    job->used += count;
    return (int)count;
}

static mien_status damaged(const gif_job *job) {
    if (job->used == job->from->size) return image_cut_short(job->from->name);
    return MIEN_FAIL(FORMAT, "'%s' cannot be decoded: its GIF data are damaged", job->from->name);
}

/* Reads up to the description of the first frame. */
static mien_status find_frame(gif_job *job) {
    GifRecordType type;
    for (;;) {
        if (job->lib.record(job->gif, &type) == GIF_ERROR) return damaged(job);
        if (type == IMAGE_DESC_RECORD_TYPE)
            return job->lib.describe(job->gif) == GIF_ERROR ? damaged(job) : MIEN_OK;
        if (type == TERMINATE_RECORD_TYPE)
            return MIEN_FAIL(FORMAT, "'%s' is damaged: a GIF without a picture", job->from->name);
        int code;
        GifByteType *data;
        if (job->lib.extension(job->gif, &code, &data) == GIF_ERROR) return damaged(job);
        while (data) {
            if (code == GRAPHICS_EXT_FUNC_CODE && data[0] >= 4)
                job->transparent = data[1] & 1 ? data[4] : -1;
            if (job->lib.extension_next(job->gif, &data) == GIF_ERROR) return damaged(job);
        }
    }
}

/* The bits of the frame's data, which come in blocks of up to 255 bytes. */
typedef struct bit_reader {
    gif_job *job;
    const uint8_t *at, *end;
    uint64_t bits;
    int count; /* of bits */
} bit_reader;

static mien_status next_block(bit_reader *reader) {
    GifByteType *block; /* its length, then its bytes */
    if (reader->job->lib.code_next(reader->job->gif, &block) == GIF_ERROR || !block)
        return damaged(reader->job);
    reader->at = block + 1;
    reader->end = reader->at + block[0];
    return MIEN_OK;
}

/* Reads a code of `width` bits; the buffer is filled up only when it runs low. */
static inline mien_status next_code(bit_reader *reader, int width, unsigned *code) {
    while (reader->count < width) {
        if (reader->at == reader->end) MIEN_TRY(next_block(reader));
        for (; reader->count <= 56 && reader->at < reader->end; reader->count += 8)
            reader->bits |= (uint64_t)*reader->at++ << reader->count;
    }
    *code = (unsigned)(reader->bits & ((1u << width) - 1));
    reader->bits >>= width;
    reader->count -= width;
    return MIEN_OK;
}

/* Copies in steps of 8 bytes, so up to 7 bytes after `to` + length are overwritten. */
static inline void copy_string(uint8_t *to, const uint8_t *from, size_t length) {
    for (size_t i = 0; i < length; i += SLACK) {
        uint64_t chunk; /* the two may overlap */
        memcpy(&chunk, from + i, SLACK);
        memcpy(to + i, &chunk, SLACK);
    }
}

/* The LZW strings by code. Each occurs in what was decoded before, and is kept as its place there.
 */
typedef struct lzw_table {
    struct {
        uint32_t at, length;
    } strings[1 << WIDTH_MAX];
    unsigned next; /* code */
    int width;     /* of codes, bits */
} lzw_table;

static void add_string(lzw_table *table, uint32_t at, uint32_t length) {
    if (table->next == 1 << WIDTH_MAX) return;
    table->strings[table->next].at = at;
    table->strings[table->next].length = length;
    table->next++;
    if (table->next == 1u << table->width && table->width < WIDTH_MAX) table->width++;
}

/* Decodes `count` colour numbers to out[count + SLACK]: giflib does it a byte at a time. */
static mien_status decode_lzw(gif_job *job, size_t count, uint8_t *out) {
    bit_reader reader = {.job = job};
    lzw_table table;
    GifByteType *block;
    int bits;
    if (job->lib.code(job->gif, &bits, &block) == GIF_ERROR || !block || bits < 0 || bits > 8)
        return damaged(job);
    reader.at = block + 1;
    reader.end = reader.at + block[0];
    const unsigned clear = 1u << bits;
    uint32_t last = 0, last_length = 0; /* the string before; length 0: none */
    table.next = clear + 2;
    table.width = bits + 1;
    for (uint32_t done = 0; done < count;) {
        unsigned code;
        MIEN_TRY(next_code(&reader, table.width, &code));
        if (code == clear) {
            table.next = clear + 2;
            table.width = bits + 1;
            last_length = 0;
            continue;
        }
        uint32_t length = 1;
        if (code < clear) {
            out[done] = (uint8_t)code;
        } else if (code == clear + 1 || code > table.next || !last_length) {
            return damaged(job);         /* ends too early, or a string that is not there yet */
        } else if (code == table.next) { /* the string that this code is about to define */
            length = last_length + 1;
            if (length > count - done) length = (uint32_t)count - done;
            copy_string(out + done, out + last, length - 1);
            out[done + length - 1] = out[length == last_length + 1 ? last : last + length - 1];
        } else {
            length = table.strings[code].length;
            if (length > count - done) length = (uint32_t)count - done;
            copy_string(out + done, out + table.strings[code].at, length);
        }
        if (last_length) add_string(&table, last, last_length + 1);
        last = done;
        last_length = length;
        done += length;
    }
    return MIEN_OK;
}

/* Decodes the frame into colour numbers on the canvas, which SLACK bytes follow. */
static mien_status read_frame(gif_job *job, uint8_t *canvas) {
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &job->gif->Image;
    const size_t row = (size_t)frame->Width, count = row * (size_t)frame->Height;
    const size_t stride = (size_t)job->gif->SWidth;
    const int passes = frame->Interlace ? 4 : 1;
    if (passes == 1 && count == stride * (size_t)job->gif->SHeight)
        return decode_lzw(job, count, canvas);
    uint8_t *pixels, *from;
    MIEN_TRY(mien_new(&pixels, count + SLACK, 1));
    const mien_status status = decode_lzw(job, count, pixels);
    from = pixels;
    for (int pass = 0; status == MIEN_OK && pass < passes; pass++)
        for (int y = frame->Interlace ? first[pass] : 0; y < frame->Height;
             y += frame->Interlace ? step[pass] : 1, from += row)
            memcpy(canvas + (size_t)(frame->Top + y) * stride + (size_t)frame->Left, from, row);
    mien_free(pixels);
    return status;
}

static mien_status paint(const gif_job *job, const uint8_t *canvas, mien_image *out) {
    const ColorMapObject *map = job->gif->Image.ColorMap;
    uint8_t colours[256][3];
    if (!map) map = job->gif->SColorMap;
    if (!map) return MIEN_FAIL(FORMAT, "'%s' is damaged: a GIF without colours", job->from->name);
    memset(colours, 0, sizeof colours);
    for (int i = 0; i < map->ColorCount && i < 256; i++)
        memcpy(colours[i], &map->Colors[i], 3);
    if (job->transparent >= 0) memset(colours[job->transparent], 255, 3);
    const size_t pixels = (size_t)out->width * (size_t)out->height;
    if (out->channels == 1) {
        uint8_t grays[256];
        mien_image_to_gray(colours[0], 256, grays);
        for (size_t i = 0; i < pixels; i++)
            out->pixels[i] = grays[canvas[i]];
        return MIEN_OK;
    }
    for (size_t i = 0; i < pixels; i++)
        memcpy(out->pixels + 3 * i, colours[canvas[i]], 3);
    return MIEN_OK;
}

static mien_status decode_job(gif_job *job, mien_image *out) {
    uint8_t *canvas = NULL;
    mien_status status;
    MIEN_TRY(find_frame(job));
    GifFileType *gif = job->gif;
    const GifImageDesc *frame = &gif->Image;
    if (frame->Left + frame->Width > gif->SWidth || frame->Top + frame->Height > gif->SHeight)
        return MIEN_FAIL(FORMAT, "'%s' is damaged: its first frame exceeds the picture",
                         job->from->name);
    MIEN_TRY(image_check_size(job->from->name, (unsigned)gif->SWidth, (unsigned)gif->SHeight));
    const size_t pixels = (size_t)gif->SWidth * (size_t)gif->SHeight;
    MIEN_TRY(mien_new(&canvas, pixels + SLACK, 1));
    memset(canvas, job->transparent < 0 ? 0 : job->transparent, pixels);
    MIEN_GO(read_frame(job, canvas));
    MIEN_GO(image_allocate(gif->SWidth, gif->SHeight, job->from->channels == 1 ? 1 : 3, out));
    MIEN_GO(paint(job, canvas, out));
out:
    mien_free(canvas);
    return status;
}

static mien_status decode_gif(const image_source *from, mien_image *out, int *orientation) {
    static const char *const names[] = {
        "DGifOpen",         "DGifCloseFile",        "DGifGetRecordType", "DGifGetImageDesc",
        "DGifGetExtension", "DGifGetExtensionNext", "DGifGetCode",       "DGifGetCodeNext"};
    gif_job job = {.from = from, .transparent = -1};
    int code;
    (void)orientation;
    MIEN_TRY(image_library(from, "libgif.so.7", "libgif7", names, sizeof names / sizeof names[0],
                           &job.lib));
    job.gif = job.lib.open(&job, on_read, &code);
    if (!job.gif) return damaged(&job);
    const mien_status status = decode_job(&job, out);
    job.lib.close(job.gif, &code);
    return status;
}

static bool is_gif(const uint8_t *bytes, size_t size) {
    return size >= 6 && (memcmp(bytes, "GIF87a", 6) == 0 || memcmp(bytes, "GIF89a", 6) == 0);
}

const image_format image_gif = {"GIF", ".gif", true, is_gif, decode_gif};
