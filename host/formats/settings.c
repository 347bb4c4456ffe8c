/* What a file of another program does not say: its classes, and how pixels become numbers. */
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/formats/model.h"

const char *mien_head_name(mien_head head) {
    static const char *const names[] = {"softmax", "logits", "sigmoid", "values"};
    return names[head];
}

/* ---- preprocessing ---- */

static const struct {
    const char *name;
    mien_normalise rule; /* x = (pixel * scale - mean) / std */
    bool bgr;
} presets[] = {
    {"unit", {.scale = 1 / 255.0, .std = {1, 1, 1, 1}}, false},
    {"tf", {.scale = 1 / 127.5, .mean = {1, 1, 1, 1}, .std = {1, 1, 1, 1}}, false},
    {"x/127.5-1", {.scale = 1 / 127.5, .mean = {1, 1, 1, 1}, .std = {1, 1, 1, 1}}, false},
    {"torch",
     {.scale = 1 / 255.0, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225, 1}},
     false},
    {"caffe", {.scale = 1, .mean = {123.68, 116.779, 103.939}, .std = {1, 1, 1, 1}}, true},
    {"none", {.scale = 1, .std = {1, 1, 1, 1}}, false},
};

mien_status mien_preprocess_find(const char *name, mien_normalise *rule, bool *bgr) {
    size_t i = 0;
    while (i < sizeof presets / sizeof presets[0] && strcmp(presets[i].name, name) != 0)
        i++;
    if (i == sizeof presets / sizeof presets[0])
        return MIEN_FAIL(INVALID,
                         "--preprocess must be one of " MIEN_PREPROCESS_CHOICES ", not '%s'", name);
    *rule = presets[i].rule;
    *bgr = presets[i].bgr;
    return MIEN_OK;
}

static mien_status set_preprocessing(mien_model *model, const char *path, const char *name) {
    mien_meta *meta = &model->meta;
    mien_normalise rule;
    bool bgr;
    MIEN_TRY(mien_preprocess_find(name, &rule, &bgr));
    if ((bgr || rule.mean[0] != rule.mean[1]) && meta->input.channels != 3)
        return MIEN_FAIL(INVALID,
                         "--preprocess %s is for colour images, but '%s' reads %d channel%s", name,
                         path, meta->input.channels, meta->input.channels > 1 ? "s" : "");
    if (bgr) MIEN_TRY(mien_model_swap_channels(model, path));
    meta->normalise = rule;
    meta->unknown &= ~(unsigned)(MIEN_UNKNOWN_PREPROCESSING | MIEN_OWN_SCALE);
    return MIEN_OK;
}

/* ---- classes ---- */

static mien_status bad_name(const char *what) {
    return MIEN_FAIL(INVALID,
                     "--classes has %s: give one name for each output, such as "
                     "angry,happy,sad",
                     what);
}

static mien_status set_classes(mien_meta *meta, const char *path, const char *list) {
    const char *rest = list, *part;
    size_t length;
    int count = 0;
    for (const char *p = list; *p; p++)
        count += *p == ',';
    if (++count != meta->classes)
        return MIEN_FAIL(INVALID, "--classes names %d classes, but '%s' has %d output%s", count,
                         path, meta->classes, meta->classes == 1 ? "" : "s");
    for (int i = 0; mien_next_part(&rest, ',', &part, &length); i++) {
        while (length && *part == ' ')
            part++, length--;
        while (length && part[length - 1] == ' ')
            length--;
        if (!length) return bad_name("an empty name");
        if (length >= MIEN_CLASS_NAME) return bad_name("a name that is too long");
        snprintf(meta->class_names[i], MIEN_CLASS_NAME, "%.*s", (int)length, part);
        for (int k = 0; k < i; k++)
            if (strcmp(meta->class_names[k], meta->class_names[i]) == 0)
                return bad_name("a name twice");
    }
    meta->unknown &= ~(unsigned)MIEN_UNKNOWN_CLASSES;
    return MIEN_OK;
}

mien_status mien_model_settle(mien_model *model, const char *path,
                              const mien_model_options *options) {
    mien_meta *meta = &model->meta;
    const bool classes = meta->unknown & MIEN_UNKNOWN_CLASSES;
    const bool scaling = meta->unknown & (MIEN_UNKNOWN_PREPROCESSING | MIEN_OWN_SCALE);
    const bool none = options->classes && strcmp(options->classes, "none") == 0;
    if (options->classes && !classes && !none && !options->several)
        return MIEN_FAIL(INVALID, "'%s' names its own classes: leave out --classes", path);
    if (none && meta->head == MIEN_HEAD_SOFTMAX && !options->several)
        return MIEN_FAIL(INVALID,
                         "'%s' ends in a softmax, so its outputs are classes: name them with "
                         "--classes",
                         path);
    if (options->preprocess && !scaling && !options->several)
        return MIEN_FAIL(INVALID, "'%s' says itself how it scales pixels: leave out --preprocess",
                         path);
    if (options->classes && classes && !none) MIEN_TRY(set_classes(meta, path, options->classes));
    if (none && meta->head != MIEN_HEAD_SOFTMAX) meta->unknown &= ~(unsigned)MIEN_UNKNOWN_CLASSES;
    if (options->preprocess && scaling)
        MIEN_TRY(set_preprocessing(model, path, options->preprocess));
    return MIEN_OK;
}

mien_status mien_model_complete(const mien_model *model, const char *path) {
    const mien_meta *meta = &model->meta;
    const bool classes = (meta->unknown & MIEN_UNKNOWN_CLASSES) && meta->head != MIEN_HEAD_VALUES;
    const bool scaling = meta->unknown & MIEN_UNKNOWN_PREPROCESSING;
    if (!classes && !scaling) return MIEN_OK;
    char which[96];
    snprintf(which, sizeof which, "which classes its %d outputs are", meta->classes);
    return MIEN_FAIL(
        INVALID, "'%s' does not say %s%s%s: give %s%s%s, or store it once with mien convert", path,
        classes ? which : "", classes && scaling ? " and " : "",
        scaling ? "how pixels are scaled" : "",
        classes ? "--classes a,b,… in the order of the outputs (none: they are no "
                  "classes)"
                : "",
        classes && scaling ? " and " : "", scaling ? "--preprocess " MIEN_PREPROCESS_CHOICES : "");
}
