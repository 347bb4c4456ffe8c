#include "host/graph/replay.h"

#include <stdio.h>

#include "host/base/log.h"

/* Recording executes nothing, so when it fails on a device that still works the work can run
 * directly from then on: an engine that allocates, waits or loads code while it runs must not end a
 * training. A device fault ends it; the library's own code does not tell the two apart, the next
 * wait does. */
static mien_status record(mien_replay *replay, mien_backend *b, mien_status (*work)(void *context),
                          void *context) {
    char message[MIEN_MESSAGE]; /* of the first failure, not of ending the recording */
    MIEN_TRY(b->ops->capture->begin(b));
    const mien_status working = work(context);
    snprintf(message, sizeof message, "%s", mien_error_message());
    const mien_status ending = b->ops->capture->end(b, &replay->capture);
    if (working == MIEN_OK && ending == MIEN_OK) return MIEN_OK;
    if (working == MIEN_OK) snprintf(message, sizeof message, "%s", mien_error_message());
    if (ending == MIEN_OK) b->ops->capture->free(b, replay->capture);
    replay->capture = NULL; /* never replay a partial recording */
    const mien_status device = b->ops->sync(b);
    if (device != MIEN_OK) return mien_fail(device, __FILE__, __LINE__, "%s", message);
    replay->direct = true;
    MIEN_INFO("a batch of %d is launched kernel by kernel, because it cannot be recorded: %s",
              replay->rows, message);
    return MIEN_OK;
}

mien_status mien_replay_run(mien_replay *replay, mien_backend *b, unsigned version,
                            mien_status (*work)(void *context), void *context) {
    if (!b->ops->capture) return work(context);
    if (replay->version != version) {
        if (replay->capture) b->ops->capture->free(b, replay->capture);
        replay->capture = NULL;
        replay->warm = replay->direct = false;
        replay->version = version;
    }
    if (!replay->warm) { /* libraries initialise themselves on the first call */
        MIEN_TRY(work(context));
        replay->warm = true;
        return MIEN_OK;
    }
    if (!replay->capture && !replay->direct) MIEN_TRY(record(replay, b, work, context));
    if (replay->direct) return work(context);
    return b->ops->capture->replay(b, replay->capture);
}

void mien_replay_release(mien_replay *replay, mien_backend *b) {
    if (replay->capture) b->ops->capture->free(b, replay->capture);
    *replay = (mien_replay){0};
}
