#include "host/cli/model_flags.h"

#include <stdio.h>
#include <string.h>

bool cli_model_flags(mien_model_options *options, int models) {
    const char *list = MIEN_PREPROCESS_CHOICES, *part;
    size_t length;
    options->several = models > 1;
    if (options->classes && !*options->classes) {
        fprintf(stderr, "mien: --classes needs names, such as angry,happy,sad\n");
        return false;
    }
    if (!options->preprocess) return true;
    while (mien_next_part(&list, '|', &part, &length))
        if (strlen(options->preprocess) == length &&
            strncmp(options->preprocess, part, length) == 0)
            return true;
    fprintf(stderr, "mien: --preprocess must be one of %s, not '%s'\n", MIEN_PREPROCESS_CHOICES,
            options->preprocess);
    return false;
}
