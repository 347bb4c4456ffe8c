#!/usr/bin/env bash
# --dtype of the commands that infer: what bf16 answers on a CPU with and without it.
. tests/cli/lib.sh

if [ $have_h5 = 0 ]; then
    skip "--dtype" "this build has no mien-h5"
    finish
fi
model=$root/models/fer2013-small.h5
photo=$root/datasets/photos/astronaut.png
faces 70 1 >faces.csv

# ---- values ----
refuse 2 "predict: f16" "--dtype must be auto, f32 or bf16, not 'f16'" -- predict "$photo" --dtype f16
refuse 2 "evaluate: int8" "--dtype must be" -- evaluate --data faces.csv --dtype int8
refuse 2 "video: a word" "--dtype must be" -- video "$photo" --dtype half
refuse 2 "realtime: a word" "--dtype must be" -- realtime --camera "$photo" --no-window --dtype half
refuse 2 "serve: a word" "--dtype must be" -- serve --port 0 --dtype half
refuse 2 "twice" "given twice" -- predict "$photo" --dtype f32 --dtype bf16

# ---- a CPU without it ----
lacks="bf16 needs a CPU with AVX512-BF16 or AMX, which this one lacks: use f32"
export MIEN_ISA=v2
refuse 1 "predict: no bf16" "$lacks" -- predict "$photo" -q --model "$model" --detector none --device cpu --dtype bf16 --csv never
refuse 1 "evaluate: no bf16" "$lacks" -- evaluate --model "$model" --data faces.csv --device cpu --dtype bf16
refuse 1 "bench infer: no bf16" "$lacks" -- bench infer "$model" --device cpu --dtype bf16 --seconds 0.1
if [ -e "${mien%/*}/mien-serve.so" ]; then
    refuse 1 "serve: no bf16" "$lacks" -- serve --port 0 -q --model "$model" --detector none --device cpu --dtype bf16
else
    skip "serve: no bf16" "this build has no mien-serve.so"
fi
unset MIEN_ISA
refuse 1 "not in training" "the CPU computes in f32 when it trains, not in bf16" -- bench train --device cpu --dtype bf16 --seconds 0.1

# ---- one with it ----
# near A B LIMIT: classes are the same, probabilities differ by at most LIMIT, and not by nothing
near() {
    paste -d, "$1" "$2" | awk -F, -v limit="$3" 'NR > 1 {
        if ($3 != $13) exit 1
        for (k = 4; k <= 10; k++) {
            d = $k - $(k + 10)
            if (d > limit || -d > limit) exit 1
            if (d) some = 1
        }
    } END { exit !some }'
}
score() { # FILE FLAG…
    "$mien" evaluate -q --model "$model" --data faces.csv --split train --device cpu --threads 1 --predictions "$@"
}
check "f32" score f32.csv --dtype f32
check "the default is f32" eval 'score default.csv && cmp default.csv f32.csv'
check "auto is f32" eval 'score auto.csv --dtype auto && cmp auto.csv f32.csv'
if grep -qwE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then
    check "bf16" score bf16.csv --dtype bf16
    check "bf16 is near f32" near f32.csv bf16.csv 0.02
    check "bf16: another batch and more threads, the same bits" eval \
        '"$mien" evaluate -q --model "$model" --data faces.csv \
        --split train --device cpu --threads 2 --batch 3 --dtype bf16 --predictions other.csv && cmp other.csv bf16.csv'
    check "bench infer names it" eval '"$mien" bench infer "$model" --device cpu --dtype bf16 --batch 2 \
        --seconds 0.1 --json | grep -q "\"dtype\": \"bf16\""'
    check "predict" eval '"$mien" predict "$photo" -q --model "$model" --detector none --device cpu --dtype bf16 >one.txt'
    data=${MIEN_DATA:-$root/../shared/data}
    case $data in /*) ;; *) data=$root/$data ;; esac
    if [ -e "$data/fer2013/fer2013.csv.gz" ]; then
        zcat "$data/fer2013/fer2013.csv.gz" | awk 'NR == 1 || /PublicTest/' >public.csv
        for dtype in f32 bf16; do
            "$mien" evaluate -q --model "$model" --data public.csv --split val --device cpu --dtype $dtype \
                --predictions public-$dtype.csv >/dev/null 2>&1
        done
        agreed=$(paste -d, public-f32.csv public-bf16.csv | awk -F, 'NR > 1 { n++; same += $3 == $13 } END { print 100 * same / n }')
        check "PublicTest: $agreed % of the labels of f32" awk "BEGIN { exit !($agreed >= 99.9) }"
    else
        skip "PublicTest: labels of f32" "no fer2013 in MIEN_DATA"
    fi
else
    skip "bf16" "this CPU has neither AVX512-BF16 nor AMX"
fi
finish
