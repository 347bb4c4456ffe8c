/* mien compare: several models on the same images. */
#include <stdio.h>

#include "host/cli/evaluate_flags.h"
#include "host/report/comparison_page.h"

typedef struct compare_args {
    cli_common common;
    cli_list models;
    evaluate_flags evaluate;
    const char *report;
    bool average;
} compare_args;

static mien_status compare(const compare_args *args, const mien_evaluate_request *request) {
    mien_backend *backend = NULL;
    mien_comparison c = {0};
    mien_text text = {0};
    mien_status status;
    MIEN_TRY(cli_writable_folder("--report", args->report));
    MIEN_TRY(cli_backend(&args->common, &backend));
    cli_catch_signals();
    MIEN_GO(mien_compare(request, args->average, backend, &c));
    if (args->report) MIEN_GO(mien_comparison_report(&c, args->report));
    if (args->common.json)
        mien_comparison_document(&c, &text);
    else
        mien_comparison_table(&c, &text);
    status = cli_print(&text);
out:
    mien_comparison_release(&c);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    compare_args args = {0};
    const cli_flag flags[] = {EVALUATE_FLAGS(args.evaluate),
                              CLI_DTYPE_FLAG(args.common),
                              {"--average", NULL, "also the average of all models' probabilities",
                               NULL, NULL, &args.average},
                              {"--report", "DIR",
                               "write a page and its numbers: DIR/comparison.html", &args.report,
                               NULL, NULL}};
    mien_evaluate_request request;
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.models,
                   MIEN_CONTESTANTS_MAX - 1, &args.common, &exit_status))
        return exit_status;
    if (args.models.count < 2) {
        fprintf(stderr, "mien: compare needs two models or run folders, or more\n");
        return EXIT_USAGE;
    }
    if (!evaluate_flags_check(&args.evaluate, &args.models, &request)) return EXIT_USAGE;
    const mien_status status = compare(&args, &request);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_compare = {
    "compare", "A B... [--data SRC] [--split PART]",
    "compares models on the same images, with McNemar's test",
    "  mien compare runs/first runs/second\n"
    "  mien compare a.h5 b.h5 --data fer2013.csv --split val --report page\n"
    "  mien compare a.h5 b.h5 c.h5 --data faces --average --json\n",
    run};
