#include "host/train/config.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/log.h"
#include "host/base/memory.h"
#include "host/base/yaml.h"
#include "host/formats/format.h"
#include "host/formats/model.h"
#include "host/infer/score.h"
#include "host/train/file_template.h"
#include "host/train/saved_models.h"
#include "host/train/shipped.h"

#define MODES    "auto|min|max"
#define F(field) MIEN_FIELD(mien_config, field)
static const mien_key rows[] = {
    KEY_TEXT("model.file", F(model.file), "classic",
             "network to train: a .yaml file of layers (a bare name is looked up in "
             "configs/models), or a trained model to start from; default: the shipped model; auto: "
             "the shipped model for fewer than 5,000 images, else the network small"),
    KEY_NUMBER_OR("model.head", F(model.head), "auto", 2, 1000, "auto|fresh",
                  "a trained model's last layer. auto: the model's own if it has all classes of "
                  "the data, else a new dense layer with softmax; a number: a new one of so many "
                  "classes; both keep the weights of classes that the model knows; fresh: a new "
                  "one of drawn weights"),
    KEY_TEXTS("model.freeze", F(model.freeze), "[]",
              "layers whose weights are frozen (not trained), in order: names, patterns such as "
              "\"block1_*\", or base (all before the head); with ! in front, layers that are "
              "trained; []: as in the file"),
    KEY_TEXT("model.architecture", F(model.architecture), "auto",
             "network of a file that holds only weights: a file, or a name such as vgg16, whose "
             "images then have the size input; auto: in the file or beside it"),
    KEY_CHOICE("model.preprocess", F(model.preprocess), "auto", "auto|" MIEN_PREPROCESS_CHOICES,
               "how a trained model's pixels are scaled; auto: as the file says"),
    KEY_TEXTS("model.classes", F(model.classes), "[]",
              "classes of a trained model's outputs, in order; []: as the file says"),
    KEY_TEXT("model.output", F(model.output), "auto",
             "which of several outputs of a trained model to use; auto: the only one"),
    KEY_TEXTS("data.sources", F(data.sources), "[sample]",
              "sample (generated faces), or files and folders of face images (docs/data.md); "
              "several are merged by class name"),
    KEY_TEXTS("data.classes", F(data.classes), "[]",
              "the classes to learn, in this order, after merging; images of others are left out; "
              "[]: all classes of the data"),
    KEY_LISTS("data.merge", F(data.merge), "{}",
              "classes to merge or rename, such as {negative: [angry, sad], joy: [happy]}"),
    KEY_TEXTS("data.drop_classes", F(data.drop_classes), "[]", "classes whose images are left out"),
    KEY_REAL("data.split.val", F(data.split.val), "0.1", 0, 0.9,
             "fraction used for validation if the data name no validation part; 0: no validation, "
             "the last epoch's weights are kept"),
    KEY_REAL("data.split.test", F(data.split.test), "0.1", 0, 0.9,
             "fraction used for testing if the data name no split"),
    KEY_CHOICE("data.split.by", F(data.split.by), "auto", MIEN_SPLIT_CHOICES,
               "usage: the split that the data name (FER2013's Usage column, folders "
               "train/val/test); stratified: random, with equal class proportions in every part; "
               "group: random, all images of a person in the same part; auto: usage if the data "
               "name a split, else group if people are known, else stratified"),
    KEY_INT("data.split.seed", F(data.split.seed), "1", 0, 2147483647,
            "random seed of a stratified or group split"),
    KEY_TEXT("data.on_bad", F(data.on_bad), "fail",
             "unreadable images or rows: fail (stop), skip, or skip:MAX (skip at most MAX)"),
    KEY_CHOICE("data.memory", F(data.memory), "auto", MIEN_MEMORY_CHOICES,
               "resident: keep all images in memory; stream: read them from disk while training; "
               "auto: stream if the images would need more than half of the free memory"),
    KEY_CHOICE("data.sampling", F(data.sampling), "natural", "natural|balanced",
               "natural: an epoch shows every training image once; balanced: the same number of "
               "images, but every class equally often (rare classes repeat)"),
    KEY_TEXT("data.soft_labels", F(data.soft_labels), "none",
             "file of FER+ votes (fer2013new.csv) with one row per row of the FER2013 csv, in the "
             "same order"),
    KEY_CHOICE("data.soft_mode", F(data.soft_mode), "majority", MIEN_SOFT_MODES,
               "training target made from the votes. majority: the class with more than half of "
               "them; probability: a class drawn from them in every epoch; distribution: their "
               "shares; multi: equal shares for every class with at least 30 % of them"),
    KEY_TEXT("data.groups", F(data.groups), "none",
             "csv with a column `file` or `row` and columns such as age or gender; metrics.json "
             "then reports metrics per subgroup"),
    KEY_INT("input.height", F(input.height), "48", 1, 1024,
            "height of the network's input in pixels"),
    KEY_INT("input.width", F(input.width), "48", 1, 1024, "width of the network's input in pixels"),
    KEY_INT("input.channels", F(input.channels), "1", 1, 4,
            "channels of the network's input: 1 grayscale, 3 RGB"),
    KEY_CHOICE("input.resize", F(input.resize), "area", "area",
               "filter for resizing images to the input size (enlarging is always bilinear)"),
    KEY_REAL("input.scale", F(input.scale), "0.00392157", 1e-9, 1e9,
             "factor applied to pixel values 0 to 255; the default is 1/255"),
    KEY_NUMBER_OR(
        "input.mean", F(input.mean), "dataset", -1e9, 1e9, "dataset",
        "subtracted after scaling; dataset: the mean of the training images, per channel"),
    KEY_NUMBER_OR("input.std", F(input.std), "dataset", 1e-9, 1e9, "dataset",
                  "divisor after subtracting the mean; dataset: the standard deviation of the "
                  "training images, per channel"),
    KEY_BOOL("augment.flip", F(augment.flip), "true", "horizontal flip with probability 0.5"),
    KEY_REAL("augment.rotate", F(augment.rotate), "10", 0, 180,
             "random rotation: up to this many degrees in either direction"),
    KEY_REAL("augment.shift", F(augment.shift), "0.1", 0, 1,
             "random shift: up to this fraction of height and width in either direction"),
    KEY_REAL("augment.zoom", F(augment.zoom), "0.1", 0, 0.9,
             "random zoom by a factor from 1 - z to 1 + z"),
    KEY_REAL("augment.crop", F(augment.crop), "0", 0, 0.9,
             "random crop: a window smaller by this fraction, resized to the input size"),
    KEY_REAL(
        "augment.brightness", F(augment.brightness), "0.2", 0, 1,
        "random brightness: adds up to this fraction of the full range 255, in either direction"),
    KEY_REAL("augment.contrast", F(augment.contrast), "0.2", 0, 1,
             "random contrast: a factor from 1 - c to 1 + c around mid-gray"),
    KEY_REAL("augment.erase", F(augment.erase), "0", 0, 1,
             "random erasing: probability of covering a rectangle with a random gray"),
    KEY_REAL("augment.mixup", F(augment.mixup), "0", 0, 10,
             "alpha of mixup's beta distribution; 0: off"),
    KEY_REAL("augment.mixup_p", F(augment.mixup_p), "0.5", 0, 1,
             "mixup: probability that a sample is mixed with another"),
    KEY_REAL("augment.off_last", F(augment.off_last), "0", 0, 1,
             "fraction of the epochs, at the end of training, without mixup and erasing"),
    KEY_CHOICE("optimizer.name", F(optimizer.name), "adam", "adam|adamw|sgd",
               "update rule as in Keras; weight_decay is decoupled with all of them, so adam and "
               "adamw do the same"),
    KEY_REAL("optimizer.learning_rate", F(optimizer.learning_rate), "0.001", 0, 100,
             "initial learning rate, which the schedule then changes"),
    KEY_REAL("optimizer.beta_1", F(optimizer.beta_1), "0.9", 0, 0.999999,
             "Adam: decay rate of the first moment"),
    KEY_REAL("optimizer.beta_2", F(optimizer.beta_2), "0.999", 0, 0.999999,
             "Adam: decay rate of the second moment"),
    KEY_REAL("optimizer.epsilon", F(optimizer.epsilon), "1.0e-7", 0, 1,
             "Adam: added to the denominator"),
    KEY_REAL("optimizer.weight_decay", F(optimizer.weight_decay), "0", 0, 1,
             "decoupled weight decay of kernels (not biases or batch norm): w -= learning_rate * "
             "weight_decay * w"),
    KEY_REAL("optimizer.momentum", F(optimizer.momentum), "0.9", 0, 0.9999, "SGD: momentum"),
    KEY_BOOL("optimizer.nesterov", F(optimizer.nesterov), "true", "SGD: Nesterov momentum"),
    KEY_REAL("optimizer.clip_norm", F(optimizer.clip_norm), "0", 0, 1e9,
             "clip the global gradient norm to this value; 0: off"),
    KEY_REAL("optimizer.ema", F(optimizer.ema), "0", 0, 0.999999,
             "decay of an exponential moving average of the weights; if on, the averaged weights "
             "are validated and saved; 0: off"),
    KEY_CHOICE("schedule.name", F(schedule.name), "constant", "constant|plateau|step|cosine",
               "learning-rate schedule"),
    KEY_REAL("schedule.warmup_epochs", F(schedule.warmup_epochs), "0", 0, 1000,
             "epochs over which the learning rate first rises linearly from 0"),
    KEY_REAL("schedule.factor", F(schedule.factor), "0.1", 0, 1,
             "plateau, step: factor by which the learning rate is multiplied at a drop"),
    KEY_INT("schedule.patience", F(schedule.patience), "10", 0, 100000,
            "plateau: epochs without an improvement in the monitored metric before a drop"),
    KEY_CHOICE("schedule.monitor", F(schedule.monitor), "val_loss", MIEN_MONITORS,
               "plateau: metric to monitor"),
    KEY_CHOICE("schedule.mode", F(schedule.mode), "auto", MODES,
               "plateau: whether the metric improves by falling (min) or rising (max); auto: by "
               "its name"),
    KEY_REAL("schedule.min_delta", F(schedule.min_delta), "0.0001", 0, 1e9,
             "plateau: an improvement must be larger than this"),
    KEY_INT("schedule.cooldown", F(schedule.cooldown), "0", 0, 100000,
            "plateau: epochs after a drop that do not count"),
    KEY_REAL("schedule.min_lr", F(schedule.min_lr), "0", 0, 100,
             "lower bound of the learning rate"),
    KEY_REALS("schedule.steps", F(schedule.steps), "[]", 0, 1e6,
              "step: epochs after which the learning rate drops"),
    KEY_REAL("loss.label_smoothing", F(loss.label_smoothing), "0", 0, 0.999,
             "fraction of the target probability spread evenly over all classes"),
    KEY_CHOICE("loss.class_weight", F(loss.class_weight), "none", "none|balanced",
               "balanced: weight each class in the loss by n / (classes * n_class), so that all "
               "count the same in total"),
    KEY_INT("train.epochs", F(train.epochs), "60", 1, 1000000, "passes over the training data"),
    KEY_INT("train.batch_size", F(train.batch_size), "64", 1, 65536, "images per training step"),
    KEY_NUMBER_OR("train.micro_batch", F(train.micro_batch), "auto", 1, 65536, "auto",
                  "images that go through the convolutions at a time, so that they fit the CPU's "
                  "caches; auto: depends on the number of threads, which changes no bit; whole "
                  "batches on a GPU"),
    KEY_CHOICE("train.dtype", F(train.dtype), "auto", "auto|f32|tf32|bf16|f16",
               "number type that convolutions and dense layers compute in; auto: f32 on a CPU, "
               "bf16 on a GPU"),
    KEY_BOOL("train.deterministic", F(train.deterministic), "false",
             "use only deterministic algorithms, chosen without timing them (slower)"),
    KEY_BOOL("train.warm_averages", F(train.warm_averages), "true",
             "when training from scratch: warm up batch norm's running statistics and "
             "optimizer.ema (with a new head, only this); their decay at step n is at most "
             "(1 + n) / (10 + n)"),
    KEY_CHOICE("train.on_nan", F(train.on_nan), "stop", "stop|skip|rollback",
               "when a loss, gradient or weight is not finite: stop training, skip that update, or "
               "go back to the start of the epoch with a smaller learning rate"),
    KEY_INT("train.nan_limit", F(train.nan_limit), "10", 0, 1000000,
            "skip, rollback: how often in a training; once more stops it"),
    KEY_REAL("train.nan_factor", F(train.nan_factor), "0.5", 0, 1,
             "rollback: factor by which the learning rate is multiplied each time"),
    KEY_INT("train.seed", F(train.seed), "1", 0, 2147483647,
            "random seed of weights, order, augmentation and dropout"),
    KEY_BOOL("early_stopping.enabled", F(early_stopping.enabled), "false",
             "stop when the monitored metric no longer improves"),
    KEY_CHOICE("early_stopping.monitor", F(early_stopping.monitor), "val_loss", MIEN_MONITORS,
               "metric to monitor"),
    KEY_CHOICE("early_stopping.mode", F(early_stopping.mode), "auto", MODES,
               "whether the metric improves by falling (min) or rising (max); auto: by its name"),
    KEY_INT("early_stopping.patience", F(early_stopping.patience), "10", 0, 100000,
            "epochs without an improvement before stopping"),
    KEY_REAL("early_stopping.min_delta", F(early_stopping.min_delta), "0", 0, 1e9,
             "an improvement must be larger than this"),
    KEY_NUMBER_OR("early_stopping.baseline", F(early_stopping.baseline), "none", -1e9, 1e9, "none",
                  "an improvement restarts the patience only if it is also better than this"),
    KEY_INT("early_stopping.start_from_epoch", F(early_stopping.start_from_epoch), "0", 0, 1000000,
            "epochs before monitoring starts"),
    KEY_BOOL("early_stopping.restore_best_weights", F(early_stopping.restore_best_weights), "true",
             "true: keep only the best epoch's weights (best.h5); false: with early stopping, also "
             "save the last epoch's (last.h5)"),
    KEY_CHOICE("checkpoint.monitor", F(checkpoint.monitor), "val_accuracy", MIEN_MONITORS,
               "metric by which best.h5 is chosen"),
    KEY_CHOICE("checkpoint.mode", F(checkpoint.mode), "auto", MODES,
               "whether the metric improves by falling (min) or rising (max); auto: by its name"),
    KEY_INT("checkpoint.every_steps", F(checkpoint.every_steps), "0", 0, 1000000000,
            "steps between checkpoints, from which --resume continues; 0: none within epochs"),
    KEY_INT("checkpoint.every_epochs", F(checkpoint.every_epochs), "1", 0, 1000000,
            "epochs between checkpoints; one is skipped within 5 s of another. 0: none"),
    KEY_INT("checkpoint.keep", F(checkpoint.keep), "2", 2, 1000000,
            "checkpoints to keep, the newest ones"),
    KEY_TEXT("checkpoint.file", F(checkpoint.file), "none",
             "model file to write after each epoch, in the run folder, such as "
             "\"model-{epoch:02d}-{val_accuracy:.4f}.h5\" (docs/callbacks.md)"),
    KEY_BOOL("checkpoint.save_best_only", F(checkpoint.save_best_only), "false",
             "write it only if the epoch is the best so far by checkpoint.monitor"),
    KEY_NUMBER_OR("checkpoint.initial_value_threshold", F(checkpoint.initial_value_threshold),
                  "none", -1e9, 1e9, "none", "and only if it is better than this"),
    KEY_TEXT("csv_logger.separator", F(csv_logger.separator), "\",\"",
             "character between the columns of log.csv"),
    KEY_BOOL("tensorboard.enabled", F(tensorboard.enabled), "false",
             "write the event files that TensorBoard reads (docs/callbacks.md)"),
    KEY_INT("tensorboard.histogram_freq", F(tensorboard.histogram_freq), "0", 0, 1000000,
            "epochs between histograms of the weights; 0: none"),
    KEY_INT("tensorboard.confusion_freq", F(tensorboard.confusion_freq), "1", 0, 1000000,
            "epochs between images of the confusion matrix of the validation part; 0: none"),
    KEY_CHOICE("evaluate.tta", F(evaluate.tta), "none", MIEN_TTA_CHOICES,
               "test-time augmentation: average over the image and its mirror image (flip), or "
               "over ten crops (tencrop)"),
};

