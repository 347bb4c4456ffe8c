#include "tests/grad/grad_cases.h"

#define CONV(keys, n, h, w, c) {"conv2d", "  - conv2d: {" keys "}\n", {h, w, c, 0}, n},
#define DEPTHWISE(keys, n, h, w, c)                                                                \
    {"depthwise_conv2d", "  - depthwise_conv2d: {" keys "}\n", {h, w, c, 0}, n},
#define SEPARABLE(keys, n, h, w, c)                                                                \
    {"separable_conv2d", "  - separable_conv2d: {" keys "}\n", {h, w, c, 0}, n},
#define TRANSPOSE(keys, n, h, w, c)                                                                \
    {"conv2d_transpose", "  - conv2d_transpose: {" keys "}\n", {h, w, c, 0}, n},
#define DENSE(keys, n, c)     {"dense", "  - dense: {" keys "}\n", {1, 1, c, 0}, n},
#define MAX(keys, n, h, w, c) {"max_pooling2d", "  - max_pooling2d: {" keys "}\n", {h, w, c, 0}, n},
#define MEAN(keys, n, h, w, c)                                                                     \
    {"average_pooling2d", "  - average_pooling2d: {" keys "}\n", {h, w, c, 0}, n},
#define BN(keys, n, h, w, c)                                                                       \
    {"batch_normalization", "  - batch_normalization: {" keys "}\n", {h, w, c, 0}, n},
/* alone; fused after a convolution; after a dense layer */
#define ACTIVATION(name)                                                                           \
    {"activation", "  - activation: {activation: " name "}\n", {5, 3, 2, 0}, 3},                   \
        {"activation",                                                                             \
         "  - conv2d: {filters: 3, kernel_size: 3, activation: " name "}\n",                       \
         {6, 5, 2, 0},                                                                             \
         2},                                                                                       \
        {"activation", "  - dense: {units: 7, activation: " name "}\n", {1, 1, 5, 0}, 3},
#define TWO(c)                                                                                     \
    "  - conv2d: {name: a, inputs: [input], filters: " c ", kernel_size: 1}\n"                     \
    "  - conv2d: {name: b, inputs: [input], filters: " c ", kernel_size: 3, padding: same}\n"

