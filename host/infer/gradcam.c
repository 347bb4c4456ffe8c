/* Grad-CAM by two plans: the front, up to the last feature map that convolutions make, runs as in
 * any inference; the tail, from there to the scores, as a frozen network in training, whose input
 * gradient is that of the feature map. */
#include "host/infer/gradcam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/graph/plan.h"
#include "kernels/body/resample.h"

enum { BATCH = 32 };

struct mien_gradcam {
    const mien_model *model;
    mien_backend *backend;
    mien_graph front_graph, tail_graph;
    mien_plan *front, *tail;
    mien_shape feature;          /* of the feature map, n = 1 */
    float *features, *gradients; /* [BATCH][h][w][c] of the feature map */
    float *scores;               /* [BATCH][classes]: the gradient at the end, 1 for a class */
    float *coarse;               /* [BATCH][h][w] of the feature map */
};

/* ---- parts of a graph ---- */

static mien_layer_common *common_of(const mien_node *node) {
    return node->attrs;
}

/* Appends a node with the attributes of `from`, whose lists and texts it borrows. */
static mien_status clone_node(mien_graph *graph, const mien_node *from, int shift) {
    mien_node *node = &graph->nodes[graph->count];
    *node = *from;
    MIEN_TRY(mien_new(&node->attrs, 1, from->def->attr_bytes));
    memcpy(node->attrs, from->attrs, from->def->attr_bytes);
    node->name = common_of(node)->name;
    node->index = graph->count++;
    for (int k = 0; k < node->input_count; k++)
        node->inputs[k] -= shift;
    common_of(node)->trainable = false;
    if (node->def->forward == mien_dropout_layer_forward)
        ((mien_dropout_attrs *)node->attrs)->rate = 0; /* backward would draw a mask */
    return MIEN_OK;
}

/* Appends a layer without weights or keys that reads the last node. */
static mien_status append_node(mien_graph *graph, const char *name, mien_shape out) {
    mien_node *node = &graph->nodes[graph->count];
    const mien_layer_def *def = mien_layer_find(name);
    *node = (mien_node){.def = def, .index = graph->count, .out = out, .flat = true};
    MIEN_TRY(mien_new(&node->attrs, 1, def->attr_bytes));
    node->name = common_of(node)->name;
    node->input_count = 1;
    node->inputs[0] = graph->count - 1;
    node->in[0] = graph->nodes[graph->count - 1].out;
    graph->count++;
    return MIEN_OK;
}

/* Nodes first … last of a graph as a network of its own, whose input is the value of `first`. With
 * `flat`, its result is flattened. No weights are trained. */
static mien_status take_part(const mien_graph *from, int first, int last, bool flat,
                             mien_graph *out) {
    *out = (mien_graph){.classes = (int)mien_shape_sample(from->nodes[last].out)};
    MIEN_TRY(mien_new(&out->nodes, (size_t)(last - first) + 3, sizeof *out->nodes));
    MIEN_TRY(clone_node(out, &from->nodes[0], 0));
    out->nodes[0].out = from->nodes[first].out;
    for (int i = first + 1; i <= last; i++)
        MIEN_TRY(clone_node(out, &from->nodes[i], first));
    const mien_shape row = {1, 1, 1, out->classes};
    if (flat) MIEN_TRY(append_node(out, "flatten", row));
    out->logits = out->count - 1;
    return append_node(out, "activation", row); /* the end of a graph, which does not run */
}

static void drop_part(mien_graph *graph) {
    for (int i = 0; i < graph->count; i++)
        mien_free(graph->nodes[i].attrs);
    mien_free(graph->nodes);
    *graph = (mien_graph){0};
}

/* ---- where to cut ---- */

/* Does a node keep the positions of a feature map that it reads? */
static bool keeps_positions(const mien_node *node, const bool *is_feature) {
    static const char moves[] = "permute";
    if (node->def->forward == mien_pool_layer_forward || (node->def->flags & MIEN_RESHAPES) ||
        strcmp(node->def->name, moves) == 0)
        return false;
    for (int k = 0; k < node->input_count; k++)
        if (is_feature[node->inputs[k]] && node->in[k].h == node->out.h &&
            node->in[k].w == node->out.w)
            return true;
    return false;
}

