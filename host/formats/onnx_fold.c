/* Operators that can be computed when the file is read: those of constants, and Shape, as all
 * shapes are known. Exporters write such chains for every Flatten and Reshape. */
#include <math.h>
#include <string.h>

#include "host/formats/onnx.h"

typedef mien_onnx_constant constant;

static mien_status input(const mien_onnx_op *op, int i, constant **out) {
    if (!mien_onnx_constant_in(op, i)) return mien_onnx_refuse(op, "its input %d is not given", i);
    *out = &op->r->values[op->in[i]].constant;
    return mien_onnx_doubles(op, *out);
}

/* Gives a new constant the shape and memory for its values. */
static mien_status shape_it(const mien_onnx_op *op, constant *c, const long long *dims, int rank) {
    *c = (constant){.rank = rank, .count = 1, .whole = c->whole};
    if (rank > MIEN_ONNX_RANK_MAX) return mien_onnx_refuse(op, "it has more than 8 axes");
    for (int i = 0; i < rank; i++) {
        c->dims[i] = dims[i];
        if (dims[i] < 0 || (dims[i] && c->count > MIEN_ONNX_COUNT_MAX / (size_t)dims[i]))
            return mien_onnx_refuse(op, "its output has an impossible shape");
        c->count *= (size_t)dims[i];
    }
    return mien_onnx_allocate(op->r, c->count, &c->values);
}

static mien_status set_list(const mien_onnx_op *op, const double *values, int count, bool scalar) {
    constant c = {.whole = true};
    const long long size = count;
    MIEN_TRY(shape_it(op, &c, &size, scalar ? 0 : 1));
    memcpy(c.values, values, sizeof *values * (size_t)count);
    return mien_onnx_set_constant(op, &c);
}

static long long stride_of(const constant *c, int axis) {
    long long stride = 1;
    for (int i = c->rank - 1; i > axis; i--)
        stride *= c->dims[i];
    return stride;
}

/* ---- shapes ---- */

static mien_status fold_shape(const mien_onnx_op *op) {
    const mien_onnx_view *view = mien_onnx_view_in(op, 0);
    const constant *c = mien_onnx_constant_in(op, 0);
    const int rank = view ? view->rank : c->rank;
    const long long *dims = view ? view->dims : c->dims;
    double values[MIEN_ONNX_RANK_MAX], all = 1;
    long long start = mien_onnx_integer(op, "start", 0), end = mien_onnx_integer(op, "end", rank);
    for (int i = 0; i < rank; i++)
        values[i] = (double)dims[i], all *= values[i];
    if (mien_slice_is(op->node->op, "Size")) return set_list(op, &all, 1, true);
    start = start < 0 ? start + rank : start, end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start, end = end > rank ? rank : end;
    return set_list(op, values + (start < end ? start : 0), start < end ? (int)(end - start) : 0,
                    false);
}

/* The same values in another shape. */
static mien_status set_reshaped(const mien_onnx_op *op, const constant *from, const long long *dims,
                                int rank) {
    constant c = *from;
    c.rank = rank, c.count = 1;
    for (int i = 0; i < rank; i++)
        c.dims[i] = dims[i], c.count *= (size_t)dims[i];
    if (c.count != from->count) return mien_onnx_refuse(op, "its shapes do not fit together");
    return mien_onnx_set_constant(op, &c);
}

static mien_status fold_squeeze(const mien_onnx_op *op) {
    const constant *from = mien_onnx_constant_in(op, 0);
    const bool add = mien_slice_is(op->node->op, "Unsqueeze");
    int axes[MIEN_ONNX_RANK_MAX], count, rank = 0, at = 0;
    long long dims[2 * MIEN_ONNX_RANK_MAX];
    bool named[2 * MIEN_ONNX_RANK_MAX] = {false};
    mien_onnx_attribute a;
    size_t more = 0;
    if (add) /* its axes count in the output */
        more = mien_onnx_attribute_of(op->node, "axes", &a) ? mien_onnx_list(&a, NULL, 0)
               : mien_onnx_constant_in(op, 1)               ? mien_onnx_constant_in(op, 1)->count
                                                            : 0;
    if (more + (size_t)from->rank > MIEN_ONNX_RANK_MAX)
        return mien_onnx_refuse(op, "it has more than 8 axes");
    const int full = from->rank + (int)more;
    MIEN_TRY(mien_onnx_axes(op, 1, full, axes, &count));
    for (int i = 0; i < count; i++)
        named[axes[i]] = true;
    for (int i = 0; i < full; i++) {
        if (add)
            dims[rank++] = named[i] ? 1 : from->dims[at++];
        else if (count ? !named[i] : from->dims[i] != 1)
            dims[rank++] = from->dims[i];
    }
    return set_reshaped(op, from, dims, rank);
}

