#include "host/image/encode.h"

#include <png.h>

#include "host/base/file.h"
#include "host/base/memory.h"

mien_status mien_image_encode_png(const mien_image *image, mien_text *out) {
    if (image->width < 1 || image->height < 1 || (image->channels != 1 && image->channels != 3))
        return MIEN_FAIL(INVALID, "cannot make a PNG of %d x %d pixels with %d channels",
                         image->width, image->height, image->channels);
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)image->width,
                     .height = (png_uint_32)image->height,
                     .format = image->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png); /* enough to compress only once */
    char *bytes;
    mien_status status;
    MIEN_TRY(mien_new(&bytes, size, 1));
    if (png_image_write_to_memory(&png, bytes, &size, 0, image->pixels, 0, NULL)) {
        mien_text_append(out, bytes, size);
        status = out->status;
    } else {
        status = MIEN_FAIL(NO_MEMORY, "cannot make a PNG of %d x %d pixels: %s", image->width,
                           image->height, png.message);
    }
    png_image_free(&png);
    mien_free(bytes);
    return status;
}

mien_status mien_image_write_png(const mien_image *image, const char *path) {
    mien_text text = {0};
    mien_status status = mien_image_encode_png(image, &text);
    if (status == MIEN_OK) status = mien_file_write(path, text.data, text.size);
    mien_text_release(&text);
    return status;
}
