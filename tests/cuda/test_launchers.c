/* Launchers that run only around a library's convolution: padding, cropping, ReLU mask and bias.
 * Compared with their definitions in plain loops, in all three storage types. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "kernels/body/cast.h"
#include "kernels/cuda/launch.h"
#include "tests/support/test.h"

enum { NUMBERS = CUDA_F16 + 1 };

static size_t count_of(cuda_tensor t) {
    return (size_t)t.n * (size_t)t.h * (size_t)t.w * (size_t)t.c;
}

static float rounded(float x, int number) {
    return number == CUDA_BF16  ? body_from_bf16(body_to_bf16(x))
           : number == CUDA_F16 ? body_from_f16(body_to_f16(x))
                                : x;
}

static uint16_t cast(float x, int number) {
    return number == CUDA_BF16 ? body_to_bf16(x) : body_to_f16(x);
}

/* Multiples of 1/8 in (-1, 1), which all types hold and whose sums are exact in any order. */
static float *make(size_t count, uint32_t seed) {
    float *out = malloc(count * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (float)((int)(seed >> 16) % 15 - 7) / 8;
    }
    return out;
}

/* A tensor in device memory with these values, `shift` elements after an aligned address. */
static cuda_tensor put(const float *values, int number, const int s[4], int shift) {
    cuda_tensor t = {NULL, number, s[0], s[1], s[2], s[3]};
    const size_t count = count_of(t), size = number == CUDA_F32 ? 4 : 2;
    char *buffer = malloc(count * size + 1);
    void *data;
    assert_non_null(buffer);
    for (size_t i = 0; i < count; i++) {
        const uint16_t bits = cast(values[i], number);
        memcpy(buffer + i * size, number == CUDA_F32 ? (const void *)&values[i] : &bits, size);
    }
    assert_int_equal(cudaMalloc(&data, (count + (size_t)shift) * size), cudaSuccess);
    t.data = (char *)data + (size_t)shift * size;
    assert_int_equal(cudaMemcpy(t.data, buffer, count * size, cudaMemcpyHostToDevice), cudaSuccess);
    free(buffer);
    return t;
}

static void drop(cuda_tensor t, int shift) {
    cudaFree((char *)t.data - (size_t)shift * (t.number == CUDA_F32 ? 4 : 2));
}

/* Ends the test unless the tensor holds the numbers, rounded to its type. */
static void expect(cuda_tensor t, const float *want, const char *what, int row) {
    const size_t count = count_of(t), size = t.number == CUDA_F32 ? 4 : 2;
    char *buffer = malloc(count * size + 1);
    assert_non_null(buffer);
    assert_int_equal(cudaMemcpy(buffer, t.data, count * size, cudaMemcpyDeviceToHost), cudaSuccess);
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        float got;
        memcpy(&bits, buffer + i * size, 2);
        memcpy(&got, buffer + i * size, size);
        if (t.number != CUDA_F32)
            got = t.number == CUDA_BF16 ? body_from_bf16(bits) : body_from_f16(bits);
        const float right = rounded(want[i], t.number);
        if (memcmp(&got, &right, sizeof got) != 0)
            fail_msg("%s, row %d: number %zu of %zu is %g, not %g", what, row, i, count,
                     (double)got, (double)right);
    }
    free(buffer);
}

/* ---- pad and crop ---- */

typedef struct frame {
    int small[4], large[4], top, left, shift;
} frame;

static const frame frames[] = {
    {{1, 1, 1, 1}, {1, 3, 3, 1}, 1, 1, 0},
    {{2, 5, 4, 3}, {2, 8, 9, 3}, 0, 2, 0},
    {{3, 6, 7, 16}, {3, 7, 9, 16}, 1, 1, 0},
    {{2, 3, 3, 5}, {2, 3, 3, 8}, 0, 0, 0},
    {{3, 2, 2, 8}, {8, 2, 2, 24}, 0, 0, 0},
    {{2, 4, 5, 16}, {2, 6, 7, 16}, 2, 1, 1},
    {{70, 3, 1, 32}, {70, 5, 2, 40}, 2, 0, 0},
    /* so many channels that each thread handles several positions */
    {{2, 2, 3, 69001}, {2, 3, 4, 69001}, 1, 0, 0},
};

static size_t index_of(const int s[4], int n, int h, int w, int c) {
    return (((size_t)n * (size_t)s[1] + (size_t)h) * (size_t)s[2] + (size_t)w) * (size_t)s[3] +
           (size_t)c;
}

static size_t product(const int s[4]) {
    return index_of(s, s[0], 0, 0, 0);
}

/* Calls `visit` for every element of the small image with its indices in both. */
static void each(const frame *f, void (*visit)(void *, size_t small, size_t large), void *to) {
    for (int n = 0; n < f->small[0]; n++)
        for (int h = 0; h < f->small[1]; h++)
            for (int w = 0; w < f->small[2]; w++)
                for (int c = 0; c < f->small[3]; c++)
                    visit(to, index_of(f->small, n, h, w, c),
                          index_of(f->large, n, h + f->top, w + f->left, c));
}

