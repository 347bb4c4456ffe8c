/* The server's parts that read what strangers send, and the queue. */
#include <stdio.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/serve/limits.h"
#include "host/serve/metrics.h"
#include "host/serve/multipart.h"
#include "host/serve/page.h"
#include "host/serve/picture_head.h"
#include "tests/support/test.h"

static const char *const names[] = {"faces.example.org", "192.0.2.7", "2001:db8::1"};
static const serve_limits limits = {names, 3};

static serve_request good(const char *method) {
    serve_request r = {.method = method, .version = "HTTP/1.1", .target = "/v1/predict"};
    r.fields[r.field_count++] = (serve_field){"Host", "localhost:8080"};
    if (strcmp(method, "POST") == 0)
        r.fields[r.field_count++] = (serve_field){"Content-Length", "10"};
    return r;
}

static int status_of(const serve_request *request) {
    serve_problem problem = {0};
    return limits_check(&limits, request, &problem) ? 200 : problem.status;
}

static int with(const char *method, const char *name, const char *value) {
    serve_request r = good(method);
    r.fields[r.field_count++] = (serve_field){name, value};
    return status_of(&r);
}

static bool has_no_body(const char *name, const char *value) {
    serve_request r = good("GET");
    serve_problem problem = {0};
    r.fields[r.field_count++] = (serve_field){name, value};
    const bool none = limits_no_body(&r, &problem);
    assert_int_equal(problem.status, none ? 0 : 400);
    assert_int_equal(problem.close, !none);
    return none;
}

/* 1 or 0, -1: refused */
static int live_of(const char *target) {
    serve_problem problem = {0};
    bool live;
    if (limits_live(target, &live, &problem)) return live;
    assert_int_equal(problem.status, 400);
    return -1;
}

static int with_host(const char *host) {
    serve_request r = good("GET");
    r.fields[0].value = host;
    return status_of(&r);
}

static int with_target(const char *target) {
    serve_request r = good("GET");
    r.target = target;
    return status_of(&r);
}

static void test_hosts(void **state) {
    (void)state;
    static const char *const allowed[] = {
        "localhost",     "LOCALHOST:1",       "127.0.0.1:8080",     "127.3.4.5",
        "[::1]:80",      "faces.example.org", "Faces.Example.Org.", "faces.example.org:443",
        "192.0.2.7:443", "[2001:db8::1]",
    };
    static const char *const foreign[] = {"evil.example", "127.0.0.1.evil.example",
                                          "localhost.evil.example", "xfaces.example.org",
                                          "[2001:db8::2]"};
    static const char *const malformed[] = {"",
                                            ":80",
                                            "a b",
                                            "[::1",
                                            "localhost:x",
                                            "localhost:123456",
                                            "a/b",
                                            "localhost@evil",
                                            "localhost,evil",
                                            "localhost\t"};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        assert_int_equal(with_host(allowed[i]), 200);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_int_equal(with_host(foreign[i]), 421);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        assert_int_equal(with_host(malformed[i]), 400);
    assert_int_equal(with("GET", "host", "localhost"), 400); /* a second one */
    serve_request none = good("GET");
    none.field_count = 0;
    assert_int_equal(status_of(&none), 400);
    assert_true(limits_host_name("a-b.example") && limits_host_name("::1"));
    assert_false(limits_host_name("http://a") || limits_host_name("a:80") || limits_host_name(""));
}

static void test_lengths(void **state) {
    (void)state;
    serve_request r = good("POST");
    assert_int_equal(status_of(&r), 200);
    static const struct {
        const char *length;
        int status;
    } cases[] = {{"0", 200},    {"10485760", 200}, {"10485761", 413}, {"99999999999999999999", 413},
                 {"-1", 400},   {"+1", 400},       {"1 ", 400},       {"1,1", 400},
                 {"0x10", 400}, {"", 400}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r.fields[1].value = cases[i].length;
        assert_int_equal(status_of(&r), cases[i].status);
    }
    r.field_count = 1;
    assert_int_equal(status_of(&r), 411);
    r.fields[r.field_count++] = (serve_field){"Transfer-Encoding", "chunked"};
    assert_int_equal(status_of(&r), 200);
    r.version = "HTTP/1.0";
    assert_int_equal(status_of(&r), 400);
    r.version = "HTTP/1.1";
    r.fields[1].value = "gzip, chunked";
    assert_int_equal(status_of(&r), 501);
    r.fields[1].value = "chunked";
    r.fields[r.field_count++] = (serve_field){"content-length", "3"};
    assert_int_equal(status_of(&r), 400);
    assert_int_equal(with("POST", "Content-Length", "10"), 400);
    assert_int_equal(with("GET", "Content-Length", "0"), 200);
    assert_true(has_no_body("Content-Length", "0"));
    assert_false(has_no_body("Content-Length", "5"));
    assert_false(has_no_body("Transfer-Encoding", "chunked"));
    assert_int_equal(with("PUT", "Content-Length", "5"), 200); /* the address refuses the method */
    assert_int_equal(with("PUT", "Content-Length", "x"), 400);
    assert_int_equal(with("POST", "Expect", "100-continue"), 200);
    assert_int_equal(with("POST", "Expect", "coffee"), 417);
}

