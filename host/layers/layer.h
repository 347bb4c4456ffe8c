/* The interface between a layer and the graph.
 *
 * A layer is one file with one mien_layer_def: a key table (Keras's names and defaults), the shape
 * rule, its parameters, and the two passes, which use ops.h only. A pass allocates nothing and is
 * independent of the device. To add a layer: write the file, add a line to layers.def and a row to
 * the gradient table in tests/grad. */
#ifndef HOST_LAYERS_LAYER_H
#define HOST_LAYERS_LAYER_H

#include "host/backend/ops.h"
#include "host/base/keys.h"

enum { MIEN_INPUTS_MAX = 8, MIEN_PARAMS_MAX = 5, MIEN_NAME = 64, MIEN_CHANNELS_MAX = 65536 };

typedef struct mien_node mien_node;
typedef struct mien_bind mien_bind;
typedef struct mien_pass mien_pass;

/* First member of every layer's attributes: the keys that all layers have. */
typedef struct mien_layer_common {
    char name[MIEN_NAME];
    mien_texts inputs; /* empty: the layer before */
    bool trainable;
} mien_layer_common;

#define MIEN_COMMON_KEYS(owner)                                                                    \
    KEY_TEXT("name", MIEN_FIELD(owner, common.name), "\"\"",                                       \
             "name of the layer; empty: Keras's default name"),                                    \
        KEY_TEXTS("inputs", MIEN_FIELD(owner, common.inputs), "[]",                                \
                  "names of the layers it reads (input = the image); default: the layer before"),  \
        KEY_BOOL("trainable", MIEN_FIELD(owner, common.trainable), "true",                         \
                 "false: its weights are frozen")

typedef enum mien_init {
    MIEN_INIT_ZEROS,
    MIEN_INIT_ONES,
    MIEN_INIT_GLOROT_UNIFORM,
    MIEN_INIT_HE_NORMAL,
} mien_init;

/* Declaration of a parameter (trained) or a state (saved, not trained). */
typedef struct mien_param {
    const char *name; /* Keras's: kernel, bias, gamma, … */
    mien_shape shape; /* kernels: n h w c = HWIO (dense: 1 1 in out); vectors: 1 1 1 c */
    mien_init init;
    double fan_in, fan_out;
    bool trained; /* false: a state */
    bool decays;  /* weight decay applies */
    bool linear;  /* stored in the linear operator's own layout */
    /* number of axes in Keras's files besides the last: 3 for a convolution kernel, 1 for a dense
     * kernel, 2 for a PReLU slope per pixel, 0 for a vector, -1 for a scalar */
    int axes;
    const mien_reals *start; /* initial values, one or one per channel; NULL or empty: `init` */
} mien_param;

enum mien_layer_flags {
    MIEN_NEEDS_INPUT = 1,        /* backward reads the inputs */
    MIEN_NEEDS_OUTPUT = 2,       /* backward reads the output */
    MIEN_IN_PLACE = 4,           /* both passes may overwrite what they read */
    MIEN_FUSES_RELU = 8,         /* can apply a ReLU after it in its epilogue */
    MIEN_FUSES_ACTIVATION = 16,  /* likewise any activation whose slope follows from the output */
    MIEN_WHOLE_BATCH = 32,       /* statistics over the batch: training uses no micro-batches */
    MIEN_SAVES_INDEX = 64,       /* keeps mien_index_bytes per output element for backward */
    MIEN_SAVES_STATISTICS = 128, /* keeps two vectors [c] of the batch for backward */
    MIEN_MASKS_RELU = 256,       /* backward can apply the slope of a ReLU before it */
    MIEN_SUMS_BIAS = 512,        /* and sum the bias gradient before that ReLU, on some backends */
    MIEN_RESHAPES = 1024,        /* changes only the shape: no work in NHWC */
    MIEN_TRAINING_ONLY = 2048,   /* the identity outside of training */
    MIEN_SUMS = 4096,       /* adds its inputs: can run in the pass that computes one of them */
    MIEN_NORMALISES = 8192, /* outside of training, scales and shifts each channel */
    MIEN_DROPS = 16384,     /* dropout per element: can run in the pooling before it */
    MIEN_RUNS_DROPOUT = 1 << 15,      /* can run a MIEN_DROPS layer after it in its own pass */
    MIEN_KEEPS_INT8 = 1 << 16,        /* passes int8 values on unchanged */
    MIEN_AVERAGES = 1 << 17,          /* pooling: by the mean of a window, not the maximum */
    MIEN_DROPS_CHANNELS = 1 << 18,    /* dropout: one draw per channel of an image */
    MIEN_READS_MASK = 1 << 20,        /* with MIEN_MASKS_RELU: it reads its input to do so */
    MIEN_ENDS_MICRO_BATCHES = 1 << 19 /* it and all nodes after it run on the whole batch */
};

