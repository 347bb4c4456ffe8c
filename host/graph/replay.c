#include "host/graph/replay.h"

#include <stdio.h>

static mien_status record(mien_replay *replay, mien_backend *b, mien_status (*work)(void *context),
                          void *context) {
    MIEN_TRY(b->ops->capture->begin(b));
    const mien_status status = work(context);
    if (status == MIEN_OK) return b->ops->capture->end(b, &replay->capture);
    char message[MIEN_MESSAGE]; /* report the error of the work, not one of ending the recording */
    snprintf(message, sizeof message, "%s", mien_error_message());
    if (b->ops->capture->end(b, &replay->capture) == MIEN_OK)
        b->ops->capture->free(b, replay->capture);
    replay->capture = NULL; /* never replay a partial recording */
    return mien_fail(status, __FILE__, __LINE__, "%s", message);
}

mien_status mien_replay_run(mien_replay *replay, mien_backend *b, unsigned version,
                            mien_status (*work)(void *context), void *context) {
    if (!b->ops->capture) return work(context);
    if (replay->version != version) {
        if (replay->capture) b->ops->capture->free(b, replay->capture);
        replay->capture = NULL;
        replay->warm = false;
        replay->version = version;
    }
    if (!replay->warm) { /* libraries initialise themselves on the first call */
        MIEN_TRY(work(context));
        replay->warm = true;
        return MIEN_OK;
    }
    if (!replay->capture) MIEN_TRY(record(replay, b, work, context));
    return b->ops->capture->replay(b, replay->capture);
}

void mien_replay_release(mien_replay *replay, mien_backend *b) {
    if (replay->capture) b->ops->capture->free(b, replay->capture);
    *replay = (mien_replay){0};
}
