/* The flat optimiser: one pass for the norm, one for the update, all threads. */
#include <stdatomic.h>

#include "kernels/cpu/cpu.h"

enum { CHUNK = 8192 };

typedef struct pass {
    real *w;
    const real *g;
    real *m, *v, *average;
    size_t decayed, count;
    body_update u;
    int kind, nesterov;
    atomic_bool failed; /* a new weight or moment is not finite */
} pass;

/* Sum of squares of one chunk in a fixed order, by lanes so that it vectorises. */
static double chunk_squares(const real *g, size_t count) {
    enum { LANES = 16 };
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)g[i + (size_t)k] * (double)g[i + (size_t)k];
    for (; i < count; i++)
        lane[0] += (double)g[i] * (double)g[i];
    for (int k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

/* The norm's order of summation: partial sum i takes chunks i, i + SLOTS, ..., so that few are kept
 * and the thread count does not matter. */
enum { SLOTS = 256 };

typedef struct norm {
    const real *g;
    size_t count;
    double partial[SLOTS];
} norm;

static void sum_slot(void *context, int slot) {
    norm *n = context;
    for (size_t at = (size_t)slot * CHUNK; at < n->count; at += (size_t)SLOTS * CHUNK)
        n->partial[slot] += chunk_squares(n->g + at, n->count - at < CHUNK ? n->count - at : CHUNK);
}

static double squares(const cpu_update *o) {
    norm n = {.g = o->g, .count = o->count};
    double sum = 0;
    cpu_do_each(o->each, SLOTS, sum_slot, &n);
    for (int slot = 0; slot < SLOTS; slot++)
        sum += n.partial[slot];
    return sum;
}

/* Returns 0, or NaN where a new weight is not finite. Inlined for each case: a branch inside the
 * loop would prevent vectorisation. */
static inline __attribute__((always_inline)) real sgd(real *w, const real *g, real *m, size_t count,
                                                      real decay, const body_update *update,
                                                      int nesterov) {
    const body_update u = *update;
    real worst = 0;
#pragma omp simd reduction(+ : worst)
    for (size_t i = 0; i < count; i++) {
        const real kept = M_FMA(-decay, w[i], w[i]);
        real velocity = m ? m[i] : 0;
        const real moved = body_sgd(kept, g[i] * u.gradient_scale, &velocity, nesterov, &u);
        const bool finite = 0 * moved == 0;
        if (m) m[i] = finite ? velocity : m[i];
        worst += 0 * moved;
        w[i] = finite ? moved : w[i];
    }
    return worst;
}

/* Updates some elements of one chunk; returns whether all new weights and moments are finite. An
 * element where they are not keeps its old ones. */
static bool update_part(const pass *p, size_t at, size_t count, real decay) {
    real *w = p->w + at, *m = p->m ? p->m + at : NULL, *v = p->v ? p->v + at : NULL;
    const real *g = p->g + at;
    const body_update u = p->u;
    real worst = 0; /* 0 * x is NaN for NaN and infinity, and then the sum is */
    if (p->kind == BODY_SGD) {
        if (m && p->nesterov)
            worst = sgd(w, g, m, count, decay, &u, 1);
        else if (m)
            worst = sgd(w, g, m, count, decay, &u, 0);
        else if (p->nesterov)
            worst = sgd(w, g, NULL, count, decay, &u, 1);
        else
            worst = sgd(w, g, NULL, count, decay, &u, 0);
    } else {
#pragma omp simd reduction(+ : worst)
        for (size_t i = 0; i < count; i++) {
            const real kept = M_FMA(-decay, w[i], w[i]);
            real first = m[i], second = v[i];
            const real moved = body_adam(kept, g[i] * u.gradient_scale, &first, &second, &u);
            const real sum = 0 * moved + 0 * second; /* an infinite second moment divides to 0 */
            worst += sum;
            m[i] = sum == 0 ? first : m[i];
            v[i] = sum == 0 ? second : v[i];
            w[i] = sum == 0 ? moved : w[i];
        }
    }
    if (p->average) {
        real *average = p->average + at;
        for (size_t i = 0; i < count; i++)
            average[i] = body_ema(average[i], w[i], &u);
    }
    return worst == 0;
}

static void update_chunk(void *context, int chunk) {
    pass *p = context;
    const size_t at = (size_t)chunk * CHUNK, n = p->count - at < CHUNK ? p->count - at : CHUNK;
    const size_t heavy = at >= p->decayed ? 0 : (p->decayed - at < n ? p->decayed - at : n);
    const bool first = update_part(p, at, heavy, p->u.decay);
    if (!update_part(p, at + heavy, n - heavy, 0) || !first) p->failed = true;
}

void CPU(optimize)(const cpu_update *o, int rows) {
    body_step *state = o->state;
    if (o->rates) state->learning_rate = o->rates[state->tick];
    const int held_back = body_step_check(state, sqrt(squares(o)));
    bool failed = false;
    if (!held_back) {
        pass p = {.w = o->w,
                  .g = o->g,
                  .m = o->m,
                  .v = o->v,
                  .average = o->average,
                  .decayed = o->decayed,
                  .count = o->count,
                  .u = body_update_make(o->rule, state),
                  .kind = o->rule->kind,
                  .nesterov = o->rule->nesterov};
        cpu_do_each(o->each, (int)((o->count + CHUNK - 1) / CHUNK), update_chunk, &p);
        failed = p.failed;
    }
    body_step_advance(state, o->rule->beta_1, o->rule->beta_2, held_back, rows);
    if (failed) state->bad = 1;
}
