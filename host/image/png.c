/* PNG, decoded by libpng: every bit depth and colour type becomes 8-bit gray or RGB, alpha is
 * composited onto white. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "host/base/memory.h"
#include "host/image/formats.h"

enum {
    DEFLATE_MOST = 1032, /* bytes that one deflated byte can become, at most */
    CHUNK_MOST = 1 << 20,
    CHUNKS_MOST = 256,
};

typedef struct png_job {
    png_structp png;
    png_infop info;
    const image_source *from;
    size_t used; /* bytes of the file read so far */
    mien_status status;
    jmp_buf failed;
} png_job;

static void give_up(png_job *job, mien_status status) {
    job->status = status;
    longjmp(job->failed, 1);
}

static void on_error(png_structp png, png_const_charp text) {
    png_job *job = png_get_error_ptr(png);
    give_up(job, MIEN_FAIL(FORMAT, "'%s' cannot be decoded: %s", job->from->name, text));
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png, (void)text; /* about chunks that do not affect pixels */
}

static void on_read(png_structp png, png_bytep to, size_t size) {
    png_job *job = png_get_io_ptr(png);
    if (size > job->from->size - job->used) give_up(job, image_cut_short(job->from->name));
    memcpy(to, job->from->bytes + job->used, size);
    job->used += size;
}

static void read_header(png_job *job) {
    png_structp png = job->png;
    png_set_user_limits(png, MIEN_IMAGE_PIXELS_MAX, MIEN_IMAGE_PIXELS_MAX);
    png_set_chunk_malloc_max(png, CHUNK_MOST);
    png_set_chunk_cache_max(png, CHUNKS_MOST);
    png_read_info(png, job->info);
    const png_uint_32 width = png_get_image_width(png, job->info);
    const png_uint_32 height = png_get_image_height(png, job->info);
    const mien_status status = image_check_size(job->from->name, width, height);
    if (status != MIEN_OK) give_up(job, status);
    if (png_get_rowbytes(png, job->info) * height / DEFLATE_MOST > job->from->size)
        give_up(job, image_cut_short(job->from->name));
}

/* Requests rows of 8-bit samples: gray or colour, with or without alpha. Returns the samples per
 * pixel. */
static int choose_form(png_job *job) {
    png_structp png = job->png;
    png_set_expand(png); /* palettes to colours, small depths to 8 bits, tRNS to alpha */
    png_set_scale_16(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, job->info);
    return png_get_channels(png, job->info);
}

static void read_pixels(png_job *job, int samples, mien_image *out) {
    const size_t row = (size_t)out->width * (size_t)samples;
    const int passes = png_get_interlace_type(job->png, job->info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < out->height; y++)
            png_read_row(job->png, out->pixels + (size_t)y * row, NULL);
    png_read_end(job->png, job->info);
}

/* Called after read_pixels: the chunk may follow the pixels. */
static int orientation_of(png_job *job) {
    png_bytep exif;
    png_uint_32 size;
    return png_get_eXIf_1(job->png, job->info, &size, &exif) ? image_exif_orientation(exif, size)
                                                             : 1;
}

static void decode_job(png_job *job, mien_image *out, int *orientation) {
    if (setjmp(job->failed)) return;
    png_set_read_fn(job->png, job, on_read);
    read_header(job);
    const int samples = choose_form(job);
    const int width = (int)png_get_image_width(job->png, job->info);
    const int height = (int)png_get_image_height(job->png, job->info);
    job->status = image_allocate(width, height, samples, out);
    if (job->status != MIEN_OK) return;
    read_pixels(job, samples, out);
    *orientation = orientation_of(job);
    out->channels = samples < 3 ? 1 : 3;
    if (samples == out->channels) return;
    image_over_white(out->pixels, (size_t)width * (size_t)height, out->channels, out->pixels);
}

static mien_status decode_png(const image_source *from, mien_image *out, int *orientation) {
    png_job job = {.from = from, .status = MIEN_OK};
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    if (job.info)
        decode_job(&job, out, orientation);
    else
        job.status = MIEN_FAIL(NO_MEMORY, "no memory to decode '%s'", from->name);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    return job.status;
}

static bool is_png(const uint8_t *bytes, size_t size) {
    return size >= 4 && memcmp(bytes, "\x89PNG", 4) == 0;
}

const image_format image_png = {"PNG", ".png", true, is_png, decode_png};
