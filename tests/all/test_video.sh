#!/usr/bin/env bash
# Full size: a million frames in constant memory, at 2,000 a second or more.
set -u
MIEN_FRAMES=1000000 CMOCKA_MESSAGE_OUTPUT=TAP "$MIEN_BUILD/tests/unit/test_video_faces" >/tmp/mien-frames.$$ 2>&1
status=$?
rate=$(sed -n 's/^# \([0-9]*\) frames\/s.*/\1/p' /tmp/mien-frames.$$)
sed -n '/^# /p; /^not ok/p' /tmp/mien-frames.$$
rm -f /tmp/mien-frames.$$
report() { [ "$1" = 1 ] && echo "ok $2" || echo "not ok $2"; }
report $((status == 0)) "a million frames: memory grows by less than 5 MB"
report $((${rate:-0} >= 2000)) "2,000 frames a second"
