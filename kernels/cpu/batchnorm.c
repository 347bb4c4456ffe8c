/* Batch normalisation, limited by memory bandwidth only. Sums run over rows of up to ROW elements,
 * each of a fixed channel, in float over short runs and in double from there on. Tasks depend on
 * the shape alone, so that no result depends on the number of threads. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

/* Compiles each case separately, with its conditions resolved. */
#define INLINE static inline __attribute__((always_inline))

/* ROW: elements of a row; RUN: rows added up in float; SUMS: (channel, chunk) sums kept at a time.
 */
enum { ROW = 64, RUN = 32, SUMS = 4096, CHUNKS = 64, WIDE = 4 * LANES };

/* Channels c .. c + lanes - 1 of a plane, viewed as `rows` rows followed by `rest` elements. With a
 * small channel block a row spans several pixels: element i belongs to channel c + i % lanes. */
typedef struct strip {
    int c, lanes, width, rows, rest;
    size_t stride; /* from row to row */
} strip;

static strip strip_at(cpu_dims d, int c) {
    const int left = d.block - c % d.block, lanes = left < ROW ? left : ROW;
    const int together = lanes == d.block ? ROW / lanes : 1, pixels = d.h * d.w;
    const int width = lanes * together;
    const size_t stride = (size_t)(together > 1 ? width : d.block);
    return (strip){c, lanes, width, pixels / together, pixels % together * lanes, stride};
}

static size_t strip_start(cpu_dims d, const strip *s, int n) {
    return cpu_plane(d, n, s->c / d.block) + (size_t)(s->c % d.block);
}

/* How the work is divided: a task is one strip and one chunk of the images, in memory order. The
 * sums of a group of strips are kept together; up to 512 channels all strips are one group. */
typedef struct cut {
    int of_block, strips, size, chunks, group; /* size: channels of a strip, at most */
} cut;

static cut cut_of(cpu_dims d) {
    const int size = d.block < ROW ? d.block : ROW, of_block = (d.block + ROW - 1) / ROW;
    const int strips = d.c / d.block * of_block, tasks = SUMS / size;
    int chunks = body_clamp_int(tasks / strips, 8, CHUNKS);
    chunks = chunks < d.n ? chunks : d.n;
    return (cut){of_block, strips, size, chunks, tasks / chunks};
}

static strip nth_strip(cpu_dims d, const cut *c, int index) {
    return strip_at(d, index / c->of_block * d.block + index % c->of_block * ROW);
}

static int chunk_start(cpu_dims d, const cut *c, int chunk) {
    return (int)((long long)d.n * chunk / c->chunks);
}

/* The constants of each channel, laid out like a row. */
typedef struct constants {
    real mean[ROW], inverse[ROW], scale[ROW], shift[ROW], mean_dy[ROW], mean_dot[ROW];
} constants;

/* Repeats the values of a strip's channels to the width of its row. */
static void repeat(real *row, const strip *s) {
    for (int i = s->lanes; i < s->width; i++)
        row[i] = row[i - s->lanes];
}

static void constants_of(constants *k, const cpu_batchnorm *b, const strip *s) {
    for (int i = 0; i < s->lanes; i++) {
        const int c = s->c + i;
        k->mean[i] = b->mean[c];
        k->inverse[i] = b->frozen ? body_inverse_std(b->std[c], b->epsilon) : b->std[c];
        k->scale[i] = body_bn_scale(b->gamma ? b->gamma[c] : 1, k->inverse[i]);
        k->shift[i] = body_bn_shift(b->beta ? b->beta[c] : 0, k->mean[i], k->scale[i]);
    }
    repeat(k->mean, s);
    repeat(k->inverse, s);
    repeat(k->scale, s);
    repeat(k->shift, s);
}

/* An estimate of each channel's mean: deviations from it have small squares. */
static void centre_of(real *centre, const real *x, cpu_dims d, const strip *s) {
    enum { SAMPLES = 4 };
    const size_t pixels = (size_t)d.h * (size_t)d.w;
    for (int i = 0; i < s->lanes; i++) {
        double sum = 0;
        for (int j = 0; j < SAMPLES; j++) {
            const size_t pixel = pixels * (size_t)(2 * j + 1) / (2 * SAMPLES);
            sum += (double)
                x[strip_start(d, s, d.n * j / SAMPLES) + pixel * (size_t)d.block + (size_t)i];
        }
        centre[i] = (real)(sum / SAMPLES);
    }
    repeat(centre, s);
}

