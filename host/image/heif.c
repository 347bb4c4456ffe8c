/* HEIC and AVIF, decoded by libheif: the primary image, turned and mirrored by libheif as its
 * properties say. An EXIF orientation in such a file only repeats them and is not applied. */
#include <string.h>

#include "host/base/module.h"
#include "host/image/formats.h"

/* What is used of libheif's stable interface. */
enum {
    COLORSPACE_RGB = 1,
    CHROMA_RGB = 10,
    CHROMA_RGBA = 11,
    CHANNEL_INTERLEAVED = 10,
    CODE_UNSUPPORTED = 4, /* a feature of the file */
    CODE_NO_MEMORY = 6,   /* or one of libheif's own limits */
    SUBCODE_CODEC = 3000, /* no decoder for HEVC or AV1 */
};
typedef struct heif_error {
    int code, subcode;
    const char *message;
} heif_error;
typedef struct heif_options {
    uint8_t version, ignore_transformations;
    void (*progress[3])(void);
    void *progress_data;
    uint8_t to_8_bits;       /* since version 2 */
    uint8_t strict_decoding; /* since version 3 */
} heif_options;

/* In the order of `names`. */
typedef struct heif_library {
    void *(*context_new)(void);
    void (*context_free)(void *context);
    heif_error (*open)(void *context, const void *bytes, size_t size, const void *options);
    heif_error (*primary)(void *context, void **handle);
    void (*handle_free)(const void *handle);
    int (*width)(const void *handle);
    int (*height)(const void *handle);
    int (*stored_width)(const void *handle);
    int (*stored_height)(const void *handle);
    int (*has_alpha)(const void *handle);
    int (*is_premultiplied)(const void *handle);
    void (*limit_size)(void *context, int side);
    void (*limit_threads)(void *context, int count);
    heif_options *(*options_new)(void);
    void (*options_free)(heif_options *options);
    heif_error (*decode)(const void *handle, void **image, int colorspace, int chroma,
                         const heif_options *options);
    int (*image_width)(const void *image, int channel);
    int (*image_height)(const void *image, int channel);
    const uint8_t *(*plane)(const void *image, int channel, int *stride);
    void (*image_free)(const void *image);
} heif_library;

static const char *const names[] = {"heif_context_alloc",
                                    "heif_context_free",
                                    "heif_context_read_from_memory_without_copy",
                                    "heif_context_get_primary_image_handle",
                                    "heif_image_handle_release",
                                    "heif_image_handle_get_width",
                                    "heif_image_handle_get_height",
                                    "heif_image_handle_get_ispe_width",
                                    "heif_image_handle_get_ispe_height",
                                    "heif_image_handle_has_alpha_channel",
                                    "heif_image_handle_is_premultiplied_alpha",
                                    "heif_context_set_maximum_image_size_limit",
                                    "heif_context_set_max_decoding_threads",
                                    "heif_decoding_options_alloc",
                                    "heif_decoding_options_free",
                                    "heif_decode_image",
                                    "heif_image_get_width",
                                    "heif_image_get_height",
                                    "heif_image_get_plane_readonly",
                                    "heif_image_release"};
enum { FUNCTIONS = sizeof names / sizeof names[0] };
_Static_assert(sizeof(heif_library) == FUNCTIONS * sizeof(void *), "one name for each function");

typedef struct heif_job {
    heif_library lib;
    const image_source *from;
    void *context, *handle, *image;
} heif_job;

static const char *kind_of(const image_source *from) {
    return image_container(from->bytes, from->size) == IMAGE_AVIF ? "AVIF" : "HEIC";
}

static mien_status failed(const heif_job *job, heif_error error) {
    const char *name = job->from->name, *kind = kind_of(job->from);
    const bool avif = strcmp(kind, "AVIF") == 0;
    if (error.subcode == SUBCODE_CODEC)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a %s picture, and the installed libheif has no decoder for it: "
                         "install the Debian package %s, or convert it to JPEG or PNG",
                         name, kind, avif ? "libheif-plugin-dav1d" : "libheif-plugin-libde265");
    if (error.code == CODE_NO_MEMORY)
        return MIEN_FAIL(UNSUPPORTED, "'%s' is above the limits of libheif (%s)", name,
                         error.message);
    if (error.code == CODE_UNSUPPORTED)
        return MIEN_FAIL(UNSUPPORTED,
                         "'%s' is a variant of %s that libheif does not decode (%s): convert it to "
                         "JPEG or PNG",
                         name, kind, error.message);
    return MIEN_FAIL(FORMAT, "'%s' cannot be decoded: its %s data are damaged or cut short (%s)",
                     name, kind, error.message);
}

#define HEIF_TRY(job, call)                                                                        \
    do {                                                                                           \
        const heif_error error_ = (call);                                                          \
        if (error_.code) return failed(job, error_);                                               \
    } while (0)

