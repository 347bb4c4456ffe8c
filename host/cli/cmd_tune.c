/* mien tune: times the convolution algorithms on this machine and remembers the faster one. */
#include <stdio.h>
#include <stdlib.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/bench/tune.h"
#include "host/cli/cli.h"

enum { BATCH_MOST = 4096 };

static void print_table(const mien_tune_result *result, mien_text *text) {
    mien_text_printf(text, "%-24s %-8s %11s %11s   %s\n", "convolution", "pass", "direct",
                     "Winograd", "chosen");
    for (int i = 0; i < result->count; i++) {
        const mien_tune_row *row = &result->rows[i];
        if (!row->measured) {
            mien_text_printf(text, "%-24.24s %-8s %11s %11s   direct\n", row->name, "all", "-",
                             "-");
            continue;
        }
        for (int k = 0; k < MIEN_DIRECTIONS; k++) {
            if (row->seconds[k][0] == 0) continue;
            mien_text_printf(text, "%-24.24s %-8s %8.3f ms %8.3f ms   %s%s\n", k ? "" : row->name,
                             mien_direction_name(k), 1e3 * row->seconds[k][0],
                             1e3 * row->seconds[k][1], mien_algorithm_name(row->chosen[k]),
                             row->chosen[k] == row->usual[k] ? "" : " (not the default)");
        }
    }
    mien_text_printf(text, "saved in %s\n", result->path);
}

static void print_json(const mien_tune_result *result, mien_text *text) {
    mien_json json = {.text = text, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "file", result->path);
    mien_json_open(&json, "convolutions", '[');
    for (int i = 0; i < result->count; i++) {
        const mien_tune_row *row = &result->rows[i];
        mien_json_open(&json, NULL, '{');
        mien_json_string(&json, "name", row->name);
        mien_json_bool(&json, "measured", row->measured);
        for (int k = 0; k < MIEN_DIRECTIONS; k++) {
            mien_json_open(&json, mien_direction_name(k), '{');
            mien_json_string(&json, "chosen", mien_algorithm_name(row->chosen[k]));
            mien_json_string(&json, "table", mien_algorithm_name(row->usual[k]));
            for (int a = 0; a < 2; a++)
                if (row->seconds[k][a] > 0)
                    mien_json_number(&json, a ? "winograd_seconds" : "direct_seconds",
                                     row->seconds[k][a]);
            mien_json_close(&json, '}');
        }
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(text, "\n");
}

static int run(int argc, char **argv, const cli_command *self) {
    cli_common common = {0};
    cli_list rest = {0};
    const char *batch_text = NULL;
    long long batch = 64;
    int exit_status;
    const cli_flag flags[] = {{"--batch", "N", "batch size of training, 1 to 4096 (default: 64)",
                               &batch_text, NULL, NULL}};
    if (!cli_parse(self, argc, argv, flags, 1, &rest, 1, &common, &exit_status)) return exit_status;
    if (batch_text && !cli_number("--batch", batch_text, 1, BATCH_MOST, &batch)) return EXIT_USAGE;
    if (common.deterministic) {
        fprintf(stderr, "mien: --deterministic ignores tuning results; run tune without it\n");
        return EXIT_USAGE;
    }
    mien_bench_request request = {.model = rest.count ? rest.items[0] : NULL,
                                  .batch = (int)batch,
                                  .seconds = 0.3,
                                  .stop = &cli_stop};
    mien_tune_result result = {0};
    mien_text text = {0};
    cli_catch_signals();
    mien_status status = cli_backend(&common, &request.backend);
    if (status == MIEN_OK) status = mien_tune(&request, &result);
    if (status == MIEN_OK) {
        common.json ? print_json(&result, &text) : print_table(&result, &text);
        status = text.status;
    }
    if (status == MIEN_OK) fputs(text.data, stdout);
    mien_text_release(&text);
    mien_tune_release(&result);
    mien_backend_close(request.backend);
    return status == MIEN_OK ? EXIT_DONE : cli_fail(status);
}

const cli_command cmd_tune = {
    "tune", "[MODEL] [--batch N]",
    "times the algorithms for a network's convolutions and remembers the fastest",
    "  mien tune                  for the network `classic`\n"
    "  mien tune vgg --batch 64\n",
    run};
