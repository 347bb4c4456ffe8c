/* The contract between a layer and the graph.
 *
 * A layer is one file with one mien_layer_def: a key table (Keras's names and defaults), the shape
 * rule, what it owns, and the two passes written against ops.h only. It never allocates in a pass
 * and knows no device. To add one: write the file, add a line to layers.def and a row to the
 * gradient table in tests/grad. */
#ifndef HOST_LAYERS_LAYER_H
#define HOST_LAYERS_LAYER_H

#include "host/backend/ops.h"
#include "host/base/keys.h"

enum { MIEN_INPUTS_MAX = 8, MIEN_PARAMS_MAX = 5, MIEN_NAME = 64, MIEN_CHANNELS_MAX = 65536 };

typedef struct mien_node mien_node;
typedef struct mien_bind mien_bind;
typedef struct mien_pass mien_pass;

/* First member of every layer's attributes: the keys that all layers share. */
typedef struct mien_layer_common {
    char name[MIEN_NAME];
    mien_texts inputs; /* empty: the layer before */
    bool trainable;
} mien_layer_common;

#define MIEN_COMMON_KEYS(owner)                                                                    \
    KEY_TEXT("name", MIEN_FIELD(owner, common.name), "\"\"",                                       \
             "name of the layer; Keras's default when empty"),                                     \
        KEY_TEXTS("inputs", MIEN_FIELD(owner, common.inputs), "[]",                                \
                  "names of the layers it reads (input = the image); default: the layer before"),  \
        KEY_BOOL("trainable", MIEN_FIELD(owner, common.trainable), "true",                         \
                 "false: its weights stay as they are")

typedef enum mien_init {
    MIEN_INIT_ZEROS,
    MIEN_INIT_ONES,
    MIEN_INIT_GLOROT_UNIFORM,
    MIEN_INIT_HE_NORMAL,
} mien_init;

/* A parameter (trained) or a state (saved, not trained), as the layer declares it. */
typedef struct mien_param {
    const char *name; /* Keras's: kernel, bias, gamma, … */
    mien_shape shape; /* kernels: n h w c = HWIO (dense: 1 1 in out); vectors: 1 1 1 c */
    mien_init init;
    double fan_in, fan_out;
    bool trained; /* false: a state */
    bool decays;  /* weight decay applies */
    bool linear;  /* lies in the linear operator's own layout */
    /* axes in Keras's files beyond that of the channels: 3 of a convolution's kernel, 1 of a dense
     * one's, 2 of an image's, -1 of a single number */
    int axes;
    const mien_reals
        *start; /* what it starts from, for all channels or each; NULL, or empty: init */
} mien_param;

enum mien_layer_flags {
    MIEN_NEEDS_INPUT = 1,        /* backward reads the inputs */
    MIEN_NEEDS_OUTPUT = 2,       /* backward reads the output */
    MIEN_IN_PLACE = 4,           /* both passes may overwrite what they read */
    MIEN_FUSES_RELU = 8,         /* takes a following ReLU as its epilogue */
    MIEN_FUSES_ACTIVATION = 16,  /* takes any activation whose slope follows from the output */
    MIEN_WHOLE_BATCH = 32,       /* statistics over the batch: no micro-batches before it */
    MIEN_SAVES_INDEX = 64,       /* keeps a uint16 for each output element */
    MIEN_SAVES_STATISTICS = 128, /* keeps two vectors [c] of the batch */
    MIEN_MASKS_RELU = 256,       /* backward can apply the slope of a ReLU before it */
    MIEN_SUMS_BIAS = 512,        /* and sum the bias gradient before that, where the backend can */
    MIEN_RESHAPES = 1024,        /* the same numbers in NHWC order: nothing to do in that layout */
    MIEN_TRAINING_ONLY = 2048,   /* the identity outside of training */
    MIEN_SUMS = 4096,            /* the sum of its inputs: can run in what computes one of them */
    MIEN_NORMALISES = 8192,      /* a scale and shift of each channel outside of training */
    MIEN_DROPS = 16384,          /* draws a mask for each element: can run in a pooling before it */
    MIEN_RUNS_DROPOUT = 1 << 15, /* takes such a layer after it into its own pass */
    MIEN_KEEPS_INT8 = 1 << 16,   /* gives int8 values on as they are */
    MIEN_AVERAGES = 1 << 17,     /* of pooling: the mean of a window, not its maximum */
    MIEN_DROPS_CHANNELS = 1 << 18,    /* of dropout: one draw for a channel of an image */
    MIEN_ENDS_MICRO_BATCHES = 1 << 19 /* from here on the batch is computed as a whole */
};

