/* mien train: trains a network and writes a run directory. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/cli/cli.h"
#include "host/cli/model_flags.h"
#include "host/cli/progress.h"
#include "host/cli/recipe.h"
#include "host/cli/run_folder.h"
#include "host/train/trainer.h"

typedef struct train_args {
    cli_common common;
    cli_list rest, set;
    mien_model_options model;
    const char *from, *data, *out, *seed, *seeds, *on_bad, *resume, *drop_classes;
    bool force, print_config, resume_anyway;
    char command[1024];
} train_args;

static void join_command(int argc, char **argv, char *out, size_t size) {
    size_t used = (size_t)snprintf(out, size, "mien train");
    for (int i = 0; i < argc && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, " %s", argv[i]);
}

static mien_status print_result(const train_args *args, const char *folder,
                                const mien_train_result *r) {
    if (args->common.json) {
        mien_text text = {0};
        mien_json json = {.text = &text};
        mien_json_open(&json, NULL, '{');
        mien_json_integer(&json, "schema", 1);
        mien_json_string(&json, "run", folder);
        mien_json_integer(&json, "best_epoch", r->best_epoch);
        if (r->validated) {
            mien_json_number(&json, "val_accuracy", r->metrics.accuracy);
            mien_json_number(&json, "val_loss", r->metrics.loss);
            mien_json_number(&json, "val_macro_f1", r->metrics.macro_f1);
        } else {
            mien_json_string(&json, "kept", "last epoch, without validation");
        }
        mien_json_number(&json, "seconds", r->seconds);
        mien_json_number(&json, "images_per_second", r->images_per_second);
        mien_json_open(&json, "warnings", '[');
        if (*r->collapsed) mien_json_string(&json, NULL, r->collapsed);
        mien_json_close(&json, ']');
        mien_json_close(&json, '}');
        mien_text_puts(&text, "\n");
        return cli_print(&text);
    }
    if (!r->validated) {
        printf("last epoch %d, without validation (%.0f img/s, %.0f s)\nmodel: %s/" MIEN_RUN_BEST
               "\n",
               r->best_epoch, r->images_per_second, r->seconds, folder);
        return MIEN_OK;
    }
    printf(
        "best epoch %d: val_accuracy %.4f, val_loss %.4f, val_macro_f1 %.4f (%.0f img/s, %.0f s)\n"
        "model: %s/" MIEN_RUN_BEST "\n",
        r->best_epoch, r->metrics.accuracy, r->metrics.loss, r->metrics.macro_f1,
        r->images_per_second, r->seconds, folder);
    return MIEN_OK;
}

static mien_status train_once(const train_args *args, const mien_config *config,
                              mien_backend *backend, const char *folder, const mien_resume *resume,
                              mien_train_result *result) {
    progress bar;
    const mien_train_request request = {.config = config,
                                        .backend = backend,
                                        .folder = folder,
                                        .command = args->command,
                                        .commit = cli_commit(),
                                        .resume = resume,
                                        .resume_anyway = args->resume_anyway,
                                        .stop = &cli_stop,
                                        .observer = progress_observer(&bar, args->common.quiet)};
    mien_status status = mien_train(&request, result);
    if (status == MIEN_OK) status = print_result(args, folder, result);
    if (status == MIEN_INTERRUPTED && result->saved_step)
        fprintf(stderr, "mien: %s; continue with: mien train --resume %s\n", mien_error_message(),
                folder);
    else if (status == MIEN_INTERRUPTED)
        fprintf(stderr, "mien: %s; nothing to save\n", mien_error_message());
    return status;
}

/* Writes the mean and sample standard deviation (n - 1) of the seeds' best accuracies, which are
 * NaN without validation. */
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
    if (status == MIEN_OK && !args->common.json && isfinite(mean))
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
        const mien_status status = train_once(args, config, backend, sub, NULL, &result);
        accuracy[i] = result.validated ? result.metrics.accuracy : NAN;
        mien_metrics_release(&result.metrics);
        MIEN_TRY(status);
    }
    return write_summary(args, folder, accuracy, seeds, first);
}

static mien_status train_in(const train_args *args, mien_config *config, const mien_run *where,
                            int seeds) {
    mien_backend *backend = NULL;
    cli_common common = args->common;
    common.deterministic = config->train.deterministic;
    common.compute = (mien_compute)config->train.dtype;
    common.training = true;
    MIEN_TRY(cli_backend(&common, &backend));
    MIEN_INFO("training on %s", mien_backend_description(backend));
    mien_status status;
    if (seeds > 1) {
        status = train_seeds(args, config, backend, where->folder, seeds);
    } else {
        mien_train_result result;
        status = train_once(args, config, backend, where->folder,
                            where->resumes ? &where->resume : NULL, &result);
        mien_metrics_release(&result.metrics);
    }
    mien_backend_close(backend);
    return status;
}

/* A run that ended has nothing to continue, unless settings were changed on purpose. */
static bool is_over(const train_args *args, const mien_run *where) {
    return where->resumes && where->resume.progress.finished && !args->resume_anyway;
}

