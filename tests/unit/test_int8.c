/* int8 inference: operators against integer sums computed here, loops against their definition. */
#include "tests/support/net.h"
#include "tests/support/reference.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "kernels/body/quantise.h"
#include "tests/support/test.h"

static mien_backend *cpu;

static int open_backends(void **state) {
    (void)state;
    const mien_backend_options one = {.threads = 1};
    expect_ok(mien_cpu_open(&one, &cpu));
    return 0;
}

static int close_backends(void **state) {
    (void)state;
    mien_backend_close(cpu);
    return 0;
}

/* ---- one operator ---- */

typedef struct shape_case {
    int size, in, out, kernel, stride, pad; /* size 0: dense */
    mien_dtype x, y;
    int activation, rows;
    bool x_f32, pooled;
    float y_scale; /* 0: one with which some outputs saturate */
} shape_case;

static const mien_pool pool_2x2 = {.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2};

static mien_int8_desc desc_of(const shape_case *s, const float *w_scale) {
    const int out = s->size ? (s->size + 2 * s->pad - s->kernel) / s->stride + 1 : 1;
    const int in = s->size ? s->size : 1;
    return (mien_int8_desc){.linear = {.name = "layer",
                                       .dense = !s->size,
                                       .in = {1, in, in, s->in},
                                       .out = {1, out, out, s->out},
                                       .kernel_h = s->kernel,
                                       .kernel_w = s->kernel,
                                       .stride_h = s->stride,
                                       .stride_w = s->stride,
                                       .pad_top = s->pad,
                                       .pad_left = s->pad,
                                       .pad_bottom = s->pad,
                                       .pad_right = s->pad,
                                       .bias = true,
                                       .activation = s->activation},
                            .w_scale = w_scale,
                            .x_scale = 0.03125f,
                            .y_scale = s->y_scale > 0 ? s->y_scale : 0.0234375f,
                            .x = s->x,
                            .y = s->y,
                            .x_f32 = s->x_f32,
                            .pool = s->pooled ? &pool_2x2 : NULL};
}

/* The result before rounding, with the bits of every CPU: an exact sum, the bias added to it, then
 * scaled, in float. */
static float exact_pixel(const mien_int8_desc *desc, const int *x, const int *w,
                         const float *w_scale, const float *bias, int n, int oh, int ow, int k) {
    const mien_linear_desc *d = &desc->linear;
    long long sum = 0;
    for (int r = 0; r < d->kernel_h; r++)
        for (int s = 0; s < d->kernel_w; s++) {
            const int h = oh * d->stride_h - d->pad_top + r, v = ow * d->stride_w - d->pad_left + s;
            if (h < 0 || v < 0 || h >= d->in.h || v >= d->in.w) continue;
            for (int i = 0; i < d->in.c; i++)
                sum += (long long)x[((n * d->in.h + h) * d->in.w + v) * d->in.c + i] *
                       w[((r * d->kernel_w + s) * d->in.c + i) * d->out.c + k];
        }
    const float y_scale = desc->y == MIEN_F32 ? 1 : desc->y_scale;
    const float y = ((float)sum + bias[k] / (desc->x_scale * w_scale[k])) *
                    (desc->x_scale * w_scale[k] / y_scale);
    return d->activation == BODY_RELU && y < 0 ? 0 : y;
}

/* Element `at` of y, the largest of a window's pixels if it is pooled. */
static float exact(const mien_int8_desc *desc, const int *x, const int *w, const float *w_scale,
                   const float *bias, size_t at) {
    const int side = desc->pool ? 2 : 1, c = desc->linear.out.c;
    const int high = desc->linear.out.h / side, wide = desc->linear.out.w / side;
    const int pixel = (int)at / c, row = pixel / wide;
    float largest = -INFINITY;
    for (int i = 0; i < side * side; i++)
        largest = fmaxf(largest, exact_pixel(desc, x, w, w_scale, bias, row / high,
                                             row % high * side + i / side,
                                             pixel % wide * side + i % side, (int)at % c));
    return largest;
}

