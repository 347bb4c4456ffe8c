/* The grid of a sweep: every combination of the values of some config keys. */
#ifndef HOST_RUNS_GRID_H
#define HOST_RUNS_GRID_H

#include "host/runs/sweep_file.h"
#include "host/train/config.h"

typedef struct mien_grid_axis {
    const mien_key *key;
    char **assignments; /* "key=value" as it was given */
    char **values;      /* as YAML, in their one form: 1e-3 is 0.001 */
    size_t count, capacity;
} mien_grid_axis;

typedef struct mien_grid {
    mien_grid_axis axes[MIEN_SWEEP_KEYS];
    size_t count;
} mien_grid;

/* Adds "key=a,b,…"; commas in brackets and quotes belong to a value. INVALID if a value is refused
 * or given twice. Release the grid also after a failure. */
mien_status mien_grid_add(mien_grid *grid, const char *spec);
/* Adds train.seed = first … first + seeds - 1. */
mien_status mien_grid_add_seeds(mien_grid *grid, int first, int seeds);
size_t mien_grid_size(const mien_grid *grid); /* INVALID sizes are refused by add */
/* The index of the value of an axis in combination `i`; the last axis varies fastest. */
size_t mien_grid_at(const mien_grid *grid, size_t i, size_t axis);
/* The name of combination i, such as "learning_rate=0.001,batch_size=64": the same for the same
 * settings in every sweep, whatever other values the grid has. */
mien_status mien_grid_name(const mien_grid *grid, size_t i, char *out, size_t size);
void mien_grid_release(mien_grid *grid);

#endif
