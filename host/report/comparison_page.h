/* Several models on the same images: comparison.html and comparison.json in a folder. */
#ifndef HOST_REPORT_COMPARISON_PAGE_H
#define HOST_REPORT_COMPARISON_PAGE_H

#include "host/eval/compare.h"

/* Creates `folder` if it is missing. */
mien_status mien_comparison_report(const mien_comparison *comparison, const char *folder);

#endif
