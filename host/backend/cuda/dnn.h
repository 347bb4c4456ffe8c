/* cuDNN's backend API as the convolutions use it: a problem becomes an operation graph
 * (dnn_graph.c), the heuristics name engines for it (dnn_engine.c), which are tried and timed
 * (dnn_trial.c), one is chosen (dnn_search.c), and the choice is kept in memory and in the user's
 * cache (dnn_cache.c). */
#ifndef HOST_BACKEND_CUDA_DNN_H
#define HOST_BACKEND_CUDA_DNN_H

#include "host/backend/cuda/cuda.h"

/* ---- dnn_graph.c ---- */

/* One convolution for cuDNN. Tensors are NHWC, weights [y.c][kernel_h][kernel_w][x.c], all of the
 * type that `compute` stores; sums are in float. Padding is the same on both sides. */
typedef struct dnn_problem {
    mien_direction direction;
    bool bias; /* forward: + bias [y.c], stored like the other tensors */
    bool relu; /* forward: ReLU after it; data: 0 where the ReLU mask (like x) is not positive */
    mien_compute compute; /* never AUTO */
    mien_shape x, y;
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
} dnn_problem;

/* A graph's tensors, also indices of dnn_pointers. For the gradients X, W and Y are dx, dw and dy.
 */
enum dnn_uid { DNN_X, DNN_W, DNN_Y, DNN_BIAS, DNN_RELU_MASK, DNN_UIDS };
/* Their unique ids for cuDNN; 0 is not used. */
static inline int64_t dnn_name(int uid) {
    return uid + 1;
}
typedef struct dnn_pointers {
    void *at[DNN_UIDS]; /* those that the problem has */
} dnn_pointers;

enum { DNN_DESCRIPTORS = 24, DNN_SIGNATURE = 256 };

/* Descriptors in the order in which they were made. */
typedef struct dnn_graph {
    cudnnBackendDescriptor_t owned[DNN_DESCRIPTORS];
    int count;
    cudnnBackendDescriptor_t graph; /* the last of them */
    cudnnStatus_t status;           /* the first failure */
} dnn_graph;

/* Builds the operation graph; a pattern that cuDNN does not support fails here or gets no engines.
 * Release it in any case. */
cudnnStatus_t dnn_graph_build(dnn_graph *graph, cudnnHandle_t handle, const dnn_problem *problem);
void dnn_graph_release(dnn_graph *graph);
/* Whether the problem's graph has this tensor. */
bool dnn_has(const dnn_problem *problem, int uid);
size_t dnn_bytes(const dnn_problem *problem, int uid);
mien_dtype dnn_dtype(const dnn_problem *problem); /* of all its tensors */
/* "forward low bias relu bf16 x 64 48 48 64 y 64 48 48 64 kernel 3 3 stride 1 1 pad 1 1", and
 * "dilation 2 2" where there is one: equal texts mean equal problems. */
void dnn_signature(const dnn_problem *problem, char text[DNN_SIGNATURE]);

/* ---- dnn_engine.c ---- */

enum { DNN_KNOBS = 16 };

/* An engine and its settings, as numbers that mean the same in every run of one cuDNN version. */
typedef struct dnn_choice {
    int64_t engine; /* global index */
    int knobs;
    struct {
        int64_t type, value;
    } knob[DNN_KNOBS];
    float ms; /* as measured; 0: not measured */
} dnn_choice;

/* Instead of an engine: a smaller graph followed by our own kernels is faster. */
enum { DNN_UNFUSED = -1 };

typedef struct dnn_engine {
    dnn_choice choice;
    cudnnBackendDescriptor_t parts[DNN_KNOBS + 3]; /* descriptors created for it, the plan last */
    int count;
    cudnnBackendDescriptor_t plan;
    size_t workspace; /* bytes */
} dnn_engine;

/* Attributes of descriptors; false: cuDNN refuses, or `d` is NULL. */
bool dnn_set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t count, const void *values);
bool dnn_get(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t most, int64_t *count, void *values);
/* Whether the engine of a configuration is compiled when its execution plan is created. */
bool dnn_engine_is_compiled(cudnnBackendDescriptor_t config);
/* What a configuration consists of; false when it may not be used: it does not keep the precision,
 * or has too many knobs. */
bool dnn_engine_read(const mien_cuda *cuda, mien_compute compute, cudnnBackendDescriptor_t config,
                     dnn_choice *choice);
/* A configuration from the engine's choice, owned by *e; NULL when this cuDNN has none. */
cudnnBackendDescriptor_t dnn_engine_rebuild(dnn_engine *e, cudnnBackendDescriptor_t graph);
/* Creates the execution plan, which compiles the engines that need it. */
bool dnn_engine_finish(dnn_engine *e, const mien_cuda *cuda, cudnnBackendDescriptor_t config);
void dnn_engine_release(dnn_engine *e);
/* A variant pack of the problem's pointers; NULL: cuDNN rejects them. The caller destroys it. */
cudnnBackendDescriptor_t dnn_pack(const dnn_problem *p, const dnn_pointers *pointers,
                                  void *workspace);

