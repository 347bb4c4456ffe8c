/* Reads the learning curves of a run directory. */
#ifndef HOST_REPORT_LOG_H
#define HOST_REPORT_LOG_H

#include "host/report/svg.h"

typedef struct mien_curves {
    mien_curve loss, accuracy;
    double *numbers; /* the memory of all four lists */
} mien_curves;

/* Reads a log.csv. It needs the columns accuracy and loss, and reads val_accuracy and val_loss if
 * there are any, in any order; others are ignored, and an empty field or a missing column reads as
 * NaN. NOT_FOUND without the file; FORMAT, with the
 * line, if it is damaged. Release the curves also after a failure. */
mien_status mien_curves_read(const char *path, mien_curves *out);
void mien_curves_release(mien_curves *curves);

#endif
