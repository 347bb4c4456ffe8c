/* The fake cuBLASLt: handles, descriptors, checks and heuristics. The arithmetic is in
 * cublaslt_product.c. A setting:
 *
 *   FAKE_CUBLASLT_ALIGN=N  there is no algorithm where the columns of a matrix are aligned to less
 *                          than N bytes; 256: there is none at all */
#include "tests/cuda/fake/cublaslt.h"
#include "tests/cuda/fake/cost.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(lt_layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "layout");
_Static_assert(sizeof(lt_op) <= sizeof(cublasLtMatmulDescOpaque_t), "operation");
_Static_assert(sizeof(lt_preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t), "preference");
_Static_assert(sizeof(lt_algorithm) <= sizeof(cublasLtMatmulAlgo_t), "algorithm");

struct cublasLtContext {
    int open;
};

static cublasStatus_t failure(const char *name, cublasStatus_t injected) {
    return fake_fails(name) ? injected : CUBLAS_STATUS_SUCCESS;
}
#define LT_ENTER(injected)                                                                         \
    do {                                                                                           \
        if (failure(__func__, injected) != CUBLAS_STATUS_SUCCESS) return injected;                 \
    } while (0)

/* ---- the library ---- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t *lightHandle) {
    LT_ENTER(CUBLAS_STATUS_NOT_INITIALIZED);
    *lightHandle = calloc(1, sizeof **lightHandle);
    if (!*lightHandle) return CUBLAS_STATUS_ALLOC_FAILED;
    (*lightHandle)->open = LT_OP;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle) {
    if (!lightHandle || lightHandle->open != LT_OP) return CUBLAS_STATUS_NOT_INITIALIZED;
    free(lightHandle);
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void) {
    return 130100;
}

static const struct {
    cublasStatus_t code;
    const char *name, *text;
} statuses[] = {
    {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS", "success"},
    {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED",
     "the library was not initialized"},
    {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED", "the resource allocation failed"},
    {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE", "an invalid value was passed"},
    {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED",
     "the function failed to launch on the GPU"},
    {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR", "an internal operation failed"},
    {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED",
     "the functionality is not supported"},
};

static size_t status_index(cublasStatus_t status) {
    const size_t count = sizeof statuses / sizeof statuses[0];
    size_t i = 0;
    while (i < count && statuses[i].code != status)
        i++;
    return i < count ? i : count - 2;
}

const char *cublasLtGetStatusName(cublasStatus_t status) {
    return statuses[status_index(status)].name;
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
    return statuses[status_index(status)].text;
}

/* ---- descriptors ---- */

size_t lt_bytes(int type) {
    return type == CUDA_R_32F ? 4 : type == CUDA_R_16F || type == CUDA_R_16BF ? 2 : 0;
}

