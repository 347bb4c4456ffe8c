/* What all pages share: head, style sheet, and parts of tables. A page is one file without scripts
 * that loads nothing. */
#ifndef HOST_REPORT_PAGE_H
#define HOST_REPORT_PAGE_H

#include "host/report/svg.h"

/* `title` is the browser's; `heading` stands above the page. */
void mien_page_open(mien_text *out, const char *title, const char *heading);
void mien_page_close(mien_text *out);
/* A cell with a share from 0 to 1 as number and bar; "–" if it is not finite. With low < high also
 * that interval. */
void mien_page_share(mien_text *out, double value, double low, double high);
/* A large number with its name; `interval` may be "". */
void mien_page_figure(mien_text *out, const char *name, const char *value, const char *interval);
/* Writes folder/name. */
mien_status mien_page_write(const char *folder, const char *name, const mien_text *text);

#endif
