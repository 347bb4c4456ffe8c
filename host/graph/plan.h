/* A graph bound to a backend: which nodes are fused, where every value, gradient and parameter
 * lies, and the passes over them. One allocation a role; nothing is allocated inside a pass.
 *
 *     mien_plan_create(&graph, backend, &options, &plan);   chooses and allocates
 *     mien_plan_load(plan, &weights);                        fills parameters and states
 *     mien_plan_prepare(plan, 64);                           once for every batch size
 *     mien_plan_forward(plan, 64, true, 0);  mien_plan_backward(plan, 64, 0);
 */
#ifndef HOST_GRAPH_PLAN_H
#define HOST_GRAPH_PLAN_H

#include "host/graph/quant.h"
#include "host/graph/replay.h"
#include "host/graph/weights.h"

/* What runs where, found by fuse.c and fold.c. */
typedef struct mien_fusion {
    int storage, grad_storage; /* the node whose buffer holds this one's output, its gradient */
    bool skipped;              /* fused into its producer, or the softmax at the end */
    int runner;                /* the node whose pass writes the value; i itself, or what i is in */
    bool sums;                 /* inference: adds its result to what lies in its buffer */
    int norm;                  /* the batch normalisation in its weights; 0: none */
    int activation;            /* fused into the node's end; LINEAR for none */
    float alpha;
    bool slope_by_consumer; /* training: the node that reads it applies that one's slope */
    bool bias_by_consumer;  /* and sums the gradient of its bias */
    int dropout;            /* training: the dropout node that runs in this one; 0: none */
    int add;                /* training: the sum that runs in this one; 0: none */
} mien_fusion;

/* Where a node's values lie, found by memory.c: offsets in bytes into the ACT arena. */
typedef struct mien_node_memory {
    size_t value, gradient, index, statistics;
    bool value_whole, gradient_whole; /* holds all rows of the batch, not just a micro-batch's */
} mien_node_memory;

/* The type of a node's value, found by quant.c; int8 stands for value / scale. */
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
    mien_int8_linear *int8;        /* instead, where the layer computes with or writes int8 */
    bool requires_grad;            /* something trained lies at or before it */
    bool adds[MIEN_INPUTS_MAX];    /* the gradient of input i is added to what is there */
    size_t param[MIEN_PARAMS_MAX]; /* element offset in PARAM or STATE */
} mien_node_plan;

typedef struct mien_plan_options {
    bool training;
    int max_batch;
    int micro_batch;       /* rows that go through the convolutions at a time; 0: automatic */
    const body_rule *rule; /* training: which moments to keep; NULL: none */
    uint32_t seed;
    bool input_gradient; /* training: backward goes on to the image (mien_plan_input_gradient) */
    /* inference: run in bytes where the backend can, else in f32. NULL or without nodes: f32. It
     * must outlive the plan. */
    const mien_quant *quant;
} mien_plan_options;

enum { MIEN_PROFILE_TIMESTAMPS = 1024 };

/* Seconds spent since it was hung into a plan; whoever hangs it in owns it and zeroes it. */
typedef struct mien_profile {
    double *forward, *backward; /* [graph->count], by node */
    double gather, loss, update;
    int timestamps; /* set since the last reading */
    double
        *owner[MIEN_PROFILE_TIMESTAMPS]; /* to which the time before a mark belongs; NULL: nobody */
} mien_profile;

enum { MIEN_INFER_SIZES = 16 };

typedef struct mien_plan {
    const mien_graph *graph;
    mien_backend *backend;
    const mien_ops *ops;
    bool training;
    int max_batch, micro_batch;
    const mien_quant *quant; /* NULL: everything is in the backend's type */
    /* called before the pass of every node, for calibration; NULL: none */
    void (*observe)(void *context, const mien_pass *pass, const mien_node *node);
    void *observer;
    int cut;               /* nodes before it see micro-batches, the others whole batches */
    mien_node_plan *nodes; /* [graph->count] */
    /* sizes in elements; PARAM, GRAD, MOMENT1, MOMENT2 and AVERAGE share one layout: decayed first,
     * then the other trained ones, then what is frozen */
    size_t decayed, trained, params, states;
    char *param, *grad, *state, *act, *scratch, *moment1, *moment2, *average;
    char *half; /* what `weights` names, in the backend's dtype; NULL where that is param_dtype */
    const char *weights; /* what the passes read: PARAM, or AVERAGE while evaluating with it */
    unsigned version;    /* counts moves of memory that recorded work knows the place of */
    size_t act_bytes, scratch_bytes, targets, probabilities;
    body_rule rule;
    body_step *step; /* in backend memory */
    double *rates;   /* learning rate of every step of the epoch; in backend memory */
    size_t rates_capacity;
    mien_replay infer[MIEN_INFER_SIZES]; /* passes of mien_plan_infer, by rows and weights */
    mien_profile *profile;               /* NULL: the passes do not look at the clock */
} mien_plan;

/* The graph and the backend must outlive the plan. */
mien_status mien_plan_create(const mien_graph *graph, mien_backend *backend,
                             const mien_plan_options *options, mien_plan **out);
void mien_plan_free(mien_plan *plan);

/* Parameters and states from the host and back (also the averages start from them).
 * `from_average`: read the averaged weights. */
mien_status mien_plan_load(mien_plan *plan, const mien_weights *weights);
/* Of a plan that trains: in inference the weights hold more than the layers' own. */
mien_status mien_plan_store(mien_plan *plan, bool from_average, mien_weights *weights);

