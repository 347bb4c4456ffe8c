/* A device: its stream, its libraries, and the precision it computes in. */
#include "host/backend/cuda/dnn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"

mien_status mien_cuda_count(int *out) {
    int driver = 0, runtime = 0;
    *out = 0;
    cudaDriverGetVersion(&driver); /* 0 where there is none */
    cudaRuntimeGetVersion(&runtime);
    if (driver == 0)
        return MIEN_FAIL(NO_DEVICE, "no NVIDIA driver: install it, or use --device cpu");
    const cudaError_t code = cudaGetDeviceCount(out);
    if (code == cudaErrorInsufficientDriver)
        return MIEN_FAIL(NO_DEVICE,
                         "the NVIDIA driver is for CUDA %d.%d and older, this program needs %d.%d: "
                         "update the driver, or use --device cpu",
                         driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (code == cudaErrorNoDevice || (code == cudaSuccess && *out == 0))
        return MIEN_FAIL(NO_DEVICE, "no NVIDIA GPU is visible (CUDA_VISIBLE_DEVICES may hide it); "
                                    "use --device cpu");
    if (code != cudaSuccess) /* a broken driver fails in many ways */
        return MIEN_FAIL(NO_DEVICE, "the NVIDIA driver does not work: %s (%s); use --device cpu",
                         cudaGetErrorString(code), cudaGetErrorName(code));
    return MIEN_OK;
}

/* Resolves AUTO for this card; refuses what the card has no units for. */
static mien_status choose_compute(mien_cuda *cuda, const mien_backend_options *options) {
    enum { HAS_F16 = 70, HAS_BF16 = 80 };
    const int capability = cuda->capability;
    cuda->compute = options ? options->compute : MIEN_COMPUTE_AUTO;
    if (cuda->compute == MIEN_COMPUTE_AUTO) {
        if (options && options->training)
            cuda->compute = capability >= HAS_BF16  ? MIEN_COMPUTE_BF16
                            : capability >= HAS_F16 ? MIEN_COMPUTE_F16
                                                    : MIEN_COMPUTE_F32;
        else
            cuda->compute = capability >= HAS_BF16 ? MIEN_COMPUTE_TF32 : MIEN_COMPUTE_F32;
        return MIEN_OK;
    }
    const bool modern = cuda->compute == MIEN_COMPUTE_BF16 || cuda->compute == MIEN_COMPUTE_TF32;
    const int needed = modern ? HAS_BF16 : (cuda->compute == MIEN_COMPUTE_F16 ? HAS_F16 : 0);
    if (capability >= needed) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED,
                     "%s (compute capability %d.%d) does not support %s: use %s or auto", cuda->gpu,
                     capability / 10, capability % 10, mien_compute_name(cuda->compute),
                     capability >= HAS_F16 ? "f16, f32" : "f32");
}

/* The device of this process, and the number of backends on it. CUDA's current device is per
 * thread; one device per process is what launchers for several GPUs use, and every call here relies
 * on it. */
static pthread_mutex_t choice = PTHREAD_MUTEX_INITIALIZER; /* of the two below */
static int in_use = -1;
static int users;

static mien_status join(int device) {
    pthread_mutex_lock(&choice);
    const int other = in_use;
    const bool fits = users == 0 || device == in_use;
    if (fits) {
        in_use = device;
        users++;
    }
    pthread_mutex_unlock(&choice);
    if (fits) return MIEN_OK;
    return MIEN_FAIL(UNSUPPORTED,
                     "this process already uses cuda:%d: start another process for cuda:%d", other,
                     device);
}

static void leave(void) {
    pthread_mutex_lock(&choice);
    users--;
    pthread_mutex_unlock(&choice);
}

static mien_status open_device(mien_cuda *cuda, int device) {
    struct cudaDeviceProp p;
    int count;
    MIEN_TRY(mien_cuda_count(&count));
    MIEN_TRY(join(device));
    cuda->joined = true;
    if (device >= count)
        return MIEN_FAIL(NO_DEVICE,
                         "there is no cuda:%d: this machine has %d GPU%s, from cuda:0 on", device,
                         count, count == 1 ? "" : "s");
    CUDA_TRY(cudaSetDevice(device), "choosing the device");
    CUDA_TRY(cudaGetDeviceProperties(&p, device), "reading the device's properties");
    cuda->device = device;
    cuda->capability = 10 * p.major + p.minor;
    snprintf(cuda->gpu, sizeof cuda->gpu, "%.80s", p.name);
    /* before --device auto has chosen this card, and not in the middle of a run */
    CUDA_TRY(cuda_has_code(), "finding kernels for this card");
    CUDA_TRY(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking), "creating a stream");
    CUDA_TRY(cudaStreamCreateWithFlags(&cuda->uploads, cudaStreamNonBlocking), "creating a stream");
    CUDA_TRY(cudaEventCreateWithFlags(&cuda->landed, cudaEventDisableTiming), "creating an event");
    CUDA_TRY(cudaEventCreateWithFlags(&cuda->taken, cudaEventDisableTiming), "creating an event");
    return MIEN_OK;
}

