/* JPEG, decoded by libjpeg-turbo. It decodes a truncated file with a warning and gray for the rest:
 * here, warnings that mean lost pixels are errors. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "host/image/formats.h"

enum {
    PIXELS_A_BYTE = 512, /* a block of 8x8 pixels takes at least one bit */
    SCANS_MAX = 200,     /* of a progressive file: each costs a pass over the whole picture */
    PHOTO_PIXELS_MAX = 500000000,
    /* what the coefficients of a progressive photo may take, about as much as those of the largest
     * picture that is decoded in full */
    COEFFICIENT_BYTES_MAX = 400000000,
};

typedef struct jpeg_job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    const image_source *from;
    mien_status status;
    bool scanning;  /* the header was read: pixels come next */
    bool cut, lost; /* warnings seen: the file ended, pixels are missing or made up */
    char warning[JMSG_LENGTH_MAX];
} jpeg_job;

static void give_up(jpeg_job *job, mien_status status) {
    job->status = status;
    longjmp(job->failed, 1);
}

static void on_error(j_common_ptr common) {
    jpeg_job *job = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    if (job->cut || common->err->msg_code == JERR_INPUT_EOF)
        give_up(job, image_cut_short(job->from->name));
    if (common->err->msg_code == JERR_OUT_OF_MEMORY)
        give_up(job, MIEN_FAIL(NO_MEMORY, "no memory to decode '%s'", job->from->name));
    give_up(job, MIEN_FAIL(FORMAT, "'%s' cannot be decoded: %s", job->from->name, text));
}

/* The decoder's fast path accepts any bits as a code: corrupt bytes only show as data left over
 * after the last block. Padding with 0 or 0xff is harmless, and some programs write it. */
static bool bits_left_over(const jpeg_job *job) {
    const uint8_t *end = job->jpeg.src->next_input_byte;
    size_t left = (size_t)job->errors.msg_parm.i[0];
    /* Bytes between segments cost no pixels; past the end, next_input_byte points outside the
     * file. */
    if (!job->scanning || job->cut) return false;
    const size_t passed = (size_t)(end - job->from->bytes);
    for (left = left < passed ? left : passed; left > 0; left--)
        if (end[-(ptrdiff_t)left] != 0 && end[-(ptrdiff_t)left] != 0xff) return true;
    return false;
}

/* Bytes before the end marker come after all pixels. */
static bool before_the_end(const jpeg_job *job) {
    return job->errors.msg_code == JWRN_EXTRANEOUS_DATA && job->errors.msg_parm.i[1] == JPEG_EOI;
}

/* Whether the warning means that pixels are missing or made up. Others, such as an odd header, are
 * ignored. */
static bool costs_pixels(const jpeg_job *job) {
    switch (job->errors.msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
        return true;
    case JWRN_EXTRANEOUS_DATA:
        return bits_left_over(job);
    default:
        return false;
    }
}

/* Level -1 is a warning. */
static void on_message(j_common_ptr common, int level) {
    jpeg_job *job = common->client_data;
    if (level >= 0) return;
    common->err->num_warnings++;
    if (common->err->msg_code == JWRN_JPEG_EOF) job->cut = true;
    if (job->lost || !costs_pixels(job)) return;
    if (job->from->photo && before_the_end(job)) {
        snprintf(job->from->photo->warning, sizeof job->from->photo->warning,
                 "stray bytes before its end marker: some cameras write them, but they may also "
                 "be a sign of damage");
        return;
    }
    job->lost = true;
    common->err->format_message(common, job->warning);
}

static void on_output(j_common_ptr common) {
    (void)common;
}

static void on_progress(j_common_ptr common) {
    jpeg_job *job = common->client_data;
    if (job->jpeg.input_scan_number > SCANS_MAX)
        give_up(job,
                MIEN_FAIL(UNSUPPORTED, "'%s' has more than %d scans", job->from->name, SCANS_MAX));
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg) {
    static const char exif[6] = "Exif\0";
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->data_length > sizeof exif && memcmp(m->data, exif, sizeof exif) == 0)
            return image_exif_orientation(m->data + sizeof exif, m->data_length - sizeof exif);
    return 1;
}

/* A progressive file needs all its coefficients in memory before the first row, at any scale. */
static bool too_many_coefficients(struct jpeg_decompress_struct *jpeg) {
    size_t bytes = 0;
    if (!jpeg_has_multiple_scans(jpeg)) return false;
    for (int c = 0; c < jpeg->num_components; c++)
        bytes += (size_t)jpeg->comp_info[c].width_in_blocks * jpeg->comp_info[c].height_in_blocks *
                 sizeof(JBLOCK);
    return bytes > COEFFICIENT_BYTES_MAX;
}

/* Chooses the size at which the picture is decoded: in full, or where a photo is too large for that
 * the largest of 1/2, 1/4 and 1/8 that is not. */
