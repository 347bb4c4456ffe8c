/* A graph bound to a backend: which nodes are fused, where every value, gradient and parameter is
 * stored, and the passes over them. One allocation per role; a pass allocates nothing.
 *
 *     mien_plan_create(&graph, backend, &options, &plan);   chooses and allocates
 *     mien_plan_load(plan, &weights);                        fills parameters and states
 *     mien_plan_prepare(plan, 64);                           once for every batch size
 *     mien_plan_forward(plan, 64, true, 0);  mien_plan_backward(plan, 64, 0);
 */
#ifndef HOST_GRAPH_PLAN_H
#define HOST_GRAPH_PLAN_H

#include "host/base/crew.h"
#include "host/graph/quant.h"
#include "host/graph/replay.h"
#include "host/graph/weights.h"

/* Which node runs in which pass; set by fuse.c and fold.c. */
typedef struct mien_fusion {
    int storage, grad_storage; /* the node whose buffer holds this one's output, its gradient */
    bool skipped;              /* has no pass: fused into another node, or the final softmax */
    int runner;                /* the node whose pass writes the value: this one or another */
    bool sums;                 /* inference: adds its result to its buffer's contents */
    int norm;                  /* the batch normalisation folded into its weights; 0: none */
    int padding;               /* inference: the zero padding before it that it does; 0: none */
    int activation;            /* fused into the end of its pass; LINEAR: none */
    float alpha;
    bool slope_by_consumer; /* training: the consumer applies the slope of the fused activation */
    bool slope_by_filter;   /* training: the gradient of its weights does */
    bool bias_by_consumer;  /* training: the consumer sums the gradient of its bias */
    bool bias_cancels;      /* training: the batch normalisation after it subtracts its bias */
    int dropout;            /* training: the dropout node that runs in its pass; 0: none */
    int add;                /* training: the sum that runs in its pass; 0: none */
    int pool;               /* training: the max pooling that runs in its pass; 0: none */
} mien_fusion;

/* Where a node's buffers are, set by memory.c: offsets in bytes into the ACT arena, those of
 * buffers that hold only a micro-batch in units of `chunk_scale` from `chunk` on. */
typedef struct mien_node_memory {
    size_t value, gradient, index, statistics;
    bool value_whole, gradient_whole; /* holds all rows of the batch, not only a micro-batch */
} mien_node_memory;

/* The type of a node's value, set by quant.c; an int8 number times `scale` is the value. */
typedef struct mien_node_value {
    mien_dtype dtype;
    float scale;
    bool is_signed;
} mien_node_value;

/* What the plan knows about one node. */
typedef struct mien_node_plan {
    mien_fusion fusion;
    mien_node_memory memory;
    mien_node_value value;
    mien_linear *linear;
    mien_int8_linear *int8;        /* instead of it, where the layer computes in or writes int8 */
    bool requires_grad;            /* there is a trained parameter at or before it */
    bool adds[MIEN_INPUTS_MAX];    /* the gradient of input i accumulates */
    size_t param[MIEN_PARAMS_MAX]; /* element offset in PARAM or STATE */
    size_t grad[MIEN_PARAMS_MAX];  /* in GRAD: the same but in what carries slices */
} mien_node_plan;

typedef struct mien_plan_options {
    bool training;
    int max_batch;
    int micro_batch;       /* rows per pass through the convolutions; 0: automatic */
    const body_rule *rule; /* training: which moments to keep; NULL: none */
    bool keeps_norms;      /* rule->warm_averages does not warm up running statistics */
    uint32_t seed;
    bool pools_apart;    /* training: every pooling has its own pass; to compare layer by layer */
    bool input_gradient; /* training: backward also computes the gradient of the input image */
    bool sliced;         /* inference: mien_plan_run may cut a batch into slices, see slices.c */
    /* inference: reads the parameters of this plan of the same graph, which is loaded and outlives
     * the new one. NULL: the plan has its own */
    const struct mien_plan *shares;
    /* inference: run in int8 where the backend supports it, else in f32. NULL or without nodes:
     * f32. Must outlive the plan. */
    const mien_quant *quant;
} mien_plan_options;

enum { MIEN_PROFILE_TIMESTAMPS = 1024 };

/* Seconds spent while it is attached to a plan (`plan->profile`). The caller owns and zeroes it. */
typedef struct mien_profile {
    double *forward, *backward; /* [graph->count], by node */
    double gather, loss, update;
    int timestamps; /* taken since the last mien_plan_profile_read */
    /* the sum to which the time before each timestamp is added; NULL: none */
    double *owner[MIEN_PROFILE_TIMESTAMPS];
} mien_profile;