static mien_status fold_reshape(const mien_onnx_op *op) {
    const constant *from = mien_onnx_constant_in(op, 0);
    constant *to;
    long long dims[MIEN_ONNX_RANK_MAX], known = 1;
    int unknown = -1;
    MIEN_TRY(input(op, 1, &to));
    if (to->count > MIEN_ONNX_RANK_MAX) return mien_onnx_refuse(op, "it has more than 8 axes");
    for (int i = 0; i < (int)to->count; i++) {
        dims[i] = (long long)to->values[i];
        if (dims[i] == 0 && i < from->rank) dims[i] = from->dims[i];
        if (dims[i] < -1 || dims[i] > (long long)MIEN_ONNX_COUNT_MAX ||
            (dims[i] < 0 && unknown >= 0))
            return mien_onnx_refuse(op, "its shapes do not fit together");
        if (dims[i] < 0)
            unknown = i;
        else if (known <= (long long)MIEN_ONNX_COUNT_MAX)
            known *= dims[i];
    }
    if (unknown >= 0) dims[unknown] = known > 0 ? (long long)from->count / known : 0;
    return set_reshaped(op, from, dims, (int)to->count);
}

static mien_status fold_transpose(const mien_onnx_op *op) {
    constant *from, c = {0};
    int perm[MIEN_ONNX_RANK_MAX];
    long long dims[MIEN_ONNX_RANK_MAX], strides[MIEN_ONNX_RANK_MAX];
    bool seen[MIEN_ONNX_RANK_MAX] = {false};
    MIEN_TRY(input(op, 0, &from));
    for (int i = 0; i < from->rank; i++)
        perm[i] = from->rank - 1 - i;
    MIEN_TRY(mien_onnx_ints(op, "perm", from->rank, perm));
    for (int i = 0; i < from->rank; i++) {
        if (perm[i] < 0 || perm[i] >= from->rank || seen[perm[i]])
            return mien_onnx_refuse(op, "its perm is not a permutation");
        seen[perm[i]] = true;
        dims[i] = from->dims[perm[i]];
    }
    c.whole = from->whole;
    MIEN_TRY(shape_it(op, &c, dims, from->rank));
    for (int i = 0; i < from->rank; i++)
        strides[i] = stride_of(from, perm[i]);
    for (size_t e = 0; e < c.count; e++) {
        long long rest = (long long)e, at = 0;
        for (int i = c.rank - 1; i >= 0; rest /= dims[i], i--)
            at += rest % dims[i] * strides[i];
        c.values[e] = from->values[at];
    }
    return mien_onnx_set_constant(op, &c);
}

/* ---- parts ---- */

static mien_status fold_gather(const mien_onnx_op *op) {
    constant *from, *index, c = {0};
    MIEN_TRY(input(op, 0, &from));
    MIEN_TRY(input(op, 1, &index));
    long long axis = mien_onnx_integer(op, "axis", 0), dims[2 * MIEN_ONNX_RANK_MAX];
    int rank = 0;
    axis = axis < 0 ? axis + from->rank : axis;
    if (axis < 0 || axis >= from->rank) return mien_onnx_refuse(op, "it has no axis %lld", axis);
    for (int i = 0; i < axis; i++)
        dims[rank++] = from->dims[i];
    for (int i = 0; i < index->rank; i++)
        dims[rank++] = index->dims[i];
    for (int i = (int)axis + 1; i < from->rank; i++)
        dims[rank++] = from->dims[i];
    c.whole = from->whole;
    MIEN_TRY(shape_it(op, &c, dims, rank));
    const long long inner = stride_of(from, (int)axis), size = from->dims[axis];
    for (size_t e = 0; e < c.count; e++) {
        const long long in = (long long)e % inner, at = (long long)e / inner;
        double k = index->values[at % (long long)index->count];
        k = k < 0 ? k + (double)size : k;
        if (!(k >= 0 && k < (double)size)) return mien_onnx_refuse(op, "its index is out of range");
        c.values[e] =
            from->values[(at / (long long)index->count * size + (long long)k) * inner + in];
    }
    return mien_onnx_set_constant(op, &c);
}

