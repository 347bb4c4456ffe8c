/* The root attribute `mien` of a model file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/formats/model.h"

/* Version 1 wrote the numbers of lists as strings, which are still read. */
enum { FORMAT_VERSION = 2 };

static void write_numbers(mien_json *json, const char *key, const double *values, int count) {
    mien_json_open(json, key, '[');
    for (int i = 0; i < count; i++) /* exact, so that prediction scales as training did */
        mien_json_exact(json, NULL, values[i]);
    mien_json_close(json, ']');
}

/* As the config has it; only models whose training left out bad data have it. */
static void write_on_bad(mien_json *json, const mien_on_bad *on_bad) {
    char text[40] = "skip";
    if (on_bad->max >= 0) snprintf(text, sizeof text, "skip:%lld", on_bad->max);
    if (on_bad->skip) mien_json_string(json, "on_bad", text);
}

/* Only models that chose classes have it, so all others are written as before. */
static void write_choice(mien_json *json, const mien_class_choice *choice) {
    if (mien_choice_is_empty(choice)) return;
    mien_json_open(json, "choice", '{');
    mien_json_open(json, "keep", '[');
    for (int i = 0; i < choice->keep_count; i++)
        mien_json_string(json, NULL, choice->keep[i]);
    mien_json_close(json, ']');
    mien_json_open(json, "rules", '[');
    for (int i = 0; i < choice->rule_count; i++) {
        mien_json_open(json, NULL, '{');
        mien_json_string(json, "from", choice->rules[i].from);
        mien_json_string(json, "to", choice->rules[i].to);
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
    mien_json_close(json, '}');
}

/* Only models of other programs have these keys. */
static void write_head(mien_json *json, const mien_meta *meta) {
    if (meta->head != MIEN_HEAD_SOFTMAX) {
        mien_json_string(json, "head", mien_head_name(meta->head));
        mien_json_integer(json, "outputs", meta->classes);
        mien_json_open(json, "output_shape", '[');
        for (int i = 0; i < meta->output_rank; i++)
            mien_json_integer(json, NULL, meta->output_shape[i]);
        mien_json_close(json, ']');
    }
    if (!(meta->unknown & (MIEN_UNKNOWN_CLASSES | MIEN_UNKNOWN_PREPROCESSING))) return;
    mien_json_open(json, "unknown", '[');
    if (meta->unknown & MIEN_UNKNOWN_CLASSES) mien_json_string(json, NULL, "classes");
    if (meta->unknown & MIEN_UNKNOWN_PREPROCESSING) mien_json_string(json, NULL, "preprocessing");
    mien_json_close(json, ']');
}

void mien_meta_write(const mien_meta *meta, mien_text *out) {
    mien_json json = {.text = out};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "format", FORMAT_VERSION);
    mien_json_string(&json, "producer", meta->producer);
    mien_json_open(&json, "classes", '[');
    for (int i = 0; i < meta->classes && meta->head != MIEN_HEAD_VALUES; i++)
        mien_json_string(&json, NULL, meta->class_names[i]);
    mien_json_close(&json, ']');
    write_head(&json, meta);
    mien_json_open(&json, "input", '{');
    mien_json_integer(&json, "height", meta->input.height);
    mien_json_integer(&json, "width", meta->input.width);
    mien_json_integer(&json, "channels", meta->input.channels);
    mien_json_string(&json, "resize", meta->resize);
    write_numbers(&json, "scale", &meta->normalise.scale, 1);
    write_numbers(&json, "mean", meta->normalise.mean, meta->input.channels);
    write_numbers(&json, "std", meta->normalise.std, meta->input.channels);
    mien_json_close(&json, '}');
    mien_json_open(&json, "crop", '{');
    mien_json_bool(&json, "square", meta->crop.square);
    write_numbers(&json, "margin", &meta->crop.margin, 1);
    mien_json_close(&json, '}');
    mien_json_number(&json, "temperature", meta->temperature);
    mien_json_number(&json, "uncertain_below", meta->uncertain_below);
    mien_json_open(&json, "data", '{');
    mien_json_string(&json, "source", meta->data);
    if (meta->soft_labels[0]) mien_json_string(&json, "soft_labels", meta->soft_labels);
    if (meta->soft_labels[0] || meta->soft_mode) /* alone: of votes in one of several sources */
        mien_json_integer(&json, "soft_mode", meta->soft_mode);
    write_on_bad(&json, &meta->on_bad);
    write_choice(&json, &meta->choice);
    mien_json_open(&json, "split", '{');
    write_numbers(&json, "shares", (const double[]){meta->split.val, meta->split.test}, 2);
    mien_json_integer(&json, "by", meta->split.by);
    mien_json_integer(&json, "seed", meta->split.seed);
    mien_json_close(&json, '}');
    mien_json_open(&json, "counts", '[');
    for (int i = 0; i < MIEN_PARTS; i++)
        mien_json_integer(&json, NULL, (long long)meta->part_count[i]);
    mien_json_close(&json, ']');
    mien_json_string(&json, "train_sha256", meta->train_sha256);
    mien_json_close(&json, '}');
    mien_json_open(&json, "provenance", '{');
    mien_json_string(&json, "commit", meta->commit);
    mien_json_string(&json, "recipe", meta->recipe);
    mien_json_integer(&json, "step", meta->step);
    mien_json_integer(&json, "epoch", meta->epoch);
    mien_json_bool(&json, "warm_averages", meta->warm_averages);
    mien_json_close(&json, '}');
    mien_json_close(&json, '}');
}

