#include "host/image/draw.h"

#include <math.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/image/font.h"

/* ---- pixels -------------------------------------------------------------------------------- */

static uint8_t luminance(double r, double g, double b) {
    return (uint8_t)(0.299 * r + 0.587 * g + 0.114 * b + 0.5);
}

/* Mixes a colour into one pixel inside the picture. */
static void blend(mien_image *image, int x, int y, mien_color color, double share) {
    uint8_t *at =
        image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * (size_t)image->channels;
    const uint8_t rgb[3] = {color.r, color.g, color.b};
    for (int c = 0; c < image->channels; c++) {
        const double to = image->channels == 1 ? luminance(color.r, color.g, color.b) : rgb[c];
        at[c] = (uint8_t)(at[c] + (to - at[c]) * share + 0.5);
    }
}

/* Clips `rect` to the picture, as half-open ranges. Corners may lie anywhere. */
static void clip(const mien_image *image, mien_rect rect, int x[2], int y[2]) {
    const long long right = (long long)rect.x + rect.width,
                    bottom = (long long)rect.y + rect.height;
    x[0] = rect.x < 0 ? 0 : rect.x;
    y[0] = rect.y < 0 ? 0 : rect.y;
    x[1] = (int)(right > image->width ? image->width : right);
    y[1] = (int)(bottom > image->height ? image->height : bottom);
}

mien_status mien_canvas_new(int width, int height, int channels, mien_color color,
                            mien_image *out) {
    *out = (mien_image){0};
    if (width < 1 || height < 1 || (channels != 1 && channels != 3))
        return MIEN_FAIL(INVALID, "cannot make a picture of %d x %d pixels with %d channels", width,
                         height, channels);
    MIEN_TRY(mien_new(&out->pixels, (size_t)width * (size_t)height, (size_t)channels));
    out->width = width;
    out->height = height;
    out->channels = channels;
    mien_draw_fill(out, (mien_rect){0, 0, width, height}, color);
    return MIEN_OK;
}

void mien_draw_fill(mien_image *image, mien_rect rect, mien_color color) {
    mien_draw_shade(image, rect, color, 1);
}

void mien_draw_shade(mien_image *image, mien_rect rect, mien_color color, double share) {
    int x[2], y[2];
    uint8_t mixed[3][256];
    const int channels = image->channels;
    clip(image, rect, x, y);
    for (int v = 0; v < 256; v++) {
        uint8_t pixel[3] = {(uint8_t)v, (uint8_t)v, (uint8_t)v};
        blend(&(mien_image){1, 1, channels, pixel}, 0, 0, color, share);
        for (int c = 0; c < channels; c++)
            mixed[c][v] = pixel[c];
    }
    for (int j = y[0]; j < y[1]; j++) {
        uint8_t *row = image->pixels + ((size_t)j * (size_t)image->width) * (size_t)channels;
        for (int i = x[0]; i < x[1]; i++)
            for (int c = 0; c < channels; c++)
                row[i * channels + c] = mixed[c][row[i * channels + c]];
    }
}

void mien_draw_box(mien_image *image, mien_rect r, int thickness, mien_color color) {
    const int least = r.width < r.height ? r.width : r.height;
    const int t = thickness * 2 > least ? (least + 1) / 2 : thickness;
    mien_draw_fill(image, (mien_rect){r.x, r.y, r.width, t}, color);
    mien_draw_fill(image, (mien_rect){r.x, r.y + r.height - t, r.width, t}, color);
    mien_draw_fill(image, (mien_rect){r.x, r.y + t, t, r.height - 2 * t}, color);
    mien_draw_fill(image, (mien_rect){r.x + r.width - t, r.y + t, t, r.height - 2 * t}, color);
}

/* The mean of a source's pixels between (left, top) and (right, bottom); pixels cut by an edge are
 * weighted by the share inside. */
