#!/usr/bin/env bash
# mien serve under attack and under load, in the release build and with AddressSanitizer; behind nginx; its
# page in a browser. Where a package of DEB_GATE (Makefile) is missing, a test is skipped.
set -u
failed=0
skip() { # NAME REASON; CI installs all of it: there a skip would hide that nothing was tested
    if [ -z "${MIEN_CI:-}" ]; then echo "ok $1 # SKIP $2"; else failed=1 && echo "not ok $1: $2"; fi
}
if [ ! -e "$MIEN_BUILD/mien-serve.so" ] || ! command -v python3 >/dev/null || ! command -v ps >/dev/null; then
    skip "mien serve" "there is no mien-serve.so, python3 or ps"
    exit $failed
fi
export OMP_WAIT_POLICY=passive
python3 tests/gate/serve_bad.py || failed=1
python3 tests/gate/serve_load.py || failed=1

if command -v chromedriver >/dev/null && command -v chromium >/dev/null; then
    python3 tests/gate/serve_page.py ${MIEN_SHOTS:+"$MIEN_SHOTS"} || failed=1
else
    skip "the page" "chromium or chromium-driver is not installed"
fi

# nginx with the page's example, on other ports
if command -v nginx >/dev/null && command -v curl >/dev/null; then
    work=$(mktemp -d)
    chmod 711 "$work" # as root, nginx works as another user
    "$MIEN_BUILD/mien" serve --port 0 --detector none --allow-host faces.example.org 2>"$work/log" &
    mien=$!
    for _ in $(seq 300); do grep -q 'serving on' "$work/log" && break; sleep 0.1; done
    port=$(sed -n 's/^serving on http:..127.0.0.1:\([0-9]*\).*/\1/p' "$work/log")
    front=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    {
        echo "daemon off; pid $work/pid; error_log $work/error.log; events {}"
        echo "http { access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;"
        sed "s/listen 80/listen 127.0.0.1:$front/; s/127.0.0.1:8080/127.0.0.1:$port/" packaging/nginx.conf
        echo "}"
    } >"$work/nginx.conf"
    nginx -c "$work/nginx.conf" -p "$work" >"$work/nginx.log" 2>&1 &
    nginx=$!
    for _ in $(seq 50); do curl -s -o "$work/out" "http://127.0.0.1:$front/" && break; sleep 0.1; done
    url=http://127.0.0.1:$front host="Host: faces.example.org"
    if [ "$(curl -s -H "$host" -o "$work/out" -w '%{http_code}' "$url/")" = 200 ] &&
        [ "$(curl -s -H "$host" -H 'Origin: http://faces.example.org' -F image=@datasets/photos/astronaut.png -o "$work/out" -w '%{http_code}' $url/v1/predict)" = 200 ] &&
        grep -q '"faces": \[{"id": 1' "$work/out"; then
        echo "ok behind nginx"
    else
        failed=1
        echo "not ok behind nginx"
        sed 's/^/# /' "$work/nginx.log" "$work/error.log" "$work/log" | tail -20
    fi
    kill $nginx $mien
    wait $nginx $mien
    rm -rf "$work"
else
    skip "behind nginx" "nginx or curl is not installed"
fi

# the same with AddressSanitizer: the handlers and the queue, not the speed
if [ "${MIEN_SANITIZED:-0}" = 0 ]; then
    if make -s SAN=address,undefined CUDA=0 programs >"${TMPDIR:-/tmp}/serve-asan.$$" 2>&1; then
        export MIEN_BUILD=build/address,undefined MIEN_SANITIZED=1 UBSAN_OPTIONS=halt_on_error=1
        export ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0
        { python3 tests/gate/serve_bad.py && python3 tests/gate/serve_load.py 5 2000 20; } >"${TMPDIR:-/tmp}/serve-asan.$$" 2>&1 || failed=1
        sed 's/^ok /ok sanitizers: /; s/^not ok /not ok sanitizers: /' "${TMPDIR:-/tmp}/serve-asan.$$"
    else
        failed=1
        echo "not ok sanitizer build"
    fi
    rm -f "${TMPDIR:-/tmp}/serve-asan.$$"
fi
exit $failed
