#include "host/train/config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/infer/score.h"
#include "host/train/shipped.h"

#define F(field) MIEN_FIELD(mien_config, field)
static const mien_key rows[] = {
    {"model.file", MIEN_KEY_TEXT, F(model.file), "classic", 0, 0, NULL,
     "the network: a .yaml of layers (a bare name is found under configs/models) or a .h5 to go on "
     "from"},
    {"model.freeze", MIEN_KEY_TEXTS, F(model.freeze), "[]", 0, 0, NULL,
     "names of layers whose weights stay"},
    {"data.sources", MIEN_KEY_TEXTS, F(data.sources), "[sample]", 0, 0, NULL,
     "sample, or files and folders of faces (docs/data.md); several are merged by class name"},
    {"data.split.val", MIEN_KEY_REAL, F(data.split.val), "0.1", 0, 0.9, NULL,
     "share for validation where the data do not say"},
    {"data.split.test", MIEN_KEY_REAL, F(data.split.test), "0.1", 0, 0.9, NULL,
     "share for the test where the data do not say"},
    {"data.split.by", MIEN_KEY_CHOICE, F(data.split.by), "auto", 0, 0, MIEN_SPLIT_CHOICES,
     "auto: as the data say, else by identities where they are known, else stratified; usage: the "
     "csv's column; group: identities stay "
     "together"},
    {"data.split.seed", MIEN_KEY_INT, F(data.split.seed), "1", 0, 2147483647, NULL,
     "of a drawn split"},
    {"data.on_bad", MIEN_KEY_TEXT, F(data.on_bad), "fail", 0, 0, NULL,
     "damaged rows: fail, skip or skip:MAX"},
    {"data.memory", MIEN_KEY_CHOICE, F(data.memory), "auto", 0, 0, MIEN_MEMORY_CHOICES,
     "resident: all images in memory; stream: read while training; auto: stream what would take "
     "more than half of the free memory"},
    {"data.sampling", MIEN_KEY_CHOICE, F(data.sampling), "natural", 0, 0, "natural|balanced",
     "balanced: an epoch has as many images as the training part, of every class equally many"},
    {"data.soft_labels", MIEN_KEY_TEXT, F(data.soft_labels), "none", 0, 0, NULL,
     "a file of FER+ votes (fer2013new.csv), row by row those of the csv of faces"},
    {"data.soft_mode", MIEN_KEY_CHOICE, F(data.soft_mode), "majority", 0, 0, MIEN_SOFT_MODES,
     "what is learnt from the votes: the class of more than half of them; a class drawn from them "
     "in every epoch; their distribution; every class with 30 % of them alike"},
    {"data.groups", MIEN_KEY_TEXT, F(data.groups), "none", 0, 0, NULL,
     "a csv: file or row, then columns (age, gender, …) by which metrics.json tells subgroups "
     "apart"},
    {"input.height", MIEN_KEY_INT, F(input.height), "48", 1, 1024, NULL, "pixels"},
    {"input.width", MIEN_KEY_INT, F(input.width), "48", 1, 1024, NULL, "pixels"},
    {"input.channels", MIEN_KEY_INT, F(input.channels), "1", 1, 4, NULL, "1 gray, 3 colour"},
    {"input.resize", MIEN_KEY_CHOICE, F(input.resize), "area", 0, 0, "area",
     "filter that brings images to this size (bilinear where they grow)"},
    {"input.scale", MIEN_KEY_REAL, F(input.scale), "0.00392157", 1e-9, 1e9, NULL,
     "pixels are multiplied by it"},
    {"input.mean", MIEN_KEY_NUMBER_OR, F(input.mean), "dataset", -1e9, 1e9, "dataset",
     "taken off behind the scaling; dataset: of the training part"},
    {"input.std", MIEN_KEY_NUMBER_OR, F(input.deviation), "dataset", 1e-9, 1e9, "dataset",
     "divided by; dataset: of the training part"},
    {"augment.flip", MIEN_KEY_BOOL, F(augment.flip), "true", 0, 0, NULL,
     "mirror every second image"},
    {"augment.rotate", MIEN_KEY_REAL, F(augment.rotate), "10", 0, 180, NULL, "degrees either way"},
    {"augment.shift", MIEN_KEY_REAL, F(augment.shift), "0.1", 0, 1, NULL, "fraction of the size"},
    {"augment.zoom", MIEN_KEY_REAL, F(augment.zoom), "0.1", 0, 0.9, NULL, "scale 1 - z to 1 + z"},
    {"augment.crop", MIEN_KEY_REAL, F(augment.crop), "0", 0, 0.9, NULL,
     "a random window smaller by this fraction, brought back to size"},
    {"augment.brightness", MIEN_KEY_REAL, F(augment.brightness), "0.2", 0, 1, NULL,
     "added, fraction of full scale"},
    {"augment.contrast", MIEN_KEY_REAL, F(augment.contrast), "0.2", 0, 1, NULL,
     "factor 1 - c to 1 + c around mid-gray"},
    {"augment.erase", MIEN_KEY_REAL, F(augment.erase), "0", 0, 1, NULL,
     "probability of a random gray rectangle"},
    {"augment.mixup", MIEN_KEY_REAL, F(augment.mixup), "0", 0, 10, NULL, "alpha of mixup; 0: off"},
    {"augment.mixup_p", MIEN_KEY_REAL, F(augment.mixup_p), "0.5", 0, 1, NULL,
     "share of samples that are mixed"},
    {"augment.off_last", MIEN_KEY_REAL, F(augment.off_last), "0", 0, 1, NULL,
     "mixup and erasing are off for this last fraction of the epochs"},
    {"optimizer.name", MIEN_KEY_CHOICE, F(optimizer.name), "adam", 0, 0, "adam|adamw|sgd",
     "the update rule, as Keras's"},
    {"optimizer.learning_rate", MIEN_KEY_REAL, F(optimizer.learning_rate), "0.001", 0, 100, NULL,
     "before the schedule"},
    {"optimizer.beta_1", MIEN_KEY_REAL, F(optimizer.beta_1), "0.9", 0, 0.999999, NULL,
     "of Adam's first moment"},
    {"optimizer.beta_2", MIEN_KEY_REAL, F(optimizer.beta_2), "0.999", 0, 0.999999, NULL,
     "of Adam's second moment"},
    {"optimizer.epsilon", MIEN_KEY_REAL, F(optimizer.epsilon), "1.0e-7", 0, 1, NULL, "of Adam"},
    {"optimizer.weight_decay", MIEN_KEY_REAL, F(optimizer.weight_decay), "0", 0, 1, NULL,
     "decoupled, on kernels only: w -= rate * decay * w"},
    {"optimizer.momentum", MIEN_KEY_REAL, F(optimizer.momentum), "0.9", 0, 0.9999, NULL, "of SGD"},
    {"optimizer.nesterov", MIEN_KEY_BOOL, F(optimizer.nesterov), "true", 0, 0, NULL, "of SGD"},
    {"optimizer.clip_norm", MIEN_KEY_REAL, F(optimizer.clip_norm), "0", 0, 1e9, NULL,
     "largest norm of the whole gradient; 0: any"},
    {"optimizer.ema", MIEN_KEY_REAL, F(optimizer.ema), "0", 0, 0.999999, NULL,
     "decay of averaged weights, which are then validated and saved; 0: off"},
    {"schedule.name", MIEN_KEY_CHOICE, F(schedule.name), "constant", 0, 0,
     "constant|plateau|step|cosine", "how the rate changes"},
    {"schedule.warmup_epochs", MIEN_KEY_REAL, F(schedule.warmup_epochs), "0", 0, 1000, NULL,
     "the rate rises linearly at first"},
    {"schedule.factor", MIEN_KEY_REAL, F(schedule.factor), "0.1", 0, 1, NULL,
     "plateau and step: the rate is multiplied by it"},
    {"schedule.patience", MIEN_KEY_INT, F(schedule.patience), "10", 1, 100000, NULL,
     "plateau: epochs without a better val_loss"},
    {"schedule.min_lr", MIEN_KEY_REAL, F(schedule.min_lr), "0", 0, 100, NULL, "lowest rate"},
    {"schedule.steps", MIEN_KEY_REALS, F(schedule.steps), "[]", 0, 1e6, NULL,
     "step: epochs at which the rate drops"},
    {"loss.label_smoothing", MIEN_KEY_REAL, F(loss.label_smoothing), "0", 0, 0.999, NULL,
     "share of the target spread over all classes"},
    {"loss.class_weight", MIEN_KEY_CHOICE, F(loss.class_weight), "none", 0, 0, "none|balanced",
     "balanced: rare classes count more"},
    {"train.epochs", MIEN_KEY_INT, F(train.epochs), "60", 1, 1000000, NULL, "passes over the data"},
    {"train.batch_size", MIEN_KEY_INT, F(train.batch_size), "64", 1, 65536, NULL, "images a step"},
    {"train.micro_batch", MIEN_KEY_NUMBER_OR, F(train.micro_batch), "auto", 1, 65536, "auto",
     "images that go through the convolutions at a time (CPU caches)"},
    {"train.dtype", MIEN_KEY_CHOICE, F(train.dtype), "auto", 0, 0, "auto|f32|tf32|bf16|f16",
     "what convolutions and dense layers compute in; auto: f32 on the CPU, bf16 on a GPU"},
    {"train.deterministic", MIEN_KEY_BOOL, F(train.deterministic), "false", 0, 0, NULL,
     "fixed algorithms only (slower)"},
    {"train.on_nan", MIEN_KEY_CHOICE, F(train.on_nan), "stop", 0, 0, "stop|skip",
     "a loss or gradient that is not finite: stop, or skip that update"},
    {"train.seed", MIEN_KEY_INT, F(train.seed), "1", 0, 2147483647, NULL, "of every random draw"},
    {"early_stopping.enabled", MIEN_KEY_BOOL, F(early_stopping.enabled), "false", 0, 0, NULL,
     "stop when nothing gets better"},
    {"early_stopping.monitor", MIEN_KEY_CHOICE, F(early_stopping.monitor), "val_loss", 0, 0,
     MIEN_MONITORS, "what must get better"},
    {"early_stopping.patience", MIEN_KEY_INT, F(early_stopping.patience), "10", 1, 100000, NULL,
     "epochs without a better value"},
    {"early_stopping.min_delta", MIEN_KEY_REAL, F(early_stopping.min_delta), "0", 0, 1e9, NULL,
     "a smaller change is none"},
    {"early_stopping.restore_best_weights", MIEN_KEY_BOOL, F(early_stopping.restore_best_weights),
     "true", 0, 0, NULL, "go back to the best epoch's weights at the end"},
    {"checkpoint.monitor", MIEN_KEY_CHOICE, F(checkpoint.monitor), "val_accuracy", 0, 0,
     MIEN_MONITORS, "best.h5 is the epoch where this is best"},
    {"evaluate.tta", MIEN_KEY_CHOICE, F(evaluate.tta), "none", 0, 0, MIEN_TTA_CHOICES,
     "views of each image that are averaged"},
};

