#include "host/infer/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/infer/score.h"

enum { BATCH = 64, LEAST_TERMS = 64, LEAST_WEIGHTS = 2048 };

typedef struct calibrator {
    mien_model *model;
    mien_backend *backend;
    mien_loader loader;
    mien_part part;
    size_t images;
    mien_plan *plan;             /* in f32 */
    mien_histogram **histograms; /* by value; NULL if no int8 layer consumes it */
    bool *is_signed;
    bool
        counting; /* true: second pass, fills the histograms; false: first pass, finds the ranges */
    float *buffer;
    float *wanted, *got; /* probabilities in f32 and in int8 */
    mien_status seen;    /* status of the observer */
} calibrator;

/* Is the layer worth quantising? int8 pays off for long sums and many weights. The layers that read
 * the image and that produce the logits stay in floating point. */
static bool worth_int8(const mien_plan *plan, int i) {
    const mien_node *node = &plan->graph->nodes[i];
    if (!mien_quant_can(node) || mien_quant_source(plan->graph, i) == 0) return false;
    if (plan->nodes[i].fusion.storage == plan->nodes[plan->graph->logits].fusion.storage)
        return false;
    const mien_shape w = node->params[0].shape;
    return w.n * w.h * w.w >= LEAST_TERMS && mien_shape_count(w) >= LEAST_WEIGHTS;
}

/* ---- ranges ---- */

static void update_range(mien_histogram *h, bool *is_signed, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(x[i]);
        if (size > h->most) h->most = size;
        if (x[i] < 0) *is_signed = true;
    }
}

static void tally(mien_histogram *h, const float *x, size_t count) {
    const float per_number = h->most > 0 ? MIEN_HISTOGRAM / h->most : 0;
    for (size_t i = 0; i < count; i++) {
        const int bin = (int)(fabsf(x[i]) * per_number);
        if (x[i] != 0) h->bins[bin < MIEN_HISTOGRAM ? bin : MIEN_HISTOGRAM - 1]++;
    }
}

static void observe(void *context, const mien_pass *pass, const mien_node *node) {
    calibrator *c = context;
    if (!c->model->quant.layers[node->index].w_scale || c->seen != MIEN_OK) return;
    const int source = mien_quant_source(&c->model->graph, node->index);
    const mien_tensor x = pass->x[0];
    const size_t count = mien_shape_count(x.shape); /* in any order */
    c->seen = pass->ops->copy_out(pass->backend, c->buffer, x.data, count * sizeof *c->buffer);
    if (c->counting)
        tally(c->histograms[source], c->buffer, count);
    else
        update_range(c->histograms[source], &c->is_signed[source], c->buffer, count);
}

static mien_status score(calibrator *c, mien_plan *plan, float *out) {
    MIEN_TRY(mien_score_prepare(plan, c->images));
    MIEN_TRY(mien_score_part(plan, &c->loader, c->part, MIEN_VIEW_ONE, c->model->meta.temperature,
                             NULL, out));
    return c->seen;
}

static mien_status find_ranges(calibrator *c) {
    c->plan->observe = observe;
    c->plan->observer = c;
    MIEN_TRY(score(c, c->plan, c->wanted));
    for (int i = 0; i < c->model->graph.count; i++)
        if (c->histograms[i] && !isfinite(c->histograms[i]->most))
            return MIEN_FAIL(INVALID,
                             "the output of layer '%s' is not finite: its weights are damaged or "
                             "training diverged",
                             c->model->graph.nodes[i].name);
    c->counting = true;
    return score(c, c->plan, c->wanted);
}

/* ---- scales ---- */

static void set_scales(calibrator *c, mien_clip clip) {
    const mien_quant *quant = &c->model->quant;
    for (int i = 0; i < quant->nodes; i++) {
        mien_quant_layer *q = &quant->layers[i];
        if (!q->w_scale) continue;
        const int source = mien_quant_source(&c->model->graph, i);
        const int levels = c->is_signed[source] ? 127 : 255;
        const float edge = mien_clip_find(c->histograms[source], clip, levels);
        q->x_scale =
            edge > 1e-20f ? edge / (float)levels : 1; /* all values are 0: any scale works */
        q->x_signed = c->is_signed[source];
    }
}

