/* How the axes of an ONNX tensor lie in a layer's output, and the layers that change it. */
#include <string.h>

#include "host/formats/onnx.h"

typedef struct mien_onnx_factor factor;

long long mien_onnx_count(const mien_onnx_view *view) {
    long long count = 1;
    for (int i = 0; i < view->rank; i++)
        count *= view->dims[i];
    return count;
}

mien_status mien_onnx_check_size(const mien_onnx_op *op, const mien_onnx_view *view) {
    if ((double)view->h * view->w * view->c <= (double)MIEN_ONNX_COUNT_MAX) return MIEN_OK;
    return mien_onnx_refuse(op, "its output of %dx%dx%d is too large", view->h, view->w, view->c);
}

bool mien_onnx_same_dims(const mien_onnx_view *a, const mien_onnx_view *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, sizeof *a->dims * (size_t)a->rank) == 0;
}

bool mien_onnx_same_view(const mien_onnx_view *a, const mien_onnx_view *b) {
    if (!mien_onnx_same_dims(a, b) || a->count != b->count || a->h != b->h || a->w != b->w ||
        a->c != b->c || a->flat != b->flat)
        return false;
    for (int i = 0; i < a->count; i++)
        if (a->factors[i].size != b->factors[i].size ||
            a->factors[i].stride != b->factors[i].stride ||
            a->factors[i].axis != b->factors[i].axis)
            return false;
    return true;
}

long long mien_onnx_offset(const mien_onnx_view *view, long long at) {
    long long offset = 0;
    for (int i = view->count - 1; i >= 0; at /= view->factors[i].size, i--)
        offset += at % view->factors[i].size * view->factors[i].stride;
    return offset;
}

/* Joins neighbouring factors that are one run of elements; `across`: also those of different
 * axes. */
static void join(mien_onnx_view *view, bool across) {
    int n = 0;
    for (int i = 0; i < view->count; i++) {
        const factor f = view->factors[i];
        factor *last = n ? &view->factors[n - 1] : NULL;
        if (f.size == 1) continue;
        if (last && (across || last->axis == f.axis) && last->stride == f.size * f.stride)
            *last = (factor){last->size * f.size, f.stride, last->axis};
        else
            view->factors[n++] = f;
    }
    view->count = n;
}

static int position(const int *axes, int axis) {
    for (int i = 0;; i++)
        if ((axes ? axes[i] : i) == axis) return i;
}

/* The factors' strides if the axes lie in memory in the order `axes`. */
static void restride(mien_onnx_view *view, const int *axes) {
    for (int i = 0; i < view->count; i++) {
        factor *f = &view->factors[i];
        const int own = position(axes, f->axis);
        f->stride = 1;
        for (int k = 0; k < view->count; k++) {
            const int other = position(axes, view->factors[k].axis);
            if (other > own || (other == own && k > i)) f->stride *= view->factors[k].size;
        }
    }
}

void mien_onnx_view_make(mien_onnx_view *view, int layer, const mien_onnx_view *like,
                         const int *axes, int h, int w, int c, bool flat) {
    mien_onnx_view made = {
        .layer = layer, .h = h, .w = w, .c = c, .flat = flat, .rank = like->rank};
    memcpy(made.dims, like->dims, sizeof made.dims);
    for (int i = 0; i < made.rank; i++)
        if (made.dims[i] > 1) made.factors[made.count++] = (factor){made.dims[i], 0, i};
    restride(&made, axes);
    *view = made;
}

/* ---- layers ---- */

mien_status mien_onnx_unary(const mien_onnx_op *op, const char *def, mien_onnx_view *view,
                            int *layer) {
    MIEN_TRY(mien_import_add(&op->r->import, def, op->name, &view->layer, 1, layer));
    view->layer = *layer;
    return MIEN_OK;
}

