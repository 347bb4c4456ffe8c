/* Device memory, copies through pinned memory, timestamps. */
#include <string.h>

#include "host/backend/cuda/cuda.h"
#include "host/base/memory.h"
#include "kernels/body/cast.h"

mien_status mien_cuda_alloc(size_t bytes, void **out) {
    *out = NULL;
    if (bytes == 0) bytes = 1;
    const cudaError_t code = cudaMalloc(out, bytes);
    if (code == cudaErrorMemoryAllocation) {
        size_t left = 0, all = 0;
        cudaGetLastError(); /* clears the error: the device still works */
        cudaMemGetInfo(&left, &all);
        return MIEN_FAIL(NO_MEMORY, "GPU: no memory for %.0f MiB: %.0f of %.0f MiB are free",
                         (double)bytes / 1048576, (double)left / 1048576, (double)all / 1048576);
    }
    CUDA_TRY(code, "allocating memory");
    return MIEN_OK;
}

void mien_cuda_free(void *data) {
    if (data) cudaFree(data);
}

mien_status mien_cuda_staging_create(mien_cuda *cuda) {
    for (int i = 0; i < 2; i++) {
        CUDA_TRY(cudaMallocHost(&cuda->staging[i].data, CUDA_STAGING), "allocating pinned memory");
        CUDA_TRY(cudaEventCreateWithFlags(&cuda->staging[i].free, cudaEventDisableTiming),
                 "creating an event");
    }
    return MIEN_OK;
}

void mien_cuda_staging_release(mien_cuda *cuda) {
    for (int i = 0; i < 2; i++) {
        if (cuda->staging[i].free) cudaEventDestroy(cuda->staging[i].free);
        if (cuda->staging[i].data) cudaFreeHost(cuda->staging[i].data);
    }
}

static mien_status memory_alloc(mien_backend *b, size_t bytes, void **out) {
    mien_cuda *cuda = cuda_of(b);
    MIEN_TRY(mien_cuda_alloc(bytes, out));
    mien_status status = mien_cuda_check(cudaMemsetAsync(*out, 0, bytes, cuda->stream),
                                         "clearing memory", __FILE__, __LINE__);
    if (status == MIEN_OK) /* it may become landing memory */
        status = mien_cuda_check(cudaEventRecord(cuda->taken, cuda->stream), "clearing memory",
                                 __FILE__, __LINE__);
    if (status == MIEN_OK) return MIEN_OK;
    mien_cuda_free(*out);
    *out = NULL;
    return status;
}

static void memory_free(mien_backend *b, void *data) {
    (void)b;
    mien_cuda_free(data);
}

/* Double-buffered: the caller may change its memory right after the call, and one buffer is filled
 * while the other is copied. */
static mien_status send(mien_cuda *cuda, void *dst, const void *host, size_t bytes,
                        cudaStream_t stream) {
    for (size_t at = 0; at < bytes;) {
        const size_t part = bytes - at < CUDA_STAGING ? bytes - at : CUDA_STAGING;
        const struct cuda_staging *s = &cuda->staging[cuda->turn ^= 1];
        CUDA_TRY(cudaEventSynchronize(s->free), "waiting for a copy");
        memcpy(s->data, (const char *)host + at, part);
        CUDA_TRY(cudaMemcpyAsync((char *)dst + at, s->data, part, cudaMemcpyHostToDevice, stream),
                 "a copy to the device");
        CUDA_TRY(cudaEventRecord(s->free, stream), "recording a copy");
        at += part;
    }
    return MIEN_OK;
}

static mien_status copy_in(mien_backend *b, void *dst, const void *host, size_t bytes) {
    return send(cuda_of(b), dst, host, bytes, cuda_of(b)->stream);
}

/* While the stream still computes with the batch in dst, the next one arrives in `landing`. */
static mien_status copy_beside(mien_backend *b, void *dst, void *landing, const void *host,
                               size_t bytes) {
    mien_cuda *cuda = cuda_of(b);
    if (!landing) return copy_in(b, dst, host, bytes);
    CUDA_TRY(cudaStreamWaitEvent(cuda->uploads, cuda->taken, 0), "ordering an upload");
    MIEN_TRY(send(cuda, landing, host, bytes, cuda->uploads));
    CUDA_TRY(cudaEventRecord(cuda->landed, cuda->uploads), "recording an upload");
    CUDA_TRY(cudaStreamWaitEvent(cuda->stream, cuda->landed, 0), "ordering an upload");
    CUDA_TRY(cudaMemcpyAsync(dst, landing, bytes, cudaMemcpyDeviceToDevice, cuda->stream),
             "a copy on the device");
    CUDA_TRY(cudaEventRecord(cuda->taken, cuda->stream), "recording a copy");
    return MIEN_OK;
}

static size_t piece_at(size_t at, size_t bytes) {
    return bytes - at < CUDA_STAGING ? bytes - at : CUDA_STAGING;
}

/* Begins to copy `bytes` to the other buffer. The stream has waited for all uploads from it. */
static mien_status begin_piece(mien_cuda *cuda, const char *src, size_t bytes) {
    const struct cuda_staging *s = &cuda->staging[cuda->turn ^= 1];
    CUDA_TRY(cudaMemcpyAsync(s->data, src, bytes, cudaMemcpyDeviceToHost, cuda->stream),
             "a copy from the device");
    CUDA_TRY(cudaEventRecord(s->free, cuda->stream), "recording a copy");
    return MIEN_OK;
}

