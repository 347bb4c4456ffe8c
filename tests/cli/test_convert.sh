#!/usr/bin/env bash
# mien convert from the command line: a small trained network in int8 and in float, evaluated and
# inspected, and what is wrong with what the user gives.
. tests/cli/lib.sh

if [ $have_h5 = 0 ]; then
    skip "convert" "this build has no mien-h5"
    finish
fi

faces 210 1 >faces.csv
cat >tiny.yaml <<'YAML'
name: tiny
layers:
  - conv2d: {filters: 16, kernel_size: 3, strides: 2, activation: relu}
  - max_pooling2d
  - conv2d: {filters: 24, kernel_size: 3, use_bias: false}
  - batch_normalization: {momentum: 0.5}
  - activation: {activation: relu}
  - max_pooling2d
  - flatten
  - dense: {units: 32, activation: relu}
  - dense: {units: classes, activation: softmax}
YAML
check "train" "$mien" train "${quick[@]}" --set train.epochs=6 --data faces.csv --out run
convert=(convert run m.safetensors --calibrate faces.csv --threads 1)
check "convert" "$mien" "${convert[@]}"
cp check.log convert.log
check "convert: two layers of four" grep -q "2 of 4 layers in int8.* 126 images" convert.log
check "convert --json" eval '"$mien" "${convert[@]}" --json >c.json && grep -q "\"int8_layers\": 2" c.json'
check "convert --images" eval '"$mien" "${convert[@]}" --images 50 | grep -q "50 images"'
check "convert --split val" eval '"$mien" "${convert[@]}" --split val | grep -q "42 images"'
check "smaller than the .h5" test "$(stat -c %s m.safetensors)" -lt "$(stat -c %s run/best.h5)"
check "inspect" eval '"$mien" inspect m.safetensors | grep -q "^int8 *conv2d_1 dense (42 images"'
check "inspect --json" eval '"$mien" inspect m.safetensors --json | grep -q mien-int8'

score() { # MODEL FILE: predictions of the validation part, its accuracy on stdout
    "$mien" evaluate --model "$1" --data faces.csv --split val --threads 1 --predictions "$2" |
        sed -n 's/^accuracy \([0-9.]*\).*/\1/p'
}
# near FILE FILE LIMIT: no probability of one table is further than LIMIT from the other's
near() {
    paste -d, "$1" "$2" | awk -F, -v limit="$3" 'NR > 1 {
        for (k = 4; k <= 10; k++) {
            d = $k - $(k + 10)
            if (d > limit || -d > limit) exit 1
        }
    } END { if (NR != 43) exit 1 }'
}
before=$(score run f32.csv)
after=$(score m.safetensors int8.csv)
check "accuracy: $before in f32, $after in int8" awk "BEGIN { exit !($after > $before - 0.05 && $before > 0.5) }"
check "probabilities near f32's" near f32.csv int8.csv 0.08
check "the other batches give the same" eval '"$mien" evaluate --model m.safetensors --data faces.csv \
    --split val --threads 1 --batch 1 --predictions one.csv && near one.csv int8.csv 0.0001'

bench_int8=(bench infer m.safetensors --dtype int8 --batch 4 --seconds 0.1 --threads 1)
if "$mien" devices | grep -q "^int8 *yes"; then
    check "bench" eval '"$mien" "${bench_int8[@]}" --json >bench.json && grep -q "\"dtype\": \"int8\"" bench.json'
    refuse 1 "bench: a model in int8 is not f32" "computes in int8" -- bench infer m.safetensors --dtype f32 --seconds 0.1
else
    skip "bench: in int8" "int8 is switched off"
fi
refuse 1 "bench: a model in f32 is not int8" "computes in f32" -- bench infer run --dtype int8 --seconds 0.1

# int8 switched off
export MIEN_INT8=0
score m.safetensors slow.csv >out.log 2>err.log
check "switched off: f32" near slow.csv int8.csv 0.08
check "switched off: one line says so" eval '[ "$(grep -c "int8 is not supported on" err.log)" -eq 1 ]'
check "switched off: devices says so" eval '"$mien" devices | grep -q "^int8 *no"'
check "switched off: no bench in int8" eval '! "$mien" "${bench_int8[@]}" 2>bench.log && grep -q "computes in f32" bench.log'
check "convert with int8 switched off" "$mien" convert run slow.safetensors --calibrate faces.csv
cp check.log convert.log
check "nothing was compared" grep -q "cannot run int8" convert.log
unset MIEN_INT8

# ---- a format of floats: no calibration ----
check "a copy" "$mien" convert run/best.h5 copy.h5
cp check.log copy.log
check "a copy: one line says what it is" eval '[ "$(cat copy.log)" = "copy.h5: HDF5 from run/best.h5" ]'
check "a run folder" "$mien" convert run folder.h5
check "convert --json of floats" eval '"$mien" convert run j.h5 --json >j.json && grep -q "\"int8_layers\": 0" j.json && grep -q "\"clip\": null" j.json'
for made in copy folder; do
    score $made.h5 $made.csv >score.log
    check "the same predictions: $made.h5" cmp f32.csv $made.csv
    check "the same layers and settings: $made.h5" eval '"$mien" inspect run >a.log && "$mien" inspect $made.h5 | cmp - a.log'
done
check "a copy is trained on" "$mien" train "${quick[@]}" --set model.file=copy.h5 --data faces.csv --out on

