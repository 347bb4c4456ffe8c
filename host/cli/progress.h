/* What a person sees while training: a bar on a terminal, one Keras-like line per epoch elsewhere.
 * Everything goes to stderr. */
#ifndef HOST_CLI_PROGRESS_H
#define HOST_CLI_PROGRESS_H

#include "host/train/trainer.h"

typedef struct progress {
    bool terminal, quiet;
    double epoch_start;
    int epoch;
    size_t width; /* of the bar drawn last, to wipe it */
} progress;

mien_observer progress_observer(progress *p, bool quiet);

#endif
