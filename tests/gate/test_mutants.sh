#!/usr/bin/env bash
# Mutation test of the CUDA kernels. Every line of tests/cuda/mutants.def breaks one thing in a kernel;
# the test that it names must fail or hang in at least one of the two thread orders.
# MUTANTS=word: only the lines that contain the word.
set -u
export build=${MIEN_BUILD:-build/release}
table=tests/cuda/mutants.def
export scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export limit=60 # seconds for one test
# how make compiles a kernel for the harness, and how it links the module
export compile=$(make -s fake-compile) link=$(make -s fake-link) objects=$(make -s fake-objects)

compile=${compile//-Werror/} # a mutant may leave variables unused

# the test that links the kernels instead of loading a module
export linked=test_launchers

# run_test MODULE_FOLDER TEST ORDER
run_test() {
    local program=$1/$2
    [ -x "$program" ] || program=$build/tests/cuda/$2
    FAKE_CUDA_ORDER=$3 MIEN_BUILD=$build MIEN_MODULES=$1 timeout "$limit" \
        "$program" >"$1/log" 2>&1 </dev/null
}

# Writes FILE to OUT with OLD, which must occur once, replaced by NEW.
mutate() { # FILE OLD NEW OUT
    OLD=$2 NEW=$3 awk '
        BEGIN { old = ENVIRON["OLD"]; new = ENVIRON["NEW"] }
        {
            at = index($0, old)
            if (at) {
                found++
                rest = substr($0, at + length(old))
                if (index(rest, old)) found++
                $0 = substr($0, 1, at - 1) new rest
            }
            print
        }
        END { exit found != 1 }' "$1" >"$4"
}

one() { # LINE "FILE :: OLD :: NEW :: TEST"
    local line=$1 text=$2 file old new test source rebuilt=() kept order program
    local here=$scratch/$line
    file=${text%% :: *} text=${text#* :: }
    old=${text%% :: *} text=${text#* :: }
    new=${text%% :: *} test=${text#* :: }
    local name="$file: '$old' -> '$new'"
    mkdir -p "$here/$(dirname "$file")"
    if [ ! -x "$build/tests/cuda/$test" ]; then
        echo "not ok $name: there is no test '$test'"
    elif ! mutate "$file" "$old" "$new" "$here/$file"; then
        echo "not ok $name: line $line of the table: the text does not stand there once"
    else
        # a header changes every kernel that includes it
        kept=" $objects "
        for source in $(case $file in
            *.cu) echo "$file" ;;
            *) grep -l " $file" "$build"/fake/kernels/cuda/*.d | sed "s|^$build/fake/||; s|\.d$|.cu|" ;;
            esac); do
            mkdir -p "$here/$(dirname "$source")"
            [ -e "$here/$source" ] || cp "$source" "$here/$source"
            if ! $compile -I"$here" -I. -c "$here/$source" -o "$here/${source##*/}.o" 2>"$here/log"; then
                echo "not ok $name: it does not compile: $(grep -m1 error "$here/log")"
                return
            fi
            kept=${kept/ "$build/fake/${source%.cu}.o" / }
            rebuilt+=("$here/${source##*/}.o")
        done
        kept="${rebuilt[*]} $kept -o $here/mien-cuda.so" program=$link
        if [ "$test" = "$linked" ]; then
            kept="$build/tests/cuda/$test.o ${kept% *} $here/$test -lcmocka"
            program=${link/-shared/}
        fi
        if ! $program $kept 2>"$here/log"; then
            echo "not ok $name: it does not link: $(grep -m1 -E 'error|undefined' "$here/log")"
            return
        fi
        for order in forward reverse; do
            run_test "$here" "$test" $order || { echo "ok $name" && rm -rf "$here" && return; }
        done
        echo "not ok $name: $test does not notice"
    fi
    rm -rf "$here"
}
export -f one mutate run_test

# A test that fails without a mutant proves nothing.
mkdir "$scratch/plain" && cp "$build/fake/mien-cuda.so" "$scratch/plain/"
lines=$(grep -nvE '^(#|$)' "$table" | grep -F -- "${MUTANTS:-}")
for test in $(sed 's/.* :: //' <<<"$lines" | sort -u); do
    for order in forward reverse; do
        run_test "$scratch/plain" "$test" $order && continue
        echo "not ok $test passes without a mutant ($order)"
        exit 1
    done
done
xargs -d '\n' -P "$(nproc)" -I{} bash -c 'one "${0%%:*}" "${0#*:}"' {} <<<"$lines" >"$scratch/said"
sort "$scratch/said"
! grep -q '^not ok' "$scratch/said"
