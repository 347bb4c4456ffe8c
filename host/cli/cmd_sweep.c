/* mien sweep: trains every combination of some settings, each in a process of its own. */
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/cli/cli.h"
#include "host/cli/recipe.h"
#include "host/runs/sweep.h"

typedef struct sweep_args {
    cli_common common;
    cli_list rest, set, grids, words;
    const char *data, *out, *on_bad, *drop_classes, *jobs, *seeds;
    bool dry_run;
    mien_grid grid;
} sweep_args;

static void add_word(sweep_args *args, const char *flag, const char *value) {
    if (!value || args->words.count + 2 > CLI_LIST_MAX - 64) return;
    if (flag) args->words.items[args->words.count++] = flag;
    args->words.items[args->words.count++] = value;
}

/* The words of `mien train` that all runs share. */
static void collect_words(sweep_args *args) {
    if (args->rest.count) add_word(args, NULL, args->rest.items[0]);
    add_word(args, "--data", args->data);
    add_word(args, "--on-bad", args->on_bad);
    add_word(args, "--drop-classes", args->drop_classes);
    for (int i = 0; i < args->set.count; i++)
        add_word(args, "--set", args->set.items[i]);
    if (args->common.deterministic) add_word(args, NULL, "--deterministic");
    if (args->common.pin) add_word(args, NULL, "--pin");
}

static cli_recipe base_recipe(const sweep_args *args, const cli_list *set) {
    return (cli_recipe){.config = args->rest.count ? args->rest.items[0] : NULL,
                        .data = args->data,
                        .on_bad = args->on_bad,
                        .drop_classes = args->drop_classes,
                        .set = set,
                        .deterministic = args->common.deterministic};
}

/* The settings of combination i, as its training will read them. */
static mien_status combination(void *context, size_t i, mien_config *out) {
    const sweep_args *args = context;
    cli_list set = args->set;
    if (set.count + (int)args->grid.count > CLI_LIST_MAX)
        return MIEN_FAIL(INVALID, "--set is given too often");
    for (size_t a = 0; a < args->grid.count; a++)
        set.items[set.count++] = args->grid.axes[a].assignments[mien_grid_at(&args->grid, i, a)];
    const cli_recipe recipe = base_recipe(args, &set);
    return cli_config(&recipe, out);
}

/* Missing data are said once, not by every run. */
static mien_status check_data(const cli_recipe *recipe, const mien_config *config) {
    if (!recipe->data) return cli_recipe_data(recipe, config);
    for (size_t i = 0; i < config->data.sources.count; i++) {
        const char *source = config->data.sources.items[i];
        if (strcmp(source, "sample") != 0 && !mien_file_exists(source))
            return MIEN_FAIL(NOT_FOUND, "--data: there is no '%s'", source);
    }
    return MIEN_OK;
}

/* Reads the grid and checks every combination before the first one starts. */
static mien_status read_grid(sweep_args *args) {
    mien_config config = {0};
    const cli_recipe recipe = base_recipe(args, &args->set);
    long long seeds = 0;
    mien_status status = MIEN_OK;
    for (int i = 0; i < args->grids.count && status == MIEN_OK; i++)
        status = mien_grid_add(&args->grid, args->grids.items[i]);
    if (status == MIEN_OK) status = cli_config(&recipe, &config);
    if (status == MIEN_OK && args->seeds && cli_number("--seeds", args->seeds, 1, 100, &seeds))
        status = mien_grid_add_seeds(&args->grid, config.train.seed, (int)seeds);
    mien_config_release(&config);
    for (size_t i = 0; i < mien_grid_size(&args->grid) && status == MIEN_OK; i++) {
        mien_config one = {0};
        status = combination(args, i, &one);
        if (status == MIEN_OK && i == 0) status = check_data(&recipe, &one);
        mien_config_release(&one);
    }
    return status;
}

static mien_status print_plan(const sweep_args *args, const mien_sweep *sweep) {
    mien_text text = {0};
    mien_json json = {.text = &text, .pretty = true};
    if (args->common.json) {
        mien_json_open(&json, NULL, '{');
        mien_json_integer(&json, "schema", 1);
        mien_json_string(&json, "folder", args->out);
        mien_json_open(&json, "runs", '[');
    }
    for (size_t i = 0; i < sweep->count; i++) {
        const char *name = sweep->file.entries[i].name;
        if (args->common.json) {
            mien_json_open(&json, NULL, '{');
            mien_json_string(&json, "run", name);
            mien_json_string(&json, "action", mien_sweep_action(sweep, i));
            mien_json_string(&json, "status", mien_run_state_name(sweep->states[i]));
            mien_json_close(&json, '}');
        } else {
            mien_text_printf(&text, "%-8s  %s\n", mien_sweep_action(sweep, i), name);
        }
    }
    if (args->common.json) {
        mien_json_close(&json, ']');
        mien_json_close(&json, '}');
        mien_text_puts(&text, "\n");
    }
    if (text.data) fputs(text.data, stdout);
    const mien_status status = text.status;
    mien_text_release(&text);
    return status;
}

static mien_status print_table(const sweep_args *args) {
    mien_runs runs = {0};
    mien_text text = {0};
    mien_status status = mien_runs_read(args->out, &runs);
    if (status == MIEN_OK && args->common.json)
        mien_runs_document(&runs, args->out, &text);
    else if (status == MIEN_OK)
        mien_runs_table(&runs, &text);
    if (status == MIEN_OK) status = text.status;
    if (text.data) fputs(text.data, stdout);
    mien_text_release(&text);
    mien_runs_release(&runs);
    return status;
}

