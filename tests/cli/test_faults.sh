#!/usr/bin/env bash
# Failures that must not go unnoticed: signals to the whole process group, ignored SIGCHLD; and use of
# an installation.
. tests/cli/lib.sh
if [ "$have_h5" = 0 ]; then
    skip faults "this build has no mien-h5"
    finish
fi
recipe=(train "$root/configs/train/sample.yaml" --set model.file="$root/configs/models/sample.yaml")

# A failing helper makes the save fail, even where SIGCHLD is ignored.
mkdir broken && cp "$mien" broken/ && printf '#!/bin/sh\nexit 1\n' >broken/mien-h5 && chmod +x broken/mien-h5
(trap '' CHLD; exec broken/mien "${recipe[@]}" --set train.epochs=1 -q --out lost >lost.log 2>&1)
if [ $? -eq 1 ] && [ ! -e lost/best.h5 ] && grep -q 'best.h5: mien-h5 failed' lost.log; then pass "a failed save is reported"; else fail "a failed save is reported" "$(tail -1 lost.log)"; fi

# Ctrl-C reaches every process of the terminal's group, here in the middle of a slowed-down save.
mkdir slow && cp "$mien" slow/
printf '#!/bin/sh\n: >saving\n/bin/sleep 1\nexec %s "$@"\n' "${mien%/*}/mien-h5" >slow/mien-h5
chmod +x slow/mien-h5
setsid slow/mien "${recipe[@]}" --out group >group.log 2>&1 &
child=$!
wait_until [ -e saving ]
kill -INT -- -"$child"
wait "$child"
status=$?
if [ $status -eq 75 ] && "$mien" inspect group/best.h5 >/dev/null && "$mien" inspect group/last.safetensors >/dev/null; then
    pass "Ctrl-C during a save loses nothing"
else
    fail "Ctrl-C during a save loses nothing" "status $status" "$(tail -2 group.log)"
fi

# The table of predictions must not overwrite an input.
"$mien" evaluate --model group/best.h5 --data sample --predictions group/best.h5 >out.log 2>&1
status=$?
if [ $status -ne 0 ] && "$mien" inspect group/best.h5 >/dev/null; then pass "predictions spare the model"; else fail "predictions spare the model" "status $status"; fi

# A program against the installed headers and library. Only for the plain build, since installing
# another variant would rebuild it with other flags.
if [ "$(basename "${mien%/*}")" = release ]; then
    make -s -C "$root" install PREFIX="$work/prefix" >install.log 2>&1
    cat >use.c <<'C'
#include <mien/mien.h>
#include <stdio.h>
int main(void) {
    mien_model *model;
    return mien_model_load("none.h5", &model) == MIEN_NOT_FOUND ? puts(mien_error_message()) < 0 : 1;
}
C
    export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
    check "installed headers and library" sh -c 'gcc use.c -o use $(pkg-config --cflags --libs mien) && LD_LIBRARY_PATH=prefix/lib ./use'
    check "installed program" "$work/prefix/bin/mien" devices
fi
finish
