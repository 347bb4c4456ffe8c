/* mien train: trains a network and writes a run directory. */
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/cli.h"
#include "host/cli/progress.h"
#include "host/cli/recipe.h"
#include "host/train/trainer.h"

typedef struct train_args {
    cli_common common;
    cli_list rest, set;
    const char *data, *out, *seed, *seeds, *on_bad;
    bool force, print_config;
    char command[1024];
} train_args;

static void join_command(int argc, char **argv, char *out, size_t size) {
    size_t used = (size_t)snprintf(out, size, "mien train");
    for (int i = 0; i < argc && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, " %s", argv[i]);
}

static bool is_used(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) return false;
    bool used = false;
    for (const struct dirent *entry; (entry = readdir(dir));)
        used |= strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return used;
}

/* Creates the run directory: --out, or the first free runs/<config>-N. */
static mien_status choose_folder(const train_args *args, const mien_config *config, char *out) {
    if (args->out) {
        MIEN_TRY(mien_path_join(out, "", args->out));
        if (is_used(out) && !args->force)
            return MIEN_FAIL(
                INVALID,
                "the folder '%s' is not empty: choose another --out, or write into it with "
                "--force",
                out);
        return mien_make_folders(out);
    }
    char stem[64] = "run";
    if (config->path[0]) mien_path_stem(stem, sizeof stem, config->path);
    for (int n = 1; n < 100000; n++) {
        snprintf(out, MIEN_PATH, "runs/%s-%d", stem, n);
        if (!mien_file_exists(out)) return mien_make_folders(out);
    }
    return MIEN_FAIL(IO, "there is no free folder runs/%s-N: give one with --out", stem);
}

static void print_result(const train_args *args, const char *folder, const mien_train_result *r) {
    if (args->common.json) {
        mien_text text = {0};
        mien_json json = {.text = &text};
        mien_json_open(&json, NULL, '{');
        mien_json_integer(&json, "schema", 1);
        mien_json_string(&json, "run", folder);
        mien_json_integer(&json, "best_epoch", r->best_epoch);
        mien_json_number(&json, "val_accuracy", r->metrics.accuracy);
        mien_json_number(&json, "val_loss", r->metrics.loss);
        mien_json_number(&json, "val_macro_f1", r->metrics.macro_f1);
        mien_json_number(&json, "seconds", r->seconds);
        mien_json_number(&json, "images_per_second", r->images_per_second);
        mien_json_close(&json, '}');
        if (text.data) puts(text.data);
        mien_text_release(&text);
        return;
    }
    printf(
        "best epoch %d: val_accuracy %.4f, val_loss %.4f, val_macro_f1 %.4f (%.0f img/s, %.0f s)\n"
        "model: %s/" MIEN_RUN_BEST "\n",
        r->best_epoch, r->metrics.accuracy, r->metrics.loss, r->metrics.macro_f1,
        r->images_per_second, r->seconds, folder);
}

static mien_status train_once(const train_args *args, const mien_config *config,
                              mien_backend *backend, const char *folder,
                              mien_train_result *result) {
    progress bar;
    const mien_train_request request = {.config = config,
                                        .backend = backend,
                                        .folder = folder,
                                        .command = args->command,
                                        .commit = cli_commit(),
                                        .stop = &cli_stop,
                                        .observer = progress_observer(&bar, args->common.quiet)};
    const mien_status status = mien_train(&request, result);
    if (status == MIEN_OK) print_result(args, folder, result);
    if (status == MIEN_INTERRUPTED)
        fprintf(stderr, "mien: %s; saved: %s/%s and %s\n", mien_error_message(), folder,
                MIEN_RUN_BEST, MIEN_RUN_LAST);
    return status;
}

/* Writes the mean and sample standard deviation (n - 1) of the seeds' best accuracies. */
static mien_status write_summary(const train_args *args, const char *folder, const double *accuracy,
                                 int seeds, int first) {
    char path[MIEN_PATH];
    mien_text text = {0};
    mien_json json = {.text = &text, .pretty = true};
    double mean = 0, variance = 0;
    for (int i = 0; i < seeds; i++)
        mean += accuracy[i] / seeds;
    for (int i = 0; i < seeds; i++)
        variance += (accuracy[i] - mean) * (accuracy[i] - mean) / (seeds > 1 ? seeds - 1 : 1);
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_integer(&json, "first_seed", first);
    mien_json_open(&json, "val_accuracy", '[');
    for (int i = 0; i < seeds; i++)
        mien_json_number(&json, NULL, accuracy[i]);
    mien_json_close(&json, ']');
    mien_json_number(&json, "mean", mean);
    mien_json_number(&json, "sd", sqrt(variance));
    mien_json_close(&json, '}');
    mien_text_puts(&text, "\n");
    mien_status status = text.status;
    if (status == MIEN_OK) status = mien_path_join(path, folder, "summary.json");
    if (status == MIEN_OK) status = mien_file_write(path, text.data, text.size);
    mien_text_release(&text);
    if (status == MIEN_OK && !args->common.json)
        printf("val_accuracy over %d seeds: %.4f ± %.4f\n", seeds, mean, sqrt(variance));
    return status;
}

