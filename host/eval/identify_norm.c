#include "host/eval/identify_norm.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/graph/plan.h"
#include "kernels/body/rng.h"

enum { SAMPLES = 4096 };

/* The way from the input to the first batch normalisation. */
typedef struct first_norm {
    int conv; /* 0: none before it */
    int norm; /* 0: there is none */
    bool relu;
    mien_linear_desc window;
} first_norm;

static bool named(const mien_node *node, const char *name) {
    return strcmp(node->def->name, name) == 0;
}

static bool is_relu(const mien_node *node) {
    float alpha = 0;
    return node->def->activates && node->def->activates(node, &alpha) == BODY_RELU;
}

/* Follows the only consumers from the input on. */
static first_norm find_norm(const mien_graph *graph) {
    first_norm f = {0};
    int at = 0;
    for (int i = 1; i < graph->count; i++) {
        const mien_node *node = &graph->nodes[i];
        if (node->input_count != 1 || node->inputs[0] != at) return f;
        if (mien_plan_consumers(graph, at) != 1) return f;
        if (named(node, "batch_normalization")) {
            f.norm = i;
            return f;
        }
        if (named(node, "conv2d") && !f.conv) {
            f.conv = i;
            node->def->linear(node, &f.window);
            if (mien_linear_groups(&f.window) != 1) return f;
        } else if (f.conv && is_relu(node)) {
            f.relu = true;
        } else if (!(node->def->flags & MIEN_TRAINING_ONLY) && !named(node, "zero_padding2d")) {
            return f;
        }
        at = i;
    }
    return f;
}

/* The pixel of an image as the candidate scales it; outside of the image 0, as padding is. */
static float pixel(const mien_dataset *set, size_t image, int y, int x, int channel,
                   const mien_candidate *c, const double *own) {
    const mien_image_spec s = set->spec;
    if (y < 0 || x < 0 || y >= s.height || x >= s.width) return 0;
    const int from = c->bgr ? 2 - channel : channel;
    const double v = mien_dataset_image(
        set, image)[((size_t)y * (size_t)s.width + (size_t)x) * (size_t)s.channels + (size_t)from];
    if (c->per_image) return (float)((v - own[0]) / own[1]);
    return (float)((v * c->normalise.scale - c->normalise.mean[from]) / c->normalise.std[from]);
}

static void own_statistics(const mien_dataset *set, size_t image, double *own) {
    const size_t bytes = mien_image_bytes(set->spec);
    const uint8_t *p = mien_dataset_image(set, image);
    double sum = 0, squares = 0;
    for (size_t k = 0; k < bytes; k++) {
        sum += p[k];
        squares += (double)p[k] * p[k];
    }
    own[0] = sum / (double)bytes;
    const double variance = squares / (double)bytes - own[0] * own[0];
    own[1] = variance > 1e-6 ? sqrt(variance) : 1;
}

/* What the batch normalisation reads at one position of an image: out[channels]. */
static void value_at(const mien_model *model, const first_norm *f, const mien_dataset *set,
                     const mien_candidate *c, size_t image, const double *own, const double u[2],
                     float *out) {
    const mien_node *norm = &model->graph.nodes[f->norm];
    const int channels = norm->out.c, inputs = set->spec.channels;
    if (!f->conv) {
        const int y = (int)(u[0] * set->spec.height), x = (int)(u[1] * set->spec.width);
        for (int k = 0; k < channels; k++)
            out[k] = pixel(set, image, y, x, k, c, own);
        return;
    }
    const mien_node *conv = &model->graph.nodes[f->conv];
    const mien_linear_desc *w = &f->window;
    const mien_shape kernel = conv->params[0].shape;
    /* zero_padding2d before it moves the image */
    const int top = w->pad_top + (conv->in[0].h - set->spec.height) / 2,
              left = w->pad_left + (conv->in[0].w - set->spec.width) / 2;
    const int y = (int)(u[0] * conv->out.h) * w->stride_h - top,
              x = (int)(u[1] * conv->out.w) * w->stride_w - left;
    const float *taps = mien_weights_get(&model->weights, f->conv, 0);
    const float *bias =
        conv->param_count > 1 ? mien_weights_get(&model->weights, f->conv, 1) : NULL;
    for (int k = 0; k < channels; k++)
        out[k] = bias ? bias[k] : 0;
    for (int dy = 0; dy < kernel.n; dy++)
        for (int dx = 0; dx < kernel.h; dx++)
            for (int i = 0; i < inputs; i++, taps += channels) {
                const float v = pixel(set, image, y + dy * mien_linear_dilation_h(w),
                                      x + dx * mien_linear_dilation_w(w), i, c, own);
                for (int k = 0; k < channels; k++)
                    out[k] += v * taps[k];
            }
    for (int k = 0; f->relu && k < channels; k++)
        out[k] = fmaxf(out[k], 0);
}

/* The divergence between Gaussians, the same from both sides. */
static double divergence(double mean_a, double variance_a, double mean_b, double variance_b) {
    const double gap = (mean_a - mean_b) * (mean_a - mean_b);
    return 0.5 * ((variance_a + gap) / variance_b + (variance_b + gap) / variance_a) - 1;
}

static double measure(const mien_model *model, const first_norm *f, const mien_dataset *set,
                      const mien_candidate *c, float *value, double *sum, double *squares) {
    const mien_node *norm = &model->graph.nodes[f->norm];
    const int channels = norm->out.c, at = mien_batchnorm_mean(norm);
    const float *mean = mien_weights_get(&model->weights, f->norm, at),
                *variance = mien_weights_get(&model->weights, f->norm, at + 1);
    double total = 0, own[2];
    memset(sum, 0, (size_t)channels * sizeof *sum);
    memset(squares, 0, (size_t)channels * sizeof *squares);
    for (uint32_t s = 0; s < SAMPLES; s++) {
        const size_t image = (size_t)s * set->count / SAMPLES;
        const double u[2] = {rng_unit(rng_word(3, 1, 0, s)), rng_unit(rng_word(3, 1, 1, s))};
        if (s == 0 || image != (size_t)(s - 1) * set->count / SAMPLES)
            own_statistics(set, image, own);
        value_at(model, f, set, c, image, own, u, value);
        for (int k = 0; k < channels; k++) {
            sum[k] += (double)value[k] / SAMPLES;
            squares[k] += (double)value[k] * (double)value[k] / SAMPLES;
        }
    }
    for (int k = 0; k < channels; k++) {
        const double seen = fmax(squares[k] - sum[k] * sum[k], 0);
        /* a channel that is always 0 says nothing; its variance is then only rounding */
        const double small = 1e-6 + 1e-3 * fmax(seen, (double)variance[k]);
        total += log1p(divergence(sum[k], seen + small, mean[k], (double)variance[k] + small));
    }
    return total / channels;
}

mien_status mien_norm_misfits(const mien_model *model, const mien_dataset *set,
                              mien_candidate *list, int count) {
    const first_norm f = find_norm(&model->graph);
    float *value = NULL;
    double *sum = NULL, *squares = NULL;
    mien_status status = MIEN_OK;
    if (!f.norm) return MIEN_OK;
    const size_t channels = (size_t)model->graph.nodes[f.norm].out.c;
    MIEN_GO(mien_new(&value, channels, sizeof *value));
    MIEN_GO(mien_new(&sum, channels, sizeof *sum));
    MIEN_GO(mien_new(&squares, channels, sizeof *squares));
    for (int i = 0; i < count; i++)
        list[i].misfit = measure(model, &f, set, &list[i], value, sum, squares);
out:
    mien_free(value);
    mien_free(sum);
    mien_free(squares);
    return status;
}
