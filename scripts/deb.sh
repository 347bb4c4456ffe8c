#!/usr/bin/env bash
# Packs BUILD/deb, which `make deb-files` filled: deb.sh BUILD_FOLDER VERSION LOADED_PACKAGE...
# The maintainer is that of DEBFULLNAME and DEBEMAIL (or EMAIL), as for Debian's own tools.
# What the program links is a dependency; what modules link or the program loads on use is recommended.
set -eu
build=$1 version=$2
shift 2
tree=$build/deb
architecture=$(dpkg --print-architecture)
depends=() recommends=("$@")
find "$tree/usr" -type f \( -name '*.so*' -o -path '*/bin/*' -o -path '*/lib/mien/*' \) -exec strip --strip-unneeded {} +
gzip -9n "$tree"/usr/share/man/man1/*.1
install -D -m 644 CHANGELOG.md "$tree/usr/share/doc/mien/changelog"
gzip -9n "$tree/usr/share/doc/mien/changelog"
install -D -m 644 LICENSE "$tree/usr/share/doc/mien/copyright"
if command -v dpkg-shlibdeps >/dev/null; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/debian"
    printf 'Source: mien\n\nPackage: mien\nArchitecture: any\n' >"$work/debian/control"
    files=$(cd "$tree" && pwd)/usr
    modules=()
    for file in "$files"/lib/mien/*.so; do [ ! -e "$file" ] || modules+=(-e"$file"); done
    programs=(-e"$files/bin/mien")
    for file in "$files"/lib/libmien.so.* "$files"/lib/mien/mien-h5 "$files"/lib/mien/mien-decode; do
        [ ! -e "$file" ] || programs+=(-e"$file")
    done
    fields=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info -dDepends "${programs[@]}" \
        -dRecommends "${modules[@]}" 2>/dev/null)
    depends+=("$(sed -n 's/^shlibs:Depends=//p' <<<"$fields")")
    more=$(sed -n 's/^shlibs:Recommends=//p' <<<"$fields")
    [ -z "$more" ] || recommends+=("$more")
fi
list() { local IFS=,; echo "$*" | sed 's/, */, /g'; }
maintainer() {
    local address=${DEBEMAIL:-${EMAIL:-mien@mien.invalid}}
    case $address in
    *'<'*'>') echo "$address" ;; # with a name already
    *) echo "${DEBFULLNAME:-Mien developers} <$address>" ;;
    esac
}
mkdir -p "$tree/DEBIAN"
echo "activate-noawait ldconfig" >"$tree/DEBIAN/triggers"
[ ! -e "$tree/usr/lib/libmien.so.0" ] || echo "libmien 0 mien (>= $version)" >"$tree/DEBIAN/shlibs"
{
    printf 'Package: mien\nVersion: %s\nArchitecture: %s\n' "$version" "$architecture"
    echo "Maintainer: $(maintainer)"
    echo "Installed-Size: $(du -sk "$tree/usr" | cut -f1)"
    [ -z "${depends[*]:-}" ] || echo "Depends: $(list "${depends[@]}")"
    [ -z "${recommends[*]:-}" ] || echo "Recommends: $(list "${recommends[@]}")"
    printf 'Section: science\nPriority: optional\nDescription: emotion from faces: training and prediction\n'
    echo ' Trains, evaluates and runs convolutional networks that recognise emotions'
    echo ' in faces: a program, a C library and an HTTP server.'
} >"$tree/DEBIAN/control"
chmod -R u=rwX,go=rX "$tree"
out=$(dirname "$build")/mien_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$tree" "$out" >/dev/null
rm -rf "$tree"
echo "$out"
