#include "host/train/divergence.h"

#include <stdio.h>
#include <string.h>

#include "host/base/log.h"

static bool goes_back(const mien_trainer *t) {
    return t->config->train.on_nan == MIEN_ON_NAN_ROLLBACK;
}

mien_status mien_divergence_fail(const mien_trainer *t, int epoch, const char *what) {
    body_step state;
    MIEN_TRY(mien_plan_read(t->plan, &state));
    return MIEN_FAIL(DIVERGED,
                     "epoch %d, step %lld: %s is not finite; try a smaller "
                     "optimizer.learning_rate (now %g) or optimizer.clip_norm",
                     epoch, t->step, what, state.learning_rate);
}

mien_status mien_divergence_check(mien_trainer *t, int epoch) {
    static const char what[] = "a loss, gradient or weight";
    body_step state;
    MIEN_TRY(mien_plan_read(t->plan, &state));
    if (!state.bad) return MIEN_OK;
    if (t->config->train.on_nan != MIEN_ON_NAN_SKIP) return mien_divergence_fail(t, epoch, what);
    if (t->nan_count >= t->config->train.nan_limit)
        return MIEN_FAIL(DIVERGED,
                         "epoch %d, step %lld: %s is not finite, after %d updates that were "
                         "skipped (train.nan_limit); try a smaller optimizer.learning_rate (now "
                         "%g) or optimizer.clip_norm",
                         epoch, t->step, what, t->nan_count, state.learning_rate);
    t->nan_count++;
    MIEN_WARN("step %lld: %s was not finite; its update was skipped", t->step, what);
    state.bad = 0;
    return mien_plan_write(t->plan, &state);
}

/* The start of the epoch that the run continues is in a checkpoint. */
static mien_status reopen(mien_trainer *t) {
    mien_resume from;
    mien_status status =
        mien_checkpoints_open(t->request->folder, t->request->resume->progress.good_step, &from);
    bool found;
    for (mien_array array = 0; status == MIEN_OK && array < MIEN_ARRAYS; array++)
        status = mien_checkpoint_array(&from.file, from.path, &t->setup.model.graph, array,
                                       &t->good.arrays[array], &found);
    if (status == MIEN_OK) t->good.progress = from.progress;
    if (status != MIEN_OK && status != MIEN_NO_MEMORY) {
        MIEN_WARN("no checkpoint of the start of this epoch: %s; it cannot be rolled back",
                  mien_error_message());
        mien_weights_release(&t->good.arrays[MIEN_ARRAY_WEIGHTS]);
        status = MIEN_OK;
    }
    mien_resume_release(&from);
    return status;
}

mien_status mien_divergence_keep(mien_trainer *t, mien_train_result *result) {
    mien_good *good = &t->good;
    mien_progress now;
    if (!goes_back(t)) return MIEN_OK;
    if (t->resumed.tick) return reopen(t);
    MIEN_TRY(mien_trainer_capture(t, result, &now));
    for (mien_array array = 0; array < MIEN_ARRAYS; array++)
        if (t->arrays[array].items)
            MIEN_TRY(mien_weights_check(&t->setup.model.graph, &t->arrays[array]));
    const bool follows = good->arrays[MIEN_ARRAY_WEIGHTS].items != NULL &&
                         good->progress.device.step != now.device.step;
    t->good_before = follows ? (long long)good->progress.device.step : t->good_before;
    good->progress = now;
    for (mien_array array = 0; array < MIEN_ARRAYS; array++) {
        const mien_weights captured = t->arrays[array];
        t->arrays[array] = good->arrays[array];
        good->arrays[array] = captured;
    }
    return mien_trainer_checkpoint(t, result);
}

mien_status mien_divergence_return(mien_trainer *t, mien_status status, mien_train_result *result) {
    char message[512];
    snprintf(message, sizeof message, "%s", mien_error_message());
    if (status != MIEN_DIVERGED || !goes_back(t) || !t->good.arrays[MIEN_ARRAY_WEIGHTS].items)
        return status;
    if (t->nan_count >= t->config->train.nan_limit)
        return MIEN_FAIL(DIVERGED, "after %d roll backs (train.nan_limit): %s", t->nan_count,
                         message);
    t->nan_count++;
    t->rate_factor *= t->config->train.nan_factor;
    message[strcspn(message, ";")] = 0; /* without the advice */
    MIEN_WARN("%s; back to the start of the epoch with %g times the learning rate", message,
              t->rate_factor);
    MIEN_TRY(mien_trainer_restore(t, &t->good, result));
    mien_checkpoints_forget(t->request->folder, t->good.progress.device.step);
    return MIEN_OK;
}
