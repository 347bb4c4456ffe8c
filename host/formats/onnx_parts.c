/* Operators that join tensors and take them apart: Concat, Split, Slice, Gather, Pad, and
 * Tile. */
#include <limits.h>
#include <string.h>

#include "host/formats/onnx.h"

/* ---- Concat ---- */

/* Layers are joined along their last axis, eight at a time. */
static mien_status join_layers(const mien_onnx_op *op, const int *layers, int count, int *out) {
    int done = 0, inputs[MIEN_INPUTS_MAX];
    *out = layers[done++];
    while (done < count) {
        int n = 1;
        inputs[0] = *out;
        while (n < MIEN_INPUTS_MAX && done < count)
            inputs[n++] = layers[done++];
        MIEN_TRY(mien_import_add(&op->r->import, "concatenate", done == count ? op->name : "",
                                 inputs, n, out));
    }
    return MIEN_OK;
}

/* How all inputs are laid out: with the axis last, if the first one is like that already or it is
 * the channels of an image, else in the tensors' own order, in which what follows the axis is
 * joined with it. */
static bool axis_last(const mien_onnx_view *view, int axis, int *order) {
    int memory[MIEN_ONNX_RANK_MAX], n = 0;
    mien_onnx_memory_order(view, memory);
    for (int i = 0; i < view->rank; i++)
        if (memory[i] != axis) order[n++] = memory[i];
    order[n] = axis;
    if (view->rank == 4 && axis == 1 && view->dims[0] == 1) {
        memcpy(order, (const int[]){0, 2, 3, 1}, 4 * sizeof *order);
        return true;
    }
    return view->rank == 2 || memory[view->rank - 1] == axis;
}

static mien_status read_concat(const mien_onnx_op *op) {
    enum { MOST = MIEN_ONNX_PORTS_MAX };
    int layers[MOST], order[MIEN_ONNX_RANK_MAX], joined;
    long long rows = 1, columns = 1;
    for (int i = 0; i < op->in_count; i++)
        if (!mien_onnx_view_in(op, i))
            return mien_onnx_refuse(op, "joining with a constant is not supported");
    const mien_onnx_view first = *mien_onnx_view_in(op, 0);
    mien_onnx_view like = first;
    long long axis = mien_onnx_integer(op, "axis", LLONG_MIN);
    if (axis == LLONG_MIN) return mien_onnx_refuse(op, "its axis is missing");
    axis = axis < 0 ? axis + first.rank : axis;
    if (axis < 0 || axis >= first.rank) return mien_onnx_refuse(op, "it has no axis %lld", axis);
    const bool last = axis_last(&first, (int)axis, order);
    bool positive = true;
    like.dims[axis] = 0;
    for (int i = 0; i < first.rank; i++)
        if (i != axis) *(!last && i > axis ? &columns : &rows) *= first.dims[i];
    for (int i = 0; i < op->in_count; i++) {
        mien_onnx_view view = *mien_onnx_view_in(op, i);
        const long long size = view.rank == first.rank ? view.dims[axis] : 0;
        for (int k = 0; k < first.rank; k++)
            if (view.rank != first.rank || (k != axis && view.dims[k] != first.dims[k]))
                return mien_onnx_refuse(op, "its inputs have different shapes");
        const bool image = last && first.rank == 4 && axis == 1;
        const int h = image ? (int)view.dims[2] : 1, w = image ? (int)view.dims[3] : (int)rows;
        MIEN_TRY(
            mien_onnx_arrange(op, &view, last ? order : NULL, h, w, (int)(size * columns), false));
        layers[i] = view.layer;
        like.dims[axis] += size;
        positive &= view.positive;
        like.h = h, like.w = w;
    }
    MIEN_TRY(join_layers(op, layers, op->in_count, &joined));
    mien_onnx_view view;
    mien_onnx_view_make(&view, joined, &like, last ? order : NULL, like.h, like.w,
                        (int)(like.dims[axis] * columns), false);
    view.positive = positive;
    return mien_onnx_set(op, &view);
}

/* ---- parts of one axis ---- */

/* Makes the layer's output (what is outside the axis) x axis x (what is inside), without moving
 * elements, and then crops or pads the axis. */
static mien_status change_axis(const mien_onnx_op *op, mien_onnx_view *view, int axis,
                               const char *def, const char *key, int first, int last, int size) {
    int order[MIEN_ONNX_RANK_MAX], at = 0, layer;
    long long outside = 1, inside = 1;
    mien_onnx_memory_order(view, order);
    while (order[at] != axis)
        outside *= view->dims[order[at++]];
    for (int i = at + 1; i < view->rank; i++)
        inside *= view->dims[order[i]];
    MIEN_TRY(mien_onnx_arrange(op, view, order, (int)outside, (int)view->dims[axis], (int)inside,
                               false));
    MIEN_TRY(mien_import_add(&op->r->import, def, op->name, &view->layer, 1, &layer));
    mien_import_sides(&op->r->import, layer, key, 0, 0, first, last);
    mien_onnx_view like = *view;
    like.dims[axis] = size;
    const bool positive = view->positive;
    mien_onnx_view_make(view, layer, &like, order, (int)outside, size, (int)inside, false);
    view->positive = positive;
    return mien_onnx_check_size(op, view);
}

