# Sourced by day.sh: runs the parts of a step, counts their results and writes them down. A part is a
# function that prints TAP; comments go to the report, and if it leaves $work/data.json, that does too.
report=$out/$result
passed=0 failed=0 skipped=0
parts=() # JSON objects
log=$work/log

text() { printf '"%s"' "$(tr -d '\000-\010\013-\037' <<<"$1" | sed 's/[\\"]/\\&/g; s/\t/ /g')"; }

lines() { # a JSON array of the lines on the input
    local line first=1
    printf '['
    while IFS= read -r line; do
        [ $first = 1 ] || printf ', '
        first=0
        text "$line"
    done
    printf ']'
}

notes() { # comments and skip reasons of a part, without cmocka's "# ok" lines
    sed -nE '/^# (not )?ok/d; s/^ok .*# SKIP */skipped: /p; s/^# //p' "$log"
}

# Runs a function for at most so many seconds. Its commands have limits themselves (with_gpu). A process
# that cannot be killed, because it hangs in the driver, is left behind.
guarded() { # SECONDS COMMAND...
    local pid
    part_end=$((SECONDS + $1))
    shift
    "$@" </dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        if [ $SECONDS -ge $((part_end + 8)) ]; then
            kill -KILL $pid
            return 124
        fi
        sleep 0.1
    done
    wait $pid
}

part() { # SECONDS NAME COMMAND...
    local limit name=$2 status=0 start=$EPOCHREALTIME ok skip bad took
    part_end=$budget
    limit=$(within "$1")
    shift 2
    rm -f "$work/data.json"
    if [ "$limit" -gt 2 ]; then
        guarded "$limit" "$@" >"$log" 2>&1 || status=$?
    else
        echo "ok $name # SKIP no time left" >"$log"
    fi
    took=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    [[ $status != @(124|137) ]] || echo "stopped after $took s" >>"$log"
    skip=$(grep -cE '^ok .*# SKIP' "$log") || true
    ok=$(grep -cE '^ok ' "$log") || true
    bad=$(grep -cE '^not ok ' "$log") || true
    ok=$((ok - skip))
    if [ "$bad" -eq 0 ] && { [ $status -ne 0 ] || [ $((ok + skip)) -eq 0 ]; }; then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    printf '%-34s %3d passed %s%s (%s s)\n' "$name" "$ok" \
        "$([ "$bad" -eq 0 ] || echo "$bad FAILED ")" "$([ "$skip" -eq 0 ] || echo "$skip skipped")" "$took"
    notes | sed 's/^/    /'
    [ "$bad" -eq 0 ] || tail -40 "$log" | sed 's/^/    /'
    parts+=("$(
        printf '{"name": %s, "passed": %d, "failed": %d, "skipped": %d, "seconds": %s,\n' \
            "$(text "$name")" "$ok" "$bad" "$skip" "$took"
        printf '   "notes": %s' "$({ notes; [ "$bad" -eq 0 ] || tail -20 "$log"; } | lines)"
        [ ! -s "$work/data.json" ] || printf ',\n   "data": %s' "$(cat "$work/data.json")"
        echo '}'
    )")
    write_report false
}

# After every part, so that a step that is killed loses only its last one.
write_report() { # COMPLETE
    local object first=1
    {
        printf '{"schema": 1, "step": "%s", "complete": %s, "date": "%s", "commit": %s,\n' \
            "$step" "$1" "$(date -u +%FT%TZ)" "$(text "$commit")"
        printf ' "gpu": %s, "driver": %s,\n' "$(text "$gpu")" "$(text "$driver")"
        printf ' "seconds": %d, "budget": %d, "passed": %d, "failed": %d, "skipped": %d,\n "parts": [\n' \
            "$SECONDS" "$budget" "$passed" "$failed" "$skipped"
        for object in "${parts[@]}"; do
            [ $first = 1 ] || printf ',\n'
            first=0
            printf '  %s' "$object"
        done
        printf '\n ]}\n'
    } >"$report.json.new"
    mv "$report.json.new" "$report.json"
    [ ! -f "$engines" ] || cp "$engines" "$out/engines.json"
}

start_report() {
    exec > >(tee "$report.txt") 2>&1
    tee=$!
    echo "Mien $commit on $gpu, driver $driver, step $step, $(date -u +%FT%TZ)"
}

end_report() {
    write_report true
    echo "written to $report.txt and .json, $SECONDS s"
    echo "$passed passed, $failed failed, $skipped skipped"
    exec >&- 2>&-
    wait "$tee" || true
    [ "$failed" -eq 0 ]
}

# ---- what several steps run -----------------------------------------------------------------------
# `mien bench`: its document becomes the part's data.
measure() { # LIMIT ARGUMENTS...
    local limit=$1 status=0
    shift
    with_gpu "$limit" "$program" bench "$@" --device cuda --json \
        >"$work/measured" 2>"$work/said" || status=$?
    if [ $status -ne 0 ]; then
        echo "mien bench $*: exit status $status"
        tail -5 "$work/said"
        return $status
    fi
    mv "$work/measured" "$work/data.json"
    awk '
        /^  "(median|p99|images_per_second|host_seconds)": [0-9]/ {
            split($0, field, "\"")
            sub(/^[^:]*: /, "")
            at[field[2]] = $0 + 0
        }
        END {
            printf "# median %.1f us, p99 %.1f us, ", at["median"] * 1e6, at["p99"] * 1e6
            printf "%.0f images/s", at["images_per_second"]
            if ("host_seconds" in at) printf ", host %.1f us", at["host_seconds"] * 1e6
            print ""
        }' "$work/data.json"
    echo "ok mien bench $*"
}
