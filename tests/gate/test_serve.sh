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

# The examples of packaging/ on other ports: a page and a form of a browser at http://$host reach the server.
front=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
host=faces.example.org
begin_behind() { # starts the server; its port goes to $port, a folder to $work
    work=$(mktemp -d)
    chmod 711 "$work" # as root, nginx works as another user
    "$MIEN_BUILD/mien" serve --port 0 --detector none --allow-host $host 2>"$work/log" &
    mien=$!
    for _ in $(seq 1200); do grep -q 'serving on' "$work/log" && break; sleep 0.1; done
    port=$(sed -n 's/^serving on http:..127.0.0.1:\([0-9]*\).*/\1/p' "$work/log")
}
ask_behind() { # CURL_ARGUMENTS...: the status
    curl -s -o "$work/out" -w '%{http_code}' -H "Host: $host$named" "$@"
}
end_behind() { # NAME PID: asks, and ends both
    local url=http://127.0.0.1:$front named=$3
    for _ in $(seq 600); do curl -s -o "$work/out" "$url/" && break; sleep 0.1; done
    if [ "$(ask_behind "$url/")" = 200 ] &&
        [ "$(ask_behind -H "Origin: http://$host$named" -F image=@datasets/photos/astronaut.png $url/v1/predict)" = 200 ] &&
        grep -q '"faces": \[{"id": 1' "$work/out" &&
        head -c 11000000 /dev/zero | ask_behind -H 'Content-Type: image/png' --data-binary @- $url/v1/predict | grep -q 413; then
        echo "ok behind $1"
    else
        failed=1
        echo "not ok behind $1"
        tail -n 20 "$work"/*log | sed 's/^/# /'
    fi
    kill "$2" $mien
    wait "$2" $mien
    rm -rf "$work"
}

if command -v nginx >/dev/null && command -v curl >/dev/null; then
    begin_behind
    {
        echo "daemon off; pid $work/pid; error_log $work/error.log; events {}"
        echo "http { access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;"
        sed "s/listen 80/listen 127.0.0.1:$front/; s/127.0.0.1:8080/127.0.0.1:$port/" packaging/nginx.conf
        echo "}"
    } >"$work/nginx.conf"
    nginx -c "$work/nginx.conf" -p "$work" >"$work/nginx.log" 2>&1 &
    end_behind nginx $! ""
else
    skip "behind nginx" "nginx or curl is not installed"
fi
if command -v caddy >/dev/null && command -v curl >/dev/null; then
    begin_behind
    { # without a certificate: nobody could give one for this name
        echo "{ admin off"
        echo "}"
        sed "s/^$host/http:\/\/$host:$front/; s/127.0.0.1:8080/127.0.0.1:$port/" packaging/Caddyfile
    } >"$work/Caddyfile"
    XDG_DATA_HOME=$work XDG_CONFIG_HOME=$work caddy run --adapter caddyfile --config "$work/Caddyfile" >"$work/caddy.log" 2>&1 &
    end_behind Caddy $! ":$front"
else
    skip "behind Caddy" "caddy or curl is not installed"
fi

# the unit, with a program that exists
if command -v systemd-analyze >/dev/null; then
    work=$(mktemp -d)
    sed "s|/usr/local/bin/mien|$PWD/$MIEN_BUILD/mien|" packaging/mien-serve.service >"$work/mien-serve.service"
    said=$(systemd-analyze verify "$work/mien-serve.service" 2>&1) && [ -z "$said" ] && echo "ok systemd unit" ||
        { failed=1 && echo "not ok systemd unit: $said"; }
    rm -rf "$work"
else
    skip "systemd unit" "systemd is not installed"
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
