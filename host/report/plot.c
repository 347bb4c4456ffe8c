#include "host/report/plot.h"

#include <math.h>
#include <stdio.h>

enum { WIDE = 460, HIGH = 300, LEFT = 58, RIGHT = 26, LEGEND_ROW = 18, NAME_LETTERS = 20 };

typedef struct range {
    double low, high, step;
    int decimals; /* of the ticks' numbers */
} range;

typedef struct frame {
    const mien_plot *plot;
    range x, y;
    double left, top, right, bottom; /* of the area inside the axes, in pixels */
    int width, height, slanted;      /* slanted: the names below the axis do not fit side by side */
} frame;

static double at_x(const frame *f, double v) {
    return f->left + (f->right - f->left) * (v - f->x.low) / (f->x.high - f->x.low);
}

static double at_y(const frame *f, double v) {
    return f->bottom - (f->bottom - f->top) * (v - f->y.low) / (f->y.high - f->y.low);
}

/* ---- ranges and ticks ---- */

static void include(double v, double *low, double *high) {
    if (!isfinite(v)) return;
    *low = fmin(*low, v);
    *high = fmax(*high, v);
}

/* The least of 2, 5, 10 times a power of ten that is at least `rough`. */
static double round_step(double rough) {
    const double power = pow(10, floor(log10(rough))), part = rough / power;
    return power * (part <= 2.0001 ? 2 : part <= 5.0001 ? 5 : 10);
}

/* Round limits that cover low … high with at most about six ticks. */
static range choose_range(const mien_axis *axis, double low, double high) {
    range r = {low, high, 1, 0};
    const bool fixed = axis->low != 0 || axis->high != 0; /* NOLINT: both are set, or neither */
    if (fixed) {
        r.low = axis->low;
        r.high = axis->high;
    } else if (axis->zero) {
        r.low = fmin(0, low);
        r.high = fmax(0, high);
    }
    const double least = fmax(fabs(r.high) * 1e-6, 1e-9);
    r.step = round_step(fmax((r.high - r.low) / 6, least));
    if (axis->whole) r.step = fmax(1, r.step);
    if (!fixed) {
        r.low = floor(r.low / r.step + 1e-9) * r.step;
        r.high = ceil(r.high / r.step - 1e-9) * r.step;
        if (r.high - r.low < r.step / 2) r.high = r.low + r.step;
    }
    const double shown = axis->percent ? 100 * r.step : r.step;
    r.decimals = shown >= 0.9999 ? 0 : (int)fmin(6, ceil(-log10(shown) - 1e-9));
    return r;
}

/* false if there is nothing to draw. */
static bool find_ranges(frame *f) {
    const mien_plot *p = f->plot;
    double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
    for (int s = 0; s < p->count; s++) {
        const mien_series *q = &p->series[s];
        if (q->mark == MIEN_MARK_GUIDE) continue;
        for (size_t i = 0; i < q->count; i++) {
            if (!isfinite(q->x[i]) || !isfinite(q->y[i])) continue;
            include(q->x[i] - q->width / 2, &x0, &x1);
            include(q->x[i] + q->width / 2, &x0, &x1);
            include(q->y[i], &y0, &y1);
            if (q->mark == MIEN_MARK_BARS) include(q->base ? q->base[i] : 0, &y0, &y1);
            if (q->low) include(q->low[i], &y0, &y1);
            if (q->high) include(q->high[i], &y0, &y1);
        }
    }
    if (x0 > x1 || y0 > y1) return false;
    f->x = choose_range(&p->x, x0, x1);
    if (p->x.names) f->x = (range){-0.5, p->x.name_count - 0.5, 1, 0};
    f->y = choose_range(&p->y, y0, y1);
    return isfinite(f->x.high - f->x.low) && isfinite(f->y.high - f->y.low);
}

static void put_number(const mien_axis *axis, const range *r, double v, char *out, size_t size) {
    if (fabs(v) < r->step * 1e-6) v = 0;
    snprintf(out, size, "%.*f%s", r->decimals, axis->percent ? 100 * v : v,
             axis->percent ? " %" : "");
}