static mien_color mean_of(const mien_image *from, const double x[2], const double y[2]) {
    double sums[3] = {0}, area = 0;
    for (int j = (int)y[0]; j < from->height && j < y[1]; j++) {
        const double high = fmin(y[1], j + 1) - fmax(y[0], j);
        for (int i = (int)x[0]; i < from->width && i < x[1]; i++) {
            const double part = high * (fmin(x[1], i + 1) - fmax(x[0], i));
            const uint8_t *at = from->pixels + ((size_t)j * (size_t)from->width + (size_t)i) *
                                                   (size_t)from->channels;
            for (int c = 0; c < 3; c++)
                sums[c] += part * at[from->channels == 3 ? c : 0];
            area += part;
        }
    }
    return (mien_color){(uint8_t)(sums[0] / area + 0.5), (uint8_t)(sums[1] / area + 0.5),
                        (uint8_t)(sums[2] / area + 0.5)};
}

void mien_draw_image(mien_image *image, mien_rect rect, const mien_image *from) {
    int x[2], y[2];
    clip(image, rect, x, y);
    for (int j = y[0]; j < y[1]; j++) {
        const double rows[2] = {(double)(j - rect.y) * from->height / rect.height,
                                (double)(j - rect.y + 1) * from->height / rect.height};
        for (int i = x[0]; i < x[1]; i++) {
            const double columns[2] = {(double)(i - rect.x) * from->width / rect.width,
                                       (double)(i - rect.x + 1) * from->width / rect.width};
            blend(image, i, j, mean_of(from, columns, rows), 1);
        }
    }
}

/* ---- text ---------------------------------------------------------------------------------- */

enum { SEGMENTS_MAX = 160, CURVE = 6 /* line segments per curve */ };

typedef struct strokes {
    double ends[SEGMENTS_MAX][4]; /* x0 y0 x1 y1, in pixels */
    int count;
} strokes;