typedef struct mien_layer_def mien_layer_def;
struct mien_layer_def {
    const char *name;       /* as in model files: conv2d */
    const char *class_name; /* Keras: Conv2D */
    mien_keys keys;
    size_t attr_bytes;
    int min_inputs, max_inputs;
    unsigned flags;
    /* out shape (n unused) from the input shapes; may store derived numbers in the attributes.
     * `flat` is set when Keras's output has no height and width. */
    mien_status (*infer)(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat);
    /* fills node->params */
    void (*declare)(mien_node *node, const mien_shape *in);
    /* describes the linear operator; NULL when the layer has none */
    void (*linear)(const mien_node *node, mien_linear_desc *desc);
    mien_status (*forward)(const mien_node *node, const mien_pass *pass);
    mien_status (*backward)(const mien_node *node, const mien_pass *pass);
    double (*flops)(const mien_node *node, const mien_shape *in); /* of one sample; NULL: 0 */
    /* which of the table of activations the layer is, -1 for none of them; NULL: it is no
     * activation
     */
    int (*activates)(const mien_node *node, float *alpha);
    /* A layer of two operators: the second runs in an implicit node behind the first, which
     * `init_tail` gives its attributes (all but the common ones). Files know one layer. NULL: none
     */
    const mien_layer_def *tail;
    void (*init_tail)(const void *attrs, void *tail);
};

/* A layer's place in a graph: structure only, the same for every backend. */
struct mien_node {
    const mien_layer_def *def;
    void *attrs; /* def->attr_bytes, begins with mien_layer_common */
    const char *name;
    int index;
    int inputs[MIEN_INPUTS_MAX];
    int input_count;
    mien_shape in[MIEN_INPUTS_MAX];
    mien_shape out; /* n = 1 */
    bool flat;
    /* split off from the layer before: that one's tail, or its `activation` key */
    bool implicit;
    mien_param params[MIEN_PARAMS_MAX];
    int param_count;
};

/* Declares one more parameter of a node. */
void mien_declare(mien_node *node, mien_param param);

/* ---- what a layer sees during a pass ---- */
/* A pass of one node over some rows of a batch, filled in by whoever walks the graph. Tensors are
 * views of those rows. In forward only, the members about gradients are empty. */
struct mien_pass {
    mien_backend *backend;
    const mien_ops *ops;
    bool training;
    bool accumulate;  /* parameter gradients are added to what is there */
    uint64_t first;   /* index of row 0 in the global batch */
    body_step *state; /* in backend memory */
    bool warm_averages; /* running statistics follow the first batches closely (body_warm_decay) */
    void *scratch;
    /* the inputs; after them what a sum adds that runs in this node (batch normalisation's only) */
    mien_tensor x[MIEN_INPUTS_MAX];
    int x_count;
    mien_tensor y, dy;
    mien_tensor dx[MIEN_INPUTS_MAX]; /* of each of x; data NULL: nobody wants it */
    bool dx_accumulate[MIEN_INPUTS_MAX];
    /* parameters and their gradients; NULL: there is none, or it is not trained. The bias gradient
     * of a linear node is also NULL where the node that reads it sums it. */
    void *params[MIEN_PARAMS_MAX], *dparams[MIEN_PARAMS_MAX];
    mien_linear *linear;    /* the node's operator, NULL when it has none */
    mien_int8_linear *int8; /* stands in for it where int8 is read or written, else NULL */
    int activation;         /* fused into the node, LINEAR for none */
    float alpha;            /* of it */
    int slope;      /* the activation whose slope backward applies: LINEAR also when the consumer
                       does */
    bool relu_mask; /* backward applies the slope of the ReLU that x[0] went through */
    /* where backward leaves the bias gradient of the operator before that ReLU; NULL: not wanted */
    void *dbias_before;
    mien_dropout dropout; /* that runs in this node; rate 0: none */
    uint16_t *index;      /* MIEN_SAVES_INDEX */
    void *statistics[2];  /* MIEN_SAVES_STATISTICS: [c] each */
};

