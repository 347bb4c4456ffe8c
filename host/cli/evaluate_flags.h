/* The flags that evaluate and compare share: which data, which part, how. */
#ifndef HOST_CLI_EVALUATE_FLAGS_H
#define HOST_CLI_EVALUATE_FLAGS_H

#include "host/cli/model_flags.h"
#include "host/eval/evaluate.h"

typedef struct evaluate_flags {
    const char *data, *split, *tta, *batch, *on_bad, *memory, *soft_labels, *groups, *drop_classes;
    mien_model_options options;
    mien_part part;       /* when --split names one */
    mien_on_bad bad_rows; /* when --on-bad is given */
} evaluate_flags;

/* Entries of a command's table of flags. */
#define EVALUATE_FLAGS(f)                                                                          \
    {"--data",  "SRC", "sample, a file or a folder (default: the model's training data)",          \
     &(f).data, NULL,  NULL},                                                                      \
        {"--split",  "PART", "train, val, test or all (default: test, else val, else all)",        \
         &(f).split, NULL,   NULL},                                                                \
        {"--tta",                                                                                  \
         MIEN_TTA_CHOICES,                                                                         \
         "test-time augmentation: average over views of each image (default: none)",               \
         &(f).tta,                                                                                 \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"--groups",                                                                               \
         "FILE.csv",                                                                               \
         "metrics by subgroup: a CSV with `file` or `row` and columns such as age",                \
         &(f).groups,                                                                              \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"--drop-classes",  "A,B", "leave out images and answers of these classes",                \
         &(f).drop_classes, NULL,  NULL},                                                          \
        {"--batch", "N", "batch size (default: 128)", &(f).batch, NULL, NULL},                     \
        {"--on-bad",                                                                               \
         "fail|skip[:MAX]",                                                                        \
         "unreadable images or rows (default: fail; for the training data as in training)",        \
         &(f).on_bad,                                                                              \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"--soft-labels",                                                                          \
         "FILE|none",                                                                              \
         "file of FER+ votes (default: the one used in training, next to the data)",               \
         &(f).soft_labels,                                                                         \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"--memory",                                                                               \
         MIEN_MEMORY_CHOICES,                                                                      \
         "keep the images in memory or read them batch by batch (default: auto)",                  \
         &(f).memory,                                                                              \
         NULL,                                                                                     \
         NULL},                                                                                    \
        CLI_MODEL_FLAGS((f).options)

/* Turns the flags into a request for `models`, which borrows both; prints a usage error and returns
 * false if one is wrong. */
bool evaluate_flags_check(evaluate_flags *flags, const cli_list *models,
                          mien_evaluate_request *out);

#endif
