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
# quiet FILE: nothing in it is fetched or run; pictures are inside
quiet() { ! sed "s/src='data:image\/png;base64,[A-Za-z0-9+\/=]*'//g" "$1" | grep -niE 'https?:|<script|<link|<iframe|@import|src=|href=|\bon[a-z]+='; }
# sound FILE: all tags are closed, as far as the installed tools can check
sound() {
    [ "$(tail -1 "$1")" = "</main></body></html>" ] || return 1
    [ "$(grep -o '<svg' "$1" | wc -l)" = "$(grep -o '</svg>' "$1" | wc -l)" ] || return 1
    command -v xmllint >/dev/null || return 0
    # it knows HTML 4 only, not the tags of SVG
    xmllint --html --noout --nonet "$1" 2>&1 | grep -E 'error' | grep -vE 'Tag (svg|g|rect|text|path|line|circle|title|main|figure|figcaption) invalid'
    [ "${PIPESTATUS[2]}" -ne 0 ]
}
numbers() { grep -vE '"(seconds|images_per_second)":' "$1"; }

check "report" eval 'report --json --report page >eval.json'
check "the files" test "$(ls page | tr '\n' ' ')" = "confusion.csv figures metrics.json per_class.csv predictions.csv report.html "
accuracy=$(sed -n 's/^  "accuracy": \(.*\),/\1/p' eval.json | awk '{ printf "%.1f", 100 * $1 }')
check "the accuracy ($accuracy)" holds page/report.html "$accuracy&nbsp;%" "of 28 images"
check "both curves" holds page/report.html "aria-label='accuracy by epoch'" "aria-label='loss by epoch'"
check "a matrix of 49 cells" eval '[ "$(grep -o " predicted as " page/report.html | wc -l)" -eq 49 ]'
check "every class" holds page/report.html angry disgust fear happy sad surprise neutral
check "every chart is in the page" holds page/report.html "aria-label='confusion matrix'" "aria-label='ROC by class" "aria-label='precision and recall by class" "aria-label='calibration'" "aria-label='how confident" "aria-label='recall and precision by class'"
check "and a file of its own" eval 'for f in confusion classes roc precision-recall calibration confidence accuracy loss; do [ -s page/figures/$f.svg ] && tail -c 7 page/figures/$f.svg | grep -q "</svg>" || exit 1; done'
if ldconfig -p 2>/dev/null | grep -q 'librsvg-2\.so\.2'; then
    check "as PNG, too" eval 'for f in confusion roc loss; do head -c 8 page/figures/$f.png | cmp -s - <(printf "\211PNG\r\n\032\n") || exit 1; done'
else
    skip "figures as PNG" "librsvg2-2 is not installed"
fi
check "faces and what spoke for the answers" eval '[ "$(grep -o "<img " page/report.html | wc -l)" -ge 14 ] && grep -q Grad-CAM page/report.html'
check "what was measured" holds page/report.html "SHA-256 of the model" "parameters" "trained on" "images a second"
check "the tables are the matrix" eval '[ "$(tail -n +2 page/confusion.csv | cut -d, -f2- | tr , "\n" | awk "{ s += \$1 } END { print s }")" = 28 ] && [ "$(tail -n +2 page/per_class.csv | cut -d, -f2 | awk "{ s += \$1 } END { print s }")" = 28 ]'
check "a row for each image" eval '[ "$(wc -l <page/predictions.csv)" = 29 ] && head -1 page/predictions.csv | grep -q "label,prediction,angry"'
check "its own predictions give the same report" eval '"$mien" report --from page/predictions.csv --report again --json >again.json && diff <(grep -E "^  \"(accuracy|loss|macro_f1|ece|n)\"" eval.json) <(grep -E "^  \"(accuracy|loss|macro_f1|ece|n)\"" again.json) && cmp page/per_class.csv again/per_class.csv && cmp page/confusion.csv again/confusion.csv && sound again/report.html && quiet again/report.html'
check "nothing fetched, nothing run" quiet page/report.html
check "whole and closed" sound page/report.html
check "metrics.json is what --json prints, and more" python3 -c "
import json
short, long = json.load(open('eval.json')), json.load(open('page/metrics.json'))
del short['seconds'], short['images_per_second']
assert all(long[key] == value for key, value in short.items())
low, high = long['intervals']['accuracy']
assert low < long['accuracy'] < high, long['intervals']
"
check "again into the same folder" report --report page
check "into a folder below one that is not there" eval 'report --report a/b/c && [ -s a/b/c/report.html ]'
check "of the model file, not the run" eval '"$mien" evaluate -q --threads 1 --model run/best.h5 --report file && holds file/report.html "loss by epoch"'

