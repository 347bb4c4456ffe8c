/* Convolutions on the device against the plain loops: all passes, every precision, channel counts
 * that tensor cores do not support, asymmetric padding, batches of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/counted.h"
#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/reference.h"
#include "tests/support/test.h"

typedef struct conv_row {
    int n, h, w, in, out, kernel_h, kernel_w, stride;
    bool same, bias;
    int activation;
    int dilation, groups;
    bool transposed; /* strides make the image larger */
} conv_row;

static const conv_row rows[] = {
    {2, 7, 7, 8, 16, 3, 3, 1, true, true, BODY_RELU, 1, 1, false},
    {1, 9, 6, 3, 17, 3, 3, 1, true, true, BODY_RELU, 1, 1, false},
    {3, 8, 8, 5, 3, 3, 3, 2, true, true, BODY_RELU, 1, 1, false}, /* pads bottom and right only */
    {2, 7, 9, 17, 5, 3, 3, 2, true, false, BODY_LINEAR, 1, 1, false},
    {2, 6, 6, 8, 8, 2, 2, 1, true, true, BODY_RELU, 1, 1, false}, /* an even kernel */
    {2, 9, 9, 1, 8, 5, 5, 1, true, true, BODY_RELU, 1, 1, false},
    {2, 9, 8, 1, 1, 3, 5, 1, false, true, BODY_TANH, 1, 1, false},
    {1, 1, 1, 8, 7, 1, 1, 1, true, true, BODY_LINEAR, 1, 1, false}, /* a 1x1 image */
    {5, 1, 1, 3, 17, 3, 3, 1, true, true, BODY_RELU, 1, 1, false},
    {2, 10, 7, 16, 24, 1, 1, 2, false, false, BODY_RELU, 1, 1, false}, /* does not read all rows */
    {3, 8, 11, 8, 3, 4, 3, 3, true, true, BODY_LEAKY_RELU, 1, 1, false},
    {2, 11, 5, 24, 8, 3, 1, 1, false, true, BODY_ELU, 1, 1, false},
    {2, 5, 5, 8, 8, 3, 3, 1, true, false, BODY_SIGMOID, 1, 1, false},
};

/* Dilated, grouped and transposed convolutions. */
static const conv_row others[] = {
    {1, 7, 6, 8, 8, 3, 3, 1, true, true, BODY_RELU, 2, 1, false},
    {2, 9, 7, 5, 3, 3, 2, 1, true, true, BODY_LINEAR, 3, 1,
     false}, /* more padding after than before */
    {1, 8, 7, 3, 5, 3, 3, 1, false, true, BODY_TANH, 2, 1, false},
    {2, 7, 6, 8, 8, 3, 3, 1, true, true, BODY_RELU, 1, 8, false}, /* depthwise */
    {2, 5, 6, 17, 17, 3, 3, 2, true, true, BODY_RELU, 1, 17, false},
    {2, 6, 5, 5, 15, 3, 2, 1, true, false, BODY_LINEAR, 1, 5, false},
    {1, 5, 4, 40, 40, 3, 3, 1, true, true, BODY_LEAKY_RELU, 2, 40, false},
    {2, 5, 6, 6, 9, 3, 3, 2, true, true, BODY_RELU, 1, 3, false},
    {1, 19, 15, 4, 2, 1, 1, 1, false, true, BODY_ELU, 1, 2, false}, /* split sums */
    {2, 3, 4, 8, 16, 3, 3, 2, true, true, BODY_RELU, 1, 1, true},
    {3, 3, 5, 5, 3, 4, 4, 2, true, false, BODY_RELU, 1, 1, true},
    {2, 4, 3, 17, 5, 2, 3, 3, true, true, BODY_TANH, 1, 1, true},
    {2, 4, 3, 8, 8, 3, 3, 1, false, true, BODY_RELU, 2, 1, true},
    {5, 1, 1, 3, 7, 3, 3, 1, false, true, BODY_RELU, 1, 1, true},
};
enum { ROWS = sizeof rows / sizeof rows[0], OTHERS = sizeof others / sizeof others[0] };