/* clang-format off */
const grad_case grad_layers[] = {
    {"input", "", {3, 2, 2, 0}, 2},
    CONV("filters: 1, kernel_size: 1", 1, 2, 1, 1)
    CONV("filters: 2, kernel_size: 3", 1, 3, 3, 1)
    CONV("filters: 5, kernel_size: 3, padding: same", 2, 5, 7, 1)
    CONV("filters: 4, kernel_size: 3, padding: same, strides: 2", 2, 7, 6, 3)
    CONV("filters: 4, kernel_size: 3, padding: same, strides: 2", 3, 6, 7, 3)
    CONV("filters: 17, kernel_size: 3, padding: same", 1, 5, 4, 17)
    CONV("filters: 16, kernel_size: 3, padding: same", 2, 6, 5, 16)
    CONV("filters: 32, kernel_size: 3", 5, 6, 6, 16)
    CONV("filters: 16, kernel_size: 3, strides: 2", 2, 8, 9, 1)
    CONV("filters: 16, kernel_size: 3, padding: same, use_bias: false", 3, 18, 17, 16)
    CONV("filters: 3, kernel_size: [5, 2], padding: same, strides: [1, 2]", 2, 6, 7, 3)
    CONV("filters: 3, kernel_size: [2, 5], strides: [2, 1]", 4, 7, 8, 2)
    CONV("filters: 16, kernel_size: 1, strides: 2, padding: same", 2, 7, 5, 32)
    CONV("filters: 3, kernel_size: 1, strides: 3", 2, 7, 8, 3)
    CONV("filters: 2, kernel_size: 4, padding: same", 5, 3, 3, 2)
    CONV("filters: 2, kernel_size: 7, padding: same", 2, 3, 4, 1)
    CONV("filters: 8, kernel_size: 3, padding: same", 3, 5, 5, 8)
    CONV("filters: 24, kernel_size: 3, padding: same", 1, 4, 4, 48)
    CONV("filters: 3, kernel_size: 3, trainable: false", 2, 5, 5, 2)
    CONV("filters: 3, kernel_size: 3, dilation_rate: 2", 2, 7, 6, 3)
    CONV("filters: 16, kernel_size: [3, 2], dilation_rate: [2, 3], padding: same", 2, 6, 7, 16)
    CONV("filters: 6, kernel_size: 3, groups: 3, padding: same", 2, 5, 6, 9)
    CONV("filters: 32, kernel_size: 3, groups: 2, strides: 2, padding: same", 3, 7, 6, 32)
    CONV("filters: 4, kernel_size: 3, groups: 2, dilation_rate: 2, padding: same", 2, 6, 5, 2)
    DEPTHWISE("kernel_size: 3", 2, 5, 6, 3)
    DEPTHWISE("kernel_size: 3, padding: same, strides: 2", 3, 7, 6, 16)
    DEPTHWISE("kernel_size: [2, 3], padding: same, depth_multiplier: 2, use_bias: false", 2, 5, 4, 5)
    DEPTHWISE("kernel_size: 3, depth_multiplier: 3, dilation_rate: 2, padding: same", 2, 5, 6, 1)
    DEPTHWISE("kernel_size: 3, padding: same, activation: relu", 2, 5, 4, 17)
    SEPARABLE("filters: 4, kernel_size: 3", 2, 5, 6, 3)
    SEPARABLE("filters: 16, kernel_size: 3, padding: same, strides: 2, activation: relu", 2, 7, 6, 16)
    SEPARABLE("filters: 5, kernel_size: 3, padding: same, depth_multiplier: 2, dilation_rate: 2, "
              "use_bias: false, activation: tanh", 2, 6, 5, 3)
    {"separable_conv2d", "  - separable_conv2d: {name: a, filters: 3, kernel_size: 3, padding: same, "
                         "activation: tanh}\n  - add: {inputs: [a, input]}\n", {5, 4, 3, 0}, 2},
    TRANSPOSE("filters: 3, kernel_size: 3", 2, 3, 4, 2)
    TRANSPOSE("filters: 16, kernel_size: 3, strides: 2, padding: same", 2, 4, 3, 16)
    TRANSPOSE("filters: 5, kernel_size: 2, strides: [3, 2]", 2, 3, 2, 3)
    TRANSPOSE("filters: 4, kernel_size: [4, 3], strides: 2, padding: same, output_padding: 1, "
              "activation: relu", 2, 3, 4, 17)
    TRANSPOSE("filters: 3, kernel_size: 3, strides: 2, output_padding: [0, 1], use_bias: false", 3, 3, 2, 2)
    TRANSPOSE("filters: 3, kernel_size: 2, dilation_rate: 2, padding: same", 2, 4, 5, 3)
    {"conv2d_transpose", "  - conv2d: {name: a, filters: 2, kernel_size: 3, activation: relu}\n"
                         "  - conv2d_transpose: {name: b, filters: 3, kernel_size: 3}\n"
                         "  - conv2d: {name: c, inputs: [a], filters: 3, kernel_size: 3, padding: same}\n"
                         "  - conv2d_transpose: {name: d, inputs: [a], filters: 3, kernel_size: 3}\n"
                         "  - add: {inputs: [b, d]}\n  - conv2d: {name: e, filters: 3, kernel_size: 3}\n"
                         "  - add: {inputs: [c, e]}\n", {5, 6, 2, 0}, 2},
    {"dense", "  - dense: {units: 1}\n  - dense: {units: 2}\n", {1, 1, 1, 0}, 1},
    DENSE("units: 17", 5, 3)
    DENSE("units: 7, use_bias: false", 3, 17)
    DENSE("units: 16", 2, 32)
    DENSE("units: 3", 4, 129)
    MAX("pool_size: 2", 2, 6, 5, 3)
    MAX("pool_size: 2, padding: same", 1, 5, 7, 1)
    MAX("pool_size: 3, strides: 2, padding: same", 2, 7, 6, 17)
    MAX("pool_size: 3, strides: 1", 3, 5, 5, 16)
    MAX("pool_size: [1, 4], strides: [3, 2]", 5, 4, 9, 2)
    MAX("pool_size: 5, padding: same", 2, 3, 3, 2)
    MAX("pool_size: 1, strides: 2", 2, 5, 5, 2)
    MEAN("pool_size: 2", 2, 6, 5, 3)
    MEAN("pool_size: 2, padding: same", 1, 5, 7, 1)
    MEAN("pool_size: 3, strides: 2, padding: same", 2, 7, 6, 17)
    MEAN("pool_size: 3, strides: 1", 3, 5, 5, 16)
    MEAN("pool_size: [1, 4], strides: [3, 2]", 5, 4, 9, 2)
    MEAN("pool_size: 5, padding: same", 2, 3, 3, 2)
    {"global_average_pooling2d", "  - global_average_pooling2d\n", {5, 3, 17, 0}, 3},
    {"global_average_pooling2d", "  - global_average_pooling2d: {keepdims: true}\n", {4, 4, 16, 0}, 1},
    {"global_average_pooling2d", "  - global_average_pooling2d\n", {1, 1, 3, 0}, 5},
    {"global_max_pooling2d", "  - global_max_pooling2d\n", {5, 3, 17, 0}, 3},
    {"global_max_pooling2d", "  - global_max_pooling2d: {keepdims: true}\n", {4, 4, 16, 0}, 1},
    BN("", 4, 3, 5, 2)
    BN("", 1, 4, 4, 17)
    BN("momentum: 0.9, epsilon: 0.01", 3, 5, 3, 16)
    BN("center: false", 2, 3, 3, 3)
    BN("scale: false", 2, 3, 3, 3)
    BN("center: false, scale: false", 2, 3, 3, 80)
    BN("", 5, 1, 1, 70)
    BN("trainable: false", 3, 3, 4, 5)
    {"batch_normalization", "  - batch_normalization: {}\n  - activation: {activation: relu}\n",
     {4, 3, 16, 0}, 3},
    {"batch_normalization", "  - batch_normalization: {trainable: false}\n"
                            "  - activation: {activation: relu}\n", {4, 3, 5, 0}, 2},
    ACTIVATION("linear") ACTIVATION("relu") ACTIVATION("relu6") ACTIVATION("leaky_relu")
    ACTIVATION("elu") ACTIVATION("selu") ACTIVATION("gelu") ACTIVATION("sigmoid")
    ACTIVATION("hard_sigmoid") ACTIVATION("swish") ACTIVATION("tanh") ACTIVATION("softmax")
    {"activation", "  - activation: {activation: softmax}\n", {3, 2, 32, 0}, 2},
    {"dropout", "  - dropout: {rate: 0.5}\n", {4, 3, 5, 0}, 3},
    {"dropout", "  - dropout: {rate: 0}\n", {4, 3, 5, 0}, 2},
    {"dropout", "  - conv2d: {filters: 16, kernel_size: 3}\n  - dropout: {rate: 0.3}\n",
     {6, 5, 3, 0}, 2},
    {"dropout", "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
                "  - dropout: {rate: 0.3}\n  - dropout: {rate: 0.2}\n", {6, 5, 3, 0}, 2},
    {"flatten", "  - flatten\n", {3, 4, 5, 0}, 2},
    {"flatten", "  - conv2d: {filters: 16, kernel_size: 3}\n  - flatten\n  - dense: {units: 3}\n",
     {5, 4, 2, 0}, 3},
    {"flatten", "  - flatten\n  - flatten\n", {1, 1, 5, 0}, 2},
    {"add", TWO("3") "  - add: {inputs: [a, b]}\n", {4, 3, 2, 0}, 2},
    {"add", TWO("16") "  - add: {inputs: [b, a, b]}\n", {4, 5, 2, 0}, 3},
    {"multiply", TWO("3") "  - multiply: {inputs: [a, b]}\n", {4, 3, 2, 0}, 2},
    {"multiply", TWO("16") "  - global_average_pooling2d: {name: g, keepdims: true}\n"
                 "  - multiply: {inputs: [a, g]}\n", {4, 5, 2, 0}, 3},
    {"multiply", TWO("5") "  - global_max_pooling2d: {name: g, keepdims: true}\n"
                 "  - multiply: {inputs: [a, g]}\n", {4, 5, 2, 0}, 3},
    {"multiply", "  - multiply: {inputs: [input, input]}\n", {1, 1, 6, 0}, 3},
    {"rescaling", "  - rescaling: {scale: 0.25, offset: -1}\n", {3, 4, 2, 0}, 2},
    {"rescaling", "  - conv2d: {filters: 16, kernel_size: 2}\n  - rescaling: {scale: -3}\n",
     {3, 4, 2, 0}, 2},
    {"concatenate", TWO("3") "  - concatenate: {inputs: [a, b]}\n", {4, 3, 2, 0}, 2},
    {"concatenate", /* blocks that begin inside of blocks, and one input twice */
     TWO("16") "  - conv2d: {name: c, inputs: [input], filters: 3, kernel_size: 1}\n"
     "  - concatenate: {axis: 3, inputs: [c, a, input, b, c, a]}\n", {4, 5, 10, 0}, 2},
    {"concatenate", TWO("16") "  - concatenate: {inputs: [a, b]}\n"
                    "  - conv2d: {filters: 4, kernel_size: 1}\n", {4, 5, 2, 0}, 3},
    {"concatenate", "  - flatten: {name: f}\n  - dense: {name: d, units: 7}\n"
                    "  - concatenate: {inputs: [d, f], axis: 1}\n", {2, 3, 2, 0}, 3},
    {"average", TWO("3") "  - average: {inputs: [a, b, a]}\n", {4, 3, 2, 0}, 2},
    {"average", TWO("16") "  - average: {inputs: [a, b]}\n", {1, 1, 3, 0}, 3},
    {"maximum", TWO("3") "  - maximum: {inputs: [a, b]}\n", {4, 3, 2, 0}, 2},
    {"maximum", TWO("16") "  - maximum: {inputs: [a, b, a]}\n"
                "  - activation: {activation: tanh}\n", {4, 5, 2, 0}, 3},
    {"spatial_dropout2d", "  - spatial_dropout2d: {rate: 0.5}\n", {4, 3, 5, 0}, 4},
    {"spatial_dropout2d", "  - conv2d: {filters: 32, kernel_size: 3}\n"
                          "  - spatial_dropout2d: {rate: 0.3}\n", {6, 5, 3, 0}, 2},
    {"spatial_dropout2d", "  - max_pooling2d\n  - spatial_dropout2d: {rate: 0.4}\n",
     {4, 4, 70, 0}, 2},
    {"gaussian_noise", "  - gaussian_noise: {stddev: 0.5}\n", {4, 3, 5, 0}, 3},
    {"gaussian_noise", "  - conv2d: {filters: 16, kernel_size: 3}\n"
                       "  - gaussian_noise: {stddev: 0.3}\n  - activation: {activation: tanh}\n",
     {6, 5, 3, 0}, 2},
    {"zero_padding2d", "  - zero_padding2d\n", {3, 2, 3, 0}, 2},
    {"zero_padding2d", "  - conv2d: {filters: 16, kernel_size: 2}\n"
                       "  - zero_padding2d: {padding: [[0, 3], [2, 1]]}\n", {4, 3, 2, 0}, 2},
    {"zero_padding2d", "  - zero_padding2d: {padding: [0, 2]}\n", {1, 1, 16, 0}, 3},
    {"cropping2d", "  - cropping2d: {cropping: 1}\n", {3, 5, 3, 0}, 2},
    {"cropping2d", "  - conv2d: {filters: 16, kernel_size: 2}\n"
                   "  - cropping2d: {cropping: [[0, 1], [2, 0]]}\n", {5, 6, 2, 0}, 2},
    {"cropping2d", TWO("16") "  - cropping2d: {name: k, inputs: [a], cropping: [1, 2]}\n"
                   "  - conv2d: {name: l, inputs: [a], filters: 16, kernel_size: [3, 5]}\n"
                   "  - conv2d: {name: m, inputs: [b], filters: 16, kernel_size: [3, 5]}\n"
                   "  - add: {inputs: [k, l, m]}\n", {3, 5, 2, 0}, 2},
    {"up_sampling2d", "  - up_sampling2d\n", {3, 2, 3, 0}, 2},
    {"up_sampling2d", "  - up_sampling2d: {size: [3, 2], interpolation: bilinear}\n",
     {3, 4, 2, 0}, 2},
    {"up_sampling2d", "  - conv2d: {filters: 32, kernel_size: 2}\n"
                      "  - up_sampling2d: {size: 2, interpolation: bilinear}\n", {4, 3, 2, 0}, 2},
    {"up_sampling2d", "  - up_sampling2d: {size: [2, 3]}\n", {1, 1, 32, 0}, 2},
    {"resizing", "  - resizing: {height: 7, width: 4}\n", {5, 6, 2, 0}, 2},
    {"resizing", "  - conv2d: {filters: 16, kernel_size: 2}\n"
                 "  - resizing: {height: 3, width: 9}\n", {8, 6, 2, 0}, 2},
    {"resizing", "  - resizing: {height: 2, width: 9, interpolation: nearest}\n", {5, 4, 3, 0}, 2},
    {"resizing", "  - conv2d: {filters: 32, kernel_size: 2}\n"
                 "  - resizing: {height: 1, width: 1}\n", {5, 4, 2, 0}, 2},
    {"reshape", "  - reshape: {target_shape: [2, -1, 6]}\n", {3, 4, 2, 0}, 2},
    {"reshape", "  - conv2d: {filters: 16, kernel_size: 2}\n"
                "  - reshape: {target_shape: [3, 2, 32]}\n"
                "  - conv2d: {filters: 3, kernel_size: 1}\n", {5, 4, 2, 0}, 2},
    {"reshape", "  - dense: {units: 48}\n  - reshape: {target_shape: [3, 1, 16]}\n"
                "  - conv2d: {filters: 3, kernel_size: [2, 1]}\n"
                "  - reshape: {target_shape: [-1]}\n  - dense: {units: 5}\n", {1, 1, 7, 0}, 3},
    {"reshape", "  - flatten\n  - dense: {units: 64}\n  - reshape: {target_shape: [2, 1, 32]}\n",
     {2, 2, 7, 0}, 3},
    {"permute", "  - permute: {dims: [2, 1, 3]}\n", {3, 4, 2, 0}, 2},
    {"permute", "  - conv2d: {filters: 16, kernel_size: 2}\n  - permute: {dims: [3, 1, 2]}\n"
                "  - conv2d: {filters: 2, kernel_size: 1}\n", {5, 4, 2, 0}, 2},
    {"permute", TWO("16") "  - permute: {inputs: [a], name: p, dims: [2, 3, 1]}\n"
                "  - permute: {inputs: [b], name: q, dims: [2, 3, 1]}\n"
                "  - permute: {inputs: [a], name: r, dims: [2, 3, 1]}\n"
                "  - add: {inputs: [p, q, r]}\n", {16, 3, 2, 0}, 2},
    {"normalization", "  - normalization: {mean: [0.5, -1, 0.25], variance: [4, 0.5, 2]}\n",
     {3, 4, 3, 0}, 2},
    {"normalization", "  - conv2d: {filters: 16, kernel_size: 2}\n"
                      "  - normalization: {mean: [0.5], variance: [3]}\n", {3, 4, 2, 0}, 2},
    {"relu", "  - relu\n", {5, 3, 2, 0}, 3},
    {"relu", "  - conv2d: {filters: 16, kernel_size: 3}\n  - relu: {max_value: 6}\n",
     {6, 5, 2, 0}, 2},
    {"relu", "  - relu: {negative_slope: 0.1, max_value: 0.75, threshold: 0.25}\n", {5, 3, 2, 0}, 3},
    {"relu", TWO("16") "  - relu: {name: r, inputs: [a], max_value: 0.5}\n"
             "  - add: {inputs: [r, a, b]}\n", {5, 3, 2, 0}, 3},
    {"leaky_relu", "  - leaky_relu\n", {5, 3, 2, 0}, 3},
    {"leaky_relu", "  - dense: {units: 9}\n  - leaky_relu: {negative_slope: 0.01}\n"
                   "  - leaky_relu: {negative_slope: 0}\n", {1, 1, 5, 0}, 3},
    {"elu", "  - elu: {alpha: 0.5}\n", {5, 3, 2, 0}, 3},
    {"elu", "  - conv2d: {filters: 16, kernel_size: 3}\n  - elu: {alpha: 1.5}\n", {6, 5, 2, 0}, 2},
    {"prelu", "  - prelu\n", {3, 4, 2, 0}, 2},
    {"prelu", "  - conv2d: {filters: 32, kernel_size: 2}\n  - prelu: {shared_axes: [1, 2]}\n",
     {4, 5, 2, 0}, 3},
    {"prelu", "  - conv2d: {filters: 16, kernel_size: 2}\n  - prelu: {shared_axes: [1, 3]}\n",
     {4, 5, 2, 0}, 2},
    {"prelu", "  - prelu: {shared_axes: [1, 2, 3]}\n", {3, 4, 17, 0}, 2},
    {"prelu", "  - prelu: {shared_axes: 2}\n", {3, 4, 20, 0}, 2},
    {"prelu", "  - dense: {units: 37}\n  - prelu\n", {1, 1, 3, 0}, 3},
    {"softmax", "  - softmax\n", {3, 2, 5, 0}, 2},
    {"softmax", "  - dense: {units: 7}\n  - softmax: {axis: -1}\n", {1, 1, 5, 0}, 3},
};
/* clang-format on */
const size_t grad_layer_count = sizeof grad_layers / sizeof grad_layers[0];

