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
finish
