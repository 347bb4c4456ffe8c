/* The command line: one table of commands, one room a command. Only this folder prints and exits.
 */
#ifndef HOST_CLI_CLI_H
#define HOST_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"
#include "host/data/dataset.h"
#include "include/mien/backend.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_DEVICE = 70,
    EXIT_STOPPED = 75,
    EXIT_INTERRUPT = 130
};

/* A flag of a command. */
typedef struct cli_flag {
    const char *name;  /* "--data" */
    const char *value; /* what it wants, for --help; NULL: a switch */
    const char *help;
    const char **one;      /* where the value goes; given twice is refused */
    struct cli_list *many; /* or a list of values */
    bool *on;              /* or a switch */
} cli_flag;

enum { CLI_LIST_MAX = 4096 }; /* photos of a shell pattern */
typedef struct cli_list {
    const char *items[CLI_LIST_MAX];
    int count;
} cli_list;

/* What every command takes. */
typedef struct cli_common {
    const char *device, *threads;
    bool help, version, json, deterministic, verbose, quiet;
    mien_compute compute; /* the command's: what the device shall compute in */
    bool training;
    bool unpinned; /* the command's: others' threads work beside the backend's */
} cli_common;

typedef struct cli_command {
    const char *name, *arguments, *summary, *examples;
    int (*run)(int argc, char **argv, const struct cli_command *self);
} cli_command;

extern const cli_command cmd_train, cmd_evaluate, cmd_predict, cmd_preview, cmd_convert,
    cmd_inspect, cmd_bench, cmd_tune, cmd_parity, cmd_devices;

/* Parses argv (behind the command's name). Positional arguments land in `rest`. Prints help or a
 * usage error itself: returns false and sets *exit_status when the command is over. */
bool cli_parse(const cli_command *self, int argc, char **argv, const cli_flag *flags, size_t count,
               cli_list *rest, int most_rest, cli_common *common, int *exit_status);
/* Where no model is named, names the default one (mien_model_default) and logs its path. `found`
 * holds MIEN_PATH bytes and must live as long as the list. */
mien_status cli_default_model(cli_list *models, char *found);
/* "3" → 3 within limits; false after printing what is wrong. */
bool cli_number(const char *flag, const char *text, long long low, long long high, long long *out);
/* What --on-bad says, `text` NULL: fail; false after printing what is wrong. */
bool cli_on_bad(const char *text, mien_on_bad *out);

/* outputs.c: is there room for what `flag` names? Asked before the work begins; creates nothing.
 * NULL is fine. A file needs a folder that is there and may be written to; a folder may be created
 * later, with its parents. Fails with a sentence that names the flag. */
mien_status cli_writable(const char *flag, const char *path);
mien_status cli_writable_folder(const char *flag, const char *path);
/* What a command reads; each may be NULL. */
typedef struct cli_inputs {
    const cli_list *models;
    const char *data;          /* a source, or several joined as in a model file */
    const char *const *others; /* [other_count] files */
    size_t other_count;
} cli_inputs;
/* Is `out` (NULL: nothing) none of them? Fails with "FLAG would write over 'OUT' …". */
mien_status cli_spares(const char *flag, const char *out, const cli_inputs *inputs);

/* What --threads says; 0 without it. */
int cli_threads(const cli_common *common);
/* Opens the backend that --device, --threads and --deterministic ask for. */
mien_status cli_backend(const cli_common *common, mien_backend **out);
/* Prints the stored sentence and returns the exit status that belongs to the code. */
int cli_fail(mien_status status);
/* Sets a flag at SIGINT, SIGTERM or SIGUSR1; a second SIGINT ends the program at once. */
void cli_catch_signals(void);
extern volatile int cli_stop;

/* version.c: the commit that the program was built from. */
const char *cli_commit(void);
void cli_print_version(void);
/* Prints that a word is unknown and which known one is near. */
void cli_unknown(const char *what, const char *word, const char *const *known, size_t count);

#endif