/* a sum that is fused into the batch normalisation before it; its other summand is r */
#define SUM_CHAIN(inputs, after)                                                                   \
    "  - conv2d: {filters: 16, kernel_size: 3, padding: same, use_bias: false}\n"                  \
    "  - batch_normalization: {name: n}\n  - add: {name: sum, inputs: " inputs "}\n" after
#define RELU "  - activation: {activation: relu}\n"

const grad_case grad_fan_out[] = {
    {"norm + value read once before",
     "  - conv2d: {name: r, filters: 16, kernel_size: 3, padding: same}\n"
     "  - max_pooling2d: {pool_size: 1, inputs: [input]}\n" SUM_CHAIN("[n, r]", ""),
     {6, 5, 3, 0},
     2},
    {"relu(value + norm), a block of a residual network",
     "  - conv2d: {filters: 16, kernel_size: 3}\n"
     "  - activation: {name: r, activation: relu}\n"
     "  - conv2d: {filters: 16, kernel_size: 3, padding: same, use_bias: false}\n"
     "  - batch_normalization\n" RELU SUM_CHAIN("[r, n]", RELU),
     {6, 5, 3, 0},
     3},
    {"two blocks, a shortcut with its own norm",
     "  - conv2d: {name: a, filters: 8, kernel_size: 3, padding: same, activation: relu}\n"
     "  - conv2d: {filters: 16, kernel_size: 3, strides: 2, padding: same, use_bias: false}\n"
     "  - batch_normalization: {name: s}\n"
     "  - conv2d: {name: b, inputs: [a], filters: 16, kernel_size: 1, strides: 2, use_bias: "
     "false}\n"
     "  - batch_normalization: {name: t}\n  - add: {inputs: [s, t]}\n"
     "  - activation: {name: r, activation: relu}\n" SUM_CHAIN("[n, r]", RELU),
     {7, 8, 2, 0},
     2},
    {"the value has consumers before and after, the sum as well",
     "  - conv2d: {name: r, filters: 16, kernel_size: 3}\n"
     "  - activation: {name: t, activation: tanh}\n" SUM_CHAIN(
         "[n, r]", "  - multiply: {name: m, inputs: [sum, r]}\n"
                   "  - activation: {name: u, inputs: [sum], activation: relu}\n"
                   "  - add: {inputs: [m, u, t]}\n"),
     {5, 6, 2, 0},
     2},
    {"the image as value, channels that fill no block",
     "  - conv2d: {filters: 3, kernel_size: 3, padding: same, use_bias: false}\n"
     "  - batch_normalization: {name: n}\n  - add: {inputs: [n, input]}\n" RELU,
     {5, 6, 3, 0},
     3},
    {"frozen norms, one on the image: the other summand is trained",
     "  - conv2d: {name: r, filters: 17, kernel_size: 1}\n"
     "  - conv2d: {filters: 17, kernel_size: 3, padding: same}\n"
     "  - batch_normalization: {name: n, trainable: false}\n  - add: {inputs: [r, n]}\n" RELU
     "  - conv2d: {name: d, filters: 2, kernel_size: 1}\n"
     "  - batch_normalization: {name: m, inputs: [input], trainable: false}\n"
     "  - add: {inputs: [d, m]}\n" RELU,
     {5, 4, 2, 0},
     2},
    {"norm(x) + x",
     "  - conv2d: {name: x, filters: 16, kernel_size: 3, use_bias: false}\n"
     "  - batch_normalization: {name: n}\n  - add: {inputs: [n, x]}\n" RELU,
     {6, 5, 2, 0},
     2},
    {"the value comes after the norm",
     "  - conv2d: {name: x, filters: 16, kernel_size: 3, use_bias: false}\n"
     "  - batch_normalization: {name: n}\n"
     "  - conv2d: {name: r, inputs: [x], filters: 16, kernel_size: 1}\n"
     "  - add: {inputs: [n, r]}\n" RELU,
     {6, 5, 2, 0},
     2},
    {"residual",
     "  - conv2d: {name: a, filters: 16, kernel_size: 3, padding: same, activation: relu}\n"
     "  - conv2d: {name: b, filters: 16, kernel_size: 3, padding: same}\n"
     "  - add: {name: sum, inputs: [a, b]}\n"
     "  - activation: {activation: relu}\n",
     {6, 5, 3, 0},
     2},
    {"three consumers",
     "  - conv2d: {name: a, filters: 16, kernel_size: 3, activation: sigmoid}\n"
     "  - conv2d: {name: b, filters: 16, kernel_size: 1}\n"
     "  - conv2d: {name: c, inputs: [a], filters: 16, kernel_size: 3, padding: same}\n"
     "  - max_pooling2d: {name: d, inputs: [a], pool_size: 3, strides: 1, padding: same}\n"
     "  - add: {inputs: [b, c, d]}\n",
     {6, 7, 3, 0},
     3},
    {"x + x",
     "  - conv2d: {name: a, filters: 3, kernel_size: 2}\n  - add: {inputs: [a, a]}\n",
     {4, 5, 2, 0},
     2},
    {"x * x",
     "  - conv2d: {name: a, filters: 16, kernel_size: 2}\n  - multiply: {inputs: [a, a]}\n",
     {4, 5, 2, 0},
     2},
    {"channel scale with two consumers",
     "  - conv2d: {name: a, filters: 16, kernel_size: 3}\n"
     "  - global_average_pooling2d: {name: g, keepdims: true}\n"
     "  - dense: {name: s, units: 16, activation: sigmoid}\n"
     "  - multiply: {name: m, inputs: [a, s]}\n"
     "  - multiply: {name: k, inputs: [m, s]}\n"
     "  - add: {inputs: [k, a]}\n",
     {5, 6, 2, 0},
     2},
    {"dropout and another consumer",
     "  - conv2d: {name: a, filters: 16, kernel_size: 3, activation: relu}\n"
     "  - dropout: {name: d, rate: 0.5}\n"
     "  - rescaling: {name: r, scale: 2}\n"
     "  - activation: {name: t, inputs: [a], activation: swish}\n"
     "  - batch_normalization: {name: n, inputs: [a]}\n"
     "  - add: {inputs: [r, t, n]}\n",
     {5, 6, 2, 0},
     2},
    {"frozen below and between",
     "  - conv2d: {name: a, filters: 8, kernel_size: 3, trainable: false, activation: relu}\n"
     "  - batch_normalization: {name: n, trainable: false}\n"
     "  - conv2d: {name: b, filters: 8, kernel_size: 3, padding: same, activation: tanh}\n"
     "  - add: {inputs: [n, b]}\n",
     {6, 5, 2, 0},
     2},
};
const size_t grad_fan_out_count = sizeof grad_fan_out / sizeof grad_fan_out[0];

