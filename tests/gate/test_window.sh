#!/usr/bin/env bash
# The window of mien realtime on an X server without a screen (Xvfb): what it shows, also resized,
# and its keys. MIEN_KEEP=DIR keeps the screenshots, to look at them.
. tests/cli/lib.sh
missing=
for module in video vision window; do
    [ -e "${mien%/*}/mien-$module.so" ] || missing="this build has no mien-$module.so"
done
for tool in Xvfb xdotool; do
    command -v $tool >/dev/null || missing="$tool is not installed"
done
if [ -n "$missing" ]; then
    # CI installs all of it: there a skip would hide that nothing was tested
    if [ -n "${MIEN_CI:-}" ]; then fail "the window" "$missing"; else skip "the window" "$missing"; fi
    finish
fi
cp "$root/datasets/photos/astronaut.mp4" clip.mp4
unset WAYLAND_DISPLAY SDL_VIDEODRIVER

# ---- a display ----
mkdir screen
Xvfb -displayfd 3 -screen 0 800x600x24 -fbdir screen -nolisten tcp 3>number 2>xvfb.log &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
check "the X server starts" wait_until [ -s number ]
export DISPLAY=:$(cat number)

shot() { cp screen/Xvfb_screen0 "$1.xwd" && [ -z "${MIEN_KEEP:-}" ] || cp "$1.xwd" "$MIEN_KEEP/"; }
# pixels of the boxes' and labels' green on a screenshot (blue, green, red, 0)
green() { LC_ALL=C grep -aoP '\x3c\x70\x12[\x00\xff]' "$1.xwd" | wc -l; }
lines() { [ -e r.jsonl ] && [ "$(wc -l <r.jsonl)" -ge "$1" ]; }
key() { xdotool key "$1" && sleep 0.5; }

# ---- a run that is paused while a face is seen ----
"$mien" realtime --camera clip.mp4 --jsonl r.jsonl --out saved >r.out 2>r.err &
running=$!
check "a window opens" wait_until xdotool search --name Mien
check "frames are answered" wait_until lines 20
key space
shot paused
check "a box and a label are seen" [ "$(green paused)" -gt 1000 ]
sleep 1
shot still
check "space: nothing moves" cmp paused.xwd still.xwd
key h
shot help
check "h: help is seen" eval '! cmp -s still.xwd help.xwd'
key h
shot still
check "h again: it is gone" cmp paused.xwd still.xwd
xdotool search --name Mien windowsize 700 240 && sleep 0.5
shot wide
check "resized, the picture keeps its shape" eval '[ "$(green wide)" -gt $(($(green paused) * 8 / 10)) ] && [ "$(green wide)" -lt $(($(green paused) * 12 / 10)) ]'
xdotool search --name Mien windowsize 640 480 && sleep 0.5
shot large
check "and grows" [ "$(green large)" -gt $(($(green paused) * 2)) ]
key s
check "s: a picture is saved" eval 'set -- saved/mien-*.png && [ -e "$1" ] && "$mien" predict "$1" -q | grep -q happy && grep -q "^saved saved/mien-" r.err'
[ -z "${MIEN_KEEP:-}" ] || cp saved/*.png "$MIEN_KEEP/"
check "it is still paused" kill -0 $running
key space
key q
check "q ends it" wait_until eval '! kill -0 $running 2>/dev/null'
wait $running
check "with status 0" [ $? = 0 ]
check "stdout is quiet" [ ! -s r.out ]

# ---- closing the window ----
rm r.jsonl
"$mien" realtime --camera clip.mp4 --jsonl r.jsonl -q 2>r.err &
running=$!
wait_until lines 10
key Escape
wait $running
check "Escape: status 0" [ $? = 0 ]
check "all lines are whole" [ -z "$(tail -c 1 r.jsonl)" ]
check "no message" [ ! -s r.err ]

# ---- the server dies ----
rm r.jsonl
"$mien" realtime --camera clip.mp4 --jsonl r.jsonl -q 2>r.err &
running=$!
wait_until lines 10
kill $server
wait $running
status=$?
check "the display dies: no crash" [ $status -lt 126 ]
check "what was answered is written" eval 'lines 10 && [ -z "$(tail -c 1 r.jsonl)" ]'
finish
