/* Progress of a training run on stderr: one Keras-like line per epoch, and on a terminal a progress
 * bar as well. */
#ifndef HOST_CLI_PROGRESS_H
#define HOST_CLI_PROGRESS_H

#include "host/train/trainer.h"

typedef struct progress {
    bool terminal, quiet;
    double epoch_start;
    int epoch;
    size_t width; /* of the bar last drawn, to erase it */
} progress;

mien_observer progress_observer(progress *p, bool quiet);

#endif