const grad_case grad_networks[] = {
    {"classic",
     "layers:\n"
     "  - conv2d: {filters: 4, kernel_size: 3, activation: relu}\n"
     "  - conv2d: {filters: 16, kernel_size: 3, activation: relu}\n"
     "  - max_pooling2d: {pool_size: 2}\n"
     "  - dropout: {rate: 0.25}\n"
     "  - conv2d: {filters: 16, kernel_size: 3, padding: same, activation: relu}\n"
     "  - max_pooling2d: {pool_size: 2}\n"
     "  - flatten\n"
     "  - dense: {units: 12, activation: relu}\n"
     "  - dropout: {rate: 0.5}\n"
     "  - dense: {units: 5, activation: softmax}\n",
     {13, 14, 1, 5},
     3},
    {"SE-ResNet",
     "layers:\n"
     "  - conv2d: {filters: 8, kernel_size: 3, padding: same, use_bias: false}\n"
     "  - batch_normalization\n"
     "  - activation: {name: stem, activation: relu}\n"
     "  - conv2d: {filters: 16, kernel_size: 3, strides: 2, padding: same, use_bias: false}\n"
     "  - batch_normalization\n"
     "  - activation: {activation: relu}\n"
     "  - conv2d: {filters: 16, kernel_size: 3, padding: same, use_bias: false}\n"
     "  - batch_normalization: {name: body}\n"
     "  - global_average_pooling2d: {keepdims: true}\n"
     "  - dense: {units: 4, activation: relu}\n"
     "  - dense: {name: gate, units: 16, activation: sigmoid}\n"
     "  - multiply: {name: scaled, inputs: [body, gate]}\n"
     "  - conv2d: {inputs: [stem], filters: 16, kernel_size: 1, strides: 2, use_bias: false}\n"
     "  - batch_normalization: {name: short}\n"
     "  - add: {inputs: [scaled, short]}\n"
     "  - activation: {activation: relu}\n"
     "  - global_average_pooling2d\n"
     "  - dense: {units: 5, activation: softmax}\n",
     {9, 8, 3, 5},
     4},
    {"activations",
     "layers:\n"
     "  - conv2d: {filters: 6, kernel_size: 3, strides: 2, padding: same, activation: swish}\n"
     "  - conv2d: {filters: 6, kernel_size: 3, activation: selu}\n"
     "  - average_pooling2d: {pool_size: 2, padding: same}\n"
     "  - conv2d: {filters: 6, kernel_size: 1, activation: gelu}\n"
     "  - global_max_pooling2d\n"
     "  - dense: {units: 9, activation: elu}\n"
     "  - dense: {units: 5, activation: softmax}\n",
     {11, 12, 2, 5},
     3},
};
const size_t grad_network_count = sizeof grad_networks / sizeof grad_networks[0];
