/* Memory of the fake GPU. New blocks hold NaN, never zeros. A write past a block's end is detected
 * when the block is freed, or at once by AddressSanitizer, for which blocks have the exact size
 * requested. */
#include "tests/cuda/fake/cost.h"
#include "tests/cuda/fake/runtime_queue.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
enum { GUARD = 0 };
#else
enum { GUARD = 64 };
#endif
enum { ALIGN = 256, GUARD_BYTE = 0xA5, DEVICES = 16 };

typedef struct block {
    char *data;
    size_t bytes;
    int device; /* -1: pinned memory of the host */
    bool reserved;
} block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *blocks; /* sorted by address */
static size_t held, capacity;
static size_t used[DEVICES];

/* Index of the first block that begins after `data`. */
static size_t first_after(const void *data) {
    size_t low = 0, high = held;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if ((uintptr_t)blocks[middle].data <= (uintptr_t)data)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The block that holds all these bytes, or NULL. */
static const block *block_of(const void *data, size_t bytes) {
    const size_t at = first_after(data);
    if (at == 0) return NULL;
    const block *b = &blocks[at - 1];
    const size_t from = (size_t)((const char *)data - b->data);
    return from <= b->bytes && bytes <= b->bytes - from ? b : NULL;
}

/* Zeros that take no memory until somebody writes there: for steps that are counted, not done. */
static char *reserve(size_t bytes) {
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return data == MAP_FAILED ? NULL : data;
}

static char *fill(size_t bytes) {
    char *data;
    if (posix_memalign((void **)&data, ALIGN, bytes + GUARD) != 0) return NULL;
    memset(data, 0xff, bytes);
    memset(data + bytes, GUARD_BYTE, GUARD);
    return data;
}

static cudaError_t take(void **out, size_t bytes, int device) {
    const bool reserved = device >= 0 && fake_is_dry();
    *out = NULL;
    if (bytes == 0) return cudaSuccess;
    if (held == capacity) {
        capacity = capacity ? 2 * capacity : 64;
        blocks = realloc(blocks, capacity * sizeof *blocks);
        if (!blocks) abort();
    }
    char *data = reserved ? reserve(bytes) : fill(bytes);
    if (!data) return cudaErrorMemoryAllocation;
    const size_t at = first_after(data);
    memmove(&blocks[at + 1], &blocks[at], (held++ - at) * sizeof *blocks);
    blocks[at] = (block){data, bytes, device, reserved};
    *out = data;
    return cudaSuccess;
}

/* Removes the block that begins at `data`. */
static cudaError_t drop(void *data, bool pinned) {
    const size_t at = first_after(data);
    if (at == 0 || blocks[at - 1].data != data || (blocks[at - 1].device < 0) != pinned)
        return cudaErrorInvalidValue;
    const block b = blocks[at - 1];
    for (int i = 0; i < GUARD && !b.reserved; i++)
        if ((unsigned char)b.data[b.bytes + (size_t)i] != GUARD_BYTE) {
            fprintf(stderr, "fake GPU: something wrote past the end of a block of %zu bytes\n",
                    b.bytes);
            abort();
        }
    memmove(&blocks[at - 1], &blocks[at], (held-- - at) * sizeof *blocks);
    if (!pinned) used[b.device] -= b.bytes, fake_count.bytes -= b.bytes;
    if (b.reserved)
        munmap(b.data, b.bytes);
    else
        free(b.data);
    return cudaSuccess;
}

void fake_each_block(void (*see)(void *context, const void *data, size_t bytes), void *context) {
    for (size_t i = 0; i < held; i++)
        if (blocks[i].device >= 0) see(context, blocks[i].data, blocks[i].bytes);
}

bool fake_reaches(const void *data, size_t bytes) {
    pthread_mutex_lock(&lock);
    const bool reaches = block_of(data, bytes) != NULL;
    pthread_mutex_unlock(&lock);
    return reaches;
}

cudaError_t cudaMalloc(void **devPtr, size_t size) {
    FAKE_ENTER(cudaErrorMemoryAllocation);
    if (fake_unsafe()) return fake_answer(cudaErrorStreamCaptureUnsupported);
    const int device = fake_device();
    const size_t limit = fake_device_memory(device);
    pthread_mutex_lock(&lock);
    cudaError_t code = cudaErrorMemoryAllocation;
    if (size <= limit && used[device] <= limit - size) code = take(devPtr, size, device);
    if (code == cudaSuccess && *devPtr) {
        used[device] += size;
        fake_count.mallocs++;
        fake_count.blocks++;
        fake_count.bytes += size;
        if (fake_count.bytes > fake_count.most_bytes) fake_count.most_bytes = fake_count.bytes;
    }
    pthread_mutex_unlock(&lock);
    return fake_answer(code);
}

cudaError_t cudaFree(void *devPtr) {
    FAKE_ENTER(cudaErrorInvalidValue);
    if (!devPtr) return cudaSuccess;
    if (fake_unsafe()) return fake_answer(cudaErrorStreamCaptureUnsupported);
    fake_finish_all(); /* it waits for the device */
    pthread_mutex_lock(&lock);
    const cudaError_t code = drop(devPtr, false);
    if (code == cudaSuccess) fake_count.frees++, fake_count.blocks--;
    pthread_mutex_unlock(&lock);
    return fake_answer(code);
}

cudaError_t cudaMallocHost(void **ptr, size_t size) {
    FAKE_ENTER(cudaErrorMemoryAllocation);
    if (fake_unsafe()) return fake_answer(cudaErrorStreamCaptureUnsupported);
    pthread_mutex_lock(&lock);
    const cudaError_t code = take(ptr, size, -1);
    if (code == cudaSuccess && *ptr) fake_count.host_blocks++;
    pthread_mutex_unlock(&lock);
    return fake_answer(code);
}

cudaError_t cudaFreeHost(void *ptr) {
    FAKE_ENTER(cudaErrorInvalidValue);
    if (!ptr) return cudaSuccess;
    if (fake_unsafe()) return fake_answer(cudaErrorStreamCaptureUnsupported);
    fake_finish_all(); /* it waits for the device */
    pthread_mutex_lock(&lock);
    const cudaError_t code = drop(ptr, true);
    if (code == cudaSuccess) fake_count.host_blocks--;
    pthread_mutex_unlock(&lock);
    return fake_answer(code);
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    FAKE_ENTER(cudaErrorUnknown);
    *total = fake_device_memory(fake_device());
    pthread_mutex_lock(&lock);
    *free = *total - used[fake_device()];
    pthread_mutex_unlock(&lock);
    return cudaSuccess;
}

/* ---- copies ---- */

typedef struct copy {
    void *dst;
    const void *src;
    size_t bytes;
    int value;
} copy;

static void copy_work(void *context) {
    const copy *c = context;
    memmove(c->dst, c->src, c->bytes);
}

static void set_work(void *context) {
    const copy *c = context;
    memset(c->dst, c->value, c->bytes);
}

enum location { PAGEABLE, PINNED, DEVICE };

static enum location location_of(const void *data, size_t bytes) {
    pthread_mutex_lock(&lock);
    const block *b = block_of(data, bytes);
    const enum location where = !b ? PAGEABLE : b->device < 0 ? PINNED : DEVICE;
    pthread_mutex_unlock(&lock);
    return where;
}

/* Are both ends where `kind` says? */
static bool fits(const copy *c, enum cudaMemcpyKind kind) {
    if (kind == cudaMemcpyDefault) return true;
    const bool to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    return (location_of(c->dst, c->bytes) == DEVICE) == to &&
           (location_of(c->src, c->bytes) == DEVICE) == from;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind) {
    FAKE_ENTER(cudaErrorInvalidValue);
    if (fake_unsafe()) return fake_answer(cudaErrorStreamCaptureUnsupported);
    copy c = {dst, src, count, 0};
    if (count == 0) return cudaSuccess;
    if (!fits(&c, kind)) return fake_answer(cudaErrorInvalidValue);
    fake_count.copies++;
    fake_count.syncs++;
    copy_work(&c);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    FAKE_ENTER(cudaErrorInvalidValue);
    const copy c = {dst, src, count, 0};
    if (count == 0) return cudaSuccess;
    if (!fits(&c, kind)) return fake_answer(cudaErrorInvalidValue);
    const bool pageable =
        location_of(dst, count) == PAGEABLE || location_of(src, count) == PAGEABLE;
    if (fake_capturing(stream) && pageable) return fake_answer(fake_unsafe_stream(stream));
    fake_count.copies++;
    const bool inside = kind == cudaMemcpyDeviceToDevice;
    fake_cost("copy", (int64_t)count * (inside ? 2 : 1), 0);
    if (inside && fake_skips(FAKE_OWN)) return cudaSuccess;
    const cudaError_t code = fake_submit(stream, copy_work, &c, sizeof c);
    if (code == cudaSuccess && pageable) fake_wait(stream); /* pageable memory is read at once */
    return fake_answer(code);
}

cudaError_t cudaMemsetAsync(void *devPtr, int value, size_t count, cudaStream_t stream) {
    FAKE_ENTER(cudaErrorInvalidValue);
    const copy c = {devPtr, NULL, count, value};
    if (count == 0) return cudaSuccess;
    if (location_of(devPtr, count) == PAGEABLE) return fake_answer(cudaErrorInvalidValue);
    fake_count.memsets++;
    fake_cost("memset", (int64_t)count, 0);
    if (fake_skips(FAKE_OWN)) return cudaSuccess;
    return fake_answer(fake_submit(stream, set_work, &c, sizeof c));
}

cudaError_t cudaMemset(void *devPtr, int value, size_t count) {
    return cudaMemsetAsync(devPtr, value, count, NULL);
}
