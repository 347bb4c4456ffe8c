/* Operators with windows: convolutions and poolings. */
#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/onnx.h"

/* ---- geometry ---- */

typedef struct window {
    int kernel[2], strides[2], dilations[2], pads[4]; /* top, left, bottom, right, as in ONNX */
    int out[2], after[2]; /* after: the pads at the bottom and right that the file gives */
    bool ceil_mode;
} window;

static int span(const window *w, int axis) {
    return (w->kernel[axis] - 1) * w->dilations[axis] + 1;
}

/* Pads by auto_pad; from the sizes, as in TensorFlow. */
static void pad_same(window *w, const int *in, bool lower) {
    for (int i = 0; i < 2; i++) {
        const int out = (in[i] + w->strides[i] - 1) / w->strides[i];
        const int need = (out - 1) * w->strides[i] + span(w, i) - in[i];
        const int all = need > 0 ? need : 0;
        w->pads[i] = lower ? all - all / 2 : all / 2;
        w->pads[i + 2] = all - w->pads[i];
    }
}

/* Reads the window's attributes and computes the output's size. The pads after the image become
 * those that are read: less than given where the last step does not reach them, and more in
 * ceil_mode. */
static mien_status read_window(const mien_onnx_op *op, const mien_onnx_view *image, window *w) {
    const int in[] = {image->h, image->w};
    const bool upper = mien_onnx_word_is(op, "auto_pad", "SAME_UPPER", "NOTSET");
    const bool lower = mien_onnx_word_is(op, "auto_pad", "SAME_LOWER", "NOTSET");
    MIEN_TRY(mien_onnx_ints(op, "kernel_shape", 2, w->kernel));
    MIEN_TRY(mien_onnx_ints(op, "strides", 2, w->strides));
    MIEN_TRY(mien_onnx_ints(op, "dilations", 2, w->dilations));
    if (!mien_onnx_word_is(op, "auto_pad", "VALID", "NOTSET"))
        MIEN_TRY(mien_onnx_ints(op, "pads", 4, w->pads));
    for (int i = 0; i < 2; i++)
        if (w->kernel[i] < 1 || w->kernel[i] > 255 || w->strides[i] < 1 || w->strides[i] > 255 ||
            w->dilations[i] < 1 || w->dilations[i] > 255)
            return mien_onnx_refuse(op, "its window is out of range");
    for (int i = 0; i < 4; i++)
        if (w->pads[i] < 0 || w->pads[i] > 4096)
            return mien_onnx_refuse(op, "its padding is out of range");
    if (upper || lower) pad_same(w, in, lower);
    w->after[0] = w->pads[2], w->after[1] = w->pads[3];
    w->ceil_mode = mien_onnx_integer(op, "ceil_mode", 0) != 0;
    for (int i = 0; i < 2; i++) {
        const int room = in[i] + w->pads[i] + w->pads[i + 2] - span(w, i);
        if (room < 0) return mien_onnx_refuse(op, "its window is larger than its input");
        w->out[i] = (room + (w->ceil_mode ? w->strides[i] - 1 : 0)) / w->strides[i] + 1;
        /* as in PyTorch, a window must begin inside the image or its upper padding */
        if (w->ceil_mode && (w->out[i] - 1) * w->strides[i] >= in[i] + w->pads[i]) w->out[i]--;
        const int last = (w->out[i] - 1) * w->strides[i] + span(w, i) - in[i] - w->pads[i];
        w->pads[i + 2] = last > 0 ? last : 0;
    }
    return MIEN_OK;
}

static bool is_valid(const window *w) {
    return !w->pads[0] && !w->pads[1] && !w->pads[2] && !w->pads[3];
}

/* Are these the pads of `padding: same`? */
static bool is_same(const window *w, const mien_onnx_view *image) {
    const int in[] = {image->h, image->w};
    window same = *w;
    pad_same(&same, in, false);
    for (int i = 0; i < 2; i++)
        if (w->out[i] != (in[i] + w->strides[i] - 1) / w->strides[i]) return false;
    return memcmp(same.pads, w->pads, sizeof same.pads) == 0;
}

