/* A frame's buffers and the kinds of sources; linked into the program and into mien-video.so. */
#include <ctype.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/video/video.h"

static mien_status resize(mien_image *image, size_t *capacity, int width, int height,
                          int channels) {
    const size_t need = (size_t)width * (size_t)height * (size_t)channels;
    if (need > *capacity) {
        mien_free(image->pixels);
        *image = (mien_image){0};
        *capacity = 0;
        MIEN_TRY(mien_new_aligned(&image->pixels, need));
        *capacity = need;
    }
    image->width = width;
    image->height = height;
    image->channels = channels;
    return MIEN_OK;
}

mien_status mien_frame_resize(mien_frame *frame, int width, int height, bool colour) {
    if (width < 1 || height < 1 || width > MIEN_VIDEO_SIDE_MAX || height > MIEN_VIDEO_SIDE_MAX ||
        (size_t)width * (size_t)height > MIEN_IMAGE_PIXELS_MAX)
        return MIEN_FAIL(UNSUPPORTED,
                         "a frame of %dx%d pixels; the limits are %d on each side and %d million",
                         width, height, MIEN_VIDEO_SIDE_MAX, MIEN_IMAGE_PIXELS_MAX / 1000000);
    MIEN_TRY(resize(&frame->gray, &frame->gray_capacity, width, height, 1));
    return colour ? resize(&frame->colour, &frame->colour_capacity, width, height, 3) : MIEN_OK;
}

void mien_frame_release(mien_frame *frame) {
    mien_free(frame->gray.pixels);
    mien_free(frame->colour.pixels);
    *frame = (mien_frame){0};
}

bool mien_video_is_url(const char *source) {
    size_t length = 0;
    while (isalnum((unsigned char)source[length]) ||
           (length && strchr("+-.", source[length]) && source[length]))
        length++;
    return length > 1 && strncmp(source + length, "://", 3) == 0;
}