/* Element i of y, in logical order. */
static double value_at(const mien_tensor *y, size_t i) {
    if (y->dtype == MIEN_U8) return ((const uint8_t *)y->data)[i];
    if (y->dtype == MIEN_I8) return ((const int8_t *)y->data)[i];
    const size_t c = (size_t)y->shape.c, block = (size_t)y->block;
    const size_t area = (size_t)(y->shape.h * y->shape.w), k = i % c, p = i / c % area;
    return (double)((const float *)
                        y->data)[((i / c / area * (c / block) + k / block) * area + p) * block +
                                 k % block];
}

/* Of all outputs so far; the gate compares it across instruction sets. */
static uint32_t fingerprint = 2166136261u;

static void compare_outputs(const shape_case *s, const mien_int8_desc *d, const mien_tensor *y,
                            const int *x, const int *w, const float *bias, const float *w_scale) {
    size_t saturated = 0;
    const float low = s->y == MIEN_I8 ? -128 : 0, high = s->y == MIEN_I8 ? 127 : 255;
    for (size_t i = 0; i < mien_shape_count(y->shape); i++) {
        const float real_y = exact(d, x, w, w_scale, bias, i);
        const float got = (float)value_at(y, i);
        const float want = s->y == MIEN_F32 ? real_y : fminf(fmaxf(rintf(real_y), low), high);
        uint32_t bits;
        memcpy(&bits, &got, sizeof bits);
        fingerprint = (fingerprint ^ bits) * 16777619u;
        saturated += s->y != MIEN_F32 && (real_y < low - 1 || real_y > high + 1);
        if (got != want)
            fail_msg("%dx%d->%d: %.9g, not %.9g (%.9g) at %zu", s->size, s->in, s->out, (double)got,
                     (double)want, (double)real_y, i);
    }
    if (s->y == MIEN_I8 && s->in >= 16) assert_true(saturated > 0);
}

/* x in the operator's input format: int8 in NHWC, or dequantized floats in the backend's layout. */
static mien_tensor make_x(const shape_case *s, const mien_int8_desc *d, const int *x) {
    mien_shape shape = d->linear.in;
    shape.n = s->rows;
    const size_t count = mien_shape_count(shape);
    mien_tensor t = {shape, s->x_f32 ? MIEN_F32 : s->x, shape.c, NULL};
    expect_ok(mien_new_aligned(&t.data, count * sizeof(float)));
    if (s->x_f32) {
        t.block = cpu->ops->channel_block(cpu, shape);
        float *nhwc = malloc(count * sizeof *nhwc);
        for (size_t i = 0; i < count; i++)
            nhwc[i] = (float)x[i] * d->x_scale;
        expect_ok(cpu->ops->upload(cpu, &t, nhwc));
        free(nhwc);
    }
    for (size_t i = 0; i < count && !s->x_f32; i++)
        ((uint8_t *)t.data)[i] = (uint8_t)x[i];
    return t;
}