/* A whole number from 0 to `most`, safe to cast; otherwise `otherwise`. */
static double whole(const mien_value *map, const char *key, double otherwise, double most) {
    const double v = mien_value_number(map, key, otherwise);
    return v >= 0 && v <= most && v == floor(v) ? v : otherwise;
}

static bool read_numbers(const mien_value *map, const char *key, double *out, size_t count) {
    const mien_value *list = mien_value_get(map, key);
    if (!list || list->kind != MIEN_VALUE_LIST || list->count != count) return false;
    for (const mien_value *v = list->first; v; v = v->next, out++) {
        if (v->kind == MIEN_VALUE_NUMBER)
            *out = v->number;
        else if (v->kind != MIEN_VALUE_STRING || sscanf(v->text, "%lf", out) != 1)
            return false;
        if (!isfinite(*out)) return false;
    }
    return true;
}

static void copy(char *out, size_t size, const char *text) {
    snprintf(out, size, "%s", text ? text : "");
}

static mien_status bad_head(const char *source) {
    return MIEN_FAIL(FORMAT, "%s: 'head' in the attribute 'mien' is damaged", source);
}

static mien_status read_head(const mien_value *root, const char *source, mien_meta *meta) {
    const char *name = mien_value_string(root, "head");
    const mien_value *shape = mien_value_get(root, "output_shape");
    const mien_value *unknown = mien_value_get(root, "unknown");
    if (mien_value_get(root, "head") && !name) return bad_head(source);
    while (name && strcmp(mien_head_name(meta->head), name) != 0)
        if (++meta->head > MIEN_HEAD_VALUES) return bad_head(source);
    for (const mien_value *v = unknown ? unknown->first : NULL; v; v = v->next)
        meta->unknown |= v->kind == MIEN_VALUE_STRING && strcmp(v->text, "classes") == 0
                             ? MIEN_UNKNOWN_CLASSES
                             : MIEN_UNKNOWN_PREPROCESSING;
    for (const mien_value *v = shape && shape->kind == MIEN_VALUE_LIST ? shape->first : NULL;
         v && meta->output_rank < MIEN_OUTPUT_RANK_MAX; v = v->next)
        meta->output_shape[meta->output_rank++] =
            v->kind == MIEN_VALUE_NUMBER && v->number >= 1 && v->number <= MIEN_OUTPUTS_MAX
                ? (int)v->number
                : 0;
    return MIEN_OK;
}

/* Outputs that are no classes have no names. */
static mien_status read_outputs(const mien_value *root, const char *source, mien_meta *meta) {
    meta->classes = (int)whole(root, "outputs", 0, MIEN_OUTPUTS_MAX);
    if (meta->classes < 1) return bad_head(source);
    MIEN_TRY(mien_new(&meta->class_names, (size_t)meta->classes, MIEN_CLASS_NAME));
    for (int i = 0; i < meta->classes; i++)
        snprintf(meta->class_names[i], MIEN_CLASS_NAME, "output %d", i);
    return MIEN_OK;
}