/* Makes the passes read PARAM, or AVERAGE where there is one. */
mien_status mien_plan_use(mien_plan *plan, bool average);

/* Makes ready for batches of n rows; may allocate. */
mien_status mien_plan_prepare(mien_plan *plan, int n);

/* The tensors that a loader fills and a caller reads, for n rows. */
mien_tensor mien_plan_input(const mien_plan *plan, int n);
mien_tensor mien_plan_targets(const mien_plan *plan, int n);
mien_tensor mien_plan_logits(const mien_plan *plan, int n);
/* Where loss leaves the gradient of the logits, and, when asked for, backward that of the input. */
mien_tensor mien_plan_logits_gradient(const mien_plan *plan, int n);
mien_tensor mien_plan_input_gradient(const mien_plan *plan, int n);

/* Which rows of which batch a walk over the graph works on. */
typedef struct mien_walk {
    bool training, accumulate; /* accumulate: parameter gradients are added to what is there */
    int first, rows;           /* of the batch: a micro-batch, or all of it */
    uint64_t offset;           /* index of the batch's row 0 in the global batch */
} mien_walk;

/* What node i sees in its forward or, with `backward`, its backward pass. */
void mien_plan_pass(const mien_plan *plan, const mien_walk *walk, int i, bool backward,
                    mien_pass *pass);
/* The gradient of a parameter, NULL when it is not trained. */
void *mien_plan_param_grad(const mien_plan *plan, int node, int param);

/* The only walk over the graph. `offset` is the index of row 0 in the global batch, which several
 * plans in several processes may share: masks and augmentation are those of one plan with all rows.
 * Statistics of batch normalisation are those of the plan's own rows. */
mien_status mien_plan_forward(mien_plan *plan, int n, bool training, uint64_t offset);
/* Loss on the logits, into the step state; with `gradient` also its gradient, that of the mean over
 * the global batch. */
mien_status mien_plan_loss(mien_plan *plan, int n, int global_rows, const void *class_weight,
                           bool gradient);
mien_status mien_plan_backward(mien_plan *plan, int n, uint64_t offset);
/* One update of all trained parameters, after a global batch of so many rows. */
mien_status mien_plan_update(mien_plan *plan, int global_rows);

/* Begins an epoch: its learning rates, one a step; the cursor at 0, the sums of loss and answers
 * empty. May allocate. */
mien_status mien_plan_epoch(mien_plan *plan, const double *rates, size_t count);
/* The step state from and to backend memory; `read` waits for the work before. */
mien_status mien_plan_read(const mien_plan *plan, body_step *out);
mien_status mien_plan_write(mien_plan *plan, const body_step *state);

/* Rows that a batch of n is computed as: n, or in inference on a device that replays recorded
 * passes the next of a few sizes. The rows beyond n hold what they held. */
int mien_plan_rows(const mien_plan *plan, int n);
/* Forward outside of training over mien_plan_rows(n), recorded and replayed where that is
 * supported; those rows must have been prepared. */
mien_status mien_plan_infer(mien_plan *plan, int n);
/* Probabilities of n rows to the host: out[n][classes]. Runs the softmax behind the logits. */
mien_status mien_plan_probabilities(mien_plan *plan, int n, float *out);

/* Does the node's backward pass apply the slope of the ReLU that its input 0 went through? */
bool mien_plan_masks_relu(const mien_plan *plan, const mien_node *node);
/* Describes node i's linear operator as the plan creates it; false when it has none. */
bool mien_plan_linear_desc(const mien_plan *plan, int i, mien_linear_desc *desc);
/* "forward winograd, data direct, …" for layers with a choice, a line each; for the run's record.
 */
void mien_plan_algorithms(const mien_plan *plan, const char *prefix, mien_text *out);

/* profile.c: the time since the last stamp belongs to *owner (NULL: to nobody). Without a profile
 * it does nothing. `profile_read` waits and adds all up; a stamp does when there is no more room.
 */
mien_status mien_plan_stamp(mien_plan *plan, double *owner);
mien_status mien_plan_profile_read(mien_plan *plan);
/* fuse.c: marks nodes that run inside others; how many nodes read a value; what the pass of node i
 * reads: its inputs and behind them what a sum adds that runs in it. */
void mien_plan_fuse(mien_plan *plan);
int mien_plan_consumers(const mien_graph *graph, int value);
int mien_plan_operands(const mien_plan *plan, int i);
int mien_plan_operand(const mien_plan *plan, int i, int k);
/* fold.c: layers that cost nothing in inference. fold: node i, the only reader of its input, needs
 * no pass? fold_add: the same of node i, a sum. folded_bias: where in STATE the bias
 * of node i lies, whose `norm` is set. */
bool mien_plan_fold(mien_plan *plan, int i);
bool mien_plan_fold_add(mien_plan *plan, int i);
size_t mien_plan_folded_bias(const mien_plan *plan, int i);
/* The kernel and bias [out.c] that node i has in this plan, with what was folded into it. */
mien_status mien_plan_folded(const mien_plan *plan, const mien_weights *weights, int i,
                             float *kernel, float *bias);
mien_status mien_plan_load_folded(mien_plan *plan, const mien_weights *weights);
/* quant.c: types of the values; the operator of node i when it has to do with bytes. */
void mien_plan_int8_values(mien_plan *plan);
mien_status mien_plan_int8_create(mien_plan *plan, int i);
/* memory.c: lifetimes to offsets; fills `memory` of every node, and act_bytes. */
mien_status mien_plan_memory(mien_plan *plan);

#endif