mien_keys mien_config_keys(void) {
    return (mien_keys){rows, sizeof rows / sizeof rows[0]};
}

mien_status mien_config_start(mien_config *config) {
    memset(config, 0, sizeof *config);
    return mien_keys_defaults(mien_config_keys(), config);
}

/* Keys of later versions: refused by name, not as a typo. */
static mien_status refuse_later(const mien_value *root, const char *source) {
    static const char *const later[][2] = {{"model", "head"},
                                           {"checkpoint", "every_steps"},
                                           {"checkpoint", "every_epochs"},
                                           {"checkpoint", "keep"}};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        const mien_value *v = mien_value_get(mien_value_get(root, later[i][0]), later[i][1]);
        if (v)
            return MIEN_FAIL(UNSUPPORTED, "%s:%d: '%s.%s' is not in this version", source, v->line,
                             later[i][0], later[i][1]);
    }
    return MIEN_OK;
}

/* A path in a config is relative to the config; names of generated data and recipes are no paths.
 */
static mien_status relative(const char *config, const char *value, char *out) {
    char folder[MIEN_PATH];
    if (value[0] == '/' || strcmp(value, "sample") == 0 ||
        (!strchr(value, '/') && !strchr(value, '.')))
        return mien_path_join(out, "", value);
    mien_path_folder(folder, config);
    return mien_path_join(out, folder, value);
}