static mien_status pad(const mien_onnx_op *op, mien_onnx_view *image, const window *w) {
    int layer;
    MIEN_TRY(mien_import_add(&op->r->import, "zero_padding2d", "", &image->layer, 1, &layer));
    image->layer = layer;
    mien_import_sides(&op->r->import, layer, "padding", w->pads[0], w->pads[2], w->pads[1],
                      w->pads[3]);
    image->h += w->pads[0] + w->pads[2];
    image->w += w->pads[1] + w->pads[3];
    return mien_onnx_check_size(op, image);
}

/* After a layer with a window: the image [1, channels, out]. */
static mien_status set_image(mien_onnx_view *view, int layer, int h, int w, int c) {
    const mien_onnx_view like = {.rank = 4, .dims = {1, c, h, w}};
    const bool positive = view->positive;
    mien_onnx_view_make(view, layer, &like, (const int[]){0, 2, 3, 1}, h, w, c, false);
    view->positive = positive;
    return MIEN_OK;
}

/* ---- convolution ---- */

/* [O, I, h, w] to [h, w, I, O]; of a depthwise one, with I = 1, to [h, w, channels, O / channels].
 */
static void permute_kernel(const float *from, float *to, int out, int in, int area) {
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++)
            for (int p = 0; p < area; p++)
                to[((size_t)p * (size_t)in + (size_t)i) * (size_t)out + (size_t)o] =
                    from[((size_t)o * (size_t)in + (size_t)i) * (size_t)area + (size_t)p];
}

/* Input 2, if it is given: one number per channel. */
static mien_status read_bias(const mien_onnx_op *op, int layer, int i, int channels) {
    float *bias;
    mien_import_bool(&op->r->import, layer, "use_bias", mien_onnx_given(op, i));
    if (!mien_onnx_given(op, i)) return MIEN_OK;
    const mien_onnx_constant *c = mien_onnx_constant_in(op, i);
    if (!c || c->count != (size_t)channels)
        return mien_onnx_refuse(op, "its bias is not a constant of %d numbers", channels);
    MIEN_TRY(mien_onnx_floats(op, i, &bias));
    mien_import_param(&op->r->import, layer, "bias", bias, c->count);
    return MIEN_OK;
}

static mien_status read_kernel(const mien_onnx_op *op, int layer, int out, int in, int area) {
    float *from, *to;
    MIEN_TRY(mien_onnx_floats(op, 1, &from));
    const size_t count = (size_t)out * (size_t)in * (size_t)area;
    const mien_status status = mien_new(&to, count, sizeof *to);
    if (status == MIEN_OK) {
        permute_kernel(from, to, out, in, area);
        mien_import_param(&op->r->import, layer, "kernel", to, count);
    }
    mien_free(from);
    return status;
}

static void set_window(const mien_onnx_op *op, int layer, const window *w, bool same) {
    mien_import *import = &op->r->import;
    mien_import_numbers(import, layer, "kernel_size", w->kernel, 2);
    mien_import_numbers(import, layer, "strides", w->strides, 2);
    if (w->dilations[0] > 1 || w->dilations[1] > 1)
        mien_import_numbers(import, layer, "dilation_rate", w->dilations, 2);
    mien_import_text(import, layer, "padding", same ? "same" : "valid");
}

static mien_status check_kernel(const mien_onnx_op *op, mien_onnx_view *image,
                                const mien_onnx_constant **kernel, window *w) {
    *kernel = mien_onnx_constant_in(op, 1);
    if (!*kernel || (*kernel)->rank != 4 || (*kernel)->count == 0)
        return mien_onnx_refuse(op, "its kernel is not a constant with 4 axes");
    for (int i = 0; i < 4; i++)
        if ((*kernel)->dims[i] > MIEN_CHANNELS_MAX)
            return mien_onnx_refuse(op, "its kernel has an impossible shape");
    *w = (window){.kernel = {(int)(*kernel)->dims[2], (int)(*kernel)->dims[3]},
                  .strides = {1, 1},
                  .dilations = {1, 1}};
    const int kernel_size[] = {w->kernel[0], w->kernel[1]};
    MIEN_TRY(mien_onnx_image(op, image));
    MIEN_TRY(mien_onnx_ints(op, "kernel_shape", 2, w->kernel));
    if (w->kernel[0] != kernel_size[0] || w->kernel[1] != kernel_size[1])
        return mien_onnx_refuse(op, "its kernel_shape is not its kernel's");
    return MIEN_OK;
}

