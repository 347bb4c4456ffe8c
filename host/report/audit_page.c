#include "host/report/audit_page.h"

#include <stdio.h>

#include "host/base/file.h"
#include "host/report/page.h"
#include "host/report/plot.h"
#include "host/report/thumb.h"

enum { SHOWN = 24, GROUPS_SHOWN = 12, GROUP_SHOWN = 6, BARS_MAX = 40 };

static const char *part_name(const mien_audit *a, int part) {
    return a->parts && part < MIEN_PARTS ? mien_part_name((mien_part)part) : "all";
}

static const char *class_name(const mien_audit *a, size_t sample) {
    return a->data.class_names[a->data.labels[sample]];
}

/* ---- numbers ---- */

static void put_count(mien_text *out, const char *name, size_t count, const char *note) {
    char text[32];
    snprintf(text, sizeof text, "%zu", count);
    mien_page_figure(out, name, text, note);
}

static size_t leaking(const mien_audit *a) {
    size_t sum = 0;
    for (int p = 0; p < MIEN_PARTS; p++)
        for (int q = 0; q < p; q++)
            sum += a->near.leaks[p][q];
    return sum;
}

static void put_figures(const mien_audit *a, mien_text *out) {
    mien_text_puts(out, "<dl class=figures>\n");
    put_count(out, "images", a->data.count, "");
    put_count(out, "surplus copies", a->near.surplus[MIEN_PARTS], "identical or nearly so");
    if (a->parts) put_count(out, "in two parts", leaking(a), "leakage");
    put_count(out, "contradictions", a->near.conflicts, "copies with different labels");
    put_count(out, "perhaps no face", a->no_face.count, "");
    if (a->predicted) put_count(out, "suspect labels", a->suspects.count, "a model disagrees");
    if (a->data.skipped) put_count(out, "unreadable", (size_t)a->data.skipped, "left out");
    mien_text_puts(out, "</dl>\n<p class='soft facts'>Data ");
    mien_html_escape(out, a->data.source);
    mien_text_puts(out, "</p>\n");
    if (mien_audit_leaks(a))
        mien_text_puts(out, "<p class=warning><b>Leakage:</b> images of one part are in another, "
                            "too. Figures measured on them are too good: leave out the copies, or "
                            "split the data again.</p>\n");
}

/* Bars of the parts, stacked for each class. */
static void put_balance(const mien_audit *a, mien_text *out) {
    double x[BARS_MAX], base[MIEN_PARTS][BARS_MAX], top[MIEN_PARTS][BARS_MAX];
    const char *names[BARS_MAX];
    mien_series series[MIEN_PARTS];
    size_t counts[MIEN_CLASSES_MAX];
    const int classes = a->data.classes;
    int shown = 0;
    if (classes > BARS_MAX) return;
    for (int p = 0; p < MIEN_PARTS; p++) {
        const bool any = mien_dataset_counts(&a->data, (mien_part)p, counts) > 0;
        for (int k = 0; k < classes; k++) {
            x[k] = k;
            names[k] = a->data.class_names[k];
            base[p][k] = p ? top[p - 1][k] : 0;
            top[p][k] = base[p][k] + (double)counts[k];
        }
        if (!any) continue;
        series[shown++] = (mien_series){.name = a->parts ? part_name(a, p) : NULL,
                                        .mark = MIEN_MARK_BARS,
                                        .x = x,
                                        .y = top[p],
                                        .base = base[p],
                                        .count = (size_t)classes,
                                        .width = 0.75,
                                        .color = p};
    }
    const mien_plot plot = {.title = "images by class",
                            .x = {.names = names, .name_count = classes},
                            .y = {.zero = true, .whole = true},
                            .series = series,
                            .count = shown,
                            .width = 620};
    mien_text_puts(out, "<h2>Are the classes balanced?</h2>\n<p>A class with few images is learned "
                        "badly: see loss.class_weight and data.sampling.</p>\n<div class=wide>");
    mien_plot_svg(&plot, MIEN_SVG_INLINE, out);
    mien_text_puts(out, "</div>\n");
}