static mien_status train(const train_args *args, const cli_recipe *recipe, int seeds, bool *usage) {
    mien_config config = {0};
    mien_run where = {.lock = -1};
    mien_status status;
    if (args->resume) {
        status = cli_run_resume(args->resume, args->resume_anyway, recipe, &config, &where, usage);
    } else {
        status = cli_config(recipe, &config);
        *usage = status == MIEN_INVALID;
        if (status == MIEN_OK) status = cli_recipe_data(recipe, &config);
        if (status == MIEN_OK) status = mien_run_new(args->out, args->force, &config, &where);
    }
    if (status == MIEN_OK && is_over(args, &where))
        printf("%s: the training is finished, after %d epochs\n", where.folder,
               where.resume.progress.epochs);
    else if (status == MIEN_OK)
        status = train_in(args, &config, &where, seeds);
    mien_run_release(&where, status != MIEN_OK);
    mien_config_release(&config);
    return status;
}

static mien_status print_config(const cli_recipe *recipe, bool *usage) {
    mien_config config = {0};
    mien_text text = {0};
    mien_status status = cli_config(recipe, &config);
    *usage = status == MIEN_INVALID;
    if (status == MIEN_OK) {
        mien_keys_print(mien_config_keys(), &config, &text);
        status = cli_print(&text);
    }
    mien_config_release(&config);
    return status;
}

/* Flags that contradict each other. */
static bool is_consistent(const train_args *args) {
    const char *other = args->out     ? "--out"
                        : args->seeds ? "--seeds"
                        : args->force ? "--force"
                                      : NULL;
    if (args->resume && other)
        fprintf(stderr, "mien: --resume and %s exclude each other\n", other);
    else if (!args->resume && args->resume_anyway)
        fprintf(stderr, "mien: --resume-anyway needs --resume DIR\n");
    else
        return true;
    return false;
}

static int run(int argc, char **argv, const cli_command *self) {
    train_args args = {0};
    const cli_flag flags[] = {
        {"--data", "SRC", "sample, a file or a folder (docs/data.md)", &args.data, NULL, NULL},
        {"--from", "MODEL",
         "trained model to start from, also default (the shipped one); sets model.file", &args.from,
         NULL, NULL},
        {"--out", "DIR", "run directory (default: runs/<config>-N)", &args.out, NULL, NULL},
        {"--resume", "DIR", "continue the training in DIR; without a checkpoint there, start it",
         &args.resume, NULL, NULL},
        {"--resume-anyway", NULL, "even if settings, data or device have changed", NULL, NULL,
         &args.resume_anyway},
        {"--set", "KEY=VALUE", "set a config key; may be repeated (docs/config.md)", NULL,
         &args.set, NULL},
        {"--seed", "N", "random seed: sets train.seed", &args.seed, NULL, NULL},
        {"--seeds", "N", "train with N seeds, into DIR/seed-1…N, and write summary.json",
         &args.seeds, NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]", "unreadable images or rows: sets data.on_bad", &args.on_bad,
         NULL, NULL},
        {"--drop-classes", "A,B", "classes to leave out: sets data.drop_classes",
         &args.drop_classes, NULL, NULL},
        CLI_MODEL_FLAGS(args.model),
        {"--force", NULL, "replace what is in DIR", NULL, NULL, &args.force},
        {"--print-config", NULL, "print every config key with its value and exit", NULL, NULL,
         &args.print_config}};
    int exit_status;
    long long seeds = 1;
    bool usage = false;
    cli_catch_signals();
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 1,
                   &args.common, &exit_status))
        return exit_status;
    cli_outlive_readers();
    if (args.seeds && !cli_number("--seeds", args.seeds, 1, 100, &seeds)) return EXIT_USAGE;
    if (!is_consistent(&args) || !cli_model_flags(&args.model, 1)) return EXIT_USAGE;
    join_command(argc, argv, args.command, sizeof args.command);
    const cli_recipe recipe = {.config = args.rest.count ? args.rest.items[0] : NULL,
                               .data = args.data,
                               .from = args.from,
                               .model = &args.model,
                               .seed = args.seed,
                               .on_bad = args.on_bad,
                               .drop_classes = args.drop_classes,
                               .set = &args.set,
                               .deterministic = args.common.deterministic};
    const mien_status status = args.print_config ? print_config(&recipe, &usage)
                                                 : train(&args, &recipe, (int)seeds, &usage);
    if (status == MIEN_INTERRUPTED) return EXIT_STOPPED;
    if (status != MIEN_OK)
        return usage && status == MIEN_INVALID ? (cli_fail(status), EXIT_USAGE) : cli_fail(status);
    return EXIT_DONE;
}

const cli_command cmd_train = {
    "train", "[CONFIG] [--data SRC] [--from MODEL] [--out DIR] [--resume DIR] [--set KEY=VALUE]…",
    "trains a network and writes a run directory",
    "  mien train sample                             generated faces, no download needed\n"
    "  mien train fer2013-classic --data fer2013.csv the network `classic` on FER2013\n"
    "  mien train folder --data faces --from net.h5  starts from a trained model\n"
    "  mien train --data fer2013.csv --set train.epochs=30 --set schedule.name=cosine\n"
    "  mien train --resume runs/sample-1             continues where it was stopped\n"
    "  mien train sample --print-config              shows all settings\n",
    run};
