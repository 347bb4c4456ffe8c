#!/usr/bin/env bash
# 100,000 changed model files (JSON, mien-h5's containers, zip archives, HDF5, ONNX; make check changes 10,000): each is read or
# refused with a sentence within 5 s, by a process of at most 2.5 GiB (2 GiB and its own).
set -u
ulimit -v 2621440
run() { # NAME COUNT TEST
    if MIEN_MUTATIONS=$2 "$MIEN_BUILD/tests/unit/$3" >"$log" 2>&1; then
        echo "ok $1"
    else
        grep -v '^ok' "$log" | sed 's/^/# /' | tail -20
        echo "not ok $1"
    fi
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run "48,000 JSON, container, zip and HDF5 files of Keras" 38000 test_keras_mutants
run "52,000 ONNX files" 52000 test_onnx
