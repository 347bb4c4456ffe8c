#!/usr/bin/env bash
# mien predict on photos as people have them: one picture has one answer, whatever outputs are
# asked for; crops, given boxes and the detector's threshold.
. tests/cli/lib.sh

if [ $have_h5 = 0 ]; then
    skip "predict" "this build has no mien-h5"
    finish
fi

faces 140 1 >faces.csv
tiny_network >tiny.yaml
check "train" "$mien" train "${quick[@]}" --data faces.csv --out run
check "train for colour" "$mien" train "${quick[@]}" --data faces.csv --set input.channels=3 --out colour
cp "$root/datasets/photos/astronaut.png" photo.png
cp "$root/tests/cli/portrait.jpg" colour.jpg # a colour JPEG, whose luma is not the gray of its decoded colours
if "$mien" predict photo.png --model run -q 2>&1 | grep -q "OPENCV=1"; then
    have_opencv=0
    skip "faces in photos" "this build has no OpenCV"
else
    have_opencv=1
fi

# ---- one picture, one answer ----
{
    printf 'P5\n64 64\n255\n'
    awk 'BEGIN { for (i = 0; i < 4096; i++) printf "%c", 33 + (i * 7 + int(i / 64) * 5) % 90 }'
} >gray.pgm
{
    printf 'P6\n64 64\n255\n'
    awk 'BEGIN { for (i = 0; i < 12288; i++) printf "%c", 33 + (i * 7 + int(i / 64) * 5) % 90 }'
} >colour.ppm
pictures=(photo.png colour.jpg gray.pgm colour.ppm)
detectors=(none)
[ $have_opencv = 0 ] || detectors+=(haar)
same_answer() { # MODEL DETECTOR FLAG…: the table is the one of a run without other outputs
    local model=$1 detector=$2
    shift 2
    "$mien" predict "${pictures[@]}" --model "$model" -q --detector "$detector" --csv plain.csv >plain.txt || return 1
    "$mien" predict "${pictures[@]}" --model "$model" -q --detector "$detector" --csv other.csv "$@" >other.txt || return 1
    [ "$(wc -l <plain.csv)" -gt 2 ] && cmp plain.csv other.csv
}
for model in run colour; do
    for detector in "${detectors[@]}"; do
        check "$model, $detector: --annotate" same_answer $model "$detector" --annotate seen
        check "$model, $detector: the text is the same" cmp plain.txt other.txt
        check "$model, $detector: --json" same_answer $model "$detector" --json
        check "$model, $detector: --json --annotate" same_answer $model "$detector" --json --annotate seen
        check "$model, $detector: one thread" same_answer $model "$detector" --threads 1
    done
done
check "copies are in colour" eval '[ $(ls seen | wc -l) = 4 ] && [ "$(od -An -tu1 -j25 -N1 seen/colour.png | tr -d " ")" = 2 ]'
mkdir -p pairs/a pairs/b && cp colour.jpg pairs/a/ && cp colour.jpg pairs/b/
check "a data set's answer is that of the pictures" eval '"$mien" predict --data pairs --model run -q --csv rows.csv >/dev/null && "$mien" predict pairs/a/colour.jpg --model run -q --detector none --csv one.csv >/dev/null && [ "$(sed -n 2p rows.csv | cut -d, -f3-)" = "$(sed -n 2p one.csv | cut -d, -f8-)" ]'

# ---- HEIC and AVIF ----
golden=$root/tests/golden/pictures
mkdir -p heic/happy heic/sad ppm/happy ppm/sad
for class in happy sad; do
    cp "$golden/full.heic" heic/$class/1.heic
    cp "$golden/full.heic.ppm" ppm/$class/1.ppm
    cp "$golden/turn6.heic" heic/$class/2.HEIC
    cp "$golden/lossless.heic" heic/$class/3
    cp "$golden/lossless.heic.ppm" ppm/$class/3.ppm
done
answers() { cut -d, -f"$2" "$1" | tail -n +2; } # CSV FIELDS
check "a HEIC folder is read" eval '"$mien" predict --data heic --model run -q --csv heic.csv >/dev/null && [ $(wc -l <heic.csv) = 7 ]'
check "a HEIC folder has the answers of its pixels" eval '"$mien" predict --data ppm --model run -q --csv ppm.csv >/dev/null && [ "$(answers heic.csv 3- | sed -n "1p;3p")" = "$(answers ppm.csv 3- | sed -n "1,2p")" ]'
check "HEIC and AVIF photos" eval '"$mien" predict "$golden/turn6.heic" "$golden/half.avif" --model run -q --detector none --annotate turned --csv photo.csv >/dev/null && [ $(wc -l <photo.csv) = 3 ]'
check "a turned one is upright once" eval '[ "$(od -An -tu1 -j16 -N8 turned/turn6.png | tr -s " ")" = " 0 0 0 18 0 0 0 22" ]'
head -c 700 "$golden/turn6.heic" >cut.heic
refuse 1 "half a HEIC" "'cut.heic' cannot be decoded: its HEIC data are damaged or cut short" -- predict cut.heic --model run -q
mkdir absent && echo "no library" >absent/libheif.so.1
wrap=(env LD_LIBRARY_PATH=absent)
refuse 1 "libheif is not installed" "install Debian's package libheif1" -- predict "$golden/turn6.heic" --model run -q
check "a JPEG needs no libheif" "${wrap[@]}" "$mien" predict colour.jpg --model run -q --detector none
wrap=()
printf '\0\0\0\030ftypcrx \0\0\0\1crx isom' >raw.cr3
refuse 1 "a raw file" "'raw.cr3' is a raw camera file (Canon CR3), which is not supported: convert it to JPEG or PNG" -- predict raw.cr3 --model run -q

