/* Which arrays of an archive or folder belong together: people call them X_train and y_train,
 * fdataX and flabels, arr_0 and arr_1, in any case. */
#ifndef HOST_DATA_NPY_NAMES_H
#define HOST_DATA_NPY_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { NPY_PAIRS = 16, NPY_NAME = 64 };

typedef struct npy_pair {
    const char *images, *labels; /* labels: NULL if no array can be theirs */
    int usage;
    bool unordered; /* either may be the images: numpy.savez without names */
} npy_pair;

/* The pairs among `count` names, in the order train, val, test; returns how many there are. */
int npy_names_pair(const char *const *names, size_t count, npy_pair pairs[NPY_PAIRS]);
/* Whether these are names of arrays of images, beyond doubt: a pair, or a name such as x_train. */
bool npy_names_accept(const char *const *names, size_t count);

#endif
