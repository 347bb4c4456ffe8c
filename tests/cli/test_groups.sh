#!/usr/bin/env bash
# Subgroups: data.groups of a training run, evaluate --groups.
. tests/cli/lib.sh

faces 210 1 >faces.csv
tiny_network >tiny.yaml
awk 'BEGIN { print "row,age,gender"; for (i = 0; i < 200; i++) printf "%d,\"%s\",%s\n", i, i % 3 ? "20, or more" : "under 20", i % 2 ? "f" : "m" }' >groups.csv
printf 'file,age\na.jpg,1\n' >files.csv
printf 'row,age\n0,1\n1\n' >short.csv
{ cat groups.csv && printf '210,x,m\n'; } >more.csv

refuse 1 "groups that are not there" "none.csv" -- train "${quick[@]}" --data faces.csv --set data.groups=none.csv --out never
refuse 1 "groups by file of a csv" "files.csv" "not a folder" -- train "${quick[@]}" --data faces.csv --set data.groups=files.csv --out never
refuse 1 "groups of sample" "'sample'" -- train "${quick[@]}" --data sample --set data.groups=groups.csv --out never
refuse 1 "groups: a short line" "short.csv" "line 3" -- train "${quick[@]}" --data faces.csv --set data.groups=short.csv --out never
[ $have_h5 = 1 ] || { skip "subgroups" "this build has no mien-h5" && finish; }

mkdir recipe
printf 'data: {sources: [../faces.csv], groups: ../groups.csv}\n' >recipe/r.yaml
check "train with groups, relative to the config" "$mien" train recipe/r.yaml "${quick[@]}" --out run
check "metrics.json has the groups of the validation part" grep -q '"column": "gender"' run/metrics.json
check "the run's config names them" grep -q "groups: .*$work/.*groups.csv" run/config.yaml
evaluate() { "$mien" evaluate --model run --split val "$@" >out.txt 2>err.txt; }
same_groups() { # both documents have the same member `groups`, ignoring indentation
    diff <(sed -n '/"groups"/,/"fingerprint"/p' "$1" | tr -d ' \n') <(sed -n '/"groups"/,/"fingerprint"/p' "$2" | tr -d ' \n')
}
check "evaluate --groups" evaluate --groups groups.csv
check "a table by age" grep -qE '^under 20 +[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ … [0-9.]+ +[0-9.<]+ ?[0-9.]*$' out.txt
check "and by gender" grep -qE '^gender +n +accuracy +macro F1 +95 % interval +p$' out.txt
sum() { awk '/^gender/ { on = 1; next } NF == 0 { on = 0 } on { n += $2 } END { print n }' out.txt; }
n=$(sed -n 's/.* n \([0-9]*\)$/\1/p' out.txt)
check "the groups hold every image once" [ "$(sum)" -eq "${n:-0}" ]
check "evaluate --json" evaluate --groups groups.csv --json
cp out.txt evaluated.json
check "evaluate finds what training wrote" same_groups run/metrics.json evaluated.json
check "without groups there are none" evaluate --json
check "no member either" eval '! grep -q "\"groups\"" out.txt'
check "lines of other data are counted" evaluate --groups more.csv
check "with a warning" grep -q "1 of its lines name no image of .*'210' in line 202" err.txt
check "the page has them" evaluate --groups groups.csv --report page
check "by name" grep -q "20, or more" page/report.html
refuse 1 "evaluate: a short line" "short.csv" "line 3" -- evaluate --model run --groups short.csv
cp groups.csv keep.csv
refuse 1 "predictions over the groups" "--predictions" -- evaluate --model run --groups groups.csv --predictions groups.csv
check "the groups are whole" cmp groups.csv keep.csv
finish
