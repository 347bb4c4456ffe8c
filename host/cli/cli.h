/* The command line: a table of commands, each in its own file. Only this folder prints results and
 * exits. */
#ifndef HOST_CLI_CLI_H
#define HOST_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"
#include "host/base/text.h"
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
    const char *value; /* placeholder of its value in --help; NULL: a switch */
    const char *help;
    /* Exactly one of these is set: where the value is stored. */
    const char **one;      /* a flag that may be given once */
    struct cli_list *many; /* a flag that may be repeated */
    bool *on;              /* a switch */
} cli_flag;

enum { CLI_LIST_MAX = 4096 }; /* enough for the photos of a shell pattern */
typedef struct cli_list {
    const char *items[CLI_LIST_MAX];
    int count;
} cli_list;

/* The flags that all commands share, and what a command sets before cli_backend. */
typedef struct cli_common {
    const char *device, *threads, *dtype;
    bool help, version, json, deterministic, pin, verbose, quiet;
    /* Set by the command: */
    mien_compute compute; /* number type of the backend's computations */
    bool training;
} cli_common;

/* The row of a table of flags for the number type, of commands that only infer; cli_parse turns it
 * into `compute`. `common` is a cli_common. */
#define CLI_DTYPE_FLAG(common)                                                                     \
    {                                                                                              \
        "--dtype", "f32|bf16",                                                                     \
            "number type of the network: bf16 is quicker, not quite as exact, and needs a GPU or " \
            "AVX512-BF16 (default: f32; on a GPU tf32)",                                           \
            &(common).dtype, NULL, NULL                                                            \
    }

typedef struct cli_command {
    const char *name, *arguments, *summary, *examples;
    int (*run)(int argc, char **argv, const struct cli_command *self);
} cli_command;

extern const cli_command cmd_train, cmd_evaluate, cmd_predict, cmd_video, cmd_realtime, cmd_prepare,
    cmd_serve, cmd_preview, cmd_convert, cmd_identify, cmd_inspect, cmd_bench, cmd_tune, cmd_parity,
    cmd_devices, cmd_runs, cmd_sweep, cmd_audit, cmd_compare, cmd_report;

/* Parses argv, the words after the command's name. At most `most_rest` positional arguments are
 * stored in `rest`. After printing help, the version or a usage error, returns false and sets
 * *exit_status. */
bool cli_parse(const cli_command *self, int argc, char **argv, const cli_flag *flags, size_t count,
               cli_list *rest, int most_rest, cli_common *common, int *exit_status);
/* If the list is empty, adds the default model (mien_model_default) and logs its path. `found` has
 * MIEN_PATH bytes and must outlive the list. */
mien_status cli_default_model(cli_list *models, char *found);
/* Parses a whole number from `low` to `high`; prints a usage error and returns false otherwise. */
bool cli_number(const char *flag, const char *text, long long low, long long high, long long *out);
/* Parses the value of --on-bad (NULL: fail); prints a usage error and returns false otherwise. */
bool cli_on_bad(const char *text, mien_on_bad *out);

/* outputs.c: checks before the work begins that an output can be written; creates nothing. `path`
 * NULL: no output. A file needs an existing, writable folder; an output folder may be created
 * later, with its parents. The message names the flag. */
mien_status cli_writable(const char *flag, const char *path);
mien_status cli_writable_folder(const char *flag, const char *path);
/* The files that a command reads; each member may be NULL. */
typedef struct cli_inputs {
    const cli_list *models;
    const char *data;          /* a data source, or several joined as in a model's metadata */
    const char *const *others; /* [other_count] files */
    size_t other_count;
} cli_inputs;
/* INVALID if `out` (may be NULL) is one of the inputs: "FLAG would overwrite 'OUT' …". */
mien_status cli_spares(const char *flag, const char *out, const cli_inputs *inputs);

/* The value of --threads; 0 without it. */
int cli_threads(const cli_common *common);
/* Opens the backend chosen by --device, --threads and --deterministic. */
mien_status cli_backend(const cli_common *common, mien_backend **out);
/* For video, before cli_backend: other libraries' threads work as well, so no thread is pinned;
 * with `detecting` the network leaves a CPU to the detector's thread unless --threads is given. */
void cli_leave_a_cpu(cli_common *common, bool detecting);
/* Prints the stored error message and returns the exit status for `status`. */
int cli_fail(mien_status status);
/* Prints a text on stdout if it is whole, and releases it. */
mien_status cli_print(mien_text *text);
/* From now on SIGINT, SIGTERM and SIGUSR1 set cli_stop; a second SIGINT exits at once. */
void cli_catch_signals(void);
extern volatile int cli_stop;
/* From now on a pipe that nobody reads any more (| tee, a closed terminal) ends no command whose
 * work is in files: messages are lost, and main says what results could not be printed. */
void cli_outlive_readers(void);

/* version.c: the git commit that the program was built from. */
const char *cli_commit(void);
void cli_print_version(void);
/* Prints that a word is unknown, with the nearest known one. */
void cli_unknown(const char *what, const char *word, const char *const *known, size_t count);

#endif
