# Sourced by lib.sh and scripts/dist.sh: prints the tests of a folder that also run on a GPU. The others
# test the harness, or need the engines of the CPU emulation.
device_tests() { # FOLDER
    local test
    for test in "$1"/test_*; do
        [ -f "$test" ] && [ -x "$test" ] || continue
        [[ ${test##*/} == test_@(harness|launchers|engine*) ]] || echo "$test"
    done
}