enum { MIEN_INFER_SIZES = 16 };

typedef struct mien_plan {
    const mien_graph *graph;
    mien_backend *backend;
    const mien_ops *ops;
    bool training, pools_apart, keeps_norms;
    int max_batch, micro_batch;
    int slice;    /* training: see mien_linear_desc */
    bool carries; /* training: threads carry slices through several nodes, see train_slices.c */
    struct mien_carriers *carriers; /* then; else NULL */
    int most; /* rows that mien_plan_run takes: max_batch, or more where it cuts them into slices */
    const struct mien_plan *shares; /* whose parameters it reads; NULL: its own */
    bool sliced;
    struct mien_slices *slices; /* of a sliced plan, from its first run on; else NULL */
    const mien_quant *quant;    /* NULL: all values have the backend's dtype */
    /* called before the pass of every node, for calibration; NULL: none */
    void (*observe)(void *context, const mien_pass *pass, const mien_node *node);
    void *observer;
    int cut;               /* nodes before it run in micro-batches, the others on whole batches */
    mien_node_plan *nodes; /* [graph->count] */
    /* sizes in elements; PARAM, GRAD, MOMENT1, MOMENT2 and AVERAGE share one layout: decayed first,
     * then the other trained ones, then the frozen ones */
    size_t decayed, trained, params, states;
    char *param, *grad, *state, *act, *scratch, *moment1, *moment2, *average;
    char *chunk; /* where a micro-batch's buffers are, in ACT */
    size_t chunk_start, chunk_scale;
    size_t slice_bytes; /* of a slice's buffers; 0 where the plan does not carry any */
    /* a copy of `weights` in the backend's dtype, in inference followed by one of `state` for
     * folded biases; NULL where that is param_dtype */
    char *half;
    const char *weights; /* what the passes read: PARAM, or AVERAGE while evaluating with it */
    unsigned version;    /* incremented when memory that recorded work refers to is reallocated */
    size_t act_bytes, scratch_bytes, targets, probabilities;
    int layers_rows; /* where it carries: the batch that the passes layer by layer are ready for */
    body_rule rule;
    body_step *step; /* in backend memory */
    double *rates;   /* learning rate of every step of the epoch; in backend memory */
    size_t rates_capacity;
    mien_replay infer[MIEN_INFER_SIZES]; /* passes of mien_plan_infer, by rows and weights */
    mien_profile *profile;               /* NULL: the passes take no timestamps */
} mien_plan;

/* The graph and the backend must outlive the plan. */
mien_status mien_plan_create(const mien_graph *graph, mien_backend *backend,
                             const mien_plan_options *options, mien_plan **out);
void mien_plan_free(mien_plan *plan);

/* Copies parameters and states from the host; the averaged weights start from them too. */
mien_status mien_plan_load(mien_plan *plan, const mien_weights *weights);
/* Copies them back to the host; `from_average`: the averaged weights. INVALID for an inference
 * plan, where other layers are folded into the weights. */
mien_status mien_plan_store(mien_plan *plan, bool from_average, mien_weights *weights);

/* What a step reads and writes besides the batch and the step state: the weights, with the running
 * statistics of batch normalisation, their averages, and the optimiser's moments. */
typedef enum mien_array {
    MIEN_ARRAY_WEIGHTS,
    MIEN_ARRAY_AVERAGE,
    MIEN_ARRAY_MOMENT1,
    MIEN_ARRAY_MOMENT2,
    MIEN_ARRAYS
} mien_array;

/* Does a training plan have this array? */
bool mien_plan_has(const mien_plan *plan, mien_array array);
/* Does an array have values for this parameter or state? Only WEIGHTS has the states, and the
 * moments have nothing for frozen parameters. */
bool mien_array_holds(mien_array array, const mien_node *node, int param);
/* Copies one array of a training plan to or from the host; host arrays of what it does not hold are
 * not touched. */
mien_status mien_plan_get(mien_plan *plan, mien_array array, mien_weights *weights);
mien_status mien_plan_set(mien_plan *plan, mien_array array, const mien_weights *weights);

/* Makes the passes read PARAM, or AVERAGE where there is one. */
mien_status mien_plan_use(mien_plan *plan, bool average);

/* Prepares for batches of n rows; may allocate. */
mien_status mien_plan_prepare(mien_plan *plan, int n);

