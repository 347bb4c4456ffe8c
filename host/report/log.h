/* Reads the learning curves of a run directory. */
#ifndef HOST_REPORT_LOG_H
#define HOST_REPORT_LOG_H

#include <stddef.h>

#include "host/base/status.h"

enum { MIEN_EPOCHS_MAX = 100000 };

/* One metric over the epochs; NaN where it was not measured. */
typedef struct mien_curve {
    double *train, *val; /* [count] */
    size_t count;
} mien_curve;

typedef struct mien_learning {
    mien_curve loss, accuracy;
    double *numbers; /* the memory of all four lists */
} mien_learning;

/* Reads a log.csv. It needs the columns accuracy and loss, and reads val_accuracy and val_loss if
 * there are any, in any order; others are ignored, and an empty field or a missing column reads as
 * NaN. NOT_FOUND without the file; FORMAT, with the
 * line, if it is damaged. Release the curves also after a failure. */
mien_status mien_learning_read(const char *path, mien_learning *out);
/* The same for the log.csv of a run folder, or beside a model's file. */
mien_status mien_learning_of_model(const char *model, mien_learning *out);
void mien_learning_release(mien_learning *curves);

#endif
