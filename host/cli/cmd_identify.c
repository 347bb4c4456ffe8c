/* mien identify: finds a model's scaling, colour order and class order from labelled images. */
#include <stdio.h>
#include <string.h>

#include "host/cli/model_flags.h"
#include "host/eval/identify.h"
#include "host/formats/format.h"

typedef struct identify_args {
    cli_common common;
    cli_list rest;
    const char *data, *split, *limit, *write, *on_bad;
    mien_model_options options;
    mien_part part;
    mien_on_bad bad_rows;
    long long images;
} identify_args;

static mien_status report(const identify_args *args, const mien_identity *found) {
    mien_text text = {0};
    if (args->common.json)
        mien_identity_document(found, true, &text);
    else
        mien_identity_table(found, &text);
    return cli_print(&text);
}

static mien_status check_files(const identify_args *args) {
    const char *const others[] = {args->rest.items[0]};
    char known[128];
    if (!args->write) return MIEN_OK;
    MIEN_TRY(cli_writable("--write", args->write));
    MIEN_TRY(cli_spares("--write", args->write, &(cli_inputs){NULL, args->data, others, 1}));
    if (mien_model_format_for(args->write, false)) return MIEN_OK;
    mien_model_suffixes(MIEN_FORMAT_WRITTEN, known, sizeof known);
    return MIEN_FAIL(INVALID, "--write: '%s' must end in %s", args->write, known);
}

static mien_status identify(const identify_args *args) {
    const mien_identify_request request = {.model = args->rest.items[0],
                                           .data = args->data,
                                           .part = args->split ? &args->part : NULL,
                                           .limit = (size_t)args->images,
                                           .on_bad = args->on_bad ? &args->bad_rows : NULL,
                                           .options = args->options,
                                           .stop = &cli_stop};
    mien_identity found = {0};
    mien_backend *backend = NULL;
    mien_status status;
    MIEN_TRY(check_files(args));
    MIEN_TRY(cli_backend(&args->common, &backend));
    cli_catch_signals();
    MIEN_GO(mien_identify(&request, backend, &found));
    MIEN_GO(report(args, &found));
    if (found.doubt[0]) {
        status = MIEN_FAIL(INVALID, "%s%s", found.doubt, args->write ? "; nothing is written" : "");
    } else if (args->write) {
        MIEN_GO(mien_identify_apply(&found));
        status = mien_model_save(&found.model, args->write);
    }
out:
    mien_identity_release(&found);
    mien_backend_close(backend);
    return status;
}

/* Prints a usage error and returns false if a flag is wrong. */
static bool check_values(identify_args *args) {
    static const char *const parts[] = {"train", "val", "test", "all"};
    args->images = MIEN_IDENTIFY_LIMIT;
    if (args->rest.count < 1 || !args->data) {
        fprintf(stderr, "mien: identify needs MODEL and --data SRC with labelled images; see mien "
                        "identify --help\n");
        return false;
    }
    for (int i = 0; args->split && i < 4; i++) {
        args->part = (mien_part)i;
        if (strcmp(args->split, parts[i]) == 0) break;
        if (i < 3) continue;
        fprintf(stderr, "mien: --split must be train, val, test or all, not '%s'\n", args->split);
        return false;
    }
    if (args->limit && !cli_number("--limit", args->limit, 1, 1000000, &args->images)) return false;
    return cli_on_bad(args->on_bad, &args->bad_rows) && cli_model_flags(&args->options, 1);
}

static int run(int argc, char **argv, const cli_command *self) {
    identify_args args = {0};
    const cli_flag flags[] = {
        {"--data", "SRC", "labelled images of the model's classes: a file or a folder", &args.data,
         NULL, NULL},
        {"--split", "PART", "train, val, test or all (default: val, else test, else all)",
         &args.split, NULL, NULL},
        {"--limit", "N", "number of images, evenly from all classes (default: 500)", &args.limit,
         NULL, NULL},
        {"--write", "OUT", "store what was found: writes the model with scaling and classes",
         &args.write, NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]", "unreadable images or rows (default: fail)", &args.on_bad,
         NULL, NULL},
        CLI_MODEL_FLAGS(args.options)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 1,
                   &args.common, &exit_status))
        return exit_status;
    if (!check_values(&args)) return EXIT_USAGE;
    const mien_status status = identify(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_identify = {
    "identify", "MODEL --data SRC [--write OUT]",
    "finds out how a model scales pixels and which output is which class",
    "  mien identify emotion.h5 --data fer2013.csv\n"
    "  mien identify emotion.h5 --data faces --limit 2000 --write known.h5\n"
    "  mien identify emotion.h5 --data faces --classes angry,happy,sad   only the scaling\n",
    run};