typedef struct range {
    long long start, step, count;
} range;

static long long clamp(double v, long long low, long long high) {
    return v < (double)low ? low : v > (double)high ? high : (long long)v;
}

static range range_of(double start, double end, double step, long long size) {
    range r = {0, clamp(step, -((long long)1 << 30), (long long)1 << 30), 0};
    if (r.step == 0) return r;
    if (start < 0) start += (double)size;
    if (end < 0) end += (double)size;
    const long long low = r.step > 0 ? 0 : -1, high = r.step > 0 ? size : size - 1;
    r.start = clamp(start, r.step > 0 ? 0 : -1, high);
    const long long last = clamp(end, low, high);
    const long long way = r.step > 0 ? last - r.start : r.start - last;
    const long long step_size = r.step > 0 ? r.step : -r.step;
    r.count = way > 0 ? (way + step_size - 1) / step_size : 0;
    return r;
}

/* Starts, ends, axes and steps are attributes up to opset 9, then inputs. */
static mien_status slice_list(const mien_onnx_op *op, const char *name, int i, double *out,
                              size_t *count) {
    mien_onnx_attribute a;
    constant *c;
    *count = 0;
    if (mien_onnx_attribute_of(op->node, name, &a)) {
        *count = mien_onnx_list(&a, out, MIEN_ONNX_RANK_MAX);
    } else if (mien_onnx_given(op, i)) {
        MIEN_TRY(input(op, i, &c));
        *count = c->count;
        for (size_t k = 0; k < c->count && k < MIEN_ONNX_RANK_MAX; k++)
            out[k] = c->values[k];
    }
    return *count > MIEN_ONNX_RANK_MAX ? mien_onnx_refuse(op, "it has more than 8 axes") : MIEN_OK;
}

static mien_status fold_slice(const mien_onnx_op *op) {
    constant *from, c = {0};
    double start[MIEN_ONNX_RANK_MAX], end[MIEN_ONNX_RANK_MAX], axis[MIEN_ONNX_RANK_MAX],
        step[MIEN_ONNX_RANK_MAX];
    size_t count, ends, axes, steps;
    range parts[MIEN_ONNX_RANK_MAX];
    long long dims[MIEN_ONNX_RANK_MAX];
    MIEN_TRY(input(op, 0, &from));
    MIEN_TRY(slice_list(op, "starts", 1, start, &count));
    MIEN_TRY(slice_list(op, "ends", 2, end, &ends));
    MIEN_TRY(slice_list(op, "axes", 3, axis, &axes));
    MIEN_TRY(slice_list(op, "steps", 4, step, &steps));
    if (ends != count || (axes && axes != count) || (steps && steps != count))
        return mien_onnx_refuse(op, "its lists differ in length");
    for (int i = 0; i < from->rank; i++)
        parts[i] = (range){0, 1, from->dims[i]};
    for (size_t k = 0; k < count; k++) {
        double at = axes ? axis[k] : (double)k;
        at = at < 0 ? at + from->rank : at;
        if (!(at >= 0 && at < from->rank)) return mien_onnx_refuse(op, "it has no axis %g", at);
        parts[(int)at] = range_of(start[k], end[k], steps ? step[k] : 1, from->dims[(int)at]);
        if (parts[(int)at].step == 0) return mien_onnx_refuse(op, "its step is 0");
    }
    for (int i = 0; i < from->rank; i++)
        dims[i] = parts[i].count;
    c.whole = from->whole;
    MIEN_TRY(shape_it(op, &c, dims, from->rank));
    for (size_t e = 0; e < c.count; e++) {
        long long rest = (long long)e, at = 0;
        for (int i = c.rank - 1; i >= 0; rest /= dims[i], i--)
            at += (parts[i].start + rest % dims[i] * parts[i].step) * stride_of(from, i);
        c.values[e] = from->values[at];
    }
    return mien_onnx_set_constant(op, &c);
}

