/* The fake cuDNN's engines: one that always works, fast ones with numerical notes, and some that
 * fail, each for a different reason. Settings:
 *
 *   FAKE_CUDNN_FUSION=0     graphs of several operations are not supported
 *   FAKE_CUDNN_FAST=ENGINE  all other engines take a millisecond longer
 *   FAKE_CUDNN_ONLY=ENGINE  the heuristics return no other one
 *   FAKE_CUDNN_TILES=N      engine 12 has N settings
 *   FAKE_CUDNN_COMPILED=ENGINE|fused|all  compile this engine when its plan is built; compile
 *                           every engine for graphs of several operations; compile every engine
 *   FAKE_CUDNN_COMPILE_MS=N time of one compilation (0)
 *   FAKE_CUDNN_ALLOCATES=1  engines allocate memory when they run, which no capture may hold
 *   FAKE_CUDNN_WRONG=ENGINE the engine leaves zeros in a part of its result
 *   FAKE_CUDNN_LOAD_MS=N    the process's first engine takes so long to load (0)
 *   FAKE_CUDNN_SLOW=fused|plain  graphs of several operations (of one operation) take longer */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/fake/cost.h"
#include "tests/cuda/fake/cudnn.h"

enum { NOTES = 2, SLOW = 1, SLOWER = 3, CHANNELS = 8, TILES = 3, ONLY_B = 23 };

enum fault { NO_FAULT, AT_PLAN, AT_EXECUTION };

static const struct engine {
    int index;
    int notes[NOTES]; /* -1: none */
    int fault;
    int64_t workspace;
    bool fallback; /* named in that mode, the others in modes A and B, ONLY_B in B alone */
    bool tiles;    /* has the knob TILE_SIZE, from 0 */
} engines[] = {
    {ONLY_B, {-1, -1}, NO_FAULT, 0, false, false},
    {1, {-1, -1}, AT_PLAN, 0, false, false},
    {2, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, -1}, AT_EXECUTION, 0, false, false},
    {3, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, -1}, NO_FAULT, (int64_t)1 << 30, false, false},
    {5,
     {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION},
     NO_FAULT,
     0,
     false,
     false},
    {7, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, -1}, NO_FAULT, 0, false, false},
    {12, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, -1}, NO_FAULT, 4099, false, true},
    {14,
     {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
     NO_FAULT,
     0,
     false,
     false},
    {17, {CUDNN_NUMERICAL_NOTE_WINOGRAD, -1}, NO_FAULT, 0, false, false},
    {20, {-1, -1}, NO_FAULT, 131, false, false},
    {0, {CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP, -1}, NO_FAULT, 0, true, false},
};
enum { ENGINES = sizeof engines / sizeof engines[0] };

static const struct engine *engine_of(int64_t index) {
    for (int i = 0; i < ENGINES; i++)
        if (engines[i].index == index) return &engines[i];
    return NULL;
}

static long setting(const char *name) {
    const char *value = getenv(name);
    return value ? strtol(value, NULL, 10) : -1;
}

static const dnn_program *program_of(const dnn_descriptor *engine) {
    return dnn_reference(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH)->program;
}

static long tiles(void) {
    const long count = setting("FAKE_CUDNN_TILES");
    return count > 0 ? count : TILES;
}

/* Does the setting's value, fused or plain, match the graph? */
static bool matches_graph(const char *name, const dnn_program *p) {
    const char *word = getenv(name);
    return word && strcmp(word, p->operation_count > 1 ? "fused" : "plain") == 0;
}

static bool is_compiled(const struct engine *e, const dnn_program *p) {
    const char *word = getenv("FAKE_CUDNN_COMPILED");
    return word && (strcmp(word, "all") == 0 || matches_graph("FAKE_CUDNN_COMPILED", p) ||
                    setting("FAKE_CUDNN_COMPILED") == e->index);
}

static void compile(void) {
    const long ms = setting("FAKE_CUDNN_COMPILE_MS");
    fake_count.compiled++;
    fake_clock_advance(1e-3 * (double)ms);
}

/* Loads cuDNN's libraries, once for each value of the setting. */
static void load(void) {
    static long loaded;
    const long ms = setting("FAKE_CUDNN_LOAD_MS");
    if (ms <= 0 || ms == loaded) return;
    loaded = ms;
    fake_clock_advance(1e-3 * (double)ms);
}

/* Channels must be contiguous, and a multiple of 8 for 16-bit types. */
static bool supports(const dnn_program *p) {
    for (int i = 0; i < p->tensor_count; i++) {
        const dnn_tensor *t = &p->tensors[i];
        if (t->dims[1] > 1 && t->strides[1] != 1) return false;
        if (t->type != CUDNN_DATA_FLOAT && t->dims[1] % CHANNELS != 0) return false;
    }
    return true;
}

