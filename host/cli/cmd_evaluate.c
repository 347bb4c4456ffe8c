/* mien evaluate: computes the metrics of models on a data set. */
#include <stdio.h>
#include <string.h>

#include "host/cli/evaluate_flags.h"
#include "host/report/evaluation_report.h"
#include "host/train/votes.h"

typedef struct evaluate_args {
    cli_common common;
    cli_list rest, models;
    evaluate_flags flags;
    const char *predictions, *report;
    char votes[MIEN_PATH]; /* of the run, see find_votes */
    mien_evaluate_request request;
} evaluate_args;

static mien_status write_predictions(const mien_evaluation *e, const char *path) {
    mien_text text = {0};
    mien_evaluation_predictions(e, &text);
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_file_write(path, text.data, text.size);
    mien_text_release(&text);
    return status;
}

static mien_status report(const evaluate_args *args, const mien_evaluation *e,
                          mien_backend *backend) {
    mien_text text = {0};
    if (args->common.json)
        mien_evaluation_document(e, true, &text);
    else
        mien_evaluation_table(e, &text);
    const mien_status status =
        args->report ? mien_evaluation_report(e, backend, args->report) : MIEN_OK;
    const mien_status printed = cli_print(&text);
    return status == MIEN_OK ? printed : status;
}

/* For other data than the run's, nothing is looked up. */
static void find_votes(evaluate_args *args) {
    if (!args->flags.data && !args->flags.soft_labels &&
        mien_votes_of_run(args->models.items[0], args->votes))
        args->request.votes_of_run = args->votes;
}

static mien_status evaluate(const evaluate_args *args) {
    mien_backend *backend = NULL;
    mien_evaluation e = {0};
    mien_status status;
    MIEN_TRY(cli_writable("--predictions", args->predictions));
    MIEN_TRY(cli_writable_folder("--report", args->report));
    MIEN_TRY(cli_backend(&args->common, &backend));
    cli_catch_signals();
    MIEN_GO(mien_evaluation_open(&args->request, &e));
    const char *const others[] = {e.votes, args->flags.groups};
    MIEN_GO(cli_spares("--predictions", args->predictions,
                       &(cli_inputs){&args->models, e.data.source, others, 2}));
    MIEN_GO(mien_evaluation_run(&e, backend));
    MIEN_GO(report(args, &e, backend));
    if (args->predictions) status = write_predictions(&e, args->predictions);
out:
    mien_evaluation_release(&e);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    evaluate_args args = {0};
    const cli_flag flags[] = {
        {"--model", "M",
         "model file or run directory; repeat to average (default: the included one)", NULL,
         &args.models, NULL},
        {"--predictions", "FILE.csv", "write a CSV with one row per image and all probabilities",
         &args.predictions, NULL, NULL},
        {"--report", "DIR", "write a report: a page, tables and charts (DIR/report.html)",
         &args.report, NULL, NULL},
        CLI_DTYPE_FLAG(args.common),
        EVALUATE_FLAGS(args.flags)};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 0,
                   &args.common, &exit_status))
        return exit_status;
    if (!evaluate_flags_check(&args.flags, &args.models, &args.request)) return EXIT_USAGE;
    char found[MIEN_PATH]; /* must outlive the list of models */
    mien_status status = cli_default_model(&args.models, found);
    args.request.model_count = args.models.count;
    if (status == MIEN_OK) find_votes(&args);
    if (status == MIEN_OK) status = evaluate(&args);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_evaluate = {
    "evaluate", "[--model M] [--data SRC] [--split PART]",
    "computes the metrics of a model on a data set",
    "  mien evaluate --model runs/sample-1\n"
    "  mien evaluate --model best.h5 --data fer2013.csv --split val --tta flip\n"
    "  mien evaluate --model a.h5 --model b.h5 --data fer2013.csv   two models averaged\n"
    "  mien evaluate --model best.h5 --json > metrics.json\n",
    run};
