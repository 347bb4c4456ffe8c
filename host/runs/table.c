/* Runs sorted by a column, and as a text table, CSV and JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/runs/runs.h"

const char *mien_run_state_name(mien_run_state state) {
    static const char *const names[] = {"finished", "running", "stopped",
                                        "failed",   "waiting", "bad"};
    return names[state];
}

enum { KEYS_MAX = 256 }; /* more than there are config keys */

static bool differs(const mien_runs *runs, size_t key) {
    const char *first = NULL;
    for (size_t i = 0; i < runs->count; i++) {
        const char *value = runs->rows[i].values[key];
        if (!first) first = value;
        if (value && strcmp(first, value) != 0) return true;
    }
    return false;
}

/* The last part of a key, or the whole key where another key ends alike. */
static const char *short_name(size_t key) {
    const mien_keys keys = mien_config_keys();
    const char *dot = strrchr(keys.rows[key].name, '.');
    for (size_t i = 0; dot && i < keys.count; i++) {
        const char *other = strrchr(keys.rows[i].name, '.');
        if (i != key && other && strcmp(other, dot) == 0) return keys.rows[key].name;
    }
    return dot ? dot + 1 : keys.rows[key].name;
}

/* Sorting: every row gets a number or a text to compare. */
typedef struct sort_item {
    mien_run_row row;
    const char *text; /* NULL: compare numbers */
    double number;    /* NaN, without a text: no value */
    int sign;
} sort_item;

enum { BY_RUN, BY_STATUS, BY_EPOCHS, BY_BEST, BY_ACC, BY_LOSS, BY_F1, BY_SECONDS, BY_STARTED };
static const char *const columns[] = {"run",          "status",       "epochs",
                                      "best_epoch",   "val_accuracy", "val_loss",
                                      "val_macro_f1", "seconds",      "started"};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

static void fill(sort_item *item, int column, size_t key) {
    const mien_run_row *row = &item->row;
    const double numbers[] = {NAN,
                              row->state,
                              row->epochs,
                              row->best_epoch,
                              row->val_accuracy,
                              row->val_loss,
                              row->val_macro_f1,
                              row->seconds,
                              NAN};
    item->text = NULL;
    item->number = NAN;
    if (column < 0) {
        char *end;
        const char *value = row->values[key];
        item->number = value ? strtod(value, &end) : NAN;
        if (value && (end == value || *end)) item->text = value;
    } else if (column == BY_RUN) {
        item->text = row->name;
    } else if (column == BY_STARTED) {
        item->text = row->started[0] ? row->started : NULL;
    } else {
        item->number = numbers[column];
    }
}

static int compare(const void *first, const void *second) {
    const sort_item *a = first, *b = second;
    const bool none_a = !a->text && isnan(a->number), none_b = !b->text && isnan(b->number);
    int order;
    if (none_a || none_b)
        order = none_a - none_b;
    else if (a->text && b->text)
        order = a->sign * strverscmp(a->text, b->text);
    else if (a->text || b->text)
        order = a->text ? 1 : -1; /* numbers before words */
    else
        order = a->sign * ((a->number > b->number) - (a->number < b->number));
    return order ? order : strverscmp(a->row.name, b->row.name);
}