mien_status mien_onnx_layer_shape(const mien_onnx_op *op, mien_onnx_view *view, int h, int w, int c,
                                  bool flat) {
    const int sizes[] = {h, w, c};
    int layer;
    if (view->h == h && view->w == w && view->c == c && view->flat == flat) return MIEN_OK;
    if (flat && !view->flat) {
        MIEN_TRY(mien_import_add(&op->r->import, "flatten", "", &view->layer, 1, &layer));
    } else {
        MIEN_TRY(mien_import_add(&op->r->import, "reshape", "", &view->layer, 1, &layer));
        mien_import_numbers(&op->r->import, layer, "target_shape", flat ? &c : sizes, flat ? 1 : 3);
    }
    view->layer = layer;
    view->h = h, view->w = w, view->c = c, view->flat = flat;
    return MIEN_OK;
}

/* Permutes the three runs of elements that the output is made of: run i becomes what was run
 * from[i]. */
static mien_status emit_permute(const mien_onnx_op *op, mien_onnx_view *view, const int *sizes,
                                const int *from) {
    int dims[3], layer;
    MIEN_TRY(mien_onnx_layer_shape(op, view, sizes[0], sizes[1], sizes[2], false));
    MIEN_TRY(mien_import_add(&op->r->import, "permute", "", &view->layer, 1, &layer));
    for (int i = 0; i < 3; i++)
        dims[i] = from[i] + 1;
    mien_import_numbers(&op->r->import, layer, "dims", dims, 3);
    view->layer = layer;
    view->h = sizes[from[0]], view->w = sizes[from[1]], view->c = sizes[from[2]];
    return MIEN_OK;
}

/* One run of memory: a number of factors that stay together. */
typedef struct run {
    int first, count; /* among the factors in the wanted order */
    int size;
} run;

/* The factors in the wanted order, and where each is in memory now. */
static void sort_factors(const mien_onnx_view *view, const int *axes, factor *wanted, int *now) {
    int n = 0;
    for (int k = 0; k < view->rank; k++)
        for (int i = 0; i < view->count; i++)
            if (position(axes, view->factors[i].axis) == k) wanted[n++] = view->factors[i];
    for (int i = 0; i < n; i++) {
        now[i] = 0;
        for (int k = 0; k < n; k++)
            now[i] += wanted[k].stride > wanted[i].stride;
    }
}

/* Moves run after run to its place. `order` lists, in the order of memory, which run is there. */
static mien_status move_runs(const mien_onnx_op *op, mien_onnx_view *view, const run *runs,
                             int *order, int count) {
    for (int done = 0; done < count - 1; done++) {
        int sizes[3] = {1, 1, 1}, at = done;
        while (order[at] != done)
            at++;
        if (at == done) continue;
        if (count - done == 3 && done == 0 && order[0] == 2 && order[1] == 1) {
            /* the runs turn around, which takes one layer */
            for (int i = 0; i < 3; i++)
                sizes[i] = runs[order[i]].size;
            return emit_permute(op, view, sizes, (const int[]){2, 1, 0});
        }
        int before = 1, middle = 1, after = 1;
        for (int i = 0; i < done; i++)
            before *= runs[order[i]].size;
        for (int i = done; i < at; i++)
            middle *= runs[order[i]].size;
        for (int i = at + 1; i < count; i++)
            after *= runs[order[i]].size;
        const int moved = runs[done].size;
        if (before > 1 && after == 1) {
            MIEN_TRY(emit_permute(op, view, (const int[]){before, middle, moved},
                                  (const int[]){0, 2, 1}));
        } else { /* to the front, and then, of four parts, behind the first again */
            MIEN_TRY(emit_permute(op, view, (const int[]){before * middle, moved, after},
                                  (const int[]){1, 0, 2}));
            if (before > 1)
                MIEN_TRY(emit_permute(op, view, (const int[]){moved, before, middle * after},
                                      (const int[]){1, 0, 2}));
        }
        memmove(order + done + 1, order + done, sizeof *order * (size_t)(at - done));
        order[done] = done;
    }
    return MIEN_OK;
}

