#!/usr/bin/env bash
# `evaluate RUN` accepts the data that the run was trained on, whatever their form, without flags.
# (Folders of pictures: test_folders.sh.)
. tests/cli/lib.sh
[ $have_h5 = 1 ] || { skip "evaluate a run" "this build has no mien-h5" && finish; }

faces 210 1 >faces.csv
tiny_network >tiny.yaml
# accepts NAME DATA FLAG…: trains with the flags, evaluates the run without any
accepts() {
    local name=$1 data=$2
    shift 2
    rm -rf run
    if ! "$mien" train "${quick[@]}" --data "$data" "$@" --out run >log 2>&1; then fail "$name: train" "$(tail -2 log)"; return; fi
    for own in "" "--data $data"; do
        if ! "$mien" evaluate --model run $own --json >out.json 2>log; then fail "$name: evaluate $own" "$(tail -2 log)"; return; fi
    done
    if [ -e run/metrics.json ]; then # the validation part is training's, image by image
        "$mien" evaluate --model run --split val --json >val.json 2>log
        if [ "$(grep '"sha256"' val.json)" != "$(grep '"sha256"' run/metrics.json)" ]; then fail "$name: another part" "$(tail -2 log)"; return; fi
    fi
    pass "$name"
}

# ---- csv ----
accepts "csv with parts" faces.csv
cut -d, -f1,2 faces.csv >plain.csv
accepts "csv without parts" plain.csv
sed '1!s/,/;/g; 1s/,/;/g; s/PublicTest/val/' faces.csv >semicolon.csv
accepts "csv with semicolons and other parts" semicolon.csv
sed '1!s/^3,/joy,/; 1!s/^[4-9],/blue,/; 1!s/^[012],/other,/' faces.csv >words.csv
accepts "csv with words" words.csv
sed '1!s/^3,/sad,/; 1!s/^[4-9],/sadness,/; 1!s/^[012],/other,/' faces.csv >twice.csv
accepts "csv with two words for an emotion" twice.csv
sed '1!s/^0,/7,/' faces.csv >seven.csv
accepts "csv with label 7" seven.csv
sed '1!s/^\([0-9]\),/\1.0,/' faces.csv >decimal.csv
accepts "csv with labels as decimals" decimal.csv
sed '/^[06],.*Training/d' faces.csv >absent.csv
accepts "csv whose parts have different classes" absent.csv
gzip -c faces.csv >packed.csv.gz
accepts "csv.gz" packed.csv.gz
mkdir -p held && cp faces.csv held/fer2013.csv
accepts "a folder that holds the csv" held
sed '9s/,[0-9]*/,/; 30s/^[0-9]/x/' faces.csv >bad.csv
accepts "csv with bad rows" bad.csv --on-bad skip
accepts "csv with bad rows, at most 2" bad.csv --on-bad skip:2
sed "s/filters: 4/filters: 16/; s/activation: relu}/activation: relu}\n  - conv2d: {filters: 24, kernel_size: 3}/" tiny.yaml >two.yaml
check "a network for int8" "$mien" train "${quick[@]}" --set model.file=two.yaml --data bad.csv --on-bad skip --out two
check "convert calibrates on the same data" "$mien" convert two two.safetensors --calibrate bad.csv
cp bad.csv other.csv
refuse 1 "bad rows of other data are an error" "bad data (--on-bad skip" -- evaluate --model run --data other.csv
refuse 1 "and so if it is asked for" "bad data (--on-bad skip" -- evaluate --model run --on-bad fail
accepts "csv, classes left out" faces.csv --drop-classes disgust
accepts "csv, classes merged" faces.csv --set 'data.merge={negative: [angry, sad]}' --set 'data.classes=[negative, happy]'
accepts "csv, all images for training" plain.csv --set data.split.val=0 --set data.split.test=0
rm -rf run && cp faces.csv first.csv
check "several csv with bad rows" "$mien" train "${quick[@]}" --set 'data.sources=[first.csv, bad.csv]' --on-bad skip --out run
check "several csv: evaluate" "$mien" evaluate --model run

