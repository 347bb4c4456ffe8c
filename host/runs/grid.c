#include "host/runs/grid.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/base/sha256.h"

enum { NAME_MAX_LETTERS = 150 };

/* The end of the first value of a list such as "[a,b],c". */
static const char *value_end(const char *at) {
    int depth = 0;
    char quote = 0;
    for (; *at; at++) {
        if (quote) {
            if (*at == quote) quote = 0;
        } else if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if (*at == ']' || *at == '}') {
            depth--;
        } else if (*at == ',' && depth <= 0) {
            break;
        }
    }
    return at;
}

static mien_status print_value(const mien_key *key, const char *assignment, char **out) {
    mien_config config = {0};
    mien_text value = {0};
    mien_status status = mien_config_start(&config);
    if (status == MIEN_OK) status = mien_keys_set(mien_config_keys(), &config, assignment);
    if (status == MIEN_OK) mien_key_print_value(key, &config, &value);
    if (status == MIEN_OK) status = value.status;
    if (status == MIEN_OK) status = mien_copy_text(out, value.data ? value.data : "");
    mien_text_release(&value);
    mien_config_release(&config);
    return status;
}

/* Appends one value; `assignment` is key=value. */
static mien_status add_value(mien_grid_axis *axis, const char *assignment) {
    char *value = NULL;
    MIEN_TRY(print_value(axis->key, assignment, &value));
    for (size_t i = 0; i < axis->count; i++)
        if (strcmp(axis->values[i], value) == 0) {
            const mien_status status =
                MIEN_FAIL(INVALID, "--grid: '%s' is given twice", assignment);
            mien_free(value);
            return status;
        }
    size_t capacity = axis->capacity;
    mien_status status =
        mien_grow(&axis->assignments, &axis->capacity, axis->count + 1, sizeof(char *));
    if (status == MIEN_OK)
        status = mien_grow(&axis->values, &capacity, axis->count + 1, sizeof(char *));
    if (status != MIEN_OK) {
        mien_free(value);
        return status;
    }
    axis->values[axis->count] = value;
    axis->assignments[axis->count] = NULL;
    axis->count++;
    return mien_copy_text(&axis->assignments[axis->count - 1], assignment);
}