enum { Y, Y_WIDE, DX, DX_TWICE, DX_MASKED, DX_MASKED_TWICE, DW, DB, DW_TWICE, DB_TWICE, RESULTS };
static const char *const names[RESULTS] = {"y",         "y in f32",        "dx", "dx twice",
                                           "dx masked", "dx masked twice", "dw", "db",
                                           "dw twice",  "db twice"};

/* Inputs of both backends, exact in the device's type. */
typedef struct operands {
    float *x, *w, *b, *dy, *relu_mask;
} operands;

typedef struct results {
    float *value[RESULTS];
    size_t count[RESULTS];
} results;

static int out_of(int in, int kernel, int stride, bool same) {
    return same ? (in + stride - 1) / stride : (in - kernel) / stride + 1;
}

static int padding(int in, int out, int kernel, int stride, bool same) {
    const int all = (out - 1) * stride + kernel - in;
    return same && all > 0 ? all : 0;
}

/* A transposed row is the data gradient of a convolution whose output has the row's size. */
static mien_linear_desc describe(const conv_row *r) {
    const int kh = (r->kernel_h - 1) * r->dilation + 1, kw = (r->kernel_w - 1) * r->dilation + 1;
    const int more_h = r->same ? 0 : kh - r->stride, more_w = r->same ? 0 : kw - r->stride;
    const int h = r->transposed ? r->h * r->stride + more_h : r->h;
    const int w = r->transposed ? r->w * r->stride + more_w : r->w;
    const int oh = out_of(h, kh, r->stride, r->same), ow = out_of(w, kw, r->stride, r->same);
    const int ph = padding(h, oh, kh, r->stride, r->same);
    const int pw = padding(w, ow, kw, r->stride, r->same);
    return (mien_linear_desc){.name = "conv",
                              .in = {1, r->h, r->w, r->in},
                              .out = {1, r->transposed ? h : oh, r->transposed ? w : ow, r->out},
                              .kernel_h = r->kernel_h,
                              .kernel_w = r->kernel_w,
                              .stride_h = r->stride,
                              .stride_w = r->stride,
                              .pad_top = ph / 2,
                              .pad_left = pw / 2,
                              .pad_bottom = ph - ph / 2,
                              .pad_right = pw - pw / 2,
                              .dilation_h = r->dilation,
                              .dilation_w = r->dilation,
                              .groups = r->groups,
                              .transposed = r->transposed,
                              .bias = r->bias,
                              .activation = r->activation,
                              .alpha = 0.2F,
                              .training = true,
                              .needs_dx = true,
                              .masks_dx = true,
                              .accumulates_dx = true,
                              .accumulates_dw = true};
}

static mien_shape batch(mien_shape s, int n) {
    s.n = n;
    return s;
}

