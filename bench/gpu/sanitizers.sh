# Sourced by day.sh. Our own kernels under compute-sanitizer: those that share memory between threads
# first, for races. Tests that also run the libraries' kernels are left out.
library_tests='test_@(network|conv|dense)'
sharing='batchnorm pool loss optimize gather stem_conv'
jobs=4 # programs at a time; most of their time is the CPU's

sanitize() { # TOOL TEST
    local name=${2##*/} status=0 said=$work/$1-${2##*/}.said
    with_gpu 60 env CMOCKA_MESSAGE_OUTPUT=TAP XDG_CACHE_HOME="$work/tests" \
        "$sanitizer" --tool "$1" --error-exitcode 99 "$2" >"$said" 2>&1 || status=$?
    case $status in
    0) echo "ok $1 $name" ;;
    124 | 137) echo "ok $1 $name # SKIP not done in time" ;;
    *)
        grep -E '^=====|^not ok' "$said" | head -30
        echo "not ok $1 $name (exit status $status)"
        ;;
    esac
}

sanitize_all() { # TOOL TEST...
    local tool=$1 test running=0 status=0
    shift
    for test; do
        if [ $running -ge $jobs ]; then
            wait -n || true
            running=$((running - 1))
        fi
        sanitize "$tool" "$test" >"$work/$tool-${test##*/}" &
        running=$((running + 1))
    done
    wait
    for test; do cat "$work/$tool-${test##*/}"; done
}

first=() all=() rest=()
for test in $(device_tests "$tests"); do
    name=${test##*/}
    [[ $name != $library_tests ]] || continue
    all+=("$test")
    if [[ " $sharing " == *" ${name#test_} "* ]]; then first+=("$test"); else rest+=("$test"); fi
done
if sanitizer=$(tool compute-sanitizer); then
    part 100 "racecheck" sanitize_all racecheck "${first[@]}"
    part 80 "memcheck" sanitize_all memcheck "${all[@]}"
    part 80 "racecheck, other kernels" sanitize_all racecheck "${rest[@]}"
    part 60 "synccheck" sanitize_all synccheck "${all[@]}"
    part 60 "initcheck" sanitize_all initcheck "${all[@]}"
else
    part 60 compute-sanitizer echo "ok compute-sanitizer # SKIP it is not there"
fi
