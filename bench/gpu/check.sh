#!/usr/bin/env bash
# make check-gpu: the tests that need a GPU, in under ten minutes. Writes
# gpu-check-<gpu>-<commit>.txt and .json; the last line is "N passed, N failed, N skipped".
cd "$(dirname "$0")/../.."
. bench/gpu/lib.sh

report=$out/gpu-check-$result
exec > >(tee "$report.txt") 2>&1
tee=$!
passed=0 failed=0 skipped=0
parts=() # JSON objects
log=$work/log

# ---- counting: every part prints TAP ------------------------------------------------------------
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

part() { # NAME COMMAND...
    local name=$1 status=0 start=$EPOCHREALTIME ok skip bad seconds
    shift
    if [ "$(left)" -gt 2 ]; then
        "$@" >"$log" 2>&1 || status=$?
    else
        echo "ok $name # SKIP no time left" >"$log"
    fi
    seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    [ $status -ne 124 ] || echo "stopped after $seconds s" >>"$log"
    skip=$(grep -cE '^ok .*# SKIP' "$log") || true
    ok=$(grep -cE '^ok ' "$log") || true
    bad=$(grep -cE '^not ok ' "$log") || true
    ok=$((ok - skip))
    if [ "$bad" -eq 0 ] && { [ $status -ne 0 ] || [ $((ok + skip)) -eq 0 ]; }; then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    printf '%-34s %3d passed %s%s (%s s)\n' "$name" "$ok" \
        "$([ "$bad" -eq 0 ] || echo "$bad FAILED ")" "$([ "$skip" -eq 0 ] || echo "$skip skipped")" "$seconds"
    notes | sed 's/^/    /'
    [ "$bad" -eq 0 ] || tail -40 "$log" | sed 's/^/    /'
    parts+=("{\"name\": $(text "$name"), \"passed\": $ok, \"failed\": $bad, \"skipped\": $skip, \"seconds\": $seconds, \
\"notes\": $({ notes; [ "$bad" -eq 0 ] || tail -20 "$log"; } | lines)}")
}

mien() { # LIMIT ARGUMENTS...: prints its output only if it fails
    local limit=$1 status=0
    shift
    with_gpu "$limit" "$program" "$@" >"$work/said" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        echo "mien $*: exit status $status"
        tail -5 "$work/said"
    fi
    return $status
}

# ---- generated data and networks -----------------------------------------------------------------
# A csv in fer2013's format: patterns that differ by class, with noise.
make_faces() { # ROWS SIDE
    awk -v rows="$1" -v side="$2" 'BEGIN {
        srand(7)
        print "emotion,pixels,Usage"
        for (row = 0; row < rows; row++) {
            class = row % 7
            line = ""
            for (i = 0; i < side * side; i++) {
                wave = sin((i % side) * (class + 1) * 0.31) * cos(int(i / side) * (7 - class) * 0.23)
                line = line (i ? " " : "") int(128 + 40 * wave + 160 * (rand() - 0.5))
            }
            print class "," line "," (row % 5 == 4 ? "PublicTest" : "Training")
        }
    }'
}

make_recipe() { # DROPOUT AUGMENT(true|false) EPOCHS BATCH
    cat >"$work/net.yaml" <<END
name: small
layers:
  - conv2d: {filters: 16, kernel_size: 3, padding: same, activation: relu}
  - max_pooling2d
  - conv2d: {filters: 32, kernel_size: 3, padding: same}
  - batch_normalization
  - activation: {activation: relu}
  - max_pooling2d
  - flatten
  - dense: {units: 64, activation: relu}
  - dropout: {rate: $1}
  - dense: {units: classes, activation: softmax}
END
    local size=0
    [ "$2" = false ] || size=0.1
    cat <<END
model: {file: $work/net.yaml}
data: {sources: [$work/faces.csv]}
input: {height: $side, width: $side}
augment: {flip: $2, rotate: 0, shift: $size, zoom: $size, brightness: $size, contrast: $size}
optimizer: {name: adam, learning_rate: 0.001}
train: {epochs: $3, batch_size: $4}
END
}

# ---- parts --------------------------------------------------------------------------------------
devices() {
    with_gpu 60 "$program" devices >"$work/said" 2>&1 || true
    sed 's/^/# /' "$work/said"
    if grep -qE '^cuda(:[0-9]+)? +yes' "$work/said"; then echo "ok devices"; else echo "not ok devices"; fi
}

test_program() {
    with_gpu 120 env CMOCKA_MESSAGE_OUTPUT=TAP MIEN_H5="$modules/mien-h5" "$1"
}

# `mien parity`: compares with the CPU, layer by layer.
parity() { # NETWORK DTYPE
    local status=0
    with_gpu 60 "$program" parity --model "$1" --device cuda --dtype "$2" "${parity_size[@]}" \
        >"$work/said" 2>&1 || status=$?
    if grep -q 'not in this version' "$work/said"; then
        echo "ok parity $1 $2 # SKIP this program has no such command"
    elif [ $status -eq 0 ]; then
        tail -1 "$work/said" | sed 's/^/# /'
        echo "ok parity $1 $2"
    else
        cat "$work/said"
        echo "not ok parity $1 $2"
        return $status
    fi
}

same() { # NAME FILE FILE
    if cmp "$2" "$3"; then echo "ok $1"; else echo "not ok $1"; fi
}

train() { # FOLDER ARGUMENTS...
    mien 90 train "$work/recipe.yaml" --out "$work/$1" --force -q "${@:2}"
}

