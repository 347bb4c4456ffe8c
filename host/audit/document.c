/* An audit as text for a terminal, and as JSON. */
#include <stdio.h>

#include "host/audit/audit.h"
#include "host/base/json.h"
#include "host/data/source.h"

enum { SHOWN = 10, LISTED = 1000 };

static const char *part_name(const mien_audit *a, int part) {
    return a->parts && part < MIEN_PARTS ? mien_part_name((mien_part)part) : "all";
}

static const char *class_name(const mien_audit *a, size_t sample) {
    return a->data.class_names[a->data.labels[sample]];
}

void mien_audit_sample(const mien_audit *a, size_t sample, mien_text *out) {
    if (a->data.def && a->data.def->file && a->data.reader)
        mien_text_puts(out, mien_source_file(&a->data, sample));
    else
        mien_text_printf(out, "row %u", a->data.row[sample] + 1);
}

static void put_list(const mien_audit *a, const char *title, const mien_audit_list *list,
                     const char *format, mien_text *out) {
    mien_text_printf(out, "%s: %zu\n", title, list->count);
    for (size_t i = 0; i < list->count && i < SHOWN; i++) {
        const size_t sample = list->samples[i];
        mien_text_puts(out, "    ");
        mien_audit_sample(a, sample, out);
        mien_text_printf(out, "  %s", class_name(a, sample));
        if (list == &a->suspects)
            mien_text_printf(out, ", the model says %s", a->names[a->predicted[sample]]);
        mien_text_printf(out, format, (double)list->values[i]);
        mien_text_puts(out, "\n");
    }
    if (list->count > SHOWN) mien_text_printf(out, "    … and %zu more\n", list->count - SHOWN);
}

static void put_balance(const mien_audit *a, mien_text *out) {
    size_t counts[MIEN_CLASSES_MAX], least = SIZE_MAX, most = 0;
    mien_dataset_counts(&a->data, MIEN_NO_PART, counts);
    mien_text_printf(out, "%zu images in %d classes", a->data.count, a->data.classes);
    for (int c = 0; c < a->data.classes; c++) {
        mien_text_printf(out, "%s %s %zu", c ? "," : ":", a->data.class_names[c], counts[c]);
        if (counts[c] < least) least = counts[c];
        if (counts[c] > most) most = counts[c];
    }
    mien_text_puts(out, "\n");
    if (least && most >= 3 * least)
        mien_text_printf(out,
                         "the largest class has %.1f times as many images as the smallest: see "
                         "loss.class_weight and data.sampling\n",
                         (double)most / (double)least);
}

static void put_alike(const mien_audit *a, const char *kind, const mien_alike *alike,
                      mien_text *out) {
    mien_text_printf(out, "%s images: %zu groups, %zu surplus images\n", kind,
                     alike->groups[MIEN_PARTS], alike->surplus[MIEN_PARTS]);
    size_t counts[MIEN_CLASSES_MAX];
    for (int p = 0; a->parts && p < MIEN_PARTS; p++)
        if (mien_dataset_counts(&a->data, (mien_part)p, counts))
            mien_text_printf(out, "    within %s: %zu groups, %zu surplus images\n",
                             part_name(a, p), alike->groups[p], alike->surplus[p]);
    for (int p = 0; p < MIEN_PARTS; p++)
        for (int q = 0; q < p; q++)
            if (alike->leaks[p][q])
                mien_text_printf(out, "    leakage: %zu images of %s are also in %s (%zu images)\n",
                                 alike->leaks[p][q], part_name(a, p), part_name(a, q),
                                 alike->leaks[q][p]);
    if (alike->conflicts)
        mien_text_printf(out, "    %zu groups have images with different labels\n",
                         alike->conflicts);
}

static void put_sizes(const mien_audit *a, mien_text *out) {
    bool any = false;
    for (int i = 0; a->sized && i < MIEN_AUDIT_SIZES; i++) {
        if (!a->sizes[i]) continue;
        mien_text_puts(out, any ? ", " : "shorter side in pixels: ");
        any = true;
        if (i == MIEN_AUDIT_SIZES - 1)
            mien_text_printf(out, "from %d", mien_audit_size(i));
        else
            mien_text_printf(out, "%d to %d", mien_audit_size(i), mien_audit_size(i + 1) - 1);
        mien_text_printf(out, " %zu", a->sizes[i]);
    }
    if (any) mien_text_puts(out, "\n");
}

void mien_audit_table(const mien_audit *a, mien_text *out) {
    put_balance(a, out);
    if (a->data.skipped) mien_text_printf(out, "unreadable, skipped: %lld\n", a->data.skipped);
    put_sizes(a, out);
    if (!a->parts) mien_text_puts(out, "the data name no parts, so there is no leakage to find\n");
    put_alike(a, "identical", &a->exact, out);
    put_alike(a, "identical or nearly identical", &a->near, out);
    put_list(a, "unusually dark", &a->dark, "  (mean %.0f)", out);
    put_list(a, "unusually bright", &a->bright, "  (mean %.0f)", out);
    put_list(a, "hardly any contrast", &a->flat, "  (standard deviation %.1f)", out);
    put_list(a, "perhaps no face", &a->no_face, "  (%.1f)", out);
    if (5 * a->no_face.count > a->data.count)
        mien_text_puts(out, "    so many say little: it is made for tight crops of real faces\n");
    if (a->vote_entropy) {
        mien_text_puts(out, "disagreement of the votes, in bits:");
        for (int c = 0; c < a->data.classes; c++)
            mien_text_printf(out, "%s %s %.2f", c ? "," : "", a->data.class_names[c],
                             a->vote_entropy[c]);
        mien_text_printf(out, "\nno face by most votes: %zu\n", a->voted_no_face);
    }
    if (a->predicted) put_list(a, "suspect labels", &a->suspects, "  (loss %.2f)", out);
}

