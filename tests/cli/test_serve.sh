#!/usr/bin/env bash
# mien serve from the command line: flags, messages, and the answers as curl sees them.
. tests/cli/lib.sh

refuse 2 "a port that is none" "--port must be a whole number" -- serve --port 99999
refuse 2 "a queue of nothing" "--max-queue must be a whole number" -- serve --max-queue 0
refuse 2 "a certificate without a key" "--tls-cert and --tls-key need each other" -- serve --tls-cert x
refuse 2 "other machines without a token" "--host 0.0.0.0 lets other machines in" "--token-file" "--no-auth" -- serve --host 0.0.0.0
refuse 2 "other machines, IPv6" "lets other machines in" -- serve --host ::
refuse 2 "a token and none" "exclude each other" -- serve --no-auth --token-file x
refuse 2 "--allow-host with a scheme" "without scheme, port and path" -- serve --allow-host https://a.example
refuse 2 "--allow-host with a port" "without scheme, port and path" -- serve --allow-host a.example:80
echo short >token
refuse 1 "a short token" "has 5 characters, at least 16 are needed" -- serve --token-file token
echo "two words that are long enough" >token
refuse 1 "a token with spaces" "must hold one token" -- serve --token-file token
refuse 1 "no token file" "no-such-file" -- serve --token-file no-such-file
check "it starts without the library" eval '"$mien" --version >/dev/null && ! ldd "$mien" | grep -q microhttpd'

if [ ! -e "${mien%/*}/mien-serve.so" ]; then
    refuse 1 "a build without it" "SERVE=1" -- serve --port 0
    skip "mien serve" "this build has no mien-serve.so"
    finish
fi
if [ $have_h5 = 0 ] || ! command -v curl >/dev/null; then
    skip "mien serve" "there is no mien-h5 or no curl"
    finish
fi
refuse 1 "an address of another machine" "this machine has no address 192.0.2.1" -- serve -q --host 192.0.2.1 --no-auth

start() { # ARGUMENT…: sets pid and url
    "$mien" serve --port 0 "$@" 2>serve.log &
    pid=$!
    for _ in $(seq 1200); do
        url=$(sed -n 's/^serving on \([^ ]*\) .*/\1/p' serve.log)
        [ -n "$url" ] && return
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    fail "it starts" "$(cat serve.log)"
    finish
}
stop() { kill -TERM $pid && wait $pid; }
code() { curl -s -o answer -w '%{http_code}' "$@"; }

photo=$root/datasets/photos/astronaut.png
cp "$photo" image
detector=()
"$mien" predict image -q --json >want.json 2>predict.err || detector=(--detector none)
[ ${#detector[@]} -eq 0 ] || "$mien" predict image -q --json "${detector[@]}" >want.json
start "${detector[@]}" --model "$root/models/fer2013-small.h5"
check "a picture: the JSON of mien predict" eval '[ "$(code --data-binary @image -H "Content-Type: image/png" ${url}v1/predict)" = 200 ] && cmp answer want.json'
cp "$photo" face.png
check "a form: the JSON of mien predict" eval '[ "$(code -F image=@face.png ${url}v1/predict)" = 200 ] && sed s/image/face.png/ want.json | cmp answer -'
check "in chunks" eval '[ "$(code --data-binary @image -H "Content-Type: image/png" -H "Transfer-Encoding: chunked" ${url}v1/predict)" = 200 ] && cmp answer want.json'
check "a frame of a webcam" eval '[ "$(code --data-binary @image -H "Content-Type: image/png" "${url}v1/predict?live=1")" = 200 ]'
check "HTTP/1.0" eval '[ "$(code -0 --data-binary @image -H "Content-Type: image/png" ${url}v1/predict)" = 200 ]'
for path in "" style.css app.js views.js icon.svg openapi.json v1/model healthz readyz metrics; do
    check "GET /$path" eval '[ "$(code $url$path)" = 200 ] && [ -s answer ]'
done
check "HEAD" eval '[ "$(code -I $url)" = 200 ]'
check "/v1/model" eval 'curl -s ${url}v1/model | grep -qE "\"models\": \[\"fer2013-small.h5\"\], \"classes\": \[\"angry\""'
check "metrics count" eval 'curl -s ${url}metrics | grep -qx "mien_predict_seconds_count 5"'
check "an error is JSON" eval '[ "$(code -d x ${url}v1/predict)" = 415 ] && grep -q "^{\"error\": {\"code\": \"wrong_type\", \"message\": \"" answer'
check "a foreign host" eval '[ "$(code -H "Host: evil.example" $url)" = 421 ] && grep -q -- "--allow-host evil.example" answer'
check "SIGTERM: 0" stop
check "the log: a line a request, with status" grep -qE '^20[0-9-]+T[0-9:]+Z 127.0.0.1 "POST /v1/predict" 200 [0-9]+ bytes [0-9.]+ ms$' serve.log

start --detector none --allow-host faces.example.org --drop-classes neutral
check "--allow-host" eval '[ "$(code -H "Host: faces.example.org" $url)" = 200 ]'
check "--drop-classes" eval '! curl -s ${url}v1/model | grep -q neutral'
kill -INT $pid
check "Ctrl-C: 0" wait $pid
finish
