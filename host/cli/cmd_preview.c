/* mien preview: draws the images of one training step as the network receives them. */
#include <stdio.h>

#include "host/cli/recipe.h"
#include "host/image/encode.h"
#include "host/train/preview.h"

typedef struct preview_args {
    cli_common common;
    cli_list rest, set;
    const char *data, *seed, *on_bad, *drop_classes, *step_text, *out;
    long long step;
} preview_args;

static mien_status draw(const preview_args *args, const mien_config *config,
                        const mien_setup *setup, const mien_preview *preview) {
    char title[256];
    mien_image sheet;
    snprintf(title, sizeof title, "%s: step %lld of %lld, epoch %lld, seed %d",
             setup->model.meta.recipe, preview->step, preview->steps, preview->epoch,
             config->train.seed);
    mien_status status = mien_preview_sheet(preview, &setup->model.meta, title, &sheet);
    if (status == MIEN_OK) status = mien_image_write_png(&sheet, args->out);
    mien_image_release(&sheet);
    if (status == MIEN_OK && args->common.json)
        printf("{\"schema\":1,\"step\":%lld,\"steps\":%lld,\"epoch\":%lld,\"images\":%d}\n",
               preview->step, preview->steps, preview->epoch, preview->rows);
    else if (status == MIEN_OK)
        printf("%s; %d images: %s\n", title, preview->rows, args->out);
    return status;
}

/* The picture must not overwrite the config or a file that it names. */
static mien_status check_out(const preview_args *args, const mien_config *config) {
    MIEN_TRY(cli_writable("--out", args->out));
    const char *const files[] = {config->path, config->model.file, config->data.soft_labels,
                                 config->data.groups};
    MIEN_TRY(cli_spares("--out", args->out, &(cli_inputs){NULL, NULL, files, 4}));
    for (size_t i = 0; i < config->data.sources.count; i++)
        MIEN_TRY(
            cli_spares("--out", args->out, &(cli_inputs){.data = config->data.sources.items[i]}));
    return MIEN_OK;
}

static mien_status preview(const preview_args *args, const mien_config *config) {
    mien_backend *backend = NULL;
    mien_setup setup = {0};
    mien_preview images = {0};
    cli_common common = args->common;
    common.deterministic = config->train.deterministic;
    common.compute = (mien_compute)config->train.dtype;
    common.training = true;
    mien_status status;
    MIEN_GO(mien_setup_create(config, cli_commit(), &setup));
    MIEN_GO(cli_backend(&common, &backend));
    MIEN_GO(mien_preview_gather(config, &setup, backend, args->step, &images));
    status = draw(args, config, &setup, &images);
out:
    mien_preview_release(&images);
    mien_setup_release(&setup);
    mien_backend_close(backend);
    return status;
}

static int run(int argc, char **argv, const cli_command *self) {
    preview_args args = {.step = 1};
    const cli_flag flags[] = {
        {"--data", "SRC", "sample, a file or a folder (docs/data.md)", &args.data, NULL, NULL},
        {"--step", "N", "training step, from 1 (default: 1)", &args.step_text, NULL, NULL},
        {"--out", "FILE.png", "output picture (default: preview.png)", &args.out, NULL, NULL},
        {"--set", "KEY=VALUE", "set a config key; may be repeated (docs/config.md)", NULL,
         &args.set, NULL},
        {"--seed", "N", "random seed: sets train.seed", &args.seed, NULL, NULL},
        {"--on-bad", "fail|skip[:MAX]", "unreadable images or rows: sets data.on_bad", &args.on_bad,
         NULL, NULL},
        {"--drop-classes", "A,B", "classes to leave out: sets data.drop_classes",
         &args.drop_classes, NULL, NULL}};
    int exit_status;
    if (!cli_parse(self, argc, argv, flags, sizeof flags / sizeof flags[0], &args.rest, 1,
                   &args.common, &exit_status))
        return exit_status;
    if (args.step_text && !cli_number("--step", args.step_text, 1, 1LL << 40, &args.step))
        return EXIT_USAGE;
    if (!args.out) args.out = "preview.png";
    mien_config config;
    const cli_recipe recipe = {.config = args.rest.count ? args.rest.items[0] : NULL,
                               .data = args.data,
                               .seed = args.seed,
                               .on_bad = args.on_bad,
                               .drop_classes = args.drop_classes,
                               .set = &args.set,
                               .deterministic = args.common.deterministic};
    mien_status status = cli_config(&recipe, &config);
    const bool usage = status == MIEN_INVALID;
    if (status == MIEN_OK) status = cli_recipe_data(&recipe, &config);
    if (status == MIEN_OK) status = check_out(&args, &config);
    if (status == MIEN_OK) status = preview(&args, &config);
    mien_config_release(&config);
    if (status == MIEN_OK) return EXIT_DONE;
    return usage ? (cli_fail(status), EXIT_USAGE) : cli_fail(status);
}

const cli_command cmd_preview = {
    "preview", "[CONFIG] [--data SRC] [--step N] [--out FILE.png]",
    "draws the augmented images of one training step",
    "  mien preview sample --out first.png\n"
    "  mien preview fer2013-classic --data fer2013.csv --step 500 --out later.png\n",
    run};
