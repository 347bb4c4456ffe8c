#include <stdlib.h>

#include "host/base/memory.h"
#include "host/vision/vision.h"

/* Text size follows the face's width, within bounds set by the photo's short side: it stays legible
 * when the photo is shown as a whole, and a small face does not get a label several times its
 * width. */
static const double TEXT_SHARE = 0.026, TEXT_OF_FACE = 0.24;
enum { TEXT_LEAST = 12, TEXT_MOST = 120 };

static const mien_color sure = {18, 112, 60}, unsure = {96, 96, 96}, white = {255, 255, 255};

typedef struct label {
    mien_rect area;
    int size;             /* of the text, in pixels */
    const mien_rect *box; /* the labelled face */
} label;

static int bounded(double value, int low, int high) {
    return value < low ? low : value > high ? high : (int)(value + 0.5);
}

static int text_size(const mien_image *photo, const mien_rect *box) {
    const int side = photo->width < photo->height ? photo->width : photo->height;
    const double of_photo = TEXT_SHARE * side, of_face = TEXT_OF_FACE * box->width;
    const double size = of_face > 1.6 * of_photo   ? 1.6 * of_photo
                        : of_face < 0.6 * of_photo ? 0.6 * of_photo
                                                   : of_face;
    return bounded(size, TEXT_LEAST, TEXT_MOST);
}

static int line_width(const mien_image *photo) {
    const int side = photo->width < photo->height ? photo->width : photo->height;
    return bounded(side / 300.0, 2, 12);
}

static long long overlap(const mien_rect *a, const mien_rect *b) {
    const int left = a->x > b->x ? a->x : b->x, top = a->y > b->y ? a->y : b->y;
    const int right = a->x + a->width < b->x + b->width ? a->x + a->width : b->x + b->width;
    const int end = a->y + a->height < b->y + b->height ? a->y + a->height : b->y + b->height;
    return right > left && end > top ? (long long)(right - left) * (end - top) : 0;
}

/* Moves a rectangle into the picture, as far as it fits. */
static mien_rect kept_inside(mien_rect r, const mien_image *photo) {
    if (r.x + r.width > photo->width) r.x = photo->width - r.width;
    if (r.y + r.height > photo->height) r.y = photo->height - r.height;
    if (r.x < 0) r.x = 0;
    if (r.y < 0) r.y = 0;
    return r;
}

/* The cost of a label's position: overlap with other labels weighs most, then overlap with
 * faces. */
static long long cost(const label *labels, int placed, const mien_overlay *all, int count,
                      const mien_rect *area) {
    long long sum = 0;
    for (int i = 0; i < placed; i++)
        sum += 8 * overlap(&labels[i].area, area);
    for (int i = 0; i < count; i++)
        sum += overlap(&all[i].box, area);
    return sum;
}

/* The position of least cost around the box: above, below, shifted to the sides, then further
 * away. */
static void place_label(const mien_image *photo, const mien_overlay *all, int count, label *labels,
                        int at) {
    label *own = &labels[at];
    const mien_rect *box = own->box;
    const int width = own->area.width, height = own->area.height;
    const int xs[] = {box->x, box->x + (box->width - width) / 2, box->x + box->width - width};
    long long best = -1;
    for (int away = 0; away < 3 && best != 0; away++) {
        const int ys[] = {box->y - height * (away + 1), box->y + box->height + height * away};
        for (int i = 0; i < 6 && best != 0; i++) {
            const mien_rect candidate = {xs[i % 3], ys[i / 3], width, height};
            const mien_rect area = kept_inside(candidate, photo);
            const long long area_cost = cost(labels, at, all, count, &area);
            if (best >= 0 && area_cost >= best) continue;
            best = area_cost;
            own->area = area;
        }
    }
}

static void draw_label(mien_image *photo, const label *l, const mien_overlay *overlay) {
    char text[sizeof overlay->label];
    const int pad = l->size / 3;
    mien_text_fit(overlay->label, l->size, l->area.width - 2 * pad, text, sizeof text);
    mien_draw_fill(photo, l->area, overlay->uncertain ? unsure : sure);
    mien_draw_text(photo, l->area.x + pad, l->area.y + l->size / 6, l->size, white, text);
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
    /* labels last: no box crosses a text */
    for (int i = 0; i < count; i++)
        draw_label(photo, &labels[i], &overlays[i]);
    mien_free(labels);
    return MIEN_OK;
}
