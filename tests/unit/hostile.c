#include "tests/unit/hostile.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

const hostile_edit hostile_json[] = {
    {NULL, ""},
    {NULL, "{"},
    {NULL, "{}"},
    {NULL, "[]"},
    {NULL, "null"},
    {NULL, "42"},
    {NULL, "\"\""},
    {NULL, "\"\\\"\\\\\\\"{}\\\\\\\"\\\"\""},
    {NULL, "{\"class_name\": \"Sequential\"}"},
    {NULL, "{\"class_name\": \"Sequential\", \"config\": []}"},
    {NULL, "{\"class_name\": \"Sequential\", \"config\": {\"layers\": {}}}"},
    {NULL, "{\"class_name\": \"Sequential\", \"config\": {\"layers\": [null]}}"},
    {NULL, "{\"class_name\": \"Functional\", \"config\": {\"layers\": []}}"},
    {NULL, "{\"class_name\": [\"Sequential\"], \"config\": {}}"},
    {NULL, "{\"class_name\": \"Sequential\", \"class_name\": \"Model\"}"},
    {NULL, "layers: [&a [*a, *a]]\n"},
    {NULL, "input: [48, 48, 1]\nlayers: []\n"},
    {NULL, "input: [1000000000, 1000000000, 3]\nlayers:\n  - flatten\n"},
    {NULL, "\xff\xfe{\"class_name\""},
    {"Sequential", "Sequentia\\u0000l"},
    {"\"Sequential\"", "\"../../etc/passwd\""},
    {"\"InputLayer\"", "\"Lambda\""},
    {"\"InputLayer\"", "\"LSTM\""},
    {"\"InputLayer\"", "null"},
    {"[null, 12, 12, 1]", "[null, -12, 12, 1]"},
    {"[null, 12, 12, 1]", "[null, 0, 12, 1]"},
    {"[null, 12, 12, 1]", "[null, 1e300, 12, 1]"},
    {"[null, 12, 12, 1]", "[null, 2000000000, 2000000000, 2000000000]"},
    {"[null, 12, 12, 1]", "[null, 12, 12, 1, 1, 1, 1, 1, 1]"},
    {"[null, 12, 12, 1]", "[]"},
    {"[null, 12, 12, 1]", "\"12\""},
    {"[null, 12, 12, 1]", "[null, 12, 12, 2]"},
    {"\"filters\": 4", "\"filters\": -4"},
    {"\"filters\": 4", "\"filters\": 0"},
    {"\"filters\": 4", "\"filters\": 4.5"},
    {"\"filters\": 4", "\"filters\": 4398046511104"},
    {"\"filters\": 4", "\"filters\": 4, \"filters\": 5"},
    {"\"filters\": 4", "\"filters\": NaN"},
    {"\"kernel_size\": [3, 3]", "\"kernel_size\": [-3, 3]"},
    {"\"kernel_size\": [3, 3]", "\"kernel_size\": [2147483647, 2147483647]"},
    {"\"kernel_size\": [3, 3]", "\"kernel_size\": [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]"},
    {"\"strides\": [1, 1]", "\"strides\": [0, 1]"},
    {"\"strides\": [1, 1]", "\"strides\": [-1, -1]"},
    {"\"padding\": \"same\"", "\"padding\": \"%s%n%s%n\""},
    {"\"padding\": \"same\"", "\"padding\": {\"padding\": \"same\"}"},
    {"\"groups\": 1", "\"groups\": 0"},
    {"\"groups\": 1", "\"groups\": 3"},
    {"\"dilation_rate\": [1, 1]", "\"dilation_rate\": [4000, 4000]"},
    {"\"activation\": \"relu\"", "\"activation\": \"__import__('os').system\""},
    {"\"activation\": \"relu\"", "\"activation\": {\"class_name\": \"function\", \"config\": [0]}"},
    {"\"data_format\": \"channels_last\"", "\"data_format\": \"channels_middle\""},
    {"\"axis\": [3]", "\"axis\": [99]"},
    {"\"axis\": [3]", "\"axis\": [-99]"},
    {"\"epsilon\": 0.001", "\"epsilon\": -1"},
    {"\"pool_size\": [2, 2]", "\"pool_size\": [0, 0]"},
    {"\"pool_size\": [2, 2]", "\"pool_size\": [4000, 4000]"},
    {"\"rate\": 0.3", "\"rate\": 1e9"},
    {"\"trainable\": true", "\"trainable\": true, \"more\": 1"},
};
const size_t hostile_json_count = COUNT(hostile_json);

