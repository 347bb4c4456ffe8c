/* Chooses which of cuDNN's engines computes a graph: the one of the cache, or the fastest of those
 * that the heuristics name and that keep the requested precision. Its result must agree with that
 * of another engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cuda/dnn.h"
#include "host/base/clock.h"
#include "host/base/log.h"
#include "host/base/memory.h"

/* WORKING_MAX: engines that are run for a problem; COMPILED_MAX: how many of them may be compiled
 * at run time. RESULTS_MAX: configurations that the heuristics name in one mode. */
enum { WORKING_MAX = 16, COMPILED_MAX = 2, RESULTS_MAX = 64, ATTEMPTS_MAX = 3 * RESULTS_MAX };

/* An engine that was tried. */
typedef struct attempt {
    dnn_choice choice;
    float *sample; /* of its result; NULL: it does not work here, or was not compared */
} attempt;

typedef struct search {
    mien_cuda *cuda;
    dnn_plan *plan; /* its engine is the best so far */
    dnn_trial trial;
    attempt attempts[ATTEMPTS_MAX];
    int count, working, compiled;
    bool compilable; /* the heuristics named an engine that is compiled at run time */
    bool cut_short;  /* there was no time for one */
    double start;
} search;

static bool good(cudnnStatus_t status) {
    return status == CUDNN_STATUS_SUCCESS;
}

static void destroy(cudnnBackendDescriptor_t d) {
    if (d) cudnnBackendDestroyDescriptor(d);
}

/* ---- time ---- */

/* The clock starts when the process's first engine has run: loading cuDNN's libraries takes seconds
 * on a cold machine. */
static double spent(const search *s) {
    return s->cuda->engine_ran ? s->cuda->engine_spent + mien_seconds() - s->start : 0;
}

/* Whether this part of the time for trying engines is used up. */
static bool time_is_up(const search *s, double part) {
    return spent(s) >= part * s->cuda->engine_seconds;
}

static void start_clock(search *s) {
    if (s->cuda->engine_ran || !s->trial.ran) return;
    s->cuda->engine_ran = true;
    s->start = mien_seconds();
}

/* Logs once that engines are taken untimed from now on. */
static void log_time_is_up(const search *s) {
    if (s->cuda->deterministic || s->cuda->time_over_logged || !time_is_up(s, 1)) return;
    s->cuda->time_over_logged = true;
    MIEN_INFO("the %g s for timing cuDNN's engines are used up: from here on its own choice is "
              "taken, and later runs time the rest; to time all now, set "
              "MIEN_CUDA_ENGINE_SECONDS=60",
              s->cuda->engine_seconds);
}

/* ---- trying ---- */

/* Whether our own kernels can compute a part of the graph instead. */
static bool can_be_unfused(const dnn_problem *p) {
    return p->bias || p->relu;
}

static bool tried_before(const search *s, const dnn_choice *choice) {
    for (int i = 0; i < s->count; i++)
        if (dnn_choice_same(&s->attempts[i].choice, choice)) return true;
    return false;
}

static mien_status keep_sample(search *s, attempt *a) {
    if (s->cuda->deterministic || !s->trial.tensors) return MIEN_OK;
    MIEN_TRY(mien_new(&a->sample, DNN_SAMPLE, sizeof *a->sample));
    return dnn_trial_sample(&s->trial, a->sample);
}

/* Tries a configuration and keeps the better engine; takes ownership of *e. */
static mien_status consider(search *s, dnn_engine *e, cudnnBackendDescriptor_t config,
                            bool compiled) {
    const dnn_engine *best = &s->plan->engine;
    /* to be compared with another engine it must have a time */
    const bool timed = !s->cuda->deterministic && (best->plan || !time_is_up(s, 1));
    bool works = false;
    mien_status status = MIEN_OK;
    if (dnn_engine_read(s->cuda, s->plan->problem.compute, config, &e->choice) &&
        s->count < ATTEMPTS_MAX && !tried_before(s, &e->choice)) {
        attempt *a = &s->attempts[s->count++];
        *a = (attempt){.choice = e->choice};
        s->compiled += compiled;
        if (dnn_engine_finish(e, s->cuda, config))
            status = dnn_trial_run(&s->trial, e, best->plan ? best->choice.ms : 0, timed, &works);
        a->choice.ms = e->choice.ms;
        s->working += works;
        if (works && status == MIEN_OK) status = keep_sample(s, a);
        start_clock(s);
    }
    if (works && !compiled) s->plan->precompiled = true;
    if (works && (!best->plan || e->choice.ms < best->choice.ms)) {
        const dnn_engine worse = s->plan->engine;
        s->plan->engine = *e;
        *e = worse;
    }
    dnn_engine_release(e);
    return status;
}