static mien_status find_column(const char *name, int *column, size_t *key) {
    const mien_keys keys = mien_config_keys();
    const char *known[COLUMNS + KEYS_MAX];
    size_t count = 0;
    *column = -1;
    for (int i = 0; i < COLUMNS; i++) {
        if (strcmp(name, columns[i]) == 0) *column = i;
        known[count++] = columns[i];
    }
    if (*column >= 0) return MIEN_OK;
    for (size_t i = 0; i < keys.count && count < COLUMNS + KEYS_MAX; i++) {
        *key = i;
        if (strcmp(name, keys.rows[i].name) == 0 || strcmp(name, short_name(i)) == 0)
            return MIEN_OK;
        known[count++] = keys.rows[i].name;
    }
    const char *near = mien_nearest(name, known, count);
    return MIEN_FAIL(INVALID, "--sort: there is no column '%s'%s%s%s", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

mien_status mien_runs_sort(mien_runs *runs, const char *name) {
    int column;
    size_t key = 0;
    sort_item *items;
    const bool reversed = *name == '-';
    MIEN_TRY(find_column(name + reversed, &column, &key));
    const bool most_first = column == BY_ACC || column == BY_F1;
    MIEN_TRY(mien_new(&items, runs->count, sizeof *items));
    for (size_t i = 0; i < runs->count; i++) {
        items[i].row = runs->rows[i];
        items[i].sign = most_first != reversed ? -1 : 1;
    }
    for (size_t i = 0; i < runs->count; i++)
        fill(&items[i], column, key);
    qsort(items, runs->count, sizeof *items, compare);
    for (size_t i = 0; i < runs->count; i++)
        runs->rows[i] = items[i].row;
    mien_free(items);
    return MIEN_OK;
}

/* A table of cells, whose columns are as wide as their widest cell. */
enum { CELL = 48 };
typedef struct cells {
    char (*items)[4 * CELL];
    size_t columns, rows;
} cells;

static char *cell(const cells *c, size_t row, size_t column) {
    return c->items[row * c->columns + column];
}

static void put_name(char *out, const char *name) {
    mien_text text = {0};
    mien_text_name(&text, name, CELL);
    snprintf(out, 4 * CELL, "%s", text.data ? text.data : "");
    mien_text_release(&text);
}

static void put_figure(char *out, double value) {
    if (isfinite(value)) snprintf(out, 4 * CELL, "%.4f", value);
}

static void put_time(char *out, double seconds) {
    const long long s = (long long)(isfinite(seconds) ? seconds + 0.5 : -1);
    if (s < 0) return;
    if (s < 60)
        snprintf(out, 4 * CELL, "%lld s", s);
    else if (s < 3600)
        snprintf(out, 4 * CELL, "%lld min %02lld s", s / 60, s % 60);
    else
        snprintf(out, 4 * CELL, "%lld h %02lld min", s / 3600, s / 60 % 60);
}

static void fill_row(const cells *c, size_t r, const mien_run_row *row, const size_t *keys,
                     size_t key_count) {
    size_t at = 0;
    put_name(cell(c, r, at++), row->name);
    put_name(cell(c, r, at++), mien_run_state_name(row->state));
    for (size_t k = 0; k < key_count; k++)
        put_name(cell(c, r, at++), row->values[keys[k]] ? row->values[keys[k]] : "");
    if (row->of_epochs)
        snprintf(cell(c, r, at), 4 * CELL, "%d/%d", row->epochs, row->of_epochs);
    else if (row->epochs)
        snprintf(cell(c, r, at), 4 * CELL, "%d", row->epochs);
    at++;
    if (row->best_epoch) snprintf(cell(c, r, at), 4 * CELL, "%d", row->best_epoch);
    at++;
    put_figure(cell(c, r, at++), row->val_accuracy);
    put_figure(cell(c, r, at++), row->val_loss);
    put_figure(cell(c, r, at++), row->val_macro_f1);
    put_time(cell(c, r, at), row->seconds);
}

static void print_cells(const cells *c, const mien_runs *runs, mien_text *out) {
    int widths[KEYS_MAX + 8] = {0};
    for (size_t r = 0; r < c->rows; r++)
        for (size_t k = 0; k < c->columns; k++) {
            const int letters = mien_letters(cell(c, r, k));
            if (letters > widths[k]) widths[k] = letters;
        }
    for (size_t r = 0; r < c->rows; r++) {
        for (size_t k = 0; k < c->columns; k++) {
            const int width = widths[k];
            if (k) mien_text_puts(out, "  ");
            if (width) mien_text_column(out, cell(c, r, k), k < 2 ? -width : width);
        }
        while (out->size && out->data[out->size - 1] == ' ')
            out->data[--out->size] = 0;
        mien_text_puts(out, "\n");
        if (r && runs->rows[r - 1].reason)
            mien_text_printf(out, "    %s\n", runs->rows[r - 1].reason);
    }
}

static size_t differing_keys(const mien_runs *runs, size_t *keys) {
    size_t count = 0;
    for (size_t k = 0; k < mien_config_keys().count && count < KEYS_MAX; k++)
        if (differs(runs, k)) keys[count++] = k;
    return count;
}

void mien_runs_table(const mien_runs *runs, mien_text *out) {
    static const char *const last[] = {"epochs",   "best",         "val_accuracy",
                                       "val_loss", "val_macro_f1", "time"};
    size_t keys[KEYS_MAX];
    const size_t key_count = differing_keys(runs, keys);
    cells c = {.columns = key_count + 8, .rows = runs->count + 1};
    const mien_status status = mien_new(&c.items, c.columns * c.rows, sizeof *c.items);
    if (status != MIEN_OK) {
        out->status = status;
        return;
    }
    put_name(cell(&c, 0, 0), "run");
    put_name(cell(&c, 0, 1), "status");
    for (size_t k = 0; k < key_count; k++)
        put_name(cell(&c, 0, 2 + k), short_name(keys[k]));
    for (size_t i = 0; i < 6; i++)
        put_name(cell(&c, 0, 2 + key_count + i), last[i]);
    for (size_t r = 0; r < runs->count; r++)
        fill_row(&c, r + 1, &runs->rows[r], keys, key_count);
    print_cells(&c, runs, out);
    mien_free(c.items);
}

static void csv_number(mien_text *out, double value) {
    if (isfinite(value))
        mien_text_printf(out, ",%.9g", value);
    else
        mien_text_puts(out, ",");
}

void mien_runs_csv(const mien_runs *runs, mien_text *out) {
    size_t keys[KEYS_MAX];
    const size_t key_count = differing_keys(runs, keys);
    mien_text_puts(out, "run,status");
    for (size_t k = 0; k < key_count; k++)
        mien_text_printf(out, ",%s", mien_config_keys().rows[keys[k]].name);
    mien_text_puts(out, ",epochs,best_epoch,val_accuracy,val_loss,val_macro_f1,seconds,started,"
                        "reason\n");
    for (size_t i = 0; i < runs->count; i++) {
        const mien_run_row *row = &runs->rows[i];
        mien_text_cell(out, row->name);
        mien_text_printf(out, ",%s", mien_run_state_name(row->state));
        for (size_t k = 0; k < key_count; k++) {
            mien_text_puts(out, ",");
            if (row->values[keys[k]]) mien_text_cell(out, row->values[keys[k]]);
        }
        mien_text_printf(out, ",%d,", row->epochs);
        if (row->best_epoch) mien_text_printf(out, "%d", row->best_epoch);
        csv_number(out, row->val_accuracy);
        csv_number(out, row->val_loss);
        csv_number(out, row->val_macro_f1);
        csv_number(out, row->seconds);
        mien_text_printf(out, ",%s,", row->started);
        if (row->reason) mien_text_cell(out, row->reason);
        mien_text_puts(out, "\n");
    }
}

void mien_runs_document(const mien_runs *runs, const char *folder, mien_text *out) {
    size_t keys[KEYS_MAX];
    const size_t key_count = differing_keys(runs, keys);
    mien_json json = {.text = out, .pretty = true};
    mien_json_open(&json, NULL, '{');
    mien_json_integer(&json, "schema", 1);
    mien_json_string(&json, "folder", folder);
    mien_json_open(&json, "runs", '[');
    for (size_t i = 0; i < runs->count; i++) {
        const mien_run_row *row = &runs->rows[i];
        mien_json_open(&json, NULL, '{');
        mien_json_string(&json, "run", row->name);
        mien_json_string(&json, "status", mien_run_state_name(row->state));
        mien_json_string(&json, "reason", row->reason);
        mien_json_open(&json, "settings", '{');
        for (size_t k = 0; k < key_count; k++)
            mien_json_string(&json, mien_config_keys().rows[keys[k]].name, row->values[keys[k]]);
        mien_json_close(&json, '}');
        mien_json_integer(&json, "epochs", row->epochs);
        mien_json_integer(&json, "of_epochs", row->of_epochs);
        mien_json_integer(&json, "best_epoch", row->best_epoch);
        mien_json_number(&json, "val_accuracy", row->val_accuracy);
        mien_json_number(&json, "val_loss", row->val_loss);
        mien_json_number(&json, "val_macro_f1", row->val_macro_f1);
        mien_json_number(&json, "seconds", row->seconds);
        mien_json_string(&json, "started", row->started[0] ? row->started : NULL);
        mien_json_close(&json, '}');
    }
    mien_json_close(&json, ']');
    mien_json_close(&json, '}');
    mien_text_puts(out, "\n");
}
