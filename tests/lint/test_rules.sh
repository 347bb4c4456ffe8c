#!/usr/bin/env bash
# Rules that a compiler does not check: includes between folders, output, length of files, formatting.
set -u
failed=0
report() { # NAME, offending lines on stdin
    local lines
    lines=$(cat)
    if [ -z "$lines" ]; then
        echo "ok $1"
    else
        failed=1
        echo "not ok $1"
        printf '%s\n' "$lines" | head -20 | sed 's/^/# /'
    fi
}

. tests/lint/layers.sh
folders=$(ls -d host/*/ host/*/*/ kernels/*/ include/*/ | sed 's,/$,,')
for folder in $folders; do
    may=" $folder $(reach "$folder" | tr '\n' ' ') "
    grep -nE '^ *# *include "' "$folder"/*.[ch] "$folder"/*.cu* "$folder"/*.def 2>/dev/null |
        while IFS= read -r line; do
            path=${line#*\"}
            path=${path%\"*}
            # public headers name each other without a folder: they are installed elsewhere
            [ "$folder" = include/mien ] && [[ $path != */* ]] && continue
            [[ $may == *" ${path%/*} "* ]] || echo "$line"
        done
done | report "includes go downwards only"

code=$(find host kernels include tests -name '*.[ch]' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' | sort)
# strips comments, which may mention anything
bare() { sed -e 's,/\*.*\*/,,' -e '/\/\*/,/\*\//d' "$1" | sed "s|^|$1: |"; }

for file in $(ls host/*/*.[ch] | grep -vE '^host/(backend|h5)/'); do
    bare "$file" | grep -E 'dnnl|cuda[A-Z_]|cu(dnn|blas)'
done | report "only host/backend names oneDNN and CUDA"
for file in $(ls host/*/*.[ch] host/*/*/*.[ch] | grep -vE '^host/(cli|h5|decode)/'); do
    bare "$file" | grep -E '(^|[^a-z_])(printf|vprintf|puts|putchar|perror|_?exit|abort) *\(|std(out|err)[^_a-z]'
done | report "only host/cli prints and exits"
for file in $(ls host/*/*.c host/*/*/*.c kernels/*/*.[ch] kernels/cuda/*.cu*); do
    bare "$file" | grep -E '(^|[^a-z_])(gets|sprintf|strtok|system|rand|srand|alloca) *\('
done | report "no function that cannot be used safely"
grep -nE '<<<|>>>|atomic(Add|Max|Min|CAS|Exch)' kernels/cuda/*.cu* | grep -v 'grid.cuh:.*atomicAdd(ticket, 1u)' |
    report "kernels are launched by one function and sum without atomics"

for file in $code $(find . -path ./build -prune -o -name '*.sh' -print); do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || echo "$file: $lines lines"
done | report "no file of code above 600 lines"

sed -n 's/^LAYER(\(.*\))$/\1/p' host/layers/layers.def | while read -r layer; do
    grep -q "mien_layer_$layer = {" "host/layers/$layer.c" 2>/dev/null ||
        echo "host/layers/$layer.c does not define mien_layer_$layer"
done | report "every layer of layers.def has its file"

for file in $(ls host/*/*.h host/*/*/*.h include/*/*.h kernels/*/*.h kernels/cuda/*.cuh); do
    guard=$(sed -n 's/^#ifndef \([A-Z0-9_]*\)$/\1/p' "$file" | head -1)
    grep -q "^#define $guard$" "$file" && [ -n "$guard" ] || echo "$file"
done | report "every header has a guard"
for file in $(ls host/*/*.h host/*/*/*.h include/*/*.h); do
    grep -q '^/\*' "$file" || echo "$file"
done | report "every header says what it is for"
grep -nE '@@[a-z]' $(git ls-files '*.md') | report "no page has an unfilled @@ placeholder"
grep -nE '[[:space:]]$' $code | report "no trailing spaces"
grep -nP '\t' $code | report "no tabs"

if command -v clang-format >/dev/null; then
    clang-format --dry-run -Werror $code 2>&1 | sed -n 's/^\([^:]*\):[0-9].*error.*/\1/p' | sort | uniq -c |
        awk '{ print $2 ": " $1 " lines" }' | report "formatted by .clang-format"
else
    echo "ok formatted by .clang-format # SKIP there is no clang-format"
fi
exit $failed
