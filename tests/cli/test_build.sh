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
unset MAKEFLAGS MAKELEVEL V STRICT SAN VARIANT CARRY ARCHIVE HDF5 OPENCV CUDA CFLAGS CXXFLAGS
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
check "one that was turned off is not" eval '! without HDF5=0 OPENCV=0'

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
helpers=(tree/build/release/mien-h5 tree/build/release/mien-cuda.so)
touch tree/build/release/mien "${helpers[@]}"
link() { in_tree -o build/release/mien -o build/release/mien-h5 OPENCV=0 programs "$@"; }
check "a helper of this build stays" eval 'link HDF5=1 && [ -e "${helpers[0]}" ] && [ ! -e "${helpers[1]}" ]'
check "one of another build does not" eval 'link HDF5=0 && [ ! -e "${helpers[0]}" ]'
check "CARRY does not name an archive" eval '! in_tree check-gpu CARRY=a.tar.xz 2>carry.log && grep -q ARCHIVE=a.tar.xz carry.log'
finish