static int larger(int a, int b) {
    return a > b ? a : b;
}

/* Opens the file and checks the size that it declares, upright and as stored. Tiles and the other
 * parts of a picture may not be larger than it, or than an encoder's largest tile. */
static mien_status open_primary(heif_job *job) {
    enum { TILE_MAX = 4096 };
    const heif_library *lib = &job->lib;
    HEIF_TRY(job, lib->open(job->context, job->from->bytes, job->from->size, NULL));
    HEIF_TRY(job, lib->primary(job->context, &job->handle));
    const int width = lib->stored_width(job->handle), height = lib->stored_height(job->handle);
    MIEN_TRY(
        image_check_size(job->from->name, (unsigned)larger(0, width), (unsigned)larger(0, height)));
    MIEN_TRY(image_check_size(job->from->name, (unsigned)larger(0, lib->width(job->handle)),
                              (unsigned)larger(0, lib->height(job->handle))));
    lib->limit_size(job->context, larger(TILE_MAX, larger(width, height)) + 1);
    lib->limit_threads(job->context, 0); /* pictures are decoded by several threads already */
    return MIEN_OK;
}

static mien_status decode_primary(heif_job *job, int chroma) {
    heif_options *options = job->lib.options_new();
    if (!options) return MIEN_FAIL(NO_MEMORY, "'%s': out of memory", job->from->name);
    if (options->version >= 2) options->to_8_bits = 1;
    if (options->version >= 3) options->strict_decoding = 1;
    const heif_error error =
        job->lib.decode(job->handle, &job->image, COLORSPACE_RGB, chroma, options);
    job->lib.options_free(options);
    return error.code ? failed(job, error) : MIEN_OK;
}

/* Composites a row whose colours are multiplied by alpha already. */
static void premultiplied_over_white(const uint8_t *row, size_t width, uint8_t *out) {
    for (size_t x = 0; x < width; x++, row += 4, out += 3)
        for (int c = 0; c < 3; c++)
            out[c] = (uint8_t)(row[c] > row[3] ? 255 : row[c] + 255 - row[3]);
}

static mien_status copy_rows(heif_job *job, bool alpha, mien_image *out) {
    const heif_library *lib = &job->lib;
    const bool premultiplied = alpha && lib->is_premultiplied(job->handle);
    const int width = lib->image_width(job->image, CHANNEL_INTERLEAVED);
    const int height = lib->image_height(job->image, CHANNEL_INTERLEAVED);
    int stride = 0;
    const uint8_t *plane = lib->plane(job->image, CHANNEL_INTERLEAVED, &stride);
    if (!plane || width <= 0 || stride / (alpha ? 4 : 3) < width)
        return MIEN_FAIL(FORMAT, "'%s' is damaged: a picture without pixels", job->from->name);
    MIEN_TRY(image_check_size(job->from->name, (unsigned)width, (unsigned)larger(0, height)));
    MIEN_TRY(image_allocate(width, height, 3, out));
    for (int y = 0; y < height; y++) {
        const uint8_t *row = plane + (size_t)y * (size_t)stride;
        uint8_t *to = out->pixels + (size_t)y * (size_t)width * 3;
        if (premultiplied)
            premultiplied_over_white(row, (size_t)width, to);
        else if (alpha)
            image_over_white(row, (size_t)width, 3, to);
        else
            memcpy(to, row, (size_t)width * 3);
    }
    return MIEN_OK;
}

static mien_status decode_job(heif_job *job, mien_image *out) {
    MIEN_TRY(open_primary(job));
    const bool alpha = job->lib.has_alpha(job->handle);
    MIEN_TRY(decode_primary(job, alpha ? CHROMA_RGBA : CHROMA_RGB));
    return copy_rows(job, alpha, out);
}

static mien_status decode_heif(const image_source *from, mien_image *out, int *orientation) {
    heif_job job = {.from = from};
    (void)orientation;
    MIEN_TRY(mien_library_load("libheif.so.1", "libheif1", names, FUNCTIONS, &job.lib));
    job.context = job.lib.context_new();
    if (!job.context) return MIEN_FAIL(NO_MEMORY, "'%s': out of memory", from->name);
    const mien_status status = decode_job(&job, out);
    if (job.image) job.lib.image_free(job.image);
    if (job.handle) job.lib.handle_free(job.handle);
    job.lib.context_free(job.context);
    return status;
}

static bool is_heif(const uint8_t *bytes, size_t size) {
    const image_container_kind kind = image_container(bytes, size);
    return kind == IMAGE_HEIC || kind == IMAGE_AVIF;
}

const image_format image_heif = {"HEIC", ".heic .heif .hif .avif", true, is_heif, decode_heif};
