/* The learning curves of a run directory. */
#ifndef HOST_REPORT_LOG_H
#define HOST_REPORT_LOG_H

#include "host/report/svg.h"

typedef struct mien_curves {
    mien_curve loss, accuracy;
    double *numbers; /* all four lists */
} mien_curves;

/* Reads a log.csv (columns accuracy, loss, val_accuracy, val_loss, in any order, among others; an
 * empty field is a value that was not measured). NOT_FOUND without the file, FORMAT with the line
 * where it is damaged. Release it also after a failure. */
mien_status mien_curves_read(const char *path, mien_curves *out);
void mien_curves_release(mien_curves *curves);

#endif