/* `largest`: all weights and inputs have their largest magnitude. */
static void check_operator(const shape_case *s, bool largest) {
    const int terms = s->kernel * s->kernel * s->in;
    float w_scale[128], bias[128];
    for (int k = 0; k < s->out; k++) {
        w_scale[k] = (float)(whole_below(1, (size_t)k, 90) + 10) / 4096 / sqrtf((float)terms);
        bias[k] = (float)noise(2, (size_t)k);
    }
    const mien_int8_desc d = desc_of(s, w_scale);
    const size_t weights = (size_t)terms * (size_t)s->out;
    const size_t inputs = mien_shape_sample(d.linear.in) * (size_t)s->rows;
    int *w = calloc(weights, sizeof *w), *x = calloc(inputs, sizeof *x);
    float *hwio = calloc(weights, sizeof *hwio);
    assert_true(w && x && hwio);
    for (size_t i = 0; i < weights; i++) {
        w[i] = largest ? 127 : whole_below(3, i, 255) - 127;
        hwio[i] = (float)w[i] * w_scale[i % (size_t)s->out];
    }
    for (size_t i = 0; i < inputs; i++)
        x[i] = largest           ? 255
               : s->x == MIEN_U8 ? whole_below(4, i, 256)
                                 : whole_below(4, i, 256) - 128;
    mien_int8_linear *op;
    const mien_int8_ops *int8 = cpu->ops->int8;
    expect_ok(int8->create(cpu, &d, &op));
    expect_ok(int8->prepare(op, s->rows + 1)); /* packed by load */
    expect_ok(int8->load(op, hwio, bias));
    expect_ok(int8->prepare(op, s->rows)); /* packed at once */
    const int side = s->pooled ? 2 : 1;
    const mien_shape out = {s->rows, d.linear.out.h / side, d.linear.out.w / side, s->out};
    assert_true(!s->pooled || int8->pools(cpu, &d.linear, &pool_2x2));
    mien_tensor y = {out, s->y, s->y == MIEN_F32 ? cpu->ops->channel_block(cpu, out) : out.c, NULL};
    void *scratch;
    expect_ok(mien_new_aligned(&y.data, mien_shape_count(out) * sizeof(float)));
    expect_ok(mien_new_aligned(&scratch, int8->scratch_bytes(op) + 64));
    const mien_tensor t = make_x(s, &d, x);
    expect_ok(int8->forward(op, &y, &t, scratch));
    compare_outputs(s, &d, &y, x, w, bias, w_scale);
    int8->free(op);
    mien_free(y.data);
    mien_free(t.data);
    mien_free(scratch);
    free(w);
    free(x);
    free(hwio);
}

static void test_operators(void **state) {
    (void)state;
    static const int channels[][2] = {{3, 7},   {7, 24},  {24, 3},  {8, 16}, {16, 32},
                                      {32, 64}, {64, 16}, {48, 40}, {17, 33}};
    static const mien_dtype xs[] = {MIEN_U8, MIEN_I8}, ys[] = {MIEN_U8, MIEN_I8, MIEN_F32};
    if (!reference_has_int8(cpu)) skip();
    for (int c = 0; c < 9; c++)
        for (int v = 0; v < 24; v++) {
            shape_case s = {.size = v % 4 == 3 ? 0 : 9,
                            .in = channels[c][0],
                            .out = channels[c][1],
                            .kernel = v % 4 == 0 ? 3 : 1,
                            .stride = v % 4 == 2 ? 2 : 1,
                            .pad = v % 4 == 0 ? v / 4 % 2 : 0,
                            .x = xs[v % 2],
                            .y = ys[v % 3],
                            .activation = v / 6 % 2 ? BODY_RELU : BODY_LINEAR,
                            .rows = v % 5 == 0 ? 1 : 3,
                            .x_f32 = v >= 12};
            check_operator(&s, false);
        }
    printf("# int8 results %08x\n", fingerprint);
}

/* Sums beyond 2^25, which Winograd in 32 bits cannot compute; and several groups of its tiles. */
static void test_large_operators(void **state) {
    (void)state;
    if (!reference_has_int8(cpu)) skip();
    shape_case s = {.size = 12,
                    .in = 128,
                    .out = 16,
                    .kernel = 3,
                    .stride = 1,
                    .pad = 1,
                    .x = MIEN_U8,
                    .y = MIEN_F32,
                    .rows = 2};
    check_operator(&s, true);
    check_operator(&s, false);
    s.size = 47;
    s.in = 32;
    check_operator(&s, true);
    s.x = MIEN_I8;
    check_operator(&s, false);
}

/* Convolutions that Winograd's algorithm does with VNNI, too; with pooling in its pass, where the
 * sums fit and where they do not, where tiles are many and where they are few, and an odd line and
 * column that no window reaches. */
