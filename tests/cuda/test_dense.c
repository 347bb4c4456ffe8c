/* Dense layers on the device against the plain loops: all three passes, every precision, widths
 * that tensor cores do not support, batches of one. */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/counted.h"
#include "tests/support/device.h"
#include "tests/support/net.h"
#include "tests/support/reference.h"
#include "tests/support/test.h"

typedef struct dense_row {
    int n, in, out, activation;
    bool bias, relu_mask;
} dense_row;

static const dense_row rows[] = {
    {1, 1, 1, BODY_LINEAR, true, false},    {1, 17, 7, BODY_LINEAR, true, false},
    {5, 3, 1, BODY_RELU, true, true},       {64, 128, 7, BODY_LINEAR, true, true},
    {3, 1000, 17, BODY_RELU, true, true},   {33, 7, 1000, BODY_RELU, true, false},
    {2, 64, 32, BODY_TANH, true, false},    {31, 24, 40, BODY_RELU, false, true},
    {17, 8, 8, BODY_LINEAR, false, false},  {257, 16, 3, BODY_SIGMOID, false, false},
    {4096, 32, 7, BODY_LINEAR, true, true}, {1, 576, 64, BODY_LEAKY_RELU, true, true},
    {5, 300, 32, BODY_LINEAR, true, true},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* TWICE: run a second time, accumulating. */
enum { Y, Y_F32, DX, DX_TWICE, DX_MASKED, DW, DB, DW_TWICE, DB_TWICE, RESULTS };
static const char *const names[RESULTS] = {"y",  "y in f32", "dx",       "dx twice", "dx masked",
                                           "dw", "db",       "dw twice", "db twice"};

typedef struct results {
    float *value[RESULTS];
    size_t count[RESULTS];
} results;

/* Inputs of both backends, exact in `dtype`. Whole numbers are small. */
static float *operand(size_t count, mien_dtype dtype, bool whole, uint32_t seed) {
    float *out = device_numbers(count, 1, seed, dtype);
    for (size_t i = 0; whole && i < count; i++)
        out[i] = (float)(whole_below(seed, i, 7) - 3);
    return out;
}

/* A tensor that holds `values`; NULL: zeros. */
static mien_tensor make(mien_backend *b, int n, int c, mien_dtype dtype, const float *values) {
    mien_tensor t = {{n, 1, 1, c}, dtype, c, NULL};
    expect_ok(b->ops->alloc(b, (size_t)n * (size_t)c * mien_dtype_bytes(dtype), &t.data));
    if (values) expect_ok(b->ops->upload(b, &t, values));
    return t;
}

static void take(mien_backend *b, const mien_tensor *t, results *r, int which) {
    r->count[which] = mien_shape_count(t->shape);
    r->value[which] = malloc(r->count[which] * sizeof(float));
    assert_non_null(r->value[which]);
    expect_ok(b->ops->download(b, r->value[which], t));
}

static void release(results *r) {
    for (int i = 0; i < RESULTS; i++)
        free(r->value[i]);
}

static mien_linear *create(mien_backend *b, const dense_row *row) {
    const mien_linear_desc d = {.name = "fc",
                                .dense = true,
                                .in = {1, 1, 1, row->in},
                                .out = {1, 1, 1, row->out},
                                .kernel_h = 1,
                                .kernel_w = 1,
                                .stride_h = 1,
                                .stride_w = 1,
                                .bias = row->bias,
                                .activation = row->activation,
                                .alpha = 0.2F,
                                .training = true,
                                .needs_dx = true,
                                .accumulates_dx = true,
                                .accumulates_dw = true};
    mien_linear *op;
    expect_ok(b->ops->linear_create(b, &d, &op));
    expect_ok(b->ops->linear_prepare(op, row->n));
    return op;
}

/* The weights in the format and type that the passes read. */
static void *weights(mien_backend *b, mien_linear *op, const dense_row *row, const float *hwio) {
    const size_t count = (size_t)row->in * (size_t)row->out;
    void *params, *half;
    expect_ok(b->ops->alloc(b, b->ops->linear_weight_bytes(op), &params));
    expect_ok(b->ops->weights_upload(op, params, hwio));
    if (b->dtype == b->param_dtype) return params;
    expect_ok(b->ops->alloc(b, count * mien_dtype_bytes(b->dtype), &half));
    expect_ok(b->ops->cast(b, half, params, count));
    b->ops->free(b, params);
    return half;
}

static void forward(mien_backend *b, const dense_row *row, mien_linear *op, const mien_tensor *x,
                    const void *w, const void *bias, void *scratch, results *r) {
    const mien_tensor y = make(b, row->n, row->out, b->dtype, NULL);
    const mien_tensor wide = make(b, row->n, row->out, MIEN_F32, NULL);
    expect_ok(b->ops->linear_forward(op, &y, x, w, bias, scratch));
    expect_ok(b->ops->linear_forward(op, &wide, x, w, bias, scratch));
    take(b, &y, r, Y);
    take(b, &wide, r, Y_F32);
    b->ops->free(b, y.data);
    b->ops->free(b, wide.data);
}

static void backward_data(mien_backend *b, const dense_row *row, mien_linear *op,
                          const mien_tensor *dy, const mien_tensor *relu_mask, const void *w,
                          void *scratch, results *r) {
    const mien_tensor dx = make(b, row->n, row->in, b->dtype, NULL);
    expect_ok(b->ops->linear_backward_data(op, &dx, dy, w, NULL, scratch, false));
    take(b, &dx, r, DX);
    expect_ok(b->ops->linear_backward_data(op, &dx, dy, w, NULL, scratch, true));
    take(b, &dx, r, DX_TWICE);
    expect_ok(b->ops->linear_backward_data(op, &dx, dy, w, row->relu_mask ? relu_mask : NULL,
                                           scratch, false));
    take(b, &dx, r, DX_MASKED);
    b->ops->free(b, dx.data);
}

static void backward_filter(mien_backend *b, const dense_row *row, mien_linear *op,
                            const mien_tensor *dy, const mien_tensor *x, void *scratch,
                            results *r) {
    const mien_tensor dw = make(b, row->in, row->out, MIEN_F32, NULL);
    const mien_tensor db = make(b, 1, row->out, MIEN_F32, NULL);
    for (int again = 0; again < 2; again++) {
        expect_ok(b->ops->linear_backward_filter(op, dw.data, row->bias ? db.data : NULL, dy, x,
                                                 scratch, again));
        take(b, &dw, r, again ? DW_TWICE : DW);
        take(b, &db, r, again ? DB_TWICE : DB);
    }
    b->ops->free(b, dw.data);
    b->ops->free(b, db.data);
}

/* All passes of one layer; its inputs are exact in `dtype`. */
static void run_row(mien_backend *b, const dense_row *row, mien_dtype dtype, bool whole,
                    results *r) {
    const size_t in = (size_t)row->n * (size_t)row->in, out = (size_t)row->n * (size_t)row->out;
    float *xs = operand(in, dtype, whole, 1), *dys = operand(out, dtype, whole, 2);
    float *ws = operand((size_t)row->in * (size_t)row->out, dtype, whole, 3);
    float *bs = operand((size_t)row->out, dtype, whole, 4);
    const mien_tensor x = make(b, row->n, row->in, b->dtype, xs);
    const mien_tensor dy = make(b, row->n, row->out, b->dtype, dys);
    const mien_tensor bias = make(b, 1, row->out, b->dtype, bs);
    mien_linear *op = create(b, row);
    void *w = weights(b, op, row, ws), *scratch;
    expect_ok(b->ops->alloc(b, b->ops->linear_scratch_bytes(op), &scratch));
    forward(b, row, op, &x, w, row->bias ? bias.data : NULL, scratch, r);
    backward_data(b, row, op, &dy, &x, w, scratch, r);
    backward_filter(b, row, op, &dy, &x, scratch, r);
    void *const blocks[] = {x.data, dy.data, bias.data, w, scratch};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        b->ops->free(b, blocks[i]);
    b->ops->linear_free(op);
    float *const lists[] = {xs, dys, ws, bs};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        free(lists[i]);
}

static double relative(const float *got, const float *want, size_t count) {
    double off = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += (double)want[i] * want[i];
    }
    return norm > 0 ? sqrt(off / norm) : sqrt(off);
}