/* Elements start … end - 1 of an axis. */
static mien_status take(const mien_onnx_op *op, mien_onnx_view *view, int axis, long long start,
                        long long end) {
    const long long size = view->dims[axis];
    if (start < 0 || end <= start || end > size)
        return mien_onnx_refuse(op, "it takes elements that are not there");
    if (start == 0 && end == size) return MIEN_OK;
    return change_axis(op, view, axis, "cropping2d", "cropping", (int)start, (int)(size - end),
                       (int)(end - start));
}

static long long bound(double v, long long size) {
    v = v < 0 ? v + (double)size : v;
    return v < 0 ? 0 : v > (double)size ? size : (long long)v;
}

/* A list that is an attribute in old opsets and an input in new ones. */
static mien_status list_of(const mien_onnx_op *op, const char *name, int i, double *out,
                           size_t *count) {
    mien_onnx_attribute a;
    *count = 0;
    if (mien_onnx_attribute_of(op->node, name, &a)) {
        *count = mien_onnx_list(&a, out, 2 * MIEN_ONNX_RANK_MAX);
    } else if (mien_onnx_given(op, i)) {
        if (!mien_onnx_constant_in(op, i))
            return mien_onnx_refuse(op, "its %s are not constant", name);
        mien_onnx_constant *c = &op->r->values[op->in[i]].constant;
        MIEN_TRY(mien_onnx_doubles(op, c));
        *count = c->count;
        for (size_t k = 0; k < c->count && k < 2 * MIEN_ONNX_RANK_MAX; k++)
            out[k] = c->values[k];
    }
    return *count > 2 * MIEN_ONNX_RANK_MAX ? mien_onnx_refuse(op, "it has more than 8 axes")
                                           : MIEN_OK;
}

enum { LIST = 2 * MIEN_ONNX_RANK_MAX };

static mien_status read_slice(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    double start[LIST], end[LIST], axes[LIST], steps[LIST];
    size_t count, ends, axis_count, step_count;
    MIEN_TRY(list_of(op, "starts", 1, start, &count));
    MIEN_TRY(list_of(op, "ends", 2, end, &ends));
    MIEN_TRY(list_of(op, "axes", 3, axes, &axis_count));
    MIEN_TRY(list_of(op, "steps", 4, steps, &step_count));
    if (count != ends || (axis_count && axis_count != count) || (step_count && step_count != count))
        return mien_onnx_refuse(op, "its lists differ in length");
    for (size_t i = 0; i < count; i++) {
        double axis = axis_count ? axes[i] : (double)i;
        axis = axis < 0 ? axis + view.rank : axis;
        if (!(axis >= 0 && axis < view.rank)) return mien_onnx_refuse(op, "it has no such axis");
        if (step_count && steps[i] != 1)
            return mien_onnx_refuse(op, "only steps of 1 are supported");
        const long long size = view.dims[(int)axis];
        MIEN_TRY(take(op, &view, (int)axis, bound(start[i], size), bound(end[i], size)));
    }
    return mien_onnx_set(op, &view);
}

static mien_status read_split(const mien_onnx_op *op) {
    const mien_onnx_view from = *mien_onnx_view_in(op, 0);
    long long axis = mien_onnx_integer(op, "axis", 0), at = 0;
    double sizes[LIST];
    size_t count;
    axis = axis < 0 ? axis + from.rank : axis;
    if (axis < 0 || axis >= from.rank) return mien_onnx_refuse(op, "it has no axis %lld", axis);
    MIEN_TRY(list_of(op, "split", 1, sizes, &count));
    if (count && count != (size_t)op->out_count)
        return mien_onnx_refuse(op, "its sizes do not fit its outputs");
    if (op->out_count > LIST) return mien_onnx_refuse(op, "it has more than %d outputs", LIST);
    const long long equal =
        (from.dims[axis] + op->out_count - 1) / (op->out_count ? op->out_count : 1);
    for (int i = 0; i < op->out_count; i++) {
        mien_onnx_view view = from;
        const long long rest = from.dims[axis] - at;
        const long long size = count ? bound(sizes[i], rest) : equal < rest ? equal : rest;
        MIEN_TRY(take(op, &view, (int)axis, at, at + size));
        MIEN_TRY(op->out[i] < 0 ? MIEN_OK : mien_onnx_set_output(op, i, &view));
        at += size;
    }
    return at == from.dims[axis] ? MIEN_OK : mien_onnx_refuse(op, "its sizes do not fit its input");
}