static void draw_y_axis(const frame *f, mien_text *out) {
    const range *r = &f->y;
    for (double i = ceil(r->low / r->step - 1e-9); i * r->step <= r->high + r->step * 1e-6; i++) {
        char text[48];
        const double y = at_y(f, i * r->step);
        put_number(&f->plot->y, r, i * r->step, text, sizeof text);
        mien_text_printf(out, "<line class='grid' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>",
                         f->left, f->right, y, y);
        mien_svg_label(out, f->left - 6, y + 4, "end", "", text);
    }
    if (!f->plot->y.label) return;
    mien_text_printf(out, "<text text-anchor='middle' transform='translate(13 %.1f) rotate(-90)'>",
                     (f->top + f->bottom) / 2);
    mien_html_escape(out, f->plot->y.label);
    mien_text_puts(out, "</text>");
}

static void draw_names(const frame *f, mien_text *out) {
    for (int i = 0; i < f->plot->x.name_count; i++) {
        const double x = at_x(f, i);
        if (f->slanted)
            mien_text_printf(out,
                             "<text text-anchor='end' transform='translate(%.1f %.1f) "
                             "rotate(-40)'>",
                             x + 4, f->bottom + 14);
        else
            mien_text_printf(out, "<text text-anchor='middle' x='%.1f' y='%.1f'>", x,
                             f->bottom + 17);
        mien_html_name(out, f->plot->x.names[i], NAME_LETTERS);
        mien_text_puts(out, "</text>");
    }
}

static void draw_x_axis(const frame *f, mien_text *out) {
    const range *r = &f->x;
    mien_text_printf(out, "<line class='axis' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>", f->left,
                     f->right, f->bottom, f->bottom);
    if (f->plot->x.names) draw_names(f, out);
    for (double i = ceil(r->low / r->step - 1e-9);
         !f->plot->x.names && i * r->step <= r->high + r->step * 1e-6; i++) {
        char text[48];
        const double x = at_x(f, i * r->step);
        put_number(&f->plot->x, r, i * r->step, text, sizeof text);
        mien_text_printf(out, "<line class='axis' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>", x, x,
                         f->bottom, f->bottom + 4);
        mien_svg_label(out, x, f->bottom + 17, "middle", "", text);
    }
    if (f->plot->x.label)
        mien_svg_label(out, (f->left + f->right) / 2, f->height - 6, "middle", "",
                       f->plot->x.label);
}

/* ---- series ---- */

static const char *dash(const mien_series *s) {
    return s->color >= MIEN_COLORS ? " dash" : "";
}

static void draw_line(const frame *f, const mien_series *s, mien_text *out) {
    const bool guide = s->mark == MIEN_MARK_GUIDE;
    mien_text_printf(out, "<path class='%s", guide ? "guide" : "line");
    if (!guide) mien_text_printf(out, " k%d%s", s->color % MIEN_COLORS, dash(s));
    mien_text_puts(out, "' d='");
    bool pen = false;
    for (size_t i = 0; i < s->count; i++) {
        const bool here = isfinite(s->x[i]) && isfinite(s->y[i]);
        if (here)
            mien_text_printf(out, "%c%.1f %.1f", pen ? 'L' : 'M', at_x(f, s->x[i]),
                             at_y(f, s->y[i]));
        pen = here;
    }
    mien_text_puts(out, "'/>");
}

static void draw_bars(const frame *f, const mien_series *s, mien_text *out) {
    for (size_t i = 0; i < s->count; i++) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i])) continue;
        const double x = at_x(f, s->x[i] - s->width / 2), right = at_x(f, s->x[i] + s->width / 2);
        const double foot = fmax(f->y.low, s->base ? s->base[i] : 0), y = at_y(f, s->y[i]);
        mien_text_printf(out,
                         "<rect class='f%d' x='%.1f' y='%.1f' width='%.1f' height='%.1f'><title>",
                         s->color % MIEN_COLORS, x + 0.5, fmin(y, at_y(f, foot)),
                         fmax(0.5, right - x - 1), fabs(at_y(f, foot) - y));
        if (s->name) {
            mien_html_escape(out, s->name);
            mien_text_puts(out, ": ");
        }
        mien_text_printf(out, "%.4g</title></rect>", s->y[i] - (s->base ? s->base[i] : 0));
    }
}

