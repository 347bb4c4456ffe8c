#!/usr/bin/env bash
# ONNX files from the command line: what they do not say is asked for, heads of all kinds are shown,
# the model can be converted once and for all, and files that are no models are called what they are.
. tests/cli/lib.sh

golden=$root/tests/golden/onnx
cp "$golden"/{plain_dynamo,plain_18,plain_20,external,two_outputs,landmarks,wide,flat_norm}.onnx .
cp "$golden/external.onnx.data" .

picture() { # NAME SIDE CHANNELS: a picture whose pixels vary
    { printf "P$((3 == $3 ? 6 : 5))\n$2 $2\n255\n"
      awk -v n=$(($2 * $2 * $3)) 'BEGIN { for (i = 0; i < n; i++) printf "%c", 33 + (i * i * 7 + i) % 90 }'
    } >"$1"
}
picture gray.pgm 16 1
picture colour.ppm 16 3
seven=a,b,c,d,e,f,g

predict() { # MODEL PICTURE FLAG…
    "$mien" predict --detector none --json --threads 1 --model "$1" "$2" "${@:3}"
}

# ---- what the file does not say ----
refuse 1 "predict: asks for both" "does not say which classes its 7 outputs are and how pixels are scaled" \
    "--classes a,b,…" "--preprocess unit|tf|caffe|torch|x/127.5-1|none" -- \
    predict --detector none --model plain_dynamo.onnx gray.pgm
refuse 1 "predict: asks for the scaling" "does not say how pixels are scaled" -- \
    predict --detector none --model plain_dynamo.onnx --classes $seven gray.pgm
refuse 1 "predict: asks for the classes" "which classes" -- \
    predict --detector none --model plain_dynamo.onnx --preprocess unit gray.pgm
refuse 1 "evaluate asks too" "give --classes" -- evaluate --model plain_dynamo.onnx --data sample
refuse 1 "too few classes" "names 3 classes, but" "has 7 outputs" -- \
    predict --detector none --model plain_dynamo.onnx --preprocess unit --classes a,b,c gray.pgm
refuse 1 "a class twice" "a name twice" -- \
    predict --detector none --model plain_dynamo.onnx --preprocess unit --classes a,a,c,d,e,f,g gray.pgm
refuse 2 "an unknown preprocessing" "--preprocess must be one of" -- \
    predict --detector none --model plain_dynamo.onnx --preprocess imagenet --classes $seven gray.pgm
refuse 1 "colours for a gray model" "is for colour images" -- \
    predict --detector none --model plain_dynamo.onnx --preprocess torch --classes $seven gray.pgm
check "inspect works without" "$mien" inspect plain_dynamo.onnx
check "inspect says what is missing" eval '"$mien" inspect plain_dynamo.onnx | grep -q "^classes *7, not named in the file: give --classes"'
check "inspect --json" eval '"$mien" inspect plain_dynamo.onnx --json | tr -d " \n" | grep -q "\"unknown\":\[\"classes\",\"preprocessing\"\]"'

# ---- heads ----
check "softmax" eval 'predict plain_dynamo.onnx gray.pgm --preprocess unit --classes $seven >soft.json &&
    grep -q "\"scores\": *{\"a\":" soft.json && ! grep -q values soft.json'
check "logits: probabilities and the outputs" eval 'predict plain_18.onnx gray.pgm --preprocess unit --classes $seven >logits.json &&
    grep -q "\"values\": *\[" logits.json && grep -q "\"label\":" logits.json'
check "logits, no classes: the outputs alone" eval 'predict plain_18.onnx gray.pgm --preprocess unit --classes none >values.json &&
    ! grep -q label values.json'