static mien_status train_seeds(const train_args *args, mien_config *config, mien_backend *backend,
                               const char *folder, int seeds) {
    double accuracy[100];
    const int first = config->train.seed;
    if (first > INT_MAX - seeds)
        return MIEN_FAIL(INVALID, "%d seeds starting at %d exceed the largest seed 2147483647",
                         seeds, first);
    for (int i = 0; i < seeds; i++) {
        char name[32], sub[MIEN_PATH];
        mien_train_result result;
        snprintf(name, sizeof name, "seed-%d", first + i);
        MIEN_TRY(mien_path_join(sub, folder, name));
        MIEN_TRY(mien_make_folders(sub));
        config->train.seed = first + i;
        const mien_status status = train_once(args, config, backend, sub, &result);
        accuracy[i] = result.metrics.accuracy;
        mien_metrics_release(&result.metrics);
        MIEN_TRY(status);
    }
    return write_summary(args, folder, accuracy, seeds, first);
}

static mien_status train_in(const train_args *args, mien_config *config, const char *folder,
                            int seeds) {
    mien_backend *backend = NULL;
    cli_common common = args->common;
    common.deterministic = config->train.deterministic;
    common.compute = (mien_compute)config->train.dtype;
    common.training = true;
    MIEN_TRY(cli_backend(&common, &backend));
    MIEN_INFO("training on %s", mien_backend_description(backend));
    cli_catch_signals();
    mien_status status;
    if (seeds > 1) {
        status = train_seeds(args, config, backend, folder, seeds);
    } else {
        mien_train_result result;
        status = train_once(args, config, backend, folder, &result);
        mien_metrics_release(&result.metrics);
    }
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    train_args args = {0};
    const cli_flag flags[] = {
        {"--data", "SRC", "sample, a file or a folder (docs/data.md)", &args.data, NULL, NULL},
        {"--out", "DIR", "run directory (default: runs/<config>-N)", &args.out, NULL, NULL},
        {"--set", "KEY=VALUE", "set a config key; may be repeated (docs/config.md)", NULL,
         &args.set, NULL},
        {"--seed", "N", "random seed: sets train.seed", &args.seed, NULL, NULL},
        {"--seeds", "N", "train with N seeds, into DIR/seed-1…N, and write summary.json",
         &args.seeds, NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]", "unreadable images or rows: sets data.on_bad", &args.on_bad,
         NULL, NULL},
        {"--force", NULL, "write into DIR even if it is not empty", NULL, NULL, &args.force},
        {"--print-config", NULL, "print every config key with its value and exit", NULL, NULL,
         &args.print_config}};
    int exit_status;
    long long seeds = 1;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 1,
                   &args.common, &exit_status))
        return exit_status;
    if (args.seeds && !cli_number("--seeds", args.seeds, 1, 100, &seeds)) return EXIT_USAGE;
    join_command(argc, argv, args.command, sizeof args.command);
    mien_config config;
    char folder[MIEN_PATH];
    const cli_recipe recipe = {.config = args.rest.count ? args.rest.items[0] : NULL,
                               .data = args.data,
                               .seed = args.seed,
                               .on_bad = args.on_bad,
                               .set = &args.set,
                               .deterministic = args.common.deterministic};
    mien_status status = cli_config(&recipe, &config);
    const bool usage = status == MIEN_INVALID;
    if (status == MIEN_OK && args.print_config) {
        mien_text text = {0};
        mien_keys_print(mien_config_keys(), &config, &text);
        if (text.data) fputs(text.data, stdout);
        mien_text_release(&text);
    } else if (status == MIEN_OK) {
        status = cli_recipe_data(&recipe, &config);
        if (status == MIEN_OK) status = choose_folder(&args, &config, folder);
        if (status == MIEN_OK) {
            status = train_in(&args, &config, folder, (int)seeds);
            if (status != MIEN_OK) rmdir(folder); /* fails, as it should, if anything was written */
        }
    }
    mien_config_release(&config);
    if (status == MIEN_INTERRUPTED) return EXIT_STOPPED;
    if (status != MIEN_OK) return usage ? (cli_fail(status), EXIT_USAGE) : cli_fail(status);
    return EXIT_DONE;
}

const cli_command cmd_train = {
    "train", "[CONFIG] [--data SRC] [--out DIR] [--set KEY=VALUE]…",
    "trains a network and writes a run directory",
    "  mien train sample                             generated faces, no download needed\n"
    "  mien train fer2013-classic --data fer2013.csv the network `classic` on FER2013\n"
    "  mien train --data fer2013.csv --set train.epochs=30 --set schedule.name=cosine\n"
    "  mien train sample --print-config              shows all settings\n",
    run};
