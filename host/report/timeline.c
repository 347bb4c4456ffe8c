#include "host/report/timeline.h"

#include <math.h>
#include <stdio.h>

#include "host/image/draw.h"
#include "host/report/svg.h"

enum {
    WIDTH = 1000,
    LEFT = 110, /* of the lanes; names stand before it */
    RIGHT = 20,
    TOP = 46,
    LANE = 26,
    GAP = 8,
    FONT = 14,
    TITLE = 18,
    LETTER = 8, /* mean width of a letter of FONT */
    LEGEND = 24,
    BOTTOM = 30
};

/* Okabe and Ito's colours, which people with any colour vision tell apart, then two grays. */
static const mien_color palette[] = {{230, 159, 0},   {86, 180, 233},  {0, 158, 115},
                                     {240, 228, 66},  {0, 114, 178},   {213, 94, 0},
                                     {204, 121, 167}, {120, 120, 120}, {70, 70, 70}};
enum { COLORS = sizeof palette / sizeof palette[0] };
static const mien_color ink = {40, 40, 40}, faint = {228, 228, 228}, paper = {255, 255, 255};

/* Draws into an SVG text or into a picture, whichever is set. */
typedef struct painter {
    mien_text *svg;
    mien_image *picture;
} painter;

static void fill(const painter *p, double x, double y, double width, double height,
                 mien_color color) {
    if (p->svg) {
        mien_text_printf(p->svg,
                         "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                         "fill=\"#%02x%02x%02x\"/>\n",
                         x, y, width, height, color.r, color.g, color.b);
        return;
    }
    const int left = (int)lround(x), top = (int)lround(y);
    int right = (int)lround(x + width);
    if (right <= left) right = left + 1;
    mien_draw_fill(p->picture, (mien_rect){left, top, right - left, (int)lround(y + height) - top},
                   color);
}

/* (x, y): the upper left corner, or with `centred` the middle of the upper edge. */
static void write(const painter *p, double x, double y, int size, bool centred, const char *text) {
    if (p->svg) {
        mien_text_printf(p->svg, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%d\"%s>", x,
                         y + 0.8 * size, size, centred ? " text-anchor=\"middle\"" : "");
        mien_html_escape(p->svg, text);
        mien_text_puts(p->svg, "</text>\n");
        return;
    }
    if (centred) x -= mien_text_width(text, size) / 2.0;
    mien_draw_text(p->picture, (int)lround(x), (int)lround(y), size, ink, text);
}

static int legend_rows(const mien_timeline *t) {
    int rows = 1, x = LEFT;
    for (int k = 0; k < t->classes; k++) {
        const int width = 24 + LETTER * mien_letters(t->class_names[k]) + 16;
        if (x + width > WIDTH - RIGHT && x > LEFT) {
            rows++;
            x = LEFT;
        }
        x += width;
    }
    return rows;
}

static int height_of(const mien_timeline *t) {
    return TOP + t->lane_count * (LANE + GAP) + BOTTOM + legend_rows(t) * LEGEND;
}

static void draw_legend(const painter *p, const mien_timeline *t, int y) {
    int x = LEFT;
    for (int k = 0; k < t->classes; k++) {
        const int width = 24 + LETTER * mien_letters(t->class_names[k]) + 16;
        if (x + width > WIDTH - RIGHT && x > LEFT) {
            x = LEFT;
            y += LEGEND;
        }
        fill(p, x, y, 16, 16, palette[k % COLORS]);
        write(p, x + 22, y + 1, FONT, false, t->class_names[k]);
        x += width;
    }
}

/* A round step of the time axis that gives at most ten marks. */
static double step_of(double seconds) {
    static const double steps[] = {0.1, 0.2, 0.5, 1,   2,   5,    10,   15,   30,
                                   60,  120, 300, 600, 900, 1800, 3600, 7200, 18000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (seconds / steps[i] <= 10) return steps[i];
    return seconds / 10;
}

static void mark_text(double at, double step, char out[32]) {
    if (step < 1)
        snprintf(out, 32, "%.1f s", at);
    else if (at < 60)
        snprintf(out, 32, "%.0f s", at);
    else if (at < 3600)
        snprintf(out, 32, "%d:%02d", (int)at / 60, (int)at % 60);
    else
        snprintf(out, 32, "%d:%02d:%02d", (int)at / 3600, (int)at / 60 % 60, (int)at % 60);
}

static void draw_axis(const painter *p, const mien_timeline *t, double scale, int bottom) {
    char text[32];
    const double step = step_of(t->seconds);
    for (double at = 0; at <= t->seconds + 1e-9; at += step) {
        fill(p, LEFT + at * scale, TOP - 4, 1, bottom - TOP + 8, faint);
        mark_text(at, step, text);
        write(p, LEFT + at * scale, bottom + 8, FONT, true, text);
    }
}

/* The class with the most time in a bin; -1: the person is not seen. */
static int class_of(const mien_timeline *t, const float *bins, int bin) {
    const float *seconds = bins + (size_t)bin * (size_t)t->classes;
    int best = -1;
    for (int k = 0; k < t->classes; k++)
        if (seconds[k] > 0 && (best < 0 || seconds[k] > seconds[best])) best = k;
    return best;
}

static void draw_lane(const painter *p, const mien_timeline *t, const mien_lane *lane, double scale,
                      int y) {
    write(p, 8, y + (LANE - FONT) / 2, FONT, false, lane->name);
    for (int from = 0, to; from < t->bin_count; from = to) {
        const int label = class_of(t, lane->bins, from);
        for (to = from + 1; to < t->bin_count && class_of(t, lane->bins, to) == label;)
            to++;
        if (label < 0) continue;
        const double begin = from * t->bin_seconds, end = fmin(to * t->bin_seconds, t->seconds);
        if (end > begin)
            fill(p, LEFT + begin * scale, y, (end - begin) * scale, LANE, palette[label % COLORS]);
    }
}

static void draw(const painter *p, const mien_timeline *t) {
    const double scale = (WIDTH - LEFT - RIGHT) / (t->seconds > 0 ? t->seconds : 1);
    const int bottom = TOP + t->lane_count * (LANE + GAP);
    write(p, 8, 12, TITLE, false, t->title);
    draw_axis(p, t, scale, bottom);
    for (int i = 0; i < t->lane_count; i++)
        draw_lane(p, t, &t->lanes[i], scale, TOP + i * (LANE + GAP));
    draw_legend(p, t, bottom + BOTTOM);
}

mien_status mien_timeline_svg(const mien_timeline *t, mien_text *out) {
    const int height = height_of(t);
    mien_text_printf(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                     "height=\"%d\" role=\"img\" font-family=\"sans-serif\" fill=\"#282828\">\n"
                     "<title>",
                     WIDTH, height, WIDTH, height);
    mien_html_escape(out, t->title);
    mien_text_puts(out, "</title>\n");
    const painter p = {.svg = out};
    fill(&p, 0, 0, WIDTH, height, paper);
    draw(&p, t);
    mien_text_puts(out, "</svg>\n");
    return out->status;
}

mien_status mien_timeline_picture(const mien_timeline *t, mien_image *out) {
    MIEN_TRY(mien_canvas_new(WIDTH, height_of(t), 3, paper, out));
    const painter p = {.picture = out};
    draw(&p, t);
    return MIEN_OK;
}