mien_status mien_onnx_arrange(const mien_onnx_op *op, mien_onnx_view *view, const int *axes, int h,
                              int w, int c, bool flat) {
    factor wanted[MIEN_ONNX_FACTORS_MAX];
    int now[MIEN_ONNX_FACTORS_MAX], order[MIEN_ONNX_FACTORS_MAX], count = 0;
    run runs[MIEN_ONNX_FACTORS_MAX] = {0};
    if ((long long)h * w * c != mien_onnx_count(view))
        return mien_onnx_refuse(op, "its input does not have the shape that it needs");
    sort_factors(view, axes, wanted, now);
    for (int i = 0; i < view->count; i++) {
        if (i && now[i] == now[i - 1] + 1)
            runs[count - 1].count++, runs[count - 1].size *= (int)wanted[i].size;
        else
            runs[count++] = (run){i, 1, (int)wanted[i].size};
    }
    for (int i = 0; i < count; i++) { /* rank of each run in memory */
        int at = 0;
        for (int k = 0; k < count; k++)
            at += now[runs[k].first] < now[runs[i].first];
        order[at] = i;
    }
    MIEN_TRY(move_runs(op, view, runs, order, count));
    MIEN_TRY(mien_onnx_layer_shape(op, view, h, w, c, flat));
    restride(view, axes);
    join(view, false);
    return MIEN_OK;
}

void mien_onnx_memory_order(const mien_onnx_view *view, int *axes) {
    long long stride[MIEN_ONNX_RANK_MAX];
    for (int i = 0; i < view->rank; i++) {
        stride[i] = (long long)1 << 62; /* an axis of size 1 may be anywhere */
        for (int k = view->count - 1; k >= 0; k--)
            if (view->factors[k].axis == i) stride[i] = view->factors[k].stride;
        int at = i;
        for (; at > 0 && stride[axes[at - 1]] < stride[i]; at--)
            axes[at] = axes[at - 1];
        axes[at] = i;
    }
}

mien_status mien_onnx_image(const mien_onnx_op *op, mien_onnx_view *view) {
    static const int axes[] = {0, 2, 3, 1};
    if (view->rank != 4 || view->dims[0] != 1)
        return mien_onnx_refuse(op, "only images with 4 axes, of one image a batch, are supported");
    return mien_onnx_arrange(op, view, axes, (int)view->dims[2], (int)view->dims[3],
                             (int)view->dims[1], false);
}

mien_status mien_onnx_rows(const mien_onnx_op *op, mien_onnx_view *view) {
    const long long columns = view->rank ? view->dims[view->rank - 1] : 1;
    const long long rows = columns ? mien_onnx_count(view) / columns : 0;
    return mien_onnx_arrange(op, view, NULL, 1, (int)rows, (int)columns, false);
}

mien_status mien_onnx_around(const mien_onnx_op *op, mien_onnx_view *view, int axis) {
    long long before = 1, after = 1;
    for (int i = 0; i < view->rank; i++)
        *(i < axis ? &before : &after) *= i == axis ? 1 : view->dims[i];
    return mien_onnx_arrange(op, view, NULL, (int)before, (int)view->dims[axis], (int)after, false);
}

/* ---- views ---- */

void mien_onnx_transpose(mien_onnx_view *view, const int *perm) {
    mien_onnx_view to = *view;
    to.count = 0;
    for (int i = 0; i < view->rank; i++) {
        to.dims[i] = view->dims[perm[i]];
        for (int k = 0; k < view->count; k++)
            if (view->factors[k].axis == perm[i]) {
                to.factors[to.count] = view->factors[k];
                to.factors[to.count++].axis = i;
            }
    }
    *view = to;
}

/* Distributes the factors over the new axes; false if an axis would need a part of a factor that
 * does not divide it. */