typedef struct copies {
    const float *from, *relu_mask;
    float *to;
    bool accumulate;
} copies;

static void visit_pad(void *of, size_t small, size_t large) {
    const copies *k = of;
    k->to[large] = k->from[small];
}

static void visit_crop(void *of, size_t small, size_t large) {
    const copies *k = of;
    const float value = !k->relu_mask || k->relu_mask[small] > 0 ? k->from[large] : 0;
    k->to[small] = k->accumulate ? k->to[small] + value : value;
}

static void test_pad(void **state) {
    (void)state;
    for (int i = 0; i < NUMBERS * (int)(sizeof frames / sizeof frames[0]); i++) {
        const frame *f = &frames[i / NUMBERS];
        float *small = make(product(f->small), 3), *large = make(product(f->large), 4);
        const cuda_tensor x = put(small, i % NUMBERS, f->small, f->shift);
        const cuda_tensor y = put(large, i % NUMBERS, f->large, f->shift);
        memset(large, 0, product(f->large) * sizeof *large);
        each(f, visit_pad, &(copies){small, NULL, large, false});
        assert_int_equal(cuda_pad(NULL, y, x, f->top, f->left), 0);
        expect(y, large, "pad", i);
        drop(x, f->shift);
        drop(y, f->shift);
        free(small);
        free(large);
    }
}

static void test_crop(void **state) {
    (void)state;
    for (int i = 0; i < 4 * NUMBERS * (int)(sizeof frames / sizeof frames[0]); i++) {
        const frame *f = &frames[i / NUMBERS / 4];
        const int number = i / 4 % NUMBERS;
        const bool accumulate = i & 1, masked = i & 2;
        float *small = make(product(f->small), 5), *large = make(product(f->large), 6);
        float *relu_mask = make(product(f->small), 7);
        const cuda_tensor y = put(small, number, f->small, f->shift), none = {0};
        const cuda_tensor x = put(large, number, f->large, f->shift);
        const cuda_tensor g = put(relu_mask, number, f->small, f->shift);
        each(f, visit_crop, &(copies){large, masked ? relu_mask : NULL, small, accumulate});
        assert_int_equal(cuda_crop(NULL, y, x, f->top, f->left, masked ? g : none, accumulate), 0);
        expect(y, small, "crop", i);
        drop(x, f->shift);
        drop(y, f->shift);
        drop(g, f->shift);
        free(small);
        free(large);
        free(relu_mask);
    }
}

/* ---- ReLU mask, bias ---- */

