#!/usr/bin/env bash
# mien video: a clip of 3 seconds at 12 frames/s, whose first 8 frames show no face, in every form of
# output; what is wrong with what the user gives; and nothing lost that was written.
. tests/cli/lib.sh

clip=$root/datasets/photos/astronaut.mp4
if [ ! -e "${mien%/*}/mien-video.so" ] || [ ! -e "${mien%/*}/mien-vision.so" ]; then
    "$mien" video "$clip" >none.txt 2>none.err
    check "without the module: one message" eval '[ $(grep -c "^mien: " none.err) = 1 ] && grep -qE "mien-(video|vision).so" none.err'
    skip "videos" "this build has no mien-video.so or no mien-vision.so"
    finish
fi
cp "$clip" clip.mp4

# ---- every form of output ----
check "a run with every output" eval '"$mien" video clip.mp4 -q --jsonl f.jsonl --csv f.csv --annotate seen.mp4 --timeline t.svg >s.txt'
check "summary: one person, happy" eval 'grep -q "^clip.mp4: 36 frames, 3.0 s, 1 person$" s.txt && grep -qE "^person 1  0\.[67] to 2\.9 s, seen 2\.[0-9] s: happy [0-9]+ %" s.txt'
check "a JSON line for each frame" test "$(wc -l <f.jsonl)" = 36
check "JSON: the first frames have no face" eval '[ $(grep -c "\"faces\": \[\]" f.jsonl) = 8 ] && head -1 f.jsonl | grep -q "^{\"schema\": 1, \"frame\": 0, \"time_s\": 0, \"faces\": \[\]}$"'
check "JSON: a face, its id, both scores" eval 'tail -1 f.jsonl | grep -qE "\"frame\": 35, \"time_s\": 2.91666667, \"faces\": \[\{\"id\": 1, \"box\": \{\"x\": [0-9]+, \"y\": [0-9]+, \"w\": [0-9]+, \"h\": [0-9]+\}, \"detected\": true, \"detection_score\": [0-9.]+, \"label\": \"happy\", .*\"smoothed\": \{\"label\": \"happy\""'
check "CSV: a row for each frame" eval '[ $(wc -l <f.csv) = 37 ] && head -1 f.csv | grep -q "^frame,face_id,timestamp,success,x,y,w,h,detected,detection_score,label,confidence,uncertain,angry,.*,smoothed_label,smoothed_confidence,smoothed_uncertain,smoothed_angry,"'
check "CSV: frames without a face have rows" eval '[ $(grep -cE "^[0-7],,0\.[0-9]+,0,,," f.csv) = 8 ]'
check "CSV: all rows have as many cells" eval '[ $(awk -F, "{print NF}" f.csv | sort -u | wc -l) = 1 ]'
check "times are those of the stream" eval '[ "$(sed -n 14p f.csv | cut -d, -f1-3)" = "12,1,1.000000" ]'
check "the copy is a video of as many frames" eval '"$mien" video seen.mp4 -q | grep -q "^seen.mp4: 36 frames, 3.0 s, "'
check "the timeline is SVG" eval 'grep -q "^<svg xmlns" t.svg && grep -q ">person 1</text>" t.svg'
check "the timeline is PNG" eval '"$mien" video clip.mp4 -q --timeline t.png >/dev/null && head -c 8 t.png | grep -q PNG'
check "--jsonl -: only lines" eval '"$mien" video clip.mp4 -q --jsonl - >o.jsonl && cmp o.jsonl f.jsonl'
check "--json: one object" eval '"$mien" video clip.mp4 -q --json >s.json && [ $(wc -l <s.json) = 1 ] && grep -q "\"frames\": 36, \"frames_without_faces\": 8, .*\"persons\": \[{\"id\": 1, " s.json'
check "the same answers with other threads" eval '"$mien" video clip.mp4 -q --threads 1 --jsonl one.jsonl >/dev/null && cmp one.jsonl f.jsonl'
check "--no-smooth: both scores are the frame's" eval '"$mien" video clip.mp4 -q --no-smooth --jsonl raw.jsonl >/dev/null && sed "s/, \"smoothed.*//" raw.jsonl >a && sed "s/, \"smoothed.*//" f.jsonl >b && cmp a b && tail -1 raw.jsonl | grep -qE "\"label\": \"happy\", (\"confidence\": [0-9.e-]+), .*\"smoothed\": \{\"label\": \"happy\", \1"'
check "--every 1: detected on each frame" eval '"$mien" video clip.mp4 -q --every 1 --jsonl each.jsonl >/dev/null && [ $(grep -c "\"detected\": false" each.jsonl) -lt 4 ]'
check "--detector none: each frame is a face" eval '"$mien" video clip.mp4 -q --detector none --jsonl n.jsonl >/dev/null && [ $(grep -c "\"id\": 0, \"box\": {\"x\": 0, \"y\": 0, \"w\": 320, \"h\": 240}" n.jsonl) = 36 ]'
check "--drop-classes" eval '"$mien" video clip.mp4 -q --drop-classes happy | grep -q "^person 1" && ! "$mien" video clip.mp4 -q --drop-classes happy | grep -q happy'
check "says what the defaults are" eval '"$mien" video clip.mp4 2>&1 >/dev/null | grep -q "faces of at least 24 pixels, detected once in 5 frames"'

