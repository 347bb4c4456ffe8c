#include "host/infer/input_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "kernels/body/activation.h"

/* The variance of an image (0 to 255) of which anything can be said, and how far the one in the
 * network may be from that in training. With the right scale it is 0.7 to 3 times that for
 * published models, and photos of little contrast and sharpness have a few hundred times less;
 * scales of 0 to 1 and of 0 to 255 differ 65,025 times. */
enum { IMAGES_MOST = 16, POSITIONS = 64, LEAST_VARIANCE = 100, MUCH = 300, LITTLE = 1000 };

struct mien_input_check {
    const mien_model *model;
    int conv;  /* the first convolution, 0 if there is none before */
    int stats; /* the layer that keeps mean and variance */
    int images;
    double count;
    double *sum, *squares; /* [channels of stats] */
    float *x, *y;          /* of one position: its window, and the values there */
};

/* ---- the layers before the statistics ---- */

static bool is_def(const mien_node *node, const char *name) {
    return strcmp(node->def->name, name) == 0;
}

static int variance_of(const mien_node *node) {
    for (int k = 0; k < node->param_count; k++)
        if (strcmp(node->params[k].name, "moving_variance") == 0 ||
            strcmp(node->params[k].name, "variance") == 0)
            return k;
    return -1;
}

static bool keeps_values(const mien_node *node) {
    return (node->def->flags & MIEN_TRAINING_ONLY) || is_def(node, "zero_padding2d") ||
           is_def(node, "resizing") || is_def(node, "rescaling");
}

/* The layer that takes the value of node `from`, 0 for none or several. */
static int consumer_of(const mien_graph *graph, int from) {
    int found = 0;
    for (int i = from + 1; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].input_count; k++) {
            if (graph->nodes[i].inputs[k] != from) continue;
            if (found) return 0;
            found = i;
        }
    return found;
}

/* Follows the layers from the input on to one with statistics. */
static void find_statistics(const mien_graph *graph, int *conv, int *stats) {
    *conv = *stats = 0;
    for (int i = consumer_of(graph, 0); i; i = consumer_of(graph, i)) {
        const mien_node *node = &graph->nodes[i];
        if (variance_of(node) >= 0 && !node->flat) {
            *stats = i;
            return;
        }
        if (is_def(node, "conv2d") && !*conv && node->params[0].shape.w == node->in[0].c)
            *conv = i;
        else if (!keeps_values(node) && !node->def->activates)
            return;
    }
}

/* A batch normalisation with a variance of 1 everywhere was never trained, or stands for sums and
 * products with constants. */
static bool is_constant(const mien_model *model, int stats) {
    const mien_node *node = &model->graph.nodes[stats];
    const float *variance = mien_weights_get(&model->weights, stats, variance_of(node));
    for (int c = 0; c < node->out.c; c++)
        if (variance[c] != 1) return false;
    return true;
}

mien_status mien_input_check_create(const mien_model *model, mien_input_check **out) {
    int conv, stats;
    mien_input_check *check;
    *out = NULL;
    find_statistics(&model->graph, &conv, &stats);
    if (!stats || is_constant(model, stats)) return MIEN_OK;
    const mien_shape kernel = conv ? model->graph.nodes[conv].params[0].shape
                                   : (mien_shape){1, 1, model->graph.nodes[0].out.c, 1};
    const size_t channels = (size_t)model->graph.nodes[stats].out.c;
    const size_t window = (size_t)kernel.n * (size_t)kernel.h * (size_t)kernel.w;
    MIEN_TRY(mien_new(&check, 1, sizeof *check));
    *out = check;
    check->model = model;
    check->conv = conv;
    check->stats = stats;
    MIEN_TRY(mien_new(&check->sum, channels, sizeof *check->sum));
    MIEN_TRY(mien_new(&check->squares, channels, sizeof *check->squares));
    MIEN_TRY(mien_new(&check->x, window, sizeof *check->x));
    return mien_new(&check->y, channels > window ? channels : window, sizeof *check->y);
}

void mien_input_check_free(mien_input_check *check) {
    if (!check) return;
    mien_free(check->sum);
    mien_free(check->squares);
    mien_free(check->x);
    mien_free(check->y);
    mien_free(check);
}

/* ---- values ---- */

static double real_key(const mien_node *node, const char *name) {
    const mien_key *key = mien_keys_find(node->def->keys, name);
    double value;
    memcpy(&value, (const char *)node->attrs + key->offset, sizeof value);
    return value;
}