mien_keys mien_config_keys(void) {
    return (mien_keys){rows, sizeof rows / sizeof rows[0]};
}

const char *mien_monitor_name(int what) {
    static const char *const names[] = {"val_loss", "val_accuracy", "val_macro_f1", "loss",
                                        "accuracy"};
    return names[what];
}

bool mien_monitor_validates(int what) {
    return what != MIEN_MONITOR_LOSS && what != MIEN_MONITOR_ACCURACY;
}

mien_status mien_config_start(mien_config *config) {
    memset(config, 0, sizeof *config);
    return mien_keys_defaults(mien_config_keys(), config);
}

/* "/a/./b" is "/a/b": a config has the same settings by whichever path it is named. */
static void drop_dots(char *path) {
    for (char *at; path[0] == '/' && (at = strstr(path, "/./"));)
        memmove(at, at + 2, strlen(at + 2) + 1);
}

/* A path in a config is relative to the config's folder. "sample" and bare names are not paths. */
static mien_status relative(const char *config, const char *value, char *out) {
    char folder[MIEN_PATH];
    if (value[0] == '/' || strcmp(value, "sample") == 0 ||
        (!strchr(value, '/') && !strchr(value, '.'))) {
        MIEN_TRY(mien_path_join(out, "", value));
    } else {
        mien_path_folder(folder, config);
        MIEN_TRY(mien_path_join(out, folder, value));
    }
    drop_dots(out);
    return MIEN_OK;
}