const hostile_edit hostile_h5[] = {
    {"attr:/@model_config", "attr:/@model_confug"},
    {"~class_name~: ~Sequential~", "~class_name~: ~Sequential"},
    {"~class_name~: ~Sequential~", "~class_name~: ~Mystery~"},
    {"~class_name~: ~Sequential~", "~class_name~: 7"},
    {"~class_name~: ~Conv2D~", "~class_name~: ~Conv3D~"},
    {"~filters~: 4", "~filters~: 4000000000"},
    {"~filters~: 4", "~filters~: 5"},
    {"~use_bias~: true", "~use_bias~: false"},
    {"~kernel_size~: [3, 3]", "~kernel_size~: [5, 5]"},
    {"attr:/model_weights@layer_names", "attr:/model_weights@layer_nomes"},
    {"@weight_names\":\"[`", "@weight_names\":\"[`nothing`,`"},
    {"@weight_names\":\"[`", "@weight_names\":\"[`../../x"},
    {"@weight_names\":\"[`", "@weight_names\":\"[`%n%n%n"},
    {"\"dtype\":\"F32\",\"shape\":[3,3,1,4]", "\"dtype\":\"F32\",\"shape\":[3,3,4,1]"},
    {"\"dtype\":\"F32\",\"shape\":[3,3,1,4]", "\"dtype\":\"F32\",\"shape\":[36]"},
    {"\"dtype\":\"F32\",\"shape\":[3,3,1,4]", "\"dtype\":\"F32\",\"shape\":[3,3,1,2,2]"},
    {"\"dtype\":\"F32\",\"shape\":[3,3,1,4]", "\"dtype\":\"F64\",\"shape\":[3,3,1,2]"},
    {"\"dtype\":\"F32\",\"shape\":[3,3,1,4]", "\"dtype\":\"I64\",\"shape\":[3,3,2,1]"},
    {"/kernel:0\":{", "/karnel:0\":{"},
    {"/bias:0\":{", "/bias:1\":{"},
    {"/gamma:0\":{", "/gummi:0\":{"},
};
const size_t hostile_h5_count = COUNT(hostile_h5);

const hostile_patch hostile_h5_bytes[] = {
    {0, 0, 0},
    {1, 0, 0},
    {7, 0, 0},
    {8, 0, 0},
    {60, 0, 0},
    {96, 0, 0},
    {500, 0, 0},
    {2000, 0, 0},
    {-4000, 0, 0},
    {-1, 0, 0},
    {0, 1, 0},   /* the signature */
    {8, 1, 99},  /* the version of the superblock */
    {9, 1, 99},  /* of the free space */
    {10, 1, 99}, /* of the root's entry */
    {12, 1, 99}, /* of shared headers */
    {13, 1, 1},  /* bytes of an offset */
    {13, 1, 255},
    {14, 1, 3},              /* bytes of a length */
    {16, 2, 0},              /* leaves of a group */
    {18, 2, 0xffff},         /* its inner nodes */
    {24, 8, 0xfffffffff0},   /* where the file begins */
    {40, 8, 0x100000000000}, /* where it ends */
    {40, 8, 16},
    {64, 8, 0}, /* where the root's header is */
    {64, 8, 64},
    {64, 8, 0xfffffffffffffff0},
};
const size_t hostile_h5_bytes_count = COUNT(hostile_h5_bytes);

