/* The weight gradient of a 3x3 convolution in Winograd's form: the transpose of the forward pass.
 * For every point, du = sum over tiles of v (x) z, with v the transformed input as in the forward
 * pass and z the transformed gradient; dw is computed from du at the end.
 *
 * The rows are summed in slices, and the slices are added up in order: the result depends on their
 * size, not on the number of threads. Each thread sums a slice into a du of its own. Where that
 * would take too much memory (many channels) the threads share one du: tiles are divided for the
 * transforms, points for the products, with a barrier after each. */
#include "kernels/cpu/winograd.h"

#include <omp.h>

TILE_PRODUCT(4, 1)
TILE_PRODUCT(4, 2)
TILE_PRODUCT(4, 4)

enum {
    GROUP_BYTES = 1 << 20, /* of transformed tiles in a group */
    OWN_BYTES = 8 << 20,   /* of a thread's sums; above it they share one */
    ALL_BYTES = 32 << 20,  /* of all threads' sums together: limits how many there are */
    FEW_BYTES = 4 << 20,   /* up to here more slices have sums: there is less to wait for */
    PAD = 16,
    ROWS = 4,
    BIAS_PLANE = POINTS /* after the points: sums of the gradient, for the bias */
};

typedef struct buffers {
    real *v, *z;
    size_t v_plane, z_plane;
} buffers;

/* Of a slice. */
typedef struct sums {
    real *du, *db;
    size_t du_plane;
} sums;

static size_t round_up(size_t count) {
    return (count + PAD - 1) / PAD * PAD;
}

/* A thread's part of the scratch memory. */
static buffers divide(const cpu_winograd *d, real *scratch, int thread) {
    buffers r = {.v_plane = (size_t)d->group * (size_t)d->ic + PAD,
                 .z_plane = (size_t)d->group * (size_t)d->oc + PAD};
    r.v = scratch + (size_t)thread * d->capacity;
    r.z = r.v + POINTS * r.v_plane;
    return r;
}

