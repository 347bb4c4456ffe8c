#include "host/report/raster.h"

#include "host/base/memory.h"
#include "host/base/module.h"
#include "host/image/encode.h"

/* The functions that are needed, as librsvg 2.46 and later and Cairo document them; their headers
 * would bring fifty packages to every build. */
typedef struct rectangle {
    double x, y, width, height;
} rectangle;

typedef struct rsvg_library {
    void *(*open)(const uint8_t *data, size_t size, void **error);
    int (*size_in_pixels)(void *handle, double *width, double *height);
    int (*render)(void *handle, void *cairo, const rectangle *viewport, void **error);
    void (*unref)(void *object);
    void *(*surface_create)(int format, int width, int height);
    void *(*cairo_create)(void *surface);
    void (*cairo_destroy)(void *cairo);
    void (*flush)(void *surface);
    unsigned char *(*data)(void *surface); /* NULL for a surface that failed */
    int (*stride)(void *surface);
    void (*surface_destroy)(void *surface);
} rsvg_library;

static const char *const names[] = {"rsvg_handle_new_from_data",
                                    "rsvg_handle_get_intrinsic_size_in_pixels",
                                    "rsvg_handle_render_document",
                                    "g_object_unref",
                                    "cairo_image_surface_create",
                                    "cairo_create",
                                    "cairo_destroy",
                                    "cairo_surface_flush",
                                    "cairo_image_surface_get_data",
                                    "cairo_image_surface_get_stride",
                                    "cairo_surface_destroy"};
enum { FUNCTIONS = sizeof names / sizeof names[0], CAIRO_RGB24 = 1, SIDE_MAX = 8192 };

/* Cairo's pixels are 0xffRRGGBB in the machine's byte order. */
static mien_status copy_pixels(const rsvg_library *lib, void *surface, mien_image *out) {
    lib->flush(surface);
    const unsigned char *data = lib->data(surface);
    const int stride = lib->stride(surface);
    if (!data) return MIEN_FAIL(NO_MEMORY, "there is no memory for a picture of a chart");
    MIEN_TRY(mien_new(&out->pixels, (size_t)out->width * (size_t)out->height, 3));
    for (int y = 0; y < out->height; y++) {
        const uint32_t *row = (const void *)(data + (ptrdiff_t)y * stride);
        uint8_t *to = out->pixels + (size_t)y * (size_t)out->width * 3;
        for (int x = 0; x < out->width; x++) {
            to[3 * x] = (uint8_t)(row[x] >> 16);
            to[3 * x + 1] = (uint8_t)(row[x] >> 8);
            to[3 * x + 2] = (uint8_t)row[x];
        }
    }
    return MIEN_OK;
}

static mien_status draw(const rsvg_library *lib, void *handle, double scale, mien_image *out) {
    double width = 0, height = 0;
    if (!lib->size_in_pixels(handle, &width, &height) || !(width * scale < SIDE_MAX) ||
        !(height * scale < SIDE_MAX))
        return MIEN_FAIL(UNSUPPORTED, "a chart is too large for a PNG");
    *out = (mien_image){(int)(width * scale), (int)(height * scale), 3, NULL};
    void *surface = lib->surface_create(CAIRO_RGB24, out->width, out->height);
    void *cairo = lib->cairo_create(surface);
    const rectangle all = {0, 0, out->width, out->height};
    mien_status status = MIEN_OK;
    if (!lib->render(handle, cairo, &all, NULL))
        status = MIEN_FAIL(UNSUPPORTED, "librsvg cannot draw a chart");
    if (status == MIEN_OK) status = copy_pixels(lib, surface, out);
    lib->cairo_destroy(cairo);
    lib->surface_destroy(surface);
    return status;
}

mien_status mien_svg_write_png(const mien_text *svg, double scale, const char *path) {
    rsvg_library lib;
    mien_image image = {0};
    MIEN_TRY(svg->status);
    MIEN_TRY(mien_library_load("librsvg-2.so.2", "librsvg2-2", names, FUNCTIONS, &lib));
    void *handle = lib.open((const uint8_t *)svg->data, svg->size, NULL);
    if (!handle) return MIEN_FAIL(UNSUPPORTED, "librsvg cannot read a chart");
    mien_status status = draw(&lib, handle, scale, &image);
    lib.unref(handle);
    if (status == MIEN_OK) status = mien_image_write_png(&image, path);
    mien_image_release(&image);
    return status;
}
