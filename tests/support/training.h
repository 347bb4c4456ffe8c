/* Trainings of a tiny network on the CPU within a test process, with the device's functions in the
 * test's hands. */
#ifndef TESTS_SUPPORT_TRAINING_H
#define TESTS_SUPPORT_TRAINING_H

#include "host/train/trainer.h"

extern mien_backend *training_backend;
extern const mien_ops *training_genuine; /* the device's own functions */
extern mien_ops training_ops;            /* those it is used with: a test may replace some */
extern int training_loaders;             /* threads that read streamed data; 0: automatic */
extern double training_clock;            /* seconds from one look at the clock to the next */

/* The function in training_ops that counts batches. */
mien_status training_gather(mien_backend *backend, const mien_tensor *x, const mien_tensor *targets,
                            const mien_gather *batch);
void training_open(void);
void training_close(void);
/* The tiny network: batch normalisation, dropout, two classes or more. */
void training_net(const char *name);
/* A csv of 28 training and 8 validation images, of two classes. */
void training_faces(const char *name, int seed);
/* Trains in scratch/FOLDER, from the start or from its newest checkpoint, for `after` batches,
 * those of the validation included; 0: to the end. */
mien_status training_run(const char *recipe, const char *folder, int after, bool resumes,
                         bool anyway);
char *training_bytes(const char *path, size_t *size);
/* Both folders end with the same tensors and the same log. */
void training_same_end(const char *a, const char *b);

#endif