static float *whole(size_t count, uint32_t seed) {
    float *out = malloc(count * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(whole_below(seed, i, 7) - 3);
    return out;
}

static float *operand(size_t count, uint32_t seed, bool integers, mien_dtype dtype) {
    return integers ? whole(count, seed) : device_numbers(count, 1, seed, dtype);
}

static operands draw(const conv_row *r, bool integers, mien_dtype dtype) {
    const mien_linear_desc d = describe(r);
    const size_t x = mien_shape_count(batch(d.in, r->n)), y = mien_shape_count(batch(d.out, r->n));
    return (operands){operand(x, 1, integers, dtype),
                      operand(mien_linear_weights(&d), 2, integers, dtype),
                      operand((size_t)d.out.c, 3, integers, dtype), operand(y, 4, integers, dtype),
                      operand(x, 5, integers, dtype)};
}

static void release_operands(operands *o) {
    free(o->x);
    free(o->w);
    free(o->b);
    free(o->dy);
    free(o->relu_mask);
}

static void release_results(results *r) {
    for (int i = 0; i < RESULTS; i++)
        free(r->value[i]);
}

static void take(mien_backend *b, const mien_tensor *t, results *r, int which) {
    r->count[which] = mien_shape_count(t->shape);
    r->value[which] = device_take(b, t);
}

/* The weights in the format and type that the passes read. */
static void *weights(mien_backend *b, mien_linear *op, const mien_linear_desc *d,
                     const float *hwio) {
    void *params = device_copy(b, NULL, b->ops->linear_weight_bytes(op));
    expect_ok(b->ops->weights_upload(op, params, hwio));
    if (b->dtype == b->param_dtype) return params;
    void *half = device_copy(b, NULL, mien_linear_weights(d) * mien_dtype_bytes(b->dtype));
    expect_ok(b->ops->cast(b, half, params, mien_linear_weights(d)));
    b->ops->free(b, params);
    return half;
}

static void forward(mien_backend *b, mien_linear *op, const mien_linear_desc *d,
                    const mien_tensor *x, const void *w, const void *bias, void *scratch,
                    results *r) {
    mien_tensor y = device_tensor(b, batch(d->out, x->shape.n), NULL);
    expect_ok(b->ops->linear_forward(op, &y, x, w, bias, scratch));
    take(b, &y, r, Y);
    device_release(b, &y);
    mien_tensor wide = {batch(d->out, x->shape.n), b->param_dtype, d->out.c, NULL};
    wide.data = device_copy(b, NULL, mien_shape_count(wide.shape) * mien_dtype_bytes(wide.dtype));
    expect_ok(b->ops->linear_forward(op, &wide, x, w, bias, scratch));
    take(b, &wide, r, Y_WIDE);
    device_release(b, &wide);
}

static void backward_data(mien_backend *b, mien_linear *op, const mien_linear_desc *d,
                          const mien_tensor *dy, const mien_tensor *relu_mask, const void *w,
                          void *scratch, results *r) {
    mien_tensor dx = device_tensor(b, batch(d->in, dy->shape.n), NULL);
    expect_ok(b->ops->linear_backward_data(op, &dx, dy, w, NULL, scratch, false));
    take(b, &dx, r, DX);
    expect_ok(b->ops->linear_backward_data(op, &dx, dy, w, NULL, scratch, true));
    take(b, &dx, r, DX_TWICE);
    expect_ok(b->ops->linear_backward_data(op, &dx, dy, w, relu_mask, scratch, true));
    take(b, &dx, r, DX_MASKED_TWICE);
    expect_ok(b->ops->linear_backward_data(op, &dx, dy, w, relu_mask, scratch, false));
    take(b, &dx, r, DX_MASKED);
    device_release(b, &dx);
}

static void backward_filter(mien_backend *b, mien_linear *op, const mien_linear_desc *d,
                            const mien_tensor *dy, const mien_tensor *x, void *scratch,
                            results *r) {
    mien_tensor dw = device_params(b, mien_linear_weights(d), NULL);
    mien_tensor db = device_params(b, (size_t)d->out.c, NULL);
    for (int twice = 0; twice < 2; twice++) {
        const int which = twice ? DW_TWICE : DW;
        expect_ok(b->ops->linear_backward_filter(op, dw.data, d->bias ? db.data : NULL, dy, x,
                                                 scratch, twice));
        r->count[which] = mien_linear_weights(d);
        r->value[which] = malloc(mien_linear_weights(d) * sizeof(float));
        assert_non_null(r->value[which]);
        expect_ok(b->ops->weights_download(op, r->value[which], dw.data));
        take(b, &db, r, twice ? DB_TWICE : DB);
    }
    device_release(b, &dw);
    device_release(b, &db);
}

static mien_linear *create(mien_backend *b, const mien_linear_desc *d, int n) {
    mien_linear *op;
    expect_ok(b->ops->linear_create(b, d, &op));
    expect_ok(b->ops->linear_prepare(op, n + 1)); /* a larger full batch; n is the last batch */
    expect_ok(b->ops->linear_prepare(op, n));
    return op;
}

static void compute(mien_backend *b, const conv_row *row, const operands *o, results *r) {
    const mien_linear_desc d = describe(row);
    mien_linear *op = create(b, &d, row->n);
    mien_tensor x = device_tensor(b, batch(d.in, row->n), o->x);
    mien_tensor relu_mask = device_tensor(b, batch(d.in, row->n), o->relu_mask);
    mien_tensor dy = device_tensor(b, batch(d.out, row->n), o->dy);
    mien_tensor bias = device_tensor(b, (mien_shape){1, 1, 1, d.out.c}, o->b);
    void *w = weights(b, op, &d, o->w);
    void *scratch = device_copy(b, NULL, b->ops->linear_scratch_bytes(op) + 1);
    *r = (results){0};
    forward(b, op, &d, &x, w, d.bias ? bias.data : NULL, scratch, r);
    backward_data(b, op, &d, &dy, &relu_mask, w, scratch, r);
    backward_filter(b, op, &d, &dy, &x, scratch, r);
    device_release(b, &x);
    device_release(b, &relu_mask);
    device_release(b, &dy);
    device_release(b, &bias);
    b->ops->free(b, w);
    b->ops->free(b, scratch);
    b->ops->linear_free(op);
}

/* The sign of a masked zero does not matter. */
static void clear_zero_signs(float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (values[i] == 0) values[i] = 0;
}

/* Compares every result of every row; `most` 0: bit for bit. */
static void compare_rows(const conv_row *list, int count, mien_backend *cuda, bool integers,
                         double most) {
    mien_backend *plain;
    expect_ok(reference_open(false, &plain));
    for (int i = 0; i < count; i++) {
        operands o = draw(&list[i], integers, cuda->dtype);
        results got, want;
        compute(plain, &list[i], &o, &want);
        compute(cuda, &list[i], &o, &got);
        const bool exact = most == 0 && list[i].activation <= BODY_RELU;
        for (int k = 0; k < RESULTS; k++) {
            char what[64];
            snprintf(what, sizeof what, "row %d, %s", i, names[k]);
            assert_int_equal(got.count[k], want.count[k]);
            clear_zero_signs(got.value[k], got.count[k]);
            clear_zero_signs(want.value[k], want.count[k]);
            if (exact || (most == 0 && k != Y && k != Y_WIDE))
                device_same(got.value[k], want.value[k], got.count[k], what);
            else
                device_near(got.value[k], want.value[k], got.count[k], most > 0 ? most : 1e-6,
                            what);
        }
        release_operands(&o);
        release_results(&got);
        release_results(&want);
    }
    mien_backend_close(plain);
    mien_backend_close(cuda);
}

static void compare(mien_backend *cuda, bool integers, double most) {
    compare_rows(rows, ROWS, cuda, integers, most);
}

static void test_f32(void **state) {
    (void)state;
    compare(device_open(MIEN_COMPUTE_F32, true), false, 1e-5);
}

static void test_whole_numbers(void **state) {
    (void)state;
    compare(device_open(MIEN_COMPUTE_F32, true), true, 0);
}

static void test_tf32(void **state) {
    (void)state;
    compare(device_open(MIEN_COMPUTE_TF32, true), false, 1e-3);
}

static void test_bf16(void **state) {
    (void)state;
    compare(device_open(MIEN_COMPUTE_BF16, true), false, 1.6e-2);
}

static void test_f16(void **state) {
    (void)state;
    compare(device_open(MIEN_COMPUTE_F16, true), false, 1e-3);
}

static void test_others(void **state) {
    (void)state;
    compare_rows(others, OTHERS, device_open(MIEN_COMPUTE_F32, true), true, 0);
    compare_rows(others, OTHERS, device_open(MIEN_COMPUTE_BF16, true), false, 1.6e-2);
}

/* With engines chosen by timing. */
static void test_timed_engines(void **state) {
    (void)state;
    compare(device_open(MIEN_COMPUTE_F32, false), true, 0);
    compare(device_open(MIEN_COMPUTE_BF16, false), false, 1.6e-2);
}

/* The same results where cuDNN fuses nothing and own kernels run after the convolution. */
static void test_without_fusion(void **state) {
    (void)state;
    setenv("FAKE_CUDNN_FUSION", "0", 1);
    compare(device_open(MIEN_COMPUTE_F32, true), true, 0);
    compare(device_open(MIEN_COMPUTE_BF16, true), false, 1.6e-2);
    compare(device_open(MIEN_COMPUTE_F16, true), false, 1e-3);
    unsetenv("FAKE_CUDNN_FUSION");
}

/* A batch of one that is a row of a larger batch: rows have 5 floats, so the second is aligned to 4
 * bytes only. */
static void test_one_row_of_many(void **state) {
    (void)state;
    static const conv_row row = {1, 1, 1, 5, 3, 1, 1, 1, true, true, BODY_RELU, 1, 1, false};
    mien_backend *b = device_open(MIEN_COMPUTE_F32, true);
    const mien_linear_desc d = describe(&row);
    mien_linear *op = create(b, &d, 1);
    float x[2 * 5], hwio[5 * 3], bias[3] = {0};
    for (int i = 0; i < 10; i++)
        x[i] = (float)i;
    for (int i = 0; i < 15; i++)
        hwio[i] = i % 3 == 0;
    void *w = weights(b, op, &d, hwio),
         *scratch = device_copy(b, NULL, b->ops->linear_scratch_bytes(op));
    void *add = device_copy(b, bias, sizeof bias);
    mien_tensor from = device_tensor(b, batch(d.in, 2), x),
                to = device_tensor(b, batch(d.out, 2), NULL);
    mien_tensor x1 = from, y1 = to;
    x1.shape.n = y1.shape.n = 1;
    x1.data = (float *)from.data + 5;
    y1.data = (float *)to.data + 3;
    expect_ok(b->ops->linear_forward(op, &y1, &x1, w, add, scratch));
    float *y = device_take(b, &to);
    const float want[] = {0, 0, 0, 5 + 6 + 7 + 8 + 9, 0, 0};
    device_same(y, want, 6, "y");
    free(y);
    device_release(b, &from);
    device_release(b, &to);
    b->ops->free(b, add);
    b->ops->free(b, scratch);
    b->ops->free(b, w);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

static void test_weights_round_trip(void **state) {
    (void)state;
    mien_backend *b = device_open(MIEN_COMPUTE_F32, true);
    const mien_linear_desc d = describe(&rows[1]);
    const size_t count = mien_linear_weights(&d);
    mien_linear *op;
    expect_ok(b->ops->linear_create(b, &d, &op));
    assert_int_equal(b->ops->linear_weight_bytes(op), count * sizeof(float));
    float *w = device_numbers(count, 1, 9, MIEN_F32), *back = calloc(count, sizeof *back);
    assert_non_null(back);
    void *params = device_copy(b, NULL, count * sizeof *w);
    expect_ok(b->ops->weights_upload(op, params, w));
    expect_ok(b->ops->weights_download(op, back, params));
    device_same(back, w, count, "weights");
    free(w);
    free(back);
    b->ops->free(b, params);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* A captured pass reads the current contents of its tensors at every replay. */
static void test_captured(void **state) {
    (void)state;
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, true);
    const mien_linear_desc d = describe(&rows[2]);
    const int n = rows[2].n;
    operands o = draw(&rows[2], false, b->dtype);
    mien_linear *op = create(b, &d, n);
    mien_tensor x = device_tensor(b, batch(d.in, n), NULL);
    mien_tensor y = device_tensor(b, batch(d.out, n), NULL);
    mien_tensor bias = device_tensor(b, (mien_shape){1, 1, 1, d.out.c}, o.b);
    void *w = weights(b, op, &d, o.w);
    void *scratch = device_copy(b, NULL, b->ops->linear_scratch_bytes(op));
    mien_capture *capture;
    expect_ok(b->ops->capture->begin(b));
    expect_ok(b->ops->linear_forward(op, &y, &x, w, bias.data, scratch));
    expect_ok(b->ops->capture->end(b, &capture));
    expect_ok(b->ops->upload(b, &x, o.x));
    expect_ok(b->ops->capture->replay(b, capture));
    float *replayed = device_take(b, &y);
    expect_ok(b->ops->linear_forward(op, &y, &x, w, bias.data, scratch));
    float *now = device_take(b, &y);
    device_same(replayed, now, mien_shape_count(y.shape), "y");
    b->ops->capture->free(b, capture);
    free(replayed);
    free(now);
    release_operands(&o);
    device_release(b, &x);
    device_release(b, &y);
    device_release(b, &bias);
    b->ops->free(b, w);
    b->ops->free(b, scratch);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* cuDNN adds bias and ReLU itself: only channels to be padded need kernels of ours, for x, the
 * weights, the bias and y. */
static void test_launches(void **state) {
    (void)state;
    static const struct {
        conv_row row;
        uint64_t launches;
    } cases[] = {{{3, 6, 5, 8, 16, 3, 3, 1, true, true, BODY_RELU, 1, 1, false}, 0},
                 {{3, 6, 5, 5, 17, 3, 3, 1, true, true, BODY_RELU, 1, 1, false}, 4}};
    for (int i = 0; i < 2; i++) {
        mien_backend *b = device_open(MIEN_COMPUTE_BF16, true);
        const mien_linear_desc d = describe(&cases[i].row);
        mien_linear *op = create(b, &d, 3);
        operands o = draw(&cases[i].row, false, b->dtype);
        mien_tensor x = device_tensor(b, batch(d.in, 3), o.x);
        mien_tensor y = device_tensor(b, batch(d.out, 3), NULL);
        mien_tensor bias = device_tensor(b, (mien_shape){1, 1, 1, d.out.c}, o.b);
        void *w = weights(b, op, &d, o.w);
        void *scratch = device_copy(b, NULL, b->ops->linear_scratch_bytes(op));
        fake_counts before, after;
        const bool fake = counted(&before);
        expect_ok(b->ops->linear_forward(op, &y, &x, w, bias.data, scratch));
        if (fake && counted(&after))
            assert_int_equal(after.launches - before.launches, cases[i].launches);
        release_operands(&o);
        device_release(b, &x);
        device_release(b, &y);
        device_release(b, &bias);
        b->ops->free(b, w);
        b->ops->free(b, scratch);
        b->ops->linear_free(op);
        mien_backend_close(b);
    }
}

/* In inference a transposed convolution needs only the data gradient. */
static void test_inference_transposed(void **state) {
    (void)state;
    const conv_row row = {2, 3, 4, 8, 16, 3, 3, 2, true, true, BODY_RELU, 1, 1, true};
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, true);
    mien_linear_desc d = describe(&row);
    mien_linear *op;
    d.training = d.needs_dx = d.masks_dx = d.accumulates_dx = d.accumulates_dw = false;
    expect_ok(b->ops->linear_create(b, &d, &op));
    expect_ok(b->ops->linear_prepare(op, row.n));
    for (int direction = 0; direction < MIEN_DIRECTIONS; direction++) {
        char text[64];
        b->ops->linear_engine(op, (mien_direction)direction, text, sizeof text);
        assert_true((strcmp(text, "none") != 0) == (direction == MIEN_FORWARD));
    }
    operands o = draw(&row, false, b->dtype);
    void *w = weights(b, op, &d, o.w);
    void *scratch = device_copy(b, NULL, b->ops->linear_scratch_bytes(op));
    mien_tensor x = device_tensor(b, batch(d.in, row.n), o.x);
    mien_tensor y = device_tensor(b, batch(d.out, row.n), NULL);
    mien_tensor bias = device_tensor(b, (mien_shape){1, 1, 1, d.out.c}, o.b);
    expect_ok(b->ops->linear_forward(op, &y, &x, w, bias.data, scratch));
    expect_ok(b->ops->sync(b));
    release_operands(&o);
    device_release(b, &x);
    device_release(b, &y);
    device_release(b, &bias);
    b->ops->free(b, w);
    b->ops->free(b, scratch);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

static void test_misuse(void **state) {
    (void)state;
    mien_backend *b = device_open(MIEN_COMPUTE_F32, true);
    mien_linear_desc d = describe(&rows[0]);
    mien_linear *op;
    mien_tensor x = device_tensor(b, batch(d.in, 4), NULL);
    mien_tensor y = device_tensor(b, batch(d.out, 4), NULL);
    expect_ok(b->ops->linear_create(b, &d, &op));
    expect_ok(b->ops->linear_prepare(op, 2));
    assert_int_equal(b->ops->linear_forward(op, &y, &x, x.data, y.data, NULL), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "not prepared for a batch of 4"));
    b->ops->linear_free(op);
    device_release(b, &x);
    device_release(b, &y);
    mien_backend_close(b);
}

int main(void) {
    char cache[] = "/tmp/mien-conv-XXXXXX";
    if (!mkdtemp(cache)) return 1;
    setenv("XDG_CACHE_HOME", cache, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_tf32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_timed_engines),
        cmocka_unit_test(test_without_fusion),
        cmocka_unit_test(test_one_row_of_many),
        cmocka_unit_test(test_weights_round_trip),
        cmocka_unit_test(test_captured),
        cmocka_unit_test(test_launches),
        cmocka_unit_test(test_inference_transposed),
        cmocka_unit_test(test_misuse),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", cache);
    return system(command) || failed;
}