/* Replaces a layer's weights by its rounded folded weights. The folded bias becomes the shift of
 * the batch normalisation, whose scale is then 1. */
static mien_status round_layer(calibrator *c, int i, float *kernel, float *bias) {
    const mien_node *node = &c->model->graph.nodes[i];
    mien_weights *weights = &c->model->weights;
    const size_t channels = (size_t)node->out.c, count = mien_shape_count(node->params[0].shape);
    float *scale = c->model->quant.layers[i].w_scale, *own = mien_weights_get(weights, i, 0);
    const int norm = c->plan->nodes[i].fusion.norm;
    MIEN_TRY(mien_plan_folded(c->plan, weights, i, kernel, bias));
    for (size_t k = 0; k < count; k++)
        scale[k % channels] = fmaxf(scale[k % channels], fabsf(kernel[k]));
    for (size_t k = 0; k < channels; k++)
        scale[k] = scale[k] > 1e-20f ? scale[k] / 127 : 1;
    for (size_t k = 0; k < count; k++)
        own[k] = rintf(kernel[k] / scale[k % channels]) * scale[k % channels];
    if (!norm) return MIEN_OK;
    if (node->param_count > 1) memset(mien_weights_get(weights, i, 1), 0, channels * sizeof *bias);
    mien_batchnorm_neutral(&c->model->graph.nodes[norm], &weights->items[norm * MIEN_PARAMS_MAX],
                           bias);
    return MIEN_OK;
}

static mien_status round_weights(calibrator *c) {
    for (int i = 0; i < c->model->quant.nodes; i++) {
        const mien_node *node = &c->model->graph.nodes[i];
        float *buffer = NULL;
        if (!c->model->quant.layers[i].w_scale) continue;
        const size_t count = mien_shape_count(node->params[0].shape);
        MIEN_TRY(mien_new(&buffer, count + (size_t)node->out.c, sizeof *buffer));
        const mien_status status = round_layer(c, i, buffer, buffer + count);
        mien_free(buffer);
        MIEN_TRY(status);
    }
    return MIEN_OK;
}

/* ---- choice of the clip ---- */

static mien_status compare(calibrator *c, mien_clip clip, mien_calibration *out) {
    const mien_plan_options options = {.max_batch = BATCH, .quant = &c->model->quant};
    const size_t classes = (size_t)c->model->meta.classes, numbers = c->images * classes;
    mien_plan *plan = NULL;
    mien_status status;
    set_scales(c, clip);
    *out = (mien_calibration){.images = c->images, .clip = clip, .measured = true};
    MIEN_GO(mien_plan_create(&c->model->graph, c->backend, &options, &plan));
    MIEN_GO(mien_plan_load(plan, &c->model->weights));
    MIEN_GO(score(c, plan, c->got));
    for (size_t i = 0; i < numbers; i++)
        out->error += fabs((double)c->got[i] - (double)c->wanted[i]) / (double)numbers;
    for (size_t r = 0; r < c->images; r++) {
        const float *a = c->wanted + r * classes, *b = c->got + r * classes;
        size_t p = 0, q = 0;
        for (size_t k = 1; k < classes; k++) {
            if (a[k] > a[p]) p = k;
            if (b[k] > b[q]) q = k;
        }
        out->agreement += (p == q) / (double)c->images;
    }
out:
    mien_plan_free(plan);
    return status;
}

