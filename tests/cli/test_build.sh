#!/usr/bin/env bash
# The Makefile from a user's view, in a small copy of the tree: queries write nothing, a plain build
# installs nothing, and the output of a build is short.
. tests/cli/lib.sh
mkdir -p tree/include/mien tree/host/base tree/scripts bin
cp "$root/Makefile" tree/
cp "$root/scripts/deps.sh" tree/scripts/
cp "$root/include/mien/mien.h" tree/include/mien/
echo '#include "host/base/one.h"' >tree/host/base/one.c
echo 'extern int one;' >tree/host/base/one.h
# do not inherit the settings of the make that runs the tests
unset MAKEFLAGS MAKELEVEL V STRICT SAN VARIANT CARRY ARCHIVE HDF5 OPENCV VIDEO CUDA CUDA_ARCHS CFLAGS CXXFLAGS
object=build/release/host/base/one.o
mkdir whole
for part in bench configs host include kernels scripts tests; do ln -s "$root/$part" whole/; done
cp "$root/Makefile" whole/
in_tree() { make -C "${tree:-tree}" --no-print-directory CUDA=0 CC=gcc CXX=g++ "$@"; }

for ask in "-n" "-n SAN=address" "-n check" "-n dist CARRY=1" help config; do
    # shellcheck disable=SC2086 # split into words
    check "make $ask succeeds and writes nothing" eval "tree=whole in_tree $ask && [ ! -e whole/build ]"
done

# a Debian system without some packages: dpkg-query says so, and installing is not allowed
cat >bin/dpkg-query <<'Q'
#!/bin/sh
shift 2
for package; do
    case $package in
    libpng-dev | libjson-c-dev | libcmocka-dev | libhdf5-dev) ;;
    *) echo "installed $package" ;;
    esac