static mien_status read_conv(const mien_onnx_op *op) {
    mien_onnx_view image = *mien_onnx_view_in(op, 0);
    const mien_onnx_constant *kernel;
    window w;
    int layer;
    MIEN_TRY(check_kernel(op, &image, &kernel, &w));
    const long long groups = mien_onnx_integer(op, "group", 1);
    const int out = (int)kernel->dims[0], in = (int)kernel->dims[1],
              area = w.kernel[0] * w.kernel[1];
    if (groups < 1 || groups > image.c || in * groups != image.c || out % groups)
        return mien_onnx_refuse(op,
                                "its kernel for %d channels in %lld groups does not fit its "
                                "input of %d channels",
                                in, groups, image.c);
    MIEN_TRY(read_window(op, &image, &w));
    if ((w.strides[0] > 1 || w.strides[1] > 1) && (w.dilations[0] > 1 || w.dilations[1] > 1))
        return mien_onnx_refuse(op, "strides together with dilations are not supported");
    const bool same = !is_valid(&w) && is_same(&w, &image);
    if (!same && !is_valid(&w)) MIEN_TRY(pad(op, &image, &w));
    const bool depthwise = groups == image.c && groups > 1;
    MIEN_TRY(mien_onnx_unary(op, depthwise ? "depthwise_conv2d" : "conv2d", &image, &layer));
    set_window(op, layer, &w, same);
    if (depthwise)
        mien_import_number(&op->r->import, layer, "depth_multiplier", out / (int)groups);
    else
        mien_import_number(&op->r->import, layer, "filters", out);
    if (!depthwise && groups > 1)
        mien_import_number(&op->r->import, layer, "groups", (double)groups);
    MIEN_TRY(read_kernel(op, layer, out, in, area));
    MIEN_TRY(read_bias(op, layer, 2, out));
    image.positive = false;
    MIEN_TRY(set_image(&image, layer, w.out[0], w.out[1], out));
    return mien_onnx_set(op, &image);
}

/* Crops what the pads of a transposed convolution take away. */
static mien_status crop(const mien_onnx_op *op, mien_onnx_view *image, const int *sides) {
    int layer;
    if (!sides[0] && !sides[1] && !sides[2] && !sides[3]) return MIEN_OK;
    MIEN_TRY(mien_import_add(&op->r->import, "cropping2d", "", &image->layer, 1, &layer));
    mien_import_sides(&op->r->import, layer, "cropping", sides[0], sides[2], sides[1], sides[3]);
    return set_image(image, layer, image->h - sides[0] - sides[2], image->w - sides[1] - sides[3],
                     image->c);
}