/* ---- sums ---- */

/* Two sums over a strip: first[] and second[] in float over a run, total[] in double. */
typedef struct sums {
    real first[ROW], second[ROW];
    double total[2][ROW];
    int rows; /* in the current run */
} sums;

static void fold(sums *s, int width) {
    for (int i = 0; i < width; i++) {
        s->total[0][i] += (double)s->first[i];
        s->total[1][i] += (double)s->second[i];
        s->first[i] = s->second[i] = 0;
    }
    s->rows = 0;
}

/* What is summed: x - mean and its square, or (dy not NULL) the gradient and its product with xhat.
 * y: the output, for the ReLU's sign; NULL: recomputed. */
typedef struct summand {
    const real *x, *dy, *y;
    const constants *k;
    bool relu;
} summand;

/* One vector of a row: no fused multiply-add, so that every build computes the same bits. */
INLINE void add_vec(vec *first, vec *second, const summand *t, size_t at, int i) {
    const vec x = vec_load(t->x + at), centred = x - vec_load(t->k->mean + i);
    if (!t->dy) {
        *first += centred;
        *second += centred * centred;
        return;
    }
    vec g = vec_load(t->dy + at);
    if (t->relu) {
        const vec y = t->y ? vec_load(t->y + at)
                           : vec_fma_exact(x, vec_load(t->k->scale + i), vec_load(t->k->shift + i));
        g *= vec_relu_mask(vec_all(1), y);
    }
    *first += g;
    *second += g * (centred * vec_load(t->k->inverse + i));
}

/* `vectors` vectors of `rows` rows, with the sums in registers. */
INLINE void add_columns(sums *s, const summand *t, int i, int vectors, int rows, size_t stride) {
    vec first[4], second[4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        first[v] = vec_load(s->first + i + v * LANES);
        second[v] = vec_load(s->second + i + v * LANES);
    }
    for (size_t r = 0; r < (size_t)rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            add_vec(&first[v], &second[v], t, r * stride + (size_t)(i + v * LANES), i + v * LANES);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        vec_store(s->first + i + v * LANES, first[v]);
        vec_store(s->second + i + v * LANES, second[v]);
    }
}

/* dy masked by the fused ReLU: y is recomputed, which is cheaper than reading it, unless a residual
 * was added before it (y not NULL). */
static inline real masked(real dy, real x, const real *y, const constants *k, int i, bool relu) {
    if (!relu) return dy;
    const real v = y ? *y : body_activate(body_bn_apply(x, k->scale[i], k->shift[i]), BODY_RELU, 0);
    return dy * body_activation_slope(0, v, BODY_RELU, 0);
}

INLINE void add_rows(sums *s, const summand *t, int rows, int width, size_t stride) {
    int i = 0;
    for (; i + WIDE <= width; i += WIDE)
        add_columns(s, t, i, 4, rows, stride);
    for (; i + LANES <= width; i += LANES)
        add_columns(s, t, i, 1, rows, stride);
    if (i == width) return;
    for (size_t r = 0; r < (size_t)rows; r++)
        for (int k = i; k < width; k++) {
            const size_t at = r * stride + (size_t)k;
            const real x = t->x[at], centred = x - t->k->mean[k];
            const real g =
                t->dy ? masked(t->dy[at], x, t->y ? t->y + at : NULL, t->k, k, t->relu) : centred;
            s->first[k] += g;
            s->second[k] += g * (t->dy ? centred * t->k->inverse[k] : centred);
        }
}