static void draw_dots(const frame *f, const mien_series *s, mien_text *out) {
    for (size_t i = 0; i < s->count; i++) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i])) continue;
        const double x = at_x(f, s->x[i]);
        if (s->low && isfinite(s->low[i]) && isfinite(s->high[i]))
            mien_text_printf(out,
                             "<line class='whisker k%d' x1='%.1f' x2='%.1f' y1='%.1f' "
                             "y2='%.1f'/>",
                             s->color % MIEN_COLORS, x, x, at_y(f, s->low[i]), at_y(f, s->high[i]));
        mien_text_printf(out, "<circle class='f%d' r='4' cx='%.1f' cy='%.1f'><title>%.4g",
                         s->color % MIEN_COLORS, x, at_y(f, s->y[i]), s->y[i]);
        if (s->low && isfinite(s->low[i]) && isfinite(s->high[i]))
            mien_text_printf(out, " (%.4g to %.4g)", s->low[i], s->high[i]);
        mien_text_puts(out, "</title></circle>");
    }
}

/* A line of a single point would be invisible. */
static void draw_series(const frame *f, const mien_series *s, mien_text *out) {
    if (s->mark == MIEN_MARK_BARS)
        draw_bars(f, s, out);
    else if (s->mark == MIEN_MARK_DOTS || (s->mark == MIEN_MARK_LINE && s->count == 1))
        draw_dots(f, s, out);
    else
        draw_line(f, s, out);
}

/* ---- legend ---- */

static double legend_width(const char *name) {
    const double width = mien_svg_text_width(name), most = 7.2 * NAME_LETTERS;
    return 24 + (width < most ? width : most) + 14;
}

static void draw_key(const mien_series *s, double x, double y, mien_text *out) {
    const int c = s->color % MIEN_COLORS;
    if (s->mark == MIEN_MARK_BARS)
        mien_text_printf(out, "<rect class='f%d' x='%.1f' y='%.1f' width='14' height='10'/>", c, x,
                         y - 9);
    else if (s->mark == MIEN_MARK_DOTS)
        mien_text_printf(out, "<circle class='f%d' r='4' cx='%.1f' cy='%.1f'/>", c, x + 9, y - 4);
    else if (s->mark == MIEN_MARK_GUIDE)
        mien_text_printf(out, "<path class='guide' d='M%.1f %.1fh18'/>", x, y - 4);
    else
        mien_text_printf(out, "<path class='line k%d%s' d='M%.1f %.1fh18'/>", c, dash(s), x, y - 4);
    mien_text_printf(out, "<text x='%.1f' y='%.1f'>", x + 23, y);
    mien_html_name(out, s->name, NAME_LETTERS);
    mien_text_puts(out, "</text>");
}

/* Returns the number of rows; draws only with `out`. */
static int lay_legend(const frame *f, mien_text *out) {
    double x = LEFT;
    int rows = 0;
    for (int i = 0; i < f->plot->count; i++) {
        const mien_series *s = &f->plot->series[i];
        if (!s->name) continue;
        const double width = legend_width(s->name);
        if (rows == 0 || (x + width > f->width - RIGHT && x > LEFT)) {
            rows++;
            x = LEFT;
        }
        if (out) draw_key(s, x, 16 + LEGEND_ROW * rows, out);
        x += width;
    }
    return rows;
}

static void lay_out(frame *f) {
    const mien_axis *x = &f->plot->x;
    double longest = 0;
    f->width = f->plot->width ? f->plot->width : WIDE;
    f->height = f->plot->height ? f->plot->height : HIGH;
    f->left = LEFT;
    f->right = f->width - RIGHT;
    f->top = 16 + LEGEND_ROW * lay_legend(f, NULL) + 14;
    for (int i = 0; i < x->name_count; i++)
        longest = fmax(longest, fmin(7.2 * NAME_LETTERS, mien_svg_text_width(x->names[i])));
    f->slanted = x->names && longest + 8 > (f->right - f->left) / x->name_count;
    f->bottom = f->height - (x->label ? 44 : 26) - (f->slanted ? 0.65 * longest : 0);
}

void mien_plot_svg(const mien_plot *plot, mien_svg_kind kind, mien_text *out) {
    frame f = {.plot = plot};
    if (!find_ranges(&f)) return;
    lay_out(&f);
    mien_svg_open(out, kind, f.width, f.height, plot->title);
    mien_svg_label(out, LEFT, 14, "start", "title", plot->title);
    draw_y_axis(&f, out);
    for (int i = 0; i < plot->count; i++)
        draw_series(&f, &plot->series[i], out);
    draw_x_axis(&f, out);
    lay_legend(&f, out);
    mien_svg_close(out);
}
