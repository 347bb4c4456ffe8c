/* Operators between layers: x / 255, a + b, x[..., ::-1]. Keras 3 saves them as entries like
 * layers, Keras 2 as TFOpLambda or TensorFlowOpLayer. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/keras.h"

/* ---- arithmetic ---- */

static mien_status with_tensors(keras_call *call, const char *op) {
    keras_value *out = &call->out[0], *in = call->in;
    if (strcmp(op, "add") == 0) return keras_combine(call, "add", in, 2, out);
    if (strcmp(op, "sub") == 0) return keras_subtract(call, &in[0], in[1], out);
    if (strcmp(op, "mul") == 0) return keras_multiply(call, in[0], in[1], out);
    if (strcmp(op, "max") == 0) return keras_combine(call, "maximum", in, 2, out);
    return keras_refuse(call, "this operation on two tensors is not supported");
}

/* y = x * scale + shift that a constant stands for; false: none. */
static bool affine_of(const char *op, bool reversed, double k, double *scale, double *shift) {
    *scale = 1;
    *shift = 0;
    if (strcmp(op, "add") == 0)
        *shift = k;
    else if (strcmp(op, "sub") == 0)
        *scale = reversed ? -1 : 1, *shift = reversed ? k : -k;
    else if (strcmp(op, "mul") == 0)
        *scale = k;
    else if (strcmp(op, "div") == 0 && !reversed)
        *scale = 1 / k;
    else
        return false;
    return isfinite(*scale) && isfinite(*shift);
}

static mien_status with_constant(keras_call *call, const char *op, bool reversed,
                                 const mien_value *constant) {
    keras_value *value = &call->out[0];
    double k, scale, shift;
    if (keras_is_number(constant, &k)) {
        if (!affine_of(op, reversed, k, &scale, &shift))
            return keras_refuse(call, "this operation with a constant is not supported");
        return keras_rescale(call, value, scale, shift);
    }
    float *scales, *shifts;
    MIEN_TRY(keras_order(call, value, false));
    MIEN_TRY(keras_per_channel(call, constant, 0, value->c, &shifts));
    const mien_status status = mien_new(&scales, (size_t)value->c, sizeof *scales);
    bool good = status == MIEN_OK;
    for (int i = 0; i < value->c && good; i++) {
        good = affine_of(op, reversed, shifts[i], &scale, &shift);
        scales[i] = (float)scale;
        shifts[i] = (float)shift;
    }
    if (good) return keras_affine(call, value, scales, shifts);
    mien_free(scales);
    mien_free(shifts);
    return status != MIEN_OK ? status
                             : keras_refuse(call, "this operation with constants is not supported");
}

/* The operands in order; keywords such as `name` are none. */
static mien_status binary(keras_call *call, const char *op) {
    const keras_operand *constant = NULL;
    bool before = false;
    if (call->in_count == 2) return with_tensors(call, op);
    for (int i = 0; i < call->operand_count; i++) {
        const keras_operand *o = &call->operands[i];
        if (o->is_value || (o->key && !keras_listed("x|y|x1|x2|a|b|value|bias", o->key))) continue;
        if (!constant) constant = o;
        before |= i == 0 || (o->key && keras_listed("x|x1|a", o->key));
    }
    if (!constant) return keras_refuse(call, "its second input is not supported");
    return with_constant(call, op, before, constant->constant);
}

/* ---- slices ---- */

typedef struct slice {
    bool single; /* one index, which removes the axis */
    double start, stop, step;
    bool has_start, has_stop;
} slice;

static bool read_slice(const mien_value *v, slice *out) {
    *out = (slice){.step = 1};
    if (v->kind == MIEN_VALUE_NUMBER) {
        *out = (slice){.single = true, .start = v->number, .step = 1, .has_start = true};
        return true;
    }
    const mien_value *map = mien_value_get(v, "config") ? mien_value_get(v, "config") : v;
    const mien_value *start = mien_value_get(map, "start"), *stop = mien_value_get(map, "stop"),
                     *step = mien_value_get(map, "step");
    if (map->kind != MIEN_VALUE_MAP) return false;
    out->has_start = start && start->kind == MIEN_VALUE_NUMBER;
    out->has_stop = stop && stop->kind == MIEN_VALUE_NUMBER;
    out->start = out->has_start ? start->number : 0;
    out->stop = out->has_stop ? stop->number : 0;
    if (step && step->kind == MIEN_VALUE_NUMBER) out->step = step->number;
    return true;
}