/* Every row within `bound` of the norm; `whole`: f32 results of whole numbers bit for bit. */
static void compare(mien_compute compute, bool deterministic, bool whole, double bound) {
    mien_backend *device = device_open(compute, deterministic), *plain;
    expect_ok(reference_open(false, &plain));
    for (int i = 0; i < ROWS; i++) {
        results got = {0}, want = {0};
        run_row(device, &rows[i], device->dtype, whole, &got);
        run_row(plain, &rows[i], device->dtype, whole, &want);
        for (int k = 0; k < RESULTS; k++) {
            const bool wide = device->dtype == MIEN_F32 || k == Y_F32 || k >= DW;
            const bool rounds = k <= Y_F32 && rows[i].activation == BODY_TANH;
            const double off = relative(got.value[k], want.value[k], want.count[k]);
            const bool same = whole && wide && !rounds && rows[i].activation != BODY_SIGMOID;
            if (!(off <= (same ? 0 : bound)))
                fail_msg("row %d, %d x %d to %d: %s is %g of its norm away", i, rows[i].n,
                         rows[i].in, rows[i].out, names[k], off);
        }
        release(&got);
        release(&want);
    }
    mien_backend_close(plain);
    mien_backend_close(device);
}

static void test_f32(void **state) {
    (void)state;
    compare(MIEN_COMPUTE_F32, true, false, 1e-5);
}

