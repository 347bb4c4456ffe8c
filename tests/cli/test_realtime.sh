#!/usr/bin/env bash
# mien realtime on a clip that is played at its rate: 3 seconds at 12 frames/s, whose first 8 frames
# show no face. tests/gate/test_window.sh looks at the window and presses keys.
. tests/cli/lib.sh
unset DISPLAY WAYLAND_DISPLAY SDL_VIDEODRIVER

refuse 2 "a word too many" "unexpected argument 'clip.mp4'" -- realtime clip.mp4
refuse 2 "--every 0" "--every must be a whole number" -- realtime --every 0
refuse 2 "--every without a detector" "--every needs a detector" -- realtime --every 3 --detector none
for module in video vision; do
    [ -e "${mien%/*}/mien-$module.so" ] && continue
    cp "$root/datasets/photos/astronaut.mp4" clip.mp4
    refuse 1 "without the module" "mien-$module.so" -- realtime --camera clip.mp4 -q
    skip "realtime" "this build has no mien-$module.so"
    finish
done
if [ $have_h5 = 0 ]; then
    skip "realtime" "this build has no mien-h5"
    finish
fi
cp "$root/datasets/photos/astronaut.mp4" clip.mp4

refuse 1 "a camera that is not there" "there is no camera 77" -- realtime --camera 77 -q
refuse 1 "a device that is not there" "there is no camera /dev/video77" -- realtime --camera /dev/video77 -q
refuse 1 "a missing file" "missing.mp4" -- realtime --camera missing.mp4 -q
refuse 1 "a URL" "--allow-url" -- realtime --camera http://127.0.0.1:9/clip.mp4 -q
refuse 1 "an output over the source" "would overwrite" -- realtime --camera clip.mp4 --annotate clip.mp4 -q
refuse 1 "two outputs of one name" "same file" -- realtime --camera clip.mp4 --csv x --jsonl x -q
refuse 1 "a missing folder for pictures" "--out" -- realtime --camera clip.mp4 --out clip.mp4/x -q
refuse 1 "a full disk" "No space" -- realtime --camera clip.mp4 --jsonl /dev/full -q

# ---- without a display ----
start=$EPOCHREALTIME
"$mien" realtime --camera clip.mp4 -q >o.jsonl 2>o.err
status=$?
seconds=$(echo "$EPOCHREALTIME $start" | awk '{print int($1 - $2)}')
check "without a display: status 0" [ $status = 0 ]
check "one sentence says so" eval '[ $(wc -l <o.err) = 1 ] && grep -q "^warning: there is no display .*; results go to the standard output as JSON lines$" o.err'
check "played at its rate" [ "$seconds" -ge 2 ]
check "a JSON line for most frames" eval '[ $(grep -c "^{\"schema\": 1, \"frame\": [0-9]*, \"time_s\": [0-9.]*, \"faces\": \[.*\]}$" o.jsonl) -ge 20 ] && [ $(wc -l <o.jsonl) -le 36 ]'
check "the face has one id" eval 'grep -q "\"id\": 1, .*\"label\": \"happy\"" o.jsonl && ! grep -q "\"id\": 2," o.jsonl'

# ---- a window; nothing is drawn on a screen ----
if [ -e "${mien%/*}/mien-window.so" ]; then
    export SDL_VIDEODRIVER=dummy
    check "a window: status 0" eval '"$mien" realtime --camera clip.mp4 --csv w.csv >w.out 2>w.err'
    check "with a window stdout is quiet" [ ! -s w.out ]
    check "the table is written beside it" eval '[ $(wc -l <w.csv) -ge 20 ] && grep -q ",happy," w.csv'
    check "the speed is reported" grep -q "frames answered, .* ms (99 %)" w.err
    check "video --show" eval '"$mien" video clip.mp4 -q --show | grep -q "^clip.mp4: 36 frames"'
    unset SDL_VIDEODRIVER
    DISPLAY=:9753 refuse 1 "video --show without a display" "':9753' does not answer" -- video clip.mp4 -q --show
else
    skip "a window" "this build has no mien-window.so"
fi

mkdir alone && cp "$mien" "${mien%/*}"/mien-{h5,video.so,vision.so} alone/
check "without the module for windows: JSON lines" eval 'MIEN_MODULES= SDL_VIDEODRIVER=dummy alone/mien realtime --camera clip.mp4 -q --model "$root/models/fer2013-small.h5" >a.jsonl 2>a.err && [ $(wc -l <a.jsonl) -ge 20 ] && grep -q "^warning: .*mien-window.so.*WINDOW=1" a.err'

# ---- Ctrl-C ----
"$mien" realtime --camera clip.mp4 --no-window --jsonl c.jsonl --csv c.csv --annotate c.mp4 >c.out 2>c.err &
running=$!
wait_until eval '[ "$(wc -l <c.jsonl)" -ge 12 ]'
kill -INT $running
wait $running
check "Ctrl-C: status 130" [ $? = 130 ]
check "--no-window says nothing of displays" eval '! grep -q display c.err && [ ! -s c.out ]'
check "all that was answered is written" eval '[ $(wc -l <c.jsonl) -ge 12 ] && [ -z "$(tail -c 1 c.jsonl)" ] && [ $(wc -l <c.csv) = $(($(wc -l <c.jsonl) + 1)) ]'
check "the annotated video is complete" eval '"$mien" video c.mp4 -q | grep -q "^c.mp4: $(wc -l <c.jsonl) frames"'
# timeout sends its signal twice, to the process and to its group
timeout -s INT 2 "$mien" realtime --camera clip.mp4 --no-window --jsonl t.jsonl --annotate t.mp4 -q 2>t.err
check "two signals at once count as one" eval '"$mien" video t.mp4 -q | grep -q "^t.mp4: $(wc -l <t.jsonl) frames"'
finish
