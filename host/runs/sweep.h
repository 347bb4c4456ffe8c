/* Trains every combination of a grid, each in a process and a folder of its own. */
#ifndef HOST_RUNS_SWEEP_H
#define HOST_RUNS_SWEEP_H

#include "host/runs/grid.h"
#include "host/runs/runs.h"

typedef struct mien_sweep_request {
    const char *folder;
    const mien_grid *grid;
    const char *const *words; /* of `mien train`: CONFIG, --data, --set …, but for those of a run */
    size_t word_count;
    const char *device; /* the value of --device; NULL: none */
    int threads;        /* of each run; 0: its share of the CPUs */
    int jobs;           /* at a time */
    int gpus;           /* shared among the jobs; 0: do not choose one */
    volatile int *stop;
} mien_sweep_request;

typedef struct mien_sweep {
    mien_sweep_file file; /* one entry a combination, then what other grids left */
    mien_run_state *states;
    size_t count; /* of combinations */
} mien_sweep;

/* Reads what there is already. `configs` gives the settings of combination i, to compare with those
 * of its folder: INVALID if they differ. Writes nothing. Release also after a failure. */
typedef mien_status (*mien_sweep_config)(void *context, size_t i, mien_config *out);
mien_status mien_sweep_plan(const mien_sweep_request *request, mien_sweep_config configs,
                            void *context, mien_sweep *out);
/* Starts or continues all that are not finished. A run that fails does not stop the others; *failed
 * and *stopped count. INTERRUPTED after a signal, once all have saved. */
mien_status mien_sweep_train(const mien_sweep_request *request, mien_sweep *sweep, size_t *failed,
                             size_t *stopped);
/* What mien_sweep_train will do with run i: "start", "continue", "skip" (finished or running). */
const char *mien_sweep_action(const mien_sweep *sweep, size_t i);
void mien_sweep_release(mien_sweep *sweep);

#endif