const hostile_zip_patch hostile_zip[] = {
    {HOSTILE_LOCAL, {0, 4, 0}},            /* no local header */
    {HOSTILE_LOCAL, {26, 2, 0xffff}},      /* the length of the name */
    {HOSTILE_LOCAL, {28, 2, 0xffff}},      /* of extra fields */
    {HOSTILE_LOCAL, {100, 4, 0x12345678}}, /* content that the checksum does not fit */
    {HOSTILE_CENTRAL, {0, 4, 0}},
    {HOSTILE_CENTRAL, {8, 2, 1}},           /* encrypted */
    {HOSTILE_CENTRAL, {10, 2, 8}},          /* deflate */
    {HOSTILE_CENTRAL, {10, 2, 99}},         /* another compression */
    {HOSTILE_CENTRAL, {16, 4, 1}},          /* the checksum */
    {HOSTILE_CENTRAL, {20, 4, 0xffffffff}}, /* the size as stored */
    {HOSTILE_CENTRAL, {20, 4, 7}},
    {HOSTILE_CENTRAL, {24, 4, 0xfffffff0}}, /* as unpacked */
    {HOSTILE_CENTRAL, {24, 4, 7}},
    {HOSTILE_CENTRAL, {28, 2, 0xffff}}, /* the length of the name */
    {HOSTILE_CENTRAL, {28, 2, 0}},
    {HOSTILE_CENTRAL, {42, 4, 0xfffffff0}}, /* where the local header is */
    {HOSTILE_CENTRAL, {42, 4, 1}},
    {HOSTILE_CENTRAL, {46, 4, 0x2f2e2e2f}}, /* another name */
    {HOSTILE_END, {0, 4, 0}},
    {HOSTILE_END, {10, 2, 0}}, /* the number of entries */
    {HOSTILE_END, {10, 2, 1}},
    {HOSTILE_END, {16, 4, 0xfffffff0}}, /* where the table is */
    {HOSTILE_END, {16, 4, 3}},
    {HOSTILE_END, {0, 0, 0}}, /* cut before it, and in it */
    {HOSTILE_END, {12, 0, 0}},
};
const size_t hostile_zip_count = COUNT(hostile_zip);

#define CONFIG  "config.json"
#define WEIGHTS "model.weights.h5"
const hostile_archive hostile_archives[] = {
    {"absent", NULL, WEIGHTS, NULL},
    {CONFIG, NULL, "absent", NULL},
    {"../" CONFIG, NULL, WEIGHTS, NULL},
    {CONFIG, NULL, "/" WEIGHTS, NULL},
    {CONFIG, "", WEIGHTS, NULL},
    {CONFIG, "[[[[[[[[[[", WEIGHTS, NULL},
    {CONFIG, "{\"class_name\": \"Functional\", \"config\": {}}", WEIGHTS, NULL},
    {CONFIG, NULL, WEIGHTS, ""},
    {CONFIG, NULL, WEIGHTS, "PK\3\4"},
    {CONFIG, NULL, WEIGHTS, "\x89HDF\r\n\x1a\n"},
    {WEIGHTS, NULL, CONFIG, NULL},
    {WEIGHTS, NULL, WEIGHTS, NULL},
};
const size_t hostile_archives_count = COUNT(hostile_archives);

