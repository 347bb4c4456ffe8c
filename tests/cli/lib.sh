# Helpers of the command-line tests: source this first, end with `finish`. Tests run in a temporary
# folder ($work), which is removed at the end, and print TAP.
set -u
case $MIEN_BUILD in /*) mien=$MIEN_BUILD/mien ;; *) mien=$PWD/$MIEN_BUILD/mien ;; esac
root=$PWD
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
# let idle OpenMP threads sleep: other tests may be running
export OMP_WAIT_POLICY=passive

if [ -x "${mien%/*}/mien-h5" ]; then
    have_h5=1
else
    have_h5=0
fi

pass() { echo "ok $*"; }
skip() { echo "ok $1 # SKIP $2"; } # name reason
fail() { # name, then lines that explain
    failed=1
    echo "not ok $1"
    shift
    for line in "$@"; do echo "# $line"; done
}
finish() { exit $failed; }

# check NAME COMMAND…: passes if the command succeeds; otherwise shows its output.
check() {
    local name=$1
    shift
    if "$@" >check.log 2>&1; then pass "$name"; else fail "$name" "$*" "$(tail -3 check.log)"; fi
}

# wait_until COMMAND…: until it succeeds. Two minutes at most: on a busy machine, with sanitizers, what
# takes milliseconds may take that.
wait_until() {
    local end=$((SECONDS + 120))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}

# refuse STATUS NAME PATTERN… -- ARGUMENT…: `mien ARGUMENT…` ends with that status and one message
# on stderr that contains every pattern (fixed strings). Warnings may precede it.
refuse() {
    local want=$1 name=$2 status said pattern
    local -a patterns=()
    shift 2
    while [ "$1" != -- ]; do patterns+=("$1") && shift; done
    shift
    rm -rf never # the output path of refused runs
    timeout 120 "${wrap[@]}" "$mien" "$@" >out.log 2>err.log </dev/null
    status=$?
    said=$(grep -vE '^(warning: |see mien |Epoch )' err.log)
    if [ $status -ne "$want" ]; then
        fail "$name" "status $status, not $want" "$said"
    elif [ "$(printf '%s\n' "$said" | wc -l)" -ne 1 ] || [[ $said != mien:\ ?* ]]; then
        fail "$name" "not one message: $said"
    elif [ -n "$(ls -A never 2>/dev/null)" ]; then
        fail "$name" "it wrote $(ls never)"
    else
        for pattern in "${patterns[@]}"; do
            [[ $said == *"$pattern"* ]] && continue
            fail "$name" "'$pattern' is not in: $said"
            return
        done
        pass "$name"
    fi
}
wrap=() # a command that runs mien, for refuse

# faces N SEED: a csv of N images of 48x48 in seven classes that a small network learns: a bright
# block over noise, whose position depends on the class. Every class has Training, PublicTest and PrivateTest rows.
faces() {
    awk -v n="$1" -v s="$2" 'BEGIN {
        print "emotion,pixels,Usage"
        for (i = 0; i < n; i++) {
            k = i % 7
            line = ""
            for (y = 0; y < 48; y++)
                for (x = 0; x < 48; x++) {
                    s = (s * 16807 + 1) % 2147483647
                    bright = int(x / 8) == k % 6 && int(y / 24) == int(k / 6)
                    line = line (x + y ? " " : "") s % 60 + (bright ? 150 : 20)
                }
            u = int(i / 7) % 10
            print k "," line "," (u < 6 ? "Training" : u < 8 ? "PublicTest" : "PrivateTest")
        }
    }'
}

# A network of 747 parameters.
tiny_network() {
    cat <<'YAML'
name: tiny
layers:
  - conv2d: {filters: 4, kernel_size: 3, strides: 2, activation: relu}
  - max_pooling2d: {pool_size: 4}
  - flatten
  - dense: {units: classes, activation: softmax}
YAML
}

# Flags for a training run of at most a second.
quick=(-q --threads 1 --set model.file=tiny.yaml --set train.epochs=1 --set train.batch_size=16
    --set optimizer.learning_rate=0.01 --set augment.flip=false)
