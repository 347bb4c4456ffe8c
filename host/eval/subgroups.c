#include "host/eval/subgroups.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/eval/significance.h"
#include "host/formats/model.h"

/* The evaluated samples, and buffers for those of one subgroup. */
typedef struct evaluated {
    const uint32_t *samples;
    const float *probabilities;
    const uint16_t *labels;
    size_t n, correct;
    int classes;
    float *own_probabilities;
    uint16_t *own_labels;
} evaluated;

/* Appends the row of one value, unless no sample has it. */
static mien_status evaluate_value(const evaluated *j, const mien_group_column *column, int value,
                                  mien_subgroup_table *table) {
    const size_t classes = (size_t)j->classes;
    mien_metrics metrics;
    size_t n = 0;
    for (size_t i = 0; i < j->n; i++) {
        if (column->of[j->samples[i]] != value) continue;
        j->own_labels[n] = j->labels[i];
        memcpy(j->own_probabilities + n * classes, j->probabilities + i * classes,
               classes * sizeof *j->own_probabilities);
        n++;
    }
    if (n == 0) return MIEN_OK;
    mien_status status =
        mien_metrics_compute(j->own_probabilities, j->own_labels, n, j->classes, &metrics);
    if (status == MIEN_OK) {
        mien_subgroup *row = &table->rows[table->count++];
        strcpy(row->name, column->values[value]);
        row->n = n;
        row->accuracy = metrics.accuracy;
        row->macro_f1 = metrics.macro_f1;
        const mien_interval range = mien_wilson(metrics.correct, n);
        row->low = range.low;
        row->high = range.high;
        row->p = mien_two_proportions(metrics.correct, n, j->correct - metrics.correct, j->n - n);
    }
    mien_metrics_release(&metrics);
    return status;
}

static mien_status evaluate_column(const evaluated *j, const mien_group_column *column,
                                   mien_subgroup_table *table) {
    strcpy(table->column, column->name);
    MIEN_TRY(mien_new(&table->rows, (size_t)column->count, sizeof *table->rows));
    for (int v = 1; v < column->count; v++)
        MIEN_TRY(evaluate_value(j, column, v, table));
    return evaluate_value(j, column, 0, table);
}

mien_status mien_subgroups_compute(const mien_groups *groups, const uint32_t *samples,
                                   const float *probabilities, const uint16_t *labels, size_t n,
                                   int classes, mien_subgroups *out) {
    evaluated j = {samples, probabilities, labels, n, 0, classes, NULL, NULL};
    mien_status status;
    *out = (mien_subgroups){0};
    if (groups->count == 0) return MIEN_OK;
    for (size_t i = 0; i < n; i++)
        j.correct += mien_best_class(probabilities + i * (size_t)classes, classes) == labels[i];
    MIEN_GO(mien_new(&j.own_probabilities, n * (size_t)classes, sizeof *j.own_probabilities));
    MIEN_GO(mien_new(&j.own_labels, n, sizeof *j.own_labels));
    MIEN_GO(mien_new(&out->tables, (size_t)groups->count, sizeof *out->tables));
    for (int c = 0; c < groups->count; c++) {
        out->count++;
        MIEN_GO(evaluate_column(&j, &groups->columns[c], &out->tables[c]));
    }
out:
    mien_free(j.own_probabilities);
    mien_free(j.own_labels);
    return status;
}

void mien_subgroups_release(mien_subgroups *subgroups) {
    for (int t = 0; t < subgroups->count; t++)
        mien_free(subgroups->tables[t].rows);
    mien_free(subgroups->tables);
    *subgroups = (mien_subgroups){0};
}

void mien_subgroups_json(const mien_subgroups *subgroups, mien_json *json) {
    mien_json_open(json, "groups", '[');
    for (int t = 0; t < subgroups->count; t++) {
        const mien_subgroup_table *table = &subgroups->tables[t];
        mien_json_open(json, NULL, '{');
        mien_json_string(json, "column", table->column);
        mien_json_open(json, "values", '[');
        for (int i = 0; i < table->count; i++) {
            mien_json_open(json, NULL, '{');
            mien_json_string(json, "name", table->rows[i].name);
            mien_json_integer(json, "n", (long long)table->rows[i].n);
            mien_json_number(json, "accuracy", table->rows[i].accuracy);
            mien_json_number(json, "macro_f1", table->rows[i].macro_f1);
            mien_json_open(json, "interval", '[');
            mien_json_number(json, NULL, table->rows[i].low);
            mien_json_number(json, NULL, table->rows[i].high);
            mien_json_close(json, ']');
            mien_json_number(json, "p", table->rows[i].p);
            mien_json_close(json, '}');
        }
        mien_json_close(json, ']');
        mien_json_close(json, '}');
    }
    mien_json_close(json, ']');
}

static void put_p(double p, mien_text *out) {
    if (isnan(p))
        mien_text_printf(out, " %9s\n", "-");
    else if (p < 0.001)
        mien_text_printf(out, " %9s\n", "< 0.001");
    else
        mien_text_printf(out, " %9.3f\n", p);
}

void mien_subgroups_table(const mien_subgroups *subgroups, mien_text *out) {
    for (int t = 0; t < subgroups->count; t++) {
        const mien_subgroup_table *table = &subgroups->tables[t];
        mien_text_puts(out, "\n");
        mien_text_column(out, table->column, -24);
        mien_text_printf(out, " %9s %9s %9s %15s %9s\n", "n", "accuracy", "macro F1",
                         "95 % interval", "p");
        for (int i = 0; i < table->count; i++) {
            const mien_subgroup *row = &table->rows[i];
            mien_text_column(out, row->name, -24);
            mien_text_printf(out, " %9zu %9.3f %9.3f   %.3f … %.3f", row->n, row->accuracy,
                             row->macro_f1, row->low, row->high);
            put_p(row->p, out);
        }
    }
}