cudnnStatus_t dnn_check_heuristics(const dnn_descriptor *d) {
    fake_count.heuristics++;
    switch (dnn_enum(d, CUDNN_ATTR_ENGINEHEUR_MODE, -1)) {
    case CUDNN_HEUR_MODE_A:
    case CUDNN_HEUR_MODE_B:
    case CUDNN_HEUR_MODE_FALLBACK:
        return CUDNN_STATUS_SUCCESS;
    default:
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "a mode that there is not");
    }
}

cudnnStatus_t dnn_check_engine(const dnn_descriptor *d) {
    if (!engine_of(dnn_int64(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1)))
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "no engine of this index");
    if (!supports(program_of(d)))
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "channels or layout");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dnn_check_config(const dnn_descriptor *d) {
    const dnn_descriptor *e = dnn_reference(d, CUDNN_ATTR_ENGINECFG_ENGINE);
    const struct engine *engine = engine_of(dnn_int64(e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1));
    int64_t count;
    dnn_descriptor *const *knobs = dnn_value(d, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, &count);
    for (int64_t i = 0; i < count; i++) {
        const int64_t value = dnn_int64(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, -1);
        if (!engine->tiles || value < 0 || value >= tiles() ||
            dnn_enum(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, -1) != CUDNN_KNOB_TYPE_TILE_SIZE)
            return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED, "the engine has no such knob or value");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dnn_check_plan(dnn_descriptor *d) {
    const dnn_descriptor *config = dnn_reference(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const dnn_descriptor *e = dnn_reference(config, CUDNN_ATTR_ENGINECFG_ENGINE);
    const struct engine *engine = engine_of(dnn_int64(e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1));
    fake_count.plans++;
    if (is_compiled(engine, program_of(e))) compile();
    if (engine->fault == AT_PLAN)
        return dnn_fail(CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "the engine is not for this shape");
    dnn_put(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &engine->workspace);
    return CUDNN_STATUS_SUCCESS;
}

/* ---- heuristics ---- */

static dnn_descriptor *fresh(int type) {
    dnn_descriptor *d = calloc(1, sizeof *d);
    if (d) *d = (dnn_descriptor){.made = DNN_MADE, .type = type, .holders = 1, .finalized = true};
    return d;
}

static bool fill_config(dnn_descriptor *config, dnn_descriptor *graph, const struct engine *engine,
                        int64_t tile) {
    const int64_t index = engine->index;
    const int type = CUDNN_KNOB_TYPE_TILE_SIZE;
    dnn_descriptor *e = fresh(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    dnn_descriptor *knob = fresh(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    if (e && knob) {
        dnn_put(e, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
        dnn_put(e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
        dnn_put(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e);
        dnn_put(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
        dnn_put(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &tile);
        dnn_put(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                engine->tiles ? 1 : 0, &knob);
        config->finalized = true;
    }
    if (e) dnn_drop(e);
    if (knob) dnn_drop(knob);
    return config->finalized;
}

cudnnStatus_t dnn_get_results(const dnn_descriptor *d, int64_t requested, int64_t *count,
                              dnn_descriptor **to) {
    dnn_descriptor *graph = dnn_reference(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const int mode = dnn_enum(d, CUDNN_ATTR_ENGINEHEUR_MODE, -1);
    const bool fallback = mode == CUDNN_HEUR_MODE_FALLBACK;
    const long only = setting("FAKE_CUDNN_ONLY");
    *count = 0;
    if (!supports(graph->program)) return CUDNN_STATUS_SUCCESS;
    for (int i = 0; i < ENGINES; i++) {
        if (engines[i].index == ONLY_B && mode != CUDNN_HEUR_MODE_B) continue;
        if (engines[i].fallback != fallback || (only >= 0 && only != engines[i].index)) continue;
        for (int64_t tile = 0; tile < (engines[i].tiles ? tiles() : 1); tile++) {
            if (*count == requested) return CUDNN_STATUS_SUCCESS;
            dnn_descriptor *config = to[*count];
            if (!config || config->made != DNN_MADE || config->finalized ||
                config->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
                return dnn_fail(CUDNN_STATUS_BAD_PARAM, "no fresh configuration to be filled");
            if (!fill_config(config, graph, &engines[i], tile)) return CUDNN_STATUS_ALLOC_FAILED;
            ++*count;
        }
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dnn_get_notes(const dnn_descriptor *d, int64_t requested, int64_t *count, int *to) {
    const struct engine *e = engine_of(dnn_int64(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1));
    *count = 0;
    for (int i = 0; i < NOTES; i++)
        if (e->notes[i] >= 0 && *count < requested) to[(*count)++] = e->notes[i];
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t dnn_get_behavior(const dnn_descriptor *d, int64_t requested, int64_t *count,
                               int *to) {
    const struct engine *e = engine_of(dnn_int64(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1));
    *count = requested > 0 && is_compiled(e, program_of(d));
    if (*count) *to = CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- execution ---- */

static size_t bytes_of(const dnn_tensor *t) {
    const size_t count = (size_t)(t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]);
    return count * (t->type == CUDNN_DATA_FLOAT ? 4 : 2);
}

static cudnnStatus_t bind(dnn_program *p, const dnn_descriptor *pack) {
    int64_t count, pointers;
    const int64_t *uids = dnn_value(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, &count);
    void *const *data = dnn_value(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, &pointers);
    int bound = 0;
    if (count != pointers) return dnn_fail(CUDNN_STATUS_BAD_PARAM, "names without pointers");
    for (int i = 0; i < p->tensor_count; i++) {
        dnn_tensor *t = &p->tensors[i];
        for (int64_t k = 0; k < count; k++)
            if (uids[k] == t->uid && !t->passes_through) t->data = data[k], bound++;
        if (t->passes_through) continue;
        if (!t->data) return dnn_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "a tensor has no data");
        if ((uintptr_t)t->data % (uintptr_t)t->alignment != 0)
            return dnn_fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "a tensor is misaligned");
        if (!fake_reaches(t->data, bytes_of(t)))
            return dnn_fail(CUDNN_STATUS_EXECUTION_FAILED, "a tensor is not the device's");
    }
    if (bound != count) return dnn_fail(CUDNN_STATUS_BAD_PARAM, "a name that the graph has not");
    return CUDNN_STATUS_SUCCESS;
}

static void record_cost(const dnn_program *p) {
    const dnn_operation *conv = &p->operations[0];
    const int64_t *y = p->tensors[conv->y].dims, *w = p->tensors[conv->w].dims;
    char name[64];
    int64_t bytes = 0;
    int at = snprintf(
        name, sizeof name, "cudnn %s",
        conv->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? "forward"
        : conv->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? "data"
                                                                                     : "filter");
    for (int i = 1; i < p->operation_count; i++) {
        const int mode = p->operations[i].mode;
        at += snprintf(name + at, sizeof name - (size_t)at, " %s",
                       mode == CUDNN_POINTWISE_ADD        ? "bias"
                       : mode == CUDNN_POINTWISE_RELU_FWD ? "relu"
                                                          : "mask");
    }
    for (int i = 0; i < p->tensor_count; i++)
        if (!p->tensors[i].passes_through) bytes += (int64_t)bytes_of(&p->tensors[i]);
    fake_cost(name, bytes,
              2.0 * (double)(y[0] * y[1] * y[2] * y[3]) * (double)(w[1] * w[2] * w[3]));
}

cudnnStatus_t dnn_execute(cudaStream_t stream, const dnn_descriptor *plan,
                          const dnn_descriptor *pack) {
    const dnn_descriptor *config = dnn_reference(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const dnn_descriptor *e = dnn_reference(config, CUDNN_ATTR_ENGINECFG_ENGINE);
    const struct engine *engine = engine_of(dnn_int64(e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1));
    const long fast = setting("FAKE_CUDNN_FAST");
    dnn_program p = *program_of(e);
    DNN_TRY(bind(&p, pack));
    p.workspace = *(void *const *)dnn_value(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, NULL);
    p.workspace_bytes = (size_t)engine->workspace;
    p.wrong = setting("FAKE_CUDNN_WRONG") == engine->index;
    p.tf32 = engine->notes[0] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    p.milliseconds = (fast >= 0 && fast != engine->index ? SLOW : 0) +
                     (matches_graph("FAKE_CUDNN_SLOW", &p) ? SLOWER : 0);
    if (p.workspace_bytes && !fake_reaches(p.workspace, p.workspace_bytes))
        return dnn_fail(CUDNN_STATUS_BAD_PARAM, "the workspace is not the device's or too small");
    if (setting("FAKE_CUDNN_ALLOCATES") > 0 && fake_unsafe() != cudaSuccess)
        return dnn_fail(CUDNN_STATUS_EXECUTION_FAILED, "the engine allocates memory");
    load();
    if (engine->fault == AT_EXECUTION)
        return dnn_fail(CUDNN_STATUS_EXECUTION_FAILED, "this engine never works");
    record_cost(&p);
    if (fake_skips(FAKE_LIBRARY)) {
        const dnn_tensor *result = &p.tensors[dnn_written(&p.operations[p.operation_count - 1])];
        fake_skip_result(result->data, bytes_of(result));
        return CUDNN_STATUS_SUCCESS;
    }
    return fake_submit(stream, dnn_run, &p, sizeof p) == cudaSuccess
               ? CUDNN_STATUS_SUCCESS
               : dnn_fail(CUDNN_STATUS_EXECUTION_FAILED, "the work was refused");
}
