/* Initial values: Keras's initialisers, drawn from the counter-based generator. The generator's
 * step is the index of the node and parameter, so that inserting a layer changes no values before
 * it. */
#include <math.h>

#include "host/graph/graph.h"
#include "kernels/body/rng.h"

/* One draw from N(0, 1) truncated at two standard deviations (Keras: truncated_normal), by
 * rejection. */
static double truncated_normal(uint32_t seed, uint64_t step, uint64_t index) {
    for (uint64_t round = 0; round < 32; round++) {
        const uint64_t at = (index * 32 + round) * 2;
        const double u = (rng_word(seed, RNG_INIT, step, at) + 0.5) / 4294967296.0;
        const double v = rng_word(seed, RNG_INIT, step, at + 1) / 4294967296.0;
        const double x = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
        if (fabs(x) < 2) return x;
    }
    return 0;
}

void mien_init_param(const mien_node *node, int param, uint32_t seed, float *out) {
    const mien_param *p = &node->params[param];
    const size_t count = mien_shape_count(p->shape);
    const double glorot = sqrt(6.0 / (p->fan_in + p->fan_out));
    /* 0.8796 is the standard deviation of the truncated normal distribution */
    const double he = sqrt(2.0 / (p->fan_in ? p->fan_in : 1)) / 0.87962566103423978;
    const uint64_t step = (uint64_t)node->index * MIEN_PARAMS_MAX + (uint64_t)param;
    for (size_t i = 0; i < count; i++) {
        if (p->start && p->start->count) {
            out[i] = (float)p->start->items[i % p->start->count];
            continue;
        }
        switch (p->init) {
        case MIEN_INIT_ZEROS:
            out[i] = 0;
            break;
        case MIEN_INIT_ONES:
            out[i] = 1;
            break;
        case MIEN_INIT_GLOROT_UNIFORM:
            out[i] = (float)((rng_word(seed, RNG_INIT, step, i) / 2147483648.0 - 1) * glorot);
            break;
        case MIEN_INIT_HE_NORMAL:
            out[i] = (float)(truncated_normal(seed, step, i) * he);
            break;
        }
    }
}
