#!/usr/bin/env bash
# mien predict from the command line: faces of a photo in every form of output, data sets, and what
# is wrong with what the user gives.
. tests/cli/lib.sh

if [ $have_h5 = 0 ]; then
    skip "predict" "this build has no mien-h5"
    finish
fi

faces 140 1 >faces.csv
tiny_network >tiny.yaml
check "train" "$mien" train "${quick[@]}" --data faces.csv --out run
cp "$root/datasets/photos/astronaut.png" photo.png
photo=photo.png
"$mien" predict "$photo" --model run -q >photo.txt 2>photo.err
if grep -q "OPENCV=1" photo.err; then
    have_opencv=0
    skip "faces in photos" "this build has no OpenCV"
    check "without OpenCV: says what to do" grep -q -- "--detector none" photo.err
else
    have_opencv=1
    check "one line, one face" eval '[ $(wc -l <photo.txt) = 1 ] && grep -q "^photo.png: .* %.*face of .* at 1[67].,6" photo.txt'
fi

# ---- forms of output ----
if [ $have_opencv = 1 ]; then
    cp photo.png "a \"b\", c.png"
    check "json, csv, copies" eval '"$mien" predict photo.png "a \"b\", c.png" --model run -q --json --csv t.csv --annotate seen >t.json'
    check "json: one object a photo" test "$(wc -l <t.json)" = 2
    check "json: its keys" grep -qE '^\{"schema": ?1, ?"file": ?"photo.png", ?"width": ?512, ?"height": ?512, ?"faces": ?\[\{"id": ?1, ?"box": ?\{"x": ?[0-9]+, ?"y": ?[0-9]+, ?"w": ?[0-9]+, ?"h": ?[0-9]+\}, ?"detection_score": ?[0-9.]+, ?"label": ?"[a-z]+", ?"confidence": ?0?[0-9.]+, ?"uncertain": ?(true|false), ?"scores": ?\{"angry"' t.json
    check "csv: head and two rows" eval '[ $(wc -l <t.csv) = 3 ] && head -1 t.csv | grep -q "^file,face,x,y,w,h,detection_score,label,confidence,uncertain,angry,"'
    check "csv: a name with quotes" grep -q '^"a ""b"", c.png",1,' t.csv
    check "copies" eval '[ -s seen/photo.png ] && [ $(ls seen | wc -l) = 2 ] && ! cmp -s photo.png seen/photo.png'
    check "the photo is as it was" cmp photo.png "$root/datasets/photos/astronaut.png"
    check "--min-face" eval '"$mien" predict photo.png --model run -q --min-face 300 | grep -q "no face found"'
    check "no face is an empty list" eval '"$mien" predict photo.png --model run -q --min-face 300 --json | grep -qE "\"faces\": ?\[\]"'
    check "two models are averaged" eval '"$mien" predict photo.png --model run --model run -q >two.txt && cmp two.txt photo.txt'
    check "inspect: MIEN_MODEL" eval 'MIEN_MODEL=run/best.h5 "$mien" inspect >i.txt 2>i.err && grep -q "^made by" i.txt && grep -q "model run/best.h5" i.err'
    check "evaluate: MIEN_MODEL" eval 'MIEN_MODEL=run/best.h5 "$mien" evaluate --data faces.csv --split val >e.txt 2>e.err; grep -q "model run/best.h5" e.err'
    check "MIEN_MODEL" eval 'MIEN_MODEL=run/best.h5 "$mien" predict photo.png >m.txt 2>m.err && cmp m.txt photo.txt && grep -q "model run/best.h5" m.err'
    check "the same with one thread" eval '"$mien" predict photo.png --model run -q --threads 1 >one.txt && cmp one.txt photo.txt'
fi