typedef struct mien_layer_def mien_layer_def;
struct mien_layer_def {
    const char *name;       /* as in model files: conv2d */
    const char *class_name; /* Keras: Conv2D */
    mien_keys keys;
    size_t attr_bytes;
    int min_inputs, max_inputs;
    unsigned flags;
    /* computes the output shape (n unused) from the input shapes; may store derived numbers in the
     * attributes. Sets `flat` if Keras's output has no height and width. */
    mien_status (*infer)(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat);
    /* fills node->params */
    void (*declare)(mien_node *node, const mien_shape *in);
    /* describes the linear operator; NULL if the layer has none */
    void (*linear)(const mien_node *node, mien_linear_desc *desc);
    mien_status (*forward)(const mien_node *node, const mien_pass *pass);
    mien_status (*backward)(const mien_node *node, const mien_pass *pass);
    double (*flops)(const mien_node *node, const mien_shape *in); /* of one sample; NULL: 0 */
    /* the layer's activation (enum body_activation), -1 if it is not in that table; NULL: the layer
     * is not an activation */
    int (*activates)(const mien_node *node, float *alpha);
    /* the rows and columns of zeros that the layer adds, and nothing else: top, bottom, left,
     * right; NULL: it is another layer */
    const int *(*pads)(const mien_node *node);
    /* For a layer of two operators, the second one, which runs in an implicit node after the first;
     * `init_tail` sets its attributes except the common ones. In files it is one layer. NULL: none
     */
    const mien_layer_def *tail;
    void (*init_tail)(const void *attrs, void *tail);
};

/* A node of a graph: structure only, the same for every backend. */
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
    /* belongs to the layer before it: that layer's tail or `activation` key */
    bool implicit;
    mien_param params[MIEN_PARAMS_MAX];
    int param_count;
};

/* Declares one more parameter of a node. */
void mien_declare(mien_node *node, mien_param param);

/* ---- the arguments of a pass ---- */
/* A pass of one node over some rows of a batch, filled in by mien_plan_pass. Tensors are views of
 * those rows. In a forward pass the gradient members are zero. */
struct mien_pass {
    mien_backend *backend;
    const mien_ops *ops;
    bool training;
    bool accumulate;    /* adds to the parameter gradients instead of overwriting them */
    int slice;          /* rows whose parameter gradients are summed first; see mien_linear_desc */
    uint64_t first;     /* index of row 0 in the global batch */
    body_step *state;   /* in backend memory */
    bool warm_averages; /* running statistics follow the first batches closely (body_warm_decay) */
    void *scratch;
    /* the inputs, then, in batch normalisation, the other input of a sum that runs in the node */
    mien_tensor x[MIEN_INPUTS_MAX];
    int x_count;
    mien_tensor y, dy;
    mien_tensor dx[MIEN_INPUTS_MAX]; /* of each of x; data NULL: not needed */
    bool dx_accumulate[MIEN_INPUTS_MAX];
    /* parameters and their gradients; NULL: there is none, or it is not trained. The bias gradient
     * of a linear node is also NULL where the node's consumer sums it. */
    void *params[MIEN_PARAMS_MAX], *dparams[MIEN_PARAMS_MAX];
    mien_linear *linear;    /* the node's operator, NULL if it has none */
    mien_int8_linear *int8; /* replaces it where int8 is read or written, else NULL */
    int activation;         /* fused into the node; LINEAR: none */
    float alpha;            /* of that activation */
    int slope;              /* the activation whose slope backward applies; LINEAR: none, or the
                               consumer applies it */
    bool relu_mask;         /* backward applies the slope of the ReLU that x[0] went through */
    bool masks_dy;          /* the filter gradient applies the slope of the node's own ReLU */
    /* receives the bias gradient of the operator before that ReLU; NULL: not needed */
    void *dbias_before;
    const mien_node *pool; /* the max pooling that runs in this node, which y is of; NULL: none */
    mien_dropout dropout;  /* the dropout that runs in this node; rate 0: none */
    void *index;           /* MIEN_SAVES_INDEX */
    void *statistics[2];   /* MIEN_SAVES_STATISTICS: [c] each */
};