static mien_status fold_concat(const mien_onnx_op *op) {
    constant *first, *part, c = {0};
    long long dims[MIEN_ONNX_RANK_MAX], axis = mien_onnx_integer(op, "axis", 1), done = 0;
    MIEN_TRY(input(op, 0, &first));
    axis = axis < 0 ? axis + first->rank : axis;
    if (axis < 0 || axis >= first->rank) return mien_onnx_refuse(op, "it has no axis %lld", axis);
    memcpy(dims, first->dims, sizeof dims);
    for (int i = 1; i < op->in_count; i++) {
        MIEN_TRY(input(op, i, &part));
        for (int k = 0; k < first->rank; k++)
            if (part->rank != first->rank || (k != axis && part->dims[k] != dims[k]))
                return mien_onnx_refuse(op, "its inputs have different shapes");
        dims[axis] += part->dims[axis];
    }
    c.whole = first->whole;
    MIEN_TRY(shape_it(op, &c, dims, first->rank));
    const long long inner = stride_of(&c, (int)axis);
    for (int i = 0; i < op->in_count; i++) {
        MIEN_TRY(input(op, i, &part));
        const long long run = part->dims[axis] * inner;
        for (long long e = 0; e < (long long)part->count; e++)
            c.values[(e / run * dims[axis] + done) * inner + e % run] = part->values[e];
        done += part->dims[axis];
    }
    return mien_onnx_set_constant(op, &c);
}

/* ---- arithmetic ---- */

enum { ADD, SUB, MUL, DIV, MIN, MAX, POW, EQUAL, LESS, GREATER, MOD };
static const struct {
    const char *op;
    int code;
} binary_ops[] = {{"Add", ADD},   {"Sub", SUB}, {"Mul", MUL},        {"Div", DIV},
                  {"Min", MIN},   {"Max", MAX}, {"Pow", POW},        {"Equal", EQUAL},
                  {"Less", LESS}, {"Mod", MOD}, {"Greater", GREATER}};

static double compute(int code, double a, double b, bool whole) {
    switch (code) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return a * b;
    case DIV:
        return whole && b != 0 ? trunc(a / b) : a / b;
    case MIN:
        return a < b ? a : b;
    case MAX:
        return a > b ? a : b;
    case POW:
        return pow(a, b);
    case EQUAL:
        return a == b;
    case LESS:
        return a < b;
    case MOD:
        return b != 0 ? a - b * floor(a / b) : 0;
    default:
        return a > b;
    }
}

/* The output's axes when shapes are broadcast as in numpy. */
static mien_status broadcast(const mien_onnx_op *op, const constant *a, const constant *b,
                             long long *dims, int *rank) {
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < *rank; i++) {
        const int p = i - *rank + a->rank, q = i - *rank + b->rank;
        const long long m = p < 0 ? 1 : a->dims[p], n = q < 0 ? 1 : b->dims[q];
        if (m != n && m != 1 && n != 1)
            return mien_onnx_refuse(op, "its shapes do not fit together");
        dims[i] = m == 1 ? n : m;
    }
    return MIEN_OK;
}

static double broadcast_value(const constant *c, const constant *out, long long at) {
    long long from = 0;
    for (int i = out->rank - 1; i >= 0; at /= out->dims[i], i--) {
        const int k = i - out->rank + c->rank;
        if (k >= 0 && c->dims[k] != 1) from += at % out->dims[i] * stride_of(c, k);
    }
    return c->values[from];
}

static mien_status fold_binary(const mien_onnx_op *op, int code) {
    constant *a, *b, c = {0};
    long long dims[MIEN_ONNX_RANK_MAX];
    int rank;
    if (op->in_count != 2) return mien_onnx_refuse(op, "it does not have two inputs");
    MIEN_TRY(input(op, 0, &a));
    MIEN_TRY(input(op, 1, &b));
    MIEN_TRY(broadcast(op, a, b, dims, &rank));
    c.whole = a->whole && b->whole;
    MIEN_TRY(shape_it(op, &c, dims, rank));
    for (size_t e = 0; e < c.count; e++)
        c.values[e] = compute(code, broadcast_value(a, &c, (long long)e),
                              broadcast_value(b, &c, (long long)e), c.whole);
    return mien_onnx_set_constant(op, &c);
}

