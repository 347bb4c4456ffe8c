#!/usr/bin/env bash
# Folders of pictures as people have them: parts, classes and labels under many names. All forms
# hold the same pictures, and what is read is compared with the plain form.
. tests/cli/lib.sh

faces 210 1 >faces.csv
tiny_network >tiny.yaml
train=(train "${quick[@]:1}" --data)
refused=(train "${quick[@]}" --data)
words=(angry disgust fear happy sad surprise neutral)

# lay OUT FORM: writes every face to the path that FORM (awk) makes of k (class), w (its word), p
# (part: 0 train, 1 val, 2 test), n (the row) and m (the number in its class). "" leaves it out.
lay() {
    rm -rf "$1" && mkdir -p "$1"
    awk -F, -v out="$1" -v words="${words[*]}" 'BEGIN { split(words, word, " ") } NR > 1 {
        k = $1; w = word[k + 1]; n = NR; m = int((NR - 2) / 7)
        p = $3 == "Training" ? 0 : $3 == "PublicTest" ? 1 : 2
        '"$2"'
        if (path == "") next
        folder = out "/" path
        sub("/[^/]*$", "", folder)
        if (!made[folder]++) system("mkdir -p \"" folder "\"")
        file = out "/" path
        print "P2\n48 48\n255\n" $2 >file
        close(file)
    }' faces.csv
}
# what a training run says about the data
said() { "$mien" "${train[@]}" "$@" --out run --force >out.log 2>err.log; local s=$?; cat out.log err.log >said.log; return $s; }
# same NAME WANT ARGUMENT…: trains, and says the lines of the file WANT
same() {
    local name=$1 want=$2
    shift 2
    said "$@" || { fail "$name" "$(tail -2 err.log)"; return; }
    grep -o ', \(train\|val\|test\): .*' said.log >got
    if cmp -s got "$want"; then pass "$name"; else fail "$name" "$(cat got err.log)"; fi
    "$mien" evaluate --model run >eval.log 2>&1 && pass "$name: evaluate accepts it" || fail "$name: evaluate" "$(tail -1 eval.log)"
}
all_read() { # every face is in a part
    test "$(sed -nE 's/.*: ([0-9]+) training, ([0-9]+) validation, ([0-9]+) test.*/\1 + \2 + \3/p' said.log)" != "" &&
        test "$(($(sed -nE 's/.*: ([0-9]+) training, ([0-9]+) validation, ([0-9]+) test.*/\1 + \2 + \3/p' said.log)))" -eq "${1:-210}"
}
says() { # NAME PATTERN
    if grep -qF -- "$2" said.log; then pass "$1"; else fail "$1" "no '$2' in: $(cat err.log)"; fi
}

# ---- parts by name, and the line about the classes ----
lay plain 'path = (p == 0 ? "train" : p == 1 ? "val" : "test") "/" w "/" n ".pgm"'
cat >parts.want <<'W'
, train: 7 classes: angry 18, disgust 18, fear 18, happy 18, neutral 18, sad 18, surprise 18
, val: 7 classes: angry 6, disgust 6, fear 6, happy 6, neutral 6, sad 6, surprise 6
, test: 7 classes: angry 6, disgust 6, fear 6, happy 6, neutral 6, sad 6, surprise 6
W
same "train, val, test" parts.want plain
check "evaluate tells the classes too" grep -q 'plain, test: 7 classes: angry 6, ' eval.log
for names in "Training PublicTest PrivateTest" "training dev testing" "train_set val_set test_set" "TRAIN Validation Test" \
    "FER2013Train FER2013Valid FER2013Test" "Train-Images Valid_Images test_images"; do
    rm -rf named && cp -r plain named
    read -r a b c <<<"$names"
    mv named/train "named/_a" && mv named/val named/_b && mv named/test named/_c
    mv named/_a "named/$a" && mv named/_b "named/$b" && mv named/_c "named/$c"
    same "parts: $names" parts.want named
