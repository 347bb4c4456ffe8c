/* Matrix products by cuBLASLt: descriptors, the choice of an algorithm, the call. */
#include "host/backend/cuda/blas.h"

#include <stdio.h>

#include "host/backend/cuda/dnn.h"

/* How an algorithm is timed: some warm-up runs, then rounds of runs. A slow one is not repeated
 * once BLAS_PATIENCE has passed: its time is known well enough. */
enum { BLAS_WARM = 2, BLAS_RUNS = 5, BLAS_ROUNDS = 2, BLAS_PATIENCE = 50 /* ms */ };

/* The minimum alignment of every network's matrices: tensors and parameters begin at multiples of
 * 64 bytes, 16-bit copies of parameters at multiples of 32. */
enum { BLAS_ALIGN = 32 };

static cudaDataType_t type_of(mien_dtype dtype) {
    return dtype == MIEN_BF16 ? CUDA_R_16BF : dtype == MIEN_F16 ? CUDA_R_16F : CUDA_R_32F;
}

/* In f32, PEDANTIC prevents the use of tensor cores. */
static cublasComputeType_t compute_of(const mien_cuda *cuda, mien_dtype in) {
    if (in != MIEN_F32) return CUBLAS_COMPUTE_32F;
    return cuda->compute == MIEN_COMPUTE_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                              : CUBLAS_COMPUTE_32F_PEDANTIC;
}

static int rows_of_a(const blas_problem *p) {
    return p->transpose_a ? p->k : p->m;
}

static int rows_of_b(const blas_problem *p) {
    return p->transpose_b ? p->n : p->k;
}

/* Bytes that every column of a matrix is aligned to: with 7 classes of 16 bits only 2. */
static uint32_t alignment(int rows, mien_dtype dtype) {
    const uint32_t bytes = (uint32_t)rows * (uint32_t)mien_dtype_bytes(dtype);
    const uint32_t aligned = bytes & (~bytes + 1);
    return aligned < BLAS_ALIGN ? aligned : BLAS_ALIGN;
}

/* ---- descriptors ---- */

static cublasStatus_t set(blas_product *product, cublasLtMatmulDescAttributes_t name,
                          const void *value, size_t size) {
    return cublasLtMatmulDescSetAttribute(product->op, name, value, size);
}

static mien_status describe(blas_product *product, const mien_cuda *cuda) {
    const blas_problem *p = &product->problem;
    const cublasOperation_t a = p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t b = p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const uint32_t epilogue = p->epilogue;
    const int32_t bias = type_of(p->bias);
    const int a_rows = rows_of_a(p), b_rows = rows_of_b(p);
    CUBLAS_TRY(cublasLtMatmulDescCreate(&product->op, compute_of(cuda, p->in), CUDA_R_32F),
               "describing a matrix product");
    CUBLAS_TRY(set(product, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a), "transposing A");
    CUBLAS_TRY(set(product, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b), "transposing B");
    CUBLAS_TRY(set(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue),
               "setting an epilogue");
    if (epilogue != CUBLASLT_EPILOGUE_DEFAULT && epilogue != CUBLASLT_EPILOGUE_RELU) {
        /* the heuristics use the pointer's alignment only: this one has that of any parameter */
        const void *aligned = (const char *)cuda->blas_workspace + BLAS_ALIGN;
        CUBLAS_TRY(set(product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias, sizeof bias),
                   "setting the type of a bias");
        CUBLAS_TRY(set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &aligned, sizeof aligned),
                   "setting a bias");
    }
    CUBLAS_TRY(cublasLtMatrixLayoutCreate(&product->a, type_of(p->in), (uint64_t)a_rows,
                                          (uint64_t)(p->transpose_a ? p->m : p->k), a_rows),
               "describing A");
    CUBLAS_TRY(cublasLtMatrixLayoutCreate(&product->b, type_of(p->in), (uint64_t)b_rows,
                                          (uint64_t)(p->transpose_b ? p->k : p->n), b_rows),
               "describing B");
    CUBLAS_TRY(cublasLtMatrixLayoutCreate(&product->d, type_of(p->out), (uint64_t)p->m,
                                          (uint64_t)p->n, p->m),
               "describing D");
    return MIEN_OK;
}