static void test_tf32(void **state) {
    (void)state;
    compare(MIEN_COMPUTE_TF32, true, false,
            1e-3); /* the layers are small, so errors hardly cancel */
}

static void test_bf16(void **state) {
    (void)state;
    compare(MIEN_COMPUTE_BF16, true, false, 1.6e-2);
}

static void test_f16(void **state) {
    (void)state;
    compare(MIEN_COMPUTE_F16, true, false, 1e-3);
}

static void test_measured(void **state) {
    (void)state;
    compare(MIEN_COMPUTE_F32, false, false, 1e-5);
    compare(MIEN_COMPUTE_BF16, false, false, 1.6e-2);
}

/* Where cuBLASLt has no algorithm (for a few unaligned columns, or at all) our own kernels compute
 * the passes; a real cuBLASLt ignores the setting. */
static void test_no_algorithm(void **state) {
    (void)state;
    static const char *const aligns[] = {"16", "256"};
    for (int i = 0; i < 2; i++) {
        setenv("FAKE_CUBLASLT_ALIGN", aligns[i], 1);
        compare(MIEN_COMPUTE_F32, true, false, 1e-5);
        compare(MIEN_COMPUTE_BF16, false, false, 1.6e-2);
        compare(MIEN_COMPUTE_F16, true, false, 1e-3);
        compare(MIEN_COMPUTE_F32, true, true, 1e-6);
        compare(MIEN_COMPUTE_BF16, true, true, 1.6e-2);
    }
    unsetenv("FAKE_CUBLASLT_ALIGN");
}

/* The kernels of a pass, ours and cuBLASLt's. */
static uint64_t kernels(fake_counts before) {
    fake_counts now;
    assert_true(counted(&now));
    return now.launches - before.launches + now.products - before.products;
}

typedef struct launches {
    uint64_t forward, data, filter, filter_twice;
} launches;

/* Those of one training step's passes, with bias and ReLU mask; y has the type `y_type`. */
static launches count_launches(mien_backend *b, const dense_row *row, mien_dtype y_type) {
    mien_linear *op = create(b, row);
    const mien_tensor x = make(b, row->n, row->in, b->dtype, NULL);
    const mien_tensor dx = make(b, row->n, row->in, b->dtype, NULL);
    const mien_tensor y = make(b, row->n, row->out, y_type, NULL);
    const mien_tensor dy = make(b, row->n, row->out, b->dtype, NULL);
    const mien_tensor w = make(b, row->in, row->out, b->dtype, NULL);
    const mien_tensor dw = make(b, row->in, row->out, MIEN_F32, NULL);
    const mien_tensor bias = make(b, 1, row->out, b->dtype, NULL);
    const mien_tensor db = make(b, 1, row->out, MIEN_F32, NULL);
    launches out;
    fake_counts before;
    counted(&before);
    expect_ok(b->ops->linear_forward(op, &y, &x, w.data, bias.data, NULL));
    out.forward = kernels(before);
    counted(&before);
    expect_ok(b->ops->linear_backward_data(op, &dx, &dy, w.data, &x, NULL, false));
    out.data = kernels(before);
    counted(&before);
    expect_ok(b->ops->linear_backward_filter(op, dw.data, db.data, &dy, &x, NULL, false));
    out.filter = kernels(before);
    counted(&before);
    expect_ok(b->ops->linear_backward_filter(op, dw.data, db.data, &dy, &x, NULL, true));
    out.filter_twice = kernels(before);
    const mien_tensor all[] = {x, dx, y, dy, w, dw, bias, db};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        b->ops->free(b, all[i].data);
    b->ops->linear_free(op);
    return out;
}

