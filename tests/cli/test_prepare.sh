#!/usr/bin/env bash
# `mien prepare`: face crops of photos in class folders, and what happens when it is stopped.
. tests/cli/lib.sh

if [ $have_h5 = 0 ]; then
    skip "prepare" "this build has no mien-h5"
    finish
fi
prepare() { "$mien" prepare -q "$@"; }
if "$mien" predict "$root/datasets/photos/astronaut.png" -q 2>&1 | grep -q "OPENCV=1"; then
    have_opencv=0
    skip "faces in photos" "this build has no OpenCV"
else
    have_opencv=1
fi

# photos WIDTH HEIGHT OUT (PICTURE X Y)…: a large gray photo with pictures pasted into it
cat >paste.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include "host/image/draw.h"
#include "host/image/encode.h"

int main(int argc, char **argv) {
    mien_image photo, part;
    if (mien_canvas_new(atoi(argv[1]), atoi(argv[2]), 3, (mien_color){120, 130, 140}, &photo)) return 1;
    for (int i = 4; i + 2 < argc; i += 3) {
        if (mien_image_read(argv[i], 3, &part)) return fprintf(stderr, "%s\n", mien_error_message()), 1;
        mien_draw_image(&photo, (mien_rect){atoi(argv[i + 1]), atoi(argv[i + 2]), part.width, part.height}, &part);
        mien_image_release(&part);
    }
    if (mien_image_write_png(&photo, argv[3])) return fprintf(stderr, "%s\n", mien_error_message()), 1;
    mien_image_release(&photo);
    return 0;
}
C
libraries=$(readelf -d "$mien" | sed -nE 's/.*\(NEEDED\).*\[(lib.*)\]/-l:\1/p')
sanitizer=()
[[ $libraries != *libasan* ]] || sanitizer+=(-fsanitize=address)
[[ $libraries != *libubsan* ]] || sanitizer+=(-fsanitize=undefined)
if ! ${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 "${sanitizer[@]}" -I"$root" paste.c "${mien%/*}/libmien.a" $libraries -fopenmp -o paste 2>paste.log; then
    fail "the test's own program" "$(tail -3 paste.log)"
    finish
fi
astronaut=$root/datasets/photos/astronaut.png portrait=$root/tests/cli/portrait.jpg

# tree DIR: names and hashes of all files
tree() { (cd "$1" && find . -type f ! -name .lock -exec sha256sum {} + | sort -k 2); }
rows() { tail -n +2 "$1" | wc -l; }

# ---- without a detector ----
# fourteen persons, each in a folder of its own in each class
mkdir people
MIEN_BUILD=${mien%/*} bash "$root/datasets/faces.sh" made 14 >/dev/null
for file in made/*/*/*.png; do
    class=${file%/*} person=${file##*/}
    mkdir -p "people/${class##*/}/${person%.png}" && cp "$file" "people/${class##*/}/${person%.png}/face.png"
done
check "generated faces in folders of persons" prepare --data people --out persons --detector none
check "every photo is a crop in the same folder" eval '[ "$(cd people && find . -name "*.png" | sort)" = "$(cd persons && find . -name "*.png" | sort)" ] && [ $(rows persons/manifest.csv) = 98 ] && [ $(rows persons/rejected.csv) = 0 ]'
check "an equal manifest with one thread" eval 'prepare --data people --out single --detector none --threads 1 && diff <(tree persons) <(tree single)'
tiny_network >tiny.yaml
check "mien train reads it at once, by persons" eval '"$mien" train --threads 1 --set model.file=tiny.yaml --set train.epochs=1 --data persons --out run 2>train.log && grep -q "persons: the classes have subfolders of 14 names" train.log'
check "mien preview shows it" eval '"$mien" preview --threads 1 --set model.file=tiny.yaml --data persons --out sheet.png && [ -s sheet.png ]'
check "the pixels are the photo's: the survey is the same" eval '"$mien" predict --data persons -q --csv a.csv >/dev/null && "$mien" predict --data people -q --csv b.csv >/dev/null && cmp a.csv b.csv'
check "parts stay parts" eval 'prepare --data made --out parts --detector none && [ "$(cd made && find . -name "*.png" | sort)" = "$(cd parts && find . -name "*.png" | sort)" ] && grep -q "^val/happy/.*,happy,val," parts/manifest.csv'
mkdir -p numbers/0 numbers/1 && cp made/train/happy/*.png numbers/0 && cp made/train/sad/*.png numbers/1
printf 'happy\nsad\n' >numbers/classes.txt
check "classes.txt goes along" eval 'prepare --data numbers --out named --detector none && cmp numbers/classes.txt named/classes.txt && grep -q "^0/.*,happy," named/manifest.csv'
mkdir table && cp made/train/happy/0*.png table && (cd table && echo file,label && ls | grep png | awk '{ print $1 "," (NR % 2 ? "happy" : "sad/../x") }') >table.csv && mv table.csv table/labels.csv
check "a table of labels becomes folders" eval 'prepare --data table --out sorted --detector none && [ "$(ls sorted | tr "\n" " ")" = "happy manifest.csv prepare.json rejected.csv sad_.._x " ] && [ $(find sorted -name "*.png" | wc -l) = $(find table -name "*.png" | wc -l) ]'

# ---- names ----
mkdir -p names/happy "names/sad/line
break" names/sad/.hidden
face=made/train/happy/$(ls made/train/happy | head -1)
cp "$face" names/happy/a.png && cp "$face" names/happy/a.bmp && cp "$face" names/happy/a-2.png
cp "$face" "names/happy/comma, \"quote\" 100%25.png" && cp "$face" "names/sad/line
break/tab	ends
.png" && cp "$face" names/sad/.hidden/x.png
cp "$face" "names/happy/$(printf 'x%.0s' {1..255})" # recognised by its first bytes
check "hostile names" eval 'prepare --data names --out odd --detector none && [ "$(find odd -name "*.png" -printf x)" = xxxxxx ] && [ -f "odd/sad/line
break/tab	ends
.png" ]'
check "one stem, several crops" eval '[ "$(cut -d, -f1,2 odd/manifest.csv | grep "^happy/a" | tr "\n" " ")" = "happy/a-2.png,happy/a-2.png happy/a.png,happy/a.bmp happy/a-3.png,happy/a.png " ]'
tree odd >odd.tree
check "and again, with nothing to do" eval 'prepare --data names --out odd --detector none | grep -q "^6 of the photos were done before$" && tree odd | cmp - odd.tree'

# ---- faces ----
if [ $have_opencv = 1 ]; then
    mkdir -p photos/happy photos/sad/ann
    cp "$astronaut" photos/happy/astronaut.png && cp "$portrait" photos/happy/portrait.jpg
    ./paste 1000 600 photos/sad/ann/pair.png "$astronaut" 20 40 "$portrait" 680 200
    ./paste 300 200 photos/sad/wall.png
    cp "$face" tiny.png && ./paste 7 7 photos/sad/small.png
    head -c 2000 "$astronaut" >photos/sad/cut.png
    check "photos" eval 'prepare --data photos --out faces >say.txt'
    check "the largest face of each" eval '[ "$(tail -n +2 faces/manifest.csv | cut -d, -f1 | tr "\n" " ")" = "happy/astronaut.png happy/portrait.png sad/ann/pair.png " ] && grep -q "^sad/ann/pair.png,sad/ann/pair.png,sad,,19[0-9],10[0-9],9[0-9],9[0-9],[0-9.]*,1000,600,[0-9a-f]*,$" faces/manifest.csv'
    check "the others are listed with the reason" eval '[ "$(tail -n +2 faces/rejected.csv | cut -d, -f1-4 | sort | tr "\n" " ")" = "sad/cut.png,sad,,unreadable sad/small.png,sad,,no face sad/wall.png,sad,,no face " ] && grep -q "cut.png.*cut" faces/rejected.csv'
    check "a summary" eval 'grep -qx "happy  2 photos, 2 faces" say.txt && grep -qx "sad    4 photos, 1 face; rejected: 2 no face, 1 unreadable" say.txt && grep -q "^all    6 photos, 3 faces" say.txt'
    check "the same as JSON" eval 'prepare --data photos --out faces --json 2>/dev/null | grep -q "\"photos\": 6, \"videos\": 0, \"faces\": 3, \"rejected\": {\"no_face\": 2, \"several_faces\": 0, \"too_small\": 0, \"unreadable\": 1}"'
    check "the hash is that of the photo" eval '[ "$(grep astronaut.png faces/manifest.csv | cut -d, -f12)" = "$(sha256sum <photos/happy/astronaut.png | cut -d" " -f1)" ]'
    same_answer() { # FLAG…: predict of photo and crop, for gray and colour models
        "$mien" predict photos/happy/astronaut.png photos/happy/portrait.jpg -q --csv photo.csv "$@" >/dev/null || return 1
        "$mien" predict "$crops"/happy/astronaut.png "$crops"/happy/portrait.png -q --detector none --csv crop.csv "$@" >/dev/null || return 1
        [ "$(wc -l <crop.csv)" = 3 ] && cmp <(cut -d, -f8- photo.csv) <(cut -d, -f8- crop.csv)
    }
    crops=faces check "predict answers the same for photo and crop" same_answer
    check "and for crops of the model's size" eval 'prepare --data photos --out small --size model >/dev/null && crops=small same_answer && [ "$(od -An -tu4 --endian=big -j16 -N8 small/happy/portrait.png | tr -d " ")" = 4848 ]'
    "$mien" train "${quick[@]}" --data persons --set input.channels=3 --out colour >colour.log 2>&1
    check "and for a model of colour" eval 'prepare --data photos --out rgb --model colour >/dev/null && crops=rgb same_answer --model colour && [ "$(od -An -tu1 -j25 -N1 rgb/happy/portrait.png | tr -d " ")" = 2 ]'
    check "--size of at most 64 pixels" eval 'prepare --data photos --out at64 --size 64 >/dev/null && [ "$(od -An -tu4 --endian=big -j16 -N8 at64/happy/portrait.png | tr -d " ")" = 6464 ]'
    check "--faces one rejects the pair" eval 'prepare --data photos --out one --faces one >/dev/null && grep -q "^sad/ann/pair.png,sad,,several faces,2 faces$" one/rejected.csv && [ $(rows one/manifest.csv) = 2 ]'
    check "--faces all takes both" eval 'prepare --data photos --out all --faces all >/dev/null && [ "$(ls all/sad/ann | tr "\n" " ")" = "pair-2.png pair.png " ]'
    refuse 1 "--min-face 300" "no photo of 6 gave a face" -- prepare -q --data photos --out big --min-face 300
    refuse 1 "--on-bad fail" "cut.png" -- prepare -q --data photos --out failing --on-bad fail
    refuse 1 "--on-bad skip:0" "more than 0 photos" "cut.png" -- prepare -q --data photos --out failing --on-bad skip:0 --force
    mkdir -p walls/a walls/b && cp photos/sad/wall.png walls/a && cp photos/sad/wall.png walls/b
    refuse 1 "no face at all" "no face was found in any of 2 photos" "as they are" -- prepare -q --data walls --out none
    check "its rejected.csv" eval '[ $(rows none/rejected.csv) = 2 ]'
fi

# ---- videos ----
if [ -e "${mien%/*}/mien-video.so" ]; then
    mkdir -p clips/happy clips/sad/ann
    cp "$root/tests/golden/video/bframes.mp4" clips/happy/talk.MP4
    cp "$root/tests/golden/video/piped.webm" clips/sad/ann/ && cp "$face" clips/sad/ann/
    printf 'not a video' >clips/sad/none.mkv
    check "videos" eval 'prepare --data clips --out frames --detector none --every 0.2 >clips.txt'
    check "a frame every 0.2 s, in a folder of the video" eval 'ls frames/happy/talk | head -3 | tr "\n" " " | grep -qE "^t00000.000.png t00000.2[0-3][0-9].png t00000.4[0-3][0-9].png $" && [ -n "$(ls frames/sad/ann/piped)" ] && [ -f frames/sad/ann/"${face##*/}" ]'
    check "the table tells the time" eval 'grep -q "^happy/talk/t00000.000.png,happy/talk.MP4,happy,,0,0,96,64,,96,64,[0-9a-f]*,0.000$" frames/manifest.csv && grep -q "^sad/none.mkv,sad,,unreadable," frames/rejected.csv'
    check "a summary with videos" eval 'grep -q "^sad    1 photo, 2 videos, [0-9]* faces; rejected: 1 unreadable$" clips.txt'
    check "the same again with one thread" eval 'prepare --data clips --out frames1 --detector none --every 0.2 --threads 1 >/dev/null && diff <(tree frames) <(tree frames1)'
    check "fewer frames" eval 'prepare --data clips --out seldom --detector none >/dev/null && [ $(rows seldom/manifest.csv) -lt $(rows frames/manifest.csv) ]'
    check "in colour" eval 'prepare --data clips --out colours --detector none --channels 3 >/dev/null && [ "$(od -An -tu1 -j25 -N1 colours/happy/talk/t00000.000.png | tr -d " ")" = 2 ]'
    check "a video's frames are one group" eval '"$mien" train --threads 1 --set model.file=tiny.yaml --set train.epochs=1 --data frames --out run2 2>&1 | grep -q "frames: .* in subfolders of the classes"'
    head -c 5000 "$root/tests/golden/video/piped.webm" >clips/sad/cut.webm
    check "of a damaged one, the frames before" eval 'prepare --data clips --out frames --detector none --every 0.2 >/dev/null && [ -n "$(ls frames/sad/cut)" ]'
