/* Trying cuDNN's engines on a problem: memory filled with numbers, timing, and a sample of the
 * result, by which engines are compared with each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cuda/dnn.h"
#include "host/base/clock.h"
#include "host/base/memory.h"
#include "kernels/body/cast.h"

/* HOPELESS: an engine so many times slower than the best is not timed further. PATTERN: how many
 * random numbers the tensors repeat. */
enum { RUNS = 5, ROUNDS = 2, HOPELESS = 10, PIECE = 256, PATTERN = 4096 };

static bool good(cudnnStatus_t status) {
    return status == CUDNN_STATUS_SUCCESS;
}

static size_t whole_pieces(size_t bytes) {
    return (bytes + PIECE - 1) / PIECE * PIECE;
}

/* ---- memory ---- */

/* Uniform numbers in (-1, 1) of one type, the same ones in every run. */
static size_t make_pattern(mien_dtype dtype, void *out) {
    float *const floats = out;
    uint16_t *const halves = out;
    uint32_t state = 1;
    for (int i = 0; i < PATTERN; i++) {
        state = state * 1664525u + 1013904223u;
        const float value = (float)(state >> 8) / (float)(1 << 23) - 1;
        if (dtype == MIEN_F32)
            floats[i] = value;
        else
            halves[i] = dtype == MIEN_BF16 ? body_to_bf16(value) : body_to_f16(value);
    }
    return PATTERN * mien_dtype_bytes(dtype);
}

/* Fills a tensor with the pattern, over and over: products of equal numbers would not show an
 * engine that reads the wrong ones, and products of zeros take less power, so less time. */
static mien_status fill(const mien_cuda *cuda, char *to, size_t bytes, mien_dtype dtype) {
    float pattern[PATTERN];
    size_t done = make_pattern(dtype, pattern);
    if (done > bytes) done = bytes;
    CUDA_TRY(cudaMemcpyAsync(to, pattern, done, cudaMemcpyHostToDevice, cuda->stream),
             "filling memory");
    CUDA_TRY(cudaStreamSynchronize(cuda->stream), "filling memory");
    while (done < bytes) {
        const size_t more = bytes - done < done ? bytes - done : done;
        CUDA_TRY(cudaMemcpyAsync(to + done, to, more, cudaMemcpyDeviceToDevice, cuda->stream),
                 "filling memory");
        done += more;
    }
    return MIEN_OK;
}

mien_status dnn_trial_open(dnn_trial *t, const mien_cuda *cuda, const dnn_problem *p) {
    size_t bytes = 0;
    *t = (dnn_trial){.cuda = cuda, .problem = p};
    for (int uid = 0; uid < DNN_UIDS; uid++)
        if (dnn_has(p, uid)) bytes += whole_pieces(dnn_bytes(p, uid));
    const mien_status status = mien_cuda_alloc(bytes, (void **)&t->tensors);
    if (status == MIEN_NO_MEMORY) return MIEN_OK;
    MIEN_TRY(status);
    char *at = t->tensors;
    for (int uid = 0; uid < DNN_UIDS; uid++) {
        if (!dnn_has(p, uid)) continue;
        MIEN_TRY(fill(cuda, at, dnn_bytes(p, uid), dnn_dtype(p)));
        t->pointers.at[uid] = at;
        at += whole_pieces(dnn_bytes(p, uid));
    }
    CUDA_TRY(cudaEventCreateWithFlags(&t->from, cudaEventDefault), "making an event");
    CUDA_TRY(cudaEventCreateWithFlags(&t->to, cudaEventDefault), "making an event");
    return MIEN_OK;
}

void dnn_trial_close(dnn_trial *t) {
    if (t->from) cudaEventDestroy(t->from);
    if (t->to) cudaEventDestroy(t->to);
    mien_cuda_free(t->workspace);
    mien_cuda_free(t->tensors);
}

/* Provides the engine's workspace; *enough is false when the device has too little memory left. */
static mien_status provide_workspace(dnn_trial *t, size_t bytes, bool *enough) {
    *enough = bytes <= t->workspace_bytes;
    if (*enough) return MIEN_OK;
    mien_cuda_free(t->workspace);
    t->workspace = NULL;
    t->workspace_bytes = 0;
    const mien_status status = mien_cuda_alloc(bytes, &t->workspace);
    if (status == MIEN_NO_MEMORY) return MIEN_OK;
    MIEN_TRY(status);
    t->workspace_bytes = bytes;
    *enough = true;
    return MIEN_OK;
}

/* ---- timing ---- */

static cuda_tensor tensor_at(const dnn_trial *t, int uid, mien_shape shape) {
    return (cuda_tensor){t->pointers.at[uid],
                         mien_cuda_number(dnn_dtype(t->problem)),
                         shape.n,
                         shape.h,
                         shape.w,
                         shape.c};
}

/* What our own kernels do where the problem's bias and ReLU are not in the graph. */
static int run_own_kernels(const dnn_trial *t) {
    const dnn_problem *p = t->problem;
    const cuda_tensor dx = tensor_at(t, DNN_X, p->x);
    if (p->direction == MIEN_DATA)
        return cuda_relu_mask(t->cuda->stream, dx, dx, tensor_at(t, DNN_RELU_MASK, p->x), false);
    return cuda_bias_activation(t->cuda->stream, tensor_at(t, DNN_Y, p->y),
                                p->bias ? t->pointers.at[DNN_BIAS] : NULL,
                                p->relu ? BODY_RELU : BODY_LINEAR, 0);
}

/* Runs the engine, or (NULL) our own kernels, a few times back to back, so that the card stays busy
 * while the host enqueues: else the time would be the host's. */
