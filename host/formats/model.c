/* Model files: the table of formats, and what they have in common. */
#include "host/formats/model.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/text.h"
#include "host/formats/format.h"

static const size_t file_limit = (size_t)2 << 30;

/* HDF5 comes last, because its signature may follow a block of arbitrary content. */
static const mien_model_format *const formats[] = {&mien_format_int8,       &mien_format_float,
                                                   &mien_format_checkpoint, &mien_format_onnx,
                                                   &mien_format_keras_zip,  &mien_format_keras_h5};
enum { FORMATS = sizeof formats / sizeof formats[0] };

const mien_model_format *mien_model_format_at(size_t index) {
    return index < FORMATS ? formats[index] : NULL;
}

const mien_model_format *mien_model_format_sniff(const char *bytes, size_t size) {
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i]->sniff(bytes, size)) return formats[i];
    return NULL;
}

static bool has_suffix(const mien_model_format *format, const char *path) {
    for (size_t k = 0; k < MIEN_SUFFIXES_MAX && format->suffixes[k]; k++)
        if (mien_path_ends(path, format->suffixes[k])) return true;
    return false;
}

const mien_model_format *mien_model_format_of(const char *path) {
    for (size_t i = 0; i < FORMATS; i++)
        if (has_suffix(formats[i], path)) return formats[i];
    return NULL;
}

const mien_model_format *mien_model_format_for(const char *path, bool int8) {
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i]->write && has_suffix(formats[i], path) &&
            (formats[i]->flags & MIEN_FORMAT_INT8 ? int8 : !int8))
            return formats[i];
    return NULL;
}

static const mien_model_format *recognise(const mien_model_source *from) {
    const mien_model_format *format = mien_model_format_sniff(from->bytes, from->size);
    return format ? format : mien_model_format_of(from->name); /* its reader knows what is wrong */
}

const mien_model_format *mien_model_format_in(const char *path) {
    mien_model_source from = {.name = path};
    if (mien_file_read(path, file_limit, &from.bytes, &from.size) != MIEN_OK)
        return mien_model_format_of(path);
    const mien_model_format *format = recognise(&from);
    mien_free(from.bytes);
    return format;
}

static bool has(const mien_model_format *format, unsigned flags) {
    const unsigned own = format->flags | (format->write ? MIEN_FORMAT_WRITTEN : 0u);
    return (own & flags) == flags;
}

/* Is this the first suffix of one of the first `count` formats with these flags? */
static bool listed(unsigned flags, size_t count, const char *suffix) {
    for (size_t i = 0; i < count; i++)
        if (has(formats[i], flags) && strcmp(formats[i]->suffixes[0], suffix) == 0) return true;
    return false;
}

void mien_model_suffixes(unsigned flags, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < FORMATS && used < size; i++)
        if (has(formats[i], flags) && !listed(flags, i, formats[i]->suffixes[0]))
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " or " : "",
                                     formats[i]->suffixes[0]);
}

mien_status mien_model_file(const char *path, char *out) {
    if (!mien_is_folder(path)) return mien_path_join(out, "", path);
    MIEN_TRY(mien_path_join(out, path, MIEN_RUN_BEST));
    if (mien_file_exists(out)) return MIEN_OK;
    MIEN_TRY(mien_path_join(out, path, MIEN_RUN_LAST));
    if (mien_file_exists(out)) return MIEN_OK;
    MIEN_TRY(mien_path_join(out, path, "saved_model.pb"));
    if (mien_file_exists(out))
        return MIEN_FAIL(UNSUPPORTED,
                         "the folder '%s' is a TensorFlow SavedModel: give the Keras model, or an "
                         ".onnx file by tf2onnx",
                         path);
    return MIEN_FAIL(NOT_FOUND,
                     "the folder '%s' has no %s; give a model file or the folder of a finished run",
                     path, MIEN_RUN_BEST);
}

/* The error for a file whose content and suffix are both unknown. */
static mien_status refuse(const char *path) {
    mien_text known = {0};
    for (size_t i = 0; i < FORMATS; i++)
        mien_text_printf(&known, "%s %s (%s)", i ? ", nor" : "neither", formats[i]->content,
                         formats[i]->suffixes[0]);
    const mien_status status = MIEN_FAIL(FORMAT, "'%s' is not a model file: it is %s", path,
                                         known.data ? known.data : "in no known format");
    mien_text_release(&known);
    return status;
}

mien_status mien_model_open(const char *path, mien_model *model) {
    return mien_model_open_with(path, NULL, model);
}

mien_status mien_model_open_with(const char *path, const mien_model_options *options,
                                 mien_model *model) {
    static const mien_model_options none = {0};
    char file_path[MIEN_PATH];
    mien_model_source from = {.name = file_path, .fd = -1, .options = options ? options : &none};
    *model = (mien_model){0};
    MIEN_TRY(mien_model_file(path, file_path));
    if (!mien_file_exists(file_path))
        return MIEN_FAIL(NOT_FOUND, "there is no model file '%s'", file_path);
    mien_status status =
        mien_file_read_open(file_path, file_limit, &from.bytes, &from.size, &from.fd);
    if (status == MIEN_OK) {
        const mien_model_format *format = mien_model_format_sniff(from.bytes, from.size);
        const char *foreign = format ? NULL : mien_foreign_model(file_path, from.bytes, from.size);
        model->format = format = format ? format : mien_model_format_of(file_path);
        status = foreign  ? MIEN_FAIL(FORMAT, "'%s' is not a model file: %s", file_path, foreign)
                 : format ? format->read(&from, model)
                          : refuse(file_path);
    }
    if (status == MIEN_OK) status = mien_model_settle(model, file_path, from.options);
    mien_free(from.bytes);
    if (from.fd >= 0) close(from.fd);
    return status;
}

static mien_status refuse_to_write(const char *path, bool int8) {
    char known[128];
    if (mien_model_format_for(path, !int8))
        return int8 ? MIEN_FAIL(INVALID,
                                "'%s' would hold a model in float, and this one is in int8; take "
                                "the one that it was made from",
                                path)
                    : MIEN_FAIL(INVALID,
                                "'%s' would hold a model in int8, and this one is not in int8",
                                path);
    mien_model_suffixes(MIEN_FORMAT_WRITTEN, known, sizeof known);
    return MIEN_FAIL(INVALID, "'%s' cannot be written as a model: its name must end in %s", path,
                     known);
}

mien_status mien_model_save(const mien_model *model, const char *path) {
    const bool int8 = model->quant.nodes != 0;
    const mien_model_format *format = mien_model_format_for(path, int8);
    char *bytes = NULL;
    size_t size = 0;
    mien_status status;
    if (!format) return refuse_to_write(path, int8);
    MIEN_GO(format->write(model, path, &bytes, &size));
    MIEN_GO(mien_file_write(path, bytes, size));
out:
    mien_free(bytes);
    return status;
}

void mien_model_release(mien_model *model) {
    mien_weights_release(&model->weights);
    mien_quant_release(&model->quant);
    mien_graph_release(&model->graph);
    mien_free(model->meta.class_names);
    mien_choice_release(&model->meta.choice);
    *model = (mien_model){0};
}
