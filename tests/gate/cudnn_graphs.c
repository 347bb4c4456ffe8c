/* Queries the real cuDNN, without a GPU, for its engines for Mien's graphs on an H100: the library
 * accepts a description of the device instead. Prints TAP. */
#include <stdio.h>
#include <string.h>

/* not its header: the graph that the module does not use is made of its parts */
#include "host/backend/cuda/dnn_graph.c"

static const char h100[] =
    "{\"deviceName\": \"NVIDIA H100 80GB HBM3\", \"deviceVer\": 900, \"driverVer\": 13000, "
    "\"cudaDeviceId\": 0, \"pciDeviceId\": 0, \"isTccDriver\": 0, \"supportCoopLaunch\": 1, "
    "\"multiProcessorCount\": 132, \"warpSize\": 32, \"maxThreadsPerBlock\": 1024, "
    "\"maxThreadsPerSM\": 2048, \"maxCtasPerSM\": 32, \"maxBlockSize\": [1024, 1024, 64], "
    "\"maxGridSize\": [2147483647, 65535, 65535], \"regsPerBlock\": 65536, "
    "\"maxRegistersPerSM\": 65536, \"maxSharedMemoryPerBlock\": 49152, "
    "\"maxSharedMemoryPerBlockOptin\": 232448, \"reservedSharedMemoryPerBlock\": 1024, "
    "\"totalGlobalMem\": 85899345920, \"l2CacheSize\": 52428800, \"smClockRateKHz\": 1980000, "
    "\"memClockRateKHz\": 2619000}";

/* n, image, channels in and out, kernel, stride, padding; the convolutions of classic and vgg first
 */
typedef struct row {
    mien_compute compute;
    int n, size, in, out, kernel, stride, pad;
} row;

static const row rows[] = {
    {MIEN_COMPUTE_BF16, 64, 46, 32, 64, 3, 1, 0},   {MIEN_COMPUTE_BF16, 64, 22, 64, 128, 3, 1, 0},
    {MIEN_COMPUTE_BF16, 64, 10, 128, 128, 3, 1, 0}, {MIEN_COMPUTE_BF16, 64, 48, 64, 64, 3, 1, 1},
    {MIEN_COMPUTE_BF16, 7, 24, 64, 128, 3, 1, 1},   {MIEN_COMPUTE_BF16, 64, 24, 128, 128, 3, 1, 1},
    {MIEN_COMPUTE_BF16, 64, 12, 128, 256, 3, 1, 1}, {MIEN_COMPUTE_BF16, 64, 12, 256, 256, 3, 1, 1},
    {MIEN_COMPUTE_BF16, 64, 6, 256, 512, 3, 1, 1},  {MIEN_COMPUTE_BF16, 64, 6, 512, 512, 3, 1, 1},
    {MIEN_COMPUTE_F16, 64, 22, 64, 128, 3, 1, 0},   {MIEN_COMPUTE_F16, 64, 12, 256, 256, 3, 1, 1},
    {MIEN_COMPUTE_F16, 4, 9, 8, 24, 3, 2, 1},       {MIEN_COMPUTE_F32, 4, 9, 3, 17, 3, 2, 1},
    {MIEN_COMPUTE_F32, 1, 1, 5, 1, 1, 1, 0},        {MIEN_COMPUTE_TF32, 2, 5, 1, 17, 5, 1, 2},
};

static const struct {
    mien_direction direction;
    bool bias, relu;
} graphs[] = {{MIEN_FORWARD, false, false}, {MIEN_FORWARD, true, true},
              {MIEN_FORWARD, true, false},  {MIEN_DATA, false, false},
              {MIEN_DATA, false, true},     {MIEN_FILTER, false, false}};

enum { GRAPHS = sizeof graphs / sizeof graphs[0], MOST = 64, NOTES = 32 };

static bool good(cudnnStatus_t status) {
    return status == CUDNN_STATUS_SUCCESS;
}

static cudnnBackendDescriptor_t create(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = NULL;
    return good(cudnnBackendCreateDescriptor(type, &made)) ? made : NULL;
}

/* Does the configuration's engine multiply in full f32? */
static bool is_plain(cudnnBackendDescriptor_t config) {
    cudnnBackendNumericalNote_t notes[NOTES];
    cudnnBackendDescriptor_t engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0, one;
    bool plain = good(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &engine)) &&
                 good(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                               CUDNN_TYPE_NUMERICAL_NOTE, NOTES, &count, notes));
    for (int64_t i = 0; plain && i < count; i++)
        plain = notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC ||
                notes[i] == CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP;
    cudnnBackendDestroyDescriptor(engine);
    return plain;
}

/* Is the configuration's engine compiled at run time? */
static bool is_compiled(cudnnBackendDescriptor_t config) {
    cudnnBackendBehaviorNote_t notes[NOTES];
    cudnnBackendDescriptor_t engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0, one;
    bool compiled = false;
    if (good(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &engine)))
        cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                 NOTES, &count, notes);
    for (int64_t i = 0; i < count; i++)
        compiled |= notes[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
    cudnnBackendDestroyDescriptor(engine);
    return compiled;
}

