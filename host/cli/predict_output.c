/* Output of mien predict: text lines, JSON lines, a CSV table and annotated copies. */
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/cli/photo_json.h"
#include "host/cli/predict.h"
#include "host/cli/verdict.h"
#include "host/image/encode.h"

/* Appends text for a terminal; control characters, which file names may contain, become '?'. */
static void put_plain(mien_text *text, const char *name) {
    for (; *name; name++)
        mien_text_append(text, (unsigned char)*name < ' ' || *name == 0x7f ? "?" : name, 1);
}

/* Prints a message on stderr. */
static void print_message(const char *message) {
    mien_text text = {0};
    put_plain(&text, message);
    if (text.data) fprintf(stderr, "mien: %s\n", text.data);
    mien_text_release(&text);
}

/* ---- JSON ---- */

static void photo_line(const predict_output *out, const predict_photo *photo,
                       const mien_photo_face *faces, const float *scores, mien_text *text) {
    const photo_result result = {.file = photo->file,
                                 .error = photo->error,
                                 .width = photo->width,
                                 .height = photo->height,
                                 .faces = faces,
                                 .scores = scores,
                                 .values = out->values,
                                 .count = photo->count};
    photo_json(out->meta, &result, text);
}

/* ---- text ---- */

static void photo_text(const predict_output *out, const predict_photo *photo,
                       const mien_photo_face *faces, const float *scores, mien_text *text) {
    if (photo->count == 0) {
        put_plain(text, photo->file);
        mien_text_puts(text, out->args->boxes ? ": no box given\n" : ": no face found\n");
    }
    for (int i = 0; i < photo->count; i++) {
        put_plain(text, photo->file);
        mien_text_puts(text, ": ");
        const float *own = scores + (size_t)i * (size_t)out->meta->classes;
        verdict_text(out->meta, own, verdict_best(out->meta, own), text);
        const mien_rect b = faces[i].box;
        if (!faces[i].whole)
            mien_text_printf(text, "  (face of %dx%d at %d,%d)", b.width, b.height, b.x, b.y);
        mien_text_puts(text, "\n");
    }
}

/* ---- CSV ---- */

static void add_verdict(predict_output *out, const float *scores) {
    verdict_cells(out->meta, scores, verdict_best(out->meta, scores), &out->csv);
    mien_text_puts(&out->csv, "\n");
}

static void photo_csv(predict_output *out, const predict_photo *photo, const mien_photo_face *faces,
                      const float *scores) {
    for (int i = 0; i < photo->count; i++) {
        const mien_rect b = faces[i].box;
        mien_text_cell(&out->csv, photo->file);
        mien_text_printf(&out->csv, ",%d,%d,%d,%d,%d,", i + 1, b.x, b.y, b.width, b.height);
        if (faces[i].detected) mien_text_printf(&out->csv, "%.6g", faces[i].score);
        mien_text_puts(&out->csv, ",");
        add_verdict(out, scores + (size_t)i * (size_t)out->meta->classes);
    }
}

void predict_output_start(predict_output *out, bool row_files) {
    out->started = true;
    if (!out->args->csv) return;
    mien_text_puts(&out->csv, !out->args->data ? "file,face,x,y,w,h,detection_score"
                              : row_files      ? "row,file"
                                               : "row");
    mien_text_puts(&out->csv, ",");
    verdict_columns(out->meta, "", &out->csv);
    mien_text_puts(&out->csv, "\n");
}

/* ---- annotated copies ---- */

/* DIR/<stem>.png; a second photo of that name becomes <stem>-2.png. */
static mien_status copy_path(predict_output *out, const char *file, char *path) {
    char stem[256], name[300];
    char *own;
    bool taken = true;
    mien_path_stem(stem, sizeof stem, file);
    for (int n = 1; taken; n++) {
        if (n == 1)
            snprintf(name, sizeof name, "%s.png", stem);
        else
            snprintf(name, sizeof name, "%s-%d.png", stem, n);
        taken = false;
        for (size_t i = 0; i < out->name_count && !taken; i++)
            taken = strcmp(out->names[i], name) == 0;
    }
    MIEN_TRY(mien_grow(&out->names, &out->name_capacity, out->name_count + 1, sizeof(char *)));
    MIEN_TRY(mien_copy_text(&own, name));
    out->names[out->name_count++] = own;
    return mien_path_join(path, out->args->annotate, name);
}

/* A photo of too many pixels is decoded at a smaller size, and so is its copy. */
static mien_rect on_copy(mien_rect box, const predict_photo *photo, const mien_image *copy) {
    const double x = (double)copy->width / photo->width, y = (double)copy->height / photo->height;
    if (copy->width == photo->width && copy->height == photo->height) return box;
    return (mien_rect){(int)(box.x * x), (int)(box.y * y), (int)(box.width * x + 0.5),
                       (int)(box.height * y + 0.5)};
}

