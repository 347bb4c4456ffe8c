#!/usr/bin/env bash
# Makes the clips of tests/unit/test_video*.c and what must be read from them: shapes and tones that
# Debian 12's ffmpeg (7:5.1) generates. Needs that and python3; expected.py also needs PyAV 18.1 and
# numpy (PYTHON names their interpreter). Times are PyAV's, pixels those of ffmpeg's command line.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
exact="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1"
ff() { ffmpeg -v error -y -threads 1 "$@"; }
shapes() { echo "-f lavfi -i testsrc2=size=$1:rate=$2:duration=$3"; }
tone="-f lavfi -i sine=frequency=300:duration=1.2:sample_rate=8000"
h264="-c:v libx264 -threads 1 -preset veryfast -crf 34 -pix_fmt yuv420p"
odd=format=yuv444p,crop=97:65:0:0:exact=1,format=yuv420p
aac="-c:a aac -b:a 8k"
# shellcheck disable=SC2046,SC2086 # split into words
{
    ff $(shapes 96x64 25 1.2) $tone $h264 -bf 3 $aac -shortest $exact -movflags +faststart bframes.mp4
    ff $(shapes 96x64 25 0.6) $tone $h264 $aac -shortest $exact "$work/lying.mp4"
    ff -i "$work/lying.mp4" -c copy $exact -metadata:s:v rotate=90 rotated.mp4
    ff $(shapes 96x64 20 1) -c:v libvpx -b:v 60k -threads 1 $exact -f webm - | cat >piped.webm
    ff $(shapes 96x64 25 1) -vf "settb=1/1000,setpts='N*40+mod(N*N*7,23)+gte(N,12)*3000'" -vsync passthrough \
        -enc_time_base 1/1000 $h264 -bf 2 $exact uneven.mkv
    ff $tone -c:a libmp3lame -b:a 8k $exact sound.mp3
    ff $(shapes 32x32 1 1) -frames:v 1 "$work/cover.png"
    ff $tone -i "$work/cover.png" -map 0 -map 1 -c:a aac -b:a 8k -c:v copy -disposition:v attached_pic $exact cover.m4a
    cp "$work/cover.png" still.png
    ff $(shapes 96x64 25 0.6) $h264 -bf 2 $exact -f mpegts "$work/a.ts"
    ff $(shapes 64x80 25 0.6) $h264 -bf 2 $exact -f mpegts "$work/b.ts"
    cat "$work/a.ts" "$work/b.ts" >joined.ts
    ff $(shapes 98x66 25 0.6) -vf $odd -c:v mpeg4 -bf 2 -q:v 12 $exact old.avi
    ff $(shapes 96x64 25 0.4) $h264 -pix_fmt yuv420p10le -crf 24 $exact deep.mkv
    ff $(shapes 96x64 25 0.2) -c:v mjpeg -q:v 8 -pix_fmt yuvj420p $exact full.mov
    ff $(shapes 64x48 25 0.12) -c:v png -pix_fmt rgb24 $exact rgb.mov
    ff $(shapes 48x32 10 0.5) $exact moving.gif
    ff $(shapes 48x32 1 4) $h264 $exact slow.mp4
    ff $(shapes 48x32 240 0.1) $h264 $exact fast.mp4
    ff $(shapes 98x66 25 0.2) -vf $odd -c:v mpeg4 -q:v 10 $exact -colorspace bt709 -color_primaries bt709 -color_trc bt709 odd.mp4
    ff $(shapes 96x64 30 0.2) -c:v rawvideo -pix_fmt yuyv422 "$work/y.avi" && ff -i "$work/y.avi" -frames:v 1 -c copy $exact yuyv.avi
}
"${PYTHON:-python3}" expected.py bframes.mp4 rotated.mp4 piped.webm uneven.mkv joined.ts old.avi deep.mkv full.mov rgb.mov \
    moving.gif slow.mp4 fast.mp4 odd.mp4 yuyv.avi >expected.txt
for clip in bframes.mp4 rotated.mp4 deep.mkv full.mov odd.mp4 yuyv.avi; do
    ff -i $clip -frames:v 1 -sws_flags bilinear+accurate_rnd+full_chroma_int -pix_fmt gray -f image2 first-${clip%.*}.pgm
done
