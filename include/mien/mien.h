/* Mien: training, evaluating and running convolutional networks that recognise emotions in
 * faces.
 *
 *     #include <mien/mien.h>
 *
 * includes every public header.
 *
 * Threads: a function may be called from any thread, and from several at once, if no two of them
 * use the same object; each header says which objects may be shared. Error messages are per thread.
 * Ownership: what a function with an `out` parameter created belongs to the caller and is freed
 * with the function that its comment names; arguments stay the caller's and are not kept after the
 * call, unless the comment says "must outlive". */
#ifndef MIEN_H
#define MIEN_H

#define MIEN_VERSION "0.1.0"

#include "backend.h"
#include "evaluation.h"
#include "log.h"
#include "model.h"
#include "photo.h"
#include "predictor.h"
#include "status.h"
#include "tensor.h"
#include "training.h"
#include "video.h"

#ifdef __cplusplus
extern "C" {
#endif

/* MIEN_VERSION of the library that runs. */
const char *mien_version(void);

#ifdef __cplusplus
}
#endif
#endif
