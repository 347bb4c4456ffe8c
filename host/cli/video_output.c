#include "host/cli/video_output.h"

#include <stdio.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/cli/verdict.h"

/* ---- lines ---- */

static void face_json(const video_output *out, const mien_video_face *face, mien_json *json) {
    mien_json_open(json, NULL, '{');
    mien_json_integer(json, "id", face->id);
    verdict_box(face->box, json);
    mien_json_bool(json, "detected", face->detected);
    if (face->id)
        mien_json_number(json, "detection_score", face->score);
    else
        mien_json_null(json, "detection_score");
    verdict_json(out->meta, face->scores, face->label, json);
    mien_json_open(json, "smoothed", '{');
    verdict_json(out->meta, face->smoothed, face->smoothed_label, json);
    mien_json_close(json, '}');
    mien_json_close(json, '}');
}

static mien_status write_line(video_output *out, const mien_video_result *r) {
    mien_json json = {.text = &out->lines};
    out->lines.size = 0;
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_integer(&json, "frame", r->frame->index);
    mien_json_number(&json, "time_s", r->frame->time);
    if (r->frame->repaired) mien_json_bool(&json, "time_repaired", true);
    if (r->cut && r->frame->index) mien_json_bool(&json, "scene_cut", true);
    mien_json_open(&json, "faces", '[');
    for (int i = 0; i < r->count; i++)
        face_json(out, &r->faces[i], &json);
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(&out->lines, "\n");
    MIEN_TRY(out->lines.status);
    return mien_file_add(out->jsonl, out->options.jsonl, out->lines.data, out->lines.size);
}

/* ---- table ---- */

static mien_status write_rows(video_output *out) {
    MIEN_TRY(out->rows.status);
    return mien_file_add(out->csv, out->options.csv, out->rows.data, out->rows.size);
}

static mien_status write_header(video_output *out) {
    mien_text_puts(&out->rows, "frame,face_id,timestamp,success,x,y,w,h,detected,detection_score,");
    verdict_columns(out->meta, "", &out->rows);
    mien_text_puts(&out->rows, ",");
    verdict_columns(out->meta, "smoothed_", &out->rows);
    mien_text_puts(&out->rows, "\n");
    return write_rows(out);
}

/* A frame without faces has a row, too. */
static void put_faceless(video_output *out, const mien_frame *frame) {
    mien_text_printf(&out->rows, "%lld,,%.6f,0,,,,,,,,,", frame->index, frame->time);
    for (int k = 0; k < 2 * out->meta->classes + 3; k++)
        mien_text_puts(&out->rows, ",");
    mien_text_puts(&out->rows, "\n");
}

static void put_row(video_output *out, const mien_frame *frame, const mien_video_face *face) {
    const mien_rect b = face->box;
    mien_text_printf(&out->rows, "%lld,%lld,%.6f,1,%d,%d,%d,%d,%d,", frame->index, face->id,
                     frame->time, b.x, b.y, b.width, b.height, face->detected);
    if (face->id) mien_text_printf(&out->rows, "%.6g", face->score);
    mien_text_puts(&out->rows, ",");
    verdict_cells(out->meta, face->scores, face->label, &out->rows);
    mien_text_puts(&out->rows, ",");
    verdict_cells(out->meta, face->smoothed, face->smoothed_label, &out->rows);
    mien_text_puts(&out->rows, "\n");
}

static mien_status write_table(video_output *out, const mien_video_result *r) {
    out->rows.size = 0;
    if (r->count == 0) put_faceless(out, r->frame);
    for (int i = 0; i < r->count; i++)
        put_row(out, r->frame, &r->faces[i]);
    return write_rows(out);
}

/* ---- pictures ---- */

