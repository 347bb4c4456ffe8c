#!/usr/bin/env bash
# mien serve at full size: schemathesis against /openapi.json; overload for 10 minutes, a million malformed requests and 1,000
# slow clients (MIEN_SERVE_SIZES="SECONDS MALFORMED SLOW" for others).
set -u
failed=0
if [ ! -e "$MIEN_BUILD/mien-serve.so" ] || ! command -v python3 >/dev/null || ! command -v ps >/dev/null; then
    echo "ok mien serve # SKIP there is no mien-serve.so, python3 or ps"
    exit 0
fi
export OMP_WAIT_POLICY=passive
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# NAME SCHEMATHESIS_FLAGS... -- SERVER_FLAGS...
schemathesis() {
    local name=$1 mien port flags=()
    shift
    while [ "$1" != -- ]; do flags+=("$1") && shift; done
    shift
    "$MIEN_BUILD/mien" serve --port 0 "$@" 2>"$work/log" &
    mien=$!
    for _ in $(seq 1200); do grep -q 'serving on' "$work/log" && break; sleep 0.1; done
    port=$(sed -n 's/.*serving on http:..127.0.0.1:\([0-9]*\).*/\1/p' "$work/log")
    # it writes what it remembers into the current folder
    (cd "$work" && exec "$work/venv/bin/schemathesis" --config-file "$config" run "http://127.0.0.1:$port/openapi.json" \
        --max-examples 500 --continue-on-failure "${flags[@]}") >"$work/out" 2>&1
    local status=$?
    kill $mien
    wait $mien || status="the server ended with $?"
    if [ "$status" = 0 ]; then
        echo "ok schemathesis: $name"
        sed -n 's/^ *\([0-9]* generated.*\)/# \1/p' "$work/out"
    else
        failed=1
        echo "not ok schemathesis: $name ($status)"
        sed 's/^/# /' "$work/out" | tail -80
    fi
}

config=$PWD/tests/all/schemathesis.toml
if python3 -m venv "$work/venv" 2>/dev/null && "$work/venv/bin/pip" install -q schemathesis==4.32.5 2>"$work/pip"; then
    echo 0123456789abcdef0123456789abcdef >"$work/token"
    schemathesis "pictures of a face" -- --detector none
    schemathesis "with a detector" -- --min-face 40
    schemathesis "with a token" -H "Authorization: Bearer 0123456789abcdef0123456789abcdef" -- --detector none --token-file "$work/token"
    schemathesis "without the token" -- --detector none --token-file "$work/token"
else
    echo "ok schemathesis # SKIP pip cannot install it"
    sed 's/^/# /' "$work/pip"
fi

read -r -a sizes <<<"${MIEN_SERVE_SIZES:-600 1000000 1000}"
python3 tests/gate/serve_load.py "${sizes[@]}" || failed=1
exit $failed