check "both outputs are the same" eval '[ "$(grep -o "\"values\": *[^]]*" logits.json)" = "$(grep -o "\"values\": *[^]]*" values.json)" ]'
check "sigmoid" eval 'predict wide.onnx gray.pgm --preprocess unit --classes x,y,z >sigmoid.json 2>&1; "$mien" inspect wide.onnx | grep -q "^head *sigmoid"'
check "one number" eval 'predict flat_norm.onnx colour.ppm --preprocess tf >one.json && grep -q "\"values\": *\[[-0-9.e]*\]" one.json'
check "points" eval 'predict landmarks.onnx colour.ppm --preprocess tf --classes none >points.json &&
    [ "$(grep -o "\"values\": *[^]]*" points.json | tr , "\n" | wc -l)" -eq 10 ]'
check "inspect: the outputs' shape" eval '"$mien" inspect landmarks.onnx | grep -q "^outputs *10 numbers: 5x2"'
check "as text" eval '"$mien" predict --detector none --model flat_norm.onnx --preprocess tf colour.ppm | grep -q "^colour.ppm: -\{0,1\}[0-9.]*$"'
check "as CSV" eval '"$mien" predict --detector none --model flat_norm.onnx --preprocess tf colour.ppm --csv v.csv &&
    grep -q "label,confidence,uncertain,output 0" v.csv'
refuse 1 "evaluate: numbers are no classes" "does not answer in classes" -- \
    evaluate --model landmarks.onnx --preprocess tf --data sample
refuse 1 "a softmax has classes" "its outputs are classes" -- \
    predict --detector none --model plain_dynamo.onnx --preprocess unit --classes none gray.pgm

# ---- several outputs, external data ----
refuse 1 "several outputs" "has the outputs" "--output NAME" -- inspect two_outputs.onnx
check "--output" "$mien" inspect two_outputs.onnx --output v12_0
refuse 1 "an output that is not" "choose one with --output" -- inspect two_outputs.onnx --output nothing
check "external data" "$mien" inspect external.onnx
mv external.onnx.data elsewhere
refuse 1 "external data are missing" "'external.onnx.data', which is missing: put it beside the model" -- inspect external.onnx
ln -s elsewhere external.onnx.data
refuse 1 "external data behind a link" "external.onnx.data" -- inspect external.onnx

# ---- once and for all ----
if [ $have_h5 = 1 ]; then
    check "convert" "$mien" convert plain_18.onnx named.h5 --classes $seven --preprocess unit
    check "it says all" eval 'predict named.h5 gray.pgm >named.json &&
        [ "$(sed s/named.h5// named.json)" = "$(cat logits.json)" ]'
    refuse 1 "flags that it does not need" "names its own classes: leave out --classes" -- \
        predict --detector none --model named.h5 --classes $seven gray.pgm
    refuse 1 "scaling that it does not need" "says itself how it scales pixels" -- \
        predict --detector none --model named.h5 --preprocess tf gray.pgm
    check "convert without" "$mien" convert plain_18.onnx unnamed.h5
    refuse 1 "what was unknown stays so" "does not say which classes" -- \
        predict --detector none --model unnamed.h5 gray.pgm
    check "later is early enough" eval 'predict unnamed.h5 gray.pgm --classes $seven --preprocess unit >later.json &&
        cmp later.json logits.json'
    check "numbers in an .h5" eval '"$mien" convert landmarks.onnx points.h5 --classes none --preprocess tf &&
        predict points.h5 colour.ppm >back.json && cmp back.json points.json'
    check "train goes on from it" eval '"$mien" convert plain_18.onnx start.h5 --classes angry,disgust,fear,happy,sad,surprise,neutral --preprocess unit &&
        faces 140 1 >faces.csv && "$mien" train "${quick[@]}" --set train.epochs=1 --set model.file=start.h5 \
        --set input.height=16 --set input.width=16 --data faces.csv --out run'
    check "train: a network of numbers gets a head of classes" eval '"$mien" train "${quick[@]}" --set train.epochs=1 \
        --set model.file=points.h5 --data faces.csv --out headed 2>headed.log && "$mien" evaluate -q --model headed --data faces.csv >/dev/null'