/* [I, O, h, w] to [h, w, O, I]. */
static mien_status read_conv_transpose(const mien_onnx_op *op) {
    mien_onnx_view image = *mien_onnx_view_in(op, 0);
    const mien_onnx_constant *kernel;
    window w;
    int layer, more[2] = {0}, extra[2], full[2];
    MIEN_TRY(check_kernel(op, &image, &kernel, &w));
    MIEN_TRY(mien_onnx_ints(op, "strides", 2, w.strides));
    MIEN_TRY(mien_onnx_ints(op, "dilations", 2, w.dilations));
    MIEN_TRY(mien_onnx_ints(op, "pads", 4, w.pads));
    MIEN_TRY(mien_onnx_ints(op, "output_padding", 2, more));
    if (mien_onnx_integer(op, "group", 1) != 1 || mien_onnx_has(op, "output_shape") ||
        !mien_onnx_word_is(op, "auto_pad", "NOTSET", "NOTSET") || kernel->dims[0] != image.c)
        return mien_onnx_refuse(op, "groups, auto_pad and output_shape are not supported "
                                    "in a transposed convolution");
    if ((w.strides[0] > 1 || w.strides[1] > 1) && (w.dilations[0] > 1 || w.dilations[1] > 1))
        return mien_onnx_refuse(op, "strides together with dilations are not supported");
    const int sizes[] = {image.h, image.w}, out = (int)kernel->dims[1];
    for (int i = 0; i < 2; i++) {
        if (w.strides[i] < 1 || w.strides[i] > 255 || w.dilations[i] < 1 || w.dilations[i] > 255 ||
            w.pads[i] < 0 || w.pads[i + 2] < 0 || w.pads[i] > 65536 || w.pads[i + 2] > 65536 ||
            more[i] < 0 || more[i] > 254)
            return mien_onnx_refuse(op, "its window or its padding is out of range");
        extra[i] = more[i] > w.pads[i + 2] ? more[i] - w.pads[i + 2] : 0;
        w.pads[i + 2] -= more[i] - extra[i];
        full[i] = (sizes[i] - 1) * w.strides[i] + span(&w, i) + extra[i];
        if (w.pads[i] + w.pads[i + 2] >= full[i] || full[i] > 65536)
            return mien_onnx_refuse(op, "its output has an impossible size");
    }
    MIEN_TRY(mien_onnx_unary(op, "conv2d_transpose", &image, &layer));
    set_window(op, layer, &w, false);
    mien_import_number(&op->r->import, layer, "filters", out);
    if (extra[0] || extra[1] || span(&w, 0) < w.strides[0] || span(&w, 1) < w.strides[1])
        mien_import_numbers(&op->r->import, layer, "output_padding", extra, 2);
    MIEN_TRY(read_kernel(op, layer, image.c, out, w.kernel[0] * w.kernel[1]));
    MIEN_TRY(read_bias(op, layer, 2, out));
    image.positive = false;
    MIEN_TRY(set_image(&image, layer, full[0], full[1], out));
    MIEN_TRY(crop(op, &image, w.pads));
    return mien_onnx_set(op, &image);
}

/* ---- pooling ---- */

static mien_status add_pool(const mien_onnx_op *op, const char *def, mien_onnx_view *image,
                            const window *w, bool same) {
    int layer;
    MIEN_TRY(mien_onnx_unary(op, def, image, &layer));
    mien_import_numbers(&op->r->import, layer, "pool_size", w->kernel, 2);
    mien_import_numbers(&op->r->import, layer, "strides", w->strides, 2);
    mien_import_text(&op->r->import, layer, "padding", same ? "same" : "valid");
    return set_image(image, layer, w->out[0], w->out[1], image->c);
}

/* A maximum over padding that is not Keras's: by all windows at stride 1, of which a pooling of
 * single pixels takes those that are wanted. */
static mien_status pool_and_choose(const mien_onnx_op *op, mien_onnx_view *image, const window *w) {
    window all = *w, few = *w;
    int sides[4] = {0};
    for (int i = 0; i < 2; i++) {
        const int size = i ? image->w : image->h, middle = (w->kernel[i] - 1) / 2;
        sides[i] = middle - w->pads[i];
        sides[i + 2] = size - sides[i] - (w->out[i] - 1) * w->strides[i] - 1;
        all.strides[i] = 1, all.out[i] = size;
        few.kernel[i] = 1;
        if (sides[i] < 0 || sides[i + 2] < 0)
            return mien_onnx_refuse(op, "its padding is not supported for values below zero");
    }
    MIEN_TRY(add_pool(op, "max_pooling2d", image, &all, true));
    MIEN_TRY(crop(op, image, sides));
    return add_pool(op, "max_pooling2d", image, &few, false);
}

static mien_status read_max_pool(const mien_onnx_op *op) {
    mien_onnx_view image = *mien_onnx_view_in(op, 0);
    window w = {.strides = {1, 1}, .dilations = {1, 1}};
    MIEN_TRY(mien_onnx_image(op, &image));
    MIEN_TRY(read_window(op, &image, &w));
    if (w.dilations[0] > 1 || w.dilations[1] > 1)
        return mien_onnx_refuse(op, "dilations are not supported in pooling");
    if (op->out_count > 1 && op->out[1] >= 0 && op->r->values[op->out[1]].consumers)
        return mien_onnx_refuse(op, "the indices of a maximum are not supported");
    if (is_valid(&w)) {
        MIEN_TRY(add_pool(op, "max_pooling2d", &image, &w, false));
    } else if (is_same(&w, &image)) {
        MIEN_TRY(add_pool(op, "max_pooling2d", &image, &w, true));
    } else if (image.positive) { /* zeros change no maximum */
        MIEN_TRY(pad(op, &image, &w));
        MIEN_TRY(add_pool(op, "max_pooling2d", &image, &w, false));
    } else {
        MIEN_TRY(pool_and_choose(op, &image, &w));
    }
    return mien_onnx_set(op, &image);
}