static void put_sizes(const mien_audit *a, mien_text *out) {
    double x[MIEN_AUDIT_SIZES], y[MIEN_AUDIT_SIZES];
    char labels[MIEN_AUDIT_SIZES][32];
    const char *names[MIEN_AUDIT_SIZES];
    if (!a->sized) return;
    for (int i = 0; i < MIEN_AUDIT_SIZES; i++) {
        x[i] = i;
        y[i] = (double)a->sizes[i];
        names[i] = labels[i];
        if (i == MIEN_AUDIT_SIZES - 1)
            snprintf(labels[i], sizeof labels[i], "from %d", mien_audit_size(i));
        else
            snprintf(labels[i], sizeof labels[i], "%d–%d", mien_audit_size(i),
                     mien_audit_size(i + 1) - 1);
    }
    const mien_series bars = {
        .mark = MIEN_MARK_BARS, .x = x, .y = y, .count = MIEN_AUDIT_SIZES, .width = 0.75};
    const mien_plot plot = {
        .title = "shorter side of the images",
        .x = {.label = "pixels", .names = names, .name_count = MIEN_AUDIT_SIZES},
        .y = {.zero = true, .whole = true},
        .series = &bars,
        .count = 1,
        .width = 620};
    mien_text_puts(out, "<h2>How large are the images?</h2>\n<p>Small ones are enlarged to the "
                        "network's input and stay blurred.</p>\n<div class=wide>");
    mien_plot_svg(&plot, MIEN_SVG_INLINE, out);
    mien_text_puts(out, "</div>\n");
}

static void put_votes(const mien_audit *a, mien_text *out) {
    if (!a->vote_entropy) return;
    mien_text_printf(out,
                     "<h2>How much people disagree</h2>\n<p>The entropy of the votes for an image, "
                     "in bits: 0 where all agree. No face by most votes: %zu images.</p>\n"
                     "<div class=wide><table><tr><th>class<th>images<th>mean entropy</tr>\n",
                     a->voted_no_face);
    for (int k = 0; k < a->data.classes; k++) {
        mien_text_puts(out, "<tr><td>");
        mien_html_escape(out, a->data.class_names[k]);
        mien_text_printf(out, "</td><td>%zu</td><td>%.2f</td></tr>\n", a->voted[k],
                         a->vote_entropy[k]);
    }
    mien_text_puts(out, "</table></div>\n");
}

/* ---- pictures ---- */

static mien_status put_face(const mien_audit *a, size_t sample, const char *note, mien_text *out) {
    mien_text name = {0};
    mien_text_puts(out, "<figure class=single>");
    MIEN_TRY(mien_thumb_put(a->data.spec, mien_dataset_image(&a->data, sample),
                            class_name(a, sample), out));
    mien_text_puts(out, "<figcaption>");
    mien_html_name(out, class_name(a, sample), 20);
    mien_text_puts(out, "<br><span class=soft>");
    mien_audit_sample(a, sample, &name);
    mien_html_name(out, name.data ? name.data : "", 36);
    mien_text_release(&name);
    if (a->parts) mien_text_printf(out, ", %s", part_name(a, a->data.part[sample]));
    if (note) {
        mien_text_puts(out, "<br>");
        mien_html_escape(out, note);
    }
    mien_text_puts(out, "</span></figcaption></figure>\n");
    return out->status;
}

/* The samples of the group that begins with `first`. */
static mien_status put_group(const mien_audit *a, uint32_t first, mien_text *out) {
    int shown = 0;
    mien_text_puts(out, "<div class=faces>\n");
    for (size_t i = first; i < a->data.count && shown < GROUP_SHOWN; i++) {
        if (a->near.first[i] != first) continue;
        shown++;
        MIEN_TRY(put_face(a, i, NULL, out));
    }
    mien_text_puts(out, "</div>\n");
    return out->status;
}

/* What a group of copies has that others lack. */
typedef enum group_kind { ACROSS_PARTS, OTHER_LABELS, ANY_COPIES, GROUP_KINDS } group_kind;

static group_kind kind_of(const mien_audit *a, uint32_t first) {
    bool labels = false;
    for (size_t i = first + 1; i < a->data.count; i++) {
        if (a->near.first[i] != first) continue;
        if (a->data.part[first] != a->data.part[i]) return ACROSS_PARTS;
        labels |= a->data.labels[first] != a->data.labels[i];
    }
    return labels ? OTHER_LABELS : ANY_COPIES;
}

/* A group is shown when its second image is met. */
static mien_status put_groups(const mien_audit *a, group_kind kind, mien_text *out) {
    static const char *const titles[GROUP_KINDS] = {"In several parts", "With different labels",
                                                    "Other copies"};
    int shown = 0;
    for (size_t i = 0; i < a->data.count && shown < GROUPS_SHOWN; i++) {
        const uint32_t first = a->near.first[i];
        bool second = first != i;
        for (size_t j = first + 1; j < i && second; j++)
            second = a->near.first[j] != first;
        if (!second || kind_of(a, first) != kind) continue;
        if (!shown) mien_text_printf(out, "<h3>%s</h3>\n<div class=groups>\n", titles[kind]);
        shown++;
        MIEN_TRY(put_group(a, first, out));
    }
    if (shown) mien_text_puts(out, "</div>\n");
    return out->status;
}