fi
refuse 1 "train asks what a file does not say" "does not say how pixels are scaled" -- \
    train -q --set model.file=plain_18.onnx --data sample --out never

# caffe: BGR less a mean; the same as swapping the picture's channels and subtracting by hand
check "caffe" eval 'predict flat_norm.onnx colour.ppm --preprocess caffe >caffe.json && ! cmp -s caffe.json one.json'
faces 70 2 >some.csv
check "evaluate" eval '"$mien" evaluate --model plain_18.onnx --model plain_20.onnx --threads 1 --data some.csv --split all \
    --classes angry,disgust,fear,happy,sad,surprise,neutral --preprocess unit | grep -q "^accuracy"'
check "bench" "$mien" bench infer plain_18.onnx --batch 2 --seconds 0.05 --threads 1

# ---- writing ----
names="$seven --preprocess unit"
check "to ONNX" "$mien" convert plain_18.onnx own.onnx --classes $names
check "it says all" eval 'predict own.onnx gray.pgm >own.json && [ "$(grep -o "\"label\": *\"[a-g]\"" own.json)" = \
    "$(grep -o "\"label\": *\"[a-g]\"" logits.json)" ]'
check "inspect: the classes are in it" eval '"$mien" inspect own.onnx --json | tr -d " \n" | grep -q "\"a\",\"b\",\"c\"" &&
    ! "$mien" inspect own.onnx --json | grep -q unknown'
refuse 1 "it needs no flags" "names its own classes" -- predict --detector none --model own.onnx --classes $seven gray.pgm
check "the same bytes again" eval '"$mien" convert plain_18.onnx twice.onnx --classes $names && cmp own.onnx twice.onnx'
check "with the preprocessing" eval '"$mien" convert own.onnx inside.onnx --with-preprocessing &&
    predict inside.onnx gray.pgm >inside.json && grep -q "\"label\": *\"[a-g]\"" inside.json && ! grep -q values inside.json'
refuse 1 "a scaling that nobody said" "give --preprocess" -- convert plain_18.onnx never.onnx --with-preprocessing
check "no file is left" eval '[ ! -e never.onnx ]'
refuse 2 "the preprocessing is for .onnx" "--with-preprocessing is for .onnx" -- convert own.onnx never.h5 --with-preprocessing
refuse 2 "ONNX is in float" "leave out --calibrate" -- convert own.onnx never.onnx --calibrate sample
if [ $have_h5 = 1 ]; then
    check "the shipped model" eval '"$mien" convert "$root/models/fer2013-small.h5" small.onnx &&
        "$mien" convert "$root/models/fer2013-small.h5" small-inside.onnx --with-preprocessing && "$mien" convert small.onnx back.h5'
    for model in "$root/models/fer2013-small.h5" small.onnx small-inside.onnx back.h5; do
        "$mien" evaluate --model "$model" --data some.csv --split all --threads 1 2>/dev/null | grep ^accuracy
    done >accuracies
    check "it answers the same" eval '[ "$(wc -l <accuracies)" -eq 4 ] && [ "$(sort -u accuracies | wc -l)" -eq 1 ]'
fi

# ---- what is no model ----
printf '<!DOCTYPE html>\n<html>' >page.onnx
refuse 1 "a web page" "a web page saved under a model's name: download the raw file" -- inspect page.onnx
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:1\n' >lfs.h5
refuse 1 "a pointer of Git LFS" "git lfs pull" -- inspect lfs.h5
printf 'PK\3\4archive/data.pkl' >net.pt
refuse 1 "a pickle" "export the network with torch.onnx.export" -- inspect net.pt
mkdir saved && touch saved/saved_model.pb
refuse 1 "a SavedModel" "TensorFlow SavedModel" -- inspect saved
: >empty.onnx
refuse 1 "an empty file" "it is empty" -- inspect empty.onnx
head -c 300 plain_18.onnx >cut.onnx
refuse 1 "cut off" "damaged or cut off" -- inspect cut.onnx
finish