/* ---- shared by several layers ---- */
/* The passes of a linear operator with bias and epilogue (layers/linear_pass.c). */
mien_status mien_linear_layer_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_linear_layer_backward(const mien_node *node, const mien_pass *pass);
/* A batch normalisation outside of training: y = x * scale + shift [c], from the arrays of its
 * parameters in the order of node->params. */
void mien_batchnorm_affine(const mien_node *node, float *const *params, float *scale, float *shift);
/* Which of its parameters is the running mean. */
int mien_batchnorm_mean(const mien_node *node);
/* Sets its parameters so that y = x + shift. */
void mien_batchnorm_neutral(const mien_node *node, float *const *params, const float *shift);
/* What the pooling layers share (layers/pooling.c): attributes, key rows, shape rules, passes. The
 * key tables: common keys alone count MIEN_COMMON_COUNT rows, the window's follow them. */
typedef struct mien_pool_attrs {
    mien_layer_common common;
    int pool_size[2], strides[2], padding; /* of a window; strides 0 = pool_size */
    bool keepdims;                         /* of global pooling */
    mien_pool pool;                        /* derived */
} mien_pool_attrs;
enum { MIEN_WINDOW_POOL_KEYS = 6, MIEN_GLOBAL_POOL_KEYS = 4 };
extern const mien_key mien_window_pool_rows[MIEN_WINDOW_POOL_KEYS];
extern const mien_key mien_global_pool_rows[MIEN_GLOBAL_POOL_KEYS];
mien_status mien_window_pool_infer(mien_node *node, const mien_shape *in, mien_shape *out,
                                   bool *flat);
mien_status mien_global_pool_infer(mien_node *node, const mien_shape *in, mien_shape *out,
                                   bool *flat);
mien_status mien_pool_layer_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_pool_layer_backward(const mien_node *node, const mien_pass *pass);

/* What the convolutions share (layers/convolution.c): how their windows lie. A layer has it as the
 * member `window` of its attributes. */
typedef struct mien_conv_window {
    int kernel_size[2], strides[2], dilation_rate[2], padding;
    int pad_top, pad_left, pad_bottom, pad_right; /* derived */
} mien_conv_window;
#define MIEN_CONV_KEYS(owner)                                                                      \
    KEY_PAIR("kernel_size", MIEN_FIELD(owner, window.kernel_size), NULL, 1, 255,                   \
             "height and width"),                                                                  \
        KEY_PAIR("strides", MIEN_FIELD(owner, window.strides), "1", 1, 255,                        \
                 "steps down and right"),                                                          \
        KEY_CHOICE("padding", MIEN_FIELD(owner, window.padding), "valid", "valid|same",            \
                   "border rule"),                                                                 \
        KEY_PAIR("dilation_rate", MIEN_FIELD(owner, window.dilation_rate), "1", 1, 255,            \
                 "places from one tap of the kernel to the next; not with strides")