static void put_leaks(const mien_audit *a, mien_text *out) {
    if (!a->parts) {
        mien_text_puts(out, "<p class=soft>The data name no parts, so there is no leakage to find."
                            "</p>\n");
        return;
    }
    mien_text_puts(out, "<div class=wide><table><tr><th>part<th>images<th>surplus, identical"
                        "<th>surplus, also nearly");
    for (int q = 0; q < MIEN_PARTS; q++)
        mien_text_printf(out, "<th>also in %s", part_name(a, q));
    mien_text_puts(out, "</tr>\n");
    for (int p = 0; p < MIEN_PARTS; p++) {
        size_t counts[MIEN_CLASSES_MAX];
        mien_text_printf(out, "<tr><td>%s</td><td>%zu</td><td>%zu</td><td>%zu</td>",
                         part_name(a, p), mien_dataset_counts(&a->data, (mien_part)p, counts),
                         a->exact.surplus[p], a->near.surplus[p]);
        for (int q = 0; q < MIEN_PARTS; q++)
            if (p == q)
                mien_text_puts(out, "<td>–</td>");
            else
                mien_text_printf(out, "<td>%zu</td>", a->near.leaks[p][q]);
        mien_text_puts(out, "</tr>\n");
    }
    mien_text_puts(out, "</table></div>\n");
}

static mien_status put_copies(const mien_audit *a, mien_text *out) {
    mien_text_printf(
        out,
        "<h2>Copies</h2>\n<p>%zu groups of identical images (%zu surplus); with nearly "
        "identical ones, which were scaled, compressed or brightened, %zu groups (%zu "
        "surplus).</p>\n",
        a->exact.groups[MIEN_PARTS], a->exact.surplus[MIEN_PARTS], a->near.groups[MIEN_PARTS],
        a->near.surplus[MIEN_PARTS]);
    put_leaks(a, out);
    for (int kind = 0; kind < GROUP_KINDS; kind++)
        MIEN_TRY(put_groups(a, (group_kind)kind, out));
    return out->status;
}

static mien_status put_list(const mien_audit *a, const char *title, const char *note,
                            const char *format, const mien_audit_list *list, mien_text *out) {
    if (!list->count) return MIEN_OK;
    mien_text_printf(out, "<h3>%s: %zu</h3>\n<p class=soft>%s</p>\n<div class=faces>\n", title,
                     list->count, note);
    for (size_t i = 0; i < list->count && i < SHOWN; i++) {
        mien_text value = {0};
        if (list == &a->suspects)
            mien_text_printf(&value, "model: %s", a->names[a->predicted[list->samples[i]]]);
        else
            mien_text_printf(&value, format, (double)list->values[i]);
        const mien_status status = put_face(a, list->samples[i], value.data, out);
        mien_text_release(&value);
        MIEN_TRY(status);
    }
    mien_text_puts(out, "</div>\n");
    return out->status;
}

static mien_status put_page(const mien_audit *a, mien_text *out) {
    mien_page_open(out, "Mien: audit", "Are these data fit to train on?");
    put_figures(a, out);
    put_balance(a, out);
    put_sizes(a, out);
    MIEN_TRY(put_copies(a, out));
    if (a->suspects.count || a->no_face.count || a->dark.count || a->bright.count || a->flat.count)
        mien_text_puts(out, "<h2>Images to look at</h2>\n<p>The most extreme are shown; audit.json "
                            "lists them.</p>\n");
    MIEN_TRY(put_list(a, "Suspect labels", "A model gives the label less than 10 %.", "",
                      &a->suspects, out));
    MIEN_TRY(put_list(a, "Perhaps no face", "They look unlike tight crops of faces.", "%.1f",
                      &a->no_face, out));
    MIEN_TRY(
        put_list(a, "Unusually dark", "Mean brightness, 0 to 255.", "mean %.0f", &a->dark, out));
    MIEN_TRY(put_list(a, "Unusually bright", "Mean brightness, 0 to 255.", "mean %.0f", &a->bright,
                      out));
    MIEN_TRY(put_list(a, "Hardly any contrast", "Standard deviation of the pixels.", "std %.1f",
                      &a->flat, out));
    put_votes(a, out);
    mien_text_puts(out, "<p class='soft facts'>The pictures are of people: keep this page as you "
                        "keep the data. The same numbers for programs: audit.json.</p>\n");
    mien_page_close(out);
    return out->status;
}

mien_status mien_audit_report(const mien_audit *a, const char *folder) {
    mien_text page = {0}, document = {0};
    mien_status status = mien_make_folders(folder);
    if (status == MIEN_OK) status = put_page(a, &page);
    if (status == MIEN_OK) status = mien_page_write(folder, "audit.html", &page);
    mien_audit_document(a, &document);
    if (status == MIEN_OK) status = mien_page_write(folder, "audit.json", &document);
    mien_text_release(&page);
    mien_text_release(&document);
    return status;
}