/* ---- dnn_trial.c ---- */

/* A problem's tensors in separate memory, filled with numbers, for running engines on. Without
 * `tensors` (too little memory was left) engines count as working. */
typedef struct dnn_trial {
    const mien_cuda *cuda;
    const dnn_problem *problem;
    char *tensors;
    dnn_pointers pointers;
    void *workspace;
    size_t workspace_bytes;
    cudaEvent_t from, to;
    bool ran; /* an engine has run */
} dnn_trial;

/* `problem` must outlive it. Close it also after a failure. */
mien_status dnn_trial_open(dnn_trial *trial, const mien_cuda *cuda, const dnn_problem *problem);
void dnn_trial_close(dnn_trial *trial);
/* Runs the engine: once, or, `timed`, until e->choice.ms is known, in less detail for one that is
 * far slower than best_ms (0: none). Fails only if the device does; *works says whether the engine
 * is usable. */
mien_status dnn_trial_run(dnn_trial *trial, dnn_engine *e, float best_ms, bool timed, bool *works);
/* The time of our own kernels for the bias and ReLU of the problem, in ms; 0: not measured. */
mien_status dnn_trial_own(dnn_trial *trial, float *ms);
/* Numbers of the result that the last engine left. */
enum { DNN_SAMPLE = 3 * 2048 };
mien_status dnn_trial_sample(const dnn_trial *trial, float sample[DNN_SAMPLE]);
/* Whether two samples are the same up to what the precision allows. */
bool dnn_samples_agree(const float *a, const float *b, mien_compute compute);

/* ---- dnn_search.c ---- */

/* A problem with the engine that computes it. */
typedef struct dnn_plan {
    dnn_problem problem;
    dnn_graph graph;
    dnn_engine engine;
    bool searched;                 /* the heuristics were queried, and */
    bool precompiled;              /* had a working engine that needs no compilation */
    cudnnBackendDescriptor_t pack; /* the variant pack of the pointers below; NULL: none yet */
    dnn_pointers bound;
    void *bound_workspace;
} dnn_plan;

/* Chooses an engine: from the cache, or `like` (NULL: none), or by timing, or (deterministic) the
 * first that is allowed and works; one that fails is dropped, and so is the fastest when its result
 * is not that of another engine, though two others agree. UNSUPPORTED when none is left: the plan
 * is empty then, as after any failure. Allocates and waits.
 *
 * Trying costs at most cuda->engine_seconds in all, from the first engine that ran in this process
 * on. Engines that cuDNN compiles at run time take half a second each: at most two are tried for a
 * problem, and none once half of that time is used up, unless the problem cannot be computed
 * otherwise. Once all of it is used up, the heuristics' first engine that runs is taken; such a
 * choice is not kept, so that a later run times what is missing. Timed ones are kept in the cache
 * and taken from there. The engine of `like` is not kept: it follows from another entry.
 * Deterministic choices use neither the time limit nor `like`. */
mien_status dnn_plan_make(dnn_plan *plan, mien_cuda *cuda, const dnn_problem *problem,
                          const dnn_choice *like);
/* Compares a plan that fuses bias or ReLU, if it was timed just now, with one that leaves them to
 * our own kernels. UNSUPPORTED when it is slower: it is released then, and the cache has stored
 * that. */
mien_status dnn_plan_race(dnn_plan *fused, mien_cuda *cuda, const dnn_plan *unfused);
void dnn_plan_release(dnn_plan *plan);
/* Enqueues it; `workspace` has the size that the engine needs. */
mien_status dnn_plan_run(dnn_plan *plan, const mien_cuda *cuda, const dnn_pointers *pointers,
                         void *workspace);

/* ---- dnn_choice.c ---- */

/* "3=1,5=2", and "engine 12 knobs 3=1,5=2" */
void dnn_knobs_text(const dnn_choice *choice, char *text, size_t size);
void dnn_choice_text(const dnn_choice *choice, char *text, size_t size);
bool dnn_choice_same(const dnn_choice *a, const dnn_choice *b);

/* ---- dnn_cache.c ---- */

typedef struct dnn_cache dnn_cache;

/* The choices measured on this card with this cuDNN, read from the file if there is one. */
mien_status dnn_cache_open(const mien_cuda *cuda, dnn_cache **out);
void dnn_cache_close(dnn_cache *cache); /* NULL is allowed */
/* NULL: not measured. Valid until the next put or forget. */
const dnn_choice *dnn_cache_find(const dnn_cache *cache, const char *signature);
/* Stores a choice and writes the file; failing to write it is logged and is not an error. */
mien_status dnn_cache_put(dnn_cache *cache, const char *signature, const dnn_choice *choice);
/* Removes a choice from memory and from the file. */
void dnn_cache_forget(dnn_cache *cache, const char *signature);

#endif