else
    skip "videos" "this build has no mien-video.so"
fi
refuse 2 "--every 0" "--every" "seconds" -- prepare --data made --out never --every 0

# ---- a run that was stopped ----
mkdir -p many/happy many/sad
for i in $(seq 60); do
    cp "$portrait" "many/$([ $((i % 2)) = 0 ] && echo happy || echo sad)/p$i.jpg"
done
if [ $have_opencv = 1 ]; then detector=haar; else detector=none; fi
long=(prepare -q --data many --detector $detector --threads 2)
start=$(date +%s%N)
check "an unbroken run" eval '"$mien" "${long[@]}" --out whole >/dev/null'
took=$((($(date +%s%N) - start) / 1000000))
tree whole >whole.tree
killed=0
for k in 1 2 4 6; do # killed at sevenths of its time, continued and killed again
    rm -rf broken
    for again in 1 2; do
        "$mien" "${long[@]}" --out broken >/dev/null 2>&1 &
        pid=$!
        sleep "$(awk "BEGIN { print $took * $k / 7000 / $again }")"
        kill -9 $pid 2>/dev/null && killed=$((killed + 1))
        wait $pid 2>/dev/null
    done
    check "killed at $k/7, twice, and continued: the same bytes" eval '"$mien" "${long[@]}" --out broken >/dev/null && tree broken | diff - whole.tree'