/* Does a list of indices choose the nearest pixels for another size? */
static bool is_resampling(const mien_onnx_constant *index, long long size) {
    if (index->count > 4096) return false; /* sides of resizing */
    for (size_t i = 0; i < index->count; i++)
        if (index->values[i] !=
            (double)((2 * (long long)i + 1) * size / (2 * (long long)index->count)))
            return false;
    return true;
}

/* Height or width (axis 2 or 3) of an image by the nearest pixels. */
static mien_status resample(const mien_onnx_op *op, mien_onnx_view *view, int axis, int size) {
    int layer;
    MIEN_TRY(mien_onnx_image(op, view));
    MIEN_TRY(mien_onnx_unary(op, "resizing", view, &layer));
    mien_onnx_view like = *view;
    const bool positive = view->positive;
    like.dims[axis] = size;
    mien_import_number(&op->r->import, layer, "height", (double)like.dims[2]);
    mien_import_number(&op->r->import, layer, "width", (double)like.dims[3]);
    mien_import_text(&op->r->import, layer, "interpolation", "nearest");
    mien_onnx_view_make(view, layer, &like, (const int[]){0, 2, 3, 1}, (int)like.dims[2],
                        (int)like.dims[3], view->c, false);
    view->positive = positive;
    return mien_onnx_check_size(op, view);
}

static mien_status read_gather(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    long long axis = mien_onnx_integer(op, "axis", 0), dims[MIEN_ONNX_RANK_MAX];
    int rank = 0;
    axis = axis < 0 ? axis + view.rank : axis;
    if (axis < 0 || axis >= view.rank || !mien_onnx_constant_in(op, 1))
        return mien_onnx_refuse(op, "its index is not constant");
    mien_onnx_constant *index = &op->r->values[op->in[1]].constant;
    if (!index->count || index->rank > 1)
        return mien_onnx_refuse(op, "only a number or a list is supported as its index");
    MIEN_TRY(mien_onnx_doubles(op, index));
    const long long first = bound(index->values[0], view.dims[axis]);
    const bool part = first + (long long)index->count <= view.dims[axis];
    if (index->rank && view.rank == 4 && axis >= 2 && !(part && index->count == 1) &&
        is_resampling(index, view.dims[axis])) {
        MIEN_TRY(resample(op, &view, (int)axis, (int)index->count));
        return mien_onnx_set(op, &view);
    }
    for (size_t i = 0; i < index->count; i++)
        if (bound(index->values[i], view.dims[axis]) != first + (long long)i)
            return mien_onnx_refuse(op, "only neighbouring elements are supported");
    MIEN_TRY(take(op, &view, (int)axis, first, first + (long long)index->count));
    for (int i = 0; i < view.rank; i++)
        if (i != axis || index->rank) dims[rank++] = view.dims[i];
    MIEN_TRY(mien_onnx_reshape(op, &view, dims, rank));
    return mien_onnx_set(op, &view);
}

/* ---- Pad ---- */

/* Height and width of an image at once. */
static mien_status pad_image(const mien_onnx_op *op, mien_onnx_view *view, const int *before,
                             const int *after) {
    int layer;
    MIEN_TRY(mien_onnx_image(op, view));
    MIEN_TRY(mien_onnx_unary(op, "zero_padding2d", view, &layer));
    mien_import_sides(&op->r->import, layer, "padding", before[2], after[2], before[3], after[3]);
    mien_onnx_view like = *view;
    like.dims[2] += before[2] + after[2], like.dims[3] += before[3] + after[3];
    const bool positive = view->positive;
    mien_onnx_view_make(view, layer, &like, (const int[]){0, 2, 3, 1}, (int)like.dims[2],
                        (int)like.dims[3], view->c, false);
    view->positive = positive;
    return MIEN_OK;
}

static mien_status read_pads(const mien_onnx_op *op, int rank, int *before, int *after) {
    double pads[LIST], axes[LIST];
    size_t count, axis_count;
    MIEN_TRY(list_of(op, "pads", 1, pads, &count));
    MIEN_TRY(list_of(op, "axes", 3, axes, &axis_count));
    const size_t n = axis_count ? axis_count : (size_t)rank;
    if (count != 2 * n || n > MIEN_ONNX_RANK_MAX)
        return mien_onnx_refuse(op, "its pads do not fit its input");
    for (size_t i = 0; i < n; i++) {
        double axis = axis_count ? axes[i] : (double)i;
        axis = axis < 0 ? axis + rank : axis;
        if (!(axis >= 0 && axis < rank)) return mien_onnx_refuse(op, "it has no such axis");
        if (!(pads[i] >= 0 && pads[i] <= 4096 && pads[i + n] >= 0 && pads[i + n] <= 4096))
            return mien_onnx_refuse(op, "its padding is out of range");
        before[(int)axis] = (int)pads[i], after[(int)axis] = (int)pads[i + n];
    }
    return MIEN_OK;
}

