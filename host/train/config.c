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
    KEY_TEXT("model.file", F(model.file), "classic",
             "the network: a .yaml of layers (a bare name is found under configs/models) or a .h5 "
             "to go on from"),
    KEY_TEXTS("model.freeze", F(model.freeze), "[]", "names of layers whose weights stay"),
    KEY_TEXTS(
        "data.sources", F(data.sources), "[sample]",
        "sample, or files and folders of faces (docs/data.md); several are merged by class name"),
    KEY_REAL("data.split.val", F(data.split.val), "0.1", 0, 0.9,
             "share for validation where the data do not say"),
    KEY_REAL("data.split.test", F(data.split.test), "0.1", 0, 0.9,
             "share for the test where the data do not say"),
    KEY_CHOICE("data.split.by", F(data.split.by), "auto", MIEN_SPLIT_CHOICES,
               "auto: as the data say, else by identities where they are known, else stratified; "
               "usage: the csv's column; group: identities stay together"),
    KEY_INT("data.split.seed", F(data.split.seed), "1", 0, 2147483647, "of a drawn split"),
    KEY_TEXT("data.on_bad", F(data.on_bad), "fail", "damaged rows: fail, skip or skip:MAX"),
    KEY_CHOICE("data.memory", F(data.memory), "auto", MIEN_MEMORY_CHOICES,
               "resident: all images in memory; stream: read while training; auto: stream what "
               "would take more than half of the free memory"),
    KEY_CHOICE(
        "data.sampling", F(data.sampling), "natural", "natural|balanced",
        "balanced: an epoch has as many images as the training part, of every class equally many"),
    KEY_TEXT("data.soft_labels", F(data.soft_labels), "none",
             "a file of FER+ votes (fer2013new.csv), row by row those of the csv of faces"),
    KEY_CHOICE("data.soft_mode", F(data.soft_mode), "majority", MIEN_SOFT_MODES,
               "what is learnt from the votes: the class of more than half of them; a class drawn "
               "from them in every epoch; their distribution; every class with 30 % of them alike"),
    KEY_TEXT("data.groups", F(data.groups), "none",
             "a csv: file or row, then columns (age, gender, …) by which metrics.json tells "
             "subgroups apart"),
    KEY_INT("input.height", F(input.height), "48", 1, 1024, "pixels"),
    KEY_INT("input.width", F(input.width), "48", 1, 1024, "pixels"),
    KEY_INT("input.channels", F(input.channels), "1", 1, 4, "1 gray, 3 colour"),
    KEY_CHOICE("input.resize", F(input.resize), "area", "area",
               "filter that brings images to this size (bilinear where they grow)"),
    KEY_REAL("input.scale", F(input.scale), "0.00392157", 1e-9, 1e9, "pixels are multiplied by it"),
    KEY_NUMBER_OR("input.mean", F(input.mean), "dataset", -1e9, 1e9, "dataset",
                  "subtracted after scaling; dataset: of the training part"),
    KEY_NUMBER_OR("input.std", F(input.std), "dataset", 1e-9, 1e9, "dataset",
                  "divided by; dataset: of the training part"),
    KEY_BOOL("augment.flip", F(augment.flip), "true", "mirror every second image"),
    KEY_REAL("augment.rotate", F(augment.rotate), "10", 0, 180, "degrees either way"),
    KEY_REAL("augment.shift", F(augment.shift), "0.1", 0, 1, "fraction of the size"),
    KEY_REAL("augment.zoom", F(augment.zoom), "0.1", 0, 0.9, "scale 1 - z to 1 + z"),
    KEY_REAL("augment.crop", F(augment.crop), "0", 0, 0.9,
             "a random window smaller by this fraction, brought back to size"),
    KEY_REAL("augment.brightness", F(augment.brightness), "0.2", 0, 1,
             "added, fraction of full scale"),
    KEY_REAL("augment.contrast", F(augment.contrast), "0.2", 0, 1,
             "factor 1 - c to 1 + c around mid-gray"),
    KEY_REAL("augment.erase", F(augment.erase), "0", 0, 1,
             "probability of a random gray rectangle"),
    KEY_REAL("augment.mixup", F(augment.mixup), "0", 0, 10, "alpha of mixup; 0: off"),
    KEY_REAL("augment.mixup_p", F(augment.mixup_p), "0.5", 0, 1, "share of samples that are mixed"),
    KEY_REAL("augment.off_last", F(augment.off_last), "0", 0, 1,
             "mixup and erasing are off for this last fraction of the epochs"),
    KEY_CHOICE("optimizer.name", F(optimizer.name), "adam", "adam|adamw|sgd",
               "the update rule, as Keras's"),
    KEY_REAL("optimizer.learning_rate", F(optimizer.learning_rate), "0.001", 0, 100,
             "before the schedule"),
    KEY_REAL("optimizer.beta_1", F(optimizer.beta_1), "0.9", 0, 0.999999, "of Adam's first moment"),
    KEY_REAL("optimizer.beta_2", F(optimizer.beta_2), "0.999", 0, 0.999999,
             "of Adam's second moment"),
    KEY_REAL("optimizer.epsilon", F(optimizer.epsilon), "1.0e-7", 0, 1, "of Adam"),
    KEY_REAL("optimizer.weight_decay", F(optimizer.weight_decay), "0", 0, 1,
             "decoupled, on kernels only: w -= rate * decay * w"),
    KEY_REAL("optimizer.momentum", F(optimizer.momentum), "0.9", 0, 0.9999, "of SGD"),
    KEY_BOOL("optimizer.nesterov", F(optimizer.nesterov), "true", "of SGD"),
    KEY_REAL("optimizer.clip_norm", F(optimizer.clip_norm), "0", 0, 1e9,
             "largest norm of the whole gradient; 0: any"),
    KEY_REAL("optimizer.ema", F(optimizer.ema), "0", 0, 0.999999,
             "decay of averaged weights, which are then validated and saved; 0: off"),
    KEY_CHOICE("schedule.name", F(schedule.name), "constant", "constant|plateau|step|cosine",
               "how the rate changes"),
    KEY_REAL("schedule.warmup_epochs", F(schedule.warmup_epochs), "0", 0, 1000,
             "the rate rises linearly at first"),
    KEY_REAL("schedule.factor", F(schedule.factor), "0.1", 0, 1,
             "plateau and step: the rate is multiplied by it"),
    KEY_INT("schedule.patience", F(schedule.patience), "10", 1, 100000,
            "plateau: epochs without a better val_loss"),
    KEY_REAL("schedule.min_lr", F(schedule.min_lr), "0", 0, 100, "lowest rate"),
    KEY_REALS("schedule.steps", F(schedule.steps), "[]", 0, 1e6,
              "step: epochs at which the rate drops"),
    KEY_REAL("loss.label_smoothing", F(loss.label_smoothing), "0", 0, 0.999,
             "share of the target spread over all classes"),
    KEY_CHOICE("loss.class_weight", F(loss.class_weight), "none", "none|balanced",
               "balanced: rare classes count more"),
    KEY_INT("train.epochs", F(train.epochs), "60", 1, 1000000, "passes over the data"),
    KEY_INT("train.batch_size", F(train.batch_size), "64", 1, 65536, "images a step"),
    KEY_NUMBER_OR("train.micro_batch", F(train.micro_batch), "auto", 1, 65536, "auto",
                  "images that go through the convolutions at a time (CPU caches)"),
    KEY_CHOICE(
        "train.dtype", F(train.dtype), "auto", "auto|f32|tf32|bf16|f16",
        "what convolutions and dense layers compute in; auto: f32 on the CPU, bf16 on a GPU"),
    KEY_BOOL("train.deterministic", F(train.deterministic), "false",
             "fixed algorithms only (slower)"),
    KEY_BOOL(
        "train.warm_averages", F(train.warm_averages), "true",
        "from scratch: batch normalization's running statistics and optimizer.ema forget their "
        "start quickly; their decay at step n is at most (1 + n) / (10 + n)"),
    KEY_CHOICE("train.on_nan", F(train.on_nan), "stop", "stop|skip",
               "a loss or gradient that is not finite: stop, or skip that update"),
    KEY_INT("train.seed", F(train.seed), "1", 0, 2147483647, "of every random draw"),
    KEY_BOOL("early_stopping.enabled", F(early_stopping.enabled), "false",
             "stop when nothing gets better"),
    KEY_CHOICE("early_stopping.monitor", F(early_stopping.monitor), "val_loss", MIEN_MONITORS,
               "metric to monitor"),
    KEY_INT("early_stopping.patience", F(early_stopping.patience), "10", 1, 100000,
            "epochs without a better value"),
    KEY_REAL("early_stopping.min_delta", F(early_stopping.min_delta), "0", 0, 1e9,
             "a smaller change is none"),
    KEY_BOOL("early_stopping.restore_best_weights", F(early_stopping.restore_best_weights), "true",
             "go back to the best epoch's weights at the end"),
    KEY_CHOICE("checkpoint.monitor", F(checkpoint.monitor), "val_accuracy", MIEN_MONITORS,
               "best.h5 is the epoch where this is best"),
    KEY_CHOICE("evaluate.tta", F(evaluate.tta), "none", MIEN_TTA_CHOICES,
               "views of each image that are averaged"),
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
