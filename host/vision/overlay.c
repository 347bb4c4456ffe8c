#include <stdlib.h>

#include "host/base/memory.h"
#include "host/vision/vision.h"

/* Text is a share of the photo's short side, so that it reads the same when the photo is shown
 * whole; a small face does not get a label of several times its width. */
static const double TEXT_SHARE = 0.026, TEXT_OF_FACE = 0.24;
enum { TEXT_LEAST = 12, TEXT_MOST = 120 };

static const mien_color sure = {18, 112, 60}, unsure = {96, 96, 96}, white = {255, 255, 255};

typedef struct label {
    mien_rect place;
    int size;             /* of the text, in pixels */
    const mien_rect *box; /* the face it belongs to */
} label;

static int bounded(double value, int low, int high) {
    return value < low ? low : value > high ? high : (int)(value + 0.5);
}

static int text_size(const mien_image *photo, const mien_rect *box) {
    const int side = photo->width < photo->height ? photo->width : photo->height;
    const double of_photo = TEXT_SHARE * side, of_face = TEXT_OF_FACE * box->width;
    /* a large face in a small photo may have a larger text, a small one a smaller, to a point */
    const double size = of_face > 1.6 * of_photo   ? 1.6 * of_photo
                        : of_face < 0.6 * of_photo ? 0.6 * of_photo
                                                   : of_face;
    return bounded(size, TEXT_LEAST, TEXT_MOST);
}

static int line_width(const mien_image *photo) {
    const int side = photo->width < photo->height ? photo->width : photo->height;
    return bounded(side / 300.0, 2, 12);
}

static long long shared(const mien_rect *a, const mien_rect *b) {
    const int left = a->x > b->x ? a->x : b->x, top = a->y > b->y ? a->y : b->y;
    const int right = a->x + a->width < b->x + b->width ? a->x + a->width : b->x + b->width;
    const int end = a->y + a->height < b->y + b->height ? a->y + a->height : b->y + b->height;
    return right > left && end > top ? (long long)(right - left) * (end - top) : 0;
}

/* Into the picture, as far as it is large enough. */
static mien_rect kept_inside(mien_rect r, const mien_image *photo) {
    if (r.x + r.width > photo->width) r.x = photo->width - r.width;
    if (r.y + r.height > photo->height) r.y = photo->height - r.height;
    if (r.x < 0) r.x = 0;
    if (r.y < 0) r.y = 0;
    return r;
}

/* What a place costs: pixels of other labels weigh most, then those of faces. */
static long long cost(const label *labels, int placed, const mien_overlay *all, int count,
                      const mien_rect *place) {
    long long sum = 0;
    for (int i = 0; i < placed; i++)
        sum += 8 * shared(&labels[i].place, place);
    for (int i = 0; i < count; i++)
        sum += shared(&all[i].box, place);
    return sum;
}

/* The cheapest place around the box: above, below, shifted to the sides, then further away. */
static void place_label(const mien_image *photo, const mien_overlay *all, int count, label *labels,
                        int at) {
    label *own = &labels[at];
    const mien_rect *box = own->box;
    const int width = own->place.width, height = own->place.height;
    const int xs[] = {box->x, box->x + (box->width - width) / 2, box->x + box->width - width};
    long long best = -1;
    for (int away = 0; away < 3 && best != 0; away++) {
        const int ys[] = {box->y - height * (away + 1), box->y + box->height + height * away};
        for (int i = 0; i < 6 && best != 0; i++) {
            const mien_rect wish = {xs[i % 3], ys[i / 3], width, height};
            const mien_rect place = kept_inside(wish, photo);
            const long long price = cost(labels, at, all, count, &place);
            if (best >= 0 && price >= best) continue;
            best = price;
            own->place = place;
        }
    }
}

static void draw_label(mien_image *photo, const label *l, const mien_overlay *overlay) {
    char text[sizeof overlay->label];
    const int pad = l->size / 3;
    mien_text_fit(overlay->label, l->size, l->place.width - 2 * pad, text, sizeof text);
    mien_draw_fill(photo, l->place, overlay->uncertain ? unsure : sure);
    mien_draw_text(photo, l->place.x + pad, l->place.y + l->size / 6, l->size, white, text);
}

mien_status mien_overlay_draw(mien_image *photo, const mien_overlay *overlays, int count) {
    label *labels;
    if (count == 0) return MIEN_OK;
    MIEN_TRY(mien_new(&labels, (size_t)count, sizeof *labels));
    const int line = line_width(photo);
    for (int i = 0; i < count; i++) {
        const mien_rect *box = &overlays[i].box;
        const int size = text_size(photo, box);
        int width = mien_text_width(overlays[i].label, size) + 2 * (size / 3);
        if (width > photo->width) width = photo->width;
        labels[i] = (label){{0, 0, width, size + size / 3}, size, box};
        place_label(photo, overlays, count, labels, i);
        mien_draw_box(photo, *box, line, overlays[i].uncertain ? unsure : sure);
    }
    /* labels last: no box goes through a text */
    for (int i = 0; i < count; i++)
        draw_label(photo, &labels[i], &overlays[i]);
    mien_free(labels);
    return MIEN_OK;
}