/* How many pixels of a window's row or column an average counts: those of the image, and the
 * padding if `padded`. ceil_mode's additional pixels never count. */
static int counted(const window *w, int axis, int at, int size, int pad_after, bool padded) {
    const int first = at * w->strides[axis] - w->pads[axis], last = first + w->kernel[axis];
    const int low = padded ? -w->pads[axis] : 0, high = padded ? size + pad_after : size;
    return (last < high ? last : high) - (first > low ? first : low);
}

/* The factor per output pixel by which an average over whole windows differs. */
static mien_status correct(const mien_onnx_op *op, mien_onnx_view *image, const window *w,
                           const int *in, bool padded) {
    const size_t count = (size_t)image->h * (size_t)image->w * (size_t)image->c;
    float *scale, *shift;
    MIEN_TRY(mien_onnx_count_spread(op, count));
    MIEN_TRY(mien_new(&scale, count, sizeof *scale));
    const mien_status status = mien_new(&shift, count, sizeof *shift);
    if (status != MIEN_OK) {
        mien_free(scale);
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        const int pixel = (int)(i / (size_t)image->c);
        const int rows = counted(w, 0, pixel / image->w, in[0], w->after[0], padded);
        const int columns = counted(w, 1, pixel % image->w, in[1], w->after[1], padded);
        scale[i] = (float)((double)(w->kernel[0] * w->kernel[1]) / (rows * columns));
    }
    return mien_onnx_affine_elements(op, image, scale, shift);
}

static mien_status read_average_pool(const mien_onnx_op *op) {
    mien_onnx_view image = *mien_onnx_view_in(op, 0);
    window w = {.strides = {1, 1}, .dilations = {1, 1}};
    const bool padded = mien_onnx_integer(op, "count_include_pad", 0) != 0;
    MIEN_TRY(mien_onnx_image(op, &image));
    const int in[] = {image.h, image.w};
    MIEN_TRY(read_window(op, &image, &w));
    if (w.dilations[0] > 1 || w.dilations[1] > 1)
        return mien_onnx_refuse(op, "dilations are not supported in pooling");
    if (is_valid(&w)) {
        MIEN_TRY(add_pool(op, "average_pooling2d", &image, &w, false));
    } else if (!padded && is_same(&w, &image)) {
        MIEN_TRY(add_pool(op, "average_pooling2d", &image, &w, true));
    } else {
        const bool exact = padded && w.pads[2] <= w.after[0] && w.pads[3] <= w.after[1];
        MIEN_TRY(pad(op, &image, &w));
        MIEN_TRY(add_pool(op, "average_pooling2d", &image, &w, false));
        if (!exact) MIEN_TRY(correct(op, &image, &w, in, padded));
    }
    return mien_onnx_set(op, &image);
}

/* Over all pixels: [1, C, 1, 1]. */
static mien_status read_global(const mien_onnx_op *op) {
    const bool most = mien_slice_is(op->node->op, "GlobalMaxPool");
    mien_onnx_view image = *mien_onnx_view_in(op, 0);
    int layer;
    MIEN_TRY(mien_onnx_image(op, &image));
    MIEN_TRY(mien_onnx_unary(op, most ? "global_max_pooling2d" : "global_average_pooling2d", &image,
                             &layer));
    mien_import_bool(&op->r->import, layer, "keepdims", true);
    MIEN_TRY(set_image(&image, layer, 1, 1, image.c));
    return mien_onnx_set(op, &image);
}

/* ---- resizing ---- */