/* Of the paths those whose keys the file has. */
static mien_status rebase(mien_config *config, const char *path, const bool *seen) {
    char joined[MIEN_PATH];
    const struct {
        const char *key;
        char *value;
    } files[] = {{"model.file", config->model.file},
                 {"data.soft_labels", config->data.soft_labels},
                 {"data.groups", config->data.groups}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (!seen[mien_keys_find(mien_config_keys(), files[i].key) - rows]) continue;
        MIEN_TRY(relative(path, files[i].value, joined));
        strcpy(files[i].value, joined);
    }
    const bool sources = seen[mien_keys_find(mien_config_keys(), "data.sources") - rows];
    for (size_t i = 0; sources && i < config->data.sources.count; i++) {
        MIEN_TRY(relative(path, config->data.sources.items[i], joined));
        mien_free(config->data.sources.items[i]);
        MIEN_TRY(mien_copy_text(&config->data.sources.items[i], joined));
    }
    return MIEN_OK;
}

mien_status mien_config_read(mien_config *config, const char *path) {
    mien_tree tree;
    bool seen[sizeof rows / sizeof rows[0]] = {false};
    mien_status status = mien_yaml_read(path, &tree);
    if (status == MIEN_OK) status = refuse_later(tree.root, path);
    if (status == MIEN_OK)
        status = mien_keys_read(mien_config_keys(), config, tree.root, path, seen);
    mien_tree_release(&tree);
    MIEN_TRY(status);
    snprintf(config->path, sizeof config->path, "%s", path);
    return rebase(config, path, seen);
}

