#!/usr/bin/env bash
# Packs BUILD/dist/mien, which `make install` filled: dist.sh BUILD_FOLDER VERSION COMMIT [1]
# With 1 the archive is carry/mien-carry.tar.xz, for a machine without packages: it also has the device
# tests and all shared libraries except those of libc, CUDA and the driver.
set -euo pipefail
build=$1 version=$2 commit=$3 carry=${4:-}
dist=$build/dist
tree=$dist/mien
lib=$tree/lib/mien
name=mien-$version-$(uname -m)
[ "$carry" != 1 ] || name=mien-carry

# libraries that the target machine must have: libc matches its loader, CUDA's libraries its GPU
stays='^(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|nsl|anl|mvec))\.so|^linux-vdso'
cuda='^lib(cuda|cudart|cudnn|cublas|nv|nccl)'

elf_files() { # all programs and libraries of the tree
    find "$tree" -type f | while read -r file; do
        [ "$(head -c 4 "$file" | tr -d '\0')" = $'\x7fELF' ] && echo "$file"
    done
    return 0
}

carry_libraries() {
    local file soname path seen=" "
    mkdir -p "$lib"
    while read -r file; do
        while read -r soname path; do
            [[ $seen != *" $soname "* ]] || continue
            seen+="$soname "
            [[ $soname =~ $stays || $soname =~ $cuda ]] && continue
            if [ "$path" = missing ]; then
                echo "dist: $file needs $soname, which is not installed" >&2
                exit 1
            fi
            cp -L "$path" "$lib/$soname"
        done < <(ldd "$file" | sed -nE 's/^\t(\S+) => not found$/\1 missing/p; s/^\t(\S+) => (\/\S+).*/\1 \2/p')
    done < <(elf_files)
}

read_me() {
    echo "Mien $version ($commit), $(uname -m). Licence: LICENSE; what it does: README.md."
    echo
    if [ "$carry" = 1 ]; then
        cat <<'END'
For running, testing and measuring Mien on a machine without its packages: bin/mien runs in place.
In a checkout with this archive in carry/: bash bench/gpu/day.sh STEP (docs/gpu.md).
The libraries in lib/mien are Debian's, under their own licences; do not redistribute them without these.
END
    else
        cat <<'END'
bin/mien runs in place; to install: cp -r bin lib share /usr/local/
It needs these libraries, all of which Debian 12 has as packages:
END
        elf_files | xargs -r ldd 2>/dev/null | sed -nE 's/^\t(\S+) => .*/\1/p' | sort -u |
            grep -vE "$stays|$cuda" | direct
    fi
}

# The checkout and carry/ travel to the GPU machine together, in at most 64 MiB.
check_size() {
    local tree carry limit=$((64 << 20))
    tree=$(git archive HEAD | wc -c) || return 0 # not a checkout
    carry=$(find carry -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
    awk -v tree="$tree" -v carry="$carry" -v limit="$limit" 'BEGIN {
        printf "checkout %.1f MiB and carry/ %.1f MiB: %.1f of %d MiB\n",
            tree / 1048576, carry / 1048576, (tree + carry) / 1048576, limit / 1048576
        if (tree + carry > limit) { print "dist: too much: remove files from carry/"; exit 1 } }'
}

# Of the sonames on stdin, prints those that a file of the tree depends on directly.
direct() {
    local wanted
    wanted=$(elf_files | xargs -r readelf -d | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p' | sort -u)
    grep -Fx "$wanted" | sed 's/^/  /'
}

rm -rf "$tree/include" "$tree/lib/pkgconfig" "$tree"/lib/libmien.*
cp README.md LICENSE "$tree/"
if [ -e "$build/mien-cuda.so" ]; then install -m 644 -D "$build/mien-cuda.so" "$lib/mien-cuda.so"; fi
if [ "$carry" = 1 ]; then
    . bench/gpu/device_tests.sh
    for test in $(device_tests "$build/tests/cuda"); do
        install -D "$test" "$tree/tests/cuda/${test##*/}"
    done
    carry_libraries
fi
elf_files | xargs -r strip --strip-unneeded
echo "$commit" >"$tree/COMMIT"
read_me >"$tree/INSTALL"
rm -rf "${dist:?}/$name"
[ "$name" = mien ] || mv "$tree" "$dist/$name"
out=$(dirname "$build")/$name.tar.xz
if [ "$carry" = 1 ]; then
    out=carry/$name.tar.xz
    mkdir -p carry
fi
tar -C "$dist" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | xz -T0 --x86 --lzma2=preset=6 >"$out.new"
mv "$out.new" "$out"
rm -rf "$dist"
echo "$out: $(du -h "$out" | cut -f1), $(tar -tf "$out" | grep -c '[^/]$') files"
if [ "$carry" = 1 ]; then
    # what `day.sh where` compares with: counted here, since the GPU machine has no CPU emulation
    for network in classic vgg; do
        MIEN_BUILD=$build bash bench/gpu/cost.sh --json $network 1024 bf16 >carry/cost-$network.json
    done
    check_size
fi
