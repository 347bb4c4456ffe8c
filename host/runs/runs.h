/* The runs of a folder as a table: how each one was set, how far it is, how good it is. */
#ifndef HOST_RUNS_RUNS_H
#define HOST_RUNS_RUNS_H

#include "host/base/text.h"
#include "host/train/config.h"

typedef enum mien_run_state {
    MIEN_RUN_FINISHED,
    MIEN_RUN_RUNNING, /* a process has its lock */
    MIEN_RUN_STOPPED, /* by a signal, or killed: --resume continues */
    MIEN_RUN_FAILED,
    MIEN_RUN_WAITING, /* planned by a sweep, not started yet */
    MIEN_RUN_BAD,     /* its files are damaged or missing */
} mien_run_state;

typedef struct mien_run_row {
    char *name;   /* its path below the folder; "." for the folder itself */
    char *reason; /* why it failed, or what is wrong with its files; NULL: nothing */
    mien_run_state state;
    char **values; /* of all config keys, as YAML; NULL where unknown */
    int epochs, of_epochs, best_epoch;
    double val_accuracy, val_loss, val_macro_f1; /* of the best epoch; NaN: none */
    double seconds;                              /* of training; NaN: unknown */
    char started[32];
} mien_run_row;

typedef struct mien_runs {
    mien_run_row *rows;
    size_t count, capacity;
} mien_runs;

/* Reads the runs in `folder` and in the folders below it (a sweep, seed-1…N), by name in natural
 * order. A damaged run is a row with a reason. NOT_FOUND if there is no run. Release also after a
 * failure. */
mien_status mien_runs_read(const char *folder, mien_runs *out);
/* Reads the run in folder/name into one new row; *found: there is a run. */
mien_status mien_runs_add(const char *folder, const char *name, mien_runs *out, bool *found);
/* Adds an empty row; *out is valid until the next one is added. */
mien_status mien_runs_append(mien_runs *runs, const char *name, mien_run_state state,
                             mien_run_row **out);
/* Sets the row's reason if it has none. */
mien_status mien_run_because(mien_run_row *row, const char *reason);
void mien_runs_release(mien_runs *runs);

/* table.c: sorts by a column: run, status, epochs, best_epoch, val_accuracy, val_loss,
 * val_macro_f1, seconds, started, or a config key, also by its last part if only one has it.
 * Figures of which more is better begin with the best, everything else with the least; a leading
 * '-' reverses. Rows without a value are last. INVALID if there is no such column. */
mien_status mien_runs_sort(mien_runs *runs, const char *column);
/* With the config keys in which the runs differ. */
void mien_runs_table(const mien_runs *runs, mien_text *out);
void mien_runs_csv(const mien_runs *runs, mien_text *out);
void mien_runs_document(const mien_runs *runs, const char *folder, mien_text *out);
const char *mien_run_state_name(mien_run_state state);

#endif