/* The strip of one image. */
INLINE void add_image(sums *s, summand t, const strip *at) {
    for (int row = 0, rows; row < at->rows; row += rows) {
        const int until_fold = RUN - s->rows, left = at->rows - row;
        rows = left < until_fold ? left : until_fold;
        add_rows(s, &t, rows, at->width, at->stride);
        t.x += (size_t)rows * at->stride;
        t.dy = t.dy ? t.dy + (size_t)rows * at->stride : NULL;
        t.y = t.y ? t.y + (size_t)rows * at->stride : NULL;
        s->rows += rows;
        if (s->rows == RUN) fold(s, at->width);
    }
    if (!at->rest) return;
    add_rows(s, &t, 1, at->rest, 0);
    if (++s->rows == RUN) fold(s, at->width);
}

/* Sums of images first .. end - 1 to out[2][lanes]. Each case is compiled separately. */
static void add_images(double *out, const summand *t, cpu_dims d, const strip *at, int first,
                       int end) {
    sums s = {0};
    for (int n = first; n < end; n++) {
        const size_t start = strip_start(d, at, n);
        const real *x = t->x + start;
        if (!t->dy)
            add_image(&s, (summand){x, NULL, NULL, t->k, false}, at);
        else if (t->relu && t->y)
            add_image(&s, (summand){x, t->dy + start, t->y + start, t->k, true}, at);
        else if (t->relu)
            add_image(&s, (summand){x, t->dy + start, NULL, t->k, true}, at);
        else
            add_image(&s, (summand){x, t->dy + start, NULL, t->k, false}, at);
    }
    fold(&s, at->width);
    for (int q = 0; q < 2; q++)
        for (int i = 0; i < at->width; i++) {
            double *to = out + q * at->lanes + i % at->lanes;
            *to = (i < at->lanes ? 0 : *to) + s.total[q][i];
        }
}

/* A pass over `count` strips from `first` on; its tasks may run at the same time. */
typedef struct pass {
    cpu_dims d;
    cut c;
    const cpu_batchnorm *b; /* NULL: statistics */
    const real *x, *dy;
    real *y, *dx;
    double *sums; /* [strip][2][size] */
    int first, count;
    bool accumulate;
} pass;

static void sum_task(void *context, int task) {
    const pass *p = context;
    const int chunk = task / p->count;
    const strip s = nth_strip(p->d, &p->c, p->first + task % p->count);
    constants k;
    if (p->b)
        constants_of(&k, p->b, &s);
    else
        centre_of(k.mean, p->x, p->d, &s);
    const summand t = {p->x, p->dy, p->b ? p->b->y : NULL, &k, p->b && p->b->act == BODY_RELU};
    add_images(p->sums + (size_t)task * 2 * (size_t)p->c.size, &t, p->d, &s,
               chunk_start(p->d, &p->c, chunk), chunk_start(p->d, &p->c, chunk + 1));
}

/* Sums chunk by chunk, then the chunks in their order. */
static void sum_strips(pass *p, cpu_each each) {
    const size_t row = 2 * (size_t)p->c.size * (size_t)p->count;
    cpu_do_each(each, p->count * p->c.chunks, sum_task, p);
    for (int chunk = 1; chunk < p->c.chunks; chunk++)
        for (size_t i = 0; i < row; i++)
            p->sums[i] += p->sums[(size_t)chunk * row + i];
}

void CPU(batchnorm_statistics)(real *mean, real *inverse_std, real *running_mean,
                               real *running_variance, const real *x, cpu_dims d, real momentum,
                               real epsilon, cpu_each each) {
    const cut c = cut_of(d);
    const double count = (double)d.n * d.h * d.w;
    double kept[2 * SUMS];
    pass p = {.d = d, .c = c, .x = x, .sums = kept};
    for (; p.first < c.strips; p.first += c.group) {
        p.count = c.strips - p.first < c.group ? c.strips - p.first : c.group;
        sum_strips(&p, each);
        for (int i = 0; i < p.count; i++) {
            const strip s = nth_strip(d, &c, p.first + i);
            const double *sum = kept + (size_t)i * 2 * (size_t)c.size, *squares = sum + s.lanes;
            real centre[ROW];
            centre_of(centre, x, d, &s);
            for (int k = 0; k < s.lanes; k++) {
                const double shift = sum[k] / count;
                const real m = (real)((double)centre[k] + shift);
                const real v = (real)(squares[k] / count - shift * shift);
                mean[s.c + k] = m;
                inverse_std[s.c + k] = body_inverse_std(v > 0 ? v : 0, epsilon);
                if (!isfinite(m) || !isfinite(v)) continue; /* not averaged in */
                running_mean[s.c + k] = body_running(running_mean[s.c + k], m, momentum);
                running_variance[s.c + k] = body_running(running_variance[s.c + k], v, momentum);
            }
        }
    }
}