static mien_status choose_scale(jpeg_job *job) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    const char *name = job->from->name;
    const size_t pixels = (size_t)jpeg->image_width * jpeg->image_height;
    jpeg_calc_output_dimensions(jpeg);
    if (!job->from->photo || pixels <= MIEN_IMAGE_PIXELS_MAX) return MIEN_OK;
    if (pixels > PHOTO_PIXELS_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' has %ux%u pixels, %.1f megapixels; the limit for photos is %d: "
                         "scale it down",
                         name, jpeg->image_width, jpeg->image_height, (double)pixels / 1e6,
                         PHOTO_PIXELS_MAX / 1000000);
    if (too_many_coefficients(jpeg))
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a progressive JPEG of %.1f megapixels, which would take too much "
                         "memory: save it as a baseline JPEG, or scale it down",
                         name, (double)pixels / 1e6);
    while ((size_t)jpeg->output_width * jpeg->output_height > MIEN_IMAGE_PIXELS_MAX) {
        jpeg->scale_denom *= 2;
        jpeg_calc_output_dimensions(jpeg);
    }
    job->from->photo->width = (int)jpeg->image_width;
    job->from->photo->height = (int)jpeg->image_height;
    return MIEN_OK;
}

/* Checks the header before anything is allocated for it. */
static mien_status check_header(const jpeg_job *job) {
    const struct jpeg_decompress_struct *jpeg = &job->jpeg;
    const image_source *from = job->from;
    MIEN_TRY(image_check_size(from->name, jpeg->output_width, jpeg->output_height));
    if (jpeg->arith_code)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a JPEG with arithmetic coding, which is not supported: save it "
                         "again as baseline",
                         from->name);
    const size_t pixels = (size_t)jpeg->image_width * jpeg->image_height;
    return pixels / PIXELS_A_BYTE > from->size ? image_cut_short(from->name) : MIEN_OK;
}

static J_COLOR_SPACE colours(const jpeg_job *job) {
    const J_COLOR_SPACE stored = job->jpeg.jpeg_color_space;
    if (stored == JCS_CMYK || stored == JCS_YCCK) return JCS_CMYK;
    if (stored == JCS_GRAYSCALE || job->from->channels == 1) return JCS_GRAYSCALE;
    return JCS_RGB;
}

/* CMYK to RGB, in place: [width][4] to [width][3]. Adobe programs store CMYK inverted. */
static void cmyk_to_rgb(uint8_t *row, size_t width, bool inverted) {
    const int flip = inverted ? 0 : 255;
    for (size_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++)
            row[3 * x + (size_t)c] =
                (uint8_t)(((row[4 * x + (size_t)c] ^ flip) * (row[4 * x + 3] ^ flip) + 127) / 255);
}

static void read_rows(jpeg_job *job, mien_image *out) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    const size_t width = jpeg->output_width, row = width * (size_t)out->channels;
    const bool cmyk = jpeg->out_color_space == JCS_CMYK;
    JSAMPARRAY line = NULL;
    if (cmyk)
        line = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, (JDIMENSION)(4 * width), 1);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to = out->pixels + (size_t)jpeg->output_scanline * row;
        JSAMPROW straight[1] = {to};
        jpeg_read_scanlines(jpeg, cmyk ? line : straight, 1);
        if (job->cut) give_up(job, image_cut_short(job->from->name));
        if (!cmyk) continue;
        cmyk_to_rgb(line[0], width, jpeg->saw_Adobe_marker);
        memcpy(to, line[0], row);
    }
}

static void decode_job(jpeg_job *job, mien_image *out, int *orientation) {
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    if (setjmp(job->failed)) return;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &job->progress;
    jpeg_mem_src(jpeg, job->from->bytes, job->from->size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    if (job->cut) give_up(job, image_cut_short(job->from->name));
    job->status = choose_scale(job);
    if (job->status == MIEN_OK) job->status = check_header(job);
    if (job->status != MIEN_OK) return;
    *orientation = orientation_of(jpeg);
    jpeg->out_color_space = colours(job);
    job->status = image_allocate((int)jpeg->output_width, (int)jpeg->output_height,
                                 jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3, out);
    if (job->status != MIEN_OK) return;
    job->scanning = true;
    jpeg_start_decompress(jpeg);
    read_rows(job, out);
    jpeg_finish_decompress(jpeg); /* reads to the end marker */
    if (job->cut) give_up(job, image_cut_short(job->from->name));
    if (job->lost)
        give_up(job,
                MIEN_FAIL(FORMAT, "'%s' cannot be decoded: %s", job->from->name, job->warning));
}

static mien_status decode_jpeg(const image_source *from, mien_image *out, int *orientation) {
    jpeg_job job = {.from = from, .status = MIEN_OK};
    job.jpeg.err = jpeg_std_error(&job.errors);
    job.jpeg.client_data = &job;
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.errors.output_message = on_output;
    job.progress.progress_monitor = on_progress;
    decode_job(&job, out, orientation);
    jpeg_destroy_decompress(&job.jpeg);
    return job.status;
}

static bool is_jpeg(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

const image_format image_jpeg = {"JPEG", ".jpg .jpeg", true, is_jpeg, decode_jpeg};