static mien_status open_libraries(mien_cuda *cuda) {
    MIEN_TRY(mien_cuda_cudnn_whole());
    CUDNN_TRY(cudnnCreate(&cuda->dnn), "opening the library");
    CUDNN_TRY(cudnnSetStream(cuda->dnn, cuda->stream), "setting the stream");
    CUBLAS_TRY(cublasLtCreate(&cuda->blas), "opening the library");
    MIEN_TRY(mien_cuda_alloc(CUDA_WORKSPACE_TOTAL, &cuda->buffer.data));
    cuda->buffer.tickets = (unsigned *)((char *)cuda->buffer.data + CUDA_WORKSPACE_BYTES);
    CUDA_TRY(cudaMemsetAsync(cuda->buffer.tickets, 0, 4 * CUDA_TICKETS, cuda->stream),
             "clearing memory");
    MIEN_TRY(mien_cuda_alloc(CUDA_BLAS_WORKSPACE, &cuda->blas_workspace));
    return mien_cuda_staging_create(cuda);
}

static void close_cuda(mien_backend *b) {
    mien_cuda *cuda = cuda_of(b);
    if (cuda) {
        mien_cuda_staging_release(cuda);
        for (int i = 0; i < CUDA_TIMESTAMPS; i++)
            if (cuda->timestamps[i]) cudaEventDestroy(cuda->timestamps[i]);
        mien_cuda_free(cuda->blas_workspace);
        mien_cuda_free(cuda->buffer.data);
        if (cuda->blas) cublasLtDestroy(cuda->blas);
        dnn_cache_close(cuda->engines);
        if (cuda->dnn) cudnnDestroy(cuda->dnn);
        if (cuda->landed) cudaEventDestroy(cuda->landed);
        if (cuda->taken) cudaEventDestroy(cuda->taken);
        if (cuda->uploads) cudaStreamDestroy(cuda->uploads);
        if (cuda->stream) cudaStreamDestroy(cuda->stream);
        if (cuda->joined) leave();
    }
    mien_free(cuda);
    mien_free(b);
}

/* $MIEN_CUDA_GRAPHS=0: every kernel is launched separately, to compare and to profile. */
static bool graphs_wanted(void) {
    const char *word = getenv("MIEN_CUDA_GRAPHS");
    return !word || strcmp(word, "0") != 0;
}

/* $MIEN_CUDA_ENGINE_SECONDS: time for trying cuDNN's engines; 4 is enough for a small network. */
static double engine_seconds(void) {
    const char *word = getenv("MIEN_CUDA_ENGINE_SECONDS");
    char *end;
    const double seconds = word ? strtod(word, &end) : -1;
    return word && end != word && seconds >= 0 ? seconds : 4;
}

static void describe(mien_backend *b) {
    const mien_cuda *cuda = cuda_of(b);
    const unsigned dnn = (unsigned)cudnnGetVersion(), blas = (unsigned)cublasLtGetVersion();
    int driver = 0;
    cudaDriverGetVersion(&driver);
    snprintf(b->gpu, sizeof b->gpu, "%.80s", cuda->gpu);
    snprintf(b->driver, sizeof b->driver, "CUDA %d.%d", driver / 1000, driver % 1000 / 10);
    snprintf(b->library, sizeof b->library, "cuDNN %u.%u.%u, cuBLASLt %u.%u.%u", dnn / 10000,
             dnn / 100 % 100, dnn % 100, blas / 10000, blas / 100 % 100, blas % 100);
    snprintf(b->description, sizeof b->description, "cuda:%d (%s, %s%s, %s)", cuda->device, b->gpu,
             mien_compute_name(cuda->compute), cuda->deterministic ? " deterministic" : "",
             b->library);
}

mien_status mien_cuda_open(int device, const mien_backend_options *options, mien_backend **out) {
    mien_backend *b;
    mien_cuda *cuda;
    mien_status status;
    *out = NULL;
    MIEN_TRY(mien_new(&b, 1, sizeof *b));
    MIEN_GO(mien_new(&b->impl, 1, sizeof(mien_cuda)));
    cuda = b->impl;
    MIEN_GO(open_device(cuda, device));
    MIEN_GO(choose_compute(cuda, options));
    MIEN_GO(open_libraries(cuda));
    cuda->deterministic = options && options->deterministic;
    cuda->engine_seconds = engine_seconds();
    cuda->ops = (mien_ops){.name = "cuda",
                           .capture = graphs_wanted() ? &mien_cuda_capture : NULL,
                           .sums_bias = true,
                           .pools_norm = true,
                           .copies_beside = true,
                           .close = close_cuda};
    mien_cuda_memory_slots(&cuda->ops);
    mien_cuda_glue_slots(&cuda->ops);
    mien_cuda_linear_slots(&cuda->ops);
    mien_cuda_range_slots(&cuda->ops);
    b->ops = &cuda->ops;
    b->param_dtype = MIEN_F32;
    b->compute = cuda->compute;
    b->dtype = cuda->compute == MIEN_COMPUTE_BF16  ? MIEN_BF16
               : cuda->compute == MIEN_COMPUTE_F16 ? MIEN_F16
                                                   : MIEN_F32;
    describe(b);
    *out = b;
    return MIEN_OK;
out:
    close_cuda(b);
    return status;
}