/* Python's rule for one axis of `size`: the first index and how many. */
static bool range(const slice *s, int size, int *first, int *count) {
    double start = s->has_start ? s->start : s->step < 0 ? size - 1 : 0;
    double stop = s->has_stop ? s->stop : s->step < 0 ? -1 : size;
    if (s->has_start && start < 0) start += size;
    if (s->has_stop && stop < 0) stop += size;
    if (s->step < 0) {
        *first = keras_whole(start);
        *count = s->step == -1 && start == size - 1 && !s->has_stop ? size : 0;
        return *count == size;
    }
    if (start < 0) start = 0;
    if (stop > size) stop = size;
    *first = keras_whole(start);
    *count = keras_whole(stop - start);
    return s->step == 1 && *count >= 1;
}

static bool is_ellipsis(const mien_value *v) {
    const char *class_name = mien_value_string(v, "class_name");
    return class_name && keras_listed("__ellipsis__|Ellipsis|ellipsis", class_name);
}

/* Takes a part of the channels, or reverses them, by a convolution of zeros and ones. */
static mien_status take_channels(keras_call *call, keras_value *value, int first, int count,
                                 bool reversed) {
    float *kernel;
    if (!reversed && first == 0 && count == value->c) return MIEN_OK;
    const int rank = value->rank, c = value->c;
    if (rank == 1) MIEN_TRY(keras_reshape(call, value, 3, 1, 1, c));
    MIEN_TRY(mien_new(&kernel, (size_t)c * (size_t)count, sizeof *kernel));
    for (int i = 0; i < count; i++)
        kernel[(size_t)(reversed ? first - i : first + i) * (size_t)count + (size_t)i] = 1;
    MIEN_TRY(keras_mix(call, value, kernel, count));
    if (rank == 1) return keras_reshape(call, value, 1, 1, 1, count);
    value->rank = rank;
    return MIEN_OK;
}

static mien_status crop(keras_call *call, keras_value *value, const int *first, const int *count) {
    int layer;
    if (first[0] == 0 && first[1] == 0 && count[0] == value->h && count[1] == value->w)
        return MIEN_OK;
    MIEN_TRY(keras_emit(call, "cropping2d", value, 1, &layer));
    mien_import_sides(&call->r->import, layer, "cropping", first[0], value->h - first[0] - count[0],
                      first[1], value->w - first[1] - count[1]);
    return keras_commit(call, layer, value);
}

static mien_status take(keras_call *call, const mien_value *list) {
    keras_value *value = &call->out[0];
    slice slices[4];
    const int axes = value->rank + 1;
    int count = 0, first[3], size[3];
    MIEN_TRY(keras_order(call, value, false));
    for (int i = 0; i < axes && i < 4; i++)
        slices[i] = (slice){.step = 1};
    size_t left = list && list->kind == MIEN_VALUE_LIST ? list->count : 5;
    for (const mien_value *v = left <= 4 ? list->first : NULL; v; v = v->next, left--) {
        if (is_ellipsis(v))
            count = axes - (int)left + 1;
        else if (count < 0 || count >= axes || !read_slice(v, &slices[count++]))
            return keras_refuse(call, "these slices are not supported");
    }
    slice all = {.step = 1};
    const int sides[] = {value->h, value->w, value->c};
    /* x[..., 2] drops the last axis */
    const bool drops = value->rank == 3 && slices[3].single;
    if (drops) {
        const double at = slices[3].start < 0 ? slices[3].start + value->c : slices[3].start;
        slices[3] =
            (slice){.start = at, .stop = at + 1, .step = 1, .has_start = true, .has_stop = true};
    }
    bool good = left == 0 && !slices[0].single && !slices[0].has_start && !slices[0].has_stop;
    for (int i = 0; i < 3 && good; i++) {
        const int axis = i - (3 - value->rank);
        const slice *s = axis >= 0 ? &slices[axis + 1] : &all;
        good = !s->single && range(s, sides[i], &first[i], &size[i]) && (i == 2 || s->step == 1);
    }
    if (!good) return keras_refuse(call, "these slices are not supported");
    if (value->rank == 3) MIEN_TRY(crop(call, value, first, size));
    MIEN_TRY(take_channels(call, value, first[2], size[2], slices[value->rank].step < 0));
    return drops ? keras_reshape(call, value, 2, 1, value->h, value->w) : MIEN_OK;
}