static mien_status absolute_sources(const mien_config *config, const char *here, mien_texts *out) {
    char path[MIEN_PATH];
    MIEN_TRY(mien_new(&out->items, config->data.sources.count, sizeof *out->items));
    for (size_t i = 0; i < config->data.sources.count; i++) {
        MIEN_TRY(relative(here, config->data.sources.items[i], path));
        MIEN_TRY(mien_copy_text(&out->items[out->count++], path));
    }
    return MIEN_OK;
}

static void release_texts(mien_texts *texts) {
    for (size_t i = 0; i < texts->count; i++)
        mien_free(texts->items[i]);
    mien_free(texts->items);
}

mien_status mien_config_print_absolute(const mien_config *config, mien_text *out) {
    char here[MIEN_PATH];
    mien_config copy = *config;
    if (!getcwd(here, sizeof here - 8)) return MIEN_FAIL(IO, "cannot tell the current folder");
    strcat(here, "/config");
    MIEN_TRY(relative(here, config->model.file, copy.model.file));
    MIEN_TRY(relative(here, config->data.soft_labels, copy.data.soft_labels));
    MIEN_TRY(relative(here, config->data.groups, copy.data.groups));
    copy.data.sources = (mien_texts){0};
    mien_status status = absolute_sources(config, here, &copy.data.sources);
    if (status == MIEN_OK) {
        mien_keys_print(mien_config_keys(), &copy, out);
        status = out->status;
    }
    release_texts(&copy.data.sources);
    return status;
}

mien_status mien_config_find(const char *name, char *out) {
    if (strchr(name, '/') || mien_path_ends(name, ".yaml") || mien_file_exists(name))
        return mien_path_join(out, "", name);
    return mien_shipped_find("config", "train", name, out);
}

mien_status mien_config_check(const mien_config *config) {
    if (config->data.sources.count == 0) return MIEN_FAIL(INVALID, "data.sources names no source");
    if (config->data.sources.count > 1 && strcmp(config->data.soft_labels, "none") != 0)
        return MIEN_FAIL(INVALID,
                         "data.soft_labels goes with one csv of faces; data.sources names %zu "
                         "sources",
                         config->data.sources.count);
    if (config->data.sources.count > 1 && strcmp(config->data.groups, "none") != 0)
        return MIEN_FAIL(INVALID,
                         "data.groups goes with one source; data.sources names %zu sources",
                         config->data.sources.count);
    if (config->data.split.val + config->data.split.test > 0.95)
        return MIEN_FAIL(INVALID, "data.split.val and data.split.test leave nothing to train on");
    if (config->early_stopping.enabled && config->schedule.name == MIEN_SCHEDULE_COSINE)
        MIEN_WARN("early_stopping ends a cosine schedule before its rate has fallen");
    if (config->schedule.name == MIEN_SCHEDULE_STEP && config->schedule.steps.count == 0)
        return MIEN_FAIL(INVALID, "schedule.name is step, but schedule.steps names no epoch");
    mien_on_bad on_bad;
    return mien_on_bad_parse(config->data.on_bad, &on_bad);
}

void mien_config_release(mien_config *config) {
    mien_keys_release(mien_config_keys(), config);
}
