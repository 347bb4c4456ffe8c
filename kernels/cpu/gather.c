/* One pass from pixels to the network's input: gather, warp, mix, normalise. */
#include "kernels/cpu/cpu.h"

typedef struct source {
    const uint8_t *image;
    body_warp warp;
} source;

static source pick(const cpu_gather *g, cpu_dims d, int row) {
    source s;
    const size_t image = (size_t)d.h * (size_t)d.w * (size_t)d.c;
    s.image = g->pixels + (size_t)g->order[row] * image;
    if (g->view)
        s.warp = *g->view;
    else if (g->augment)
        s.warp = body_draw_warp(&g->ranges, g->seed, g->step, g->first + (uint64_t)row, d.h, d.w);
    return s;
}

/* The value 0..255 of one output pixel, mixed with the partner's. */
static float value(const cpu_gather *g, const source *own, const source *other, float weight,
                   cpu_dims d, int x, int y, int c) {
    if (!g->augment && !g->view) return own->image[(y * d.w + x) * d.c + c];
    const float v = body_warp_pixel(own->image, &own->warp, x, y, c, d.h, d.w, d.c);
    if (weight >= 1) return v;
    const float u = body_warp_pixel(other->image, &other->warp, x, y, c, d.h, d.w, d.c);
    return fmaf(v - u, weight, u);
}

static void targets_of(real *out, const cpu_gather *g, int row, int partner, float weight) {
    const real *own = g->targets + (size_t)g->order[row] * (size_t)g->classes;
    const real *other = g->targets + (size_t)g->order[partner] * (size_t)g->classes;
    const real smooth = g->label_smoothing, floor = smooth / (real)g->classes;
    for (int k = 0; k < g->classes; k++) {
        const real t = weight < 1 ? M_FMA(own[k] - other[k], (real)weight, other[k]) : own[k];
        out[k] = smooth > 0 ? M_FMA(t, 1 - smooth, floor) : t;
    }
}

typedef struct batch {
    const cpu_gather *g;
    cpu_dims d;
    int distance; /* from a row to its partner in mixup; 0: none */
    real *x, *targets;
} batch;

static void gather_row(void *context, int row) {
    const batch *b = context;
    const cpu_gather *g = b->g;
    const cpu_dims d = b->d;
    const uint64_t n = g->first + (uint64_t)row;
    const float weight = b->distance ? body_mixup_weight(&g->ranges, g->seed, g->step, n) : 1.0f;
    /* `order` starts at row 0 of this call; the partner is counted in the whole batch */
    const int partner =
        b->distance ? (int)((n + (uint64_t)b->distance) % (uint64_t)g->batch) - (int)g->first : row;
    const source own = pick(g, d, row);
    const source other = weight < 1 ? pick(g, d, partner) : own;
    for (int y = 0; y < d.h; y++)
        for (int c = 0; c < d.c; c++)
            for (int col = 0; col < d.w; col++) {
                const float v = value(g, &own, &other, weight, d, col, y, c);
                const size_t at = cpu_plane(d, row, c / d.block) +
                                  ((size_t)y * (size_t)d.w + (size_t)col) * (size_t)d.block +
                                  (size_t)(c % d.block);
                b->x[at] = fmaf(v, g->scale[c], g->shift[c]);
            }
    if (b->targets)
        targets_of(b->targets + (size_t)row * (size_t)g->classes, g, row, partner, weight);
}

void CPU(gather)(real *x, real *targets, int rows, cpu_dims d, const cpu_gather *g) {
    batch b = {.g = g, .d = d, .x = x, .targets = targets};
    if (g->augment && g->ranges.mixup > 0)
        b.distance = body_mixup_distance(g->seed, g->step, g->batch);
    cpu_do_each(g->each, rows, gather_row, &b);
}