#define MIEN_INITIALIZERS "zeros|ones|glorot_uniform|he_normal"
/* Places that a kernel with its dilation reads along axis 0 or 1. */
int mien_conv_span(const mien_conv_window *window, int axis);
/* Strides and dilation exclude each other, as in Keras. */
mien_status mien_conv_check(const mien_conv_window *window);
/* channels * multiplier, where that is a number of channels. */
mien_status mien_depthwise_channels(int channels, int multiplier, int *out);
/* Height and width of the result, and the pads. */
mien_status mien_conv_infer(mien_conv_window *window, const mien_shape *in, mien_shape *out);
void mien_conv_describe(const mien_conv_window *window, mien_linear_desc *desc);
/* Of one sample: each of `channels` at each of the places is a sum of `terms` a tap. */
double mien_conv_flops(const mien_conv_window *window, const mien_shape *places, double channels,
                       double terms);
/* Declares a kernel [kernel_size][c2][c3] with the spread that Keras starts it with, and a bias. */
void mien_conv_declare(mien_node *node, const mien_conv_window *window, const char *name, int c2,
                       int c3, int initializer);
void mien_declare_bias(mien_node *node, int channels);

/* What both dropouts share (layers/dropout.c); the mask that such a node draws in this pass. */
typedef struct mien_dropout_attrs {
    mien_layer_common common;
    double rate;
} mien_dropout_attrs;
enum { MIEN_DROPOUT_KEYS = 4 };
extern const mien_key mien_dropout_rows[MIEN_DROPOUT_KEYS];
mien_dropout mien_dropout_mask(const mien_node *dropout, const mien_pass *pass);
mien_status mien_dropout_layer_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_dropout_layer_backward(const mien_node *node, const mien_pass *pass);
/* The passes of layers that are an activation of the table (layers/activation.c). */
mien_status mien_activation_layer_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_activation_layer_backward(const mien_node *node, const mien_pass *pass);
/* What padding and cropping share (layers/place.c): the smaller image lies at (top, left) of the
 * larger one. */
mien_status mien_lay_inside(const mien_pass *pass, const mien_tensor *large,
                            const mien_tensor *small, int top, int left, bool accumulate);
mien_status mien_cut_out(const mien_pass *pass, const mien_tensor *small, const mien_tensor *large,
                         int top, int left, bool accumulate);
/* What changes of size share (layers/resampling.c). */
enum { MIEN_NEAREST, MIEN_BILINEAR };
mien_status mien_resampling_forward(const mien_pass *pass, int interpolation);
mien_status mien_resampling_backward(const mien_pass *pass, int interpolation);

/* ---- passes and rules of shapes that several share (layers/common.c) ---- */
/* y = x and dx = dy, whatever the shapes. */
mien_status mien_copy_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_copy_backward(const mien_node *node, const mien_pass *pass);
/* y = the sum of all inputs. */
mien_status mien_sum_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_infer_same(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat);
/* Are all inputs of one shape? */
mien_status mien_infer_equal(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat);
/* Refuses flat input. */
mien_status mien_wants_image(const mien_shape *in, bool flat);
/* Is this, in Keras's count from the batch on, the axis of the channels? */
mien_status mien_wants_channel_axis(int axis, bool flat);

enum { MIEN_VALID, MIEN_SAME };

/* Keras's rule for one axis: output size and padding before (the odd pixel goes behind). Returns 0
 * when a `valid` window does not fit. */
int mien_conv_axis(int in, int kernel, int stride, int padding, int *before, int *after);
/* Table of layers by model-file name or Keras class; NULL when unknown. */
const mien_layer_def *mien_layer_find(const char *name);
const mien_layer_def *mien_layer_find_class(const char *class_name);
/* All of them, in the order of layers.def. */
const mien_layer_def *const *mien_layers(size_t *count);
/* "activation" of a key table: choices and the slope that the bare name stands for. */
#define MIEN_ACTIVATION_CHOICES                                                                    \
    "linear|relu|relu6|leaky_relu|elu|selu|gelu|sigmoid|hard_sigmoid|swish|tanh|softmax"
float mien_activation_alpha(int activation);
/* The activation named by a node's `activation` key; LINEAR when it has no such key. */
int mien_node_activation(const mien_node *node);
bool mien_activation_from_output(int activation);

#endif