static double digit(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void add_line(strokes *s, const double from[2], const double to[2]) {
    const double line[4] = {from[0], from[1], to[0], to[1]};
    if (s->count < SEGMENTS_MAX) memcpy(s->ends[s->count++], line, sizeof line);
}

/* Converts a glyph's strokes to lines in pixels; (x, y) is its upper left corner. */
static void flatten(const mien_glyph *glyph, double x, double y, double scale, strokes *out) {
    double pen[2] = {0, 0}, points[2][2];
    out->count = 0;
    for (const char *at = glyph->strokes; *at;) {
        const char op = *at++;
        const int count = op == 'Q' ? 2 : 1;
        for (int i = 0; i < count; i++, at += 2) {
            points[i][0] = x + scale * (digit(at[0]) + 0.5);
            points[i][1] = y + scale * (digit(at[1]) + 1.5);
        }
        const double from[2] = {pen[0], pen[1]};
        for (int i = 1; op == 'Q' && i <= CURVE; i++) {
            const double t = (double)i / CURVE, u = 1 - t;
            const double to[2] = {u * u * from[0] + 2 * u * t * points[0][0] + t * t * points[1][0],
                                  u * u * from[1] + 2 * u * t * points[0][1] +
                                      t * t * points[1][1]};
            add_line(out, pen, to);
            memcpy(pen, to, sizeof pen);
        }
        if (op == 'L') add_line(out, pen, points[0]);
        memcpy(pen, points[count - 1], sizeof pen);
    }
}

/* The square of the distance of (x, y) from a line. */
static double square_distance(const double line[4], double x, double y) {
    const double dx = line[2] - line[0], dy = line[3] - line[1], square = dx * dx + dy * dy;
    double t = square > 0 ? ((x - line[0]) * dx + (y - line[1]) * dy) / square : 0;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    x -= line[0] + t * dx;
    y -= line[1] + t * dy;
    return x * x + y * y;
}

enum { RUN = 64 };

/* Draws the lines into `count` pixels of row y, from x on; `reach` is the distance at which a line
 * is no longer seen. A pixel is compared only with the lines that reach it. */
static void draw_run(mien_image *image, const strokes *s, int x, int count, int y, double reach,
                     mien_color color) {
    double squares[RUN];
    for (int i = 0; i < count; i++)
        squares[i] = reach * reach;
    for (int k = 0; k < s->count; k++) {
        const double *line = s->ends[k];
        const bool down = line[1] < line[3], ahead = line[0] < line[2];
        if (y + 0.5 < line[down ? 1 : 3] - reach || y + 0.5 > line[down ? 3 : 1] + reach) continue;
        const int left = (int)(line[ahead ? 0 : 2] - reach) - 1 - x;
        const int right = (int)(line[ahead ? 2 : 0] + reach) + 1 - x;
        for (int i = left < 0 ? 0 : left; i < count && i <= right; i++) {
            const double square = square_distance(line, x + i + 0.5, y + 0.5);
            if (square < squares[i]) squares[i] = square;
        }
    }
    for (int i = 0; i < count; i++) {
        if (squares[i] >= reach * reach) continue;
        const double cover = reach - sqrt(squares[i]);
        blend(image, x + i, y, color, cover < 1 ? cover : 1);
    }
}

/* Draws the lines `width` pixels wide; a pixel's coverage depends on its distance from the nearest
 * line. */
static void draw_strokes(mien_image *image, const strokes *s, mien_rect around, double width,
                         mien_color color) {
    int x[2], y[2];
    clip(image, around, x, y);
    for (int j = y[0]; j < y[1]; j++)
        for (int i = x[0]; i < x[1]; i += RUN)
            draw_run(image, s, i, x[1] - i < RUN ? x[1] - i : RUN, j, width / 2 + 0.5, color);
}

/* The next code point of UTF-8; an invalid byte counts as one. */
static unsigned next_code(const char **text) {
    const unsigned char *at = (const unsigned char *)*text;
    const int more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc0 ? 1 : 0;
    int used = 1;
    while (used <= more && (at[used] & 0xc0) == 0x80)
        used++;
    *text += used;
    if (at[0] < 0x80) return at[0];
    /* no letter of the font needs more than two bytes; 0xc0 and 0xc1 are invalid */
    return used == 2 && more == 1 && at[0] >= 0xc2 ? (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu)
                                                   : 0xfffd;
}

/* Letters begin on whole pixels, so that their stems look alike. */
static int advance(const mien_glyph *glyph, double scale) {
    return (int)(scale * (glyph->width + MIEN_GLYPH_GAP) + 0.5);
}

void mien_draw_text(mien_image *image, int x, int y, int size, mien_color color, const char *text) {
    const double scale = (double)size / MIEN_GLYPH_LINE;
    const double width = fmax(1, 1.25 * scale);
    strokes s;
    while (*text && x < image->width) {
        const mien_glyph *glyph = mien_glyph_of(next_code(&text));
        const int step = advance(glyph, scale), margin = (int)width + 1;
        if (x + step + margin > 0) {
            flatten(glyph, x + scale, y, scale, &s);
            draw_strokes(image, &s,
                         (mien_rect){x - margin, y - margin, step + 2 * margin, size + 2 * margin},
                         width, color);
        }
        x += step;
    }
}

int mien_text_width(const char *text, int size) {
    const double scale = (double)size / MIEN_GLYPH_LINE;
    int width = 0;
    while (*text)
        width += advance(mien_glyph_of(next_code(&text)), scale);
    return width;
}

void mien_text_fit(const char *text, int size, int width, char *out, size_t capacity) {
    const bool whole = mien_text_width(text, size) <= width && strlen(text) < capacity;
    const double scale = (double)size / MIEN_GLYPH_LINE;
    size_t used = 0;
    int left = width - (whole ? 0 : mien_text_width("..", size));
    for (const char *at = text, *next = text; *at; at = next) {
        left -= advance(mien_glyph_of(next_code(&next)), scale);
        const size_t bytes = (size_t)(next - at);
        if (left < 0 || used + bytes + 3 > capacity + (whole ? 2 : 0)) break;
        memcpy(out + used, at, bytes);
        used += bytes;
    }
    out[used] = 0;
    if (!whole && capacity > used + 2) strcpy(out + used, "..");
}