static void test_pooled_operators(void **state) {
    (void)state;
    static const int sizes[] = {8, 12, 15, 20};
    if (!reference_has_int8(cpu)) skip();
    for (int v = 0; v < 16; v++) {
        shape_case s = {.size = sizes[v % 4],
                        .in = v < 8 ? 32 : 64,
                        .out = v % 3 ? 64 : 96,
                        .kernel = 3,
                        .stride = 1,
                        .pad = v / 4 % 2,
                        .x = v % 5 ? MIEN_U8 : MIEN_I8,
                        .y = v % 2 ? MIEN_U8 : MIEN_I8,
                        .activation = v % 2 ? BODY_RELU : BODY_LINEAR,
                        .rows = v % 7 ? 5 : 1};
        check_operator(&s, false);
        const mien_int8_desc d = desc_of(&s, NULL);
        s.pooled = cpu->ops->int8->pools(cpu, &d.linear, &pool_2x2);
        if (s.pooled) check_operator(&s, false);
    }
    shape_case s = {.size = 8,
                    .in = 128,
                    .out = 64,
                    .kernel = 3,
                    .stride = 1,
                    .pad = 1,
                    .x = MIEN_U8,
                    .y = MIEN_U8,
                    .rows = 8};
    s.pooled = true;
    check_operator(&s, false);
    s.y_scale = 4; /* sums that do not fit, of which the border's are smaller */
    check_operator(&s, true);
}

static bool has_vnni(int isa) {
    __builtin_cpu_init();
    return isa == MIEN_ISA_V4   ? __builtin_cpu_supports("avx512vnni")
           : isa == MIEN_ISA_V3 ? __builtin_cpu_supports("avxvnni")
                                : false;
}

/* The loops of one build against the definition. All scales but the weights' are 1. */
static void check_winograd(const cpu_kernels *k, cpu_int8 d) {
    enum { WEIGHTS = 9 * 48 * 80, INPUTS = 2 * 11 * 11 * 48 };
    static int8_t hwio[WEIGHTS];
    static uint8_t x[INPUTS], y[2 * 11 * 11 * 80];
    static int w_whole[WEIGHTS], x_whole[INPUTS];
    const cpu_conv *c = &d.conv;
    float bias[80], added[80], scale[80];
    int16_t *packed;
    void *scratch;
    bool fits = false;
    for (int i = 0; i < 9 * c->ic * c->oc; i++)
        hwio[i] = (int8_t)(w_whole[i] = whole_below(9, (size_t)i, 255) - 127);
    for (int i = 0; i < INPUTS; i++)
        x[i] = (uint8_t)(x_whole[i] = whole_below(10, (size_t)i, 256) - (d.x_signed ? 128 : 0));
    for (int i = 0; i < c->oc; i++) {
        scale[i] = (float)(whole_below(12, (size_t)i, 100) + 1) * 1e-6f;
        bias[i] = (float)whole_below(11, (size_t)i, 9999) * scale[i];
        added[i] = bias[i] / scale[i];
    }
    d.bias = added;
    d.scale = scale;
    k->int8_winograd_size(&d, omp_get_max_threads());
    expect_ok(mien_new_aligned((void **)&packed, d.weights * sizeof *packed));
    expect_ok(mien_new_aligned(&scratch, d.scratch));
    k->int8_winograd_pack(packed, hwio, &d, &fits);
    assert_true(fits);
    k->int8_winograd(y, x, packed, &d, scratch);
    const mien_int8_desc desc = {.linear = {.in = {1, c->ih, c->iw, c->ic},
                                            .out = {1, c->oh, c->ow, c->oc},
                                            .kernel_h = 3,
                                            .kernel_w = 3,
                                            .stride_h = 1,
                                            .stride_w = 1,
                                            .pad_top = c->window.pad_top,
                                            .pad_left = c->window.pad_left},
                                 .x_scale = 1,
                                 .y_scale = 1,
                                 .y = d.y_signed ? MIEN_I8 : MIEN_U8,
                                 .pool = d.pooled ? &pool_2x2 : NULL};
    const int side = d.pooled ? 2 : 1;
    for (int at = 0; at < c->n * (c->oh / side) * (c->ow / side) * c->oc; at++) {
        const float want = exact(&desc, x_whole, w_whole, scale, bias, (size_t)at);
        assert_int_equal(d.y_signed ? (int8_t)y[at] : y[at],
                         body_quantise(want, 1, body_int8_range_of(d.y_signed)));
    }
    mien_free(packed);
    mien_free(scratch);
}

