/* Chooses which of cuDNN's engines computes a graph. The heuristics name configurations, the most
 * promising first; those that keep the requested precision are run on separate memory and timed. A
 * choice is stored as the engine's global index with its knobs: an index in the heuristics' list
 * means nothing in the next version. */
#include <stdio.h>
#include <string.h>

#include "host/backend/cuda/dnn.h"
#include "host/base/clock.h"
#include "host/base/log.h"

/* HOPELESS: an engine so many times slower than the best is not timed further */
enum {
    TRIED_MAX = 16,
    COMPILED_MAX = 2,
    RESULTS_MAX = 64,
    RUNS = 5,
    ROUNDS = 2,
    HOPELESS = 10,
    PIECE = 256
};

static bool good(cudnnStatus_t status) {
    return status == CUDNN_STATUS_SUCCESS;
}

static void destroy(cudnnBackendDescriptor_t d) {
    if (d) cudnnBackendDestroyDescriptor(d);
}

/* ---- one engine ---- */

static void engine_release(dnn_engine *e) {
    while (e->count > 0)
        destroy(e->parts[--e->count]);
    *e = (dnn_engine){0};
}

static cudnnBackendDescriptor_t part(dnn_engine *e, cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = NULL;
    if (e->count == DNN_KNOBS + 3 || !good(cudnnBackendCreateDescriptor(type, &made))) return NULL;
    return e->parts[e->count++] = made;
}

static bool set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    return d && good(cudnnBackendSetAttribute(d, name, type, count, values));
}

static bool get(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
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
    if (!get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES, &count,
             notes))
        return false;
    for (int64_t i = 0; i < count; i++)
        if (!allowed(cuda, compute, notes[i])) return false;
    return true;
}

/* Whether a configuration's engine is compiled when its plan is made. */
static bool is_compiled(cudnnBackendDescriptor_t config) {
    enum { NOTES = 16 };
    cudnnBackendBehaviorNote_t notes[NOTES];
    cudnnBackendDescriptor_t engine = NULL;
    int64_t one, count = 0;
    bool compiled = false;
    if (!good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine))) return false;
    if (get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &engine) &&
        get(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, NOTES, &count,
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
    ok = ok && get(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                   CAPACITY, &count, knobs);
    ok = ok && count <= DNN_KNOBS;
    for (int64_t i = 0; ok && i < count; i++) {
        cudnnBackendKnobType_t type;
        ok =
            get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &one, &type) &&
            get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
                &choice->knob[i].value);
        choice->knob[i].type = type;
    }
    choice->knobs = (int)count;
    for (int i = 0; i < CAPACITY; i++)
        destroy(knobs[i]);
    return ok;
}

/* Reads a configuration's engine and knobs; false when it must not be used. */
static bool read_choice(const mien_cuda *cuda, mien_compute compute,
                        cudnnBackendDescriptor_t config, dnn_choice *choice) {
    cudnnBackendDescriptor_t engine = NULL;
    int64_t one;
    if (!good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine))) return false;
    const bool ok =
        get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &engine) &&
        get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &one, &choice->engine) &&
        keeps_precision(cuda, compute, engine) && read_knobs(config, choice);
    destroy(engine);
    return ok;
}

/* A configuration from the numbers of e->choice. */
static cudnnBackendDescriptor_t rebuild(dnn_engine *e, cudnnBackendDescriptor_t graph) {
    const dnn_choice *c = &e->choice;
    cudnnBackendDescriptor_t engine = part(e, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    if (!set(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph) ||
        !set(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &c->engine) ||
        !good(cudnnBackendFinalize(engine)))
        return NULL;
    const int first = e->count;
    for (int i = 0; i < c->knobs; i++) {
        const cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)c->knob[i].type;
        cudnnBackendDescriptor_t knob = part(e, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        if (!set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type) ||
            !set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &c->knob[i].value) ||
            !good(cudnnBackendFinalize(knob)))
            return NULL;
    }
    cudnnBackendDescriptor_t config = part(e, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (!set(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine) ||
        (c->knobs > 0 && !set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                              CUDNN_TYPE_BACKEND_DESCRIPTOR, c->knobs, &e->parts[first])) ||
        !good(cudnnBackendFinalize(config)))
        return NULL;
    return config;
}