mien_status mien_cuda_fetch(mien_cuda *cuda, const void *src, size_t bytes, cuda_take take,
                            void *context) {
    if (bytes) MIEN_TRY(begin_piece(cuda, src, piece_at(0, bytes)));
    for (size_t at = 0; at < bytes; at += CUDA_STAGING) {
        const struct cuda_staging *s = &cuda->staging[cuda->turn];
        const size_t next = at + CUDA_STAGING;
        if (next < bytes)
            MIEN_TRY(begin_piece(cuda, (const char *)src + next, piece_at(next, bytes)));
        CUDA_TRY(cudaEventSynchronize(s->free), "the work before a copy from the device");
        take(context, s->data, at, piece_at(at, bytes));
    }
    return MIEN_OK;
}

/* On all threads: one alone copies more slowly than the device. */
static void take_bytes(void *context, const void *piece, size_t at, size_t bytes) {
    enum { BLOCK = 128 << 10 };
    char *to = (char *)context + at;
#pragma omp parallel for schedule(static) if (bytes > BLOCK)
    for (size_t i = 0; i < bytes; i += BLOCK)
        memcpy(to + i, (const char *)piece + i, bytes - i < BLOCK ? bytes - i : BLOCK);
}

static mien_status copy_out(mien_backend *b, void *host, const void *src, size_t bytes) {
    return mien_cuda_fetch(cuda_of(b), src, bytes, take_bytes, host);
}

static mien_status memory_zero(mien_backend *b, void *dst, size_t bytes) {
    return mien_cuda_check(cudaMemsetAsync(dst, 0, bytes, cuda_of(b)->stream), "clearing memory",
                           __FILE__, __LINE__);
}

static mien_status upload(mien_backend *b, const mien_tensor *dst, const float *nhwc) {
    const size_t count = mien_shape_count(dst->shape);
    uint16_t *half;
    if (dst->dtype == MIEN_F32) return copy_in(b, dst->data, nhwc, count * sizeof *nhwc);
    MIEN_TRY(mien_new(&half, count, sizeof *half));
    for (size_t i = 0; i < count; i++)
        half[i] = dst->dtype == MIEN_BF16 ? body_to_bf16(nhwc[i]) : body_to_f16(nhwc[i]);
    const mien_status status = copy_in(b, dst->data, half, count * sizeof *half);
    mien_free(half);
    return status;
}

static mien_status download(mien_backend *b, float *nhwc, const mien_tensor *src) {
    const size_t count = mien_shape_count(src->shape);
    if (src->dtype == MIEN_F32) return copy_out(b, nhwc, src->data, count * sizeof *nhwc);
    /* the 16-bit numbers are in the second half of nhwc: converting in place never overtakes them
     */
    uint16_t *half = (uint16_t *)nhwc + count;
    MIEN_TRY(copy_out(b, half, src->data, count * sizeof *half));
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, half + i, sizeof bits);
        nhwc[i] = src->dtype == MIEN_BF16 ? body_from_bf16(bits) : body_from_f16(bits);
    }
    return MIEN_OK;
}

static mien_status sync(mien_backend *b) {
    return mien_cuda_check(cudaStreamSynchronize(cuda_of(b)->stream), "the work of the device",
                           __FILE__, __LINE__);
}

static void memory(mien_backend *b, size_t *available, size_t *total) {
    (void)b;
    *available = *total = 0;
    cudaMemGetInfo(available, total);
}

static mien_status timestamp(mien_backend *b, int i) {
    mien_cuda *cuda = cuda_of(b);
    if (i < 0 || i >= CUDA_TIMESTAMPS)
        return MIEN_FAIL(UNSUPPORTED, "more than %d timestamps", CUDA_TIMESTAMPS);
    if (!cuda->timestamps[i])
        CUDA_TRY(cudaEventCreateWithFlags(&cuda->timestamps[i], 0), "creating an event");
    return mien_cuda_check(cudaEventRecord(cuda->timestamps[i], cuda->stream),
                           "recording a timestamp", __FILE__, __LINE__);
}

static mien_status timestamps(mien_backend *b, double *seconds, int count) {
    mien_cuda *cuda = cuda_of(b);
    MIEN_TRY(sync(b));
    for (int i = 0; i < count; i++) {
        float ms = 0;
        CUDA_TRY(cudaEventElapsedTime(&ms, cuda->timestamps[0], cuda->timestamps[i]),
                 "reading a timestamp");
        seconds[i] = ms / 1000.0;
    }
    return MIEN_OK;
}

/* Work is queued for the device; host threads would only wait for each other. */
static int lanes(const mien_backend *b) {
    (void)b;
    return 0;
}

/* A GPU works on whole batches: they are not split to fit its caches. */
static int micro_batch(const mien_backend *b) {
    (void)b;
    return 0;
}

static int channel_block(const mien_backend *b, mien_shape s) {
    (void)b;
    return s.c;
}

void mien_cuda_memory_slots(mien_ops *ops) {
    ops->alloc = memory_alloc;
    ops->free = memory_free;
    ops->copy_in = copy_in;
    ops->copy_out = copy_out;
    ops->copy_beside = copy_beside;
    ops->zero = memory_zero;
    ops->upload = upload;
    ops->download = download;
    ops->sync = sync;
    ops->memory = memory;
    ops->timestamp = timestamp;
    ops->timestamps = timestamps;
    ops->micro_batch = micro_batch;
    ops->lanes = lanes;
    ops->channel_block = channel_block;
}