static void test_targets(void **state) {
    (void)state;
    char longest[2100];
    static const char *const bad[] = {"",       "*",          "v1",           "http://localhost/",
                                      "/%2e",   "/../etc",    "/a//b",        "/./a",
                                      "/a b",   "/a\\b",      "/\x7f",        "/caf\xc3\xa9",
                                      "/a%00b", "/a\r\nX: y", "/a?b=<script>"};
    assert_int_equal(with_target("/"), 200);
    assert_int_equal(live_of("/v1/predict"), 0);
    assert_int_equal(live_of("/v1/predict?"), 0);
    assert_int_equal(live_of("/v1/predict?lively=2"), 0);
    assert_int_equal(live_of("/v1/predict?live=1"), 1);
    assert_int_equal(live_of("/v1/predict?x=2&live=1&y"), 1);
    assert_int_equal(live_of("/v1/predict?live=0"), -1);
    assert_int_equal(live_of("/v1/predict?live=11"), -1);
    assert_int_equal(live_of("/v1/predict?x&live="), -1);
    assert_int_equal(with_target("/v1/predict?live=1&x=%20"), 200);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(with_target(bad[i]), 400);
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = 0;
    assert_int_equal(with_target(longest), 414);
}

static void test_fields(void **state) {
    (void)state;
    serve_request r = good("GET");
    r.version = "HTTP/2.0";
    assert_int_equal(status_of(&r), 505);
    r = good("GET");
    r.field_count = SERVE_FIELDS + 1;
    assert_int_equal(status_of(&r), 431);
    r = good("GET");
    r.head_bytes = SERVE_HEAD_MAX + 1;
    assert_int_equal(status_of(&r), 431);
    assert_int_equal(with("GET", "a b", "c"), 400);
    assert_int_equal(with("GET", "", "c"), 400);
    assert_int_equal(with("GET", "a", "b\001"), 400);
    assert_int_equal(with("GET", "a", "b\tc"), 200);
}

static void test_origins(void **state) {
    (void)state;
    assert_int_equal(with("POST", "Origin", "http://localhost:8080"), 200);
    assert_int_equal(with("POST", "Origin", "https://LOCALHOST:8080"), 200);
    assert_int_equal(with("POST", "Origin", "http://localhost:8081"), 403);
    assert_int_equal(with("POST", "Origin", "http://evil.example"), 403);
    assert_int_equal(with("POST", "Origin", "null"), 403);
    assert_int_equal(with("POST", "Origin", ""), 403);
    assert_int_equal(with("GET", "Origin", "http://evil.example"), 200);
    assert_int_equal(with("POST", "Sec-Fetch-Site", "cross-site"), 403);
    assert_int_equal(with("POST", "Sec-Fetch-Site", "same-site"), 403);
    assert_int_equal(with("POST", "Sec-Fetch-Site", "same-origin"), 200);
}

/* ---- multipart ---- */

static const char form[] = "multipart/form-data; boundary=XX";

static const char *parse(const char *type, const char *body, multipart_file *out) {
    return multipart_find(type, body, strlen(body), out);
}

static void test_multipart(void **state) {
    (void)state;
    multipart_file f;
    assert_null(
        parse(form,
              "preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n"
              "no\r\n--XX  \r\nContent-Type: image/png\r\ncontent-disposition: form-data; "
              "filename=\"C:\\\\x\\\\a b.png\"; name=image\r\n\r\nDATA\r\n--X\r\n--XX--\r\n",
              &f));
    assert_int_equal(f.size, 9);
    assert_memory_equal(f.data, "DATA\r\n--X", 9);
    assert_string_equal(f.name, "a b.png");
    assert_null(parse("Multipart/Form-Data;charset=x; boundary=\"a b\"",
                      "--a b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n\r\n--a b--",
                      &f));
    assert_int_equal(f.size, 0);
    assert_true(multipart_is("multipart/form-data") && multipart_is("Multipart/Form-data; x"));
    assert_false(multipart_is("multipart/form-datax") || multipart_is(NULL));
}

