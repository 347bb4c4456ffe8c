/* The stem convolution, which reads the image, by own kernels, against the plain loops in double:
 * whole numbers bit for bit (rounded once in the half types), others within the bounds of their
 * type. */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/pair.h"
#include "tests/support/test.h"

/* LOGITS: y is f32 in every precision; its gradient is not. */
enum { BIAS = 1, RELU = 2, LOGITS = 4 };

typedef struct row {
    mien_shape in; /* n is the batch */
    int channels, top, left, bottom, right, flags;
} row;

static const row rows[] = {
    {{1, 1, 1, 1}, 1, 1, 1, 1, 1, BIAS},           {{1, 3, 3, 1}, 5, 0, 0, 0, 0, BIAS | RELU},
    {{3, 48, 48, 1}, 32, 0, 0, 0, 0, BIAS | RELU}, {{2, 17, 19, 1}, 64, 1, 1, 1, 1, BIAS},
    {{2, 5, 70, 2}, 17, 0, 2, 1, 0, BIAS | RELU},  {{1, 18, 130, 3}, 3, 1, 1, 1, 1, 0},
    {{2, 33, 7, 4}, 100, 2, 1, 0, 1, BIAS | RELU}, {{1, 34, 6, 3}, 8, 1, 0, 1, 2, BIAS | RELU},
    {{40, 16, 9, 1}, 24, 1, 1, 1, 1, BIAS},        {{3, 7, 66, 4}, 130, 1, 1, 1, 1, RELU},
    {{2, 9, 11, 1}, 7, 1, 1, 1, 1, BIAS | LOGITS}, {{5, 3, 3, 3}, 7, 0, 0, 0, 0, BIAS | LOGITS},
};

enum { Y, DW, DB, DW_TWICE, DB_TWICE, DW_MASKED, DB_MASKED, RESULTS };
static const char *const names[RESULTS] = {"y",        "dw",        "db",       "dw twice",
                                           "db twice", "dw masked", "db masked"};

typedef struct outcome {
    float *value[RESULTS];
    size_t count[RESULTS];
} outcome;

static mien_shape out_of(const row *r) {
    return (mien_shape){r->in.n, r->in.h + r->top + r->bottom - 2, r->in.w + r->left + r->right - 2,
                        r->channels};
}

static mien_linear *create(mien_backend *b, const row *r) {
    const mien_linear_desc d = {.name = "first",
                                .in = r->in,
                                .out = out_of(r),
                                .kernel_h = 3,
                                .kernel_w = 3,
                                .stride_h = 1,
                                .stride_w = 1,
                                .pad_top = r->top,
                                .pad_left = r->left,
                                .pad_bottom = r->bottom,
                                .pad_right = r->right,
                                .bias = r->flags & BIAS,
                                .activation = r->flags & RELU ? BODY_RELU : BODY_LINEAR,
                                .training = true,
                                .accumulates_dw = true};
    mien_linear *op;
    expect_ok(b->ops->linear_create(b, &d, &op));
    expect_ok(b->ops->linear_prepare(op, r->in.n));
    return op;
}

/* Numbers that `dtype` holds exactly; `whole`: small whole numbers. */
static float *values_of(size_t count, uint32_t seed, bool whole, mien_dtype dtype) {
    float *out = device_numbers(count, 1, seed, dtype);
    for (size_t i = 0; whole && i < count; i++)
        out[i] = (float)(whole_below(seed, i, 7) - 3);
    return out;
}

static void take_filter(mien_backend *b, mien_linear *op, const row *r, const mien_tensor *dw,
                        const mien_tensor *db, outcome *out, int which) {
    out->count[which] = 9 * (size_t)r->in.c * (size_t)r->channels;
    out->count[which + 1] = (size_t)r->channels;
    out->value[which] = malloc(out->count[which] * sizeof(float));
    assert_non_null(out->value[which]);
    expect_ok(b->ops->weights_download(op, out->value[which], dw->data));
    out->value[which + 1] = device_take(b, db);
}

static mien_tensor output_of(mien_backend *b, const row *r) {
    const mien_shape shape = out_of(r);
    if (!(r->flags & LOGITS)) return device_tensor(b, shape, NULL);
    mien_tensor t = device_params(b, mien_shape_count(shape), NULL);
    t.shape = shape;
    t.block = shape.c;
    return t;
}

/* Adds the gradient that goes through a ReLU with output `y`; without support for that, masks `dy`
 * first. */
