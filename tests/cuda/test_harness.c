/* The harness that runs kernels on the CPU, and the fake runtime below it: the same threads,
 * barriers and shuffles as on a GPU, and invalid kernels are detected. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cuda_runtime_api.h>

#include "tests/cuda/fake/counters.h"
#include "tests/cuda/fake/fake.h"
#include "tests/cuda/harness_kernels.h"
#include "tests/support/test.h"

static cudaStream_t stream;

static int open_stream(void **state) {
    (void)state;
    return cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess;
}

static int close_stream(void **state) {
    (void)state;
    return cudaStreamDestroy(stream) != cudaSuccess;
}

static int quiet(void **state) {
    (void)state;
    static const char *const all[] = {"ORDER", "FAIL", "STICKY", "MEMORY", "DEVICES", "DRIVER"};
    char name[32];
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        snprintf(name, sizeof name, "FAKE_CUDA_%s", all[i]);
        unsetenv(name);
    }
    cudaGetLastError();
    return 0;
}

/* Device memory with a copy of `from`; NULL: zeros. */
static void *device(const void *from, size_t bytes) {
    void *data;
    assert_int_equal(cudaMalloc(&data, bytes), cudaSuccess);
    if (from)
        assert_int_equal(cudaMemcpy(data, from, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    else
        assert_int_equal(cudaMemset(data, 0, bytes), cudaSuccess);
    return data;
}

static void host(void *to, const void *data, size_t bytes) {
    assert_int_equal(cudaMemcpy(to, data, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
}

static const char *const orders[] = {"forward", "reverse", "1", "2", "12345"};
enum { ORDERS = sizeof orders / sizeof orders[0] };

static void test_every_thread_runs_once(void **state) {
    (void)state;
    static const unsigned shapes[][2][3] = {{{1, 1, 1}, {1, 1, 1}},
                                            {{7, 1, 1}, {33, 1, 1}},
                                            {{3, 2, 4}, {5, 7, 3}},
                                            {{2, 1, 3}, {1024, 1, 1}}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int k = 0; k < ORDERS; k++) {
            setenv("FAKE_CUDA_ORDER", orders[k], 1);
            const unsigned *g = shapes[s][0], *b = shapes[s][1];
            const size_t n = (size_t)g[0] * g[1] * g[2] * b[0] * b[1] * b[2];
            uint32_t *index = device(NULL, n * 4), *seen = device(NULL, n * 4);
            uint32_t *got = calloc(2 * n, 4);
            assert_non_null(got);
            assert_int_equal(harness_indices(stream, index, seen, g, b), cudaSuccess);
            host(got, index, n * 4);
            host(got + n, seen, n * 4);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(got[i], i);
                assert_int_equal(got[n + i], 1);
            }
            free(got);
            cudaFree(index);
            cudaFree(seen);
        }
}

/* Sums of 1, 2, … per block, with the threads in the given order. */
static void reduce(const char *order, bool wait, float sums[3]) {
    float x[3 * HARNESS_BLOCK];
    for (int i = 0; i < 3 * HARNESS_BLOCK; i++)
        x[i] = (float)(i + 1);
    setenv("FAKE_CUDA_ORDER", order, 1);
    float *from = device(x, sizeof x), *to = device(NULL, 3 * sizeof *sums);
    assert_int_equal(harness_reduce(stream, to, from, 3, wait), cudaSuccess);
    host(sums, to, 3 * sizeof *sums);
    cudaFree(from);
    cudaFree(to);
}

static void test_barriers_hold(void **state) {
    (void)state;
    for (int k = 0; k < ORDERS; k++) {
        float sums[3];
        reduce(orders[k], true, sums);
        for (int b = 0; b < 3; b++)
            assert_true(sums[b] == 256 * (256 * (float)b) + 256 * 257 / 2);
    }
}

/* A missing barrier gives a wrong sum in at least one of the orders "forward" and "reverse". */
static void test_missing_barrier_is_detected(void **state) {
    (void)state;
    float forward[3], reverse[3];
    reduce("forward", false, forward);
    reduce("reverse", false, reverse);
    assert_true(forward[0] != 32896 || reverse[0] != 32896);
    assert_true(memcmp(forward, reverse, sizeof forward) != 0);
}

static void test_shuffles(void **state) {
    (void)state;
    for (int k = 0; k < ORDERS; k++) {
        setenv("FAKE_CUDA_ORDER", orders[k], 1);
        int x[5 * 32], y[7 * 32], *from, *to = device(NULL, sizeof y);
        for (int i = 0; i < 5 * 32; i++)
            x[i] = i * i - 77;
        from = device(x, sizeof x);
        assert_int_equal(harness_scan(stream, to, from, 5), cudaSuccess);
        host(y, to, sizeof x);
        for (int i = 0, sum = 0; i < 5 * 32; i++) {
            sum = i % 32 ? sum + x[i] : x[i];
            assert_int_equal(y[i], sum);
        }
        assert_int_equal(harness_shuffles(stream, to), cudaSuccess);
        host(y, to, sizeof y);
        for (int lane = 0; lane < 32; lane++) {
            assert_int_equal(y[lane], lane ^ 5);
            assert_int_equal(y[32 + lane], lane + 3 < 32 ? lane + 3 : lane);
            assert_int_equal(y[64 + lane], 7);
            assert_int_equal(y[96 + lane], lane % 8 + 3 < 8 ? lane + 3 : lane);
            assert_int_equal(y[128 + lane], (lane ^ 9) / 8 <= lane / 8 ? lane ^ 9 : lane);
            assert_int_equal(y[160 + lane], 0x49249249);
            assert_int_equal(y[192 + lane], 31 * 32 / 2);
        }
        cudaFree(from);
        cudaFree(to);
    }
}

/* Shared memory starts as NaN in every block. Subnormals are flushed in kernels only. */
static void test_state_of_a_kernel(void **state) {
    (void)state;
    enum { N = 3 * HARNESS_BLOCK };
    static float x[N], y[N], shared[N];
    for (int i = 0; i < N; i++)
        x[i] = i % 2 ? 1e-40f : (float)i;
    float *from = device(x, sizeof x), *to = device(NULL, sizeof y);
    float *left = device(NULL, sizeof shared);
    assert_int_equal(harness_state(stream, to, from, left, 3), cudaSuccess);
    host(y, to, sizeof y);
    host(shared, left, sizeof shared);
    for (int i = 0; i < N; i++) {
        assert_true(y[i] == (i % 2 ? 0 : (float)i));
        assert_true(shared[i] != shared[i]);
    }
    volatile float tiny = 1e-40f;
    assert_true(tiny + 0.0f != 0);
    cudaFree(from);
    cudaFree(to);
    cudaFree(left);
}

/* Does a child process that runs work(how) fail with this text on stderr? */
static bool dies(void (*work)(int), int how, const char *words) {
    int ends[2], status;
    char said[1024] = "";
    fflush(NULL);
    if (pipe(ends) != 0) return false;
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        work(how);
        _exit(0);
    }
    close(ends[1]);
    for (size_t at = 0; at + 1 < sizeof said;) {
        const ssize_t got = read(ends[0], said + at, sizeof said - 1 - at);
        if (got <= 0) break;
        at += (size_t)got;
    }
    close(ends[0]);
    waitpid(child, &status, 0);
    if (status != 0 && strstr(said, words)) return true;
    print_message("expected '%s', got status %d and '%s'\n", words, status, said);
    return false;
}

static void misuse(int kind) {
    harness_break(stream, device(NULL, 64 * sizeof(int)), kind);
}

static void touch(int how) {
    int here = 0;
    harness_touch(stream, how ? &here : device(NULL, sizeof here));
}

static void overrun(int order) {
    setenv("FAKE_CUDA_ORDER", orders[order], 1);
    float *from = device(NULL, 4 * HARNESS_BLOCK), *to = device(NULL, 4 * HARNESS_BLOCK - 4);
    harness_reduce(stream, to, from, 1, true);
    harness_state(stream, to, from, from, 1);
    cudaFree(to);
}

static void test_misuse_is_reported(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        setenv("FAKE_CUDA_ORDER", orders[k], 1);
        assert_true(dies(misuse, LEAVES_BARRIER, "__syncthreads"));
        assert_true(dies(misuse, DIVERGES, "break_kernel"));
        assert_true(dies(misuse, SHUFFLES_PART, "only whole warps"));
        assert_true(dies(misuse, MIXES, "different shuffles"));
    }
    assert_true(dies(touch, 1, "argument 0 is not device memory"));
    assert_false(dies(touch, 0, ""));
    assert_true(dies(overrun, 0, SANITIZED ? "buffer-overflow" : "past the end"));
}

static void test_capture_and_replay(void **state) {
    (void)state;
    float x[HARNESS_BLOCK], sum = 5, *pinned;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    enum cudaStreamCaptureStatus status;
    for (int i = 0; i < HARNESS_BLOCK; i++)
        x[i] = 1;
    float *from = device(x, sizeof x), *to = device(&sum, sizeof sum);
    assert_int_equal(cudaMallocHost((void **)&pinned, sizeof *pinned), cudaSuccess);
    *pinned = 7;
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), 0);
    assert_int_equal(cudaStreamIsCapturing(stream, &status), cudaSuccess);
    assert_int_equal(status, cudaStreamCaptureStatusActive);
    assert_int_equal(harness_reduce(stream, to, from, 1, true), cudaSuccess);
    assert_int_equal(cudaMemcpyAsync(pinned, to, 4, cudaMemcpyDeviceToHost, stream), 0);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_true(*pinned == 7); /* nothing has run yet */
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    for (int again = 1; again < 4; again++) {
        for (int i = 0; i < HARNESS_BLOCK; i++)
            x[i] = (float)again;
        cudaMemcpy(from, x, sizeof x, cudaMemcpyHostToDevice);
        assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
        assert_true(*pinned == (float)again * HARNESS_BLOCK);
    }
    assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
    cudaFreeHost(pinned);
    cudaFree(from);
    cudaFree(to);
}

