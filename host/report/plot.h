/* Charts with two axes: lines, bars and dots, with ticks, grid and legend, as SVG. */
#ifndef HOST_REPORT_PLOT_H
#define HOST_REPORT_PLOT_H

#include <stddef.h>

#include "host/report/svg.h"

typedef enum mien_mark {
    MIEN_MARK_LINE,
    MIEN_MARK_BARS,
    MIEN_MARK_DOTS,
    MIEN_MARK_GUIDE, /* a thin dotted line for comparison, not in the range of the axes */
} mien_mark;

/* Points whose x or y is not finite are gaps. All pointers are borrowed. */
typedef struct mien_series {
    const char *name; /* untrusted; in the legend. NULL: not there */
    mien_mark mark;
    const double *x, *y;      /* [count] */
    const double *base;       /* bars: where each begins, for stacks; NULL: at 0 */
    const double *low, *high; /* whiskers of dots; NULL: none */
    size_t count;
    double width; /* of bars, in units of x */
    int color;    /* modulo MIEN_COLORS; colours that come again are dashed */
} mien_series;

typedef struct mien_axis {
    const char *label;        /* NULL: none */
    double low, high;         /* both 0: the range of the data, rounded */
    bool zero;                /* that range includes 0 */
    bool percent;             /* the values are shares, shown as percent */
    bool whole;               /* ticks only at whole numbers */
    const char *const *names; /* of x: names[i] stands at x = i; instead of numbers */
    int name_count;
} mien_axis;

typedef struct mien_plot {
    const char *title;
    mien_axis x, y;
    const mien_series *series; /* [count], the last on top */
    int count;
    int width, height; /* 0: 460 x 300 */
} mien_plot;

/* Appends the chart; nothing if no series has a finite point. */
void mien_plot_svg(const mien_plot *plot, mien_svg_kind kind, mien_text *out);

#endif
