#include "host/report/page.h"

#include <math.h>

#include "host/base/file.h"

static const char policy[] =
    "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
    "<meta name=viewport content='width=device-width,initial-scale=1'>\n"
    "<meta http-equiv=Content-Security-Policy content=\"default-src 'none';"
    "style-src 'unsafe-inline';img-src data:\">\n";

static const char style[] =
    "body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:64rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.55 system-ui,sans-serif}\n"
    "h1{font-size:1.1rem;font-weight:600;margin:0}h2{font-size:1.25rem;margin:2.75rem 0 .5rem}"
    "h3{font-size:1rem;margin:1.5rem 0 .3rem}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:1rem;"
    "margin:1rem 0;padding:0}.figures div{border-top:3px solid var(--c0);padding:.4rem 0}"
    ".figures dt{color:var(--soft);font-size:.9rem}"
    ".figures dd{margin:0;font-size:1.9rem;font-weight:700;line-height:1.25}"
    ".figures dd small{display:block;font-size:.82rem;font-weight:400;color:var(--soft)}\n"
    "p,.note{max-width:46rem}.soft{color:var(--soft)}.facts{overflow-wrap:anywhere}\n"
    ".warning{border-left:4px solid var(--c1);padding:.3rem .9rem;margin:1rem 0}\n"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));"
    "gap:1.5rem}\n"
    ".wide{overflow-x:auto}svg{display:block;width:100%;height:auto}\n"
    "table{border-collapse:collapse;width:100%}th,td{padding:.3rem .7rem;text-align:right;"
    "border-bottom:1px solid var(--rule);font-variant-numeric:tabular-nums}"
    "th:first-child,td:first-child{text-align:left;overflow-wrap:anywhere;min-width:5.5rem}"
    "td.word,th.word{text-align:left}th{font-weight:600;vertical-align:bottom}"
    ".wide+.wide{margin-top:1.5rem}td "
    "small{display:block;color:var(--soft);font-size:.75rem;white-space:nowrap}\n"
    /* the bar of 1.000 is narrower than its cell, so that neighbouring bars do not touch */
    "td.bar{background:linear-gradient(color-mix(in srgb,var(--c0) 30%,transparent) 0 0) "
    "left .4rem top/calc((100% - .8rem)*var(--share)) 100% no-repeat}\n"
    ".facts-table{width:auto}.facts-table td{text-align:left;overflow-wrap:anywhere;"
    "vertical-align:top}.facts-table td:first-child{color:var(--soft);white-space:nowrap}\n"
    ".faces{display:flex;flex-wrap:wrap;gap:.7rem;margin:.4rem 0 1rem}"
    ".faces figure{margin:0;width:6.9rem}.faces figure.single{width:5rem}"
    ".faces img{width:3.35rem;height:3.35rem;object-fit:contain;margin-right:.1rem}"
    ".faces .single img{width:4.5rem;height:4.5rem}"
    ".groups{display:flex;flex-wrap:wrap;gap:.4rem 2rem}"
    ".faces figcaption{font-size:.78rem;line-height:1.35;overflow-wrap:anywhere}\n"
    "@media print{body{max-width:none;padding:0;font-size:11pt}h2{break-after:avoid}"
    "svg,table,figure{break-inside:avoid}.wide{overflow:visible}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n";

void mien_page_open(mien_text *out, const char *title, const char *heading) {
    mien_text_puts(out, policy);
    mien_text_printf(out, "<title>%s</title><style>\n:root{color-scheme:light dark;", title);
    mien_svg_variables(out, false);
    mien_text_puts(out, "}\n@media screen and (prefers-color-scheme:dark){:root{");
    mien_svg_variables(out, true);
    mien_text_puts(out, "}}\n");
    mien_svg_classes(out);
    mien_text_puts(out, "\n");
    mien_text_puts(out, style);
    mien_text_printf(out, "</style></head><body><main>\n<h1>%s</h1>\n", heading);
}

void mien_page_close(mien_text *out) {
    mien_text_puts(out, "</main></body></html>\n");
}

void mien_page_share(mien_text *out, double value, double low, double high) {
    if (!isfinite(value)) {
        mien_text_puts(out, "<td>–</td>");
        return;
    }
    mien_text_printf(out, "<td class=bar style='--share:%.3f'>%.3f", fmin(1, fmax(0, value)),
                     value);
    if (low < high) mien_text_printf(out, "<small>%.3f to %.3f</small>", low, high);
    mien_text_puts(out, "</td>");
}

void mien_page_figure(mien_text *out, const char *name, const char *value, const char *interval) {
    mien_text_printf(out, "<div><dt>%s</dt><dd>%s<small>%s</small></dd></div>\n", name, value,
                     interval);
}

mien_status mien_page_write(const char *folder, const char *name, const mien_text *text) {
    char path[MIEN_PATH];
    MIEN_TRY(text->status);
    MIEN_TRY(mien_path_join(path, folder, name));
    return mien_file_write(path, text->data, text->size);
}