void blas_product_release(blas_product *product) {
    if (product->a) cublasLtMatrixLayoutDestroy(product->a);
    if (product->b) cublasLtMatrixLayoutDestroy(product->b);
    if (product->d) cublasLtMatrixLayoutDestroy(product->d);
    if (product->op) cublasLtMatmulDescDestroy(product->op);
    *product = (blas_product){0};
}

/* ---- algorithms that the library offers ---- */

static mien_status prefer(cublasLtMatmulPreference_t preference, const blas_problem *p) {
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        uint32_t bytes;
    } aligned[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(rows_of_a(p), p->in)},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(rows_of_b(p), p->in)},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(p->m, p->out)},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p->m, p->out)}};
    const uint64_t workspace = CUDA_BLAS_WORKSPACE;
    /* never INPLACE: parts are added to the output in no fixed order, so that every run could give
     * other bits; nor in the type of a 16-bit output */
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    CUBLAS_TRY(cublasLtMatmulPreferenceSetAttribute(preference,
                                                    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                    &workspace, sizeof workspace),
               "setting the workspace");
    CUBLAS_TRY(cublasLtMatmulPreferenceSetAttribute(preference,
                                                    CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                    &schemes, sizeof schemes),
               "setting the reduction schemes");
    for (size_t i = 0; i < sizeof aligned / sizeof aligned[0]; i++)
        CUBLAS_TRY(cublasLtMatmulPreferenceSetAttribute(preference, aligned[i].name,
                                                        &aligned[i].bytes, sizeof(uint32_t)),
                   "setting an alignment");
    return MIEN_OK;
}

/* Up to BLAS_CANDIDATES algorithms, the library's preferred one first. */
static mien_status offered(const blas_product *product, const mien_cuda *cuda,
                           cublasLtMatmulHeuristicResult_t results[BLAS_CANDIDATES], int *count) {
    cublasLtMatmulPreference_t preference;
    int found = 0;
    *count = 0;
    CUBLAS_TRY(cublasLtMatmulPreferenceCreate(&preference), "creating a preference");
    mien_status status = prefer(preference, &product->problem);
    if (status == MIEN_OK)
        status = mien_cublas_check(cublasLtMatmulAlgoGetHeuristic(
                                       cuda->blas, product->op, product->a, product->b, product->d,
                                       product->d, preference, BLAS_CANDIDATES, results, &found),
                                   "querying algorithms", __FILE__, __LINE__);
    cublasLtMatmulPreferenceDestroy(preference);
    for (int i = 0; i < found; i++)
        if (results[i].state == CUBLAS_STATUS_SUCCESS &&
            results[i].workspaceSize <= CUDA_BLAS_WORKSPACE)
            results[(*count)++] = results[i];
    if (status == MIEN_OK && *count == 0)
        return MIEN_FAIL(UNSUPPORTED, "cuBLASLt has no algorithm for a product of %d x %d x %d",
                         product->problem.m, product->problem.n, product->problem.k);
    return status;
}

/* ---- timing ---- */

/* Operands to time algorithms with, and two events. */
typedef struct trial {
    void *a, *b, *d, *bias;
    cudaEvent_t from, to;
} trial;

static void trial_release(trial *t) {
    void *const blocks[] = {t->a, t->b, t->d, t->bias};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        mien_cuda_free(blocks[i]);
    if (t->from) cudaEventDestroy(t->from);
    if (t->to) cudaEventDestroy(t->to);
}

static mien_status operand(const mien_cuda *cuda, void **out, int rows, int columns,
                           mien_dtype dtype) {
    const size_t bytes = (size_t)rows * (size_t)columns * mien_dtype_bytes(dtype);
    MIEN_TRY(mien_cuda_alloc(bytes, out));
    /* numbers between 0 and 2 in every type: multiplying zeros takes less power, so less time */
    CUDA_TRY(cudaMemsetAsync(*out, 0x3c, bytes, cuda->stream), "filling memory");
    return MIEN_OK;
}