static mien_status draw(video_output *out, const mien_video_result *r) {
    const mien_image *from = &r->frame->colour;
    const size_t bytes = (size_t)from->width * (size_t)from->height * 3;
    MIEN_TRY(mien_grow(&out->picture.pixels, &out->picture_bytes, bytes, 1));
    out->picture = (mien_image){from->width, from->height, 3, out->picture.pixels};
    memcpy(out->picture.pixels, from->pixels, bytes);
    MIEN_TRY(mien_grow(&out->overlays, &out->overlay_capacity, (size_t)r->count + 1,
                       sizeof *out->overlays));
    for (int i = 0; i < r->count; i++) {
        const mien_video_face *face = &r->faces[i];
        const float confidence = face->smoothed[face->smoothed_label];
        char person[24] = "";
        mien_overlay *overlay = &out->overlays[i];
        *overlay = (mien_overlay){.box = face->box,
                                  .uncertain = verdict_uncertain(out->meta, confidence),
                                  .scores = face->id ? face->smoothed : NULL,
                                  .names = out->names,
                                  .classes = out->meta->classes};
        if (face->id) snprintf(person, sizeof person, "#%lld ", face->id);
        snprintf(overlay->label, sizeof overlay->label, "%s%.48s %.0f %%%s", person,
                 out->meta->class_names[face->smoothed_label], 100.0 * confidence,
                 overlay->uncertain ? "?" : "");
    }
    return mien_overlay_draw(&out->picture, out->overlays, r->count);
}

static mien_status add_picture(video_output *out, const mien_video_result *r) {
    if (!out->options.annotate) return MIEN_OK;
    if (!out->writer)
        MIEN_TRY(mien_video_writer_open(out->options.annotate, out->info.sound ? out->source : NULL,
                                        out->picture.width, out->picture.height, out->info.rate,
                                        &out->writer));
    return mien_video_writer_add(out->writer, &out->picture, r->frame->time);
}

/* ---- all outputs ---- */

mien_status video_output_take(void *context, const mien_video_result *result) {
    video_output *out = context;
    MIEN_TRY(video_summary_add(&out->summary, result));
    if (out->options.jsonl) MIEN_TRY(write_line(out, result));
    if (out->options.csv) MIEN_TRY(write_table(out, result));
    if (!out->options.annotate && !out->options.draw) return MIEN_OK;
    MIEN_TRY(draw(out, result));
    return add_picture(out, result);
}

mien_status video_output_start(video_output *out, const video_output_options *options,
                               const mien_meta *meta, const char *source,
                               const mien_video_info *info) {
    *out = (video_output){
        .options = *options, .meta = meta, .source = source, .info = *info, .jsonl = -1, .csv = -1};
    video_summary_start(&out->summary, meta, options->raw);
    MIEN_TRY(mien_new(&out->names, (size_t)meta->classes, sizeof *out->names));
    for (int k = 0; k < meta->classes; k++)
        out->names[k] = meta->class_names[k];
    if (options->jsonl) MIEN_TRY(mien_file_create(options->jsonl, &out->jsonl));
    if (options->csv) {
        MIEN_TRY(mien_file_create(options->csv, &out->csv));
        MIEN_TRY(write_header(out));
    }
    return MIEN_OK;
}

/* Keeps the first failure; prints the others. */
static void also(mien_status *status, mien_status next) {
    if (next == MIEN_OK) return;
    if (*status == MIEN_OK)
        *status = next;
    else
        fprintf(stderr, "mien: %s\n", mien_error_message());
}

mien_status video_output_finish(video_output *out, mien_status status) {
    char first[MIEN_MESSAGE];
    mien_status later = MIEN_OK;
    snprintf(first, sizeof first, "%s", mien_error_message());
    video_summary_end(&out->summary);
    if (out->writer) also(&later, mien_video_writer_finish(out->writer));
    also(&later, mien_file_close(out->jsonl, out->options.jsonl));
    also(&later, mien_file_close(out->csv, out->options.csv));
    out->jsonl = out->csv = -1;
    if (out->options.timeline && out->summary.frames)
        also(&later, video_summary_timeline(&out->summary, out->source, out->options.timeline));
    if (status == MIEN_OK) return later;
    if (later != MIEN_OK) fprintf(stderr, "mien: %s\n", mien_error_message());
    return mien_fail(status, __FILE__, __LINE__, "%s", first);
}

void video_output_release(video_output *out) {
    mien_video_writer_close(out->writer);
    mien_file_close(out->jsonl, "");
    mien_file_close(out->csv, "");
    mien_text_release(&out->lines);
    mien_text_release(&out->rows);
    mien_free(out->picture.pixels);
    mien_free(out->overlays);
    mien_free(out->names);
    video_summary_release(&out->summary);
}
