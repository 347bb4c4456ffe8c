#include "host/infer/frame_detect.h"

#include <math.h>

#include "host/base/memory.h"
#include "host/image/resize.h"
#include "host/infer/video_faces.h"

/* The side of the smallest face in the frame that is searched: a Haar cascade's window. */
enum { FINEST = 24 };
/* A frame that would become only a little smaller is searched as it is. */
static const double WORTHWHILE = 0.8;

static int scaled(int value, double scale, int most) {
    const int at = (int)lround(value * scale);
    return at > most ? most : at;
}

static mien_status search(frame_detect *d, const mien_image *gray, int least, mien_faces *out) {
    const mien_detect rule = {least, d->rule.min_score};
    return mien_detector_run(d->detector, gray, &rule, out);
}

mien_status frame_detect_run(frame_detect *d, const mien_image *gray, mien_faces *out) {
    const int least =
        d->rule.min_face ? d->rule.min_face : mien_video_face_least(gray->width, gray->height);
    const double scale = (double)FINEST / least;
    *out = (mien_faces){0};
    if (scale > WORTHWHILE || gray->width < least || gray->height < least)
        return search(d, gray, least, out);
    mien_image small = {(int)lround(gray->width * scale), (int)lround(gray->height * scale), 1,
                        NULL};
    MIEN_TRY(mien_grow(&d->pixels, &d->capacity, (size_t)small.width * (size_t)small.height, 1));
    small.pixels = d->pixels;
    mien_resize(gray->pixels, gray->height, gray->width, 1, small.pixels, small.height,
                small.width);
    const mien_status status = search(d, &small, FINEST, out);
    const double x = (double)gray->width / small.width, y = (double)gray->height / small.height;
    for (int i = 0; i < out->count; i++) {
        const mien_rect b = out->items[i].box;
        const int left = scaled(b.x, x, gray->width - 1), top = scaled(b.y, y, gray->height - 1);
        out->items[i].box = (mien_rect){left, top, scaled(b.x + b.width, x, gray->width) - left,
                                        scaled(b.y + b.height, y, gray->height) - top};
    }
    return status;
}

void frame_detect_release(frame_detect *d) {
    mien_free(d->pixels);
}
