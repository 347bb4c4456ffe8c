#include "host/graph/replay.h"

static mien_status record(mien_replay *replay, mien_backend *b, mien_status (*work)(void *context),
                          void *context) {
    MIEN_TRY(b->ops->capture->begin(b));
    const mien_status status = work(context);
    const mien_status ending = b->ops->capture->end(b, &replay->capture);
    return status != MIEN_OK ? status : ending;
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
    if (!replay->warm) { /* libraries set themselves up at their first call */
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
