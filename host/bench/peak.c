#include "host/bench/peak.h"

#include <string.h>

#include "host/backend/cpu.h"
#include "host/base/clock.h"
#include "kernels/body/rng.h"

enum { COPIES = 6 };
static const double window = 0.2;
static const size_t copy_floats = 16u << 20;

static const mien_cpu *cpu_or_null(const mien_backend *b) {
    return strcmp(b->ops->name, "cpu") == 0 ? cpu_of(b) : NULL;
}

/* Runs the loop for `rounds` iterations; returns the seconds. */
static double loop(const mien_cpu *cpu, long long rounds, double *flops) {
    float sink = 0.75f;
    const double begin = mien_seconds();
    cpu->peak->peak_multiply_add(&sink, rounds, flops);
    return mien_seconds() - begin;
}

/* Normally distributed numbers, the same in every run: a GPU can multiply zeros faster than data,
 * since they need less power. */
static mien_status fill(mien_backend *b, const mien_tensor *x, body_step *state) {
    const mien_dropout normal = {.rate = 1, .stream = RNG_SAMPLE, .state = state};
    return b->ops->noise(b, x, x, &normal);
}

/* The peak of a GPU: a large matrix product in the backend's number type, by its own library. */
static mien_status device_window(mien_peak *peak) {
    enum { PRODUCTS = 8 };
    mien_backend *b = peak->backend;
    const mien_ops *ops = b->ops;
    size_t left, all;
    ops->memory(b, &left, &all);
    const int side =
        left > (size_t)4 << 30 ? 8192 : 64; /* a small product for little memory, as in tests */
    const mien_linear_desc d = {
        .name = "peak", .dense = true, .in = {1, 1, 1, side}, .out = {1, 1, 1, side}};
    const size_t bytes = (size_t)side * (size_t)side * sizeof(float);
    mien_linear *op = NULL;
    void *buffer[4] = {NULL};
    mien_status status;
    double seconds[2];
    MIEN_GO(ops->linear_create(b, &d, &op));
    MIEN_GO(ops->linear_prepare(op, side));
    const size_t sizes[] = {bytes, bytes, ops->linear_scratch_bytes(op), sizeof(body_step)};
    for (int i = 0; i < 4; i++)
        MIEN_GO(ops->alloc(b, sizes[i], &buffer[i])); /* zeroed: seed and step are 0 */
    const mien_tensor x = {{side, 1, 1, side}, b->dtype, side, buffer[0]};
    const mien_tensor y = {{side, 1, 1, side}, b->dtype, side, buffer[1]};
    MIEN_GO(fill(b, &x, buffer[3]));
    for (int i = -1; i < PRODUCTS; i++) {
        if (i == 0) MIEN_GO(ops->timestamp(b, 0));
        MIEN_GO(ops->linear_forward(op, &y, &x, buffer[0], NULL, buffer[2]));
    }
    MIEN_GO(ops->timestamp(b, 1));
    MIEN_GO(ops->timestamps(b, seconds, 2));
    const double rate = PRODUCTS * 2.0 * side * side * side / (seconds[1] > 0 ? seconds[1] : 1);
    if (rate > peak->flops_per_second) peak->flops_per_second = rate;
    peak->windows++;
out:
    for (int i = 0; i < 4; i++)
        if (buffer[i]) ops->free(b, buffer[i]);
    if (op) ops->linear_free(op);
    return status;
}

mien_status mien_peak_window(void *context) {
    mien_peak *peak = context;
    const mien_cpu *cpu = cpu_or_null(peak->backend);
    double flops;
    if (!cpu) return device_window(peak);
    if (!peak->rounds) {
        double seconds = 0;
        for (peak->rounds = 1 << 12; seconds < window / 10; peak->rounds *= 2)
            seconds = loop(cpu, peak->rounds, &flops);
        peak->rounds = (long long)((double)peak->rounds / 2 * window / seconds);
    }
    const double seconds = loop(cpu, peak->rounds, &flops);
    if (flops / seconds > peak->flops_per_second) peak->flops_per_second = flops / seconds;
    peak->windows++;
    return MIEN_OK;
}

const char *mien_peak_isa(const mien_backend *backend) {
    const mien_cpu *cpu = cpu_or_null(backend);
    return cpu ? cpu->peak_isa : NULL;
}

/* Seconds of a copy of `count` floats. */
static mien_status copy_once(mien_backend *b, void *to, void *from, size_t count, double *seconds) {
    const mien_cpu *cpu = cpu_or_null(b);
    double both[2];
    if (cpu) {
        const double begin = mien_seconds();
        cpu->kernels->peak_copy(to, from, count);
        *seconds = mien_seconds() - begin;
        return MIEN_OK;
    }
    const mien_tensor x = {{1, 1, 1, (int)count}, MIEN_F32, (int)count, from};
    const mien_tensor y = {x.shape, MIEN_F32, (int)count, to};
    MIEN_TRY(b->ops->timestamp(b, 0));
    MIEN_TRY(b->ops->copy(b, &y, &x, false));
    MIEN_TRY(b->ops->timestamp(b, 1));
    MIEN_TRY(b->ops->timestamps(b, both, 2));
    *seconds = both[1];
    return MIEN_OK;
}

mien_status mien_copy_bandwidth(mien_backend *b, double *bytes_per_second) {
    void *from = NULL, *to = NULL;
    size_t left, all;
    double seconds;
    mien_status status;
    *bytes_per_second = 0;
    b->ops->memory(b, &left, &all);
    /* larger than the last-level cache, which is up to 126 MB on a GPU */
    const size_t count =
        !cpu_or_null(b) && left > (size_t)4 << 30 ? (size_t)256 << 20 : copy_floats;
    MIEN_GO(b->ops->alloc(b, count * sizeof(float), &from));
    MIEN_GO(b->ops->alloc(b, count * sizeof(float), &to));
    for (int i = 0; i < COPIES; i++) {
        MIEN_GO(copy_once(b, to, from, count, &seconds));
        const double rate = 2.0 * (double)(count * sizeof(float)) / (seconds > 0 ? seconds : 1);
        if (rate > *bytes_per_second) *bytes_per_second = rate;
    }
out:
    if (from) b->ops->free(b, from);
    if (to) b->ops->free(b, to);
    return status;
}
