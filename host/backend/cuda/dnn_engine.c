/* One of cuDNN's engines: what its descriptors say about it, and how it is built from a choice and
 * run. A choice is the engine's global index with its knobs: an index in the heuristics' list means
 * nothing in the next version. */
#include <string.h>

#include "host/backend/cuda/dnn.h"

static bool good(cudnnStatus_t status) {
    return status == CUDNN_STATUS_SUCCESS;
}

static void destroy(cudnnBackendDescriptor_t d) {
    if (d) cudnnBackendDestroyDescriptor(d);
}

void dnn_engine_release(dnn_engine *e) {
    while (e->count > 0)
        destroy(e->parts[--e->count]);
    *e = (dnn_engine){0};
}

static cudnnBackendDescriptor_t part(dnn_engine *e, cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = NULL;
    if (e->count == DNN_KNOBS + 3 || !good(cudnnBackendCreateDescriptor(type, &made))) return NULL;
    return e->parts[e->count++] = made;
}

bool dnn_set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    return d && good(cudnnBackendSetAttribute(d, name, type, count, values));
}

bool dnn_get(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t most, int64_t *count, void *values) {
    return d && good(cudnnBackendGetAttribute(d, name, type, most, count, values));
}

/* Whether an engine with this note keeps the precision. f32 is the reference for the other
 * precisions: factors are not rounded, and no transforms that cancel are used. */
static bool allowed(const mien_cuda *cuda, mien_compute compute, cudnnBackendNumericalNote_t note) {
    switch (note) {
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        return false;
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        return !cuda->deterministic;
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: /* to f16, whose range gradients exceed */
        return compute != MIEN_COMPUTE_F32 && compute != MIEN_COMPUTE_TF32;
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
    case CUDNN_NUMERICAL_NOTE_FFT:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD:
        return compute != MIEN_COMPUTE_F32;
    default: /* notes on Winograd tiles come with the note above */
        return true;
    }
}

static bool keeps_precision(const mien_cuda *cuda, mien_compute compute,
                            cudnnBackendDescriptor_t engine) {
    enum { NOTES = 32 };
    cudnnBackendNumericalNote_t notes[NOTES];
    int64_t count = 0;
    if (!dnn_get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES, &count,
                 notes))
        return false;
    for (int64_t i = 0; i < count; i++)
        if (!allowed(cuda, compute, notes[i])) return false;
    return true;
}

/* Whether a configuration's engine is compiled when its plan is made. */
bool dnn_engine_is_compiled(cudnnBackendDescriptor_t config) {
    enum { NOTES = 16 };
    cudnnBackendBehaviorNote_t notes[NOTES];
    cudnnBackendDescriptor_t engine = NULL;
    int64_t one, count = 0;
    bool compiled = false;
    if (!good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine))) return false;
    if (dnn_get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one,
                &engine) &&
        dnn_get(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, NOTES, &count,
                notes))
        for (int64_t i = 0; i < count; i++)
            if (notes[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) compiled = true;
    destroy(engine);
    return compiled;
}

/* cuDNN returns no more knobs than the array holds and does not say that there are more: one
 * element more than needed shows it. */
static bool read_knobs(cudnnBackendDescriptor_t config, dnn_choice *choice) {
    enum { CAPACITY = DNN_KNOBS + 1 };
    cudnnBackendDescriptor_t knobs[CAPACITY] = {0};
    int64_t count = 0, one;
    bool ok = true;
    for (int i = 0; ok && i < CAPACITY; i++)
        ok = good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knobs[i]));
    ok = ok && dnn_get(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                       CAPACITY, &count, knobs);
    ok = ok && count <= DNN_KNOBS;
    for (int64_t i = 0; ok && i < count; i++) {
        cudnnBackendKnobType_t type;
        ok = dnn_get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &one,
                     &type) &&
             dnn_get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
                     &choice->knob[i].value);
        choice->knob[i].type = type;
    }
    choice->knobs = (int)count;
    for (int i = 0; i < CAPACITY; i++)
        destroy(knobs[i]);
    return ok;
}