static mien_status run_some(dnn_trial *t, const dnn_engine *e, cudnnBackendDescriptor_t variant,
                            int runs, cudnnStatus_t *code, float *ms) {
    cudaStream_t stream = t->cuda->stream;
    CUDA_TRY(cudaEventRecord(t->from, stream), "timing an engine");
    for (int i = 0; i < runs; i++) {
        if (e)
            *code = cudnnBackendExecute(t->cuda->dnn, e->plan, variant);
        else
            CUDA_TRY(run_own_kernels(t), "bias and activation");
        if (!good(*code)) return MIEN_OK;
    }
    CUDA_TRY(cudaEventRecord(t->to, stream), "timing an engine");
    CUDA_TRY(cudaEventSynchronize(t->to), "trying an engine");
    CUDA_TRY(cudaEventElapsedTime(ms, t->from, t->to), "timing an engine");
    *ms /= (float)runs;
    return MIEN_OK;
}

/* The best of some rounds; more than `limit` (0: none) ends it early. The code is loaded. */
static mien_status time_rounds(dnn_trial *t, const dnn_engine *e, cudnnBackendDescriptor_t variant,
                               float limit, cudnnStatus_t *code, float *best) {
    MIEN_TRY(run_some(t, e, variant, 1, code, best));
    if (limit > 0 && *best > limit) return MIEN_OK;
    for (int i = 0; i < ROUNDS && good(*code); i++) {
        float ms = 0;
        MIEN_TRY(run_some(t, e, variant, RUNS, code, &ms));
        if (i == 0 || ms < *best) *best = ms;
    }
    return MIEN_OK;
}

mien_status dnn_trial_own(dnn_trial *t, float *ms) {
    cudnnStatus_t code = CUDNN_STATUS_SUCCESS;
    *ms = 0;
    if (!t->tensors) return MIEN_OK;
    MIEN_TRY(run_some(t, NULL, NULL, 1, &code, ms));
    return time_rounds(t, NULL, NULL, 0, &code, ms);
}

mien_status dnn_trial_run(dnn_trial *t, dnn_engine *e, float best_ms, bool timed, bool *works) {
    cudnnStatus_t code = CUDNN_STATUS_SUCCESS;
    float ms = 0;
    *works = !t->tensors;
    if (*works) return MIEN_OK;
    MIEN_TRY(provide_workspace(t, e->workspace, works));
    if (!*works) return MIEN_OK;
    cudnnBackendDescriptor_t variant = dnn_pack(t->problem, &t->pointers, t->workspace);
    *works = variant != NULL;
    if (!variant) return MIEN_OK;
    mien_status status = run_some(t, e, variant, 1, &code, &ms); /* also loads the code */
    t->ran |= status == MIEN_OK && good(code);
    if (status == MIEN_OK && good(code) && timed)
        status = time_rounds(t, e, variant, HOPELESS * best_ms, &code, &e->choice.ms);
    cudnnBackendDestroyDescriptor(variant);
    MIEN_TRY(status);
    *works = good(code);
    if (*works) return MIEN_OK;
    char text[64];
    dnn_choice_text(&e->choice, text, sizeof text);
    mien_log(MIEN_LOG_DEBUG, "cuDNN's %s fails here: %s", text, cudnnGetErrorString(code));
    CUDA_TRY(cudaStreamSynchronize(t->cuda->stream), "the work of a dropped engine");
    cudaGetLastError(); /* clears the engine's error */
    return MIEN_OK;
}

/* ---- results ---- */

static int result_of(const dnn_problem *p) {
    return p->direction == MIEN_FORWARD ? DNN_Y : p->direction == MIEN_DATA ? DNN_X : DNN_W;
}

static float number_at(const void *data, mien_dtype dtype, int i) {
    if (dtype == MIEN_F32) return ((const float *)data)[i];
    const uint16_t bits = ((const uint16_t *)data)[i];
    return dtype == MIEN_BF16 ? body_from_bf16(bits) : body_from_f16(bits);
}

/* Three runs of numbers: at the begin, in the middle and at the end. */
mien_status dnn_trial_sample(const dnn_trial *t, float sample[DNN_SAMPLE]) {
    enum { PARTS = 3, EACH = DNN_SAMPLE / PARTS };
    const int uid = result_of(t->problem);
    const mien_dtype dtype = dnn_dtype(t->problem);
    const size_t size = mien_dtype_bytes(dtype), count = dnn_bytes(t->problem, uid) / size;
    const size_t each = count / PARTS < EACH ? count / PARTS : EACH;
    const size_t starts[PARTS] = {0, (count - each) / 2, count - each};
    float raw[EACH];
    memset(sample, 0, DNN_SAMPLE * sizeof *sample);
    for (int i = 0; i < PARTS; i++) {
        const char *from = (const char *)t->pointers.at[uid] + starts[i] * size;
        CUDA_TRY(cudaMemcpyAsync(raw, from, each * size, cudaMemcpyDeviceToHost, t->cuda->stream),
                 "reading a result");
        CUDA_TRY(cudaStreamSynchronize(t->cuda->stream), "reading a result");
        for (size_t k = 0; k < each; k++)
            sample[(size_t)i * EACH + k] = number_at(raw, dtype, (int)k);
    }
    return MIEN_OK;
}

/* Engines sum in different orders and may transform; a wrong one is off by about the norm. */
bool dnn_samples_agree(const float *a, const float *b, mien_compute compute) {
    const double tolerance = compute == MIEN_COMPUTE_F32    ? 1e-3
                             : compute == MIEN_COMPUTE_TF32 ? 2e-2
                                                            : 5e-2;
    double difference = 0, norm = 0;
    for (int i = 0; i < DNN_SAMPLE; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(difference) <= tolerance * sqrt(norm);
}
