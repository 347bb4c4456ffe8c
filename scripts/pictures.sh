#!/usr/bin/env bash
# Makes the pictures of the documentation (docs/images/*.png) from generated faces and the photo in
# datasets/photos. Needs a build, and: apt-get install chromium-headless-shell pngquant
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${MIEN_BUILD:-$root/build/release}
mien=$(readlink -f "$build")/mien
images=$root/docs/images
limit=150000 # largest size of a picture, bytes
for tool in chromium-headless-shell pngquant; do
    command -v $tool >/dev/null || { echo "pictures: $tool is missing: apt-get install $tool" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p "$images"

# shot PAGE.html OUT.png WIDTH HEIGHT: a screenshot of the page
shot() {
    chromium-headless-shell --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
        --window-size="$3,$4" --screenshot="$work/$2" "file://$work/$1" >browser.log 2>&1 ||
        { cat browser.log >&2; exit 1; }
}
# keep FILE.png COLOURS: stores it in docs/images, reduced to COLOURS colours
keep() {
    pngquant --force --strip --speed 1 --output "$images/$1" "$2" "$work/$1"
    local size
    size=$(stat -c %s "$images/$1")
    [ "$size" -le $limit ] || { echo "pictures: $1 has $size bytes, more than $limit" >&2; exit 1; }
    echo "docs/images/$1: $((size / 1000)) KB"
}

# the same training as in the tutorial
bash "$root/datasets/faces.sh" faces >/dev/null
"$mien" train folder --data faces --set model.file=sample --out runs/first -q >/dev/null
"$mien" evaluate -q --model runs/first --split test --report report >/dev/null
cp report/report.html .
shot report.html report.png 1000 1010
shot report.html report-page.png 1000 3150
keep report.png 64
keep report-page.png 64

"$mien" predict -q "$root/datasets/photos/astronaut.png" --annotate . >/dev/null
keep astronaut.png 160

"$mien" preview folder --data faces --set train.batch_size=15 --out faces.png -q >/dev/null 2>&1
keep faces.png 64