static void test_winograd_builds(void **state) {
    (void)state;
    static const int channels[][2] = {{16, 16}, {32, 40}, {48, 80}, {16, 64}};
    for (int v = 0; v < 48; v++) {
        const char *name;
        const int isa = v % 3, pad = v / 12 % 2, side = v % 2 ? 11 : 10, out = side - 2 + 2 * pad;
        const cpu_kernels *k = reference_isa(isa, &name);
        const cpu_int8 d = {.conv = {2,
                                     side,
                                     side,
                                     channels[v / 3 % 4][0],
                                     out,
                                     out,
                                     channels[v / 3 % 4][1],
                                     {3, 3, 1, 1, pad, pad},
                                     1,
                                     1,
                                     1},
                            .x_signed = v % 5 == 0,
                            .y_signed = v % 7 == 0,
                            .pooled = v / 2 % 2,
                            .vnni = v >= 24 && has_vnni(isa)};
        if (k) check_winograd(k, d);
    }
}

/* ---- loops ---- */

static void test_rounding(void **state) {
    (void)state;
    const body_int8_range u8 = body_int8_range_of(false), s8 = body_int8_range_of(true);
    static const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 254.5f, 255.5f, 1e30f, -1e30f};
    static const int as_u8[] = {0, 2, 2, 0, 0, 254, 255, 255, 0};
    static const int as_s8[] = {0, 2, 2, 0, -2, 127, 127, 127, -128};
    for (int i = 0; i < 9; i++) {
        assert_int_equal(body_quantise(x[i], 1, u8), as_u8[i]);
        assert_int_equal(body_quantise(x[i], 1, s8), as_s8[i]);
    }
    assert_int_equal(body_quantise(NAN, 1, u8), 0);
    for (int isa = 0; isa < 3; isa++) { /* blocked channels become NHWC */
        const char *name;
        const cpu_kernels *k = reference_isa(isa, &name);
        float in[2 * 3 * 16];
        uint8_t q[2 * 3 * 16];
        for (int i = 0; i < 96; i++)
            in[i] = (float)i;
        if (!k) continue;
        k->quantise(q, in, (cpu_dims){1, 1, 3, 32, 16}, 2, false);
        for (int i = 0; i < 96; i++)
            assert_int_equal(q[i], (i % 32 / 16 * 48 + i / 32 * 16 + i % 16) * 2 > 255
                                       ? 255
                                       : (i % 32 / 16 * 48 + i / 32 * 16 + i % 16) * 2);
    }
}

static void check_pool(const cpu_kernels *k, cpu_dims xd, cpu_window p, int oh, bool is_signed) {
    uint8_t x[2 * 81 * 40] = {0}, y[2 * 81 * 40];
    const cpu_dims yd = {xd.n, oh, oh, xd.c, xd.c};
    for (int i = 0; i < xd.n * xd.h * xd.w * xd.c; i++)
        x[i] = (uint8_t)whole_below(5, (size_t)i, 256);
    k->max_pool_int8(y, x, xd, yd, p, is_signed);
    for (int i = 0; i < yd.n * oh * oh * yd.c; i++) {
        const int c = i % yd.c, w = i / yd.c % oh, h = i / yd.c / oh % oh, n = i / yd.c / oh / oh;
        int want = -1000;
        for (int r = 0; r < p.kernel_h; r++)
            for (int s = 0; s < p.kernel_w; s++) {
                const int ih = h * p.stride_h - p.pad_top + r, iw = w * p.stride_w - p.pad_left + s;
                if (ih < 0 || iw < 0 || ih >= xd.h || iw >= xd.w) continue;
                const uint8_t b = x[((n * xd.h + ih) * xd.w + iw) * xd.c + c];
                const int v = is_signed ? (int8_t)b : b;
                want = v > want ? v : want;
            }
        assert_int_equal(is_signed ? (int8_t)y[i] : y[i], want);
    }
}

