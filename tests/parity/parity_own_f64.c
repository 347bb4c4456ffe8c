/* Own convolutions in double against the definition: only rounding may differ, so that the error of
 * float cannot hide a wrong coefficient or border. */
#define MIEN_REAL_DOUBLE
#include "tests/parity/own.h"

static const double most = 1e-13;
enum { LANES_F64 = 8 };

/* A copy of `from`, NULL: zeros; the caller frees it. */
static double *copy(const double *from, size_t count) {
    double *out = numbers(count);
    if (from) memcpy(out, from, count * sizeof *out);
    return out;
}

own_results own_expected(const own_case *t, const own_inputs *in) {
    const cpu_kernels *k = &cpu_kernels_f64;
    const cpu_conv c = own_conv(t);
    own_results out = {{copy(NULL, own_count(t, OWN_Y)), copy(in->dx, own_count(t, OWN_DX)),
                        copy(in->dw, own_count(t, OWN_DW)), copy(in->db, own_count(t, OWN_DB))}};
    k->conv_forward(out.of[OWN_Y], in->x, in->w, t->bias ? in->bias : NULL, &c);
    for (size_t i = 0; t->relu && i < own_count(t, OWN_Y); i++)
        if (out.of[OWN_Y][i] < 0) out.of[OWN_Y][i] = 0;
    k->conv_backward_data(out.of[OWN_DX], in->dy, in->w, &c, t->accumulate);
    for (size_t i = 0; t->relu_mask && i < own_count(t, OWN_DX); i++)
        if (in->relu_mask[i] <= 0) out.of[OWN_DX][i] = 0;
    k->conv_backward_filter(out.of[OWN_DW], out.of[OWN_DB], in->dy, in->x, &c, t->accumulate);
    return out;
}

static void check(own_run run, own_case t, int threads, const char *what) {
    own_inputs in = own_make(&t);
    own_results want = own_expected(&t, &in), got = run(&cpu_kernels_f64, &t, &in, threads);
    own_compare(&t, &got, &want, most, what);
    own_free_results(&want);
    own_free_results(&got);
    own_free_inputs(&in);
}

enum { NUMBERS = 9 };

/* Every row {batch, height, width, inputs, blocks of outputs, padding} with four of the 16
 * combinations of what is fused, and with 1 to 3 threads. */
static void check_rows(own_run run, const int rows[][NUMBERS], size_t count, int input_block,
                       const char *what) {
    for (size_t i = 0; i < count; i++)
        for (size_t way = 0; way < 4; way++) {
            const size_t bits = 5 * (i + way);
            const int *r = rows[i];
            const own_case t = {r[0],    r[1], r[2], r[3] * input_block, r[4] * LANES_F64, r[5],
                                r[6],    r[7], r[8], bits & 1,           bits & 2,         bits & 4,
                                bits & 8};
            check(run, t, 1 + (int)way % 3, what);
        }
}

void test_winograd_algebra(void **state) {
    (void)state;
    static const int rows[][NUMBERS] = {
        {1, 3, 3, 1, 1, 0, 0, 0, 0},   {3, 3, 3, 1, 2, 1, 1, 1, 1},   {1, 4, 4, 2, 1, 1, 1, 1, 1},
        {2, 5, 5, 3, 1, 1, 1, 1, 1},   {1, 6, 6, 1, 3, 0, 0, 0, 0},   {3, 7, 5, 2, 3, 0, 1, 1, 0},
        {16, 8, 8, 1, 4, 1, 1, 1, 1},  {17, 6, 7, 4, 1, 0, 0, 0, 0},  {1, 9, 10, 5, 7, 1, 0, 0, 1},
        {3, 13, 11, 7, 5, 1, 1, 1, 1}, {1, 11, 13, 2, 2, 0, 0, 2, 2}, {2, 12, 12, 1, 5, 2, 2, 0, 0},
        {1, 46, 46, 2, 3, 1, 1, 1, 1}, {1, 46, 46, 1, 2, 0, 0, 0, 0}, {1, 4, 17, 1, 1, 2, 1, 2, 1},
        {5, 3, 12, 3, 4, 1, 2, 1, 2},
    };
    check_rows(own_winograd, rows, sizeof rows / sizeof rows[0], LANES_F64, "Winograd in double");
}

/* So many channels that all threads share one set of sums. */
void test_winograd_shared_sums(void **state) {
    (void)state;
    const own_case t = {1, 5, 6, 256, 296, 1, 1, 1, 1, true, false, false, true};
    cpu_winograd d = own_form(&t, false);
    cpu_kernels_f64.winograd_filter_size(&d, 2);
    assert_int_equal(d.parts, 1);
    check(own_winograd, t, 2, "Winograd in double");
}

void test_stem_algebra(void **state) {
    (void)state;
    static const int rows[][NUMBERS] = {
        {1, 3, 3, 1, 1, 0, 0, 0, 0},   {1, 3, 3, 3, 2, 1, 1, 1, 1},   {2, 1, 1, 1, 1, 1, 1, 1, 1},
        {1, 1, 9, 2, 3, 1, 1, 1, 1},   {3, 9, 1, 4, 1, 1, 1, 1, 1},   {16, 8, 8, 1, 4, 1, 1, 1, 1},
        {17, 7, 14, 1, 3, 0, 0, 0, 0}, {1, 10, 15, 2, 5, 1, 0, 0, 1}, {3, 13, 11, 3, 4, 0, 1, 1, 0},
        {1, 48, 48, 1, 4, 0, 0, 0, 0}, {1, 48, 48, 3, 2, 1, 1, 1, 1}, {2, 19, 13, 4, 3, 2, 2, 2, 2},
        {1, 17, 6, 2, 1, 0, 2, 2, 0},
    };
    check_rows(own_stem, rows, sizeof rows / sizeof rows[0], 1, "first layer in double");
}
