#include "host/report/svg.h"

#include <math.h>

void mien_html_escape(mien_text *out, const char *text) {
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            mien_text_printf(out, "&#%d;", c);
        else
            mien_text_append(out, c < ' ' || c == 127 ? "?" : text, 1);
    }
}

static void short_name(mien_text *out, const char *name, int most) {
    mien_text kept = {0};
    mien_text_name(&kept, name, most);
    if (kept.status == MIEN_OK)
        mien_html_escape(out, kept.data);
    else
        out->status = kept.status;
    mien_text_release(&kept);
}

/* ---- curves -------------------------------------------------------------------------------- */

enum { WIDE = 460, HIGH = 280, LEFT = 52, RIGHT = 12, TOP = 44, BOTTOM = 44 };

typedef struct axes {
    double low, high, step; /* of y */
    size_t count;
} axes;

static double at_x(const axes *a, size_t i) {
    return a->count < 2 ? LEFT + (WIDE - LEFT - RIGHT) / 2.0
                        : LEFT + (double)(WIDE - LEFT - RIGHT) * (double)i / (double)(a->count - 1);
}

static double at_y(const axes *a, double value) {
    return TOP + (HIGH - TOP - BOTTOM) * (a->high - value) / (a->high - a->low);
}

/* 2, 5 or 10 times a power of ten, at least `rough`. */
static double round_step(double rough) {
    const double power = pow(10, floor(log10(rough)));
    return power * (rough / power <= 2 ? 2 : rough / power <= 5 ? 5 : 10);
}

/* Chooses a round step and round limits that cover all values; false if no value is finite. */
static bool find_axes(const mien_curve *curve, axes *a) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < 2 * curve->count; i++) {
        const double v = i < curve->count ? curve->train[i] : curve->val[i - curve->count];
        if (!isfinite(v)) continue;
        low = fmin(low, v);
        high = fmax(high, v);
    }
    if (low > high) return false;
    const double rough = fmax((high - low) / 4, fmax(fabs(high) * 1e-3, 1e-6));
    a->step = round_step(rough);
    a->low = floor(low / a->step) * a->step;
    a->high = ceil(high / a->step) * a->step;
    if (a->high - a->low < a->step / 2) a->high = a->low + a->step;
    a->count = curve->count;
    return isfinite(a->high - a->low) && a->step > 0;
}

static void draw_axes(mien_text *out, const axes *a) {
    for (int i = 0; i <= (int)((a->high - a->low) / a->step + 0.5); i++) {
        const double value = a->low + i * a->step, y = at_y(a, value);
        mien_text_printf(out,
                         "<line class=grid x1='%d' x2='%d' y1='%.1f' y2='%.1f'/>"
                         "<text text-anchor='end' x='%d' y='%.1f'>%.4g</text>",
                         LEFT, WIDE - RIGHT, y, y, LEFT - 6, y + 4,
                         fabs(value) < 1e-12 ? 0 : value);
    }
    const size_t step = a->count <= 8 ? 1 : (size_t)round_step((double)a->count / 8);
    for (size_t epoch = step; epoch <= a->count; epoch += step)
        mien_text_printf(out, "<text text-anchor='middle' x='%.1f' y='%d'>%zu</text>",
                         at_x(a, epoch - 1), HIGH - BOTTOM + 18, epoch);
    mien_text_printf(out, "<text text-anchor='middle' x='%d' y='%d'>epoch</text>",
                     LEFT + (WIDE - LEFT - RIGHT) / 2, HIGH - 6);
}

/* A single epoch is drawn as a circle, since a line needs two points. */
static void draw_line(mien_text *out, const axes *a, const double *values, const char *name) {
    mien_text_printf(out, "<path class='line %s' d='", name);
    bool pen = false;
    for (size_t i = 0; i < a->count; i++) {
        const bool here = isfinite(values[i]);
        if (here)
            mien_text_printf(out, "%c%.1f %.1f", pen ? 'L' : 'M', at_x(a, i), at_y(a, values[i]));
        pen = here;
    }
    mien_text_puts(out, "'/>");
    if (a->count == 1 && isfinite(values[0]))
        mien_text_printf(out, "<circle class='%s' r='4' cx='%.1f' cy='%.1f'/>", name, at_x(a, 0),
                         at_y(a, values[0]));
}

static bool has_numbers(const double *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i])) return true;
    return false;
}