static mien_status read_classes(const mien_value *root, const char *source, mien_meta *meta) {
    const mien_value *list = mien_value_get(root, "classes");
    const size_t least = meta->head == MIEN_HEAD_SIGMOID ? 1 : 2;
    if (meta->head == MIEN_HEAD_VALUES) return read_outputs(root, source, meta);
    if (!list || list->kind != MIEN_VALUE_LIST || list->count < least ||
        list->count > MIEN_CLASSES_MAX)
        return MIEN_FAIL(FORMAT, "%s: the attribute 'mien' has no valid list of classes", source);
    MIEN_TRY(mien_new(&meta->class_names, list->count, MIEN_CLASS_NAME));
    for (const mien_value *v = list->first; v; v = v->next) {
        if (v->kind != MIEN_VALUE_STRING || strlen(v->text) >= MIEN_CLASS_NAME)
            return MIEN_FAIL(FORMAT,
                             "%s: a class name in the attribute 'mien' is not a string or too long",
                             source);
        copy(meta->class_names[meta->classes++], MIEN_CLASS_NAME, v->text);
    }
    return MIEN_OK;
}

static mien_status read_choice(const mien_value *data, const char *source,
                               mien_class_choice *choice) {
    const mien_value *map = mien_value_get(data, "choice");
    const mien_value *keep = mien_value_get(map, "keep"), *rules = mien_value_get(map, "rules");
    if (!map) return MIEN_OK;
    if (!keep || keep->kind != MIEN_VALUE_LIST || !rules || rules->kind != MIEN_VALUE_LIST)
        return MIEN_FAIL(FORMAT, "%s: 'choice' in the attribute 'mien' is damaged", source);
    mien_status status = MIEN_OK;
    for (const mien_value *v = keep->first; v && status == MIEN_OK; v = v->next)
        status = mien_choice_add_kept(choice, v->kind == MIEN_VALUE_STRING ? v->text : "");
    for (const mien_value *v = rules->first; v && status == MIEN_OK; v = v->next) {
        const char *from = mien_value_string(v, "from"), *to = mien_value_string(v, "to");
        status = mien_choice_add_rule(choice, from ? from : "", to ? to : "");
    }
    if (status != MIEN_INVALID) return status;
    return MIEN_FAIL(FORMAT, "%s: 'choice' in the attribute 'mien' is damaged", source);
}

static mien_status read_input(const mien_value *root, const char *source, mien_meta *meta) {
    const mien_value *input = mien_value_get(root, "input");
    meta->input = (mien_image_spec){(int)whole(input, "height", 0, MIEN_INPUT_SIDE_MAX),
                                    (int)whole(input, "width", 0, MIEN_INPUT_SIDE_MAX),
                                    (int)whole(input, "channels", 0, MIEN_INPUT_CHANNELS_MAX)};
    const char *resize = mien_value_string(input, "resize");
    if (resize) copy(meta->resize, sizeof meta->resize, resize);
    const mien_image_spec s = meta->input;
    mien_normalise *n = &meta->normalise;
    bool good = s.height >= 1 && s.width >= 1 && s.channels >= 1 &&
                read_numbers(input, "scale", &n->scale, 1) &&
                read_numbers(input, "mean", n->mean, (size_t)s.channels) &&
                read_numbers(input, "std", n->std, (size_t)s.channels);
    for (int c = 0; good && c < s.channels; c++)
        good = n->std[c] > 0;
    if (!good)
        return MIEN_FAIL(FORMAT, "%s: 'input' in the attribute 'mien' is incomplete or damaged",
                         source);
    return MIEN_OK;
}

static mien_status read_prediction(const mien_value *root, const char *source, mien_meta *meta) {
    const mien_value *crop = mien_value_get(root, "crop");
    meta->uncertain_below = mien_value_number(root, "uncertain_below", meta->uncertain_below);
    if (crop) {
        const mien_value *square = mien_value_get(crop, "square");
        meta->crop.square = square && square->kind == MIEN_VALUE_BOOL && square->number != 0;
        if (!square || square->kind != MIEN_VALUE_BOOL ||
            !read_numbers(crop, "margin", &meta->crop.margin, 1) ||
            meta->crop.margin < MIEN_CROP_MARGIN_MIN || meta->crop.margin > MIEN_CROP_MARGIN_MAX)
            return MIEN_FAIL(FORMAT, "%s: 'crop' in the attribute 'mien' is damaged", source);
    }
    if (!(meta->uncertain_below >= 0 && meta->uncertain_below <= 1))
        return MIEN_FAIL(
            FORMAT, "%s: 'uncertain_below' in the attribute 'mien' is not a probability", source);
    return MIEN_OK;
}