static bool regroup(mien_onnx_view *view, const long long *dims, int rank) {
    mien_onnx_view to = *view;
    int at = 0;
    factor rest = {1, 1, 0};
    to.rank = rank, to.count = 0;
    for (int i = 0; i < rank; i++) {
        long long need = dims[i];
        to.dims[i] = need;
        while (need > 1) {
            if (rest.size == 1) {
                if (at == view->count) return false;
                rest = view->factors[at++];
            }
            if (to.count == MIEN_ONNX_FACTORS_MAX) return false;
            factor part = {rest.size, rest.stride, i};
            if (need % rest.size == 0) {
                need /= rest.size;
                rest.size = 1;
            } else if (rest.size % need == 0) { /* its outer part */
                part.size = need;
                rest.size /= need;
                part.stride = rest.stride * rest.size;
                need = 1;
            } else {
                return false;
            }
            to.factors[to.count++] = part;
        }
    }
    *view = to;
    return true;
}

mien_status mien_onnx_reshape(const mien_onnx_op *op, mien_onnx_view *view, const long long *dims,
                              int rank) {
    long long count = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1 || dims[i] > (long long)MIEN_ONNX_COUNT_MAX || count > 1LL << 30)
            return mien_onnx_refuse(op, "its output has an impossible shape");
        count *= dims[i];
    }
    if (count != mien_onnx_count(view))
        return mien_onnx_refuse(op, "its input of %lld numbers does not fit its output of %lld",
                                mien_onnx_count(view), count);
    mien_onnx_view joined = *view;
    join(&joined, true);
    if (!regroup(&joined, dims, rank)) {
        joined = *view;
        MIEN_TRY(mien_onnx_rows(op, &joined));
        join(&joined, true);
        if (!regroup(&joined, dims, rank))
            return mien_onnx_refuse(op, "this change of shape is not supported");
    }
    join(&joined, false);
    *view = joined;
    return MIEN_OK;
}

/* ---- operators that only change shapes ---- */

static mien_status read_reshape(const mien_onnx_op *op) {
    const mien_onnx_view *from = mien_onnx_view_in(op, 0);
    mien_onnx_view view = *from;
    long long dims[MIEN_ONNX_RANK_MAX], known = 1;
    int unknown = -1;
    if (!mien_onnx_constant_in(op, 1)) return mien_onnx_refuse(op, "its shape is not constant");
    mien_onnx_constant *shape = &op->r->values[op->in[1]].constant;
    MIEN_TRY(mien_onnx_doubles(op, shape));
    const int rank = shape->count > MIEN_ONNX_RANK_MAX ? -1 : (int)shape->count;
    const bool zero = mien_onnx_integer(op, "allowzero", 0) != 0;
    if (rank < 0) return mien_onnx_refuse(op, "it has more than 8 axes");
    for (int i = 0; i < rank; i++) {
        const double v = shape->values[i];
        if (!(v >= -1 && v <= (double)MIEN_ONNX_COUNT_MAX) || (v < 0 && unknown >= 0) ||
            (v == 0 && (zero || i >= view.rank)))
            return mien_onnx_refuse(op, "its output has an impossible shape");
        dims[i] = v == 0 ? view.dims[i] : (long long)v;
        if (v < 0)
            unknown = i;
        else if (known <= (long long)MIEN_ONNX_COUNT_MAX)
            known *= dims[i];
    }
    if (unknown >= 0) dims[unknown] = mien_onnx_count(&view) / known;
    MIEN_TRY(mien_onnx_reshape(op, &view, dims, rank));
    return mien_onnx_set(op, &view);
}

static mien_status read_flatten(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    long long axis = mien_onnx_integer(op, "axis", 1), dims[] = {1, 1};
    axis = axis < 0 ? axis + view.rank : axis;
    for (int i = 0; i < view.rank; i++)
        dims[i >= axis] *= view.dims[i];
    MIEN_TRY(mien_onnx_reshape(op, &view, dims, 2));
    return mien_onnx_set(op, &view);
}