static void json_list(const mien_audit *a, const char *key, const mien_audit_list *list,
                      mien_json *json) {
    mien_json_open(json, key, '{');
    mien_json_integer(json, "count", (long long)list->count);
    mien_json_open(json, "images", '[');
    for (size_t i = 0; i < list->count && i < LISTED; i++) {
        const size_t sample = list->samples[i];
        mien_text name = {0};
        mien_audit_sample(a, sample, &name);
        mien_json_open(json, NULL, '{');
        mien_json_string(json, "image", name.data);
        mien_json_integer(json, "row", a->data.row[sample]);
        mien_json_string(json, "part", part_name(a, a->data.part[sample]));
        mien_json_string(json, "label", class_name(a, sample));
        if (list == &a->suspects)
            mien_json_string(json, "prediction", a->names[a->predicted[sample]]);
        mien_json_number(json, "value", (double)list->values[i]);
        mien_json_close(json, '}');
        mien_text_release(&name);
    }
    mien_json_close(json, ']');
    mien_json_close(json, '}');
}

static void json_alike(const mien_audit *a, const char *key, const mien_alike *alike,
                       mien_json *json) {
    mien_json_open(json, key, '{');
    mien_json_integer(json, "groups", (long long)alike->groups[MIEN_PARTS]);
    mien_json_integer(json, "surplus", (long long)alike->surplus[MIEN_PARTS]);
    mien_json_integer(json, "label_conflicts", (long long)alike->conflicts);
    mien_json_open(json, "parts", '{');
    for (int p = 0; a->parts && p < MIEN_PARTS; p++) {
        mien_json_open(json, part_name(a, p), '{');
        mien_json_integer(json, "groups", (long long)alike->groups[p]);
        mien_json_integer(json, "surplus", (long long)alike->surplus[p]);
        mien_json_open(json, "also_in", '{');
        for (int q = 0; q < MIEN_PARTS; q++)
            if (q != p) mien_json_integer(json, part_name(a, q), (long long)alike->leaks[p][q]);
        mien_json_close(json, '}');
        mien_json_close(json, '}');
    }
    mien_json_close(json, '}');
    mien_json_close(json, '}');
}

static void json_balance(const mien_audit *a, mien_json *json) {
    size_t counts[MIEN_CLASSES_MAX];
    mien_json_open(json, "classes", '[');
    for (int c = 0; c < a->data.classes; c++) {
        mien_json_open(json, NULL, '{');
        mien_json_string(json, "name", a->data.class_names[c]);
        for (int p = 0; a->parts && p < MIEN_PARTS; p++) {
            mien_dataset_counts(&a->data, (mien_part)p, counts);
            mien_json_integer(json, part_name(a, p), (long long)counts[c]);
        }
        mien_dataset_counts(&a->data, MIEN_NO_PART, counts);
        mien_json_integer(json, "all", (long long)counts[c]);
        if (a->vote_entropy) mien_json_number(json, "vote_entropy_bits", a->vote_entropy[c]);
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
}

static void json_sizes(const mien_audit *a, mien_json *json) {
    if (!a->sized) return;
    mien_json_open(json, "shorter_side", '[');
    for (int i = 0; i < MIEN_AUDIT_SIZES; i++) {
        mien_json_open(json, NULL, '{');
        mien_json_integer(json, "from", mien_audit_size(i));
        if (i < MIEN_AUDIT_SIZES - 1) mien_json_integer(json, "to", mien_audit_size(i + 1) - 1);
        mien_json_integer(json, "images", (long long)a->sizes[i]);
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
}

void mien_audit_document(const mien_audit *a, mien_text *out) {
    mien_json json = {.text = out, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "data", a->data.source);
    mien_json_integer(&json, "n", (long long)a->data.count);
    mien_json_integer(&json, "unreadable", a->data.skipped);
    mien_json_bool(&json, "leakage", mien_audit_leaks(a));
    json_balance(a, &json);
    json_sizes(a, &json);
    json_alike(a, "identical", &a->exact, &json);
    json_alike(a, "nearly_identical", &a->near, &json);
    json_list(a, "dark", &a->dark, &json);
    json_list(a, "bright", &a->bright, &json);
    json_list(a, "flat", &a->flat, &json);
    json_list(a, "no_face", &a->no_face, &json);
    if (a->vote_entropy) mien_json_integer(&json, "voted_no_face", (long long)a->voted_no_face);
    if (a->predicted) json_list(a, "suspects", &a->suspects, &json);
    mien_json_number(&json, "seconds", a->seconds);
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}
