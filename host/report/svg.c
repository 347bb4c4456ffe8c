#include "host/report/svg.h"

typedef struct theme {
    const char *paper, *ink, *soft, *rule, *heat, *on, *colors[MIEN_COLORS];
} theme;

static const theme light = {
    "#ffffff",
    "#1c1c1e",
    "#63636a",
    "#dcdce0",
    "#08519c",
    "#ffffff",
    {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5b5b66", "#a11a4b"}};
static const theme dark = {
    "#17171a",
    "#ececf0",
    "#a0a0a8",
    "#3a3a40",
    "#8cc4f5",
    "#10131a",
    {"#56b4e9", "#ff9e4a", "#3fd0a4", "#e7a3cb", "#f0d56a", "#9ad4ff", "#b5b5bd", "#ff7da6"}};

void mien_html_escape(mien_text *out, const char *text) {
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            mien_text_printf(out, "&#%d;", c);
        else
            mien_text_append(out, c < ' ' || c == 127 ? "?" : text, 1);
    }
}

void mien_html_name(mien_text *out, const char *name, int most) {
    mien_text kept = {0};
    mien_text_name(&kept, name, most);
    if (kept.status == MIEN_OK)
        mien_html_escape(out, kept.data);
    else
        out->status = kept.status;
    mien_text_release(&kept);
}

/* A colour as a variable of the page, or itself. */
static void put_color(mien_text *out, const theme *t, const char *name, const char *color) {
    if (t)
        mien_text_puts(out, color);
    else
        mien_text_printf(out, "var(--%s)", name);
}

/* Renderers of files know no variables: with a theme, its colours are written out. */
static void put_classes(mien_text *out, const theme *t) {
    const theme *c = t ? t : &light;
    const struct {
        const char *before, *name, *color;
    } rules[] = {
        {"svg text{font:12px 'DejaVu Sans',Verdana,system-ui,sans-serif;fill:", "ink", c->ink},
        {"}svg .title{font-size:13px;font-weight:bold}svg .on{fill:", "on", c->on},
        {"}.grid{stroke:", "rule", c->rule},
        {"}.axis{stroke:", "soft", c->soft},
        {"}.guide{fill:none;stroke-width:1.5;stroke-dasharray:2 4;stroke:", "soft", c->soft},
        {"}.heat{stroke-width:.5;stroke:", "rule", c->rule},
        {";fill:", "heat", c->heat}};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        mien_text_puts(out, rules[i].before);
        put_color(out, t, rules[i].name, rules[i].color);
    }
    mien_text_puts(out, "}.line{fill:none;stroke-width:2;stroke-linejoin:round}"
                        ".dash{stroke-dasharray:6 3}.whisker{stroke-width:1.5}");
    for (int i = 0; i < MIEN_COLORS; i++) {
        char name[8] = {'c', (char)('0' + i)};
        mien_text_printf(out, ".k%d{stroke:", i);
        put_color(out, t, name, c->colors[i]);
        mien_text_printf(out, "}.f%d{fill:", i);
        put_color(out, t, name, c->colors[i]);
        mien_text_puts(out, "}");
    }
}

void mien_svg_variables(mien_text *out, bool is_dark) {
    const theme *t = is_dark ? &dark : &light;
    mien_text_printf(out, "--paper:%s;--ink:%s;--soft:%s;--rule:%s;--heat:%s;--on:%s", t->paper,
                     t->ink, t->soft, t->rule, t->heat, t->on);
    for (int i = 0; i < MIEN_COLORS; i++)
        mien_text_printf(out, ";--c%d:%s", i, t->colors[i]);
}

void mien_svg_classes(mien_text *out) {
    put_classes(out, NULL);
}

void mien_svg_open(mien_text *out, mien_svg_kind kind, int width, int height, const char *label) {
    const bool file = kind == MIEN_SVG_FILE;
    mien_text_puts(out, "<svg");
    if (file)
        mien_text_printf(out, " xmlns='http://www.w3.org/2000/svg' width='%d' height='%d'", width,
                         height);
    mien_text_printf(out, " viewBox='0 0 %d %d' style='max-width:%dpx' role='img' aria-label='",
                     width, height, width + width / 2);
    mien_html_escape(out, label);
    mien_text_puts(out, "'>");
    if (!file) return;
    mien_text_puts(out, "<style>");
    put_classes(out, &light);
    mien_text_printf(out, "</style><rect width='%d' height='%d' style='fill:%s'/>\n", width, height,
                     light.paper);
}

void mien_svg_close(mien_text *out) {
    mien_text_puts(out, "</svg>\n");
}

void mien_svg_label(mien_text *out, double x, double y, const char *anchor, const char *class,
                    const char *text) {
    mien_text_printf(out, "<text x='%.1f' y='%.1f'", x, y);
    if (anchor[0] != 's') mien_text_printf(out, " text-anchor='%s'", anchor);
    if (*class) mien_text_printf(out, " class='%s'", class);
    mien_text_puts(out, ">");
    mien_html_escape(out, text);
    mien_text_puts(out, "</text>");
}

double mien_svg_text_width(const char *text) {
    return 7.2 * mien_letters(text);
}