/* Rows as the channels of an image. */
static mien_status stack(keras_call *call) {
    const int axis = keras_int(call->layer, "axis", 0);
    for (int i = 0; i < call->in_count; i++) {
        keras_value *in = &call->in[i];
        if (in->rank != 2 || (axis != -1 && axis != 3))
            return keras_refuse(call, "it stacks along an axis that is not supported");
        MIEN_TRY(keras_reshape(call, in, 3, in->w, in->c, 1));
    }
    return keras_concatenate(call, call->in, call->in_count, -1, &call->out[0]);
}

static mien_status get_item(keras_call *call) {
    for (int i = 0; i < call->operand_count; i++)
        if (!call->operands[i].is_value) return take(call, call->operands[i].constant);
    return keras_refuse(call, "it has no slices");
}

/* ---- one input ---- */

static const mien_value *keyword(const keras_call *call, const char *names) {
    for (int i = 0; i < call->operand_count; i++)
        if (!call->operands[i].is_value && call->operands[i].key &&
            keras_listed(names, call->operands[i].key))
            return call->operands[i].constant;
    return keras_get(call->layer, names);
}

static mien_status reduce(keras_call *call, bool maximum) {
    const mien_value *axes = keyword(call, "axis|axes"),
                     *keep = keyword(call, "keepdims|keep_dims");
    for (int i = 1; !axes && i < call->operand_count; i++)
        if (!call->operands[i].is_value && !call->operands[i].key)
            axes = call->operands[i].constant;
    return keras_reduce(call, &call->out[0], axes, keep && keep->number != 0, maximum);
}

static mien_status activate(keras_call *call, const char *name) {
    mien_value spec = {.kind = MIEN_VALUE_STRING, .text = name};
    keras_value value = call->out[0];
    MIEN_TRY(keras_activate(call, &spec, &value));
    call->out[0] = value;
    return MIEN_OK;
}

/* Names of TensorFlow's functions and operators, and of Keras 3's classes. */
static const struct {
    const char *names, *what;
} operators[] = {
    {"add|add_v2|addv2|bias_add|biasadd|__operators__.add|math.add|nn.bias_add", "+"},
    {"subtract|sub|math.subtract", "-"},
    {"multiply|mul|math.multiply", "*"},
    {"truedivide|true_divide|divide|truediv|realdiv|math.truediv|math.divide|math.divide_no_nan",
     "/"},
    {"maximum|math.maximum", "max"},
    {"relu|nn.relu", "relu"},
    {"relu6|nn.relu6", "relu6"},
    {"elu|nn.elu", "elu"},
    {"selu|nn.selu", "selu"},
    {"gelu|nn.gelu", "gelu"},
    {"sigmoid|math.sigmoid|nn.sigmoid", "sigmoid"},
    {"tanh|math.tanh|nn.tanh", "tanh"},
    {"softmax|nn.softmax", "softmax"},
    {"silu|swish|nn.silu|nn.swish", "swish"},
    {"hardsigmoid|hard_sigmoid", "hard_sigmoid"},
    {"hardswish|hardsilu|hard_swish|hard_silu", "hard_swish"},
    {"negative|neg|math.negative", "negative"},
    {"mean|math.reduce_mean|reduce_mean", "mean"},
    {"max|math.reduce_max|reduce_max|amax", "maximum"},
    {"getitem|__operators__.getitem|stridedslice", "slice"},
    {"cast|identity|identityop|stop_gradient|convert_to_tensor|copy", "nothing"},
    {"concat|concatenate", "concat"}};

static mien_status concat(keras_call *call) {
    const mien_value *axis = keyword(call, "axis");
    for (int i = 0; !axis && i < call->operand_count; i++)
        if (!call->operands[i].is_value) axis = call->operands[i].constant;
    double at = -1;
    keras_is_number(axis, &at);
    return keras_concatenate(call, call->in, call->in_count, keras_whole(at), &call->out[0]);
}

