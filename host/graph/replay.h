/* Work that is the same every time but for what lies in backend memory: done once as it is,
 * recorded the second time, from then on replayed with one call. Where the backend cannot record,
 * it is done as it is every time. */
#ifndef HOST_GRAPH_REPLAY_H
#define HOST_GRAPH_REPLAY_H

#include "host/backend/ops.h"

/* Zero-initialise; release with mien_replay_release. */
typedef struct mien_replay {
    mien_capture *capture;
    int rows;            /* the owner's: of the batch it was made for */
    const void *weights; /* the owner's: what it reads */
    bool warm;           /* has been done once */
    unsigned version;
} mien_replay;

/* `work` must launch the same work at every call with the same `version`, and nothing else. */
mien_status mien_replay_run(mien_replay *replay, mien_backend *backend, unsigned version,
                            mien_status (*work)(void *context), void *context);
void mien_replay_release(mien_replay *replay, mien_backend *backend);

#endif