/* The photo is decoded again, in colour: the pixels that were classified may be gray. */
static mien_status annotate(predict_output *out, const predict_photo *photo,
                            const mien_photo_face *faces, const float *scores) {
    char path[MIEN_PATH];
    bool written = true;
    mien_photo_facts facts; /* its warning was given when the photo was classified */
    mien_image copy = {0};
    mien_overlay *overlays = NULL;
    const char **names = NULL;
    mien_status status;
    MIEN_GO(mien_new(&overlays, (size_t)photo->count + 1, sizeof *overlays));
    MIEN_GO(mien_new(&names, (size_t)out->meta->classes, sizeof *names));
    for (int k = 0; k < out->meta->classes; k++)
        names[k] = out->meta->class_names[k];
    status = mien_image_read_photo(photo->file, 3, &copy, &facts);
    written = status == MIEN_OK || status == MIEN_NO_MEMORY;
    if (status != MIEN_OK) goto out;
    for (int i = 0; i < photo->count; i++) {
        const float *own = scores + (size_t)i * (size_t)out->meta->classes;
        const int label = verdict_best(out->meta, own);
        overlays[i].box = on_copy(faces[i].box, photo, &copy);
        overlays[i].classes = out->meta->classes;
        overlays[i].names = names;
        overlays[i].scores = faces[i].whole || !verdict_is_class(out->meta) ? NULL : own;
        overlays[i].uncertain =
            verdict_is_class(out->meta) && verdict_uncertain(out->meta, own[label]);
        if (verdict_is_class(out->meta))
            snprintf(overlays[i].label, sizeof overlays[i].label, "%s %.0f %%%s",
                     out->meta->class_names[label], 100.0 * own[label],
                     overlays[i].uncertain ? "?" : "");
        else
            snprintf(overlays[i].label, sizeof overlays[i].label, "%.6g", own[0]);
    }
    MIEN_GO(mien_overlay_draw(&copy, overlays, photo->count));
    MIEN_GO(copy_path(out, photo->file, path));
    status = mien_image_write_png(&copy, path);
    written = status == MIEN_OK || status == MIEN_NO_MEMORY;
out:
    if (!written) { /* as for an unreadable photo, continue with the others */
        out->unwritten++;
        print_message(mien_error_message());
        status = MIEN_OK;
    }
    mien_image_release(&copy);
    mien_free(overlays);
    mien_free(names);
    return status;
}

/* ---- all outputs ---- */

mien_status predict_output_photo(predict_output *out, const predict_photo *photo,
                                 const mien_photo_face *faces, const float *scores) {
    mien_text text = {0};
    if (photo->error) out->errors++;
    if (out->args->common.json)
        photo_line(out, photo, faces, scores, &text);
    else if (photo->error)
        print_message(photo->error);
    else
        photo_text(out, photo, faces, scores, &text);
    const mien_status status = cli_print(&text);
    if (photo->error || status != MIEN_OK) return status;
    out->faceless += photo->count == 0;
    if (out->args->csv) photo_csv(out, photo, faces, scores);
    return out->args->annotate ? annotate(out, photo, faces, scores) : MIEN_OK;
}

mien_status predict_output_row(predict_output *out, size_t row, const char *file,
                               const float *scores) {
    mien_text text = {0};
    if (out->args->common.json) {
        mien_json json = {.text = &text};
        mien_json_open(&json, NULL, '{');
        mien_json_integer(&json, "schema", 1);
        mien_json_integer(&json, "row", (long long)row);
        if (file) mien_json_string(&json, "file", file);
        verdict_values(out->meta, out->values ? out->values : scores, &json);
        verdict_json(out->meta, scores, verdict_best(out->meta, scores), &json);
        mien_json_close(&json, '}');
    } else {
        if (file)
            put_plain(&text, file);
        else
            mien_text_printf(&text, "row %zu", row);
        mien_text_puts(&text, ": ");
        verdict_text(out->meta, scores, verdict_best(out->meta, scores), &text);
    }
    mien_text_puts(&text, "\n");
    MIEN_TRY(cli_print(&text));
    if (!out->args->csv) return MIEN_OK;
    mien_text_printf(&out->csv, "%zu,", row);
    if (file) {
        mien_text_cell(&out->csv, file);
        mien_text_puts(&out->csv, ",");
    }
    add_verdict(out, scores);
    return out->csv.status;
}

static mien_status write_table(const predict_output *out) {
    if (!out->args->csv || !out->started) return MIEN_OK;
    MIEN_TRY(out->csv.status);
    return mien_file_write(out->args->csv, out->csv.data, out->csv.size);
}

mien_status predict_output_finish(predict_output *out, mien_status status) {
    char first[MIEN_MESSAGE];
    snprintf(first, sizeof first, "%s", mien_error_message());
    const mien_status written = write_table(out);
    if (status == MIEN_OK || written == MIEN_OK) return status == MIEN_OK ? written : status;
    print_message(mien_error_message());
    return mien_fail(status, __FILE__, __LINE__, "%s", first);
}

void predict_output_release(predict_output *out) {
    for (size_t i = 0; i < out->name_count; i++)
        mien_free(out->names[i]);
    mien_free(out->names);
    mien_text_release(&out->csv);
}