# ---- the shipped model ----
if [ $have_opencv = 1 ]; then
    one_happy() { # PHOTO
        local lines
        lines=$("$mien" predict "$1" -q) && [ "$(wc -l <<<"$lines")" = 1 ] && [[ $lines == *": happy "*"face of"* ]]
    }
    data=${MIEN_DATA:-$root/../shared/data}/photos
    check "the shipped model: one face, happy" one_happy photo.png
    if [ -e "$data/obama_2012.jpg" ]; then
        check "another portrait: one face, happy" one_happy "$data/obama_2012.jpg"
        "$mien" predict "$data/solvay_1927.jpg" -q --csv solvay.csv >/dev/null
        check "a group of 29" eval '[ $(tail -n +2 solvay.csv | wc -l) = 29 ]'
    else
        skip "portraits" "no photos in MIEN_DATA"
    fi
fi
mkdir folder && cp photo.png folder/b.png && cp photo.png folder/a.png && echo no >folder/notes.txt
check "--detector none, a folder, sorted" eval '"$mien" predict folder --model run -q --detector none >whole.txt && [ $(wc -l <whole.txt) = 2 ] && head -1 whole.txt | grep -q "^folder/a.png: [a-z]* [0-9]* %"'
check "none: the box is the picture" eval '"$mien" predict photo.png --model run -q --detector none --json | grep -qE "\"w\": ?512, ?\"h\": ?512\}, ?\"detection_score\": ?null"'
cut -d, -f2 faces.csv | head -6 >test.csv
check "unlabelled data" eval '"$mien" predict --data test.csv --model run -q --csv rows.csv >rows.txt && [ $(wc -l <rows.txt) = 5 ] && [ $(wc -l <rows.csv) = 6 ] && head -1 rows.csv | grep -q "^row,label,confidence,uncertain,"'
"$mien" evaluate --model run --data faces.csv --split all -q --predictions all.csv >/dev/null 2>&1
# the probabilities as well: both ways apply the temperature once
check "data: the same probabilities" eval '"$mien" predict --data faces.csv --model run -q --csv p.csv >/dev/null && paste -d, <(cut -d, -f5-11 p.csv) <(cut -d, -f4-10 all.csv) | awk -F, "NR > 1 { for (i = 1; i <= 7; i++) { d = \$i - \$(i + 7); if (d > 1e-6 || d < -1e-6) exit 1 } n++ } END { exit n != 140 }"'
check "train another" "$mien" train "${quick[@]}" --data faces.csv --seed 5 --out second
check "two models are averaged" eval 'for m in run second; do "$mien" predict --data faces.csv --model $m -q --csv $m.csv >/dev/null || exit 1; done; "$mien" predict --data faces.csv --model run --model second -q --csv both.csv >/dev/null && paste -d, <(cut -d, -f5-11 run.csv) <(cut -d, -f5-11 second.csv) <(cut -d, -f5-11 both.csv) | awk -F, "NR > 1 { for (i = 1; i <= 7; i++) { d = (\$i + \$(i + 7)) / 2 - \$(i + 14); if (d > 1e-6 || d < -1e-6) exit 1; if (\$i != \$(i + 7)) other = 1 } } END { exit !other }"'
check "uncertain is what lies below the model's threshold" eval 'awk -F, "NR > 1 { if ((\$3 < 0.5) != (\$4 == \"true\")) exit 1; seen[\$4]++ } END { exit !seen[\"true\"] }" both.csv'
check "the text output agrees" eval '[ "$("$mien" predict --data faces.csv --model run --model second -q | grep -c ", uncertain$")" = "$(grep -c ",true," both.csv)" ]'
sed 's/angry/angrz/' second/best.h5 >other.h5
refuse 1 "models of other classes" "angrz" -- predict photo.png --model run --model other.h5 -q --detector none
check "train for colour" "$mien" train "${quick[@]}" --data faces.csv --set input.channels=3 --out colour
refuse 1 "models of another input" "colour" -- predict photo.png --model run --model colour -q --detector none
check "data: evaluate says the same" eval '"$mien" predict --data faces.csv --model run -q --csv p.csv >/dev/null && diff <(cut -d, -f1,2 p.csv | tail -n +2) <(cut -d, -f1,3 all.csv | tail -n +2)'
mkdir -p "set/train/happy, c" set/train/sad && for i in 1 2 3; do cp photo.png "set/train/happy, c/$i.png" && cp photo.png set/train/sad/$i.png; done
echo no >"set/train/happy, c/2.png"
check "data of files: their names" eval '"$mien" predict --data set --on-bad skip --model run -q --csv files.csv >files.txt 2>/dev/null && [ "$(cut -d: -f1 files.txt | head -2 | tail -1)" = "train/happy, c/3.png" ] && [ $(wc -l <files.txt) = 5 ]'
check "data of files: in the table" eval 'head -1 files.csv | grep -q "^row,file,label,confidence,uncertain," && grep -q "^2,\"train/happy, c/3.png\",[a-z]*,[0-9]" files.csv && [ $(wc -l <files.csv) = 6 ]'
check "data of files: in JSON" eval '"$mien" predict --data set --on-bad skip --model run -q --json 2>/dev/null | grep -q "\"row\": 2, \"file\": \"train/happy, c/3.png\", \"label\""'
awk 'NR == 3 { $0 = "1 2 oops" } { print }' test.csv >holed.csv
refuse 1 "--data with a damaged row" "holed.csv" -- predict --data holed.csv --model run -q
check "--on-bad skip: the other rows keep their numbers" eval '"$mien" predict --data holed.csv --on-bad skip --model run -q >holed.txt 2>/dev/null && [ "$(cut -d: -f1 holed.txt | tr "\n" " ")" = "row 0 row 2 row 3 row 4 " ]'
refuse 2 "--on-bad of photos" "--data" -- predict photo.png --on-bad skip
check "inspect shows the crop rule" eval '"$mien" inspect run | grep -q "^faces .*margin" && "$mien" inspect run --json | grep -q "\"uncertain_below\""'