/* Makes the paths relative to the config's folder, but only those whose keys are in the file. */
static mien_status rebase(mien_config *config, const char *path, const bool *seen) {
    char joined[MIEN_PATH];
    const struct {
        const char *key;
        char *value;
    } files[] = {{"model.file", config->model.file},
                 {"model.architecture", config->model.architecture},
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
    if (!getcwd(here, sizeof here - 8)) return MIEN_FAIL(IO, "cannot determine the current folder");
    strcat(here, "/config");
    MIEN_TRY(relative(here, config->model.file, copy.model.file));
    MIEN_TRY(relative(here, config->model.architecture, copy.model.architecture));
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

mien_status mien_config_read_text(mien_config *config, const char *text, const char *source) {
    mien_tree tree = {0};
    mien_status status = mien_yaml_parse(text, strlen(text), source, &tree);
    if (status == MIEN_OK)
        status = mien_keys_read(mien_config_keys(), config, tree.root, source, NULL);
    mien_tree_release(&tree);
    return status;
}

/* A copy with absolute paths. */
static mien_status absolute(const mien_config *config, mien_config *out) {
    mien_text text = {0};
    mien_status status = mien_config_start(out);
    if (status == MIEN_OK) status = mien_config_print_absolute(config, &text);
    if (status == MIEN_OK) status = mien_config_read_text(out, text.data, "config");
    mien_text_release(&text);
    return status;
}

mien_status mien_config_differences(const mien_config *config, const mien_config *before,
                                    mien_text *out) {
    const mien_keys keys = mien_config_keys();
    mien_config now = {0}, then = {0};
    mien_status status = absolute(before, &then);
    if (status == MIEN_OK) status = absolute(config, &now);
    for (size_t i = 0; status == MIEN_OK && i < keys.count; i++) {
        mien_text a = {0}, b = {0};
        mien_key_print_value(&keys.rows[i], &now, &a);
        mien_key_print_value(&keys.rows[i], &then, &b);
        if (a.data && b.data && strcmp(a.data, b.data) != 0)
            mien_text_printf(out, "%s%s is %s, was %s", out->size ? "; " : "", keys.rows[i].name,
                             a.data, b.data);
        if (a.status != MIEN_OK || b.status != MIEN_OK)
            status = MIEN_FAIL(NO_MEMORY, "out of memory for the settings");
        mien_text_release(&a);
        mien_text_release(&b);
    }
    mien_config_release(&now);
    mien_config_release(&then);
    return status == MIEN_OK ? out->status : status;
}

mien_status mien_config_find(const char *name, char *out) {
    if (strchr(name, '/') || mien_path_ends(name, ".yaml") || mien_file_exists(name))
        return mien_path_join(out, "", name);
    return mien_shipped_find("config", "train", name, out);
}

static mien_status check_outputs(const mien_config *config) {
    const char *separator = config->csv_logger.separator, *file = config->checkpoint.file;
    const mien_template_value any[] = {{"epoch", 1, true},         {"loss", 1, false},
                                       {"accuracy", 1, false},     {"learning_rate", 1, false},
                                       {"val_loss", 1, false},     {"val_accuracy", 1, false},
                                       {"val_macro_f1", 1, false}, {NULL, 0, false}};
    char name[MIEN_PATH], known[128];
    if (strlen(separator) != 1 || isalnum((unsigned char)*separator) ||
        strchr("+-.\"\r\n_", *separator))
        return MIEN_FAIL(INVALID,
                         "csv_logger.separator is '%s', but must be one character that no number "
                         "or column name has, such as \";\" or \"\\t\"",
                         separator);
    if (strcmp(file, "none") == 0) return MIEN_OK;
    MIEN_TRY(mien_template_expand(file, any, name));
    mien_model_suffixes(MIEN_FORMAT_WRITTEN | MIEN_FORMAT_TRAINABLE, known, sizeof known);
    if (!mien_model_format_for(name, false))
        return MIEN_FAIL(INVALID, "checkpoint.file is '%s', but models are written as %s", file,
                         known);
    if (!mien_saved_models_inside(name) || strchr(name, '\n'))
        return MIEN_FAIL(INVALID, "checkpoint.file is '%s', but must be a name in the run folder",
                         file);
    return MIEN_OK;
}

mien_status mien_config_check(const mien_config *config) {
    if (config->data.sources.count == 0)
        return MIEN_FAIL(INVALID, "data.sources is empty: name at least one source");
    if (config->data.sources.count > 1 && strcmp(config->data.soft_labels, "none") != 0)
        return MIEN_FAIL(
            INVALID,
            "data.soft_labels works with a single csv of faces, but data.sources has %zu sources",
            config->data.sources.count);
    if (config->data.sources.count > 1 && strcmp(config->data.groups, "none") != 0)
        return MIEN_FAIL(INVALID,
                         "data.groups works with a single source, but data.sources has %zu sources",
                         config->data.sources.count);
    if (config->data.split.val + config->data.split.test > 0.95)
        return MIEN_FAIL(INVALID, "data.split.val and data.split.test leave almost nothing to "
                                  "train on: their sum may be at most 0.95");
    if (config->early_stopping.enabled && config->schedule.name == MIEN_SCHEDULE_COSINE)
        MIEN_WARN("early_stopping may end a cosine schedule before its learning rate has fallen");
    if (config->schedule.name == MIEN_SCHEDULE_STEP && config->schedule.steps.count == 0)
        return MIEN_FAIL(INVALID,
                         "schedule.name is step, but schedule.steps is empty: list the epochs");
    MIEN_TRY(check_outputs(config));
    if (config->model.head.word < 0 &&
        config->model.head.number != floor(config->model.head.number))
        return MIEN_FAIL(INVALID, "model.head must be a whole number of classes, not %g",
                         config->model.head.number);
    mien_class_choice choice;
    const mien_status chosen = mien_choice_create(&config->data.classes, &config->data.merge,
                                                  &config->data.drop_classes, &choice);
    mien_choice_release(&choice);
    MIEN_TRY(chosen);
    mien_on_bad on_bad;
    return mien_on_bad_parse(config->data.on_bad, &on_bad);
}

void mien_config_release(mien_config *config) {
    mien_keys_release(mien_config_keys(), config);
}

mien_status mien_config_data(mien_config *config, const char *source) {
    for (size_t i = 0; i < config->data.sources.count; i++)
        mien_free(config->data.sources.items[i]);
    if (!config->data.sources.items)
        MIEN_TRY(mien_new(&config->data.sources.items, 1, sizeof(char *)));
    config->data.sources.count = 1;
    config->data.sources.items[0] = NULL;
    return mien_copy_text(&config->data.sources.items[0], source);
}

mien_status mien_config_data_exist(const mien_config *config, const char *recipe) {
    for (size_t i = 0; i < config->data.sources.count; i++) {
        const char *source = config->data.sources.items[i], *slash = strrchr(source, '/');
        if (strcmp(source, "sample") == 0 || mien_file_exists(source)) continue;
        return MIEN_FAIL(NOT_FOUND,
                         "recipe '%s' reads '%s', which is missing: give your data with "
                         "--data SRC (datasets/README.md says where to get them)",
                         recipe, slash ? slash + 1 : source);
    }
    return MIEN_OK;
}