/* The output's height and width, from the input `sizes` or from factors. */
static mien_status resized(const mien_onnx_op *op, const mien_onnx_view *image, int *out) {
    const bool upsample = mien_slice_is(op->node->op, "Upsample");
    const int last = op->in_count - 1;
    double list[4] = {1, 1, 1, 1};
    mien_onnx_attribute a;
    const bool sizes = op->in_count == 4 && mien_onnx_given(op, 3);
    if (mien_onnx_attribute_of(op->node, "scales", &a)) {
        if (mien_onnx_list(&a, list, 4) != 4) return mien_onnx_refuse(op, "it needs 4 scales");
    } else {
        const int i = sizes ? 3 : upsample || last == 1 ? 1 : 2;
        if (!mien_onnx_constant_in(op, i)) return mien_onnx_refuse(op, "its size is not constant");
        mien_onnx_constant *c = &op->r->values[op->in[i]].constant;
        if (c->count != 4) return mien_onnx_refuse(op, "it needs 4 numbers");
        MIEN_TRY(mien_onnx_doubles(op, c));
        memcpy(list, c->values, sizeof list);
    }
    const double in[] = {1, image->c, image->h, image->w};
    for (int i = 0; i < 4; i++) {
        const double size = sizes ? list[i] : floor(list[i] * in[i]);
        if (!(size >= 1 && size <= 4096) || (i < 2 && size != in[i]))
            return mien_onnx_refuse(op, "it must resize height and width alone");
        if (!sizes &&
            fabs(list[i] * in[i] - size) > 1e-4) /* the scale, not the sizes, would count */
            return mien_onnx_refuse(op, "its scales do not give whole sizes");
        if (i >= 2) out[i - 2] = (int)size;
    }
    return MIEN_OK;
}

static mien_status read_resize(const mien_onnx_op *op) {
    const bool upsample = mien_slice_is(op->node->op, "Upsample");
    mien_onnx_view image = *mien_onnx_view_in(op, 0);
    const bool nearest = mien_onnx_word_is(op, "mode", "nearest", "nearest");
    const char *const frame = upsample || op->r->model.opset < 11 ? "asymmetric" : "half_pixel";
    const bool corner =
        mien_onnx_word_is(op, "coordinate_transformation_mode", "asymmetric", frame);
    const bool half =
        mien_onnx_word_is(op, "coordinate_transformation_mode", "half_pixel", frame) ||
        mien_onnx_word_is(op, "coordinate_transformation_mode", "pytorch_half_pixel", frame);
    int out[2], layer;
    MIEN_TRY(mien_onnx_image(op, &image));
    MIEN_TRY(resized(op, &image, out));
    const bool whole = out[0] % image.h == 0 && out[1] % image.w == 0;
    const char *const rounding = op->r->model.opset < 11 ? "floor" : "round_prefer_floor";
    const bool floors = mien_onnx_word_is(op, "nearest_mode", "floor", rounding);
    const bool ceils = mien_onnx_word_is(op, "nearest_mode", "ceil", rounding);
    const bool copies = nearest && whole && ((corner && floors) || (half && !floors && !ceils));
    const bool linear = mien_onnx_word_is(op, "mode", "linear", "nearest") && half;
    if (!copies && !linear)
        return mien_onnx_refuse(op, "only nearest by whole factors and linear with half_pixel are "
                                    "supported");
    MIEN_TRY(mien_onnx_unary(op, "resizing", &image, &layer));
    mien_import_number(&op->r->import, layer, "height", out[0]);
    mien_import_number(&op->r->import, layer, "width", out[1]);
    mien_import_text(&op->r->import, layer, "interpolation", nearest ? "nearest" : "bilinear");
    MIEN_TRY(set_image(&image, layer, out[0], out[1], image.c));
    return mien_onnx_set(op, &image);
}

const mien_onnx_operator mien_onnx_window_ops[] = {{"Conv", read_conv},
                                                   {"ConvTranspose", read_conv_transpose},
                                                   {"MaxPool", read_max_pool},
                                                   {"AveragePool", read_average_pool},
                                                   {"GlobalAveragePool", read_global},
                                                   {"GlobalMaxPool", read_global},
                                                   {"Resize", read_resize},
                                                   {"Upsample", read_resize},
                                                   {NULL, NULL}};