/* Reads a configuration's engine and knobs; false when it must not be used. */
bool dnn_engine_read(const mien_cuda *cuda, mien_compute compute, cudnnBackendDescriptor_t config,
                     dnn_choice *choice) {
    cudnnBackendDescriptor_t engine = NULL;
    int64_t one;
    if (!good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine))) return false;
    const bool ok = dnn_get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                            &one, &engine) &&
                    dnn_get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &one,
                            &choice->engine) &&
                    keeps_precision(cuda, compute, engine) && read_knobs(config, choice);
    destroy(engine);
    return ok;
}

/* A configuration from the numbers of e->choice. */
cudnnBackendDescriptor_t dnn_engine_rebuild(dnn_engine *e, cudnnBackendDescriptor_t graph) {
    const dnn_choice *c = &e->choice;
    cudnnBackendDescriptor_t engine = part(e, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    if (!dnn_set(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                 &graph) ||
        !dnn_set(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &c->engine) ||
        !good(cudnnBackendFinalize(engine)))
        return NULL;
    const int first = e->count;
    for (int i = 0; i < c->knobs; i++) {
        const cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)c->knob[i].type;
        cudnnBackendDescriptor_t knob = part(e, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        if (!dnn_set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type) ||
            !dnn_set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
                     &c->knob[i].value) ||
            !good(cudnnBackendFinalize(knob)))
            return NULL;
    }
    cudnnBackendDescriptor_t config = part(e, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (!dnn_set(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine) ||
        (c->knobs > 0 && !dnn_set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, c->knobs, &e->parts[first])) ||
        !good(cudnnBackendFinalize(config)))
        return NULL;
    return config;
}

/* Makes the plan, which compiles the engine if it is one of those. */
bool dnn_engine_finish(dnn_engine *e, const mien_cuda *cuda, cudnnBackendDescriptor_t config) {
    int64_t workspace = 0, one;
    e->plan = part(e, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    if (!dnn_set(e->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &cuda->dnn) ||
        !dnn_set(e->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                 &config) ||
        !good(cudnnBackendFinalize(e->plan)) ||
        !dnn_get(e->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one,
                 &workspace))
        return false;
    e->workspace = (size_t)workspace;
    return workspace <= CUDA_WORKSPACE_MAX;
}

/* ---- running ---- */

cudnnBackendDescriptor_t dnn_pack(const dnn_problem *p, const dnn_pointers *pointers,
                                  void *workspace) {
    cudnnBackendDescriptor_t made = NULL;
    int64_t uids[DNN_UIDS], count = 0;
    void *data[DNN_UIDS];
    for (int uid = 0; uid < DNN_UIDS; uid++)
        if (dnn_has(p, uid)) {
            uids[count] = dnn_name(uid);
            data[count++] = pointers->at[uid];
        }
    if (!good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &made)))
        return NULL;
    if (dnn_set(made, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids) &&
        dnn_set(made, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, data) &&
        dnn_set(made, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace) &&
        good(cudnnBackendFinalize(made)))
        return made;
    destroy(made);
    return NULL;
}

mien_status dnn_plan_run(dnn_plan *plan, const mien_cuda *cuda, const dnn_pointers *pointers,
                         void *workspace) {
    /* a network's tensors do not move: the last pack is used again */
    if (!plan->pack || memcmp(&plan->bound, pointers, sizeof *pointers) != 0 ||
        plan->bound_workspace != workspace) {
        destroy(plan->pack);
        plan->pack = dnn_pack(&plan->problem, pointers, workspace);
        if (!plan->pack) return MIEN_FAIL(INVALID, "cuDNN rejects the tensors' addresses");
        plan->bound = *pointers;
        plan->bound_workspace = workspace;
    }
    CUDNN_TRY(cudnnBackendExecute(cuda->dnn, plan->engine.plan, plan->pack), "a convolution");
    return MIEN_OK;
}

void dnn_plan_release(dnn_plan *plan) {
    destroy(plan->pack);
    dnn_engine_release(&plan->engine);
    dnn_graph_release(&plan->graph);
    *plan = (dnn_plan){0};
}