static void masked_filter(mien_backend *b, mien_linear *op, const row *r, void *dw, void *db,
                          const mien_tensor *dy, const mien_tensor *y, const mien_tensor *x,
                          void *scratch) {
    if (!(r->flags & BIAS)) db = NULL;
    if (b == pair_cuda()) {
        expect_ok(b->ops->linear_filter_masked(op, dw, db, dy, y, x, scratch, true));
        return;
    }
    expect_ok(b->ops->activation_backward(b, dy, dy, NULL, y, BODY_RELU, 0, false));
    expect_ok(b->ops->linear_backward_filter(op, dw, db, dy, x, scratch, true));
}

static outcome run(mien_backend *b, const row *r, bool whole, mien_dtype dtype) {
    const mien_shape shape = out_of(r);
    const size_t weights = 9 * (size_t)r->in.c * (size_t)r->channels;
    float *values[] = {values_of(mien_shape_count(r->in), 1, whole, dtype),
                       values_of(weights, 2, whole, dtype),
                       values_of((size_t)r->channels, 3, whole, dtype),
                       values_of(mien_shape_count(shape), 4, whole, dtype)};
    mien_linear *op = create(b, r);
    mien_tensor x = device_tensor(b, r->in, values[0]), y = output_of(b, r);
    mien_tensor w = device_params(b, weights, NULL), dw = device_params(b, weights, values[1]);
    mien_tensor bias = device_tensor(b, (mien_shape){1, 1, 1, r->channels}, values[2]);
    mien_tensor db = device_params(b, (size_t)r->channels, NULL);
    mien_tensor dy = device_tensor(b, shape, values[3]);
    mien_tensor half = device_tensor(b, (mien_shape){1, 1, 1, (int)weights}, NULL);
    const bool cast = b->dtype != b->param_dtype;
    void *scratch = device_copy(b, NULL, b->ops->linear_scratch_bytes(op) + 64);
    outcome out;
    expect_ok(b->ops->weights_upload(op, w.data, values[1]));
    if (cast) expect_ok(b->ops->cast(b, half.data, w.data, weights));
    expect_ok(b->ops->linear_forward(op, &y, &x, cast ? half.data : w.data,
                                     r->flags & BIAS ? bias.data : NULL, scratch));
    out.count[Y] = mien_shape_count(shape);
    out.value[Y] = device_take(b, &y);
    for (int again = 0; again < 2; again++) {
        expect_ok(b->ops->linear_backward_filter(op, dw.data, r->flags & BIAS ? db.data : NULL, &dy,
                                                 &x, scratch, again));
        take_filter(b, op, r, &dw, &db, &out, again ? DW_TWICE : DW);
    }
    float *outputs = values_of(mien_shape_count(shape), 5, whole, dtype);
    mien_tensor relu = device_tensor(b, shape, outputs);
    masked_filter(b, op, r, dw.data, db.data, &dy, &relu, &x, scratch);
    take_filter(b, op, r, &dw, &db, &out, DW_MASKED);
    free(outputs);
    b->ops->linear_free(op);
    b->ops->free(b, scratch);
    mien_tensor *const all[] = {&x, &y, &w, &dw, &bias, &db, &dy, &half, &relu};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        device_release(b, all[i]);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        free(values[i]);
    return out;
}

static void release(outcome *o) {
    for (int i = 0; i < RESULTS; i++)
        free(o->value[i]);
}

static void compare(const outcome *got, outcome *want, bool whole, bool logits) {
    const mien_dtype dtype = logits ? MIEN_F32 : pair_cuda()->dtype;
    const double most = dtype == MIEN_BF16 ? 4e-3 : (dtype == MIEN_F16 ? 5e-4 : 1e-5);
    for (size_t k = 0; k < want->count[Y] && !logits; k++)
        want->value[Y][k] = pair_round(want->value[Y][k]);
    for (int i = 0; i < RESULTS; i++)
        if (whole)
            device_same(got->value[i], want->value[i], want->count[i], names[i]);
        else
            device_near(got->value[i], want->value[i], want->count[i], i == Y ? most : 1e-5,
                        names[i]);
}

static void test_stem_conv(void **state) {
    (void)state;
    mien_backend *cuda = pair_cuda(), *plain;
    expect_ok(reference_open(true, &plain));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int whole = 0; whole < 2; whole++) {
            outcome want = run(plain, &rows[i], whole, cuda->dtype);
            outcome got = run(cuda, &rows[i], whole, cuda->dtype);
            compare(&got, &want, whole, rows[i].flags & LOGITS);
            release(&want);
            release(&got);
        }
    mien_linear *op = create(cuda, &rows[0]);
    char engine[64];
    cuda->ops->linear_engine(op, MIEN_FILTER, engine, sizeof engine);
    assert_string_equal(engine, "stem"); /* the own kernels, not a library's engine */
    cuda->ops->linear_free(op);
    mien_backend_close(plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stem_conv)};
    return pair_run_all_types(tests, 1);
}
