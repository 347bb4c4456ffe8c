/* CUDA graphs: the work of a step recorded from the stream and launched again with one call. */
#include "host/backend/cuda/cuda.h"
#include "host/base/memory.h"

struct mien_capture {
    cudaGraphExec_t graph;
};

/* Thread-local mode: what other threads do with the card does not invalidate the recording, while a
 * call of this thread that would wait or allocate fails at once. */
static mien_status capture_begin(mien_backend *b) {
    mien_cuda *cuda = cuda_of(b);
    if (cuda->capturing) return MIEN_FAIL(INVALID, "GPU: a recording is already in progress");
    CUDA_TRY(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal),
             "starting a recording");
    cuda->capturing = true;
    return MIEN_OK;
}

static mien_status instantiate(cudaGraph_t recorded, mien_capture **out) {
    mien_capture *capture;
    MIEN_TRY(mien_new(&capture, 1, sizeof *capture));
    const mien_status status = mien_cuda_check(cudaGraphInstantiate(&capture->graph, recorded, 0),
                                               "creating a graph", __FILE__, __LINE__);
    if (status == MIEN_OK)
        *out = capture;
    else
        mien_free(capture);
    return status;
}

/* A recording that failed must be ended too, or the stream stays in capture. The runtime remembers
 * the failure; check.c, which looks there for faults of the device, must not find it. */
static mien_status capture_end(mien_backend *b, mien_capture **out) {
    mien_cuda *cuda = cuda_of(b);
    cudaGraph_t recorded = NULL;
    *out = NULL;
    if (!cuda->capturing) return MIEN_FAIL(INVALID, "GPU: no recording is in progress");
    cuda->capturing = false;
    mien_status status = mien_cuda_check(cudaStreamEndCapture(cuda->stream, &recorded),
                                         "ending a recording", __FILE__, __LINE__);
    if (status == MIEN_OK) status = instantiate(recorded, out);
    if (recorded) cudaGraphDestroy(recorded);
    if (status != MIEN_OK) cudaGetLastError(); /* a device fault shows up again by itself */
    return status;
}

static mien_status capture_replay(mien_backend *b, mien_capture *capture) {
    return mien_cuda_check(cudaGraphLaunch(capture->graph, cuda_of(b)->stream), "launching a graph",
                           __FILE__, __LINE__);
}

static void capture_free(mien_backend *b, mien_capture *capture) {
    (void)b;
    if (!capture) return;
    cudaGraphExecDestroy(capture->graph);
    mien_free(capture);
}

const mien_capture_ops mien_cuda_capture = {
    .begin = capture_begin,
    .end = capture_end,
    .replay = capture_replay,
    .free = capture_free,
};
