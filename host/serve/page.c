#include "host/serve/page.h"

#include <string.h>

/* The Makefile compiles this file again when one of them changes. */
#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".global page_" #name "\n"                                                             \
            ".hidden page_" #name "\n"                                                             \
            "page_" #name ":\n"                                                                    \
            ".incbin \"host/serve/page/" file "\"\n"                                               \
            ".global page_" #name "_end\n"                                                         \
            ".hidden page_" #name "_end\n"                                                         \
            "page_" #name "_end:\n"                                                                \
            ".byte 0\n"                                                                            \
            ".text\n");                                                                            \
    extern const char page_##name[], page_##name##_end[]

EMBED(html, "index.html");
EMBED(style, "style.css");
EMBED(app, "app.js");
EMBED(views, "views.js");
EMBED(icon, "icon.svg");
EMBED(openapi, "openapi.json");

bool page_find(const char *path, size_t length, page_file *out) {
    static const struct file {
        const char *path, *type, *begin, *end;
    } files[] = {
        {"/", "text/html; charset=utf-8", page_html, page_html_end},
        {"/style.css", "text/css; charset=utf-8", page_style, page_style_end},
        {"/app.js", "text/javascript; charset=utf-8", page_app, page_app_end},
        {"/views.js", "text/javascript; charset=utf-8", page_views, page_views_end},
        {"/icon.svg", "image/svg+xml", page_icon, page_icon_end},
        {"/favicon.ico", "image/svg+xml", page_icon, page_icon_end},
        {"/openapi.json", "application/json", page_openapi, page_openapi_end},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strlen(files[i].path) == length && memcmp(files[i].path, path, length) == 0) {
            *out =
                (page_file){files[i].type, files[i].begin, (size_t)(files[i].end - files[i].begin)};
            return true;
        }
    return false;
}
