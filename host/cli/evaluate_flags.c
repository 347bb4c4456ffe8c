#include "host/cli/evaluate_flags.h"

#include <stdio.h>
#include <string.h>

/* The index of `text` among `words`, 0 if it is NULL; prints a usage error and returns -1 if it is
 * none of them. */
static int choose(const char *flag, const char *text, const char *const *words, int count) {
    for (int i = 0; text && i < count; i++)
        if (strcmp(text, words[i]) == 0) return i;
    if (!text) return 0;
    fprintf(stderr, "mien: %s must be ", flag);
    for (int i = 0; i < count; i++)
        fprintf(stderr, "%s%s", words[i], i < count - 2 ? ", " : (i < count - 1 ? " or " : ""));
    fprintf(stderr, ", not '%s'\n", text);
    return -1;
}

bool evaluate_flags_check(evaluate_flags *flags, const cli_list *models,
                          mien_evaluate_request *out) {
    static const char *const parts[] = {"train", "val", "test", "all"};
    static const char *const memories[] = {"auto", "resident", "stream"};
    static const char *const views[] = {MIEN_TTA_NONE, MIEN_TTA_FLIP, MIEN_TTA_TENCROP};
    long long batch = MIEN_EVALUATE_BATCH;
    const int view = choose("--tta", flags->tta, views, 3);
    const int part = view < 0 ? -1 : choose("--split", flags->split, parts, 4);
    const int memory = part < 0 ? -1 : choose("--memory", flags->memory, memories, 3);
    if (memory < 0 || !cli_model_flags(&flags->options, models->count)) return false;
    flags->part = (mien_part)part;
    if (flags->batch && !cli_number("--batch", flags->batch, 1, 65536, &batch)) return false;
    *out = (mien_evaluate_request){.models = models->items,
                                   .model_count = models->count,
                                   .data = flags->data,
                                   .part = flags->split ? &flags->part : NULL,
                                   .tta = (mien_tta)view,
                                   .batch = (int)batch,
                                   .memory = (mien_memory)memory,
                                   .soft_labels = flags->soft_labels,
                                   .groups = flags->groups,
                                   .drop_classes = flags->drop_classes,
                                   .options = flags->options,
                                   .stop = &cli_stop};
    if (flags->on_bad) out->on_bad = &flags->bad_rows;
    return cli_on_bad(flags->on_bad, &flags->bad_rows);
}