enum { IN_MALLOC, IN_FREE, IN_SYNC, IN_COPY, IN_PAGEABLE, IN_DEVICE_SYNC, FORBIDDEN };

static cudaError_t forbidden(int what, void *data) {
    static float number;
    void *block;
    switch (what) {
    case IN_MALLOC:
        return cudaMalloc(&block, 4);
    case IN_FREE:
        return cudaFree(data);
    case IN_SYNC:
        return cudaStreamSynchronize(stream);
    case IN_COPY:
        return cudaMemcpy(&number, data, 4, cudaMemcpyDeviceToHost);
    case IN_PAGEABLE:
        return cudaMemcpyAsync(&number, data, 4, cudaMemcpyDeviceToHost, stream);
    default:
        return cudaDeviceSynchronize();
    }
}

static void test_capture_forbids(void **state) {
    (void)state;
    float *data = device(NULL, 4 * HARNESS_BLOCK), *sum = device(NULL, 4);
    for (int what = 0; what < FORBIDDEN; what++) {
        cudaGraph_t graph = (cudaGraph_t)data;
        assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), 0);
        assert_int_equal(forbidden(what, data), cudaErrorStreamCaptureUnsupported);
        assert_int_equal(harness_reduce(stream, sum, data, 1, true),
                         cudaErrorStreamCaptureInvalidated);
        assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
        assert_null(graph);
        assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
    }
    cudaFree(data);
    cudaFree(sum);
}

