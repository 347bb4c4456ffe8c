/* What `mien tune` measured on this machine: for each shape of convolution and each direction, the
 * faster algorithm. It is read from a file in the user's cache when a backend opens, so that runs
 * choose alike; a file of another processor, library or number of threads is ignored. */
#ifndef HOST_BACKEND_TUNING_H
#define HOST_BACKEND_TUNING_H

#include "host/backend/ops.h"
#include "host/base/file.h"

typedef struct mien_tuned {
    mien_shape in, out; /* n = 0 */
    int pad_top, pad_left;
    mien_algorithm algorithm[MIEN_DIRECTIONS];
} mien_tuned;

typedef struct mien_tuning {
    char machine[256]; /* what the entries were measured on */
    char path[MIEN_PATH];
    mien_tuned *entries;
    size_t count, capacity;
} mien_tuning;

/* Sets the machine's description and the file's path; no entries yet. */
void mien_tuning_start(mien_tuning *tuning, const char *library, const char *isa, int threads);
/* Reads the file if it is of this machine; a damaged one is ignored with a warning. */
void mien_tuning_load(mien_tuning *tuning);
void mien_tuning_release(mien_tuning *tuning);
/* NULL: not measured. */
const mien_tuned *mien_tuning_find(const mien_tuning *tuning, const mien_linear_desc *desc);
/* Adds an entry or replaces the one of the same shape. */
mien_status mien_tuning_put(mien_tuning *tuning, const mien_linear_desc *desc,
                            const mien_algorithm *algorithm);
/* Writes the file, creating the folder. */
mien_status mien_tuning_save(const mien_tuning *tuning);

#endif
