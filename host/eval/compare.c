#include "host/eval/compare.h"

#include "host/base/json.h"
#include "host/base/memory.h"

/* Contestant i must have the classes of the first, in any order, and its samples. */
static mien_status check_same(const mien_comparison *c, int i) {
    const mien_evaluation *first = &c->evaluations[0], *e = &c->evaluations[i];
    int *class_of = c->class_of + i * c->classes;
    if (e->data.classes != c->classes ||
        !mien_class_match((const char(*)[MIEN_CLASS_NAME])first->data.class_names,
                          (const char(*)[MIEN_CLASS_NAME])e->data.class_names, c->classes,
                          class_of)) {
        char own[MIEN_CLASS_LIST], known[MIEN_CLASS_LIST];
        mien_class_list((const char(*)[MIEN_CLASS_NAME])e->data.class_names, e->data.classes, own);
        mien_class_list((const char(*)[MIEN_CLASS_NAME])first->data.class_names, c->classes, known);
        return MIEN_FAIL(INVALID,
                         "'%s' has the classes %s, but '%s' has %s: only models with the same "
                         "classes can be compared",
                         e->models.data, own, first->models.data, known);
    }
    bool same = e->n == c->n;
    for (size_t at = 0; at < c->n && same; at++)
        same = first->data.row[first->samples[at]] == e->data.row[e->samples[at]] &&
               class_of[first->labels[at]] == e->labels[at];
    if (same) return MIEN_OK;
    return MIEN_FAIL(INVALID,
                     "'%s' was evaluated on %zu images of '%s', split %s, and '%s' on others (%zu "
                     "of '%s'): name the same with --data and --split",
                     first->models.data, c->n, first->data.source, mien_part_name(first->part),
                     e->models.data, e->n, e->data.source);
}

static mien_status add(mien_comparison *c, const mien_evaluate_request *request,
                       mien_backend *backend, int i) {
    mien_evaluation *e = &c->evaluations[i];
    MIEN_TRY(mien_evaluate(request, backend, e));
    if (i == 0) {
        c->n = e->n;
        c->classes = e->data.classes;
        MIEN_TRY(mien_new(&c->right, (size_t)c->count * c->n, 1));
        MIEN_TRY(mien_new(&c->class_of, (size_t)(c->count * c->classes), sizeof *c->class_of));
    }
    MIEN_TRY(check_same(c, i));
    for (size_t at = 0; at < c->n; at++)
        c->right[(size_t)i * c->n + at] = mien_evaluation_answer(e, at).class == e->labels[at];
    return mien_analysis_compute(e->probabilities, e->labels, e->n, e->data.classes, &e->metrics,
                                 &c->analyses[i]);
}

mien_status mien_compare(const mien_evaluate_request *request, bool average, mien_backend *backend,
                         mien_comparison *out) {
    const int models = request->model_count;
    *out = (mien_comparison){.average = average};
    if (models < 2 || models >= MIEN_CONTESTANTS_MAX)
        return MIEN_FAIL(INVALID, "a comparison needs 2 to %d models, not %d",
                         MIEN_CONTESTANTS_MAX - 1, models);
    MIEN_TRY(mien_new(&out->evaluations, (size_t)models + 1, sizeof *out->evaluations));
    MIEN_TRY(mien_new(&out->analyses, (size_t)models + 1, sizeof *out->analyses));
    out->count = models + average;
    for (int i = 0; i < models; i++) {
        mien_evaluate_request one = *request;
        one.models = request->models + i;
        one.model_count = 1;
        MIEN_TRY(add(out, &one, backend, i));
    }
    return average ? add(out, request, backend, models) : MIEN_OK;
}

void mien_comparison_release(mien_comparison *c) {
    for (int i = 0; i < c->count; i++) {
        mien_evaluation_release(&c->evaluations[i]);
        mien_analysis_release(&c->analyses[i]);
    }
    mien_free(c->evaluations);
    mien_free(c->analyses);
    mien_free(c->right);
    mien_free(c->class_of);
    *c = (mien_comparison){0};
}

mien_mcnemar mien_comparison_test(const mien_comparison *c, int a, int b) {
    return mien_mcnemar_test(c->right + (size_t)a * c->n, c->right + (size_t)b * c->n, c->n);
}

void mien_comparison_table(const mien_comparison *c, mien_text *out) {
    const mien_evaluation *first = &c->evaluations[0];
    mien_text_printf(out,
                     "%zu images of %s, split %s\n\n   accuracy  95 %% interval  balanced  "
                     "macro F1    loss    ECE  model\n",
                     c->n, first->data.source, mien_part_name(first->part));
    for (int i = 0; i < c->count; i++) {
        const mien_metrics *m = &c->evaluations[i].metrics;
        const mien_interval *range = &c->analyses[i].accuracy;
        mien_text_printf(out, "%2d   %.4f  %.3f to %.3f    %.4f    %.4f  %.4f  %.4f  %s%s\n", i + 1,
                         m->accuracy, range->low, range->high, m->balanced_accuracy, m->macro_f1,
                         m->loss, m->ece, i == c->count - 1 && c->average ? "averaged: " : "",
                         c->evaluations[i].models.data);
    }
    mien_text_puts(out, "\nis the difference chance? (McNemar's test)\n");
    for (int a = 0; a < c->count; a++)
        for (int b = a + 1; b < c->count; b++) {
            const mien_mcnemar test = mien_comparison_test(c, a, b);
            mien_text_printf(out, "%2d and %d: only %d is right on %zu, only %d on %zu, p = %.2g\n",
                             a + 1, b + 1, a + 1, test.only_a, b + 1, test.only_b, test.p);
        }
}

static void put_range(mien_json *json, const char *key, mien_interval range) {
    mien_json_open(json, key, '[');
    mien_json_number(json, NULL, range.low);
    mien_json_number(json, NULL, range.high);
    mien_json_close(json, ']');
}

void mien_comparison_document(const mien_comparison *c, mien_text *out) {
    const mien_evaluation *first = &c->evaluations[0];
    mien_json json = {.text = out, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "data", first->data.source);
    mien_json_string(&json, "split", mien_part_name(first->part));
    mien_json_integer(&json, "n", (long long)c->n);
    mien_json_open(&json, "models", '[');
    for (int i = 0; i < c->count; i++) {
        const mien_evaluation *e = &c->evaluations[i];
        mien_json_open(&json, NULL, '{');
        mien_json_string(&json, "model", e->models.data);
        mien_json_bool(&json, "averaged", i == c->count - 1 && c->average);
        mien_json_number(&json, "accuracy", e->metrics.accuracy);
        put_range(&json, "accuracy_interval", c->analyses[i].accuracy);
        mien_json_number(&json, "balanced_accuracy", e->metrics.balanced_accuracy);
        mien_json_number(&json, "macro_f1", e->metrics.macro_f1);
        mien_json_number(&json, "loss", e->metrics.loss);
        mien_json_number(&json, "ece", e->metrics.ece);
        mien_json_number(&json, "seconds", e->seconds);
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, ']');
    mien_json_open(&json, "mcnemar", '[');
    for (int a = 0; a < c->count; a++)
        for (int b = a + 1; b < c->count; b++) {
            const mien_mcnemar test = mien_comparison_test(c, a, b);
            mien_json_open(&json, NULL, '{');
            mien_json_integer(&json, "a", a);
            mien_json_integer(&json, "b", b);
            mien_json_integer(&json, "only_a_right", (long long)test.only_a);
            mien_json_integer(&json, "only_b_right", (long long)test.only_b);
            mien_json_exact(&json, "p", test.p);
            mien_json_close(&json, '}');
        }
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}
