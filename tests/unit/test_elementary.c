/* The elementary functions of kernels/body in float, against libm in double. The bounds are the
 * errors measured over these sweeps, rounded up, in ulps of the correct float. */
#include <math.h>
#include <string.h>

#include "kernels/body/activation.h"
#include "kernels/body/rectify.h"
#include "tests/support/test.h"

typedef struct function {
    const char *name;
    float (*ours)(float);
    double (*exact)(double);
    float low, high; /* the sweep */
    double ulp;      /* error bound; 0: use `absolute` instead */
    double absolute;
    int rising; /* 1: monotone up to the error bound; 0: not monotone */
} function;

static float our_exp(float x) {
    return m_exp(x);
}
static float our_log(float x) {
    return m_log(x);
}
static float our_sin(float x) {
    return m_sin(x);
}
static float our_cos(float x) {
    return m_cos(x);
}
static float our_erf(float x) {
    return m_erf(x);
}
static float our_tanh(float x) {
    return body_tanh(x);
}
static float our_sigmoid(float x) {
    return body_sigmoid(x);
}
static float our_gelu(float x) {
    return body_activate(x, BODY_GELU, 1);
}
static float our_swish(float x) {
    return body_activate(x, BODY_SWISH, 1);
}
static float our_elu(float x) {
    return body_activate(x, BODY_ELU, 1);
}
static double exact_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double exact_gelu(double x) {
    return x / 2 * erfc(-x * 0.70710678118654752440);
}
static double exact_swish(double x) {
    return x / (1 + exp(-x));
}
static double exact_elu(double x) {
    return x < 0 ? expm1(x) : x;
}

static const function functions[] = {
    {"exp", our_exp, exp, -87.3f, 88.72f, 1, 0, 1},
    {"log", our_log, log, 1.2e-38f, 3.4e38f, 1.7, 0, 1},
    {"sin", our_sin, sin, -10, 10, 1.5, 0, 0},
    {"cos", our_cos, cos, -10, 10, 1.5, 0, 0},
    {"erf", our_erf, erf, -6, 6, 3.1, 0, 1},
    {"tanh", our_tanh, tanh, -20, 20, 4, 0, 1},
    {"sigmoid", our_sigmoid, exact_sigmoid, -87, 20, 2.6, 0, 1},
    {"swish", our_swish, exact_swish, -80, 10, 3.2, 0, 0},
    /* cancellation: for large negative x only the absolute error is small */
    {"gelu", our_gelu, exact_gelu, -10, 10, 0, 5e-7, 0},
    {"elu", our_elu, exact_elu, -20, 10, 0, 6e-8, 1},
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0], POINTS = 400000 };

/* The distance between neighbouring floats at y. */
static double last_place(double y) {
    const float f = (float)fabs(y);
    return (double)nextafterf(f, INFINITY) - (double)f;
}

/* Point i of a sweep over all magnitudes. */
static float point(const function *f, int i) {
    const float edge = i % 2 ? f->high : f->low;
    const float small = f->low > 0 ? f->low : 1e-6f;
    if (f->low > 0 || i % 4 < 2) { /* logarithmic spacing */
        const double top = f->low > 0 ? (double)f->high : fabs((double)edge);
        const float x = (float)((double)small * pow(top / (double)small, i / (POINTS - 1.0)));
        return edge < 0 ? -x : x;
    }
    return (float)((double)f->low + ((double)f->high - (double)f->low) * i / (POINTS - 1.0));
}

static void test_errors(void **state) {
    (void)state;
    for (int k = 0; k < FUNCTIONS; k++) {
        const function *f = &functions[k];
        double worst = 0;
        float where = 0;
        for (int i = 0; i < POINTS; i++) {
            const float x = point(f, i);
            if (x < f->low || x > f->high) continue;
            const double y = f->exact((double)x), gap = fabs((double)f->ours(x) - y);
            const double error = f->ulp > 0 ? gap / last_place(y) : gap;
            if (error > worst || error != error) {
                worst = error;
                where = x;
            }
        }
        print_message("# %s: %.3g %s at %.9g\n", f->name, worst, f->ulp > 0 ? "ulp" : "absolute",
                      (double)where);
        if (!(worst <= (f->ulp > 0 ? f->ulp : f->absolute)))
            fail_msg("%s(%.9g) is %.3g away, %.9g instead of %.9g", f->name, (double)where, worst,
                     (double)f->ours(where), f->exact((double)where));
    }
}

/* Between neighbouring points a monotone function falls by no more than its error. */
static void test_monotone(void **state) {
    (void)state;
    for (int k = 0; k < FUNCTIONS; k++) {
        const function *f = &functions[k];
        for (int i = 0; f->rising && i < POINTS; i++) {
            const float x = point(f, i), next = nextafterf(x, INFINITY);
            if (x < f->low || next > f->high) continue;
            const double a = (double)f->ours(x), b = (double)f->ours(next);
            const double slack = f->ulp > 0 ? 2 * f->ulp * last_place(a) : 2 * f->absolute;
            if (!(b >= a - slack)) fail_msg("%s falls at %.9g", f->name, (double)x);
        }
    }
}

