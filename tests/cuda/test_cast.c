/* Conversions between floats and halves: on the device the bits of the C code, for all halves and
 * for floats around every number that a half can be or be rounded to; and the C code computes what
 * the instructions of a GPU do, by their description in the PTX ISA. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/body/cast.h"
#include "tests/cuda/pair.h"
#include "tests/support/test.h"

enum { HALVES = 1 << 16 };

/* cvt.rn.f16.f32: to nearest, ties to even, with subnormal results; NaN becomes 0x7fff. */
static uint16_t cvt_rn_f16_f32(float x) {
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    const double size = fabs((double)x);
    if (isnan(x)) return 0x7fff;
    if (size == 0) return sign;
    if (isinf(x)) return sign | 0x7c00;
    const int exponent = ilogb(size) > -14 ? ilogb(size) : -14;
    const double rounded = nearbyint(ldexp(size, 10 - exponent)); /* of 2^(exponent - 10) */
    if (ldexp(rounded, exponent - 10) >= 65536) return sign | 0x7c00;
    return (uint16_t)(sign + (uint16_t)rounded + (uint16_t)((exponent + 14) << 10));
}

/* mul.ftz.f16 by 1, then cvt.f32.f16: subnormal halves become zeros of their sign, NaN 0x7fffffff.
 */
static uint32_t cvt_f32_f16_flushed(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    double size = 0;
    if (exponent == 31 && fraction) return 0x7fffffff;
    if (exponent == 31) size = INFINITY;
    if (exponent > 0 && exponent < 31) size = ldexp(1024 + fraction, exponent - 25);
    return body_to_bits((float)(bits & 0x8000 ? -size : size));
}

static mien_tensor tensor_of(mien_dtype dtype, int count, const void *values, size_t bytes) {
    void *data = device_copy(pair_cuda(), values, bytes);
    return (mien_tensor){{1, 1, 1, count}, dtype, count, data};
}

/* `count` numbers of one type as the other, by the kernel that copies. */
static void convert(void *to, mien_dtype to_type, const void *from, mien_dtype from_type,
                    int count) {
    mien_backend *b = pair_cuda();
    const size_t bytes = (size_t)count * mien_dtype_bytes(to_type);
    mien_tensor x = tensor_of(from_type, count, from, (size_t)count * mien_dtype_bytes(from_type));
    mien_tensor y = tensor_of(to_type, count, NULL, bytes);
    expect_ok(b->ops->copy(b, &y, &x, false));
    expect_ok(b->ops->copy_out(b, to, y.data, bytes));
    b->ops->free(b, x.data);
    b->ops->free(b, y.data);
}

static void test_all_halves(void **state) {
    (void)state;
    uint16_t *halves = malloc(HALVES * sizeof *halves);
    uint32_t *floats = malloc(HALVES * sizeof *floats);
    assert_true(halves && floats);
    for (int i = 0; i < HALVES; i++)
        halves[i] = (uint16_t)i;
    convert(floats, MIEN_F32, halves, MIEN_F16, HALVES);
    for (int i = 0; i < HALVES; i++) {
        assert_int_equal(floats[i], cvt_f32_f16_flushed((uint16_t)i));
        assert_int_equal(floats[i], body_to_bits(body_from_f16((uint16_t)i)));
    }
    free(halves);
    free(floats);
}

/* Floats next to all halves, to all midpoints between two, and random ones; returns how many. */
static int make_floats(uint32_t *bits) {
    enum { NEAR = 2, RANDOM = 1 << 18 };
    int n = 0;
    for (uint32_t half = 0; half <= 0x7c00; half++)
        for (uint32_t middle = 0; middle < 2; middle++) {
            /* as if a half had any exponent: what below 2^-14 rounds as numbers above do */
            const uint32_t centre = (half << 13) + 0x38000000u + (middle << 12);
            /* and with its subnormal numbers */
            const uint32_t other = body_to_bits((float)ldexp(half + 0.5 * middle, -24));
            for (int k = -NEAR; k <= NEAR; k++) {
                bits[n++] = centre + (uint32_t)k;
                bits[n++] = (other + (uint32_t)k) | 0x80000000u;
            }
        }
    for (uint32_t i = 0; i < RANDOM; i++)
        bits[n++] = i * 2654435761u; /* spread over all bit patterns */
    return n;
}

static void test_floats(void **state) {
    (void)state;
    enum { MOST = 1 << 20 };
    uint32_t *floats = malloc(MOST * sizeof *floats);
    uint16_t *halves = malloc(MOST * sizeof *halves);
    assert_true(floats && halves);
    const int count = make_floats(floats);
    assert_in_range(count, 1, MOST);
    convert(halves, MIEN_F16, floats, MIEN_F32, count);
    for (int i = 0; i < count; i++) {
        const float x = body_from_bits(floats[i]);
        const bool flushed = fabsf(x) < 0x1p-14f - 0x1p-26f;
        const uint16_t want = cvt_rn_f16_f32(flushed ? copysignf(0, x) : x);
        if (body_to_f16(x) != want || halves[i] != want)
            fail_msg("0x%08x becomes 0x%04x on the device, 0x%04x in C, not 0x%04x", floats[i],
                     halves[i], body_to_f16(x), want);
    }
    free(floats);
    free(halves);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_halves),
                                       cmocka_unit_test(test_floats)};
    return pair_run_f32(tests, sizeof tests / sizeof tests[0]);
}