static void test_bad_multipart(void **state) {
    (void)state;
    multipart_file f;
    char many[8192] = "", head[4096];
#define PART "--XX\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nD\r\n"
    assert_string_equal(parse("multipart/form-data", PART "--XX--", &f),
                        "the multipart body has no valid boundary");
    assert_non_null(parse("multipart/form-data; boundary=", PART, &f));
    assert_non_null(parse("multipart/form-data; boundary=\"x", PART, &f));
    assert_non_null(parse("multipart/form-data; boundary="
                          "12345678901234567890123456789012345678901234567890123456789012345678901",
                          PART, &f));
    assert_string_equal(parse(form, "", &f), "the multipart body has no part");
    assert_string_equal(parse(form, "--X", &f), "the multipart body has no part");
    assert_string_equal(parse(form, "--XX", &f), "a boundary of the multipart body is damaged");
    assert_string_equal(parse(form, PART, &f), "the multipart body has no end");
    assert_string_equal(parse(form, "--XX--", &f), "the multipart body has no field 'image'");
    assert_string_equal(parse(form, PART PART "--XX--", &f),
                        "the multipart body has more than one field 'image'");
    assert_non_null(parse(form, "--XX\r\nContent-Disposition: form-data; name=\"image\"", &f));
    for (int i = 0; i <= MULTIPART_PARTS; i++)
        strcat(many, "--XX\r\n\r\nD\r\n");
    strcat(many, "--XX--");
    assert_string_equal(parse(form, many, &f), "the multipart body has too many parts");
    memset(head, 'h', sizeof head);
    memcpy(head, "--XX\r\n", 6);
    memcpy(head + sizeof head - 20, "\r\n\r\nD\r\n--XX--", 14);
    assert_non_null(multipart_find(form, head, sizeof head - 6, &f));
    /* every beginning of a good body is refused, without reading past it */
    static const char body[] = PART "--XX--";
    for (size_t n = 0; n + 1 < sizeof body - 1; n++) {
        char *copy;
        assert_int_equal(mien_new(&copy, n + 1, 1), MIEN_OK);
        memcpy(copy, body, n);
        assert_non_null(multipart_find(form, copy, n, &f));
        mien_free(copy);
    }
}

/* ---- pictures ---- */

static void test_picture_heads(void **state) {
    (void)state;
    uint32_t w, h;
    static const uint8_t png[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\1\0\0\0\0\0\x05";
    static const uint8_t jpeg[] = "\xff\xd8\xff\xe0\0\4xx\xff\xff\xc2\0\x0b\x08\1\2\3\4\1\xff\xda";
    static const uint8_t twice[] =
        "\xff\xd8\xff\xc0\0\x09\x08\0\1\0\1xx\xff\xc0\0\x09\x08\1\0\2\0xx";
    static const uint8_t vp8x[] = "RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x01\0\x02\0\0";
    static const uint8_t vp8l[] = "RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x03\x80\x01\0xxxxxxx";
    assert_true(picture_size_of(png, sizeof png - 1, &w, &h) && w == 65536 && h == 5);
    assert_false(picture_size_of(png, 20, &w, &h));
    assert_true(picture_size_of(jpeg, sizeof jpeg - 1, &w, &h) && w == 0x304 && h == 0x102);
    assert_true(picture_size_of(twice, sizeof twice - 1, &w, &h) && w == 512 && h == 256);
    assert_true(picture_size_of(vp8x, sizeof vp8x - 1, &w, &h) && w == 512 && h == 3);
    assert_true(picture_size_of(vp8l, sizeof vp8l - 1, &w, &h) && w == 4 && h == 7);
    assert_int_equal(picture_kind_of((const uint8_t *)"GIF89a", 6), PICTURE_OTHER);
    assert_int_equal(picture_kind_of((const uint8_t *)"", 0), PICTURE_OTHER);
    for (size_t n = 0; n < sizeof jpeg; n++) /* valgrind and ASan watch */
        picture_size_of(jpeg, n, &w, &h);
}

/* ---- the rest ---- */

static void test_page(void **state) {
    (void)state;
    page_file file;
    assert_true(page_find("/", 1, &file));
    assert_memory_equal(file.data, "<!doctype html>", 15);
    assert_true(page_find("/openapi.json?x", 13, &file) && file.size > 1000);
    assert_int_equal(((const char *)file.data)[file.size - 2], '}');
    assert_false(page_find("/index.html", 11, &file) || page_find("", 0, &file));
}

static void test_metrics(void **state) {
    (void)state;
    static serve_metrics m;
    mien_text text = {0};
    metrics_response(&m, 200);
    metrics_response(&m, 503);
    metrics_response(&m, 700);
    metrics_prediction(&m, 0.003);
    metrics_prediction(&m, 100);
    metrics_batch(&m, 3);
    metrics_text(&m, &(serve_gauges){.ready = true, .version = "1", .commit = "c"}, &text);
    assert_int_equal(text.status, MIEN_OK);
    assert_non_null(strstr(text.data, "mien_http_responses_total{code=\"200\"} 1\n"));
    assert_non_null(strstr(text.data, "mien_predict_seconds_bucket{le=\"0.0025\"} 0\n"));
    assert_non_null(strstr(text.data, "mien_predict_seconds_bucket{le=\"0.005\"} 1\n"));
    assert_non_null(strstr(text.data, "mien_predict_seconds_bucket{le=\"+Inf\"} 2\n"));
    assert_non_null(strstr(text.data, "mien_predict_seconds_sum 100.003"));
    assert_non_null(strstr(text.data, "mien_batch_faces_bucket{le=\"4\"} 1\n"));
    mien_text_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),         cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_targets),       cmocka_unit_test(test_fields),
        cmocka_unit_test(test_origins),       cmocka_unit_test(test_multipart),
        cmocka_unit_test(test_bad_multipart), cmocka_unit_test(test_picture_heads),
        cmocka_unit_test(test_page),          cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
