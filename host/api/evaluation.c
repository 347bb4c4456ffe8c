/* include/mien/evaluation.h over host/eval/evaluate.h. */
#include "include/mien/evaluation.h"

#include <string.h>

#include "host/backend/ops.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/eval/evaluate.h"
#include "host/train/votes.h"

/* The index of `text` among `words`, 0 for NULL. */
static mien_status choose(const char *what, const char *text, const char *const *words, int count,
                          int *out) {
    mien_text list = {0};
    *out = 0;
    for (int i = 0; text && i < count; i++, (*out)++)
        if (strcmp(text, words[i]) == 0) return MIEN_OK;
    if (!text) return MIEN_OK;
    for (int i = 0; i < count; i++)
        mien_text_printf(&list, "%s%s", words[i],
                         i < count - 2 ? ", " : (i < count - 1 ? " or " : ""));
    const mien_status status =
        list.status == MIEN_OK
            ? MIEN_FAIL(INVALID, "%s must be %s, not '%s'", what, list.data, text)
            : list.status;
    mien_text_release(&list);
    return status;
}

mien_status mien_evaluation_json(const char *const *models, int model_count, mien_backend *backend,
                                 const mien_evaluation_settings *settings, char **json) {
    static const char *const parts[] = {"train", "val", "test", "all"};
    static const char *const views[] = {MIEN_TTA_NONE, MIEN_TTA_FLIP, MIEN_TTA_TENCROP};
    const mien_evaluation_settings want = settings ? *settings : (mien_evaluation_settings){0};
    mien_evaluation e = {0};
    mien_text text = {0};
    char votes[MIEN_PATH];
    mien_status status;
    int part, view;
    *json = NULL;
    if (model_count < 1) return MIEN_FAIL(INVALID, "an evaluation needs at least one model");
    MIEN_TRY(choose("split", want.split, parts, 4, &part));
    MIEN_TRY(choose("tta", want.tta, views, 3, &view));
    if (want.batch < 0) return MIEN_FAIL(INVALID, "batch must be 1 or more, not %d", want.batch);
    const mien_part named = (mien_part)part;
    mien_evaluate_request request = {.models = models,
                                     .model_count = model_count,
                                     .data = want.data,
                                     .part = want.split ? &named : NULL,
                                     .tta = (mien_tta)view,
                                     .batch = want.batch,
                                     .soft_labels = want.soft_labels,
                                     .groups = want.groups,
                                     .drop_classes = want.drop_classes};
    if (!want.data && !want.soft_labels && mien_votes_of_run(models[0], votes))
        request.votes_of_run = votes;
    const mien_thread_mode mode = mien_threads_enter(backend->team);
    status = mien_evaluate(&request, backend, &e);
    mien_threads_leave(mode);
    MIEN_GO(status);
    mien_evaluation_document(&e, true, &text);
    MIEN_GO(text.status);
    *json = text.data;
    text = (mien_text){0};
out:
    mien_text_release(&text);
    mien_evaluation_release(&e);
    return status;
}

void mien_string_free(char *string) {
    mien_free(string);
}