static mien_status new_axis(mien_grid *grid, const char *name, mien_grid_axis **out) {
    const mien_keys keys = mien_config_keys();
    const char *known[256];
    const mien_key *key = mien_keys_find(keys, name);
    if (!key) {
        for (size_t i = 0; i < keys.count && i < 256; i++)
            known[i] = keys.rows[i].name;
        const char *near = mien_nearest(name, known, keys.count < 256 ? keys.count : 256);
        return MIEN_FAIL(INVALID, "--grid: unknown key '%s'%s%s%s", name,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    for (size_t i = 0; i < grid->count; i++)
        if (grid->axes[i].key == key)
            return MIEN_FAIL(INVALID, "--grid: '%s' is given twice; give all its values at once",
                             name);
    if (grid->count == MIEN_SWEEP_KEYS)
        return MIEN_FAIL(INVALID, "--grid: more than %d keys", MIEN_SWEEP_KEYS);
    *out = &grid->axes[grid->count++];
    **out = (mien_grid_axis){.key = key};
    return MIEN_OK;
}

static mien_status check_size(const mien_grid *grid) {
    if (mien_grid_size(grid) <= MIEN_SWEEP_RUNS) return MIEN_OK;
    return MIEN_FAIL(INVALID, "--grid: more than %d runs", MIEN_SWEEP_RUNS);
}

mien_status mien_grid_add(mien_grid *grid, const char *spec) {
    char name[128];
    const char *equal = strchr(spec, '=');
    mien_grid_axis *axis;
    if (!equal || equal == spec || (size_t)(equal - spec) >= sizeof name)
        return MIEN_FAIL(INVALID, "--grid needs KEY=VALUE,VALUE,…, not '%.60s'", spec);
    snprintf(name, sizeof name, "%.*s", (int)(equal - spec), spec);
    MIEN_TRY(new_axis(grid, name, &axis));
    for (const char *at = equal + 1;; at++) {
        const char *end = value_end(at);
        mien_text text = {0};
        if (end == at) return MIEN_FAIL(INVALID, "--grid: '%.80s' has an empty value", spec);
        mien_text_printf(&text, "%s=%.*s", name, (int)(end - at), at);
        mien_status status = text.status;
        if (status == MIEN_OK) status = add_value(axis, text.data);
        mien_text_release(&text);
        MIEN_TRY(status);
        at = end;
        if (!*at) break;
    }
    return check_size(grid);
}

mien_status mien_grid_add_seeds(mien_grid *grid, int first, int seeds) {
    mien_grid_axis *axis;
    MIEN_TRY(new_axis(grid, "train.seed", &axis));
    if (first > INT_MAX - seeds)
        return MIEN_FAIL(INVALID, "%d seeds starting at %d exceed the largest seed 2147483647",
                         seeds, first);
    for (int i = 0; i < seeds; i++) {
        char text[64];
        snprintf(text, sizeof text, "train.seed=%d", first + i);
        MIEN_TRY(add_value(axis, text));
    }
    return check_size(grid);
}

size_t mien_grid_size(const mien_grid *grid) {
    size_t size = 1;
    for (size_t i = 0; i < grid->count && size <= MIEN_SWEEP_RUNS; i++)
        size *= grid->axes[i].count;
    return size;
}

size_t mien_grid_at(const mien_grid *grid, size_t i, size_t axis) {
    for (size_t a = grid->count - 1; a > axis; a--)
        i /= grid->axes[a].count;
    return i % grid->axes[axis].count;
}

/* The last part of an axis's key, unless another axis ends alike. */
static const char *axis_name(const mien_grid *grid, size_t axis) {
    const char *name = grid->axes[axis].key->name, *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < grid->count; i++) {
        const char *other = strrchr(grid->axes[i].key->name, '.');
        if (i != axis && other && strcmp(other, dot) == 0) return name;
    }
    return dot ? dot + 1 : name;
}

/* A value as part of a file name: the last part of a path, and nothing that a shell treats
 * specially. */
static void put_value(const char *value, mien_text *out) {
    char stem[MIEN_PATH];
    if (strchr(value, '/')) {
        mien_path_stem(stem, sizeof stem, value);
        value = stem;
    }
    for (bool dash = false; *value; value++) {
        const bool plain = isalnum((unsigned char)*value) || strchr("._+-", *value);
        if (plain) mien_text_append(out, value, 1);
        if (!plain && !dash) mien_text_puts(out, "-");
        dash = !plain;
    }
}

static mien_status plain_name(const mien_grid *grid, size_t i, mien_text *out) {
    for (size_t a = 0; a < grid->count; a++) {
        mien_text_printf(out, "%s%s=", a ? "," : "", axis_name(grid, a));
        put_value(grid->axes[a].values[mien_grid_at(grid, i, a)], out);
    }
    return out->status;
}

/* Eight digits that tell apart values which look alike as file names. */
static mien_status put_digest(const mien_grid *grid, size_t i, mien_text *out) {
    mien_text exact = {0};
    char digest[65];
    for (size_t a = 0; a < grid->count; a++)
        mien_text_printf(&exact, "%s=%s\n", grid->axes[a].key->name,
                         grid->axes[a].values[mien_grid_at(grid, i, a)]);
    if (exact.status == MIEN_OK) {
        mien_sha256 hash;
        mien_sha256_start(&hash);
        mien_sha256_add(&hash, exact.data, exact.size);
        mien_sha256_hex(&hash, digest);
        mien_text_printf(out, "~%.8s", digest);
    }
    mien_text_release(&exact);
    return exact.status == MIEN_OK ? out->status : exact.status;
}

/* Whether another value of the axis gives the same part of a name, as a/net.yaml and b/net.yaml. */
static bool looks_alike(const mien_grid_axis *axis, size_t value) {
    mien_text own = {0};
    bool alike = false;
    put_value(axis->values[value], &own);
    for (size_t i = 0; i < axis->count && !alike; i++) {
        mien_text other = {0};
        if (i != value) put_value(axis->values[i], &other);
        alike = own.data && other.data && strcmp(own.data, other.data) == 0;
        mien_text_release(&other);
    }
    mien_text_release(&own);
    return alike;
}

mien_status mien_grid_name(const mien_grid *grid, size_t i, char *out, size_t size) {
    mien_text name = {0};
    bool exact = true;
    mien_status status = plain_name(grid, i, &name);
    for (size_t a = 0; a < grid->count; a++)
        exact &= !looks_alike(&grid->axes[a], mien_grid_at(grid, i, a));
    if (status == MIEN_OK && name.size > NAME_MAX_LETTERS) {
        name.data[name.size = NAME_MAX_LETTERS] = 0;
        exact = false;
    }
    if (status == MIEN_OK && !exact) status = put_digest(grid, i, &name);
    if (status == MIEN_OK) snprintf(out, size, "%s", name.data);
    mien_text_release(&name);
    return status;
}

void mien_grid_release(mien_grid *grid) {
    for (size_t a = 0; a < grid->count; a++) {
        mien_grid_axis *axis = &grid->axes[a];
        for (size_t i = 0; i < axis->count; i++) {
            mien_free(axis->assignments[i]);
            mien_free(axis->values[i]);
        }
        mien_free(axis->assignments);
        mien_free(axis->values);
    }
    *grid = (mien_grid){0};
}