static void convolve(const mien_input_check *check, size_t window) {
    const mien_model *model = check->model;
    const mien_node *node = &model->graph.nodes[check->conv];
    const size_t channels = (size_t)node->out.c;
    const float *kernel = mien_weights_get(&model->weights, check->conv, 0);
    const float *bias =
        node->param_count > 1 ? mien_weights_get(&model->weights, check->conv, 1) : NULL;
    for (size_t c = 0; c < channels; c++)
        check->y[c] = bias ? bias[c] : 0;
    for (size_t i = 0; i < window; i++)
        for (size_t c = 0; c < channels; c++)
            check->y[c] += check->x[i] * kernel[i * channels + c];
}

/* Runs the layers before the statistics on the window in `x`. */
static void run_layers(const mien_input_check *check, size_t window) {
    const mien_graph *graph = &check->model->graph;
    float *v = check->conv ? check->x : check->y;
    size_t count = window;
    if (!check->conv) memcpy(check->y, check->x, window * sizeof *v);
    for (int i = consumer_of(graph, 0); i != check->stats; i = consumer_of(graph, i)) {
        const mien_node *node = &graph->nodes[i];
        if (i == check->conv) {
            convolve(check, window);
            v = check->y;
            count = (size_t)node->out.c;
        } else if (is_def(node, "rescaling")) {
            const float scale = (float)real_key(node, "scale"),
                        offset = (float)real_key(node, "offset");
            for (size_t k = 0; k < count; k++)
                v[k] = v[k] * scale + offset;
        } else if (node->def->activates) {
            float alpha;
            const int act = node->def->activates(node, &alpha);
            for (size_t k = 0; k < count && act >= 0; k++)
                v[k] = body_activate(v[k], act, alpha);
        }
    }
}

static double variance(const uint8_t *image, size_t bytes) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum += image[i];
        squares += (double)image[i] * image[i];
    }
    return squares / (double)bytes - sum / (double)bytes * (sum / (double)bytes);
}

/* The pixels of the window at (top, left) as the network reads them. */
static void take_window(const mien_input_check *check, const uint8_t *image, const mien_shape *k,
                        int top, int left) {
    const mien_shape in = check->model->graph.nodes[0].out;
    const mien_normalise *n = &check->model->meta.normalise;
    float *to = check->x;
    for (int h = 0; h < k->n; h++)
        for (int w = 0; w < k->h; w++)
            for (int c = 0; c < k->w; c++)
                *to++ = (float)((image[((top + h) * in.w + left + w) * in.c + c] * n->scale -
                                 n->mean[c]) /
                                n->std[c]);
}

void mien_input_check_add(mien_input_check *check, const uint8_t *images, int n) {
    if (!check) return;
    const mien_graph *graph = &check->model->graph;
    const mien_shape in = graph->nodes[0].out;
    const mien_shape k =
        check->conv ? graph->nodes[check->conv].params[0].shape : (mien_shape){1, 1, in.c, 1};
    const size_t bytes = (size_t)in.h * (size_t)in.w * (size_t)in.c;
    uint32_t draw = 1;
    if (in.h < k.n || in.w < k.h) return;
    for (int i = 0; i < n && check->images < IMAGES_MOST; i++, images += bytes) {
        if (variance(images, bytes) < LEAST_VARIANCE) continue;
        check->images++;
        for (int p = 0; p < POSITIONS; p++) {
            draw = draw * 1664525U + 1013904223U;
            const int top = (int)((draw >> 8) % (uint32_t)(in.h - k.n + 1));
            draw = draw * 1664525U + 1013904223U;
            const int left = (int)((draw >> 8) % (uint32_t)(in.w - k.h + 1));
            take_window(check, images, &k, top, left);
            run_layers(check, (size_t)k.n * (size_t)k.h * (size_t)k.w);
            for (int c = 0; c < graph->nodes[check->stats].out.c; c++) {
                check->sum[c] += check->y[c];
                check->squares[c] += (double)check->y[c] * check->y[c];
            }
            check->count++;
        }
    }
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mien_input_check_ratio(const mien_input_check *check) {
    const double tiny = 1e-9; /* channels that are always zero say nothing */
    if (!check || !check->images) return 1;
    const mien_node *node = &check->model->graph.nodes[check->stats];
    const float *trained =
        mien_weights_get(&check->model->weights, check->stats, variance_of(node));
    double *ratios;
    size_t count = 0;
    if (mien_new(&ratios, (size_t)node->out.c, sizeof *ratios) != MIEN_OK) return 1;
    for (int c = 0; c < node->out.c; c++) {
        const double mean = check->sum[c] / check->count;
        const double seen = check->squares[c] / check->count - mean * mean;
        if (trained[c] > tiny) ratios[count++] = fmax(seen, 0) / trained[c];
    }
    qsort(ratios, count, sizeof *ratios, compare);
    const double median = count ? ratios[count / 2] : 1;
    mien_free(ratios);
    return median > MUCH || (median > 0 && median * LITTLE < 1) ? median : 1;
}