void mien_svg_curve(mien_text *out, const char *title, const mien_curve *curve) {
    axes a;
    if (!find_axes(curve, &a)) return;
    mien_text_printf(out,
                     "<svg viewBox='0 0 %d %d' role='img' aria-label='%s by epoch'>"
                     "<text class=title x='%d' y='16'>%s</text>",
                     WIDE, HIGH, title, LEFT, title);
    mien_text_printf(out,
                     "<path class='line train' d='M%d 30h26'/><text x='%d' y='34'>training</text>",
                     LEFT, LEFT + 32);
    const bool val = has_numbers(curve->val, curve->count);
    if (val)
        mien_text_printf(
            out, "<path class='line val' d='M%d 30h26'/><text x='%d' y='34'>validation</text>",
            LEFT + 120, LEFT + 152);
    draw_axes(out, &a);
    draw_line(out, &a, curve->train, "train");
    if (val) draw_line(out, &a, curve->val, "val");
    mien_text_puts(out, "</svg>\n");
}

/* ---- confusion matrix ---------------------------------------------------------------------- */

enum { NAME_LETTERS = 16, MATRIX_LEFT = 130 };

/* The top of the matrix, below the heading and the slanted class names. */
static int matrix_top(const char (*names)[64], int classes) {
    int longest = 0;
    for (int k = 0; k < classes; k++) {
        const int letters = mien_letters(names[k]);
        if (letters > longest) longest = letters;
    }
    return 40 + 6 * (longest < NAME_LETTERS ? longest : NAME_LETTERS);
}

static void draw_cell(mien_text *out, const mien_metrics *m, const char (*names)[64], int cell,
                      int top, int row, int column) {
    const size_t n = m->confusion[row * m->classes + column], support = m->by_class[row].support;
    const double share = support ? (double)n / (double)support : 0;
    const int x = MATRIX_LEFT + column * cell, y = top + row * cell;
    mien_text_printf(out,
                     "<g><rect class=heat x='%d' y='%d' width='%d' height='%d' "
                     "fill-opacity='%.3f'/><title>",
                     x, y, cell - 1, cell - 1, share);
    mien_html_escape(out, names[row]);
    mien_text_puts(out, " predicted as ");
    mien_html_escape(out, names[column]);
    mien_text_printf(out, ": %zu of %zu (%.1f %%)</title>", n, support, 100 * share);
    const int digits = n > 9999 ? 5 : 4;
    const double size = fmin(13, (cell - 3) / (digits * 0.58));
    if (n)
        mien_text_printf(out,
                         "<text class='%s' text-anchor='middle' x='%.1f' y='%.1f' "
                         "style='font-size:%.1fpx'>%zu</text>",
                         share > 0.55 ? "on" : "off", x + cell / 2.0 - 0.5,
                         y + cell / 2.0 + size * 0.35, size, n);
    mien_text_puts(out, "</g>");
}

void mien_svg_confusion(mien_text *out, const mien_metrics *m, const char (*names)[64]) {
    const int cell = m->classes <= 10 ? 54 : m->classes <= 20 ? 36 : 26, side = m->classes * cell;
    const int top = matrix_top(names, m->classes), low = top + side, x = MATRIX_LEFT;
    mien_text_printf(out,
                     "<svg viewBox='0 0 %d %d' style='max-width:%dpx' role='img' "
                     "aria-label='confusion matrix'>"
                     "<text class=title text-anchor='end' x='%d' y='%d'>true class</text>"
                     "<text class=title x='%d' y='16'>predicted class</text>",
                     x + side + 100, low + 60, x + side + 100, x - 6, top - 12, x);
    for (int k = 0; k < m->classes; k++) {
        const double middle = (k + 0.5) * cell + 4;
        mien_text_printf(out, "<text text-anchor='end' x='%d' y='%.1f'>", x - 6, top + middle);
        short_name(out, names[k], NAME_LETTERS);
        mien_text_printf(out, "</text><text transform='translate(%.1f %d) rotate(-45)'>",
                         x + middle, top - 6);
        short_name(out, names[k], NAME_LETTERS);
        mien_text_puts(out, "</text>");
    }
    for (int row = 0; row < m->classes; row++)
        for (int column = 0; column < m->classes; column++)
            draw_cell(out, m, names, cell, top, row, column);
    mien_text_printf(out, "<text x='%d' y='%d'>0 %%</text>", x, low + 38);
    for (int i = 0; i <= 10; i++)
        mien_text_printf(out,
                         "<rect class=heat x='%d' y='%d' width='12' height='14' "
                         "fill-opacity='%.1f'/>",
                         x + 32 + 12 * i, low + 26, i / 10.0);
    mien_text_printf(
        out, "<text x='%d' y='%d'>100 %%</text><text x='%d' y='%d'>share of the row</text></svg>\n",
        x + 170, low + 38, x, low + 56);
}