/* Views of n rows: what the loader fills, and the logits. */
mien_tensor mien_plan_input(const mien_plan *plan, int n);
mien_tensor mien_plan_targets(const mien_plan *plan, int n);
mien_tensor mien_plan_logits(const mien_plan *plan, int n);
/* The gradient of the logits, written by mien_plan_loss; and that of the input, written by
 * mien_plan_backward if the plan was created with `input_gradient`. */
mien_tensor mien_plan_logits_gradient(const mien_plan *plan, int n);
mien_tensor mien_plan_input_gradient(const mien_plan *plan, int n);

/* The rows that a walk over the graph works on. */
typedef struct mien_walk {
    bool training, accumulate; /* accumulate: adds to the parameter gradients */
    int first, rows;           /* of the batch: a micro-batch, or all of it */
    uint64_t offset;           /* index of the batch's row 0 in the global batch */
} mien_walk;

/* The passes of nodes from .. to - 1. */
mien_status mien_plan_walk_forward(mien_plan *plan, const mien_walk *walk, int from, int to);
mien_status mien_plan_walk_backward(mien_plan *plan, const mien_walk *walk, int from, int to);
/* Fills in `pass` for the forward or, with `backward`, the backward pass of node i. */
void mien_plan_pass(const mien_plan *plan, const mien_walk *walk, int i, bool backward,
                    mien_pass *pass);
/* A parameter as the passes read it, NULL: node has fewer; its gradient, NULL when it is not
 * trained.
 */
void *mien_plan_param(const mien_plan *plan, int node, int param);
void *mien_plan_param_grad(const mien_plan *plan, int node, int param);

/* Runs the forward pass of all nodes. `offset` is the index of row 0 in the global batch, which may
 * be split over the plans of several processes: dropout and noise are then the same as in one plan
 * with all rows. Batch normalisation takes its statistics from the plan's own rows. */
mien_status mien_plan_forward(mien_plan *plan, int n, bool training, uint64_t offset);
/* Between these two a step's loops are worked on by the threads that carry slices, if there are
 * any: calls that belong together wait less. */
mien_crew_post mien_plan_begin_step(const mien_plan *plan);
void mien_plan_end_step(mien_crew_post post);
/* Adds the loss of the logits to the step state; with `gradient` also writes the gradient of the
 * mean over the global batch. */
mien_status mien_plan_loss(mien_plan *plan, int n, int global_rows, const void *class_weight,
                           bool gradient);
mien_status mien_plan_backward(mien_plan *plan, int n, uint64_t offset);
/* Updates all trained parameters after a global batch of `global_rows`. */
mien_status mien_plan_update(mien_plan *plan, int global_rows);

/* Begins an epoch: sets the learning rate of each of its `count` steps, and resets the cursor and
 * the sums of loss and correct answers. May allocate. */
mien_status mien_plan_epoch(mien_plan *plan, const double *rates, size_t count);
/* Copies the step state from and to backend memory; `read` waits for pending work. */
mien_status mien_plan_read(const mien_plan *plan, body_step *out);
mien_status mien_plan_write(mien_plan *plan, const body_step *state);

/* The rows that a batch of n is padded to: n itself, or, in inference on a device that replays
 * recorded passes, the next of a few sizes. The rows beyond n keep their old contents. */
int mien_plan_rows(const mien_plan *plan, int n);
/* Inference forward pass over mien_plan_rows(n) rows, for which the plan must be prepared; recorded
 * and replayed where that is supported. */
mien_status mien_plan_infer(mien_plan *plan, int n);

/* Writes the images first, first + 1, … of a batch, as many as x has rows; called by several
 * threads at a time, each with an x of its own. */
typedef mien_status (*mien_plan_fill)(void *context, int first, const mien_tensor *x);
/* Does mien_plan_run cut a batch of n into slices? */
bool mien_plan_cuts(const mien_plan *plan, int n);
/* Inference of n rows, at most plan->most, with all threads: gets the input from `fill` and copies
 * the logits to the host, logits[n][classes]. The first call allocates. */
mien_status mien_plan_run(mien_plan *plan, int n, mien_plan_fill fill, void *context,
                          float *logits);
/* Waits for threads that still work on what mien_plan_run did without them. The parameters must not
 * change before. */
void mien_plan_settle(const mien_plan *plan);
/* Applies the softmax to the logits and copies the probabilities of n rows to the host:
 * out[n][classes]. */
mien_status mien_plan_probabilities(mien_plan *plan, int n, float *out);