/* Marks what convolutions make, up to the next pooling: is_feature[graph->count]. */
static void find_features(const mien_graph *graph, bool *is_feature) {
    for (int i = 1; i < graph->count; i++) {
        const mien_node *node = &graph->nodes[i];
        mien_linear_desc d = {0};
        if (node->def->linear) node->def->linear(node, &d);
        const bool convolves = node->def->linear && !d.dense;
        is_feature[i] = !node->flat && node->out.h * node->out.w > 1 &&
                        (convolves || keeps_positions(node, is_feature));
    }
}

/* The node whose value is the score of each class: before a softmax or sigmoid. */
static int find_scores(const mien_graph *graph) {
    float alpha;
    const mien_node *last = &graph->nodes[graph->logits];
    const bool squashes = graph->raw && graph->logits == graph->count - 2 && last->def->activates &&
                          last->def->activates(last, &alpha) == BODY_SIGMOID &&
                          last->inputs[0] == graph->logits - 1;
    return squashes ? last->inputs[0] : graph->logits;
}

/* The last feature map through which all that comes after it reads the image; 0: none. */
static mien_status find_cut(const mien_graph *graph, int scores, int *cut) {
    bool *is_feature;
    int earliest = scores; /* node that is read after the cut */
    *cut = 0;
    MIEN_TRY(mien_new(&is_feature, (size_t)graph->count, sizeof *is_feature));
    find_features(graph, is_feature);
    for (int i = scores - 1; i > 0 && *cut == 0; i--) {
        const mien_node *after = &graph->nodes[i + 1];
        for (int k = 0; k < after->input_count; k++)
            if (after->inputs[k] < earliest) earliest = after->inputs[k];
        if (is_feature[i] && earliest == i) *cut = i;
    }
    mien_free(is_feature);
    return MIEN_OK;
}

/* ---- set-up ---- */

static mien_status create_plans(mien_gradcam *cam, int cut, int scores) {
    const mien_graph *graph = &cam->model->graph;
    const mien_weights *all = &cam->model->weights;
    const mien_weights rest = {all->items + (size_t)cut * MIEN_PARAMS_MAX, all->nodes - cut};
    const mien_plan_options infer = {.max_batch = BATCH, .sliced = true};
    const mien_plan_options frozen = {
        .training = true, .max_batch = BATCH, .micro_batch = BATCH, .input_gradient = true};
    MIEN_TRY(take_part(graph, 0, cut, true, &cam->front_graph));
    MIEN_TRY(take_part(graph, cut, scores, false, &cam->tail_graph));
    MIEN_TRY(mien_plan_create(&cam->front_graph, cam->backend, &infer, &cam->front));
    MIEN_TRY(mien_plan_load(cam->front, all));
    MIEN_TRY(mien_plan_create(&cam->tail_graph, cam->backend, &frozen, &cam->tail));
    return mien_plan_load(cam->tail, &rest);
}

static mien_status build(mien_gradcam *cam) {
    const mien_model *model = cam->model;
    const int scores = find_scores(&model->graph);
    int cut;
    if (model->meta.head == MIEN_HEAD_VALUES)
        return MIEN_FAIL(UNSUPPORTED, "the network does not answer in classes, so no Grad-CAM "
                                      "can show what speaks for one");
    MIEN_TRY(find_cut(&model->graph, scores, &cut));
    if (cut == 0)
        return MIEN_FAIL(UNSUPPORTED, "the network has no convolution whose result is an image "
                                      "that all of its answer depends on, so Grad-CAM does not "
                                      "apply to it");
    cam->feature = model->graph.nodes[cut].out;
    const size_t positions = BATCH * (size_t)cam->feature.h * (size_t)cam->feature.w;
    const size_t numbers = positions * (size_t)cam->feature.c;
    MIEN_TRY(mien_new(&cam->features, numbers, sizeof *cam->features));
    MIEN_TRY(mien_new(&cam->gradients, numbers, sizeof *cam->gradients));
    MIEN_TRY(mien_new(&cam->coarse, positions, sizeof *cam->coarse));
    MIEN_TRY(mien_new(&cam->scores, BATCH * (size_t)model->graph.classes, sizeof *cam->scores));
    return create_plans(cam, cut, scores);
}