/* Takes an engine that was chosen before, untimed, if it is allowed and works here. */
static mien_status take(search *s, const dnn_choice *choice) {
    dnn_engine *e = &s->plan->engine;
    bool works = false;
    mien_status status = MIEN_OK;
    *e = (dnn_engine){.choice = *choice};
    cudnnBackendDescriptor_t config = dnn_engine_rebuild(e, s->plan->graph.graph);
    if (config && dnn_engine_read(s->cuda, s->plan->problem.compute, config, &e->choice) &&
        dnn_engine_finish(e, s->cuda, config))
        status = dnn_trial_run(&s->trial, e, 0, false, &works);
    start_clock(s);
    if (!works) dnn_engine_release(e);
    return status;
}

/* ---- searching ---- */

static bool satisfied(const search *s) {
    const bool first_is_enough = s->cuda->deterministic || !s->trial.tensors || time_is_up(s, 1);
    return s->working >= WORKING_MAX || (first_is_enough && s->plan->engine.plan);
}

static bool may_compile(search *s) {
    const bool needed = !s->plan->engine.plan && !can_be_unfused(&s->plan->problem);
    if (needed) return true;
    if (s->compiled >= COMPILED_MAX) return false;
    s->cut_short |= time_is_up(s, 0.5);
    return !time_is_up(s, 0.5);
}

/* Tries configurations, of those the heuristics named, until `most` engines work: the ones that are
 * compiled at run time, or the others; deterministic choices take them as they come. */
static mien_status try_named(search *s, cudnnBackendDescriptor_t *configs, int64_t count,
                             bool compiled, int most) {
    mien_status status = MIEN_OK;
    for (int64_t i = 0; status == MIEN_OK && i < count; i++) {
        const cudnnBackendDescriptor_t config = configs[i];
        const bool is_compiled = dnn_engine_is_compiled(config);
        s->compilable |= is_compiled;
        if (satisfied(s) || s->working >= most) continue;
        if (!s->cuda->deterministic && is_compiled != compiled) continue;
        if (!s->cuda->deterministic && compiled && !may_compile(s)) break;
        dnn_engine e = {.parts = {config}, .count = 1};
        configs[i] = NULL;
        status = consider(s, &e, config, compiled);
    }
    return status;
}

static mien_status ask(search *s, cudnnBackendHeurMode_t mode, bool compiled, int most) {
    cudnnBackendDescriptor_t heuristics = NULL, configs[RESULTS_MAX] = {0};
    cudnnBackendDescriptor_t graph = s->plan->graph.graph;
    int64_t count = 0;
    mien_status status = MIEN_OK;
    bool ok = good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
    for (int i = 0; ok && i < RESULTS_MAX; i++)
        ok = good(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]));
    ok = ok &&
         dnn_set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                 1, &graph) &&
         dnn_set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode) &&
         good(cudnnBackendFinalize(heuristics)) &&
         dnn_get(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                 RESULTS_MAX, &count, configs);
    if (ok) status = try_named(s, configs, count, compiled, most);
    for (int i = 0; i < RESULTS_MAX; i++)
        destroy(configs[i]);
    destroy(heuristics);
    return status;
}

/* Some engines of each mode: A and B favour different ones where it matters, and neither is always
 * right. Those that are compiled come last; a deterministic choice is the first that works. */
static mien_status search_engines(search *s) {
    static const struct {
        cudnnBackendHeurMode_t mode;
        bool compiled;
        int most;
    } rounds[] = {{CUDNN_HEUR_MODE_A, false, 8},
                  {CUDNN_HEUR_MODE_B, false, 12},
                  {CUDNN_HEUR_MODE_FALLBACK, false, WORKING_MAX - COMPILED_MAX},
                  {CUDNN_HEUR_MODE_A, true, WORKING_MAX},
                  {CUDNN_HEUR_MODE_B, true, WORKING_MAX},
                  {CUDNN_HEUR_MODE_FALLBACK, true, WORKING_MAX}};
    mien_status status = MIEN_OK;
    s->start = mien_seconds();
    s->plan->searched = true;
    for (size_t i = 0; status == MIEN_OK && i < sizeof rounds / sizeof rounds[0]; i++) {
        if (satisfied(s) || (rounds[i].compiled && !s->compilable)) break;
        status = ask(s, rounds[i].mode, rounds[i].compiled, rounds[i].most);
    }
    log_time_is_up(s);
    if (s->cuda->engine_ran) s->cuda->engine_spent += mien_seconds() - s->start;
    return status;
}

/* ---- comparing ---- */

static bool agrees_with_another(const search *s, int i) {
    for (int k = 0; k < s->count; k++)
        if (k != i && s->attempts[k].sample &&
            dnn_samples_agree(s->attempts[i].sample, s->attempts[k].sample,
                              s->plan->problem.compute))
            return true;
    return false;
}

/* The fastest engine whose result another one confirms; -1: none, as there is only one, or as no
 * two agree. */
static int fastest_confirmed(const search *s) {
    int best = -1;
    for (int i = 0; i < s->count; i++)
        if (s->attempts[i].sample &&
            (best < 0 || s->attempts[i].choice.ms < s->attempts[best].choice.ms) &&
            agrees_with_another(s, i))
            best = i;
    return best;
}

