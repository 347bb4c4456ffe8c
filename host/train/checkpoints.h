/* The checkpoints of a run folder: written so that a crash at any moment leaves the old one or the
 * new one, and read back so that training continues to the same bits. */
#ifndef HOST_TRAIN_CHECKPOINTS_H
#define HOST_TRAIN_CHECKPOINTS_H

#include "host/formats/checkpoint.h"
#include "host/train/schedule.h"

/* In a run folder: the rows and files that were left out. */
#define MIEN_RUN_BAD "left-out.txt"

/* In a run folder, and in its folder `validation`. */
#define MIEN_RUN_EVENTS "events.out.tfevents.mien"

/* The state of a training that is not in arrays. */
typedef struct mien_progress {
    body_step device;
    int epochs; /* finished, validation included; the cursor and sums of `device` are of the next */
    bool finished;
    double seconds; /* of training so far */
    mien_plateau plateau;
    mien_monitor best, patience;
    double best_loss, best_accuracy, best_macro_f1; /* of the validation part */
    /* divergence: skipped updates or roll backs, the factor of the learning rate after these, and
     * the step to which the next one returns */
    int nan_count;
    double rate_factor;
    uint64_t good_step;
    uint64_t events[2]; /* bytes of TensorBoard's files, of training and of validation */
    bool stops;         /* early stopping: after this epoch */
} mien_progress;

/* What a checkpoint says besides numbers. All are compared on resuming, except `log`. */
typedef struct mien_run_texts {
    const char *config; /* every key, with absolute paths */
    const char *recipe; /* the path of the config file; "" for none */
    const char *plan;   /* what decides the bits: device, slices of a batch, algorithms */
    const char *data;   /* fingerprint of the training and validation parts */
    const char *log;    /* log.csv */
} mien_run_texts;

/* A checkpoint that was read. Zero-initialise; release with mien_resume_release. */
typedef struct mien_resume {
    char path[MIEN_PATH];
    char *bytes;
    mien_safetensors file;
    mien_progress progress;
    mien_run_texts texts; /* point into `file` */
} mien_resume;

/* Which step files stay. */
typedef struct mien_keep {
    int newest;
    long long also[2]; /* these steps, -1: none */
} mien_keep;

/* Writes FOLDER/step-N.safetensors, makes last.safetensors a hard link to it (a copy where there
 * are no links), and then removes all step files but those to keep. `buffer` is for the bytes. */
mien_status mien_checkpoints_save(const char *folder, const mien_checkpoint *arrays,
                                  const mien_progress *progress, const mien_run_texts *texts,
                                  mien_keep keep, mien_text *buffer);
/* Opens the newest checkpoint of a folder whose checksum is right; warns about those that are
 * damaged. NOT_FOUND if there is none. Release `out` also after a failure. */
mien_status mien_checkpoints_newest(const char *folder, mien_resume *out);
/* Opens that of one step. */
mien_status mien_checkpoints_open(const char *folder, uint64_t step, mien_resume *out);
/* Removes those of later steps. */
void mien_checkpoints_forget(const char *folder, uint64_t step);
/* INVALID, with the difference, if data or plan are not those of the checkpoint. */
mien_status mien_resume_check(const mien_resume *resume, const char *data, const char *plan);
void mien_resume_release(mien_resume *resume);
/* Removes the files of an earlier run. */
mien_status mien_checkpoints_clear(const char *folder);

#endif