/* On how many GPUs the runs are spread; 0: --device says all, or there is none. */
static int count_gpus(const cli_common *common) {
    int gpus = 0;
    const char *device = common->device ? common->device : "auto";
    if (strcmp(device, "auto") != 0 && strcmp(device, "cuda") != 0) return 0;
    return mien_backend_gpus(&gpus) == MIEN_OK ? gpus : 0;
}

static int sweep(sweep_args *args, int jobs) {
    size_t failed = 0, stopped = 0;
    mien_sweep runs = {0};
    const int gpus = count_gpus(&args->common);
    const mien_sweep_request request = {.folder = args->out,
                                        .grid = &args->grid,
                                        .words = args->words.items,
                                        .word_count = (size_t)args->words.count,
                                        .device = args->common.device,
                                        .threads = cli_threads(&args->common),
                                        .jobs = jobs   ? jobs
                                                : gpus ? gpus
                                                       : 1,
                                        .gpus = gpus,
                                        .stop = &cli_stop};
    mien_status status = cli_writable_folder("--out", args->out);
    if (status == MIEN_OK) status = mien_sweep_plan(&request, combination, args, &runs);
    if (status == MIEN_OK && args->dry_run) {
        status = print_plan(args, &runs);
    } else if (status == MIEN_OK) {
        status = mien_sweep_train(&request, &runs, &failed, &stopped);
        if (status == MIEN_OK || status == MIEN_INTERRUPTED) {
            const mien_status printing = print_table(args);
            if (status == MIEN_OK) status = printing;
        }
    }
    mien_sweep_release(&runs);
    if (status == MIEN_INTERRUPTED) {
        fprintf(stderr, "mien: stopped; the same command continues\n");
        return EXIT_STOPPED;
    }
    if (status != MIEN_OK) return cli_fail(status);
    if (failed) {
        fprintf(stderr, "mien: %zu of the runs failed; the same command tries them again\n",
                failed);
        return EXIT_FAILED;
    }
    return stopped ? EXIT_STOPPED : EXIT_DONE;
}

/* Prints a usage error and returns false if a flag is wrong. */
static bool check_values(const sweep_args *args, long long *jobs) {
    long long seeds;
    *jobs = 0;
    if (!args->rest.count && !args->data)
        fprintf(stderr, "mien: sweep needs a CONFIG, such as sample, or --data SRC\n");
    else if (!args->grids.count && !args->seeds)
        fprintf(stderr, "mien: sweep needs --grid KEY=VALUE,VALUE,… or --seeds N\n");
    else if (!args->out)
        fprintf(stderr, "mien: sweep needs --out DIR, the folder of all its runs\n");
    else
        return (!args->jobs || cli_number("--jobs", args->jobs, 1, 256, jobs)) &&
               (!args->seeds || cli_number("--seeds", args->seeds, 1, 100, &seeds));
    return false;
}

static int run(int argc, char **argv, const cli_command *self) {
    sweep_args args = {0};
    const cli_flag flags[] = {
        {"--grid", "KEY=A,B", "values of a config key; repeated: all combinations", NULL,
         &args.grids, NULL},
        {"--seeds", "N", "every combination with N seeds, from train.seed on", &args.seeds, NULL,
         NULL},
        {"--out", "DIR", "folder of all runs; what is finished there is skipped", &args.out, NULL,
         NULL},
        {"--jobs", "N", "trainings at a time (default: one, or one a GPU)", &args.jobs, NULL, NULL},
        {"--data", "SRC", "sample, a file or a folder (docs/data.md)", &args.data, NULL, NULL},
        {"--set", "KEY=VALUE", "set a config key for all; may be repeated", NULL, &args.set, NULL},
        {"--on-bad", "fail|skip[:MAX]", "unreadable images or rows: sets data.on_bad", &args.on_bad,
         NULL, NULL},
        {"--drop-classes", "A,B", "classes to leave out: sets data.drop_classes",
         &args.drop_classes, NULL, NULL},
        {"--dry-run", NULL, "print the runs and what would be done", NULL, NULL, &args.dry_run}};
    int exit_status;
    long long jobs;
    cli_catch_signals();
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 1,
                   &args.common, &exit_status))
        return exit_status;
    cli_outlive_readers();
    if (!check_values(&args, &jobs)) return EXIT_USAGE;
    collect_words(&args);
    mien_status status = read_grid(&args);
    if (status == MIEN_OK)
        exit_status = sweep(&args, (int)jobs);
    else
        exit_status = (cli_fail(status), status == MIEN_INVALID ? EXIT_USAGE : EXIT_FAILED);
    mien_grid_release(&args.grid);
    return exit_status;
}

const cli_command cmd_sweep = {
    "sweep", "[CONFIG] [--data SRC] --grid KEY=A,B… --out DIR [--jobs N]",
    "trains every combination of some settings; can be stopped and continued",
    "  mien sweep sample --grid optimizer.learning_rate=0.001,0.01 --out grid\n"
    "  mien sweep folder --data faces --grid train.batch_size=32,64 --grid augment.mixup=0,0.2 \\\n"
    "      --seeds 3 --out grid --jobs 2\n"
    "  mien sweep sample --grid train.epochs=1,2 --out grid --dry-run\n",
    run};