done
mkdir -p deep/archive/fer && cp -r plain/* deep/archive/fer
same "one level deeper" parts.want deep
rm -rf deep && mkdir deep && for p in train val test; do mkdir -p deep/$p && cp -r plain/$p deep/$p/images; done
same "a folder inside each part" parts.want deep
rm -rf named && cp -r plain named && cp -r plain/val named/dev
refuse 1 "two folders of a part" "two folders for one part" "'dev'" "'val'" -- "${refused[@]}" named --out never
lay inside 'path = w "/" (p == 0 ? "train" : p == 1 ? "val" : "test") "/" n ".pgm"'
same "parts inside the classes" parts.want inside

rm -rf contest && cp -r plain contest && rm -r contest/test && mkdir contest/test && cp plain/test/*/*.pgm contest/test
head -2 parts.want >two.want
same "a test part without labels is left out" two.want contest
says "and named" "the 42 pictures of 'test' are in no class folder"

# ---- class names that differ ----
lay cased 'path = p == 2 ? "test/" w "/" n ".pgm" : (p == 1 ? "val/" : "Train/") toupper(substr(w, 1, 1)) substr(w, 2) "/" n ".pgm"'
sed 's/angry/Angry/;s/disgust/Disgust/;s/fear/Fear/;s/happy/Happy/;s/neutral/Neutral/;s/sad/Sad/;s/surprise/Surprise/' parts.want >cased.want
same "Train/Angry against test/angry" cased.want cased
lay worded 'path = p == 2 ? "test/" (w == "sad" ? "sadness_faces" : w == "angry" ? "anger" : w) "/" n ".pgm" : (p == 1 ? "val/" (w == "sad" ? "sadness" : w) : "train/" w) "/" n ".pgm"'
same "sad, sadness, sadness_faces" parts.want worded
rm -rf other && cp -r plain other && mv other/test/sad other/test/bored
refuse 1 "classes that differ" "'sad' is not in test" "'bored' is not in train" -- "${refused[@]}" other --out never
sed 's/7 classes/6 classes/;s/ sad [0-9]*,//' parts.want >six.want
said other --on-bad skip && grep -o ', \(train\|val\|test\): .*' said.log >got
check "skip: the classes of all parts, no union" cmp got six.want
says "skip: says so" "'bored' is not in train"
check "skip: evaluate accepts the data" "$mien" evaluate --model run
check "skip: also by name" "$mien" evaluate --model run --data other/