done
check "runs were killed" [ $killed -gt 3 ]
rm -rf broken
"$mien" "${long[@]}" --out broken >/dev/null 2>int.log &
pid=$!
wait_until [ -s broken/.progress ]
kill -INT $pid && wait $pid
status=$?
check "Ctrl-C: 130, and its tables" eval '[ $status = 130 ] && grep -q "interrupted after [0-9]* of 60 photos; the same command continues" int.log && [ $(rows broken/manifest.csv) -gt 0 ] && [ $(rows broken/manifest.csv) -lt 60 ]'
check "no photo is done again" eval 'before=$(rows broken/manifest.csv); "$mien" "${long[@]}" --out broken | grep -q "^$before of the photos were done before$" && tree broken | diff - whole.tree'
printf 'many/half a line' >>broken/.progress
check "a line that is cut off" eval '"$mien" "${long[@]}" --out broken >/dev/null && tree broken | diff - whole.tree'
rm broken/happy/p2.png
check "a crop that the user deleted stays deleted" eval '"$mien" "${long[@]}" --out broken >/dev/null && [ ! -e broken/happy/p2.png ]'
cp "$portrait" many/sad/p99.jpg
check "a photo that was added is done" eval '"$mien" "${long[@]}" --out broken >/dev/null && [ -f broken/sad/p99.png ]'
touch many/sad/p99.jpg
check "a copy with another time is the same photo" eval '"$mien" "${long[@]}" --out broken >/dev/null'
cp "$astronaut" many/sad/p99.jpg
refuse 1 "a photo that was changed" "p99.jpg' was changed" "--force" -- "${long[@]}" --out broken
rm many/sad/p99.jpg
refuse 1 "a photo that is gone" "'sad/p99.jpg'" "no longer in 'many'" -- "${long[@]}" --out broken
refuse 1 "another option" "'whole' was begun with size 'at most 2048', not 'at most 50'" "--force" -- "${long[@]}" --out whole --size 50
check "it is whole" eval 'tree whole | diff - whole.tree'
echo mine >broken/happy/mine.txt
check "--force begins anew, and removes only its own" eval '"$mien" "${long[@]}" --out broken --size 50 --force >/dev/null && [ ! -e broken/sad/p99.png ] && [ "$(cat broken/happy/mine.txt)" = mine ] && rm broken/happy/mine.txt && "$mien" "${long[@]}" --out broken --force >/dev/null && tree broken | diff - whole.tree'
(flock 9 && exec sleep 300) 9>whole/.lock &
holder=$!
wait_until eval '! flock -n whole/.lock true'
refuse 1 "a folder in use" "another process is working in 'whole'" -- "${long[@]}" --out whole
kill $holder 2>/dev/null

