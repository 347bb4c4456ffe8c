#include "host/report/card.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/sha256.h"
#include "host/report/svg.h"
#include "include/mien/mien.h"

static void put_row(mien_text *out, const char *key, const char *value) {
    if (!value[0]) return;
    mien_text_printf(out, "<tr><td>%s</td><td>", key);
    mien_html_escape(out, value);
    mien_text_puts(out, "</td></tr>\n");
}

static mien_status file_sha256(const char *path, char out[65]) {
    uint8_t block[1 << 16];
    mien_sha256 sha;
    ssize_t got;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return MIEN_FAIL(IO, "cannot read '%s'", path);
    mien_sha256_start(&sha);
    while ((got = read(fd, block, sizeof block)) > 0)
        mien_sha256_add(&sha, block, (size_t)got);
    close(fd);
    if (got < 0) return MIEN_FAIL(IO, "cannot read '%s'", path);
    mien_sha256_hex(&sha, out);
    return MIEN_OK;
}

static void put_scaling(const mien_meta *meta, mien_text *out) {
    mien_text_printf(out, "<tr><td>input</td><td>%d x %d, %s; (pixel x %.4g", meta->input.width,
                     meta->input.height,
                     meta->input.channels == 1   ? "gray"
                     : meta->input.channels == 3 ? "colour"
                                                 : "several channels",
                     meta->normalise.scale);
    for (int c = 0; c < meta->input.channels && c < 4; c++)
        mien_text_printf(out, "%s%.4g", c ? ", " : " - ", meta->normalise.mean[c]);
    mien_text_puts(out, ")");
    for (int c = 0; c < meta->input.channels && c < 4; c++)
        mien_text_printf(out, "%s%.4g", c ? ", " : " / ", meta->normalise.std[c]);
    mien_text_puts(out, "</td></tr>\n");
}

mien_status mien_card_rows(const mien_model *model, const char *path, mien_text *out) {
    const mien_meta *meta = &model->meta;
    const mien_graph_totals totals = mien_graph_sum(&model->graph);
    char file[MIEN_PATH], sha[65], text[256];
    MIEN_TRY(mien_model_file(path, file));
    MIEN_TRY(file_sha256(file, sha));
    put_row(out, "model", file);
    put_row(out, "SHA-256 of the model", sha);
    snprintf(text, sizeof text, "%s: %lld parameters, %.1f million multiply-adds an image%s",
             model->graph.name, totals.params, totals.flops / 2e6,
             model->quant.nodes ? ", int8" : "");
    put_row(out, "network", text);
    put_scaling(meta, out);
    put_row(out, "trained on", meta->data);
    if (meta->part_count[MIEN_TRAIN]) {
        snprintf(text, sizeof text, "%zu images in training, %zu in validation",
                 meta->part_count[MIEN_TRAIN], meta->part_count[MIEN_VAL]);
        put_row(out, "its parts", text);
    }
    put_row(out, "recipe", meta->recipe);
    if (meta->epoch) {
        snprintf(text, sizeof text, "%d", meta->epoch);
        put_row(out, "epoch", text);
    }
    snprintf(text, sizeof text, "%.3g; uncertain below %.2g", meta->temperature,
             meta->uncertain_below);
    put_row(out, "temperature", text);
    put_row(out, "made by", meta->producer);
    put_row(out, "at commit", meta->commit);
    put_row(out, "evaluated by", "Mien " MIEN_VERSION);
    return out->status;
}
