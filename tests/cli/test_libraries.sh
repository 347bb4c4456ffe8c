#!/usr/bin/env bash
# Without the libraries that few runs need, other data are read, and a file that needs one is refused with
# the name of its package. A folder of libraries that are none stands before the system's.
. tests/cli/lib.sh

mkdir hidden
for library in libtiff.so.6 libwebp.so.7 libgif.so.7 libarchive.so.13; do echo none >hidden/$library; done
export LD_LIBRARY_PATH=$PWD/hidden

check "the program starts without them" "$mien" --version
faces 70 1 >faces.csv
tiny_network >tiny.yaml
printf 'II*\0\10\0\0\0\0\0\0\0\0\0' >a.tiff
printf 'RIFF\32\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\20\7\20\21\21\210\210\376\7\0' >a.webp
printf 'GIF89a\1\0\1\0\200\0\0\0\0\0\377\377\377,\0\0\0\0\1\0\1\0\0\2\2D\1\0;' >a.gif
printf 'PK\3\4' >faces.zip
for kind in tiff:libtiff.so.6:libtiff6 webp:libwebp.so.7:libwebp7 gif:libgif.so.7:libgif7; do
    IFS=: read -r ending library package <<<"$kind"
    rm -rf set && mkdir -p set/happy set/sad && cp a.$ending set/happy && cp a.$ending set/sad
    refuse 1 "a folder of .$ending" "set/happy/a.$ending' cannot be read: $library cannot be loaded: install Debian's package $package" \
        -- train "${quick[@]}" --data set --out never
    check "a photo: $ending" eval '! "$mien" predict -q a.$ending --detector none --json >out.log 2>err.log && cat out.log err.log | grep -q "a.$ending. cannot be read: $library .*package $package"'
done
refuse 1 "an archive" "faces.zip' cannot be read: libarchive.so.13 cannot be loaded: install Debian's package libarchive13" \
    -- train "${quick[@]}" --data faces.zip --out never
if [ $have_h5 = 1 ]; then
    check "other data are trained on" "$mien" train "${quick[@]}" --data faces.csv --out run
    check "and evaluated" "$mien" evaluate --model run
else
    skip "training" "this build has no mien-h5"
fi
finish