# ---- what is wrong ----
refuse 2 "no photo" "needs photos" -- predict --model run
refuse 2 "unknown detector" "'hog'" "haar:FILE.xml" "none" -- predict photo.png --detector hog
refuse 2 "yunet without a file" "yunet:FILE.onnx" -- predict photo.png --detector yunet
refuse 2 "--min-face" "--min-face" -- predict photo.png --min-face 0
refuse 2 "--data and photos" "--data" -- predict photo.png --data test.csv
refuse 1 "no such model" "nothere" -- predict photo.png --model nothere
refuse 1 "--csv over the photo" "overwrite" -- predict photo.png --model run -q --csv photo.png
refuse 1 "--csv over the model" "overwrite" -- predict photo.png --model run -q --csv run/best.h5
refuse 1 "--annotate over the photos" "another folder" -- predict folder -q --model run --annotate folder

# ---- output paths are checked first, before any line is printed ----
mkdir afolder
for where in nodir/x.csv '' afolder photo.png/x.csv "$(printf 'x%.0s' {1..300}).csv"; do
    refuse 1 "--csv '${where:0:20}'" "--csv" -- predict folder --model run -q --detector none --csv "$where"
    check "--csv '${where:0:20}': before the work" test ! -s out.log
done
check "--csv to a device" eval '"$mien" predict photo.png --model run -q --detector none --csv /dev/stdout | grep -q "^photo.png,1,"'
for where in '' photo.png photo.png/copies; do
    refuse 1 "--annotate '$where'" "--annotate" -- predict folder --model run -q --detector none --annotate "$where"
    check "--annotate '$where': before the work" test ! -s out.log
done
check "--annotate: folders are made" eval '"$mien" predict photo.png --model run -q --detector none --annotate made/for/them >/dev/null && [ -s made/for/them/photo.png ]'
if [ "$(id -u)" -eq 0 ]; then
    skip "a folder that may not be written to" "root may write everywhere"
