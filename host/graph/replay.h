/* Work that differs between calls only by the contents of backend memory: it runs directly the
 * first time, is recorded the second time, and is replayed with one call from then on. A backend
 * that cannot record runs it directly every time. */
#ifndef HOST_GRAPH_REPLAY_H
#define HOST_GRAPH_REPLAY_H

#include "host/backend/ops.h"

/* Zero-initialise; release with mien_replay_release. */
typedef struct mien_replay {
    mien_capture *capture;
    int rows;            /* for the owner: the batch size it was made for */
    const void *weights; /* for the owner: the weights it reads */
    bool warm;           /* has run once */
    bool direct;         /* cannot be recorded */
    unsigned version;    /* of the last run */
} mien_replay;

/* `work` must launch exactly the same work at every call with the same `version`. */
mien_status mien_replay_run(mien_replay *replay, mien_backend *backend, unsigned version,
                            mien_status (*work)(void *context), void *context);
void mien_replay_release(mien_replay *replay, mien_backend *backend);

#endif