# ---- photos as cameras write them ----
predict=(predict --model run -q)
{ head -c -2 colour.jpg && printf '\x12\x34\x56\x78\x9a\xbc\xde\xff\xd9'; } >stray.jpg
check "stray bytes before the end marker: an answer" eval '"$mien" "${predict[@]}" stray.jpg --detector none --csv stray.csv >/dev/null 2>stray.err && "$mien" "${predict[@]}" colour.jpg --detector none --csv clean.csv >/dev/null && cmp <(cut -d, -f2- stray.csv) <(cut -d, -f2- clean.csv)'
check "stray bytes: one warning" eval '[ $(wc -l <stray.err) = 1 ] && grep -q "^warning: .stray.jpg. has stray bytes before its end marker" stray.err'
check "stray bytes: one warning with a copy as well" eval '"$mien" "${predict[@]}" stray.jpg --detector none --annotate seen 2>&1 >/dev/null | grep -c stray | grep -qx 1'
mkdir -p strict/a strict/b && cp stray.jpg strict/a && cp colour.jpg strict/b
refuse 1 "stray bytes: not for training" "stray.jpg" "extraneous" -- train "${quick[@]}" --data strict --out never
printf '\0\0\0\40ftypisom\0\0\2\0isomiso2avc1mp41' >clip.mp4
refuse 1 "a video" "'clip.mp4' is a video" "ffmpeg" -- "${predict[@]}" --detector none clip.mp4
cp clip.mp4 long.mp4 && truncate -s 300M long.mp4
refuse 1 "a long video" "'long.mp4' is a video" -- "${predict[@]}" --detector none long.mp4