/* ---- one pass over the elements ---- */

/* residual NULL: nothing is added. */
INLINE void apply_row(real *y, const real *x, const real *residual, const constants *k, int width,
                      bool relu) {
#pragma omp simd
    for (int i = 0; i < width; i++) {
        const real v = residual ? body_bn_apply_add(x[i], k->scale[i], k->shift[i], residual[i])
                                : body_bn_apply(x[i], k->scale[i], k->shift[i]);
        y[i] = relu ? body_activate(v, BODY_RELU, 0) : v;
    }
}

INLINE void apply_rows(real *y, const real *x, const real *residual, const constants *k,
                       const strip *s, bool relu) {
    size_t at = 0;
    for (int r = 0; r < s->rows; r++, at += s->stride)
        if (s->width == ROW && relu)
            apply_row(y + at, x + at, residual ? residual + at : NULL, k, ROW, true);
        else if (s->width == ROW)
            apply_row(y + at, x + at, residual ? residual + at : NULL, k, ROW, false);
        else
            apply_row(y + at, x + at, residual ? residual + at : NULL, k, s->width, relu);
    apply_row(y + at, x + at, residual ? residual + at : NULL, k, s->rest, relu);
}

static void apply_strip(real *y, const real *x, const real *residual, const constants *k,
                        const strip *s, bool relu) {
    if (residual)
        apply_rows(y, x, residual, k, s, relu);
    else
        apply_rows(y, x, NULL, k, s, relu);
}

/* From the end backwards: the sums have read it last, so it is in the cache. */
static void apply_task(void *context, int task) {
    const pass *p = context;
    const cpu_batchnorm *b = p->b;
    const int back = p->count * p->c.chunks - 1 - task, chunk = back / p->count;
    const strip s = nth_strip(p->d, &p->c, back % p->count);
    constants k;
    constants_of(&k, b, &s);
    for (int n = chunk_start(p->d, &p->c, chunk + 1) - 1; n >= chunk_start(p->d, &p->c, chunk);
         n--) {
        const size_t at = strip_start(p->d, &s, n);
        apply_strip(p->y + at, p->x + at, b->residual ? b->residual + at : NULL, &k, &s,
                    b->act == BODY_RELU);
    }
}

void CPU(batchnorm_apply)(real *y, const real *x, cpu_dims d, const cpu_batchnorm *b) {
    pass p = {.d = d, .c = cut_of(d), .b = b, .x = x, .y = y};
    p.count = p.c.strips;
    cpu_do_each(b->each, p.count * p.c.chunks, apply_task, &p);
}

INLINE void slope_row(real *dx, const real *dy, const real *x, const real *y, const constants *k,
                      int width, bool relu, bool accumulate) {
#pragma omp simd
    for (int i = 0; i < width; i++) {
        const real g = masked(dy[i], x[i], y ? y + i : NULL, k, i, relu);
        const real xhat = (x[i] - k->mean[i]) * k->inverse[i];
        dx[i] = (accumulate ? dx[i] : 0) +
                body_bn_dx(g, xhat, k->scale[i], k->mean_dy[i], k->mean_dot[i]);
    }
}

INLINE void slope_rows(real *dx, const real *dy, const real *x, const real *y, const constants *k,
                       const strip *s, bool relu, bool accumulate) {
    size_t at = 0;
    for (int r = 0; r < s->rows; r++, at += s->stride) {
        const real *here = y ? y + at : NULL;
        if (s->width == ROW && relu && !accumulate)
            slope_row(dx + at, dy + at, x + at, here, k, ROW, true, false);
        else if (s->width == ROW && !relu && !accumulate)
            slope_row(dx + at, dy + at, x + at, here, k, ROW, false, false);
        else
            slope_row(dx + at, dy + at, x + at, here, k, s->width, relu, accumulate);
    }
    slope_row(dx + at, dy + at, x + at, y ? y + at : NULL, k, s->rest, relu, accumulate);
}

