#include <math.h>

#include "host/base/memory.h"
#include "host/vision/vision.h"

/* Text size follows the face's width, within bounds set by the photo's short side: it stays legible
 * when the photo is shown as a whole, and a small face does not get a label several times its
 * width. */
static const double TEXT_SHARE = 0.026, TEXT_OF_FACE = 0.24;
enum { TEXT_LEAST = 12, TEXT_MOST = 120, TEXT_STEPS = 8 };
/* The text of bars is smaller than the label. They are at most this much higher than the face. */
static const double BAR_TEXT = 0.62, PANEL_MOST = 1.25;
enum { BAR_TEXT_LEAST = 10, FEW_BARS = 3, FACES_MOST = 8 /* a crowd has labels only */ };

static const mien_color sure = {18, 112, 60}, unsure = {96, 96, 96}, white = {255, 255, 255};
static const mien_color black = {0, 0, 0}, best_bar = {64, 208, 122}, bar = {205, 205, 205};

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
    /* in steps: a face that moves must not make its label flicker */
    const double step = size < 2 * TEXT_STEPS ? 1 : size / TEXT_STEPS;
    return bounded(size - fmod(size, floor(step)), TEXT_LEAST, TEXT_MOST);
}

static int line_width(const mien_image *photo) {
    const int side = photo->width < photo->height ? photo->width : photo->height;
    return bounded(side / 300.0, 2, 12);
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
        sum += 8 * (long long)mien_rect_common(labels[i].area, *area);
    for (int i = 0; i < count; i++)
        sum += (long long)mien_rect_common(all[i].box, *area);
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

/* ---- bars ---- */

/* The bars of a face: a panel with one row for each class, or for the greatest scores. */
typedef struct panel {
    mien_rect area;
    int rows, size, pad, name_width;
} panel;

static int row_height(const panel *p) {
    return p->size + p->size / 4;
}

/* Sets the size of a panel with so many rows; false if it is too high for the face. */
static bool size_panel(const mien_overlay *overlay, int rows, panel *p) {
    p->rows = rows;
    p->area.width = p->name_width + 5 * p->size + 3 * p->pad;
    p->area.height = rows * row_height(p) + 2 * p->pad;
    return p->area.height <= PANEL_MOST * overlay->box.height;
}

static bool is_free(const mien_overlay *all, const label *labels, int count, const panel *panels,
                    int placed, const mien_rect *area) {
    for (int i = 0; i < count; i++)
        if ((long long)mien_rect_common(all[i].box, *area) ||
            (long long)mien_rect_common(labels[i].area, *area))
            return false;
    for (int i = 0; i < placed; i++)
        if (panels[i].rows && (long long)mien_rect_common(panels[i].area, *area)) return false;
    return true;
}

/* Beside the box or below it: the first of these positions that is free. */
static bool place_panel(const mien_image *photo, const mien_overlay *all, const label *labels,
                        int count, panel *panels, int at) {
    panel *own = &panels[at];
    const mien_rect *box = &all[at].box;
    const int gap = line_width(photo), width = own->area.width, height = own->area.height;
    const int positions[][2] = {
        {box->x + box->width + gap, box->y},
        {box->x - gap - width, box->y},
        {box->x, box->y + box->height + gap},
        {box->x + box->width - width, box->y + box->height + gap},
    };
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        mien_rect area = {positions[i][0], positions[i][1], width, height};
        if (i < 2 && area.y + height > photo->height) area.y = photo->height - height;
        if (area.x < 0 || area.y < 0 || area.x + width > photo->width ||
            area.y + height > photo->height || !is_free(all, labels, count, panels, at, &area))
            continue;
        own->area = area;
        return true;
    }
    return false;
}