/* Makes the plan, which compiles the engine if it is one of those. */
static bool finish_engine(dnn_engine *e, const mien_cuda *cuda, cudnnBackendDescriptor_t config) {
    int64_t workspace = 0, one;
    e->plan = part(e, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    if (!set(e->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &cuda->dnn) ||
        !set(e->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
             &config) ||
        !good(cudnnBackendFinalize(e->plan)) ||
        !get(e->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one,
             &workspace))
        return false;
    e->workspace = (size_t)workspace;
    return workspace <= CUDA_WORKSPACE_MAX;
}

/* ---- running ---- */

static cudnnBackendDescriptor_t pack(const dnn_problem *p, const dnn_pointers *pointers,
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
    if (set(made, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids) &&
        set(made, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, data) &&
        set(made, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace) &&
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
        plan->pack = pack(&plan->problem, pointers, workspace);
        if (!plan->pack) return MIEN_FAIL(INVALID, "cuDNN rejects the tensors' addresses");
        plan->bound = *pointers;
        plan->bound_workspace = workspace;
    }
    CUDNN_TRY(cudnnBackendExecute(cuda->dnn, plan->engine.plan, plan->pack), "a convolution");
    return MIEN_OK;
}

void dnn_plan_release(dnn_plan *plan) {
    destroy(plan->pack);
    engine_release(&plan->engine);
    dnn_graph_release(&plan->graph);
    *plan = (dnn_plan){0};
}

/* ---- trying ---- */

/* Memory that engines are tried on; without it the first allowed engine is taken untried. */
typedef struct search {
    mien_cuda *cuda;
    dnn_plan *plan; /* its engine is the best so far */
    char *tensors;
    dnn_pointers pointers;
    void *workspace;
    size_t workspace_bytes;
    cudaEvent_t from, to;
    dnn_choice tried[TRIED_MAX];
    int count, compiled;
    bool compilable; /* the heuristics named an engine that is compiled at run time */
    double start;
} search;

/* Whether this part of the time for trying engines is used up. */
static bool time_is_up(const search *s, double part) {
    const double spent = s->cuda->engine_spent + mien_seconds() - s->start;
    return spent >= part * s->cuda->engine_seconds;
}

/* Whether our own kernels can compute a part of the graph instead. */
static bool can_be_unfused(const dnn_problem *p) {
    return p->bias || p->relu;
}

static size_t whole_pieces(size_t bytes) {
    return (bytes + PIECE - 1) / PIECE * PIECE;
}

static mien_status search_open(search *s) {
    const dnn_problem *p = &s->plan->problem;
    size_t bytes = 0;
    for (int uid = 0; uid < DNN_UIDS; uid++)
        if (dnn_has(p, uid)) bytes += whole_pieces(dnn_bytes(p, uid));
    const mien_status status = mien_cuda_alloc(bytes, (void **)&s->tensors);
    if (status == MIEN_NO_MEMORY) return MIEN_OK;
    MIEN_TRY(status);
    /* numbers between 0 and 2 in every type: multiplying zeros takes less power, so less time */
    CUDA_TRY(cudaMemsetAsync(s->tensors, 0x3c, bytes, s->cuda->stream), "filling memory");
    char *at = s->tensors;
    for (int uid = 0; uid < DNN_UIDS; uid++)
        if (dnn_has(p, uid)) {
            s->pointers.at[uid] = at;
            at += whole_pieces(dnn_bytes(p, uid));
        }
    CUDA_TRY(cudaEventCreateWithFlags(&s->from, cudaEventDefault), "making an event");
    CUDA_TRY(cudaEventCreateWithFlags(&s->to, cudaEventDefault), "making an event");
    return MIEN_OK;
}

static void search_close(search *s) {
    if (s->from) cudaEventDestroy(s->from);
    if (s->to) cudaEventDestroy(s->to);
    mien_cuda_free(s->workspace);
    mien_cuda_free(s->tensors);
}

/* Provides the engine's workspace; *enough is false when the device has too little memory left. */
static mien_status provide_workspace(search *s, size_t bytes, bool *enough) {
    *enough = bytes <= s->workspace_bytes;
    if (*enough) return MIEN_OK;
    mien_cuda_free(s->workspace);
    s->workspace = NULL;
    s->workspace_bytes = 0;
    const mien_status status = mien_cuda_alloc(bytes, &s->workspace);
    if (status == MIEN_NO_MEMORY) return MIEN_OK;
    MIEN_TRY(status);
    s->workspace_bytes = bytes;
    *enough = true;
    return MIEN_OK;
}

static cuda_tensor tensor_at(const search *s, int uid, mien_shape shape, int number) {
    return (cuda_tensor){s->pointers.at[uid], number, shape.n, shape.h, shape.w, shape.c};
}

/* What our own kernels do where the problem's bias and ReLU are not in the graph. */
static int run_own_kernels(const search *s) {
    const dnn_problem *p = &s->plan->problem;
    const int number = p->compute == MIEN_COMPUTE_BF16  ? CUDA_BF16
                       : p->compute == MIEN_COMPUTE_F16 ? CUDA_F16
                                                        : CUDA_F32;
    const cuda_tensor dx = tensor_at(s, DNN_X, p->x, number);
    if (p->direction == MIEN_DATA)
        return cuda_relu_mask(s->cuda->stream, dx, dx, tensor_at(s, DNN_RELU_MASK, p->x, number),
                              false);
    return cuda_bias_activation(s->cuda->stream, tensor_at(s, DNN_Y, p->y, number),
                                p->bias ? s->pointers.at[DNN_BIAS] : NULL,
                                p->relu ? BODY_RELU : BODY_LINEAR, 0);
}

/* Runs the engine, or (NULL) our own kernels, a few times back to back, so that the card stays busy
 * while the host enqueues: else the time would be the host's. */
static mien_status run_some(search *s, const dnn_engine *e, cudnnBackendDescriptor_t variant,
                            int runs, cudnnStatus_t *code, float *ms) {
    cudaStream_t stream = s->cuda->stream;
    CUDA_TRY(cudaEventRecord(s->from, stream), "timing an engine");
    for (int i = 0; i < runs; i++) {
        if (e)
            *code = cudnnBackendExecute(s->cuda->dnn, e->plan, variant);
        else
            CUDA_TRY(run_own_kernels(s), "bias and activation");
        if (!good(*code)) return MIEN_OK;
    }
    CUDA_TRY(cudaEventRecord(s->to, stream), "timing an engine");
    CUDA_TRY(cudaEventSynchronize(s->to), "trying an engine");
    CUDA_TRY(cudaEventElapsedTime(ms, s->from, s->to), "timing an engine");
    *ms /= (float)runs;
    return MIEN_OK;
}

/* The time of a run in milliseconds, the best of some rounds; without `timed` one run, to see
 * whether it works here. */
static mien_status measure(search *s, const dnn_engine *e, cudnnBackendDescriptor_t variant,
                           bool timed, cudnnStatus_t *code, float *best) {
    const float limit = e ? HOPELESS * s->plan->engine.choice.ms : 0;
    float ms = 0;
    *best = 0;
    MIEN_TRY(run_some(s, e, variant, 1, code, &ms)); /* also loads the code */
    if (!timed || !good(*code)) return MIEN_OK;
    MIEN_TRY(run_some(s, e, variant, 1, code, &ms));
    if (limit > 0 && ms > limit) {
        *best = ms;
        return MIEN_OK;
    }
    for (int i = 0; i < ROUNDS && good(*code); i++) {
        MIEN_TRY(run_some(s, e, variant, RUNS, code, &ms));
        if (i == 0 || ms < *best) *best = ms;
    }
    return MIEN_OK;
}

/* Runs the engine; *works says whether it is usable. Fails only if the device does. */
static mien_status try_engine(search *s, dnn_engine *e, bool timed, bool *works) {
    cudnnStatus_t code = CUDNN_STATUS_SUCCESS;
    *works = !s->tensors;
    if (*works) return MIEN_OK;
    MIEN_TRY(provide_workspace(s, e->workspace, works));
    if (!*works) return MIEN_OK;
    cudnnBackendDescriptor_t variant = pack(&s->plan->problem, &s->pointers, s->workspace);
    *works = variant != NULL;
    if (!variant) return MIEN_OK;
    const mien_status status = measure(s, e, variant, timed, &code, &e->choice.ms);
    destroy(variant);
    MIEN_TRY(status);
    *works = good(code);
    if (*works) return MIEN_OK;
    char text[64];
    dnn_choice_text(&e->choice, text, sizeof text);
    mien_log(MIEN_LOG_DEBUG, "cuDNN's %s fails here: %s", text, cudnnGetErrorString(code));
    CUDA_TRY(cudaStreamSynchronize(s->cuda->stream), "the work of a dropped engine");
    cudaGetLastError(); /* clears the engine's error */
    return MIEN_OK;
}

static bool tried_before(const search *s, const dnn_choice *choice) {
    for (int i = 0; i < s->count; i++)
        if (dnn_choice_same(&s->tried[i], choice)) return true;
    return false;
}

/* Tries a configuration and keeps the better engine; takes ownership of *e. */
static mien_status consider(search *s, dnn_engine *e, cudnnBackendDescriptor_t config,
                            bool compiled) {
    const dnn_engine *best = &s->plan->engine;
    /* to be compared with another engine it must have a time */
    const bool timed = !s->cuda->deterministic && (best->plan || !time_is_up(s, 1));
    bool works = false;
    mien_status status = MIEN_OK;
    if (read_choice(s->cuda, s->plan->problem.compute, config, &e->choice) &&
        !tried_before(s, &e->choice)) {
        s->compiled += compiled;
        if (finish_engine(e, s->cuda, config)) {
            s->tried[s->count++] = e->choice;
            status = try_engine(s, e, timed, &works);
        }
    }
    if (works && !compiled) s->plan->precompiled = true;
    if (works && (!best->plan || e->choice.ms < best->choice.ms)) {
        const dnn_engine worse = s->plan->engine;
        s->plan->engine = *e;
        *e = worse;
    }
    engine_release(e);
    return status;
}

/* Takes an engine that was chosen before, untimed, if it is allowed and works here. */
static mien_status take(search *s, const dnn_choice *choice) {
    dnn_engine *e = &s->plan->engine;
    bool works = false;
    mien_status status = MIEN_OK;
    *e = (dnn_engine){.choice = *choice};
    e->choice.ms = 0;
    cudnnBackendDescriptor_t config = rebuild(e, s->plan->graph.graph);
    if (config && read_choice(s->cuda, s->plan->problem.compute, config, &e->choice) &&
        finish_engine(e, s->cuda, config))
        status = try_engine(s, e, false, &works);
    if (!works) engine_release(e);
    return status;
}

static bool satisfied(const search *s) {
    const bool first_is_enough = s->cuda->deterministic || !s->tensors || time_is_up(s, 1);
    return s->count == TRIED_MAX || (first_is_enough && s->plan->engine.plan);
}

static bool may_compile(const search *s) {
    const bool needed = !s->plan->engine.plan && !can_be_unfused(&s->plan->problem);
    if (needed) return true;
    return s->compiled < COMPILED_MAX && !time_is_up(s, 0.5);
}

static mien_status ask(search *s, cudnnBackendHeurMode_t mode) {
    cudnnBackendDescriptor_t heuristics = NULL, configs[RESULTS_MAX] = {0};
    cudnnBackendDescriptor_t graph = s->plan->graph.graph;
    int64_t count = 0;
    mien_status status = MIEN_OK;
    bool ok = good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
    for (int i = 0; ok && i < RESULTS_MAX; i++)
        ok = good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]));
    ok = ok &&
         set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
             &graph) &&
         set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode) &&
         good(cudnnBackendFinalize(heuristics)) &&
         get(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, RESULTS_MAX,
             &count, configs);
    /* engines that need no compilation come first; deterministic choices keep the list's order */
    for (int compiled = 0; compiled < 2; compiled++) {
        const bool reserves = !compiled && !s->cuda->deterministic;
        const int most = TRIED_MAX - (reserves ? COMPILED_MAX : 0);
        for (int64_t i = 0; ok && status == MIEN_OK && i < count && !satisfied(s); i++) {
            const cudnnBackendDescriptor_t config = configs[i];
            if (!config || compiled != (!s->cuda->deterministic && is_compiled(config))) continue;
            s->compilable |= compiled;
            if (s->count >= most || (compiled && !may_compile(s))) break;
            dnn_engine e = {.parts = {config}, .count = 1};
            configs[i] = NULL;
            status = consider(s, &e, config, compiled);
        }
    }
    for (int i = 0; i < RESULTS_MAX; i++)
        destroy(configs[i]);
    destroy(heuristics);
    return status;
}