static const int shapes[][4] = {{1, 1, 1, 1}, {2, 3, 5, 3},   {7, 3, 3, 17},   {3, 6, 7, 16},
                                {2, 9, 9, 5}, {1, 1, 1, 520}, {300, 1, 1, 40}, {40, 13, 7, 8}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static void test_relu_mask(void **state) {
    (void)state;
    for (int i = 0; i < 2 * NUMBERS * SHAPES; i++) {
        const int *s = shapes[i / 2 / NUMBERS], number = i / 2 % NUMBERS;
        const bool accumulate = i & 1;
        const size_t count = product(s);
        float *to = make(count, 8), *from = make(count, 9), *relu_mask = make(count, 10);
        const cuda_tensor dst = put(to, number, s, 0), src = put(from, number, s, 0);
        const cuda_tensor over = put(relu_mask, number, s, 0);
        for (size_t k = 0; k < count; k++) {
            const float value = relu_mask[k] > 0 ? from[k] : 0;
            to[k] = accumulate ? to[k] + value : value;
        }
        assert_int_equal(cuda_relu_mask(NULL, dst, src, over, accumulate), 0);
        expect(dst, to, "ReLU mask", i);
        drop(dst, 0);
        drop(src, 0);
        drop(over, 0);
        free(to);
        free(from);
        free(relu_mask);
    }
}

/* A bias has the tensor's type, or 16 bits where the tensor is in floats. */
static void test_bias(void **state) {
    (void)state;
    enum { KINDS = 2 * NUMBERS };
    static const int acts[] = {BODY_LINEAR, BODY_RELU, BODY_LEAKY_RELU};
    for (int i = 0; i < 6 * KINDS * SHAPES; i++) {
        const int *s = shapes[i / 6 / KINDS], kind = i / 6 % KINDS, act = acts[i % 3];
        const int number = kind < NUMBERS ? kind : CUDA_F32, of_bias = kind % NUMBERS;
        const bool none = i % 6 > 2;
        const int row[4] = {1, 1, 1, s[3]};
        const size_t count = product(s);
        float *values = make(count, 11), *bias = make((size_t)s[3], 12);
        const int shift = i & 1;
        const cuda_tensor y = put(values, number, s, shift), b = put(bias, of_bias, row, 0);
        for (size_t k = 0; k < count; k++) {
            const float sum = none ? values[k] : values[k] + bias[k % (size_t)s[3]];
            values[k] = body_activate(sum, act, 0.25f);
        }
        const void *given = none ? NULL : b.data;
        if (number == of_bias)
            assert_int_equal(cuda_bias_activation(NULL, y, given, act, 0.25f), 0);
        else
            assert_int_equal(cuda_bias_activation_of(NULL, y, given, of_bias, act, 0.25f), 0);
        expect(y, values, "bias and activation", i);
        drop(y, shift);
        drop(b, 0);
        free(values);
        free(bias);
    }
}

static cuda_workspace open_workspace(void) {
    cuda_workspace buffer;
    assert_int_equal(cudaMalloc(&buffer.data, CUDA_WORKSPACE_TOTAL), cudaSuccess);
    buffer.tickets = (unsigned *)((char *)buffer.data + CUDA_WORKSPACE_BYTES);
    assert_int_equal(cudaMemset(buffer.tickets, 0, 4 * CUDA_TICKETS), cudaSuccess);
    return buffer;
}

static void test_bias_gradient(void **state) {
    (void)state;
    const cuda_workspace buffer = open_workspace();
    for (int i = 0; i < 4 * NUMBERS * SHAPES; i++) {
        const int *s = shapes[i / 4 / NUMBERS], number = i / 4 % NUMBERS;
        const bool accumulate = i & 1;
        const int row[4] = {1, 1, 1, s[3]}, shift = i / 2 % 2;
        const size_t count = product(s);
        float *values = make(count, 13), *sums = make((size_t)s[3], 14);
        const cuda_tensor dy = put(values, number, s, shift), db = put(sums, CUDA_F32, row, 0);
        for (int c = 0; !accumulate && c < s[3]; c++)
            sums[c] = 0;
        for (size_t k = 0; k < count; k++)
            sums[k % (size_t)s[3]] += values[k];
        assert_int_equal(cuda_bias_gradient(NULL, db.data, dy, accumulate, buffer), 0);
        expect(db, sums, "bias gradient", i);
        drop(dy, shift);
        drop(db, 0);
        free(values);
        free(sums);
    }
    /* more channels than the workspace can hold are refused */
    const cuda_tensor wide = {buffer.data, CUDA_F32, 1, 1, 1, CUDA_WORKSPACE_BYTES / 4};
    assert_int_equal(cuda_bias_gradient(NULL, buffer.data, wide, false, buffer),
                     cudaErrorInvalidValue);
    cudaFree(buffer.data);
}

/* Many channels: few blocks, whose threads sum several runs of rows. */
static void test_bias_of_many_channels(void **state) {
    (void)state;
    const cuda_workspace buffer = open_workspace();
    enum { CHANNELS = 16384, ROWS = 1100 };
    const int s[4] = {ROWS, 1, 1, CHANNELS}, row[4] = {1, 1, 1, CHANNELS};
    float *values = make((size_t)ROWS * CHANNELS, 15), *sums = calloc(CHANNELS, sizeof *sums);
    assert_non_null(sums);
    const cuda_tensor dy = put(values, CUDA_F32, s, 0), db = put(sums, CUDA_F32, row, 0);
    for (size_t k = 0; k < (size_t)ROWS * CHANNELS; k++)
        sums[k % CHANNELS] += values[k];
    assert_int_equal(cuda_bias_gradient(NULL, db.data, dy, false, buffer), 0);
    expect(db, sums, "bias gradient", 0);
    drop(dy, 0);
    drop(db, 0);
    cudaFree(buffer.data);
    free(values);
    free(sums);
}

/* Pairs of storage types that no run has, and no kernel is compiled for, are refused. */
static void test_pairs_of_storage(void **state) {
    (void)state;
    float some[4 * 3 * 3] = {0};
    cuda_workspace buffer = {some, NULL};
    body_step step = {0};
    const cuda_tensor f32 = {some, CUDA_F32, 1, 3, 3, 1}, bf16 = {some, CUDA_BF16, 1, 3, 3, 1},
                      f16 = {some, CUDA_F16, 1, 3, 3, 1}, none = {0};
    const cuda_stem stem = {1, 1, false};
    const int refused = cudaErrorInvalidValue;
    assert_int_equal(cuda_softmax(NULL, f16, bf16), refused);
    assert_int_equal(cuda_softmax(NULL, f16, f32), refused);
    assert_int_equal(cuda_softmax_xent(NULL, bf16, f16, some, NULL, 1, &step, buffer), refused);
    assert_int_equal(cuda_softmax_xent(NULL, f32, f16, some, NULL, 1, &step, buffer), refused);
    assert_int_equal(cuda_stem_forward(NULL, bf16, f32, some, NULL, stem), refused);
    assert_int_equal(cuda_stem_filter(NULL, some, NULL, f32, none, bf16, stem, false, buffer),
                     refused);
    assert_int_equal(cuda_stem_filter(NULL, some, NULL, bf16, f32, bf16, stem, false, buffer),
                     refused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_crop),
        cmocka_unit_test(test_relu_mask),
        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_bias_gradient),
        cmocka_unit_test(test_bias_of_many_channels),
        cmocka_unit_test(test_pairs_of_storage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