/* Each pass of a layer with seven 16-bit outputs is one kernel, also without cuBLASLt; the gradient
 * of a batch that is split has a second one. Bias and ReLU of a hidden layer are part of its
 * product. */
static void test_launches(void **state) {
    (void)state;
    const dense_row row = {64, 96, 7, BODY_LINEAR, true, true};
    const dense_row large = {1024, 96, 7, BODY_LINEAR, true, true};
    const dense_row hidden = {64, 96, 64, BODY_RELU, true, true};
    fake_counts none;
    for (int without = 0; without < 2; without++) {
        if (without) setenv("FAKE_CUBLASLT_ALIGN", "16", 1);
        mien_backend *b = device_open(MIEN_COMPUTE_BF16, true);
        if (counted(&none)) {
            const launches small = count_launches(b, &row, MIEN_F32);
            const launches more = count_launches(b, &large, MIEN_F32);
            assert_int_equal(count_launches(b, &hidden, b->dtype).forward, 1);
            assert_int_equal(small.forward, 1);
            assert_int_equal(small.data, 1);
            assert_int_equal(small.filter, 1);
            assert_int_equal(small.filter_twice, 1);
            assert_int_equal(more.forward + more.data, 2);
            assert_int_equal(more.filter_twice, 2);
        }
        mien_backend_close(b);
        unsetenv("FAKE_CUBLASLT_ALIGN");
    }
}

/* Whole numbers do not need rounding: every f32 result is exact. */
static void test_integers(void **state) {
    (void)state;
    compare(MIEN_COMPUTE_F32, true, true, 1e-6);
    compare(MIEN_COMPUTE_TF32, true, true, 1e-6);
    compare(MIEN_COMPUTE_BF16, true, true, 1.6e-2);
    compare(MIEN_COMPUTE_F16, true, true, 1e-3);
}

/* A view that starts at the second row, as the passes over a part of a batch use: its address has
 * only the alignment of a row. */
static void test_views(void **state) {
    (void)state;
    const dense_row row = {4, 3, 7, BODY_LINEAR, true, false};
    mien_backend *b = device_open(MIEN_COMPUTE_BF16, true);
    float *xs = operand(15, b->dtype, false, 1), *ws = operand(21, b->dtype, false, 2);
    float want[28], got[28];
    mien_linear *op = create(b, &row);
    void *w = weights(b, op, &row, ws);
    const mien_tensor all = make(b, 5, 3, b->dtype, xs), buffer = make(b, 5, 7, b->dtype, NULL);
    const mien_tensor x = make(b, 4, 3, b->dtype, xs + 3), y = make(b, 4, 7, b->dtype, NULL);
    const mien_tensor bias = make(b, 1, 7, b->dtype, ws);
    mien_tensor later = x, there = y;
    later.data = (char *)all.data + 3 * mien_dtype_bytes(b->dtype);
    there.data = (char *)buffer.data + 7 * mien_dtype_bytes(b->dtype);
    expect_ok(b->ops->linear_forward(op, &y, &x, w, bias.data, NULL));
    expect_ok(b->ops->linear_forward(op, &there, &later, w, bias.data, NULL));
    expect_ok(b->ops->download(b, want, &y));
    expect_ok(b->ops->download(b, got, &there));
    assert_memory_equal(got, want, sizeof want);
    void *const blocks[] = {all.data, buffer.data, x.data, y.data, bias.data, w};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        b->ops->free(b, blocks[i]);
    b->ops->linear_free(op);
    mien_backend_close(b);
    free(xs);
    free(ws);
}

