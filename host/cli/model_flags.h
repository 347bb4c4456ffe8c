/* The flags for what files of other programs do not say, of every command that opens models. */
#ifndef HOST_CLI_MODEL_FLAGS_H
#define HOST_CLI_MODEL_FLAGS_H

#include "host/cli/cli.h"
#include "host/formats/model.h"

/* Rows of a command's table of flags; `options` is a mien_model_options. */
#define CLI_MODEL_FLAGS(options)                                                                   \
    {"--preprocess",                                                                               \
     MIEN_PREPROCESS_CHOICES,                                                                      \
     "how pixels are scaled, for a model that does not say it",                                    \
     &(options).preprocess,                                                                        \
     NULL,                                                                                         \
     NULL},                                                                                        \
        {"--classes",                                                                              \
         "A,B,...",                                                                                \
         "classes of its outputs, in order, for a model that does not name them; none: numbers",   \
         &(options).classes,                                                                       \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"--architecture",                                                                         \
         "FILE|NAME",                                                                              \
         "the network of a file that holds only weights: JSON of Keras, YAML, or vgg16, "          \
         "resnet50, …",                                                                            \
         &(options).architecture,                                                                  \
         NULL,                                                                                     \
         NULL},                                                                                    \
    {                                                                                              \
        "--output", "NAME", "which output to use, for a file with several", &(options).output,     \
            NULL, NULL                                                                             \
    }

/* Checks the values of these flags; prints a usage error and returns false if one is wrong.
 * `models` are the command's models: with several the flags are for those that need them. */
bool cli_model_flags(mien_model_options *options, int models);

#endif
