#!/usr/bin/env bash
# Runs the tests of one tier and counts: run.sh BUILD_FOLDER check|isa|gate|all
# Test programs and scripts speak TAP: lines "ok", "not ok", "ok … # SKIP reason".
set -u
build=$1 tier=$2
export MIEN_BUILD=$build MIEN_TIER=$tier MIEN_H5=$build/mien-h5 CMOCKA_MESSAGE_OUTPUT=TAP
export MIEN_DATA=${MIEN_DATA:-../shared/data}
passed=0 failed=0 skipped=0 failures=
limit=600 # seconds for one test: one that hangs has failed
[ "$tier" = gate ] && limit=2400
[ "$tier" = all ] && limit=7200
log=$(mktemp)
export XDG_CACHE_HOME=$(mktemp -d) # keep the user's tuning cache out of the tests
trap 'rm -rf "$log" "$log.end" "$XDG_CACHE_HOME"' EXIT

count() { # name status
    local ok skip bad
    # cmocka writes a skipped test as "not ok"
    sed -i 's/^not ok \(.*# SKIP\)/ok \1/' "$log"
    skip=$(grep -cE '^ok .*# SKIP' "$log")
    ok=$(($(grep -cE '^ok ' "$log") - skip))
    bad=$(grep -cE '^not ok ' "$log")
    # a crash after the last line, or a test that said nothing, is a failure too
    if [ "$bad" -eq 0 ] && { [ "$2" -ne 0 ] || [ $((ok + skip)) -eq 0 ]; }; then bad=1; fi
    passed=$((passed + ok)) skipped=$((skipped + skip)) failed=$((failed + bad))
    printf '%-34s %3d passed %s%s (%.1f s)\n' "$1" "$ok" \
        "$([ "$bad" -gt 0 ] && echo "$bad FAILED ")" "$([ "$skip" -gt 0 ] && echo "$skip skipped")" "$3"
    [ "$skip" -gt 0 ] && sed -n 's/^ok .*# SKIP/    skipped:/p' "$log"
    if [ "$bad" -gt 0 ]; then
        sed 's/^/    /' "$log" | tail -40
        failures+=$(printf '%s\n' "$1:" && { grep -E '^not ok' "$log" || tail -3 "$log"; } | head -5)$'\n'
    fi
}

# Runs a command into $1.log and leaves its status and seconds in $1.end.
into() { # file command...
    local to=$1 start=$EPOCHREALTIME status
    shift
    timeout "$limit" "$@" >"$to.log" 2>&1 </dev/null
    status=$?
    [ $status -eq 124 ] && echo "stopped after $limit s" >>"$to.log"
    echo "$status $(echo "$EPOCHREALTIME $start" | awk '{print $1 - $2}')" >"$to.end"
}

run() { # name command...
    local name=$1 status seconds
    shift
    into "$log" "$@"
    read -r status seconds <"$log.end"
    mv "$log.log" "$log"
    count "$name" "$status" "$seconds"
}

# Runs programs and scripts that do not load all cores in parallel. Tests of the CUDA module use the
# fake one unless MIEN_MODULES is set; tests/gate/test_orders.sh runs other orders of its threads.
run_parallel() { # test...
    local folder status seconds name
    folder=$(mktemp -d)
    export -f into
    export limit
    printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c '
        case $2 in */cuda/*) export MIEN_MODULES=${MIEN_MODULES:-$MIEN_BUILD/fake} ;; esac
        case $2 in *.sh) set -- "$1/${2##*/}" bash "$2" ;; *) set -- "$1/${2##*/}" "$2" ;; esac
        into "$@"' - "$folder" {}
    for test in "$@"; do
        name=${test#"$build"/}
        read -r status seconds <"$folder/${test##*/}.end"
        cp "$folder/${test##*/}.log" "$log"
        count "${name#tests/}" "$status" "$seconds"
    done
    rm -rf "$folder"
}

case $tier in
check)
    parallel=()
    for test in "$build"/tests/*/test_*; do
        [ -f "$test" ] && [ -x "$test" ] || continue
        case $test in
        */h5/*)
            if [ -x "$MIEN_H5" ]; then
                parallel+=("$test")
            else
                run h5/test_h5 echo "ok h5 # SKIP this build has no mien-h5"
            fi
            ;;
        */cuda/*) parallel+=("$test") ;;
        *) run "${test#"$build"/tests/}" "$test" ;;
        esac
    done
    run_parallel "${parallel[@]}" tests/cli/test_*.sh tests/lint/test_*.sh
    ;;
isa) run gate/test_isa.sh bash tests/gate/test_isa.sh ;;
*)
    for script in tests/$tier/test_*.sh; do
        [ -e "$script" ] && run "${script#tests/}" bash "$script"
    done
    ;;
esac
# once more at the end, where a log that was cut short still shows them
[ "$failed" -eq 0 ] || printf 'failed:\n%s' "$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