static mien_status trial_make(trial *t, const mien_cuda *cuda, const blas_problem *p) {
    MIEN_TRY(operand(cuda, &t->a, p->m, p->k, p->in));
    MIEN_TRY(operand(cuda, &t->b, p->k, p->n, p->in));
    MIEN_TRY(operand(cuda, &t->d, p->m, p->n, p->out));
    MIEN_TRY(operand(cuda, &t->bias, 1, p->m > p->n ? p->m : p->n, MIEN_F32));
    CUDA_TRY(cudaEventCreateWithFlags(&t->from, cudaEventDefault), "creating an event");
    CUDA_TRY(cudaEventCreateWithFlags(&t->to, cudaEventDefault), "creating an event");
    return MIEN_OK;
}

/* The time of a run, from several back to back, so that the card stays busy while the host
 * enqueues: else the time would be the host's. */
static mien_status time_some(const blas_product *product, mien_cuda *cuda, const trial *t, int runs,
                             float *ms) {
    CUDA_TRY(cudaEventRecord(t->from, cuda->stream), "recording a timestamp");
    for (int i = 0; i < runs; i++)
        MIEN_TRY(blas_product_run(product, cuda, t->d, t->a, t->b, t->bias, false));
    CUDA_TRY(cudaEventRecord(t->to, cuda->stream), "recording a timestamp");
    CUDA_TRY(cudaEventSynchronize(t->to), "a matrix product");
    CUDA_TRY(cudaEventElapsedTime(ms, t->from, t->to), "reading a timestamp");
    *ms /= (float)runs;
    return MIEN_OK;
}

/* The best of some runs of the product's algorithm. */
static mien_status time_best(const blas_product *product, mien_cuda *cuda, const trial *t,
                             float *best) {
    float spent = 0;
    for (int round = 0; round <= BLAS_ROUNDS; round++) {
        const int runs = round == 0 ? BLAS_WARM : BLAS_RUNS;
        float ms;
        MIEN_TRY(time_some(product, cuda, t, runs, &ms));
        spent += ms * (float)runs;
        if (round <= 1 || ms < *best) *best = ms;
        if (spent > BLAS_PATIENCE) break;
    }
    return MIEN_OK;
}

/* The fastest of the candidates; one that the library offers and then refuses is skipped. */
static mien_status fastest(blas_product *product, mien_cuda *cuda,
                           const cublasLtMatmulHeuristicResult_t *candidates, int count,
                           float *best) {
    trial t = {0};
    int chosen = -1;
    mien_status status = trial_make(&t, cuda, &product->problem);
    for (int i = 0; i < count && status == MIEN_OK; i++) {
        float ms = 0;
        product->algorithm = candidates[i].algo;
        status = time_best(product, cuda, &t, &ms);
        if (status == MIEN_OK && (chosen < 0 || ms < *best)) chosen = i, *best = ms;
        if (status == MIEN_UNSUPPORTED) status = MIEN_OK;
    }
    trial_release(&t);
    if (status == MIEN_OK && chosen < 0)
        return MIEN_FAIL(UNSUPPORTED, "cuBLASLt refuses every algorithm that it offered");
    if (status == MIEN_OK) product->algorithm = candidates[chosen].algo;
    return status;
}

/* ---- earlier measurements ---- */

