/* Streams, captures, graphs and events of the fake GPU. */
#include "tests/cuda/fake/runtime_queue.h"

#include <stdlib.h>
#include <string.h>

/* Work of a graph; all graphs made of one capture share it. */
typedef struct node {
    struct node *next;
    void (*work)(void *context);
    void *context;
    size_t bytes;
} node;

struct CUgraph_st {
    node *first, **end;
};
/* A copy of the graph, since the graph may be destroyed first. */
struct CUgraphExec_st {
    struct CUgraph_st graph;
};

struct CUstream_st {
    unsigned flags;
    enum cudaStreamCaptureStatus status;
    enum cudaStreamCaptureMode mode;
    struct CUgraph_st *graph; /* being captured */
    fake_queue queue;
};

static fake_queue *queue_of(cudaStream_t stream) {
    return stream ? &stream->queue : NULL;
}

static cudaStream_t capturing; /* the stream being captured, if any */

static void *make(size_t bytes) {
    void *block = calloc(1, bytes);
    if (!block) abort();
    return block;
}

/* ---- graphs ---- */

static void add_node(struct CUgraph_st *g, void (*work)(void *), const void *context,
                     size_t bytes) {
    node *n = make(sizeof *n);
    *n = (node){NULL, work, make(bytes ? bytes : 1), bytes};
    memcpy(n->context, context, bytes);
    *g->end = n;
    g->end = &n->next;
}

static void clear(struct CUgraph_st *g) {
    while (g->first) {
        node *n = g->first;
        g->first = n->next;
        free(n->context);
        free(n);
    }
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *pGraphExec, cudaGraph_t graph,
                                 unsigned long long flags) {
    FAKE_ENTER(cudaErrorMemoryAllocation);
    if (!graph || flags) return fake_answer(cudaErrorInvalidValue);
    cudaGraphExec_t exec = make(sizeof *exec);
    exec->graph.end = &exec->graph.first;
    for (const node *n = graph->first; n; n = n->next)
        add_node(&exec->graph, n->work, n->context, n->bytes);
    fake_count.graphs++;
    *pGraphExec = exec;
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t graphExec, cudaStream_t stream) {
    FAKE_ENTER(cudaErrorUnknown);
    return graphExec && !fake_capturing(stream) ? cudaSuccess : fake_answer(cudaErrorInvalidValue);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!graphExec) return fake_answer(cudaErrorInvalidValue);
    if (fake_capturing(stream)) return fake_answer(fake_unsafe_stream(stream));
    fake_count.graph_launches++;
    for (const node *n = graphExec->graph.first; n; n = n->next) {
        fake_queue_work(queue_of(stream), n->work, n->context, n->bytes);
        fake_count.graph_nodes++;
    }
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec) {
    if (!graphExec) return fake_answer(cudaErrorInvalidValue);
    clear(&graphExec->graph);
    free(graphExec);
    fake_count.graphs--;
    FAKE_ENTER(cudaErrorUnknown);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    if (!graph) return fake_answer(cudaErrorInvalidValue);
    clear(graph);
    free(graph);
    fake_count.graphs--;
    FAKE_ENTER(cudaErrorUnknown);
    return cudaSuccess;
}

/* ---- streams ---- */

bool fake_capturing(cudaStream_t stream) {
    return stream && stream->status != cudaStreamCaptureStatusNone;
}

cudaError_t fake_unsafe_stream(cudaStream_t stream) {
    if (!fake_capturing(stream)) return cudaSuccess;
    stream->status = cudaStreamCaptureStatusInvalidated;
    return cudaErrorStreamCaptureUnsupported;
}