done
Q
cat >bin/apt-get <<'Q'
#!/bin/sh
echo "$*" >>"$APT_LOG"
echo "apt-get ran" >&2
exit 1
Q
printf '#!/bin/sh\nexit 1\n' >bin/sudo
chmod +x bin/*
export APT_LOG=$work/apt.log
path=$work/bin:$PATH
check "a missing package stops make, which names it and make deps" eval '
    ! PATH=$path in_tree >need.log 2>&1 && grep -q "^Missing Debian packages: libjson-c-dev libpng-dev$" need.log &&
    grep -q "make deps" need.log'
check "and installs nothing" test ! -e apt.log
check "HDF5=1 needs its packages, too" eval '! PATH=$path in_tree HDF5=1 >need.log 2>&1 && grep -q libhdf5-dev need.log'
for target in check check-gate demo; do
    rm -f apt.log
    check "make $target says what is missing before it installs that" eval "
        ! PATH=\$path in_tree $target >need.log 2>&1 &&
        sed '/apt-get ran/q' need.log | grep -q 'libjson-c-dev libpng-dev libhdf5-dev libcmocka-dev' &&
        { [ \$(id -u) -ne 0 ] || [ -e apt.log ]; }"
done

without() { tree=whole in_tree -n programs OPENCV_INC=/nowhere "$@" | grep "Built without"; }
check "a feature whose packages are missing is named" eval 'without HDF5=0 | grep -q "without OPENCV .*make deps"'
check "one that was turned off is not" eval '! without HDF5=0 OPENCV=0 VIDEO=0'

# which cards the GPU module is compiled for: those of the machine, here of an nvidia-smi that lists them
mkdir toolkit cards
cat >toolkit/nvcc <<'N'
#!/bin/sh
[ "$1" != --list-gpu-arch ] || printf 'compute_%s\n' 75 80 86 87 89 90 100 120
N
printf '#!/bin/sh\necho "$*" >>"$ASKED"\n[ -n "$CARDS" ] && printf "%%b" "$CARDS"\n' >cards/nvidia-smi
chmod +x toolkit/nvcc cards/nvidia-smi
export ASKED=$work/asked.log
options() { # FOR, then arguments for make: every .cu is compiled for these, and the last one's PTX
    local want=$1 cards=$2 got
    shift 2
    got=$(CARDS=$cards PATH=$work/cards:$PATH tree=whole in_tree -n CUDA=1 no_cuda= NVCC="$work/toolkit/nvcc" "$@" |
        grep -E '^[^ ]*/toolkit/nvcc .*-c kernels/cuda/' | tee nvcc.log |
        sed -E 's/^[^ ]* //; s/-gencode arch=compute_([0-9]+),code=(sm|compute)_([0-9]+)/\n=\1:\2_\3 /g' |
        sed -nE 's/^=(\S+) .*/\1/p' | sort | uniq -c | sort -k2V | awk '{ print $1 "x" $2 }' | tr '\n' ' ')
    [ "$got" = "$(for word in $want; do printf '%sx%s ' "$kernels" "$word"; done)" ] || { echo "$got" && false; }
}
kernels=$(ls "$root"/kernels/cuda/*.cu | wc -l)
six="75:sm_75 80:sm_80 80:sm_86 80:sm_89 80:sm_90 100:compute_100 100:sm_100"
check "a card decides" options "86:compute_86 86:sm_86" '8.6\n' programs
check "two cards of one kind, and another one" options "75:sm_75 90:compute_90 90:sm_90" '9.0\n9.0\n7.5\n' programs
check "no card: 8.0 and its PTX" options "80:compute_80 80:sm_80" '' programs
check "an nvidia-smi that finds no driver" options "80:compute_80 80:sm_80" 'NVIDIA-SMI has failed\n[N/A]\n' programs
check "a card that is newer than the toolkit" options "120:compute_120 120:sm_120" '12.1\n' programs
check "one that is older is left out" options "89:compute_89 89:sm_89" '3.5\n8.9\n' programs
check "CUDA_ARCHS wins" options "75:sm_75 80:compute_80 80:sm_80 80:sm_90" '8.6\n' programs CUDA_ARCHS="90 80 75"
check "in the environment, too" eval 'CUDA_ARCHS=75 options "75:compute_75 75:sm_75" "8.6\n" programs'
check "all six" options "$six" '8.6\n' programs CUDA_ARCHS=all
check "dist is for all six" options "$six" '8.6\n' dist
check "unless it is told" options "89:compute_89 89:sm_89" '8.6\n' dist CUDA_ARCHS=89
check "the archive for another machine is for 9.0" options "90:compute_90 90:sm_90" '8.6\n' dist CARRY=1
check "a warning is an error with STRICT=1" eval 'options "80:compute_80 80:sm_80" "" programs STRICT=1 &&
    grep -q -- "-Werror all-warnings -Xcompiler -Werror" nvcc.log && ! grep -v -- "-Werror all-warnings" nvcc.log'
rm "$ASKED"
check "without the module nobody asks for cards" eval 'PATH=$work/cards:$PATH tree=whole in_tree -n programs && [ ! -e "$ASKED" ]'

# building one file
builds() { # LINE, then arguments for make: the object is built and only that line is printed
    local said=$1 got
    shift
    got=$(in_tree "$object" "$@" 2>&1) && [ "$got" = "$said" ] || { echo "$got" && false; }
}
check "one short line a file" builds "CC host/base/one.c"
up="make: '$object' is up to date."
check "nothing to do" eval 'got=$(in_tree "$object" 2>&1) && [ "$got" = "" ] || [ "$got" = "$up" ]'
sleep 0.01
touch tree/host/base/one.h
check "a header's change" builds "CC host/base/one.c"
check "other flags" builds "CC host/base/one.c" STRICT=1
check "V=1 shows the command" eval 'in_tree "$object" V=1 | grep -q "^gcc .*-c host/base/one.c -o $object$"'
touch tree/host/base/one.h
check "make -s says nothing" builds "" -s STRICT=1
echo 'int two(void) { int unused; return 2; }' >>tree/host/base/one.c
check "warnings stay visible" eval 'in_tree "$object" 2>&1 | grep -q "Wunused-variable"'

# a build without a feature must remove that feature's helper
helpers=(tree/build/release/mien-h5 tree/build/release/mien-cuda.so tree/build/release/mien-vision.so
    tree/build/release/mien-window.so tree/build/release/mien-decode)
touch tree/build/release/mien tree/build/release/libmien.so "${helpers[@]}"
link() { in_tree -o build/release/mien -o build/release/mien-h5 -o build/release/libmien.so OPENCV=0 VIDEO=0 WINDOW=0 SERVE=0 programs "$@"; }
check "a helper of this build stays" eval 'link HDF5=1 && [ -e "${helpers[0]}" ] && [ ! -e "${helpers[1]}" ] && [ ! -e "${helpers[2]}" ] && [ ! -e "${helpers[3]}" ] && [ ! -e "${helpers[4]}" ]'
check "one of another build does not" eval 'link HDF5=0 && [ ! -e "${helpers[0]}" ]'
check "CARRY does not name an archive" eval '! in_tree check-gpu CARRY=a.tar.xz 2>carry.log && grep -q ARCHIVE=a.tar.xz carry.log'
finish