static void test_memory(void **state) {
    (void)state;
    size_t available, total;
    void *a, *b;
    setenv("FAKE_CUDA_MEMORY", "1000000", 1);
    assert_int_equal(cudaMalloc(&a, 600000), cudaSuccess);
    assert_int_equal((uintptr_t)a % 256, 0);
    unsigned char *filled = malloc(600000);
    assert_non_null(filled);
    host(filled, a, 600000);
    assert_int_equal(filled[0], 0xff); /* cudaMalloc does not zero memory */
    assert_int_equal(filled[599999], 0xff);
    assert_int_equal(cudaMemGetInfo(&available, &total), cudaSuccess);
    assert_int_equal(total, 1000000);
    assert_int_equal(available, 400000);
    assert_int_equal(cudaMalloc(&b, 400001), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaMemcpy(filled, a, 600001, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpy(a, filled, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    assert_int_equal(cudaFree((char *)a + 4), cudaErrorInvalidValue);
    assert_int_equal(cudaFree(a), cudaSuccess);
    assert_int_equal(cudaFree(a), cudaErrorInvalidValue);
    free(filled);
}

static void test_faults(void **state) {
    (void)state;
    void *block;
    int count;
    float *data = device(NULL, 4 * HARNESS_BLOCK), *sum = device(NULL, 4);
    setenv("FAKE_CUDA_FAIL", "cudaMalloc:2", 1);
    assert_int_equal(cudaMalloc(&block, 4), cudaSuccess);
    cudaFree(block);
    assert_int_equal(cudaMalloc(&block, 4), cudaErrorMemoryAllocation);
    assert_int_equal(cudaMalloc(&block, 4), cudaSuccess);
    cudaFree(block);
    setenv("FAKE_CUDA_STICKY", "cudaLaunchKernel:2", 1);
    assert_int_equal(harness_reduce(stream, sum, data, 1, true), cudaSuccess);
    assert_int_equal(harness_reduce(stream, sum, data, 1, true), cudaErrorLaunchFailure);
    assert_int_equal(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
    assert_int_equal(cudaMemcpy(data, sum, 4, cudaMemcpyDeviceToDevice), cudaErrorLaunchFailure);
    assert_int_equal(cudaGetLastError(), cudaErrorLaunchFailure);
    assert_int_equal(cudaGetLastError(), cudaErrorLaunchFailure);
    unsetenv("FAKE_CUDA_STICKY");
    assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
    setenv("FAKE_CUDA_DEVICES", "0", 1);
    assert_int_equal(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    setenv("FAKE_CUDA_DRIVER", "old", 1);
    assert_int_equal(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    quiet(NULL);
    cudaFree(data);
    cudaFree(sum);
}

static void test_events(void **state) {
    (void)state;
    cudaEvent_t first, second;
    float ms;
    assert_int_equal(cudaEventCreateWithFlags(&first, cudaEventDefault), cudaSuccess);
    assert_int_equal(cudaEventCreateWithFlags(&second, cudaEventDefault), cudaSuccess);
    assert_int_equal(cudaEventElapsedTime(&ms, first, second), cudaErrorInvalidResourceHandle);
    assert_int_equal(cudaEventRecord(first, stream), cudaSuccess);
    fake_clock_advance(0.002);
    assert_int_equal(cudaEventRecord(second, stream), cudaSuccess);
    assert_int_equal(cudaEventSynchronize(second), cudaSuccess);
    assert_int_equal(cudaEventElapsedTime(&ms, first, second), cudaSuccess);
    assert_true(ms > 1.999f && ms < 2.001f); /* exact: the emulation has its own clock */
    assert_int_equal(cudaEventDestroy(first), cudaSuccess);
    assert_int_equal(cudaEventDestroy(second), cudaSuccess);
}

/* Must be the last test: everything created has been freed. */
static void test_counters(void **state) {
    (void)state;
    const fake_counts *c = fake_counters();
    assert_int_equal(c->blocks, 0);
    assert_int_equal(c->host_blocks, 0);
    assert_int_equal(c->bytes, 0);
    assert_int_equal(c->events, 0);
    assert_int_equal(c->graphs, 0);
    assert_int_equal(c->streams, 1);
    assert_int_equal(c->graph_launches, 3);
    assert_int_equal(c->graph_nodes, 6);
    assert_int_equal(c->mallocs, c->frees);
    assert_true(c->launches > 0 && c->copies > 0 && c->syncs > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_thread_runs_once, quiet),
        cmocka_unit_test_setup(test_barriers_hold, quiet),
        cmocka_unit_test_setup(test_missing_barrier_is_detected, quiet),
        cmocka_unit_test_setup(test_shuffles, quiet),
        cmocka_unit_test_setup(test_state_of_a_kernel, quiet),
        cmocka_unit_test_setup(test_misuse_is_reported, quiet),
        cmocka_unit_test_setup(test_capture_and_replay, quiet),
        cmocka_unit_test_setup(test_capture_forbids, quiet),
        cmocka_unit_test_setup(test_memory, quiet),
        cmocka_unit_test_setup(test_faults, quiet),
        cmocka_unit_test_setup(test_events, quiet),
        cmocka_unit_test_setup(test_counters, quiet),
    };
    return cmocka_run_group_tests(tests, open_stream, close_stream);
}