/* Logs once that engines are taken untimed from now on. */
static void log_time_is_up(const search *s) {
    if (s->cuda->deterministic || s->cuda->time_over_logged || !time_is_up(s, 1)) return;
    s->cuda->time_over_logged = true;
    MIEN_INFO(
        "the %g s for timing cuDNN's engines are used up: from here on its own choice is taken; "
        "to time all, delete engines.json and set MIEN_CUDA_ENGINE_SECONDS=60",
        s->cuda->engine_seconds);
}

static mien_status search_engines(search *s) {
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                                   CUDNN_HEUR_MODE_FALLBACK};
    mien_status status = MIEN_OK;
    s->start = mien_seconds();
    s->plan->searched = true;
    for (size_t i = 0; status == MIEN_OK && i < sizeof modes / sizeof modes[0] && !satisfied(s);
         i++)
        status = ask(s, modes[i]);
    log_time_is_up(s);
    s->cuda->engine_spent += mien_seconds() - s->start;
    return status;
}

static mien_status choose(search *s, const dnn_choice *like) {
    static const dnn_choice unfused = {.engine = DNN_UNFUSED};
    char signature[DNN_SIGNATURE];
    dnn_signature(&s->plan->problem, signature);
    const bool remember = !s->cuda->deterministic && s->cuda->engines;
    const dnn_choice *known = remember ? dnn_cache_find(s->cuda->engines, signature) : NULL;
    if (known && known->engine == DNN_UNFUSED)
        return MIEN_FAIL(UNSUPPORTED, "separate kernels are faster for '%s'", signature);
    if (known) {
        const float ms = known->ms;
        MIEN_TRY(take(s, known));
        if (s->plan->engine.plan) s->plan->engine.choice.ms = ms;
    }
    if (like && !s->plan->engine.plan && !s->cuda->deterministic) MIEN_TRY(take(s, like));
    if (s->plan->engine.plan) return MIEN_OK;
    MIEN_TRY(search_engines(s));
    const bool found = s->plan->engine.plan != NULL;
    /* stores the engine, or that there is none, so that the next run does not compile in vain again
     */
    if (remember && s->tensors && (found || (s->compilable && can_be_unfused(&s->plan->problem))))
        MIEN_TRY(
            dnn_cache_put(s->cuda->engines, signature, found ? &s->plan->engine.choice : &unfused));
    return found ? MIEN_OK
                 : MIEN_FAIL(UNSUPPORTED, "cuDNN %zu has no engine that works for '%s'",
                             cudnnGetVersion(), signature);
}