# ---- a choice of classes acts before the parts are compared ----
rm -rf odd && cp -r plain odd && mkdir odd/train/contempt && cp plain/train/sad/* odd/train/contempt
refuse 1 "a class of one part" "'contempt' is not in val" "--drop-classes" -- "${refused[@]}" odd --out never
chosen() { # NAME FLAG…: trains on odd, and evaluates the run and the data by name
    local name=$1
    shift
    said "$@" || { fail "$name" "$(tail -1 err.log)"; return; }
    check "$name: evaluate" "$mien" evaluate --model run
}
chosen "--drop-classes leaves it out" odd --drop-classes contempt
grep -o ', \(train\|val\|test\): .*' said.log >got
check "and the others stay" cmp got parts.want
says "its pictures are counted" "1 classes with 18 images are left out: contempt 18"
check "also for another model" eval '"$mien" train "${quick[@]}" --data plain --out seven && "$mien" evaluate --model seven --data odd --drop-classes contempt'
refuse 1 "whose classes it must name" "'contempt' is not in val" -- evaluate --model seven --data odd
chosen "data.classes names the others" odd --set 'data.classes=[happy, sad, neutral]'
says "three classes" ", test: 3 classes: happy 6, sad 6, neutral 6"
chosen "merged with a class of every part" odd --set 'data.merge={negative: [contempt, sad]}'
says "both are one" ", train: 7 classes: angry 18, negative 36, "
chosen "skip: the class to leave out is known" odd --on-bad skip --drop-classes contempt
check "convert" eval '! "$mien" convert run x.safetensors --calibrate odd 2>&1 | grep -q "not in val"'
check "predict" "$mien" predict -q --data odd --model run
refuse 1 "merged, but not in all parts" "'contempt' is not in val" -- "${refused[@]}" odd --set 'data.merge={bored: [contempt]}' --out never
rm -rf other && mkdir -p other && cp -r plain/train/* other && cp -r plain/val/sad other/sadness
said other
says "two names for one emotion" "the classes 'sad' and 'sadness' are two"
check "two names: evaluate accepts it" "$mien" evaluate --model run --data other
rm -rf other && mkdir -p other && cp -r plain/train/* other && cp -r plain/val/sad other/SAD
said other
check "two cases: evaluate accepts it" "$mien" evaluate --model run --data other
lay letters 'path = substr("abcdefg", k + 1, 1) "/" n ".pgm"'
said letters
says "no emotion among the names" "none of the 7 classes is the name of an emotion: 'a', 'b'"

# ---- what is no class ----
lay whole 'path = w "/" n ".pgm"'
said whole && grep -o ', \(train\|val\|test\): .*' said.log >whole.want
check "seven classes" grep -q 'train: 7 classes: angry 24, ' whole.want
cp -r whole messy
mkdir -p messy/__MACOSX/happy messy/.ipynb_checkpoints messy/contempt messy/notes "messy/@eaDir/happy"
cp messy/happy/"$(ls messy/happy | head -1)" messy/__MACOSX/happy/0.pgm
cp messy/__MACOSX/happy/0.pgm messy/.ipynb_checkpoints && cp messy/__MACOSX/happy/0.pgm messy/@eaDir/happy
cp messy/__MACOSX/happy/0.pgm messy/happy/._0.pgm
echo text >messy/notes/a.txt
same "__MACOSX, ._*, .ipynb_checkpoints and empty folders" whole.want messy
says "they are named" "folders without a picture are no classes: 'contempt', 'notes'"
check "once" test "$(grep -c 'no classes' said.log)" -eq 1

# ---- pictures in subfolders of a class ----
lay people 'path = w "/P" m % 15 "/s1/" n ".pgm"'
said people
says "persons are found" "subfolders of 15 names"
"$mien" preview "${quick[@]}" --data people --out sheet.png >/dev/null 2>&1
check "all pictures are read" all_read
check "and split by person" eval '"$mien" evaluate --model run --data people --split val --predictions val.csv >/dev/null 2>&1 &&
    "$mien" evaluate --model run --data people --split train --predictions train.csv >/dev/null 2>&1 &&
    test -z "$(comm -12 <(cut -d, -f2 val.csv | cut -d/ -f2 | sort -u | grep P) <(cut -d, -f2 train.csv | cut -d/ -f2 | sort -u | grep P))"'
lay few 'path = w "/batch" m % 3 "/" n ".pgm"'
said few
says "few subfolders do not decide the split" "data.split.by=group"
lay sets 'path = (p ? "raw" : "aligned") "/" w "/" n ".pgm"'
refuse 1 "several sets" "class folders of their own" "'aligned'" -- "${refused[@]}" sets --out never

# ---- numbered folders ----
lay numbered 'path = k "/" n ".pgm"'
said numbered
says "numbers stay numbers, with a warning" "none of the 7 classes is the name of an emotion: '0'"
printf '%s\n' "${words[@]}" >numbered/classes.txt
said numbered
says "classes.txt names them" "1 is disgust, 2 is fear"
says "in its order" "train: 7 classes: angry 24, disgust 24, fear 24"
lay from1 'path = k + 1 "/" n ".pgm"'
cp numbered/classes.txt from1
said from1
says "folders from 1 on" "1 is angry, 2 is disgust"
printf 'angry\nfear\n' >numbered/classes.txt
refuse 1 "a classes.txt that is too short" "names 2 classes" "'6'" -- "${refused[@]}" numbered --out never
awk 'BEGIN { for (k = 0; k < 8; k++) print k }' >/dev/null
lay eight 'path = (n % 8) "/" m ".pgm"'
said eight
check "files that are numbered in every folder are not AffectNet's" eval '! grep -q AffectNet said.log'
says "they stay numbers" "8 classes: 0 "
lay affect 'path = (n % 8) "/" n ".pgm"'
said affect
says "AffectNet's files: the mapping is shown" "0 is neutral, 1 is happy, 2 is sad, 3 is surprise, 4 is fear, 5 is disgust, 6 is anger, 7 is contempt"
check "as a warning" grep -q 'warning: .*AffectNet' said.log

# ---- labels in file names ----
lay kdef 'code = substr("ANDIAFHASASUNE", 2 * k + 1, 2); who = sprintf("%s%02d", m % 2 ? "F" : "M", m % 12 + 1); path = "A" who "/A" who code (int(m / 12) % 3 == 0 ? "S" : int(m / 12) % 3 == 1 ? "HL" : "HR") ".pgm"'
said kdef
says "KDEF by its names" "7 classes: angry "
says "KDEF by person" "the pictures of a person stay in one part"
check "KDEF: all are read" all_read
lay jaffe 'code = substr("ANDIFEHASASUNE", 2 * k + 1, 2); path = "K" substr("ALMRYXBCDEFG", m % 12 + 1, 1) "." code m % 3 + 1 "." n ".pgm"'
said jaffe
says "JAFFE by its names" "7 classes: angry "
check "JAFFE: all are read" all_read
check "JAFFE: evaluate accepts it" "$mien" evaluate --model run --data jaffe

by_person() { # DATA: no person of KDEF is in two parts
    "$mien" evaluate --model run --data "$1" --split val --predictions val.csv >/dev/null 2>&1 &&
        "$mien" evaluate --model run --data "$1" --split train --predictions train.csv >/dev/null 2>&1 &&
        test -n "$(grep -o 'A[FM][0-9]*' val.csv)" &&
        test -z "$(comm -12 <(grep -oE 'A[FM][0-9]{2}' val.csv | sort -u) <(grep -oE 'A[FM][0-9]{2}' train.csv | sort -u))"
}
said kdef
check "KDEF: no person is in two parts" by_person kdef
rm -rf sorted && for k in 0 1 2 3 4 5 6; do
    code=(AN DI AF HA SA SU NE)
    mkdir -p sorted/${words[k]} && cp kdef/*/A???${code[k]}* sorted/${words[k]}