static mien_status read_transpose(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    int perm[MIEN_ONNX_RANK_MAX];
    bool seen[MIEN_ONNX_RANK_MAX] = {false};
    for (int i = 0; i < view.rank; i++)
        perm[i] = view.rank - 1 - i;
    MIEN_TRY(mien_onnx_ints(op, "perm", view.rank, perm));
    for (int i = 0; i < view.rank; i++) {
        if (perm[i] < 0 || perm[i] >= view.rank || seen[perm[i]])
            return mien_onnx_refuse(op, "its perm is not a permutation");
        seen[perm[i]] = true;
    }
    mien_onnx_transpose(&view, perm);
    return mien_onnx_set(op, &view);
}

static mien_status read_squeeze(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    int axes[MIEN_ONNX_RANK_MAX], count, rank = 0;
    long long dims[MIEN_ONNX_RANK_MAX];
    bool named[MIEN_ONNX_RANK_MAX] = {false};
    MIEN_TRY(mien_onnx_axes(op, 1, view.rank, axes, &count));
    for (int i = 0; i < count; i++) {
        named[axes[i]] = true;
        if (view.dims[axes[i]] != 1)
            return mien_onnx_refuse(op, "it removes an axis that is not 1");
    }
    for (int i = 0; i < view.rank; i++)
        if (count ? !named[i] : view.dims[i] != 1) dims[rank++] = view.dims[i];
    MIEN_TRY(mien_onnx_reshape(op, &view, dims, rank));
    return mien_onnx_set(op, &view);
}

static mien_status read_unsqueeze(const mien_onnx_op *op) {
    mien_onnx_view view = *mien_onnx_view_in(op, 0);
    int axes[MIEN_ONNX_RANK_MAX], count, at = 0;
    long long dims[MIEN_ONNX_RANK_MAX];
    bool named[MIEN_ONNX_RANK_MAX] = {false};
    mien_onnx_attribute a;
    const mien_onnx_constant *list = mien_onnx_constant_in(op, 1);
    const size_t more = mien_onnx_attribute_of(op->node, "axes", &a) ? mien_onnx_list(&a, NULL, 0)
                        : list                                       ? list->count
                                                                     : 0;
    if (more + (size_t)view.rank > MIEN_ONNX_RANK_MAX)
        return mien_onnx_refuse(op, "it has more than 8 axes");
    const int rank = view.rank + (int)more;
    MIEN_TRY(mien_onnx_axes(op, 1, rank, axes, &count));
    for (int i = 0; i < count; i++)
        named[axes[i]] = true;
    for (int i = 0; i < rank; i++)
        dims[i] = named[i] ? 1 : view.dims[at++];
    MIEN_TRY(mien_onnx_reshape(op, &view, dims, rank));
    return mien_onnx_set(op, &view);
}

/* All numbers are floats here. */
static mien_status read_cast(const mien_onnx_op *op) {
    const long long to = mien_onnx_integer(op, "to", 0);
    if (to != MIEN_ONNX_FLOAT && to != MIEN_ONNX_DOUBLE && to != MIEN_ONNX_FLOAT16)
        return mien_onnx_refuse(op, "only casts to floats are supported");
    return mien_onnx_copy_view(op);
}

/* The same value under another name: Identity, and Dropout, which only training has. */
mien_status mien_onnx_copy_view(const mien_onnx_op *op) {
    return mien_onnx_set(op, mien_onnx_view_in(op, 0));
}

const mien_onnx_operator mien_onnx_shape_ops[] = {{"Reshape", read_reshape},
                                                  {"Flatten", read_flatten},
                                                  {"Transpose", read_transpose},
                                                  {"Squeeze", read_squeeze},
                                                  {"Unsqueeze", read_unsqueeze},
                                                  {"Identity", mien_onnx_copy_view},
                                                  {"Dropout", mien_onnx_copy_view},
                                                  {"Cast", read_cast},
                                                  {NULL, NULL}};