/* Does the node's backward pass apply the slope of the fused ReLU before its input 0? */
bool mien_plan_masks_relu(const mien_plan *plan, const mien_node *node);
/* Does the node's backward pass read its inputs? */
bool mien_plan_reads_input(const mien_plan *plan, const mien_node *node);
/* Describes node i's linear operator as the plan creates it; false if it has none. */
bool mien_plan_linear_desc(const mien_plan *plan, int i, mien_linear_desc *desc);
/* One line per convolution, "name: forward winograd, data direct, …"; for the log of a run. */
void mien_plan_algorithms(const mien_plan *plan, const char *prefix, mien_text *out);

/* profile.c: a stamp adds the time since the last one to *owner (NULL: discards it); without a
 * profile it does nothing. `profile_read` waits for the work and adds up the times of all stamps; a
 * stamp calls it when the list is full. */
mien_status mien_plan_stamp(mien_plan *plan, double *owner);
mien_status mien_plan_profile_read(mien_plan *plan);
/* fuse.c: finds the nodes that run in the passes of others; counts the consumers of a value; the
 * operands of node i's pass: its inputs, then the other input of a sum that runs in it; the node
 * whose value that pass writes: i, or the pooling that runs in it. */
void mien_plan_fuse(mien_plan *plan);
/* Needs requires_grad: moves slopes to the gradient of weights. */
void mien_plan_move_slopes(mien_plan *plan);
int mien_plan_consumers(const mien_graph *graph, int value);
int mien_plan_operands(const mien_plan *plan, int i);
int mien_plan_operand(const mien_plan *plan, int i, int k);
int mien_plan_written(const mien_plan *plan, int i);
/* fold.c: layers that cost nothing in inference. `fold` and, for sums, `fold_add` return true if
 * they folded node i into another; for `fold` it must be the only consumer of its input.
 * `fold_padding` makes node i do the zero padding before it, where it can.
 * `folded_bias`: the bias of node i, whose `norm` is set, in the backend's dtype. */
bool mien_plan_fold(mien_plan *plan, int i);
bool mien_plan_fold_add(mien_plan *plan, int i);
void mien_plan_fold_padding(mien_plan *plan, int i);
void *mien_plan_folded_bias(const mien_plan *plan, int i);
/* The kernel and bias [out.c] of node i including what was folded into them. */
mien_status mien_plan_folded(const mien_plan *plan, const mien_weights *weights, int i,
                             float *kernel, float *bias);
mien_status mien_plan_load_folded(mien_plan *plan, const mien_weights *weights);
/* quant.c: the types of the values; the operator of node i if it reads or writes int8. */
void mien_plan_int8_values(mien_plan *plan);
mien_status mien_plan_int8_create(mien_plan *plan, int i);
/* slices.c: rows of a sliced plan that are not cut; rows of a slice's micro-batch, with *cut set to
 * the first node that runs on the whole slice; releases what the slices use. */
int mien_plan_uncut(const mien_backend *backend, int most);
int mien_plan_slice_cut(const mien_plan *plan, int *cut);
void mien_plan_slices_free(struct mien_slices *slices);
/* train_slices.c: whether a training plan carries slices; creates and releases what that needs;
 * prepares for batches of n; the passes of all nodes with a batch of n. */
bool mien_plan_can_carry(const mien_plan *plan);
/* Does node i run on the whole batch, not on slices? */
bool mien_plan_is_whole(const mien_plan *plan, int i);
mien_status mien_plan_carriers_create(mien_plan *plan);
void mien_plan_carriers_free(mien_plan *plan);
mien_status mien_plan_carriers_prepare(mien_plan *plan, int n);
mien_status mien_plan_carry_forward(mien_plan *plan, int n, bool training, uint64_t offset);
mien_status mien_plan_carry_backward(mien_plan *plan, int n, uint64_t offset);
/* The operator of node i for one of several threads. */
mien_status mien_plan_linear_beside(const mien_plan *plan, int i, mien_linear **out);
/* plan.c: elements that a parameter or its gradient takes; prepares operators of nodes from .. to -
 * 1 for the rows that a batch of n has there, and scratch memory for them. */
size_t mien_plan_param_elements(const mien_plan *plan, int node, int param);
mien_status mien_plan_prepare_nodes(mien_plan *plan, int from, int to, int n);
/* memory.c: assigns offsets from lifetimes: `memory` of every node, and `act_bytes`. */
mien_status mien_plan_memory(mien_plan *plan);

#endif