/* Engines that may compute the graph, by one mode of the heuristics; adds to `precompiled` those
 * that need no compilation. */
static int engines(cudnnBackendDescriptor_t graph, cudnnBackendDescriptor_t card,
                   cudnnBackendHeurMode_t mode, bool plain, int *precompiled) {
    cudnnBackendDescriptor_t heuristics = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR),
                             configs[MOST];
    int64_t count = 0;
    int may = 0;
    for (int i = 0; i < MOST; i++)
        configs[i] = create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                             CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1,
                             &mode);
    cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP,
                             CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &card);
    if (good(cudnnBackendFinalize(heuristics)))
        cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST, &count, configs);
    for (int64_t i = 0; i < count; i++) {
        if (plain && !is_plain(configs[i])) continue;
        may++;
        *precompiled += !is_compiled(configs[i]);
    }
    for (int i = 0; i < MOST; i++)
        cudnnBackendDestroyDescriptor(configs[i]);
    cudnnBackendDestroyDescriptor(heuristics);
    return may;
}

static dnn_problem problem_of(const row *r, int which) {
    const int out = (r->size + 2 * r->pad - r->kernel) / r->stride + 1;
    return (dnn_problem){.direction = graphs[which].direction,
                         .bias = graphs[which].bias,
                         .relu = graphs[which].relu,
                         .compute = r->compute,
                         .x = {r->n, r->size, r->size, r->in},
                         .y = {r->n, out, out, r->out},
                         .kernel_h = r->kernel,
                         .kernel_w = r->kernel,
                         .stride_h = r->stride,
                         .stride_w = r->stride,
                         .dilation_h = 1,
                         .dilation_w = 1,
                         .pad_h = r->pad,
                         .pad_w = r->pad};
}

static void check(const row *r, int which, cudnnBackendDescriptor_t card) {
    const bool plain = r->compute == MIEN_COMPUTE_F32;
    const dnn_problem p = problem_of(r, which);
    char text[DNN_SIGNATURE];
    dnn_graph g;
    int likely = 0, fallback = 0, precompiled = 0;
    if (good(dnn_graph_build(&g, NULL, &p))) {
        likely = engines(g.graph, card, CUDNN_HEUR_MODE_A, plain, &precompiled);
        fallback = engines(g.graph, card, CUDNN_HEUR_MODE_FALLBACK, plain, &precompiled);
    }
    dnn_graph_release(&g);
    dnn_signature(&p, text);
    printf("%s %s: %d and %d engines, %d of them precompiled\n",
           likely + fallback ? "ok" : "not ok", text, likely, fallback, precompiled);
}

/* The gradient of the weights in floats from 16-bit tensors. */
static void build_float_dw(dnn_graph *g, const dnn_problem *p) {
    *g = (dnn_graph){.status = CUDNN_STATUS_SUCCESS};
    cudnnBackendDescriptor_t x = tensor_of(g, p, DNN_X), y = tensor_of(g, p, DNN_Y);
    cudnnBackendDescriptor_t dw = tensor(g, DNN_W, shape_of(p, DNN_W), MIEN_F32, false);
    cudnnBackendDescriptor_t op = convolve(g, p, x, dw, y);
    g->graph = make(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set_descriptor(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, op);
    finish(g, g->graph);
}

/* The module converts a 16-bit gradient because cuDNN has no engine that writes floats. One that
 * has would save a kernel and bits: this then says so. */
static void check_float_dw(const row *r, cudnnBackendDescriptor_t card) {
    const dnn_problem p = problem_of(r, GRAPHS - 1);
    dnn_graph g;
    char text[DNN_SIGNATURE];
    int count = 0, precompiled = 0;
    build_float_dw(&g, &p);
    const bool built = good(g.status);
    if (built)
        count = engines(g.graph, card, CUDNN_HEUR_MODE_A, false, &precompiled) +
                engines(g.graph, card, CUDNN_HEUR_MODE_FALLBACK, false, &precompiled);
    dnn_graph_release(&g);
    dnn_signature(&p, text);
    printf("%s no engine of cuDNN %zu writes floats for %s: %d engines, %d of them precompiled\n",
           built && precompiled == 0 ? "ok" : "not ok", cudnnGetVersion(), text, count,
           precompiled);
}

int main(void) {
    cudnnBackendDescriptor_t card = create(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    if (!card ||
        !good(cudnnBackendSetAttribute(card, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                       CUDNN_TYPE_CHAR, (int64_t)sizeof h100, h100)) ||
        !good(cudnnBackendFinalize(card))) {
        printf("ok graphs # SKIP this cuDNN takes no description of a card\n");
        return 0;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int k = 0; k < GRAPHS; k++)
            check(&rows[i], k, card);
        if (rows[i].compute == MIEN_COMPUTE_BF16 || rows[i].compute == MIEN_COMPUTE_F16)
            check_float_dw(&rows[i], card);
    }
    cudnnBackendDestroyDescriptor(card);
    return 0;
}