static cublasStatus_t make(void *out, const void *content, size_t bytes, size_t opaque) {
    void *made = calloc(1, opaque);
    if (!made) return CUBLAS_STATUS_ALLOC_FAILED;
    memcpy(made, content, bytes);
    memcpy(out, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t destroy(void *object, uint32_t kind) {
    uint32_t made;
    if (!object) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&made, object, sizeof made);
    if (made != kind) return CUBLAS_STATUS_INVALID_VALUE;
    free(object);
    return CUBLAS_STATUS_SUCCESS;
}

/* Sets an attribute; the size given must match exactly. */
static cublasStatus_t put(void *field, size_t bytes, const void *buf, size_t given) {
    if (!buf || given != bytes) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(field, buf, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *matLayout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld) {
    LT_ENTER(CUBLAS_STATUS_ALLOC_FAILED);
    const lt_layout l = {LT_LAYOUT, type, rows, cols, ld};
    return make(matLayout, &l, sizeof l, sizeof **matLayout);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout) {
    return destroy(matLayout, LT_LAYOUT);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmulDesc,
                                        cublasComputeType_t computeType, cudaDataType_t scaleType) {
    LT_ENTER(CUBLAS_STATUS_ALLOC_FAILED);
    const lt_op op = {.made = LT_OP,
                      .compute = computeType,
                      .scale = scaleType,
                      .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                      .bias_type = -1};
    return make(matmulDesc, &op, sizeof op, sizeof **matmulDesc);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc) {
    return destroy(matmulDesc, LT_OP);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc,
                                              cublasLtMatmulDescAttributes_t attr, const void *buf,
                                              size_t sizeInBytes) {
    lt_op *op = (lt_op *)matmulDesc;
    LT_ENTER(CUBLAS_STATUS_INVALID_VALUE);
    if (!op || op->made != LT_OP) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attr) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return put(&op->transpose_a, sizeof op->transpose_a, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return put(&op->transpose_b, sizeof op->transpose_b, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return put(&op->epilogue, sizeof op->epilogue, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return put(&op->bias, sizeof op->bias, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        return put(&op->bias_type, sizeof op->bias_type, buf, sizeInBytes);
    default:
        return CUBLAS_STATUS_INVALID_VALUE;
    }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *pref) {
    LT_ENTER(CUBLAS_STATUS_ALLOC_FAILED);
    const lt_preference p = {.made = LT_PREFERENCE,
                             .schemes = CUBLASLT_REDUCTION_SCHEME_MASK,
                             .align = {256, 256, 256, 256}};
    return make(pref, &p, sizeof p, sizeof **pref);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref) {
    return destroy(pref, LT_PREFERENCE);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t attr,
                                                    const void *buf, size_t sizeInBytes) {
    lt_preference *p = (lt_preference *)pref;
    LT_ENTER(CUBLAS_STATUS_INVALID_VALUE);
    if (!p || p->made != LT_PREFERENCE) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attr) {
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
        return put(&p->search, sizeof p->search, buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return put(&p->workspace, sizeof p->workspace, buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return put(&p->schemes, sizeof p->schemes, buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return put(&p->align[attr - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], sizeof p->align[0],
                   buf, sizeInBytes);
    default:
        return CUBLAS_STATUS_INVALID_VALUE;
    }
}

/* ---- heuristics ---- */

/* The last one is offered like the others but refuses to run. */
static const struct offer {
    uint32_t id, tile, stages, splitk, scheme;
    uint32_t align; /* least alignment of every matrix */
    bool refuses;
} offers[] = {
    {21, 15, 11, 4, CUBLASLT_REDUCTION_SCHEME_INPLACE, 2, false},
    {66, 20, 20, 1, CUBLASLT_REDUCTION_SCHEME_NONE, 16, false},
    {21, 15, 11, 1, CUBLASLT_REDUCTION_SCHEME_NONE, 2, false},
    {23, 18, 16, 2, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 4, false},
    {31, 5, 8, 1, CUBLASLT_REDUCTION_SCHEME_NONE, 2, true},
};
enum { OFFERS = sizeof offers / sizeof offers[0] };

static bool suits(const struct offer *o, const lt_preference *p, uint32_t workspace) {
    const char *align = getenv("FAKE_CUBLASLT_ALIGN");
    const unsigned long least = align ? strtoul(align, NULL, 10) : 0;
    if (o->scheme && !(p->schemes & o->scheme)) return false;
    for (int i = 0; i < 4; i++)
        if (p->align[i] < o->align || p->align[i] < least) return false;
    return workspace <= p->workspace;
}

static uint32_t workspace_of(const struct offer *o, const lt_problem *problem) {
    if (o->scheme != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) return 0;
    const uint64_t bytes = problem->m * problem->n * o->splitk * sizeof(float);
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc, cublasLtMatrixLayout_t Adesc,
    cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
    cublasLtMatmulPreference_t preference, int requestedAlgoCount,
    cublasLtMatmulHeuristicResult_t heuristicResultsArray[], int *returnAlgoCount) {
    const lt_preference *p = (const lt_preference *)preference;
    lt_problem problem;
    *returnAlgoCount = 0;
    LT_ENTER(CUBLAS_STATUS_NOT_SUPPORTED);
    if (!lightHandle || lightHandle->open != LT_OP) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!p || p->made != LT_PREFERENCE || requestedAlgoCount <= 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    const cublasStatus_t status = lt_check(&problem, operationDesc, Adesc, Bdesc, Cdesc, Ddesc);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    for (int i = 0; i < OFFERS && *returnAlgoCount < requestedAlgoCount; i++) {
        const uint32_t workspace = workspace_of(&offers[i], &problem);
        if (!suits(&offers[i], p, workspace)) continue;
        const lt_algorithm algorithm = {
            LT_ALGORITHM,          offers[i].id,     offers[i].tile, offers[i].stages,
            offers[i].splitk,      offers[i].scheme, workspace,      {0},
            lt_signature(&problem)};
        cublasLtMatmulHeuristicResult_t *result = &heuristicResultsArray[(*returnAlgoCount)++];
        *result = (cublasLtMatmulHeuristicResult_t){.workspaceSize = workspace, .wavesCount = 1};
        memcpy(&result->algo, &algorithm, sizeof algorithm);
        lt_algorithm *made = (lt_algorithm *)&result->algo;
        for (int j = 0; j < 4; j++)
            made->align[j] = (uint16_t)p->align[j];
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attr,
                                                    void *buf, size_t sizeInBytes,
                                                    size_t *sizeWritten) {
    const lt_algorithm *a = (const lt_algorithm *)algo;
    uint32_t value = 0;
    size_t bytes = sizeof value;
    if (a->made != LT_ALGORITHM) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attr) {
    case CUBLASLT_ALGO_CONFIG_ID:
        value = a->id;
        break;
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
        value = a->tile;
        break;
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
        value = a->splitk;
        break;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
        value = a->scheme;
        break;
    case CUBLASLT_ALGO_CONFIG_STAGES_ID:
        value = a->stages;
        break;
    case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
    case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION:
        break;
    case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
    case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID:
        bytes = sizeof(uint16_t);
        break;
    default:
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (sizeInBytes != bytes) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(buf, &value, bytes);
    *sizeWritten = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the call ---- */

/* Is every operand in device memory and aligned as promised? */
static bool reachable(const lt_call *call, const lt_algorithm *algorithm) {
    const lt_problem *p = &call->problem;
    const struct {
        const void *data;
        const lt_layout *layout;
    } operands[] = {{call->a, &p->a}, {call->b, &p->b}, {call->c, &p->c}, {call->d, &p->d}};
    for (int i = 0; i < 4; i++) {
        const lt_layout *l = operands[i].layout;
        if ((uintptr_t)operands[i].data % algorithm->align[i]) return false;
        if (!fake_reaches(operands[i].data, (size_t)l->ld * (size_t)l->columns * lt_bytes(l->type)))
            return false;
    }
    const uint32_t epilogue = p->op.epilogue;
    if (epilogue == CUBLASLT_EPILOGUE_DEFAULT || epilogue == CUBLASLT_EPILOGUE_RELU) return true;
    const uint64_t count = epilogue == CUBLASLT_EPILOGUE_BGRADB ? p->n : p->m;
    return fake_reaches(p->op.bias, (size_t)count * lt_bytes(p->d.type));
}

static int64_t layout_bytes(const lt_layout *l) {
    return (int64_t)(l->rows * l->columns * lt_bytes(l->type));
}

/* Numbers of the bias or of its gradient. */
static uint64_t bias_count(const lt_problem *p) {
    switch (p->op.epilogue) {
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
        return p->m;
    case CUBLASLT_EPILOGUE_BGRADB:
        return p->n;
    default:
        return 0;
    }
}

static const char *name_of(const lt_problem *p) {
    switch (p->op.epilogue) {
    case CUBLASLT_EPILOGUE_BIAS:
        return "cublaslt matmul bias";
    case CUBLASLT_EPILOGUE_RELU:
        return "cublaslt matmul relu";
    case CUBLASLT_EPILOGUE_RELU_BIAS:
        return "cublaslt matmul bias relu";
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
        return "cublaslt matmul dbias";
    default:
        return "cublaslt matmul";
    }
}

static void record_cost(const lt_call *call) {
    const lt_problem *p = &call->problem;
    int64_t bytes = layout_bytes(&p->a) + layout_bytes(&p->b) + layout_bytes(&p->d);
    if (call->beta != 0) bytes += layout_bytes(&p->c);
    bytes += (int64_t)(bias_count(p) * lt_bytes(p->d.type));
    fake_cost(name_of(p), bytes, 2.0 * (double)p->m * (double)p->n * (double)p->k);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc,
                              const void *alpha, const void *A, cublasLtMatrixLayout_t Adesc,
                              const void *B, cublasLtMatrixLayout_t Bdesc, const void *beta,
                              const void *C, cublasLtMatrixLayout_t Cdesc, void *D,
                              cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspaceSizeInBytes, cudaStream_t stream) {
    const lt_algorithm *algorithm = (const lt_algorithm *)algo;
    lt_call call = {.a = A, .b = B, .c = C, .d = D};
    LT_ENTER(CUBLAS_STATUS_EXECUTION_FAILED);
    if (fake_faulted()) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (!lightHandle || lightHandle->open != LT_OP) return CUBLAS_STATUS_NOT_INITIALIZED;
    const cublasStatus_t status = lt_check(&call.problem, computeDesc, Adesc, Bdesc, Cdesc, Ddesc);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (!alpha || !beta || !algorithm || algorithm->made != LT_ALGORITHM ||
        algorithm->signature != lt_signature(&call.problem))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (algorithm->workspace > workspaceSizeInBytes ||
        (algorithm->workspace && !fake_reaches(workspace, algorithm->workspace)))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!reachable(&call, algorithm)) return CUBLAS_STATUS_INVALID_VALUE;
    for (int i = 0; i < OFFERS; i++)
        if (offers[i].id == algorithm->id && offers[i].refuses) return CUBLAS_STATUS_NOT_SUPPORTED;
    static atomic_uint calls;
    fake_count.products++;
    call.backwards = algorithm->scheme == CUBLASLT_REDUCTION_SCHEME_INPLACE && calls++ % 2;
    memcpy(&call.alpha, alpha, sizeof call.alpha);
    memcpy(&call.beta, beta, sizeof call.beta);
    record_cost(&call);
    if (fake_skips(FAKE_LIBRARY)) {
        const lt_problem *p = &call.problem;
        const uint32_t epilogue = p->op.epilogue;
        fake_skip_result(D, (size_t)p->d.ld * (size_t)p->d.columns * lt_bytes(p->d.type));
        if (epilogue == CUBLASLT_EPILOGUE_BGRADA || epilogue == CUBLASLT_EPILOGUE_BGRADB)
            fake_skip_result((void *)(uintptr_t)p->op.bias,
                             (size_t)bias_count(p) * lt_bytes(p->d.type));
        return CUBLAS_STATUS_SUCCESS;
    }
    return fake_submit(stream, lt_compute, &call, sizeof call) == cudaSuccess
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_EXECUTION_FAILED;
}