mien_status mien_gradcam_create(const mien_model *model, mien_backend *backend,
                                mien_gradcam **out) {
    mien_gradcam *cam;
    *out = NULL;
    MIEN_TRY(mien_new(&cam, 1, sizeof *cam));
    cam->model = model;
    cam->backend = backend;
    const mien_thread_mode mode = mien_threads_enter(backend->team);
    const mien_status status = build(cam);
    mien_threads_leave(mode);
    if (status != MIEN_OK) {
        mien_gradcam_free(cam);
        return status;
    }
    *out = cam;
    return MIEN_OK;
}

void mien_gradcam_free(mien_gradcam *cam) {
    if (!cam) return;
    mien_plan_free(cam->front);
    mien_plan_free(cam->tail);
    drop_part(&cam->front_graph);
    drop_part(&cam->tail_graph);
    mien_free(cam->features);
    mien_free(cam->gradients);
    mien_free(cam->scores);
    mien_free(cam->coarse);
    mien_free(cam);
}

void mien_gradcam_size(const mien_gradcam *cam, int *height, int *width) {
    *height = cam->feature.h;
    *width = cam->feature.w;
}

/* ---- maps ---- */

typedef struct source {
    mien_plan *plan;
    const float *images;
} source;

static mien_status fill(void *context, int first, const mien_tensor *x) {
    const source *from = context;
    const size_t image = mien_shape_sample(x->shape);
    return from->plan->ops->upload(from->plan->backend, x, from->images + (size_t)first * image);
}

/* Features of n images, and the gradients of the scores of `classes` by them. */
static mien_status differentiate(mien_gradcam *cam, const float *images, const uint16_t *classes,
                                 int n) {
    const mien_ops *ops = cam->backend->ops;
    const int count = cam->model->graph.classes;
    source from = {cam->front, images};
    MIEN_TRY(mien_plan_run(cam->front, n, fill, &from, cam->features));
    memset(cam->scores, 0, (size_t)n * (size_t)count * sizeof *cam->scores);
    for (int i = 0; i < n; i++)
        cam->scores[i * count + classes[i]] = 1;
    MIEN_TRY(mien_plan_prepare(cam->tail, n));
    const mien_tensor x = mien_plan_input(cam->tail, n);
    const mien_tensor dscores = mien_plan_logits_gradient(cam->tail, n);
    const mien_tensor dx = mien_plan_input_gradient(cam->tail, n);
    MIEN_TRY(ops->upload(cam->backend, &x, cam->features));
    MIEN_TRY(mien_plan_forward(cam->tail, n, false, 0));
    MIEN_TRY(ops->upload(cam->backend, &dscores, cam->scores));
    MIEN_TRY(mien_plan_backward(cam->tail, n, 0));
    return ops->download(cam->backend, cam->gradients, &dx);
}

/* The positive part of the sum of the channels, each weighted by its mean gradient; divided by its
 * maximum. */
static void combine(const mien_gradcam *cam, const float *features, const float *gradients,
                    double *weights, float *map) {
    const size_t positions = (size_t)cam->feature.h * (size_t)cam->feature.w;
    const size_t channels = (size_t)cam->feature.c;
    float top = 0;
    memset(weights, 0, channels * sizeof *weights);
    for (size_t p = 0; p < positions; p++)
        for (size_t k = 0; k < channels; k++)
            weights[k] += (double)gradients[p * channels + k] / (double)positions;
    for (size_t p = 0; p < positions; p++) {
        double sum = 0;
        for (size_t k = 0; k < channels; k++)
            sum += weights[k] * (double)features[p * channels + k];
        map[p] = sum > 0 ? (float)sum : 0;
        top = fmaxf(top, map[p]);
    }
    for (size_t p = 0; p < positions; p++)
        map[p] = top > 0 && isfinite(top) ? map[p] / top : 0;
}