static mien_status choose_clip(calibrator *c, mien_calibration *best) {
    const mien_int8_ops *int8 = c->backend->ops->int8;
    *best = (mien_calibration){.images = c->images, .clip = MIEN_CLIP_MSE};
    if (int8 && int8->available(c->backend))
        for (int clip = 0; clip < MIEN_CLIPS; clip++) {
            mien_calibration one;
            MIEN_TRY(compare(c, (mien_clip)clip, &one));
            if (clip == 0 || one.error < best->error) *best = one;
        }
    set_scales(c, best->clip);
    best->layers = mien_quant_count(&c->model->quant);
    return MIEN_OK;
}

/* ---- the whole calibration ---- */

static mien_status choose_layers(calibrator *c) {
    const mien_graph *graph = &c->model->graph;
    size_t most = 0;
    for (int i = 1; i < graph->count; i++) {
        if (!worth_int8(c->plan, i)) continue;
        const int source = mien_quant_source(graph, i);
        MIEN_TRY(mien_quant_add(graph, &c->model->quant, i));
        if (!c->histograms[source])
            MIEN_TRY(mien_new(&c->histograms[source], 1, sizeof **c->histograms));
        if (mien_shape_sample(graph->nodes[i].in[0]) > most)
            most = mien_shape_sample(graph->nodes[i].in[0]);
    }
    if (!most)
        return MIEN_FAIL(INVALID,
                         "the network '%s' has no layer that gains from int8 (a convolution after "
                         "another one, or a wide dense layer)",
                         graph->name);
    return mien_new(&c->buffer, most * BATCH, sizeof *c->buffer);
}

static mien_status start(calibrator *c, const mien_dataset *set) {
    const mien_plan_options options = {.max_batch = BATCH};
    const mien_graph *graph = &c->model->graph;
    const size_t nodes = (size_t)graph->count;
    const size_t numbers = c->images * (size_t)c->model->meta.classes;
    MIEN_TRY(mien_new(&c->histograms, nodes, sizeof *c->histograms));
    MIEN_TRY(mien_new(&c->is_signed, nodes, sizeof *c->is_signed));
    MIEN_TRY(mien_new(&c->wanted, numbers, sizeof *c->wanted));
    MIEN_TRY(mien_new(&c->got, numbers, sizeof *c->got));
    MIEN_TRY(mien_quant_create(graph, &c->model->quant));
    MIEN_TRY(mien_loader_create(set, &c->model->meta.normalise, c->backend, BATCH, 0, &c->loader));
    MIEN_TRY(mien_plan_create(graph, c->backend, &options, &c->plan));
    return mien_plan_load(c->plan, &c->model->weights);
}

static void finish(calibrator *c) {
    mien_plan_free(c->plan);
    mien_loader_release(&c->loader);
    for (int i = 0; c->histograms && i < c->model->graph.count; i++)
        mien_free(c->histograms[i]);
    mien_free(c->histograms);
    mien_free(c->is_signed);
    mien_free(c->buffer);
    mien_free(c->wanted);
    mien_free(c->got);
}

mien_status mien_calibrate(mien_model *model, const mien_dataset *set, mien_part part,
                           mien_backend *backend, mien_calibration *result) {
    size_t counts[MIEN_CLASSES_MAX];
    calibrator c = {.model = model, .backend = backend, .part = part};
    mien_status status;
    c.images = mien_dataset_counts(set, part, counts);
    if (c.images < MIEN_CALIBRATION_LEAST)
        return MIEN_FAIL(INVALID,
                         "calibration needs at least %d images, but the %s part of '%s' has %zu",
                         MIEN_CALIBRATION_LEAST, mien_part_name(part), set->source, c.images);
    if (model->quant.nodes)
        return MIEN_FAIL(INVALID,
                         "the model is already int8: calibrate the model that it was made from");
    if (model->graph.raw)
        return MIEN_FAIL(UNSUPPORTED, "only models that end in a softmax can be calibrated");
    MIEN_GO(start(&c, set));
    MIEN_GO(choose_layers(&c));
    MIEN_GO(find_ranges(&c));
    MIEN_GO(round_weights(&c));
    MIEN_GO(choose_clip(&c, result));
out:
    finish(&c);
    return status;
}