# ---- bad input ----
refuse 2 "no source" "one video file" -- video
refuse 2 "two sources" "" -- video -q clip.mp4 clip.mp4
refuse 2 "--every 0" "--every must be a whole number" -- video -q clip.mp4 --every 0
refuse 2 "--timeline of an unknown form" ".svg or .png" -- video -q clip.mp4 --timeline t.gif
refuse 1 "a missing file" "missing.mp4" -- video -q missing.mp4
refuse 1 "a folder" "" -- video -q .
echo "this is no video" >text.mp4
refuse 1 "not a video" "text.mp4" -- video -q text.mp4
: >empty.mp4
refuse 1 "an empty file" "empty.mp4" -- video -q empty.mp4
cp "$root/datasets/photos/astronaut.png" photo.png
refuse 1 "a picture" "mien predict" -- video -q photo.png
refuse 1 "a URL" "--allow-url" -- video -q http://127.0.0.1:9/clip.mp4
refuse 1 "a camera that is not there" "camera" -- video -q camera:77
refuse 1 "an output over the source" "would overwrite" -- video -q clip.mp4 --annotate clip.mp4
refuse 1 "two outputs of one name" "same file" -- video -q clip.mp4 --csv x --jsonl x
refuse 1 "an unknown suffix" ".mp4" -- video -q clip.mp4 --annotate seen.xyz
refuse 1 "a missing folder" "there is no folder" -- video -q clip.mp4 --csv never/f.csv
for sound in "$root"/tests/golden/video/sound.mp3; do
    [ -e "$sound" ] && refuse 1 "sound alone" "no video" -- video -q "$sound"
done

# ---- nothing is lost ----
# a clip that is cut short, in a container whose index comes first
if "$mien" video clip.mp4 -q --annotate whole.mkv >/dev/null; then
    head -c $(($(stat -c %s whole.mkv) * 2 / 3)) whole.mkv >cut.mkv
    "$mien" video cut.mkv -q --jsonl cut.jsonl >cut.txt 2>cut.err
    check "a broken tail: the frames before it" eval '[ $(wc -l <cut.jsonl) -gt 10 ] && grep -q "^cut.mkv: " cut.txt'
fi
check "a full disk: one message, status 1" eval '"$mien" video clip.mp4 -q --jsonl /dev/full 2>full.err >/dev/null; [ $? = 1 ] && [ $(grep -c "^mien: .*No space" full.err) = 1 ]'
"$mien" video clip.mp4 -q --jsonl - 2>pipe.err | head -1 >/dev/null
status=${PIPESTATUS[0]}
check "a closed pipe: status $status" eval '[ $status = 1 ] || [ $status = 141 ]'

finish
