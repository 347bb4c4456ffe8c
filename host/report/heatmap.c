#include "host/report/heatmap.h"

#include <math.h>

enum { NAME_LETTERS = 16, LEFT = 130 };

typedef struct matrix {
    const mien_metrics *metrics;
    const char (*names)[64];
    int cell, top;
} matrix;

/* The top of the matrix, below the heading and the slanted class names. */
static int matrix_top(const char (*names)[64], int classes) {
    int longest = 0;
    for (int k = 0; k < classes; k++) {
        const int letters = mien_letters(names[k]);
        if (letters > longest) longest = letters;
    }
    return 40 + 6 * (longest < NAME_LETTERS ? longest : NAME_LETTERS);
}

static void draw_cell(const matrix *x, int row, int column, mien_text *out) {
    const mien_metrics *m = x->metrics;
    const size_t n = m->confusion[row * m->classes + column], support = m->by_class[row].support;
    const double share = support ? (double)n / (double)support : 0;
    const int left = LEFT + column * x->cell, top = x->top + row * x->cell;
    const char *class = share > 0.55 ? "on" : "off";
    mien_text_printf(out,
                     "<g><rect class='heat' x='%d' y='%d' width='%d' height='%d' "
                     "fill-opacity='%.3f'/><title>",
                     left, top, x->cell - 1, x->cell - 1, share);
    mien_html_escape(out, x->names[row]);
    mien_text_puts(out, " predicted as ");
    mien_html_escape(out, x->names[column]);
    mien_text_printf(out, ": %zu of %zu (%.1f %%)</title>", n, support, 100 * share);
    if (n) {
        const int digits = n > 99999 ? 6 : n > 9999 ? 5 : 4;
        const double size = fmin(13, (x->cell - 3) / (digits * 0.62));
        const double middle = left + x->cell / 2.0 - 0.5, both = x->cell >= 40 ? 6 : 0;
        mien_text_printf(out,
                         "<text class='%s' text-anchor='middle' x='%.1f' y='%.1f' "
                         "style='font-size:%.1fpx'>%zu</text>",
                         class, middle, top + x->cell / 2.0 + size * 0.35 - both, size, n);
        if (both > 0)
            mien_text_printf(out,
                             "<text class='%s' text-anchor='middle' x='%.1f' y='%.1f' "
                             "style='font-size:10px'>%.0f %%</text>",
                             class, middle, top + x->cell / 2.0 + 14, 100 * share);
    }
    mien_text_puts(out, "</g>");
}

static void draw_names(const matrix *x, mien_text *out) {
    for (int k = 0; k < x->metrics->classes; k++) {
        const double middle = (k + 0.5) * x->cell + 4;
        mien_text_printf(out, "<text text-anchor='end' x='%d' y='%.1f'>", LEFT - 6,
                         x->top + middle);
        mien_html_name(out, x->names[k], NAME_LETTERS);
        mien_text_printf(out, "</text><text transform='translate(%.1f %d) rotate(-45)'>",
                         LEFT + middle, x->top - 6);
        mien_html_name(out, x->names[k], NAME_LETTERS);
        mien_text_puts(out, "</text>");
    }
}

static void draw_scale(int top, mien_text *out) {
    mien_svg_label(out, LEFT, top + 12, "start", "", "0 %");
    for (int i = 0; i <= 10; i++)
        mien_text_printf(out,
                         "<rect class='heat' x='%d' y='%d' width='12' height='14' "
                         "fill-opacity='%.1f'/>",
                         LEFT + 32 + 12 * i, top, i / 10.0);
    mien_svg_label(out, LEFT + 170, top + 12, "start", "", "100 %");
    mien_svg_label(out, LEFT, top + 30, "start", "", "share of the row");
}

void mien_heatmap_svg(const mien_metrics *m, const char (*names)[64], mien_svg_kind kind,
                      mien_text *out) {
    const matrix x = {m, names,
                      m->classes <= 10   ? 54
                      : m->classes <= 20 ? 40
                                         : 26,
                      matrix_top(names, m->classes)};
    const int low = x.top + m->classes * x.cell;
    /* as wide as the words above and below it, however few classes there are */
    const int width = LEFT + (int)fmax(m->classes * x.cell, 240) + 100;
    mien_svg_open(out, kind, width, low + 64, "confusion matrix");
    mien_svg_label(out, LEFT - 6, x.top - 12, "end", "title", "true class");
    mien_svg_label(out, LEFT, 16, "start", "title", "predicted class");
    draw_names(&x, out);
    for (int row = 0; row < m->classes; row++)
        for (int column = 0; column < m->classes; column++)
            draw_cell(&x, row, column, out);
    draw_scale(low + 26, out);
    mien_svg_close(out);
}