done
said sorted
says "KDEF sorted by class" "7 classes: angry "
check "KDEF sorted by class: no person is in two parts" by_person sorted

# ---- FER+ ----
lay plus 'path = "FER2013" (p == 0 ? "Train" : p == 1 ? "Valid" : "Test") sprintf("/fer%07d.pgm", n)'
for f in plus/*; do
    (cd "$f" && for g in *.pgm; do echo "$g"; done) | awk '{
        n = substr($1, 4, 7) + 0; k = (n - 2) % 7
        split("4 5 6 1 3 2 0", order, " ")
        line = $1 ",\"(0, 0, 48, 48)\""
        # of every tenth image the votes are spread, of every eleventh most say unknown, of every
        # thirteenth two classes have half of the votes each
        kind = n % 10 == 0 ? "spread" : n % 11 == 0 ? "unknown" : n % 13 == 0 ? "two" : "one"
        mine = order[k + 1]; next_to = (mine + 1) % 7
        for (c = 0; c < 10; c++) {
            if (kind == "spread") v = c < 5 ? 2 : 0
            else if (kind == "unknown") v = c == 8 ? 9 : 0
            else if (kind == "two") v = c == mine || c == next_to ? 5 : 0
            else v = c == mine ? 8 : c > 7
            line = line "," v
        }
        print line }' >"$f/label.csv"
done
for mode in majority distribution probability multi; do
    said plus --set data.soft_mode=$mode
    # of 210 rows (2 to 211) 21 are spread, 18 unknown and 14 in two halves
    if [ $mode = majority ]; then left=35 kept=157; else left=21 kept=171; fi
    says "FER+ ($mode): votes" "votes for 210 images; left out: $left with too little agreement, 18 with no known expression"
    check "FER+ ($mode): parts" all_read $kept
    says "FER+ ($mode): classes" "8 classes: neutral "
    cp run/best.h5 plus.$mode.h5
    check "FER+ ($mode): evaluate" eval '"$mien" evaluate --model run --data plus --split val >eval.log 2>&1 && grep -q "votes in plus, '$mode'" eval.log'
done
check "FER+: the mode changes what is learned" eval '! cmp -s plus.distribution.h5 plus.multi.h5 && ! cmp -s plus.distribution.h5 plus.probability.h5'
check "FER+: streamed" "$mien" "${train[@]}" plus --set data.memory=stream --set data.soft_mode=multi --out streamed
check "FER+: the same model, bit for bit" cmp streamed/best.h5 plus.multi.h5
said_two() { # the same as one of two sources
    "$mien" train "${quick[@]:1}" --set "data.sources=[plain, plus]" --set data.soft_mode=$mode "$@" >out.log 2>said.log
}
for mode in majority distribution probability multi; do
    if [ $mode = majority ]; then left=35; else left=21; fi
    check "FER+ ($mode) and a folder" said_two --out two.$mode
    says "FER+ ($mode) and a folder: the mode is used" "votes for 210 images; left out: $left with too little agreement"
    check "FER+ ($mode) and a folder: evaluate reads the same" eval '"$mien" evaluate --model two.$mode --split val --json >val.json 2>err.log && grep "\"sha256\"" val.json | cmp - <(grep "\"sha256\"" two.$mode/metrics.json)'
    check "FER+ ($mode) and a folder: streamed" said_two --set data.memory=stream --out two.stream --force
    check "FER+ ($mode) and a folder: the same model" cmp two.$mode/best.h5 two.stream/best.h5
done
check "FER+ and a folder: the mode changes what is learned" eval '! cmp -s two.distribution/best.h5 two.multi/best.h5 && ! cmp -s two.distribution/best.h5 two.probability/best.h5'
said plus/FER2013Train
says "FER+: one folder alone" "votes for 126 images"
cp -r plus broken
sed -i '3s/,[08],/,many,/;4s/(0, /(3, /;5s/^/..\//' broken/FER2013Train/label.csv
refuse 1 "FER+: a bad line" "label.csv': line 3: the votes for" "--on-bad skip" -- "${refused[@]}" broken --out never
said broken --on-bad skip
says "FER+: a box that is not the picture" "line 4: the face box"
says "FER+: a name outside the folder" "line 5 is not of the form"
says "FER+: they are counted" "3 bad rows or files were left out"
rm broken/FER2013Train/label.csv
refuse 1 "FER+: a part without label.csv is not passed over" "'broken/FER2013Train' has no label.csv" -- "${refused[@]}" broken --out never
mkdir repository && cp -r plus repository/data && mkdir repository/src
said repository
says "FER+: below the repository's folder data" "votes for 210 images"
rm -rf table && mkdir -p table/{a,b} && cp plain/train/happy/* table/a && cp plain/train/sad/* table/b
printf 'name,smile\n' | tee table/a/list.csv >table/b/list.csv
refuse 1 "folders with tables of labels are no classes" "'table/a/list.csv'" "labels of the pictures" -- "${refused[@]}" table --out never
rm -rf table && mkdir -p table/images && cp plain/train/happy/* table/images && printf 'name,smile\n' >table/list.csv
refuse 1 "a table above the pictures" "'table/list.csv'" -- "${refused[@]}" table --out never
refuse 1 "label.csv is not overwritten" "overwrite" -- evaluate -q --model run --data plus --predictions plus/FER2013Train/label.csv
finish