static double negated(double x) {
    return -x;
}
static double reciprocal(double x) {
    return 1 / x;
}
static double inverted(double x) {
    return x == 0;
}
static const struct {
    const char *op;
    double (*f)(double);
} unary_ops[] = {
    {"Neg", negated}, {"Reciprocal", reciprocal}, {"Sqrt", sqrt}, {"Abs", fabs},    {"Exp", exp},
    {"Log", log},     {"Floor", floor},           {"Ceil", ceil}, {"Not", inverted}};

static mien_status fold_unary(const mien_onnx_op *op, double (*f)(double)) {
    constant *from, c = {0};
    MIEN_TRY(input(op, 0, &from));
    c.whole = from->whole;
    MIEN_TRY(shape_it(op, &c, from->dims, from->rank));
    for (size_t e = 0; e < c.count; e++)
        c.values[e] = f(from->values[e]);
    return mien_onnx_set_constant(op, &c);
}

static mien_status fold_where(const mien_onnx_op *op) {
    constant *which, *a, *b, c = {0}, shape = {0};
    long long dims[MIEN_ONNX_RANK_MAX];
    int rank;
    MIEN_TRY(input(op, 0, &which));
    MIEN_TRY(input(op, 1, &a));
    MIEN_TRY(input(op, 2, &b));
    MIEN_TRY(broadcast(op, a, b, shape.dims, &shape.rank));
    MIEN_TRY(broadcast(op, which, &shape, dims, &rank));
    c.whole = a->whole;
    MIEN_TRY(shape_it(op, &c, dims, rank));
    for (long long e = 0; e < (long long)c.count; e++)
        c.values[e] = broadcast_value(broadcast_value(which, &c, e) != 0 ? a : b, &c, e);
    return mien_onnx_set_constant(op, &c);
}

static mien_status fold_cast(const mien_onnx_op *op) {
    constant *from, c = {0};
    const long long to = mien_onnx_integer(op, "to", MIEN_ONNX_FLOAT);
    MIEN_TRY(input(op, 0, &from));
    c.whole = to != MIEN_ONNX_FLOAT && to != MIEN_ONNX_DOUBLE && to != MIEN_ONNX_FLOAT16 &&
              to != MIEN_ONNX_BFLOAT16;
    MIEN_TRY(shape_it(op, &c, from->dims, from->rank));
    for (size_t e = 0; e < c.count; e++)
        c.values[e] = to == MIEN_ONNX_BOOL ? from->values[e] != 0
                      : c.whole            ? trunc(from->values[e])
                                           : from->values[e];
    return mien_onnx_set_constant(op, &c);
}

/* ---- made from nothing ---- */

static mien_status fold_fill(const mien_onnx_op *op) {
    const bool expand = mien_slice_is(op->node->op, "Expand");
    constant *shape, *from = NULL, c = {0}, target = {0};
    mien_onnx_attribute a;
    long long dims[MIEN_ONNX_RANK_MAX] = {0};
    double fill = 0;
    MIEN_TRY(input(op, expand ? 1 : 0, &shape));
    if (shape->count > MIEN_ONNX_RANK_MAX) return mien_onnx_refuse(op, "it has more than 8 axes");
    for (size_t i = 0; i < shape->count; i++)
        dims[i] = clamp(shape->values[i], -1, (long long)MIEN_ONNX_COUNT_MAX + 1);
    int rank = (int)shape->count;
    if (expand) {
        MIEN_TRY(input(op, 0, &from));
        target.rank = rank;
        memcpy(target.dims, dims, sizeof dims);
        MIEN_TRY(broadcast(op, from, &target, dims, &rank));
        c.whole = from->whole;
    } else if (mien_onnx_attribute_of(op->node, "value", &a)) {
        mien_onnx_tensor t;
        constant value;
        MIEN_TRY(mien_onnx_parse_tensor(a.t, op->r->source, &t));
        value = (constant){.tensor = &t, .count = t.count};
        if (t.count != 1) return mien_onnx_refuse(op, "its value is not one number");
        MIEN_TRY(mien_onnx_doubles(op, &value));
        fill = value.values[0];
        c.whole = t.type == MIEN_ONNX_INT64 || t.type == MIEN_ONNX_INT32;
    }
    MIEN_TRY(shape_it(op, &c, dims, rank));
    for (long long e = 0; e < (long long)c.count; e++)
        c.values[e] = from ? broadcast_value(from, &c, e) : fill;
    return mien_onnx_set_constant(op, &c);
}