static void add_panel(const mien_image *photo, const mien_overlay *all, const label *labels,
                      int count, panel *panels, int at) {
    const mien_overlay *overlay = &all[at];
    panel *own = &panels[at];
    own->size = bounded(BAR_TEXT * labels[at].size, BAR_TEXT_LEAST, TEXT_MOST);
    own->pad = own->size / 3;
    for (int k = 0; k < overlay->classes; k++) {
        const int width = mien_text_width(overlay->names[k], own->size);
        if (width > own->name_width) own->name_width = width;
    }
    if (own->name_width > 8 * own->size) own->name_width = 8 * own->size;
    const int few = overlay->classes < FEW_BARS ? overlay->classes : FEW_BARS;
    if (size_panel(overlay, overlay->classes, own) &&
        place_panel(photo, all, labels, count, panels, at))
        return;
    if (size_panel(overlay, few, own) && place_panel(photo, all, labels, count, panels, at)) return;
    own->rows = 0;
}

/* How many scores are greater than the one of class k; of equal ones, the first counts. */
static int rank_of(const mien_overlay *overlay, int k) {
    int rank = 0;
    for (int i = 0; i < overlay->classes; i++)
        rank += overlay->scores[i] > overlay->scores[k] ||
                (overlay->scores[i] == overlay->scores[k] && i < k);
    return rank;
}

static void draw_bar(mien_image *photo, const panel *p, int row, const mien_overlay *overlay,
                     int k) {
    char name[sizeof overlay->label];
    const int x = p->area.x + p->pad, y = p->area.y + p->pad + row * row_height(p);
    const int inset = p->size / 6, length = 5 * p->size, height = p->size - 2 * inset;
    const double score = overlay->scores[k] > 0 ? fmin(1, overlay->scores[k]) : 0;
    const bool best = rank_of(overlay, k) == 0 && !overlay->uncertain;
    const mien_rect track = {x + p->name_width + p->pad, y + inset, length, height};
    const mien_rect filled = {track.x, track.y, (int)(score * length + 0.5), height};
    mien_text_fit(overlay->names[k], p->size, p->name_width, name, sizeof name);
    mien_draw_text(photo, x, y, p->size, white, name);
    mien_draw_shade(photo, track, white, 0.2);
    mien_draw_fill(photo, filled, best ? best_bar : bar);
}

/* All classes keep their order, so that bars do not jump; few are sorted. */
static void draw_panel(mien_image *photo, const panel *p, const mien_overlay *overlay) {
    if (!p->rows) return;
    mien_draw_shade(photo, p->area, black, 0.6);
    for (int k = 0; k < overlay->classes; k++) {
        const int row = p->rows == overlay->classes ? k : rank_of(overlay, k);
        if (row < p->rows) draw_bar(photo, p, row, overlay, k);
    }
}

/* ---- all ---- */

mien_status mien_overlay_draw(mien_image *photo, const mien_overlay *overlays, int count) {
    label *labels = NULL;
    panel *panels = NULL;
    mien_status status;
    if (count == 0) return MIEN_OK;
    MIEN_GO(mien_new(&labels, (size_t)count, sizeof *labels));
    MIEN_GO(mien_new(&panels, (size_t)count, sizeof *panels));
    const int line = line_width(photo);
    for (int i = 0; i < count; i++) {
        const mien_rect *box = &overlays[i].box;
        const int size = text_size(photo, box);
        int width = mien_text_width(overlays[i].label, size) + 2 * (size / 3);
        if (width > photo->width) width = photo->width;
        labels[i] = (label){{0, 0, width, size + size / 3}, size, box};
        place_label(photo, overlays, count, labels, i);
    }
    for (int i = 0; i < count; i++)
        if (overlays[i].scores && count <= FACES_MOST)
            add_panel(photo, overlays, labels, count, panels, i);
    for (int i = 0; i < count; i++)
        mien_draw_box(photo, overlays[i].box, line, overlays[i].uncertain ? unsure : sure);
    for (int i = 0; i < count; i++)
        draw_panel(photo, &panels[i], &overlays[i]);
    /* labels last: no box crosses a text */
    for (int i = 0; i < count; i++)
        draw_label(photo, &labels[i], &overlays[i]);
out:
    mien_free(labels);
    mien_free(panels);
    return status;
}
