/* mien runs: the runs of a folder as a table. */
#include <stdio.h>

#include "host/base/file.h"
#include "host/base/text.h"
#include "host/cli/cli.h"
#include "host/runs/runs.h"

typedef struct runs_args {
    cli_common common;
    cli_list rest;
    const char *sort, *csv;
} runs_args;

static mien_status write_csv(const char *path, const mien_runs *runs) {
    mien_text text = {0};
    int fd = -1;
    mien_runs_csv(runs, &text);
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_file_create(path, &fd);
    if (status == MIEN_OK) {
        status = mien_file_add(fd, path, text.data, text.size);
        const mien_status closing = mien_file_close(fd, path);
        if (status == MIEN_OK) status = closing;
    }
    mien_text_release(&text);
    return status;
}

static bool to_stdout(const char *path) {
    return path && path[0] == '-' && path[1] == 0;
}

static mien_status show(const runs_args *args, const char *folder, const mien_runs *runs) {
    mien_text text = {0};
    if (args->csv) MIEN_TRY(write_csv(args->csv, runs));
    if (to_stdout(args->csv)) return MIEN_OK;
    if (args->common.json)
        mien_runs_document(runs, folder, &text);
    else
        mien_runs_table(runs, &text);
    if (text.data) fputs(text.data, stdout);
    const mien_status status = text.status;
    mien_text_release(&text);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    runs_args args = {0};
    const cli_flag flags[] = {
        {"--sort", "COLUMN",
         "sort by run, status, val_accuracy, seconds, a config key, …; -COLUMN: "
         "reversed",
         &args.sort, NULL, NULL},
        {"--csv", "FILE", "also write the table as CSV; -: to stdout, instead of the table",
         &args.csv, NULL, NULL}};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 1,
                   &args.common, &exit_status))
        return exit_status;
    if (to_stdout(args.csv) && args.common.json) {
        fprintf(stderr, "mien: --csv - and --json exclude each other: both write to stdout\n");
        return EXIT_USAGE;
    }
    const char *folder = args.rest.count ? args.rest.items[0] : "runs";
    mien_runs runs = {0};
    mien_status status = to_stdout(args.csv) ? MIEN_OK : cli_writable("--csv", args.csv);
    if (status == MIEN_OK) status = mien_runs_read(folder, &runs);
    if (status == MIEN_OK && args.sort) {
        status = mien_runs_sort(&runs, args.sort);
        if (status == MIEN_INVALID) {
            mien_runs_release(&runs);
            cli_fail(status);
            return EXIT_USAGE;
        }
    }
    if (status == MIEN_OK) status = show(&args, folder, &runs);
    mien_runs_release(&runs);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_runs = {
    "runs", "[DIR] [--sort COLUMN] [--csv FILE]",
    "lists the runs of a folder: settings that differ, best figures, status",
    "  mien runs                                     the runs in runs/\n"
    "  mien runs grid --sort val_accuracy            the best first\n"
    "  mien runs grid --sort -learning_rate --csv runs.csv\n",
    run};