/* The limits at both ends of the axis are reached and not exceeded. */
static void test_limits(void **state) {
    (void)state;
    assert_true(m_exp(0) == 1 && m_log(1) == 0 && m_sin(0) == 0 && m_cos(0) == 1 && m_erf(0) == 0);
    assert_true(m_exp(-INFINITY) == 0 && m_exp(-1000) == 0 && m_exp(-87.34f) == 0);
    assert_true(m_exp(INFINITY) == INFINITY && m_exp(89) == INFINITY);
    assert_true(m_exp(88.72283f) < INFINITY && m_exp(-87.336f) > 0);
    assert_true(m_log(0) == -INFINITY && m_log(1e-40f) == -INFINITY && m_log(INFINITY) == INFINITY);
    assert_true(isnan(m_log(-1)) && isnan(m_log(-INFINITY)));
    assert_true(m_erf(INFINITY) == 1 && m_erf(-INFINITY) == -1);
    assert_true(body_tanh(INFINITY) == 1 && body_tanh(-INFINITY) == -1 && body_tanh(100) == 1);
    assert_true(body_sigmoid(INFINITY) == 1 && body_sigmoid(-INFINITY) == 0);
    for (float x = -120; x < 120; x += 0.0137f) {
        assert_true(fabsf(m_erf(x)) <= 1 && fabsf(body_tanh(x)) <= 1);
        assert_true(body_sigmoid(x) >= 0 && body_sigmoid(x) <= 1 && m_exp(x) >= 0);
        assert_true(m_erf(-x) == -m_erf(x) && body_tanh(-x) == -body_tanh(x));
    }
    for (float x = -10; x <= 10; x += 0.0137f)
        assert_true(fabsf(m_sin(x)) <= 1 && fabsf(m_cos(x)) <= 1);
}

/* Every function and activation propagates NaN. */
static void test_nan(void **state) {
    (void)state;
    for (int k = 0; k < FUNCTIONS; k++)
        if (strcmp(functions[k].name, "sin") != 0 && strcmp(functions[k].name, "cos") != 0)
            assert_true(isnan(functions[k].ours(NAN)));
    for (int act = BODY_LINEAR; act < BODY_SOFTMAX; act++)
        assert_true(isnan(body_activate(NAN, act, 0.2f)));
}

/* The slopes at the kinks are those of Keras 3. */
static void test_kinks(void **state) {
    (void)state;
    static const struct {
        int act;
        float alpha, y, slope;
    } bends[] = {
        {BODY_RELU, 0, 0, 0},
        {BODY_RELU6, 0, 0, 0},
        {BODY_RELU6, 0, 6, 0},
        {BODY_LEAKY_RELU, 0.3f, 0, 0.3f},
        {BODY_LEAKY_RELU, 0.3f, -0.0f, 0.3f},
        {BODY_ELU, 0.7f, 0, 0.7f},
        {BODY_ELU, 1, 0, 1},
        {BODY_SELU, 0, 0, BODY_SELU_SCALE},
    };
    for (size_t i = 0; i < sizeof bends / sizeof bends[0]; i++)
        if (body_activation_slope(0, bends[i].y, bends[i].act, bends[i].alpha) != bends[i].slope)
            fail_msg("activation %d: a slope of %g at %g", bends[i].act,
                     (double)body_activation_slope(0, bends[i].y, bends[i].act, bends[i].alpha),
                     (double)bends[i].y);
    assert_true(body_prelu_slope(0, 0.25f) == 0);
}

static void test_relu_kinks(void **state) {
    (void)state;
    static const struct {
        body_rectifier r;
        float x, slope;
    } bends[] = {
        {{INFINITY, 0, 0}, 0, 0},       {{INFINITY, 0.2f, 0}, 0, 0.2f},
        {{INFINITY, 0, 0.3f}, 0.3f, 0}, {{INFINITY, 0.2f, 0.3f}, 0.3f, 0},
        {{1.5f, 0, 0}, 0, 0},           {{1.5f, 0.2f, 0}, 0, 0},
        {{1.5f, 0.2f, 0.3f}, 0.3f, 0},  {{1.5f, 0.2f, 0.3f}, 0.2f, 0.2f},
        {{1.5f, 0.2f, 0.3f}, 1.5f, 1},  {{1.5f, 0.2f, 0.3f}, 1.6f, 0},
    };
    for (size_t i = 0; i < sizeof bends / sizeof bends[0]; i++)
        if (body_rectify_slope(bends[i].x, bends[i].r) != bends[i].slope)
            fail_msg("row %zu: a slope of %g at %g", i,
                     (double)body_rectify_slope(bends[i].x, bends[i].r), (double)bends[i].x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors), cmocka_unit_test(test_monotone),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_nan),
        cmocka_unit_test(test_kinks),  cmocka_unit_test(test_relu_kinks),
    };
    return cmocka_run_group_tests_name("elementary functions", tests, NULL, NULL);
}