static mien_status read_pad(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    int before[MIEN_ONNX_RANK_MAX] = {0}, after[MIEN_ONNX_RANK_MAX] = {0};
    if (!mien_onnx_word_is(op, "mode", "constant", "constant"))
        return mien_onnx_refuse(op, "only padding with zeros is supported");
    double value = mien_onnx_real(op, "value", 0);
    if (mien_onnx_given(op, 2)) {
        if (!mien_onnx_constant_in(op, 2)) return mien_onnx_refuse(op, "its value is not constant");
        mien_onnx_constant *c = &op->r->values[op->in[2]].constant;
        MIEN_TRY(mien_onnx_doubles(op, c));
        value = c->count ? c->values[0] : 0;
    }
    if (value != 0) return mien_onnx_refuse(op, "only padding with zeros is supported");
    MIEN_TRY(read_pads(op, view.rank, before, after));
    const bool outer = view.rank == 4 && (before[0] || before[1] || after[0] || after[1]);
    const bool inner = view.rank == 4 && (before[2] || before[3] || after[2] || after[3]);
    if (inner && !outer && view.dims[0] == 1) {
        MIEN_TRY(pad_image(op, &view, before, after));
        return mien_onnx_set(op, &view);
    }
    for (int i = 0; i < view.rank; i++)
        if (before[i] || after[i])
            MIEN_TRY(change_axis(op, &view, i, "zero_padding2d", "padding", before[i], after[i],
                                 (int)view.dims[i] + before[i] + after[i]));
    return mien_onnx_set(op, &view);
}

/* ---- Tile, Expand ---- */

/* Repeats an axis of size 1: (axes outside) x 1 x (axes inside) is an image of one column, which
 * becomes wider. */
static mien_status widen(const mien_onnx_op *op, mien_onnx_view *view, int axis, int times) {
    const int factors[] = {1, times};
    const bool positive = view->positive;
    int layer;
    if (times > 64) return mien_onnx_refuse(op, "at most 64 repetitions are supported");
    MIEN_TRY(mien_onnx_around(op, view, axis));
    MIEN_TRY(mien_import_add(&op->r->import, "up_sampling2d", "", &view->layer, 1, &layer));
    mien_import_numbers(&op->r->import, layer, "size", factors, 2);
    mien_onnx_view like = *view;
    like.dims[axis] = times;
    mien_onnx_view_make(view, layer, &like, NULL, view->h, times, view->c, false);
    view->positive = positive;
    return mien_onnx_check_size(op, view);
}

static mien_status repeat(const mien_onnx_op *op, mien_onnx_view *view, int axis, int times) {
    long long dims[MIEN_ONNX_RANK_MAX];
    const mien_onnx_view before = *view;
    if (times == 1) return MIEN_OK;
    if (view->dims[axis] == 1) return widen(op, view, axis, times);
    if (view->rank == MIEN_ONNX_RANK_MAX) return mien_onnx_refuse(op, "it has more than 7 axes");
    for (int i = 0; i <= view->rank; i++) /* a new axis before it */
        dims[i] = i < axis ? before.dims[i] : i == axis ? 1 : before.dims[i - 1];
    MIEN_TRY(mien_onnx_reshape(op, view, dims, before.rank + 1));
    MIEN_TRY(widen(op, view, axis, times));
    memcpy(dims, before.dims, sizeof dims);
    dims[axis] *= times;
    return mien_onnx_reshape(op, view, dims, before.rank);
}

static mien_status read_repeat(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    const bool tile = mien_slice_is(op->node->op, "Tile");
    double list[LIST];
    size_t count;
    MIEN_TRY(list_of(op, "shape", 1, list, &count));
    if (count != (size_t)view.rank)
        return mien_onnx_refuse(op, "its numbers do not fit its input's axes");
    for (int i = 0; i < view.rank; i++) {
        const double size = (double)view.dims[i], times = tile || size == 1 ? list[i] : 1;
        if (!(times >= 1 && times <= 4096) ||
            (!tile && size != 1 && list[i] != size && list[i] != 1))
            return mien_onnx_refuse(op, "its numbers do not fit its input's axes");
        MIEN_TRY(repeat(op, &view, i, (int)times));
    }
    return mien_onnx_set(op, &view);
}

const mien_onnx_operator mien_onnx_part_ops[] = {{"Concat", read_concat}, {"Slice", read_slice},
                                                 {"Split", read_split},   {"Gather", read_gather},
                                                 {"Pad", read_pad},       {"Tile", read_repeat},
                                                 {"Expand", read_repeat}, {NULL, NULL}};