/* The settings that distinguish algorithms of one cuBLASLt version, and their sizes. */
static const struct {
    cublasLtMatmulAlgoConfigAttributes_t name;
    size_t bytes;
} knobs[] = {
    {CUBLASLT_ALGO_CONFIG_TILE_ID, 4},          {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},
    {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4}, {CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},
    {CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},    {CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
    {CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2},   {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2}};
enum { KNOBS = sizeof knobs / sizeof knobs[0] };

static uint32_t knob(const cublasLtMatmulAlgo_t *algorithm,
                     cublasLtMatmulAlgoConfigAttributes_t name, size_t bytes) {
    uint32_t value = 0; /* little-endian, as on all hosts of CUDA: two bytes fill the lower half */
    size_t written;
    cublasLtMatmulAlgoConfigGetAttribute(algorithm, name, &value, bytes, &written);
    return value;
}

static dnn_choice choice_of(const cublasLtMatmulAlgo_t *algorithm) {
    dnn_choice choice = {.engine = knob(algorithm, CUBLASLT_ALGO_CONFIG_ID, 4), .knobs = KNOBS};
    for (int i = 0; i < KNOBS; i++) {
        choice.knob[i].type = knobs[i].name;
        choice.knob[i].value = knob(algorithm, knobs[i].name, knobs[i].bytes);
    }
    return choice;
}

static void signature(const blas_product *product, const mien_cuda *cuda,
                      char text[DNN_SIGNATURE]) {
    const blas_problem *p = &product->problem;
    snprintf(text, DNN_SIGNATURE, "cublaslt %zu %c%c %d %d %d types %d %d compute %d epilogue %d",
             cublasLtGetVersion(), p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', p->m,
             p->n, p->k, (int)type_of(p->in), (int)type_of(p->out), (int)compute_of(cuda, p->in),
             (int)p->epilogue);
}

/* The candidate that was the fastest when it was measured. */
static bool recall(blas_product *product, const dnn_choice *known,
                   const cublasLtMatmulHeuristicResult_t *candidates, int count) {
    for (int i = 0; known && i < count; i++) {
        const dnn_choice choice = choice_of(&candidates[i].algo);
        if (!dnn_choice_same(&choice, known)) continue;
        product->algorithm = candidates[i].algo;
        return true;
    }
    return false;
}

/* A measurement is kept: with another algorithm the next run would give other bits. */
static mien_status choose(blas_product *product, mien_cuda *cuda) {
    cublasLtMatmulHeuristicResult_t candidates[BLAS_CANDIDATES];
    char text[DNN_SIGNATURE];
    int count;
    MIEN_TRY(offered(product, cuda, candidates, &count));
    product->algorithm = candidates[0].algo;
    if (cuda->deterministic || count == 1) return MIEN_OK;
    if (!cuda->engines) MIEN_TRY(dnn_cache_open(cuda, &cuda->engines));
    signature(product, cuda, text);
    if (recall(product, dnn_cache_find(cuda->engines, text), candidates, count)) return MIEN_OK;
    float ms = 0;
    MIEN_TRY(fastest(product, cuda, candidates, count, &ms));
    dnn_choice choice = choice_of(&product->algorithm);
    choice.ms = ms;
    return dnn_cache_put(cuda->engines, text, &choice);
}

/* ---- interface ---- */

mien_status blas_product_make(blas_product *product, mien_cuda *cuda, const blas_problem *problem) {
    *product = (blas_product){.problem = *problem};
    mien_status status = describe(product, cuda);
    if (status == MIEN_OK) status = choose(product, cuda);
    if (status != MIEN_OK) blas_product_release(product);
    return status;
}

mien_status blas_product_run(const blas_product *product, mien_cuda *cuda, void *d, const void *a,
                             const void *b, const void *bias, bool accumulate) {
    const float alpha = 1, beta = accumulate ? 1 : 0;
    if (bias && product->problem.epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        CUBLAS_TRY(cublasLtMatmulDescSetAttribute(product->op, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                  &bias, sizeof bias),
                   "setting a bias");
    return mien_cublas_check(cublasLtMatmul(cuda->blas, product->op, &alpha, a, product->a, b,
                                            product->b, &beta, d, product->d, d, product->d,
                                            &product->algorithm, cuda->blas_workspace,
                                            CUDA_BLAS_WORKSPACE, cuda->stream),
                             "a matrix product", __FILE__, __LINE__);
}

void blas_product_text(const blas_product *product, char *text, size_t size) {
    const cublasLtMatmulAlgo_t *a = &product->algorithm;
    snprintf(text, size, "algo %u tile %u stages %u splitk %u", knob(a, CUBLASLT_ALGO_CONFIG_ID, 4),
             knob(a, CUBLASLT_ALGO_CONFIG_TILE_ID, 4), knob(a, CUBLASLT_ALGO_CONFIG_STAGES_ID, 4),
             knob(a, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4));
}