# ---- given boxes ----
boxes=("${predict[@]}" --boxes boxes.csv)
printf 'Width,FILE,x,y,h,note\n20,./gray.pgm,10.4,20,30,a\n15,gray.pgm,40,5,16,"b, c"\n9,colour.ppm,1,2,9,\n' >boxes.csv
check "boxes" eval '"$mien" "${boxes[@]}" gray.pgm colour.ppm --csv given.csv >given.txt 2>given.err && [ ! -s given.err ] && [ "$(cut -d, -f1-7 given.csv | tail -n +2 | tr "\n" " ")" = "gray.pgm,1,10,20,20,30, gray.pgm,2,40,5,15,16, colour.ppm,1,1,2,9,9, " ]'
check "boxes: text" eval 'head -1 given.txt | grep -q "^gray.pgm: [a-z]* .*(face of 20x30 at 10,20)$"'
check "boxes: json" eval '"$mien" "${boxes[@]}" gray.pgm --json 2>/dev/null | grep -q "\"box\": {\"x\": 10, \"y\": 20, \"w\": 20, \"h\": 30}, \"detection_score\": null"'
printf 'subDirectory_filePath,face_x,face_y,face_width,face_height,expression\ngray.pgm,10,20,20,30,1\n' >boxes.csv
check "boxes: AffectNet's columns" eval '"$mien" "${boxes[@]}" gray.pgm | grep -q "(face of 20x30 at 10,20)$"'
printf 'file,x,y,w,h\ngray.pgm,10,20,20,30\ngray.pgm,40,5,15,16\ncolour.ppm,1,2,9,9\n' >boxes.csv
mkdir -p in/side && cp gray.pgm in/side
check "boxes: the end of a path names a photo" eval '"$mien" "${boxes[@]}" "$PWD/in/side" >side.txt 2>side.err && [ $(wc -l <side.txt) = 2 ] && grep -q "^warning: 1 of 3 boxes of .boxes.csv. are for other files, the first for .colour.ppm. (line 4)$" side.err'
check "boxes: a photo without one" eval '"$mien" "${boxes[@]}" gray.pgm colour.jpg >none.txt 2>none.err && grep -qx "colour.jpg: no box given" none.txt && grep -q "^warning: .boxes.csv. has no box for 1 of 2 photos$" none.err'
refuse 1 "boxes: two photos of one name" "line 2" "'gray.pgm' and 'in/side/gray.pgm'" -- "${boxes[@]}" gray.pgm in/side/gray.pgm
refuse 1 "boxes: none for the photos" "boxes.csv" "photo.png" -- "${boxes[@]}" photo.png
printf 'file,x,y,w,h\ngray.pgm,-4,60,10,10\ngray.pgm,5,5,10,10\n' >boxes.csv
check "boxes: clipped to the photo" eval '"$mien" "${boxes[@]}" gray.pgm --csv clip.csv >/dev/null 2>clip.err && [ "$(sed -n 2p clip.csv | cut -d, -f2-6)" = 1,0,60,6,4 ] && grep -q "^warning: boxes of .boxes.csv. that reach outside their photo were clipped to it: 1$" clip.err'
printf 'file,x,y,w,h\ngray.pgm,5,5,10,10\ncolour.ppm,64,0,10,10\n' >boxes.csv
check "boxes: outside the photo" eval '! "$mien" "${boxes[@]}" colour.ppm gray.pgm >out.txt 2>out.err && grep -q "^mien: .boxes.csv.: line 3: the box 10x10 at 64,0 is outside .colour.ppm., which has 64x64 pixels$" out.err && [ $(wc -l <out.txt) = 1 ]'
bad_box() { # NAME LINE MESSAGE
    printf 'file,x,y,w,h\ngray.pgm,1,1,9,9\n%s\n' "$2" >boxes.csv
    refuse 1 "boxes: $1" "'boxes.csv': line 3" "$3" -- "${boxes[@]}" gray.pgm
}
bad_box "no number" "gray.pgm,1,1,9,ten" "h is not a number of pixels: 'ten'"
bad_box "nan" "gray.pgm,nan,1,9,9" "x is not a number"
bad_box "far away" "gray.pgm,1,1e300,9,9" "y is not a number"
bad_box "a missing field" "gray.pgm,1,1,9" "no field 'h'"
bad_box "an empty box" "gray.pgm,1,1,0,9" "0x9 pixels, which is empty"
bad_box "a negative box" "gray.pgm,1,1,9,-3" "9x-3 pixels, which is empty"
printf 'file,x,y,right\n' >boxes.csv
refuse 1 "boxes: a missing column" "no column 'w'" "file,x,y,w,h" -- "${boxes[@]}" gray.pgm
printf 'file,x,y,w,h\n' >boxes.csv
refuse 1 "boxes: an empty table" "has no boxes" -- "${boxes[@]}" gray.pgm
refuse 1 "boxes: not there" "nothere.csv" -- "${predict[@]}" gray.pgm --boxes nothere.csv
refuse 1 "--csv over the boxes" "overwrite" -- "${boxes[@]}" gray.pgm --csv boxes.csv
refuse 2 "boxes and a detector" "--boxes" -- "${boxes[@]}" gray.pgm --detector haar
refuse 2 "boxes and --min-score" "--boxes" -- "${boxes[@]}" gray.pgm --min-score 3
refuse 2 "boxes and --data" "--boxes" -- predict --data faces.csv --boxes boxes.csv
refuse 2 "--min-score without a detector" "--detector none" -- predict gray.pgm --detector none --min-score 3
for word in high "" nan; do
    refuse 2 "--min-score '$word'" "--min-score must be a number" -- predict gray.pgm --min-score "$word"
done

# ---- the detector ----
if [ $have_opencv = 1 ]; then
    "$mien" "${predict[@]}" photo.png colour.jpg --csv found.csv >/dev/null
    check "boxes: a table of --csv gives the same answers" eval '"$mien" "${predict[@]}" photo.png colour.jpg --boxes found.csv --csv again.csv >/dev/null && cmp <(cut -d, -f1-6,8- found.csv) <(cut -d, -f1-6,8- again.csv)'
    score=$(sed -n 2p found.csv | cut -d, -f7)
    check "--min-score" eval '"$mien" "${predict[@]}" photo.png --min-score ${score%?} | grep -q "face of" && "$mien" "${predict[@]}" photo.png --min-score 100 2>/dev/null | grep -q "no face found"'
    mkdir crops && for i in 1 2 3; do cp gray.pgm crops/$i.pgm; done
    check "crops: says what to try" eval '"$mien" "${predict[@]}" crops photo.png 2>&1 >/dev/null | grep -q "^warning: no face was found in 3 of 4 photos; are they crops of faces? Then give --detector none$"'
    check "few photos without a face: only counts them" eval '"$mien" "${predict[@]}" crops/1.pgm photo.png photo.png photo.png photo.png 2>&1 >/dev/null | grep -qx "warning: no face was found in 1 of 5 photos"'
    check "faces everywhere: no warning" eval '"$mien" "${predict[@]}" photo.png >/dev/null 2>quiet.err && [ ! -s quiet.err ]'
fi
finish