/* An engine that computes something else than the others is not taken, however fast. */
static mien_status refuse_wrong_engine(search *s) {
    char text[64];
    const int best = fastest_confirmed(s);
    dnn_engine *chosen = &s->plan->engine;
    if (!chosen->plan || best < 0) return MIEN_OK;
    const dnn_choice *right = &s->attempts[best].choice;
    if (dnn_choice_same(right, &chosen->choice)) return MIEN_OK;
    dnn_choice_text(&chosen->choice, text, sizeof text);
    MIEN_WARN("cuDNN's %s is not used: its result is not that of other engines", text);
    dnn_engine_release(chosen);
    return take(s, right);
}

/* ---- what the header promises ---- */

/* Stores what was measured, or that no engine works, so that the next run does not compile in vain
 * again. What there was no time to measure is left for a later run. */
static mien_status remember(const search *s, const char *signature) {
    static const dnn_choice unfused = {.engine = DNN_UNFUSED};
    const bool found = s->plan->engine.plan != NULL;
    const bool none = !found && s->compilable && !s->cut_short && !time_is_up(s, 1) &&
                      can_be_unfused(&s->plan->problem);
    if (s->cuda->deterministic || !s->cuda->engines || !s->trial.tensors) return MIEN_OK;
    if (found && s->plan->engine.choice.ms > 0)
        return dnn_cache_put(s->cuda->engines, signature, &s->plan->engine.choice);
    return none ? dnn_cache_put(s->cuda->engines, signature, &unfused) : MIEN_OK;
}

static mien_status choose(search *s, const dnn_choice *like) {
    char signature[DNN_SIGNATURE];
    dnn_signature(&s->plan->problem, signature);
    const dnn_choice *known = s->cuda->deterministic || !s->cuda->engines
                                  ? NULL
                                  : dnn_cache_find(s->cuda->engines, signature);
    if (known && known->engine == DNN_UNFUSED)
        return MIEN_FAIL(UNSUPPORTED, "separate kernels are faster for '%s'", signature);
    if (known) MIEN_TRY(take(s, known));
    if (like && !s->plan->engine.plan && !s->cuda->deterministic) {
        MIEN_TRY(take(s, like));
        s->plan->engine.choice.ms = 0; /* of another batch */
    }
    if (s->plan->engine.plan) return MIEN_OK;
    MIEN_TRY(search_engines(s));
    MIEN_TRY(refuse_wrong_engine(s));
    MIEN_TRY(remember(s, signature));
    return s->plan->engine.plan
               ? MIEN_OK
               : MIEN_FAIL(UNSUPPORTED, "cuDNN %zu has no engine that works for '%s'",
                           cudnnGetVersion(), signature);
}

static void search_close(search *s) {
    for (int i = 0; i < s->count; i++)
        mien_free(s->attempts[i].sample);
    dnn_trial_close(&s->trial);
}

mien_status dnn_plan_make(dnn_plan *plan, mien_cuda *cuda, const dnn_problem *problem,
                          const dnn_choice *like) {
    search *s;
    *plan = (dnn_plan){.problem = *problem};
    if (cuda->capturing)
        return MIEN_FAIL(INVALID, "a convolution cannot be prepared while work is recorded");
    MIEN_TRY(mien_new(&s, 1, sizeof *s));
    s->cuda = cuda;
    s->plan = plan;
    const cudnnStatus_t code = dnn_graph_build(&plan->graph, cuda->dnn, problem);
    mien_status status = mien_cudnn_check(code, "describing a convolution", __FILE__, __LINE__);
    if (status == MIEN_OK) status = dnn_trial_open(&s->trial, cuda, &plan->problem);
    if (status == MIEN_OK) status = choose(s, like);
    search_close(s);
    mien_free(s);
    if (status != MIEN_OK) dnn_plan_release(plan);
    return status;
}

mien_status dnn_plan_race(dnn_plan *fused, mien_cuda *cuda, const dnn_plan *unfused) {
    static const dnn_choice lost = {.engine = DNN_UNFUSED};
    dnn_trial trial;
    char signature[DNN_SIGNATURE];
    float ms = 0;
    if (!fused->searched || fused->engine.choice.ms <= 0) return MIEN_OK;
    dnn_signature(&fused->problem, signature);
    if (unfused->engine.choice.ms <= 0) { /* no time was left for it: a later run compares them */
        if (cuda->engines) dnn_cache_forget(cuda->engines, signature);
        return MIEN_OK;
    }
    mien_status status = dnn_trial_open(&trial, cuda, &fused->problem);
    if (status == MIEN_OK) status = dnn_trial_own(&trial, &ms);
    dnn_trial_close(&trial);
    MIEN_TRY(status);
    if (ms <= 0 || fused->engine.choice.ms <= unfused->engine.choice.ms + ms) return MIEN_OK;
    dnn_plan_release(fused);
    if (cuda->engines) MIEN_TRY(dnn_cache_put(cuda->engines, signature, &lost));
    return MIEN_FAIL(UNSUPPORTED, "separate kernels are faster for '%s'", signature);
}