cudaError_t fake_unsafe(void) {
    if (!capturing || capturing->mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    return fake_unsafe_stream(capturing);
}

cudaError_t fake_submit(cudaStream_t stream, void (*work)(void *context), const void *context,
                        size_t bytes) {
    if (!stream && capturing && !(capturing->flags & cudaStreamNonBlocking)) {
        capturing->status = cudaStreamCaptureStatusInvalidated;
        return cudaErrorStreamCaptureImplicit;
    }
    if (fake_capturing(stream)) {
        if (stream->status == cudaStreamCaptureStatusInvalidated)
            return cudaErrorStreamCaptureInvalidated;
        add_node(stream->graph, work, context, bytes);
        return cudaSuccess;
    }
    fake_clock_advance(1e-6);
    fake_queue_work(queue_of(stream), work, context, bytes);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *pStream, unsigned int flags) {
    FAKE_ENTER(cudaErrorMemoryAllocation);
    *pStream = make(sizeof **pStream);
    (*pStream)->flags = flags;
    fake_queue_open(&(*pStream)->queue, (unsigned)fake_count.streams++);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    if (!stream) return fake_answer(cudaErrorInvalidResourceHandle);
    if (stream == capturing) {
        capturing = NULL;
        clear(stream->graph);
        free(stream->graph);
    }
    fake_queue_close(&stream->queue);
    free(stream);
    fake_count.streams--;
    FAKE_ENTER(cudaErrorUnknown);
    return cudaSuccess;
}

/* A wait must not be captured. */
static cudaError_t wait_for(cudaStream_t stream) {
    if (fake_capturing(stream)) return fake_unsafe_stream(stream);
    fake_count.syncs++;
    fake_queue_finish(queue_of(stream));
    return cudaSuccess;
}

void fake_wait(cudaStream_t stream) {
    fake_queue_finish(queue_of(stream));
}

/* A recording would need the event in its graph, too; nothing asks for that. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!event || flags) return fake_answer(cudaErrorInvalidValue);
    if (fake_capturing(stream) || event->captured) return fake_answer(fake_unsafe_stream(stream));
    fake_queue_wait(queue_of(stream), event);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    FAKE_ENTER(cudaErrorUnknown);
    return fake_answer(wait_for(stream));
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    FAKE_ENTER(cudaErrorUnknown);
    return fake_answer(fake_unsafe_stream(stream));
}

cudaError_t cudaDeviceSynchronize(void) {
    FAKE_ENTER(cudaErrorUnknown);
    const cudaError_t code = wait_for(capturing);
    if (code == cudaSuccess) fake_finish_all();
    return fake_answer(code);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!stream) return fake_answer(cudaErrorStreamCaptureUnsupported);
    if (capturing) return fake_answer(cudaErrorIllegalState);
    stream->status = cudaStreamCaptureStatusActive;
    stream->mode = mode;
    stream->graph = make(sizeof *stream->graph);
    stream->graph->end = &stream->graph->first;
    capturing = stream;
    fake_count.captures++;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *pGraph) {
    *pGraph = NULL;
    if (!fake_capturing(stream)) return fake_answer(cudaErrorIllegalState);
    const bool spoilt = stream->status == cudaStreamCaptureStatusInvalidated;
    const cudaError_t entered = fake_enter(__func__, cudaErrorUnknown);
    cudaGraph_t graph = stream->graph;
    stream->status = cudaStreamCaptureStatusNone;
    stream->graph = NULL;
    capturing = NULL;
    if (spoilt || entered != cudaSuccess) {
        clear(graph);
        free(graph);
        return fake_answer(entered ? entered : cudaErrorStreamCaptureInvalidated);
    }
    fake_count.graphs++;
    *pGraph = graph;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream,
                                  enum cudaStreamCaptureStatus *pCaptureStatus) {
    FAKE_ENTER(cudaErrorUnknown);
    *pCaptureStatus = stream ? stream->status : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

/* ---- events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags) {
    FAKE_ENTER(cudaErrorMemoryAllocation);
    *event = make(sizeof **event);
    (*event)->flags = flags;
    fake_count.events++;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!event) return fake_answer(cudaErrorInvalidResourceHandle);
    event->captured = fake_capturing(stream);
    if (event->captured)
        event->recorded = true;
    else
        fake_queue_record(queue_of(stream), event);
    return cudaSuccess;
}

static cudaError_t done(cudaEvent_t event) {
    if (!event) return cudaErrorInvalidResourceHandle;
    if (fake_unsafe()) return cudaErrorStreamCaptureUnsupported;
    return event->captured ? cudaErrorCapturedEvent : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    FAKE_ENTER(cudaErrorUnknown);
    const cudaError_t code = done(event);
    return code == cudaSuccess && event->passed < event->records ? cudaErrorNotReady
                                                                 : fake_answer(code);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    FAKE_ENTER(cudaErrorUnknown);
    fake_count.syncs++;
    const cudaError_t code = done(event);
    if (code == cudaSuccess) fake_event_finish(event);
    return fake_answer(code);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
    FAKE_ENTER(cudaErrorUnknown);
    if (!start || !end || !start->recorded || !end->recorded ||
        ((start->flags | end->flags) & cudaEventDisableTiming))
        return fake_answer(cudaErrorInvalidResourceHandle);
    if (start->captured || end->captured) return fake_answer(cudaErrorCapturedEvent);
    if (start->passed < start->records || end->passed < end->records) return cudaErrorNotReady;
    *ms = (float)(1e3 * (end->at - start->at));
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    if (!event) return fake_answer(cudaErrorInvalidResourceHandle);
    fake_finish_all(); /* what refers to it */
    free(event);
    fake_count.events--;
    FAKE_ENTER(cudaErrorUnknown);
    return cudaSuccess;
}