# ---- what is refused ----
plain=(prepare -q --detector none)
refuse 2 "no --out" "--out DIR" -- "${plain[@]}" --data made
refuse 2 "no --data" "--data SRC" -- "${plain[@]}" --out never
refuse 2 "--faces some" "largest, one or all" -- prepare --data made --out never --faces some
refuse 2 "--size 0" "full, model or a number" -- "${plain[@]}" --data made --out never --size 0
refuse 2 "--channels 2" "1 (gray) or 3 (colour)" -- "${plain[@]}" --data made --out never --channels 2
refuse 2 "--min-score without a detector" "need a detector" -- "${plain[@]}" --data made --out never --min-score 3
refuse 2 "an unknown detector" "--detector" "none" -- prepare --data made --out never --detector dnn
refuse 1 "no such folder" "'nothing' does not exist" -- "${plain[@]}" --data nothing --out never
refuse 1 "a plain folder" "none in a class folder" "<class>" -- "${plain[@]}" --data made/train/happy --out never
mkdir empty
refuse 1 "an empty folder" "holds no image" -- "${plain[@]}" --data empty --out never
faces 21 1 >faces.csv
refuse 1 "a csv of faces" "holds the pixels of faces" -- "${plain[@]}" --data faces.csv --out never
refuse 1 "--out in --data" "'made/out' is in 'made'" -- "${plain[@]}" --data made --out made/out
check "nothing was made there" [ ! -e made/out ]
refuse 1 "--out is --data" "is in 'made'" -- "${plain[@]}" --data made --out ./made/
ln -s made link
refuse 1 "--out in --data through a link" "is in 'made'" -- "${plain[@]}" --data made --out link/new/deep
refuse 1 "--data in --out" "another one" -- "${plain[@]}" --data made/train --out made
refuse 1 "up from nowhere" "'..'" -- "${plain[@]}" --data made --out new/../made/x
mkdir -p theirs/happy && echo keep >theirs/happy/note
refuse 1 "a folder of something else" "'theirs' is not empty" -- "${plain[@]}" --data made --out theirs
refuse 1 "and with --force" "'theirs' is not empty" -- "${plain[@]}" --data made --out theirs --force
check "it is as it was" eval '[ "$(find theirs | sort | tr "\n" " ")" = "theirs theirs/happy theirs/happy/note " ]'
mkdir other && echo '{"schema": 1}' >other/prepare.json
refuse 1 "another prepare.json" "other/prepare.json" -- "${plain[@]}" --data made --out other
echo file >file
refuse 1 "--out is a file" "'file'" -- "${plain[@]}" --data made --out file
mkdir -p escape && cp -r persons/. escape && echo outside >outside.png
printf 'x\t1\t1\t\t9\t9\t0\t\t../outside.png\t1\t1\t9\t9\t\t\n.\n' >escape/.progress
check "a .progress that names files elsewhere deletes none" eval '"$mien" "${plain[@]}" --data people --out escape --force >/dev/null && [ "$(cat outside.png)" = outside ]'
if [ "$(id -u)" -ne 0 ]; then
    closed=()
else
    closed=(setpriv --reuid 65534 --regid 65534 --clear-groups)
fi
mkdir locked && chmod 555 locked && chmod -R a+rX made
if "${closed[@]}" test -x "$mien" 2>/dev/null; then
    wrap=("${closed[@]}")
    refuse 1 "unwritable --out" "'locked/x'" "Permission denied" -- "${plain[@]}" --data made --out locked/x
    wrap=()
else
    skip "unwritable --out" "no other user can run the program"
fi
mkdir disk
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=64k none disk 2>/dev/null; then
    refuse 1 "a full disk" "No space left on device" -- "${plain[@]}" --data made --out disk/out
    check "with room it continues" eval 'mount -o remount,size=16m disk && "$mien" "${plain[@]}" --data made --out disk/out >/dev/null && diff <(tree disk/out) <(tree parts)'
    umount disk
else
    skip "a full disk" "no file system can be mounted"
fi
finish
