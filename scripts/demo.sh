#!/usr/bin/env bash
# make demo: train on generated faces, evaluate, say where everything lies.
set -eu
out=${DEMO_OUT:-runs/demo}
echo "Training a small network on generated faces (about a minute) …"
build/mien train sample --out "$out" --force
echo
build/mien evaluate --model "$out"
echo
echo "The shipped model on a photo:"
build/mien predict -q datasets/photos/astronaut.png --annotate "$out/seen" ||
    echo "(this build finds no faces: make config says why)"
cat <<END

Everything lies in $out:
  best.h5       the model; Keras opens it too: keras.models.load_model("$out/best.h5")
  metrics.json  how good it is on the validation part
  log.csv       one row an epoch
  config.yaml   every setting, ready to be changed and trained again
  seen/         the photo with its face in a box

Next:
  build/mien evaluate --model $out --report $out/report    (a page to look at)
  build/mien predict YOUR-PHOTO.jpg
  build/mien train fer2013-classic --data fer2013.csv    (docs/data.md says where to get it)
END