mien_status mien_meta_read(const mien_value *root, const char *source, mien_meta *meta) {
    mien_meta_start(meta);
    const double version = mien_value_number(root, "format", 0);
    if (version != 1 && version != FORMAT_VERSION)
        return MIEN_FAIL(UNSUPPORTED,
                         "%s: the attribute 'mien' has format %g, but this version reads 1 to %d: "
                         "use a newer Mien",
                         source, version, FORMAT_VERSION);
    MIEN_TRY(read_head(root, source, meta));
    MIEN_TRY(read_classes(root, source, meta));
    MIEN_TRY(read_input(root, source, meta));
    MIEN_TRY(read_prediction(root, source, meta));
    const mien_value *data = mien_value_get(root, "data");
    const mien_value *split = mien_value_get(data, "split");
    const mien_value *counts = mien_value_get(data, "counts");
    const mien_value *provenance = mien_value_get(root, "provenance");
    double shares[2] = {0, 0};
    MIEN_TRY(read_choice(data, source, &meta->choice));
    const char *on_bad = mien_value_string(data, "on_bad");
    if (mien_on_bad_parse(on_bad ? on_bad : "fail", &meta->on_bad) != MIEN_OK)
        return MIEN_FAIL(FORMAT, "%s: 'on_bad' in the attribute 'mien' is damaged", source);
    meta->temperature = mien_value_number(root, "temperature", meta->temperature);
    copy(meta->producer, sizeof meta->producer, mien_value_string(root, "producer"));
    copy(meta->data, sizeof meta->data, mien_value_string(data, "source"));
    copy(meta->soft_labels, sizeof meta->soft_labels, mien_value_string(data, "soft_labels"));
    if (strchr(meta->soft_labels, '/')) /* only a file name next to the data is allowed, no path */
        return MIEN_FAIL(
            FORMAT, "%s: 'soft_labels' in the attribute 'mien' must be a file name, not a path",
            source);
    meta->soft_mode = (mien_soft_mode)whole(data, "soft_mode", 0, MIEN_SOFT_MULTI);
    copy(meta->train_sha256, sizeof meta->train_sha256, mien_value_string(data, "train_sha256"));
    copy(meta->commit, sizeof meta->commit, mien_value_string(provenance, "commit"));
    copy(meta->recipe, sizeof meta->recipe, mien_value_string(provenance, "recipe"));
    meta->step = (long long)whole(provenance, "step", 0, 1e15);
    meta->epoch = (int)whole(provenance, "epoch", 0, 1e9);
    const mien_value *warm = mien_value_get(provenance, "warm_averages");
    meta->warm_averages = warm && warm->kind == MIEN_VALUE_BOOL && warm->number != 0;
    if (!read_numbers(split, "shares", shares, 2) ||
        !(meta->temperature > 0 && meta->temperature < 1e6))
        return MIEN_FAIL(FORMAT, "%s: 'split' or 'temperature' in the attribute 'mien' is damaged",
                         source);
    const double by = whole(split, "by", -1, MIEN_BY_GROUP);
    if (by < MIEN_BY_USAGE)
        return MIEN_FAIL(FORMAT, "%s: 'split' in the attribute 'mien' is of an unknown kind",
                         source);
    meta->split = (mien_split){shares[0], shares[1], (int)by,
                               (int)whole(split, "seed", meta->split.seed, 2147483647)};
    const mien_value *v = counts && counts->kind == MIEN_VALUE_LIST ? counts->first : NULL;
    for (int i = 0; i < MIEN_PARTS && v; i++, v = v->next)
        meta->part_count[i] =
            (size_t)(v->kind == MIEN_VALUE_NUMBER && v->number > 0 ? v->number : 0);
    return MIEN_OK;
}