/* ---- shared by several layers ---- */
/* The passes of a linear operator with bias and epilogue (layers/linear_pass.c). */
mien_status mien_linear_layer_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_linear_layer_backward(const mien_node *node, const mien_pass *pass);
/* A batch normalisation outside of training as y = x * scale + shift, [c] each; `params` are its
 * parameter arrays in the order of node->params. */
void mien_batchnorm_affine(const mien_node *node, float *const *params, float *scale, float *shift);
/* The index of the running mean among its parameters. */
int mien_batchnorm_mean(const mien_node *node);
/* Sets its parameters so that y = x + shift. */
void mien_batchnorm_neutral(const mien_node *node, float *const *params, const float *shift);
/* Shared by the pooling layers (layers/pooling.c): attributes, key tables, shape rules, passes. */
typedef struct mien_pool_attrs {
    mien_layer_common common;
    int pool_size[2], strides[2], padding; /* of a window; strides 0: pool_size */
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
/* Max pooling whose windows touch, do not overlap and need no padding, with an index of one byte?
 */
bool mien_pools_adjacent(const mien_node *node);
/* Of the index, per output element; 0 without MIEN_SAVES_INDEX. */
size_t mien_index_bytes(const mien_node *node);

/* Shared by the convolutions (layers/convolution.c): the geometry of the window. A layer's
 * attributes have it as the member `window`. */
typedef struct mien_conv_window {
    int kernel_size[2], strides[2], dilation_rate[2], padding;
    int pad_top, pad_left, pad_bottom, pad_right; /* derived */
} mien_conv_window;
#define MIEN_CONV_KEYS(owner)                                                                      \
    KEY_PAIR("kernel_size", MIEN_FIELD(owner, window.kernel_size), NULL, 1, 255,                   \
             "height and width"),                                                                  \
        KEY_PAIR("strides", MIEN_FIELD(owner, window.strides), "1", 1, 255,                        \
                 "vertical and horizontal step"),                                                  \
        KEY_CHOICE("padding", MIEN_FIELD(owner, window.padding), "valid", "valid|same",            \
                   "valid: no padding; same: zeros at the borders, as in Keras"),                  \
        KEY_PAIR("dilation_rate", MIEN_FIELD(owner, window.dilation_rate), "1", 1, 255,            \
                 "distance between taps of the kernel in pixels; not together with strides")
#define MIEN_INITIALIZERS "zeros|ones|glorot_uniform|he_normal"
/* Extent of the dilated kernel in pixels along axis 0 (height) or 1 (width). */
int mien_conv_span(const mien_conv_window *window, int axis);
/* INVALID if there are both strides and dilation, as in Keras. */
mien_status mien_conv_check(const mien_conv_window *window);
/* out = channels * multiplier; INVALID above MIEN_CHANNELS_MAX. */
mien_status mien_depthwise_channels(int channels, int multiplier, int *out);
/* Sets height and width of the output and the window's pads; INVALID if the kernel does not fit. */
mien_status mien_conv_infer(mien_conv_window *window, const mien_shape *in, mien_shape *out);
void mien_conv_describe(const mien_conv_window *window, mien_linear_desc *desc);
/* FLOPs for one sample: `channels` sums at each pixel of `image`, each of `terms` products per tap
 * of the kernel. */
double mien_conv_flops(const mien_conv_window *window, const mien_shape *image, double channels,
                       double terms);
/* Declares a kernel [kernel_size][c2][c3] with Keras's fan-in and fan-out. */
void mien_conv_declare(mien_node *node, const mien_conv_window *window, const char *name, int c2,
                       int c3, int initializer);
void mien_declare_bias(mien_node *node, int channels);

/* Shared by both dropout layers (layers/dropout.c). */
typedef struct mien_dropout_attrs {
    mien_layer_common common;
    double rate;
} mien_dropout_attrs;
enum { MIEN_DROPOUT_KEYS = 4 };
extern const mien_key mien_dropout_rows[MIEN_DROPOUT_KEYS];
/* The mask that this dropout node draws in this pass. */
mien_dropout mien_dropout_mask(const mien_node *dropout, const mien_pass *pass);
mien_status mien_dropout_layer_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_dropout_layer_backward(const mien_node *node, const mien_pass *pass);
/* The passes of layers that are an activation (layers/activation.c). */
mien_status mien_activation_layer_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_activation_layer_backward(const mien_node *node, const mien_pass *pass);
/* Shared by padding and cropping (layers/copy_box.c): the smaller image is at (top, left) of the
 * larger one. mien_embed also clears the rest of `large`, unless it accumulates. */
mien_status mien_embed(const mien_pass *pass, const mien_tensor *large, const mien_tensor *small,
                       int top, int left, bool accumulate);
mien_status mien_extract(const mien_pass *pass, const mien_tensor *small, const mien_tensor *large,
                         int top, int left, bool accumulate);
/* Shared by up_sampling2d and resizing (layers/resampling.c). */
enum { MIEN_NEAREST, MIEN_BILINEAR };
mien_status mien_resampling_forward(const mien_pass *pass, int interpolation);
mien_status mien_resampling_backward(const mien_pass *pass, int interpolation);

/* ---- passes and shape rules shared by several layers (layers/common.c) ---- */
/* y = x and dx = dy, whatever the shapes. */
mien_status mien_copy_forward(const mien_node *node, const mien_pass *pass);
mien_status mien_copy_backward(const mien_node *node, const mien_pass *pass);
/* y = the sum of all inputs. */
mien_status mien_sum_forward(const mien_node *node, const mien_pass *pass);
/* The output has the shape of the input. */
mien_status mien_infer_same(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat);
/* The output has the shape of all inputs; INVALID if these differ. */
mien_status mien_infer_equal(mien_node *node, const mien_shape *in, mien_shape *out, bool *flat);
/* INVALID for a flat input. */
mien_status mien_require_image(const mien_shape *in, bool flat);
/* UNSUPPORTED unless `axis` is the channel axis; as in Keras, axis 0 is the batch. */
mien_status mien_require_channel_axis(int axis, bool flat);

enum { MIEN_VALID, MIEN_SAME };

/* Keras's rule for one axis: returns the output size, 0 if a `valid` window does not fit, and sets
 * the padding before and after (an odd pixel goes after). */
int mien_conv_axis(int in, int kernel, int stride, int padding, int *before, int *after);
/* A layer by its name in model files or its Keras class; NULL if unknown. */
const mien_layer_def *mien_layer_find(const char *name);
const mien_layer_def *mien_layer_find_class(const char *class_name);
/* All layers, in the order of layers.def. */
const mien_layer_def *const *mien_layers(size_t *count);
/* The choices of an `activation` key, and the alpha of an activation chosen by name. */
#define MIEN_ACTIVATION_CHOICES                                                                    \
    "linear|relu|relu6|leaky_relu|elu|selu|gelu|sigmoid|hard_sigmoid|swish|tanh|softmax"
float mien_activation_alpha(int activation);
/* The activation named by a node's `activation` key; LINEAR if it has no such key. */
int mien_node_activation(const mien_node *node);
/* Can the slope be computed from the output alone? */
bool mien_activation_from_output(int activation);

#endif