# ---- a damaged or missing log ----
cp run/log.csv log.csv
without() { # NAME REASON: a page without curves that states the reason
    reason=$2
    check "log.csv: $1" eval 'report --report page >/dev/null && holds page/report.html "There are no learning curves" "$reason" "%" && ! grep -q "by epoch" page/report.html && [ ! -e page/figures/loss.svg ] && sound page/report.html'
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
check "they are not markup" eval '! grep -qF "$bad" odd-page/report.html && quiet odd-page/report.html && sound odd-page/report.html'
check "metrics.json parses" eval '! command -v python3 >/dev/null || python3 -m json.tool odd-page/metrics.json >/dev/null'
cp -r run other
check "several models, views" eval '"$mien" evaluate --model run --model other --data faces.csv --tta flip --report many --json >many.json 2>/dev/null && grep -q "\"model\": *\"run + other\"" many.json && grep -q "\"tta\": *\"flip\"" many.json'
check "the page says so" holds many/report.html "Model run + other" "test-time augmentation: flip" "of several models together" "There is no Grad-CAM"

# ---- comparing ----
"$mien" train --data faces.csv "${quick[@]}" --set train.seed=5 --set train.epochs=3 --out second >train.log 2>&1 || fail "train" "$(tail -1 train.log)"
check "two models compared" eval '"$mien" compare run second --threads 1 --average --report versus >versus.txt 2>&1 && "$mien" compare run second -q --threads 1 --average --json >versus.json'
check "both, their average and the tests" eval 'grep -q "averaged: run + second" versus.txt && grep -q "1 and 3: only 1 is right" versus.txt && [ "$(grep -c "\"only_a_right\"" versus.json)" = 3 ]'
check "the numbers of evaluate" eval '[ "$(grep "\"accuracy\":" versus.json | head -1 | tr -d " ,")" = "$(grep "^  \"accuracy\":" eval.json | tr -d " ,")" ]'
check "its page" eval 'holds versus/comparison.html "all averaged" "recall by class" "validation accuracy by epoch" "Only right: second" && sound versus/comparison.html && quiet versus/comparison.html'
check "its numbers" eval 'diff <(numbers versus.json) <(numbers versus/comparison.json)'
check "a model compared with itself differs nowhere" eval '"$mien" compare run run --threads 1 2>/dev/null | grep -q "only 1 is right on 0, only 2 on 0, p = 1$"'
refuse 2 "one model" "two models" -- compare run
refuse 1 "models of other classes" "is not one of the 2 classes" -- compare -q run odd --data faces.csv
refuse 1 "a model that is not there" "nowhere" -- compare -q run nowhere
refuse 2 "a split that is none" "--split must be" -- compare run second --split tset

# ---- scores of other programs ----
printf 'label,cat,dog\ncat,0.9,0.1\ndog,0.2,0.8\ndog,0.7,0.3\n' >scores.csv
check "scores of another program" eval '"$mien" report --from scores.csv --report scores --json | grep -q "\"accuracy\": 0.6666" && sound scores/report.html'
printf 'label,prediction\ncat,cat\ndog,cat\n' >words.csv
check "only predictions: no curves, and it says so" eval '"$mien" report --from words.csv --report words >/dev/null && holds words/report.html "there are no probabilities" && [ ! -e words/figures/roc.svg ] && sound words/report.html'
check "names that are markup, in scores" eval 'printf "label,<b>,<script>x\n<b>,0.9,0.1\n<script>x,0.2,0.8\n" >odd.csv && "$mien" report --from odd.csv --report odd-scores >/dev/null && quiet odd-scores/report.html && sound odd-scores/report.html'
refuse 2 "no scores" "report needs --from" -- report
refuse 1 "scores that are not there" "nowhere.csv" -- report --from nowhere.csv --report never/x
printf 'label,cat,dog\ncat,0.9,nan\n' >nan.csv
refuse 1 "a score that is no number" "nan.csv" "line 2" -- report --from nan.csv --report never/x
printf 'label,cat,dog\nbird,0.9,0.1\n' >bird.csv
refuse 1 "a label that is no class" "bird" -- report --from bird.csv --report never/x
: >empty.csv
refuse 1 "no scores in the file" "empty.csv" -- report --from empty.csv --report never/x
finish
