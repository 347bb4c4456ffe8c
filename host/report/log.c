#include "host/report/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/text.h"

enum { LOG_BYTES = 16 << 20, QUANTITIES = 4, COLUMNS_MAX = 64 };

static const char *const quantities[QUANTITIES] = {"loss", "val_loss", "accuracy", "val_accuracy"};
enum { NEEDED = 1 << 0 | 1 << 2 }; /* a training without validation has only these */

/* The character after the first column, which is `epoch`. */
static char separator_of(const char *line) {
    static const char first[] = "epoch";
    const bool starts = strncmp(line, first, sizeof first - 1) == 0 && line[sizeof first - 1];
    return starts ? line[sizeof first - 1] : ',';
}

/* of_column[i]: the quantity in column i, or -1; *known: how many of them there are. */
static mien_status read_header(const char *line, const char *path, int *of_column, int *known) {
    const char *part, *rest = line;
    size_t length;
    int found = 0, column = 0;
    const char separator = separator_of(line);
    for (; column < COLUMNS_MAX && mien_next_part(&rest, separator, &part, &length); column++) {
        of_column[column] = -1;
        for (int q = 0; q < QUANTITIES; q++)
            if (strlen(quantities[q]) == length && memcmp(part, quantities[q], length) == 0) {
                of_column[column] = q;
                *known += !(found >> q & 1);
                found |= 1 << q;
            }
    }
    for (; column < COLUMNS_MAX; column++)
        of_column[column] = -1;
    if ((found & NEEDED) == NEEDED) return MIEN_OK;
    return MIEN_FAIL(FORMAT, "%s, line 1: the columns loss and accuracy are not both there", path);
}

static mien_status read_row(const char *line, const char *path, char separator, size_t epoch,
                            const int *of_column, int known, double *const *lists) {
    const char *part, *rest = line;
    size_t length;
    int left = known;
    for (int q = 0; q < QUANTITIES; q++)
        lists[q][epoch] = NAN;
    for (int column = 0; column < COLUMNS_MAX && mien_next_part(&rest, separator, &part, &length);
         column++) {
        if (of_column[column] < 0) continue;
        char *end;
        lists[of_column[column]][epoch] = length ? strtod(part, &end) : NAN;
        if (length && end != part + length)
            return MIEN_FAIL(FORMAT, "%s, line %zu: '%.*s' is not a number", path, epoch + 2,
                             length > 32 ? 32 : (int)length, part);
        left--;
    }
    if (left == 0) return MIEN_OK;
    return MIEN_FAIL(FORMAT, "%s, line %zu has too few fields", path, epoch + 2);
}

static mien_status read_lines(char *text, const char *path, mien_learning *out) {
    int of_column[COLUMNS_MAX], known = 0;
    size_t lines = 0, epoch = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    if (lines > MIEN_EPOCHS_MAX)
        return MIEN_FAIL(FORMAT, "%s has %zu lines: too many", path, lines);
    MIEN_TRY(mien_new(&out->numbers, QUANTITIES * (lines + 1), sizeof(double)));
    double *const lists[QUANTITIES] = {out->numbers, out->numbers + lines + 1,
                                       out->numbers + 2 * (lines + 1),
                                       out->numbers + 3 * (lines + 1)};
    char *save = NULL, *line = strtok_r(text, "\r\n", &save);
    const char separator = separator_of(line ? line : "");
    MIEN_TRY(read_header(line ? line : "", path, of_column, &known));
    while ((line = strtok_r(NULL, "\r\n", &save)))
        MIEN_TRY(read_row(line, path, separator, epoch++, of_column, known, lists));
    if (!epoch) return MIEN_FAIL(FORMAT, "%s has no epochs", path);
    out->loss = (mien_curve){lists[0], lists[1], epoch};
    out->accuracy = (mien_curve){lists[2], lists[3], epoch};
    return MIEN_OK;
}

mien_status mien_learning_read(const char *path, mien_learning *out) {
    char *text;
    size_t size;
    *out = (mien_learning){0};
    MIEN_TRY(mien_file_read(path, LOG_BYTES, &text, &size));
    const mien_status status = read_lines(text, path, out);
    mien_free(text);
    return status;
}

mien_status mien_learning_of_model(const char *model, mien_learning *out) {
    char folder[MIEN_PATH], path[MIEN_PATH];
    *out = (mien_learning){0};
    if (mien_is_folder(model))
        MIEN_TRY(mien_path_join(folder, "", model));
    else
        mien_path_folder(folder, model);
    MIEN_TRY(mien_path_join(path, folder, "log.csv"));
    return mien_learning_read(path, out);
}

void mien_learning_release(mien_learning *curves) {
    mien_free(curves->numbers);
    *curves = (mien_learning){0};
}
