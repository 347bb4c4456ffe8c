/* The charts of a report, each for the page and as a file. */
#ifndef HOST_REPORT_FIGURES_H
#define HOST_REPORT_FIGURES_H

#include "host/report/report.h"

typedef struct mien_figure {
    const char *name; /* of the file, without suffix */
    void (*draw)(const mien_report *report, mien_svg_kind kind, mien_text *out);
} mien_figure;

enum { MIEN_FIGURES = 8 };
extern const mien_figure mien_figures[MIEN_FIGURES];

/* Appends a figure by its name to a page; nothing where the report lacks its numbers. */
void mien_figure_put(const mien_report *report, const char *name, mien_text *out);
/* Writes folder/NAME.svg and NAME.png of every figure that has numbers. */
mien_status mien_figures_write(const mien_report *report, const char *folder);

#endif
