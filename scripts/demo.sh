#!/usr/bin/env bash
# make demo: trains on generated faces, evaluates, reads a photo, and lists the files written.
set -eu
out=${DEMO_OUT:-runs/demo}
echo "Training a small network on generated faces (about a minute) …"
build/mien train sample --out "$out" --force
echo
build/mien evaluate --model "$out"
echo
echo "The shipped model on a photo:"
build/mien predict -q datasets/photos/astronaut.png --annotate "$out/seen" ||
    echo "(this build cannot find faces: make config says why)"
cat <<END

Written to $out:
  best.h5       the model; Keras opens it too: keras.models.load_model("$out/best.h5")
  metrics.json  results on the validation part
  log.csv       one row per epoch
  config.yaml   all settings, to be changed and trained again
  seen/         the photo with the face in a box

Next:
  build/mien evaluate --model $out --report $out/report    (writes an HTML page)
  build/mien predict YOUR-PHOTO.jpg
  build/mien train fer2013-classic --data fer2013.csv    (datasets/README.md says where to get it)
END