# ---- votes ----
mkdir votes
awk -F, 'NR == 1 { print "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"; next }
    { printf "%s,fer%d.png", $3, NR; for (c = 0; c < 10; c++) printf ",%d", c == $1 ? 10 : 0; print "" }' faces.csv >votes/votes.csv
accepts_votes() { "$mien" train "${quick[@]}" --data faces.csv --set data.soft_labels=votes/votes.csv --out voted && "$mien" evaluate --model "$1"; }
check "votes that are not next to the data" accepts_votes voted
check "they are the run's, not the model's" eval 'cp voted/best.h5 alone.h5 && ! "$mien" evaluate --model alone.h5 2>err.log && grep -q "not next to" err.log'

# ---- arrays ----
# array FILE TYPE SHAPE: a .npy file of the bytes on standard input
array() {
    local header
    header="{'descr': '$2', 'fortran_order': False, 'shape': ($3), }"
    while (((${#header} + 11) % 64)); do header+=" "; done
    { printf '\x93NUMPY\x01\x00%b' "$(printf '\\x%02x\\x%02x' $(((${#header} + 1) & 255)) $(((${#header} + 1) >> 8)))" && printf '%s\n' "$header" && cat; } >"$1"
}
pixels() { sed 1d "$1" | cut -d, -f2 | tr ' ' '\n' | awk '{ printf "\\x%02x", $1 } NR % 512 == 0 { print "" } END { print "" }' | while read -r l; do printf '%b' "$l"; done; }
labels() { sed 1d "$1" | cut -d, -f1 | awk '{ printf "\\x%02x", $1 } END { print "" }' | { read -r l && printf '%b' "$l"; }; }
mkdir xy parts flat named
pixels faces.csv | array xy/X.npy '|u1' '210, 48, 48'
labels faces.csv | array xy/y.npy '|u1' '210,'
accepts "arrays X and y" xy
check "arrays X and y: all are read" grep -q '"n": *21' out.json
cp xy/X.npy xy/y.npy named && printf '%s\n' angry disgust fear happy sad surprise neutral >named/classes.txt
accepts "arrays with classes.txt" named
accepts "arrays, a file" named/X.npy
for part in Training:x_train:y_train PublicTest:x_val:y_val PrivateTest:x_test:y_test; do
    IFS=: read -r usage x y <<<"$part"
    { head -1 faces.csv && grep ",$usage" faces.csv; } >part.csv
    n=$(($(wc -l <part.csv) - 1))
    pixels part.csv | array parts/$x.npy '|u1' "$n, 48, 48"
    labels part.csv | array parts/$y.npy '|u1' "$n,"
done
accepts "arrays of parts" parts
rm -rf less && cp -r parts less && rm less/x_test.npy less/y_test.npy
accepts "arrays of two parts" less
pixels faces.csv | array flat/fdataX.npy '|u1' '210, 2304'
sed 1d faces.csv | cut -d, -f1 | awk '{ for (k = 0; k < 7; k++) printf "\\x%02x", k == $1; print "" }' | while read -r l; do printf '%b' "$l"; done | array flat/flabels.npy '|u1' '210, 7'
accepts "arrays: flat rows, one-hot labels" flat
if command -v zip >/dev/null; then
    (cd xy && zip -q -0 ../xy.npz X.npy y.npy)
    accepts "npz" xy.npz
else
    skip "npz" "there is no zip"
fi

# ---- tables ----
mkdir -p set/pics
echo "filename,emotion,split" >set/labels.csv
awk -F, 'NR > 1 {
    file = sprintf("set/pics/%04d.pgm", NR)
    print "P2\n48 48\n255\n" $2 >file
    close(file)
    split("angry disgust fear happy sad surprise neutral", names, " ")
    print substr(file, 10) "," names[$1 + 1] "," $3 >>"set/labels.csv"
}' faces.csv
accepts "a table" set/labels.csv
accepts "the folder of a table" set
sed '3s/^[^,]*/absent.pgm/' set/labels.csv >set/bad.csv && mkdir -p bad && cp -r set/pics bad && cp set/bad.csv bad/labels.csv
accepts "a table with missing files" bad/labels.csv --on-bad skip

finish