/* The sums of a slice, after the parts of `threads` threads. */
static sums sums_at(const cpu_winograd *d, real *scratch, int part) {
    sums s = {.du_plane = (size_t)d->ic * (size_t)d->oc};
    s.du = scratch + (size_t)d->threads * d->capacity + (size_t)part * d->sums;
    s.db = s.du + POINTS * s.du_plane;
    return s;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

void CPU(winograd_filter_size)(cpu_winograd *d, int threads) {
    const size_t row = sizeof(real) * POINTS * ((size_t)d->ic + (size_t)d->oc);
    const size_t bytes = sizeof(real) * POINTS * (size_t)d->ic * (size_t)d->oc;
    const int per_row = winograd_across(d->oh) * winograd_across(d->ow);
    d->lanes = LANES;
    d->tiles = d->n * per_row;
    d->shared = bytes > OWN_BYTES;
    const int rows = d->shared ? d->shared_slice : d->slice;
    d->share = rows > 0 && rows < d->n ? rows * per_row : d->tiles;
    const int slices = (d->tiles + d->share - 1) / d->share;
    const int own = least(threads, (int)(ALL_BYTES / bytes)), few = (int)(FEW_BYTES / bytes);
    d->parts = d->shared ? 1 : least(slices, few > own ? few : own);
    d->threads = d->shared ? 1 : threads;
    int most = (int)(GROUP_BYTES / row);
    /* balances the memory traffic: `du` is read and written once per group */
    const int balanced = d->ic * d->oc / (d->ic + d->oc);
    if (most < balanced) most = balanced;
    const int groups = (d->share + most - 1) / most;
    d->group = (d->share + groups - 1) / groups;
    const buffers r = divide(d, NULL, 0);
    d->capacity = round_up(POINTS * (r.v_plane + r.z_plane) + r.z_plane);
    d->sums = round_up(bytes / sizeof(real) + (size_t)d->oc);
    d->scratch = (d->capacity * (size_t)d->threads + d->sums * (size_t)d->parts) * sizeof(real);
}

static void take_border(vec in[4][4], const real *corner, int w, int rows, int columns) {
    for (int i = 0; i < TILE_OUT; i++)
        for (int j = 0; j < TILE_OUT; j++)
            in[i][j] = i < rows && j < columns
                           ? vec_load(corner + ((size_t)i * (size_t)w + (size_t)j) * LANES)
                           : vec_all(0);
}

/* Transforms the gradient's 4x4 pixels of one channel block, zeros outside of the image, and stores
 * their sum for the bias. */
static void take_gradient(real *z, size_t plane, const real *corner, int w, int rows, int columns) {
    vec sum = {0};
#define PUT(i, row)                                                                                \
    _Pragma("GCC unroll 6") for (int j = 0; j < 6; j++)                                            \
        vec_store(z + (size_t)(6 * (i) + j) * plane, (row)[j])
    if (rows >= TILE_OUT && columns >= TILE_OUT) {
        const size_t down = (size_t)w * LANES;
        for (size_t i = 0; i < TILE_OUT; i++)
            sum +=
                (vec_load(corner + i * down) + vec_load(corner + i * down + LANES)) +
                (vec_load(corner + i * down + 2 * LANES) + vec_load(corner + i * down + 3 * LANES));
#define TAKE(i, j) vec_load(corner + (size_t)(i)*down + (j)*LANES)
        WINOGRAD_BOTH_WAYS(winograd_gradient, 4, 6, TAKE, PUT);
#undef TAKE
    } else {
        vec in[4][4];
        take_border(in, corner, w, rows, columns);
        for (int i = 0; i < TILE_OUT; i++)
            for (int j = 0; j < TILE_OUT; j++)
                sum += in[i][j];
#define TAKE(i, j) in[i][j]
        WINOGRAD_BOTH_WAYS(winograd_gradient, 4, 6, TAKE, PUT);
#undef TAKE
    }
#undef PUT
    vec_store(z + BIAS_PLANE * plane, sum);
}

static void transform_tile(const buffers *r, const real *dy, const real *x, const cpu_winograd *d,
                           int tile, int t) {
    const winograd_tile at = winograd_tile_of(d, tile);
    const size_t in = (size_t)d->ih * (size_t)d->iw, out = (size_t)d->oh * (size_t)d->ow;
    for (int c = 0; c < d->ic; c += LANES)
        winograd_take_input(r->v + (size_t)t * (size_t)d->ic + c, r->v_plane,
                            x + ((size_t)at.n * (size_t)d->ic + (size_t)c) * in, at.y - d->pad_top,
                            at.x - d->pad_left, d->ih, d->iw);
    for (int k = 0; k < d->oc; k += LANES)
        take_gradient(r->z + (size_t)t * (size_t)d->oc + k, r->z_plane,
                      dy + ((size_t)at.n * (size_t)d->oc + (size_t)k) * out +
                          ((size_t)at.y * (size_t)d->ow + (size_t)at.x) * LANES,
                      d->ow, d->oh - at.y, d->ow - at.x);
}

/* One point, LANES input channels, all outputs. */
static void multiply(const buffers *r, const sums *s, const cpu_winograd *d, int point, int c0,
                     int count, bool add) {
    const tile_product t = {.a_row = 1,
                            .a_step = (size_t)d->ic,
                            .b_step = (size_t)d->oc,
                            .c_row = (size_t)d->oc,
                            .depth = count,
                            .add = add};
    for (int k = 0; k < d->oc;) {
        const int columns = winograd_columns(k, d->oc);
        const real *b = r->z + (size_t)point * r->z_plane + k;
        for (int c = c0; c < c0 + LANES; c += ROWS) {
            const real *a = r->v + (size_t)point * r->v_plane + c;
            real *du = s->du + (size_t)point * s->du_plane + (size_t)c * (size_t)d->oc + k;
            if (columns == 1)
                tile_4x1(du, a, b, t);
            else if (columns == 2)
                tile_4x2(du, a, b, t);
            else
                tile_4x4(du, a, b, t);
        }
        k += columns * LANES;
    }
}

static void sum_bias(const buffers *r, const sums *s, const cpu_winograd *d, int k, int count,
                     bool add) {
    vec sum = add ? vec_load(s->db + k) : vec_all(0);
    for (int t = 0; t < count; t++)
        sum += vec_load(r->z + BIAS_PLANE * r->z_plane + (size_t)t * (size_t)d->oc + k);
    vec_store(s->db + k, sum);
}

/* The tiles [first, last), by one thread. */
static void sum_own(const buffers *r, const sums *s, const real *dy, const real *x,
                    const cpu_winograd *d, int first, int last) {
    for (int start = first; start < last; start += d->group) {
        const int count = least(last - start, d->group);
        for (int t = 0; t < count; t++)
            transform_tile(r, dy, x, d, start + t, t);
        for (int p = 0; p < POINTS; p++)
            for (int c = 0; c < d->ic; c += LANES)
                multiply(r, s, d, p, c, count, start > first);
        for (int k = 0; k < d->oc; k += LANES)
            sum_bias(r, s, d, k, count, start > first);
    }
}

/* The same by all threads together; called by each of them. */
static void sum_together(const buffers *r, const sums *s, const real *dy, const real *x,
                         const cpu_winograd *d, int first, int last) {
    for (int start = first; start < last; start += d->group) {
        const int count = least(last - start, d->group);
#pragma omp for schedule(static)
        for (int t = 0; t < count; t++)
            transform_tile(r, dy, x, d, start + t, t);
#pragma omp for schedule(static) collapse(2) nowait
        for (int p = 0; p < POINTS; p++)
            for (int c = 0; c < d->ic; c += LANES)
                multiply(r, s, d, p, c, count, start > first);
#pragma omp for schedule(static)
        for (int k = 0; k < d->oc; k += LANES)
            sum_bias(r, s, d, k, count, start > first);
    }
}

/* Adds the gradients of `parts` slices, in order, for input c and the outputs k... */
static void finish(real *dw, const sums *s, const cpu_winograd *d, int parts, int c, int k,
                   bool add) {
    const size_t tap = (size_t)d->ic * (size_t)d->oc, at = (size_t)c * (size_t)d->oc + (size_t)k;
    for (int part = 0; part < parts; part++) {
        const real *du = s->du + (size_t)part * d->sums + at;
        real *to = dw + at;
        const bool adds = add || part > 0;
#define TAKE(i, j) vec_load(du + (size_t)(6 * (i) + (j)) * s->du_plane)
#define PUT(i, row)                                                                                \
    _Pragma("GCC unroll 3") for (int j = 0; j < 3; j++) {                                          \
        real *out = to + (size_t)(3 * (i) + j) * tap;                                              \
        vec_store(out, adds ? (row)[j] + vec_load(out) : (row)[j] + vec_all(0));                   \
    }
        WINOGRAD_BOTH_WAYS(winograd_weight_gradient, 6, 3, TAKE, PUT);
#undef PUT
#undef TAKE
    }
}

static void finish_bias(real *db, const sums *s, const cpu_winograd *d, int parts, bool add) {
    for (int part = 0; part < parts; part++)
        for (int k = 0; k < d->oc; k += LANES) {
            const vec sum = vec_load(s->db + (size_t)part * d->sums + k);
            vec_store(db + k, add || part > 0 ? sum + vec_load(db + k) : sum);
        }
}

/* Sums the slices from tile `first` on into `parts` sets of sums; called by each thread. */
static void sum_slices(const real *dy, const real *x, const cpu_winograd *d, int first, int parts,
                       real *scratch) {
    if (d->shared) {
        const buffers all = divide(d, scratch, 0);
        const sums s = sums_at(d, scratch, 0);
        sum_together(&all, &s, dy, x, d, first, least(first + d->share, d->tiles));
        return;
    }
    const buffers own = divide(d, scratch, omp_get_thread_num());
#pragma omp for schedule(dynamic)
    for (int part = 0; part < parts; part++) {
        const sums s = sums_at(d, scratch, part);
        const int start = first + part * d->share;
        sum_own(&own, &s, dy, x, d, start, least(start + d->share, d->tiles));
    }
}

void CPU(winograd_filter)(real *dw, real *db, const real *dy, const real *x, const cpu_winograd *d,
                          bool accumulate, real *scratch) {
    const sums all = sums_at(d, scratch, 0);
    for (int first = 0, parts; first < d->tiles; first += parts * d->share) {
        const bool add = accumulate || first > 0;
        parts = least(d->parts, (d->tiles - first + d->share - 1) / d->share);
#pragma omp parallel
        {
            sum_slices(dy, x, d, first, parts, scratch);
#pragma omp for schedule(static) collapse(2)
            for (int c = 0; c < d->ic; c++)
                for (int k = 0; k < d->oc; k += LANES)
                    finish(dw, &all, d, parts, c, k, add);
        }
        if (db) finish_bias(db, &all, d, parts, add);
    }
}