static void enlarge(const float *from, mien_shape small, float *to, mien_shape large) {
    for (int y = 0; y < large.h; y++) {
        const body_tap v = body_resample_tap(y, small.h, large.h, true);
        const float *above = from + v.low * small.w, *below = from + v.high * small.w;
        for (int x = 0; x < large.w; x++) {
            const body_tap u = body_resample_tap(x, small.w, large.w, true);
            to[y * large.w + x] =
                body_between(body_between(above[u.low], above[u.high], u.weight),
                             body_between(below[u.low], below[u.high], u.weight), v.weight);
        }
    }
}

static mien_status check_classes(const mien_gradcam *cam, const uint16_t *classes, int n) {
    for (int i = 0; i < n; i++)
        if (classes[i] >= cam->model->graph.classes)
            return MIEN_FAIL(INVALID, "Grad-CAM of class %d: the network has %d", classes[i],
                             cam->model->graph.classes);
    return MIEN_OK;
}

/* coarse[rows][h][w] of the feature map for at most BATCH images. */
static mien_status run_batch(mien_gradcam *cam, const float *images, const uint16_t *classes,
                             int rows, float *coarse) {
    const size_t positions = (size_t)cam->feature.h * (size_t)cam->feature.w;
    const size_t row = positions * (size_t)cam->feature.c;
    double *weights;
    MIEN_TRY(differentiate(cam, images, classes, rows));
    MIEN_TRY(mien_new(&weights, (size_t)cam->feature.c, sizeof *weights));
    for (int i = 0; i < rows; i++)
        combine(cam, cam->features + (size_t)i * row, cam->gradients + (size_t)i * row, weights,
                coarse + (size_t)i * positions);
    mien_free(weights);
    return MIEN_OK;
}

typedef mien_status (*each_batch)(mien_gradcam *cam, const float *images, const uint16_t *classes,
                                  int rows, float *maps);

static mien_status run(mien_gradcam *cam, const float *images, const uint16_t *classes, int n,
                       each_batch work, size_t map, float *maps) {
    const size_t image = mien_shape_sample(cam->model->graph.nodes[0].out);
    mien_status status = check_classes(cam, classes, n);
    const mien_thread_mode mode = mien_threads_enter(cam->backend->team);
    for (int at = 0; at < n && status == MIEN_OK; at += BATCH)
        status = work(cam, images + (size_t)at * image, classes + at,
                      n - at < BATCH ? n - at : BATCH, maps + (size_t)at * map);
    mien_threads_leave(mode);
    return status;
}

mien_status mien_gradcam_coarse(mien_gradcam *cam, const float *images, const uint16_t *classes,
                                int n, float *maps) {
    const size_t positions = (size_t)cam->feature.h * (size_t)cam->feature.w;
    return run(cam, images, classes, n, run_batch, positions, maps);
}

static mien_status run_enlarged(mien_gradcam *cam, const float *images, const uint16_t *classes,
                                int rows, float *maps) {
    const mien_shape input = cam->model->graph.nodes[0].out;
    const size_t small = (size_t)cam->feature.h * (size_t)cam->feature.w;
    MIEN_TRY(run_batch(cam, images, classes, rows, cam->coarse));
    for (int i = 0; i < rows; i++)
        enlarge(cam->coarse + (size_t)i * small, cam->feature,
                maps + (size_t)i * (size_t)input.h * (size_t)input.w, input);
    return MIEN_OK;
}

mien_status mien_gradcam_maps(mien_gradcam *cam, const float *images, const uint16_t *classes,
                              int n, float *maps) {
    const mien_shape input = cam->model->graph.nodes[0].out;
    return run(cam, images, classes, n, run_enlarged, (size_t)input.h * (size_t)input.w, maps);
}
