/* The configuration of a training run: one struct and one key table (config.c), which parses YAML
 * and --set, prints --print-config, and from which docs/config.md is generated. */
#ifndef HOST_TRAIN_CONFIG_H
#define HOST_TRAIN_CONFIG_H

#include "host/base/file.h"
#include "host/base/keys.h"
#include "host/data/split.h"
#include "host/data/votes.h"

enum { MIEN_SCHEDULE_CONSTANT, MIEN_SCHEDULE_PLATEAU, MIEN_SCHEDULE_STEP, MIEN_SCHEDULE_COSINE };
enum { MIEN_CLASS_WEIGHT_NONE, MIEN_CLASS_WEIGHT_BALANCED };
/* model.head: the model's own if it has the data's classes, else a new one; a new one. */
typedef enum mien_head_choice { MIEN_HEAD_AUTO, MIEN_HEAD_FRESH } mien_head_choice;
enum { MIEN_ON_NAN_STOP, MIEN_ON_NAN_SKIP, MIEN_ON_NAN_ROLLBACK };
enum {
    MIEN_MONITOR_VAL_LOSS,
    MIEN_MONITOR_VAL_ACCURACY,
    MIEN_MONITOR_VAL_MACRO_F1,
    MIEN_MONITOR_LOSS,
    MIEN_MONITOR_ACCURACY,
    MIEN_MONITOR_COUNT
};
#define MIEN_MONITORS "val_loss|val_accuracy|val_macro_f1|loss|accuracy"
enum { MIEN_MODE_AUTO, MIEN_MODE_MIN, MIEN_MODE_MAX };

typedef struct mien_config {
    struct {
        char file[MIEN_PATH];
        mien_number_or head; /* word: mien_head_choice */
        mien_texts freeze, classes;
        char architecture[MIEN_PATH], output[MIEN_CLASS_NAME];
        int preprocess; /* MIEN_PREPROCESS_AUTO, or 1 + a choice of MIEN_PREPROCESS_CHOICES */
    } model;
    struct {
        mien_texts sources, classes, drop_classes;
        mien_lists merge;
        mien_split split;
        char on_bad[32];
        int memory;   /* mien_memory */
        int sampling; /* 1: balanced */
        char soft_labels[MIEN_PATH];
        int soft_mode; /* mien_soft_mode */
        char groups[MIEN_PATH];
    } data;
    struct {
        int height, width, channels, resize;
        double scale;
        mien_number_or mean, std; /* word 0: dataset */
    } input;
    struct {
        bool flip;
        double rotate, shift, zoom, crop, brightness, contrast, erase, mixup, mixup_p, off_last;
    } augment;
    struct {
        int name;
        double learning_rate, beta_1, beta_2, epsilon, weight_decay, momentum, clip_norm, ema;
        bool nesterov;
    } optimizer;
    struct {
        int name, patience, monitor, mode, cooldown;
        double warmup_epochs, factor, min_lr, min_delta;
        mien_reals steps;
    } schedule;
    struct {
        double label_smoothing;
        int class_weight;
    } loss;
    struct {
        int epochs, batch_size, on_nan, nan_limit, seed, dtype;
        double nan_factor;
        mien_number_or micro_batch; /* word 0: auto */
        bool deterministic, warm_averages;
    } train;
    struct {
        bool enabled, restore_best_weights;
        int monitor, mode, patience, start_from_epoch;
        double min_delta;
        mien_number_or baseline; /* word 0: none */
    } early_stopping;
    struct {
        int monitor, mode, every_steps, every_epochs, keep;
        char file[MIEN_PATH]; /* file_template.h; "none" */
        bool save_best_only;
        mien_number_or initial_value_threshold; /* word 0: none */
    } checkpoint;
    struct {
        char separator[8];
    } csv_logger;
    struct {
        bool enabled;
        int histogram_freq, confusion_freq;
    } tensorboard;
    struct {
        int tta; /* mien_tta */
    } evaluate;
    char path[MIEN_PATH]; /* the file it was read from; "" for none */
} mien_config;

mien_keys mien_config_keys(void);
const char *mien_monitor_name(int what);
/* Whether a quantity, one of MIEN_MONITOR_…, is of the validation part. */
bool mien_monitor_validates(int what);
/* Sets every key to its default. */
mien_status mien_config_start(mien_config *config);
/* Reads a file on top of the current values. Relative paths in it are resolved against its folder.
 */
mien_status mien_config_read(mien_config *config, const char *path);
/* Replaces the sources of data by one. */
mien_status mien_config_data(mien_config *config, const char *source);
/* NOT_FOUND if one of its sources is missing; `recipe` is for the message. */
mien_status mien_config_data_exist(const mien_config *config, const char *recipe);
/* Reads text that mien_config_print_absolute wrote; `source` is for messages. */
mien_status mien_config_read_text(mien_config *config, const char *text, const char *source);
/* Appends the keys whose values differ: "train.epochs is 10, was 20; …". Paths are compared as
 * absolute ones. */
mien_status mien_config_differences(const mien_config *config, const mien_config *before,
                                    mien_text *out);
/* Finds a recipe. `name` is a path, or the bare name of a file in configs/train of the source tree
 * or the installation; out has MIEN_PATH bytes. */
mien_status mien_config_find(const char *name, char *out);
/* Prints every key with absolute paths, so that the text is valid in any folder. */
mien_status mien_config_print_absolute(const mien_config *config, mien_text *out);
/* Rejects contradictory combinations of keys and warns about questionable ones. */
mien_status mien_config_check(const mien_config *config);
void mien_config_release(mien_config *config);

#endif