else
    mkdir -m 555 locked
    refuse 1 "--csv into a locked folder" "--csv" "ermission" -- "predict" folder --model run -q --detector none --csv locked/x.csv
    refuse 1 "--annotate into a locked folder" "--annotate" "ermission" -- predict folder --model run -q --detector none --annotate locked/a/b
fi
mkdir links && ln -s ../photo.png links/link.png
refuse 1 "--annotate over a link to the photo" "another folder" -- predict links/link.png -q --model run --detector none --annotate links
ln -s folder other
refuse 1 "--annotate into the photos' folder by another name" "another folder" -- predict folder/a.png -q --model run --detector none --annotate other
check "the link is still one" test -L links/link.png
long=$(printf 'n%.0s' {1..254}) && cp photo.png "$long" && cp photo.png "${long:0:248}.png"
check "--annotate: a name of 248 letters" eval '"$mien" predict "${long:0:248}.png" --model run -q --detector none --annotate long >/dev/null && [ -s "long/${long:0:248}.png" ] && [ $(ls -A long | wc -l) = 1 ]'
"$mien" predict "$long" photo.png --model run -q --detector none --annotate long --csv long.csv >long.txt 2>long.err
check "--annotate: a copy that cannot be written is reported" test $? = 1
check "--annotate: its message" eval '[ $(wc -l <long.err) -le 2 ] && grep -q "^mien: .*$long.*too long" long.err'
check "--annotate: the others go on" eval '[ $(wc -l <long.txt) = 2 ] && [ $(wc -l <long.csv) = 3 ] && [ -s long/photo.png ]'
mkdir control && cp photo.png control/$'a\e[31m\n\x7f.png' && echo no >control/$'b\e[31m.png'
"$mien" predict control --model run -q --detector none >control.txt 2>control.err
check "control characters do not reach the terminal" eval '! grep -q "[[:cntrl:]]" control.txt control.err && grep -qF "control/a?[31m??.png: " control.txt && grep -qF "control/b?[31m.png" control.err'
check "names that are not UTF-8 in JSON" eval 'cp photo.png J$'"'\\xf6'"'rg.png && "$mien" predict J*rg.png --model run -q --detector none --json | grep -qF "\"file\": \"J\\ufffdrg.png\""'

# ---- Ctrl-C: results so far are printed and written ----
mapfile -t many < <(yes photo.png | head -1000)
echo old >kept.csv && cp kept.csv stop.csv
"$mien" predict "${many[@]}" --model run -q --detector none --json --csv stop.csv >stop.json 2>stop.err &
wait_until [ -s stop.json ]
kill -INT $!
wait $!
check "Ctrl-C: the exit status" test $? = 130
check "Ctrl-C: says how far it came" grep -qE "^mien: interrupted after [0-9]+ of 1000 photos" stop.err
check "Ctrl-C: the table has all that was read" eval 'n=$(grep -oE "after [0-9]+" stop.err | cut -c7-) && [ $n -gt 0 ] && [ $n -lt 1000 ] && [ $(wc -l <stop.json) = $n ] && [ $(wc -l <stop.csv) = $((n + 1)) ]'
refuse 1 "a cascade that is not there: before the work" "no.xml" -- predict photo.png --model run -q --detector haar:no.xml --csv kept.csv
check "the old table is kept" grep -qx old kept.csv
mkdir empty
refuse 1 "a folder without pictures" "no pictures" "ppm" -- predict empty --model run -q
"$mien" predict empty photo.png --model run -q --detector none --json >others.json 2>others.err
check "an empty folder: the exit status" test $? = 1
check "an empty folder: the others go on" eval '[ $(wc -l <others.json) = 2 ] && head -1 others.json | grep -q "\"file\": \"empty\", \"error\": \".*no pictures" && tail -1 others.json | grep -q "\"faces\": \[{"'
check "a folder's other files are counted" eval '"$mien" predict folder --model run --detector none 2>&1 >/dev/null | grep -q "folder: 1 other files and folders are ignored"'
whole=(predict --model run -q --detector none)
: >zero.png
head -c 20000 photo.png >cut.png
echo "hello" >text.png
cp folder/notes.txt notes.jpg
printf 'P5\n10000 10001\n255\nxx' >huge.pgm
printf 'P5\n1 1\n255\nx' >one.pgm
refuse 1 "0 bytes" "zero.png" "empty" -- "${whole[@]}" zero.png
refuse 1 "cut short" "cut.png" "cut short" -- "${whole[@]}" cut.png
refuse 1 "no picture" "text.png" "not a picture" -- "${whole[@]}" text.png
refuse 1 "100.0 megapixels" "huge.pgm" "100.0 megapixels" -- "${whole[@]}" huge.pgm
refuse 1 "not there" "nothere.png" -- "${whole[@]}" nothere.png
refuse 1 "MIEN_MODEL is not there" "nothere.h5" -- predict photo.png -q --model nothere.h5
if [ "$(id -u)" -eq 0 ]; then
    skip "no permission" "root may read everything"
