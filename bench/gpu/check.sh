# Sourced by day.sh. Compares the GPU's results with the CPU's, and runs with each other.
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
# The tests of tests/cuda; the engines that they choose are not kept.
test_program() {
    with_gpu 120 env CMOCKA_MESSAGE_OUTPUT=TAP MIEN_H5="$modules/mien-h5" XDG_CACHE_HOME="$work/tests" "$1"
}

# `mien parity`: compares values and gradients with the CPU, layer by layer. The whole table is the part's
# data; the worst difference of each kind is printed.
parity() { # NETWORK DTYPE BATCH
    local status=0
    with_gpu 120 "$program" parity --model "$1" --device cuda --dtype "$2" --batch "$3" "${parity_size[@]}" \
        --json >"$work/table" 2>"$work/said" || status=$?
    cat "$work/said"
    if [ ! -s "$work/table" ]; then
        echo "not ok parity $1 $2 $3: exit status $status"
        return $status
    fi
    awk '
        { value = $0; sub(/^[^:]*: /, "", value); sub(/,$/, "", value); gsub(/"/, "", value) }
        /"bound":/ { bound = value }
        /"name":/ { name = value }
        /"(value|input_gradient|weight_gradient)":/ { split($0, key, "\""); kind = key[2] }
        /"relative":/ {
            relative = value
            if (!(kind in worst) || relative + 0 >= worst[kind]) {
                worst[kind] = relative + 0
                where[kind] = name
            }
        }
        /"ok": false/ && kind { printf "# %s of %s: %s, beyond the bound\n", kind, name, relative }
        END {
            for (kind in worst)
                printf "# %s: at most %.2g (%s), %.0f%% of the bound\n", kind, worst[kind], where[kind],
                    100 * worst[kind] / bound
        }' "$work/table"
    mv "$work/table" "$work/data.json"
    if [ $status -eq 0 ]; then echo "ok parity $1 $2 $3"; else echo "not ok parity $1 $2 $3"; fi
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

# ---- all of it ----------------------------------------------------------------------------------
# Engines are chosen by shape: only parity at the batch that trains checks those that train.
if [ "$fake" = 1 ]; then
    rows=60 side=12 parity_size=(--size 16) nets=sample dtypes='f32 bf16' batch=2 trained='sample/bf16/4'
else
    rows=640 side=48 parity_size=() nets='classic vgg seresnet' dtypes='f32 tf32 bf16 f16' batch=16
    trained='classic/bf16/1024 classic/tf32/1024 vgg/bf16/256 vgg/tf32/256'
fi
for case in $trained; do
    IFS=/ read -r net dtype size <<<"$case"
    part 120 "parity $net $dtype $size" parity "$net" "$dtype" "$size"
done
for dtype in $dtypes; do
    for net in $nets; do part 60 "parity $net $dtype" parity "$net" "$dtype" $batch; done
done
make_faces "$rows" "$side" >"$work/faces.csv"
part 120 repeat repeat
part 60 graphs graphs
part 90 curve curve
for dtype in tf32 bf16 f16; do part 60 "learns $dtype" learns "$dtype"; done
for test in $(device_tests "$tests"); do
    part 60 "${test##*/}" test_program "$test"
done