/* Sums by atomics would differ from call to call. */
static void test_same_bits(void **state) {
    (void)state;
    const dense_row row = {64, 100, 40, BODY_LINEAR, true, false};
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        mien_backend *b = device_open(MIEN_COMPUTE_F32, deterministic);
        results first = {0}, again = {0};
        run_row(b, &row, b->dtype, false, &first);
        run_row(b, &row, b->dtype, false, &again);
        for (int k = 0; k < RESULTS; k++)
            assert_memory_equal(again.value[k], first.value[k], first.count[k] * sizeof(float));
        release(&first);
        release(&again);
        mien_backend_close(b);
    }
}

static void engines(char text[MIEN_DIRECTIONS][160]) {
    const dense_row row = {16, 32, 64, BODY_RELU, true, false};
    mien_backend *b = device_open(MIEN_COMPUTE_F32, false);
    mien_linear *op = create(b, &row);
    for (int i = 0; i < MIEN_DIRECTIONS; i++)
        b->ops->linear_engine(op, (mien_direction)i, text[i], 160);
    b->ops->linear_free(op);
    mien_backend_close(b);
}

/* A measured choice is kept; it is not measured again. */
static void test_remembers(void **state) {
    (void)state;
    char first[MIEN_DIRECTIONS][160], again[MIEN_DIRECTIONS][160];
    engines(first);
    for (int i = 0; i < 8; i++) {
        engines(again);
        for (int k = 0; k < MIEN_DIRECTIONS; k++)
            assert_string_equal(again[k], first[k]);
    }
}

/* A batch size that was not prepared is refused with the layer's name; preparing twice is fine; the
 * engine is named once it is chosen. */
static void test_prepare(void **state) {
    (void)state;
    const dense_row row = {4, 16, 7, BODY_LINEAR, true, false};
    mien_backend *b = device_open(MIEN_COMPUTE_F32, true);
    mien_linear *op = create(b, &row);
    char text[160];
    void *w;
    expect_ok(b->ops->alloc(b, b->ops->linear_weight_bytes(op), &w));
    const mien_tensor x = make(b, 5, 16, MIEN_F32, NULL), y = make(b, 5, 7, MIEN_F32, NULL);
    assert_int_equal(b->ops->linear_forward(op, &y, &x, w, w, NULL), MIEN_INVALID);
    assert_non_null(strstr(mien_error_message(), "'fc'"));
    expect_ok(b->ops->linear_prepare(op, 5));
    expect_ok(b->ops->linear_prepare(op, 4));
    expect_ok(b->ops->linear_forward(op, &y, &x, w, w, NULL));
    for (int direction = 0; direction < MIEN_DIRECTIONS; direction++) {
        b->ops->linear_engine(op, (mien_direction)direction, text, sizeof text);
        assert_non_null(strstr(text, "algo "));
    }
    b->ops->free(b, x.data);
    b->ops->free(b, y.data);
    b->ops->free(b, w);
    b->ops->linear_free(op);
    setenv("FAKE_CUBLASLT_ALIGN", "256", 1);
    op = create(b, &row);
    for (int i = 0; i < MIEN_DIRECTIONS && counted(&(fake_counts){0}); i++) {
        b->ops->linear_engine(op, (mien_direction)i, text, sizeof text);
        assert_string_equal(text, "dense");
    }
    unsetenv("FAKE_CUBLASLT_ALIGN");
    b->ops->linear_free(op);
    mien_backend_close(b);
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),          cmocka_unit_test(test_tf32),
        cmocka_unit_test(test_bf16),         cmocka_unit_test(test_f16),
        cmocka_unit_test(test_measured),     cmocka_unit_test(test_integers),
        cmocka_unit_test(test_prepare),      cmocka_unit_test(test_remembers),
        cmocka_unit_test(test_views),        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_no_algorithm), cmocka_unit_test(test_launches),
    };
    return cmocka_run_group_tests_name("dense on the device", tests, NULL, NULL);
}