static void test_pooling(void **state) {
    (void)state;
    static const int channels[] = {3, 7, 24, 40};
    for (int isa = 0; isa < 3; isa++) {
        const char *name;
        const cpu_kernels *k = reference_isa(isa, &name);
        for (int i = 0; k && i < 8; i++) {
            const cpu_dims xd = {2, 9, 9, channels[i % 4], channels[i % 4]};
            check_pool(k, xd, (cpu_window){2, 2, 2, 2, 0, 0}, 4, i >= 4);
            check_pool(k, xd, (cpu_window){2, 2, 2, 2, 1, 1}, 5, i >= 4);
            check_pool(k, xd, (cpu_window){3, 3, 1, 1, 1, 1}, 9, i >= 4);
            check_pool(k, xd, (cpu_window){9, 9, 9, 9, 0, 0}, 1, i >= 4);
        }
    }
}

/* The stem convolution computes in float: the sums of the plain loops, then quantized. */
static void check_stem(const cpu_kernels *k, const cpu_conv *c, bool is_signed) {
    const int taps = c->window.kernel_h * c->window.kernel_w * c->ic;
    const int outputs = c->n * c->oh * c->ow * c->oc;
    float x[2 * 13 * 13 * 4] = {0}, w[50 * 32], b[32], lanes[50 * 32];
    float *y = malloc((size_t)outputs * sizeof *y);
    uint8_t *bytes = malloc((size_t)outputs);
    assert_true(y && bytes);
    for (int i = 0; i < c->n * c->ih * c->iw * c->ic; i++)
        x[i] = (float)noise(6, (size_t)i);
    for (int i = 0; i < taps * c->oc; i++) {
        w[i] = (float)noise(7, (size_t)i);
        const int t = i / c->oc, o = i % c->oc;
        lanes[(o / 16 * taps + t) * 16 + o % 16] = w[i];
    }
    for (int o = 0; o < c->oc; o++)
        b[o] = (float)noise(8, (size_t)o);
    k->conv_forward(y, x, w, b, c);
    float *scratch = malloc(cpu_stem_capacity(c) * sizeof *scratch * (size_t)omp_get_max_threads());
    assert_non_null(scratch);
    k->conv_stem_u8(bytes, x, lanes, b, c, 40, is_signed, scratch);
    free(scratch);
    for (int i = 0; i < outputs; i++)
        assert_int_equal(bytes[i], (uint8_t)body_quantise(y[i], 40, body_int8_range_of(is_signed)));
    free(y);
    free(bytes);
}

static void test_stem(void **state) {
    (void)state;
    for (int isa = 0; isa < 3; isa++) {
        const char *name;
        const cpu_kernels *k = reference_isa(isa, &name);
        for (int v = 0; k && v < 16; v++) {
            const int ic = v % 4 + 1, stride = v / 4 % 2 + 1, pad = v / 8, kernel = v % 3 ? 3 : 2;
            const int out = (13 + 2 * pad - kernel) / stride + 1;
            const cpu_conv c = {
                2, 13, 13, ic, out, out, 32, {kernel, kernel, stride, stride, pad, pad}, 1, 1, 1};
            check_stem(k, &c, v % 5 == 0);
        }
    }
}

int main(int argc, char **argv) {
    (void)argc;
    reference_wait_passively(argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operators),
                                       cmocka_unit_test(test_large_operators),
                                       cmocka_unit_test(test_pooled_operators),
                                       cmocka_unit_test(test_winograd_builds),
                                       cmocka_unit_test(test_rounding),
                                       cmocka_unit_test(test_pooling),
                                       cmocka_unit_test(test_stem)};
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
