#!/usr/bin/env bash
# mien bench from the command line: short runs of every mode, and what is refused.
. tests/cli/lib.sh

bench() { "$mien" bench "$@" --threads 1 --seconds 0.1 2>err.log; }
has() { # FILE PATTERN…: a file with a line for every pattern
    local file=$1 pattern
    shift
    for pattern in "$@"; do grep -qEe "$pattern" "$file" || { echo "no $pattern" && return 1; }; done
}

check "help" eval '"$mien" bench --help >help.log && has help.log --batch --dtype --seconds --size --rows --threads --json examples:'
check "train --json" eval '"$mien" bench train --batch 8 --threads 1 --seconds 0.3 --json >train.json'
check "train: fields" has train.json '"schema": 1,' '"mode": "train"' '"batch": 8,' '"threads": 1,' '"flops": 462739968' \
    '"commit": "[0-9a-f]+"' '"flags": "-O' '"isa": "v[234]"' '"median": 0\.' '"images_per_second": [0-9]' '"fraction_of_peak": [0-9]' \
    '"peak_memory": [0-9]' '"copy_bandwidth": [0-9]' '"name": "conv2d_3"' '"gather": [0-9]' '"update": [0-9]'
check "train: plausible memory" eval 'awk -F"[:,]" "/peak_memory/ { exit !(\$2 > 2e7 && \$2 < 4e8) }" train.json'
if command -v python3 >/dev/null; then check "train: JSON" python3 -m json.tool train.json; else skip "train: JSON" "no python3"; fi
check "infer, one image" eval 'bench infer classic --batch 1 >infer.log && has infer.log "^infer classic, batch 1, f32" median images/s "of the measured peak of" "peak memory"'
check "augment" eval 'bench augment --batch 16 --size 64 >augment.log && has augment.log "not augmented"'
check "op" eval 'bench op --batch 4 >op.log && has op.log "^  conv2d_3 .* % .* %" "^  max_pooling2d .* GB " "^  gather" "^  optimizer" "^  together"'
check "load, generated" eval 'bench load --rows 300 >load.log && has load.log "rows/s" "GB/s +[0-9.]+ of 2\.[0-9] MB"'
faces 70 1 >good.csv
check "load, a file" eval 'bench load good.csv --json >load.json && has load.json "\"model\": \"good.csv\"" "\"file_bytes\": $(stat -c %s good.csv)"'
tiny_network >tiny.yaml
check "a network file, another size" eval 'bench train tiny.yaml --size 100 --batch 4 >tiny.log && has tiny.log "^train tiny.yaml, batch 4"'
if [ $have_h5 = 1 ]; then
    "$mien" train --data good.csv "${quick[@]}" --out run >/dev/null 2>&1
    check "a run directory" eval 'bench infer run --batch 3 >run.log && bench train run/best.h5 --batch 3 >>run.log && has run.log "^infer run, batch 3" "^train run/best.h5"'
    check "infer without a model takes the included one" eval 'bench infer --batch 3 >infer.log && has infer.log "^infer .*models/fer2013-small.h5, batch 3" && has err.log "model .*fer2013-small.h5"'
    check "infer of a size takes classic" eval 'bench infer --batch 1 --size 40 >infer.log && has infer.log "^infer classic, batch 1"'
    refuse 1 "a model of its own size" "'run/best.h5'" "--size" -- bench infer run/best.h5 --size 64
else
    skip "a run directory" "this build has no mien-h5"
fi
V2=$(MIEN_ISA=v2 bench infer classic --batch 1)
check "MIEN_ISA limits loops, library and peak" eval 'grep -q "sse4.1, loops x86-64-v2" <<<"$V2" && grep -q "x86-64-v2, best" <<<"$V2"'
export MIEN_ISA=avx2
refuse 1 "MIEN_ISA: no such level" "must be v2, v3 or v4" -- bench infer classic --device cpu --batch 1 --seconds 0.1
unset MIEN_ISA
check "SIGINT ends it" eval 'timeout --foreground -s INT --preserve-status 2 "$mien" bench infer classic --threads 1 --seconds 60 2>int.log; [ $? -eq 130 ] && has int.log "^mien: interrupted"'

export XDG_CACHE_HOME=$work/cache
check "tune" eval '"$mien" tune tiny.yaml --batch 4 --threads 1 >tune.log && has tune.log "^convolution" "saved in $work/cache/mien/tune.json" && test -s cache/mien/tune.json'
check "tune --json" eval '"$mien" tune tiny.yaml --batch 4 --threads 1 --json >tune.json && has tune.json "\"schema\": 1" "\"chosen\": \"(direct|winograd)\""'
echo '{' >cache/mien/tune.json
check "a damaged tuning cache is ignored" eval '"$mien" devices >devices.log 2>&1 && has devices.log "^warning: .*tune.json.* is not used" "^cpu +yes"'
refuse 2 "tune: fixed algorithms" "--deterministic" -- tune --deterministic
refuse 2 "tune: batch of none" "--batch" "'0'" -- tune --batch 0
refuse 1 "tune: no network" "'absent'" -- tune absent

refuse 2 "nothing" "train, infer, augment, load or op" -- bench
refuse 2 "unknown measurement" "'trian'" "did you mean 'train'" -- bench trian
refuse 2 "batch of none" "--batch" "'0'" -- bench train --batch 0
refuse 2 "batch too large" "--batch" "'99999999999'" -- bench train --batch 99999999999
refuse 2 "no time" "--seconds" "'0'" -- bench train --seconds 0
refuse 2 "not a time" "--seconds" "'nan'" -- bench train --seconds nan
refuse 2 "unknown dtype" "'f31'" "did you mean 'f32'" -- bench train --dtype f31
refuse 1 "dtype that is not there" "int8" "f32" -- bench train --dtype int8 --device cpu
refuse 2 "no rows" "--rows" "'0'" -- bench load --rows 0
refuse 2 "rows of a file" "--rows" "'good.csv'" -- bench load good.csv --rows 5
refuse 1 "no network" "'absent'" "configs/models" -- bench train absent
refuse 1 "no model" "'absent.h5'" -- bench infer absent.h5
refuse 1 "no model: a csv" "'good.csv'" -- bench infer good.csv
refuse 1 "no data" "'absent.csv'" -- bench load absent.csv
refuse 1 "size too small" "classic.yaml" "3x3" "2x2" -- bench train --size 8
refuse 1 "more than the memory" "GB" "--batch" -- bench train seresnet --size 1024 --batch 4096
export TMPDIR=$work/absent
refuse 1 "no folder for generated rows" "'$work/absent/mien-bench-" -- bench load --rows 10
finish