mien_status dnn_plan_make(dnn_plan *plan, mien_cuda *cuda, const dnn_problem *problem,
                          const dnn_choice *like) {
    search s = {.cuda = cuda, .plan = plan};
    *plan = (dnn_plan){.problem = *problem};
    if (cuda->capturing)
        return MIEN_FAIL(INVALID, "a convolution cannot be prepared while work is recorded");
    const cudnnStatus_t code = dnn_graph_build(&plan->graph, cuda->dnn, problem);
    mien_status status = mien_cudnn_check(code, "describing a convolution", __FILE__, __LINE__);
    if (status == MIEN_OK) status = search_open(&s);
    if (status == MIEN_OK) status = choose(&s, like);
    search_close(&s);
    if (status != MIEN_OK) dnn_plan_release(plan);
    return status;
}

mien_status dnn_plan_race(dnn_plan *fused, mien_cuda *cuda, const dnn_plan *unfused) {
    static const dnn_choice lost = {.engine = DNN_UNFUSED};
    dnn_plan separate = {.problem = fused->problem};
    search s = {.cuda = cuda, .plan = &separate};
    cudnnStatus_t code = CUDNN_STATUS_SUCCESS;
    char signature[DNN_SIGNATURE];
    float ms = 0;
    if (!fused->searched || fused->engine.choice.ms <= 0 || unfused->engine.choice.ms <= 0)
        return MIEN_OK;
    separate.problem.half_bias = false; /* our own kernels add floats */
    mien_status status = search_open(&s);
    if (status == MIEN_OK && s.tensors) status = measure(&s, NULL, NULL, true, &code, &ms);
    search_close(&s);
    MIEN_TRY(status);
    if (ms <= 0 || fused->engine.choice.ms <= unfused->engine.choice.ms + ms) return MIEN_OK;
    dnn_signature(&fused->problem, signature);
    dnn_plan_release(fused);
    if (cuda->engines) MIEN_TRY(dnn_cache_put(cuda->engines, signature, &lost));
    return MIEN_FAIL(UNSUPPORTED, "separate kernels are faster for '%s'", signature);
}
