#!/usr/bin/env bash
# `mien evaluate --report`: a page and its numbers.
. tests/cli/lib.sh

[ $have_h5 = 1 ] || { skip "the report" "this build has no mien-h5" && finish; }

faces 140 1 >faces.csv
tiny_network >tiny.yaml
"$mien" train --data faces.csv "${quick[@]}" --out run >train.log 2>&1 || fail "train" "$(tail -1 train.log)"
report() { "$mien" evaluate -q --threads 1 --model run "$@"; }
holds() { # FILE PATTERN…: fixed strings
    local file=$1 pattern
    shift
    for pattern in "$@"; do grep -qFe "$pattern" "$file" || { echo "no '$pattern' in $file" && return 1; }; done
}
# quiet FILE: nothing in it is fetched or run
quiet() { ! grep -niE 'https?:|<script|<link|<iframe|@import|src=|href=|\bon[a-z]+=' "$1"; }
# sound FILE: all tags are closed, as far as the installed tools can check
sound() {
    [ "$(tail -1 "$1")" = "</body></html>" ] || return 1
    [ "$(grep -o '<svg' "$1" | wc -l)" = "$(grep -o '</svg>' "$1" | wc -l)" ] || return 1
    command -v xmllint >/dev/null || return 0
    # it knows HTML 4 only, not the tags of SVG
    xmllint --html --noout --nonet "$1" 2>&1 | grep -E 'error' | grep -vE 'Tag (svg|g|rect|text|path|line|circle|title) invalid'
    [ "${PIPESTATUS[2]}" -ne 0 ]
}
numbers() { grep -vE '"(seconds|images_per_second)":' "$1"; }

check "report" eval 'report --json --report page >eval.json'
check "two files" test "$(ls page | tr '\n' ' ')" = "report.html report.json "
accuracy=$(sed -n 's/^  "accuracy": \(.*\),/\1/p' eval.json | awk '{ printf "%.1f", 100 * $1 }')
check "the accuracy ($accuracy)" holds page/report.html "$accuracy&nbsp;%" "of 28 pictures"
check "both curves" holds page/report.html "aria-label='accuracy by epoch'" "aria-label='loss by epoch'"
check "a matrix of 49 cells" eval '[ "$(grep -o " predicted as " page/report.html | wc -l)" -eq 49 ]'
check "every class" holds page/report.html angry disgust fear happy sad surprise neutral
check "nothing fetched, nothing run" quiet page/report.html
check "whole and closed" sound page/report.html
check "report.json is what --json prints" diff <(numbers eval.json) <(numbers page/report.json)
check "again into the same folder" report --report page
check "into a folder below one that is not there" eval 'report --report a/b/c && [ -s a/b/c/report.html ]'
check "of the model file, not the run" eval '"$mien" evaluate -q --threads 1 --model run/best.h5 --report file && holds file/report.html "loss by epoch"'

# ---- a damaged or missing log ----
cp run/log.csv log.csv
without() { # NAME REASON: a page without curves that states the reason
    reason=$2
    check "log.csv: $1" eval 'rm -rf page && report --report page >/dev/null && holds page/report.html "There are no learning curves" "$reason" "%" && ! grep -q "by epoch" page/report.html && sound page/report.html'
}
rm run/log.csv
without "none" "there is no log.csv next to"
head -c 30 log.csv >run/log.csv && without "cut" "line 1"
sed '2s/,[0-9.]*,/,<script>,/' log.csv >run/log.csv && without "no number" "line 2"
check "log.csv: its content is escaped" quiet page/report.html
head -1 log.csv >run/log.csv && without "no epoch" "no epoch"
head -c 3000 /dev/zero >run/log.csv && without "zeros" "log.csv"
cp log.csv run/log.csv

# ---- where it cannot be written ----
echo mine >taken
refuse 1 "DIR is a file" "'taken'" -- evaluate -q --threads 1 --model run --report taken
check "the file is untouched" test "$(cat taken)" = mine
refuse 1 "DIR below a file" "taken" -- evaluate -q --threads 1 --model run --report taken/page
refuse 1 "DIR in a folder that is not writable" "/proc/" -- evaluate -q --threads 1 --model run --report /proc/page
mkdir -p page2/report.html
refuse 1 "a folder in the page's place" "report.html" -- evaluate -q --threads 1 --model run --report page2

# ---- names that are markup ----
# picture FILE GRAY: 8x8 of one gray, as PGM
picture() { { printf 'P5\n8 8\n255\n' && head -c 64 /dev/zero | tr '\0' "\\$(printf %o "$2")"; } >"$1"; }
bad='<b>&"'
for part in train val; do
    mkdir -p "faces/$part/$bad" "faces/$part/<script>alert(1)"
    for i in 1 2 3 4; do
        picture "faces/$part/$bad/$i.pgm" $((10 + i))
        picture "faces/$part/<script>alert(1)/$i.pgm" $((210 + i))
    done
done
check "train on such names" "$mien" train --data faces "${quick[@]}" --out odd
check "report of such names" "$mien" evaluate -q --threads 1 --model odd --report odd-page
check "they are escaped" holds odd-page/report.html '&#60;b&#62;&#38;&#34;'
check "they are not markup" eval '! grep -qF "<b>&" odd-page/report.html && quiet odd-page/report.html && sound odd-page/report.html'
check "report.json parses" eval '! command -v python3 >/dev/null || python3 -m json.tool odd-page/report.json >/dev/null'
cp -r run other
check "several models, views" eval '"$mien" evaluate --model run --model other --data faces.csv --tta flip --report many --json >many.json 2>/dev/null && grep -q "\"model\": *\"run + other\"" many.json && grep -q "\"tta\": *\"flip\"" many.json'
check "the page says so" eval 'grep -q "Model run + other" many/report.html && grep -q "test-time augmentation: flip" many/report.html && grep -q "covers several models together" many/report.html'
finish