# ---- safetensors in float ----
check "float safetensors" "$mien" convert run float.safetensors
cp check.log float.log
check "safetensors: one line says what it is" eval '[ "$(cat float.log)" = "float.safetensors: safetensors from run" ]'
score float.safetensors float.csv >score.log
check "safetensors: the same predictions" cmp f32.csv float.csv
check "safetensors: the same layers and settings" eval '"$mien" inspect float.safetensors | cmp - a.log'
check "safetensors: back to .h5, the same bytes" eval '"$mien" convert float.safetensors back.h5 && cmp back.h5 copy.h5'
check "safetensors: calibrated from" eval '"$mien" convert float.safetensors again.safetensors --calibrate faces.csv --threads 1 &&
    "$mien" convert run first.safetensors --calibrate faces.csv --threads 1 && cmp again.safetensors first.safetensors'
check "safetensors: trained on" "$mien" train "${quick[@]}" --set model.file=float.safetensors --data faces.csv --out on_float
check "the three kinds are told apart" eval '"$mien" inspect float.safetensors --json | grep -q "\"mien-f32\"" &&
    "$mien" inspect m.safetensors --json | grep -q "\"mien-int8\"" &&
    "$mien" inspect run/last.safetensors --json | grep -q "\"mien-checkpoint\""'
if command -v python3 >/dev/null; then
python3 - float.safetensors >names.log 2>&1 <<'PY'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
assert header.pop("__metadata__")["format"] == "mien-f32-1"
end = 0
for name, t in header.items():
    assert t["dtype"] == "F32" and t["data_offsets"][0] == end, name
    end = t["data_offsets"][1]
assert end == len(data) - 8 - size
shapes = {n: t["shape"] for n, t in header.items()}
assert shapes["conv2d/kernel"] == [3, 3, 1, 16] and len(shapes["dense/kernel"]) == 2, shapes
PY
check "safetensors: names and Keras's shapes" test ! -s names.log
else skip "safetensors: names" "no python3"; fi

# ---- what is wrong ----
refuse 2 "calibration of floats" "'x.h5'" "--calibrate" -- convert run x.h5 --calibrate faces.csv
refuse 2 "images without calibration" "--images" "--calibrate" -- convert run x.h5 --images 40
refuse 2 "damaged rows without calibration" "--on-bad" "--calibrate" -- convert run x.h5 --on-bad skip
refuse 1 "int8 to floats" "in int8" "x.h5" -- convert m.safetensors x.h5
refuse 1 "a copy over the model" "would overwrite" "run/best.h5" -- convert run run/best.h5
refuse 1 "no model to copy" "nowhere.h5" -- convert nowhere.h5 x.h5
refuse 1 "a suffix of no format" "'x.bin'" ".h5" ".safetensors" -- convert run x.bin
refuse 1 "int8 without calibration" "in int8" "made from" -- convert m.safetensors x.safetensors
refuse 2 "no target" "convert needs" -- convert run --calibrate faces.csv
refuse 2 "images: none" "--images" -- convert run x.safetensors --calibrate faces.csv --images 0
refuse 2 "unknown split" "--split" "'tset'" -- convert run x.safetensors --calibrate faces.csv --split tset
refuse 1 "too few images" "at least 32 images" "has 20" -- convert run x.safetensors --calibrate faces.csv --images 20
grep -v PrivateTest faces.csv >notest.csv
refuse 1 "empty part" "at least 32 images" "test" "has 0" -- convert run x.safetensors --calibrate notest.csv --split test
refuse 1 "no data" "none.csv" -- convert run x.safetensors --calibrate none.csv
refuse 1 "no model" "nowhere.h5" -- convert nowhere.h5 x.safetensors --calibrate faces.csv
refuse 1 "another suffix" "'x.bin'" ".safetensors" -- convert run x.bin --calibrate faces.csv
cp run/best.h5 best.safetensors
refuse 1 "over the model" "would overwrite" -- convert best.safetensors best.safetensors --calibrate faces.csv
refuse 1 "no folder" "nodir" -- convert run nodir/x.safetensors --calibrate faces.csv
refuse 1 "already int8" "already int8" -- convert m.safetensors x.safetensors --calibrate faces.csv
refuse 1 "train from int8" "cannot be trained" -- train "${quick[@]}" --set model.file=m.safetensors --data faces.csv --out never
cp m.safetensors int8.bin
cp m.safetensors int8.h5
refuse 1 "train from int8 by another name" "is an int8 model and cannot be trained" -- train "${quick[@]}" --set model.file=int8.bin --data faces.csv --out never
refuse 1 "train from int8 that is called .h5" "is an int8 model and cannot be trained" -- train "${quick[@]}" --set model.file=int8.h5 --data faces.csv --out never
check "nothing was written by these" eval '[ ! -e x.safetensors ] && [ ! -e x.h5 ] && [ ! -e x.bin ]'

head -c 3000 m.safetensors >cut.safetensors
refuse 1 "cut off" "cut.safetensors" -- evaluate --model cut.safetensors --data faces.csv
: >empty.safetensors
refuse 1 "empty" "empty.safetensors" -- inspect empty.safetensors
sed 's/mien-f32-1/mien-f32-2/' float.safetensors >newer.safetensors
refuse 1 "a newer format" "mien-f32-1" -- inspect newer.safetensors
head -c -4 float.safetensors >cut.safetensors
refuse 1 "float: cut off" "cut.safetensors" -- evaluate --model cut.safetensors --data faces.csv
{ head -c -4 float.safetensors; printf '\0\0\300\177'; } >nan.safetensors
refuse 1 "float: not a number" "not finite" -- inspect nan.safetensors
cp "$root/tests/golden/layers.safetensors" other.safetensors
refuse 1 "another's safetensors" "mien convert" -- inspect other.safetensors
finish