# Two deterministic runs must give the same weights, bit for bit.
repeat() {
    make_recipe 0.3 true 3 "$((rows / 10))" >"$work/recipe.yaml"
    train one --device cuda --deterministic || return
    train two --device cuda --deterministic || return
    same "log of a repeated run" "$work/one/log.csv" "$work/two/log.csv"
    same "weights of a repeated run" "$work/one/best.h5" "$work/two/best.h5"
}

# A replayed step must equal a launched one. Needs the runs of `repeat`.
graphs() {
    [ -s "$work/one/log.csv" ] || { echo "not ok graphs: the run before them failed"; return; }
    MIEN_CUDA_GRAPHS=0 train eager --device cuda --deterministic || return
    same "log without graphs" "$work/one/log.csv" "$work/eager/log.csv"
    same "weights without graphs" "$work/one/best.h5" "$work/eager/best.h5"
}

# Twenty steps on both devices. A batch is the whole training part, so that log.csv has the loss of every
# step.
curve() {
    make_recipe 0 false 20 "$((rows * 4 / 5))" >"$work/recipe.yaml"
    train cpu --device cpu --set train.dtype=f32 || return
    train gpu --device cuda --set train.dtype=f32 || return
    paste -d, "$work/cpu/log.csv" "$work/gpu/log.csv" | awk -F, '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == "loss") at[++n] = i; next }
        { d = $at[1] - $at[2]; if (d < 0) d = -d; if (d > worst) worst = d; steps++
          if ($at[1] $at[2] ~ /n/) worst = 1 # inf, nan
          first = steps == 1 ? $at[1] : first; last = $at[1] }
        END {
            printf "# loss %.4f to %.4f over %d steps, largest difference %.2g\n", first, last, steps, worst
            print (n == 2 && steps == 20 && worst <= 1e-4 && last < first ? "ok" : "not ok"), "curve against the CPU"
        }'
}

# Training in reduced precision must learn the same task.
learns() { # DTYPE
    make_recipe 0.1 true 6 "$((rows / 20))" >"$work/recipe.yaml"
    train "learns-$1" --device cuda --set "train.dtype=$1" || return
    awk -F, -v dtype="$1" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        NR == 2 { first = $at["loss"] }
        { last = $at["loss"] }
        END {
            printf "# loss %.4f to %.4f\n", first, last
            print (last > 0 && last < 0.9 * first ? "ok" : "not ok"), "training in", dtype
        }' "$work/learns-$1/log.csv"
}

# Runs our own kernels under compute-sanitizer; tests that call library kernels are left out.
sanitize() { # TOOL TEST
    local name=${2##*/} status=0
    with_gpu 60 env CMOCKA_MESSAGE_OUTPUT=TAP compute-sanitizer --tool "$1" --error-exitcode 99 "$2" \
        >"$work/said" 2>&1 || status=$?
    case $status in
    0) echo "ok $1 $name" ;;
    124 | 137) echo "ok $1 $name # SKIP not finished in time" ;;
    *)
        grep -E '^=====|^not ok' "$work/said" | head -30
        echo "not ok $1 $name (exit status $status)"
        ;;
    esac
}

sanitizers() {
    local tool test
    if [ "$fake" = 1 ]; then
        echo "ok compute-sanitizer # SKIP there is no GPU"
    elif ! command -v compute-sanitizer >/dev/null; then
        echo "ok compute-sanitizer # SKIP it is not installed"
    else
        for tool in memcheck racecheck synccheck initcheck; do
            for test in "$tests"/test_*; do
                [ -f "$test" ] && [ -x "$test" ] || continue
                [[ ${test##*/} == test_@(harness|launchers|engines|network|conv|dense) ]] || sanitize "$tool" "$test"
            done
        done
    fi
}

# ---- run all parts ------------------------------------------------------------------------------
rows=640 side=48 parity_size=(--batch 16) nets='classic vgg seresnet' dtypes='f32 tf32 bf16 f16'
if [ "$fake" = 1 ]; then rows=80 side=12 parity_size=(--batch 1 --size 24) nets=classic dtypes='f32 bf16'; fi
echo "Mien $commit on $gpu, driver $driver, $(date -u +%FT%TZ)"
ldd "$modules/mien-cuda.so" | sed -nE 's/^\t(lib(cud|cublas|nv).*)/  \1/p'
make_faces "$rows" "$side" >"$work/faces.csv"

part devices devices
for test in "$tests"/test_*; do
    [ -f "$test" ] && [ -x "$test" ] || continue
    [[ $test != *_@(harness|launchers|engines) ]] || continue # they need the CPU emulation
    part "${test##*/}" test_program "$test"
done
part curve curve
part repeat repeat
part graphs graphs
for dtype in tf32 bf16 f16; do part "learns $dtype" learns "$dtype"; done
for net in $nets; do
    for dtype in $dtypes; do part "parity $net $dtype" parity "$net" "$dtype"; done
done
part sanitizers sanitizers

{
    printf '{"schema": 1, "date": %s, "commit": %s, "gpu": %s, "driver": %s, "seconds": %d,\n' \
        "$(text "$(date -u +%FT%TZ)")" "$(text "$commit")" "$(text "$gpu")" "$(text "$driver")" "$SECONDS"
    printf ' "passed": %d, "failed": %d, "skipped": %d,\n "parts": [\n' "$passed" "$failed" "$skipped"
    first=1
    for object in "${parts[@]}"; do
        [ $first = 1 ] || printf ',\n'
        first=0
        printf '  %s' "$object"
    done
    printf '\n ]}\n'
} >"$report.json"
echo "written to $report.txt and .json, $SECONDS s"
echo "$passed passed, $failed failed, $skipped skipped"
exec >&- 2>&-
wait "$tee" || true
[ "$failed" -eq 0 ]
