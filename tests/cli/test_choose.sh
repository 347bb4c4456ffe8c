#!/usr/bin/env bash
# Fewer, merged, renamed and left-out classes: data.classes, data.merge, --drop-classes.
. tests/cli/lib.sh

faces 140 1 >faces.csv
tiny_network >tiny.yaml

train() { "$mien" train "${quick[@]}" --data faces.csv --out "$@"; }
bad() { refuse "$1" "$2" "${@:3}"; }
bad 1 "merge of an unknown class" "data.merge names 'angri'" "angry, disgust" -- train "${quick[@]}" --data faces.csv --set 'data.merge={negative: [angri, sad]}' --out never
bad 2 "a class in two merges" "'sadness' is merged into 'a' and again merged into 'b'" -- train "${quick[@]}" --data faces.csv --set 'data.merge={a: [sad, fear], b: [sadness]}' --out never
bad 2 "a merge that is no list of classes" "a map of names to lists" -- train "${quick[@]}" --data faces.csv --set 'data.merge=sad' --out never
bad 2 "a merge of nothing" "'a' has no classes" -- train "${quick[@]}" --data faces.csv --set 'data.merge={a: []}' --out never
bad 1 "an unknown class to drop" "names 'contempt'" "angry, disgust" -- train "${quick[@]}" --data faces.csv --drop-classes contempt --out never
bad 1 "all classes left out" "leave 0 of the classes" -- train "${quick[@]}" --data faces.csv --drop-classes angry,disgust,fear,happy,sad,surprise,neutral --out never
bad 2 "one class" "data.classes names only 'happy'" -- train "${quick[@]}" --data faces.csv --set 'data.classes=[happy]' --out never
bad 2 "a class twice" "names 'happiness' twice" -- train "${quick[@]}" --data faces.csv --set 'data.classes=[happy, happiness, sad]' --out never
many=$(seq -s, 10000)
bad 2 "10,000 classes" "more than 4096 classes" -- train "${quick[@]}" --data faces.csv --set "data.classes=[$many]" --out never
[ $have_h5 = 1 ] || { skip "chosen classes" "this build has no mien-h5" && finish; }

classes() { "$mien" inspect "$1" --json | tr -d ' \n' | grep -o '"classes":\[[^]]*\]'; }
has_classes() { [ "$(classes "$1")" = "\"classes\":[$2]" ] || { classes "$1" && false; }; }
support() { # CLASS: its images in the document evaluated.json
    tr -d ' \n' <evaluated.json | grep -o "{\"name\":\"$1\",\"support\":[0-9]*" | grep -o '[0-9]*$'
}
evaluate() { "$mien" evaluate "$@" --json >evaluated.json 2>err.txt; }

check "three classes in the order of data.classes" train three --set 'data.classes=[happy, sad, neutral]'
check "the model has them" has_classes three/best.h5 '"happy","sad","neutral"'
check "evaluate leaves out the same classes" evaluate --model three
check "it counts what is left" [ "$(grep -c '"n": 12' evaluated.json)" -eq 1 ]
check "and says what it left out" grep -q "4 classes with 80 images are left out: angry 20, disgust 20, fear 20, surprise 20" err.txt

check "merged classes" train merged --set 'data.merge={negative: [angry, disgust, fear, sad]}'
check "take the place of the first" has_classes merged/best.h5 '"negative","happy","surprise","neutral"'
check "evaluate merges, too" evaluate --model merged --split all
check "with the sum of the images" [ "$(support negative)" -eq 80 ]

check "a renamed class" train renamed --set 'data.merge={joy: [happiness]}'
check "has the new name" has_classes renamed/best.h5 '"angry","disgust","fear","joy","sad","surprise","neutral"'
check "preview knows the flag" "$mien" preview -q --data faces.csv --set model.file=tiny.yaml --drop-classes fear --out p.png

check "a class left out" train six --drop-classes disgust
check "six are left" has_classes six/best.h5 '"angry","fear","happy","sad","surprise","neutral"'
check "the run's data are accepted" evaluate --model six --data faces.csv
check "training goes on with the model's choice" train again --set model.file=six/best.h5
check "and its classes" has_classes again/best.h5 '"angry","fear","happy","sad","surprise","neutral"'
check "convert keeps the choice" "$mien" convert six/best.h5 copy.h5
check "evaluate of the copy leaves it out" evaluate --model copy.h5 --data faces.csv

check "all classes" train all
check "evaluate --drop-classes" evaluate --model all --drop-classes fear,sad
check "leaves out images" [ "$(support fear)" -eq 0 ]
check "and says how many" grep -q "40 images of classes that are left out" evaluated.json
bad 1 "evaluate: an unknown class" "'contemt'" "angry, disgust" -- evaluate --model all --drop-classes contemt
check "classes that the model lacks: a new head" eval '"$mien" train "${quick[@]}" -v --data faces.csv --set model.file=three/best.h5 --set "data.merge={joy: [happy]}" --out joy 2>joy.log >/dev/null && "$mien" inspect joy | grep -q "classes .*joy"'
check "predict --drop-classes" "$mien" predict --data faces.csv --model all --drop-classes fear --csv scores.csv
check "never answers it" [ "$(tail -n +2 scores.csv | grep -c fear)" -eq 0 ]
bad 1 "predict: an unknown class" "'contempt'" "angry, disgust" -- predict --data faces.csv --model all --drop-classes contempt

# the same classes in another order can be averaged
check "the classes in another order" train turned --set 'data.classes=[neutral, surprise, sad, happy, fear, disgust, angry]'
check "evaluate averages by name" evaluate --model all --model turned
check "predict, too" "$mien" predict --data faces.csv --model all --model turned --csv both.csv
check "one model twice stays itself" "$mien" predict --data faces.csv --model turned --model turned --csv twice.csv
"$mien" predict --data faces.csv --model turned --csv once.csv >one.txt 2>&1
check "with equal answers" [ "$(cut -d, -f1-3 once.csv | md5sum)" = "$(cut -d, -f1-3 twice.csv | md5sum)" ]
averaged() { # the columns of two models' csv, matched by their names
    awk -F, 'FNR == 1 { f++; for (i = 1; i <= NF; i++) name[f, i] = $i; n = NF; next }
        f < 3 { for (i = 1; i <= NF; i++) v[f, FNR, name[f, i]] = $i; next }
        { for (i = n - 6; i <= n; i++) { d = $i - (v[1, FNR, name[3, i]] + v[2, FNR, name[3, i]]) / 2; if (d > 2e-4 || d < -2e-4) bad++; seen++ } }
        END { exit bad > 0 || seen < 900 }' "$@"
}
"$mien" predict --data faces.csv --model all --csv first.csv >one.txt 2>&1
check "predict averages by name" averaged first.csv once.csv both.csv

finish