static void slope_strip(real *dx, const real *dy, const real *x, const real *y, const constants *k,
                        const strip *s, bool relu, bool accumulate) {
    if (relu && y)
        slope_rows(dx, dy, x, y, k, s, true, accumulate);
    else
        slope_rows(dx, dy, x, NULL, k, s, relu, accumulate);
}

/* The residual's gradient; y NULL: there is no ReLU. */
INLINE void residual_row(real *dr, const real *dy, const real *y, int width, bool accumulate) {
#pragma omp simd
    for (int i = 0; i < width; i++) {
        const real g = y ? dy[i] * body_activation_slope(0, y[i], BODY_RELU, 0) : dy[i];
        dr[i] = accumulate ? dr[i] + g : g;
    }
}

static void residual_strip(real *dr, const real *dy, const real *y, const strip *s,
                           bool accumulate) {
    size_t at = 0;
    for (int r = 0; r <= s->rows; r++, at += s->stride) {
        const int width = r < s->rows ? s->width : s->rest;
        if (y)
            residual_row(dr + at, dy + at, y + at, width, accumulate);
        else
            residual_row(dr + at, dy + at, NULL, width, accumulate);
    }
}

/* dx and the residual's gradient from the sums. */
static void slope_task(void *context, int task) {
    const pass *p = context;
    const cpu_batchnorm *b = p->b;
    const double elements = (double)p->d.n * p->d.h * p->d.w;
    const int back = p->count * p->c.chunks - 1 - task, chunk = back / p->count;
    const strip s = nth_strip(p->d, &p->c, p->first + back % p->count);
    const double *sum = p->sums + (size_t)(back % p->count) * 2 * (size_t)p->c.size;
    const bool relu = b->act == BODY_RELU;
    constants k;
    constants_of(&k, b, &s);
    for (int i = 0; i < s.lanes; i++) {
        k.mean_dy[i] = b->frozen ? 0 : (real)(sum[i] / elements);
        k.mean_dot[i] = b->frozen ? 0 : (real)(sum[s.lanes + i] / elements);
    }
    repeat(k.mean_dy, &s);
    repeat(k.mean_dot, &s);
    for (int n = chunk_start(p->d, &p->c, chunk + 1) - 1; n >= chunk_start(p->d, &p->c, chunk);
         n--) {
        const size_t at = strip_start(p->d, &s, n);
        const real *y = relu && b->y ? b->y + at : NULL, *dy = p->dy + at;
        if (b->dresidual) residual_strip(b->dresidual + at, dy, y, &s, b->accumulate_dresidual);
        if (p->dx) slope_strip(p->dx + at, dy, p->x + at, y, &k, &s, relu, p->accumulate);
    }
}

void CPU(batchnorm_backward)(real *dx, real *dgamma, real *dbeta, const real *dy, const real *x,
                             cpu_dims d, const cpu_batchnorm *b, bool accumulate) {
    const cut c = cut_of(d);
    double kept[2 * SUMS];
    pass p = {
        .d = d, .c = c, .b = b, .x = x, .dy = dy, .dx = dx, .sums = kept, .accumulate = accumulate};
    for (; p.first < c.strips; p.first += c.group) {
        p.count = c.strips - p.first < c.group ? c.strips - p.first : c.group;
        sum_strips(&p, b->each);
        for (int i = 0; i < p.count; i++) {
            const strip s = nth_strip(d, &c, p.first + i);
            const double *sum = kept + (size_t)i * 2 * (size_t)c.size;
            for (int k = 0; k < s.lanes; k++) {
                if (dbeta) dbeta[s.c + k] = (real)sum[k];
                if (dgamma) dgamma[s.c + k] = (real)sum[s.lanes + k];
            }
        }
        if (dx || b->dresidual) cpu_do_each(b->each, p.count * c.chunks, slope_task, &p);
    }
}