else
    cp photo.png secret.png && chmod 0 secret.png
    refuse 1 "no permission" "secret.png" "ermission" -- "${whole[@]}" secret.png
fi
refuse 1 "one pixel" "one.pgm" "too small" "at least 8x8" -- "${whole[@]}" one.pgm
printf 'P5\n8 8\n255\n%064d' 0 >eight.pgm
check "eight pixels" "$mien" "${whole[@]}" eight.pgm
check "others go on" eval '! "$mien" "${whole[@]}" zero.png photo.png cut.png --json >mixed.json 2>mixed.err && [ $(wc -l <mixed.json) = 3 ] && [ $(grep -c "\"error\"" mixed.json) = 2 ] && sed -n 2p mixed.json | grep -q "\"faces\""'
if [ $have_opencv = 1 ]; then
    refuse 1 "an invalid cascade" "text.png" -- predict photo.png --model run -q --detector haar:text.png
    refuse 1 "a network that is none" "text.png" "not a YuNet" -- predict photo.png --model run -q --detector yunet:text.png
    refuse 1 "a network that is not there" "no.onnx" -- predict photo.png --model run -q --detector yunet:no.onnx
    { printf 'P5\n64 64\n255\n' && head -c 2080 /dev/zero && printf '\377' && head -c 2015 /dev/zero; } >dot.pgm
    for network in 2022 2023; do
        check "yunet of $network" eval '"$mien" predict dot.pgm --model run -q --detector "yunet:$root/tests/golden/yunet_$network.onnx" | grep -q "(face of 32x32 at 20,20)$"'
    done
    refuse 1 "a cascade that is not there" "no.xml" -- predict photo.png --model run -q --detector haar:no.xml
fi

# ---- the detectors' module ----
mkdir alone && cp "$mien" "${mien%/*}/mien-h5" alone/
mien=$work/alone/mien MIEN_MODULES='' refuse 1 "without the module" "mien-vision.so" "OPENCV=1" "--detector none" -- predict photo.png --model run -q
check "the program links no OpenCV" eval '! ldd "$mien" | grep -qi "opencv\|tbb"'
if [ $have_opencv = 1 ]; then
    echo "no library" >alone/mien-vision.so
    mien=$work/alone/mien MIEN_MODULES='' refuse 1 "a module that is text" "no face detector" "make deps" "cannot load" -- predict photo.png --model run -q
fi

# ---- commands without face detection must start quickly ----
case $mien in
*/release/*)
    least=1000
    TIMEFORMAT='%U %S'
    for _ in 1 2 3 4 5; do
        used=$({ time "$mien" --version >/dev/null; } 2>&1 | awk '{ print int(1000 * ($1 + $2)) }')
        [ "$used" -ge "$least" ] || least=$used
    done
    check "the program starts in 30 ms of CPU time: $least" test "$least" -le 30
    ;;
esac
finish