#define IN   "i x 1,1,8,8;o y;"
#define FLAT IN "n Flatten x f;"
const char *const hostile_onnx[] = {
    "",
    "v 8 13",
    "o y;v 8 13",
    IN "v 8 13",
    IN "n Relu x y;v 0 0",
    IN "n Relu x y;v 99999 13",
    IN "n Relu x y;v 8 99999",
    IN "n Relu y y;v 8 13",
    IN "n Relu a b;n Relu b a;n Add x,b y;v 8 13",
    IN "n Relu x a;n Relu x a;n Relu a y;v 8 13",
    IN "n Relu nowhere y;v 8 13",
    IN "n Relu x z;v 8 13",
    IN "n ../../bin/sh x y;v 8 13",
    IN "n %n%n%n%s x y;v 8 13",
    IN "n Loop x y;v 8 13",
    IN "n If x y;v 8 13",
    IN "n LSTM x,x,x y;v 8 13",
    "i x 1,1,?,?;o y;n Relu x y;v 8 13",
    "i x 1,1,-8,8;o y;n Relu x y;v 8 13",
    "i x 1,1,0,8;o y;n Relu x y;v 8 13",
    "i x 1,2000000000,2000000000,2000000000;o y;n Relu x y;v 8 13",
    "i x 1;o y;n Relu x y;v 8 13",
    "i x 1,1,1,1,1,1,1,1,1,1,1;o y;n Relu x y;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y kernel_shape=5,5;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y strides=0,0;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y strides=-1,1;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y pads=-1,-1,-1,-1;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y pads=9223372036854775807,0,0,0;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y dilations=1000000,1000000;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y group=0;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y group=-1;v 8 13",
    IN "w k 4,1,3,3;n Conv x,k y group=3;v 8 13",
    IN "w k 4,2,3,3;n Conv x,k y;v 8 13",
    IN "w k 4,1,3;n Conv x,k y;v 8 13",
    IN "w k 4,1,30,30 3600;n Conv x,k y;v 8 13",
    IN "w k 4,1,3,3;w b 5;n Conv x,k,b y;v 8 13",
    IN "w k 4,1,3,3 7;n Conv x,k y;v 8 13",
    IN "w k 4,1,3,3 0;n Conv x,k y;v 8 13",
    IN "w k 2097152,2097152,3,3 4;n Conv x,k y;v 8 13",
    IN "w k -4,1,3,3 4;n Conv x,k y;v 8 13",
    IN "w k 9223372036854775807,2,1,1 4;n Conv x,k y;v 8 13",
    IN "n MaxPool x y kernel_shape=0,0;v 8 13",
    IN "n MaxPool x y kernel_shape=2;v 8 13",
    IN "n MaxPool x y kernel_shape=900,900;v 8 13",
    IN "n MaxPool x y;v 8 13",
    IN "w s 2;n BatchNormalization x,s,s,s,s y;v 8 13",
    IN "w s 1;n BatchNormalization x,s,s y;v 8 13",
    FLAT "w k 63,3;n MatMul f,k y;v 8 13",
    FLAT "w k 64,3;w b 2;n Gemm f,k,b y;v 8 13",
    FLAT "w k 64,3;n Gemm f,k y transA=1;v 8 13",
    IN "w k 1,1,9,9;n Add x,k y;v 8 13",
    IN "n Concat x,x y axis=77;v 8 13",
    IN "n Concat x,x y;v 8 13",
    IN "n Transpose x y perm=0,0,0,0;v 8 13",
    IN "n Transpose x y perm=0,1,2,99;v 8 13",
    IN "n Squeeze x y axes=2;v 8 11",
    IN "n Softmax x y axis=99;v 8 13",
    IN "e k 4,1,3,3 /etc/passwd 0 144;n Conv x,k y;v 8 13",
    IN "e k 4,1,3,3 ../secret.data 0 144;n Conv x,k y;v 8 13",
    IN "e k 4,1,3,3 a/../secret.data 0 144;n Conv x,k y;v 8 13",
    IN "e k 4,1,3,3 secret.data -1 144;n Conv x,k y;v 8 13",
    IN "e k 4,1,3,3 secret.data 0 999999999999;n Conv x,k y;v 8 13",
    IN "e k 4,1,3,3 secret.data 18446744073709551615 144;n Conv x,k y;v 8 13",
    IN "e k 4,1,3,3 m.onnx 0 999999;n Conv x,k y;v 8 13",
    IN "e k 4,1,3,3 . 0 144;n Conv x,k y;v 8 13",
    IN "w k 4,1,3,3;w left 4,1,3,3;n Conv x,k y;v 8 13",
    IN "w k 4,1,3,3;w k 4,1,3,3;n Conv x,k y;v 8 13",
};
const size_t hostile_onnx_count = COUNT(hostile_onnx);
