/* GIF, decoded by giflib: the first frame on its canvas. What is transparent or outside a frame
 * with transparency becomes white. */
#include <string.h>

#include <gif_lib.h>

#include "host/base/memory.h"
#include "host/image/formats.h"

typedef struct gif_library {
    __typeof__(&DGifOpen) open;
    __typeof__(&DGifCloseFile) close;
    __typeof__(&DGifGetRecordType) record;
    __typeof__(&DGifGetImageDesc) describe;
    __typeof__(&DGifGetExtension) extension;
    __typeof__(&DGifGetExtensionNext) extension_next;
    __typeof__(&DGifGetLine) line;
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

/* Decodes the frame into colour numbers on the canvas. */
static mien_status read_frame(gif_job *job, uint8_t *canvas) {
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &job->gif->Image;
    const int passes = frame->Interlace ? 4 : 1;
    for (int pass = 0; pass < passes; pass++)
        for (int y = frame->Interlace ? first[pass] : 0; y < frame->Height;
             y += frame->Interlace ? step[pass] : 1) {
            uint8_t *row = canvas + (size_t)(frame->Top + y) * (size_t)job->gif->SWidth;
            if (job->lib.line(job->gif, row + frame->Left, frame->Width) == GIF_ERROR)
                return damaged(job);
        }
    return MIEN_OK;
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
    MIEN_TRY(mien_new(&canvas, (size_t)gif->SWidth, (size_t)gif->SHeight));
    memset(canvas, job->transparent < 0 ? 0 : job->transparent,
           (size_t)gif->SWidth * (size_t)gif->SHeight);
    MIEN_GO(read_frame(job, canvas));
    MIEN_GO(image_allocate(gif->SWidth, gif->SHeight, 3, out));
    MIEN_GO(paint(job, canvas, out));
out:
    mien_free(canvas);
    return status;
}

static mien_status decode_gif(const image_source *from, mien_image *out, int *orientation) {
    static const char *const names[] = {
        "DGifOpen",         "DGifCloseFile",        "DGifGetRecordType", "DGifGetImageDesc",
        "DGifGetExtension", "DGifGetExtensionNext", "DGifGetLine"};
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
