/* The folder that a training writes: chosen and locked. */
#ifndef HOST_TRAIN_RUN_FOLDER_H
#define HOST_TRAIN_RUN_FOLDER_H

#include "host/train/checkpoints.h"
#include "host/train/config.h"

typedef struct mien_run {
    char folder[MIEN_PATH];
    int lock;           /* -1: none */
    bool resumes;       /* there is a checkpoint */
    mien_resume resume; /* it */
} mien_run;

/* Creates and locks a new run folder: `out`, or the first free runs/<config>-N. INVALID if `out` is
 * not empty, unless `force`. Release `run` also after a failure. */
mien_status mien_run_new(const char *out, bool force, const mien_config *config, mien_run *run);
/* `failed`: also removes the folder if nothing was written into it. */
void mien_run_release(mien_run *run, bool failed);

#endif
