#!/usr/bin/env bash
# Links the fake module (the command is the arguments) although functions are missing: libraries that
# are not there do nothing, and what else is not written ends the program when it is called.
log=$(mktemp) stubs=$(mktemp --suffix=.c)
trap 'rm -f "$log" "$stubs" "$stubs.o"' EXIT
"$@" 2>"$log" && { cat "$log" >&2; exit 0; }
grep -q 'undefined reference' "$log" || { cat "$log" >&2; exit 1; }
missing=$(sed -n "s/.*undefined reference to \`\(.*\)'/\1/p" "$log" | sort -u)
echo "warning: the fake module lacks" $missing >&2
{
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    echo '#include "host/backend/ops.h"'
    echo 'static void missing(void) { fputs("a slot is not written yet\n", stderr); abort(); }'
    for name in $missing; do
        case $name in
        mien_cuda_conv) echo "void *$name[16];" ;;
        cudnn* | cublas* | nvtx*) echo "int $name(void); int $name(void) { return 0; }" ;;
        mien_cuda_capture) echo "void *$name[8];" ;;
        mien_cuda_*_slots)
            echo "void $name(mien_ops *); void $name(mien_ops *ops) {"
            echo " for (void **p = (void **)&ops->close; p < (void **)(ops + 1); p++) if (!*p) *p = (void *)missing; }"
            ;;
        *) echo "void $name(void); void $name(void) { fputs(\"$name is not written yet\\n\", stderr); abort(); }" ;;
        esac
    done
} >"$stubs"
gcc -I. -fPIC -c "$stubs" -o "$stubs.o" && "$@" "$stubs.o"