static mien_status fold_range(const mien_onnx_op *op) {
    constant *start, *end, *step, c = {0};
    MIEN_TRY(input(op, 0, &start));
    MIEN_TRY(input(op, 1, &end));
    MIEN_TRY(input(op, 2, &step));
    if (start->count != 1 || end->count != 1 || step->count != 1 || step->values[0] == 0)
        return mien_onnx_refuse(op, "its limits are not numbers");
    const long long count =
        clamp(ceil((end->values[0] - start->values[0]) / step->values[0]), 0, 1 << 28);
    c.whole = start->whole;
    MIEN_TRY(shape_it(op, &c, &count, 1));
    for (long long e = 0; e < count; e++)
        c.values[e] = start->values[0] + (double)e * step->values[0];
    return mien_onnx_set_constant(op, &c);
}

static mien_status fold_product(const mien_onnx_op *op) {
    constant *from;
    double all = 1;
    int axes[MIEN_ONNX_RANK_MAX], count;
    MIEN_TRY(input(op, 0, &from));
    MIEN_TRY(mien_onnx_axes(op, 1, from->rank, axes, &count));
    if (from->count > 4096) return mien_onnx_refuse(op, "its input is too large");
    if (from->rank > 1 && count && count != from->rank)
        return mien_onnx_refuse(op, "a product over some axes is not supported");
    for (size_t i = 0; i < from->count; i++)
        all *= from->values[i];
    return set_list(op, &all, 1, mien_onnx_integer(op, "keepdims", 1) == 0);
}

static const struct {
    const char *op;
    mien_status (*fold)(const mien_onnx_op *op);
} others[] = {
    {"Unsqueeze", fold_squeeze},   {"Squeeze", fold_squeeze}, {"Reshape", fold_reshape},
    {"Transpose", fold_transpose}, {"Gather", fold_gather},   {"Slice", fold_slice},
    {"Concat", fold_concat},       {"Cast", fold_cast},       {"ConstantOfShape", fold_fill},
    {"Expand", fold_fill},         {"Range", fold_range},     {"ReduceProd", fold_product},
    {"Where", fold_where}};

static mien_status fold(const mien_onnx_op *op, bool *done) {
    const mien_slice name = op->node->op;
    *done = true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (mien_slice_is(name, others[i].op)) return others[i].fold(op);
    for (size_t i = 0; i < sizeof binary_ops / sizeof binary_ops[0]; i++)
        if (mien_slice_is(name, binary_ops[i].op)) return fold_binary(op, binary_ops[i].code);
    for (size_t i = 0; i < sizeof unary_ops / sizeof unary_ops[0]; i++)
        if (mien_slice_is(name, unary_ops[i].op)) return fold_unary(op, unary_ops[i].f);
    if (mien_slice_is(name, "Identity"))
        return mien_onnx_set_constant(op, mien_onnx_constant_in(op, 0));
    *done = false;
    return MIEN_OK;
}

mien_status mien_onnx_fold(const mien_onnx_op *op, bool *done) {
    const mien_slice name = op->node->op;
    *done = false;
    if (mien_slice_is(name, "Shape") || mien_slice_is(name, "Size")) {
        *done = true;
        if (!mien_onnx_view_in(op, 0) && !mien_onnx_constant_in(op, 0))
            return mien_onnx_refuse(op, "its input is not given");
        return fold_shape(op);
    }
    for (int i = 0; i < op->in_count; i++)
        if (op->in[i] >= 0 && !mien_onnx_constant_in(op, i)) return MIEN_OK;
    return op->in_count && op->in[0] >= 0 ? fold(op, done) : MIEN_OK;
}