static mien_status operate(keras_call *call, const char *name) {
    char lower[64];
    snprintf(lower, sizeof lower, "%s", name);
    for (char *p = lower; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p += 'a' - 'A';
    const char *what = "";
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (keras_listed(operators[i].names, lower)) what = operators[i].what;
    if (strcmp(what, "+") == 0) return binary(call, "add");
    if (strcmp(what, "-") == 0) return binary(call, "sub");
    if (strcmp(what, "*") == 0) return binary(call, "mul");
    if (strcmp(what, "/") == 0) return binary(call, "div");
    if (strcmp(what, "max") == 0) return binary(call, "max");
    if (strcmp(what, "negative") == 0) return keras_rescale(call, &call->out[0], -1, 0);
    if (strcmp(what, "mean") == 0) return reduce(call, false);
    if (strcmp(what, "maximum") == 0) return reduce(call, true);
    if (strcmp(what, "slice") == 0) return get_item(call);
    if (strcmp(what, "concat") == 0) return concat(call);
    if (strcmp(what, "nothing") == 0) return MIEN_OK;
    if (*what) return activate(call, what);
    return keras_refuse(call, "the operation '%s' is not supported", name);
}

/* ---- classes ---- */

static mien_status operation(keras_call *call) {
    return operate(call, call->layer->class_name);
}

/* The layers Add, Multiply and Subtract share their names with operators. */
static mien_status layer_or_operation(keras_call *call) {
    const bool two = call->in_count == 2;
    if (call->in_count == call->operand_count && call->in_count > 2) {
        if (strcmp(call->layer->class_name, "Add") == 0)
            return keras_combine(call, "add", call->in, call->in_count, &call->out[0]);
        MIEN_TRY(keras_multiply(call, call->in[0], call->in[1], &call->out[0]));
        for (int i = 2; i < call->in_count; i++)
            MIEN_TRY(keras_multiply(call, call->out[0], call->in[i], &call->out[0]));
        return MIEN_OK;
    }
    if (!two && call->operand_count < 2) return keras_refuse(call, "it needs two inputs");
    return operate(call, call->layer->class_name);
}

static mien_status tf_lambda(keras_call *call) {
    const char *function = keras_text(call->layer, "function|symbol", "");
    return operate(call, strncmp(function, "tf.", 3) == 0 ? function + 3 : function);
}

/* TensorFlow 2.0 to 2.3: a node of TensorFlow, whose constants are in a map by position. */
static mien_status tf_node(keras_call *call) {
    const mien_value *def = keras_get(call->layer, "node_def");
    const mien_value *constants = keras_get(call->layer, "constants");
    const char *op = mien_value_string(def, "op");
    char found[64] = "";
    if (!op && def && def->kind == MIEN_VALUE_STRING) {
        const char *at = strstr(def->text, "op: \"");
        if (at) snprintf(found, sizeof found, "%.*s", (int)strcspn(at + 5, "\""), at + 5);
        op = found;
    }
    if (!op || !*op) return keras_refuse(call, "its operation is not readable");
    for (const mien_value *v = constants && constants->kind == MIEN_VALUE_MAP ? constants->first
                                                                              : NULL;
         v; v = v->next) {
        if (call->operand_count == KERAS_OPERANDS_MAX)
            return keras_refuse(call, "it has too many constants");
        keras_operand own = {.constant = v};
        int at = strcmp(v->key, "0") == 0 ? 0 : call->operand_count;
        memmove(&call->operands[at + 1], &call->operands[at],
                sizeof own * (size_t)(call->operand_count - at));
        call->operands[at] = own;
        call->operand_count++;
    }
    return operate(call, op);
}

const keras_class keras_op_classes[] = {
    {"Add|Multiply|Subtract", layer_or_operation, NULL, NULL},
    {"TrueDivide|Divide|Relu|Relu6|Elu|Selu|Gelu|Sigmoid|Tanh|Silu|Swish|HardSigmoid|HardSwish|"
     "HardSilu|Negative|Mean|Max|GetItem|Cast",
     operation, NULL, NULL},
    {"Stack", stack, NULL, NULL},
    {"TFOpLambda|SlicingOpLambda", tf_lambda, NULL, NULL},
    {"TensorFlowOpLayer", tf_node, NULL, NULL},
    {0}};
